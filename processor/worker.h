#ifndef PROCESSOR_WORKER_H
#define PROCESSOR_WORKER_H

#include "base/conf.h"
#include "base/err.h"

/*
 * worker - one process that takes crashes from the queue until it is told to stop; and the
 * process that keeps the index in step with the ledger (docs/queue.md).
 *
 * Signals    TERM: the crash in hand is finished first.  HUP: the lists are loaded again between
 *            two crashes; a list that does not load leaves the old one in use.
 * Database   A lost database is waited for; what was processed meanwhile is kept and stored.
 */
int worker_run(void *conf, int index);
int index_keeper_run(void *conf, int index);

/* Before the first worker starts: index appends that a crash of the machine may have taken. */
bool worker_replay_index(const struct conf *conf, struct err *err);

#endif
