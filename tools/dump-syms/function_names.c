/*
 * What a function is called.  The demangled linkage name is best: it has scopes, template arguments
 * and parameters.  Where compilers give none, the name is put together from the scopes around the
 * entry, and for C++ the parameters are spelled behind it (type_name.c), so that it comes out as
 * the demangler would write it.  Lambdas have a number in their scope, in the order of the source,
 * as the C++ ABI counts them in symbols (closures.c).
 *
 * All of a large library's names pass through here: texts are kept once each, by number.
 */
#include "tools/dump-syms/function_names.h"

#include <dwarf.h>

#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "tools/dump-syms/closures.h"
#include "tools/dump-syms/name_scopes.h"
#include "tools/dump-syms/rust_name.h"
#include "tools/dump-syms/type_name.h"

enum {
    /*
     * How deep scopes are followed, how long one path of scopes or one mangled name may be, how
     * many links lead to an origin (compilers write two: from a copy to its function, and from
     * there to the declaration in the class).  Beyond the limits a name is not demangled or loses
     * its scopes.
     */
    SCOPES_MAX = 64,
    SCOPE_BYTES_MAX = 1 << 16,
    MANGLED_MAX = 1 << 16,
    ORIGIN_HOPS = 8,
};

/* Of the C++ run-time library. */
char *__cxa_demangle(const char *mangled, char *buf, size_t *length, int *status);

void names_init(struct names *n, struct sym *sym)
{
    *n = (struct names){.sym = sym};
    textmap_init(&n->scopes, SYM_ENTRIES_MAX);
    map_init(&n->scope_of, SYM_ENTRIES_MAX);
    map_init(&n->lambda_number, SYM_ENTRIES_MAX);
    map_init(&n->is_typed, SYM_ENTRIES_MAX);
}

void names_release(struct names *n)
{
    map_release(&n->scope_of);
    map_release(&n->lambda_number);
    map_release(&n->is_typed);
    textmap_release(&n->scopes);
}

/*
 * Compilers cut functions into pieces and make variants of them, under the name of the function and
 * a word of their own.  In a report all of them are that function, as they are in debug
 * information.  A dot alone decides nothing: names of other languages and of assembler files
 * contain dots.
 */
static const char *without_clone_suffix(struct sym *s, const char *symbol)
{
    static const char *const words[] = {
        "cold", "part",   "isra", "constprop", "lto_priv", "localalias", "clone", /* gcc */
        "llvm", "__uniq", "warm", "hot",       "unlikely",                        /* clang */
    };
    for (const char *dot = strchr(symbol, '.'); dot; dot = strchr(dot + 1, '.')) {
        size_t n = strcspn(dot + 1, ".");
        for (size_t i = 0; dot > symbol && i < ARRAY_LEN(words); i++)
            if (strlen(words[i]) == n && memcmp(words[i], dot + 1, n) == 0)
                return str_adup(&s->arena, str_n(symbol, (size_t)(dot - symbol)));
    }
    return symbol;
}

/*
 * Old Rust names look like C++ and C++ names never end in Rust's hash, so Rust is asked first; the
 * demangler of C++ would show the hash as a function.
 */
static bool demangle(struct sym *s, const char *symbol, struct str *ret)
{
    const char *mangled = without_clone_suffix(s, symbol);
    bool is_mangled = mangled[0] == '_' && (mangled[1] == 'Z' || mangled[1] == 'R');
    *ret = str_of(mangled);
    if (!is_mangled || strnlen(mangled, MANGLED_MAX) == MANGLED_MAX)
        return false;
    STRBUF_AUTO rust;
    sb_init(&rust, MANGLED_MAX);
    if (rust_name(mangled, &rust) || rust_v0_name(mangled, &rust)) {
        *ret = str_copy(&s->arena, sb_view(&rust));
        return true;
    }
    int status;
    FREE_LATER char *text = __cxa_demangle(mangled, NULL, NULL, &status);
    if (text)
        *ret = str_copy(&s->arena, str_of(text));
    return text != NULL;
}

/*
 * Versions are written behind an '@' (memcpy@@GLIBC_2.14) and say nothing to a reader of a crash.
 * An '@' at the front belongs to the name.
 */
