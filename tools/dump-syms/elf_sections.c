/*
 * Compressed sections made plain.  elfutils 0.188 (Debian 12) does not know zstd, and reads the old
 * .zdebug_ form only for some sections (not .zdebug_frame); so the file is rewritten in memory
 * before elfutils sees it: the bytes of the file, behind them the unpacked sections, new section
 * names and a new table of sections that points to them.  Offsets of everything else stay.
 *
 * Forms: ELF gABI, "Section Compression" (Elf32_Chdr, Elf64_Chdr), and GNU's older one, where a
 * section .zdebug_NAME starts with "ZLIB" and the size as 8 bytes, big-endian.
 *
 * The invariant: whoever reads the result finds every section either plain or named in `bad`.  A
 * section that cannot be unpacked keeps its header and its flag, and the line in `bad` says why.
 */
#include <elf.h>

#include "lib/base/err.h"
#include "lib/base/rd.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "tools/dump-syms/elf_file.h"
#include "tools/dump-syms/decompress.h"

enum {
    COMPRESSED_ZSTD = 2, /* ELFCOMPRESS_ZSTD of the gABI, newer than the header of Debian 12 */
    /* Linked files have some forty, object files with -ffunction-sections tens of thousands. */
    SECTIONS_MAX = 1 << 20,
    ALIGN = 8,           /* of what is added: 64-bit section headers */
    GNU_HEAD_BYTES = 12, /* "ZLIB" and the size */
};

/* Offsets of the fields of the file header and of a section header. */
struct elf_layout {
    size_t word, file_shoff, file_shentsize, section_bytes;
    size_t flags, offset, size, link, align;
};

/*
 * From Elf32_Ehdr, Elf32_Shdr and their 64-bit siblings in elf.h; offsets and not structures,
 * because the byte order and the width of a file are only known while it is read.
 */
static const struct elf_layout layout32 = {4, 32, 46, 40, 8, 16, 20, 24, 32};
static const struct elf_layout layout64 = {8, 40, 58, 64, 8, 24, 32, 40, 48};

struct table {
    struct rd file;
    const struct elf_layout *at;
    uint64_t offset;
    size_t count, entry;
    struct rd names;
};

static uint64_t read_word(const struct table *t, struct rd *r)
{
    return t->at->word == 8 ? rd_u64(r) : rd_u32(r);
}

/*
 * A field of a section header, 0 when the header lies outside of the file.  read_table has checked
 * that the whole table is there, so this happens only for section 0 while the table is being
 * measured.
 */
static uint64_t section_word(const struct table *t, size_t index, size_t field)
{
    struct rd r = rd_try_window(&t->file, t->offset + index * t->entry + field, t->at->word);
    return read_word(t, &r);
}

static uint32_t section_u32(const struct table *t, size_t index, size_t field)
{
    struct rd r = rd_try_window(&t->file, t->offset + index * t->entry + field, 4);
    return rd_u32(&r);
}

static struct rd section_bytes(const struct table *t, size_t index)
{
    return rd_try_window(&t->file, section_word(t, index, t->at->offset),
                         section_word(t, index, t->at->size));
}

/* The name of a section, "" when it has none that ends. */
static struct str section_name(const struct table *t, size_t index)
{
    uint32_t at = section_u32(t, index, 0);
    if (!rd_ok(&t->names) || at >= t->names.n)
        return STR("");
    const char *p = (const char *)t->names.p + at;
    size_t n = strnlen(p, t->names.n - at);
    return n < t->names.n - at ? str_n(p, n) : STR("");
}

/*
 * The table of sections.  Linkers write it last, so a file that was cut short (a full disk, a copy
 * that broke off) has lost it first, and elfutils would read such a file as one without debug
 * information; it goes to `bad`.
 */
