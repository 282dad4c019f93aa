/*
 * Parameters of queries, forms and headers: decoding and splitting, no meaning.  Names and values
 * come out as valid UTF-8; that one contained NUL is remembered, because a text that ends earlier
 * than its sender thought would ask for something else.
 */
#include "lib/web/params.h"

#include "lib/base/err.h"
#include "lib/base/util.h"

/*
 * A % that no two digits follow stays as it is: people type addresses, and refusing one would tell
 * them less than a search for "100%".  A plus is a blank in queries and forms, and a plus in paths.
 */
struct str pct_decode(struct arena *a, struct str s, bool plus_is_space)
{
    char *out = arena_alloc(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        int byte = pct_byte(s, i);
        if (byte >= 0) {
            out[n++] = (char)byte;
            i += 2;
        } else {
            out[n++] = s.p[i] == '+' && plus_is_space ? ' ' : s.p[i];
        }
    }
    return str_n(out, n);
}

/*
 * What RFC 3986 lets stand in a path stays as it is: names of libraries have plus signs, as in
 * libstdc++.so, and should be readable in an address.
 */
struct str url_path_encode(struct arena *a, struct str path)
{
    static const char safe[] = "-._~/:@!$&'()*+,;=";
    static const char digits[] = "0123456789ABCDEF";
    char *out = arena_alloc(a, 3 * path.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < path.n; i++) {
        unsigned char c = (unsigned char)path.p[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || (c && strchr(safe, c));
        if (is_plain) {
            out[n++] = (char)c;
        } else {
            out[n++] = '%';
            out[n++] = digits[c >> 4];
            out[n++] = digits[c & 15];
        }
    }
    return str_n(out, n);
}

/*
 * PARAMS_MAX is checked before anything is copied; the list doubles, so many parameters cost no
 * more than their bytes.
 */
bool params_add(struct arena *a, struct param_list *list, struct str name, struct str value,
                struct err *err)
{
    if (list->n == PARAMS_MAX)
        return err_set(err, ERR_TOO_LARGE, "more than %d parameters", PARAMS_MAX);
    if (list->n == list->cap) {
        size_t cap = MAX(list->cap * 2, (size_t)16);
        if (!arena_fits(a, cap * sizeof *list->v, "parameters", err))
            return false;
        struct req_param *v = arena_array(a, cap, sizeof *v);
        if (list->n)
            memcpy(v, list->v, list->n * sizeof *v);
        list->v = v;
        list->cap = cap;
    }
    struct req_param clean = {.name = utf8_clean(a, name), .value = utf8_clean(a, value)};
    if (!list->with_nul.p && str_find_char(value, '\0', 0) != SIZE_MAX)
        list->with_nul = clean.name;
    list->v[list->n++] = clean;
    return true;
}

bool params_parse(struct arena *a, struct str text, struct param_list *list, struct err *err)
{
    /* Decoding makes one copy, cleaning at most three bytes for one. */
    if (!arena_fits(a, text.n * 4 + 64, "parameters", err))
        return false;
    struct str rest = text, pair;
    while (str_split(&rest, '&', &pair)) {
        if (pair.n == 0)
            continue;
        size_t eq = str_find_char(pair, '=', 0);
        struct str name = str_sub(pair, 0, eq);
        struct str value = eq == SIZE_MAX ? STR("") : str_sub(pair, eq + 1, SIZE_MAX);
        if (!params_add(a, list, pct_decode(a, name, true), pct_decode(a, value, true), err))
            return false;
    }
    return true;
}

/* The first of that name, for those who want one value; p NULL: not sent. */
struct str params_find(const struct param_list *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++)
        if (str_eq(list->v[i].name, str_of(name)))
            return list->v[i].value;
    return STR_NONE;
}

/*
 * Two cookies of one name are possible; the first counts, since browsers send that of the longer
 * path first (RFC 6265).
 */
struct str cookie_find(struct str header, const char *name)
{
    struct str pair;
    while (str_split(&header, ';', &pair)) {
        size_t eq = str_find_char(pair, '=', 0);
        if (eq == SIZE_MAX || !str_eq(str_trim(str_sub(pair, 0, eq)), str_of(name)))
            continue;
        struct str value = str_trim(str_sub(pair, eq + 1, SIZE_MAX));
        if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
            value = str_sub(value, 1, value.n - 2);
        return value;
    }
    return STR_NONE;
}

/* "text/html; charset=utf-8" is text/html: what parameters say is asked for by header_param. */
struct str header_value(struct str header)
{
    return str_trim(str_sub(header, 0, str_find_char(header, ';', 0)));
}

