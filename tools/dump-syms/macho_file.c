/*
 * Mach-O (Apple, <mach-o/loader.h>, <mach-o/fat.h>): a header, then load commands, each with its
 * size.  LC_SEGMENT_64 holds sections; what else is asked for is the UUID of the build, the symbol
 * table and the list of function starts.  32-bit files are not read: no system that is still in
 * use runs them.
 */
#include "tools/dump-syms/macho_file.h"

#include "lib/base/util.h"

enum {
    MAGIC_64 = 0xfeedfacf,
    MAGIC_FAT = 0xcafebabe, /* big-endian, as all numbers of the table */
    MAGIC_FAT_64 = 0xcafebabf,
    PARTS_MAX = 16, /* a Java class has the same magic, and its version where the count stands */
    COMMANDS_MAX = 4096, /* chosen: large programs have a hundred, most of them libraries */
    /* Load commands that are looked at; the others are stepped over by their size. */
    LC_SYMTAB = 0x2,
    LC_SEGMENT_64 = 0x19,
    LC_UUID = 0x1b,
    LC_FUNCTION_STARTS = 0x26,
    SECTION_BYTES = 80,         /* struct section_64 */
    SECTION_CODE = 0x80000400u, /* S_ATTR_PURE_INSTRUCTIONS | S_ATTR_SOME_INSTRUCTIONS */
    SECTION_TYPE = 0xff,
    SECTION_ZEROFILL = 0x1, /* S_ZEROFILL: has no bytes in the file */
};

static const char *arch_of(uint32_t cpu)
{
    return cpu == MACHO_X86_64 ? "x86_64" : cpu == MACHO_ARM64 ? "arm64" : NULL;
}

/* The magic number of a universal file, or 0: a table of parts, each a Mach-O file of one
 * processor. */
static uint32_t fat_magic(struct str bytes, uint32_t *ret_count)
{
    struct rd r = rd_init(bytes.p, bytes.n);
    r.big = true;
    uint32_t magic = rd_u32(&r);
    *ret_count = rd_u32(&r);
    return rd_ok(&r) && *ret_count > 0 && *ret_count <= PARTS_MAX &&
                   (magic == MAGIC_FAT || magic == MAGIC_FAT_64)
               ? magic
               : 0;
}

bool macho_is(struct str bytes)
{
    uint32_t count;
    return (bytes.n >= 32 && rd_le32(bytes.p) == MAGIC_64) || fat_magic(bytes, &count) != 0;
}

/* A thin file is its own only part.  A part that reaches beyond the file is there, and is empty. */
bool macho_part(struct str bytes, size_t index, struct str *ret_part, const char **ret_arch)
{
    uint32_t count, magic = fat_magic(bytes, &count);
    if (!magic) {
        *ret_part = bytes;
        *ret_arch = bytes.n >= 8 ? arch_of(rd_le32(bytes.p + 4)) : NULL;
        return index == 0 && bytes.n >= 8;
    }
    struct rd r = rd_init(bytes.p, bytes.n);
    r.big = true;
    rd_seek(&r, 8 + index * (magic == MAGIC_FAT_64 ? 32 : 20));
    uint32_t cpu = rd_u32(&r);
    rd_skip(&r, 4);
    uint64_t at = magic == MAGIC_FAT_64 ? rd_u64(&r) : rd_u32(&r);
    uint64_t n = magic == MAGIC_FAT_64 ? rd_u64(&r) : rd_u32(&r);
    struct rd part = rd_try_window(&r, at, n);
    if (index >= count || !rd_ok(&r))
        return false;
    *ret_part = rd_ok(&part) ? str_n((const char *)part.p, part.n) : STR("");
    *ret_arch = arch_of(cpu);
    return true;
}

/* Names of segments and sections fill 16 bytes, and have no terminator if they need all of them. */
static void read_name(struct rd *r, char out[17])
{
    const uint8_t *p = rd_bytes(r, 16);
    memset(out, 0, 17);
    if (p)
        memcpy(out, p, 16);
}

/*
 * Addresses of symbols count from __TEXT, which begins with this very header.  Sections without
 * bytes in the file (zero-filled, or of a dSYM, which has the addresses of its binary and none of
 * its code) keep their address and size.
 */
