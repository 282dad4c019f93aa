#ifndef PINGS_RECEIVER_H
#define PINGS_RECEIVER_H

#include "lib/base/metrics.h"
#include "lib/crash/product.h"
#include "lib/ping/journal.h"
#include "lib/spool/spool.h"
#include "lib/web/web.h"

/*
 * receiver - takes crash pings (docs/crash-pings.md).
 *
 * Ownership  struct receiver is made once in each worker and lives as long as it.  No ping survives
 *            its request outside of the journal.
 * Trust      Everything that comes is hostile.
 */
struct ping_shared { /* made before the workers are forked: web_arg() */
    struct metrics *metrics;
    struct journal_shared *journal;
};

struct receiver {
    const struct conf *conf;
    struct metrics *metrics;
    struct spool spool; /* for its room */
    char journal_dir[SPOOL_PATH_SIZE];
    struct journal journal;
    struct products products;
    int64_t looked_ms; /* at the product files */
};

extern const struct route receiver_routes[];
extern const size_t receiver_route_count;
extern const struct health receiver_health;

bool receiver_start(struct web_app *web, void **ret_app, struct err *err);
void receiver_stop(void *app);
bool receiver_error(struct req *req, int status, const struct err *err);
/* The product of this name or alias, or of this app id, if its pings are taken. */
const struct product *receiver_product(struct receiver *r, struct str name, bool is_app_id);

web_handler ping_post;        /* any form, by content */
web_handler ping_client_post; /* the addresses of telemetry clients */

/* The process that carries the journal into the database: arg is struct ping_shared *. */
int carrier_run(void *arg, int index);

#endif