static bool read_table(struct rd file, struct table *ret, struct strbuf *bad)
{
    const uint8_t *ident = rd_bytes(&file, EI_NIDENT);
    if (!ident || memcmp(ident, ELFMAG, SELFMAG) != 0)
        return false;
    struct table t = {.file = file};
    t.at = ident[EI_CLASS] == ELFCLASS64 ? &layout64 : &layout32;
    t.file.big = ident[EI_DATA] == ELFDATA2MSB;
    struct rd r = rd_try_window(&t.file, t.at->file_shoff, t.at->word);
    t.offset = read_word(&t, &r);
    r = rd_try_window(&t.file, t.at->file_shentsize, 6);
    t.entry = rd_u16(&r);
    t.count = rd_u16(&r);
    size_t names = rd_u16(&r);
    if (!rd_ok(&r) || t.offset == 0 || t.entry < t.at->section_bytes)
        return false;
    /*
     * A file with 0xff00 sections or more has 0 here, and SHN_XINDEX for the names; both numbers
     * then stand in the first section header (gABI, "ELF Header", e_shnum and e_shstrndx).
     */
    /* Numbers that do not fit stand in the first section header. */
    if (t.count == 0)
        t.count = (size_t)section_word(&t, 0, t.at->size);
    if (names == SHN_XINDEX)
        names = section_u32(&t, 0, t.at->link);
    struct rd all = t.count <= SECTIONS_MAX ? rd_try_window(&t.file, t.offset, t.count * t.entry)
                                            : rd_try_window(&t.file, UINT64_MAX, 1);
    if (!rd_ok(&all))
        sb_text(bad, "headers are not all in the file; was it cut short?\n");
    if (!rd_ok(&all) || t.count == 0)
        return false;
    t.names = names < t.count ? section_bytes(&t, names) : rd_try_window(&t.file, UINT64_MAX, 1);
    *ret = t;
    return true;
}

/*
 * A section of the debug information that the header promises and the file does not have.  Of a
 * file cut at its end elfutils would silently read less, and the symbols would be poor without
 * anybody knowing why.
 */
static void note_if_lost(const struct table *t, size_t index, struct strbuf *bad)
{
    struct str name = section_name(t, index);
    struct rd r = section_bytes(t, index);
    if (section_u32(t, index, 4) != SHT_NOBITS && !rd_ok(&r) &&
        (str_starts(name, STR(".debug_")) || str_starts(name, STR(".zdebug_"))))
        sb_printf(bad, STR_FMT ": not all in the file; was it cut short?\n", STR_ARG(name));
}

struct packed {
    enum packing packing;
    uint64_t size, align;
    struct rd body;
    bool is_renamed; /* .zdebug_NAME becomes .debug_NAME */
};

/*
 * How section `index` is packed; false when it is not.  A kind of compression that is not known
 * counts as packed: it fails in unpack_bytes and is named there, instead of being handed to libdw
 * as if it were plain.
 */
static bool read_packed(const struct table *t, size_t index, struct packed *ret)
{
    struct packed p = {0};
    struct rd r = section_bytes(t, index);
    if (section_u32(t, index, 4) == SHT_NOBITS)
        return false;
    if (section_word(t, index, t->at->flags) & SHF_COMPRESSED) {
        uint32_t kind = rd_u32(&r);
        if (t->at->word == 8)
            rd_u32(&r); /* reserved */
        p.size = read_word(t, &r);
        p.align = read_word(t, &r);
        p.packing = kind == ELFCOMPRESS_ZLIB  ? PACKED_ZLIB
                    : kind == COMPRESSED_ZSTD ? PACKED_ZSTD
                                              : PACKED_NOT;
    } else {
        const uint8_t *magic = rd_bytes(&r, 4);
        if (!str_starts(section_name(t, index), STR(".zdebug_")) || !magic ||
            memcmp(magic, "ZLIB", 4) != 0)
            return false;
        r.big = true;
        p.size = rd_u64(&r);
        p.align = 1;
        p.packing = PACKED_ZLIB;
        p.is_renamed = true;
    }
    p.body = rd_try_window(&r, r.off, rd_left(&r));
    *ret = p;
    return true;
}

static void put_word(uint8_t *p, uint64_t value, size_t bytes, bool big)
{
    for (size_t i = 0; i < bytes; i++)
        p[big ? bytes - 1 - i : i] = (uint8_t)(value >> (8 * i));
}

static void pad(struct strbuf *b)
{
    sb_put(b, "\0\0\0\0\0\0\0", (ALIGN - b->n % ALIGN) % ALIGN);
}

/* What is put together beside the image until it is complete. */
struct rewriting {
    const struct table *t;
    struct strbuf *image;
    struct strbuf headers, names; /* names: those of renamed sections, to go behind the old ones */
};

