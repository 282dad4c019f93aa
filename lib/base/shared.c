/*
 * Memory of a parent and the workers it forks, and a lock in it that survives the death of whoever
 * holds it.  The lock is robust: the next one to ask is told that the owner died and goes on.  That
 * is right only because what our locks protect is good after every single store (turns.c says so of
 * its table); a structure that needs several stores to be whole must not be kept here.
 */
#include "lib/base/shared.h"

#include <errno.h>
#include <sys/mman.h>

/* Anonymous: it is there for children that are forked later, and goes with the last of them. */
void *shared_map(size_t size, const char *what, struct err *err)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p != MAP_FAILED)
        return p;
    err_errno(err, errno, "mapping %s", what);
    return NULL;
}

void shared_lock_init(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(mutex, &attr);
    pthread_mutexattr_destroy(&attr);
}

void shared_lock(pthread_mutex_t *mutex)
{
    if (pthread_mutex_lock(mutex) == EOWNERDEAD)
        pthread_mutex_consistent(mutex);
}

void shared_unlock(pthread_mutex_t *mutex)
{
    pthread_mutex_unlock(mutex);
}
