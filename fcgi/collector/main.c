/*
 * The collector's program: FastCGI workers that take reports, and one mover that carries them to
 * the store.  What the parent makes before it forks (metrics, refused products, rules) all
 * children share.
 */
#include <stdio.h>
#include <string.h>

#include "fcgi/collector/collector.h"
#include "fcgi/collector/refused.h"
#include "fcgi/collector/throttle.h"
#include "lib/base/err.h"
#include "lib/base/metrics.h"
#include "lib/base/proc.h"
#include "lib/web/web.h"

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--throttle") == 0)
        return throttle_dry_run(argc - 2, argv + 2);
    struct shared shared = {.metrics = metrics_new()};
    struct err err = {0};
    if (!refused_new(&shared.refused, &err)) {
        fprintf(stderr, "datil-collector: %s\n", err.msg);
        return 1;
    }
    const struct proc_group groups[] = {
        {.name = "mover", .count = 1, .run = mover_run, .arg = &shared},
    };
    const struct web_program program = {
        .name = "datil-collector",
        .workers_key = CONF_COLLECTOR_WORKERS,
        .routes = collector_routes,
        .route_count = collector_route_count,
        .prepare = collector_prepare,
        .reprepare = collector_reprepare,
        .start = collector_start,
        .stop = collector_stop,
        .reload = collector_reload,
        .uses_db = true, /* only to say in the heartbeat whether it is there */
        .health = &collector_health,
        .metrics = shared.metrics,
        .metrics_program = IN_COLLECTOR,
        .busy_metric = METRIC_INFLIGHT,
        .extra_groups = groups,
        .extra_group_count = 1,
        .arg = &shared,
        .error_body = collector_error,
    };
    return web_main(&program, argc, argv);
}
