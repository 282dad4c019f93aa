#include "lib/search/columns/seal.h"

#include "lib/base/hash.h"
#include "lib/base/util.h"

/*
 * The sum covers the bytes of a head that are in use: up to the last column, up to the last
 * partition of the table.  That is 2.6 KB for a partition of 25 columns, 0.2 us each time
 * (tests/bench/search), so every put can afford to check the heads it changes and to close them
 * again.  The turn is the seed of the sum: a flipped bit in the turn shows as well.
 */
enum { LOOKS = 3 };

static const struct layout {
    size_t seal, count, array, element;
    uint32_t max;
} layouts[] = {
    [HEAD_ROOT] = {offsetof(struct root_head, seal), offsetof(struct root_head, part_count),
                   offsetof(struct root_head, parts), sizeof(struct root_part), PARTS_MAX},
    [HEAD_PART] = {offsetof(struct part_head, seal), offsetof(struct part_head, column_count),
                   offsetof(struct part_head, columns), sizeof(struct column_head), COLUMNS_MAX},
};

static struct head_seal *seal_in(enum head_type type, const void *head)
{
    return (struct head_seal *)((uintptr_t)head + layouts[type].seal);
}

static uint64_t sum_of(enum head_type type, const void *head, uint64_t turn)
{
    const struct layout *l = &layouts[type];
    const uint8_t *bytes = head;
    uint32_t n = atomic_load_explicit((const _Atomic uint32_t *)(const void *)(bytes + l->count),
                                      memory_order_relaxed);
    size_t from = l->seal + sizeof(struct head_seal);
    size_t to = l->array + MIN(n, l->max) * l->element;
    return hash64_seed(bytes + from, to - from, hash64_seed(bytes, l->seal, turn));
}

enum seal_state seal_look(enum head_type type, const void *head)
{
    const struct head_seal *s = seal_in(type, head);
    for (int i = 0; i < LOOKS; i++) {
        uint64_t turn = atomic_load_explicit(&s->turn, memory_order_acquire);
        if (turn % 2)
            return SEAL_OPEN;
        uint64_t sum = sum_of(type, head, turn);
        uint64_t want = atomic_load_explicit(&s->sum, memory_order_relaxed);
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&s->turn, memory_order_relaxed) == turn)
            return sum == want ? SEAL_GOOD : SEAL_BROKEN;
    }
    return SEAL_OPEN; /* changes faster than we can look: somebody is at work */
}

void seal_open(enum head_type type, void *head)
{
    struct head_seal *s = seal_in(type, head);
    if (atomic_load_explicit(&s->turn, memory_order_relaxed) % 2 == 0)
        atomic_fetch_add(&s->turn, 1); /* a full barrier: no store into the head comes before */
}

void seal_close(enum head_type type, void *head)
{
    struct head_seal *s = seal_in(type, head);
    uint64_t turn = atomic_load_explicit(&s->turn, memory_order_relaxed) | 1;
    atomic_store_explicit(&s->sum, sum_of(type, head, turn + 1), memory_order_relaxed);
    atomic_store_explicit(&s->turn, turn + 1, memory_order_release);
}

uint64_t seal_turn(enum head_type type, const void *head)
{
    return atomic_load_explicit(&seal_in(type, head)->turn, memory_order_acquire);
}
