/*
 * Functions out of the debug information.  Every unit is walked twice: first the scopes of all
 * functions are noted, because a function's code, its declaration and its inlined copies are
 * entries in different places; then each entry with code becomes one FUNC per piece of code
 * (compilers move unlikely parts away), with the lines of the piece and the inlined calls cut to
 * it.
 *
 * Linkers leave the entries of functions that they have dropped, with addresses 0, 1 or -1, and
 * folded functions with the address of another: what does not lie in a section of code is left out
 * here, what overlaps is settled by sym_sort_funcs.  Trees are as deep as the file says; depths are
 * limited.
 */
#include "tools/dump-syms/functions.h"

#include <dwarf.h>

#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "tools/dump-syms/function_names.h"
#include "tools/dump-syms/lines.h"
#include "tools/dump-syms/name_scopes.h"
#include "tools/dump-syms/split.h"

/*
 * Far beyond what compilers write.  They keep a hostile tree from taking the stack, and one entry
 * from taking all memory.
 */
enum { TREE_DEPTH_MAX = 512, INLINE_DEPTH_MAX = 200, RANGES_MAX = 1 << 16 };

struct unit_walk {
    struct image *image;
    struct sym *sym;
    struct names names;
    struct splits splits;
    const struct split_unit *split; /* the unit that is walked is the other part of a skeleton */
    struct unit_lines lines;
    struct map origin_ids; /* entry of an inlined function -> number of its INLINE_ORIGIN + 1 */
    bool is_damaged;       /* the list of units breaks off */
    size_t unreadable;     /* units whose line table cannot be read */
};

/* Where INLINE records of a function go: one FUNC per piece of code. */
struct pieces {
    VEC(struct sym_range) v;
};

struct inline_call {
    uint32_t depth, call_line, call_file, origin;
    struct pieces ranges;
};

/*
 * Sizes have 32 bits in the records; a larger piece of code does not exist in a file that can be
 * linked.
 */
static void keep_range(const struct unit_walk *w, uint64_t from, uint64_t to, struct pieces *ret)
{
    from += w->image->dwarf_bias;
    to += w->image->dwarf_bias;
    if (to <= from || to - from > UINT32_MAX || from < w->image->base ||
        !image_is_code(w->image, from, to - from))
        return;
    struct sym_range r = {from - w->image->base, (uint32_t)(to - from)};
    VEC_PUSH(&ret->v, r);
}

/* Code of an entry, relative to the module; pieces that are no code are left out. */
static void read_ranges(const struct unit_walk *w, Dwarf_Die *die, struct pieces *ret)
{
    struct split_list list;
    Dwarf_Addr base, from, to;
    ptrdiff_t offset = 0;
    if (w->split && dwarf_hasattr(die, DW_AT_ranges)) {
        uint64_t a, b;
        if (split_ranges_begin(w->split, die, &list))
            while (ret->v.n < RANGES_MAX && split_ranges_next(w->split, &list, &a, &b))
                keep_range(w, a, b, ret);
        return;
    }
    while (ret->v.n < RANGES_MAX && (offset = dwarf_ranges(die, offset, &base, &from, &to)) > 0)
        keep_range(w, from, to, ret);
}

static bool overlap(struct sym_range a, struct sym_range b, struct sym_range *ret)
{
    uint64_t from = MAX(a.addr, b.addr), to = MIN(a.addr + a.size, b.addr + b.size);
    if (from >= to)
        return false;
    *ret = (struct sym_range){from, (uint32_t)(to - from)};
    return true;
}

static uint64_t number_attr(Dwarf_Die *die, unsigned name)
{
    Dwarf_Attribute mem;
    Dwarf_Word value = 0;
    return dwarf_formudata(dwarf_attr(die, name, &mem), &value) == 0 ? value : 0;
}

/*
 * The number of the INLINE_ORIGIN of an inlined call.  One function is inlined in thousands of
 * places; its name is made once and found by the entry afterwards.
 */
static uint32_t origin_of(struct unit_walk *w, Dwarf_Die *die)
{
    Dwarf_Attribute mem;
    Dwarf_Die origin = *die;
    if (dwarf_attr(die, DW_AT_abstract_origin, &mem))
        dwarf_formref_die(&mem, &origin);
    uint64_t key = (uint64_t)(uintptr_t)origin.addr;
    uint32_t *place = map_at(&w->origin_ids, key);
    bool is_unsure;
    if (*place == 0) {
        struct str name = names_of_function(&w->names, &origin, &is_unsure);
        *place = textmap_number(&w->sym->origins, &w->sym->arena, name) + 1;
    }
    return *place - 1;
}

