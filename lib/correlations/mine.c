/*
 * Contrast sets of one and two properties, after STUCCO (Bay, Pazzani 2001) as Mozilla's analysis
 * of crash correlations uses it.
 *
 * A property is a candidate when it occurs often enough to be worth a line (attributes.c).  A pair
 * is one when it says something that its two properties do not: either both matter to each other,
 * or the pair's shares differ from those of both.  Then the candidates are tested, the single ones
 * first, with a level of significance that shrinks with their number: among a thousand
 * properties fifty differ by chance at 5 %.
 *
 * What a difference is worth is said by size first (15 % of the crashes, phi at least 0.03) and by
 * chance second, because with ten thousand crashes everything is significant.  A pair whose one
 * half explains the other takes that other's place away, or tells how much of it remains.
 *
 * Pairs are counted by bits: 400 properties of 40,000 crashes make 80,000 pairs, each 626 words.
 */
#include "lib/correlations/mine.h"

#include <math.h>
#include <stdlib.h>

#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/correlations/priors.h"
#include "lib/correlations/significance.h"
#include "lib/correlations/traits.h"

/* All of these are those of the results that people know and compare with (decision 170). */
#define ALPHA   0.05 /* the chance of a false alarm that is allowed at the beginning */
#define PHI_MIN 0.03 /* strength of the relation between "in the group" and the property */
/* Shares nearer than that are the same. */
#define SAME_SHARE (MIN(0.05, CORRELATION_DIFFERENCE_MIN / 2))
/* A chance that large says that two shares of a pair are those of its parent. */
#define SAME_P 0.5
/* A pair is what two independent properties make: within a hundredth, or this part of its share. */
#define INDEPENDENT_SHARE 0.01
#define INDEPENDENT_PART  0.15

enum { PACE_EVERY = 1024 }; /* pairs: a millisecond of counting */

struct candidate {
    uint32_t a, b; /* items; b UINT32_MAX: single */
    uint32_t count[SET_COUNT];
};
enum { NO_ITEM = UINT32_MAX };

struct mining {
    const struct traits *items;
    VEC(struct candidate) singles, pairs;
    struct correlation *results; /* by single: group total 0 is "none" */
    bool *is_result;             /* by single */
    VEC(struct correlation) pair_results;
    double alpha;
};

static double share(const struct mining *m, int set, double count)
{
    return m->items->size[set] ? count / (double)m->items->size[set] : 0;
}

static bool is_same_share(double x, double y)
{
    return fabs(x - y) <= SAME_SHARE;
}

/* Enough crashes in both sets, and a share in one of them. */
static bool is_frequent(const struct mining *m, const uint32_t count[SET_COUNT])
{
    return count[SET_REFERENCE] >= CORRELATION_COUNT_MIN &&
           count[SET_GROUP] >= CORRELATION_COUNT_MIN &&
           (share(m, SET_GROUP, count[SET_GROUP]) >= CORRELATION_DIFFERENCE_MIN ||
            share(m, SET_REFERENCE, count[SET_REFERENCE]) >= CORRELATION_DIFFERENCE_MIN);
}

static uint32_t count_both(const struct mining *m, const struct trait *a, const struct trait *b,
                           int set)
{
    uint32_t n = 0;
    const uint64_t *x = a->bits[set], *y = b->bits[set];
    for (size_t i = 0; i < m->items->words[set]; i++)
        n += (uint32_t)__builtin_popcountll(x[i] & y[i]);
    return n;
}

/*
 * The three questions about a pair and its halves.  A pair is worth testing when either both halves
 * matter to each other, or it is none of what follows from a half alone.
 *
 * Among the crashes with this parent the share of the pair is another than the parent's own.
 */
static bool is_changed_by(const struct mining *m, const struct candidate *c,
                          const struct trait *parent)
{
    for (int set = 0; set < SET_COUNT; set++) {
        double conditional = (double)c->count[set] / parent->count[set];
        if (fabs(conditional - share(m, set, parent->count[set])) > SAME_SHARE)
            return true;
    }
    return false;
}

/* The pair occurs where the parent does: the other property adds nothing. */
static bool is_like(const struct mining *m, const struct candidate *c, const struct trait *parent)
{
    for (int set = 0; set < SET_COUNT; set++)
        if (!is_same_share(share(m, set, c->count[set]), share(m, set, parent->count[set])))
            return false;
    return true;
}

/* Chance alone explains that a pair is rarer than its parent: in both sets by the same factor. */
static bool is_proportional(const struct candidate *c, const struct trait *parent)
{
    const struct fourfold t = {parent->count[SET_GROUP], c->count[SET_GROUP],
                               parent->count[SET_REFERENCE], c->count[SET_REFERENCE]};
    return chi_square_p(chi_square(&t)) > SAME_P;
}

