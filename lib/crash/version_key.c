/*
 * Two readings of a version, tried in this order.  What is a semantic version already keeps
 * its own pre-release part.  Everything else is taken apart by the marks that release
 * engineers use: "rc" is cut off the end first, then one of a, b and esr says what kind of
 * build it is, and what is left are one to three numbers.  A mark that occurs twice, or text
 * where a number should be, is no version: a guess would put it at a wrong place in lists.
 */
#include "lib/crash/version_key.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/err.h"
#include "lib/base/util.h"

enum { NUMBERS = 3 }; /* of a semantic version; what stands behind the third does not count */
static const char final_build[] = "rc.999"; /* behind every release candidate */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_number(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_digit(s.p[i]))
            return false;
    return s.n > 0;
}

/* By semver.org: "01" is no number of a version, or two texts would be one version. */
static bool is_strict_number(struct str s)
{
    return is_number(s) && (s.n == 1 || s.p[0] != '0');
}

/* Dot-separated identifiers; numbers among them without leading zeros. */
static bool is_prerelease(struct str s)
{
    struct str part;
    while (str_split(&s, '.', &part)) {
        for (size_t i = 0; i < part.n; i++) {
            char c = part.p[i];
            bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
            if (!is_letter && !is_digit(c) && c != '-')
                return false;
        }
        if (part.n == 0 || (is_number(part) && !is_strict_number(part)))
            return false;
    }
    return true;
}

/*
 * "X.Y.Z" or "X.Y.Z-PRE" by the rules of semver.org.  A version without a pre-release part gets
 * one, so that it compares with those of the marked kind: by that order "1.0.0-beta" <
 * "1.0.0-release", while a bare "1.0.0" would be behind both and esr could not be behind it.
 */
static bool semantic_key(struct str version, char out[VERSION_KEY_MAX])
{
    size_t dash = str_find_char(version, '-', 0);
    struct str numbers = str_sub(version, 0, dash), part;
    int n = 0;
    while (str_split(&numbers, '.', &part)) {
        if (!is_strict_number(part))
            return false;
        n++;
    }
    bool has_pre = dash != SIZE_MAX;
    if (n != NUMBERS || (has_pre && !is_prerelease(str_sub(version, dash + 1, SIZE_MAX))))
        return false;
    int len = has_pre ? snprintf(out, VERSION_KEY_MAX, STR_FMT, STR_ARG(version))
                      : snprintf(out, VERSION_KEY_MAX, STR_FMT "-release.%s", STR_ARG(version),
                                 final_build);
    return len < VERSION_KEY_MAX;
}

static bool to_number(struct str s, uint64_t *ret)
{
    return is_number(s) && str_to_u64(s, 10, UINT64_MAX, "version", ret, ERR_IGNORED);
}

/* Cuts *s at `mark`, which may occur once; *ret_rest is what follows it. */
static bool cut_at(struct str *s, struct str mark, struct str *ret_rest)
{
    size_t at = str_find(*s, mark, 0);
    *ret_rest = str_sub(*s, at + mark.n, SIZE_MAX);
    *s = str_sub(*s, 0, at);
    return str_find(*ret_rest, mark, 0) == SIZE_MAX;
}

static bool has(struct str s, const char *mark)
{
    return str_find(s, str_of(mark), 0) != SIZE_MAX;
}

/* "b4" is beta.4, "b" all betas.  *s keeps the numbers in front. */
static bool put_kind(struct strbuf *out, struct str *s)
{
    struct str rest;
    uint64_t number;
    if (has(*s, "a")) { /* the number of a nightly says nothing */
        sb_text(out, "alpha.1");
        return cut_at(s, STR("a"), &rest);
    }
    if (has(*s, "b")) {
        sb_text(out, "beta");
        if (!cut_at(s, STR("b"), &rest) || (rest.n && !to_number(rest, &number)))
            return false;
        if (rest.n)
            sb_printf(out, ".%llu", (unsigned long long)number);
        return true;
    }
    if (str_ends(*s, STR("esr"))) {
        sb_text(out, "xsr");
        *s = str_sub(*s, 0, s->n - 3);
        return true;
    }
    sb_text(out, "release");
    return true;
}

/* One to three numbers, missing ones are 0: "63.0b4" is 63.0.0-beta.4. */
static bool put_numbers(struct strbuf *out, struct str s)
{
    uint64_t numbers[NUMBERS] = {0}, value;
    struct str part;
    for (int n = 0; str_split(&s, '.', &part); n++) {
        if (!to_number(part, &value))
            return false;
        if (n < NUMBERS)
            numbers[n] = value;
    }
    for (int i = 0; i < NUMBERS; i++)
        sb_printf(out, "%s%llu", i ? "." : "", (unsigned long long)numbers[i]);
    return true;
}

/* "rc" goes first, for "rc" may stand behind any of the kinds and is cut off the end. */
static bool marked_key(struct str version, struct strbuf *kind, struct strbuf *out)
{
    struct str rest = STR_NONE;
    uint64_t candidate;
    bool is_candidate = has(version, "rc");
    if (is_candidate && (!cut_at(&version, STR("rc"), &rest) || !to_number(rest, &candidate)))
        return false;
    if (!put_kind(kind, &version) || !put_numbers(out, version))
        return false;
    sb_char(out, '-');
    sb_str(out, sb_view(kind));
    if (is_candidate)
        sb_printf(out, ".rc.%llu", (unsigned long long)candidate);
    else
        sb_printf(out, ".%s", final_build);
    return !out->overflow;
}

bool version_key(struct str version, char out[VERSION_KEY_MAX])
{
    if (semantic_key(version, out))
        return true;
    STRBUF_AUTO kind = {0};
    STRBUF_AUTO key = {0};
    sb_init(&kind, VERSION_KEY_MAX);
    sb_init(&key, VERSION_KEY_MAX - 1);
    if (!marked_key(version, &kind, &key))
        return false;
    snprintf(out, VERSION_KEY_MAX, "%s", sb_cstr(&key));
    return true;
}

/*
 * Parts are separated by '!', which is below every character of a part, so that the shorter of two
 * comes first.  A number is written with its length in front ('0' and three digits), a text with a
 * '1': numbers sort among themselves, and below texts.  The "-" in front of the pre-release part is
 * a separator like the others, since there are always three numbers.
 */
bool version_sort_key(struct str version, char out[VERSION_SORT_MAX])
{
    char key[VERSION_KEY_MAX];
    if (!version_key(version, key))
        return false;
    size_t n = 0;
    int separators = 0;
    for (const char *p = key; *p; separators++) {
        size_t length = strcspn(p, separators < NUMBERS ? ".-" : ".");
        struct str part = str_n(p, length);
        if (is_number(part)) {
            while (part.n > 1 && part.p[0] == '0')
                part = str_sub(part, 1, SIZE_MAX);
            n += (size_t)snprintf(out + n, VERSION_SORT_MAX - n, "0%03zu" STR_FMT, part.n,
                                  STR_ARG(part));
        } else {
            n += (size_t)snprintf(out + n, VERSION_SORT_MAX - n, "1" STR_FMT, STR_ARG(part));
        }
        p += length;
        if (*p) {
            p++;
            out[n++] = '!';
        }
        out[n] = '\0';
    }
    return true;
}
