/*
 * The request as the web server gives it: environment, headers, parameters, body.  Nothing in it is
 * trusted but what nginx sets itself (nginx/fastcgi_params): a client's own header never has the
 * name of one of those.
 *
 * The server passes the decoded path in PATH_INFO, without the prefix that a location took off;
 * that prefix is SCRIPT_NAME.  What is missing is STR_NONE.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/web/internal.h"
#include "lib/web/multipart.h"
#include "lib/web/params.h"
#include "lib/web/rate.h"

struct str req_env(const struct req *r, const char *name)
{
    return str_of(FCGX_GetParam(name, r->fcgi.envp));
}

/*
 * The id that nginx made (nginx/fastcgi_params sets the header, so a client's own never comes
 * through), else one of ours: log lines of two requests must not share a number.
 */
static void take_id(struct req *r)
{
    struct str given = req_header(r, "X-Request-ID");
    bool fits = given.n >= 8 && given.n < sizeof r->id;
    for (size_t i = 0; fits && i < given.n; i++)
        fits = hex_digit(given.p[i]) >= 0 || given.p[i] == '-';
    if (fits)
        snprintf(r->id, sizeof r->id, STR_FMT, STR_ARG(given));
    else
        snprintf(r->id, sizeof r->id, "%016llx", (unsigned long long)random_u64());
}

/*
 * DOCUMENT_URI is what servers send that have no location with a prefix in front of us.  A path
 * without a slash at its start comes from no browser and fits no route.
 */
static bool take_path(struct req *r, struct err *err)
{
    struct str path = req_env(r, "PATH_INFO");
    if (path.n == 0)
        path = req_env(r, "DOCUMENT_URI");
    if (path.n == 0 || path.p[0] != '/')
        return err_set(err, ERR_INVALID, "the path does not start with a slash");
    r->path = utf8_clean(&r->arena, path);
    r->mount = req_env(r, "SCRIPT_NAME");
    if (r->mount.n && r->mount.p[0] != '/')
        r->mount = STR("");
    return true;
}

/* The clock is read once: whatever a request does by the time, it does by the same. */
bool req_begin(struct req *r, struct err *err)
{
    r->now_us = now_us();
    r->method = method_of(req_env(r, "REQUEST_METHOD"));
    take_id(r);
    r->query = req_env(r, "QUERY_STRING");
    r->content_length = -1;
    struct str length = req_env(r, "CONTENT_LENGTH");
    if (length.n && !str_to_i64(length, 0, INT64_MAX, "Content-Length", &r->content_length, err))
        return false;
    return take_path(r, err) && params_parse(&r->arena, r->query, &r->params, err);
}

struct arena *req_arena(struct req *r)
{
    return &r->arena;
}

struct db *req_db(struct req *r)
{
    return r->web->db;
}

void *req_app(struct req *r)
{
    return r->web->app;
}

const struct conf *req_conf(struct req *r)
{
    return &r->web->conf;
}

enum method req_method(const struct req *r)
{
    return r->method;
}

struct str req_method_name(const struct req *r)
{
    return req_env(r, "REQUEST_METHOD");
}

struct str req_path(const struct req *r)
{
    return r->path;
}

struct str req_mount(const struct req *r)
{
    return r->mount;
}

const char *req_base_url(struct req *r)
{
    struct str scheme = req_env(r, "REQUEST_SCHEME"), host = req_header(r, "Host");
    return arena_printf(&r->arena, STR_FMT "://" STR_FMT STR_FMT,
                        STR_ARG(scheme.n ? scheme : STR("http")), STR_ARG(host), STR_ARG(r->mount));
}

struct str req_path_rest(const struct req *r)
{
    return r->path_rest;
}

struct str req_query(const struct req *r)
{
    return r->query;
}

unsigned req_route_flags(const struct req *r)
{
    return r->route ? r->route->flags : 0;
}

const char *req_id(const struct req *r)
{
    return r->id;
}

int64_t req_now_us(const struct req *r)
{
    return r->now_us;
}

int64_t req_content_length(const struct req *r)
{
    return r->content_length;
}

