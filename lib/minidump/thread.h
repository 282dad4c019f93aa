#ifndef MINIDUMP_THREAD_H
#define MINIDUMP_THREAD_H

#include "lib/minidump/memory.h"

/*
 * thread - thread list, names, the exception, and which thread is which.
 *
 * Ownership  Arrays and names live in the pool's arena; contexts and stacks point
 *            into the dump.
 * Limits     Twice the thread numbers that the kernel has by default (pid_max, 32,768);
 *            EXCEPTION_MAXIMUM_PARAMETERS of winnt.h is 15.
 */
enum { MDMP_THREADS_MAX = 65536, MDMP_EXCEPTION_PARAMETERS = 15 };

struct mdmp_thread {
    uint32_t id;
    uint64_t teb;
    struct mdmp_region stack; /* bytes.n 0: none */
    struct rd context;        /* bad: none */
    struct str name;          /* p NULL: none */
};

struct mdmp_threads {
    struct mdmp_thread *v;
    size_t n;
    bool is_cut; /* the file has more than MDMP_THREADS_MAX */
};

/* ERR_NOT_FOUND, ERR_INVALID: no readable thread list. */
bool mdmp_threads_read(const struct mdmp *d, const struct mdmp_memory *memory,
                       struct mdmp_pool *pool, struct mdmp_threads *ret, struct err *err);

/* Index of the first thread with that id, or SIZE_MAX. */
size_t mdmp_thread_by_id(const struct mdmp_threads *threads, uint32_t id);

struct mdmp_exception {
    uint32_t thread_id;
    uint32_t code, flags;
    uint64_t address;
    uint32_t parameter_count; /* at most 15 */
    uint64_t parameters[MDMP_EXCEPTION_PARAMETERS];
    struct rd context; /* bad: none */
};

bool mdmp_exception_read(const struct mdmp *d, struct mdmp_exception *ret, struct err *err);

/* BreakpadInfo: thread ids, present only if the writer said they are valid. */
struct mdmp_breakpad_info {
    bool has_dump_thread, has_requesting_thread;
    uint32_t dump_thread_id, requesting_thread_id;
};
struct mdmp_breakpad_info mdmp_breakpad_info(const struct mdmp *d);

#endif
