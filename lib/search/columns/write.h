#ifndef SEARCH_COLUMNS_WRITE_H
#define SEARCH_COLUMNS_WRITE_H

#include "lib/search/columns/root.h"
#include "lib/search/doc.h"

/*
 * write - appending rows.  All functions are called under the lock.
 *
 * A row is written column by column above the published row count, then committed together with
 * the tombstone of the row that it replaces (commit.h).
 *
 * Errors     ERR_DAMAGED does not leave write_put and write_delete for a partition that can be set
 *            aside; ERR_TOO_LARGE: a partition or a dictionary is full.
 */

/* only_if_absent: nothing is changed when the crash is there already. */
bool write_put(struct root *r, const struct doc *doc, bool only_if_absent, bool *ret_was_there,
               struct err *err);
bool write_delete(struct root *r, struct str uuid, bool *ret_was_there, struct err *err);

/* The live row of a crash; part NULL: there is none. */
struct live_row {
    struct part *part;
    uint64_t row;
    uint32_t code; /* of the crash id in that partition */
};
bool write_find(struct root *r, struct str uuid, struct live_row *ret, struct err *err);

/* Both up to their commit, which is *ret; ret->head NULL: nothing is to be done. */
bool write_prepare(struct root *r, const struct doc *doc, bool only_if_absent, struct commit *ret,
                   bool *ret_was_there, struct err *err);
void write_prepare_delete(const struct root *r, const struct live_row *old, struct commit *ret);

/*
 * Appends the document as row `rows` of p, which is not visible yet; makes room for it and for
 * its entry in _row-of.
 */
bool write_append(struct part *p, uint64_t rows, const struct doc *doc, uint32_t *ret_uuid_code,
                  uint64_t *ret_row, struct err *err);

/* Rows that are committed. */
uint64_t part_current_rows(const struct root *r, const struct part *p);
/* The Monday that names the week of a date, in days since 1970. */
int32_t week_of(int64_t date_us);

#endif
