/*
 * Compact unwind (Apple, <mach-o/compact_unwind_encoding.h>): 32 bits for a whole function, in a
 * table of two levels.  Pages of the second level are regular (function, encoding) or compressed
 * (24 bits of distance, 8 bits of index into encodings common to the file or the page).  A function
 * ends where the next entry begins, the last one where the first level's closing entry says.
 *
 * An encoding describes the body, not prolog and epilog: in those few instructions its rules are
 * wrong, as they are for the system's own unwinder, which is only asked at calls.  Where the file
 * also has call frame information for a function (__eh_frame), that is exact and was added before;
 * sym_finish keeps what came first.
 */
#include "tools/dump-syms/macho_unwind.h"

#include <inttypes.h>

#include "lib/base/rd.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"

/* Kinds of pages, and the bits of an encoding that say how the caller is found. */
enum {
    INDEX_ENTRY = 12, /* unwind_info_section_header_index_entry */
    PAGE_REGULAR = 2,
    PAGE_COMPRESSED = 3,
    MODE = 0x0f000000,
    X86_RBP = 0x01000000,
    X86_STACK = 0x02000000,
    X86_STACK_INDIRECT = 0x03000000,
    ARM_FRAMELESS = 0x02000000,
    ARM_FRAME = 0x04000000,
    /* X86_64_DWARF is 0x04000000, ARM64_DWARF 0x03000000: those are in __eh_frame. */
    X86_DWARF = 0x04000000,
    ARM_DWARF = 0x03000000,
    SAVED_MAX = 6, /* registers: as many as the permutation of a frameless function names */
};

struct unwind_table {
    const struct macho_file *file;
    struct sym *sym;
    struct rd bytes;
    uint32_t common_at, common_n;
    /* The entry whose end is not known yet. */
    bool has_last;
    uint32_t last_start, last_encoding;
};

static const char *const x86_registers[] = {NULL, "$rbx", "$r12", "$r13", "$r14", "$r15", "$rbp"};

/* Bits [at, at + n) of the encoding. */
static uint32_t bits(uint32_t encoding, unsigned at, unsigned n)
{
    return encoding >> at & ((1u << n) - 1);
}

/* rbp points to the caller's; up to five registers lie at a distance below it, three bits each. */
static bool x86_frame(uint32_t encoding, struct strbuf *out)
{
    sb_text(out, ".cfa: $rbp 16 + .ra: .cfa -8 + ^ $rbp: .cfa -16 + ^");
    int64_t at = -16 - 8 * (int64_t)bits(encoding, 16, 8);
    for (unsigned i = 0; i < 5; i++, at += 8) {
        uint32_t reg = bits(encoding, 3 * i, 3);
        if (reg > 5)
            return false;
        if (reg)
            sb_printf(out, " %s: .cfa %" PRId64 " + ^", x86_registers[reg], at);
    }
    return true;
}

/*
 * The order of up to six of six registers as one number: digits of a factorial base, each counting
 * among the registers that are not used yet.
 */
static bool x86_permutation(uint32_t encoding, unsigned count, unsigned regs[SAVED_MAX])
{
    static const uint32_t weights[SAVED_MAX + 1][SAVED_MAX] = {
        {0}, {1}, {5, 1}, {20, 4, 1}, {60, 12, 3, 1}, {120, 24, 6, 2, 1}, {120, 24, 6, 2, 1, 0},
    };
    bool used[SAVED_MAX + 1] = {0};
    uint32_t left = bits(encoding, 0, 10);
    for (unsigned i = 0; i < count; i++) {
        uint32_t weight = weights[count][i], digit = weight ? left / weight : 0;
        left -= digit * weight;
        unsigned reg = 1;
        for (uint32_t free = 0; reg <= SAVED_MAX; reg++)
            if (!used[reg] && free++ == digit)
                break;
        if (reg > SAVED_MAX)
            return false;
        used[reg] = true;
        regs[i] = reg;
    }
    return true;
}

