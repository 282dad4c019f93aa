#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>

#include "lib/base/hash.h"
#include "lib/base/map.h"
#include "lib/base/util.h"
#include "lib/search/columns/distinct.h"

/* Counts of distinct numbers against a set that keeps them all, below and above the exact sizes. */

enum { MIB = 1 << 20 };

static const struct search_limits plenty = {.deadline_ms = INT64_MAX, .max_bytes = 1024L * MIB};

static uint64_t seed = 7;

static uint64_t next(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return hash64(&seed, sizeof seed);
}

/* Kinds of numbers that reports have: seconds of some years, any 32 bits, addresses. */
static int64_t number(int kind)
{
    switch (kind) {
    case 0:
        return 1600000000 + (int64_t)(next() % 5000000);
    case 1:
        return (int32_t)next();
    case 2:
        return (int64_t)next();
    default:
        return next() % 2 ? (int64_t)(next() % 1000) - 500 : (int64_t)(next() % 1000) << 40;
    }
}

static const struct {
    int kind;
    size_t n;
    bool is_exact;
} cases[] = {
    {0, 0, true},        {0, 1, true},        {0, 1000, true}, {0, 3000000, true},
    {1, 1000, true},     {1, 3000000, false}, {2, 1000, true}, {2, 1000000, true},
    {2, 3000000, false}, {3, 100000, true},
};

static void add_all(struct distinct *d, struct map *naive, int kind, size_t n, struct cost *cost)
{
    for (size_t i = 0; i < n; i++) {
        int64_t v = number(kind);
        *map_at(naive, (uint64_t)v) = 1;
        assert_true(distinct_add(d, v, cost));
    }
}

static void check(const struct distinct *d, const struct map *naive, bool is_exact)
{
    double got = (double)distinct_count(d), want = (double)naive->n;
    assert_int_equal(d->registers == NULL, is_exact);
    if (is_exact)
        assert_int_equal(distinct_count(d), naive->n);
    else if (fabs(got - want) > 4 * DISTINCT_ERROR * want) /* four standard errors: 1 in 16,000 */
        fail_msg("%.0f instead of %.0f", got, want);
}

static void test_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cost cost;
        struct distinct d = {0};
        struct map naive;
        cost_begin(&cost, &plenty);
        map_init(&naive, SIZE_MAX);
        add_all(&d, &naive, cases[i].kind, cases[i].n, &cost);
        check(&d, &naive, cases[i].is_exact);
        distinct_release(&d);
        map_release(&naive);
    }
}

/* Two that were filled apart count like one, whichever of them is a sketch already. */
static void test_join(void **state)
{
    (void)state;
    static const struct {
        int kind;
        size_t left, right;
        bool is_exact;
    } joins[] = {{0, 100000, 100000, true}, {3, 1000, 0, true},      {2, 900000, 900000, false},
                 {1, 3000000, 10, false},   {1, 10, 3000000, false}, {2, 2000000, 2000000, false}};
    for (size_t i = 0; i < ARRAY_LEN(joins); i++) {
        struct cost cost;
        struct distinct a = {0}, b = {0};
        struct map naive;
        cost_begin(&cost, &plenty);
        map_init(&naive, SIZE_MAX);
        add_all(&a, &naive, joins[i].kind, joins[i].left, &cost);
        add_all(&b, &naive, joins[i].kind, joins[i].right, &cost);
        assert_true(distinct_join(&a, &b, &cost));
        check(&a, &naive, joins[i].is_exact);
        distinct_release(&a);
        distinct_release(&b);
        map_release(&naive);
    }
}

/* Values that are meant to fill memory become a sketch; an account that is too small ends it. */
static void test_memory(void **state)
{
    (void)state;
    struct cost cost;
    struct distinct d = {0};
    cost_begin(&cost, &plenty);
    for (int64_t page = 0; page < 1 << 16; page++) /* a page of bits for each */
        assert_true(distinct_add(&d, (page << 16) + INT32_MIN, &cost));
    assert_non_null(d.registers);
    assert_in_range(cost.account->bytes_held, 1, MIB);
    assert_in_range(distinct_count(&d), 60000, 71000);
    distinct_release(&d);

    const struct search_limits little = {.deadline_ms = INT64_MAX, .max_bytes = MIB};
    cost_begin(&cost, &little);
    bool goes_on = true;
    for (int64_t i = 0; i < 1 << 16 && goes_on; i++)
        goes_on = distinct_add(&d, i << 16, &cost);
    assert_false(goes_on);
    assert_int_equal(cost.end, COST_BYTES);
    distinct_release(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_join),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
