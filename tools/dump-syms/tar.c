/*
 * Heads of 512 bytes with the size of what follows, padded to 512 (POSIX.1-1988, "ustar"; GNU's
 * and pax' forms of long names stand in members of their own before the one they name).  Only the
 * name, the size and the kind are read, and of sizes beyond 8 GiB nothing: no file of ours may be
 * so large.  A library for archives (libarchive) would bring forty formats to read one field of
 * one of them.
 */
#include "tools/dump-syms/tar.h"

#include "lib/base/rd.h"
#include "lib/base/util.h"
#include "tools/dump-syms/macho_file.h"
#include "tools/dump-syms/pdb_file.h"
#include "tools/dump-syms/pe_file.h"

/* Places in a head, of struct posix_header (GNU tar, tar.h). */
enum {
    BLOCK = 512,
    NAME_AT = 0,
    NAME_BYTES = 100,
    SIZE_AT = 124,
    SIZE_BYTES = 12,
    SUM_AT = 148,
    SUM_BYTES = 8,
    KIND_AT = 156,
    MAGIC_AT = 257,
};

struct tar_member {
    struct str name, bytes;
    char kind;
};

/* Digits, with blanks or zeros around them.  Twelve digits have 36 bits, so nothing wraps. */
static bool read_octal(struct str head, size_t at, size_t n, uint64_t *ret)
{
    struct str text = str_sub(head, at, n);
    text.n = strnlen(text.p, text.n);
    text = str_trim(text);
    uint64_t number = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '7')
            return false;
        number = number * 8 + (uint64_t)(text.p[i] - '0');
    }
    *ret = number;
    return text.n > 0;
}

/* The sum of all bytes, those of the sum itself counted as blanks. */
static bool has_right_sum(struct str head)
{
    uint64_t said, sum = 0;
    for (size_t i = 0; i < BLOCK; i++)
        sum += i >= SUM_AT && i < SUM_AT + SUM_BYTES ? ' ' : (unsigned char)head.p[i];
    return read_octal(head, SUM_AT, SUM_BYTES, &said) && said == sum;
}

bool tar_is(struct str bytes)
{
    return bytes.n >= BLOCK && str_starts(str_sub(bytes, MAGIC_AT, 5), STR("ustar")) &&
           has_right_sum(bytes);
}

/* False: the end, or what is no member. */
static bool next_member(struct str *rest, struct tar_member *ret)
{
    uint64_t size;
    if (!tar_is(*rest) || !read_octal(*rest, SIZE_AT, SIZE_BYTES, &size))
        return false;
    struct rd r = rd_init(rest->p, rest->n);
    struct rd body = rd_try_window(&r, BLOCK, size);
    if (!rd_ok(&body))
        return false;
    struct str name = str_sub(*rest, NAME_AT, NAME_BYTES);
    name.n = strnlen(name.p, name.n);
    *ret = (struct tar_member){name, str_n((const char *)body.p, size), rest->p[KIND_AT]};
    uint64_t padded = BLOCK + (size + BLOCK - 1) / BLOCK * BLOCK;
    *rest = str_sub(*rest, MIN(padded, (uint64_t)rest->n), SIZE_MAX);
    return true;
}

/* "LENGTH path=NAME\n" among such lines. */
static struct str pax_path(struct str lines)
{
    const struct str key = STR(" path=");
    struct str line;
    while (str_split(&lines, '\n', &line)) {
        size_t at = str_find(line, key, 0);
        if (at != SIZE_MAX)
            return str_sub(line, at + key.n, SIZE_MAX);
    }
    return STR("");
}

static bool is_binary(struct str bytes)
{
    return str_starts(bytes, STR("\177ELF")) || macho_is(bytes) || pdb_is(bytes) || pe_is(bytes);
}

bool tar_find_debug(struct str bytes, struct str *ret_name, struct str *ret_bytes)
{
    struct tar_member m;
    struct str long_name = STR("");
    bool is_found = false;
    while (next_member(&bytes, &m)) {
        if (m.kind == 'L')
            long_name = str_n(m.bytes.p, strnlen(m.bytes.p, m.bytes.n));
        else if (m.kind == 'x')
            long_name = pax_path(m.bytes);
        if (m.kind == 'L' || m.kind == 'x')
            continue;
        struct str name = long_name.n ? long_name : m.name;
        bool is_file = m.kind == '0' || m.kind == '\0';
        bool is_dwarf = str_find(name, STR("Contents/Resources/DWARF/"), 0) != SIZE_MAX;
        long_name = STR("");
        if (!is_file || !is_binary(m.bytes) || (is_found && !is_dwarf))
            continue;
        *ret_name = name;
        *ret_bytes = m.bytes;
        is_found = true;
        if (is_dwarf)
            break;
    }
    return is_found;
}
