/*
 * A symbol names the code from its address to its size, and nothing behind it.  In a stripped
 * library most functions have no symbol; a PUBLIC record has no size, so readers let it reach to
 * the next record, and the nameless functions behind an exported one all got its name.  A FUNC
 * without lines says start and size, and Breakpad, rust-minidump and we read it alike: what no
 * FUNC covers and no PUBLIC behind the last FUNC begins stays without a name.
 *
 * Some symbols have no size (assembler that does not say .size, _init and _fini).  They end where
 * the next thing that is known begins: a symbol, a function, the unwind entry of another function,
 * the end of the section.
 *
 * The sections of the linkage table hold stubs of the linker without symbols.  They are PUBLIC
 * records, as other tools write them.  The last of them would name the nameless code behind it;
 * there a FUNC of the same name and extent ends it, because by the rule of all readers a PUBLIC
 * does not reach beyond a FUNC that begins at or behind it.
 */
#include "tools/dump-syms/extents.h"

#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"

enum { PADDING_MAX = 16 }; /* linkers align sections of code to 16 bytes */

/* Of several symbols at one address the longest comes first, of equal ones the best name. */
static int by_symbol(const void *a, const void *b)
{
    const struct sym_symbol *x = a, *y = b;
    if (x->addr != y->addr)
        return x->addr < y->addr ? -1 : 1;
    if (x->size != y->size)
        return x->size > y->size ? -1 : 1;
    if (x->rank != y->rank)
        return x->rank > y->rank ? -1 : 1;
    return x->name < y->name ? -1 : x->name > y->name;
}

/* One symbol per address, marked when another name has the same code. */
static void keep_best_names(struct sym *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->symbols.n; i++) {
        struct sym_symbol one = s->symbols.v[i];
        struct sym_symbol *last = kept ? &s->symbols.v[kept - 1] : NULL;
        if (last && last->addr == one.addr)
            last->is_shared |= last->name != one.name;
        else
            s->symbols.v[kept++] = one;
    }
    s->symbols.n = kept;
}

static size_t frames_behind(const struct sym *s, uint64_t addr)
{
    size_t low = 0, high = s->frames.n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (s->frames.v[mid].addr <= addr)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Functions are searched while others are added behind them; those are put in order later. */
struct growing {
    struct sym *s;
    size_t known; /* the first so many of s->funcs are in order */
};

/* The known function that covers the address, or NULL; then the index of the next one. */
static const struct sym_func *func_at(const struct growing *g, uint64_t addr, size_t *ret_next)
{
    size_t i = sym_funcs_behind(g->s, g->known, addr);
    *ret_next = i;
    const struct sym_func *f = i > 0 ? &g->s->funcs.v[i - 1] : NULL;
    return f && addr - f->addr < f->size ? f : NULL;
}

/* Records have 32 bits for a size; what claims more (of a hostile file) is cut. */
static void add_func(struct growing *g, uint64_t from, uint64_t to, const struct sym_symbol *symbol)
{
    if (from >= to)
        return;
    struct sym_func f = {.addr = from,
                         .size = (uint32_t)MIN(to - from, (uint64_t)UINT32_MAX),
                         .name = symbol->name,
                         .is_shared = symbol->is_shared,
                         .first_line = g->s->lines.n};
    sym_copy_lines(g->s, g->s->loose_lines.v, g->s->loose_lines.n, from, f.size);
    f.line_count = g->s->lines.n - f.first_line;
    VEC_PUSH(&g->s->funcs, f);
}

/*
 * The last part of a qualified name, without template arguments and parameters.
 * "a::b<int>::f(char)" is f: what stands in a symbol in the same form, whichever way its scopes are
 * spelled.
 */
static struct str plain_name(struct str name)
{
    size_t end = 0, start = 0;
    int depth = 0;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (depth == 0 && c == ':')
            start = end = i + 1;
        if ((c == '(' || c == '<') && i > start)
            depth++;
        else if ((c == ')' || c == '>') && depth > 0)
            depth--;
        if (depth == 0 && c != ')' && c != '>')
            end = i + 1;
    }
    return str_sub(name, start, end - start);
}

/*
 * Compilers leave out the linkage name of what has no linkage (lambdas, local classes, anonymous
 * namespaces) and with it the parameters; the symbol has them.  Code may be shared, so it must be a
 * symbol of that function.
 */
static void improve_names(struct sym *s)
{
    for (size_t i = 0; i < s->symbols.n; i++) {
        const struct sym_symbol *one = &s->symbols.v[i];
        size_t behind = sym_funcs_behind(s, s->funcs.n, one->addr);
        struct sym_func *f = behind ? &s->funcs.v[behind - 1] : NULL;
        if (!f || f->addr != one->addr || !f->is_unsure)
            continue;
        struct str have = s->names.texts.v[f->name];
        bool is_nameless = str_eq(have, STR("<name omitted>"));
        bool is_same = one->is_mangled &&
                       str_find(s->names.texts.v[one->name], plain_name(have), 0) != SIZE_MAX;
        if (!is_nameless && !is_same)
            continue;
        f->name = one->name;
        f->is_unsure = false;
    }
}

