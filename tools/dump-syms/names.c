#include "names.h"

#include <dwarf.h>

#include "base/util.h"
#include "rust_name.h"

enum { SCOPES_MAX = 64, SCOPE_BYTES_MAX = 1 << 16, MANGLED_MAX = 1 << 16, ORIGIN_HOPS = 8 };

/* Of the C++ run-time library. */
char *__cxa_demangle(const char *mangled, char *buf, size_t *length, int *status);

void names_init(struct names *n, struct sym *sym)
{
    *n = (struct names){.sym = sym, .scopes.arena = &sym->arena};
}

void names_release(struct names *n)
{
    idmap_release(&n->scope_of);
    free(n->scopes.slots);
    VEC_RELEASE(&n->scopes.texts);
}

/* ---- symbols ---- */

static struct str demangle(struct sym *s, const char *mangled)
{
    bool is_mangled = mangled[0] == '_' && (mangled[1] == 'Z' || mangled[1] == 'R');
    if (!is_mangled || strnlen(mangled, MANGLED_MAX) == MANGLED_MAX)
        return str_of(mangled);
    STRBUF_AUTO rust;
    sb_init(&rust, MANGLED_MAX);
    if (rust_name(mangled, &rust) || rust_v0_name(mangled, &rust))
        return str_copy(&s->arena, sb_view(&rust));
    int status;
    FREE_LATER char *text = __cxa_demangle(mangled, NULL, NULL, &status);
    return text ? str_copy(&s->arena, str_of(text)) : str_of(mangled);
}

struct str names_of_symbol(struct sym *s, const char *symbol)
{
    struct str name = str_of(symbol);
    size_t at = str_find_char(name, '@', 1);
    if (at != SIZE_MAX)
        symbol = str_adup(&s->arena, str_sub(name, 0, at));
    return sym_clean(s, demangle(s, symbol));
}

/* ---- scopes ---- */

static bool is_scope(int tag)
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

Dwarf_Die names_origin(Dwarf_Die die)
{
    static const unsigned links[] = {DW_AT_abstract_origin, DW_AT_specification};
    for (int hops = 0; hops < ORIGIN_HOPS; hops++) {
        bool moved = false;
        for (size_t i = 0; i < ARRAY_LEN(links) && !moved; i++) {
            Dwarf_Attribute mem;
            Dwarf_Die next;
            moved = dwarf_attr(&die, links[i], &mem) && dwarf_formref_die(&mem, &next);
            if (moved)
                die = next;
        }
        if (!moved)
            break;
    }
    return die;
}

static void push_scope(struct strbuf *path, Dwarf_Die *die)
{
    Dwarf_Die origin = names_origin(*die);
    const char *name = dwarf_diename(&origin);
    if (!name)
        name = dwarf_tag(die) == DW_TAG_namespace ? "(anonymous namespace)" : "(anonymous)";
    sb_text(path, name);
    sb_text(path, "::");
}

static void note_children(struct names *n, Dwarf_Die *parent, struct strbuf *path, int depth)
{
    Dwarf_Die die;
    if (depth > SCOPES_MAX || path->overflow || dwarf_child(parent, &die) != 0)
        return;
    do {
        int tag = dwarf_tag(&die);
        if (tag == DW_TAG_subprogram && path->n)
            idmap_set(&n->scope_of, (uint64_t)(uintptr_t)die.addr,
                      pool_add(&n->scopes, sb_view(path)));
        bool is_block = tag == DW_TAG_lexical_block, is_function = tag == DW_TAG_subprogram;
        if (!is_scope(tag) && !is_block && !is_function)
            continue;
        size_t before = path->n;
        if (!is_block)
            push_scope(path, &die);
        note_children(n, &die, path, depth + 1);
        path->n = before;
        path->overflow = false;
    } while (dwarf_siblingof(&die, &die) == 0);
}

void names_add_unit(struct names *n, Dwarf_Die *unit)
{
    STRBUF_AUTO path;
    sb_init(&path, SCOPE_BYTES_MAX);
    note_children(n, unit, &path, 0);
}

/* The name with its scopes in front. */
static struct str qualified(struct names *n, Dwarf_Die die, const char *name)
{
    Dwarf_Die origin = names_origin(die);
    uint32_t scope;
    if (!idmap_get(&n->scope_of, (uint64_t)(uintptr_t)origin.addr, &scope))
        return str_of(name);
    return str_of(
        arena_printf(&n->sym->arena, STR_FMT "%s", STR_ARG(n->scopes.texts.v[scope]), name));
}

/* ---- functions ---- */

static const char *text_attr(Dwarf_Die *die, unsigned name)
{
    Dwarf_Attribute mem;
    return dwarf_formstring(dwarf_attr_integrate(die, name, &mem));
}

static int language_of(Dwarf_Die *die)
{
    Dwarf_Die unit;
    return dwarf_diecu(die, &unit, NULL, NULL) ? dwarf_srclang(&unit) : -1;
}

static bool is_c(int language)
{
    switch (language) {
    case DW_LANG_C:
    case DW_LANG_C89:
    case DW_LANG_C99:
    case DW_LANG_C11:
    case 0x2c: /* C17, newer than the header */
        return true;
    default:
        return false;
    }
}

struct str names_of_function(struct names *n, Dwarf_Die *die)
{
    const char *name = text_attr(die, DW_AT_name);
    if (is_c(language_of(die)) && name)
        return sym_clean(n->sym, str_of(name));
    const char *linkage = text_attr(die, DW_AT_linkage_name);
    if (!linkage)
        linkage = text_attr(die, DW_AT_MIPS_linkage_name);
    if (linkage) {
        struct str text = demangle(n->sym, linkage);
        if (text.p != linkage || !name)
            return sym_clean(n->sym, text);
    }
    return name ? sym_clean(n->sym, qualified(n, *die, name)) : STR("<name omitted>");
}
