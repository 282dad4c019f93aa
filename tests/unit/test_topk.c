/* The first of many, against sorting all of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/topk.h"
#include "lib/base/util.h"

struct thing {
    uint32_t weight, id;
};

static uint64_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 16;
}

/* Heaviest first, then by id; counts its calls. */
static int by_weight(const void *pa, const void *pb, void *arg)
{
    const struct thing *a = pa, *b = pb;
    ++*(size_t *)arg;
    if (a->weight != b->weight)
        return a->weight > b->weight ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

static const struct {
    const char *label;
    size_t count, limit;
    uint32_t weights; /* different ones */
    char order;       /* '?' none, '<' rising, '>' falling */
} cases[] = {
    {"nothing", 0, 10, 1, '?'},
    {"limit 0", 100, 0, 50, '?'},
    {"limit 1", 1000, 1, 50, '?'},
    {"fewer than the limit", 70, 100, 1000, '?'},
    {"as many as the limit", 64, 64, 1000, '?'},
    {"more", 5000, 100, 1000000, '?'},
    {"equal weights", 5000, 100, 1, '?'},
    {"few weights", 5000, 333, 7, '?'},
    {"rising", 5000, 100, 0, '<'},
    {"falling", 5000, 100, 0, '>'},
};

static struct thing *make_things(size_t c)
{
    struct thing *all = xcalloc(cases[c].count + 1, sizeof *all);
    uint64_t random = c;
    for (size_t i = 0; i < cases[c].count; i++) {
        uint32_t weight = cases[c].order == '?'   ? (uint32_t)(next(&random) % cases[c].weights)
                          : cases[c].order == '<' ? (uint32_t)i
                                                  : (uint32_t)(cases[c].count - i);
        all[i] = (struct thing){weight, (uint32_t)(next(&random) % 100000)};
    }
    return all;
}

static void check_case(size_t c, bool in_steps)
{
    struct topk t;
    size_t calls = 0;
    FREE_LATER struct thing *all = make_things(c);
    topk_init(&t, sizeof *all, cases[c].limit, by_weight, &calls);
    for (int round = 0; round < 2; round++) { /* and once more in the same room */
        for (size_t i = 0; i < cases[c].count; i++)
            topk_offer(&t, &all[i]);
        size_t n = t.n;
        const struct thing *best = t.v;
        if (n != MIN(cases[c].count, cases[c].limit))
            fail_msg("%s: %zu things", cases[c].label, n);
        if (!in_steps)
            topk_sort(&t);
        while (in_steps && t.n > 1)
            topk_pop(&t);
        qsort_r(all, cases[c].count, sizeof *all, by_weight, &calls);
        for (size_t i = 0; i < n; i++)
            if (by_weight(&best[i], &all[i], &calls) != 0)
                fail_msg("%s: place %zu", cases[c].label, i);
        topk_reset(&t);
    }
    topk_release(&t);
}

static void test_against_sorting(void **state)
{
    (void)state;
    for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
        check_case(c, false);
        check_case(c, true);
    }
}

static void test_a_refused_thing_costs_one_comparison(void **state)
{
    (void)state;
    struct topk t;
    size_t calls = 0;
    topk_init(&t, sizeof(struct thing), 100, by_weight, &calls);
    for (uint32_t i = 0; i < 100; i++)
        assert_true(topk_offer(&t, &((struct thing){1000 + i, i})));
    calls = 0;
    for (uint32_t i = 0; i < 5000; i++)
        assert_false(topk_offer(&t, &((struct thing){i % 1000, i})));
    assert_int_equal(calls, 5000);
    assert_int_equal(t.cap, 100); /* no more room than is needed */
    topk_release(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_sorting),
        cmocka_unit_test(test_a_refused_thing_costs_one_comparison),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