struct calls {
    VEC(struct inline_call) v;
};

static void add_call(struct unit_walk *w, Dwarf_Die *die, uint32_t depth, struct calls *calls)
{
    struct inline_call c = {.depth = depth};
    read_ranges(w, die, &c.ranges);
    if (c.ranges.v.n == 0)
        return;
    c.call_line = (uint32_t)MIN(number_attr(die, DW_AT_call_line), (uint64_t)INT32_MAX);
    lines_file(&w->lines, w->sym, number_attr(die, DW_AT_call_file), &c.call_file);
    c.origin = origin_of(w, die);
    VEC_PUSH(&calls->v, c);
}

/*
 * Inlined calls inside a function, outermost first.  Blocks count as no level of their own: depth
 * is the depth of INLINE records, 0 for a call in the function itself.  Functions inside a function
 * (of a local class) are left to walk_children.
 */
static void find_calls(struct unit_walk *w, Dwarf_Die *parent, uint32_t depth, int tree_depth,
                       struct calls *calls)
{
    Dwarf_Die die;
    if (tree_depth > TREE_DEPTH_MAX || depth > INLINE_DEPTH_MAX || dwarf_child(parent, &die) != 0)
        return;
    do {
        switch (dwarf_tag(&die)) {
        case DW_TAG_inlined_subroutine:
            add_call(w, &die, depth, calls);
            find_calls(w, &die, depth + 1, tree_depth + 1, calls);
            break;
        case DW_TAG_lexical_block:
        case DW_TAG_try_block:
        case DW_TAG_catch_block:
            find_calls(w, &die, depth, tree_depth + 1, calls);
            break;
        default:
            break;
        }
    } while (dwarf_siblingof(&die, &die) == 0);
}

static void calls_release(struct calls *calls)
{
    for (size_t i = 0; i < calls->v.n; i++)
        VEC_RELEASE(&calls->v.v[i].ranges.v);
    VEC_RELEASE(&calls->v);
}

/*
 * The part of an inlined call that lies in this piece of the function.  A call with nothing in this
 * piece has no record; records of its inner calls then have nothing there either.
 */
static void write_call(struct sym *s, const struct inline_call *c, struct sym_range piece)
{
    struct sym_inline in = {.depth = c->depth,
                            .call_line = c->call_line,
                            .call_file = c->call_file,
                            .origin = c->origin,
                            .first_range = (uint32_t)s->ranges.n};
    for (size_t i = 0; i < c->ranges.v.n; i++) {
        struct sym_range part;
        if (overlap(c->ranges.v.v[i], piece, &part)) {
            VEC_PUSH(&s->ranges, part);
            in.range_count++;
        }
    }
    if (in.range_count)
        VEC_PUSH(&s->inlines, in);
}

/* One FUNC per piece: the cold part of a split function is a FUNC of the same name. */
static void write_function(struct unit_walk *w, Dwarf_Die *die, const struct pieces *pieces)
{
    struct sym *s = w->sym;
    struct calls calls = {0};
    find_calls(w, die, 0, 0, &calls);
    bool is_unsure;
    uint32_t name =
        textmap_number(&s->names, &s->arena, names_of_function(&w->names, die, &is_unsure));
    for (size_t i = 0; i < pieces->v.n; i++) {
        struct sym_range piece = pieces->v.v[i];
        struct sym_func f = {.addr = piece.addr,
                             .size = piece.size,
                             .name = name,
                             .is_unsure = is_unsure,
                             .first_line = s->lines.n,
                             .first_inline = s->inlines.n};
        sym_copy_lines(s, w->lines.rows.v, w->lines.rows.n, piece.addr, piece.size);
        for (size_t k = 0; k < calls.v.n; k++)
            write_call(s, &calls.v.v[k], piece);
        f.line_count = s->lines.n - f.first_line;
        f.inline_count = s->inlines.n - f.first_inline;
        VEC_PUSH(&s->funcs, f);
    }
    calls_release(&calls);
}

