/*
 * Answers: built whole in the request's arena, then written once, so that an error found halfway
 * still gives a clean page; only files are sent as they are read, and extracts as they are made.
 * What must hold for all of them stands here and not in the handlers: security headers, caching by
 * what the reader may see, and the text of errors (messages of our own failures stay in the log).
 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/tpl/tpl.h"
#include "lib/web/internal.h"
#include "lib/web/params.h"
#include "lib/web/web.h"

/* clang-format off */
static const struct {
    int status;
    const char *text;
} status_texts[] = {
    {200, "OK"}, {201, "Created"}, {204, "No Content"}, {206, "Partial Content"},
    {301, "Moved Permanently"}, {302, "Found"}, {303, "See Other"}, {304, "Not Modified"},
    {307, "Temporary Redirect"}, {308, "Permanent Redirect"},
    {400, "Bad Request"}, {401, "Unauthorized"}, {403, "Forbidden"}, {404, "Not Found"},
    {405, "Method Not Allowed"}, {406, "Not Acceptable"}, {408, "Request Timeout"},
    {409, "Conflict"}, {410, "Gone"}, {411, "Length Required"}, {413, "Payload Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"}, {416, "Range Not Satisfiable"}, {422, "Unprocessable Content"},
    {429, "Too Many Requests"}, {500, "Internal Server Error"}, {501, "Not Implemented"},
    {502, "Bad Gateway"}, {503, "Service Unavailable"}, {504, "Gateway Timeout"},
};

static const struct {
    enum err_code code;
    int status;
} code_status[] = {
    {ERR_INVALID, 400}, {ERR_FORBIDDEN, 403}, {ERR_NOT_FOUND, 404}, {ERR_CONFLICT, 409},
    {ERR_TOO_LARGE, 413}, {ERR_UNAVAILABLE, 503}, {ERR_BUSY, 503},
    {ERR_ABANDONED, 400}, /* for the log alone: nobody reads it, and it is no failure of ours */
};

/*
 * Pages, and everything else: strangers' bytes and JSON, in which nothing may run, load or be framed
 * should a browser show them.
 */
static const char bare_headers[] =
    "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"
    "X-Frame-Options: DENY\r\n"
    "Referrer-Policy: no-referrer\r\n";
static const char page_headers[] =
    "Content-Security-Policy: default-src 'self'; object-src 'none'; script-src 'self'; "
    "style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'; report-uri /__cspreport__\r\n"
    "X-Frame-Options: DENY\r\n"
    "Referrer-Policy: same-origin\r\n";
/* clang-format on */

const char *web_status_text(int status)
{
    for (size_t i = 0; i < ARRAY_LEN(status_texts); i++)
        if (status_texts[i].status == status)
            return status_texts[i].text;
    return "Unknown";
}

int status_of(enum err_code code)
{
    for (size_t i = 0; i < ARRAY_LEN(code_status); i++)
        if (code_status[i].code == code)
            return code_status[i].status;
    return 500;
}

/*
 * Headers with the longest address in a redirect (LOCATION_BYTES_MAX), which nginx takes too
 * (fastcgi_buffer_size); and pieces of a file as long as a FastCGI record can be.
 */
enum { HEADERS_MAX = 32 << 10, LARGEST_PIECE = 1 << 16 };

void resp_init(struct req *r)
{
    if (!r->resp.headers.max)
        sb_init(&r->resp.headers, HEADERS_MAX);
    r->resp.fd = -1;
    resp_reset(r);
}

void resp_reset(struct req *r)
{
    sb_reset(&r->resp.headers);
    if (r->resp.fd >= 0)
        close(r->resp.fd);
    struct strbuf headers = r->resp.headers;
    r->resp = (struct resp){.status = 500, .headers = headers, .fd = -1};
}

/*
 * A value with a line break would begin another header, a NUL end all of them: refused, whoever
 * made it.
 */
bool resp_header(struct req *r, const char *name, struct str value)
{
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] == '\r' || value.p[i] == '\n' || value.p[i] == '\0')
            return false;
    if (str_eq_nocase(str_of(name), STR("Cache-Control"))) { /* decided in cache_control() */
        r->resp.cache_control = str_adup(&r->arena, value);
        return true;
    }
    sb_printf(&r->resp.headers, "%s: " STR_FMT "\r\n", name, STR_ARG(value));
    return !r->resp.headers.overflow;
}

bool resp_bytes(struct req *r, int status, const char *content_type, struct str body)
{
    r->resp.is_set = true;
    r->resp.status = status;
    r->resp.content_type = content_type;
    r->resp.body = body;
    return true;
}

