/*
 * A processed crash becomes the values that are indexed, field by field along the table.
 *
 * Documents differ by years of processors and by what reporters send, so a value is brought to the
 * type of its field where that can be done without guessing: digits in a text are a number, "1" is
 * true, a fraction is cut off a whole number.  What cannot be brought to its type is left out and
 * named in `removed`, and the rest of the crash is found all the same.  Absent, null and an empty
 * list are the same: the field is missing.  An empty text exists.
 *
 * A module of the walker's output is an object; what is searched for is its name and version, in
 * one text.  A list of modules is sorted and each stands in it once, because a partition keeps
 * every different list once: the order of loading differs from start to start and says nothing.
 *
 * The same document always gives the same values, whatever process makes them: the index is filled
 * again from stored documents, and what is found must not depend on when that was.
 */
#include "lib/search/doc.h"

#include <math.h>
#include <stdlib.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/search/doc_frames.h"

/* As jpath, but an explicit null is given, too. */
static const json_t *value_at(const json_t *root, const char *dotted)
{
    struct str rest = str_of(dotted), part;
    const json_t *at = root;
    while (at && str_split(&rest, '.', &part))
        at = json_object_getn(at, part.p, part.n);
    return at;
}

static const json_t *source_of(const json_t *root, const struct search_field *f)
{
    if (f->frames != FRAMES_NONE)
        return root; /* the path goes through lists: doc_frames.c */
    const json_t *v = value_at(root, f->source_key);
    /* the processor copies some numbers of the walker's output to the top, too */
    if ((!v || json_is_null(v)) && str_starts(str_of(f->source_key), STR("json_dump.")))
        v = json_object_get(root, f->name);
    if (v && json_is_null(v) && strcmp(f->name, "startup_crash") == 0)
        return json_false(); /* in this field alone: the program was not starting */
    return v && !json_is_null(v) ? v : NULL;
}

/* "xul.dll/128.0.0.1", without a version "xul.dll"; of a module that has no name nothing is
 * left. */
static struct str module_text(struct arena *a, const json_t *module)
{
    struct str name = jget_strn(module, "filename"), version = jget_strn(module, "version");
    name.n = utf8_prefix_bytes(name, DOC_MODULE_BYTES_MAX);
    if (version.n == 0 || name.n == 0)
        return name;
    version.n = utf8_prefix_bytes(version, DOC_MODULE_BYTES_MAX);
    return str_of(arena_printf(a, STR_FMT "/" STR_FMT, STR_ARG(name), STR_ARG(version)));
}

static int by_bytes(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static struct strs clean_modules(struct arena *a, const json_t *modules)
{
    size_t max = MIN(json_array_size(modules), (size_t)DOC_LIST_MAX), n = 0;
    struct strs out = {.v = arena_array(a, max + 1, sizeof(struct str))};
    for (size_t i = 0; i < max; i++) {
        struct str text = module_text(a, json_array_get(modules, i));
        if (text.n > 0)
            out.v[n++] = text;
    }
    qsort(out.v, n, sizeof *out.v, by_bytes);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || !str_eq(out.v[i], out.v[out.n - 1]))
            out.v[out.n++] = out.v[i];
    return out;
}

/* A value of another type than text still says that there is one; clients know these words. */
static struct str clean_text(const struct search_field *f, const json_t *v)
{
    if (!json_is_string(v))
        return STR(DOC_BAD_TEXT);
    struct str s = str_n(json_string_value(v), json_string_length(v));
    s.n = f->index == INDEX_KEYWORD ? utf8_prefix_chars(s, DOC_KEYWORD_CHARS_MAX)
                                    : utf8_prefix_bytes(s, DOC_TEXT_BYTES_MAX);
    return s;
}

/* A text where a list may be is a list of one. */
static struct strs clean_texts(struct arena *a, const struct search_field *f, const json_t *v)
{
    size_t n = f->is_list && json_is_array(v) ? MIN(json_array_size(v), (size_t)DOC_LIST_MAX) : 1;
    if (f->frames != FRAMES_NONE)
        return doc_frames(a, v, f);
    if (f->is_list && strcmp(f->source_key, "json_dump.modules") == 0)
        return clean_modules(a, v);
    struct strs out = {.v = arena_array(a, n + 1, sizeof(struct str)), .n = n};
    if (!f->is_list || !json_is_array(v)) {
        out.v[0] = clean_text(f, v);
        return out;
    }
    /* a list of keywords whose first element is no text counts as one bad value, the others not */
    if (n > 0 && f->index == INDEX_KEYWORD && !json_is_string(json_array_get(v, 0)))
        n = out.n = 1;
    for (size_t i = 0; i < n; i++)
        out.v[i] = clean_text(f, json_array_get(v, i));
    return out;
}

