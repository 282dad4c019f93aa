/*
 * The loaded modules and what identifies them.  A module's debug file and debug id are the key to
 * its symbols, code file and code id the key to the binary itself; both pairs come from the
 * CodeView record that the linker put into the file and the writer copied, so this is where the
 * formats of three linkers become one.
 *
 * debug id: 32 hex digits and an age.  Of a PDB 7.0 record it is GUID and age as they are; of an
 * old PDB 2.0 record signature (8 digits) and age; of an ELF build id the first 16 bytes, taken as
 * a GUID in the byte order of the dump, with age 0. code id: the build id in full for ELF, the GUID
 * in lower case on Apple's systems, time stamp and size of the image on Windows.
 *
 * Modules that wrap around the address space or are empty are dropped, overlapping ones are settled
 * by range.c.  What cannot be read about a module leaves NULL there; the module itself stays,
 * because its address range still tells where code belongs.
 */
#include "lib/minidump/module.h"

#include <stdio.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/rd.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/minidump/mdmp.h"

enum {
    MODULE_SIZE = 108,
    UNLOADED_SIZE = 24,
    CV_PDB70 = 0x53445352, /* "RSDS" */
    CV_PDB20 = 0x3031424e, /* "NB10" */
    CV_ELF = 0x4270454c,   /* "LEpB" */
    FIXED_INFO_SIGNATURE = 0xfeef04bd,
    FIXED_INFO_VERSION = 0x00010000, /* with the signature, of VS_FIXEDFILEINFO */
    GUID_BYTES = 16,
};

/*
 * MODULE_SIZE and UNLOADED_SIZE are the records of minidumpapiset.h, which are not padded; the
 * marks of the CodeView records are their first four bytes as a little-endian word.
 */
/* What a CodeView record says. */
struct codeview {
    enum { CV_NONE, CV_IS_PDB70, CV_IS_PDB20, CV_IS_ELF, CV_UNKNOWN } kind;
    char guid[33];
    bool has_guid;
    uint32_t signature, age;
    struct str pdb_name;
    struct str build_id;
};

/* NUL-terminated text at the end of a record; the NUL may be missing. */
static struct str tail_text(struct rd *r)
{
    size_t n = rd_left(r);
    struct str s = str_n((const char *)rd_bytes(r, n), n);
    return str_sub(s, 0, strnlen(s.p ? s.p : "", n));
}

static struct codeview read_codeview(struct rd r)
{
    struct codeview cv = {0};
    if (!rd_ok(&r) || r.n < 4 || r.n > MDMP_CODEVIEW_MAX)
        return cv;
    switch (rd_u32(&r)) {
    case CV_PDB70:
        cv.kind = CV_IS_PDB70;
        cv.has_guid = mdmp_guid(&r, cv.guid);
        cv.age = rd_u32(&r);
        cv.pdb_name = tail_text(&r);
        break;
    case CV_PDB20:
        cv.kind = CV_IS_PDB20;
        rd_skip(&r, 4); /* offset */
        cv.signature = rd_u32(&r);
        cv.age = rd_u32(&r);
        cv.pdb_name = tail_text(&r);
        break;
    case CV_ELF:
        cv.kind = CV_IS_ELF;
        cv.build_id.n = rd_left(&r);
        cv.build_id.p = (const char *)rd_bytes(&r, cv.build_id.n);
        break;
    default:
        cv.kind = CV_UNKNOWN;
    }
    if (!rd_ok(&r))
        cv = (struct codeview){0};
    /* A build id of zeros only is what a writer leaves that found no note in the file. */
    for (size_t i = 0, any = 0; cv.kind == CV_IS_ELF && !any; i++) {
        if (i == cv.build_id.n) {
            cv.build_id.n = 0; /* all zero means none */
            break;
        }
        any = cv.build_id.p[i] != 0;
    }
    return cv;
}

static const char *debug_id(const struct codeview *cv, bool big, struct arena *a)
{
    if (cv->kind == CV_IS_PDB70 && cv->has_guid)
        return arena_printf(a, "%s%x", cv->guid, cv->age);
    if (cv->kind == CV_IS_PDB20)
        return arena_printf(a, "%08X%x", cv->signature, cv->age);
    if (cv->kind == CV_IS_ELF && cv->build_id.n) {
        uint8_t id[GUID_BYTES] = {0};
        memcpy(id, cv->build_id.p, MIN(cv->build_id.n, sizeof id));
        struct rd r = rd_init(id, sizeof id);
        r.big = big;
        char guid[33];
        mdmp_guid(&r, guid);
        return arena_printf(a, "%s0", guid);
    }
    return NULL;
}

/*
 * Where there is no record at all, Windows modules still have a code id: time stamp and size come
 * from the image's header.  Elsewhere those two fields are 0 and would make the same id for all.
 */
static const char *code_id(const struct codeview *cv, const struct mdmp_system *sys,
                           uint32_t timestamp, uint32_t size, struct arena *a)
{
    if (cv->kind == CV_IS_ELF) {
        if (cv->build_id.n == 0)
            return NULL;
        size_t n = MIN(cv->build_id.n, (size_t)MDMP_BUILD_ID_MAX);
        char *hex = arena_alloc(a, 2 * n + 1);
        hex_encode((const uint8_t *)cv->build_id.p, n, hex);
        return hex;
    }
    if (mdmp_os_is_apple(sys->os) && cv->kind == CV_IS_PDB70) {
        if (!cv->has_guid)
            return NULL;
        char *guid = arena_strdup(a, cv->guid);
        for (char *p = guid; *p; p++)
            *p = (char)(*p >= 'A' && *p <= 'F' ? *p - 'A' + 'a' : *p);
        return guid;
    }
    if (cv->kind == CV_NONE && sys->os != MDMP_OS_WINDOWS)
        return NULL;
    return arena_printf(a, "%08x%x", timestamp, size);
}