/* The stack of a large frame is in the instruction that makes it: `sub $imm32, %rsp`. */
static bool x86_stack_size(const struct unwind_table *t, uint32_t start, uint32_t encoding,
                           uint64_t *ret)
{
    if ((encoding & MODE) == X86_STACK) {
        *ret = (uint64_t)bits(encoding, 16, 8) * 8;
        return true;
    }
    uint64_t addr = t->file->base + start + bits(encoding, 16, 8);
    for (size_t i = 0; i < t->file->sections.n; i++) {
        const struct macho_section *s = &t->file->sections.v[i];
        if (!s->is_code || addr < s->addr || addr - s->addr >= s->size)
            continue;
        struct rd r = rd_try_window(&s->bytes, addr - s->addr, 4);
        *ret = rd_u32(&r) + (uint64_t)bits(encoding, 13, 3) * 8;
        return rd_ok(&r);
    }
    return false;
}

static bool x86_stack(const struct unwind_table *t, uint32_t start, uint32_t encoding,
                      struct strbuf *out)
{
    uint64_t size;
    unsigned count = bits(encoding, 10, 3), regs[SAVED_MAX];
    if (count > SAVED_MAX || !x86_stack_size(t, start, encoding, &size) || size < 8 ||
        !x86_permutation(encoding, count, regs))
        return false;
    sb_printf(out, ".cfa: $rsp %" PRIu64 " + .ra: .cfa -8 + ^", size);
    for (unsigned i = 0; i < count; i++)
        sb_printf(out, " %s: .cfa %d + ^", x86_registers[regs[i]], -8 - 8 * (int)(count - i));
    return true;
}

/*
 * arm64: pairs of registers, in a fixed order downwards, below the pair of x29 and x30 in a frame
 * and below the caller's stack without one.  The pairs of d registers have no names in the text.
 */
static bool arm_rules(uint32_t encoding, struct strbuf *out)
{
    int at = -8;
    if ((encoding & MODE) == ARM_FRAME) {
        sb_text(out, ".cfa: x29 16 + .ra: .cfa -8 + ^ x29: .cfa -16 + ^");
        at = -24;
    } else {
        sb_printf(out, ".cfa: sp %u + .ra: x30", bits(encoding, 12, 12) * 16);
    }
    for (unsigned pair = 0; pair < 9; pair++) {
        if (!bits(encoding, pair, 1))
            continue;
        if (pair < 5) /* x19/x20 … x27/x28; behind them d8/d9 … d14/d15 */
            sb_printf(out, " x%u: .cfa %d + ^ x%u: .cfa %d + ^", 19 + 2 * pair, at, 20 + 2 * pair,
                      at - 8);
        at -= 16;
    }
    return true;
}

static bool rules_of(const struct unwind_table *t, uint32_t start, uint32_t encoding,
                     struct strbuf *out)
{
    uint32_t mode = encoding & MODE;
    if (t->file->cpu == MACHO_ARM64)
        return (mode == ARM_FRAME || mode == ARM_FRAMELESS) && arm_rules(encoding, out);
    if (mode == X86_RBP)
        return x86_frame(encoding, out);
    return (mode == X86_STACK || mode == X86_STACK_INDIRECT) && x86_stack(t, start, encoding, out);
}

/* Nothing is known of encoding 0; and what __eh_frame describes is not described here. */
static bool is_elsewhere(const struct unwind_table *t, uint32_t encoding)
{
    return (encoding & MODE) == 0 ||
           (encoding & MODE) == (t->file->cpu == MACHO_ARM64 ? ARM_DWARF : X86_DWARF);
}

