#ifndef CRASH_BUILDS_H
#define CRASH_BUILDS_H

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/db/db.h"

/*
 * builds - which version a build of a product is: rows of the table product_version, collected and
 * added together.  Crashes of a beta say "63.0" and a build id; by these rows they are crashes of
 * 63.0b4.
 *
 * Ownership  Everything lies in the arena; texts that are read are borrowed from what was given.
 * Errors     ERR_INVALID says where (a line of CSV, an entry of JSON); then nothing is to be put.
 * Trust      What is read may be a stranger's: lengths, UTF-8 and the number of rows are limited.
 */
enum build_field {
    BUILD_PRODUCT,
    BUILD_CHANNEL,
    BUILD_MAJOR,
    BUILD_RELEASE,
    BUILD_VERSION,
    BUILD_ID,
    BUILD_URL,
    BUILD_FIELDS
};
extern const char *const build_field_names[BUILD_FIELDS];

enum {
    BUILD_ID_BYTES_MAX = 50,    /* as the column says */
    BUILD_TEXT_BYTES_MAX = 200, /* chosen: names of products and channels have a few dozen */
    BUILD_URL_BYTES_MAX = 1000, /* chosen: addresses of archives have a hundred or two */
};

struct builds {
    struct arena *arena;
    size_t max; /* rows */
    struct strs columns[BUILD_FIELDS];
};

void builds_init(struct builds *b, struct arena *a, size_t max);
/* One row, the number of which is said in an error ("line 3"). */
bool builds_add(struct builds *b, const struct str fields[BUILD_FIELDS], const char *what,
                size_t number, struct err *err);
/* The columns in the order above, with or without their names in the first line. */
bool builds_read_csv(struct builds *b, struct str text, struct err *err);
/* An object with the names above as keys, or a list of them.  Without major_version it is the
 * number in front of release_version. */
bool builds_read_json(struct builds *b, struct str text, struct err *err);
/* One statement: all rows are there then, or none.  *ret_added: those that were not there before.
 */
bool builds_put(const struct builds *b, struct db *db, int64_t *ret_added, struct err *err);

/* "63.0.1" -> 63 */
bool build_major(struct str version, uint64_t *ret);

#endif
