#ifndef BASE_PROC_H
#define BASE_PROC_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * proc - a parent process that keeps N identical children alive.
 *
 * Signals    TERM and INT ask everything to stop: children finish the request or
 *            crash in hand and exit 0, then the parent exits.  HUP is passed on.
 *            In a child the stop signals are blocked except inside proc_wait(),
 *            so that a stop request is never lost and never interrupts work.
 * Restart    A child that dies is started again at once; if it lived less than a
 *            second, after a pause that doubles up to 5 seconds.
 * Stand-in   While no child of a group lasts a second, one more process runs in their place (if
 *            the group has one): a socket that they share is then still served.
 * Hanging    A child that has not said within the group's start limit that it is at work (a file
 *            system that does not answer, a lock) counts as none and is killed.
 * Orphans    A child whose parent dies gets TERM from the kernel.
 */
struct proc_group {
    const char *name;                 /* for logs */
    int count;                        /* children of this kind */
    int (*run)(void *arg, int index); /* the child's life; its result is the exit status */
    void *arg;
    int (*stand_in)(void *arg, int index); /* until TERM; NULL: none */
    void (*hangup)(void *arg); /* in the parent, before HUP is passed on; NULL: nothing to do */
    /*
     * One flag for each child, in shared_map() memory: the child sets is_at_work[index] when its
     * start is over.  NULL: a child is at work from its first moment.
     */
    atomic_bool *is_at_work;
    int start_limit_ms; /* with is_at_work alone */
};

/* Runs the groups until told to stop; returns when every child is gone.  Forks. */
bool proc_supervise(const struct proc_group *groups, size_t group_count, struct err *err);

/* Blocks TERM, INT and HUP and installs the flag handlers; proc_supervise does it for children. */
void proc_block_signals(void);

bool proc_stopping(void);    /* TERM or INT has been seen */
bool proc_take_hangup(void); /* HUP since the last call */

/*
 * ppoll on up to 8 descriptors for reading with the signals open only there.
 * timeout_ms < 0 waits for ever.  Returns a bit mask of ready descriptors, 0 on
 * time-out or signal.
 */
unsigned proc_wait(const int *fds, size_t n, int timeout_ms);

/*
 * Which process is meant: its number and the moment it was started, as "1234-567890" (clock ticks
 * since the boot, field 22 of /proc/PID/stat).  A number alone may be another process's by the time
 * somebody looks.
 */
enum { PROC_NAME_MAX = 40 };

/* False: there is no such process, or it has ended and only waits to be collected (a zombie). */
bool proc_name(pid_t pid, char out[PROC_NAME_MAX]);
/* True if the process of that name is certainly gone.  A bare number is taken by the number. */
bool proc_is_gone(struct str name);

/* Processors of the machine that are switched on; 1 or more. */
size_t proc_cores(void);

#endif