/*
 * What of [from, to) the debug information does not know.  The debug information is never cut:
 * where it has a function that stays, and the symbol names what is around.
 */
static void add_around(struct growing *g, uint64_t from, uint64_t to,
                       const struct sym_symbol *symbol)
{
    size_t i;
    const struct sym_func *around = func_at(g, from, &i);
    if (around)
        from = around->addr + around->size;
    for (; from < to; i++) {
        uint64_t stop = i < g->known ? MIN(to, g->s->funcs.v[i].addr) : to;
        uint64_t next = i < g->known ? g->s->funcs.v[i].addr + g->s->funcs.v[i].size : to;
        add_func(g, from, stop, symbol);
        from = MAX(from, next);
    }
}

/*
 * Symbols of known size.  Where they overlap the one that began last names the code, and the
 * outer one goes on behind it.
 */
static void add_sized(struct growing *g)
{
    VEC(size_t) open = {0};
    uint64_t at = 0;
    struct sym *s = g->s;
    for (size_t i = 0; i <= s->symbols.n; i++) {
        bool last = i == s->symbols.n;
        if (!last && s->symbols.v[i].size == 0)
            continue;
        uint64_t until = last ? UINT64_MAX : s->symbols.v[i].addr;
        while (open.n) {
            const struct sym_symbol *top = &s->symbols.v[open.v[open.n - 1]];
            uint64_t end = MIN(top->addr + top->size, until);
            add_around(g, at, end, top);
            at = MAX(at, end);
            if (top->addr + top->size > until)
                break;
            open.n--;
        }
        at = MAX(at, last ? 0 : until);
        if (!last)
            VEC_PUSH(&open, i);
    }
    VEC_RELEASE(&open);
}

static void sort_funcs(struct growing *g)
{
    sym_sort_funcs(g->s);
    g->known = g->s->funcs.n;
}

static size_t starts_behind(const struct sym *s, uint64_t addr)
{
    size_t low = 0, high = s->starts.n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (s->starts.v[mid] <= addr)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Where a symbol without size must end; `next` is the first function behind it. */
static uint64_t end_of(const struct growing *g, size_t index, size_t next)
{
    const struct sym *s = g->s;
    const struct sym_symbol *one = &s->symbols.v[index];
    uint64_t end = one->limit;
    if (index + 1 < s->symbols.n)
        end = MIN(end, s->symbols.v[index + 1].addr);
    if (next < g->known)
        end = MIN(end, s->funcs.v[next].addr);
    size_t start = starts_behind(s, one->addr);
    if (start < s->starts.n)
        end = MIN(end, s->starts.v[start]);
    size_t frame = frames_behind(s, one->addr);
    if (frame < s->frames.n)
        end = MIN(end, s->frames.v[frame].addr);
    const struct sym_frame *around = frame > 0 ? &s->frames.v[frame - 1] : NULL;
    if (around && one->addr - around->addr < around->size)
        end = MIN(end, around->addr + around->size);
    return end;
}

static void add_unsized(struct growing *g)
{
    for (size_t i = 0; i < g->s->symbols.n; i++) {
        const struct sym_symbol *one = &g->s->symbols.v[i];
        size_t next;
        if (one->size == 0 && !func_at(g, one->addr, &next))
            add_func(g, one->addr, end_of(g, i, next), one);
    }
    sort_funcs(g);
}

static int by_section(const void *a, const void *b)
{
    const struct sym_section *x = a, *y = b;
    return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static void add_plt(struct growing *g)
{
    struct sym *s = g->s;
    if (s->plt.n)
        qsort(s->plt.v, s->plt.n, sizeof *s->plt.v, by_section);
    for (size_t i = 0; i < s->plt.n; i++) {
        const struct sym_section *one = &s->plt.v[i];
        size_t behind;
        if (func_at(g, one->addr, &behind))
            continue; /* has a symbol of its own */
        VEC_PUSH(&s->publics, ((struct sym_public){one->addr, one->name}));
        uint64_t next = behind < g->known ? s->funcs.v[behind].addr : UINT64_MAX;
        if (i + 1 < s->plt.n)
            next = MIN(next, s->plt.v[i + 1].addr);
        if (next > one->end && next - one->end >= PADDING_MAX)
            add_func(g, one->addr, one->end, &(struct sym_symbol){.name = one->name});
    }
    sort_funcs(g);
}

void extents_add(struct sym *s)
{
    struct growing g = {.s = s, .known = s->funcs.n};
    if (s->symbols.n)
        qsort(s->symbols.v, s->symbols.n, sizeof *s->symbols.v, by_symbol);
    improve_names(s);
    keep_best_names(s);
    add_sized(&g);
    sort_funcs(&g);
    add_unsized(&g);
    add_plt(&g);
}
