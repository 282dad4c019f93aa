#ifndef SEARCH_COLUMNS_NUMBERING_H
#define SEARCH_COLUMNS_NUMBERING_H

#include "lib/base/err.h"
#include "lib/base/map.h"
#include "lib/search/columns/mfile.h"

/*
 * numbering - the file of a field's common numbers over all partitions: DIR/numbering/FIELD.
 *
 * A process that has just started would number every value of every week before its first facet,
 * which takes a second for ten million reports.  The file spares it that: it holds, for each
 * partition, the id of each code, and where the text of each id is.  The index keeper writes it
 * (keep_number), unify.h reads it.
 *
 * Ownership  numbering_close gives the mapping back; a zeroed struct is closed.
 * Errors     ERR_NOT_FOUND: there is none.  ERR_DAMAGED: it is not what was written.
 * Trust      After numbering_check every index in it lies inside of what it is an index of, but
 *            codes: those the caller compares with the dictionaries.
 * Threads    Immutable once opened.
 */
struct numbering {
    struct mfile file;
    struct numbering_head h;
    const struct numbering_part *parts;
    const uint64_t *places;
    const uint32_t *ids; /* of all parts, one behind the other */
    struct tagmap texts; /* its array lies in the mapping: for tagmap_find alone */
};

#define NUMBERING_DIR "numbering"

/* Sizes fit; nothing else has been looked at. */
bool numbering_map(const char *dir, const char *field, struct numbering *ret, struct err *err);
/* Reads all of it. */
bool numbering_check(const struct numbering *n, struct err *err);
void numbering_close(struct numbering *n);
/* Whether it is still the one of that name; it goes when it is found to be damaged. */
bool numbering_is_in_place(const struct numbering *n, const char *dir);
/* Of all its parts together. */
uint64_t numbering_codes(const struct numbering *n);

/*
 * What the file is made of.  parts, places and texts as above; ids has an array for each part.
 */
struct numbering_plan {
    const char *field;
    uint64_t seed;
    const struct numbering_part *parts;
    size_t part_count;
    const uint64_t *places;
    size_t id_count;
    const struct tagmap *texts;
    const uint32_t *const *ids;
};
/* Durable when it returns; who has the file before it mapped keeps that. */
bool numbering_write(const char *dir, const struct numbering_plan *plan, struct err *err);

/* Removes the files in DIR/numbering whose names are ones that go; what is not there is fine. */
bool numbering_remove(const char *dir, bool (*goes)(const char *name, const void *arg),
                      const void *arg, struct err *err);
/* For it: all of them, but for those that somebody writes at this moment. */
bool numbering_is_written(const char *name, const void *unused);

#endif
