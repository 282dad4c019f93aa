/*
 * The program of crash pings: FastCGI workers that take them, and one carrier that brings them into
 * the database.
 */
#include <stdio.h>

#include "fcgi/pings/receiver.h"
#include "lib/base/err.h"
#include "lib/base/metrics.h"
#include "lib/base/proc.h"
#include "lib/ping/journal.h"
#include "lib/web/web.h"

int main(int argc, char **argv)
{
    struct ping_shared shared = {.metrics = metrics_new()};
    struct err err = {0};
    if (!journal_shared_new(&shared.journal, &err)) {
        fprintf(stderr, "datil-pings: %s\n", err.msg);
        return 1;
    }
    const struct proc_group groups[] = {
        {.name = "carrier", .count = 1, .run = carrier_run, .arg = &shared},
    };
    const struct web_program program = {
        .name = "datil-pings",
        .workers_key = CONF_PING_RECEIVERS,
        .routes = receiver_routes,
        .route_count = receiver_route_count,
        .start = receiver_start,
        .stop = receiver_stop,
        .uses_db = true, /* only to say in the heartbeat whether it is there */
        .health = &receiver_health,
        .metrics = shared.metrics,
        .metrics_program = IN_PINGS,
        .busy_metric = METRIC_PING_INFLIGHT,
        .extra_groups = groups,
        .extra_group_count = 1,
        .arg = &shared,
        .error_body = receiver_error,
    };
    return web_main(&program, argc, argv);
}
