#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/util.h"
#include "lib/symfile/sym_digits.h"

/* Numbers read at once against strtoull, for every length, end and kind of byte that may be there.
 */

static uint64_t seed = 3;

static unsigned pick(unsigned below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % below;
}

/* What the functions promise: up to seven digits, then a byte that is in no word. */
static bool naive(const char *p, int base, uint32_t *ret, size_t *ret_length)
{
    static const char dec[] = "0123456789", hex[] = "0123456789abcdefABCDEF";
    size_t n = strspn(p, base == 16 ? hex : dec);
    *ret_length = n;
    *ret = (uint32_t)strtoull(p, NULL, base);
    return n > 0 && n < 8 && (unsigned char)p[n] < 0x21;
}

static void check(const char *p)
{
    uint32_t want, got;
    size_t want_length, got_length;
    bool is_dec = naive(p, 10, &want, &want_length);
    assert_int_equal(digits_dec(p, &got, &got_length), is_dec);
    if (is_dec) {
        assert_int_equal(got, want);
        assert_int_equal(got_length, want_length);
    }
    bool is_hex = naive(p, 16, &want, &want_length);
    assert_int_equal(digits_hex(p, &got, &got_length), is_hex);
    if (is_hex) {
        assert_int_equal(got, want);
        assert_int_equal(got_length, want_length);
    }
}

/* Mostly digits, so that many are numbers; every byte now and then. */
static char random_byte(void)
{
    static const char often[] = "0123456789abcdefABCDEF09 \n\r\t";
    return pick(8) ? often[pick(sizeof often - 1)] : (char)pick(256);
}

static void test_random(void **state)
{
    (void)state;
    for (int i = 0; i < 2000000; i++) {
        char p[17] = {0};
        for (size_t k = 0; k < 16; k++)
            p[k] = random_byte();
        if (pick(2))
            p[1 + pick(8)] = " \n\r\t"[pick(4)];
        check(p);
    }
}

/* Up to eight digits from p on, all of them of the base. */
static bool naive_word(const char *p, size_t n, int base, uint32_t *ret)
{
    static const char dec[] = "0123456789", hex[] = "0123456789abcdefABCDEF";
    char digits[DIGITS_AT_ONCE + 1] = {0};
    if (n == 0 || n > DIGITS_AT_ONCE)
        return false;
    memcpy(digits, p, n);
    *ret = (uint32_t)strtoull(digits, NULL, base);
    return strspn(digits, base == 16 ? hex : dec) == n;
}

static void check_pair(struct digits_word a, struct digits_word b, int base)
{
    uint32_t want[2], got[2];
    bool is_pair =
        naive_word(a.end - a.n, a.n, base, &want[0]) & naive_word(b.end - b.n, b.n, base, &want[1]);
    bool ok = base == 16 ? digits_hex_pair(a, b, got) : digits_dec_pair(a, b, got);
    bool is_long = a.n == DIGITS_AT_ONCE || b.n == DIGITS_AT_ONCE; /* as many as may be refused */
    if (ok || !is_long)
        assert_int_equal(ok, is_pair);
    if (ok)
        assert_memory_equal(got, want, sizeof got);
}

/* Two words somewhere in a line; what is before, between and behind them says nothing. */
static void test_pairs(void **state)
{
    (void)state;
    for (int i = 0; i < 1000000; i++) {
        char line[3 * DIGITS_WORD_MAX];
        bool is_hex = pick(2);
        for (size_t k = 0; k < sizeof line; k++)
            line[k] = pick(60) ? (is_hex ? "0123456789abcdefABCDEF" : "0123456789")[pick(10)]
                               : (char)(0x21 + pick(0x5e)); /* what may be in a word */
        if (is_hex)
            line[pick(sizeof line)] = "aAfFgG@`/:"[pick(10)];
        size_t n = pick(10) ? pick(DIGITS_AT_ONCE + 2) : pick(DIGITS_WORD_MAX);
        size_t m = pick(DIGITS_AT_ONCE + 2), from = DIGITS_AT_ONCE + pick(DIGITS_AT_ONCE);
        struct digits_word a = {line + from + n, n}, b = {a.end + 1 + m, m};
        check_pair(a, b, is_hex ? 16 : 10);
        check_pair(b, a, is_hex ? 16 : 10);
    }
}

/* Every byte in every place of one of two numbers. */
static void test_every_byte_of_pairs(void **state)
{
    (void)state;
    for (size_t at = 0; at < 7; at++)
        for (unsigned byte = 0x21; byte < 0x80; byte++) {
            char p[] = "........1234567 1234567 ........";
            struct digits_word a = {p + 15, 7}, b = {p + 23, 7};
            p[8 + at] = (char)byte;
            check_pair(a, b, 10);
            check_pair(b, a, 16);
        }
}

/* Every byte in every place of a number. */
static void test_every_byte(void **state)
{
    (void)state;
    for (size_t at = 0; at < 8; at++)
        for (unsigned byte = 0; byte < 256; byte++) {
            char p[17] = "1234567 99999999";
            p[at] = (char)byte;
            check(p);
        }
}

static void test_ends(void **state)
{
    (void)state;
    for (int i = 0; i < 100000; i++) {
        char p[DIGITS_LINE];
        uint32_t want = 0;
        for (unsigned k = 0; k < DIGITS_LINE; k++) {
            p[k] = random_byte();
            want |= (uint32_t)((signed char)p[k] < 0x21) << k;
        }
        assert_int_equal(digits_ends(p), want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_every_byte_of_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
