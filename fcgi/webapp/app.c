#include "fcgi/webapp/app.h"

#include <assert.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>

#include "fcgi/webapp/live_versions.h"
#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/signature/signature.h"
#include "queries.h"

enum { ASSET_MAX = 4 << 20 }; /* the largest file of static/ has 50 KB */

static int by_path(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

/*
 * Browsers keep style sheets and scripts for an hour; their addresses carry a hash of everything
 * below static/, so that a new release never runs against an old script.  In the order of the
 * names: two servers with the same files give the same address.
 */
static void set_asset(struct app *app)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s/static", fs_share_dir());
    uint64_t h = 0;
    FTS *fts = fts_open((char *[]){folder, NULL}, FTS_PHYSICAL | FTS_NOCHDIR, by_path);
    for (FTSENT *e = NULL; fts && (e = fts_read(fts));) {
        FREE_LATER char *bytes = NULL;
        size_t n = 0;
        if (e->fts_info == FTS_F && fs_read(e->fts_path, ASSET_MAX, &bytes, &n, ERR_IGNORED))
            h = hash64_seed(bytes, n, h);
    }
    if (fts)
        fts_close(fts);
    snprintf(app->asset, sizeof app->asset, "%s-%08x", DATIL_VERSION, (unsigned)(h & 0xFFFFFFFF));
}

static void set_base_url(struct app *app, const struct conf *conf)
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

bool app_start(struct web_app *web, void **ret_app, struct err *err)
{
    const struct conf *conf = web_conf(web);
    struct app *app = xcalloc(1, sizeof *app);
    const struct store_config store = store_config_of(conf);
    app->fields = web_fields(web);
    app->index_dir = xstrdup(conf_text(conf, CONF_INDEX_DIR));
    set_asset(app);
    set_base_url(app, conf);
    if (!store_open(&store, &app->store, err) ||
        !products_load(conf_text(conf, CONF_DATIL_VAR), &app->products, err)) {
        app_stop(app);
        return false;
    }
    *ret_app = app;
    return true;
}

static void drop_notices(struct app *app)
{
    for (size_t i = 0; i < app->notice_count; i++) {
        free(app->notices[i].severity);
        free(app->notices[i].message);
    }
    free(app->notices);
    app->notices = NULL;
    app->notice_count = 0;
}

void app_stop(void *arg)
{
    struct app *app = arg;
    if (app->store)
        store_close(app->store);
    if (app->index)
        index_reader_close(app->index);
    products_release(&app->products);
    siglists_free(app->siglists);
    live_versions_free(app->versions);
    drop_notices(app);
    free(app->base_url);
    free(app->index_dir);
    free(app);
}

void app_reload(void *arg)
{
    struct app *app = arg;
    struct err err = {0};
    live_versions_free(app->versions);
    app->versions = NULL;
    app->notices_until_ms = 0;
    if (!products_refresh(&app->products, &err))
        log_event(LOG_WARN, "products_bad", "the product files cannot be read", LOG_E(&err));
}

struct app *app_of(struct req *r)
{
    return req_app(r);
}

const struct field_table *app_fields(struct req *r)
{
    return app_of(r)->fields;
}

bool app_index(struct app *app, struct index_reader **ret, struct err *err)
{
    if (!app->index && !index_reader_open(app->index_dir, app->fields, &app->index, err))
        return err_wrap(err, "opening the crash index");
    *ret = app->index;
    return true;
}

bool app_siglists(struct app *app, const struct siglists **ret, struct err *err)
{
    if (!app->siglists && !siglists_load(NULL, &app->siglists, err))
        return err_wrap(err, "loading the signature lists");
    *ret = app->siglists;
    return true;
}

