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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
