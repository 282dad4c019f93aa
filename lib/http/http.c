/*
 * One request to another server, with a limit on everything it could take: time to connect, time
 * in all, silence, redirects and bytes of the answer.  Only http and https, also behind a
 * redirect, and a body is never sent again to where a redirect points.
 */
#include "lib/http/http.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>

#include "lib/base/util.h"

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

struct body_sink {
    struct strbuf body;
};

/* libcurl stops the transfer when less is taken than was offered. */
static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct body_sink *sink = arg;
    sb_put(&sink->body, p, size * n);
    return sink->body.overflow ? 0 : size * n;
}

static void set_limits(CURL *c, const struct http_request *q, struct body_sink *sink)
{
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)(q->connect_timeout_ms ? q->connect_timeout_ms : CONNECT_TIMEOUT_MS));
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)(q->timeout_ms ? q->timeout_ms : TIMEOUT_MS));
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, (long)STALL_BYTES_PER_S);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)STALL_S);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "datil/" DATIL_VERSION);
    curl_easy_setopt(c, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, sink);
}

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
    } else {
        /* Only requests without a body may be sent again elsewhere. */
        curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    }
    return true;
}

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
static bool transfer(CURL *c, const struct http_request *q, struct body_sink *sink, struct err *err)
{
    char why[CURL_ERROR_SIZE] = "";
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, why);
    CURLcode code = curl_easy_perform(c);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, NULL);
    if (sink->body.overflow)
        return err_set(err, ERR_TOO_LARGE, "%s: the answer has more than %zu bytes", q->url,
                       sink->body.max);
    if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL)
        return err_set(err, ERR_INVALID, "%s: no http or https address", q->url);
    if (code != CURLE_OK)
        return err_set(err, ERR_UNAVAILABLE, "%s: %s", q->url,
                       *why ? why : curl_easy_strerror(code));
    return true;
}

static void read_answer(CURL *c, struct body_sink *sink, struct http_response *ret)
{
    long status = 0;
    const char *type = NULL, *url = NULL;
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(c, CURLINFO_CONTENT_TYPE, &type);
    curl_easy_getinfo(c, CURLINFO_EFFECTIVE_URL, &url);
    *ret = (struct http_response){.status = (int)status};
    snprintf(ret->content_type, sizeof ret->content_type, "%s", type ? type : "");
    snprintf(ret->effective_url, sizeof ret->effective_url, "%s", url ? url : "");
    ret->body = sb_take(&sink->body, &ret->n);
}

bool http_do(const struct http_request *q, struct http_response *ret, struct err *err)
{
    CURL *c = curl_easy_init();
    if (!c)
        return err_set(err, ERR_INTERNAL, "cannot start libcurl");
    struct body_sink sink;
    curl_mime *mime = NULL;
    struct curl_slist *headers = NULL;
    sb_init(&sink.body, q->max_bytes ? q->max_bytes : BODY_MAX);
    set_limits(c, q, &sink);
    curl_easy_setopt(c, CURLOPT_URL, q->url);
    bool ok = set_headers(c, q, &headers, err) && set_body(c, q, &mime, err);
    set_method(c, q->method);
    ok = ok && transfer(c, q, &sink, err);
    if (ok)
        read_answer(c, &sink, ret);
    sb_release(&sink.body);
    curl_easy_cleanup(c);
    curl_mime_free(mime);
    curl_slist_free_all(headers);
    return ok;
}

void http_response_release(struct http_response *r)
{
    free(r->body);
    *r = (struct http_response){0};
}
