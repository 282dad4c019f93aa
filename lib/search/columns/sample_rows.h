#ifndef SEARCH_COLUMNS_SAMPLE_ROWS_H
#define SEARCH_COLUMNS_SAMPLE_ROWS_H

#include "lib/base/vec.h"
#include "lib/search/columns/run_state.h"
#include "lib/search/sample.h"

/*
 * sample_rows - the rows of a search that make a sample (lib/search/sample.h): run.c hands over
 * the blocks that match, in the end values are read.
 *
 * Errors     False: the search must end; the reason is in the cost.
 */
struct sampler {
    struct sample_values *values;
    struct cost *cost;
    size_t max;
    uint64_t seen; /* rows that match */
    VEC(struct place) places;
    struct map codes, elements; /* of the column at hand -> numbers of values */
};

void sampler_init(struct sampler *s, struct sample_values *values, size_t max, struct cost *cost);
void sampler_release(struct sampler *s);
bool sampler_block(struct sampler *s, const struct block *b);
bool sampler_end(struct sampler *s, const struct root *root, struct sample *ret);

#endif
