/*
 * The one door from JSON text to trees.  jansson is strict where strangers are not: it
 * refuses a whole document for one NUL in the name of a member, although names come from
 * dumps and clients like any text, and it cannot make a string of invalid UTF-8.  Both are
 * mended here, so that no caller loses a document to one bad name.
 *
 * Depth is limited before jansson sees the text, because it recurses; the number of values follows
 * from the length of the text, which every caller limits. The getters answer "absent" for a wrong
 * type: a document of a stranger has any type anywhere, and code that reads ten members wants one
 * way to go on without one.
 */
#include "lib/json/json.h"

#include <stdio.h>

#include "lib/base/util.h"

/*
 * jansson itself refuses deeper nesting than 2048 only.  Here a document may be a part of another
 * later on, and everything that walks trees recurses.  Brackets are counted outside of strings;
 * whether they fit each other is for the parser to say.
 */
static bool depth_ok(struct str text, int depth_max)
{
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > depth_max)
                return false;
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return true;
}

/* Behind the string that begins with the quote at `start`; the end if it is not closed. */
static size_t string_end(struct str text, size_t start)
{
    size_t i = start + 1;
    while (i < text.n && text.p[i] != '"')
        i += text.p[i] == '\\' ? 2 : 1;
    return MIN(i + 1, text.n);
}

/*
 * That is what makes a string the name of a member; a string that is a value is never followed by
 * one.
 */
static bool is_followed_by_colon(struct str text, size_t at)
{
    while (at < text.n && strchr(" \t\r\n", text.p[at]) && text.p[at])
        at++;
    return at < text.n && text.p[at] == ':';
}

static const char nul_escape[] = "\\u0000";

/*
 * Steps over each escape as a pair, so that "\\u0000", a backslash and the text u0000, is not
 * taken for a NUL.
 */
static void put_without_nul(struct strbuf *out, struct str string)
{
    struct str nul = str_of(nul_escape);
    for (size_t i = 0; i < string.n;) {
        size_t n = string.p[i] == '\\' && i + 1 < string.n ? 2 : 1;
        if (str_starts(str_sub(string, i, SIZE_MAX), nul))
            n = nul.n;
        else
            sb_put(out, string.p + i, n);
        i += n;
    }
}

/* The same document with names of members that hold no NUL. */
static void put_with_clean_names(struct strbuf *out, struct str text)
{
    for (size_t i = 0; i < text.n;) {
        size_t end = text.p[i] == '"' ? string_end(text, i) : i + 1;
        struct str part = str_sub(text, i, end - i);
        if (part.n > 1 && is_followed_by_colon(text, end))
            put_without_nul(out, part);
        else
            sb_str(out, part);
        i = end;
    }
}

/*
 * JSON_DECODE_ANY: a document may be a single value.  JSON_ALLOW_NUL: in values a NUL is kept,
 * since jansson's strings have a length.
 */
static json_t *load_any(struct str text, json_error_t *why)
{
    return json_loadb(text.p ? text.p : "", text.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, why);
}

/* Nearly no document holds the escape, so the text is copied only when it is there. */
static json_t *parse_bounded(struct str text, size_t max_bytes, int depth_max, struct err *err)
{
    if (text.n > max_bytes) {
        err_set(err, ERR_TOO_LARGE, "JSON of %zu bytes, the limit is %zu", text.n, max_bytes);
        return NULL;
    }
    if (!depth_ok(text, depth_max)) {
        err_set(err, ERR_INVALID, "JSON nested deeper than %d", depth_max);
        return NULL;
    }
    json_error_t why;
    json_t *v = NULL;
    if (str_find(text, str_of(nul_escape), 0) == SIZE_MAX) {
        v = load_any(text, &why);
    } else {
        STRBUF_AUTO clean = {0};
        sb_init(&clean, text.n);
        put_with_clean_names(&clean, text);
        v = load_any(sb_view(&clean), &why);
    }
    if (!v) /* the text of why may quote the document, which may be protected */
        err_set(err, ERR_INVALID, "not valid JSON (line %d, column %d)", why.line, why.column);
    return v;
}

