/*
 * A hash table of fixed size without locks.  One slot is one 64-bit word: the hash of group and
 * key (TAG_BITS), the second at which the window ends (END_BITS), the count (COUNT_BITS).  A word
 * changes by compare-and-swap only, so there is no lock that a killed worker could leave behind.
 *
 * A key looks at PROBES neighbouring slots.  What a slot holds is judged by its end alone, so that
 * windows of different lengths live side by side: a slot is free when its window is over, whatever
 * its length was.  (Keeping the window's number instead made each one-minute count overwrite the
 * quarter of an hour in which failed log-ins are remembered.)  When all probed windows are still
 * open, the one that ends first gives way: a stranger who fills the table with request counts
 * cannot push out the failed log-ins.
 *
 * Ends are seconds modulo 2^22 (48 days).  A word that nobody touched for so long may look open
 * again; it then is in the way for one window at most, or, for the same key and the same end,
 * goes on with an old count.
 */
#include "lib/web/rate.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/base/hash.h"
#include "lib/base/shared.h"
#include "lib/base/util.h"

/*
 * Half a megabyte: a quarter of the slots is in use when sixteen thousand clients ask within one
 * minute, and then one key in 65,000 finds all eight of its places taken.  Eight words are one
 * line of the cache, or two.
 */
enum { SLOTS = 1 << 16, PROBES = 8, TAG_BITS = 22, END_BITS = 22, COUNT_BITS = 20 };

static_assert(TAG_BITS + END_BITS + COUNT_BITS == 64, "a slot is one word");

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

/* Seconds until the window of a slot is over; 0 when it is, or the slot was never used. */
static uint64_t open_s(uint64_t word, int64_t now_s)
{
    if (word == 0)
        return 0;
    uint64_t left = low((word >> COUNT_BITS) - (uint64_t)now_s, END_BITS);
    return left <= RATE_WINDOW_MAX_S ? left : 0;
}

static uint64_t add_to(uint64_t word, uint32_t add)
{
    uint64_t count = MIN(low(word, COUNT_BITS) + add, low(UINT64_MAX, COUNT_BITS));
    return (word & ~low(UINT64_MAX, COUNT_BITS)) | count;
}

/* The slot that holds `head`, else the one to take for it: free, or the first to become so. */
static _Atomic uint64_t *choose_slot(struct rate_table *t, uint64_t hash, uint64_t head,
                                     int64_t now_s, uint64_t *ret_old)
{
    _Atomic uint64_t *best = NULL;
    uint64_t best_open_s = UINT64_MAX;
    for (size_t i = 0; i < PROBES; i++) {
        _Atomic uint64_t *slot = &t->slots[(hash + i) % SLOTS];
        uint64_t old = atomic_load(slot);
        if (old >> COUNT_BITS == head >> COUNT_BITS) {
            *ret_old = old;
            return slot;
        }
        uint64_t left = open_s(old, now_s);
        if (left < best_open_s) {
            best = slot;
            best_open_s = left;
            *ret_old = old;
        }
    }
    return best;
}

uint32_t rate_count(struct rate_table *t, const char *group, struct str key, int window_s,
                    int64_t now_s, uint32_t add)
{
    assert(window_s > 0 && window_s <= RATE_WINDOW_MAX_S);
    uint64_t hash = hash64_seed(key.p, key.n, t->seed ^ hash64(group, strlen(group)));
    uint64_t end = low((uint64_t)((now_s / window_s + 1) * window_s), END_BITS);
    uint64_t head = (hash >> (64 - TAG_BITS)) << (END_BITS + COUNT_BITS) | end << COUNT_BITS;
    for (;;) {
        uint64_t old = 0;
        _Atomic uint64_t *slot = choose_slot(t, hash, head, now_s, &old);
        bool is_ours = old >> COUNT_BITS == head >> COUNT_BITS;
        uint64_t next = add_to(is_ours ? old : head, add);
        if (add == 0 || atomic_compare_exchange_strong(slot, &old, next))
            return (uint32_t)low(next, COUNT_BITS);
    }
}

/* The first 64 bits of an IPv6 address are the subscriber's network (RFC 6177); the rest is chosen
 * by the machine, anew for each request if it likes. */
struct str rate_client(struct str address, char ret_key[RATE_CLIENT_SIZE])
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr v6;
    snprintf(text, sizeof text, STR_FMT, STR_ARG(address));
    if (inet_pton(AF_INET6, text, &v6) != 1) /* IPv4, or what only a test sends */
        snprintf(ret_key, RATE_CLIENT_SIZE, "%s", text);
    else if (IN6_IS_ADDR_V4MAPPED(&v6))
        inet_ntop(AF_INET, v6.s6_addr + 12, ret_key, RATE_CLIENT_SIZE);
    else {
        memset(v6.s6_addr + 8, 0, 8);
        inet_ntop(AF_INET6, &v6, ret_key, RATE_CLIENT_SIZE);
    }
    return str_of(ret_key);
}
