/*
 * What the other files have found, put in order and written.  Texts are kept once each and named by
 * number; records are small and lie in arrays, because a browser's library has ten million of them.
 * Readers of the format want functions that do not overlap, sorted by address, and lines that the
 * longest of their buffers holds; sym_finish and sym_clean see to that.
 *
 * The format is Breakpad's (docs/symbol_files.md of its source): a MODULE line, numbered FILE and
 * INLINE_ORIGIN texts, FUNC with INLINE and line records behind it, PUBLIC, STACK CFI, STACK WIN.
 * Addresses are hexadecimal and relative to the module, line numbers decimal.
 */
#include "tools/dump-syms/sym.h"

#include <errno.h>
#include <inttypes.h>

#include "lib/base/err.h"
#include "lib/base/util.h"

enum { NAME_MAX_BYTES = 1 << 19 }; /* readers drop lines above a megabyte */

/*
 * The two that grow most have bounds of their own; the limit of memory of the child (main.c) stands
 * behind them.
 */
void sym_init(struct sym *s)
{
    *s = (struct sym){.os = "Linux"};
    arena_init(&s->arena, (size_t)16 << 30);
    sb_init(&s->cfi, (size_t)4 << 30);
    sb_init(&s->win, (size_t)4 << 30);
    textmap_init(&s->files, SYM_ENTRIES_MAX);
    textmap_init(&s->origins, SYM_ENTRIES_MAX);
    textmap_init(&s->names, SYM_ENTRIES_MAX);
}

void sym_release(struct sym *s)
{
    textmap_release(&s->files);
    textmap_release(&s->origins);
    textmap_release(&s->names);
    VEC_RELEASE(&s->lines);
    VEC_RELEASE(&s->ranges);
    VEC_RELEASE(&s->inlines);
    VEC_RELEASE(&s->funcs);
    VEC_RELEASE(&s->symbols);
    VEC_RELEASE(&s->plt);
    VEC_RELEASE(&s->starts);
    VEC_RELEASE(&s->loose_lines);
    VEC_RELEASE(&s->publics);
    VEC_RELEASE(&s->frames);
    sb_release(&s->cfi);
    sb_release(&s->win);
    arena_release(&s->arena);
}

/*
 * A name is the last thing on its line, so spaces in it are allowed; a line break would begin a
 * record of the file's choice.  Bytes above 127 stay as they are: names may be UTF-8.  A text that
 * needs no change is not copied.
 */
struct str sym_clean(struct sym *s, struct str text)
{
    text = str_trim(str_sub(text, 0, NAME_MAX_BYTES));
    if (text.n == 0)
        return STR("<name omitted>");
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] < ' ') {
            char *copy = str_adup(&s->arena, text);
            for (size_t k = i; k < text.n; k++)
                copy[k] = (unsigned char)copy[k] < ' ' ? '?' : copy[k];
            return str_n(copy, text.n);
        }
    return text;
}

/*
 * By address; of several at one address the longest comes first, then the first found.  The name
 * decides at last, so that the output does not depend on how qsort orders what is equal.
 */
static int by_func(const void *a, const void *b)
{
    const struct sym_func *x = a, *y = b;
    if (x->addr != y->addr)
        return x->addr < y->addr ? -1 : 1;
    if (x->size != y->size)
        return x->size > y->size ? -1 : 1;
    return x->name < y->name ? -1 : x->name > y->name;
}

/*
 * Identical code folding: one FUNC stays and is marked.  A function that begins inside another is
 * dropped, whatever it is: readers look for the last one that begins at or before an address, and
 * would not find the outer one behind the inner.
 */
