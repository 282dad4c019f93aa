/*
 * Signal stacks of threads.  A thread that has run over the end of its stack has no room for the
 * frame of a signal handler, so the handler runs on a stack of its own, one for each thread that
 * asked.  It is given back when the thread ends (a key with a destructor).
 */
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client/datil_client.h"

/* Our handler needs some KiB; a program's own handler that ours passes the signal on to may need
 * more. */
enum { SIGNAL_STACK_EXTRA = 64 * 1024 };

static pthread_key_t stack_key;
static pthread_once_t stack_once = PTHREAD_ONCE_INIT;

/* AVX-512 and AMX state make the frame of a signal bigger than MINSIGSTKSZ. */
static size_t signal_stack_size(void)
{
    long minimum = sysconf(_SC_MINSIGSTKSZ);
    size_t size = SIGNAL_STACK_EXTRA + (minimum > 0 ? (size_t)minimum : 0);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (size + page - 1) / page * page;
}

static void release_stack(void *base)
{
    stack_t off = {.ss_flags = SS_DISABLE};
    sigaltstack(&off, NULL);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    munmap((char *)base - page, signal_stack_size() + page);
}

static void make_stack_key(void)
{
    pthread_key_create(&stack_key, release_stack);
}

bool datil_client_protect_thread(void)
{
    stack_t now;
    if (sigaltstack(NULL, &now) == 0 && !(now.ss_flags & SS_DISABLE))
        return true; /* the program has made one */
    pthread_once(&stack_once, make_stack_key);

    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = signal_stack_size();
    char *p = mmap(NULL, size + page, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (p == MAP_FAILED)
        return false;
    mprotect(p, page, PROT_NONE); /* an overflow of the signal stack must not corrupt a heap */
    stack_t mine = {.ss_sp = p + page, .ss_size = size};
    if (sigaltstack(&mine, NULL) != 0) {
        munmap(p, size + page);
        return false;
    }
    pthread_setspecific(stack_key, p + page);
    return true;
}
