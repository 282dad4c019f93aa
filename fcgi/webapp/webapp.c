/*
 * What a worker of the web application keeps between requests, and the one way to search.
 *
 * A worker opens the store and reads the products before its first request, for without them no
 * page is any good.  The index and the signature lists are opened when somebody needs them: pages
 * that only read documents go on while the index is away.  Everything here belongs to one process
 * that serves one request at a time; so nothing is locked, and each worker has its own copies.
 */
#include "fcgi/webapp/webapp.h"

#include <assert.h>
#include <stdio.h>

#include "fcgi/webapp/correlations_kept.h"
#include "fcgi/webapp/version_documents.h"
#include "fcgi/webapp/versions_kept.h"
#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/proc.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/search/search.h"
#include "lib/signature/signature.h"

/*
 * For links that leave the installation: in bugs, and in answers of the API.  Without the key it is
 * the address that the server listens on, which is right for a trial on one machine.
 */
static void set_base_url(struct webapp *app, const struct conf *conf)
{
    const char *set = conf_text(conf, CONF_DATIL_BASE_URL);
    char url[512];
    if (*set)
        snprintf(url, sizeof url, "%s", set);
    else
        snprintf(url, sizeof url, "http://%s:%lld", conf_text(conf, CONF_DATIL_BIND),
                 (long long)conf_int(conf, CONF_DATIL_PORT));
    size_t n = strlen(url);
    if (n > 0 && url[n - 1] == '/')
        url[n - 1] = '\0';
    app->base_url = xstrdup(url);
}

/* app_stop takes what was made so far, since the rest of the structure is zero. */
bool app_start(struct web_app *web, void **ret_app, struct err *err)
{
    const struct conf *conf = web_conf(web);
    struct webapp *app = xcalloc(1, sizeof *app);
    const struct store_config store = store_config_of(conf);
    app->fields = web_fields(web);
    app->index_dir = xstrdup(conf_text(conf, CONF_INDEX_DIR));
    set_base_url(app, conf);
    version_documents_init(&app->version_documents, conf_text(conf, CONF_DATIL_VAR));
    if (!store_open(&store, &app->store, err) ||
        !products_load(conf_text(conf, CONF_DATIL_VAR), &app->products, err)) {
        app_stop(app);
        return false;
    }
    *ret_app = app;
    return true;
}

void app_stop(void *arg)
{
    struct webapp *app = arg;
    if (app->store)
        store_close(app->store);
    if (app->index)
        index_reader_close(app->index);
    products_release(&app->products);
    siglists_free(app->siglists);
    versions_kept_free(app->versions);
    version_documents_release(&app->version_documents);
    correlations_kept_free(app->correlations);
    free(app->base_url);
    free(app->index_dir);
    free(app);
}

/*
 * HUP.  Products that cannot be read now stay those of before: a slip in a file must not take pages
 * away.  Versions and notices are asked for again when a page wants them.
 */
void app_reload(void *arg)
{
    struct webapp *app = arg;
    struct err err = {0};
    versions_kept_free(app->versions);
    app->versions = NULL;
    if (!products_refresh(&app->products, &err))
        log_event(LOG_WARN, "products_bad", "the product files cannot be read", LOG_E(&err));
}

struct webapp *app_of(struct req *r)
{
    return req_app(r);
}

const struct field_table *app_fields(struct req *r)
{
    return app_of(r)->fields;
}

/*
 * Not opened at the start, and tried again with every request until it works: an index that is
 * still to be made, by the keeper for instance, appears without a restart.
 */
bool app_index(struct webapp *app, struct index_reader **ret, struct err *err)
{
    if (!app->index && !index_reader_open(app->index_dir, app->fields, &app->index, err))
        return err_wrap(err, "opening the crash index");
    *ret = app->index;
    return true;
}

bool app_siglists(struct webapp *app, const struct siglists **ret, struct err *err)
{
    if (!app->siglists && !siglists_load(NULL, &app->siglists, err))
        return err_wrap(err, "loading the signature lists");
    *ret = app->siglists;
    return true;
}

/*
 * Products change by hand, so a look at the directory for each request is enough to have them live.
 * One that cannot be read now leaves those of before.
 */
const struct products *app_products(struct req *r)
{
    struct webapp *app = app_of(r);
    struct err err = {0};
    if (!products_refresh(&app->products, &err))
        log_event(LOG_WARN, "products_bad", "the product files cannot be read", LOG_E(&err));
    return &app->products;
}

bool app_product(struct req *r, struct str name, const struct product **ret, struct err *err)
{
    const struct products *all = app_products(r);
    if (name.n == 0 && all->n > 0) {
        *ret = &all->v[0];
        return true;
    }
    const struct product *found = products_find(all, name);
    if (!found)
        return err_set(err, ERR_NOT_FOUND, "There is no product of that name");
    *ret = found;
    return true;
}

/* The one place where a permission becomes what the reducer and the search understand. */
enum perm app_reader(struct req *r)
{
    return req_may(r, "view_pii") ? PERM_PROTECTED : PERM_PUBLIC;
}

/*
 * A health check that takes longer has failed: those who ask wait a few seconds only.  The long
 * limit is for people with the permission run_long_queries.
 */
