/*
 * ?name@inner@outer@@type: Microsoft's mangling writes the scopes from the inside out, "@" behind
 * each and one more at the end; what follows is the type, which is not read.  A digit stands for a
 * text that occurred before.  ??0 and ??1 are constructor and destructor, named by their class.
 * No library of Debian has a demangler for this with an interface that stays (LLVM's is C++ of its
 * own version); publics with such names only fill gaps between procedures, whose names the PDB has
 * in plain.
 */
#include "tools/dump-syms/msvc_name.h"

#include "lib/base/str.h"
#include "lib/base/util.h"
#include "tools/dump-syms/function_names.h"

/* Ten back references is what the mangling has digits for; deeper nested names stay as they are. */
enum { PARTS_MAX = 16, BACK_MAX = 10 };

static bool is_identifier(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$';
        if (!is_letter && !(i > 0 && c >= '0' && c <= '9') && (unsigned char)c < 128)
            return false;
    }
    return s.n > 0;
}

/* One part up to its '@'; anonymous namespaces are written ?A0x1234@. */
static bool take_part(struct str *rest, struct str back[BACK_MAX], size_t *back_n, struct str *ret)
{
    if (rest->n && rest->p[0] >= '0' && rest->p[0] <= '9') {
        size_t index = (size_t)(rest->p[0] - '0');
        *rest = str_sub(*rest, 1, rest->n);
        *ret = index < *back_n ? back[index] : STR("");
        return index < *back_n;
    }
    size_t end = str_find_char(*rest, '@', 0);
    if (end == SIZE_MAX)
        return false;
    struct str part = str_sub(*rest, 0, end);
    *rest = str_sub(*rest, end + 1, rest->n);
    *ret = str_starts(part, STR("?A")) ? STR("(anonymous namespace)") : part;
    if (*back_n < BACK_MAX)
        back[(*back_n)++] = *ret;
    return str_starts(part, STR("?A")) || is_identifier(part);
}

static bool qualified_name(struct str rest, struct strbuf *out)
{
    struct str parts[PARTS_MAX], back[BACK_MAX];
    size_t n = 0, back_n = 0;
    bool is_special = rest.n > 2 && rest.p[0] == '?' && (rest.p[1] == '0' || rest.p[1] == '1');
    bool is_destructor = is_special && rest.p[1] == '1';
    if (is_special)
        rest = str_sub(rest, 2, rest.n);
    while (rest.n && rest.p[0] != '@')
        if (n == PARTS_MAX || !take_part(&rest, back, &back_n, &parts[n++]))
            return false;
    if (n == 0 || rest.n == 0)
        return false;
    for (size_t i = n; i-- > 0;)
        sb_printf(out, STR_FMT "%s", STR_ARG(parts[i]), i ? "::" : "");
    if (is_special)
        sb_printf(out, "::%s" STR_FMT, is_destructor ? "~" : "", STR_ARG(parts[0]));
    return !out->overflow;
}

struct str msvc_name(struct sym *s, const char *symbol)
{
    if (symbol[0] != '?')
        return names_of_symbol(s, symbol);
    STRBUF_AUTO name;
    sb_init(&name, 64 * 1024);
    struct str text = qualified_name(str_of(symbol + 1), &name) ? sb_view(&name) : str_of(symbol);
    return sym_clean(s, str_copy(&s->arena, text));
}