static bool is_worth_testing(const struct mining *m, const struct candidate *c)
{
    const struct trait *a = &m->items->all.v[c->a], *b = &m->items->all.v[c->b];
    if (!is_frequent(m, c->count))
        return false;
    if (is_changed_by(m, c, a) && is_changed_by(m, c, b))
        return true;
    if (is_like(m, c, a) || is_like(m, c, b))
        return false;
    return !(is_proportional(c, a) && is_proportional(c, b));
}

/* Their counts are known already, and attributes.c has made only those that are frequent. */
static void take_singles(struct mining *m)
{
    for (uint32_t i = 0; i < m->items->all.n; i++) {
        const struct trait *it = &m->items->all.v[i];
        const struct candidate c = {i, NO_ITEM, {it->count[SET_GROUP], it->count[SET_REFERENCE]}};
        VEC_PUSH(&m->singles, c);
    }
}

static bool take_pairs(struct mining *m, const struct mine_pace *pace)
{
    const struct trait *all = m->items->all.v;
    size_t counted = 0;
    for (uint32_t i = 0; i < m->items->all.n; i++)
        for (uint32_t k = i + 1; k < m->items->all.n; k++) {
            if (all[i].attribute == all[k].attribute)
                continue;
            if (++counted % PACE_EVERY == 0 && !pace->goes_on(pace->arg))
                return false;
            struct candidate c = {i, k, {0}};
            c.count[SET_GROUP] = count_both(m, &all[i], &all[k], SET_GROUP);
            if (c.count[SET_GROUP] < CORRELATION_COUNT_MIN)
                continue;
            c.count[SET_REFERENCE] = count_both(m, &all[i], &all[k], SET_REFERENCE);
            if (is_worth_testing(m, &c))
                VEC_PUSH(&m->pairs, c);
        }
    return true;
}

/*
 * Of a pair whose one half is a prior of the other, which is a result: true when the pair is used
 * up, be it that the prior explains the other half, or that it says how much of it remains.
 */
static bool is_used_up_by(struct mining *m, const struct candidate *c, uint32_t p, uint32_t q)
{
    const struct trait *prior = &m->items->all.v[p], *of = &m->items->all.v[q];
    if (!prior_may_explain(prior->cause, of->cause) || !m->is_result[q])
        return false;
    double given[SET_COUNT];
    for (int set = 0; set < SET_COUNT; set++)
        given[set] = (double)c->count[set] / prior->count[set];
    double difference = fabs(given[SET_REFERENCE] - given[SET_GROUP]);
    if (difference < CORRELATION_DIFFERENCE_MIN) {
        m->is_result[q] = false;
        return true;
    }
    if (is_same_share(given[SET_GROUP], share(m, SET_GROUP, of->count[SET_GROUP])) &&
        is_same_share(given[SET_REFERENCE], share(m, SET_REFERENCE, of->count[SET_REFERENCE])))
        return false;
    struct correlation *r = &m->results[q];
    if (r->prior) {
        double before =
            fabs((double)r->prior_count[SET_GROUP] / r->prior->count[SET_GROUP] -
                 (double)r->prior_count[SET_REFERENCE] / r->prior->count[SET_REFERENCE]);
        if (before <= difference)
            return true;
    }
    r->prior = prior;
    for (int set = 0; set < SET_COUNT; set++)
        r->prior_count[set] = c->count[set];
    return true;
}

/*
 * Two properties that have nothing to do with each other, in the group.  The table of Fisher's test
 * is that of the analysis that people compare with and not the one of a textbook; decision 170 says
 * what that changes.
 */
static bool is_independent(const struct mining *m, const struct candidate *c)
{
    const struct trait *a = &m->items->all.v[c->a], *b = &m->items->all.v[c->b];
    double n = (double)m->items->size[SET_GROUP],
           of_pair = share(m, SET_GROUP, c->count[SET_GROUP]);
    double expected =
        share(m, SET_GROUP, a->count[SET_GROUP]) * share(m, SET_GROUP, b->count[SET_GROUP]);
    if (fabs(expected - of_pair) <= MAX(INDEPENDENT_SHARE, INDEPENDENT_PART * of_pair))
        return true;
    const struct fourfold t = {c->count[SET_GROUP], n - a->count[SET_GROUP],
                               n - b->count[SET_GROUP], n - c->count[SET_GROUP]};
    return fisher_p(&t) > m->alpha;
}

/*
 * Between the sets.  phi = sqrt(chi2 / n) is the strength of the relation, from 0 to 1, whatever
 * the number of crashes; the significance alone would let any difference pass in a large set.
 */
static bool is_different(const struct mining *m, const struct candidate *c)
{
    double nG = (double)m->items->size[SET_GROUP], nR = (double)m->items->size[SET_REFERENCE];
    const struct fourfold t = {c->count[SET_GROUP], c->count[SET_REFERENCE],
                               nG - c->count[SET_GROUP], nR - c->count[SET_REFERENCE]};
    double chi2 = chi_square(&t);
    return chi_square_p(chi2) <= m->alpha && sqrt(chi2 / (nG + nR)) >= PHI_MIN;
}

/* The order is that of the cost, and of what people compare with: a pair that is used up changes
 * the result of its half even if the pair itself would fail. */
