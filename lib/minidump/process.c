/*
 * Streams that describe the process and its machine as a whole: ids and times, Linux' texts
 * (status, cpuinfo, lsb-release, limits), handles, assertions, macOS' crash info, boot arguments
 * and soft errors.  All of them are optional: a stream that is missing or damaged leaves its values
 * unset and is no reason to refuse a dump.
 *
 * Texts of Linux are copied into the dump as the kernel printed them, so they are read by lines
 * with a forgiving reader, whose first match wins.  The layouts of the Moz… streams are those that
 * Firefox's writers use; they have no other documentation than their source.
 */
#include "lib/minidump/process.h"

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/rd.h"
#include "lib/base/str.h"
#include "lib/base/util.h"

/*
 * Bits of MiscInfo's flags; the handle record of minidumpapiset.h; the arrays of 128 UTF-16 units
 * in MDRawAssertionInfo; the longest text that macOS' crash info may hold.
 */
enum {
    MISC_HAS_PID = 1,
    MISC_HAS_TIMES = 2,
    HANDLE_SIZE = 32,
    ASSERTION_CHARS = 128,
    MAC_STRING_MAX = 8192,
};

static struct str text_of(struct rd body)
{
    return str_n((const char *)body.p, body.n);
}

static struct str unquote(struct str s)
{
    bool quoted = s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"';
    return quoted ? str_sub(s, 1, s.n - 2) : s;
}

/* Next line with a separator, split and trimmed; false at the end. */
static bool next_pair(struct str *rest, char sep, struct str *ret_key, struct str *ret_value)
{
    struct str line;
    while (str_split(rest, '\n', &line)) {
        size_t at = str_find_char(line, sep, 0);
        if (at == SIZE_MAX)
            continue;
        *ret_key = unquote(str_trim(str_sub(line, 0, at)));
        *ret_value = unquote(str_trim(str_sub(line, at + 1, SIZE_MAX)));
        return true;
    }
    return false;
}

/*
 * Written with 0x by the kernel and by Firefox's annotation; a number without it would be
 * ambiguous.
 */
bool mdmp_parse_microcode(struct str text, uint64_t *ret)
{
    return str_starts(text, STR("0x")) &&
           str_to_u64(str_sub(text, 2, SIZE_MAX), 16, UINT64_MAX, "microcode", ret, ERR_IGNORED);
}

/*
 * Members are read one by one and taken while they are there: MiscInfo grew four times, and the
 * flags of a short one may promise what it does not hold.
 */
static void read_misc(const struct mdmp *d, struct mdmp_process *p)
{
    struct rd r;
    if (!mdmp_stream(d, MDMP_MISC_INFO, &r, ERR_IGNORED))
        return;
    rd_skip(&r, 4); /* size */
    uint32_t flags = rd_u32(&r);
    uint32_t pid = rd_u32(&r);
    if (rd_ok(&r) && flags & MISC_HAS_PID) {
        p->has_pid = true;
        p->pid = pid;
    }
    uint32_t create_time_s = rd_u32(&r);
    if (rd_ok(&r) && flags & MISC_HAS_TIMES) {
        p->has_create_time = true;
        p->create_time_s = create_time_s;
    }
}

struct mdmp_process mdmp_process_read(const struct mdmp *d)
{
    struct mdmp_process p = {0};
    read_misc(d, &p);
    struct rd body;
    struct str rest, key, value;
    uint64_t n;
    if (!p.has_pid && mdmp_stream(d, MDMP_LINUX_PROC_STATUS, &body, ERR_IGNORED)) {
        rest = text_of(body);
        while (!p.has_pid && next_pair(&rest, ':', &key, &value)) {
            if (str_eq(key, STR("Pid")) &&
                str_to_u64(value, 10, UINT32_MAX, "pid", &n, ERR_IGNORED)) {
                p.has_pid = true;
                p.pid = (uint32_t)n;
            }
        }
    }
    if (mdmp_stream(d, MDMP_LINUX_CPU_INFO, &body, ERR_IGNORED)) {
        rest = text_of(body);
        while (next_pair(&rest, ':', &key, &value)) {
            if (str_eq(key, STR("microcode"))) {
                p.has_microcode = mdmp_parse_microcode(value, &p.microcode);
                break;
            }
        }
    }
    return p;
}

