/* Hash tables: against a plain list, with hostile keys, with their maximum. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "lib/base/hash.h"
#include "lib/base/map.h"
#include "lib/base/util.h"

static uint64_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 16;
}

/* The oracle: keys in a list, looked through from the start. */
struct listed {
    VEC(uint64_t) keys;
    VEC(uint32_t) values;
};

static size_t listed_find(const struct listed *l, uint64_t key)
{
    size_t i = 0;
    while (i < l->keys.n && l->keys.v[i] != key)
        i++;
    return i;
}

static uint32_t *listed_at(struct listed *l, uint64_t key)
{
    size_t i = listed_find(l, key);
    if (i == l->keys.n) {
        VEC_PUSH(&l->keys, key);
        VEC_PUSH(&l->values, 0);
    }
    return &l->values.v[i];
}

static void check_same(const struct map *m, const struct listed *l)
{
    size_t seen = 0;
    assert_int_equal(m->n, l->keys.n);
    for (size_t i = 0; i < m->cap; i++) {
        if (m->values[i] == 0)
            continue;
        seen++;
        size_t at = listed_find(l, m->keys[i]);
        assert_true(at < l->keys.n);
        assert_int_equal(l->values.v[at], m->values[i]);
    }
    assert_int_equal(seen, l->keys.n);
}

/* Spans of keys: dense and with 0, sparse, differing in the upper half only. */
static const struct {
    const char *label;
    uint64_t below, factor;
} spans[] = {
    {"few", 5, 1},
    {"dense", 3000, 1},
    {"multiples of a page", 3000, 4096},
    {"upper half", 3000, (uint64_t)1 << 32},
    {"top bits", 4000, (uint64_t)1 << 52},
    {"anything", UINT64_MAX >> 16, 0x9e3779b97f4a7c15u},
};

static void test_against_a_list(void **state)
{
    (void)state;
    uint64_t random = 7;
    for (size_t s = 0; s < ARRAY_LEN(spans); s++) {
        struct map m;
        struct listed l = {0};
        map_init(&m, SIZE_MAX);
        for (size_t i = 0; i < 8000; i++) {
            uint64_t key = next(&random) % spans[s].below * spans[s].factor;
            size_t at = listed_find(&l, key);
            if (map_get(&m, key) != (at < l.keys.n ? l.values.v[at] : 0))
                fail_msg("%s: value of %llx", spans[s].label, (unsigned long long)key);
            if (next(&random) % 2 == 0)
                continue;
            uint32_t by = 1 + (uint32_t)(next(&random) % 1000);
            *map_at(&m, key) += by;
            *listed_at(&l, key) += by;
        }
        check_same(&m, &l);
        map_reset(&m);
        assert_int_equal(map_get(&m, l.keys.v[0]), 0);
        *map_at(&m, l.keys.v[0]) = 3;
        assert_int_equal(m.n, 1);
        map_release(&m);
        VEC_RELEASE(&l.keys);
        VEC_RELEASE(&l.values);
    }
}

static void test_numbers_in_order_of_appearance(void **state)
{
    (void)state;
    struct map m;
    map_init(&m, 2000);
    assert_int_equal(map_get(&m, 0), 0);
    for (uint32_t i = 0; i < 2000; i++)
        assert_int_equal(map_number(&m, (uint64_t)i * i << 20), i + 1);
    for (uint32_t i = 0; i < 2000; i++)
        assert_int_equal(map_number(&m, (uint64_t)i * i << 20), i + 1);

    assert_int_equal(map_number(&m, 5), 0); /* full */
    assert_null(map_at(&m, 5));
    assert_int_equal(map_get(&m, 5), 0);
    assert_int_equal(map_number(&m, (uint64_t)4 << 20), 3); /* what is there still is */
    map_release(&m);
}

static void test_tells_what_growth_takes(void **state)
{
    (void)state;
    struct map m;
    size_t grown = 0;
    map_init(&m, SIZE_MAX);
    for (uint64_t key = 1; key < 10000; key++) {
        bool must = map_must_grow(&m);
        size_t before = map_bytes(&m), told = map_grown_bytes(&m);
        *map_at(&m, key) = 1;
        assert_int_equal(map_bytes(&m), must ? told : before);
        grown += must;
        assert_true(m.n * 2 <= m.cap);
    }
    assert_true(grown >= 4);
    map_restart(&m);
    assert_int_equal(m.n, 0);
    assert_int_equal(map_get(&m, 1), 0);
    map_release(&m);
}

/*
 * Of n random places half of which are taken, the longest stretch without a gap is about
 * ln(n) / (0.5 - 1 - ln(0.5)), which is 60 for 100,000; keys that collide make one of thousands.
 * Keys at equal distances are spread by one multiplication as well or badly as its factor has it:
 * two factors of a hundred make stretches of 400 to 700.  Keys that a stranger could choose to
 * collide would do so with each of three seeds, so the best of three counts.
 */
enum { HOSTILE = 100000, STRETCH_MAX = 1000, SEEDS = 3 };

static size_t longest_stretch(const struct map *m)
{
    size_t longest = 0, now = 0;
    for (size_t i = 0; i < 2 * m->cap; i++) { /* round the end */
        now = m->values[i & (m->cap - 1)] ? now + 1 : 0;
        longest = MAX(longest, now);
    }
    return longest;
}

/* The multiplier's inverse makes keys whose products, in a table with that multiplier alone, all
 * have the same middle bits. */
static uint64_t key_against_fibonacci(uint64_t i)
{
    uint64_t inverse = 0xf1de83e19937733du; /* of 0x9e3779b97f4a7c15 modulo 2^64 */
    return inverse * (i << 44 | (i & 0xff));
}

static uint64_t key_in_the_upper_half(uint64_t i)
{
    return i << 47;
}