/* VS_FIXEDFILEINFO at r; NULL unless both marks are right. */
static const char *version(struct rd *r, const struct mdmp_system *sys, struct arena *a)
{
    uint32_t signature = rd_u32(r);
    uint32_t struct_version = rd_u32(r);
    uint32_t hi = rd_u32(r), lo = rd_u32(r), product_hi = rd_u32(r), product_lo = rd_u32(r);
    if (!rd_ok(r) || signature != FIXED_INFO_SIGNATURE || struct_version != FIXED_INFO_VERSION)
        return NULL;
    /*
     * Windows and Apple pack four 16-bit numbers into two words; other writers put one number into
     * each of the four words (file version, then product version).
     */
    if (sys->os == MDMP_OS_WINDOWS || mdmp_os_is_apple(sys->os))
        return arena_printf(a, "%u.%u.%u.%u", hi >> 16, hi & 0xffff, lo >> 16, lo & 0xffff);
    return arena_printf(a, "%u.%u.%u.%u", hi, lo, product_hi, product_lo);
}

static struct mdmp_module read_module(const struct mdmp *d, const struct mdmp_system *sys,
                                      struct mdmp_pool *pool, struct rd e)
{
    struct mdmp_module m = {.base = rd_u64(&e), .size = rd_u32(&e)};
    rd_skip(&e, 4); /* checksum */
    uint32_t timestamp = rd_u32(&e);
    uint32_t name_rva = rd_u32(&e);
    struct rd fixed = rd_window(&e, e.off, 52);
    rd_skip(&e, 52);
    uint32_t cv_size = rd_u32(&e);
    uint32_t cv_rva = rd_u32(&e);

    struct codeview cv = read_codeview(mdmp_at(d, cv_rva, cv_size));
    mdmp_string(d, name_rva, pool, &m.path, ERR_IGNORED);
    /* The path may be of another system than this one: both kinds of slashes separate. */
    m.file = mdmp_base_name(m.path);
    if (cv.kind == CV_IS_ELF)
        m.debug_file = m.file;
    else if (cv.kind == CV_IS_PDB70 || cv.kind == CV_IS_PDB20)
        m.debug_file = mdmp_base_name(cv.pdb_name);
    m.debug_id = debug_id(&cv, d->file.big, pool->arena);
    m.code_id = code_id(&cv, sys, timestamp, m.size, pool->arena);
    m.version = version(&fixed, sys, pool->arena);
    return m;
}

void mdmp_modules_read(const struct mdmp *d, const struct mdmp_system *sys, struct mdmp_pool *pool,
                       struct mdmp_modules *ret)
{
    struct mdmp_modules modules = {0};
    struct rd body;
    struct mdmp_list list = {0};
    if (mdmp_stream(d, MDMP_MODULE_LIST, &body, ERR_IGNORED))
        mdmp_list(body, MODULE_SIZE, &list, ERR_IGNORED);
    size_t n = MIN(list.count, (size_t)MDMP_MODULES_MAX);
    modules.is_cut = n < list.count;
    modules.v = arena_array(pool->arena, n, sizeof *modules.v);
    ranges_init(&modules.index, pool->arena, n);
    for (size_t i = 0; i < n; i++) {
        struct mdmp_module m = read_module(d, sys, pool, mdmp_list_entry(&list, i));
        if (m.size == 0 || m.base > UINT64_MAX - m.size)
            continue;
        ranges_add(&modules.index, m.base, m.size, (uint32_t)modules.n);
        modules.v[modules.n++] = m;
    }
    ranges_sort(&modules.index);
    *ret = modules;
}

size_t mdmp_module_at(const struct mdmp_modules *m, uint64_t addr)
{
    const struct range *r = ranges_find(&m->index, addr);
    return r ? r->index : SIZE_MAX;
}

void mdmp_unloaded_read(const struct mdmp *d, struct mdmp_pool *pool, struct mdmp_unloadeds *ret)
{
    struct mdmp_unloadeds all = {0};
    struct rd body;
    struct mdmp_list list = {0};
    if (mdmp_stream(d, MDMP_UNLOADED_MODULE_LIST, &body, ERR_IGNORED))
        mdmp_list_ex(body, UNLOADED_SIZE, false, &list, ERR_IGNORED);
    size_t n = MIN(list.count, (size_t)MDMP_MODULES_MAX);
    all.v = arena_array(pool->arena, n, sizeof *all.v);
    for (size_t i = 0; i < n; i++) {
        struct rd e = mdmp_list_entry(&list, i);
        struct mdmp_unloaded m = {.base = rd_u64(&e), .size = rd_u32(&e)};
        rd_skip(&e, 4); /* checksum */
        uint32_t timestamp = rd_u32(&e);
        uint32_t name_rva = rd_u32(&e);
        if (m.size == 0 || m.base > UINT64_MAX - m.size ||
            !mdmp_string(d, name_rva, pool, &m.path, ERR_IGNORED))
            continue;
        m.code_id = arena_printf(pool->arena, "%08x%x", timestamp, m.size);
        all.v[all.n++] = m;
    }
    *ret = all;
}
