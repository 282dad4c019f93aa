/*
 * Where every byte of a dump comes in: header, directory, lists and strings.  All counts and
 * offsets are compared with the bytes that are there before anything is read or allocated,
 * and texts leave here as UTF-8.
 */
#include "lib/minidump/mdmp.h"

#include <stdio.h>

#include "lib/base/util.h"

/*
 * "MDMP" as a little-endian word.  A dump written by a big-endian machine (PowerPC, old mips) has
 * the same four letters in its own order, which is how its byte order is known.
 */
enum { MDMP_SIGNATURE = 0x504d444d, MDMP_SIGNATURE_BE = 0x4d444d50 };

bool mdmp_open(const void *bytes, size_t len, struct mdmp *ret_dump, struct err *err)
{
    struct rd file = rd_init(bytes, len);
    struct rd h = rd_window(&file, 0, MDMP_HEADER_SIZE);
    if (!rd_ok(&h))
        return err_set(err, ERR_INVALID, "MissingHeader - the file has %zu bytes", len);
    uint32_t signature = rd_u32(&h);
    if (signature == MDMP_SIGNATURE_BE)
        file.big = h.big = true;
    else if (signature != MDMP_SIGNATURE)
        return err_set(err, ERR_INVALID, "HeaderMismatch - no minidump signature but %08x",
                       signature);

    uint32_t version = rd_u32(&h);
    uint32_t count = rd_u32(&h);
    uint32_t dir_off = rd_u32(&h);
    rd_skip(&h, 4); /* checksum: nobody fills it in */
    uint32_t time_s = rd_u32(&h);
    uint64_t flags = rd_u64(&h);
    if ((version & 0xffff) != MDMP_VERSION)
        return err_set(err, ERR_INVALID, "VersionMismatch - version %08x", version);

    /*
     * The whole directory must be there although only the first MDMP_STREAMS_MAX entries are looked
     * at: a count that lies is a damaged file, and everything after it would be a guess.
     */
    struct rd dir = rd_window(&file, dir_off, (size_t)count * MDMP_DIR_ENTRY_SIZE);
    if (!rd_ok(&dir))
        return err_set(err, ERR_INVALID,
                       "MissingDirectory - %u streams at %u exceed the %zu bytes of the file",
                       count, dir_off, len);

    *ret_dump = (struct mdmp){
        .file = file,
        .dir = dir,
        .stream_count = count,
        .time_s = time_s,
        .flags = flags,
    };
    return true;
}

struct mdmp_dir_entry mdmp_dir_entry(const struct mdmp *d, uint32_t index)
{
    struct rd r = d->dir;
    rd_seek(&r, (size_t)index * MDMP_DIR_ENTRY_SIZE);
    struct mdmp_dir_entry e;
    e.type = rd_u32(&r);
    e.size_bytes = rd_u32(&r);
    e.rva = rd_u32(&r);
    return e;
}

bool mdmp_stream(const struct mdmp *d, uint32_t type, struct rd *ret_body, struct err *err)
{
    /*
     * From the end: a handler that writes a stream a second time, when the first attempt failed
     * half way, appends it, and the later one is the complete one.
     */
    for (uint32_t i = MIN(d->stream_count, (uint32_t)MDMP_STREAMS_MAX); i-- > 0;) {
        struct mdmp_dir_entry e = mdmp_dir_entry(d, i);
        if (e.type != type)
            continue;
        struct rd body = mdmp_at(d, e.rva, e.size_bytes);
        if (!rd_ok(&body))
            return err_set(err, ERR_INVALID, "stream %u of %u bytes at %u lies outside the file",
                           type, e.size_bytes, e.rva);
        *ret_body = body;
        return true;
    }
    return err_set(err, ERR_NOT_FOUND, "no stream %u", type);
}

struct rd mdmp_at(const struct mdmp *d, uint64_t off, uint64_t len)
{
    return rd_try_window(&d->file, off, len);
}

