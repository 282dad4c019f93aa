/*
 * Compilers give no linkage name to functions that nobody else can call: lambdas in functions,
 * members of local classes, anonymous namespaces.  Their out-of-line copies have a symbol with
 * parameters, their inlined copies have nothing.  So that both get one name in a report, the
 * parameters are spelled here from the debug information as the demangler spells them: qualifiers
 * behind what they qualify, `unsigned long` and not DWARF's `long unsigned int`, typedefs resolved.
 *
 * The spelling must be right to the blank: a name that differs in one space is another signature.
 * What the debug information does not say (a type without a name) is written as a word that no
 * demangler writes.
 */
#include "tools/dump-syms/type_name.h"

#include <dwarf.h>

#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "tools/dump-syms/closures.h"
#include "tools/dump-syms/name_scopes.h"

/*
 * Types of hostile files may contain themselves.  Beyond the depth nothing is written, beyond the
 * parameters the list ends; real functions come to neither.
 */
enum { TYPE_DEPTH_MAX = 32, PARAMETERS_MAX = 64 };

/* What gcc calls the types of C in DWARF, and what the demangler calls them. */
static const struct {
    const char *dwarf, *demangled;
    /* Types not in this list (int, char, double, bool) have one name in both. */
} base_names[] = {
    {"long int", "long"},
    {"long unsigned int", "unsigned long"},
    {"long long int", "long long"},
    {"long long unsigned int", "unsigned long long"},
    {"short int", "short"},
    {"short unsigned int", "unsigned short"},
    {"__int128 unsigned", "unsigned __int128"},
};

static void put_type(const struct names *n, Dwarf_Die *type, int depth, struct strbuf *out);

static bool type_of(Dwarf_Die *die, Dwarf_Die *ret_type)
{
    Dwarf_Attribute mem;
    return dwarf_attr(die, DW_AT_type, &mem) && dwarf_formref_die(&mem, ret_type);
}

/* The type that an entry refers to; none means void. */
static void put_target(const struct names *n, Dwarf_Die *die, int depth, struct strbuf *out)
{
    Dwarf_Die target;
    if (type_of(die, &target))
        put_type(n, &target, depth + 1, out);
    else
        sb_text(out, "void");
}

static void put_base(Dwarf_Die *type, struct strbuf *out)
{
    const char *name = dwarf_diename(type);
    for (size_t i = 0; name && i < ARRAY_LEN(base_names); i++)
        if (strcmp(name, base_names[i].dwarf) == 0)
            name = base_names[i].demangled;
    sb_text(out, name ? name : "?");
}

/*
 * Classes and enumerations, with the scope that the first pass has noted.  A
 * type without a name may be the closure of a lambda, which has one made of its parameters.
 */
static void put_named(const struct names *n, Dwarf_Die *type, int depth, struct strbuf *out)
{
    uint32_t scope = map_get(&n->scope_of, (uint64_t)(uintptr_t)type->addr);
    if (scope)
        sb_str(out, n->scopes.texts.v[scope - 1]);
    const char *name = dwarf_diename(type);
    if (name || !type_name_closure(n, type, depth, out))
        sb_text(out, name ? name : "{unnamed}");
}

/*
 * Parameters that compilers add (this, the hidden ones of constructors) are artificial and not in
 * the name of the function.
 */
static void put_list(const struct names *n, Dwarf_Die *function, int depth, struct strbuf *out)
{
    Dwarf_Die die;
    int count = 0;
    sb_char(out, '(');
    if (dwarf_child(function, &die) == 0) {
        do {
            int tag = dwarf_tag(&die);
            bool is_rest = tag == DW_TAG_unspecified_parameters;
            if ((tag != DW_TAG_formal_parameter && !is_rest) ||
                dwarf_hasattr(&die, DW_AT_artificial))
                continue;
            sb_text(out, count++ ? ", " : "");
            if (is_rest)
                sb_text(out, "...");
            else
                put_target(n, &die, depth, out);
        } while (count < PARAMETERS_MAX && dwarf_siblingof(&die, &die) == 0);
    }
    sb_char(out, ')');
}

/* A pointer or reference; to functions the sign stands inside, as in `void (*)(int)`. */
static void put_pointer(const struct names *n, Dwarf_Die *type, const char *sign, int depth,
                        struct strbuf *out)
{
    Dwarf_Die target;
    bool has_target = type_of(type, &target);
    if (!has_target || dwarf_tag(&target) != DW_TAG_subroutine_type) {
        put_target(n, type, depth, out);
        sb_text(out, sign);
        return;
    }
    put_target(n, &target, depth, out);
    sb_printf(out, " (%s)", sign);
    put_list(n, &target, depth + 1, out);
}