static void end_last(struct unwind_table *t, uint32_t end)
{
    struct sym *s = t->sym;
    uint64_t start = t->last_start;
    if (!t->has_last || is_elsewhere(t, t->last_encoding))
        return;
    uint64_t code_end = macho_code_end(t->file, t->file->base + start);
    uint64_t stop = MIN((uint64_t)end, code_end - MIN(t->file->base, code_end));
    size_t text = s->cfi.n;
    if (start < stop && rules_of(t, t->last_start, t->last_encoding, &s->cfi)) {
        sb_char(&s->cfi, '\n');
        if (!s->cfi.overflow) {
            struct sym_frame f = {start, stop - start, text, s->cfi.n - text};
            VEC_PUSH(&s->frames, f);
            return;
        }
    }
    s->cfi.n = text;
    s->skipped_frames++;
}

static void add_entry(struct unwind_table *t, uint32_t start, uint32_t encoding)
{
    end_last(t, start);
    t->has_last = true;
    t->last_start = start;
    t->last_encoding = encoding;
}

static void read_regular(struct unwind_table *t, struct rd page)
{
    uint16_t at = rd_u16(&page), count = rd_u16(&page);
    rd_seek(&page, at);
    for (unsigned i = 0; i < count && rd_left(&page) >= 8; i++) {
        uint32_t start = rd_u32(&page);
        add_entry(t, start, rd_u32(&page));
    }
}

static bool encoding_of(const struct unwind_table *t, struct rd own, unsigned own_n, unsigned index,
                        uint32_t *ret)
{
    struct rd r = t->bytes;
    if (index < t->common_n)
        rd_seek(&r, t->common_at + (size_t)index * 4);
    else
        r = own;
    if (index >= t->common_n)
        rd_seek(&r, index - t->common_n < own_n ? (size_t)(index - t->common_n) * 4 : SIZE_MAX);
    *ret = rd_u32(&r);
    return rd_ok(&r);
}

static void read_compressed(struct unwind_table *t, struct rd page, uint32_t first)
{
    uint16_t at = rd_u16(&page), count = rd_u16(&page);
    uint16_t own_at = rd_u16(&page), own_n = rd_u16(&page);
    struct rd own = rd_try_window(&page, own_at, (uint64_t)own_n * 4);
    rd_seek(&page, at);
    for (unsigned i = 0; i < count && rd_left(&page) >= 4; i++) {
        uint32_t entry = rd_u32(&page), encoding;
        if (encoding_of(t, own, own_n, entry >> 24, &encoding))
            add_entry(t, first + (entry & 0xffffff), encoding);
        else
            t->sym->skipped_frames++;
    }
}

/* Several index entries may name one page of a hostile file: the total of entries is bounded. */
void macho_add_compact_unwind(const struct macho_file *f, struct sym *s)
{
    const struct macho_section *section = macho_section(f, "__TEXT", "__unwind_info");
    if (!section || (f->cpu != MACHO_X86_64 && f->cpu != MACHO_ARM64))
        return;
    struct unwind_table t = {.file = f, .sym = s, .bytes = section->bytes};
    struct rd r = section->bytes;
    uint32_t version = rd_u32(&r);
    t.common_at = rd_u32(&r);
    t.common_n = rd_u32(&r);
    rd_skip(&r, 8);
    uint32_t index_at = rd_u32(&r), index_n = rd_u32(&r), last_page = 0;
    rd_seek(&r, index_at);
    if (version != 1 || !rd_ok(&r))
        return;
    for (uint32_t i = 0; i < index_n && rd_left(&r) >= INDEX_ENTRY; i++) {
        uint32_t first = rd_u32(&r), at = rd_u32(&r);
        rd_skip(&r, 4);
        struct rd page = rd_try_window(&t.bytes, at, t.bytes.n - MIN((size_t)at, t.bytes.n));
        if (at == 0) { /* the closing entry: no page, and the end of the last function */
            end_last(&t, first);
            t.has_last = false;
            continue;
        }
        uint32_t kind = at > last_page ? rd_u32(&page) : 0;
        last_page = at;
        if (kind == PAGE_REGULAR)
            read_regular(&t, page);
        else if (kind == PAGE_COMPRESSED)
            read_compressed(&t, page, first);
        else
            s->skipped_frames++;
    }
}
