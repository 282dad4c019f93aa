/*
 * What an archive of symbols may be.  Everything that the directory alone tells is judged when the
 * archive is opened, before anything is inflated, so that a small archive cannot cost much: members
 * may not share bytes, of equal names only the last is read, and how much comes out of how little
 * is limited.
 *
 * Symbol text deflates to a tenth, with many equal lines to a fortieth; deflate itself ends at
 * 1:1032.  RATIO_MAX is far above the one and far below the other, and files below the floor,
 * which cost milliseconds, may be as they like.
 *
 * Deflate is what gzip holds, too, so a member that is stored packed is copied with another head
 * and tail (symzip_gzip) and not inflated and deflated once more. How well it is packed was the
 * sender's choice; symbytes_is_packed_well leaves out who hardly tried.
 *
 * A member is inflated once, when it is read, and that is when its checksum is compared.  Whoever
 * stores an archive prepares all of its members before the first gets its name (symadd.c), so a
 * damaged one leaves nothing.  What nobody reads later is read when the archive is opened: ignored
 * members, and everything if the archive is refused for a name, for clients of the protocol expect
 * to hear first that it is damaged.
 */
#include "lib/symfile/symzip.h"

#include <zlib.h>

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/symfile/symbytes.h"
#include "lib/symfile/symforbid.h"

enum {
    MEMBERS_MAX = 10000,       /* 28 times the modules of the largest dump at hand */
    UNCOMPRESSED_MAX_GIB = 20, /* 2 GiB of upload (nginx/symbols.conf) at the usual tenth */
    RATIO_MAX = 200,
    RATIO_FLOOR = 4 << 20,        /* of one member */
    RATIO_FLOOR_TOTAL = 64 << 20, /* of all together */
    GZIP_HEAD = 10,               /* RFC 1952: magic, method, flags, time, extra flags, system */
    GZIP_TAIL = 8,                /* checksum and size, little-endian */
    GZIP_SYSTEM = 255,            /* unknown */
    BUFFER = 1 << 16,             /* twice the window of deflate, and stays in the cache */
    NAME_SHOWN = 80,              /* of a hostile name, in a message of one line */
    NAME_MAX_BYTES = 1000,        /* of ignored members too; a key has at most 300 */
};

#define SHOWN(name) STR_ARG(str_sub((name), 0, NAME_SHOWN))

/* Hands out what the inflater has made; *left is what the directory lets come yet.  Stored members
 * come in one piece. */
static bool pass_on(const struct symzip_member *m, uint64_t *left, uLong *crc, const void *p,
                    size_t n, symzip_piece *piece, void *arg, struct err *err)
{
    if (n > *left)
        return err_set(err, ERR_INVALID, "'" STR_FMT "' is larger than the archive says",
                       SHOWN(m->name));
    *left -= n;
    *crc = crc32_z(*crc, p, n);
    return piece(arg, p, n, err);
}

/*
 * Inflating ends when more comes out than the directory says, so a member costs at most what was
 * judged before.
 */
static bool inflate_member(struct str packed, const struct symzip_member *m, uint64_t *left,
                           uLong *crc, bool *is_whole, symzip_piece *piece, void *arg,
                           struct err *err)
{
    z_stream s = {.next_in = (Bytef *)packed.p};
    FREE_LATER uint8_t *out = xmalloc(BUFFER);
    size_t behind = packed.n;
    if (inflateInit2(&s, -MAX_WBITS) != Z_OK)
        return err_set(err, ERR_INTERNAL, "cannot start inflating");
    int status = Z_OK;
    bool ok = true;
    while (ok && status != Z_STREAM_END) {
        if (s.avail_in == 0) {
            s.avail_in = (uInt)MIN(behind, (size_t)1 << 30);
            behind -= s.avail_in;
        }
        s.next_out = out;
        s.avail_out = BUFFER;
        status = inflate(&s, Z_NO_FLUSH);
        if (status != Z_OK && status != Z_STREAM_END)
            ok = err_set(err, ERR_INVALID, "cannot read '" STR_FMT "': damaged; send it again",
                         SHOWN(m->name));
        else
            ok = pass_on(m, left, crc, out, BUFFER - s.avail_out, piece, arg, err);
    }
    *is_whole = s.avail_in == 0 && behind == 0;
    inflateEnd(&s);
    return ok;
}

