/*
 * The entries of .eh_frame and .debug_frame: CIEs say how the entries that point to them are
 * written, FDEs which code they are about.  A CIE is read again for every FDE that wants it: it is
 * thirty bytes, and nothing has to be remembered.  Formats: DWARF 5, 6.4.1; for .eh_frame the Linux
 * Standard Base, "Exception Frames".
 */
#include "tools/dump-syms/cfi.h"

#include <dwarf.h>

#include "lib/base/rd.h"
#include "tools/dump-syms/cfi_program.h"
#include "tools/dump-syms/cfi_text.h"

/* DW_EH_PE_omit and DW_EH_PE_pcrel (Linux Standard Base, "DWARF Extensions"). */
enum { ENCODING_OMIT = 0xff, ENCODING_PC_RELATIVE = 0x10 };

/*
 * The low four bits of an encoding: how wide the number is and whether it has a sign (DW_EH_PE_… of
 * the Linux Standard Base).
 */
static uint64_t read_encoded_value(struct rd *r, const struct cfi_section *sec, uint8_t format)
{
    switch (format) {
    case DW_EH_PE_absptr:
        return sec->addr_size == 8 ? rd_u64(r) : rd_u32(r);
    case DW_EH_PE_uleb128:
        return cfi_uleb(r);
    case DW_EH_PE_sleb128:
        return (uint64_t)cfi_sleb(r);
    case DW_EH_PE_udata2:
        return rd_u16(r);
    case DW_EH_PE_sdata2:
        return (uint64_t)(int16_t)rd_u16(r);
    case DW_EH_PE_udata4:
        return rd_u32(r);
    case DW_EH_PE_sdata4:
        return (uint64_t)(int32_t)rd_u32(r);
    case DW_EH_PE_udata8:
    case DW_EH_PE_sdata8:
        return rd_u64(r);
    default:
        r->bad = true;
        return 0;
    }
}

/*
 * Absolute or relative to the field itself; others need tables that are not at hand.  An indirect
 * pointer lies in a table that the dynamic linker fills, so the file does not know it.
 */
static uint64_t read_encoded(struct rd *r, uint64_t window_at, const struct cfi_section *sec,
                             uint8_t encoding)
{
    uint64_t field = sec->addr + window_at + r->off;
    uint64_t value = read_encoded_value(r, sec, encoding & 0x0f);
    uint8_t how = encoding & 0x70;
    if (how == ENCODING_PC_RELATIVE)
        value += field;
    else if (how != 0)
        r->bad = true;
    if (encoding & DW_EH_PE_indirect)
        r->bad = true;
    return sec->addr_size == 4 ? (uint32_t)value : value;
}

/*
 * The letters behind 'z', in the order in which their data follows.  Only 'R', the encoding of
 * addresses, is of use; the others are read to get past them.
 */
static void read_augmentation(struct rd *r, const struct cfi_section *sec, const char *letters,
                              struct cie *c)
{
    c->has_data = true;
    uint64_t size = cfi_uleb(r);
    struct rd data = rd_window(r, r->off, size);
    rd_skip(r, rd_ok(r) ? (size_t)size : 0);
    for (const char *l = letters; *l; l++) {
        switch (*l) {
        case 'R':
            c->encoding = rd_u8(&data);
            break;
        case 'P': { /* personality: only its size matters */
            uint8_t encoding = rd_u8(&data);
            if (encoding != ENCODING_OMIT)
                read_encoded_value(&data, sec, encoding & 0x0f);
            break;
        }
        case 'L':
            rd_u8(&data);
            break;
        case 'S': /* signal frame */
        case 'B': /* pointer authentication key B */
            break;
        default: /* the rest cannot be understood, but its size is known */
            return;
        }
    }
    if (!rd_ok(&data))
        r->bad = true;
}

/*
 * `r` covers the entry behind its id field.  Version 1 is what compilers write into .eh_frame, 3
 * and 4 are .debug_frame of DWARF 3 to 5.  An augmentation without 'z' has no size, so nothing
 * behind it can be found; gcc 2 wrote such ("eh").
 */
