#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * http - client requests over libcurl: limits on time, size and redirects always on.
 *
 * Ownership  The response owns its body until http_response_release.
 * Errors     ERR_UNAVAILABLE: no answer in time.  ERR_TOO_LARGE: the body.  ERR_INVALID: no http
 *            or https address, or a header with a line break.  ERR_IO: a file that cannot be sent.
 *            A status of 4xx or 5xx is an answer.
 * Redirects  Followed at most 5 times, to http and https only, and only for requests without
 *            a body.
 * Trust      Any answer is limited in bytes and time; compressed ones after inflating.
 */
struct http_part {
    const char *name;
    const char *filename;     /* NULL: a field */
    const char *content_type; /* NULL: none */
    struct str value;         /* or, when path is set, the file */
    const char *path;
};

struct http_request {
    const char *method;         /* NULL: GET, or POST when there is a body or are parts */
    const char *url;            /* http or https */
    const char *const *headers; /* "Name: value", NULL-ended, or NULL */
    const struct http_part *parts;
    size_t part_count;
    struct str body;
    int connect_timeout_ms, timeout_ms; /* 0: 5 s and 120 s */
    size_t max_bytes;                   /* of the response body; 0: 64 MiB */
};

struct http_response {
    int status;
    char *body; /* owned, terminated */
    size_t n;
    char content_type[128];
    char effective_url[1024];
};

bool http_do(const struct http_request *q, struct http_response *ret, struct err *err);
void http_response_release(struct http_response *r);

#endif
