/*
 * Functions with their lines and inlines, PUBLICs, STACK WIN: what is kept, and packed how.
 *
 * Records of one function follow their FUNC line, so a function is packed when the next one begins
 * and its records are forgotten: memory grows with the result, which is a fifth of the text.  What
 * belongs to nobody is a bad line (OWNER_NONE); what belongs to a FUNC that is dropped goes with it
 * silently (OWNER_DROPPED), so that one broken FUNC is counted once.
 *
 * Invariants of what is packed, which the reading side relies on: lines of a function are sorted,
 * do not overlap and lie inside it; inlines of one level are sorted by start and lie inside, but
 * may overlap, and the last that starts at or below an address decides; a level without
 * records ends the levels.  File and origin numbers are dense indices in order of first use.
 */
#include "lib/symfile/sym_build.h"

#include "lib/base/arena.h"
#include "lib/base/sort.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"

/* Sixteen megabytes of array at most; a text with one higher number costs a map entry, not
 * memory. */
enum { INDEX_SMALL_MAX = 1 << 22 };

static void index_of_release(struct index_of *t)
{
    VEC_RELEASE(&t->small);
    map_release(&t->others);
}

void builder_init(struct builder *b, struct str text)
{
    *b = (struct builder){.text = text.n ? text : STR("")}; /* never a null pointer */
    arena_init(&b->arena, SIZE_MAX); /* grows with the text, whose size the caller bounds */
    /* Whatever gets a number takes a byte of the text at least, or is the empty name. */
    size_t numbers_max = MIN(text.n + 1, (size_t)TEXTMAP_FULL - 1);
    textmap_init(&b->names, numbers_max);
    textmap_number(&b->names, NULL, STR("")); /* name 0 is the empty one */
    map_init(&b->file_index.others, numbers_max);
    map_init(&b->origin_index.others, numbers_max);
    cfi_builder_init(&b->cfi, numbers_max);
    b->stats.source_bytes = text.n;
    VEC_RESERVE(&b->body, CSYM_HEADER_SIZE);
    memset(b->body.v, 0, CSYM_HEADER_SIZE);
    b->body.n = CSYM_HEADER_SIZE;
}

void builder_release(struct builder *b)
{
    textmap_release(&b->names);
    index_of_release(&b->file_index);
    index_of_release(&b->origin_index);
    VEC_RELEASE(&b->files);
    VEC_RELEASE(&b->origins);
    VEC_RELEASE(&b->funcs);
    VEC_RELEASE(&b->lines);
    for (size_t i = 0; i < CSYM_INLINE_MAX; i++)
        VEC_RELEASE(&b->inlines[i]);
    VEC_RELEASE(&b->body);
    VEC_RELEASE(&b->scratch);
    VEC_RELEASE(&b->publics);
    VEC_RELEASE(&b->win_frame);
    VEC_RELEASE(&b->win_fpo);
    cfi_builder_release(&b->cfi);
    arena_release(&b->arena);
}

void builder_bad_line(struct builder *b)
{
    b->stats.bad_lines++;
}

/* Where two records give the same number a text, the last one counts. */
void builder_info(struct builder *b, enum csym_info what, struct str value)
{
    b->info[what] = textmap_number(&b->names, NULL, value);
}

/* The index of a number that is not among the small ones yet; `next`, if it is a new one. */
static uint32_t index_of_other(struct index_of *t, uint32_t number, size_t next)
{
    uint32_t *place;
    if (number >= INDEX_SMALL_MAX) {
        place = map_at(&t->others, number);
    } else {
        if (number >= t->small.n) {
            VEC_RESERVE(&t->small, number + 1);
            memset(t->small.v + t->small.n, 0, (t->small.cap - t->small.n) * sizeof *t->small.v);
            t->small.n = t->small.cap;
        }
        place = &t->small.v[number];
    }
    if (*place == 0)
        *place = (uint32_t)next + 1;
    return *place - 1;
}

uint32_t builder_new_file(struct builder *b, uint32_t number)
{
    uint32_t i = index_of_other(&b->file_index, number, b->files.n);
    if (i == b->files.n)
        VEC_PUSH(&b->files, NAME_NONE);
    return i;
}

uint32_t builder_new_origin(struct builder *b, uint32_t number)
{
    uint32_t i = index_of_other(&b->origin_index, number, b->origins.n);
    if (i == b->origins.n)
        VEC_PUSH(&b->origins, NAME_NONE);
    return i;
}

void builder_file(struct builder *b, uint32_t number, struct str name)
{
    uint32_t i = builder_file_index(b, number); /* may move the array */
    b->files.v[i] = textmap_number(&b->names, NULL, name);
}

