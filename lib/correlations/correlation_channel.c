/*
 * The sets that everybody means who asks about a signature on a channel: the crashes of the last
 * days in versions that are in use.  Without that limit the crashes of some old version, which only
 * people have who never update, would look like a property of every signature they hit.
 */
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/correlations/correlations.h"
#include "lib/json/json.h"
#include "lib/search/query.h"
#include "lib/search/search.h"

/* "=" before it, so that nothing in it is an operator. */
static struct str exactly(struct arena *a, struct str value)
{
    return str_of(arena_printf(a, "=" STR_FMT, STR_ARG(value)));
}

static void add_param(struct search_params *p, const char *name, struct str value)
{
    p->v[p->n++] = (struct search_param){str_of(name), value};
}

struct str correlation_since(struct arena *a, const struct search_context *ctx, int64_t days)
{
    char text[TIME_TEXT_MAX];
    time_iso(ctx->now_us - days * 86400 * 1000000, true, text);
    return str_of(arena_printf(a, ">=%s", text));
}

bool correlation_channel(struct arena *a, struct index_reader *r, const struct search_context *ctx,
                         const struct correlation_scope *scope, struct search_params *ret,
                         struct err *err)
{
    enum { FIXED_PARAMS = 8 };
    struct search_params p = {.v = arena_array(a, QUERY_FACETS_MAX + FIXED_PARAMS, sizeof *p.v)};
    json_auto_t *answer = NULL;
    add_param(&p, "product", exactly(a, scope->product));
    add_param(&p, "release_channel", exactly(a, scope->channel));
    add_param(&p, "date", correlation_since(a, ctx, scope->days));
    p.v[p.n++] = search_counted_once;
    size_t filters = p.n;
    add_param(&p, "_facets", STR("version"));
    add_param(&p, "_facets_size", str_of(arena_printf(a, "%d", QUERY_FACETS_MAX)));
    add_param(&p, "_results_number", STR("0"));
    struct search_params asked = p; /* cleaning moves parameters */
    if (!search_answer(a, r, ctx, asked, &answer, NULL, err))
        return false;
    p.n = filters;
    size_t i;
    const json_t *bucket;
    json_array_foreach (jget_arr(jget_obj(answer, "facets"), "version"), i, bucket)
        if (jget_int_or(bucket, "count", 0) >= CORRELATION_VERSION_MIN)
            add_param(&p, "version", exactly(a, str_of(arena_strdup(a, jget_str(bucket, "term")))));
    if (p.n == filters) /* no version is in use: nothing matches */
        add_param(&p, "uuid", STR("__null__"));
    *ret = p;
    return true;
}

struct search_params correlation_signature(struct arena *a, struct search_params channel,
                                           struct str signature)
{
    struct search_params p = {.v = arena_array(a, channel.n + 1, sizeof *p.v)};
    for (size_t i = 0; i < channel.n; i++)
        p.v[p.n++] = channel.v[i];
    add_param(&p, "signature", exactly(a, signature));
    return p;
}
