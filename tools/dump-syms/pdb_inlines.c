/*
 * Inlined calls as a PDB has them (Microsoft's cvinfo.h; llvm.org/docs/PDB for what that leaves
 * out).
 *
 * A site, S_INLINESITE, stands among the records of its procedure, inside the site that it was
 * inlined through.  It names a function by its number in the stream of ids, and has a program of
 * "binary annotations" that say which code has which line of that function: like a line table, each
 * step moves the place in the code or in the text.  Where the function begins, DEBUG_S_INLINEELINES
 * says.  Where it was called stands nowhere: that is the line that the code has for the caller, by
 * the caller's own annotations, or by the lines of the procedure for the outermost.
 *
 * So the code of a procedure is covered by pieces of several depths.  A sweep over them gives the
 * lines of the text, those of the deepest, and for each site the caller's line where it begins.
 */
#include "tools/dump-syms/pdb_inlines.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/base/util.h"

enum {
    STREAM_TYPES = 2,
    STREAM_IDS = 4,
    RANGES_MAX = 1 << 20, /* of one procedure, which would have a gigabyte of code */
    /* LF_… of cvinfo.h */
    LF_CLASS = 0x1504,
    LF_STRUCTURE = 0x1505,
    LF_UNION = 0x1506,
    LF_ENUM = 0x1507,
    LF_INTERFACE = 0x1519,
    LF_FUNC_ID = 0x1601,
    LF_MFUNC_ID = 0x1602,
    LF_STRING_ID = 0x1605,
    LF_NUMERIC = 0x8000,  /* smaller ones are their own value */
    LINES_WITH_FILES = 1, /* DEBUG_S_INLINEELINES names further files of each */
};

/* BinaryAnnotationOpcode. */
enum line_annotation {
    BA_END,
    BA_CODE_OFFSET,
    BA_CODE_OFFSET_BASE,
    BA_CHANGE_CODE_OFFSET,
    BA_CHANGE_CODE_LENGTH,
    BA_CHANGE_FILE,
    BA_CHANGE_LINE_OFFSET,
    BA_CHANGE_LINE_END_DELTA,
    BA_CHANGE_RANGE_KIND,
    BA_CHANGE_COLUMN_START,
    BA_CHANGE_COLUMN_END_DELTA,
    BA_CHANGE_CODE_AND_LINE_OFFSET,
    BA_CHANGE_CODE_LENGTH_AND_OFFSET,
    BA_CHANGE_COLUMN_END,
};

void pdb_inlines_release(struct pdb_inlines *p)
{
    sb_release(&p->types.bytes);
    sb_release(&p->ids.bytes);
    VEC_RELEASE(&p->types.at);
    VEC_RELEASE(&p->ids.at);
    VEC_RELEASE(&p->places);
    VEC_RELEASE(&p->pieces);
    VEC_RELEASE(&p->sites);
    VEC_RELEASE(&p->ordered);
}

/* The head of both streams: version, its own size, the first number and the one behind the last. */
static void read_ids(const struct pdb_file *f, uint32_t stream, struct pdb_ids *ids)
{
    ids->is_read = true;
    if (!pdb_read_stream(f, stream, &ids->bytes))
        return;
    struct rd r = rd_init(sb_cstr(&ids->bytes), ids->bytes.n);
    rd_skip(&r, 4);
    uint32_t head = rd_u32(&r);
    ids->first = rd_u32(&r);
    rd_seek(&r, head);
    while (rd_left(&r) >= 4) {
        VEC_PUSH(&ids->at, (uint32_t)r.off);
        rd_skip(&r, rd_u16(&r));
    }
}

/* The record of a number, and its kind; 0 for a number without one. */
static struct rd record_of(struct pdb_inlines *p, struct pdb_ids *ids, uint32_t stream,
                           uint32_t number, uint16_t *ret_kind)
{
    if (!ids->is_read)
        read_ids(p->file, stream, ids);
    *ret_kind = 0;
    if (number < ids->first || number - ids->first >= ids->at.n)
        return rd_init("", 0);
    struct rd all = rd_init(sb_cstr(&ids->bytes), ids->bytes.n);
    rd_seek(&all, ids->at.v[number - ids->first]);
    uint16_t n = rd_u16(&all);
    struct rd r = rd_try_window(&all, all.off, n);
    *ret_kind = rd_u16(&r);
    if (!rd_ok(&r))
        *ret_kind = 0;
    return r;
}

static struct str text_of(const struct rd *r)
{
    if (!rd_ok(r))
        return STR("");
    const char *p = (const char *)r->p + r->off;
    return str_n(p, strnlen(p, rd_left(r)));
}