void builder_origin(struct builder *b, uint32_t number, struct str name)
{
    uint32_t i = builder_origin_index(b, number); /* may move the array */
    b->origins.v[i] = textmap_number(&b->names, NULL, name);
}

static int cmp_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int by_range(const void *a, const void *b)
{
    const struct line_record *x = a, *y = b;
    return x->start != y->start ? cmp_u64(x->start, y->start) : cmp_u64(x->end, y->end);
}

static int by_start(const void *a, const void *b)
{
    const struct inline_record *x = a, *y = b;
    return cmp_u64(x->start, y->start);
}

/*
 * A line that starts inside the one before is dropped unless it says the same; equal ones
 * that touch or overlap become one.  Then cuts all to the function: an address outside of
 * it never gets here.
 */
static void settle_lines(line_vec *lines, const struct func_record *f)
{
    sort_stable(lines->v, lines->n, sizeof *lines->v, by_range);
    size_t kept = 0;
    for (size_t i = 0; i < lines->n; i++) {
        const struct line_record *r = &lines->v[i];
        struct line_record *last = kept ? &lines->v[kept - 1] : NULL;
        bool same = last && r->line == last->line && r->file == last->file;
        if (same && r->start <= last->end)
            last->end = MAX(last->end, r->end);
        else if (!last || r->start >= last->end)
            lines->v[kept++] = *r;
    }
    lines->n = kept;

    kept = 0;
    for (size_t i = 0; i < lines->n; i++) {
        struct line_record r = lines->v[i];
        r.start = MAX(r.start, f->start);
        r.end = MIN(r.end, f->start + f->size);
        if (r.start < r.end)
            lines->v[kept++] = r;
    }
    lines->n = kept;
}

/* Cuts what lies behind the function; what begins before it begins with it. */
static void settle_inlines(inline_vec *inlines, const struct func_record *f)
{
    sort_stable(inlines->v, inlines->n, sizeof *inlines->v, by_start);
    uint64_t end = f->start + f->size;
    size_t kept = 0;
    for (size_t i = 0; i < inlines->n; i++) {
        struct inline_record r = inlines->v[i];
        r.start = MAX(r.start, f->start);
        r.end = MAX(MIN(r.end, end), r.start);
        if (r.start < end)
            inlines->v[kept++] = r;
    }
    inlines->n = kept;
}

/* Most ranges begin where the one before ended: then there is no gap to write, which one bit
 * says. */
static inline uint8_t *write_range(uint8_t *p, uint64_t start, uint64_t end, uint64_t *last_end)
{
    uint64_t gap = start - *last_end; /* wraps where ranges overlap: inlines may */
    p = write_varint(p, (end - start) << 1 | (gap != 0));
    if (gap)
        p = write_varint(p, zigzag((int64_t)gap));
    *last_end = end;
    return p;
}

/* Room for the five numbers that a record has at most, asked for once. */
static inline uint8_t *put_record(bytes_vec *out)
{
    enum { NUMBERS_MAX = 5 };
    VEC_RESERVE(out, out->n + NUMBERS_MAX * VARINT_MAX);
    return out->v + out->n;
}

static inline void end_record(bytes_vec *out, const uint8_t *p)
{
    out->n = (size_t)(p - out->v);
}

/*
 * The deltas start afresh with each block, so that a reader can begin at any of them.  A file is
 * written over by the next number where it is that of the line before: a guess would often be
 * wrong.
 */
static void put_lines(bytes_vec *out, const line_vec *lines, size_t joined, uint64_t base)
{
    struct run_out run;
    run_begin(&run, out, lines->n - joined);
    uint64_t end = base;
    uint32_t line = 0, file = 0;
    for (size_t i = 0, next; i < lines->n; i = next) {
        const struct line_record *r = &lines->v[i];
        for (next = i + 1; next < lines->n && is_joined(&lines->v[next - 1], &lines->v[next]);)
            next++;
        if (run_record(&run, (uint32_t)(r->start - base))) {
            end = i ? r->start : base;
            line = file = 0;
        }
        uint8_t *p = put_record(out);
        p = write_range(p, r->start, lines->v[next - 1].end, &end);
        p = write_varint(p, zigzag((int64_t)r->line - line) << 1 | (r->file != file));
        uint8_t *behind_file = write_varint(p, r->file);
        end_record(out, r->file != file ? behind_file : p);
        line = r->line;
        file = r->file;
    }
}