bool doc_to_double(const json_t *v, double *ret)
{
    if (json_is_number(v))
        *ret = json_number_value(v);
    else if (!json_is_string(v) ||
             !str_to_double(str_trim(str_n(json_string_value(v), json_string_length(v))), "number",
                            ret, ERR_IGNORED))
        return false;
    return isfinite(*ret);
}

/* Whole numbers: text is parsed, a fraction is cut off.  9.2e18 is just below 2^63. */
bool doc_to_int(const json_t *v, int64_t *ret)
{
    int64_t i;
    double d;
    if (json_is_integer(v)) {
        i = json_integer_value(v);
    } else if (json_is_string(v) &&
               str_to_i64(str_trim(str_n(json_string_value(v), json_string_length(v))), INT64_MIN,
                          INT64_MAX, "number", &i, ERR_IGNORED)) {
    } else if (doc_to_double(v, &d) && fabs(d) < 9.2e18) {
        i = (int64_t)d;
    } else {
        return false;
    }
    *ret = i;
    return true;
}

static bool to_int(const json_t *v, int64_t min, int64_t max, int64_t *ret)
{
    int64_t i;
    if (!doc_to_int(v, &i) || i < min || i > max)
        return false;
    *ret = i;
    return true;
}

bool doc_to_bool(const json_t *v)
{
    if (json_is_string(v))
        return strcmp(json_string_value(v), "1") == 0 || strcmp(json_string_value(v), "true") == 0;
    return json_is_true(v) || (json_is_integer(v) && json_integer_value(v) == 1);
}

static bool to_date(const json_t *v, int64_t *ret)
{
    return json_is_string(v) &&
           time_parse(str_n(json_string_value(v), json_string_length(v)), ret, ERR_IGNORED);
}

/* False: the value cannot be brought to the type of the field, or does not fit into its column. */
static bool convert_value(struct arena *a, const json_t *v, struct doc_value *out)
{
    const struct search_field *f = out->field;
    switch (f->index) {
    case INDEX_TEXT:
    case INDEX_SEMI:
    case INDEX_KEYWORD:
        out->texts = clean_texts(a, f, v);
        return true;
    case INDEX_SHORT:
        return to_int(v, INT16_MIN, INT16_MAX, &out->i);
    case INDEX_INTEGER:
        return to_int(v, INT32_MIN, INT32_MAX, &out->i);
    case INDEX_LONG:
        return to_int(v, INT64_MIN, INT64_MAX, &out->i);
    case INDEX_DOUBLE:
        return doc_to_double(v, &out->d);
    case INDEX_BOOLEAN:
        out->i = doc_to_bool(v);
        return true;
    case INDEX_DATE:
        return to_date(v, &out->i);
    }
    return false;
}

static bool is_text(const struct search_field *f)
{
    return f->index == INDEX_TEXT || f->index == INDEX_SEMI || f->index == INDEX_KEYWORD;
}

bool doc_from_json(struct arena *a, const struct field_table *fields, const json_t *processed_crash,
                   struct doc *ret, struct err *err)
{
    struct doc d = {.values = arena_array(a, fields->search_count, sizeof *d.values),
                    .removed.v = arena_array(a, fields->search_count, sizeof(struct str))};
    const char *id_key = fields->uuid->source_key, *date_key = fields->date->source_key;
    d.uuid = jget_strn(processed_crash, id_key);
    if (!d.uuid.p || d.uuid.n == 0 || d.uuid.n > 200)
        return err_set(err, ERR_INVALID, "the document has no %s", id_key);
    struct str date = jget_strn(processed_crash, date_key);
    if (!date.p || !time_parse(date, &d.date_us, ERR_IGNORED))
        return err_set(err, ERR_INVALID, "the document has no %s", date_key);

    for (size_t i = 0; i < fields->search_count; i++) {
        const struct search_field *f = &fields->search[i];
        const json_t *v = source_of(processed_crash, f);
        struct doc_value *out = &d.values[d.n];
        out->field = f;
        if (!v)
            continue;
        if (!convert_value(a, v, out))
            d.removed.v[d.removed.n++] = str_of(f->name);
        else if (!is_text(f) || out->texts.n > 0) /* an empty list counts as absent */
            d.n++;
    }
    *ret = d;
    return true;
}
