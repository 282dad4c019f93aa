/*
 * The last step of a compilation: sort, drop overlaps, lay out the sections (csym_format.h has the
 * format).  Symbol text may say two things about one address; readers of the compiled form
 * search by halving and must find one, so overlaps are decided here, once: a range that starts
 * inside the one kept before it is dropped.
 *
 * Sorting is stable everywhere: the same text makes the same bytes.  Sections are made apart and
 * joined at the end, because their sizes are known only then.  The bodies of functions, four fifths
 * of the result, are the first section and were written behind the room for the header from the
 * start, so they stay where they are and the others come behind them.
 */

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/map.h"
#include "lib/base/sort.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/symfile/csym_format.h"
#include "lib/symfile/sym_build.h"
#include "lib/symfile/sym_parse.h"

/* Symbols of a whole browser have half a GiB to one. */
static const size_t TEXT_MAX_BYTES = (size_t)8 << 30;

/* The sections while they grow; their places in the file follow from their sizes.  That of
 * SEC_BODY is in the builder. */
struct csym_image {
    bytes_vec sec[CSYM_SECTION_COUNT];
    uint32_t *name_offset; /* in SEC_STRINGS, by name */
    bool is_wide;
};

static void image_release(struct csym_image *m)
{
    for (size_t i = 0; i < CSYM_SECTION_COUNT; i++)
        VEC_RELEASE(&m->sec[i]);
    free(m->name_offset);
}

/* Which of the two all start arrays use is decided before the first is written (is_wide). */
static void put_start(struct csym_image *m, enum csym_section_id id, uint64_t start)
{
    if (m->is_wide)
        put_u64(&m->sec[id], start);
    else
        put_u32(&m->sec[id], (uint32_t)start);
}

/* Offset 0 is the empty string: a FILE or INLINE_ORIGIN that was used and never came. */
static void put_name(struct csym_image *m, enum csym_section_id id, uint32_t name)
{
    put_u32(&m->sec[id], name == NAME_NONE ? 0 : m->name_offset[name]);
}

static int cmp_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

/* Of FUNCs that begin at one address the shortest comes first and is the one that is kept. */
static int by_func(const void *a, const void *b)
{
    const struct func_record *x = a, *y = b;
    return x->start != y->start ? cmp_u64(x->start, y->start) : cmp_u64(x->size, y->size);
}

static int by_cfi(const void *a, const void *b)
{
    const struct cfi_range *x = a, *y = b;
    return x->start != y->start ? cmp_u64(x->start, y->start) : cmp_u64(x->size, y->size);
}

static int by_win(const void *a, const void *b)
{
    const struct win_record *x = a, *y = b;
    return x->start != y->start ? cmp_u64(x->start, y->start) : cmp_u64(x->size, y->size);
}

static int by_public_start(const void *a, const void *b)
{
    return cmp_u64(((const struct public_record *)a)->start,
                   ((const struct public_record *)b)->start);
}

/* Whether y goes behind x among PUBLICs of one address: by name, then parameter size. */
static bool public_follows(const struct builder *b, const struct public_record *x,
                           const struct public_record *y)
{
    int c = str_cmp(b->names.texts.v[x->name], b->names.texts.v[y->name]);
    return c < 0 || (c == 0 && x->param_size <= y->param_size);
}

/* In order of first use, which keeps names of neighbours together. */
static bool put_strings(struct csym_image *m, const struct builder *b, struct err *err)
{
    bytes_vec *out = &m->sec[SEC_STRINGS];
    size_t n = b->names.texts.n;
    m->name_offset = xmalloc(n * sizeof *m->name_offset);
    for (size_t i = 0; i < n; i++) {
        struct str s = b->names.texts.v[i];
        if (out->n > UINT32_MAX)
            return err_set(err, ERR_TOO_LARGE, "more than 4 GiB of names");
        m->name_offset[i] = (uint32_t)out->n;
        put_varint(out, s.n);
        put_bytes(out, s.p, s.n);
    }
    return true;
}

/* FILE, INLINE_ORIGIN and INFO are arrays of string offsets, by the index that records use. */
static void put_names(struct csym_image *m, enum csym_section_id id, const uint32_t *names,
                      size_t n)
{
    for (size_t i = 0; i < n; i++)
        put_name(m, id, names[i]);
}

/* A range that starts inside the one kept before it is dropped: it begins elsewhere or ends
 * elsewhere, so it is never the same one. */
