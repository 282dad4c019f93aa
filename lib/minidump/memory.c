/*
 * Memory contents and the map of the address space.  Ranges come from the dump as they are,
 * overlapping and wrapping; range.c settles which of them are found.
 *
 * Linux' maps text is read even where Windows' list decides about access, because only the
 * text has the number of mappings and the labels of anonymous ones.
 */
#include "lib/minidump/memory.h"

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/rd.h"
#include "lib/base/str.h"
#include "lib/base/util.h"

/*
 * Sizes of MINIDUMP_MEMORY_DESCRIPTOR(64) and MINIDUMP_MEMORY_INFO, and fewer bytes than any line
 * of /proc/PID/maps has (two addresses, permissions, offset, device, inode), which bounds the count
 * of lines by the bytes that are there.  STATE_FREE is MEM_FREE of winnt.h.
 */
enum { DESCRIPTOR_SIZE = 16, MEMORY_INFO_SIZE = 48, MAPS_LINE_MIN = 20, STATE_FREE = 0x10000 };

static void memory_init(struct mdmp_memory *m, struct arena *a, size_t cap)
{
    m->regions = arena_array(a, cap, sizeof *m->regions);
    ranges_init(&m->index, a, cap);
}

/*
 * The index of a region is its place in `regions`, so both grow together: a range that was dropped
 * (it would wrap around the end of the address space) must not leave a hole.
 */
static void add_region(struct mdmp_memory *m, uint64_t base, struct rd bytes)
{
    size_t i = m->index.n;
    if (!rd_ok(&bytes) || bytes.n == 0 || i == m->index.cap)
        return;
    ranges_add(&m->index, base, bytes.n, (uint32_t)i);
    if (m->index.n > i) /* not dropped for wrapping */
        m->regions[i] = (struct mdmp_region){base, bytes};
}

/*
 * Full dumps: one start offset for all contents, then only address and size of each piece.  A list
 * that promises more than the stream holds is read as far as it goes.
 */
static bool read_list64(const struct mdmp *d, struct arena *a, struct mdmp_memory *m)
{
    struct rd body;
    if (!mdmp_stream(d, MDMP_MEMORY64_LIST, &body, ERR_IGNORED))
        return false;
    uint64_t count = rd_u64(&body);
    uint64_t rva = rd_u64(&body);
    size_t n = MIN(rd_left(&body) / DESCRIPTOR_SIZE, (size_t)MDMP_REGIONS_MAX);
    n = count < n ? (size_t)count : n;
    memory_init(m, a, n);
    for (size_t i = 0; i < n; i++) {
        uint64_t base = rd_u64(&body);
        uint64_t size = rd_u64(&body);
        struct rd bytes = mdmp_at(d, rva, size);
        if (!rd_ok(&bytes))
            break; /* contents lie back to back: nothing behind this one can be found */
        add_region(m, base, bytes);
        rva += size;
    }
    return true;
}

/*
 * Small dumps: every piece says where its bytes lie.  An offset of 0 would be the header of the
 * file; some writers leave it for pieces they could not copy.
 */
static bool read_list(const struct mdmp *d, struct arena *a, struct mdmp_memory *m)
{
    struct rd body;
    struct mdmp_list list;
    if (!mdmp_stream(d, MDMP_MEMORY_LIST, &body, ERR_IGNORED) ||
        !mdmp_list(body, DESCRIPTOR_SIZE, &list, ERR_IGNORED))
        return false;
    size_t n = MIN(list.count, (size_t)MDMP_REGIONS_MAX);
    memory_init(m, a, n);
    for (size_t i = 0; i < n; i++) {
        struct rd e = mdmp_list_entry(&list, i);
        uint64_t base = rd_u64(&e);
        uint32_t size = rd_u32(&e);
        uint32_t rva = rd_u32(&e);
        if (rva)
            add_region(m, base, mdmp_at(d, rva, size));
    }
    return true;
}

void mdmp_memory_read(const struct mdmp *d, struct arena *a, struct mdmp_memory *ret)
{
    struct mdmp_memory m = {0};
    if (read_list64(d, a, &m) || read_list(d, a, &m))
        ranges_sort(&m.index);
    *ret = m;
}

const struct mdmp_region *mdmp_memory_at(const struct mdmp_memory *m, uint64_t addr)
{
    const struct range *r = ranges_find(&m->index, addr);
    return r ? &m->regions[r->index] : NULL;
}

bool mdmp_region_uint(const struct mdmp_region *region, uint64_t addr, size_t bytes, uint64_t *ret)
{
    if (!region || addr < region->base)
        return false;
    struct rd w = rd_try_window(&region->bytes, addr - region->base, bytes);
    uint64_t v = bytes == 8   ? rd_u64(&w)
                 : bytes == 4 ? rd_u32(&w)
                 : bytes == 2 ? rd_u16(&w)
                              : rd_u8(&w);
    if (!rd_ok(&w))
        return false;
    *ret = v;
    return true;
}

bool mdmp_memory_uint(const struct mdmp_memory *m, uint64_t addr, size_t bytes, uint64_t *ret)
{
    return mdmp_region_uint(mdmp_memory_at(m, addr), addr, bytes, ret);
}

static void maps_init(struct mdmp_maps *m, struct arena *a, size_t cap)
{
    m->v = arena_array(a, cap, sizeof *m->v);
    ranges_init(&m->index, a, cap);
}

