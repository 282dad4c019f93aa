/*
 * What a worker holds between pings, whose pings are taken, and what the program says of itself.
 */
#include "fcgi/pings/receiver.h"

#include <errno.h>
#include <stdio.h>

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
#include "lib/ping/journal.h"
#include "lib/web/health.h"
#include "lib/web/web.h"

/* How old the look at the product files may be; an unknown product is looked for at once. */
enum { LOOK_INTERVAL_MS = 1000 };

bool receiver_start(struct web_app *web, void **ret_app, struct err *err)
{
    FREE_LATER struct receiver *r = xcalloc(1, sizeof *r);
    const struct ping_shared *shared = web_arg(web);
    r->conf = web_conf(web);
    r->metrics = shared->metrics;
    r->spool = spool_of_conf(r->conf);
    spool_path_beside(&r->spool, "pings", r->journal_dir);
    if (!journal_open(&r->journal, r->journal_dir, r->spool.no_fsync, shared->journal, err) ||
        !products_load(conf_text(r->conf, CONF_DATIL_VAR), &r->products, err))
        return false;
    r->looked_ms = mono_ms();
    *ret_app = TAKE(r);
    return true;
}

void receiver_stop(void *app)
{
    struct receiver *r = app;
    journal_close(&r->journal);
    products_release(&r->products);
    free(r);
}

/* PING_PRODUCTS, or all. */
static bool is_taken(const struct receiver *r, const char *name)
{
    struct str rest = str_of(conf_text(r->conf, CONF_PING_PRODUCTS)), one;
    bool is_empty = str_trim(rest).n == 0;
    while (!is_empty && str_split(&rest, ',', &one))
        if (str_eq(str_trim(one), str_of(name)))
            return true;
    return is_empty;
}

static const struct product *find(const struct receiver *r, struct str name, bool is_app_id)
{
    if (is_app_id)
        return products_find_app(&r->products, name);
    const struct product *p = products_find(&r->products, name);
    return p ? p : products_find_alias(&r->products, name);
}

/* An administrator may just have added it, and a refused ping does not come again. */
const struct product *receiver_product(struct receiver *r, struct str name, bool is_app_id)
{
    struct err err = {0};
    int64_t now = mono_ms();
    const struct product *p = find(r, name, is_app_id);
    if (!p || now - r->looked_ms >= LOOK_INTERVAL_MS) {
        r->looked_ms = now;
        if (!products_refresh(&r->products, &err))
            log_event(LOG_ERROR, "settings_bad", "the old products stay in use", LOG_E(&err));
        p = find(r, name, is_app_id);
    }
    return p && p->is_enabled && is_taken(r, p->name) ? p : NULL;
}

static bool check_journal(struct req *req, struct err *err)
{
    const struct receiver *r = req_app(req);
    return spool_has_room(&r->spool, err) &&
           (fs_is_writable_dir(r->journal_dir) ||
            err_errno(err, errno, "writing to %s", r->journal_dir));
}

static const struct health_check health_checks[] = {
    {"journal", check_journal},
    {"database", health_database},
};

/* Pings are taken while the database is away, though this says 503 then. */
static bool answer_health(struct req *req, const struct health_verdict *v, size_t n,
                          struct err *err)
{
    json_auto_t *body = json_pack("{s:[]}", "errors");
    json_t *errors = json_object_get(body, "errors"); /* borrowed */
    for (size_t i = 0; i < n; i++)
        if (!v[i].holds)
            json_array_append_new(errors, json_pack("{s:s}", "name", v[i].check->name));
    return resp_json(req, json_array_size(errors) ? 503 : 200, body, err);
}

static void measure(struct req *req, enum health_question question)
{
    const struct receiver *r = req_app(req);
    if (question == HEALTH_METRICS)
        metric_set(r->metrics, METRIC_PING_JOURNAL_BYTES, journal_bytes(&r->journal));
}

const struct health receiver_health = {
    .checks = health_checks,
    .check_count = ARRAY_LEN(health_checks),
    .answer = answer_health,
    .alive_type = "application/json; charset=utf-8",
    .alive = "",
    .version_type = "application/json; charset=utf-8",
    .asked = measure,
};

bool receiver_error(struct req *req, int status, const struct err *err)
{
    (void)err;
    json_auto_t *body = json_pack("{s:s}", "error", web_status_text(status));
    return resp_json(req, status, body, ERR_IGNORED);
}
