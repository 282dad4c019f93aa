/*
 * Clean-up for readers without view_pii: whatever names a field they may not see, or no field at
 * all, is dropped.  The search becomes wider by it and is no error, so that a link that somebody
 * with more permissions has sent still shows what this reader may see of it.  Which protected
 * fields were dropped can be asked (search_ignored), for the reader should know that the answer is
 * to another question; that a name is protected is no secret, SuperSearchFields says it.
 *
 * It is the permission that counts and not the value: a protected field may not even be asked
 * whether it is missing, for the number of hits would tell what stands in it.
 *
 * `_columns` of the API stay.  A column that the reader may not see is left out when the query is
 * made, and an unknown one is an error there; pages have no use for that error.
 */
#include "lib/base/arena.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/field.h"
#include "lib/search/facet_kind.h"
#include "lib/search/query_build.h"
#include "lib/search/search.h"

/* What may stand in front of a field's name in a value. */
enum decoration { IS_BARE, IS_SORT_KEY, IS_FACET };

/* The fields that a parameter names: those of its own name, F1.F2.F3, and one in its value. */
struct named_fields {
    struct str path;  /* n 0: none */
    struct str value; /* likewise, without decoration */
    bool is_filter, is_column;
};

/* clang-format off */
static const struct {
    struct str name;
    bool is_prefix; /* a path follows */
    bool has_value;
    enum decoration decoration;
    struct str implied; /* the field that it is about without naming it */
} steering[] = {
    {STR_INIT("_facets"),              false, true,  IS_FACET,    {0}},
    {STR_INIT("_facet"),               false, true,  IS_FACET,    {0}}, /* extract.h */
    {STR_INIT("_sort"),                false, true,  IS_SORT_KEY, {0}},
    {STR_INIT("_columns"),             false, true,  IS_BARE,     {0}},
    {STR_INIT("_aggs."),               true,  true,  IS_FACET,    {0}},
    {STR_INIT("_histogram."),          true,  true,  IS_FACET,    {0}},
    {STR_INIT("_histogram_interval."), true,  false, IS_BARE,     {0}},
    {STR_INIT("_facets_sort"),         false, false, IS_BARE,     STR_INIT("install_time")},
    {STR_INIT("_weights"),             false, false, IS_BARE,     STR_INIT("throttle_rate")},
};
/* clang-format on */

static bool take_prefix(struct str *s, struct str prefix)
{
    if (!str_starts(*s, prefix))
        return false;
    *s = str_sub(*s, prefix.n, SIZE_MAX);
    return true;
}

static struct str bare_name(struct str value, enum decoration decoration)
{
    if (decoration == IS_SORT_KEY)
        take_prefix(&value, STR("-"));
    else if (decoration == IS_FACET)
        facet_kind_take(&value);
    return value;
}

static struct named_fields naming_of(const struct search_param *p)
{
    struct named_fields out = {0};
    if (!str_starts(p->name, STR("_")))
        return (struct named_fields){.path = p->name, .is_filter = true};
    for (size_t i = 0; i < ARRAY_LEN(steering); i++) {
        struct str rest = p->name;
        bool fits = steering[i].is_prefix ? take_prefix(&rest, steering[i].name)
                                          : str_eq(rest, steering[i].name);
        if (!fits)
            continue;
        out.path = steering[i].is_prefix ? rest : steering[i].implied;
        if (steering[i].has_value)
            out.value = bare_name(p->value, steering[i].decoration);
        out.is_column = str_eq(steering[i].name, STR("_columns"));
        break;
    }
    return out;
}

static bool is_allowed_name(const struct field_table *fields, const struct search_context *ctx,
                            struct str name)
{
    const struct search_field *f = search_field_find(fields, name);
    return f && query_may_see(ctx, f);
}

/* F1.F2.F3: every part must be allowed. */
static bool is_allowed_path(const struct field_table *fields, const struct search_context *ctx,
                            struct str path)
{
    struct str part;
    while (str_split(&path, '.', &part))
        if (!is_allowed_name(fields, ctx, part))
            return false;
    return true;
}

static bool may_stay(const struct field_table *fields, const struct search_context *ctx,
                     const struct search_param *p)
{
    struct named_fields n = naming_of(p);
    if (n.is_filter) {
        const struct search_field *f = search_field_find(fields, n.path);
        return !f || query_may_see(ctx, f); /* unknown ones are ignored later */
    }
    if (n.is_column && !ctx->is_html)
        return true;
    return is_allowed_path(fields, ctx, n.path) &&
           (p->value.n == 0 || !n.value.p || is_allowed_name(fields, ctx, n.value));
}

static bool sees_all(const struct search_context *ctx)
{
    return ctx->is_unredacted || ctx->reader == PERM_PROTECTED;
}

void search_clean(const struct field_table *fields, const struct search_context *ctx,
                  struct search_params *params)
{
    if (sees_all(ctx))
        return;
    size_t kept = 0;
    for (size_t i = 0; i < params->n; i++)
        if (may_stay(fields, ctx, &params->v[i]))
            params->v[kept++] = params->v[i];
    params->n = kept;
}

/* Each field once, however often it is named. */
static void note_ignored(const struct field_table *fields, const struct search_context *ctx,
                         struct str name, struct strs *list)
{
    const struct search_field *f = search_field_find(fields, name);
    if (!f || query_may_see(ctx, f))
        return;
    for (size_t i = 0; i < list->n; i++)
        if (str_eq(list->v[i], str_of(f->name)))
            return;
    list->v[list->n++] = str_of(f->name);
}

struct strs search_ignored(struct arena *a, const struct field_table *fields,
                           const struct search_context *ctx, struct search_params params)
{
    struct strs list = {0};
    if (sees_all(ctx))
        return list;
    list.v = arena_array(a, fields->search_count + 1, sizeof *list.v);
    for (size_t i = 0; i < params.n; i++) {
        struct named_fields n = naming_of(&params.v[i]);
        struct str part;
        if (params.v[i].value.n == 0)
            continue;
        if (n.is_filter)
            note_ignored(fields, ctx, n.path, &list);
        while (!n.is_filter && str_split(&n.path, '.', &part))
            note_ignored(fields, ctx, part, &list);
        note_ignored(fields, ctx, n.value, &list);
    }
    return list;
}
