#ifndef SEARCH_COLUMNS_KEEP_H
#define SEARCH_COLUMNS_KEEP_H

#include "lib/search/columns/root.h"
#include "lib/search/columns/sums.h"

/*
 * keep - housekeeping of an index.  Each opens it by itself and takes the lock as briefly as
 * it can; readers and writers go on.
 */

/*
 * Makes everything put so far survive a crash of the machine.  ledger_seq: number up to which the
 * crashes of the ledger are in the index, remembered with it; < 0: not known.
 */
bool keep_sync(struct root *r, int64_t ledger_seq, struct err *err);
/*
 * A look at every partition that takes milliseconds: heads, and whether each file is there, long
 * enough and the same as before.  What is not goes aside.  Partitions that nobody has written to
 * since their last sync, `rest_ms` ago or more, get sums of all their bytes.
 */
bool keep_look(struct root *r, int64_t rest_ms, struct err *err);

/*
 * Writes the common numbers of fields to files for processes that start (numbering.h), where a
 * field has codes_min codes or more and its file is missing or no longer good.  pace is asked after
 * each file and may leave the rest to another time.  While another process is at it, nothing.
 */
bool keep_number(const char *dir, const struct field_table *fields, uint64_t codes_min,
                 const struct index_pace *pace, size_t *ret_written, struct err *err);

/* One compaction at a time; a second one waits for the first. */
bool keep_compact(const char *dir, const struct field_table *fields, struct err *err);
/*
 * Packs the weeks whose last day was over at closed_us and of which more than a little is not
 * packed yet; pace as in keep_scrub.  ERR_CONFLICT if a compaction has not ended within wait_ms.
 */
bool keep_pack(struct root *r, int64_t closed_us, int64_t wait_ms, const struct index_pace *pace,
               size_t *ret_packed, struct err *err);
bool keep_expire(const char *dir, const struct field_table *fields, int64_t cutoff_us,
                 size_t *ret_dropped, struct err *err);
/* Empties the index; until it has been filled again all weeks count as missing. */
bool keep_reset(const char *dir, const struct field_table *fields, struct err *err);

/*
 * Reads every byte.  Right under any load: what looks wrong is looked at again under the lock
 * before it is called damage.
 */
bool keep_verify(const char *dir, const struct field_table *fields,
                 void (*report)(void *arg, const char *line), void *arg, struct err *err);
/* As keep_verify; damaged partitions go aside.  pace may slow it down or stop it. */
bool keep_scrub(struct root *r, const struct index_pace *pace, size_t *ret_damaged,
                struct err *err);

/*
 * Claims: flock on DIR/file, whose text says who holds it.  *ret_fd is closed by the caller.
 * ERR_CONFLICT, naming the holder, when it was not free within wait_ms.  what NULL: no text.
 */
bool keep_claim(const char *dir, const char *file, const char *what, int64_t wait_ms, int *ret_fd,
                struct err *err);
/* Who holds it; false: nobody. */
bool keep_claim_holder(const char *dir, const char *file, char *out, size_t size);
#define CLAIM_COMPACTION "maintenance"
#define CLAIM_FILLING    "fill-lock"
#define CLAIM_NUMBERING  "numbering-lock"

#endif
