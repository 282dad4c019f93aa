/*
 * The kinds of aggregations by the names that parameters give them.  The first three are those of
 * the search service that clients were written for; the figures of numbers are ours and follow
 * their form, so that a client that shows the keys of an answer needs no change.
 *
 * Nine percentiles have names rather than any number, so that a saved address is always valid and a
 * table of them has columns that people know.
 */
#include "lib/search/facet_kind.h"

#include "lib/base/str.h"
#include "lib/base/util.h"

#define KIND(word, kind, figure, percent)                                                          \
    {                                                                                              \
        STR_INIT("_" word "."), word "_", kind, figure, percent                                    \
    }
#define PERCENTILE(n) KIND("p" #n, AGG_PERCENTILES, 0, n)

static const struct facet_kind kinds[] = {
    KIND("histogram", AGG_HISTOGRAM, 0, 0),
    KIND("cardinality", AGG_CARDINALITY, 0, 0),
    KIND("avg", AGG_SUMS, FIGURE_AVG, 0),
    KIND("sum", AGG_SUMS, FIGURE_SUM, 0),
    KIND("min", AGG_SUMS, FIGURE_MIN, 0),
    KIND("max", AGG_SUMS, FIGURE_MAX, 0),
    PERCENTILE(1),
    PERCENTILE(5),
    PERCENTILE(10),
    PERCENTILE(25),
    PERCENTILE(50),
    PERCENTILE(75),
    PERCENTILE(90),
    PERCENTILE(95),
    PERCENTILE(99),
};

static const struct facet_kind terms = {STR_INIT(""), "", AGG_TERMS, 0, 0};

const struct facet_kind *facet_kinds(size_t *ret_n)
{
    *ret_n = ARRAY_LEN(kinds);
    return kinds;
}

const struct facet_kind *facet_kind_take(struct str *spelled)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (str_starts(*spelled, kinds[i].prefix)) {
            *spelled = str_sub(*spelled, kinds[i].prefix.n, SIZE_MAX);
            return &kinds[i];
        }
    return &terms;
}
