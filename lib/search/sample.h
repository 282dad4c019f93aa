#ifndef SEARCH_SAMPLE_H
#define SEARCH_SAMPLE_H

#include "lib/base/arena.h"
#include "lib/base/map.h"
#include "lib/search/search.h"

/*
 * sample - crashes of a search as rows of numbered values: what an analysis over several fields of
 * the same crash needs, where an aggregation has only counts.
 *
 *     struct sample_values *values = sample_values_new(fields, n);
 *     search_sample(r, ctx, query, values, 20000, &s, err)    as often as samples are compared
 *     sample_id(&s, row, k)  ->  text of it: sample_text(values, k, id)
 *
 * Choice     All crashes that match, or `max` of them: every crash with the same chance, the same
 *            ones each time while the index does not change.  Filters and dates of the query count,
 *            the rest of it does not.
 * Values     Texts as indexed, whole; numbers in decimal, truth values "1" and "0".  The number of
 *            a value is the same in all samples of one struct sample_values: from 1, 0 is "none".
 *            The value of a list is the set of its elements.
 * Ownership  Samples own their rows (sample_release), values their texts.
 * Errors     As search_run: limits of the context, damage.
 * Trust      Fields are the caller's; this looks at no permission.
 */
struct sample_field {
    const struct search_field *field;
    struct textmap texts; /* by number - 1; of a list: its elements */
    struct textmap lists; /* by number - 1: numbers of elements as an array of uint32_t, in order */
};

struct sample_values {
    struct sample_field *fields; /* n, in the order of the caller */
    size_t n;
    struct arena arena;
};

struct sample {
    uint64_t total; /* crashes that match */
    size_t n;       /* rows in here */
    uint32_t *ids;  /* n of the first field, n of the second, … */
    size_t missing_weeks;
};

struct sample_values *sample_values_new(const struct search_field *const *fields, size_t n);
void sample_values_free(struct sample_values *v);

bool search_sample(struct index_reader *r, const struct search_context *ctx,
                   const struct search_query *q, struct sample_values *values, size_t max,
                   struct sample *ret, struct err *err);
void sample_release(struct sample *s);

static inline const uint32_t *sample_column(const struct sample *s, size_t field)
{
    return s->ids + field * s->n;
}

/* id > 0; not of a list. */
static inline struct str sample_text(const struct sample_values *v, size_t field, uint32_t id)
{
    return v->fields[field].texts.texts.v[id - 1];
}

/* Of a list: the numbers of its elements, ascending, each once; their texts by sample_text. */
const uint32_t *sample_list(const struct sample_values *v, size_t field, uint32_t id,
                            size_t *ret_n);

/* For engines.  0: no room, the search must end. */
uint32_t sample_number(struct sample_values *v, size_t field, struct str text);
/* Sorts the numbers in place. */
uint32_t sample_list_number(struct sample_values *v, size_t field, uint32_t *elements, size_t n);

#endif