/*
 * One step over "; name=value": cuts it off the front of *rest.  A quoted value keeps its quotes.
 * Rubbish between the semicolons gives an empty name.
 */
static bool next_param(struct str *rest, struct str *ret_name, struct str *ret_value)
{
    size_t start = str_find_char(*rest, ';', 0);
    if (start == SIZE_MAX)
        return false;
    size_t i = start + 1, eq = i;
    while (eq < rest->n && rest->p[eq] != '=' && rest->p[eq] != ';')
        eq++;
    *ret_name = str_trim(str_sub(*rest, i, eq - i));
    *ret_value = STR("");
    i = eq;
    if (eq < rest->n && rest->p[eq] == '=') {
        i = eq + 1;
        while (i < rest->n && (rest->p[i] == ' ' || rest->p[i] == '\t'))
            i++;
        size_t from = i;
        if (i < rest->n && rest->p[i] == '"') {
            for (i++; i < rest->n && rest->p[i] != '"'; i++)
                if (rest->p[i] == '\\' && i + 1 < rest->n)
                    i++;
            i = MIN(i + 1, rest->n);
        } else {
            while (i < rest->n && rest->p[i] != ';')
                i++;
        }
        *ret_value = str_rtrim(str_sub(*rest, from, i - from));
    } else {
        *ret_name = STR("");
    }
    *rest = str_sub(*rest, i, SIZE_MAX);
    return true;
}

/*
 * Only \" and \\ are escapes here: a path of Windows that was sent with single backslashes stays
 * whole.
 */
static void unquote(struct str value, struct strbuf *out)
{
    if (value.n == 0 || value.p[0] != '"') {
        sb_str(out, value);
        return;
    }
    for (size_t i = 1; i < value.n && value.p[i] != '"'; i++) {
        bool escaped = value.p[i] == '\\' && i + 1 < value.n &&
                       (value.p[i + 1] == '"' || value.p[i + 1] == '\\');
        if (escaped)
            i++;
        sb_char(out, value.p[i]);
    }
}

/* The last one counts, when a name is there twice. */
bool header_param(struct str header, const char *name, struct strbuf *out)
{
    struct str found_name, value, last = STR_NONE;
    while (next_param(&header, &found_name, &value))
        if (str_eq_nocase(found_name, str_of(name)))
            last = value;
    if (!last.p)
        return false;
    unquote(last, out);
    return true;
}

/* ISO-8859-1 is the first 256 code points. */
static void latin1_to_utf8(struct str text, struct strbuf *out)
{
    for (size_t i = 0; i < text.n; i++) {
        char bytes[4];
        sb_put(out, bytes, utf8_put(bytes, (unsigned char)text.p[i]));
    }
}

/*
 * The form of RFC 5987, charset'language'value, for names that are not ASCII.  What does not fit it
 * is given as it was written: a name that looks odd is better than none.
 */
bool header_param_extended(struct str header, const char *name, struct strbuf *out)
{
    STRBUF_AUTO starred;
    STRBUF_AUTO written;
    sb_init(&starred, 100);
    sb_init(&written, out->max);
    sb_printf(&starred, "%s*", name);
    if (!header_param(header, sb_cstr(&starred), &written))
        return false;
    struct str whole = sb_view(&written), rest = whole, charset, language;
    bool has_form = str_split(&rest, '\'', &charset) && str_split(&rest, '\'', &language) && rest.p;
    struct arena a;
    arena_init(&a, 2 * whole.n + 4096);
    struct str text = has_form ? pct_decode(&a, rest, false) : whole;
    if (has_form && str_eq_nocase(charset, STR("utf-8")) && utf8_valid(text))
        sb_str(out, text);
    else if (has_form && str_eq_nocase(charset, STR("iso-8859-1")))
        latin1_to_utf8(text, out);
    else
        sb_str(out, whole);
    arena_release(&a);
    return true;
}

/* Quality values are not weighed: the question is whether a client can read a type at all. */
bool accepts(struct str header, const char *media_type)
{
    struct str want = str_of(media_type), item;
    struct str family = str_sub(want, 0, str_find_char(want, '/', 0) + 1);
    while (str_split(&header, ',', &item)) {
        struct str type = header_value(item);
        if (str_eq_nocase(type, want) || str_eq(type, STR("*/*")))
            return true;
        if (type.n == family.n + 1 && str_starts_nocase(type, family) && type.p[family.n] == '*')
            return true;
    }
    return false;
}
