/*
 * One request to another server, with a limit on everything it could take: time to connect, time
 * to the first byte, time in all, silence, redirects and bytes of the answer.  Only http and https,
 * also behind a redirect, and a body is never sent again to where a redirect points.
 *
 * Whether an address may be reached is decided when the socket is made, on the resolved address:
 * a check of the name before would ask the resolver a second time, and could get another answer.
 */
#include "lib/http/http.h"

#include <curl/curl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "lib/base/fs.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/http/reserved.h"

/*
 * Defaults; a caller may set its own for one request. 5 s are two lost SYN packets, 120 s an upload
 * of some hundred MiB over a slow line; five redirects are what load balancers and code hosts need;
 * 64 MiB hold every answer that a program of ours parses.
 */
enum {
    CONNECT_TIMEOUT_MS = 5000,
    TIMEOUT_MS = 120000,
    REDIRECTS_MAX = 5,
    BODY_MAX = 64 << 20,
    STALL_BYTES_PER_S = 1, /* a peer that sends less for STALL_S seconds is gone */
    STALL_S = 60,
};

/* One request on its way, and what its callbacks know. */
struct transfer {
    const struct http_request *q;
    CURL *curl; /* owned, as are the next two */
    struct curl_slist *headers;
    curl_mime *mime;
    char why[CURL_ERROR_SIZE];
    struct strbuf body;
    uint64_t max, n; /* bytes of the body: at most, so far */
    int64_t start_ms;
    bool is_too_large, is_refused, is_late;
    struct err write_err;
};

/* libcurl stops the transfer when less is taken than was offered. */
static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    size_t bytes = size * n;
    if (bytes > t->max - t->n) {
        t->is_too_large = true;
        return 0;
    }
    t->n += bytes;
    if (t->q->save_fd <= 0) {
        sb_put(&t->body, p, bytes);
        return bytes;
    }
    long status = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status / 100 != 2)
        return bytes;
    return fs_write_all(t->q->save_fd, p, bytes, "the answer", &t->write_err) ? bytes : 0;
}

/* Called about once a second, so that a peer that accepts and never answers is left in time. */
static int on_progress(void *arg, curl_off_t down_max, curl_off_t down, curl_off_t up_max,
                       curl_off_t up)
{
    struct transfer *t = arg;
    (void)down_max, (void)up_max, (void)up;
    curl_off_t first_byte_us = 0;
    curl_easy_getinfo(t->curl, CURLINFO_STARTTRANSFER_TIME_T, &first_byte_us);
    t->is_late =
        first_byte_us == 0 && down == 0 && mono_ms() - t->start_ms > t->q->first_byte_timeout_ms;
    return t->is_late;
}

/* A socket to `to`, if the request may go there.  libcurl tries the next address after a BAD. */
static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
    struct transfer *t = arg;
    (void)purpose;
    if (http_is_reserved_address(&to->addr)) {
        t->is_refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

/* 0, as a field that the caller did not name, stands for the default. */
static long or_default(int value, int fallback)
{
    return value ? value : fallback;
}

/* Nothing is left to libcurl's own defaults, most of which mean "for ever". */
static void set_limits(CURL *c, const struct http_request *q, struct transfer *t)
{
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS,
                     or_default(q->connect_timeout_ms, CONNECT_TIMEOUT_MS));
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, or_default(q->timeout_ms, TIMEOUT_MS));
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT,
                     or_default(q->stall_bytes_per_s, STALL_BYTES_PER_S));
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, or_default(q->stall_s, STALL_S));
    if (q->first_byte_timeout_ms) {
        curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
        curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
        curl_easy_setopt(c, CURLOPT_XFERINFODATA, t);
    }
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L); /* signals are the program's (lib/base/proc.c) */
    curl_easy_setopt(c, CURLOPT_USERAGENT, "datil/" DATIL_VERSION);
    /* "": all that libcurl can undo.  on_body counts what comes out, so a bomb meets the limit. */
    if (!q->keeps_encoding)
        curl_easy_setopt(c, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
}

/* Through a proxy the socket leads to the proxy, and the check of addresses would be of that. */
static void set_route(CURL *c, const struct http_request *q, struct transfer *t)
{
    const char *proxy = q->proxy ? q->proxy : q->may_reach_reserved ? NULL : "";
    if (proxy)
        curl_easy_setopt(c, CURLOPT_PROXY, proxy);
    if (!q->may_reach_reserved && !*proxy) {
        curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, on_socket);
        curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, t);
    }
    if (q->ca_file) {
        curl_easy_setopt(c, CURLOPT_CAINFO, q->ca_file);
        curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
    }
}