static void put_funcs(struct csym_image *m, struct builder *b)
{
    sort_stable(b->funcs.v, b->funcs.n, sizeof *b->funcs.v, by_func);
    uint64_t end = 0;
    for (size_t i = 0; i < b->funcs.n; i++) {
        const struct func_record *f = &b->funcs.v[i];
        if (b->stats.funcs && f->start < end)
            continue;
        end = f->start + f->size;
        put_start(m, SEC_FUNC_START, f->start);
        put_u32(&m->sec[SEC_FUNC], f->size);
        put_name(m, SEC_FUNC, f->name);
        put_u32(&m->sec[SEC_FUNC], f->body);
        b->stats.funcs++;
    }
}

/* Several PUBLICs of one address are names of the same code: the last in order is kept. */
static void put_publics(struct csym_image *m, struct builder *b)
{
    sort_stable(b->publics.v, b->publics.n, sizeof *b->publics.v, by_public_start);
    for (size_t i = 0, next; i < b->publics.n; i = next) {
        const struct public_record *best = &b->publics.v[i];
        for (next = i + 1; next < b->publics.n && b->publics.v[next].start == best->start; next++)
            if (public_follows(b, best, &b->publics.v[next]))
                best = &b->publics.v[next];
        put_start(m, SEC_PUBLIC_START, best->start);
        put_name(m, SEC_PUBLIC, best->name);
        put_u32(&m->sec[SEC_PUBLIC], best->param_size);
        b->stats.publics++;
    }
}

/* Rows, sets and programs were packed while the text was read; only the INIT records are
 * settled. */
static void put_cfi(struct csym_image *m, struct builder *b)
{
    struct cfi_builder *c = &b->cfi;
    sort_stable(c->ranges.v, c->ranges.n, sizeof *c->ranges.v, by_cfi);
    uint64_t end = 0;
    for (size_t i = 0; i < c->ranges.n; i++) {
        const struct cfi_range *r = &c->ranges.v[i];
        if (b->stats.cfi_ranges && r->start < end)
            continue;
        end = r->start + r->size;
        put_start(m, SEC_CFI_START, r->start);
        put_u32(&m->sec[SEC_CFI], r->size);
        put_u32(&m->sec[SEC_CFI], r->row);
        b->stats.cfi_ranges++;
    }
    put_bytes(&m->sec[SEC_CFI_ROW], c->row_bytes.v, c->row_bytes.n);
    put_bytes(&m->sec[SEC_CFI_RULE], c->set_bytes.v, c->set_bytes.n);
    put_bytes(&m->sec[SEC_CFI_PROGRAM], c->program_bytes.v, c->program_bytes.n);
    put_bytes(&m->sec[SEC_CFI_SET], c->set_offset.v, c->set_offset.n * sizeof *c->set_offset.v);
    for (size_t i = 0; i < c->regs.texts.n; i++)
        put_name(m, SEC_REG, textmap_number(&b->names, NULL, c->regs.texts.v[i]));
    b->stats.cfi_rule_sets = c->set_offset.n - 1;
}

/* Eight numbers and a name, each of 32 bits, behind every start: CSYM_WIN_SIZE bytes. */
static void put_win(struct csym_image *m, win_vec *all, enum csym_section_id start,
                    enum csym_section_id body)
{
    sort_stable(all->v, all->n, sizeof *all->v, by_win);
    uint64_t end = 0;
    for (size_t i = 0; i < all->n; i++) {
        const struct win_record *w = &all->v[i];
        if (i && w->start < end)
            continue;
        end = (uint64_t)w->start + w->size;
        put_u32(&m->sec[start], w->start);
        const uint32_t numbers[] = {w->size,       w->prologue, w->epilogue, w->param_size,
                                    w->saved_regs, w->locals,   w->max_stack};
        put_bytes(&m->sec[body], numbers, sizeof numbers);
        put_name(m, body, w->program);
        put_u32(&m->sec[body], w->allocates_base_pointer);
    }
}

/* One high address makes all start arrays wide; programs are linked at one place or another. */
static bool is_wide(const struct builder *b)
{
    uint64_t all = 0;
    for (size_t i = 0; i < b->funcs.n; i++)
        all |= b->funcs.v[i].start;
    for (size_t i = 0; i < b->publics.n; i++)
        all |= b->publics.v[i].start;
    for (size_t i = 0; i < b->cfi.ranges.n; i++)
        all |= b->cfi.ranges.v[i].start;
    return all > UINT32_MAX;
}

static size_t aligned(size_t n)
{
    return (n + 7) & ~(size_t)7;
}

/* Zeros up to the next multiple of eight, where a section may begin. */
static void put_padding(bytes_vec *out)
{
    static const uint8_t zeros[8];
    put_bytes(out, zeros, aligned(out->n) - out->n);
}

