/*
 * The name of a report: a random UUID (version 4) whose last seven characters say how the collector
 * throttled the report and on which day it came in.  So whoever has an id, a store without its
 * database for instance, knows the directory of the day without asking anybody.
 *
 * Collectors write 0 (accepted) or 1 (deferred) as the digit; read is any hexadecimal one unless
 * is_strict, for reports of other collectors have others.  The date must be one that exists, since
 * it becomes the name of a directory; hence the UUID of zeros, which has the right form, is no
 * crash id.  Years are of this century.
 *
 * The random part is 25 hexadecimal digits, 100 bits less the six that UUIDs fix, and comes from
 * the kernel: ids must not be guessed, for whoever has one can open the page of the report.
 */
#include "lib/crash/crash_id.h"

#include <assert.h>

#include "lib/base/hash.h"
#include "lib/base/time.h"

/* The pattern: x a lower-case hexadecimal digit, t the throttle digit, 9 a decimal one. */
static const char pattern[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxt999999";
enum { DIGIT_AT = 29, DATE_AT = 30 }; /* of the t and the first 9 */

void crash_id_new(int64_t now_us, int throttle_digit, char out[CRASH_ID_SIZE])
{
    assert(throttle_digit >= 0 && throttle_digit <= 9);
    static const char digits[] = "0123456789abcdef";
    uint8_t random[CRASH_ID_LEN];
    random_bytes(random, sizeof random);
    for (size_t i = 0; i < DIGIT_AT; i++)
        out[i] = pattern[i] == '-' ? '-' : digits[random[i] & 15];
    out[14] = '4';                          /* UUID version: random */
    out[19] = digits[8 + (random[19] & 3)]; /* UUID variant */
    struct civil c = civil_of_us(now_us);
    snprintf(out + DIGIT_AT, CRASH_ID_SIZE - DIGIT_AT, "%d%02d%02d%02d", throttle_digit,
             c.year % 100, c.month, c.day);
}

static int two_digits(const char *p)
{
    return (p[0] - '0') * 10 + (p[1] - '0');
}

static bool fits(char c, char kind)
{
    bool is_decimal = c >= '0' && c <= '9';
    switch (kind) {
    case '-':
        return c == '-';
    case '9':
        return is_decimal;
    default:
        return is_decimal || (c >= 'a' && c <= 'f');
    }
}

bool crash_id_valid(struct str id, bool is_strict)
{
    if (id.n != CRASH_ID_LEN)
        return false;
    for (size_t i = 0; i < CRASH_ID_LEN; i++)
        if (!fits(id.p[i], pattern[i]))
            return false;
    if (is_strict && id.p[DIGIT_AT] != '0' && id.p[DIGIT_AT] != '1')
        return false;
    const char *date = id.p + DATE_AT;
    return civil_date_exists(2000 + two_digits(date), two_digits(date + 2), two_digits(date + 4));
}

bool crash_id_parse(struct str text, char out[CRASH_ID_SIZE])
{
    if (str_starts(text, STR("bp-")))
        text = str_sub(text, 3, SIZE_MAX);
    if (!crash_id_valid(text, false))
        return false;
    memcpy(out, text.p, CRASH_ID_LEN);
    out[CRASH_ID_LEN] = 0;
    return true;
}

void crash_id_date(const char *id, char out[CRASH_DATE_SIZE])
{
    snprintf(out, CRASH_DATE_SIZE, "20%.6s", id + DATE_AT);
}

int crash_id_digit(const char *id)
{
    return hex_digit(id[DIGIT_AT]);
}