bool mdmp_lsb_read(const struct mdmp *d, struct mdmp_lsb *ret)
{
    struct rd body;
    if (!mdmp_stream(d, MDMP_LINUX_LSB_RELEASE, &body, ERR_IGNORED))
        return false;
    struct mdmp_lsb lsb = {
        .id = STR(""), .release = STR(""), .codename = STR(""), .description = STR("")};
    /* Names of lsb-release and of os-release. */
    const struct {
        const char *lsb, *os;
        struct str *value;
    } keys[] = {
        {"DISTRIB_ID", "ID", &lsb.id},
        {"DISTRIB_RELEASE", "VERSION_ID", &lsb.release},
        {"DISTRIB_CODENAME", "VERSION_CODENAME", &lsb.codename},
        {"DISTRIB_DESCRIPTION", "PRETTY_NAME", &lsb.description},
    };
    struct str rest = text_of(body), key, value;
    while (next_pair(&rest, '=', &key, &value))
        for (size_t i = 0; i < ARRAY_LEN(keys); i++)
            if (str_eq(key, str_of(keys[i].lsb)) || str_eq(key, str_of(keys[i].os)))
                *keys[i].value = value;
    *ret = lsb;
    return true;
}

/* Cuts the part before the next two blanks off the front. */
static struct str next_column(struct str *rest)
{
    *rest = str_trim(*rest);
    size_t at = str_find(*rest, STR("  "), 0);
    struct str column = str_sub(*rest, 0, at);
    *rest = str_sub(*rest, column.n, SIZE_MAX);
    return column;
}

/*
 * The table of /proc/PID/limits: one line of headings, then columns separated by two or more blanks
 * (names hold single ones, "Max cpu time").  The last column, the unit, may be missing ("Max nice
 * priority").
 */
bool mdmp_limits_read(const struct mdmp *d, struct arena *a, struct mdmp_limits *ret)
{
    struct rd body;
    if (!mdmp_stream(d, MDMP_MOZ_LINUX_LIMITS, &body, ERR_IGNORED))
        return false;
    struct mdmp_limits limits = {.v = arena_array(a, MDMP_LIMITS_MAX, sizeof *limits.v)};
    struct str rest = text_of(body), line;
    bool seen_header = false;
    while (limits.n < MDMP_LIMITS_MAX && str_split(&rest, '\n', &line)) {
        line = str_trim(line);
        if (line.n == 0)
            continue;
        if (!seen_header) {
            seen_header = true;
            continue;
        }
        struct mdmp_limit l;
        l.name = next_column(&line);
        l.soft = next_column(&line);
        l.hard = next_column(&line);
        l.unit = next_column(&line);
        if (l.unit.n == 0)
            l.unit = STR("n/a");
        limits.v[limits.n++] = l;
    }
    *ret = limits;
    return true;
}

bool mdmp_handles_read(const struct mdmp *d, struct mdmp_pool *pool, struct mdmp_handles *ret)
{
    struct rd body;
    struct mdmp_list list;
    if (!mdmp_stream(d, MDMP_HANDLE_DATA, &body, ERR_IGNORED) ||
        !mdmp_list_ex(body, HANDLE_SIZE, false, &list, ERR_IGNORED))
        return false;
    struct mdmp_handles handles = {.n = MIN(list.count, (size_t)MDMP_HANDLES_MAX)};
    handles.v = arena_array(pool->arena, handles.n, sizeof *handles.v);
    for (size_t i = 0; i < handles.n; i++) {
        struct rd e = mdmp_list_entry(&list, i);
        handles.v[i].handle = rd_u64(&e);
        uint32_t type_rva = rd_u32(&e);
        uint32_t object_rva = rd_u32(&e);
        if (type_rva)
            mdmp_string(d, type_rva, pool, &handles.v[i].type_name, ERR_IGNORED);
        if (object_rva)
            mdmp_string(d, object_rva, pool, &handles.v[i].object_name, ERR_IGNORED);
    }
    *ret = handles;
    return true;
}

/*
 * One sentence for people from what the C runtime told: the expression, or what kind of check it
 * was, and where.
 */