bool resp_json(struct req *r, int status, const json_t *body, struct err *err)
{
    size_t n;
    FREE_LATER char *text = jdump(body, &n);
    if (!arena_fits(&r->arena, n + 1, "answer", err))
        return false;
    return resp_bytes(r, status, "application/json", str_copy(&r->arena, str_n(text, n)));
}

bool resp_page(struct req *r, int status, const char *template_name, struct tpl_values *v,
               struct err *err)
{
    struct str page;
    if (!r->web->templates)
        return err_set(err, ERR_INTERNAL, "%s: this program has no templates", template_name);
    if (!tpl_render(r->web->templates, template_name, v, &r->arena, &page, err))
        return false;
    return resp_bytes(r, status, "text/html; charset=utf-8", page);
}

/* Addresses are built from what a form sent, so they may be longer than the web server takes. */
bool resp_redirect(struct req *r, int status, struct str location)
{
    if (location.n > LOCATION_BYTES_MAX) {
        const struct err err = {.code = ERR_TOO_LARGE,
                                .msg = "URI Too Long: use fewer or shorter filters"};
        return resp_error(r, 414, &err);
    }
    return resp_header(r, "Location", location) &&
           resp_bytes(r, status, "text/plain; charset=utf-8", STR(""));
}

bool resp_file(struct req *r, int status, const char *content_type, int fd, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return err_set(err, ERR_INTERNAL, "what should be sent is not a regular file");
    }
    resp_bytes(r, status, content_type, str_n("", (size_t)st.st_size)); /* the length counts */
    r->resp.fd = fd;
    return true;
}

/* jQuery and the scripts of these pages mark their requests so. */
static bool is_xhr(const struct req *r)
{
    return str_eq_nocase(req_header(r, "X-Requested-With"), STR("XMLHttpRequest"));
}

static bool error_json(struct req *r, int status, const char *message, struct err *err)
{
    json_auto_t *body = json_object();
    jset_cstr(body, "error", message);
    if (status == 404 && !r->route) {
        jset_cstr(body, "error", "Page not found");
        jset_text(body, "path", r->path);
        jset_text(body, "query_string", r->query);
    }
    return resp_json(r, status, body, err);
}

static bool error_plain(struct req *r, int status, const char *message)
{
    return resp_bytes(r, status, "text/plain; charset=utf-8",
                      str_of(arena_strdup(&r->arena, message)));
}

/*
 * The bare page: when the program has no template for errors, or it is itself broken.  lib/web has
 * no templates of its own, they belong to programs; so these few elements are written here.
 */
static bool error_html(struct req *r, int status, const char *message)
{
    HTML_WRITER_AUTO w;
    html_init(&w, 8192);
    html_raw(&w, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>");
    html_text(&w, str_of(web_status_text(status)));
    html_raw(&w, "</title></head>\n<body><h1>");
    html_text(&w, str_of(web_status_text(status)));
    html_raw(&w, "</h1>\n<p>");
    html_text(&w, str_of(message));
    html_raw(&w, "</p></body></html>\n");
    return resp_bytes(r, status, "text/html; charset=utf-8", html_done(&w, &r->arena).escaped);
}

/* What clients may read: messages of our own failures stay in the log. */
static const char *public_message(int status, const struct err *err)
{
    bool is_ours = status >= 500 && err->code != ERR_BUSY;
    if (is_ours || !err->msg[0])
        return web_status_text(status);
    return err->msg;
}

/*
 * One place decides in which form an error comes: the program's own page if it can make one, JSON
 * for the API, a line of text for scripts and programs without pages, else a bare page.  Everything
 * from 500 on goes to the log with its own message.
 */
bool resp_error(struct req *r, int status, const struct err *err)
{
    bool is_busy = err->code == ERR_BUSY;
    if (status >= 500 || is_busy)
        log_event(is_busy ? LOG_WARN : LOG_ERROR, is_busy ? "request_refused" : "request_failed",
                  web_status_text(status), LOG_I("status", status), LOG_S("request_id", r->id),
                  LOG_S("route", r->route ? r->route->path : ""), LOG_S("error", err->msg));
    struct err passed = {.code = err->code};
    const char *message = public_message(status, err);
    snprintf(passed.msg, sizeof passed.msg, "%s", message);
    /* Pages are made with what a worker has; a stand-in has nothing. */
    const struct web_program *p = r->web->program;
    web_error_body *format =
        r->web->is_stand_in && p->template_dir ? p->stand_in_error_body : p->error_body;
    if (format && format(r, status, &passed))
        return true;
    if (r->route && r->route->flags & ROUTE_API)
        return error_json(r, status, message, ERR_IGNORED);
    if (is_xhr(r) || !r->web->program->template_dir ||
        (status == 429 && !accepts(req_header(r, "Accept"), "text/html")))
        return error_plain(r, status, message);
    return error_html(r, status, message);
}

static void send_file(struct req *r)
{
    FREE_LATER char *piece = xmalloc(LARGEST_PIECE);
    size_t left = r->resp.body.n;
    while (left) {
        ssize_t got = read(r->resp.fd, piece, MIN(left, (size_t)LARGEST_PIECE));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0 || FCGX_PutStr(piece, (int)got, r->fcgi.out) != (int)got)
            return; /* the client is gone, or sees by the length that something is missing */
        left -= (size_t)got;
    }
}

