#include "web/rate.h"

#include <stdatomic.h>
#include <sys/mman.h>

#include "base/hash.h"
#include "base/shared.h"
#include "base/util.h"

/*
 * One slot is one 64-bit word: 28 bits of the key's hash, 16 bits of the window's number, 20 bits
 * of count.  A word changes by compare-and-swap only, so there is no lock that a killed worker
 * could leave behind.  A key looks at PROBES neighbouring slots; a slot of a past window is free.
 */
enum { SLOTS = 1 << 16, PROBES = 8, TAG_BITS = 28, WINDOW_BITS = 16, COUNT_BITS = 20 };

struct rate_table {
    uint64_t seed; /* strangers choose the keys */
    _Atomic uint64_t slots[SLOTS];
};

bool rate_new(struct rate_table **ret, struct err *err)
{
    struct rate_table *t = shared_map(sizeof *t, "the table of request counts", err);
    if (!t)
        return false;
    t->seed = random_u64();
    *ret = t;
    return true;
}

void rate_free(struct rate_table *t)
{
    if (t)
        munmap(t, sizeof *t);
}

static uint64_t low(uint64_t v, int bits)
{
    return v & ((1ull << bits) - 1);
}

static uint64_t window_of(uint64_t word)
{
    return low(word >> COUNT_BITS, WINDOW_BITS);
}

static uint64_t add_to(uint64_t word, uint32_t add)
{
    uint64_t count = MIN(low(word, COUNT_BITS) + add, low(UINT64_MAX, COUNT_BITS));
    return (word & ~low(UINT64_MAX, COUNT_BITS)) | count;
}

/* The slot that holds `head`, else the first free one, else NULL. */
static _Atomic uint64_t *find(struct rate_table *t, uint64_t hash, uint64_t head, uint64_t *ret_old)
{
    _Atomic uint64_t *free_slot = NULL;
    for (size_t i = 0; i < PROBES; i++) {
        _Atomic uint64_t *slot = &t->slots[(hash + i) % SLOTS];
        uint64_t old = atomic_load(slot);
        if (old >> COUNT_BITS == head >> COUNT_BITS) {
            *ret_old = old;
            return slot;
        }
        if (!free_slot && (old == 0 || window_of(old) != window_of(head))) {
            free_slot = slot;
            *ret_old = old;
        }
    }
    return free_slot;
}

uint32_t rate_count(struct rate_table *t, const char *group, struct str key, int window_s,
                    int64_t now_s, uint32_t add)
{
    uint64_t hash = hash64_seed(key.p, key.n, t->seed ^ hash64(group, strlen(group)));
    uint64_t window = low((uint64_t)(now_s / window_s), WINDOW_BITS);
    uint64_t head = (hash >> (64 - TAG_BITS)) << (WINDOW_BITS + COUNT_BITS) | window << COUNT_BITS;
    for (;;) {
        uint64_t old = 0;
        _Atomic uint64_t *slot = find(t, hash, head, &old);
        if (!slot)
            return 0;
        bool is_ours = old >> COUNT_BITS == head >> COUNT_BITS;
        uint64_t next = add_to(is_ours ? old : head, add);
        if (add == 0 || atomic_compare_exchange_strong(slot, &old, next))
            return (uint32_t)low(next, COUNT_BITS);
    }
}
