/*
 * Threads for the length of one piece of a search and not a pool of them: making and joining one
 * takes 30 to 60 us, and who asks for more than one lane has milliseconds of work for it.  A pool
 * would have to survive forks and be told to end.
 *
 * Signals are for the thread that the program knows; the helpers block all of them.
 */
#include "lib/search/columns/lanes.h"

#include <signal.h>

#include "lib/base/util.h"

struct lane {
    lane_task *task;
    void *arg;
    size_t number;
    pthread_t thread;
    bool is_running;
};

static void *run_lane(void *arg)
{
    const struct lane *l = arg;
    l->task(l->arg, l->number);
    return NULL;
}

/* The mask is inherited, so it is set before and put back after. */
static void start_helpers(struct lane *lanes, size_t n)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (size_t i = 1; i < n; i++)
        lanes[i].is_running = pthread_create(&lanes[i].thread, NULL, run_lane, &lanes[i]) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void lanes_do(size_t n, lane_task *task, void *arg)
{
    struct lane lanes[LANES_MAX];
    n = MIN(n, (size_t)LANES_MAX);
    for (size_t i = 0; i < n; i++)
        lanes[i] = (struct lane){.task = task, .arg = arg, .number = i};
    if (n > 1)
        start_helpers(lanes, n);
    task(arg, 0);
    for (size_t i = 1; i < n; i++)
        if (lanes[i].is_running)
            pthread_join(lanes[i].thread, NULL);
}

void lane_work_init(struct lane_work *p, size_t n)
{
    *p = (struct lane_work){.n = n, .lanes = LANES_MAX};
    pthread_mutex_init(&p->lock, NULL);
}

void lane_work_release(struct lane_work *p)
{
    pthread_mutex_destroy(&p->lock);
}

void lane_work_allow(struct lane_work *p, size_t lanes)
{
    pthread_mutex_lock(&p->lock);
    p->lanes = MAX(lanes, (size_t)1);
    pthread_mutex_unlock(&p->lock);
}

bool lane_work_take(struct lane_work *p, size_t lane, size_t *ret)
{
    pthread_mutex_lock(&p->lock);
    bool found = p->next < p->n && lane < p->lanes;
    *ret = p->next;
    p->next += found;
    pthread_mutex_unlock(&p->lock);
    return found;
}