/* The whole member or an error: pieces that were handed out before one are the caller's to drop.
 * *is_whole: no bytes lie behind the end of what was inflated. */
static bool read_member(const struct symzip *z, const struct symzip_member *m, bool *is_whole,
                        symzip_piece *piece, void *arg, struct err *err)
{
    struct str packed = str_sub(z->bytes, m->data_at, m->packed_size);
    uint64_t left = m->size;
    uLong crc = crc32_z(0, NULL, 0);
    bool ok = m->is_deflated ? inflate_member(packed, m, &left, &crc, is_whole, piece, arg, err)
                             : pass_on(m, &left, &crc, packed.p, packed.n, piece, arg, err);
    if (!ok)
        return false;
    if (left)
        return err_set(err, ERR_INVALID, "'" STR_FMT "' is smaller than the archive says",
                       SHOWN(m->name));
    if (crc != m->crc)
        return err_set(err, ERR_INVALID, "Bad CRC-32 for file '" STR_FMT "'", SHOWN(m->name));
    return true;
}

bool symzip_read(const struct symzip *z, struct symzip_member *m, symzip_piece *piece, void *arg,
                 struct err *err)
{
    bool is_whole = false;
    if (!read_member(z, m, &is_whole, piece, arg, err))
        return false;
    m->is_gzip_body =
        m->is_deflated && is_whole && symbytes_is_packed_well(m->packed_size, m->size);
    return true;
}