void sym_sort_funcs(struct sym *s)
{
    if (s->funcs.n == 0)
        return;
    qsort(s->funcs.v, s->funcs.n, sizeof *s->funcs.v, by_func);
    size_t kept = 0;
    for (size_t i = 1; i < s->funcs.n; i++) {
        struct sym_func *last = &s->funcs.v[kept], *f = &s->funcs.v[i];
        if (f->addr == last->addr)
            last->is_shared |= f->name != last->name;
        else if (f->addr - last->addr >= last->size)
            s->funcs.v[++kept] = *f;
    }
    s->funcs.n = kept + 1;
}

size_t sym_funcs_behind(const struct sym *s, size_t count, uint64_t addr)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (s->funcs.v[mid].addr <= addr)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

void sym_copy_lines(struct sym *s, const struct sym_line *rows, size_t n, uint64_t addr,
                    uint32_t size)
{
    size_t low = 0, high = n;
    while (low < high) { /* first row that ends above addr */
        size_t mid = low + (high - low) / 2;
        if (rows[mid].addr + rows[mid].size <= addr)
            low = mid + 1;
        else
            high = mid;
    }
    size_t first = s->lines.n;
    for (size_t i = low; i < n && rows[i].addr < addr + size; i++) {
        struct sym_line row = rows[i];
        uint64_t from = MAX(row.addr, addr), to = MIN(row.addr + row.size, addr + size);
        row.addr = from;
        row.size = (uint32_t)(to - from);
        struct sym_line *last = s->lines.n > first ? &s->lines.v[s->lines.n - 1] : NULL;
        if (last && last->addr + last->size == from && last->line == row.line &&
            last->file == row.file)
            last->size += row.size; /* rows that differ only in column or discriminator */
        else
            VEC_PUSH(&s->lines, row);
    }
}

static int by_line(const void *a, const void *b)
{
    const struct sym_line *x = a, *y = b;
    if (x->addr != y->addr)
        return x->addr < y->addr ? -1 : 1;
    return x->size > y->size ? -1 : x->size < y->size;
}

/* Units may claim the same code (of a template, folded): the first claim stays. */
static void finish_loose_lines(struct sym *s)
{
    size_t kept = 0;
    if (s->loose_lines.n)
        qsort(s->loose_lines.v, s->loose_lines.n, sizeof *s->loose_lines.v, by_line);
    for (size_t i = 0; i < s->loose_lines.n; i++) {
        const struct sym_line *last = kept ? &s->loose_lines.v[kept - 1] : NULL;
        if (!last || s->loose_lines.v[i].addr - last->addr >= last->size)
            s->loose_lines.v[kept++] = s->loose_lines.v[i];
    }
    s->loose_lines.n = kept;
}

/* .eh_frame was read first, so its entries have the lower text offset and win. */
static int by_frame(const void *a, const void *b)
{
    const struct sym_frame *x = a, *y = b;
    if (x->addr != y->addr)
        return x->addr < y->addr ? -1 : 1;
    return x->text < y->text ? -1 : x->text > y->text;
}

/* The same rule as for functions: what begins inside a frame that is already there is dropped. */
static void finish_frames(struct sym *s)
{
    if (s->frames.n == 0)
        return;
    qsort(s->frames.v, s->frames.n, sizeof *s->frames.v, by_frame);
    size_t kept = 0;
    for (size_t i = 1; i < s->frames.n; i++) {
        const struct sym_frame *last = &s->frames.v[kept];
        if (s->frames.v[i].addr - last->addr >= last->size)
            s->frames.v[++kept] = s->frames.v[i];
    }
    s->frames.n = kept + 1;
}

