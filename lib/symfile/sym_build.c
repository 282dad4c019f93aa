/* Functions with their lines and inlines, PUBLICs, STACK WIN: what is kept, and packed how. */
#include "symfile/sym_build.h"

#include "base/sort.h"

void builder_init(struct builder *b, struct str text)
{
    *b = (struct builder){.text = text.n ? text : STR("")}; /* never a null pointer */
    arena_init(&b->arena, SIZE_MAX); /* grows with the text, whose size the caller bounds */
    intern_init(&b->names);
    intern_id(&b->names, STR("")); /* name 0 is the empty one */
    idmap_init(&b->file_ids);
    idmap_init(&b->origin_ids);
    cfi_builder_init(&b->cfi);
    b->stats.source_bytes = text.n;
}

void builder_release(struct builder *b)
{
    intern_release(&b->names);
    idmap_release(&b->file_ids);
    idmap_release(&b->origin_ids);
    VEC_RELEASE(&b->files);
    VEC_RELEASE(&b->origins);
    VEC_RELEASE(&b->funcs);
    VEC_RELEASE(&b->lines);
    VEC_RELEASE(&b->inlines);
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

void builder_info(struct builder *b, enum csym_info what, struct str value)
{
    b->info[what] = intern_id(&b->names, value);
}

/* ---- numbers of files and inline origins ------------------------------------------------- */
/* A number may be used before its record is read, or never get one. */
uint32_t builder_file_index(struct builder *b, uint32_t number)
{
    uint32_t i = idmap_id(&b->file_ids, number);
    if (i == b->files.n)
        VEC_PUSH(&b->files, NAME_NONE);
    return i;
}

uint32_t builder_origin_index(struct builder *b, uint32_t number)
{
    uint32_t i = idmap_id(&b->origin_ids, number);
    if (i == b->origins.n)
        VEC_PUSH(&b->origins, NAME_NONE);
    return i;
}

void builder_file(struct builder *b, uint32_t number, struct str name)
{
    uint32_t i = builder_file_index(b, number); /* may move the array */
    b->files.v[i] = intern_id(&b->names, name);
}

void builder_origin(struct builder *b, uint32_t number, struct str name)
{
    uint32_t i = builder_origin_index(b, number); /* may move the array */
    b->origins.v[i] = intern_id(&b->names, name);
}

/* ---- overlaps ---------------------------------------------------------------------------- */
static int cmp_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int by_range(const void *a, const void *b)
{
    const struct range_record *x = a, *y = b;
    return x->start != y->start ? cmp_u64(x->start, y->start) : cmp_u64(x->end, y->end);
}

static int by_level(const void *a, const void *b)
{
    const struct range_record *x = a, *y = b;
    return x->level != y->level ? cmp_u64(x->level, y->level) : cmp_u64(x->start, y->start);
}

/*
 * A line that starts inside the one before is dropped unless it says the same; equal ones
 * that touch or overlap become one.  Then cuts all to the function: an address outside of
 * it never gets here.
 */
static void settle_lines(range_vec *lines, bool is_sorted, const struct func_record *f)
{
    if (!is_sorted)
        sort_stable(lines->v, lines->n, sizeof *lines->v, by_range);
    size_t kept = 0;
    for (size_t i = 0; i < lines->n; i++) {
        const struct range_record *r = &lines->v[i];
        struct range_record *last = kept ? &lines->v[kept - 1] : NULL;
        bool same = last && r->line == last->line && r->file == last->file;
        if (same && r->start <= last->end)
            last->end = MAX(last->end, r->end);
        else if (!last || r->start >= last->end)
            lines->v[kept++] = *r;
    }
    lines->n = kept;

    kept = 0;
    for (size_t i = 0; i < lines->n; i++) {
        struct range_record r = lines->v[i];
        r.start = MAX(r.start, f->start) - f->start;
        r.end = MIN(r.end, f->start + f->size);
        r.end -= MIN(r.end, f->start);
        if (r.start < r.end)
            lines->v[kept++] = r;
    }
    lines->n = kept;
}

/* ---- packing a function -------------------------------------------------------------------- */
static void put_range(bytes_vec *out, const struct range_record *r, uint64_t *last_end)
{
    uint64_t gap = r->start - *last_end; /* wraps where ranges overlap: inlines may */
    put_varint(out, (r->end - r->start) << 1 | (gap != 0));
    if (gap)
        put_varint(out, zigzag((int64_t)gap));
    *last_end = r->end;
}

static void put_lines(bytes_vec *out, const range_vec *lines)
{
    struct run_out run;
    run_begin(&run, out, lines->n);
    uint64_t end = 0;
    uint32_t line = 0, file = 0;
    for (size_t i = 0; i < lines->n; i++) {
        const struct range_record *r = &lines->v[i];
        if (run_record(&run, (uint32_t)r->start)) {
            end = i ? r->start : 0;
            line = file = 0;
        }
        put_range(out, r, &end);
        put_varint(out, zigzag((int64_t)r->line - line) << 1 | (r->file != file));
        if (r->file != file)
            put_varint(out, r->file);
        line = r->line;
        file = r->file;
    }
}

static void put_inline_level(bytes_vec *out, const struct range_record *v, size_t n)
{
    struct run_out run;
    run_begin(&run, out, n);
    uint64_t end = 0;
    uint32_t file = 0;
    for (size_t i = 0; i < n; i++) {
        if (run_record(&run, (uint32_t)v[i].start)) {
            end = i ? v[i].start : 0;
            file = 0;
        }
        put_range(out, &v[i], &end);
        put_varint(out, v[i].origin);
        put_varint(out, (uint64_t)v[i].line << 1 | (v[i].file != file));
        if (v[i].file != file)
            put_varint(out, v[i].file);
        file = v[i].file;
    }
}

/* Sorted by level and address; what lies behind the function or below a missing level goes. */
static void settle_inlines(range_vec *inlines, const struct func_record *f)
{
    sort_stable(inlines->v, inlines->n, sizeof *inlines->v, by_level);
    size_t kept = 0;
    for (size_t i = 0; i < inlines->n; i++) {
        struct range_record r = inlines->v[i];
        r.start = MAX(r.start, f->start) - f->start;
        r.end -= MIN(r.end, f->start);
        r.end = MAX(MIN(r.end, f->size), r.start);
        uint32_t deepest = kept ? inlines->v[kept - 1].level + 1 : 0;
        if (r.start < f->size && r.level <= deepest)
            inlines->v[kept++] = r;
    }
    inlines->n = kept;
}

static void put_inlines(struct builder *b)
{
    const range_vec *in = &b->inlines;
    put_varint(&b->body, in->n ? in->v[in->n - 1].level + 1 : 0);
    for (size_t from = 0, to; from < in->n; from = to) {
        for (to = from; to < in->n && in->v[to].level == in->v[from].level; to++)
            ;
        b->scratch.n = 0;
        put_inline_level(&b->scratch, in->v + from, to - from);
        put_varint(&b->body, b->scratch.n);
        put_bytes(&b->body, b->scratch.v, b->scratch.n);
    }
}

static void finish_func(struct builder *b)
{
    if (b->owner != OWNER_KEPT)
        return;
    settle_lines(&b->lines, b->lines_sorted, &b->open);
    settle_inlines(&b->inlines, &b->open);
    b->stats.lines += b->lines.n;
    b->stats.inlines += b->inlines.n;
    if (b->body.n > UINT32_MAX)
        b->too_large = "lines and inlines";
    b->open.body = (uint32_t)b->body.n;
    put_varint(&b->body, b->open.param_size);
    b->scratch.n = 0;
    put_lines(&b->scratch, &b->lines);
    put_varint(&b->body, b->scratch.n);
    put_bytes(&b->body, b->scratch.v, b->scratch.n);
    put_inlines(b);
    VEC_PUSH(&b->funcs, b->open);
}

/* ---- records from the parser ----------------------------------------------------------------- */
void builder_no_func(struct builder *b, enum owner owner)
{
    finish_func(b);
    b->owner = owner;
    b->lines.n = b->inlines.n = 0;
    b->lines_sorted = true;
}

void builder_func(struct builder *b, uint64_t addr, uint32_t size, uint32_t param_size,
                  struct str name)
{
    builder_no_func(b, size == 0 || addr + size < addr ? OWNER_DROPPED : OWNER_KEPT);
    if (b->owner == OWNER_KEPT)
        b->open = (struct func_record){addr, size, intern_id(&b->names, name), 0, param_size};
}

bool builder_line(struct builder *b, uint64_t addr, uint32_t size, uint32_t line, uint32_t file)
{
    if (b->owner != OWNER_KEPT)
        return b->owner == OWNER_DROPPED;
    struct range_record r = {.start = addr, .end = addr + size, .line = line};
    if (r.end <= r.start)
        return true;
    r.file = builder_file_index(b, file);
    if (b->lines.n && by_range(&b->lines.v[b->lines.n - 1], &r) > 0)
        b->lines_sorted = false;
    VEC_PUSH(&b->lines, r);
    return true;
}

bool builder_inline(struct builder *b, const struct range_record *r)
{
    if (b->owner != OWNER_KEPT)
        return b->owner == OWNER_DROPPED;
    if (r->end > r->start && r->level < CSYM_INLINE_MAX)
        VEC_PUSH(&b->inlines, *r);
    return true;
}

void builder_public(struct builder *b, uint64_t addr, uint32_t param_size, struct str name)
{
    VEC_PUSH(&b->publics, ((struct public_record){addr, intern_id(&b->names, name), param_size}));
}

/*
 * Checked against the record before it: tools write overlapping ranges on purpose, where
 * the later start ends the earlier range.
 */
void builder_win(struct builder *b, bool is_frame_data, const struct win_record *w)
{
    win_vec *all = is_frame_data ? &b->win_frame : &b->win_fpo;
    uint64_t end = (uint64_t)w->start + w->size;
    if (w->size == 0 || end > UINT32_MAX)
        return;
    struct win_record *last = all->n ? &all->v[all->n - 1] : NULL;
    if (last && w->start < last->start + last->size && last->start < end) {
        if (w->start > last->start)
            last->size = w->start - last->start;
        else if (w->start != last->start || w->size != last->size)
            return;
    }
    VEC_PUSH(all, *w);
}
