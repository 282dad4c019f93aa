#ifndef SEARCH_COLUMNS_TEXTS_H
#define SEARCH_COLUMNS_TEXTS_H

#include <pthread.h>

#include "lib/base/hash.h"
#include "lib/base/str.h"
#include "lib/search/columns/commit.h"
#include "lib/search/columns/mfile.h"

/*
 * texts - the first entries of a dictionary in a week that was packed: compressed in blocks, which
 * are unpacked when one of their entries is asked for, and found through a table of hashes.
 *
 * Ownership  Entries borrow from the texts until texts_forget or texts_close.
 * Errors     ERR_DAMAGED: the file is not one that texts_write wrote.  A block that is damaged is
 *            told by its sum when it is unpacked; its entries are empty then, and the next use of
 *            the column fails (is_damaged).
 * Threads    Any number may ask for entries; texts_forget is for one that is alone.
 */
struct texts {
    struct mfile file;
    const struct texts_block *blocks;
    uint32_t count, per_block, block_count, bucket_count;
    uint32_t code_bits;
    const uint32_t *buckets;
    const uint8_t *tags, *slots;
    char *plain;    /* all texts, each block where it belongs once it is unpacked */
    uint64_t *ends; /* by code - 1, of unpacked blocks: where the entry ends in `plain` */
    size_t plain_bytes;
    struct shared_u32 *is_there; /* by block */
    size_t bytes_there;
    bool is_damaged;
    pthread_mutex_t lock;
};

bool texts_open(const char *path, uint64_t generation, struct texts **ret, struct err *err);
void texts_close(struct texts *t);
/* What unpacked blocks take, and what those would that are not unpacked. */
static inline size_t texts_bytes(const struct texts *t)
{
    return t ? t->bytes_there : 0;
}
static inline size_t texts_bytes_left(const struct texts *t)
{
    return t ? t->plain_bytes + t->count * sizeof *t->ends - t->bytes_there : 0;
}
void texts_forget(struct texts *t);

void texts_unpack(struct texts *t, uint32_t block);

/* 1 <= code <= t->count */
static inline struct str texts_entry(struct texts *t, uint32_t code)
{
    uint32_t block = (code - 1) / t->per_block;
    if (!piece_is_there(&t->is_there[block]))
        texts_unpack(t, block);
    uint64_t start = (code - 1) % t->per_block ? t->ends[code - 2] : t->blocks[block].plain_start;
    return str_n(t->plain + start, t->ends[code - 1] - start);
}

/*
 * The hash by which a text is found in the dictionaries of a partition, packed or not.  Texts come
 * from strangers, so the seed is the partition's generation, a number that was drawn for it and
 * leaves the index nowhere: who does not know it cannot make texts that all look for the same slot.
 */
static inline uint64_t dict_hash(uint64_t generation, struct str s)
{
    return hash64_seed(s.p, s.n, generation);
}

/* 0: not there.  hash: dict_hash of s. */
uint32_t texts_find(struct texts *t, struct str s, uint64_t hash);

/* Writes the entries that `entry` gives for 1 … count. */
typedef struct str texts_source(void *arg, uint32_t code);
bool texts_write(const char *path, uint64_t generation, uint32_t count, texts_source *entry,
                 void *arg, struct err *err);

/* The size that the file says it has, from its first bytes. */
bool texts_size(const uint8_t *bytes, size_t n, uint64_t *ret);

#endif
