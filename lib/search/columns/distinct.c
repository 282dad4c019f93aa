/*
 * Numbers of installations are what people ask most often over everything: a distinct count of
 * times in seconds.  A hash table takes a cache miss for each row (2.2 s for ten million); the
 * times of some years are a few hundred million bits, of which only the pages that occur are made,
 * and setting one costs about what reading the column does.
 *
 * A stranger's client may send any 32 bits, so that every value makes a page of its own; and other
 * numbers (addresses, microseconds) have no such range.  Both end at a limit, and then everything
 * that was seen moves to a sketch of 16 KiB: of the hash of each value the first bits choose a
 * register, which keeps the longest run of zeros in the rest (Flajolet, Fusy, Gandouet, Meunier:
 * HyperLogLog, 2007).  With hashes of 64 bits and far more values than registers the raw estimate
 * needs neither of the two corrections of that paper.  The error is 1.04 / sqrt(registers).
 *
 * The hash has a fixed seed, unlike that of a table: the same question shall have the same answer,
 * and values chosen to collide can only make their own sender's count too low.
 */
#include "lib/search/columns/distinct.h"

#include "lib/base/hash.h"
#include "lib/base/util.h"

enum {
    PAGE_BITS = DISTINCT_PAGE_BITS,
    PAGE_COUNT = 1 << (32 - PAGE_BITS),
    PAGE_WORDS = (1 << PAGE_BITS) / 64,
    PAGE_BYTES = PAGE_WORDS * 8,
    SKETCH_BITS = 14, /* the fewest whose error is below 1 % */
    REGISTERS = 1 << SKETCH_BITS,
};

static void release_exact(struct distinct *d)
{
    for (size_t i = 0; d->pages && i < PAGE_COUNT; i++)
        free(d->pages[i]);
    free(d->pages);
    if (d->has_keys)
        map_release(&d->keys);
    d->pages = NULL;
    d->page_bytes = 0;
    d->has_keys = false;
}

void distinct_release(struct distinct *d)
{
    release_exact(d);
    free(d->registers);
    d->registers = NULL;
}

void distinct_add_hash(struct distinct *d, uint64_t hash)
{
    size_t at = hash >> (64 - SKETCH_BITS);
    /* the bit behind the end bounds the run where all others are zero */
    uint64_t rest = hash << SKETCH_BITS | (uint64_t)1 << (SKETCH_BITS - 1);
    uint8_t run = (uint8_t)(__builtin_clzll(rest) + 1);
    d->registers[at] = MAX(d->registers[at], run);
}

static uint64_t hash_of(uint64_t bits)
{
    return hash64_seed(&bits, sizeof bits, 0);
}

/* The value of a bit of a page; the pages begin with the smallest negative number. */
static int64_t value_at(size_t page, size_t bit)
{
    return (int64_t)(page << PAGE_BITS | bit) + INT32_MIN;
}

static void sketch_pages(struct distinct *d)
{
    for (size_t i = 0; i < PAGE_COUNT; i++)
        for (size_t word = 0; d->pages[i] && word < PAGE_WORDS; word++)
            for (uint64_t rest = d->pages[i][word]; rest; rest &= rest - 1) {
                size_t bit = word * 64 + (size_t)__builtin_ctzll(rest);
                distinct_add_hash(d, hash_of((uint64_t)value_at(i, bit)));
            }
}

bool distinct_to_sketch(struct distinct *d, struct cost *cost)
{
    if (d->registers)
        return true;
    if (!cost_hold(cost, REGISTERS))
        return false;
    size_t gone = d->page_bytes + (d->has_keys ? map_bytes(&d->keys) : 0);
    d->registers = xcalloc(REGISTERS, 1);
    if (d->pages)
        sketch_pages(d);
    for (size_t i = 0; d->has_keys && i < d->keys.cap; i++)
        if (d->keys.values[i])
            distinct_add_hash(d, hash_of(d->keys.keys[i]));
    release_exact(d);
    cost_give_back(cost, gone);
    return cost_work(cost, gone);
}

