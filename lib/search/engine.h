#ifndef SEARCH_ENGINE_H
#define SEARCH_ENGINE_H

#include "lib/search/doc.h"
#include "lib/search/index.h"
#include "lib/search/query.h"

/*
 * engine - what keeps and searches documents, as a table of functions.  index.h and
 * search.h are the front; every engine must give the same answers to the same documents.
 *
 * `dir` names the index in the engine's own terms (a folder for columns/).
 *
 * run        {"hits", "total", "facets", "errors"}; ERR_INVALID with the text for users when one
 *            of the limits was crossed.
 * each       Every report that matches, one after the other; the same errors.
 * sample     Rows of values (sample.h); the same errors.
 * Others     as the functions of index.h with the same name.
 */
struct sample;
struct sample_values;
struct search_limits {
    int64_t deadline_ms; /* mono_ms() */
    size_t max_buckets;  /* of all aggregations of an answer */
    size_t max_bytes;    /* of counters, numberings and answer */
    size_t exact_values; /* that percentiles hold before they round */
    /* Whether nobody waits any more; asked every few milliseconds.  May be NULL. */
    bool (*is_abandoned)(void *asker);
    void *asker;
    size_t lanes;       /* threads that may work on it; 0 counts as 1 */
    uint64_t lane_rows; /* rows from which on more than one does */
    /* The same, asked again while it runs, of the thread that asked for the search.  May be
     * NULL. */
    size_t (*lanes_now)(void *asker);
};

struct search_engine {
    const char *name;

    bool (*writer_open)(const char *dir, const struct field_table *fields, void **ret,
                        struct err *err);
    void (*writer_close)(void *writer);
    bool (*put)(void *writer, const struct doc *doc, bool only_if_absent, bool *ret_was_there,
                struct err *err);
    bool (*delete)(void *writer, struct str crash_id, bool *ret_was_there, struct err *err);
    bool (*sync)(void *writer, int64_t ledger_seq, struct err *err);
    bool (*ledger_seq)(void *writer, int64_t *ret, bool *ret_is_rolled_back, struct err *err);
    bool (*replayed)(void *writer, struct err *err);
    bool (*look)(void *writer, int64_t rest_ms, struct err *err);
    bool (*scrub)(void *writer, const struct index_pace *pace, size_t *ret_damaged,
                  struct err *err);
    bool (*pack)(void *writer, int64_t closed_us, int64_t wait_ms, const struct index_pace *pace,
                 size_t *ret_packed, struct err *err);
    bool (*fill_begin)(void *writer, uint64_t crashes, uint64_t *ret_losses, struct err *err);
    bool (*fill_progress)(void *writer, uint64_t looked, uint64_t put, struct err *err);
    bool (*filled)(void *writer, uint64_t losses, struct err *err);

    bool (*reader_open)(const char *dir, const struct field_table *fields, void **ret,
                        struct err *err);
    void (*reader_close)(void *reader);
    bool (*has)(void *reader, struct str crash_id, bool *ret, struct err *err);
    bool (*run)(void *reader, const struct search_query *q, const struct search_limits *limits,
                json_t **ret, struct err *err);
    bool (*each)(void *reader, const struct search_query *q, const struct search_limits *limits,
                 search_each_hit *each, void *arg, size_t *ret_missing_weeks, struct err *err);
    bool (*sample)(void *reader, const struct search_query *q, const struct search_limits *limits,
                   struct sample_values *values, size_t max, struct sample *ret, struct err *err);

    bool (*verify)(const char *dir, const struct field_table *fields,
                   void (*report)(void *arg, const char *line), void *arg, struct err *err);
    bool (*compact)(const char *dir, const struct field_table *fields, struct err *err);
    bool (*expire)(const char *dir, const struct field_table *fields, int64_t cutoff_us,
                   size_t *ret_dropped, struct err *err);
    bool (*reset)(const char *dir, const struct field_table *fields, struct err *err);
    bool (*number)(const char *dir, const struct field_table *fields, uint64_t codes_min,
                   const struct index_pace *pace, size_t *ret_written, struct err *err);
    bool (*open_rebuild)(const char *dir, const struct field_table *fields, int64_t from_us,
                         int64_t to_us, const char *what, int64_t wait_ms, struct rebuilding **ret,
                         struct err *err);
    const char *(*place_of_rebuild)(const struct rebuilding *b);
    bool (*note_rebuild)(struct rebuilding *b, int64_t number, struct err *err);
    bool (*noted_of_rebuild)(struct rebuilding *b, int64_t *ret, struct err *err);
    bool (*finish_rebuild)(struct rebuilding *b, const struct index_source *source,
                           size_t *ret_weeks, struct err *err);
    void (*close_rebuild)(struct rebuilding *b);
    bool (*claim_filling)(const char *dir, const char *what, int64_t wait_ms, int *ret_fd,
                          struct err *err);
    bool (*health)(const char *dir, const struct field_table *fields, struct index_health *ret,
                   struct err *err);
};

extern const struct search_engine columns_engine;

/* Those of the context, with the defaults of search.h. */
struct search_limits search_limits_of(const struct search_context *ctx);

/* The engine of an open reader, for search_run, and the table that its searches are parsed with. */
struct index_reader {
    const struct search_engine *engine;
    const struct field_table *fields; /* borrowed */
    void *impl;
};

#endif