/* The other sections behind the bodies, and where each is. */
static void join_sections(const struct csym_image *m, bytes_vec *out, struct csym_section *sections)
{
    size_t end = aligned(out->n);
    for (size_t i = 0; i < CSYM_SECTION_COUNT; i++)
        end += aligned(m->sec[i].n);
    VEC_RESERVE(out, end);
    sections[SEC_BODY] =
        (struct csym_section){out->v + CSYM_HEADER_SIZE, out->n - CSYM_HEADER_SIZE};
    for (size_t i = 0; i < CSYM_SECTION_COUNT; i++) {
        if (i == SEC_BODY)
            continue;
        put_padding(out);
        sections[i] = (struct csym_section){out->v + out->n, m->sec[i].n};
        put_bytes(out, m->sec[i].v, m->sec[i].n);
    }
    put_padding(out);
}

/* The header with the table of sections. */
static void make_header(const struct csym_image *m, const struct builder *b, uint64_t stamp,
                        const struct csym_section *sections, bytes_vec *out)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < CSYM_SECTION_COUNT; i++)
        hash = hash64_seed(sections[i].p, sections[i].n, hash);
    bool corrupt = b->stats.bad_lines > CSYM_BAD_LINES_MAX;
    put_u32(out, CSYM_MAGIC);
    put_u32(out, CSYM_VERSION);
    put_u32(out, (m->is_wide ? CSYM_WIDE : 0) | (corrupt ? CSYM_CORRUPT : 0));
    put_u32(out, CSYM_HEADER_SIZE);
    put_u64(out, b->body.n);
    put_u64(out, b->text.n);
    put_u64(out, stamp);
    put_u64(out, hash);
    put_u64(out, 0);
    put_u64(out, 0);
    for (size_t i = 0; i < CSYM_SECTION_COUNT; i++) {
        put_u64(out, (uint64_t)(sections[i].p - b->body.v));
        put_u64(out, sections[i].n);
    }
}

/* Sections without names first: those of the CFI registers are among the strings. */
static bool put_sections(struct csym_image *m, struct builder *b, struct err *err)
{
    for (size_t i = 0; i < b->cfi.regs.texts.n; i++)
        textmap_number(&b->names, NULL, b->cfi.regs.texts.v[i]);
    if (!put_strings(m, b, err))
        return false;
    m->is_wide = is_wide(b);
    put_names(m, SEC_INFO, b->info, CSYM_INFO_COUNT);
    put_names(m, SEC_FILE, b->files.v, b->files.n);
    put_names(m, SEC_ORIGIN, b->origins.v, b->origins.n);
    put_funcs(m, b);
    put_publics(m, b);
    put_cfi(m, b);
    put_win(m, &b->win_frame, SEC_WIN_FRAME_START, SEC_WIN_FRAME);
    put_win(m, &b->win_fpo, SEC_WIN_FPO_START, SEC_WIN_FPO);
    return true;
}

/* What is open, a function or an INIT record, ends here.  A limit that was broken on the way is
 * told only now, so that the records need no error of their own. */
bool builder_image(struct builder *b, uint64_t stamp, void **ret_p, size_t *ret_n, struct err *err)
{
    builder_no_func(b, OWNER_NONE);
    builder_cfi_finish(b);
    if (b->too_large)
        return err_set(err, ERR_TOO_LARGE, "the symbol file has too many %s", b->too_large);
    struct csym_image m = {0};
    struct csym_section sections[CSYM_SECTION_COUNT];
    bytes_vec header = {0};
    bool ok = put_sections(&m, b, err);
    if (ok) {
        join_sections(&m, &b->body, sections);
        make_header(&m, b, stamp, sections, &header);
        memcpy(b->body.v, header.v, header.n);
        csym_seal_header(b->body.v);
        b->stats.csym_bytes = *ret_n = b->body.n;
        *ret_p = TAKE(b->body.v);
    }
    VEC_RELEASE(&header);
    image_release(&m);
    return ok;
}

bool csym_compile_mem(struct str text, uint64_t stamp, void **ret_p, size_t *ret_n,
                      struct csym_stats *ret_stats, struct err *err)
{
    if (text.n > TEXT_MAX_BYTES)
        return err_set(err, ERR_TOO_LARGE, "a symbol file of %zu bytes", text.n);
    struct builder b;
    builder_init(&b, text);
    bool ok = sym_parse(&b, err) && builder_image(&b, stamp, ret_p, ret_n, err);
    if (ok && ret_stats)
        *ret_stats = b.stats;
    builder_release(&b);
    return ok;
}
