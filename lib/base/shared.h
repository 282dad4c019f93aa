#ifndef BASE_SHARED_H
#define BASE_SHARED_H

#include <pthread.h>
#include <stddef.h>

#include "lib/base/err.h"

/*
 * shared - memory that a parent makes before it forks and all its workers use, with a lock
 * that survives the death of its holder.
 *
 * Ownership  The mapping lives as long as the processes; there is no release.
 * Errors     ERR_IO when the system has no memory to map.
 * Threads    shared_lock() works between processes.  A holder may be killed at any moment: what
 *            the lock protects must be good after every single store.
 */

/* Zeroed memory common to this process and the children it will fork; NULL on failure. */
void *shared_map(size_t size, const char *what, struct err *err);

void shared_lock_init(pthread_mutex_t *mutex);
void shared_lock(pthread_mutex_t *mutex);
void shared_unlock(pthread_mutex_t *mutex);

#endif