json_t *jparse(struct str text, size_t max_bytes, struct err *err)
{
    return parse_bounded(text, max_bytes, JSON_DEPTH_MAX, err);
}

json_t *jparse_given(struct str text, size_t max_bytes, struct err *err)
{
    return parse_bounded(text, max_bytes, JSON_GIVEN_DEPTH_MAX, err);
}

const char *jget_str(const json_t *obj, const char *key)
{
    return json_string_value(json_object_get(obj, key));
}

struct str jget_strn(const json_t *obj, const char *key)
{
    const json_t *v = json_object_get(obj, key);
    return json_is_string(v) ? str_n(json_string_value(v), json_string_length(v)) : STR_NONE;
}

bool jget_int(const json_t *obj, const char *key, int64_t *ret)
{
    const json_t *v = json_object_get(obj, key);
    if (!json_is_integer(v))
        return false;
    *ret = json_integer_value(v);
    return true;
}

int64_t jget_int_or(const json_t *obj, const char *key, int64_t fallback)
{
    int64_t v;
    return jget_int(obj, key, &v) ? v : fallback;
}

bool jget_bool_or(const json_t *obj, const char *key, bool fallback)
{
    const json_t *v = json_object_get(obj, key);
    return json_is_boolean(v) ? json_is_true(v) : fallback;
}

json_t *jget_obj(const json_t *obj, const char *key)
{
    json_t *v = json_object_get(obj, key);
    return json_is_object(v) ? v : NULL;
}

json_t *jget_arr(const json_t *obj, const char *key)
{
    json_t *v = json_object_get(obj, key);
    return json_is_array(v) ? v : NULL;
}

/* Names with a dot in them cannot be reached this way; none of ours has one. */
json_t *jpath(const json_t *root, const char *dotted)
{
    struct str rest = str_of(dotted), part;
    json_t *at = (json_t *)root;
    while (at && str_split(&rest, '.', &part))
        at = json_object_getn(at, part.p, part.n);
    return json_is_null(at) ? NULL : at;
}

const char *jpath_str(const json_t *root, const char *dotted)
{
    return json_string_value(jpath(root, dotted));
}

/*
 * jansson checks by itself; only what it refuses is copied and mended.  A byte becomes at most
 * three, which is the length of U+FFFD.
 */
json_t *jtext(struct str s)
{
    json_t *v = json_stringn(s.p ? s.p : "", s.n);
    if (v)
        return v;
    struct arena a;
    arena_init(&a, s.n * 3 + 64);
    struct str clean = utf8_clean(&a, s);
    v = json_stringn(clean.p, clean.n);
    arena_release(&a);
    return v;
}

bool jset_text(json_t *obj, const char *key, struct str s)
{
    return json_object_set_new(obj, key, jtext(s)) == 0;
}

bool jset_cstr(json_t *obj, const char *key, const char *s)
{
    return s ? jset_text(obj, key, str_of(s)) : jset_null(obj, key);
}

bool jset_int(json_t *obj, const char *key, int64_t v)
{
    return json_object_set_new(obj, key, json_integer(v)) == 0;
}

bool jset_bool(json_t *obj, const char *key, bool v)
{
    return json_object_set_new(obj, key, json_boolean(v)) == 0;
}

bool jset_null(json_t *obj, const char *key)
{
    return json_object_set_new(obj, key, json_null()) == 0;
}

json_t *jhex(uint64_t v, int digits)
{
    char text[24];
    snprintf(text, sizeof text, "0x%0*llx", digits, (unsigned long long)v);
    return json_string(text);
}

/* Sorted and compact, so that equal trees give equal bytes. */
char *jdump(const json_t *v, size_t *ret_n)
{
    char *text = json_dumps(v, JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY);
    if (!text)
        abort();
    if (ret_n)
        *ret_n = strlen(text); /* jansson writes NUL as \u0000 */
    return text;
}
