/*
 * The directory of a ZIP archive (APPNOTE.TXT 6.3.10, sections 4.3.6 to 4.3.16): where its
 * members are and what they claim to be.
 *
 * An archive is found from its end.  The end record says how long the directory before it is,
 * and where it began when the archive was written; the difference between that and where it is
 * now are the bytes in front of the archive, as self-extracting ones have them, and every offset
 * is moved by it.  Everything is read by this one reader: that members do not share bytes is
 * only true if the reader that checks it is the one that inflates.
 */
#include "lib/base/err.h"
#include "lib/base/rd.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/symfile/symzip.h"

/*
 * PKWARE's APPNOTE.TXT: 4.3.16 (end), 4.3.15 and 4.3.14 (the same with 64 bits, and where it is),
 * 4.3.12 (entry of the directory), 4.3.7 (local head), 4.4.4 (flags), 4.4.5 (methods), 4.5.3 (sizes
 * of 64 bits).  The sizes are those of the fixed parts.
 */
enum {
    END_SIGNATURE = 0x06054b50,
    END_SIZE = 22, /* without the comment */
    COMMENT_MAX = 0xffff,
    LOCATOR_SIGNATURE = 0x07064b50,
    LOCATOR_SIZE = 20,
    END64_SIGNATURE = 0x06064b50,
    END64_SIZE = 56,
    ENTRY_SIGNATURE = 0x02014b50,
    LOCAL_SIGNATURE = 0x04034b50,
    LOCAL_SIZE = 30,
    LOCAL_LENGTHS_AT = 26,    /* of name and extra field */
    DIRECTORY_MAX = 16 << 20, /* ten thousand members with names of 1.6 KB */
    EXTRA_ZIP64 = 1,
    FLAG_ENCRYPTED = 1,
    FLAG_PATCH = 1 << 5,
    FLAG_HIDDEN = 1 << 13, /* the directory itself is encrypted */
    METHOD_STORED = 0,
    METHOD_DEFLATED = 8,
};

struct end {
    uint64_t directory_at, directory_bytes;
    uint64_t before; /* bytes in front of the archive */
};

static bool not_zip(struct err *err)
{
    return err_set(err, ERR_INVALID, "File is not a zip file");
}

static bool is_at(struct str bytes, uint64_t at, size_t n, uint32_t signature)
{
    return at <= bytes.n && bytes.n - at >= n && rd_le32(bytes.p + at) == signature;
}

/* What a directory of `size` bytes that ends at `end_at` and began at `offset` means. */
static bool place_directory(struct str bytes, uint64_t end_at, uint64_t size, uint64_t offset,
                            struct end *ret)
{
    if (size > end_at || offset > end_at - size)
        return false;
    *ret = (struct end){
        .directory_at = end_at - size, .directory_bytes = size, .before = end_at - size - offset};
    return size == 0 || is_at(bytes, ret->directory_at, sizeof(uint32_t), ENTRY_SIGNATURE);
}

/* The ZIP64 record stands before its locator; what is between them is room for extensions. */
static bool read_end64(struct str bytes, uint64_t locator_at, struct end *ret)
{
    uint64_t at = locator_at - END64_SIZE;
    if (locator_at < END64_SIZE || !is_at(bytes, at, END64_SIZE, END64_SIGNATURE))
        at = rd_le64(bytes.p + locator_at + 8);
    if (at > locator_at || !is_at(bytes, at, END64_SIZE, END64_SIGNATURE))
        return false;
    return place_directory(bytes, at, rd_le64(bytes.p + at + 40), rd_le64(bytes.p + at + 48), ret);
}

/* A ZIP64 record that makes sense wins over the end record, whose numbers may be cut to 32 bits. */
static bool read_end(struct str bytes, uint64_t at, bool *ret_is_split, struct end *ret)
{
    const char *p = bytes.p + at;
    *ret_is_split = false;
    if (at >= LOCATOR_SIZE && is_at(bytes, at - LOCATOR_SIZE, LOCATOR_SIZE, LOCATOR_SIGNATURE) &&
        read_end64(bytes, at - LOCATOR_SIZE, ret))
        return true;
    *ret_is_split = rd_le16(p + 4) != rd_le16(p + 6);
    return place_directory(bytes, at, rd_le32(p + 12), rd_le32(p + 16), ret);
}

/*
 * The last end record that a directory stands before.  A comment may contain what looks like the
 * record of an empty archive, so an empty one counts only if there is no other.
 */
static bool find_end(struct str bytes, struct end *ret, struct err *err)
{
    bool is_split = false, is_found = false;
    if (bytes.n < END_SIZE)
        return not_zip(err);
    uint64_t last = bytes.n - END_SIZE, first = last - MIN(last, (uint64_t)COMMENT_MAX);
    for (uint64_t at = last + 1; at-- > first;) {
        bool this_is_split = false;
        struct end end;
        if (!is_at(bytes, at, END_SIZE, END_SIGNATURE))
            continue;
        bool is_good = read_end(bytes, at, &this_is_split, &end);
        is_split |= this_is_split;
        if (!is_good || this_is_split || (is_found && end.directory_bytes == 0))
            continue;
        *ret = end;
        is_found = true;
        if (end.directory_bytes > 0)
            return true;
    }
    if (is_found)
        return true;
    if (is_split)
        return err_set(err, ERR_INVALID,
                       "the archive is one part of several; make one archive of one part");
    return not_zip(err);
}