static uint64_t key_pair(uint64_t i)
{
    return (i / 300) << 32 | (i % 300 + 1);
}

static uint64_t key_step(uint64_t i)
{
    return 0x7f0000000000u + i * 4096;
}

static void test_hostile_numbers_spread(void **state)
{
    (void)state;
    static uint64_t (*const makers[])(uint64_t) = {key_against_fibonacci, key_in_the_upper_half,
                                                   key_pair, key_step};
    assert_int_equal(0xf1de83e19937733du * 0x9e3779b97f4a7c15u, 1);
    for (size_t k = 0; k < ARRAY_LEN(makers); k++) {
        size_t shortest = SIZE_MAX;
        for (int seed = 0; seed < SEEDS; seed++) {
            struct map m;
            map_init(&m, SIZE_MAX);
            for (uint64_t i = 0; i < HOSTILE; i++)
                *map_at(&m, makers[k](i)) = 1;
            shortest = MIN(shortest, longest_stretch(&m));
            map_release(&m);
        }
        if (shortest > STRETCH_MAX)
            fail_msg("maker %zu: %zu places without a gap", k, shortest);
    }
}

static void test_seeds_differ(void **state)
{
    (void)state;
    struct map a, b;
    size_t same = 0;
    map_init(&a, 1000);
    map_init(&b, 1000);
    for (uint64_t key = 0; key < 300; key++) {
        *map_at(&a, key) = 1;
        *map_at(&b, key) = 1;
    }
    for (uint64_t key = 0; key < 300; key++)
        same += map_place(&a, key) == map_place(&b, key);
    assert_true(same < 100);
    map_release(&a);
    map_release(&b);
}

/* Everything has one hash: slow, and right. */
static bool is_number(const void *owner, uint32_t number, const void *wanted)
{
    (void)owner;
    return number == *(const uint32_t *)wanted;
}

static void test_tags_that_collide(void **state)
{
    (void)state;
    struct tagmap m = {0};
    uint64_t hash = 0xdeadbeef12345678u;
    for (uint32_t i = 1; i <= 3000; i++) {
        assert_int_equal(tagmap_find(&m, hash, is_number, NULL, &i), 0);
        tagmap_add(&m, hash, i);
    }
    for (uint32_t i = 1; i <= 3000; i++)
        assert_int_equal(tagmap_find(&m, hash, is_number, NULL, &i), i);
    uint32_t one = 1;
    assert_int_equal(tagmap_find(&m, hash ^ (uint64_t)1 << 63, is_number, NULL, &one), 0);
    tagmap_reset(&m);
    assert_int_equal(tagmap_find(&m, hash, is_number, NULL, &one), 0);
    tagmap_release(&m);
}

static void test_texts_against_a_list(void **state)
{
    (void)state;
    struct textmap m;
    struct arena a;
    VEC(struct str) list = {0};
    uint64_t random = 3;
    char text[16];
    textmap_init(&m, 100000);
    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < 6000; i++) {
        size_t n =
            (size_t)snprintf(text, sizeof text, "%llx", (unsigned long long)(next(&random) % 2500));
        struct str s = str_n(text, i % 50 == 0 ? 0 : n);
        size_t at = 0;
        while (at < list.n && !str_eq(list.v[at], s))
            at++;
        assert_int_equal(textmap_number(&m, &a, s), at);
        if (at == list.n)
            VEC_PUSH(&list, str_copy(&a, s));
        assert_int_equal(m.texts.n, list.n);
    }
    for (size_t i = 0; i < list.n; i++)
        assert_true(str_eq(m.texts.v[i], list.v[i]));
    textmap_release(&m);
    VEC_RELEASE(&list);
    arena_release(&a);
}

static void test_texts_have_a_maximum(void **state)
{
    (void)state;
    struct textmap m;
    textmap_init(&m, 2);
    assert_int_equal(textmap_number(&m, NULL, STR("a")), 0);
    assert_int_equal(textmap_number(&m, NULL, STR("b")), 1);
    assert_int_equal(textmap_number(&m, NULL, STR("c")), TEXTMAP_FULL);
    assert_int_equal(textmap_number(&m, NULL, STR("b")), 1);
    assert_int_equal(m.texts.n, 2);
    textmap_release(&m);
}

/* Texts chosen so that without a seed all of them begin at the same place of a table of 65,536. */
static void test_hostile_texts_spread(void **state)
{
    (void)state;
    enum { TRIED = 4000000, PLACES = 1 << 16, FOUND_MIN = 40 };
    struct textmap m;
    struct arena a;
    textmap_init(&m, TRIED);
    arena_init(&a, 1 << 20);
    for (uint32_t i = 0; i < TRIED; i++) {
        char text[16];
        struct str s = str_n(text, (size_t)snprintf(text, sizeof text, "%x", i));
        if (((hash64(s.p, s.n) >> 32) & (PLACES - 1)) == 7)
            textmap_number(&m, &a, s);
    }
    assert_true(m.texts.n >= FOUND_MIN);
    size_t at_one = 0;
    for (size_t i = 0; i < m.numbers.cap; i++)
        at_one += m.numbers.places[i] && ((m.numbers.places[i] >> 32) & (PLACES - 1)) == 7;
    assert_true(at_one <= 3);
    textmap_release(&m);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_a_list),
        cmocka_unit_test(test_numbers_in_order_of_appearance),
        cmocka_unit_test(test_tells_what_growth_takes),
        cmocka_unit_test(test_hostile_numbers_spread),
        cmocka_unit_test(test_seeds_differ),
        cmocka_unit_test(test_tags_that_collide),
        cmocka_unit_test(test_texts_against_a_list),
        cmocka_unit_test(test_texts_have_a_maximum),
        cmocka_unit_test(test_hostile_texts_spread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