enum { LONG_SEARCH_S = 120, CHECK_SEARCH_S = 5 };

/*
 * In mono_ms, from the arrival of the request: what has passed before a search began counts, and so
 * a page with three searches has no more time than one.
 */
static int64_t deadline(struct req *r, struct app_search how)
{
    int64_t seconds = conf_int(req_conf(r), CONF_SEARCH_TIMEOUT_S);
    if (how.is_check)
        seconds = MIN(seconds, (int64_t)CHECK_SEARCH_S);
    else if (how.is_extract)
        seconds = conf_int(req_conf(r), CONF_SEARCH_EXTRACT_TIMEOUT_S);
    else if (req_may(r, "run_long_queries"))
        seconds = MAX(seconds, (int64_t)LONG_SEARCH_S);
    return req_started_ms(r) + seconds * 1000;
}

static bool is_abandoned(void *asker)
{
    return req_is_abandoned(asker);
}

/* Asked again while a search runs, so that one of many rows makes room for those that come. */
static size_t search_threads(void *asker)
{
    struct req *r = asker;
    int64_t threads = conf_int(req_conf(r), CONF_SEARCH_THREADS);
    return req_share(r, threads > 0 ? (size_t)threads : proc_cores());
}

static const char *const *product_names(struct req *r)
{
    const struct products *all = app_products(r);
    const char **names = arena_array(req_arena(r), all->n + 1, sizeof *names);
    for (size_t i = 0; i < all->n; i++)
        names[i] = arena_strdup(req_arena(r), all->v[i].name);
    return names;
}

/*
 * Every search takes a turn, so that a few long ones cannot occupy all workers; those that a page
 * can do without do not wait for one, and a health check must not, for it has to answer while
 * everything is busy.
 */
bool app_search_begin(struct req *r, struct app_search how, struct index_reader **ret_index,
                      struct search_context *ret, struct err *err)
{
    *ret = (struct search_context){
        .now_us = req_now_us(r),
        .reader = how.as_public ? PERM_PUBLIC : app_reader(r),
        .is_unredacted = how.is_unredacted,
        .is_html = how.is_html,
        .deadline_ms = deadline(r, how),
        .max_buckets = (size_t)conf_int(req_conf(r), CONF_SEARCH_MAX_BUCKETS),
        .max_bytes = (size_t)conf_int(req_conf(r), CONF_SEARCH_MAX_BYTES),
        .is_abandoned = is_abandoned,
        .asker = r,
        .lanes_now = search_threads,
        .products = product_names(r),
    };
    /* Whatever page searches, strangers can open it again and again: see routes.c. */
    assert(req_has_rate_limit(r) || how.is_extra || how.is_check);
    return (how.is_check || req_take_turn(r, !how.is_extra, err)) &&
           app_index(app_of(r), ret_index, err);
}

bool app_search(struct req *r, const struct query *q, struct app_search how, json_t **ret,
                const char **ret_form_param, struct err *err)
{
    struct index_reader *index = NULL;
    const char *form_param = NULL;
    struct search_context ctx;
    if (!app_search_begin(r, how, &index, &ctx, err))
        return false;
    if (search_answer(req_arena(r), index, &ctx, query_params(q), ret, &form_param, err))
        return true;
    if (ret_form_param)
        *ret_form_param = form_param;
    return false;
}

/* The header is one of those that scripts of other sites may read, as they may the answer. */
struct str app_ignored(struct req *r, const struct query *q)
{
    const struct search_context ctx = {.now_us = req_now_us(r), .reader = app_reader(r)};
    struct arena *a = req_arena(r);
    struct strs names = search_ignored(a, app_fields(r), &ctx, query_params(q));
    const char *text = "";
    for (size_t i = 0; i < names.n; i++)
        text = arena_printf(a, "%s%s" STR_FMT, text, i ? ", " : "", STR_ARG(names.v[i]));
    if (names.n > 0) {
        resp_header(r, "X-Datil-Ignored", str_of(text));
        resp_header(r, "Access-Control-Expose-Headers", STR("X-Datil-Ignored"));
    }
    return str_of(text);
}

/*
 * An answer of a few MB can be a page of hundreds: every value is a link, and every link repeats
 * the whole query.  The text names what makes the page smaller.
 */
bool app_goes_on(struct req *r, struct err *err)
{
    enum { PAGE_MIB = 64 }; /* above every page that a person reads, below what a worker may take */
    if (req_arena(r)->used_bytes > (size_t)PAGE_MIB << 20)
        return err_set(err, ERR_INVALID,
                       "This page would take more than %d MiB. Lower _facets_size, ask for fewer "
                       "facets or columns, or take the answer from /api/SuperSearch/.",
                       PAGE_MIB);
    if (mono_ms() >= deadline(r, (struct app_search){0}))
        return err_set(err, ERR_INVALID,
                       "Search query timed out. Simplify the search pattern and try again.");
    return !req_is_abandoned(r) || err_set(err, ERR_ABANDONED, "nobody waits for this page");
}

const json_t *app_facet(const json_t *answer, const char *name)
{
    return jget_arr(jget_obj(answer, "facets"), name);
}
