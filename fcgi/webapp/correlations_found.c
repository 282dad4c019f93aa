/*
 * Where a document comes from, in this order: what this worker made within the hour, last night's
 * file, the index.
 *
 * A document takes a search over days of crashes and the mining behind it, and a link to it is read
 * by many, so what was made is kept under all that it depends on: the two searches, or product,
 * channel and signature, and for searches the rights of the reader, since those decide which
 * filters count.  The documents of a channel are made with public rights whoever asks, and serve
 * everybody.
 */
#include "fcgi/webapp/correlations_found.h"

#include "fcgi/webapp/correlations_kept.h"
#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/correlations/correlation_files.h"
#include "lib/correlations/correlations.h"
#include "lib/json/json.h"
#include "lib/search/search.h"
#include "lib/web/web.h"
#include "queries.h"
#include "lib/db/db.h"

static const char *key_of(struct req *r, const struct correlations_wanted *w)
{
    struct arena *a = req_arena(r);
    if (!w->group)
        return arena_printf(a, "channel\n" STR_FMT "\n" STR_FMT "\n" STR_FMT, STR_ARG(w->product),
                            STR_ARG(w->channel), STR_ARG(w->signature));
    struct str group = query_url(w->group, ""), reference = query_url(w->reference, "");
    return arena_printf(a, "searches %d\n" STR_FMT "\n" STR_FMT, (int)app_reader(r), STR_ARG(group),
                        STR_ARG(reference));
}

/* Both sets as searches. */
static bool find_sets(struct req *r, const struct correlations_wanted *w,
                      struct index_reader *index, const struct search_context *ctx,
                      struct search_params *group, struct search_params *reference, struct err *err)
{
    struct arena *a = req_arena(r);
    if (w->group) {
        struct query copies[] = {query_copy(w->group), query_copy(w->reference)};
        *group = query_params(&copies[0]);
        *reference = query_params(&copies[1]);
        return true;
    }
    const struct correlation_scope scope = {w->product, w->channel,
                                            conf_int(req_conf(r), CONF_CORRELATION_DAYS)};
    if (!correlation_channel(a, index, ctx, &scope, reference, err))
        return false;
    *group = correlation_signature(a, *reference, w->signature);
    return true;
}

/* The date is that of the making, as files of the night have theirs: a page says how old it is. */
static bool find_correlations(struct req *r, const struct correlations_wanted *w, json_t **ret,
                              struct err *err)
{
    struct index_reader *index;
    struct search_context ctx;
    struct search_params group, reference;
    struct correlation_base *base = NULL;
    const struct app_search how = {.as_public = !w->group};
    if (!app_search_begin(r, how, &index, &ctx, err))
        return false;
    if (!w->group)
        ctx.products = NULL; /* a product that nobody knows has no data, which is no mistake */
    bool ok = find_sets(r, w, index, &ctx, &group, &reference, err) &&
              correlation_base_new(index, &ctx, reference, CORRELATION_SAMPLE,
                                   conf_text(req_conf(r), CONF_CORRELATION_PHRASES), &base, err) &&
              correlation_group(base, group, CORRELATION_SAMPLE, ret, err) &&
              correlation_names(req_db(r), *ret, err);
    correlation_base_free(base);
    if (!ok)
        return false;
    char date[TIME_TEXT_MAX];
    time_iso(req_now_us(r), false, date);
    date[strlen("2026-01-05")] = '\0';
    jset_cstr(*ret, "date", date);
    return true;
}

/* Whether there is anything of this product, on whatever channel. */
static bool has_crashes(struct req *r, struct str product)
{
    struct query q = query_new(req_arena(r));
    json_auto_t *answer = NULL;
    query_add(&q, "product", str_of(arena_printf(req_arena(r), "=" STR_FMT, STR_ARG(product))));
    query_addf(&q, "date", ">=-%lldd", (long long)conf_int(req_conf(r), CONF_CORRELATION_DAYS));
    query_addc(&q, "_results_number", "0");
    query_addc(&q, "_facets_size", "0");
    return app_search(r, &q, (struct app_search){.as_public = true}, &answer, NULL, ERR_IGNORED) &&
           jget_int_or(answer, "total", 0) > 0;
}

/* The words that the page has always had. */
static const char *message_of(struct req *r, const struct correlations_wanted *w,
                              const json_t *document)
{
    struct arena *a = req_arena(r);
    if (json_array_size(jget_arr(document, "results")) > 0)
        return NULL;
    if (w->group)
        return "No correlations found between these two searches.";
    if (jget_int_or(document, "total_reference", 0) > 0)
        return arena_printf(a,
                            "No correlations found for the signature \"" STR_FMT
                            "\" on the \"" STR_FMT "\" channel, for the \"" STR_FMT "\" product.",
                            STR_ARG(w->signature), STR_ARG(w->channel), STR_ARG(w->product));
    if (!has_crashes(r, w->product))
        return arena_printf(a, "No correlation data was generated for the \"" STR_FMT "\" product.",
                            STR_ARG(w->product));
    return arena_printf(a,
                        "No correlation data was generated for the \"" STR_FMT
                        "\" channel and the \"" STR_FMT "\" product.",
                        STR_ARG(w->channel), STR_ARG(w->product));
}

/* A file that is damaged is no reason to show nothing: the index is asked. */
static bool load_file(struct req *r, const struct correlations_wanted *w, json_t **ret)
{
    json_auto_t *all = NULL;
    char key[128];
    const char *var = conf_text(req_conf(r), CONF_DATIL_VAR);
    snprintf(key, sizeof key, STR_FMT, STR_ARG(w->channel));
    if (w->group || !correlation_load(var, w->product, w->channel, w->signature, ret, ERR_IGNORED))
        return false;
    if (correlation_totals(var, w->product, &all, ERR_IGNORED))
        jset_int(*ret, "total_reference", jget_int_or(all, key, 0));
    return true;
}

/* What was kept may say something about crashes that a purge has removed since. */
static void forget_purged(struct req *r)
{
    struct webapp *app = app_of(r);
    DB_ROWS rows = {0};
    if (!app->correlations || !DB_RUN(req_db(r), &q_purge_last, &rows, ERR_IGNORED))
        return;
    const char *last = db_col(&rows, 0, Q_PURGE_LAST_COL_LAST_PURGE);
    if (strncmp(app->last_purge, last, sizeof app->last_purge - 1) == 0)
        return;
    snprintf(app->last_purge, sizeof app->last_purge, "%s", last);
    correlations_kept_free(app->correlations);
    app->correlations = NULL;
}

/* Only what took work is kept; a file of the night is there already. */
bool correlations_find(struct req *r, const struct correlations_wanted *w, json_t **ret,
                       const char **ret_message, struct err *err)
{
    const char *key = key_of(r, w);
    *ret = NULL;
    forget_purged(r);
    if (!load_file(r, w, ret)) {
        *ret = correlations_kept(app_of(r)->correlations, key);
        if (!*ret) {
            if (!find_correlations(r, w, ret, err))
                return false;
            correlations_keep(&app_of(r)->correlations, key, *ret);
        }
    }
    *ret_message = message_of(r, w, *ret);
    return true;
}
