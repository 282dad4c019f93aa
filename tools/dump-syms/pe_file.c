/*
 * The outer shape of a PE file (Microsoft, "PE Format"): a DOS head whose field at 0x3c leads to
 * the COFF header, the optional header with its directories, the sections.  Only what symbols need
 * is read.  Addresses become places in the file through the sections; bytes that the loader would
 * fill with zeros are in no file and therefore not there.
 *
 * Offsets and sizes in the file are claims. Everything is read through windows that end where the
 * file ends, and a count is compared with the bytes there are before anything is made of it; what
 * does not fit is as if it were not there, since a program without a debug directory still has
 * exports and unwind tables.
 */
#include "tools/dump-syms/pe_file.h"

#include "lib/base/util.h"

enum {
    /* Sizes and places in IMAGE_DOS_HEADER and IMAGE_FILE_HEADER (winnt.h), then magic numbers. */
    DOS_HEADER = 64,
    NEW_HEADER_AT = 0x3c,
    COFF_HEADER = 20,
    SECTION_HEADER = 40,
    SYMBOL_BYTES = 18,
    OPTIONAL_PE32 = 0x10b,
    OPTIONAL_PE32_PLUS = 0x20b,
    SECTION_CODE = 0x20,          /* IMAGE_SCN_CNT_CODE */
    SECTION_EXECUTE = 0x20000000, /* IMAGE_SCN_MEM_EXECUTE */
    DEBUG_ENTRY = 28,
    DEBUG_CODEVIEW = 2,     /* IMAGE_DEBUG_TYPE_CODEVIEW: names the PDB */
    DEBUG_ENTRIES_MAX = 64, /* linkers write five at most */
    PDB_PATH_MAX = 1024,    /* chosen: Windows itself opens 260 characters */
    RSDS = 0x53445352,      /* the letters, of CodeView's newest record */
};

static size_t header_at(struct str bytes)
{
    struct rd r = rd_init(bytes.p, bytes.n);
    bool is_dos = rd_u8(&r) == 'M' && rd_u8(&r) == 'Z';
    rd_seek(&r, NEW_HEADER_AT);
    uint32_t at = rd_u32(&r);
    rd_seek(&r, at);
    bool is_pe = rd_u32(&r) == 0x4550; /* "PE", 0, 0 */
    return rd_ok(&r) && is_dos && is_pe ? r.off : 0;
}

bool pe_is(struct str bytes)
{
    return header_at(bytes) != 0;
}

/* "/123" is an offset into the strings behind the symbols: names of more than eight bytes, which
 * MinGW gives to sections of debug information. */
static struct str section_name(const struct pe_file *f, const char *p)
{
    struct str name = str_n(p, strnlen(p, 8));
    uint64_t at = 0;
    if (name.n < 2 || name.p[0] != '/' || f->symbols_at == 0 ||
        !str_to_u64(str_sub(name, 1, 8), 10, UINT32_MAX, "name", &at, ERR_IGNORED))
        return name;
    at += f->symbols_at + (uint64_t)f->symbol_count * SYMBOL_BYTES;
    if (at >= f->bytes.n)
        return name;
    const char *text = (const char *)f->bytes.p + at;
    return str_n(text, strnlen(text, MIN(f->bytes.n - at, (size_t)256)));
}

static void read_sections(struct pe_file *f, struct rd *r, unsigned count)
{
    for (unsigned i = 0; i < count && rd_left(r) >= SECTION_HEADER; i++) {
        const char *name = (const char *)rd_bytes(r, 8);
        struct pe_section s = {0};
        s.size = rd_u32(r);
        s.rva = rd_u32(r);
        s.raw_size = rd_u32(r);
        s.raw_at = rd_u32(r);
        rd_skip(r, 12);
        s.is_code = (rd_u32(r) & (SECTION_CODE | SECTION_EXECUTE)) != 0;
        if (!name || !rd_ok(r))
            return;
        s.name = section_name(f, name);
        VEC_PUSH(&f->sections, s);
    }
}

