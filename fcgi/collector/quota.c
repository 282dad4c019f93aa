/*
 * Counters of reports by product.  A word holds a window, a minute or a day since 1970, and how
 * many were counted in it; the first report of a new window starts the word anew.  Both change in
 * one exchange, so no count is lost between two workers, and none is left half done by one that is
 * killed.
 *
 * A product is known by the hash of its name, which an administrator has chosen: only configured
 * products come here, so a place for each is enough and nobody can fill the table.
 */
#include "fcgi/collector/quota.h"

#include <stdatomic.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/shared.h"

enum {
    PLACES = 16384, /* a power of two, above the most product files there may be (product.c) */
    MINUTE_S = 60,
    DAY_S = 86400,
};

struct quota_place {
    _Atomic uint64_t product; /* hash of its name; 0: free */
    _Atomic uint64_t minute, day;
};

struct quota_table {
    struct quota_place places[PLACES];
};

bool quota_new(struct quota_table **ret, struct err *err)
{
    *ret = shared_map(sizeof **ret, "quotas of products", err);
    return *ret != NULL;
}

/* NULL: the table is full, which more products than there may be would need. */
static struct quota_place *place_of(struct quota_table *t, const char *name)
{
    uint64_t hash = hash64(name, strlen(name)) | 1;
    for (size_t i = 0; i < PLACES; i++) {
        struct quota_place *place = &t->places[(hash + i) & (PLACES - 1)];
        uint64_t there = 0;
        if (atomic_compare_exchange_strong(&place->product, &there, hash) || there == hash)
            return place;
    }
    return NULL;
}

/* The window in the upper half, its count in the lower one.  most 0: no limit, nothing counted. */
static bool take(_Atomic uint64_t *word, int64_t window, int64_t most)
{
    uint64_t was = atomic_load(word), next;
    if (most == 0)
        return true;
    do {
        uint64_t count = was >> 32 == (uint64_t)window ? was & UINT32_MAX : 0;
        if (count >= (uint64_t)most)
            return false;
        next = (uint64_t)window << 32 | (count + 1);
    } while (!atomic_compare_exchange_weak(word, &was, next));
    return true;
}

/* Gives back what was just taken, unless its window has ended meanwhile. */
static void give_back(_Atomic uint64_t *word, int64_t window)
{
    uint64_t was = atomic_load(word);
    while (was >> 32 == (uint64_t)window && was & UINT32_MAX &&
           !atomic_compare_exchange_weak(word, &was, was - 1))
        continue;
}

bool quota_take(struct quota_table *t, const struct product *p, int64_t now_s)
{
    if (p->quota_per_minute == 0 && p->quota_per_day == 0)
        return true;
    struct quota_place *place = place_of(t, p->name);
    if (!place)
        return true;
    if (!take(&place->day, now_s / DAY_S, p->quota_per_day))
        return false;
    if (take(&place->minute, now_s / MINUTE_S, p->quota_per_minute))
        return true;
    if (p->quota_per_day)
        give_back(&place->day, now_s / DAY_S);
    return false;
}
