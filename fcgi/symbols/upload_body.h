#ifndef SYMBOLS_UPLOAD_BODY_H
#define SYMBOLS_UPLOAD_BODY_H

#include "lib/web/web.h"

/*
 * upload_body - what a client sent to /upload/ or a browser from the form of the page: the
 * first file of a form goes to a temporary file as it arrives; the fields `try` and `url` are kept.
 *
 * Ownership  upload_body_release closes the file, which ends it; texts live in the arena.
 * Errors     ERR_TOO_LARGE: more bytes than allowed.  ERR_INVALID: a broken body.  ERR_FORBIDDEN:
 * with wants_csrf, the form does not show `csrf_token` before its file.
 */
struct upload_body {
    bool has_file;
    struct str archive_name; /* field name of the file, or its filename if that has no dot */
    int fd;                  /* of the file, nameless in temp_dir; -1: none */
    char path[32];           /* to open it again, as long as fd is open */
    uint64_t size;
    struct str try_field;  /* p NULL: absent */
    struct str url;        /* empty: none */
    struct str csrf_token; /* empty: none */
    struct strs redirects; /* of url, in the order they were followed */
};

struct upload_body_terms {
    const char *temp_dir;
    uint64_t max_bytes;
    bool wants_csrf; /* a session sends it, which a page of strangers could use (req_check_csrf) */
};
bool upload_body_read(struct req *req, const struct upload_body_terms *terms,
                      struct upload_body *ret, struct err *err);
void upload_body_release(struct upload_body *b);

/* ERR_TOO_LARGE, in words for who sent it. */
bool upload_too_large(struct arena *a, uint64_t max_bytes, struct err *err);

#endif
