#ifndef SEARCH_COLUMNS_LANES_H
#define SEARCH_COLUMNS_LANES_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * lanes - one search on several cores.
 *
 * A task is work that is cut into pieces which anybody may take (struct lane_work).  lanes_do runs
 * it in the calling thread and in up to n - 1 others, each with a number, and returns when all have
 * returned.  A thread that cannot be had is done without, so a task may not wait for one.
 */
enum { LANES_MAX = 8 };

typedef void lane_task(void *arg, size_t lane);

void lanes_do(size_t n, lane_task *task, void *arg);

/* The pieces 0 … n - 1 of a task, for lanes below a number that may fall while they work. */
struct lane_work {
    pthread_mutex_t lock;
    size_t next, n;
    size_t lanes;
};

void lane_work_init(struct lane_work *p, size_t n);
void lane_work_release(struct lane_work *p);
void lane_work_allow(struct lane_work *p, size_t lanes);
/* False: all have been taken, or this lane is one too many. */
bool lane_work_take(struct lane_work *p, size_t lane, size_t *ret);

#endif