/* A file that shrinks while it is sent ends the request; libcurl has promised its size. */
static size_t read_file(char *buf, size_t size, size_t n, void *file)
{
    size_t got = fread(buf, size, n, file);
    return ferror(file) ? CURL_READFUNC_ABORT : got;
}

static int seek_file(void *file, curl_off_t to, int whence)
{
    return fseeko(file, to, whence) == 0 ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

static void close_file(void *file)
{
    fclose(file);
}

/* curl_mime_filedata() would ask access() first, which knows nothing of our capabilities. */
static CURLcode add_file(curl_mimepart *part, const char *path)
{
    struct stat st;
    FILE *file = fopen(path, "rbe");
    if (!file)
        return CURLE_READ_ERROR;
    if (fstat(fileno(file), &st) != 0 || !S_ISREG(st.st_mode)) {
        fclose(file);
        return CURLE_READ_ERROR;
    }
    return curl_mime_data_cb(part, st.st_size, read_file, seek_file, close_file, file);
}

/* Parts with a path are read while they are sent. */
static bool add_part(curl_mime *mime, const struct http_part *p)
{
    curl_mimepart *part = curl_mime_addpart(mime);
    CURLcode code = part ? curl_mime_name(part, p->name) : CURLE_OUT_OF_MEMORY;
    if (!code && p->path)
        code = add_file(part, p->path);
    else if (!code)
        code = curl_mime_data(part, p->value.n ? p->value.p : "", p->value.n);
    if (!code && p->filename)
        code = curl_mime_filename(part, p->filename);
    const char *type = p->content_type ? p->content_type
                       : p->path       ? "application/octet-stream"
                                       : NULL;
    if (!code && type)
        code = curl_mime_type(part, type);
    return code == CURLE_OK;
}

/* The body has one of three forms: parts of a form, bytes, or nothing. */
static bool set_body(CURL *c, const struct http_request *q, curl_mime **ret_mime, struct err *err)
{
    if (q->part_count) {
        curl_mime *mime = curl_mime_init(c);
        *ret_mime = mime;
        for (size_t i = 0; i < q->part_count; i++)
            if (!add_part(mime, &q->parts[i]))
                return err_set(err, ERR_IO, "cannot send the part '%s'%s%s", q->parts[i].name,
                               q->parts[i].path ? " from " : "",
                               q->parts[i].path ? q->parts[i].path : "");
        curl_easy_setopt(c, CURLOPT_MIMEPOST, mime);
    } else if (q->body.p) {
        curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body.n);
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, q->body.p);
    } else if (!q->is_redirect_answer) {
        /* Only requests without a body may be sent again elsewhere. */
        curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    }
    return true;
}

/* HEAD by libcurl's own option: a mere name would leave it waiting for a body. */
static void set_method(CURL *c, const char *method)
{
    if (method && strcasecmp(method, "HEAD") == 0)
        curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
    else if (method)
        curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method);
}

/*
 * "Expect:" switches off libcurl's waiting for a 100, which many servers never send.  A line break
 * in a header would begin another one.
 */
static bool set_headers(CURL *c, const struct http_request *q, struct curl_slist **ret,
                        struct err *err)
{
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    for (size_t i = 0; q->headers && q->headers[i]; i++) {
        if (strpbrk(q->headers[i], "\r\n")) {
            curl_slist_free_all(list);
            return err_set(err, ERR_INVALID, "a header with a line break");
        }
        list = curl_slist_append(list, q->headers[i]);
    }
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, list);
    *ret = list;
    return true;
}

/*
 * Errors by whose fault they are: ours (the address), the other side's size, or that it could not
 * be reached, which may be different later.  A status of any number is an answer and no error.
 */
static bool check_outcome(struct transfer *t, CURLcode code, struct err *err)
{
    const char *url = t->q->url;
    if (t->is_too_large)
        return err_set(err, ERR_TOO_LARGE, "%s: the answer has more than %llu bytes", url,
                       (unsigned long long)t->max);
    if (t->write_err.code) {
        *err = t->write_err;
        return err_wrap(err, "%s", url);
    }
    if (t->is_late)
        return err_set(err, ERR_UNAVAILABLE, "%s: no answer within %d ms", url,
                       t->q->first_byte_timeout_ms);
    if (code == CURLE_COULDNT_CONNECT && t->is_refused)
        return err_set(err, ERR_FORBIDDEN, "%s: leads to a reserved address", url);
    if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL)
        return err_set(err, ERR_INVALID, "%s: no http or https address", url);
    if (code != CURLE_OK)
        return err_set(err, ERR_UNAVAILABLE, "%s: %s", url,
                       *t->why ? t->why : curl_easy_strerror(code));
    return true;
}

