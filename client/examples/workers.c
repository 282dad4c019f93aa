/* Eight worker threads; the one called worker-7 does something wrong. */
#include "client/examples/crashes.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "client/datil_client.h"

/*
 * The bad one is neither the first nor the last, so that a report whose crashing thread is guessed
 * by its place names the wrong one.
 */
enum { WORKERS = 8, BAD_WORKER = 7 };

static const char motto[] = "constant";

struct worker_job {
    int number;
    char *out;
};

__attribute__((noinline)) static void scribble(char *out, int number)
{
    /* The text lies in read-only memory: SIGSEGV / SEGV_ACCERR. */
    *(volatile char *)out = (char)('0' + number);
}

__attribute__((noinline)) static void process_job(const struct worker_job *job)
{
    if (job->number == BAD_WORKER) {
        usleep(20 * 1000); /* until the others wait */
        scribble(job->out, job->number);
    }
    for (;;)
        pause();
}

/*
 * The name of a thread is in the report; with its own signal stack even an overflow in it would be
 * reported.
 */
static void *worker_main(void *arg)
{
    struct worker_job *job = arg;
    char name[16];
    snprintf(name, sizeof name, "worker-%d", job->number);
    pthread_setname_np(pthread_self(), name);
    datil_client_protect_thread();
    process_job(job);
    return NULL;
}

void crash_thread(void)
{
    static struct worker_job jobs[WORKERS];
    pthread_t threads[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        jobs[i] = (struct worker_job){.number = i + 1, .out = (char *)(uintptr_t)motto};
        if (pthread_create(&threads[i], NULL, worker_main, &jobs[i]) != 0)
            return;
    }
    for (int i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
}