const struct products *app_products(struct req *r)
{
    struct app *app = app_of(r);
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

enum perm app_reader(struct req *r)
{
    return req_may(r, "view_pii") ? PERM_PROTECTED : PERM_PUBLIC;
}

/* A health check that takes longer has failed: those who ask wait a few seconds only. */
enum { LONG_SEARCH_S = 120, CHECK_SEARCH_S = 5 };

static int64_t deadline(struct req *r, bool is_check)
{
    int64_t seconds = conf_int(req_conf(r), CONF_SEARCH_TIMEOUT_S);
    if (is_check)
        seconds = MIN(seconds, (int64_t)CHECK_SEARCH_S);
    else if (req_may(r, "run_long_queries"))
        seconds = MAX(seconds, (int64_t)LONG_SEARCH_S);
    return req_started_ms(r) + seconds * 1000;
}

static bool is_abandoned(void *asker)
{
    return req_is_abandoned(asker);
}

static const char *const *product_names(struct req *r)
{
    const struct products *all = app_products(r);
    const char **names = arena_array(req_arena(r), all->n + 1, sizeof *names);
    for (size_t i = 0; i < all->n; i++)
        names[i] = arena_strdup(req_arena(r), all->v[i].name);
    return names;
}

bool app_search(struct req *r, const struct query *q, struct app_search how, json_t **ret,
                const char **ret_form_param, struct err *err)
{
    struct index_reader *index = NULL;
    const char *form_param = NULL;
    const struct search_context ctx = {
        .now_us = req_now_us(r),
        .reader = how.as_public ? PERM_PUBLIC : app_reader(r),
        .is_unredacted = how.is_unredacted,
        .is_html = how.is_html,
        .deadline_ms = deadline(r, how.is_check),
        .max_buckets = (size_t)conf_int(req_conf(r), CONF_SEARCH_MAX_BUCKETS),
        .max_bytes = (size_t)conf_int(req_conf(r), CONF_SEARCH_MAX_BYTES),
        .is_abandoned = is_abandoned,
        .asker = r,
        .products = product_names(r),
    };
    /* Whatever page searches, strangers can open it again and again: see routes.c. */
    assert(req_has_rate_limit(r) || how.is_extra || how.is_check);
    if ((!how.is_check && !req_take_turn(r, !how.is_extra, err)) ||
        !app_index(app_of(r), &index, err))
        return false;
    if (search_answer(req_arena(r), index, &ctx, query_params(q), ret, &form_param, err))
        return true;
    if (ret_form_param)
        *ret_form_param = form_param;
    return false;
}

/*
 * An answer of a few MB can be a page of hundreds: every value is a link, and every link repeats
 * the whole query.
 */
bool app_goes_on(struct req *r, struct err *err)
{
    enum { PAGE_MIB = 64 };
    if (req_arena(r)->used_bytes > (size_t)PAGE_MIB << 20)
        return err_set(err, ERR_INVALID,
                       "This page would take more than %d MiB. Lower _facets_size, ask for fewer "
                       "facets or columns, or take the answer from /api/SuperSearch/.",
                       PAGE_MIB);
    if (mono_ms() >= deadline(r, false))
        return err_set(err, ERR_INVALID,
                       "Search query timed out. Simplify the search pattern and try again.");
    return !req_is_abandoned(r) || err_set(err, ERR_INVALID, "nobody waits for this page");
}

const json_t *app_facet(const json_t *answer, const char *name)
{
    return jget_arr(jget_obj(answer, "facets"), name);
}

struct str app_bug_url(struct req *r, const char *bug_id)
{
    return str_of(
        arena_printf(req_arena(r), "%s%s", conf_text(req_conf(r), CONF_BUG_TRACKER_URL), bug_id));
}

void app_audit(struct req *r, const char *object, const char *object_id, const char *action,
               const char *message)
{
    const struct web_user *user = req_user(r);
    struct err err = {0};
    log_event(LOG_INFO, "audit", action, LOG_S("object", object), LOG_S("object_id", object_id),
              LOG_I("user_id", user->id));
    if (!DB_EXEC(req_db(r), &q_audit_add, &err, user->id ? db_int(req_arena(r), user->id) : NULL,
                 user->email ? user->email : "", object, object_id, action, message))
        log_event(LOG_WARN, "audit_failed", "the audit log cannot be written", LOG_E(&err));
}
