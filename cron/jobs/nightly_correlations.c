/*
 * correlations - for the top signatures of every product and channel: what is special about them.
 *
 * The same analysis that pages make on demand (lib/correlations), done ahead for the signatures
 * that people look at every morning, with more crashes to compare with, and left as files that
 * scripts fetch.  The reference set of a channel is read once for all its signatures.
 *
 * May be killed at any moment: a product's files appear together when the last one is there.
 */
#include "lib/correlations/correlations.h"

#include "cron/job_context.h"
#include "cron/jobs.h"
#include "cron/jobs/job_functions.h"
#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/correlations/correlation_files.h"
#include "lib/json/json.h"
#include "lib/search/index.h"
#include "lib/search/search.h"

/*
 * Ten times what is compared on demand: rare properties of the reference get exact numbers, in 60
 * MB of memory.  A signature's own crashes are sampled as there.
 */
enum { REFERENCE_MAX = 10 * CORRELATION_SAMPLE, TOP_SIGNATURES = 200, ARENA_BYTES = 64 << 20 };

struct nightly {
    struct job_context *x;
    struct index_reader *index;
    struct search_context ctx;
    const char *phrases;
    int64_t days;
    struct correlation_writer *writer; /* of the product at hand */
    json_t *all;                       /* its totals */
    char date[TIME_TEXT_MAX];
};

/* Counts alone, of crashes of the last days. */
static bool ask_index(struct nightly *n, struct arena *a, struct search_params filters,
                      const char *name, const char *field, int size, json_t **ret, struct err *err)
{
    struct search_params p = {.v = arena_array(a, filters.n + 4, sizeof *p.v)};
    for (size_t i = 0; i < filters.n; i++)
        p.v[p.n++] = filters.v[i];
    if (filters.n == 0)
        p.v[p.n++] = (struct search_param){STR("date"), correlation_since(a, &n->ctx, n->days)};
    p.v[p.n++] = (struct search_param){str_of(name), str_of(field)};
    p.v[p.n++] = (struct search_param){STR("_facets_size"), str_of(arena_printf(a, "%d", size))};
    p.v[p.n++] = (struct search_param){STR("_results_number"), STR("0")};
    return search_answer(a, n->index, &n->ctx, p, ret, NULL, err);
}

static bool write_signature(struct nightly *n, struct correlation_base *base,
                            struct search_params filters, struct str channel, const json_t *bucket,
                            struct err *err)
{
    struct arena a;
    json_auto_t *document = NULL;
    struct str signature = jget_strn(bucket, "term");
    arena_init(&a, ARENA_BYTES);
    bool ok = correlation_group(base, correlation_signature(&a, filters, signature),
                                CORRELATION_SAMPLE, &document, err) &&
              correlation_names(n->x->db, document, err) &&
              correlation_write(n->writer, channel, signature, document, err);
    arena_release(&a);
    return ok;
}

/* Rows of signatures that are too rare for an answer end the list: it is ordered by count. */
static bool write_signatures(struct nightly *n, struct arena *a, struct correlation_base *base,
                             struct search_params filters, struct str channel, struct err *err)
{
    json_auto_t *answer = NULL;
    if (!ask_index(n, a, filters, "_facets", "signature", TOP_SIGNATURES, &answer, err))
        return false;
    size_t i, written = 0;
    const json_t *bucket;
    json_array_foreach (jget_arr(jget_obj(answer, "facets"), "signature"), i, bucket) {
        if (jget_int_or(bucket, "count", 0) < CORRELATION_GROUP_MIN)
            break;
        if (!write_signature(n, base, filters, channel, bucket, err))
            return false;
        job_did(n->x, 1);
        written++;
    }
    printf("  " STR_FMT ": %zu signatures against %llu crashes\n", STR_ARG(channel), written,
           (unsigned long long)correlation_base_size(base));
    return true;
}

static bool write_channel(struct nightly *n, struct str product, struct str channel,
                          struct err *err)
{
    struct arena a;
    struct search_params filters;
    struct correlation_base *base = NULL;
    char key[128];
    const struct correlation_scope scope = {product, channel, n->days};
    if (!correlation_name_is_safe(channel) || str_eq(channel, STR("date")))
        return true;
    arena_init(&a, ARENA_BYTES);
    bool ok =
        correlation_channel(&a, n->index, &n->ctx, &scope, &filters, err) &&
        correlation_base_new(n->index, &n->ctx, filters, REFERENCE_MAX, n->phrases, &base, err);
    if (ok && correlation_base_size(base) > 0) {
        snprintf(key, sizeof key, STR_FMT, STR_ARG(channel));
        jset_int(n->all, key, (int64_t)correlation_base_size(base));
        ok = write_signatures(n, &a, base, filters, channel, err);
    }
    correlation_base_free(base);
    arena_release(&a);
    return ok;
}

/* *ret_kept: there was something to write. */
static bool write_product(struct nightly *n, const json_t *bucket, bool *ret_kept, struct err *err)
{
    struct str product = jget_strn(bucket, "term");
    size_t i;
    const json_t *channel;
    bool ok = true;
    *ret_kept = false;
    if (!correlation_name_is_safe(product))
        return true;
    printf(STR_FMT "\n", STR_ARG(product));
    if (!correlation_writer_new(conf_text(n->x->conf, CONF_DATIL_VAR), product, &n->writer, err))
        return false;
    n->all = json_object();
    json_array_foreach (jget_arr(jget_obj(bucket, "facets"), "release_channel"), i, channel) {
        ok = write_channel(n, product, jget_strn(channel, "term"), err);
        if (!ok)
            break;
    }
    *ret_kept = ok && json_object_size(n->all) > 0;
    jset_cstr(n->all, "date", n->date);
    if (*ret_kept)
        ok = correlation_writer_commit(n->writer, n->all, err);
    correlation_writer_free(n->writer);
    json_decref(n->all);
    return ok;
}

static bool write_products(struct nightly *n, struct err *err)
{
    enum { ANY = 1000 }; /* products and channels; an installation has a dozen of each */
    json_auto_t *answer = NULL;
    if (!ask_index(n, n->x->arena, (struct search_params){0}, "_aggs.product", "release_channel",
                   ANY, &answer, err))
        return false;
    const json_t *products = jget_arr(jget_obj(answer, "facets"), "product"), *bucket;
    struct strs kept = {
        .v = arena_array(n->x->arena, json_array_size(products) + 1, sizeof(struct str))};
    size_t i;
    json_array_foreach (products, i, bucket) {
        bool is_kept;
        if (!write_product(n, bucket, &is_kept, err))
            return err_wrap(err, "product %s", jget_str(bucket, "term"));
        if (is_kept)
            kept.v[kept.n++] = jget_strn(bucket, "term");
    }
    return correlation_files_keep(conf_text(n->x->conf, CONF_DATIL_VAR), kept, err);
}

bool job_correlations(struct job_context *x, struct err *err)
{
    struct nightly n = {
        .x = x,
        .days = conf_int(x->conf, CONF_CORRELATION_DAYS),
        .phrases = conf_text(x->conf, CONF_CORRELATION_PHRASES),
        .ctx = {.now_us = x->run_time_us, .reader = PERM_PUBLIC, .max_bytes = (size_t)1 << 30},
    };
    time_iso(x->run_time_us, false, n.date);
    n.date[strlen("2026-01-05")] = '\0';
    if (!index_reader_open(conf_text(x->conf, CONF_INDEX_DIR), x->fields, &n.index, err))
        return false;
    bool ok = write_products(&n, err);
    index_reader_close(n.index);
    return ok;
}
