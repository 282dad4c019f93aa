#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * http - client requests over libcurl: limits on time, size and redirects always on.
 *
 * Ownership  The response owns its body until http_response_release.
 * Errors     ERR_UNAVAILABLE: no answer in time, or one that stopped.  ERR_TOO_LARGE: the body.
 *            ERR_INVALID: no http or https address, or a header with a line break.
 *            ERR_FORBIDDEN: the host has a reserved address (http/reserved.h) and no other that
 *            answers.
 *            ERR_IO: a file that cannot be sent or written.
 *            A status of 3xx (is_redirect_answer), 4xx or 5xx is an answer.
 * Redirects  Followed at most 5 times, to http and https only, and only for requests without
 *            a body.
 * Trust      Any answer is limited in bytes and time; compressed ones after inflating.  A request
 *            goes to the public Internet only, wherever names and redirects point, unless
 *            may_reach_reserved says that who chose the address may choose any.
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

    bool may_reach_reserved;
    bool is_redirect_answer; /* redirects are not followed; see http_response.location */
    const char *proxy;       /* address of a proxy, "" for none; NULL: what the environment says,
                                and none unless may_reach_reserved.  A proxy may be anywhere; where
                                it connects to is its own rule */
    const char *ca_file;     /* certificates to trust in place of the system's, or NULL */

    int connect_timeout_ms, timeout_ms; /* 0: 5 s and 120 s */
    int first_byte_timeout_ms;          /* from the start to the status line, to the next second;
                                           0: none but timeout_ms */
    int stall_bytes_per_s, stall_s;     /* slower for so long: ERR_UNAVAILABLE; 0: 1 byte, 60 s */

    uint64_t max_bytes;  /* of the response body; 0: 64 MiB */
    int save_fd;         /* above 0: the body of a 2xx is written there, that of any other status
                            is dropped.  After an error a part of the body may be in it */
    bool keeps_encoding; /* the body stays as it was sent (http_response.content_encoding), and no
                            encoding is asked for but by a header of the caller */
};

struct http_response {
    int status;
    char *body;             /* owned, terminated; empty with save_fd */
    uint64_t n;             /* bytes of the body, also with save_fd */
    int64_t content_length; /* as declared, also to HEAD; -1: not */
    int retry_after_s;      /* -1: not said */
    char content_type[128];
    char content_encoding[32]; /* "" for none */
    char effective_url[1024];
    char location[2048]; /* absolute; "" for none.  A longer one is an answer of ERR_TOO_LARGE */
};

/* The parts of an absolute address, as http_do understands it.  ERR_INVALID: it is none. */
struct http_url {
    char scheme[16]; /* lower case; any scheme */
    char host[256];  /* lower case, without port; IPv6 in brackets */
    char path[2048]; /* decoded */
    bool has_user;   /* a name or password stands in front of the host */
};
bool http_url_split(const char *url, struct http_url *ret, struct err *err);

bool http_do(const struct http_request *q, struct http_response *ret, struct err *err);
void http_response_release(struct http_response *r);

/* The outcome of requests[index]: an answer, which stays the caller's of done, or NULL and an
 * err. */
typedef void http_done(void *arg, size_t index, struct http_response *answer,
                       const struct err *err);
/*
 * Many requests, so many at once, over connections that are kept between them; done is called for
 * each as it ends, in any order.  It may take the body (TAKE(answer->body)).  False: nothing can be
 * asked (ERR_INTERNAL), and done was not called for all.
 */
bool http_do_all(const struct http_request *requests, size_t count, size_t at_once, http_done *done,
                 void *arg, struct err *err);

#endif
