#ifndef SEARCH_EXTRACT_H
#define SEARCH_EXTRACT_H

#include "lib/search/search.h"

/*
 * extract - a search as a file for other programs: all of its reports as a table (CSV) or as one
 * JSON object a line (NDJSON), or the values of one field with their counts.  It is asked with the
 * parameters of any search, permissions included, and handed on while it is made, so memory does
 * not grow with it.
 *
 *   reports   in the order of arrival, however many.  With `_results_number` it is the page that a
 *             search with these parameters shows, in its order.
 *   values    with `_facet=FIELD` (or _histogram.FIELD, _cardinality.FIELD, _p95.FIELD …): all of
 *             them, most reports first, or as many as `_facets_size` says; with
 *             `_aggs.FIELD=_p95.OTHER` a column for that number of each value
 *
 * In CSV the first line has the names; elements of a list are joined by "; ", no value is an empty
 * field, and a text that a spreadsheet would take for a formula has an apostrophe in front
 * (csv_put_guarded).  In NDJSON values are as search_run gives them.
 *
 * Errors     Those of search_run; before the first piece they are all that anybody sees.  What the
 *            sink fails with is passed on.
 */
enum extract_format { EXTRACT_CSV, EXTRACT_NDJSON };

struct extract_done {
    uint64_t rows;
    size_t missing_weeks; /* that could not be read; known before the first piece */
};

/* A piece of some 64 KiB, whole lines; the last one may be empty. */
typedef bool extract_sink(void *arg, struct str piece, const struct extract_done *so_far,
                          struct err *err);

bool extract_run(struct arena *a, struct index_reader *r, const struct search_context *ctx,
                 struct search_params params, enum extract_format format, extract_sink *sink,
                 void *arg, struct extract_done *ret, const char **ret_form_param, struct err *err);

#endif
