#ifndef PROCESSOR_WORKER_H
#define PROCESSOR_WORKER_H

#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/metrics.h"
#include "lib/crash/field.h"

/*
 * worker - one process that takes crashes from the queue until it is told to stop; and the
 * processes that keep the index in step with the ledger (docs/queue.md).
 *
 * Signals    TERM: the crash in hand is finished first.  HUP: the lists are loaded again between
 *            two crashes; a list that does not load leaves the old one in use.
 * Database   A lost database is waited for; what was processed meanwhile is kept and stored.
 */
struct processor { /* what main has made, for the processes below: borrowed */
    const struct conf *conf;
    const struct field_table *fields;
    struct metrics *metrics;
};

/* `run` of a struct proc_group; the argument is a struct processor. */
int worker_run(void *processor, int index);

/* The index of the collection `index`: see index_keeper.c.  Neither ever ends because of it. */
int index_keeper_run(void *processor, int index);
int index_scrub_run(void *processor, int index);
/* The same for pings: ping_worker.c. */
int ping_worker_run(void *processor, int index);
/* Gauges of the queues: queue_watch.c. */
int queue_watch_run(void *processor, int index);
/* Before the first worker starts. */
void index_keeper_prepare(const struct processor *p);

#endif
