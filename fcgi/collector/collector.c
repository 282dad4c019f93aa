/*
 * What every collector worker holds between requests (rules, products, the memory of answers), and
 * the addresses beside /submit: health, version, counters.  Rules and products are read again when
 * they change; while a new version is broken, the old one stays in use and the heartbeat says so.
 */
#include "fcgi/collector/collector.h"

#include <stdio.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/crash/product.h"
#include "lib/db/db.h"
#include "lib/ledger/ledger.h"
#include "lib/store/store.h"
#include "lib/web/health.h"

/* How old the look at the product files may be; an unknown product is looked for at once. */
enum { LOOK_INTERVAL_MS = 1000 };

static const char *rules_of(const struct conf *conf)
{
    return conf_text(conf, CONF_BREAKPAD_THROTTLER_RULES);
}

/* What has to be good for the program to start at all: a collector that could not keep its promise,
 * or whose rules nobody meant, must not take reports. */
bool collector_prepare(const struct conf *conf, void *arg, struct err *err)
{
    struct shared *shared = arg;
    const struct spool spool = spool_of_conf(conf);
    return spool_open(&spool, err) && quota_open(&spool, &shared->quotas, err) &&
           throttle_load(rules_of(conf), &shared->rules, err) &&
           products_load(conf_text(conf, CONF_DATIL_VAR), &shared->products, err);
}

/* False: the old ones stay. */
static bool reload_rules(const struct conf *conf, struct throttle_rules *rules, struct err *err)
{
    struct throttle_rules fresh;
    if (!throttle_load(rules_of(conf), &fresh, err))
        return false;
    throttle_release(rules);
    *rules = fresh;
    return true;
}

/*
 * In the parent, so that workers which are forked later begin with what is good now.  Workers say
 * what is wrong with the files.
 */
void collector_reprepare(const struct conf *conf, void *arg)
{
    struct shared *shared = arg;
    reload_rules(conf, &shared->rules, &(struct err){0});
    products_refresh(&shared->products, &(struct err){0});
}

/* The old ones were good, and a mistake in a file must not cost reports meanwhile. */
static void keep_old(struct err *place, const struct err *why)
{
    *place = *why;
    log_event(LOG_ERROR, "settings_bad", "the old rules and products stay in use", LOG_E(why));
}

static void refresh_rules(struct collector *c)
{
    struct err err = {0};
    if (reload_rules(c->conf, &c->rules, &err))
        c->rules_err = (struct err){0};
    else
        keep_old(&c->rules_err, &err);
}

static void refresh_products(struct collector *c)
{
    struct err err = {0};
    if (products_refresh(&c->products, &err))
        c->products_err = (struct err){0};
    else if (c->products_err.code == ERR_NONE)
        keep_old(&c->products_err, &err);
}

bool collector_start(struct web_app *web, void **ret_app, struct err *err)
{
    FREE_LATER struct collector *c = xcalloc(1, sizeof *c);
    const struct shared *shared = web_arg(web);
    c->conf = web_conf(web);
    c->fields = web_fields(web);
    c->spool = spool_of_conf(c->conf);
    c->metrics = shared->metrics;
    c->quotas = shared->quotas;
    c->refused = shared->refused;
    if (!spool_open(&c->spool, err) || !recent_open(&c->spool, &c->recent, err))
        return false;
    c->rules = shared->rules; /* this process's copy of the parent's memory */
    c->products = shared->products;
    refresh_rules(c);
    refresh_products(c);
    c->looked_ms = mono_ms();
    *ret_app = TAKE(c);
    return true;
}

void collector_stop(void *app)
{
    struct collector *c = app;
    throttle_release(&c->rules);
    products_release(&c->products);
    recent_close(&c->recent);
    free(c);
}

/*
 * In the order in which a report moves on, so that it cannot slip past.  A store that has lost its
 * file system shows no report, which says nothing: taken for a no, the report would be accepted a
 * second time.
 */
bool collector_holds(struct collector *c, const char *crash_id, bool *ret, struct err *err)
{
    const struct store_config config = store_config_of(c->conf);
    *ret = false;
    if (!spool_holds(&c->spool, crash_id, ret, err))
        return false;
    if (*ret || strcmp(config.backend, "noop") == 0)
        return true;
    struct store *store;
    if (!store_open(&config, &store, err))
        return false;
    *ret = store_exists(store, crash_id, "raw_crash");
    bool is_known = *ret || store_check(store, err);
    store_close(store);
    return is_known;
}

/* On HUP.  The rules at once; the products with the next report (looked_ms 0: never looked). */
void collector_reload(void *app)
{
    struct collector *c = app;
    refresh_rules(c);
    c->looked_ms = 0;
    if (c->rules_err.code == ERR_NONE)
        log_event(LOG_INFO, "rules_loaded", "throttle rules read again",
                  LOG_I("rules", (int64_t)c->rules.n));
}

/* An unknown product is worth a look at the disk at once: an administrator may just have added it,
 * and a refused report does not come again. */
void collector_refresh(struct collector *c, struct str product)
{
    int64_t now = mono_ms();
    bool is_recent = c->looked_ms && now - c->looked_ms < LOOK_INTERVAL_MS;
    if (is_recent && products_find(&c->products, product))
        return;
    c->looked_ms = now;
    refresh_products(c);
}

static struct collector *app_of(struct req *req)
{
    return req_app(req);
}

/* What the mover needs.  The store is opened for this one question; the mover's is in another
 * process. */