static void add_mapping(struct mdmp_maps *m, struct mdmp_mapping map)
{
    if (m->n == m->index.cap)
        return;
    ranges_add(&m->index, map.base, map.size, (uint32_t)m->n);
    m->v[m->n++] = map;
}

/* Access of Windows' page protections; guard and cache bits do not matter here. */
enum {
    PROT_READABLE = 0x02 | 0x04 | 0x20 | 0x40,
    PROT_WRITABLE = 0x04 | 0x08 | 0x40 | 0x80,
    PROT_EXECUTABLE = 0x10 | 0x20 | 0x40 | 0x80,
};

/*
 * Free ranges are in Windows' list as well; they are left out, because whoever asks for a mapping
 * wants to know whether memory is there.
 */
static bool read_memory_info(const struct mdmp *d, struct arena *a, struct mdmp_maps *m)
{
    struct rd body;
    struct mdmp_list list;
    if (!mdmp_stream(d, MDMP_MEMORY_INFO_LIST, &body, ERR_IGNORED) ||
        !mdmp_list_ex(body, MEMORY_INFO_SIZE, true, &list, ERR_IGNORED))
        return false;
    size_t n = MIN(list.count, (size_t)MDMP_REGIONS_MAX);
    maps_init(m, a, n);
    for (size_t i = 0; i < n; i++) {
        struct rd e = mdmp_list_entry(&list, i);
        struct mdmp_mapping map = {.base = rd_u64(&e)};
        rd_skip(&e, 16); /* allocation base and protection */
        map.size = rd_u64(&e);
        uint32_t state = rd_u32(&e);
        uint32_t protection = rd_u32(&e);
        map.can_read = protection & PROT_READABLE;
        map.can_write = protection & PROT_WRITABLE;
        map.can_execute = protection & PROT_EXECUTABLE;
        if (state != STATE_FREE)
            add_mapping(m, map);
    }
    return true;
}

/* start-end perms offset device inode [path]; *ret_path may contain blanks. */
static bool parse_maps_line(struct str line, struct mdmp_mapping *ret, struct str *ret_path)
{
    struct str range, perms, start, skipped;
    uint64_t first, end;
    if (!str_split(&line, ' ', &range) || !str_split(&line, ' ', &perms) || !line.p ||
        perms.n != 4 || !str_split(&range, '-', &start) || !range.p ||
        !str_to_u64(start, 16, UINT64_MAX, "start", &first, ERR_IGNORED) ||
        !str_to_u64(range, 16, UINT64_MAX, "end", &end, ERR_IGNORED) || first >= end)
        return false;
    *ret = (struct mdmp_mapping){
        .base = first,
        .size = end - first,
        .can_read = perms.p[0] == 'r',
        .can_write = perms.p[1] == 'w',
        .can_execute = perms.p[2] == 'x',
    };
    bool has_path = str_split(&line, ' ', &skipped) && str_split(&line, ' ', &skipped) &&
                    str_split(&line, ' ', &skipped) && line.p;
    *ret_path = has_path ? str_trim(line) : STR("");
    return true;
}

static void add_label(struct mdmp_maps *m, const struct mdmp_mapping *map, struct str path)
{
    size_t i = m->label_index.n;
    if (!mdmp_is_label(path) || i == m->label_index.cap)
        return;
    ranges_add(&m->label_index, map->base, map->size, (uint32_t)i);
    m->labels[i] = (struct mdmp_label){map->base, path};
}

/*
 * Where Windows' list was read already, the mappings of the text go to a list of their own that is
 * only counted.
 */
static bool read_linux_maps(const struct mdmp *d, struct arena *a, struct mdmp_maps *m)
{
    struct rd body;
    if (!mdmp_stream(d, MDMP_LINUX_MAPS, &body, ERR_IGNORED))
        return false;
    struct mdmp_maps own = {0}, *into = m->v ? &own : m;
    size_t lines_max = MIN(body.n / MAPS_LINE_MIN, (size_t)MDMP_REGIONS_MAX);
    maps_init(into, a, lines_max);
    m->labels = arena_array(a, lines_max, sizeof *m->labels);
    ranges_init(&m->label_index, a, lines_max);
    struct str rest = str_n((const char *)body.p, body.n), line, path;
    struct mdmp_mapping map;
    while (str_split(&rest, '\n', &line)) {
        if (parse_maps_line(line, &map, &path)) {
            add_mapping(into, map);
            add_label(m, &map, path);
        }
    }
    ranges_sort(&m->label_index);
    m->has_linux_maps = true;
    m->linux_map_count = into->n;
    return true;
}

void mdmp_maps_read(const struct mdmp *d, struct arena *a, struct mdmp_maps *ret)
{
    struct mdmp_maps m = {0};
    read_memory_info(d, a, &m);
    read_linux_maps(d, a, &m);
    ranges_sort(&m.index);
    *ret = m;
}

const struct mdmp_mapping *mdmp_maps_at(const struct mdmp_maps *m, uint64_t addr)
{
    const struct range *r = ranges_find(&m->index, addr);
    return r ? &m->v[r->index] : NULL;
}

const struct mdmp_label *mdmp_label_at(const struct mdmp_maps *m, uint64_t addr)
{
    const struct range *r = ranges_find(&m->label_index, addr);
    return r ? &m->labels[r->index] : NULL;
}
