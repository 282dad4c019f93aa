#ifndef DATIL_RESUBMIT_BODY_H
#define DATIL_RESUBMIT_BODY_H

#include "lib/store/store.h"

/*
 * resubmit_body - a stored report as the request that brought it: the form of its annotations and
 * files, compressed if it was, with the User-Agent of its client and its crash id.
 *
 * Ownership  resubmit_body_release frees it.
 * Errors     ERR_NOT_FOUND: there is no such report, or a file of it is gone.  ERR_TOO_LARGE.
 */
struct resubmit_body {
    char *bytes; /* owned */
    size_t n;
    bool is_gzip;
    char content_type[100]; /* "Content-Type: …", a whole line as the next */
    char user_agent[300];
};

bool resubmit_body_make(struct store *store, const char *crash_id, struct resubmit_body *ret,
                        struct err *err);
void resubmit_body_release(struct resubmit_body *b);

#endif
