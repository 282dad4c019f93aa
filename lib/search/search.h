#ifndef SEARCH_SEARCH_H
#define SEARCH_SEARCH_H

#include "lib/crash/field.h"
#include "lib/search/index.h"

/*
 * search - Super Search from URL parameters to the JSON answer; docs/search.md tells what
 * users can ask.
 *
 *   search_clean   removes what the caller may not use
 *   search_parse   parameters -> checked, typed query tree (no engine detail)
 *   search_run     query tree -> {"hits","total","facets","errors"}
 *
 * Fields     A query is parsed against a field table and can be run by readers that were opened
 *            with the same table; search_answer takes that of its reader.
 * Ownership  A query lives in the arena given to search_parse.
 * Errors     ERR_INVALID carries the text for the user in msg; parse errors of meta
 *            parameters at form level set form_param to the parameter's name.
 * Trust      Parameters come from strangers.
 */
struct search_param {
    struct str name, value; /* decoded */
};
struct search_params {
    struct search_param *v;
    size_t n;
};

/*
 * What counts crashes leaves out those that came twice (docs/statistics.md), unless it is asked
 * about them.  A search that lists crashes has them all.
 */
extern const struct search_param search_counted_once;

/*
 * What one search may take when nobody says otherwise.  Buckets: the default of the search engine
 * that the clients were written for; each takes some 600 bytes until the answer is sent.  Bytes:
 * exact counts of 4 million pairs of values, beside an answer of 30 MB.
 */
enum { SEARCH_BUCKETS_DEFAULT = 65536, SEARCH_BYTES_DEFAULT = 256 << 20 };

/*
 * A lane more pays when it saves more than making its thread and adding its counters takes; a row
 * costs some nanoseconds, so half a million of them are milliseconds (tests/bench/search).
 */
enum { SEARCH_LANE_ROWS_DEFAULT = 500000 };

/* Different values of all buckets of one field's percentiles: 50 bytes each, as many as a count of
 * distinct values holds (columns/distinct.h). */
enum { SEARCH_EXACT_VALUES_DEFAULT = 1 << 20 };

struct search_context {
    int64_t now_us;
    enum perm reader;    /* what the caller may see */
    bool is_unredacted;  /* SuperSearchUnredacted: no clean-up */
    bool is_html;        /* pages: _columns are cleaned too */
    int64_t deadline_ms; /* mono_ms() after which the search is given up; 0: never */
    size_t max_buckets;  /* of the whole answer; 0: SEARCH_BUCKETS_DEFAULT */
    size_t max_bytes;    /* that the search may hold; 0: SEARCH_BYTES_DEFAULT */
    size_t exact_values; /* before percentiles round; 0: SEARCH_EXACT_VALUES_DEFAULT */
    /* Whether nobody waits for the answer any more: the search then ends.  NULL: never. */
    bool (*is_abandoned)(void *asker);
    void *asker;
    size_t lanes;       /* threads that may work on the search; 0 counts as 1 */
    uint64_t lane_rows; /* rows from which on more than one does; 0: SEARCH_LANE_ROWS_DEFAULT */
    /* Instead of lanes, and asked again while the search runs; in the caller's thread.  May be
     * NULL. */
    size_t (*lanes_now)(void *asker);
    const char *const *products; /* configured names, NULL-ended; NULL: do not check */
};

struct search_query; /* see query.h */

void search_clean(const struct field_table *fields, const struct search_context *ctx,
                  struct search_params *params);
/*
 * Names of the protected fields that search_clean takes out of the parameters, or search_parse out
 * of the columns, for this reader; each once.  The names live as long as the table.
 */
struct strs search_ignored(struct arena *a, const struct field_table *fields,
                           const struct search_context *ctx, struct search_params params);
/* *ret_form_param is set (borrowed) when the error belongs to one parameter at form level. */
bool search_parse(struct arena *a, const struct field_table *fields,
                  const struct search_context *ctx, struct search_params params,
                  struct search_query **ret, const char **ret_form_param, struct err *err);
bool search_run(struct index_reader *r, const struct search_context *ctx,
                const struct search_query *q, json_t **ret, struct err *err);
/*
 * Every report that matches, however many, as an object of the columns asked for; in the order of
 * arrival, in constant memory.  Filters, dates and columns of the query count, the rest of it does
 * not.  `each` borrows the hit; false from it ends the search with ERR_ABANDONED.
 * *ret_missing_weeks: weeks that could not be read, as far as is known also while hits are handed
 * on.
 */
typedef bool search_each_hit(void *arg, const json_t *hit);
bool search_each(struct index_reader *r, const struct search_context *ctx,
                 const struct search_query *q, search_each_hit *each, void *arg,
                 size_t *ret_missing_weeks, struct err *err);
/* `_return_query`: the compiled query. */
bool search_wants_query(const struct search_query *q);
json_t *search_query_json(const struct search_query *q);

/* clean + parse + run (+ removal of forbidden columns from the hits): what endpoints call. */
bool search_answer(struct arena *a, struct index_reader *r, const struct search_context *ctx,
                   struct search_params params, json_t **ret, const char **ret_form_param,
                   struct err *err);

/*
 * The bounds that the parameters `date` mean, half open: as in a search (without any, the last
 * seven days), but also where retention has been.
 */
bool search_date_range(struct search_params params, int64_t now_us, int days_max,
                       int64_t *ret_from_us, int64_t *ret_to_us, struct err *err);

/* GET /api/SuperSearchFields/.  New reference. */
json_t *search_fields_json(const struct field_table *fields);

#endif