static bool check_store(struct req *req, struct err *err)
{
    const struct conf *conf = app_of(req)->conf;
    const struct store_config config = store_config_of(conf);
    char installation[INSTALLATION_ID_SIZE] = "";
    struct store *store = NULL;
    if (strcmp(config.backend, "noop") == 0)
        return true;
    if (!config.wants_mark && !fs_mkdirs(config.fs_root, FS_DIR_MODE, err))
        return false;
    bool ok =
        store_open(&config, &store, err) &&
        (config.wants_mark ? ledger_store_check(req_db(req), store, installation, err)
                           : store_check(store, err)) &&
        (fs_is_writable_dir(config.fs_root) || err_set(err, ERR_IO, "the store cannot be written"));
    store_close(store);
    return ok;
}

static bool check_spool(struct req *req, struct err *err)
{
    const struct spool *spool = &app_of(req)->spool;
    return spool_open(spool, err) && spool_has_room(spool, err);
}

/* Only where reports are queued there: a collector whose queue is switched off needs none. */
static bool check_database(struct req *req, struct err *err)
{
    bool needs_it = strcmp(conf_text(req_conf(req), CONF_CRASHMOVER_CRASHPUBLISH_CLASS), "pg") == 0;
    return !needs_it || db_connect(req_db(req), err);
}

/* The error that a reload has kept, for as long as the file stays bad. */
static bool pass_on(const struct err *kept, struct err *err)
{
    return kept->code == ERR_NONE || err_set(err, kept->code, "%s", kept->msg);
}

static bool check_rules(struct req *req, struct err *err)
{
    return pass_on(&app_of(req)->rules_err, err);
}

static bool check_products(struct req *req, struct err *err)
{
    return pass_on(&app_of(req)->products_err, err);
}

static const struct health_check health_checks[] = {
    {"spool", check_spool}, {"store", check_store},       {"database", check_database},
    {"rules", check_rules}, {"products", check_products},
};

/* Whoever asks may be a stranger: he gets these words, the log the reason. */
static const char *health_words(const struct health_verdict *v)
{
    if (v->check->holds == check_spool)
        return "not writable, or nearly full";
    if (v->check->holds == check_store)
        return v->why.code == ERR_UNAVAILABLE ? "not this installation's store: not mounted?"
                                              : "cannot be written";
    if (v->check->holds == check_database)
        return "no connection";
    return "cannot be read; the old ones are in use";
}

/* For monitoring.  With the database away it is 503 as well, though reports are taken all the same;
 * a balancer asks lbheartbeat. */
static bool answer_health(struct req *req, const struct health_verdict *v, size_t n,
                          struct err *err)
{
    json_auto_t *body = json_pack("{s:[]}", "errors");
    json_t *errors = json_object_get(body, "errors"); /* borrowed */
    for (size_t i = 0; i < n; i++)
        if (!v[i].holds)
            json_array_append_new(errors, json_pack("{s:s, s:s}", "name", v[i].check->name, "msg",
                                                    health_words(&v[i])));
    return resp_json(req, json_array_size(errors) ? 503 : 200, body, err);
}

/* The mover says it every few seconds; when somebody looks, it is to be what is true now. */
void collector_measure_spool(const struct spool *spool, struct metrics *m)
{
    size_t depth;
    int64_t oldest_s;
    spool_count(spool, now_s(), &depth, &oldest_s);
    metric_set(m, METRIC_SPOOL_DEPTH, depth);
    metric_set(m, METRIC_SPOOL_BYTES, spool_bytes(spool, depth));
    metric_set(m, METRIC_SPOOL_OLDEST, oldest_s);
}

/* The check of the products looks at what the last reading said, so they are read now. */
static void count_question(struct req *req, enum health_question question)
{
    static const enum metric counted[] = {[HEALTH_HEARTBEAT] = METRIC_COLLECTOR_HEARTBEAT,
                                          [HEALTH_ALIVE] = METRIC_COLLECTOR_LBHEARTBEAT,
                                          [HEALTH_VERSION] = METRIC_COLLECTOR_VERSION};
    struct collector *c = app_of(req);
    if (question == HEALTH_METRICS)
        collector_measure_spool(&c->spool, c->metrics);
    else
        metric_add(c->metrics, counted[question], 1);
    if (question == HEALTH_HEARTBEAT)
        refresh_products(c);
}

const struct health collector_health = {
    .checks = health_checks,
    .check_count = ARRAY_LEN(health_checks),
    .answer = answer_health,
    .alive_type = "application/json; charset=utf-8",
    .alive = "",
    .version_type = "application/json; charset=utf-8",
    .asked = count_question,
};

/* For those who want to see that errors reach their monitoring. */
bool broken_get(struct req *req, struct err *err)
{
    metric_add(app_of(req)->metrics, METRIC_COLLECTOR_BROKEN, 1);
    return err_set(err, ERR_INTERNAL, "intentional error, to test error reporting");
}

/* Clients never read these, but they want a length and valid JSON.  /submit gets no word at all:
 * "Discarded=" would tell a client not to try again. */
bool collector_error(struct req *req, int status, const struct err *err)
{
    (void)err;
    if (str_eq(req_path(req), STR("/submit")) && status >= 500)
        return resp_bytes(req, status, "text/plain", STR(""));
    json_auto_t *body = json_pack(
        "{s:s}", "title", arena_printf(req_arena(req), "%d %s", status, web_status_text(status)));
    return resp_json(req, status, body, ERR_IGNORED);
}