/* "Auth-Token" is HTTP_AUTH_TOKEN; the two headers of the body have names of their own. */
struct str req_header(const struct req *r, const char *name)
{
    char key[80] = "HTTP_";
    bool is_body_header = str_eq_nocase(str_of(name), STR("Content-Type")) ||
                          str_eq_nocase(str_of(name), STR("Content-Length"));
    size_t at = is_body_header ? 0 : strlen(key);
    for (; *name && at < sizeof key - 1; name++) {
        char c = *name == '-' ? '_' : *name;
        key[at++] = (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    }
    key[at] = '\0';
    return req_env(r, key);
}

struct str req_cookie(const struct req *r, const char *name)
{
    return cookie_find(req_header(r, "Cookie"), name);
}

/*
 * nginx always sets X-Real-IP (nginx/fastcgi_params), so a client's own never counts; REMOTE_ADDR
 * is for servers that set no such header.
 */
struct str req_remote_addr(const struct req *r)
{
    struct str addr = req_header(r, "X-Real-IP");
    return addr.n ? addr : req_env(r, "REMOTE_ADDR");
}

/*
 * By network for IPv6, where one household has more addresses than any table of counts has room
 * for.
 */
struct str req_client(struct req *r)
{
    char key[RATE_CLIENT_SIZE];
    return str_copy(&r->arena, rate_client(req_remote_addr(r), key));
}

size_t req_param_count(const struct req *r)
{
    return r->params.n;
}

const struct req_param *req_param_at(const struct req *r, size_t i)
{
    return i < r->params.n ? &r->params.v[i] : NULL;
}

struct strs req_params(struct req *r, const char *name)
{
    struct strs found = {.v = arena_array(&r->arena, r->params.n + 1, sizeof(struct str))};
    for (size_t i = 0; i < r->params.n; i++)
        if (str_eq(r->params.v[i].name, str_of(name)))
            found.v[found.n++] = r->params.v[i].value;
    return found;
}

/* Path and query as a browser would send them, for the ?next= of a log-in. */
struct str req_raw_target(struct req *r)
{
    return str_of(arena_printf(&r->arena, STR_FMT STR_FMT "%s" STR_FMT, STR_ARG(r->mount),
                               STR_ARG(url_path_encode(&r->arena, r->path)), r->query.n ? "?" : "",
                               STR_ARG(r->query)));
}

uint32_t req_rate_count(struct req *r, const char *group, struct str key, int window_s,
                        uint32_t add)
{
    return rate_count(r->web->rates, group, key, window_s, r->now_us / 1000000, add);
}

/*
 * FastCGI tells an end from a break only by the stream's error; lengths are ints there, hence the
 * piece.
 */
static bool read_some(struct req *r, void *buf, size_t n, size_t *ret_got, struct err *err)
{
    int got = FCGX_GetStr(buf, (int)MIN(n, (size_t)1 << 20), r->fcgi.in);
    if (got < 0 || (got == 0 && FCGX_GetError(r->fcgi.in) != 0))
        return err_set(err, ERR_INVALID, "the body broke off after %lld bytes",
                       (long long)r->body_read);
    *ret_got = (size_t)got;
    return true;
}

bool req_read_body(struct req *r, void *buf, size_t n, size_t *ret_got, struct err *err)
{
    size_t got = 0;
    if (!r->body_ended && !read_some(r, buf, n, &got, err))
        return false;
    r->body_read += (int64_t)got;
    r->body_ended = got == 0;
    /* The input simply ends when the client goes away: only the count tells. */
    if (r->body_ended && r->content_length >= 0 && r->body_read != r->content_length)
        return err_set(err, ERR_INVALID, "the body has %lld bytes instead of %lld",
                       (long long)r->body_read, (long long)r->content_length);
    *ret_got = got;
    return true;
}

/*
 * Grows with what comes rather than by Content-Length: whoever announces gigabytes and sends
 * nothing costs nothing.
 */
bool req_body(struct req *r, size_t max_bytes, struct str *ret, struct err *err)
{
    STRBUF_AUTO body;
    sb_init(&body, max_bytes);
    FREE_LATER char *piece = xmalloc(1 << 16);
    size_t got = 1;
    while (got) {
        if (!req_read_body(r, piece, 1 << 16, &got, err))
            return false;
        sb_put(&body, piece, got);
        if (body.overflow)
            return err_set(err, ERR_TOO_LARGE, "the body has more than %zu bytes", max_bytes);
    }
    if (!arena_fits(&r->arena, body.n + 1, "body", err))
        return false;
    *ret = str_copy(&r->arena, sb_view(&body));
    return true;
}

/*
 * Bounded, because where the server does not buffer bodies (uploads of symbols, up to 2 GiB) the
 * rest may be long in coming, or never come: whoever sends a wrong token must not hold a worker.  8
 * MiB covers every body that the server does buffer but reports and symbolication jobs, which are
 * read by their handlers.
 */
enum { DRAIN_MAX_BYTES = 8 << 20, DRAIN_MAX_MS = 2000 };

void req_drain(struct req *r)
{
    char piece[8192];
    size_t got = 1;
    int64_t end_ms = mono_ms() + DRAIN_MAX_MS, end_bytes = r->body_read + DRAIN_MAX_BYTES;
    const struct timeval patience = {1, 0};
    if (!r->body_ended)
        setsockopt(r->fcgi.ipcFd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    while (!r->body_ended && got && r->body_read < end_bytes && mono_ms() < end_ms &&
           read_some(r, piece, sizeof piece, &got, ERR_IGNORED))
        r->body_read += (int64_t)got;
    r->body_ended = r->body_ended || got == 0;
}

static bool is_multipart(const struct req *r)
{
    struct str type = header_value(req_header(r, "Content-Type"));
    return str_eq_nocase(type, STR("multipart/form-data"));
}

bool req_is_form(const struct req *r)
{
    struct str type = header_value(req_header(r, "Content-Type"));
    return str_eq_nocase(type, STR("application/x-www-form-urlencoded")) || is_multipart(r);
}

/*
 * One field of a form that is being read; files count as fields here and are bounded by
 * REQ_FORM_MAX together.
 */
struct form {
    struct req *r;
    struct param_list *list;
    struct str name;
    struct strbuf value;
};

static bool form_begin(void *arg, const struct multipart_part *part, struct err *err)
{
    struct form *f = arg;
    if (!arena_fits(&f->r->arena, 4 * part->name.n + 64, "form", err))
        return false;
    f->name = str_copy(&f->r->arena, part->name);
    sb_reset(&f->value);
    return true;
}

static bool form_data(void *arg, const void *p, size_t n, struct err *err)
{
    struct form *f = arg;
    sb_put(&f->value, p, n);
    return !f->value.overflow || err_set(err, ERR_TOO_LARGE, "form field too long");
}

static bool form_end(void *arg, struct err *err)
{
    struct form *f = arg;
    struct arena *a = &f->r->arena;
    if (f->name.n == 0)
        return true;
    if (!arena_fits(a, 4 * f->value.n + 64, "form", err))
        return false;
    return params_add(a, f->list, f->name, str_copy(a, sb_view(&f->value)), err);
}

static bool parse_multipart(struct req *r, struct str body, struct param_list *list,
                            struct err *err)
{
    static const struct multipart_events events = {form_begin, form_data, form_end};
    struct form form = {.r = r, .list = list};
    struct multipart m;
    STRBUF_AUTO boundary;
    sb_init(&boundary, 200);
    header_param(req_header(r, "Content-Type"), "boundary", &boundary);
    if (!multipart_init(&m, sb_view(&boundary), &events, &form, err))
        return false;
    sb_init(&form.value, REQ_FORM_MAX);
    bool ok = multipart_feed(&m, body.p, body.n, err) && multipart_finish(&m, err);
    sb_release(&form.value);
    multipart_release(&m);
    return ok;
}

/*
 * Parameters of a form take the place of those in the address: what a POST means stands in its body
 * alone, and a link cannot add to it.
 */
bool req_parse_form(struct req *r, struct err *err)
{
    struct str body;
    struct param_list list = {0};
    if (!req_body(r, REQ_FORM_MAX, &body, err))
        return false;
    bool ok = is_multipart(r) ? parse_multipart(r, body, &list, err)
                              : params_parse(&r->arena, body, &list, err);
    if (ok)
        r->params = list;
    return ok;
}
