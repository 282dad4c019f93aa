/*
 * Lambdas have a number in their scope, in the order of the source, as the C++ ABI counts them in
 * symbols ("Closure Types (Lambdas)") and gcc numbers them.
 */
#include "tools/dump-syms/closures.h"

#include <dwarf.h>

#include "lib/base/map.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"

/* Nested blocks that are followed, and lambdas of one scope; beyond that they have no name. */
enum { BLOCKS_MAX = 64, CLOSURES_MAX = 1 << 16 };

/*
 * What is written in front of a name with "::" behind it.  Enumerations are scopes since C++11, and
 * Rust puts functions into them.
 */
bool is_scope_tag(int tag)
{
    switch (tag) {
    case DW_TAG_namespace:
    case DW_TAG_class_type:
    case DW_TAG_structure_type:
    case DW_TAG_union_type:
    case DW_TAG_enumeration_type:
    case DW_TAG_interface_type:
    case DW_TAG_module:
        return true;
    default:
        return false;
    }
}

/* The call operator of a closure type as gcc describes it; clang gives linkage names to them. */
bool closure_call_operator(Dwarf_Die *type, Dwarf_Die *ret)
{
    int tag = dwarf_tag(type);
    Dwarf_Die die, first;
    if ((tag != DW_TAG_structure_type && tag != DW_TAG_class_type) || dwarf_diename(type) ||
        dwarf_child(type, &die) != 0)
        return false;
    do {
        const char *name = dwarf_tag(&die) == DW_TAG_subprogram ? dwarf_diename(&die) : NULL;
        if (!name || strncmp(name, "operator()", 10) != 0 || dwarf_child(&die, &first) != 0)
            continue;
        do {
            const char *object =
                dwarf_tag(&first) == DW_TAG_formal_parameter ? dwarf_diename(&first) : NULL;
            if (object && strcmp(object, "__closure") == 0) {
                *ret = die;
                return true;
            }
        } while (dwarf_siblingof(&first, &first) == 0);
    } while (dwarf_siblingof(&die, &die) == 0);
    return false;
}

struct closure {
    uint64_t key, line, column;
};

struct closures {
    VEC(struct closure) v;
    bool has_scopes; /* something is described in there that has a name of its own */
};

static uint64_t number_attr(Dwarf_Die *die, unsigned name)
{
    Dwarf_Attribute mem;
    Dwarf_Word value = 0;
    return dwarf_formudata(dwarf_attr(die, name, &mem), &value) == 0 ? value : 0;
}

/* The closure types of one scope: of a function also those in its blocks. */
static void find_closures(Dwarf_Die *parent, int depth, struct closures *c)
{
    Dwarf_Die die, call;
    if (depth > BLOCKS_MAX || c->v.n >= CLOSURES_MAX || dwarf_child(parent, &die) != 0)
        return;
    do {
        int tag = dwarf_tag(&die);
        c->has_scopes |= is_scope_tag(tag) || tag == DW_TAG_subprogram;
        if (tag == DW_TAG_lexical_block)
            find_closures(&die, depth + 1, c);
        else if (closure_call_operator(&die, &call))
            VEC_PUSH(&c->v, ((struct closure){(uint64_t)(uintptr_t)die.addr,
                                              number_attr(&die, DW_AT_decl_line),
                                              number_attr(&die, DW_AT_decl_column)}));
    } while (dwarf_siblingof(&die, &die) == 0);
}

static int by_place(const void *a, const void *b)
{
    const struct closure *x = a, *y = b;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    if (x->column != y->column)
        return x->column < y->column ? -1 : 1;
    return x->key < y->key ? -1 : x->key > y->key;
}

bool closures_number(struct names *n, Dwarf_Die *scope)
{
    struct closures c = {0};
    find_closures(scope, 0, &c);
    if (c.v.n)
        qsort(c.v.v, c.v.n, sizeof *c.v.v, by_place);
    for (size_t i = 0; i < c.v.n; i++)
        *map_at(&n->lambda_number, c.v.v[i].key) = (uint32_t)i + 1;
    VEC_RELEASE(&c.v);
    return c.has_scopes;
}