struct str names_of_symbol(struct sym *s, const char *symbol)
{
    struct str name = str_of(symbol);
    size_t at = str_find_char(name, '@', 1);
    if (at != SIZE_MAX)
        symbol = str_adup(&s->arena, str_sub(name, 0, at));
    struct str text;
    demangle(s, symbol, &text);
    return sym_clean(s, text);
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

/*
 * A namespace, class or closure as it is written in front of what it holds.  A class that is
 * described outside of its declaration has its name there, hence the origin.
 */
static void put_scope_name(const struct names *n, struct strbuf *path, Dwarf_Die *die)
{
    Dwarf_Die origin = names_origin(*die);
    const char *name = dwarf_diename(&origin);
    if (name)
        sb_text(path, name);
    else if (dwarf_tag(die) == DW_TAG_namespace)
        sb_text(path, "(anonymous namespace)");
    else if (!type_name_closure(n, die, 0, path))
        sb_text(path, "(anonymous)");
    sb_text(path, "::");
}

/* What stands at the top level needs no scope, and most functions of C stand there. */
static void note_scope(struct names *n, Dwarf_Die *die, const struct strbuf *path)
{
    if (path->n)
        *map_at(&n->scope_of, (uint64_t)(uintptr_t)die->addr) =
            textmap_number(&n->scopes, &n->sym->arena, sb_view(path)) + 1;
}

static void note_children(struct names *n, Dwarf_Die *parent, struct strbuf *path, int depth);

/*
 * What is described inside a function.  Its own full name is in front; for templates that would
 * begin with the type it returns, so there it is what is around and the plain name.
 */
static void note_function(struct names *n, Dwarf_Die *die, const struct strbuf *path, int depth)
{
    if (!closures_number(n, die))
        return;
    STRBUF_AUTO inner;
    sb_init(&inner, SCOPE_BYTES_MAX);
    bool is_unsure;
    struct str name = names_of_function(n, die, &is_unsure);
    if (str_find_char(name, '<', 0) == SIZE_MAX) {
        sb_str(&inner, name);
        sb_text(&inner, "::");
    } else {
        sb_str(&inner, sb_view(path));
        put_scope_name(n, &inner, die);
    }
    note_children(n, die, &inner, depth + 1);
}

/*
 * One path for the whole walk: each level writes its name behind and takes it away again.
 * Namespaces are not noted themselves, because nothing is named by them alone.
 */
static void note_children(struct names *n, Dwarf_Die *parent, struct strbuf *path, int depth)
{
    Dwarf_Die die;
    if (depth > SCOPES_MAX || path->overflow || dwarf_child(parent, &die) != 0)
        return;
    do {
        int tag = dwarf_tag(&die);
        size_t before = path->n;
        if (tag == DW_TAG_subprogram) {
            note_scope(n, &die, path);
            note_function(n, &die, path, depth);
        } else if (tag == DW_TAG_lexical_block) {
            note_children(n, &die, path, depth + 1);
        } else if (is_scope_tag(tag)) {
            if (tag != DW_TAG_namespace && tag != DW_TAG_module)
                note_scope(n, &die, path);
            put_scope_name(n, path, &die);
            closures_number(n, &die);
            note_children(n, &die, path, depth + 1);
        }
        path->n = before;
        path->overflow = false;
    } while (dwarf_siblingof(&die, &die) == 0);
}

/* With -g1 and -gline-tables-only functions have no parameters, which is not the same as (). */
static bool describes_types(Dwarf_Die *unit)
{
    Dwarf_Die die;
    if (dwarf_child(unit, &die) != 0)
        return false;
    do {
        int tag = dwarf_tag(&die);
        if (tag == DW_TAG_base_type || tag == DW_TAG_pointer_type || tag == DW_TAG_structure_type ||
            tag == DW_TAG_class_type)
            return true;
    } while (dwarf_siblingof(&die, &die) == 0);
    return false;
}

void names_add_unit(struct names *n, Dwarf_Die *unit)
{
    STRBUF_AUTO path;
    sb_init(&path, SCOPE_BYTES_MAX);
    if (describes_types(unit))
        *map_at(&n->is_typed, (uint64_t)(uintptr_t)unit->addr) = 1;
    closures_number(n, unit);
    note_children(n, unit, &path, 0);
}

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

static bool is_cplusplus(int language)
{
    switch (language) {
    case DW_LANG_C_plus_plus:
    case DW_LANG_C_plus_plus_03:
    case DW_LANG_C_plus_plus_11:
    case DW_LANG_C_plus_plus_14:
    case 0x2a: /* C++17, C++20 and C++23: dwarfstd.org's list, newer than the header */
    case 0x2b:
    case 0x3a:
        return true;
    default:
        return false;
    }
}

/*
 * The name with its scopes in front, and for C++ with its parameters behind.  Functions that others
 * can call have a linkage name or, as extern "C", no parameters in their name: so external ones get
 * none.
 */
static struct str qualified(struct names *n, Dwarf_Die die, const char *name)
{
    Dwarf_Die origin = names_origin(die), unit;
    STRBUF_AUTO text;
    sb_init(&text, SCOPE_BYTES_MAX);
    uint32_t scope = map_get(&n->scope_of, (uint64_t)(uintptr_t)origin.addr);
    if (scope)
        sb_str(&text, n->scopes.texts.v[scope - 1]);
    sb_text(&text, name);
    bool is_main =
        text.n == 4 && strcmp(name, "main") == 0; /* has no linkage name, yet C's rules */
    if (!is_main && !dwarf_hasattr(&origin, DW_AT_external) &&
        dwarf_diecu(&origin, &unit, NULL, NULL) && is_cplusplus(dwarf_srclang(&unit)) &&
        map_get(&n->is_typed, (uint64_t)(uintptr_t)unit.addr))
        type_name_parameters(n, &origin, &text);
    return str_copy(&n->sym->arena, sb_view(&text));
}

/*
 * In the order of trust: C's own name, the demangled linkage name, the name with its scopes.  A
 * linkage name that cannot be demangled (another language's scheme) is worse than a name with
 * scopes, but better than nothing.  DW_AT_MIPS_linkage_name is what compilers wrote before DWARF 4.
 */
struct str names_of_function(struct names *n, Dwarf_Die *die, bool *ret_is_unsure)
{
    *ret_is_unsure = false;
    const char *name = text_attr(die, DW_AT_name);
    if (is_c(language_of(die)) && name)
        return sym_clean(n->sym, str_of(name));
    const char *linkage = text_attr(die, DW_AT_linkage_name);
    if (!linkage)
        linkage = text_attr(die, DW_AT_MIPS_linkage_name);
    if (linkage) {
        struct str text;
        if (demangle(n->sym, linkage, &text) || !name)
            return sym_clean(n->sym, text);
    }
    *ret_is_unsure = true;
    return name ? sym_clean(n->sym, qualified(n, *die, name)) : STR("<name omitted>");
}
