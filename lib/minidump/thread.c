/*
 * Threads, their names, and what made the process write a dump.
 *
 * A thread's stack memory is part of its entry; where the entry has none, the memory list may still
 * hold it (full dumps keep all memory there).  Its registers stay an unread record here, because
 * which layout they have depends on the CPU (context.c).  Names stand in a stream of their own,
 * keyed by the system's thread id; ids may repeat in hostile or damaged dumps, so names are sorted
 * once and the last one given wins, as with streams.
 */
#include "lib/minidump/thread.h"

#include <stdlib.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/rd.h"
#include "lib/base/util.h"
#include "lib/minidump/mdmp.h"

/*
 * Sizes of MINIDUMP_THREAD, MINIDUMP_THREAD_EX, MINIDUMP_THREAD_NAME (packed) and
 * MINIDUMP_EXCEPTION_STREAM.
 */
enum { THREAD_SIZE = 48, THREAD_EX_SIZE = 64, THREAD_NAME_SIZE = 12, EXCEPTION_SIZE = 168 };

static struct mdmp_thread read_thread(const struct mdmp *d, const struct mdmp_memory *memory,
                                      struct rd e)
{
    struct mdmp_thread t = {.id = rd_u32(&e)};
    rd_skip(&e, 12); /* suspend count, priority class, priority */
    t.teb = rd_u64(&e);
    uint64_t stack_base = rd_u64(&e);
    uint32_t stack_size = rd_u32(&e);
    uint32_t stack_rva = rd_u32(&e);
    uint32_t context_size = rd_u32(&e);
    uint32_t context_rva = rd_u32(&e);

    struct rd bytes = mdmp_at(d, stack_rva, stack_size);
    const struct mdmp_region *region;
    if (stack_rva && bytes.n && stack_base <= UINT64_MAX - bytes.n)
        t.stack = (struct mdmp_region){stack_base, bytes};
    else if ((region = mdmp_memory_at(memory, stack_base)))
        t.stack = *region;
    t.context = mdmp_at(d, context_rva, context_size);
    return t;
}

struct name {
    uint32_t thread_id;
    uint32_t order;
    uint64_t rva;
};

static int by_thread_id(const void *pa, const void *pb)
{
    const struct name *a = pa, *b = pb;
    if (a->thread_id != b->thread_id)
        return a->thread_id < b->thread_id ? -1 : 1;
    return (a->order > b->order) - (a->order < b->order);
}

/* The last name given for the id, or NULL. */
static const struct name *find_name(const struct name *names, size_t n, uint32_t thread_id)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (names[mid].thread_id <= thread_id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo > 0 && names[lo - 1].thread_id == thread_id ? &names[lo - 1] : NULL;
}

static void read_names(const struct mdmp *d, struct mdmp_pool *pool, struct mdmp_threads *threads)
{
    struct rd body;
    struct mdmp_list list;
    if (!mdmp_stream(d, MDMP_THREAD_NAMES, &body, ERR_IGNORED) ||
        !mdmp_list(body, THREAD_NAME_SIZE, &list, ERR_IGNORED))
        return;
    size_t n = MIN(list.count, (size_t)MDMP_THREADS_MAX);
    struct name *names = arena_array(pool->arena, n, sizeof *names);
    for (size_t i = 0; i < n; i++) {
        struct rd e = mdmp_list_entry(&list, i);
        uint32_t id = rd_u32(&e);
        names[i] = (struct name){id, (uint32_t)i, rd_u64(&e)};
    }
    if (n)
        qsort(names, n, sizeof *names, by_thread_id);
    for (size_t i = 0; i < threads->n; i++) {
        const struct name *name = find_name(names, n, threads->v[i].id);
        if (name)
            mdmp_string(d, name->rva, pool, &threads->v[i].name, ERR_IGNORED);
    }
}

bool mdmp_threads_read(const struct mdmp *d, const struct mdmp_memory *memory,
                       struct mdmp_pool *pool, struct mdmp_threads *ret, struct err *err)
{
    struct rd body;
    struct mdmp_list list;
    size_t entry_size = THREAD_SIZE;
    if (!mdmp_stream(d, MDMP_THREAD_LIST, &body, err)) {
        /* The extended list begins each entry as the plain one does. */
        entry_size = THREAD_EX_SIZE;
        if (!mdmp_stream(d, MDMP_THREAD_EX_LIST, &body, ERR_IGNORED))
            return false;
    }
    if (!mdmp_list(body, entry_size, &list, err))
        return err_wrap(err, "thread list");

    struct mdmp_threads threads = {.n = MIN(list.count, (size_t)MDMP_THREADS_MAX)};
    threads.is_cut = threads.n < list.count;
    threads.v = arena_array(pool->arena, threads.n, sizeof *threads.v);
    for (size_t i = 0; i < threads.n; i++)
        threads.v[i] = read_thread(d, memory, mdmp_list_entry(&list, i));
    read_names(d, pool, &threads);
    *ret = threads;
    return true;
}

size_t mdmp_thread_by_id(const struct mdmp_threads *threads, uint32_t id)
{
    for (size_t i = 0; i < threads->n; i++)
        if (threads->v[i].id == id)
            return i;
    return SIZE_MAX;
}

/*
 * All fifteen parameters are read whatever their count says: the record always has room for them,
 * and the context stands behind them.
 */
bool mdmp_exception_read(const struct mdmp *d, struct mdmp_exception *ret, struct err *err)
{
    struct rd r;
    if (!mdmp_stream(d, MDMP_EXCEPTION, &r, err))
        return false;
    if (r.n < EXCEPTION_SIZE)
        return err_set(err, ERR_INVALID, "exception stream of %zu bytes", r.n);
    struct mdmp_exception x = {.thread_id = rd_u32(&r)};
    rd_skip(&r, 4);
    x.code = rd_u32(&r);
    x.flags = rd_u32(&r);
    rd_skip(&r, 8); /* nested record: an address in the crashed process */
    x.address = rd_u64(&r);
    uint32_t parameters = rd_u32(&r);
    x.parameter_count = MIN(parameters, (uint32_t)MDMP_EXCEPTION_PARAMETERS);
    rd_skip(&r, 4);
    for (size_t i = 0; i < MDMP_EXCEPTION_PARAMETERS; i++)
        x.parameters[i] = rd_u64(&r);
    uint32_t context_size = rd_u32(&r);
    uint32_t context_rva = rd_u32(&r);
    x.context = mdmp_at(d, context_rva, context_size);
    *ret = x;
    return true;
}

/*
 * Breakpad tells which thread wrote the dump (its frames are those of the handler) and which one
 * asked for it where there was no exception; each id has a bit that says whether it is set.
 */
struct mdmp_breakpad_info mdmp_breakpad_info(const struct mdmp *d)
{
    struct mdmp_breakpad_info info = {0};
    struct rd r;
    if (!mdmp_stream(d, MDMP_BREAKPAD_INFO, &r, ERR_IGNORED))
        return info;
    uint32_t validity = rd_u32(&r);
    uint32_t dump_thread = rd_u32(&r);
    uint32_t requesting_thread = rd_u32(&r);
    if (!rd_ok(&r))
        return info;
    info.has_dump_thread = validity & 1;
    info.has_requesting_thread = validity >> 1 & 1;
    info.dump_thread_id = dump_thread;
    info.requesting_thread_id = requesting_thread;
    return info;
}
