/*
 * Uploads by address.  A HEAD says whether there is anything, and where: redirects are followed by
 * hand and written down.  Then the same way is gone with GET, since addresses that are good for one
 * method may not be for another (signed ones).  Statuses and texts are those that clients of the
 * protocol know; 5xx tells them to try again.
 *
 * Which host is meant is read by the library that connects to it (http_url_split), so that there
 * are no two opinions about an address.
 */
#include "fcgi/symbols/upload_url.h"

#include <time.h>
#include <unistd.h>

#include "fcgi/symbols/upload.h"
#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/proc.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/http/http.h"
#include "lib/symfile/symbytes.h"
#include "lib/web/web.h"

/*
 * Numbers of the protocol (Tecken), but for the whole time: the official client waits 600 s for an
 * answer, and the archive has to be stored in it, too.
 */
enum {
    REDIRECTS_MAX = 5,
    RETRIES = 5,
    FIRST_PAUSE_MS = 200, /* doubled each time */
    CONNECT_MS = 5000,
    HEAD_MS = 30 * 1000,
    SILENCE_S = 300,
    FETCH_MS = 480 * 1000,
    NAME_MAX_BYTES = 255,
};

/* host is one of a list with commas. */
static bool is_listed(const char *host, const char *list)
{
    struct str rest = str_of(list), one;
    while (str_split(&rest, ',', &one))
        if (str_eq_nocase(str_trim(one), str_of(host)))
            return true;
    return false;
}

static bool check_address(const struct conf *conf, const char *url, struct http_url *ret,
                          struct err *err)
{
    struct http_url parts;
    if (!http_url_split(url, &parts, ERR_IGNORED) || parts.has_user)
        return err_set(err, ERR_INVALID, "Enter a valid URL.");
    bool any = conf_bool(conf, CONF_ALLOW_UPLOAD_BY_ANY_DOMAIN);
    if (!any && strcmp(parts.scheme, "https") != 0)
        return err_set(err, ERR_INVALID, "Insecure URL");
    if (!any && !is_listed(parts.host, conf_text(conf, CONF_ALLOW_UPLOAD_BY_DOWNLOAD_DOMAINS)))
        return err_set(err, ERR_INVALID, "Not an allowed domain ('%s') to download from.",
                       parts.host);
    if (strcmp(parts.scheme, "https") != 0 && strcmp(parts.scheme, "http") != 0)
        return err_set(err, ERR_INVALID, "Enter a valid URL.");
    *ret = parts;
    return true;
}

bool upload_url_check(struct req *req, struct upload_body *b, struct err *err)
{
    struct http_url parts;
    struct arena *a = req_arena(req);
    if (!check_address(req_conf(req), str_adup(a, b->url), &parts, err))
        return false;
    struct str path = str_of(parts.path);
    struct str name = str_sub(path, str_rfind_char(path, '/') + 1, SIZE_MAX);
    name = utf8_clean(a, str_copy(a, name));
    b->archive_name = str_sub(name, 0, utf8_prefix_bytes(name, NAME_MAX_BYTES));
    return true;
}

/* One way from the address to an answer that is no redirect. */
struct errand {
    struct req *req;
    const char *method;
    const char *first, *url; /* of the client, and where the redirects have led */
    int timeout_ms;
    int save_fd;         /* with GET */
    struct strs *passed; /* addresses of redirects; NULL: not wanted */
};

static bool explain_failure(const struct errand *e, struct err *err)
{
    if (err->code == ERR_FORBIDDEN)
        return err_set(err, ERR_INVALID,
                       "Not an allowed address to download from: %s leads into a reserved network.",
                       e->url);
    if (err->code == ERR_UNAVAILABLE && e->save_fd > 0)
        return err_set(err, ERR_UNAVAILABLE, "ConnectionError while downloading %s", e->url);
    if (err->code == ERR_UNAVAILABLE)
        return err_set(err, ERR_UNAVAILABLE, "ConnectionError trying to open %s", e->url);
    return false;
}

/*
 * One request and no redirect followed: each address is looked at by check_address before anybody
 * connects to it. Reserved addresses are out of reach unless the configuration says otherwise,
 * since a name of a stranger may lead into our own network.
 */