/* The last one of its name in the last answer: redirects before it have headers of their own. */
static void copy_header(CURL *c, const char *name, char *out, size_t size)
{
    struct curl_header *h;
    bool found = curl_easy_header(c, name, 0, CURLH_HEADER, -1, &h) == CURLHE_OK;
    snprintf(out, size, "%s", found ? h->value : "");
}

/*
 * An address that does not fit is an error: cut, it would be another address.  Retry-After counts
 * when the header is there, since libcurl says 0 for "at once" and for "not said".
 */
static bool read_answer(struct transfer *t, struct http_response *ret, struct err *err)
{
    CURL *c = t->curl;
    long status = 0;
    const char *type = NULL, *url = NULL, *location = NULL;
    curl_off_t length = -1, retry_after = 0;
    struct http_response r;
    char after[16];
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(c, CURLINFO_CONTENT_TYPE, &type);
    curl_easy_getinfo(c, CURLINFO_EFFECTIVE_URL, &url);
    curl_easy_getinfo(c, CURLINFO_REDIRECT_URL, &location);
    curl_easy_getinfo(c, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    curl_easy_getinfo(c, CURLINFO_RETRY_AFTER, &retry_after);
    copy_header(c, "Retry-After", after, sizeof after);
    if (location && strlen(location) >= sizeof r.location)
        return err_set(err, ERR_TOO_LARGE, "%s: redirects to an address of %zu bytes", t->q->url,
                       strlen(location));
    r = (struct http_response){.status = (int)status,
                               .n = t->n,
                               .content_length = length,
                               .retry_after_s = *after ? (int)MIN(retry_after, INT_MAX) : -1};
    snprintf(r.content_type, sizeof r.content_type, "%s", type ? type : "");
    snprintf(r.effective_url, sizeof r.effective_url, "%s", url ? url : "");
    snprintf(r.location, sizeof r.location, "%s", location ? location : "");
    copy_header(c, "Content-Encoding", r.content_encoding, sizeof r.content_encoding);
    r.body = sb_take(&t->body, &(size_t){0});
    *ret = r;
    return true;
}

/*
 * A handle for each request: what one sets cannot reach the next, and the connection ends with
 * it.  True or false, t is to be released.
 */
static bool prepare_transfer(struct transfer *t, const struct http_request *q, struct err *err)
{
    *t = (struct transfer){.q = q,
                           .curl = curl_easy_init(),
                           .max = q->max_bytes ? q->max_bytes : BODY_MAX,
                           .start_ms = mono_ms()};
    if (!t->curl)
        return err_set(err, ERR_INTERNAL, "cannot start libcurl");
    sb_init(&t->body, q->save_fd > 0 ? 0 : t->max);
    set_limits(t->curl, q, t);
    set_route(t->curl, q, t);
    curl_easy_setopt(t->curl, CURLOPT_URL, q->url);
    curl_easy_setopt(t->curl, CURLOPT_ERRORBUFFER, t->why);
    curl_easy_setopt(t->curl, CURLOPT_PRIVATE, t);
    bool ok = set_headers(t->curl, q, &t->headers, err) && set_body(t->curl, q, &t->mime, err);
    set_method(t->curl, q->method);
    return ok;
}

/* Also for one that could not be prepared: libcurl's functions take NULL. */
static void release_transfer(struct transfer *t)
{
    sb_release(&t->body);
    curl_easy_cleanup(t->curl);
    curl_mime_free(t->mime);
    curl_slist_free_all(t->headers);
    *t = (struct transfer){0};
}

bool http_do(const struct http_request *q, struct http_response *ret, struct err *err)
{
    struct transfer t;
    bool ok = prepare_transfer(&t, q, err) && check_outcome(&t, curl_easy_perform(t.curl), err) &&
              read_answer(&t, ret, err);
    release_transfer(&t);
    return ok;
}

/* Several at once: a slot for each, filled from the list as others become free. */
struct crowd {
    CURLM *multi;
    const struct http_request *requests;
    size_t count, next;
    struct transfer *slots;
    size_t slot_count, busy;
    http_done *done;
    void *arg;
};

/* The request is told by its place in the list; the slot is free afterwards. */
static void tell_outcome(struct crowd *w, struct transfer *t, bool ok, struct err *err)
{
    struct http_response answer = {0};
    ok = ok && read_answer(t, &answer, err);
    w->done(w->arg, (size_t)(t->q - w->requests), ok ? &answer : NULL, err);
    http_response_release(&answer);
    release_transfer(t);
}

/* Requests that cannot even be prepared are answered at once. */
static void fill_slots(struct crowd *w)
{
    for (size_t i = 0; i < w->slot_count && w->next < w->count; i++) {
        struct transfer *t = &w->slots[i];
        struct err err = {0};
        if (t->curl)
            continue;
        if (prepare_transfer(t, &w->requests[w->next++], &err) &&
            curl_multi_add_handle(w->multi, t->curl) == CURLM_OK)
            w->busy++;
        else
            tell_outcome(w, t, false, &err);
    }
}

/* libcurl gives a handle back with its outcome; CURLINFO_PRIVATE leads from it to the transfer. */
static void take_finished(struct crowd *w)
{
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(w->multi, &left));) {
        struct transfer *t = NULL;
        struct err err = {0};
        CURLcode code = m->data.result;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t);
        curl_multi_remove_handle(w->multi, m->easy_handle);
        w->busy--;
        tell_outcome(w, t, check_outcome(t, code, &err), &err);
    }
}