/* A number that stands in front of a name: small ones are themselves, others say their width. */
static void skip_numeric(struct rd *r)
{
    static const uint8_t widths[] = {1, 2,  2,  4, 4, 4,
                                     8, 10, 16, 8, 8}; /* LF_CHAR … LF_UQUADWORD */
    uint16_t v = rd_u16(r);
    if (v >= LF_NUMERIC)
        rd_skip(r, v - LF_NUMERIC < (int)sizeof widths ? widths[v - LF_NUMERIC] : SIZE_MAX);
}

/* A class has its whole name, scopes included. */
static struct str name_of_type(struct pdb_inlines *p, uint32_t number)
{
    uint16_t kind;
    struct rd r = record_of(p, &p->types, STREAM_TYPES, number, &kind);
    switch (kind) {
    case LF_CLASS:
    case LF_STRUCTURE:
    case LF_INTERFACE:
        rd_skip(&r, 16);
        skip_numeric(&r);
        return text_of(&r);
    case LF_UNION:
        rd_skip(&r, 8);
        skip_numeric(&r);
        return text_of(&r);
    case LF_ENUM:
        rd_skip(&r, 12);
        return text_of(&r);
    default:
        return STR("");
    }
}

static void put_scoped(struct strbuf *b, struct str scope, struct str name)
{
    if (scope.n)
        sb_printf(b, STR_FMT "::", STR_ARG(scope));
    sb_put(b, name.p, name.n);
}

/* As procedures are called: scopes and name, without parameters. */
static void put_function_name(struct pdb_inlines *p, uint32_t number, struct strbuf *b)
{
    uint16_t kind, scope_kind;
    struct rd r = record_of(p, &p->ids, STREAM_IDS, number, &kind);
    uint32_t scope = rd_u32(&r);
    rd_skip(&r, 4);
    struct str name = text_of(&r);
    if (kind == LF_MFUNC_ID) {
        put_scoped(b, name_of_type(p, scope), name);
    } else if (kind == LF_FUNC_ID) {
        struct rd s = record_of(p, &p->ids, STREAM_IDS, scope, &scope_kind);
        rd_skip(&s, 4);
        put_scoped(b, scope_kind == LF_STRING_ID ? text_of(&s) : STR(""), name);
    }
}

void pdb_inlines_module(struct pdb_inlines *p)
{
    p->places.n = 0;
    p->places_sorted = false;
}

void pdb_inlines_lines(struct pdb_inlines *p, struct rd body)
{
    uint32_t kind = rd_u32(&body);
    while (rd_left(&body) >= 12) {
        struct pdb_place one = {.inlinee = rd_u32(&body)};
        one.file_at = rd_u32(&body);
        one.line = rd_u32(&body);
        if (kind == LINES_WITH_FILES)
            rd_skip(&body, (size_t)rd_u32(&body) * 4);
        if (rd_ok(&body))
            VEC_PUSH(&p->places, one);
    }
}

static int by_inlinee(const void *a, const void *b)
{
    const struct pdb_place *x = a, *y = b;
    return (x->inlinee > y->inlinee) - (x->inlinee < y->inlinee);
}

static const struct pdb_place *place_of(struct pdb_inlines *p, uint32_t inlinee)
{
    const struct pdb_place key = {.inlinee = inlinee};
    if (!p->places_sorted && p->places.n)
        qsort(p->places.v, p->places.n, sizeof *p->places.v, by_inlinee);
    p->places_sorted = true;
    return p->places.n ? bsearch(&key, p->places.v, p->places.n, sizeof key, by_inlinee) : NULL;
}

/* Rows are in order and apart; those of the procedure are found by halving, for a module has many
 * procedures. */
void pdb_inlines_begin(struct pdb_inlines *p, uint32_t start, uint32_t size,
                       const struct sym_line *rows, size_t n)
{
    uint64_t end = (uint64_t)start + size;
    size_t low = 0, high = n;
    p->start = start;
    p->size = size;
    p->depth = 0;
    p->sites.n = p->pieces.n = 0;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (rows[mid].addr + rows[mid].size <= start)
            low = mid + 1;
        else
            high = mid;
    }
    for (size_t i = low; i < n && rows[i].addr < end; i++)
        VEC_PUSH(&p->pieces, ((struct pdb_piece){
                                 .start = (uint32_t)MAX(rows[i].addr, (uint64_t)start),
                                 .end = (uint32_t)MIN(rows[i].addr + rows[i].size, end),
                                 .line = rows[i].line,
                                 .file = rows[i].file,
                             }));
}

/* One, two or four bytes, by the first bits, the highest first. */
static uint32_t operand(struct rd *r)
{
    uint32_t a = rd_u8(r);
    if (a < 0x80)
        return a;
    if (a < 0xc0)
        return (a & 0x3f) << 8 | rd_u8(r);
    uint32_t b = rd_u8(r), c = rd_u8(r), d = rd_u8(r);
    return (a & 0x1f) << 24 | b << 16 | c << 8 | d;
}

