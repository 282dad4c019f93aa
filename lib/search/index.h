#ifndef SEARCH_INDEX_H
#define SEARCH_INDEX_H

#include "lib/base/err.h"
#include "lib/crash/field.h"
#include "lib/json/json.h"

/*
 * index - the crash index behind one table of functions: put, delete, run (see
 * engine.h).  Programs that write use a writer, programs that search a reader.
 *
 * Fields     The field table decides what of a document is kept and which columns a partition has
 *            for this process; whatever opens an index gets it.  It outlives what was opened.
 * Writers    Any number of processes may hold a writer; each put takes the index's lock for
 *            the time of the append.  A put is visible to every reader when it returns.
 *            Open it after fork: processes that share one writer share its lock.
 * Readers    Lock-free; keep mappings between queries.  A search sees the state of one commit,
 *            over all partitions, however many writers are at work.
 * Errors     ERR_IO; ERR_INVALID for a document without uuid or date_processed.  A bad
 *            field is left out and named in `removed_fields`, it never fails the document.
 *            ERR_UNAVAILABLE when the index cannot be used now: nothing is wrong with what was
 *            asked, and nothing that the index holds is the only copy.  Housekeeping says
 *            ERR_DAMAGED for damage.
 * Damage     Heals by itself.  A writer that finds the directory or its head gone, replaced or
 * damaged opens or makes it again; a damaged partition is set aside.  What is lost is named in the
 * `errors` of searches until the index keeper of the processor has filled it from the store
 * (index_fill_begin).
 */
struct index_writer;
struct index_reader;

bool index_writer_open(const char *dir, const struct field_table *fields, struct index_writer **ret,
                       struct err *err);
/*
 * One that is opened when it is used: an index that cannot be opened fails what is done with it,
 * and is tried again a second later.  For programs that work on without an index.
 */
struct index_writer *index_writer_new(const char *dir, const struct field_table *fields);
void index_writer_close(struct index_writer *w);
/* Adds or replaces the document of this processed crash (keyed by its uuid). */
bool index_put(struct index_writer *w, const json_t *processed_crash, struct err *err);
bool index_delete(struct index_writer *w, const char *crash_id, bool *ret_was_there,
                  struct err *err);
/* Only if the crash is not there: for copies that may be older than what others put meanwhile. */
bool index_put_absent(struct index_writer *w, const json_t *processed_crash, bool *ret_was_there,
                      struct err *err);
/* Makes everything appended so far survive a crash of the machine. */
bool index_sync(struct index_writer *w, struct err *err);
/* The same, noting in the index up to which number of the ledger it holds every crash. */
bool index_sync_to(struct index_writer *w, int64_t ledger_seq, struct err *err);
/*
 * That number; -1 for an index that was made anew.  *ret_is_rolled_back: the machine failed, and
 * what came after that number is to be put again; until index_replayed says so the number stays.
 */
bool index_ledger_seq(struct index_writer *w, int64_t *ret, bool *ret_is_rolled_back,
                      struct err *err);
bool index_replayed(struct index_writer *w, struct err *err);

/* For the index keeper. */
struct index_pace { /* called for each piece that has been read; false stops the work */
    bool (*go_on)(void *arg, size_t bytes);
    void *arg;
};
/*
 * A look that takes milliseconds: is every file there, long enough, still the same one?  Partitions
 * that nobody has written to for rest_ms get sums of all their bytes.
 */
bool index_look(struct index_writer *w, int64_t rest_ms, struct err *err);
/* Reads every byte; damaged partitions are set aside. */
bool index_scrub(struct index_writer *w, const struct index_pace *pace, size_t *ret_damaged,
                 struct err *err);
/*
 * Rewrites, compressed, the weeks whose last day was over at closed_us (microseconds since 1970).
 * They are searched and written to as before.  ERR_CONFLICT names who compacts or packs when they
 * have not ended in wait_ms.  ERR_UNAVAILABLE: the pace said so; what is packed until then stays.
 */
bool index_pack(struct index_writer *w, int64_t closed_us, int64_t wait_ms,
                const struct index_pace *pace, size_t *ret_packed, struct err *err);
/*
 * Filling what was lost: *ret_losses 0, nothing is; else look at all `crashes` there should be, put
 * the absent ones, and say index_filled with that number.  To be called for a new index, too: until
 * somebody has said that there are no crashes, searches say that every week is missing.
 */
