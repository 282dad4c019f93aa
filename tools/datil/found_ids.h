#ifndef DATIL_FOUND_IDS_H
#define DATIL_FOUND_IDS_H

#include "lib/base/vec.h"
#include "lib/crash/crash_id.h"
#include "tools/datil/app.h"

/*
 * found_ids - lists of crashes that a command is given by a search or as a file.
 *
 * Ownership  The caller releases the vector, also after a failure.
 */
struct found_crash {
    char id[CRASH_ID_SIZE];
};
struct found_ids {
    VEC(struct found_crash) list;
};
enum { FOUND_IDS_MAX = 10000000 }; /* 370 MB; one command has no need to queue more */

/* ERR_TOO_LARGE: there are FOUND_IDS_MAX already. */
bool found_add(struct found_ids *ids, const struct found_crash *crash, struct err *err);

/*
 * The crashes that a search finds, oldest first, at most `most`; `page` of them are read at a time
 * (1 to QUERY_HITS_MAX).  `text` is what stands behind the question mark of a search page.
 */
bool found_by_search(struct app *app, const char *text, int64_t page, size_t most,
                     struct found_ids *ids, struct err *err);

/* One id a line, "#" begins a comment, empty lines count for nothing; "-" is standard input. */
bool found_in_file(const char *path, struct found_ids *ids, struct err *err);

#endif