static uint32_t signed_operand(uint32_t v)
{
    return v & 1 ? -(v >> 1) : v >> 1; /* wraps, like all sums here */
}

/* The state of a line table; what code it has so far is cut off where the next piece begins. */
struct annotated {
    struct pdb_inlines *p;
    pdb_file_number *file;
    void *arg;
    uint32_t code, line, depth;
    int64_t file_number;
    bool is_open; /* the last piece has no end yet */
};

static void end_piece(struct annotated *a, uint32_t at)
{
    struct pdb_piece *last = a->is_open ? &a->p->pieces.v[a->p->pieces.n - 1] : NULL;
    a->is_open = false;
    if (!last)
        return;
    uint32_t end = a->p->start + MIN(at, a->p->size);
    if (end > last->start)
        last->end = end;
    else
        a->p->pieces.n--;
}

static void begin_piece(struct annotated *a)
{
    end_piece(a, a->code);
    if (a->code >= a->p->size || a->file_number < 0)
        return;
    VEC_PUSH(&a->p->pieces, ((struct pdb_piece){.start = a->p->start + a->code,
                                                .line = a->line,
                                                .file = (uint32_t)a->file_number,
                                                .depth = a->depth}));
    a->is_open = true;
}

/* A length ends the piece, and the next offset counts from there. */
static void annotate(struct annotated *a, enum line_annotation op, struct rd *r)
{
    uint32_t v = operand(r);
    switch (op) {
    case BA_CODE_OFFSET:
        a->code = v;
        break;
    case BA_CHANGE_CODE_OFFSET:
        a->code += v;
        begin_piece(a);
        break;
    case BA_CHANGE_CODE_LENGTH:
        a->code += v;
        end_piece(a, a->code);
        break;
    case BA_CHANGE_FILE:
        a->file_number = a->file(a->arg, v);
        break;
    case BA_CHANGE_LINE_OFFSET:
        a->line += signed_operand(v);
        break;
    case BA_CHANGE_CODE_AND_LINE_OFFSET:
        a->line += signed_operand(v >> 4);
        a->code += v & 0xf;
        begin_piece(a);
        break;
    case BA_CHANGE_CODE_LENGTH_AND_OFFSET:
        a->code += operand(r);
        begin_piece(a);
        a->code += v;
        end_piece(a, a->code);
        break;
    default: /* columns and kinds of ranges */
        break;
    }
}

void pdb_inlines_site(struct pdb_inlines *p, struct rd r, size_t skip, struct sym *s,
                      pdb_file_number *file, void *arg)
{
    STRBUF_AUTO name = {0};
    rd_skip(&r, 8); /* the records that enclose it */
    uint32_t inlinee = rd_u32(&r);
    rd_skip(&r, skip);
    const struct pdb_place *place = place_of(p, inlinee);
    p->depth++;
    if (!rd_ok(&r) || p->size == 0 || p->depth > PDB_INLINES_DEPTH)
        return;
    struct annotated a = {.p = p,
                          .file = file,
                          .arg = arg,
                          .line = place ? place->line : 0,
                          .depth = p->depth,
                          .file_number = place ? file(arg, place->file_at) : -1};
    struct pdb_site site = {.depth = p->depth - 1, .first_piece = p->pieces.n};
    while (rd_left(&r) > 0) {
        enum line_annotation op = operand(&r);
        if (op == BA_END || op > BA_CHANGE_COLUMN_END)
            break;
        annotate(&a, op, &r);
    }
    end_piece(&a, p->size);
    site.piece_count = p->pieces.n - site.first_piece;
    sb_init(&name, UINT16_MAX * 2);
    put_function_name(p, inlinee, &name);
    site.origin = textmap_number(&s->origins, &s->arena, sym_clean(s, sb_view(&name)));
    if (site.piece_count > 0)
        VEC_PUSH(&p->sites, site);
}

void pdb_inlines_site_end(struct pdb_inlines *p)
{
    if (p->depth > 0)
        p->depth--;
}

static int by_depth(const void *a, const void *b)
{
    const struct pdb_piece *x = a, *y = b;
    if (x->depth != y->depth)
        return x->depth < y->depth ? -1 : 1;
    return (x->start > y->start) - (x->start < y->start);
}

static int by_start(const void *a, const void *b)
{
    const struct pdb_piece *x = a, *y = b;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return (x->depth > y->depth) - (x->depth < y->depth);
}

static void order_pieces(struct pdb_inlines *p, int (*order)(const void *, const void *))
{
    p->ordered.n = 0;
    for (size_t i = 0; i < p->pieces.n; i++)
        VEC_PUSH(&p->ordered, p->pieces.v[i]);
    if (p->ordered.n)
        qsort(p->ordered.v, p->ordered.n, sizeof *p->ordered.v, order);
}