/* NULL: the search must end, or it has become a sketch. */
static uint64_t *page_of(struct distinct *d, size_t at, struct cost *cost)
{
    size_t table = d->pages ? 0 : PAGE_COUNT * sizeof *d->pages;
    if (d->page_bytes + table + PAGE_BYTES > DISTINCT_PAGES_BYTES) {
        distinct_to_sketch(d, cost);
        return NULL;
    }
    if (!cost_hold(cost, table + PAGE_BYTES))
        return NULL;
    if (!d->pages)
        d->pages = xcalloc(PAGE_COUNT, sizeof *d->pages);
    d->pages[at] = xcalloc(PAGE_WORDS, sizeof **d->pages);
    d->page_bytes += table + PAGE_BYTES;
    return d->pages[at];
}

bool distinct_add_bits(struct distinct *d, uint64_t bits, struct cost *cost)
{
    if (!d->registers && !d->has_keys) {
        map_init(&d->keys, DISTINCT_KEYS_MAX);
        d->has_keys = true;
    }
    if (!d->registers && d->keys.n >= DISTINCT_KEYS_MAX && !distinct_to_sketch(d, cost))
        return false;
    if (d->registers) {
        distinct_add_hash(d, hash_of(bits));
        return true;
    }
    if (map_must_grow(&d->keys)) {
        size_t old_bytes = map_bytes(&d->keys);
        if (!cost_hold(cost, map_grown_bytes(&d->keys)))
            return false;
        map_grow(&d->keys);
        cost_give_back(cost, old_bytes);
    }
    *map_at(&d->keys, bits) = 1;
    return true;
}

bool distinct_add_first(struct distinct *d, int64_t value, struct cost *cost)
{
    if (value < INT32_MIN || value > INT32_MAX)
        return distinct_add_bits(d, (uint64_t)value, cost);
    if (!d->registers) {
        size_t page = (uint64_t)(value - INT32_MIN) >> PAGE_BITS;
        if (page_of(d, page, cost))
            return distinct_add(d, value, cost);
        if (!d->registers)
            return false;
    }
    distinct_add_hash(d, hash_of((uint64_t)value));
    return true;
}

static bool join_exact(struct distinct *d, const struct distinct *from, struct cost *cost)
{
    for (size_t i = 0; from->pages && i < PAGE_COUNT; i++)
        for (size_t word = 0; from->pages[i] && word < PAGE_WORDS; word++)
            for (uint64_t rest = from->pages[i][word]; rest; rest &= rest - 1)
                if (!distinct_add(d, value_at(i, word * 64 + (size_t)__builtin_ctzll(rest)), cost))
                    return false;
    for (size_t i = 0; from->has_keys && i < from->keys.cap; i++)
        if (from->keys.values[i] && !distinct_add_bits(d, from->keys.keys[i], cost))
            return false;
    return true;
}

bool distinct_join(struct distinct *d, const struct distinct *from, struct cost *cost)
{
    if (!from->registers)
        return join_exact(d, from, cost);
    if (!distinct_to_sketch(d, cost))
        return false;
    for (size_t i = 0; i < REGISTERS; i++)
        d->registers[i] = MAX(d->registers[i], from->registers[i]);
    return true;
}

static uint64_t sketch_count(const struct distinct *d)
{
    double sum = 0, m = REGISTERS;
    for (size_t i = 0; i < REGISTERS; i++)
        sum += 1 / (double)((uint64_t)1 << d->registers[i]);
    double alpha = 0.7213 / (1 + 1.079 / m); /* of the paper, for 128 registers and more */
    return (uint64_t)(alpha * m * m / sum + 0.5);
}

uint64_t distinct_count(const struct distinct *d)
{
    if (d->registers)
        return sketch_count(d);
    uint64_t n = d->has_keys ? d->keys.n : 0;
    for (size_t i = 0; d->pages && i < PAGE_COUNT; i++)
        for (size_t word = 0; d->pages[i] && word < PAGE_WORDS; word++)
            n += (uint64_t)__builtin_popcountll(d->pages[i][word]);
    return n;
}
