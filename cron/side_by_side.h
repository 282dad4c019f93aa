#ifndef CRON_SIDE_BY_SIDE_H
#define CRON_SIDE_BY_SIDE_H

#include "cron/scheduler.h"

/*
 * side_by_side - runs due jobs in processes of their own, a few at once, so that one that takes
 * hours or hangs makes no other late.
 *
 * Process    A runner per job: it holds the job's lock in a database session of its own, starts the
 *            job as its child, and writes state and log.  It dies with the scheduler, the job with
 *            the runner.
 * Places     RUNNERS_MAX; jobs with a limit of time from an hour on get LONG_RUNNERS_MAX of them.
 */

/* A look: from now on every job is asked once whether it is due. */
void side_by_side_look(struct scheduler *s);
/* Asks those that have not been asked, as far as there are places.  False: the database is away. */
bool side_by_side_start(struct scheduler *s, struct err *err);
/* Until a runner has ended, at most wait_ms, or to a signal.  *failed counts runs that failed. */
bool side_by_side_wait(struct scheduler *s, int wait_ms, size_t *failed, struct err *err);
bool side_by_side_is_busy(const struct scheduler *s);  /* a runner is at work */
bool side_by_side_has_more(const struct scheduler *s); /* a due job waits for a place */
/* One look at every job, and until all that was due is done.  *failed counts runs that failed. */
bool side_by_side_once(struct scheduler *s, size_t *failed, struct err *err);
/* Ends what runs; jobs that are stopped so have failed with "stopped". */
void side_by_side_stop(struct scheduler *s);

#endif