static bool read_headers(struct pe_file *f, struct rd r)
{
    f->machine = rd_u16(&r);
    unsigned sections = rd_u16(&r);
    f->timestamp = rd_u32(&r);
    f->symbols_at = rd_u32(&r);
    f->symbol_count = rd_u32(&r);
    uint16_t optional_size = rd_u16(&r);
    rd_skip(&r, 2);
    struct rd o = rd_try_window(&r, r.off, optional_size);
    uint16_t magic = rd_u16(&o);
    f->is_wide = magic == OPTIONAL_PE32_PLUS;
    rd_seek(&o, f->is_wide ? 24 : 28);
    f->base = f->is_wide ? rd_u64(&o) : rd_u32(&o);
    rd_seek(&o, 56);
    f->image_size = rd_u32(&o);
    f->headers_size = rd_u32(&o);
    rd_seek(&o, f->is_wide ? 108 : 92);
    uint32_t directories = rd_u32(&o);
    if (!rd_ok(&o) || (magic != OPTIONAL_PE32 && magic != OPTIONAL_PE32_PLUS))
        return false;
    for (size_t i = 0; i < PE_DIRECTORIES && i < directories && rd_left(&o) >= 8; i++) {
        f->directories[i].rva = rd_u32(&o);
        f->directories[i].size = rd_u32(&o);
    }
    rd_skip(&r, optional_size);
    read_sections(f, &r, sections);
    return rd_ok(&r);
}

bool pe_open(struct str bytes, const char *path, struct pe_file *ret, struct err *err)
{
    size_t at = header_at(bytes);
    struct pe_file f = {.bytes = rd_init(bytes.p, bytes.n)};
    struct rd r = f.bytes;
    rd_seek(&r, at);
    if (at == 0 || !read_headers(&f, r)) {
        pe_close(&f);
        return err_set(err, ERR_INVALID, "%s: not a readable PE file", path);
    }
    *ret = f;
    return true;
}

void pe_close(struct pe_file *f)
{
    VEC_RELEASE(&f->sections);
}

struct rd pe_from(const struct pe_file *f, uint64_t rva)
{
    for (size_t i = 0; i < f->sections.n; i++) {
        const struct pe_section *s = &f->sections.v[i];
        uint64_t skip = rva - s->rva;
        if (rva >= s->rva && skip < s->raw_size)
            return rd_try_window(&f->bytes, s->raw_at + skip,
                                 MIN((uint64_t)s->raw_size - skip,
                                     f->bytes.n - MIN(s->raw_at + skip, (uint64_t)f->bytes.n)));
    }
    if (rva < f->headers_size && rva < f->bytes.n)
        return rd_try_window(&f->bytes, rva, MIN(f->headers_size, f->bytes.n) - rva);
    struct rd none = f->bytes;
    none.bad = true;
    return none;
}

struct rd pe_at(const struct pe_file *f, uint64_t rva, uint64_t n)
{
    struct rd r = pe_from(f, rva);
    return rd_try_window(&r, 0, n);
}

uint32_t pe_code_end(const struct pe_file *f, uint64_t rva)
{
    for (size_t i = 0; i < f->sections.n; i++) {
        const struct pe_section *s = &f->sections.v[i];
        uint32_t size = s->size ? s->size : s->raw_size;
        if (s->is_code && rva >= s->rva && rva - s->rva < size)
            return s->rva + size < s->rva ? UINT32_MAX : s->rva + size;
    }
    return 0;
}

/* RSDS: signature, GUID, age, path.  The other forms (NB10, before 2002) have no GUID. */
static bool read_codeview(struct rd r, struct pe_identity *ret)
{
    if (rd_u32(&r) != RSDS)
        return false;
    const uint8_t *guid = rd_bytes(&r, sizeof ret->guid);
    uint32_t age = rd_u32(&r);
    if (!rd_ok(&r))
        return false;
    memcpy(ret->guid, guid, sizeof ret->guid);
    ret->age = age;
    const char *path = (const char *)r.p + r.off;
    ret->pdb = str_n(path, strnlen(path, MIN(rd_left(&r), (size_t)PDB_PATH_MAX)));
    return true;
}

bool pe_identify(const struct pe_file *f, const char *path, struct pe_identity *ret,
                 struct err *err)
{
    struct rd r = pe_from(f, f->directories[PE_DEBUG].rva);
    uint32_t count = f->directories[PE_DEBUG].size / DEBUG_ENTRY;
    struct pe_identity id = {0};
    for (uint32_t i = 0; i < MIN(count, (uint32_t)DEBUG_ENTRIES_MAX) && rd_ok(&r); i++) {
        rd_skip(&r, 12);
        uint32_t type = rd_u32(&r), size = rd_u32(&r);
        rd_skip(&r, 4);
        uint32_t at = rd_u32(&r);
        if (rd_ok(&r) && type == DEBUG_CODEVIEW &&
            read_codeview(rd_try_window(&f->bytes, at, size), &id)) {
            *ret = id;
            return true;
        }
    }
    return err_set(err, ERR_NOT_FOUND,
                   "%s: no debug id: link with /DEBUG (MSVC, lld) or -Wl,--build-id (MinGW)", path);
}
