#ifndef COLLECTOR_COLLECTOR_H
#define COLLECTOR_COLLECTOR_H

#include "fcgi/collector/quota.h"
#include "fcgi/collector/recent.h"
#include "fcgi/collector/refused.h"
#include "fcgi/collector/throttle.h"
#include "lib/base/metrics.h"
#include "lib/spool/spool.h"
#include "lib/web/web.h"

/*
 * collector - what one worker keeps between requests: configuration, rules and products (read
 * again when they change), counters.  No report survives its request outside the spool.
 */
struct collector {
    const struct conf *conf;
    const struct field_table *fields;
    struct spool spool;
    struct throttle_rules rules;
    struct products products;
    int64_t looked_ms;                  /* when products were looked at last, monotonic */
    struct err rules_err, products_err; /* why the old ones are still in use */
    struct metrics *metrics;
    struct quota_table *quotas;
    struct recent recent;
    struct refused_table *refused;
};

/* Made before the workers are forked: web_arg().  Rules and products are those that were good last:
 * a worker that is started again while a file is broken goes on with them. */
struct shared {
    struct metrics *metrics;
    struct quota_table *quotas;
    struct refused_table *refused;
    struct throttle_rules rules;
    struct products products;
};

/* In the parent.  Without spool, or with bad rules or products, the program does not start. */
bool collector_prepare(const struct conf *conf, void *arg, struct err *err);
void collector_reprepare(const struct conf *conf, void *arg);

bool collector_start(struct web_app *web, void **ret_app, struct err *err);
void collector_stop(void *app);
void collector_reload(void *app); /* rules */
/* The product files: looked at once a second, and before a report of an unknown product is
 * refused. */
void collector_refresh(struct collector *c, struct str product);

/* Whether an accepted report is in the spool (and synced there) or in the store.  False with an
 * error: nobody can say now. */
bool collector_holds(struct collector *c, const char *crash_id, bool *ret, struct err *err);

/* How much is in the spool now. */
void collector_measure_spool(const struct spool *spool, struct metrics *m);

/* Handlers. */
bool submit_post(struct req *req, struct err *err);
bool token_submit_post(struct req *req, struct err *err);
bool sentry_post(struct req *req, struct err *err);
extern const struct health collector_health;
bool broken_get(struct req *req, struct err *err);
bool collector_error(struct req *req, int status, const struct err *err);

/* What they read (param_spec.h). */
extern const struct param_spec *const submit_params[], *const sentry_params[];

/* The mover: arg is struct shared *. */
int mover_run(void *arg, int index);

extern const struct route collector_routes[];
extern const size_t collector_route_count;

#endif
