/*
 * What identifies an ELF image, read from its headers, notes and dynamic section as they lie in the
 * memory of a crashed process or in a file.  The symbol tool (tools/dump-syms/image.c) decides name
 * and id of a module by the same rules: change both together, or dumps no longer find their
 * symbols.
 */
#include "client/handler/elf_id.h"

#include <elf.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/base/util.h"

enum { PAGE = 4096 }; /* what the extent of a module is rounded to, as in the dump-syms tool */

static uint64_t rd_word(struct rd *r, bool is_64)
{
    return is_64 ? rd_u64(r) : rd_u32(r);
}

/* A program header; in the 64-bit form the flags stand in another place (elf.h, Elf64_Phdr). */
static struct elf_segment read_segment(struct rd *r, bool is_64)
{
    struct elf_segment s = {.type = rd_u32(r)};
    if (is_64)
        s.flags = rd_u32(r);
    s.offset = rd_word(r, is_64);
    s.vaddr = rd_word(r, is_64);
    rd_word(r, is_64); /* physical address */
    s.filesz = rd_word(r, is_64);
    s.memsz = rd_word(r, is_64);
    if (!is_64)
        s.flags = rd_u32(r);
    return s;
}

/*
 * Extent of the PT_LOAD segments, in whole pages.  Beginning and size are limited to half of the
 * address space each: no program has more, and their sum does not wrap.
 */
static bool measure(struct elf_image *e, struct err *err)
{
    e->low = UINT64_MAX;
    e->high = 0;
    for (size_t i = 0; i < e->segment_count; i++) {
        const struct elf_segment *s = &e->segments[i];
        if (s->type != PT_LOAD || s->memsz == 0)
            continue;
        if (s->memsz > UINT64_MAX / 2 || s->vaddr > UINT64_MAX / 2)
            return err_set(err, ERR_INVALID, "segment %zu has an impossible size", i);
        e->low = MIN(e->low, s->vaddr / PAGE * PAGE);
        e->high = MAX(e->high, (s->vaddr + s->memsz + PAGE - 1) / PAGE * PAGE);
    }
    if (e->low >= e->high)
        return err_set(err, ERR_INVALID, "no loaded segment");
    return true;
}

bool elf_image_read(struct rd r, struct elf_image *ret_image, struct err *err)
{
    const uint8_t *ident = rd_bytes(&r, EI_NIDENT);
    if (!ident || memcmp(ident, ELFMAG, SELFMAG) != 0)
        return err_set(err, ERR_INVALID, "not an ELF image");
    struct elf_image e = {.is_64 = ident[EI_CLASS] == ELFCLASS64};
    r.big = ident[EI_DATA] == ELFDATA2MSB;
    rd_u16(&r); /* type */
    e.machine = rd_u16(&r);
    rd_u32(&r);           /* version */
    rd_word(&r, e.is_64); /* entry */
    uint64_t table = rd_word(&r, e.is_64);
    e.section_table = rd_word(&r, e.is_64);
    rd_u32(&r); /* flags */
    rd_u16(&r); /* header size */
    uint16_t entry_size = rd_u16(&r), count = rd_u16(&r);
    e.section_size = rd_u16(&r);
    e.section_count = rd_u16(&r);
    e.section_names = rd_u16(&r);
    size_t known = e.is_64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
    if (!rd_ok(&r) || entry_size < known)
        return err_set(err, ERR_INVALID, "ELF header of %zu bytes is cut off or odd", r.n);

    e.segment_count = MIN(count, ELF_SEGMENTS_MAX);
    for (size_t i = 0; i < e.segment_count; i++) {
        struct rd one = rd_window(&r, table + i * entry_size, known);
        e.segments[i] = read_segment(&one, e.is_64);
    }
    if (!rd_ok(&r))
        return err_set(err, ERR_INVALID, "program headers lie outside the %zu bytes read", r.n);
    if (!measure(&e, err))
        return false;
    *ret_image = e;
    return true;
}

/*
 * Notes are padded to 4 bytes each; the last one may lack its padding.  A note that runs over the
 * end stops the search.
 */
bool elf_notes_build_id(struct rd r, uint8_t ret_id[ELF_BUILD_ID_MAX], size_t *ret_n,
                        struct err *err)
{
    while (rd_left(&r) >= 12) {
        uint32_t name_size = rd_u32(&r), size = rd_u32(&r), type = rd_u32(&r);
        const uint8_t *name = rd_bytes(&r, name_size);
        rd_skip(&r, (4 - name_size % 4) % 4);
        const uint8_t *body = rd_bytes(&r, size);
        if (!rd_ok(&r))
            break;
        if (type == NT_GNU_BUILD_ID && name_size == 4 && memcmp(name, "GNU", 4) == 0 && size > 0) {
            *ret_n = MIN(size, ELF_BUILD_ID_MAX);
            memcpy(ret_id, body, *ret_n);
            return true;
        }
        size_t pad = (4 - size % 4) % 4;
        rd_skip(&r, MIN(pad, rd_left(&r)));
    }
    return err_set(err, ERR_NOT_FOUND, "no build id note");
}

bool elf_dynamic_soname(struct rd r, bool is_64, struct elf_soname *ret_soname, struct err *err)
{
    struct elf_soname found = {0};
    bool has_name = false, has_strings = false;
    while (rd_left(&r) >= (is_64 ? sizeof(Elf64_Dyn) : sizeof(Elf32_Dyn))) {
        uint64_t tag = rd_word(&r, is_64), value = rd_word(&r, is_64);
        if (tag == DT_NULL)
            break;
        if (tag == DT_SONAME) {
            found.offset = value;
            has_name = true;
        } else if (tag == DT_STRTAB) {
            found.strings = value;
            has_strings = true;
        }
    }
    if (!has_name || !has_strings)
        return err_set(err, ERR_NOT_FOUND, "no name of its own");
    *ret_soname = found;
    return true;
}

struct section {
    uint32_t name;
    uint64_t offset, size;
};

static struct section read_section(struct rd *file, const struct elf_image *e, size_t index)
{
    uint64_t at = e->section_table + index * e->section_size;
    struct rd r = rd_try_window(file, at, e->is_64 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr));
    struct section s = {.name = rd_u32(&r)};
    rd_u32(&r);            /* type */
    rd_word(&r, e->is_64); /* flags */
    rd_word(&r, e->is_64); /* address */
    s.offset = rd_word(&r, e->is_64);
    s.size = rd_word(&r, e->is_64);
    return s;
}

bool elf_text_hash(struct rd file, const struct elf_image *e, uint8_t ret_id[16], struct err *err)
{
    struct section names = read_section(&file, e, e->section_names);
    struct rd strings = rd_try_window(&file, names.offset, names.size);
    for (size_t i = 0; i < e->section_count && rd_ok(&strings); i++) {
        struct section s = read_section(&file, e, i);
        struct rd name = rd_try_window(&strings, s.name, sizeof ".text");
        const uint8_t *p = rd_bytes(&name, sizeof ".text");
        if (!p || memcmp(p, ".text", sizeof ".text") != 0)
            continue;
        uint64_t n = MIN(s.size, (uint64_t)PAGE);
        struct rd text = rd_try_window(&file, s.offset, n);
        if (!rd_ok(&text) || n == 0)
            break;
        memset(ret_id, 0, 16);
        for (size_t k = 0; k < n; k++)
            ret_id[k % 16] ^= text.p[k];
        return true;
    }
    return err_set(err, ERR_NOT_FOUND, "no .text section");
}