static void send_body(struct req *r)
{
    struct str rest = r->resp.body;
    while (rest.n) {
        size_t n = MIN(rest.n, (size_t)1 << 20);
        if (FCGX_PutStr(rest.p, (int)n, r->fcgi.out) != (int)n)
            return;
        rest = str_sub(rest, n, SIZE_MAX);
    }
}

/*
 * Who may read protected data gets nothing that stays in a cache, whatever the handler thinks of
 * its own answer; other people's pages show their name and are checked anew.  An answer that did
 * not ask who reads it is the same for everybody.  NULL: nothing to say.
 */
static const char *cache_control(struct req *r)
{
    static const char *const protected[] = {"view_pii", "view_rawdump", "view_all_uploads"};
    if (!r->user.is_logged_in)
        return r->resp.cache_control;
    for (size_t i = 0; i < ARRAY_LEN(protected); i++)
        if (req_may(r, protected[i]))
            return "private, no-store";
    return r->resp.cache_control ? r->resp.cache_control : "private, no-cache";
}

/*
 * Lines that hold for every answer. nosniff: a report's text must not become a page because a
 * browser thinks it looks like one.
 */
static void write_head(struct req *r, struct strbuf *h)
{
    const struct resp *p = &r->resp;
    sb_printf(h, "Status: %d %s\r\n", p->status, web_status_text(p->status));
    if (p->content_type)
        sb_printf(h, "Content-Type: %s\r\n", p->content_type);
    if (!p->is_begun && p->status != 304 && p->status != 204)
        sb_printf(h, "Content-Length: %zu\r\n", p->body.n);
    sb_text(h, "X-Content-Type-Options: nosniff\r\n");
    bool is_page = p->content_type && str_starts(str_of(p->content_type), STR("text/html"));
    sb_text(h, is_page ? page_headers : bare_headers);
    const char *cache = cache_control(r);
    if (cache)
        sb_printf(h, "Cache-Control: %s\r\n", cache);
    if (r->route && r->route->flags & ROUTE_API)
        sb_text(h, "Access-Control-Allow-Origin: *\r\n");
    if (r->user.by_token)
        sb_text(h, "Vary: Auth-Token\r\n");
    sb_printf(h, "X-Request-ID: %s\r\n", r->id);
    sb_str(h, sb_view(&p->headers));
    sb_text(h, "\r\n");
}

/* The whole body of the request is read first: a server that is still sending it might otherwise
 * see a closed connection and not the answer. */
static void send_head(struct req *r)
{
    req_drain(r);
    STRBUF_AUTO h;
    sb_init(&h, HEADERS_MAX + 4096);
    write_head(r, &h);
    FCGX_PutStr(sb_cstr(&h), (int)h.n, r->fcgi.out);
}

bool resp_stream(struct req *r, int status, const char *content_type)
{
    return resp_bytes(r, status, content_type, STR(""));
}

/* What a web server answers to HEAD ends with the head, however much there would be. */
bool resp_write(struct req *r, struct str piece, struct err *err)
{
    struct resp *p = &r->resp;
    if (!p->is_begun) {
        p->is_begun = true;
        send_head(r);
    }
    if (r->method == METHOD_HEAD)
        return err_set(err, ERR_ABANDONED, "a HEAD wants no body");
    if (FCGX_PutStr(piece.p, (int)piece.n, r->fcgi.out) != (int)piece.n) {
        r->is_abandoned = true;
        return err_set(err, ERR_ABANDONED, "nobody reads the answer any more");
    }
    p->sent_bytes += piece.n;
    return true;
}

bool resp_cut(struct req *r, const struct err *err)
{
    if (!r->resp.is_begun)
        return false;
    r->resp.is_cut = r->method != METHOD_HEAD;
    if (err->code != ERR_ABANDONED)
        log_event(LOG_WARN, "answer_cut", "an answer ended in the middle",
                  LOG_S("request_id", r->id), LOG_S("error", err->msg));
    return true;
}

void resp_send(struct req *r)
{
    send_head(r);
    if (r->method == METHOD_HEAD || r->resp.status == 304 || r->resp.status == 204)
        return;
    if (r->resp.fd >= 0)
        send_file(r);
    else
        send_body(r);
}