static bool passes(struct mining *m, const struct candidate *c)
{
    bool is_pair = c->b != NO_ITEM;
    if (is_pair && (is_used_up_by(m, c, c->a, c->b) || is_used_up_by(m, c, c->b, c->a)))
        return false;
    double difference = fabs(share(m, SET_REFERENCE, c->count[SET_REFERENCE]) -
                             share(m, SET_GROUP, c->count[SET_GROUP]));
    if (difference < CORRELATION_DIFFERENCE_MIN)
        return false;
    return !(is_pair && is_independent(m, c)) && is_different(m, c);
}

static struct correlation result_of(const struct mining *m, const struct candidate *c)
{
    struct correlation r = {.items = {&m->items->all.v[c->a]}};
    if (c->b != NO_ITEM)
        r.items[1] = &m->items->all.v[c->b];
    for (int set = 0; set < SET_COUNT; set++)
        r.count[set] = c->count[set];
    return r;
}

/* After each candidate, as the analysis does it that people compare with. */
static void shrink_alpha(struct mining *m, int level, size_t candidates)
{
    m->alpha = MIN(m->alpha, ALPHA / (double)(1 << level) / (double)candidates);
}

/*
 * Singles first, all of them: a pair may take the place of a half only if that is a result.  So the
 * order of the pairs matters, too; it is that of the items, which is that of the field table.
 */
static bool test_candidates(struct mining *m, const struct mine_pace *pace)
{
    m->alpha = ALPHA;
    for (size_t i = 0; i < m->singles.n; i++) {
        m->is_result[i] = passes(m, &m->singles.v[i]);
        m->results[i] = result_of(m, &m->singles.v[i]);
        shrink_alpha(m, 1, m->singles.n);
    }
    for (size_t i = 0; i < m->pairs.n; i++) {
        if (i % PACE_EVERY == 0 && !pace->goes_on(pace->arg))
            return false;
        if (passes(m, &m->pairs.v[i]))
            VEC_PUSH(&m->pair_results, result_of(m, &m->pairs.v[i]));
        shrink_alpha(m, 2, m->pairs.n);
    }
    return true;
}

/* By what remains given the prior, where there is one. */
static double at_least(const struct mining *m, const struct correlation *r)
{
    if (r->prior)
        return difference_at_least(r->prior_count[SET_GROUP], r->prior->count[SET_GROUP],
                                   r->prior_count[SET_REFERENCE], r->prior->count[SET_REFERENCE]);
    return difference_at_least(r->count[SET_GROUP], (double)m->items->size[SET_GROUP],
                               r->count[SET_REFERENCE], (double)m->items->size[SET_REFERENCE]);
}

/* By names and values in the end, so that the same crashes always give the same page. */
static int by_item(const struct trait *a, const struct trait *b)
{
    int names = a && b ? strcmp(a->name, b->name) : (a != NULL) - (b != NULL);
    if (names || !a)
        return names;
    return a->kind != b->kind ? (int)a->kind - (int)b->kind : str_cmp(a->text, b->text);
}

static int by_reading(const void *x, const void *y)
{
    const struct correlation *a = x, *b = y;
    bool a_pair = a->items[1], b_pair = b->items[1];
    if (a_pair != b_pair)
        return a_pair ? 1 : -1;
    if (a->at_least != b->at_least)
        return a->at_least > b->at_least ? -1 : 1;
    int first = by_item(a->items[0], b->items[0]);
    return first ? first : by_item(a->items[1], b->items[1]);
}

static void collect_results(struct mining *m, struct correlation_list *ret)
{
    for (size_t i = 0; i < m->singles.n; i++)
        if (m->is_result[i])
            VEC_PUSH(&ret->all, m->results[i]);
    for (size_t i = 0; i < m->pair_results.n; i++)
        VEC_PUSH(&ret->all, m->pair_results.v[i]);
    for (size_t i = 0; i < ret->all.n; i++)
        ret->all.v[i].at_least = at_least(m, &ret->all.v[i]);
    if (ret->all.n > 0)
        qsort(ret->all.v, ret->all.n, sizeof *ret->all.v, by_reading);
}

bool mine(const struct traits *items, const struct mine_pace *pace, struct correlation_list *ret)
{
    struct mining m = {.items = items};
    *ret = (struct correlation_list){0};
    take_singles(&m);
    m.results = xcalloc(items->all.n + 1, sizeof *m.results);
    m.is_result = xcalloc(items->all.n + 1, sizeof *m.is_result);
    bool goes_on = take_pairs(&m, pace) && test_candidates(&m, pace);
    if (goes_on)
        collect_results(&m, ret);
    free(m.results);
    free(m.is_result);
    VEC_RELEASE(&m.singles);
    VEC_RELEASE(&m.pairs);
    VEC_RELEASE(&m.pair_results);
    return goes_on;
}

void correlation_list_release(struct correlation_list *list)
{
    VEC_RELEASE(&list->all);
}
