/*
 * Counting and taking must be one step, else two workers take the last turn; so there is a lock.
 * What it protects is good after every single store: an entry counts from the moment its
 * `asker` is set until it is cleared, whatever else stands in it.  A count in a word of its own
 * would have to be put right after a kill; entries that are looked through need nothing.
 */
#include "lib/web/turns.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/shared.h"
#include "lib/base/util.h"

struct turn_entry {
    _Atomic pid_t pid;
    _Atomic int64_t since_ms;
    _Atomic uint64_t asker; /* 0: no turn */
};

struct turns {
    pthread_mutex_t lock;
    size_t count;
    struct turn_entry entries[];
};

/*
 * The kind is the top byte of the asker, so that both are one store.  Kinds do not count against
 * each other: many who upload must not keep others from asking for symbols of a stack.
 */
enum { KIND_SHIFT = 56 };

uint64_t turns_asker(unsigned kind, uint64_t hash)
{
    return (uint64_t)kind << KIND_SHIFT | (hash & ((UINT64_C(1) << KIND_SHIFT) - 1));
}

static size_t size_of(size_t worker_count)
{
    return sizeof(struct turns) + worker_count * sizeof(struct turn_entry);
}

bool turns_new(size_t worker_count, struct turns **ret, struct err *err)
{
    struct turns *t = shared_map(size_of(worker_count), "the table of turns", err);
    if (!t)
        return false;
    shared_lock_init(&t->lock);
    t->count = worker_count;
    *ret = t;
    return true;
}

void turns_free(struct turns *t)
{
    if (t)
        munmap(t, size_of(t->count));
}

/* A worker that was started again: whatever its predecessor held ended with it. */
void turns_begin(struct turns *t, size_t worker)
{
    atomic_store(&t->entries[worker].asker, 0);
    atomic_store(&t->entries[worker].pid, getpid());
}

/* A number that was given to another process meanwhile does no harm for long: the entry is
 * emptied when the worker is started again. */
static bool is_running(const struct turn_entry *e)
{
    return atomic_load(&e->asker) != 0 && (kill(atomic_load(&e->pid), 0) == 0 || errno != ESRCH);
}

struct turn_tally {
    size_t all, of_asker;
    int64_t newest_ms, newest_of_asker_ms;
};

/*
 * The caller has the lock.  A worker's own turn is none that stands in its way: asking twice is
 * free.
 */
static struct turn_tally tally_others(const struct turns *t, size_t self, uint64_t asker)
{
    struct turn_tally found = {.newest_ms = INT64_MIN, .newest_of_asker_ms = INT64_MIN};
    for (size_t i = 0; i < t->count; i++) {
        const struct turn_entry *e = &t->entries[i];
        uint64_t holder = atomic_load(&e->asker);
        if (i == self || holder >> KIND_SHIFT != asker >> KIND_SHIFT || !is_running(e))
            continue;
        int64_t since_ms = atomic_load(&e->since_ms);
        found.all++;
        found.newest_ms = MAX(found.newest_ms, since_ms);
        if (holder != asker)
            continue;
        found.of_asker++;
        found.newest_of_asker_ms = MAX(found.newest_of_asker_ms, since_ms);
    }
    return found;
}

/* The asker's limit first: it is the one that the asker can do something about. */
enum turn turns_take(struct turns *t, size_t worker, uint64_t asker, size_t most,
                     size_t most_of_asker, int64_t now_ms, int64_t *ret_youngest_ms)
{
    enum turn result = TURN_TAKEN;
    struct turn_entry *self = &t->entries[worker];
    asker = MAX(asker, (uint64_t)1); /* 0 stands for no turn */
    shared_lock(&t->lock);
    struct turn_tally others = tally_others(t, worker, asker);
    if (most_of_asker > 0 && others.of_asker >= most_of_asker) {
        result = TURN_ASKER_IS_BUSY;
        *ret_youngest_ms = now_ms - others.newest_of_asker_ms;
    } else if (others.all >= most) {
        result = TURN_ALL_ARE_BUSY;
        *ret_youngest_ms = now_ms - others.newest_ms;
    } else {
        atomic_store(&self->since_ms, now_ms);
        atomic_store(&self->asker, asker);
    }
    shared_unlock(&t->lock);
    return result;
}

size_t turns_others(struct turns *t, size_t worker, uint64_t asker)
{
    shared_lock(&t->lock);
    size_t others = tally_others(t, worker, asker).all;
    shared_unlock(&t->lock);
    return others;
}

void turns_give_back(struct turns *t, size_t worker)
{
    atomic_store(&t->entries[worker].asker, 0);
}