static void read_segment(struct macho_file *f, struct rd r)
{
    char name[17];
    read_name(&r, name);
    uint64_t addr = rd_u64(&r);
    rd_skip(&r, 32);
    uint32_t count = rd_u32(&r);
    rd_skip(&r, 4);
    if (strcmp(name, "__TEXT") == 0)
        f->base = addr;
    for (uint32_t i = 0; i < count && rd_left(&r) >= SECTION_BYTES; i++) {
        struct macho_section s = {0};
        read_name(&r, s.name);
        read_name(&r, s.segment);
        s.addr = rd_u64(&r);
        s.size = rd_u64(&r);
        uint32_t at = rd_u32(&r);
        rd_skip(&r, 12);
        uint32_t flags = rd_u32(&r);
        rd_skip(&r, 12);
        s.is_code = (flags & SECTION_CODE) != 0;
        bool has_bytes = at != 0 && (flags & SECTION_TYPE) != SECTION_ZEROFILL;
        s.bytes = rd_try_window(&f->bytes, at, has_bytes ? s.size : 0);
        if (!rd_ok(&s.bytes))
            s.bytes = rd_init("", 0);
        if (s.size <= UINT64_MAX - s.addr)
            VEC_PUSH(&f->sections, s);
    }
}

/* What else stands among the commands is for the loader. */
static void read_command(struct macho_file *f, uint32_t kind, struct rd r)
{
    const uint8_t *uuid;
    switch (kind) {
    case LC_SEGMENT_64:
        read_segment(f, r);
        break;
    case LC_UUID:
        uuid = rd_bytes(&r, sizeof f->uuid);
        f->has_uuid = uuid != NULL;
        if (uuid)
            memcpy(f->uuid, uuid, sizeof f->uuid);
        break;
    case LC_SYMTAB:
        f->symbols_at = rd_u32(&r);
        f->symbol_count = rd_u32(&r);
        f->strings_at = rd_u32(&r);
        f->strings_n = rd_u32(&r);
        break;
    case LC_FUNCTION_STARTS: {
        uint32_t at = rd_u32(&r), n = rd_u32(&r);
        f->starts = rd_try_window(&f->bytes, at, n);
        break;
    }
    default:
        break;
    }
}

/* A command that reaches beyond the file ends the list: what was read before it counts. */
bool macho_open(struct str part, const char *path, struct macho_file *ret, struct err *err)
{
    struct macho_file f = {.bytes = rd_init(part.p, part.n), .starts = rd_init("", 0)};
    struct rd r = f.bytes;
    uint32_t magic = rd_u32(&r);
    f.cpu = rd_u32(&r);
    f.subtype = rd_u32(&r);
    f.kind = rd_u32(&r);
    uint32_t count = rd_u32(&r);
    rd_skip(&r, 12);
    if (!rd_ok(&r) || magic != MAGIC_64)
        return err_set(err, ERR_INVALID, "%s: not a readable 64-bit Mach-O file", path);
    for (uint32_t i = 0; i < MIN(count, (uint32_t)COMMANDS_MAX) && rd_left(&r) >= 8; i++) {
        size_t at = r.off;
        uint32_t kind = rd_u32(&r), n = rd_u32(&r);
        if (n < 8)
            break;
        struct rd body = rd_try_window(&r, at + 8, n - 8);
        if (!rd_ok(&body))
            break;
        read_command(&f, kind, body);
        rd_seek(&r, at + n);
    }
    *ret = f;
    return true;
}

void macho_close(struct macho_file *f)
{
    VEC_RELEASE(&f->sections);
}

const struct macho_section *macho_section(const struct macho_file *f, const char *segment,
                                          const char *name)
{
    for (size_t i = 0; i < f->sections.n; i++)
        if (strcmp(f->sections.v[i].segment, segment) == 0 &&
            strcmp(f->sections.v[i].name, name) == 0)
            return &f->sections.v[i];
    return NULL;
}

/* Where a function without a size ends at the latest. */
uint64_t macho_code_end(const struct macho_file *f, uint64_t addr)
{
    for (size_t i = 0; i < f->sections.n; i++) {
        const struct macho_section *s = &f->sections.v[i];
        if (s->is_code && addr >= s->addr && addr - s->addr < s->size)
            return s->addr + s->size;
    }
    return 0;
}