/* Every public type; those that are only reported have no name in the header. */
static const struct {
    uint32_t type;
    const char *name;
} stream_names[] = {
    {0, "Unused"},
    {3, "ThreadList"},
    {4, "ModuleList"},
    {5, "MemoryList"},
    {6, "Exception"},
    {7, "SystemInfo"},
    {8, "ThreadExList"},
    {9, "Memory64List"},
    {10, "CommentA"},
    {11, "CommentW"},
    {12, "HandleData"},
    {13, "FunctionTable"},
    {14, "UnloadedModuleList"},
    {15, "MiscInfo"},
    {16, "MemoryInfoList"},
    {17, "ThreadInfoList"},
    {18, "HandleOperationList"},
    {19, "Token"},
    {20, "JavaScriptData"},
    {21, "SystemMemoryInfo"},
    {22, "ProcessVmCounters"},
    {23, "IptTrace"},
    {24, "ThreadNames"},
    {0xffff, "LastReserved"},
    {0x47670001, "BreakpadInfo"},
    {0x47670002, "AssertionInfo"},
    {0x47670003, "LinuxCpuInfo"},
    {0x47670004, "LinuxProcStatus"},
    {0x47670005, "LinuxLsbRelease"},
    {0x47670006, "LinuxCmdLine"},
    {0x47670007, "LinuxEnviron"},
    {0x47670008, "LinuxAuxv"},
    {0x47670009, "LinuxMaps"},
    {0x4767000a, "LinuxDsoDebug"},
    {0x43500001, "CrashpadInfo"},
    {0x4350ffff, "CrashpadLastReserved"},
    {0x4b6b0002, "StabilityReport"},
    {0x4d7a0001, "MozMacosCrashInfo"},
    {0x4d7a0002, "MozMacosBootargs"},
    {0x4d7a0003, "MozLinuxLimits"},
    {0x4d7a0004, "MozSoftErrors"},
};

const char *mdmp_stream_name(uint32_t type)
{
    for (size_t i = 0; i < ARRAY_LEN(stream_names); i++)
        if (stream_names[i].type == type)
            return stream_names[i].name;
    return "Unknown";
}

/*
 * The lists of the first generation have a count and nothing else.  Breakpad's writers on 64-bit
 * machines let the compiler align the entries to 8 bytes, so four bytes of padding may follow the
 * count; nothing but the length of the stream tells.
 */
bool mdmp_list(struct rd body, size_t entry_size, struct mdmp_list *ret, struct err *err)
{
    uint32_t count = rd_u32(&body);
    size_t need = (size_t)count * entry_size, left = rd_left(&body);
    if (!rd_ok(&body) || need > left)
        return err_set(err, ERR_INVALID, "a list of %u entries of %zu bytes in %zu bytes", count,
                       entry_size, left);
    size_t pad = left == need + 4 ? 4 : 0; /* writers that align entries to 8 */
    *ret = (struct mdmp_list){
        .body = rd_window(&body, 4 + pad, need), .step = entry_size, .count = count};
    return true;
}

/*
 * The lists of the second generation tell the size of their header and of one entry, so that later
 * versions may append members.  Entries longer than known are read in their known part; shorter
 * ones, or a header that does not even hold its own three numbers, are damage.  The count is
 * compared by division, so that no product can wrap.
 */
bool mdmp_list_ex(struct rd body, size_t known_size, bool has_wide_count, struct mdmp_list *ret,
                  struct err *err)
{
    uint32_t header_size = rd_u32(&body);
    uint32_t entry_size = rd_u32(&body);
    uint64_t count = has_wide_count ? rd_u64(&body) : rd_u32(&body);
    if (!rd_ok(&body) || header_size < body.off || header_size > body.n || entry_size < known_size)
        return err_set(err, ERR_INVALID, "a list with a header of %u and entries of %u bytes",
                       header_size, entry_size);
    size_t room = (body.n - header_size) / entry_size;
    if (count > room)
        return err_set(err, ERR_INVALID, "a list of %llu entries where %zu fit",
                       (unsigned long long)count, room);
    *ret = (struct mdmp_list){
        .body = rd_window(&body, header_size, (size_t)count * entry_size),
        .step = entry_size,
        .count = (size_t)count,
    };
    return true;
}

struct rd mdmp_list_entry(const struct mdmp_list *l, size_t index)
{
    return rd_try_window(&l->body, (uint64_t)index * l->step, l->step);
}

/* Room for n bytes of text and a terminator, or NULL when the pool is used up. */
static char *pool_take(struct mdmp_pool *pool, size_t n)
{
    if (n >= pool->text_left || !arena_fits(pool->arena, n + 1, "text of a dump", ERR_IGNORED))
        return NULL;
    pool->text_left -= n + 1;
    return arena_alloc(pool->arena, n + 1);
}

/*
 * One code point from UTF-16 units; false for a lone surrogate (which is consumed,
 * its partner-to-be is not).
 */
