#ifndef SYMFILE_FETCHERS_H
#define SYMFILE_FETCHERS_H

#include <jansson.h>
#include <stdint.h>

/*
 * fetchers - the processes (datil-symfetch) that fetch and compile symbols beside the one that
 * wants them, one for each module.
 *
 * Who asks waits as long as it likes; the process goes on, and who asks again finds it at work or
 * its result.  It ends at the latest with the process that started it, so nothing outlives a
 * service that is stopped.
 *
 * Ownership  fetchers_free ends those that run.
 * Errors     A process that cannot be started, or dies, is one that has found nothing.
 * Threads    One: the kernel ends a fetcher with the thread that started it.
 */
struct fetchers;

struct fetchers *fetchers_new(void);
void fetchers_free(struct fetchers *f);

enum fetchers_state { FETCHERS_DONE, FETCHERS_PENDING };

/*
 * Waits for the process of this name, which is started with `task` (borrowed) if there is none.
 * DONE: it has ended, whatever came of it.  PENDING: not by deadline_ms (mono_ms; INT64_MAX: as
 * long as it takes), or too many are at work.
 */
enum fetchers_state fetchers_wait(struct fetchers *f, const char *name, const json_t *task,
                                  int64_t deadline_ms);

#endif