static bool ask_once(const struct errand *e, struct http_response *ret, struct err *err)
{
    const struct conf *conf = req_conf(e->req);
    const char *ca_file = conf_text(conf, CONF_OUTGOING_CA_FILE);
    const struct http_request q = {
        .method = e->method,
        .url = e->url,
        .is_redirect_answer = true,
        .may_reach_reserved = conf_bool(conf, CONF_ALLOW_UPLOAD_BY_RESERVED_ADDRESSES),
        .proxy = conf_text(conf, CONF_OUTGOING_PROXY),
        .ca_file = *ca_file ? ca_file : NULL,
        .connect_timeout_ms = CONNECT_MS,
        .first_byte_timeout_ms = MIN(SILENCE_S * 1000, e->timeout_ms),
        .timeout_ms = e->timeout_ms,
        .stall_s = SILENCE_S,
        .max_bytes = (uint64_t)conf_int(conf, CONF_SYMBOLS_UPLOAD_MAX_BYTES),
        .save_fd = e->save_fd,
    };
    return http_do(&q, ret, err) || explain_failure(e, err);
}

/* Again after 429 and 500, which pass. */
static bool ask_with_retries(const struct errand *e, struct http_response *ret, struct err *err)
{
    for (int retry = 0;; retry++) {
        struct http_response r = {0};
        if (!ask_once(e, &r, err))
            return false;
        if (r.status != 429 && r.status != 500) {
            *ret = r;
            return true;
        }
        http_response_release(&r);
        if (retry == RETRIES || proc_stopping())
            return err_set(err, ERR_UNAVAILABLE, "RetryError trying to open %s", e->url);
        proc_wait(NULL, 0, FIRST_PAUSE_MS << retry);
    }
}

/* The answer at the end of at most REDIRECTS_MAX redirects, each to where uploads may come from. */
static bool follow(struct errand *e, struct http_response *ret, struct err *err)
{
    struct arena *a = req_arena(e->req);
    e->url = e->first;
    for (int redirects = 0;; redirects++) {
        struct http_response r = {0};
        struct http_url parts;
        if (!ask_with_retries(e, &r, err))
            return false;
        if (r.status / 100 != 3 || !*r.location) {
            *ret = r;
            return true;
        }
        e->url = arena_strdup(a, r.location);
        http_response_release(&r);
        if (redirects == REDIRECTS_MAX)
            return err_set(err, ERR_INVALID, "Too many redirects trying to open %s", e->first);
        if (e->passed)
            e->passed->v[e->passed->n++] = str_of(e->url);
        if (!check_address(req_conf(e->req), e->url, &parts, err))
            return false;
    }
}

static bool ask_for_size(struct errand *e, struct err *err)
{
    struct http_response r = {0};
    if (!follow(e, &r, err))
        return false;
    int64_t most = conf_int(req_conf(e->req), CONF_SYMBOLS_UPLOAD_MAX_BYTES);
    int status = r.status;
    bool is_too_large = status == 200 && r.content_length > most;
    http_response_release(&r);
    if (status >= 500)
        return err_set(err, ERR_UNAVAILABLE, "%s errored (%d)", e->url, status);
    if (status >= 400)
        return err_set(err, ERR_INVALID, "%s can't be found (%d)", e->url, status);
    return !is_too_large || upload_too_large(req_arena(e->req), (uint64_t)most, err);
}

static bool fetch_archive(struct errand *e, struct upload_body *b, struct err *err)
{
    struct http_response r = {0};
    if (!follow(e, &r, err))
        return false;
    b->size = r.n;
    int status = r.status;
    http_response_release(&r);
    return status == 200 ||
           err_set(err, ERR_INVALID, "non-200 status code when retrieving %s", e->first);
}

/*
 * GET begins at the first address again and does not write its way down a second time.
 */
bool upload_url_fetch(struct req *req, const char *temp_dir, struct upload_body *b, struct err *err)
{
    struct arena *a = req_arena(req);
    b->redirects.v = arena_array(a, REDIRECTS_MAX + 1, sizeof(struct str));
    struct errand head = {.req = req,
                          .method = "HEAD",
                          .first = str_adup(a, b->url),
                          .timeout_ms = HEAD_MS,
                          .passed = &b->redirects};
    if (!ask_for_size(&head, err) || !symbytes_temp(temp_dir, &b->fd, err))
        return false;
    struct errand get = {.req = req, .first = head.first, .timeout_ms = FETCH_MS, .save_fd = b->fd};
    int64_t start_ms = mono_ms();
    bool ok = fetch_archive(&get, b, err);
    upload_count_ms(req, METRIC_UPLOAD_FETCH, start_ms);
    if (!ok)
        return false;
    b->has_file = true;
    log_event(LOG_INFO, "symbols_fetched", "fetched an archive of symbols by its address",
              LOG_S("request_id", req_id(req)), LOG_I("bytes", (int64_t)b->size),
              LOG_I("redirects", (int64_t)b->redirects.n));
    return true;
}
