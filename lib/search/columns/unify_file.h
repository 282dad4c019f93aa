#ifndef SEARCH_COLUMNS_UNIFY_FILE_H
#define SEARCH_COLUMNS_UNIFY_FILE_H

#include "lib/search/columns/unify.h"
#include "lib/search/index.h"

/*
 * unify_file - a numbering that begins with what the index keeper has left (numbering.h).
 */

/* Fields of one text per report, but for the crash id, may have such a file. */
bool unify_file_is_for(const struct field_table *fields, const struct search_field *f);

/* Whether every partition that the file names is open. */
bool unify_file_has_parts(const struct root *r, const struct numbering *n);

/*
 * Takes the file into a numbering that has no id yet.  ERR_NOT_FOUND: there is none, or it is of
 * other partitions.  ERR_DAMAGED: it is wrong, or a partition was replaced at this moment.
 */
bool unify_file_try(struct unify *u, struct err *err);
/*
 * The same for a search, which can do without; to be called before unify_add_part, again if it is
 * not known whether it has been.  False: the search must end.
 */
bool unify_file_begin(struct unify *u, struct cost *cost);

/* Whether there is none, or the one that was taken has not been removed or replaced since. */
bool unify_file_is_in_place(const struct unify *u);

/*
 * Whether the file that was taken says of every text what the dictionaries say: ERR_DAMAGED if not,
 * ERR_UNAVAILABLE when told to stop.
 */
bool unify_file_check(const struct unify *u, const struct index_pace *pace, struct err *err);

#endif