/* The line that the code at `at` has for who is `depth` deep; NULL: none is known. */
static const struct pdb_piece *caller_at(const struct pdb_inlines *p, uint32_t depth, uint32_t at)
{
    size_t low = 0, high = p->ordered.n;
    const struct pdb_piece key = {.depth = depth, .start = at};
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (by_depth(&p->ordered.v[mid], &key) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    const struct pdb_piece *last = low ? &p->ordered.v[low - 1] : NULL;
    return last && last->depth == depth && at < last->end ? last : NULL;
}

/* One more range of a site: of the last record, if that was called from the same line. */
static void add_range(struct sym *s, const struct sym_func *f, const struct pdb_site *site,
                      const struct pdb_piece *caller, struct sym_range range)
{
    struct sym_inline one = {.depth = site->depth,
                             .call_line = caller ? caller->line : 0,
                             .call_file = caller ? caller->file : 0,
                             .origin = site->origin,
                             .first_range = (uint32_t)s->ranges.n,
                             .range_count = 1};
    struct sym_inline *last =
        s->inlines.n > f->first_inline ? &s->inlines.v[s->inlines.n - 1] : NULL;
    struct sym_range *before = last ? &s->ranges.v[s->ranges.n - 1] : NULL;
    if (!last || last->depth != one.depth || last->origin != one.origin ||
        last->call_line != one.call_line || last->call_file != one.call_file) {
        VEC_PUSH(&s->inlines, one);
        VEC_PUSH(&s->ranges, range);
    } else if (before->addr + before->size == range.addr) {
        before->size += range.size;
    } else {
        VEC_PUSH(&s->ranges, range);
        last->range_count++;
    }
}

/* Cut where the caller's line changes. */
static void add_site(const struct pdb_inlines *p, struct sym *s, const struct sym_func *f,
                     const struct pdb_site *site, size_t ranges_end)
{
    for (size_t i = 0; i < site->piece_count; i++) {
        const struct pdb_piece *piece = &p->pieces.v[site->first_piece + i];
        for (uint32_t at = piece->start, end; at < piece->end && s->ranges.n < ranges_end;
             at = end) {
            const struct pdb_piece *caller = caller_at(p, site->depth, at);
            end = caller ? MIN(caller->end, piece->end) : piece->end;
            add_range(s, f, site, caller, (struct sym_range){at, end - at});
        }
    }
}

static void add_line(struct sym *s, const struct sym_func *f, const struct pdb_piece *piece,
                     uint32_t at, uint32_t end)
{
    struct sym_line *last = s->lines.n > f->first_line ? &s->lines.v[s->lines.n - 1] : NULL;
    if (piece->line == 0)
        return;
    if (last && last->addr + last->size == at && last->line == piece->line &&
        last->file == piece->file)
        last->size += end - at;
    else
        VEC_PUSH(&s->lines, ((struct sym_line){at, end - at, piece->line, piece->file}));
}

/* From start to start of pieces and to their ends; the deepest that is there has the line. */
static void add_lines(const struct pdb_inlines *p, struct sym *s, const struct sym_func *f)
{
    const struct pdb_piece *current[PDB_INLINES_DEPTH + 1] = {NULL};
    size_t i = 0;
    uint32_t at = 0;
    for (;;) {
        const struct pdb_piece *deepest = NULL;
        for (; i < p->ordered.n && p->ordered.v[i].start <= at; i++)
            current[p->ordered.v[i].depth] = &p->ordered.v[i];
        for (size_t d = ARRAY_LEN(current); d-- > 0 && !deepest;)
            if (current[d] && current[d]->end > at)
                deepest = current[d];
        bool is_last = i == p->ordered.n;
        if (!deepest && is_last)
            return;
        uint32_t next = is_last ? UINT32_MAX : p->ordered.v[i].start;
        if (deepest) {
            next = MIN(next, deepest->end);
            add_line(s, f, deepest, at, next);
        }
        at = next;
    }
}

void pdb_inlines_end(struct pdb_inlines *p, struct sym *s, struct sym_func *f)
{
    f->first_inline = s->inlines.n;
    f->first_line = s->lines.n;
    order_pieces(p, by_depth);
    size_t ranges_end = s->ranges.n + RANGES_MAX;
    for (size_t i = 0; i < p->sites.n; i++)
        add_site(p, s, f, &p->sites.v[i], ranges_end);
    f->inline_count = s->inlines.n - f->first_inline;
    order_pieces(p, by_start);
    add_lines(p, s, f);
    f->line_count = s->lines.n - f->first_line;
    p->size = 0;
}
