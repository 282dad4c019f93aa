#include "lib/symfile/intern.h"

#include <stdlib.h>

#include "lib/base/hash.h"

enum { FIRST_SLOTS = 256, DIRECT_MAX = 1 << 22 };

void intern_init(struct intern *t)
{
    *t = (struct intern){.slots = xcalloc(FIRST_SLOTS, sizeof *t->slots),
                         .slot_count = FIRST_SLOTS,
                         .seed = random_u64()};
}

void intern_release(struct intern *t)
{
    free(t->slots);
    VEC_RELEASE(&t->items);
    t->slots = NULL;
}

/* Doubling uses the stored half of the hash, so the texts are not touched again. */
static void intern_grow(struct intern *t)
{
    struct intern_slot *old = t->slots;
    size_t old_count = t->slot_count;
    t->slot_count *= 2;
    t->slots = xcalloc(t->slot_count, sizeof *t->slots);
    size_t mask = t->slot_count - 1;
    for (size_t i = 0; i < old_count; i++) {
        if (!old[i].id1)
            continue;
        size_t at = old[i].hash & mask;
        while (t->slots[at].id1)
            at = (at + 1) & mask;
        t->slots[at] = old[i];
    }
    free(old);
}

static uint32_t find_or_add(struct intern *t, struct arena *a, struct str s)
{
    uint32_t hash = (uint32_t)hash64_seed(s.p, s.n, t->seed);
    size_t mask = t->slot_count - 1;
    size_t at = hash & mask;
    for (; t->slots[at].id1; at = (at + 1) & mask) {
        uint32_t id = t->slots[at].id1 - 1;
        if (t->slots[at].hash == hash && str_eq(t->items.v[id], s))
            return id;
    }
    uint32_t id = (uint32_t)t->items.n;
    t->slots[at] = (struct intern_slot){hash, id + 1};
    VEC_PUSH(&t->items, a ? str_copy(a, s) : s);
    if (t->items.n * 2 > t->slot_count)
        intern_grow(t);
    return id;
}

uint32_t intern_id(struct intern *t, struct str s)
{
    return find_or_add(t, NULL, s);
}

uint32_t intern_copy(struct intern *t, struct arena *a, struct str s)
{
    return find_or_add(t, a, s);
}

void idmap_init(struct idmap *m)
{
    *m = (struct idmap){.slots = xcalloc(FIRST_SLOTS, sizeof *m->slots),
                        .slot_count = FIRST_SLOTS,
                        .seed = random_u64()};
}

void idmap_release(struct idmap *m)
{
    free(m->slots);
    m->slots = NULL;
    VEC_RELEASE(&m->direct);
}

/* The finalizer of MurmurHash3, keyed. */
static size_t mix(const struct idmap *m, uint64_t key)
{
    uint64_t h = key ^ m->seed;
    h = (h ^ h >> 33) * 0xff51afd7ed558ccdULL;
    h = (h ^ h >> 33) * (m->seed | 1);
    return (h ^ h >> 33) & (m->slot_count - 1);
}

static size_t idmap_place(const struct idmap *m, uint64_t key)
{
    size_t at = mix(m, key);
    while (m->slots[at].id1 && m->slots[at].key != key)
        at = (at + 1) & (m->slot_count - 1);
    return at;
}

static void idmap_grow(struct idmap *m)
{
    struct idmap_slot *old = m->slots;
    size_t old_count = m->slot_count;
    m->slot_count *= 2;
    m->slots = xcalloc(m->slot_count, sizeof *m->slots);
    for (size_t i = 0; i < old_count; i++)
        if (old[i].id1)
            m->slots[idmap_place(m, old[i].key)] = old[i];
    free(old);
}

static uint32_t direct_id(struct idmap *m, size_t key)
{
    if (key >= m->direct.n) {
        VEC_RESERVE(&m->direct, key + 1);
        memset(m->direct.v + m->direct.n, 0, (m->direct.cap - m->direct.n) * sizeof *m->direct.v);
        m->direct.n = m->direct.cap;
    }
    if (!m->direct.v[key])
        m->direct.v[key] = ++m->n;
    return m->direct.v[key] - 1;
}

uint32_t idmap_id(struct idmap *m, uint64_t key)
{
    if (key < DIRECT_MAX)
        return direct_id(m, key);
    size_t at = idmap_place(m, key);
    if (m->slots[at].id1)
        return m->slots[at].id1 - 1;
    m->slots[at] = (struct idmap_slot){key, ++m->n};
    if (++m->slots_used * 2 > m->slot_count)
        idmap_grow(m);
    return m->n - 1;
}
