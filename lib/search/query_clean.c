/*
 * Clean-up for readers without view_pii: whatever names a field they may not see, or no field at
 * all, is dropped without a word.  The search becomes wider by it and is no error, so that a link
 * that somebody with more permissions has sent still shows what this reader may see of it.
 *
 * It is the permission that counts and not the value: a protected field may not even be asked
 * whether it is missing, for the number of hits would tell what stands in it.
 *
 * `_columns` of the API stay.  A column that the reader may not see is left out when the query is
 * made, and an unknown one is an error there; pages have no use for that error.
 */
#include "lib/base/str.h"
#include "lib/crash/field.h"
#include "lib/search/query_build.h"

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
    bool any = false;
    while (str_split(&path, '.', &part)) {
        if (!is_allowed_name(fields, ctx, part))
            return false;
        any = true;
    }
    return any;
}

static bool take_prefix(struct str *s, struct str prefix)
{
    if (!str_starts(*s, prefix))
        return false;
    *s = str_sub(*s, prefix.n, SIZE_MAX);
    return true;
}

static bool is_allowed_value(const struct field_table *fields, const struct search_context *ctx,
                             struct str value, bool is_sort)
{
    if (is_sort)
        take_prefix(&value, STR("-"));
    else if (!take_prefix(&value, STR("_histogram.")))
        take_prefix(&value, STR("_cardinality."));
    return is_allowed_name(fields, ctx, value);
}

static bool may_stay(const struct field_table *fields, const struct search_context *ctx,
                     const struct search_param *p)
{
    struct str name = p->name;
    if (!str_starts(name, STR("_"))) {
        const struct search_field *f = search_field_find(fields, name);
        return !f || query_may_see(ctx, f); /* unknown ones are ignored later */
    }
    if (str_eq(name, STR("_facets")) || str_eq(name, STR("_sort")))
        return p->value.n == 0 ||
               is_allowed_value(fields, ctx, p->value, str_eq(name, STR("_sort")));
    if (str_eq(name, STR("_columns")))
        return !ctx->is_html || p->value.n == 0 || is_allowed_name(fields, ctx, p->value);
    if (take_prefix(&name, STR("_histogram_interval.")))
        return is_allowed_path(fields, ctx, name);
    if (take_prefix(&name, STR("_aggs.")) || take_prefix(&name, STR("_histogram.")))
        return is_allowed_path(fields, ctx, name) &&
               (p->value.n == 0 || is_allowed_value(fields, ctx, p->value, false));
    return true;
}

void search_clean(const struct field_table *fields, const struct search_context *ctx,
                  struct search_params *params)
{
    if (ctx->is_unredacted || ctx->reader == PERM_PROTECTED)
        return;
    size_t kept = 0;
    for (size_t i = 0; i < params->n; i++)
        if (may_stay(fields, ctx, &params->v[i]))
            params->v[kept++] = params->v[i];
    params->n = kept;
}
