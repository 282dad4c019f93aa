/*
 * Rust's older mangling scheme (rustc, symbol_mangling/legacy.rs): names in the form of C++, _ZN,
 * then each part of the path with its length, then E.  The last part is 'h' and a hash of 16
 * digits; that alone tells such a name from one of C++, so a name without it is left to the
 * demangler of C++.  The hash is dropped, because it changes with the compiler and the version of
 * the crate, and signatures would change with it.
 *
 * Characters that C++ names may not hold are written as words between '$', and "::" as two dots.
 */
#include "tools/dump-syms/rust_name.h"

#include "lib/base/err.h"
#include "lib/base/util.h"

/* PARTS_MAX bounds the parts of a hostile name; lengths of more than five digits are no names. */
enum { HASH_DIGITS = 16, PARTS_MAX = 256, DIGITS_MAX = 5 };

static const struct {
    struct str code;
    char means;
    /* All words that rustc writes.  Other characters are 'u' and their hexadecimal number. */
} escapes[] = {
    {STR_INIT("SP"), '@'}, {STR_INIT("BP"), '*'}, {STR_INIT("RF"), '&'}, {STR_INIT("LT"), '<'},
    {STR_INIT("GT"), '>'}, {STR_INIT("LP"), '('}, {STR_INIT("RP"), ')'}, {STR_INIT("C"), ','},
};

/* The text between two '$'. */
static bool put_escape(struct str code, struct strbuf *out)
{
    for (size_t i = 0; i < ARRAY_LEN(escapes); i++)
        if (str_eq(code, escapes[i].code)) {
            sb_char(out, escapes[i].means);
            return true;
        }
    uint64_t point;
    if (code.n < 2 || code.p[0] != 'u' ||
        !str_to_u64(str_sub(code, 1, SIZE_MAX), 16, 0x10ffff, "code point", &point, ERR_IGNORED))
        return false;
    char utf8[4];
    sb_put(out, utf8, utf8_put(utf8, (uint32_t)point));
    return true;
}

/* A word that is not known makes the whole name one of another scheme: then nothing is written. */
static bool put_part(struct str part, struct strbuf *out)
{
    if (str_starts(part, STR("_$"))) /* keeps the name from starting with '$' */
        part = str_sub(part, 1, SIZE_MAX);
    for (size_t i = 0; i < part.n;) {
        if (part.p[i] == '$') {
            size_t end = str_find_char(part, '$', i + 1);
            if (end == SIZE_MAX || !put_escape(str_sub(part, i + 1, end - i - 1), out))
                return false;
            i = end + 1;
        } else if (part.p[i] == '.' && i + 1 < part.n && part.p[i + 1] == '.') {
            sb_text(out, "::");
            i += 2;
        } else {
            sb_char(out, part.p[i++]);
        }
    }
    return true;
}

/* "3foo" cut off the front of *rest. */
static bool take_part(struct str *rest, struct str *ret_part)
{
    size_t digits = 0;
    while (digits < rest->n && digits < DIGITS_MAX && rest->p[digits] >= '0' &&
           rest->p[digits] <= '9')
        digits++;
    uint64_t n;
    if (!str_to_u64(str_sub(*rest, 0, digits), 10, rest->n, "length", &n, ERR_IGNORED) ||
        n > rest->n - digits)
        return false;
    *ret_part = str_sub(*rest, digits, (size_t)n);
    *rest = str_sub(*rest, digits + (size_t)n, SIZE_MAX);
    return true;
}

static bool is_hash(struct str part)
{
    if (part.n != HASH_DIGITS + 1 || part.p[0] != 'h')
        return false;
    for (size_t i = 1; i < part.n; i++)
        if (hex_digit(part.p[i]) < 0)
            return false;
    return true;
}

bool rust_name(const char *mangled, struct strbuf *out)
{
    struct str rest = str_of(mangled), parts[PARTS_MAX];
    size_t n = 0, before = out->n;
    if (!str_starts(rest, STR("_ZN")))
        return false;
    rest = str_sub(rest, 3, SIZE_MAX);
    while (rest.n && rest.p[0] != 'E')
        if (n == PARTS_MAX || !take_part(&rest, &parts[n++]))
            return false;
    /* Behind the E the compiler may have put ".llvm.123" or ".cold". */
    if (rest.n == 0 || n < 2 || !is_hash(parts[n - 1]))
        return false;
    for (size_t i = 0; i < n - 1; i++) {
        if (i)
            sb_text(out, "::");
        if (!put_part(parts[i], out)) {
            out->n = before;
            return false;
        }
    }
    return true;
}
