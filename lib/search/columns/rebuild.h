#ifndef SEARCH_COLUMNS_REBUILD_H
#define SEARCH_COLUMNS_REBUILD_H

#include "lib/search/columns/root.h"
#include "lib/search/index.h"

/*
 * rebuild - weeks made anew beside the index and put in its place at once; see index.h for what it
 * promises.
 *
 * rebuild_open holds the claims of fillings and of compactions until rebuild_close.
 */
#define REBUILD_FOLDER "rebuild"

struct rebuilding;
bool rebuild_open(const char *dir, const struct field_table *fields, int64_t from_us, int64_t to_us,
                  const char *what, int64_t wait_ms, struct rebuilding **ret, struct err *err);
const char *rebuild_dir(const struct rebuilding *b);
bool rebuild_noted(struct rebuilding *b, int64_t *ret, struct err *err);
bool rebuild_note(struct rebuilding *b, int64_t number, struct err *err);
bool rebuild_finish(struct rebuilding *b, const struct index_source *source, size_t *ret_weeks,
                    struct err *err);
void rebuild_close(struct rebuilding *b);

#endif
