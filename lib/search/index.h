#ifndef SEARCH_INDEX_H
#define SEARCH_INDEX_H

#include "base/err.h"
#include "json/json.h"

/*
 * index - the crash index behind one table of functions: put, delete, run (see
 * engine.h).  Programs that write use a writer, programs that search a reader.
 *
 * Writers    Any number of processes may hold a writer; each put takes the index's lock for
 *            the time of the append.  A put is visible to every reader when it returns.
 *            Open it after fork: processes that share one writer share its lock.
 * Readers    Lock-free; keep mappings between queries.  A search sees the state of one commit,
 *            over all partitions, however many writers are at work.
 * Errors     ERR_IO; ERR_INVALID for a document without uuid or date_processed.  A bad
 *            field is left out and named in `removed_fields`, it never fails the document.
 *            ERR_UNAVAILABLE when the index itself is damaged or of another version: nothing is
 *            wrong with what was asked, and it works again after index_reset and a rebuild.  A
 *            damaged partition alone fails nothing: a writer sets it aside, the answers of
 *            searches name it in `errors`.  Housekeeping says ERR_INVALID for damage.
 */
struct index_writer;
struct index_reader;

bool index_writer_open(const char *dir, struct index_writer **ret, struct err *err);
void index_writer_close(struct index_writer *w);
/* Adds or replaces the document of this processed crash (keyed by its uuid). */
bool index_put(struct index_writer *w, const json_t *processed_crash, struct err *err);
bool index_delete(struct index_writer *w, const char *crash_id, bool *ret_was_there,
                  struct err *err);
/* Makes everything appended so far survive a crash of the machine. */
bool index_sync(struct index_writer *w, struct err *err);

bool index_reader_open(const char *dir, struct index_reader **ret, struct err *err);
void index_reader_close(struct index_reader *r);
/* Whether the index holds exactly this crash. */
bool index_has(struct index_reader *r, const char *crash_id, bool *ret, struct err *err);

/* Housekeeping. */
bool index_verify(const char *dir, void (*report)(void *arg, const char *line), void *arg,
                  struct err *err);
bool index_compact(const char *dir, struct err *err);
/* Drops weekly partitions that end before cutoff (microseconds since 1970). */
bool index_expire(const char *dir, int64_t cutoff_us, size_t *ret_dropped, struct err *err);
/* Empties the index (rebuild). */
bool index_reset(const char *dir, struct err *err);

#endif