/* Call lines of neighbours have nothing to do with each other: they are written whole. */
static void put_inline_level(bytes_vec *out, const inline_vec *inlines, uint64_t base)
{
    struct run_out run;
    run_begin(&run, out, inlines->n);
    uint64_t end = base;
    uint32_t file = 0;
    for (size_t i = 0; i < inlines->n; i++) {
        const struct inline_record *r = &inlines->v[i];
        if (run_record(&run, (uint32_t)(r->start - base))) {
            end = i ? r->start : base;
            file = 0;
        }
        uint8_t *p = put_record(out);
        p = write_range(p, r->start, r->end, &end);
        p = write_varint(p, r->origin);
        p = write_varint(p, (uint64_t)r->line << 1 | (r->file != file));
        uint8_t *behind_file = write_varint(p, r->file);
        end_record(out, r->file != file ? behind_file : p);
        file = r->file;
    }
}

/* A reader that wants a later part goes past this one by its length. */
static void put_sized(bytes_vec *out, const bytes_vec *part)
{
    put_varint(out, part->n);
    put_bytes(out, part->v, part->n);
}

/* A level is of use only below the ones above it. */
static void put_inlines(struct builder *b)
{
    uint32_t levels = 0;
    for (; levels < b->inline_levels; levels++) {
        settle_inlines(&b->inlines[levels], &b->open);
        if (b->inlines[levels].n == 0)
            break;
    }
    put_varint(&b->body, levels);
    for (uint32_t i = 0; i < levels; i++) {
        b->scratch.n = 0;
        put_inline_level(&b->scratch, &b->inlines[i], b->open.start);
        put_sized(&b->body, &b->scratch);
        b->stats.inlines += b->inlines[i].n;
    }
}

/* Body of a function as csym_format.h has it: parameter size, lines, inline levels. */
static void finish_func(struct builder *b)
{
    if (b->owner != OWNER_KEPT)
        return;
    if (!b->lines_settled) {
        settle_lines(&b->lines, &b->open);
        b->lines_joined = 0;
    }
    b->stats.lines += b->lines.n - b->lines_joined;
    size_t at = b->body.n - CSYM_HEADER_SIZE;
    if (at > UINT32_MAX)
        b->too_large = "lines and inlines";
    b->open.body = (uint32_t)at;
    put_varint(&b->body, b->open.param_size);
    b->scratch.n = 0;
    put_lines(&b->scratch, &b->lines, b->lines_joined, b->open.start);
    put_sized(&b->body, &b->scratch);
    put_inlines(b);
    VEC_PUSH(&b->funcs, b->open);
}

void builder_no_func(struct builder *b, enum owner owner)
{
    finish_func(b);
    b->owner = owner;
    b->lines.n = b->lines_joined = 0;
    b->lines_settled = true;
    while (b->inline_levels > 0)
        b->inlines[--b->inline_levels].n = 0;
}

/* A FUNC of no size, or one that runs over the end of the addresses, covers nothing. */
void builder_func(struct builder *b, uint64_t addr, uint32_t size, uint32_t param_size,
                  struct str name)
{
    builder_no_func(b, size == 0 || addr + size < addr ? OWNER_DROPPED : OWNER_KEPT);
    if (b->owner == OWNER_KEPT)
        b->open =
            (struct func_record){addr, size, textmap_number(&b->names, NULL, name), 0, param_size};
}

/*
 * Levels beyond CSYM_INLINE_MAX are left out: readers look no deeper.  Such a record is no error.
 */
bool builder_inline(struct builder *b, const struct inline_record *r)
{
    if (b->owner != OWNER_KEPT)
        return b->owner == OWNER_DROPPED;
    if (r->end <= r->start || r->level >= CSYM_INLINE_MAX)
        return true;
    VEC_PUSH(&b->inlines[r->level], *r);
    b->inline_levels = MAX(b->inline_levels, r->level + 1);
    return true;
}

/* Two PUBLICs of one address are settled when all are known (csym_write.c). */
void builder_public(struct builder *b, uint64_t addr, uint32_t param_size, struct str name)
{
    VEC_PUSH(&b->publics,
             ((struct public_record){addr, textmap_number(&b->names, NULL, name), param_size}));
}

/*
 * Tools write overlapping ranges on purpose, where the later start ends the earlier range.
 * False: what overlaps is no such pair, the new record does not count.
 */
static bool settle_overlap(struct win_record *last, const struct win_record *w)
{
    if (w->start >= last->start + last->size || last->start >= (uint64_t)w->start + w->size)
        return true;
    if (w->start > last->start)
        last->size = w->start - last->start;
    else if (w->start != last->start || w->size != last->size)
        return false;
    return true;
}

/* Checked against the record before it. */
void builder_win(struct builder *b, bool is_frame_data, const struct win_record *w)
{
    win_vec *all = is_frame_data ? &b->win_frame : &b->win_fpo;
    uint64_t end = (uint64_t)w->start + w->size;
    if (w->size == 0 || end > UINT32_MAX)
        return;
    if (all->n && !settle_overlap(&all->v[all->n - 1], w))
        return;
    VEC_PUSH(all, *w);
}