bool mdmp_assertion_read(const struct mdmp *d, struct mdmp_pool *pool, struct str *ret)
{
    static const char *const kinds[] = {NULL, "invalid parameter", "pure virtual call"};
    struct rd r;
    if (!mdmp_stream(d, MDMP_ASSERTION_INFO, &r, ERR_IGNORED))
        return false;
    struct str expression = mdmp_utf16_field(&r, ASSERTION_CHARS, pool);
    struct str function = mdmp_utf16_field(&r, ASSERTION_CHARS, pool);
    struct str file = mdmp_utf16_field(&r, ASSERTION_CHARS, pool);
    uint32_t line = rd_u32(&r);
    uint32_t kind = rd_u32(&r);
    if (!rd_ok(&r))
        return false;
    STRBUF_AUTO b;
    sb_init(&b, 4096);
    if (expression.n)
        sb_str(&b, expression);
    else if (kind < ARRAY_LEN(kinds) && kinds[kind])
        sb_text(&b, kinds[kind]);
    if (function.n)
        sb_printf(&b, " in function " STR_FMT, STR_ARG(function));
    if (file.n)
        sb_printf(&b, " at file " STR_FMT ":%u", STR_ARG(file), line);
    if (b.n == 0)
        return false;
    *ret = str_copy(pool->arena, str_trim(sb_view(&b)));
    return true;
}

/* NUL-terminated text of at most MAC_STRING_MAX bytes inside r. */
static bool mac_string(struct rd *r, struct str *ret)
{
    struct rd look = *r;
    const char *p = (const char *)rd_bytes(&look, rd_left(r));
    size_t n = p ? strnlen(p, MIN(rd_left(r), (size_t)MAC_STRING_MAX + 1)) : 0;
    if (!p || n == rd_left(r) || n > MAC_STRING_MAX)
        return false;
    rd_skip(r, n + 1);
    *ret = str_n(p, n);
    return true;
}

/*
 * Numbers first, then texts from record_start on.  Versions 4 and 5 appended numbers; every record
 * of a stream has the same version, so a second one means that the offsets do not point at records.
 */
static bool mac_record(struct rd r, uint32_t record_start, uint64_t *version,
                       struct mdmp_mac_record *ret)
{
    struct mdmp_mac_record rec = {0};
    rd_skip(&r, 8); /* stream type again */
    uint64_t v = rd_u64(&r);
    if (*version == 0)
        *version = v;
    if (v >= 4) {
        rec.thread = rd_u64(&r);
        rec.dialog_mode = rd_u64(&r);
    }
    if (v >= 5)
        rec.abort_cause = rd_u64(&r);
    if (!rd_ok(&r) || v != *version || record_start < r.off)
        return false;
    rd_seek(&r, record_start);
    struct str *const strings[] = {&rec.module, &rec.message, &rec.signature_string, &rec.backtrace,
                                   &rec.message2};
    for (size_t i = 0; i < ARRAY_LEN(strings); i++)
        if (!mac_string(&r, strings[i]))
            return false;
    *ret = rec;
    return true;
}

bool mdmp_mac_info_read(const struct mdmp *d, struct mdmp_mac_info *ret)
{
    struct rd r;
    if (!mdmp_stream(d, MDMP_MOZ_MACOS_CRASH_INFO, &r, ERR_IGNORED))
        return false;
    rd_skip(&r, 4); /* stream type again */
    uint32_t count = rd_u32(&r);
    count = MIN(count, (uint32_t)MDMP_MAC_RECORDS_MAX);
    uint32_t record_start = rd_u32(&r);
    struct mdmp_mac_info info = {0};
    uint64_t version = 0; /* records of different versions: the stream is damaged */
    for (uint32_t i = 0; i < count; i++) {
        uint32_t size = rd_u32(&r);
        uint32_t rva = rd_u32(&r);
        if (!rd_ok(&r) || !mac_record(mdmp_at(d, rva, size), record_start, &version, &info.v[i]))
            return false;
        info.n++;
    }
    *ret = info;
    return rd_ok(&r);
}

bool mdmp_mac_bootargs_read(const struct mdmp *d, struct mdmp_pool *pool, struct str *ret)
{
    struct rd r;
    if (!mdmp_stream(d, MDMP_MOZ_MACOS_BOOTARGS, &r, ERR_IGNORED))
        return false;
    rd_skip(&r, 4); /* stream type again */
    uint64_t rva = rd_u64(&r);
    return rd_ok(&r) && mdmp_string(d, rva, pool, ret, ERR_IGNORED);
}

bool mdmp_soft_errors_read(const struct mdmp *d, struct str *ret)
{
    struct rd r;
    if (!mdmp_stream(d, MDMP_MOZ_SOFT_ERRORS, &r, ERR_IGNORED))
        return false;
    *ret = text_of(r);
    return true;
}