/* Sizes and offset that do not fit 32 bits stand in an extra field, in this order. */
static void read_extra(struct rd extra, uint64_t *const wide[3])
{
    while (rd_left(&extra) >= 4) {
        uint16_t id = rd_u16(&extra), n = rd_u16(&extra);
        struct rd field = rd_window(&extra, extra.off, n);
        rd_skip(&extra, n);
        if (id != EXTRA_ZIP64)
            continue;
        for (size_t i = 0; i < 3; i++)
            if (*wide[i] == UINT32_MAX && rd_left(&field) >= 8)
                *wide[i] = rd_u64(&field);
        return;
    }
}

/* Refusals say what to do: they are read by whoever wrote the script that made the archive. */
static bool check_method(const struct symzip_member *m, uint16_t flags, uint16_t method,
                         struct err *err)
{
    if (flags & (FLAG_ENCRYPTED | FLAG_HIDDEN))
        return err_set(err, ERR_INVALID,
                       "'" STR_FMT "' is encrypted; make the archive without a password",
                       STR_ARG(str_sub(m->name, 0, 150)));
    if ((method != METHOD_STORED && method != METHOD_DEFLATED) || flags & FLAG_PATCH)
        return err_set(err, ERR_INVALID,
                       "'" STR_FMT "' uses compression method %u, known are stored and deflate; "
                       "make the archive with one of them",
                       STR_ARG(str_sub(m->name, 0, 100)), method);
    return true;
}

/* The header in front of the data has name and extra field again, of lengths of its own. */
static bool find_data(struct symzip *z, struct symzip_member *m, uint64_t directory_at,
                      struct err *err)
{
    if (!is_at(z->bytes, m->header_at, LOCAL_SIZE, LOCAL_SIGNATURE))
        return err_set(err, ERR_INVALID, "the archive is damaged at '" STR_FMT "'; send it again",
                       STR_ARG(str_sub(m->name, 0, 150)));
    const char *lengths = z->bytes.p + m->header_at + LOCAL_LENGTHS_AT;
    uint64_t n = rd_le16(lengths);
    m->data_at = m->header_at + LOCAL_SIZE + n + rd_le16(lengths + 2);
    if (m->data_at > directory_at || m->packed_size > directory_at - m->data_at ||
        !str_eq(str_n(z->bytes.p + m->header_at + LOCAL_SIZE, n), m->name))
        return err_set(err, ERR_INVALID, "the archive is damaged at '" STR_FMT "'; send it again",
                       STR_ARG(str_sub(m->name, 0, 150)));
    return true;
}

/* 4.3.12: an entry of the directory; folders are passed over. */
static bool read_entry(struct symzip *z, struct rd *r, const struct end *end, uint64_t index,
                       struct err *err)
{
    struct symzip_member m = {.index = index};
    uint32_t signature = rd_u32(r);
    rd_skip(r, 4); /* versions */
    uint16_t flags = rd_u16(r), method = rd_u16(r);
    rd_skip(r, 4); /* time and date */
    m.crc = rd_u32(r);
    m.packed_size = rd_u32(r);
    m.size = rd_u32(r);
    uint16_t name_n = rd_u16(r), extra_n = rd_u16(r), comment_n = rd_u16(r);
    rd_skip(r, 8); /* disk and attributes */
    m.header_at = rd_u32(r);
    const uint8_t *name = rd_bytes(r, name_n);
    struct rd extra = rd_window(r, r->off, extra_n);
    rd_skip(r, (size_t)extra_n + comment_n);
    if (!rd_ok(r) || signature != ENTRY_SIGNATURE)
        return not_zip(err);
    m.name = str_n((const char *)name, name_n);
    uint64_t *const wide[] = {&m.size, &m.packed_size, &m.header_at};
    read_extra(extra, wide);
    if (str_ends(m.name, STR("/")) || (m.size == 0 && str_ends(m.name, STR("\\"))))
        return true; /* a folder */
    m.is_deflated = method == METHOD_DEFLATED;
    if (m.header_at > end->directory_at - MIN(end->before, end->directory_at))
        m.header_at = end->directory_at; /* find_data will say so */
    else
        m.header_at += end->before;
    if (!check_method(&m, flags, method, err) || !find_data(z, &m, end->directory_at, err))
        return false;
    if (!m.is_deflated && m.size != m.packed_size)
        return not_zip(err);
    VEC_PUSH(&z->members, m);
    return true;
}

/* The length of the directory decides; the number of entries in the end record is not looked at. */
bool symzip_list(struct symzip *z, uint64_t max_members, struct err *err)
{
    struct end end;
    if (!find_end(z->bytes, &end, err))
        return false;
    if (end.directory_bytes > DIRECTORY_MAX)
        return err_set(err, ERR_INVALID,
                       "archive with a directory of %llu bytes, allowed are %d; make several",
                       (unsigned long long)end.directory_bytes, DIRECTORY_MAX);
    struct rd r = rd_init(z->bytes.p + end.directory_at, (size_t)end.directory_bytes);
    for (uint64_t i = 0; rd_left(&r) > 0; i++) {
        if (i == max_members)
            return err_set(err, ERR_INVALID,
                           "the archive has more than %llu members; make several archives",
                           (unsigned long long)max_members);
        if (!read_entry(z, &r, &end, i, err))
            return false;
    }
    return true;
}
