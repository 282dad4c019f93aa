#ifndef SYMBOLS_UPLOAD_H
#define SYMBOLS_UPLOAD_H

#include "fcgi/symbols/symbol_server.h"
#include "lib/base/conf.h"
#include "lib/base/metrics.h"
#include "lib/base/str.h"
#include "lib/symfile/symstore.h"
#include "lib/web/web.h"

/*
 * upload - what all ways to upload symbols share: who may, where to, how many at once, and what is
 * said about files that were stored.
 */

/* A token with one of the two permissions.  ERR_FORBIDDEN. */
bool upload_check_user(struct req *req, struct err *err);

/* Where files go when nothing is said about it: to the try area for who may not do otherwise. */
enum symstore_area upload_default_area(struct req *req);

/*
 * Waits for one of the places that uploads have among the workers, on behalf of `asker` ("token
 * 7"). The request keeps it to its end.  ERR_BUSY: none within 30 s (429 with Retry-After).
 */
bool upload_take_place(struct req *req, const char *asker, struct err *err);

/* The first 30 digits of the MD5 of "name:size" lines, sorted by name: finds repeated uploads. */
struct upload_entry {
    const char *name;
    uint64_t size;
};
const char *upload_content_hash(struct arena *a, struct upload_entry *entries, size_t n);

/* Milliseconds since start_ms. */
void upload_count_ms(struct req *req, enum metric id, int64_t start_ms);

/*
 * What was spent in the store since the last call, and what became of a file.  done NULL: it was
 * left out.
 */
void upload_count_steps(struct req *req);
void upload_count_file(struct req *req, const struct symstore_new *done);

/* With CHECK_SYMBOL_CONTENT, what FILE records may not contain; else empty. */
struct str upload_forbidden(const struct conf *conf);

/* What is odd about a file that was stored all the same, or NULL. */
const char *upload_oddity(const struct symstore_new *done);

#endif