static bool utf16_next(struct rd *r, uint32_t *ret)
{
    uint32_t unit = rd_u16(r);
    *ret = unit;
    if (unit < 0xd800 || unit > 0xdfff)
        return true;
    struct rd ahead = *r;
    uint32_t low = rd_u16(&ahead);
    if (unit > 0xdbff || !rd_ok(&ahead) || low < 0xdc00 || low > 0xdfff)
        return false;
    *r = ahead;
    *ret = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

/*
 * A string that is wrong anywhere is refused as a whole: names of modules are keys to symbols, and
 * half a name would find the wrong ones.
 */
bool mdmp_string(const struct mdmp *d, uint64_t rva, struct mdmp_pool *pool, struct str *ret,
                 struct err *err)
{
    struct rd head = mdmp_at(d, rva, 4);
    uint32_t len = rd_u32(&head);
    struct rd units = mdmp_at(d, rva + 4, len);
    if (!rd_ok(&head) || !rd_ok(&units) || len % 2)
        return err_set(err, ERR_INVALID, "no string at %llu", (unsigned long long)rva);
    if (len > MDMP_STRING_MAX)
        return err_set(err, ERR_TOO_LARGE, "a string of %u bytes", len);
    char *out = pool_take(pool, (size_t)len / 2 * 3); /* a unit becomes at most three bytes */
    if (!out)
        return err_set(err, ERR_TOO_LARGE, "too much text in one dump");
    size_t n = 0;
    while (rd_left(&units)) {
        uint32_t cp;
        if (!utf16_next(&units, &cp))
            return err_set(err, ERR_INVALID, "a lone surrogate in the string at %llu",
                           (unsigned long long)rva);
        n += utf8_put(out + n, cp);
    }
    *ret = str_n(out, n);
    return true;
}

/*
 * Fields of fixed size are text for people (an assertion), so what cannot be decoded is replaced
 * and the rest is kept.
 */
struct str mdmp_utf16_field(struct rd *r, size_t unit_count, struct mdmp_pool *pool)
{
    struct rd units = rd_window(r, r->off, unit_count * 2);
    rd_skip(r, unit_count * 2);
    char *out = pool_take(pool, unit_count * 3);
    if (!out)
        return STR_NONE;
    size_t n = 0;
    while (rd_left(&units)) {
        uint32_t cp;
        bool ok = utf16_next(&units, &cp);
        if (ok && cp == 0)
            break;
        n += utf8_put(out + n, ok ? cp : 0xfffd);
    }
    return str_n(out, n);
}

bool mdmp_utf8_string(const struct mdmp *d, uint64_t rva, size_t max, struct str *ret,
                      struct err *err)
{
    struct rd head = mdmp_at(d, rva, 4);
    uint32_t len = rd_u32(&head);
    struct rd text = mdmp_at(d, rva + 4, (uint64_t)len + 1);
    const uint8_t *p = rd_bytes(&text, len);
    if (!rd_ok(&head) || !p || rd_u8(&text) != 0 || !rd_ok(&text))
        return err_set(err, ERR_INVALID, "no UTF-8 string at %llu", (unsigned long long)rva);
    if (len > max)
        return err_set(err, ERR_TOO_LARGE, "a string of %u bytes", len);
    *ret = str_n((const char *)p, len);
    return true;
}

/*
 * The first three members of a GUID are numbers and turn with the byte order of the dump, the last
 * eight bytes are bytes.  This mixed order is why ids of the same file differ from the hex of its
 * build id.
 */
bool mdmp_guid(struct rd *r, char out[33])
{
    uint32_t data1 = rd_u32(r);
    uint16_t data2 = rd_u16(r), data3 = rd_u16(r);
    int n = snprintf(out, 33, "%08X%04X%04X", data1, data2, data3);
    bool any = data1 || data2 || data3;
    for (int i = 0; i < 8; i++) {
        uint8_t b = rd_u8(r);
        any |= b != 0;
        n += snprintf(out + n, 33 - (size_t)n, "%02X", b);
    }
    return any && rd_ok(r);
}

bool mdmp_is_label(struct str path)
{
    return (str_starts(path, STR("[anon:")) || str_starts(path, STR("[anon_shmem:"))) &&
           path.p[path.n - 1] == ']';
}

struct str mdmp_base_name(struct str path)
{
    if (mdmp_is_label(path))
        return path;
    size_t from = path.n;
    while (from > 0 && path.p[from - 1] != '/' && path.p[from - 1] != '\\')
        from--;
    return str_sub(path, from, SIZE_MAX);
}
