#ifndef SEARCH_COLUMNS_WRITE_H
#define SEARCH_COLUMNS_WRITE_H

#include "lib/search/columns/root.h"
#include "lib/search/doc.h"

/*
 * write - appending rows.  All functions are called below the lock.
 *
 * A row is written column by column above the published row count, then committed
 * together with the tombstone of the row that it replaces.
 */
/* only_if_absent: nothing is changed when the crash is there already. */
bool write_put(struct root *r, const struct doc *doc, bool only_if_absent, bool *ret_was_there,
               struct err *err);
bool write_delete(struct root *r, struct str uuid, bool *ret_was_there, struct err *err);

/*
 * Appends the document as row `rows` of p, which is not visible yet; makes room for it and for
 * its entry in _row-of.
 */
bool write_append(struct part *p, uint64_t rows, const struct doc *doc, uint32_t *ret_uuid_code,
                  uint64_t *ret_row, struct err *err);
/* Marks a row as deleted by commit `sequence`. */
void write_bury(struct part *p, uint64_t row, uint64_t sequence);

/* The live row of a crash: *ret_part NULL if there is none. */
bool write_find(struct root *r, struct str uuid, struct part **ret_part, uint64_t *ret_row,
                uint32_t *ret_code, struct err *err);

uint64_t part_current_rows(const struct root *r, const struct part *p);
void part_publish(struct part *p, uint64_t sequence, uint64_t rows);
int32_t week_of(int64_t date_us);

#endif