static void put_u32(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

bool symzip_gzip(const struct symzip *z, const struct symzip_member *m, int fd, struct err *err)
{
    const uint8_t head[GZIP_HEAD] = {0x1f, 0x8b, Z_DEFLATED, [GZIP_HEAD - 1] = GZIP_SYSTEM};
    uint8_t tail[GZIP_TAIL];
    struct str packed = str_sub(z->bytes, m->data_at, m->packed_size);
    put_u32(tail, m->crc);
    put_u32(tail + 4, m->size); /* modulo 2^32, as gzip has it */
    return fs_write_all(fd, head, sizeof head, "symbols file", err) &&
           fs_write_all(fd, packed.p, packed.n, "symbols file", err) &&
           fs_write_all(fd, tail, sizeof tail, "symbols file", err);
}

/* Compares by division, since a product of two sizes of 64 bits (ZIP64) could overflow. */
static bool is_bomb(uint64_t size, uint64_t packed_size, uint64_t floor)
{
    return size > floor && size / RATIO_MAX > packed_size;
}

/* Sizes and ratios as the directory tells them. */
static bool check_sizes(const struct symzip *z, const struct symzip_limits *limits, struct err *err)
{
    uint64_t max =
        limits->max_uncompressed ? limits->max_uncompressed : (uint64_t)UNCOMPRESSED_MAX_GIB << 30;
    uint64_t total = 0, packed = 0;
    for (size_t i = 0; i < z->members.n; i++) {
        const struct symzip_member *m = &z->members.v[i];
        if (m->size > max - MIN(total, max))
            return err_set(err, ERR_INVALID,
                           "the archive holds more than %llu bytes; make several archives",
                           (unsigned long long)max);
        total += m->size;
        packed += m->packed_size;
        if (is_bomb(m->size, m->packed_size, RATIO_FLOOR))
            return err_set(err, ERR_INVALID,
                           "'" STR_FMT "' grows to more than %d times its packed size; store it "
                           "uncompressed if it is what it should be",
                           SHOWN(m->name), RATIO_MAX);
    }
    if (is_bomb(total, packed, RATIO_FLOOR_TOTAL))
        return err_set(err, ERR_INVALID,
                       "the archive grows to more than %d times its size; store its members "
                       "uncompressed if they are what they should be",
                       RATIO_MAX);
    return true;
}

static int by_name(const void *a, const void *b)
{
    const struct symzip_member *x = *(struct symzip_member *const *)a;
    const struct symzip_member *y = *(struct symzip_member *const *)b;
    int c = str_cmp(x->name, y->name);
    return c ? c : (x->index > y->index) - (x->index < y->index);
}

static int by_place(const void *a, const void *b)
{
    const struct symzip_member *x = *(struct symzip_member *const *)a;
    const struct symzip_member *y = *(struct symzip_member *const *)b;
    return (x->header_at > y->header_at) - (x->header_at < y->header_at);
}

static int by_key(const void *a, const void *b)
{
    const struct symzip_member *x = *(struct symzip_member *const *)a;
    const struct symzip_member *y = *(struct symzip_member *const *)b;
    int c = strcmp(x->key.debug_file, y->key.debug_file);
    c = c ? c : strcmp(x->key.debug_id, y->key.debug_id);
    return c ? c : strcmp(x->key.file, y->key.file);
}

/* Pointers into the list, which keeps the order of the archive. */
static struct symzip_member **sorted_members(const struct symzip *z,
                                             int (*order)(const void *, const void *))
{
    struct symzip_member **sorted = xcalloc(z->members.n + 1, sizeof(struct symzip_member *));
    for (size_t i = 0; i < z->members.n; i++)
        sorted[i] = &z->members.v[i];
    qsort(sorted, z->members.n, sizeof *sorted, order);
    return sorted;
}

/* Of two members of one name and size the last counts. */
static bool drop_duplicates(struct symzip *z, struct err *err)
{
    size_t n = z->members.n, kept = 0;
    FREE_LATER struct symzip_member **sorted = sorted_members(z, by_name);
    FREE_LATER bool *drop = xcalloc(n + 1, sizeof *drop);
    for (size_t i = 1; i < n; i++) {
        const struct symzip_member *a = sorted[i - 1], *b = sorted[i];
        if (!str_eq(a->name, b->name))
            continue;
        if (a->size != b->size)
            return err_set(err, ERR_INVALID,
                           "The zipfile buffer contains two files both called " STR_FMT
                           " and they have difference sizes (%llu != %llu)",
                           SHOWN(b->name), (unsigned long long)b->size,
                           (unsigned long long)a->size);
        drop[a - z->members.v] = true;
    }
    for (size_t i = 0; i < n; i++)
        if (!drop[i])
            z->members.v[kept++] = z->members.v[i];
    z->members.n = kept;
    return true;
}

/* A thousand members that are the same megabytes would be inflated a thousand times. */
static bool check_places(const struct symzip *z, struct err *err)
{
    FREE_LATER struct symzip_member **sorted = sorted_members(z, by_place);
    for (size_t i = 1; i < z->members.n; i++) {
        const struct symzip_member *a = sorted[i - 1], *b = sorted[i];
        if (a->data_at + a->packed_size > b->header_at)
            return err_set(err, ERR_INVALID,
                           "'" STR_FMT "' and '" STR_FMT
                           "' share bytes of the archive; make it again",
                           SHOWN(a->name), SHOWN(b->name));
    }
    return true;
}

/* What build systems pack beside symbols: lists of files, and folders of macOS. */
static bool is_ignored(struct str name)
{
    size_t slash = str_rfind_char(name, '/');
    if (slash != SIZE_MAX)
        return str_eq(str_sub(name, slash + 1, SIZE_MAX), STR(".DS_Store"));
    struct str tail = STR("-symbols.txt");
    return str_eq(name, STR(".DS_Store")) ||
           (name.n >= tail.n && str_eq_nocase(str_sub(name, name.n - tail.n, tail.n), tail));
}

/*
 * "./" in front means nothing.  Archives made by some programs on Windows have backslashes;
 * no key has one, so it can only be meant as a separator.
 */
static struct str plain_name(struct str name, char buf[SYMKEY_MAX])
{
    while (str_starts(name, STR("./")) || str_starts(name, STR(".\\")))
        name = str_sub(name, 2, SIZE_MAX);
    if (name.n > SYMKEY_MAX || str_find_char(name, '\\', 0) == SIZE_MAX ||
        str_find_char(name, '/', 0) != SIZE_MAX)
        return name;
    for (size_t i = 0; i < name.n; i++)
        buf[i] = name.p[i] == '\\' ? '/' : name.p[i];
    return str_n(buf, name.n);
}

bool symzip_key(struct str name, struct symkey *ret, struct err *err)
{
    char buf[SYMKEY_MAX];
    return symkey_parse(plain_name(name, buf), ret, err);
}

/* Of each member the snippet first, then the pattern: the order that clients of the protocol
 * know. */
static bool check_member_name(struct symzip_member *m, struct str snippets, struct err *err)
{
    char buf[SYMKEY_MAX];
    struct str name = plain_name(m->name, buf), snippet = m->forbidden;
    if (snippet.n || symforbid_in_name(name, snippets, &snippet))
        return err_set(err, ERR_INVALID,
                       "Content of archive file contains the snippet '" STR_FMT
                       "' which is not allowed",
                       STR_ARG(snippet));
    m->is_ignored = is_ignored(name);
    if (m->name.n > NAME_MAX_BYTES || memchr(m->name.p, 0, m->name.n) ||
        (!m->is_ignored && !symkey_parse(name, &m->key, ERR_IGNORED)))
        return err_set(err, ERR_INVALID,
                       "Unrecognized file pattern. Should only be <module>/<hex>/<file> or "
                       "<name>-symbols.txt and nothing else. (First unrecognized pattern was "
                       "'" STR_FMT "')",
                       SHOWN(m->name));
    return true;
}

/* Names that differ in the archive may name one stored file: "a/ab/c" and "./a/AB/c". */
static bool check_keys(const struct symzip *z, struct err *err)
{
    FREE_LATER struct symzip_member **sorted = sorted_members(z, by_key);
    for (size_t i = 1; i < z->members.n; i++) {
        const struct symzip_member *a = sorted[i - 1], *b = sorted[i];
        if (!a->is_ignored && !b->is_ignored && by_key(&sorted[i - 1], &sorted[i]) == 0)
            return err_set(err, ERR_INVALID,
                           "'" STR_FMT "' and '" STR_FMT
                           "' name the same symbols file; leave one of them out",
                           SHOWN(a->name), SHOWN(b->name));
    }
    return true;
}

/* For the checksums, and what FILE records say. */
static bool scan_piece(void *arg, const void *p, size_t n, struct err *err)
{
    struct symforbid_scan *scan = arg;
    (void)err;
    if (scan)
        symforbid_feed(scan, str_n(p, n));
    return true;
}

static bool read_through(const struct symzip *z, struct symzip_member *m,
                         const struct symzip_limits *limits, struct err *err)
{
    struct str end = STR(".sym");
    bool is_text =
        m->name.n > end.n && str_eq_nocase(str_sub(m->name, m->name.n - end.n, end.n), end);
    struct symforbid_scan scan = {.snippets = limits->snippets};
    bool scans = limits->checks_content && is_text;
    if (!symzip_read(z, m, scan_piece, scans ? &scan : NULL, err))
        return false;
    symforbid_end(&scan);
    m->forbidden = scan.found;
    return true;
}

static bool check_names(struct symzip *z, const struct symzip_limits *limits, struct err *err)
{
    for (size_t i = 0; i < z->members.n; i++)
        if (!check_member_name(&z->members.v[i], limits->snippets, err))
            return false;
    return check_keys(z, err);
}

/* Names are judged twice if one is wrong: before, to know that, and again when damage would have
 * been told. */
static bool check_members(struct symzip *z, const struct symzip_limits *limits, struct err *err)
{
    if (!symzip_list(z, limits->max_members ? limits->max_members : MEMBERS_MAX, err) ||
        !check_sizes(z, limits, err) || !drop_duplicates(z, err) || !check_places(z, err))
        return false;
    bool reads_all = limits->checks_content || !check_names(z, limits, ERR_IGNORED);
    for (size_t i = 0; i < z->members.n; i++)
        if ((reads_all || z->members.v[i].is_ignored) &&
            !read_through(z, &z->members.v[i], limits, err))
            return false;
    return check_names(z, limits, err);
}

bool symzip_open(struct str bytes, const struct symzip_limits *limits, struct symzip *ret,
                 struct err *err)
{
    struct symzip z = {.bytes = bytes};
    if (!check_members(&z, limits, err)) {
        symzip_close(&z);
        return false;
    }
    *ret = z;
    return true;
}

void symzip_close(struct symzip *z)
{
    VEC_RELEASE(&z->members);
}