/*
 * One thread and one loop: libcurl moves every transfer as far as it goes, what has ended is told
 * and makes room, and then all wait together for the next byte of any of them.  The handles share
 * the multi handle's connections, which is what makes many small pages of one server fast.
 */
bool http_do_all(const struct http_request *requests, size_t count, size_t at_once, http_done *done,
                 void *arg, struct err *err)
{
    enum { POLL_MS = 1000 }; /* libcurl wakes up by itself for its own time-outs */
    struct crowd w = {.multi = curl_multi_init(),
                      .requests = requests,
                      .count = count,
                      .slots = xcalloc(at_once, sizeof *w.slots),
                      .slot_count = at_once,
                      .done = done,
                      .arg = arg};
    int running = 0;
    bool ok = w.multi != NULL;
    while (ok && (w.next < count || w.busy > 0)) {
        fill_slots(&w);
        ok = curl_multi_perform(w.multi, &running) == CURLM_OK;
        take_finished(&w);
        if (ok && running > 0)
            ok = curl_multi_poll(w.multi, NULL, 0, POLL_MS, NULL) == CURLM_OK;
    }
    for (size_t i = 0; i < at_once; i++)
        if (w.slots[i].curl) {
            curl_multi_remove_handle(w.multi, w.slots[i].curl);
            release_transfer(&w.slots[i]);
        }
    curl_multi_cleanup(w.multi);
    free(w.slots);
    return ok || err_set(err, ERR_INTERNAL, "libcurl cannot do several requests at once");
}

void http_response_release(struct http_response *r)
{
    free(r->body);
    *r = (struct http_response){0};
}

/* False: the part is missing, or longer than there is room. */
static bool copy_url_part(CURLU *u, CURLUPart part, unsigned flags, char *out, size_t size)
{
    char *text = NULL;
    bool ok = curl_url_get(u, part, &text, flags) == CURLUE_OK && strlen(text) < size;
    if (ok)
        snprintf(out, size, "%s", text);
    curl_free(text);
    return ok;
}

static void lower(char *s)
{
    for (; *s; s++)
        if (*s >= 'A' && *s <= 'Z')
            *s = (char)(*s - 'A' + 'a');
}

bool http_url_split(const char *url, struct http_url *ret, struct err *err)
{
    struct http_url parts = {0};
    char unused[256];
    CURLU *u = curl_url();
    bool ok = u && curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
              copy_url_part(u, CURLUPART_SCHEME, 0, parts.scheme, sizeof parts.scheme) &&
              copy_url_part(u, CURLUPART_HOST, 0, parts.host, sizeof parts.host) &&
              copy_url_part(u, CURLUPART_PATH, CURLU_URLDECODE, parts.path, sizeof parts.path);
    parts.has_user = ok && (copy_url_part(u, CURLUPART_USER, 0, unused, sizeof unused) ||
                            copy_url_part(u, CURLUPART_PASSWORD, 0, unused, sizeof unused));
    curl_url_cleanup(u);
    if (!ok || !*parts.host)
        return err_set(err, ERR_INVALID, "no absolute address");
    lower(parts.scheme);
    lower(parts.host);
    *ret = parts;
    return true;
}