static int by_start(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

void sym_finish(struct sym *s)
{
    sym_sort_funcs(s);
    finish_frames(s);
    finish_loose_lines(s);
    if (s->starts.n)
        qsort(s->starts.v, s->starts.n, sizeof *s->starts.v, by_start);
}

void sym_set_guid(struct sym *s, const uint8_t guid[16], uint32_t age)
{
    static const uint8_t order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    for (size_t i = 0; i < sizeof order; i++)
        snprintf(s->debug_id + 2 * i, 3, "%02X", guid[order[i]]);
    snprintf(s->debug_id + 32, sizeof s->debug_id - 32, "%X", age);
}

void sym_file_name(const struct sym *s, char out[300])
{
    struct str name = str_of(s->name);
    if (str_ends(name, STR(".pdb")))
        name.n -= STR(".pdb").n;
    snprintf(out, 300, "%.*s.sym", (int)MIN(name.n, 290u), name.p);
}

static void write_texts(const struct textmap *m, const char *record, FILE *out)
{
    for (size_t i = 0; i < m->texts.n; i++)
        fprintf(out, "%s %zu " STR_FMT "\n", record, i, STR_ARG(m->texts.v[i]));
}

static void write_inline(const struct sym *s, const struct sym_inline *in, FILE *out)
{
    fprintf(out, "INLINE %u %u %u %u", in->depth, in->call_line, in->call_file, in->origin);
    for (uint32_t i = 0; i < in->range_count; i++) {
        const struct sym_range *r = &s->ranges.v[in->first_range + i];
        fprintf(out, " %" PRIx64 " %x", r->addr, r->size);
    }
    fputc('\n', out);
}

/*
 * The 0 behind the size is the number of bytes of parameters on the stack, which only matters for
 * Windows on x86.  INLINE records stand before lines, outer calls before inner ones.
 */
static void write_func(const struct sym *s, const struct sym_func *f, FILE *out)
{
    struct str name = s->names.texts.v[f->name];
    fprintf(out, "FUNC %s%" PRIx64 " %x 0 " STR_FMT "\n", f->is_shared ? "m " : "", f->addr,
            f->size, STR_ARG(name));
    for (size_t i = 0; i < f->inline_count; i++)
        write_inline(s, &s->inlines.v[f->first_inline + i], out);
    for (size_t i = 0; i < f->line_count; i++) {
        const struct sym_line *l = &s->lines.v[f->first_line + i];
        fprintf(out, "%" PRIx64 " %x %u %u\n", l->addr, l->size, l->line, l->file);
    }
}

/*
 * Results of single writes are not looked at: ferror keeps the first failure until the end.  STACK
 * CFI INIT is begun here, since the text in s->cfi starts with the rules of the first row and holds
 * all further lines of that frame.
 */
bool sym_write(const struct sym *s, FILE *out, struct err *err)
{
    fprintf(out, "MODULE %s %s %s %s\n", s->os, s->arch, s->debug_id, s->name);
    if (s->code_id[0])
        fprintf(out, "INFO CODE_ID %s %s\n", s->code_id, s->code_file ? s->code_file : s->name);
    fprintf(out, "INFO GENERATOR datil-dump-syms " DATIL_VERSION "%s%s\n", s->origin ? " " : "",
            s->origin ? s->origin : "");
    write_texts(&s->files, "FILE", out);
    write_texts(&s->origins, "INLINE_ORIGIN", out);
    for (size_t i = 0; i < s->funcs.n; i++)
        write_func(s, &s->funcs.v[i], out);
    for (size_t i = 0; i < s->publics.n; i++) {
        const struct sym_public *p = &s->publics.v[i];
        struct str name = s->names.texts.v[p->name];
        fprintf(out, "PUBLIC %" PRIx64 " 0 " STR_FMT "\n", p->addr, STR_ARG(name));
    }
    for (size_t i = 0; i < s->frames.n && !s->no_cfi; i++) {
        const struct sym_frame *f = &s->frames.v[i];
        fprintf(out, "STACK CFI INIT %" PRIx64 " %" PRIx64 " ", f->addr, f->size);
        fwrite(s->cfi.p + f->text, 1, f->text_length, out);
    }
    if (!s->no_cfi && s->win.n > 0)
        fwrite(s->win.p, 1, s->win.n, out);
    if (fflush(out) != 0 || ferror(out))
        return err_errno(err, errno, "writing the symbols");
    return true;
}