static void put_type(const struct names *n, Dwarf_Die *type, int depth, struct strbuf *out)
{
    if (depth > TYPE_DEPTH_MAX || out->overflow)
        return;
    switch (dwarf_tag(type)) {
    case DW_TAG_base_type:
        put_base(type, out);
        break;
    case DW_TAG_unspecified_type:
        sb_text(out, "decltype(nullptr)");
        break;
    case DW_TAG_pointer_type:
        put_pointer(n, type, "*", depth, out);
        break;
    case DW_TAG_reference_type:
        put_pointer(n, type, "&", depth, out);
        break;
    case DW_TAG_rvalue_reference_type:
        put_pointer(n, type, "&&", depth, out);
        break;
    case DW_TAG_const_type:
        put_target(n, type, depth, out);
        sb_text(out, " const");
        break;
    case DW_TAG_volatile_type:
        put_target(n, type, depth, out);
        sb_text(out, " volatile");
        break;
    case DW_TAG_typedef:
    case DW_TAG_restrict_type:
        put_target(n, type, depth, out);
        break;
    case DW_TAG_array_type:
        put_target(n, type, depth, out);
        sb_text(out, " []");
        break;
    default:
        put_named(n, type, depth, out);
        break;
    }
}

/*
 * Whether the object of a method is const: `this` (or gcc's __closure) points to something const.
 * Only the first parameter can be the object; a static member has none.
 */
static bool has_const_object(Dwarf_Die *function)
{
    Dwarf_Die die, type;
    if (dwarf_child(function, &die) != 0)
        return false;
    do {
        if (dwarf_tag(&die) != DW_TAG_formal_parameter)
            continue;
        if (!dwarf_hasattr(&die, DW_AT_artificial) || !type_of(&die, &type))
            return false;
        if (dwarf_tag(&type) == DW_TAG_const_type && !type_of(&type, &type)) /* this itself */
            return false;
        return dwarf_tag(&type) == DW_TAG_pointer_type && type_of(&type, &type) &&
               dwarf_tag(&type) == DW_TAG_const_type;
    } while (dwarf_siblingof(&die, &die) == 0);
    return false;
}

void type_name_parameters(const struct names *n, Dwarf_Die *function, struct strbuf *out)
{
    put_list(n, function, 0, out);
    if (has_const_object(function))
        sb_text(out, " const");
}

/*
 * Number of the template parameter auto:N whose type this is, else 0.  gcc writes an `auto`
 * parameter of a lambda as a template parameter of that name, and the demangler shows the name and
 * not the type it stands for.
 */
static unsigned generic_number(Dwarf_Die *call_operator, Dwarf_Die *type)
{
    Dwarf_Die die, bound;
    unsigned number = 0;
    if (dwarf_child(call_operator, &die) != 0)
        return 0;
    do {
        const char *name =
            dwarf_tag(&die) == DW_TAG_template_type_parameter ? dwarf_diename(&die) : NULL;
        if (!name || strncmp(name, "auto:", 5) != 0)
            continue;
        number++;
        if (type_of(&die, &bound) && bound.addr == type->addr)
            return number;
    } while (number < PARAMETERS_MAX && dwarf_siblingof(&die, &die) == 0);
    return 0;
}

static void put_lambda(const struct names *n, Dwarf_Die *call_operator, int depth,
                       struct strbuf *out)
{
    Dwarf_Die die, type;
    int count = 0;
    sb_char(out, '(');
    if (dwarf_child(call_operator, &die) == 0) {
        do {
            if (dwarf_tag(&die) != DW_TAG_formal_parameter || dwarf_hasattr(&die, DW_AT_artificial))
                continue;
            sb_text(out, count++ ? ", " : "");
            unsigned generic = type_of(&die, &type) ? generic_number(call_operator, &type) : 0;
            if (generic)
                sb_printf(out, "auto:%u", generic);
            else
                put_target(n, &die, depth, out);
        } while (count < PARAMETERS_MAX && dwarf_siblingof(&die, &die) == 0);
    }
    sb_char(out, ')');
}

bool type_name_closure(const struct names *n, Dwarf_Die *type, int depth, struct strbuf *out)
{
    Dwarf_Die call;
    uint32_t number = map_get(&n->lambda_number, (uint64_t)(uintptr_t)type->addr);
    if (number == 0 || !closure_call_operator(type, &call))
        return false;
    sb_text(out, "{lambda");
    put_lambda(n, &call, depth, out);
    sb_printf(out, "#%u}", number);
    return true;
}