bool index_fill_begin(struct index_writer *w, uint64_t crashes, uint64_t *ret_losses,
                      struct err *err);
bool index_fill_progress(struct index_writer *w, uint64_t looked, uint64_t put, struct err *err);
bool index_filled(struct index_writer *w, uint64_t losses, struct err *err);
/*
 * Only one process fills.  ERR_CONFLICT names the one that does when it has not ended in wait_ms.
 * *ret_fd is closed to let others.
 */
bool index_claim_filling(const char *dir, const char *what, int64_t wait_ms, int *ret_fd,
                         struct err *err);

/*
 * Making weeks anew from the store while searches and writers go on with the old ones.  Documents
 * are put, by any number of processes, with a writer of index_rebuild_dir; in the end the weeks
 * take the place of the old ones, without what the store does not have any more and with
 * everything that was put meanwhile.  `from_us` to `to_us` are widened to whole weeks; other weeks
 * are left alone, also where documents of them were put.
 *
 * A rebuild that is killed leaves the index as it was.  One of the same range goes on where it was
 * noted, unless the index was compacted or the machine failed meanwhile; then it begins again.
 * Compactions, packing and fillings wait for it, and it for them, up to wait_ms (ERR_CONFLICT).
 */
struct index_source { /* where documents come from: the store */
    /* *ret NULL: it is not there (any more) or cannot be searched. */
    bool (*get)(void *arg, const char *id, json_t **ret, struct err *err);
    bool (*has)(void *arg, const char *id);
    void *arg;
};
struct rebuilding;
bool index_rebuild_open(const char *dir, const struct field_table *fields, int64_t from_us,
                        int64_t to_us, const char *what, int64_t wait_ms, struct rebuilding **ret,
                        struct err *err);
const char *index_rebuild_dir(const struct rebuilding *b);
/* Makes durable what was put, with a number of the caller's; what was noted last, or -1. */
bool index_rebuild_note(struct rebuilding *b, int64_t number, struct err *err);
bool index_rebuild_noted(struct rebuilding *b, int64_t *ret, struct err *err);
bool index_rebuild_finish(struct rebuilding *b, const struct index_source *source,
                          size_t *ret_weeks, struct err *err);
void index_rebuild_close(struct rebuilding *b);

bool index_reader_open(const char *dir, const struct field_table *fields, struct index_reader **ret,
                       struct err *err);
void index_reader_close(struct index_reader *r);
/* Whether the index holds exactly this crash. */
bool index_has(struct index_reader *r, const char *crash_id, bool *ret, struct err *err);

/* Housekeeping. */
bool index_verify(const char *dir, const struct field_table *fields,
                  void (*report)(void *arg, const char *line), void *arg, struct err *err);
bool index_compact(const char *dir, const struct field_table *fields, struct err *err);
/* Drops weekly partitions that end before cutoff (microseconds since 1970). */
bool index_expire(const char *dir, const struct field_table *fields, int64_t cutoff_us,
                  size_t *ret_dropped, struct err *err);
/* Empties the index.  It is filled again with index_fill_begin. */
bool index_reset(const char *dir, const struct field_table *fields, struct err *err);

/*
 * Leaves numbers for the texts of all weeks in files, so that the first search of a new process is
 * as quick as its others.  Only for fields whose dictionaries have codes_min entries together, and
 * only where the files are missing or old; pace may stop it after a file.
 */
bool index_number(const char *dir, const struct field_table *fields, uint64_t codes_min,
                  const struct index_pace *pace, size_t *ret_written, struct err *err);

/* How the index is, for doctors and pages. */
struct index_health {
    bool exists, is_readable;
    bool is_whole;        /* nothing waits to be filled */
    bool is_all_missing;  /* the whole index was lost; searches name every week */
    size_t weeks_missing; /* else: so many */
    char weeks[128];      /* their names, as many as fit */
    int64_t fill_began_us, fill_ended_us;
    uint64_t fill_looked, fill_total, fill_put;
    char filler[160];                       /* who fills at this moment; "": nobody */
    char compactor[160];                    /* who compacts */
    int64_t scrub_began_us, scrub_ended_us; /* 0: never */
    uint64_t scrub_damage;                  /* partitions that the last scrub set aside */
    int64_t ledger_seq;
};
/* False only when it cannot be told. */
bool index_health(const char *dir, const struct field_table *fields, struct index_health *ret,
                  struct err *err);

#endif