static uint8_t *header(struct rewriting *w, size_t index)
{
    return (uint8_t *)w->headers.p + index * w->t->entry;
}

static void set_header(struct rewriting *w, size_t index, size_t field, uint64_t value)
{
    size_t bytes = field == 0 ? 4 : w->t->at->word;
    put_word(header(w, index) + field, value, bytes, w->t->file.big);
}

/*
 * Files without compressed sections are the common case and are not copied at all: the image is
 * begun by the first section that needs it.
 */
static void begin_rewriting(struct rewriting *w)
{
    if (w->headers.n)
        return;
    sb_put(w->image, w->t->file.p, w->t->file.n);
    sb_put(&w->headers, w->t->file.p + w->t->offset, w->t->count * w->t->entry);
}

/*
 * Appends the plain bytes and points the section's header to them.  The size in the header of a
 * compressed section is only a promise: no more than that is unpacked, and less is damage.  What
 * was appended before a failure is taken back, so the sections that follow lie where their headers
 * say.
 */
static void unpack_section(struct rewriting *w, size_t index, const struct packed *p,
                           struct strbuf *bad)
{
    struct str name = section_name(w->t, index);
    struct err err = {0};
    begin_rewriting(w);
    pad(w->image);
    size_t start = w->image->n;
    size_t room = w->image->max - MIN(w->image->n, w->image->max);
    size_t may = (size_t)MIN(p->size, (uint64_t)room);
    bool ok = rd_ok(&p->body) ? unpack_bytes(p->packing, p->body.p, p->body.n, may, w->image, &err)
                              : err_set(&err, ERR_INVALID, "cut off");
    if (ok && w->image->n - start != p->size)
        ok = err_set(&err, ERR_INVALID, "unpacks to another size than it says");
    if (!ok) {
        sb_printf(bad, STR_FMT ": %s\n", (int)MIN(name.n, 64u), name.p, err.msg);
        w->image->n = MIN(w->image->n, start);
        return;
    }
    uint64_t flags = section_word(w->t, index, w->t->at->flags);
    set_header(w, index, w->t->at->flags, flags & ~(uint64_t)SHF_COMPRESSED);
    set_header(w, index, w->t->at->offset, start);
    set_header(w, index, w->t->at->size, p->size);
    set_header(w, index, w->t->at->align, p->align);
    if (p->is_renamed) {
        set_header(w, index, 0, w->t->names.n + w->names.n);
        sb_text(&w->names, ".debug_");
        sb_str(&w->names, str_sub(name, sizeof ".zdebug_" - 1, name.n));
        sb_char(&w->names, '\0');
    }
}

/* The names and the table behind everything else, and the file header that points there. */
static void put_names_and_table(struct rewriting *w)
{
    const struct table *t = w->t;
    struct rd r = rd_try_window(&t->file, t->at->file_shentsize + 4, 2);
    size_t names = rd_u16(&r);
    if (names == SHN_XINDEX)
        names = section_u32(t, 0, t->at->link);
    if (w->names.n) {
        pad(w->image);
        set_header(w, names, t->at->offset, w->image->n);
        set_header(w, names, t->at->size, t->names.n + w->names.n);
        sb_put(w->image, t->names.p, t->names.n);
        sb_put(w->image, w->names.p, w->names.n);
    }
    pad(w->image);
    put_word((uint8_t *)w->image->p + t->at->file_shoff, w->image->n, t->at->word, t->file.big);
    sb_put(w->image, w->headers.p, w->headers.n);
}

void elf_unpack_sections(struct rd file, struct strbuf *ret_image, struct strbuf *bad)
{
    struct table t;
    if (!read_table(file, &t, bad))
        return;
    struct rewriting w = {.t = &t, .image = ret_image};
    sb_init(&w.headers, t.count * t.entry + 1);
    sb_init(&w.names, t.names.n + t.count * 16 + 1);
    for (size_t i = 0; i < t.count; i++) {
        struct packed p;
        note_if_lost(&t, i, bad);
        if (read_packed(&t, i, &p))
            unpack_section(&w, i, &p, bad);
    }
    if (w.headers.n)
        put_names_and_table(&w);
    if (ret_image->overflow) {
        sb_text(bad, "the file unpacks to more than it may\n");
        sb_release(ret_image);
    }
    sb_release(&w.headers);
    sb_release(&w.names);
}