static bool read_cie(struct rd r, const struct cfi_section *sec, struct cie *ret)
{
    struct cie c = {.encoding = DW_EH_PE_absptr};
    uint8_t version = rd_u8(&r);
    char letters[8] = "";
    size_t n = 0;
    for (char l; rd_ok(&r) && (l = (char)rd_u8(&r)) != '\0'; n++)
        if (n < sizeof letters - 1)
            letters[n] = l;
    if (n >= sizeof letters || (version != 1 && version != 3 && version != 4))
        return false;
    if (version == 4) {
        uint8_t addr_size = rd_u8(&r), segment_size = rd_u8(&r);
        if (addr_size != sec->addr_size || segment_size != 0)
            return false;
    }
    c.code_align = cfi_uleb(&r);
    c.data_align = cfi_sleb(&r);
    c.ra = version == 1 ? rd_u8(&r) : cfi_uleb(&r);
    if (letters[0] == 'z')
        read_augmentation(&r, sec, letters + 1, &c);
    else if (letters[0])
        return false;
    if (!rd_ok(&r))
        return false;
    c.instructions = rd_window(&r, r.off, rd_left(&r));
    *ret = c;
    return true;
}

/*
 * An FDE behind its pointer to the CIE: where the code begins, how long it is, then its program.
 * The length has the format of the address but is never relative to anything.  What is no code (the
 * linker sets the addresses of dropped functions to 0) is not counted as lost.
 */
static void write_frame(const struct cfi_section *sec, struct sym *s, const struct cie *cie,
                        struct rd r, uint64_t window_at)
{
    uint64_t start = read_encoded(&r, window_at, sec, cie->encoding);
    uint64_t size = read_encoded_value(&r, sec, cie->encoding & 0x0f);
    if (cie->has_data) {
        uint64_t skip = cfi_uleb(&r);
        rd_skip(&r, skip <= rd_left(&r) ? (size_t)skip : SIZE_MAX);
    }
    bool odd = !rd_ok(&r) || size == 0 || size > UINT32_MAX || size > UINT64_MAX - start ||
               start < sec->base;
    if (odd) {
        s->skipped_frames++;
        return;
    }
    if (sec->is_code && !sec->is_code(sec->arg, start, size))
        return; /* dropped by the linker */

    if (!cfi_add_frame(sec, cie, start, size, rd_window(&r, r.off, rd_left(&r)), s))
        s->skipped_frames++;
}

/*
 * One entry at `at`; its length has been read.  `id_at` is the offset of its id field.  The two
 * sections differ in three places: the pointer of .eh_frame is a distance back from the field
 * itself and always 4 bytes, that of .debug_frame an offset into the section; and a CIE has the id
 * 0 in the one, all ones in the other.
 */
static void read_entry(const struct cfi_section *sec, struct sym *s, uint64_t id_at, uint64_t size,
                       bool is_wide)
{
    uint64_t id_size = is_wide && !sec->is_eh ? 8 : 4;
    struct rd r = rd_try_window(&sec->bytes, id_at, size);
    uint64_t id = id_size == 8 ? rd_u64(&r) : rd_u32(&r);
    uint64_t cie_id = sec->is_eh ? 0 : id_size == 8 ? UINT64_MAX : UINT32_MAX;
    if (!rd_ok(&r) || id == cie_id) /* a CIE is read when an FDE wants it */
        return;

    uint64_t cie_at = sec->is_eh ? id_at - id : id;
    struct rd head = rd_try_window(&sec->bytes, cie_at, 12);
    uint64_t length = rd_u32(&head), skip = 4;
    if (length == UINT32_MAX) {
        length = rd_u64(&head);
        skip = 12;
    }
    struct rd body = rd_try_window(&sec->bytes, cie_at + skip, length);
    uint64_t found = skip == 12 && !sec->is_eh ? rd_u64(&body) : rd_u32(&body);
    uint64_t wanted = sec->is_eh ? 0 : skip == 12 ? UINT64_MAX : UINT32_MAX;
    struct cie cie;
    size_t body_id = body.off;
    struct rd cie_bytes = rd_try_window(&body, body_id, rd_left(&body));
    if (!rd_ok(&body) || found != wanted || !read_cie(cie_bytes, sec, &cie)) {
        s->skipped_frames++;
        return;
    }
    struct rd fde = rd_try_window(&r, r.off, rd_left(&r));
    write_frame(sec, s, &cie, fde, id_at + id_size);
}

void cfi_add_section(const struct cfi_section *sec, struct sym *s)
{
    struct rd r = sec->bytes;
    while (rd_left(&r) >= 4) {
        uint64_t size = rd_u32(&r);
        bool is_wide = size == UINT32_MAX;
        if (is_wide)
            size = rd_u64(&r);
        if (size > rd_left(&r)) {
            s->skipped_frames++;
            return;
        }
        if (size > 0) /* 0: the end mark, behind which nothing follows in a linked file */
            read_entry(sec, s, r.off, size, is_wide);
        rd_skip(&r, (size_t)size);
    }
}