static bool may_hold_functions(int tag)
{
    switch (tag) {
    case DW_TAG_subprogram: /* functions in functions */
    case DW_TAG_lexical_block:
    case DW_TAG_namespace:
    case DW_TAG_module:
    case DW_TAG_class_type:
    case DW_TAG_structure_type:
    case DW_TAG_union_type:
    case DW_TAG_enumeration_type:
        return true;
    default:
        return false;
    }
}

/*
 * Functions anywhere below: in namespaces, classes and other functions.  What has no code is a
 * declaration or was inlined everywhere, and only its children matter.
 */
static void walk_children(struct unit_walk *w, Dwarf_Die *parent, int depth)
{
    Dwarf_Die die;
    if (depth > TREE_DEPTH_MAX || dwarf_child(parent, &die) != 0)
        return;
    do {
        int tag = dwarf_tag(&die);
        if (tag == DW_TAG_subprogram) {
            struct pieces pieces = {0};
            read_ranges(w, &die, &pieces);
            if (pieces.v.n)
                write_function(w, &die, &pieces);
            VEC_RELEASE(&pieces.v);
        }
        if (may_hold_functions(tag))
            walk_children(w, &die, depth + 1);
    } while (dwarf_siblingof(&die, &die) == 0);
}

/*
 * Calls `visit` for every unit with code or declarations.  With split debug
 * information the skeleton has the lines and the other part (`body`) the entries.
 */
static void each_unit(struct unit_walk *w, Dwarf *dwarf,
                      void (*visit)(struct unit_walk *, Dwarf_Die *unit, Dwarf_Die *body))
{
    Dwarf_CU *cu = NULL;
    Dwarf_Die unit;
    uint8_t type;
    int got;
    while ((got = dwarf_get_units(dwarf, cu, &cu, NULL, &type, &unit, NULL)) == 0) {
        if (type == DW_UT_type || type == DW_UT_split_type)
            continue;
        struct split_unit *split =
            type == DW_UT_skeleton ? splits_find(&w->splits, cu, &unit) : NULL;
        w->split = split;
        visit(w, &unit, split ? &split->die : &unit);
    }
    w->is_damaged |= got < 0;
}

static void note_names(struct unit_walk *w, Dwarf_Die *unit, Dwarf_Die *body)
{
    (void)unit;
    names_add_unit(&w->names, body);
}

/*
 * `first` is the place of the unit's first function among all, so that its lines can be told from
 * those of no function.  The ranges of the unit itself say which code it may speak about.
 */
static void walk_unit(struct unit_walk *w, Dwarf_Die *unit, Dwarf_Die *body)
{
    size_t first = w->sym->funcs.n;
    w->unreadable += !lines_read(w->image, w->sym, unit, &w->lines);
    walk_children(w, body, 0);
    struct pieces code = {0};
    w->split = NULL; /* the skeleton's own */
    read_ranges(w, unit, &code);
    lines_keep_loose(&w->lines, w->sym, first, code.v.v, code.v.n);
    VEC_RELEASE(&code.v);
    lines_release(&w->lines);
}

static void note_problems(const struct unit_walk *w)
{
    const struct image *i = w->image;
    const char *path = i->debug.elf ? i->debug.path : i->file.path;
    if (w->is_damaged)
        sb_printf(&w->image->problems, "%s: debug information is damaged\n", path);
    if (w->unreadable)
        sb_printf(&w->image->problems, "%s: %zu line tables cannot be read\n", path, w->unreadable);
    splits_note_missing(&w->splits);
}

/*
 * Names first, for all units, because a function may have its declaration in a unit that comes
 * later.  The common file of dwz has no code, and so takes part in the first pass alone.
 */
void functions_add(struct image *image, struct sym *s)
{
    if (!image->dwarf)
        return;
    struct unit_walk w = {.image = image, .sym = s};
    map_init(&w.origin_ids, SYM_ENTRIES_MAX);
    names_init(&w.names, s);
    splits_init(&w.splits, image);
    if (image->common_dwarf)
        each_unit(&w, image->common_dwarf, note_names);
    each_unit(&w, image->dwarf, note_names);
    each_unit(&w, image->dwarf, walk_unit);
    note_problems(&w);
    names_release(&w.names);
    splits_release(&w.splits);
    map_release(&w.origin_ids);
}
