#ifndef SEARCH_COLUMNS_COMMIT_H
#define SEARCH_COLUMNS_COMMIT_H

#include <stdatomic.h>
#include <stdbool.h>

#include "lib/search/columns/format.h"

/*
 * commit - every store that a reader may see while it is made, and every load of such a store.
 *
 * Readers have no lock and writers may be killed between any two stores, so what the index promises
 * is an order of stores.  That order stands in commit.c and nowhere else: the rest of this folder
 * calls the operations below and holds no atomic of its own (`make lint` sees to it; the fields are
 * wrapped in struct shared_…, so a plain access does not compile).  docs/index-commit.md says what
 * a reader may assume, and why; tests/unit/test_search_commit.c tries it with a kill and with a
 * reader between any two steps.
 *
 * Threads    Operations that store are for the holder of the index's lock, those that load are for
 *            everybody.  On a private copy of a head anybody may do both.
 * Order      Unless it is said otherwise a load sees everything that was stored before the value
 *            that it finds (acquire), and a store is seen after everything that was stored before
 *            it (release).
 */

/* The seal of a head: a writer opens it before its first store into the head, which makes the turn
 * odd, and closes it after the last one, sum first, then the next even turn.  So an even turn with
 * a sum that does not fit is damage; an odd one says that a writer is at work or was killed. */
enum head_type { HEAD_ROOT, HEAD_PART };
enum seal_state { SEAL_GOOD, SEAL_OPEN, SEAL_BROKEN };

enum seal_state seal_look(enum head_type type, const void *head);
/* Of a partition in its index, where it is open only while the index is: SEAL_BROKEN as well if it
 * is open and nobody has opened it. */
enum seal_state seal_look_part(const struct root_head *root, const struct part_head *part);
void seal_open(enum head_type type, void *head);
void seal_close(enum head_type type, void *head);
uint64_t seal_turn(enum head_type type, const void *head);
/* For a head that was put back from a copy: the turn goes on from where it was. */
void seal_set_turn(enum head_type type, void *head, uint64_t turn);

/* A row that a commit makes visible or kills, with what of its partition the commit changes. */
struct commit_row {
    struct part_head *part; /* NULL: none */
    struct shared_u64 *dead, *dead_at;
    struct shared_u32 *row_of;
    uint64_t row;
    uint32_t code; /* of its crash id */
    uint32_t gone; /* what _row-of says of a crash without a row here: 0, or ROW_OF_GONE */
};

/*
 * A commit: `new` becomes visible and `old` dies, in all partitions at once.  Everything that the
 * row consists of has been written before.  Its steps, in the order that the page explains, so
 * that the model test can stop between them and change their order.
 */
struct commit {
    struct root_head *head;
    uint64_t sequence; /* of this commit: one more than that of the newest */
    struct commit_row new, old;
};
enum { COMMIT_STEPS = 12 };
struct commit_step {
    const char *name;
    void (*act)(const struct commit *c);
};
extern const struct commit_step commit_steps[COMMIT_STEPS];
void commit_do(const struct commit *c);

/* The newest commit.  A reader loads it once; it is the snapshot. */
uint64_t commit_sequence(const struct root_head *h);

/* What a killed writer had announced; sequence 0: nothing, its last commit is whole. */
struct announced {
    uint64_t sequence;
    int32_t new_week, old_week;
    uint64_t new_row, old_row; /* + 1; 0: none */
};
struct announced commit_announced(const struct root_head *h);
void commit_withdraw(struct root_head *h);
/* Of a head that is made or put back: this is the newest commit, and nothing is announced. */
void commit_set_sequence(struct root_head *h, uint64_t sequence);

/* Rows of a partition as of commit `sequence`; false if both counts are younger: take a new
 * snapshot. */
bool rows_as_of(const struct part_head *h, uint64_t sequence, uint64_t *ret_rows);
/* Of a new partition: no row, as of every commit. */
void rows_begin(struct part_head *h);
void rows_publish(struct part_head *h, uint64_t sequence, uint64_t rows);
/* Row counts of commits that did not happen. */
void rows_void_since(struct part_head *h, uint64_t sequence);
/* For how many rows the files of the partition have room. */
uint64_t rows_room(const struct part_head *h);
void rows_set_room(struct part_head *h, uint64_t rows);

/* Tombstones.  The bit says "look", the number since which commit the row is dead. */
void tomb_set(struct part_head *h, struct shared_u64 *dead, struct shared_u64 *dead_at,
              uint64_t row, uint64_t sequence);
void tomb_clear(struct shared_u64 *dead, struct shared_u64 *dead_at, uint64_t row);
/* A death that was not committed; the bit may stay. */
void tomb_undo(struct shared_u64 *dead_at, uint64_t row);
/* A row that is dead, whose bit may have been lost. */
void tomb_remark(struct shared_u64 *dead, uint64_t row);
/* Dead rows as housekeeping counts them: a hint. */
uint64_t tombs_count(const struct part_head *h);
void tombs_set_count(struct part_head *h, uint64_t n);

/* The newest commit that changed a partition, and the one that is known to be on disk. */
uint64_t part_changed(const struct part_head *h);
void part_set_changed(struct part_head *h, uint64_t sequence);
uint64_t part_synced(const struct part_head *h);
void part_set_synced(struct part_head *h, uint64_t sequence);

/* Columns of a partition: written completely before they count. */
uint32_t columns_count(const struct part_head *h);
void columns_set_count(struct part_head *h, uint32_t n);
/* Which file holds the rows of a column, and how wide they are.  The file is complete before it is
 * named, and the one before it stays until the next sync. */
struct file_name {
    uint32_t width; /* bytes per row; bits of a hash table */
    uint32_t version;
};
static inline bool file_is(struct file_name a, struct file_name b)
{
    return a.width == b.width && a.version == b.version;
}
struct file_name column_file(const struct column_head *c);
void column_set_file(struct column_head *c, struct file_name file);

/* Entries of a dictionary: bytes, end, hash slot, count, in this order. */
uint64_t dict_entries(const struct dict_head *d);
void dict_set_entries(struct dict_head *d, uint64_t n);
struct file_name dict_hash_file(const struct dict_head *d);
void dict_set_hash_file(struct dict_head *d, struct file_name file);

/* The dates of a block: widened before the row counts, so a reader never skips a row of its
 * snapshot; a row that is not committed makes them wider than need be. */
void zone_widen(struct zone *z, int64_t date_us, bool is_first);

/*
 * The table of partitions.  `table_change` makes the stamp odd, stores the entry and makes it even
 * again: a reader that finds the same even stamp before and after knows that the partitions it has
 * opened are those of the table.  Index table_count() appends.
 */
struct table_entry {
    int32_t week;
    uint32_t revision; /* 0: no folder */
    uint32_t flags;
};
uint64_t table_stamp(const struct root_head *h);
uint32_t table_count(const struct root_head *h);
struct table_entry table_entry(const struct root_head *h, size_t i);
enum { TABLE_STEPS = 6 };
struct table_step {
    const char *name;
    void (*act)(struct root_head *h, size_t i, struct table_entry to);
};
extern const struct table_step table_steps[TABLE_STEPS];
void table_change(struct root_head *h, size_t i, struct table_entry to);
/* Of an entry alone: nobody has to open anything for it. */
void table_clear_flag(struct root_head *h, size_t i, uint32_t flag);
/* If a writer died within table_change: forgets an entry that does not count yet, and makes the
 * stamp even, so that everybody looks again. */
void table_settle(struct root_head *h);
/* Everybody opens every partition again. */
void table_renew(struct root_head *h);
/* Nothing counts any more; a head that is being made. */
void table_forget(struct root_head *h);
/* Zeroes the entries behind the count, which mean nothing. */
void table_clear_rest(struct root_head *h);
uint32_t table_take_revision(struct root_head *h);
/* Folders up to here exist or have existed. */
void table_skip_revisions(struct root_head *h, uint32_t next);
uint32_t table_next_revision(const struct root_head *h);

/* Which commit and which table the last sync has on disk. */
bool sync_is_due(const struct root_head *h);
void sync_note(struct root_head *h, uint64_t sequence, uint64_t stamp);
bool sync_was(const struct root_head *h);
/* The next sync writes everything. */
void sync_forget(struct root_head *h);

/* What follows is small and asked for every row or value. */
static inline bool tomb_is_marked(const struct shared_u64 *dead, uint64_t row)
{
    return atomic_load_explicit(&dead[row / 64].shared, memory_order_relaxed) >> (row % 64) & 1;
}

/* 64 of the bits; 0: none of these rows is dead. */
static inline uint64_t tomb_word(const struct shared_u64 *dead, uint64_t row)
{
    return atomic_load_explicit(&dead[row / 64].shared, memory_order_relaxed);
}

/* 0: it lives.  Whoever loads the newest commit next finds at least the one before this death. */
static inline uint64_t tomb_died_at(const struct shared_u64 *dead_at, uint64_t row)
{
    return atomic_load_explicit(&dead_at[row].shared, memory_order_acquire);
}

static inline bool tomb_is_dead(const struct shared_u64 *dead, const struct shared_u64 *dead_at,
                                uint64_t row, uint64_t sequence)
{
    if (!tomb_is_marked(dead, row))
        return false;
    uint64_t died = tomb_died_at(dead_at, row);
    return died != 0 && died <= sequence;
}

/* The row of a crash, + 1; 0: none.  Stored after the commit, so a reader may find the one before
 * or one behind its snapshot. */
static inline uint32_t row_of_code(const struct shared_u32 *row_of, uint32_t code)
{
    return atomic_load_explicit(&row_of[code - 1].shared, memory_order_acquire);
}

static inline void row_of_set(struct shared_u32 *row_of, uint32_t code, uint32_t row_and_1)
{
    atomic_store_explicit(&row_of[code - 1].shared, row_and_1, memory_order_release);
}

/* A piece of a dictionary that this process has unpacked: set after its bytes were written. */
static inline bool piece_is_there(const struct shared_u32 *piece)
{
    return atomic_load_explicit(&piece->shared, memory_order_acquire) != 0;
}

static inline void piece_set(struct shared_u32 *piece, bool is_there)
{
    atomic_store_explicit(&piece->shared, is_there, memory_order_release);
}

static inline int64_t zone_min(const struct zone *z)
{
    return atomic_load_explicit(&z->min_us.shared, memory_order_relaxed);
}

static inline int64_t zone_max(const struct zone *z)
{
    return atomic_load_explicit(&z->max_us.shared, memory_order_relaxed);
}

/* A slot of a hash table.  Relaxed: its code counts only below the count of entries. */
static inline uint64_t slot_load(const struct shared_u64 *slot)
{
    return atomic_load_explicit(&slot->shared, memory_order_relaxed);
}

static inline void slot_store(struct shared_u64 *slot, uint64_t value)
{
    atomic_store_explicit(&slot->shared, value, memory_order_relaxed);
}

/* Numbers of the head that stand by themselves. */
static inline int64_t fact(const struct root_head *h, enum fact which)
{
    return (int64_t)atomic_load_explicit(&h->facts[which].shared, memory_order_acquire);
}

static inline void fact_set(struct root_head *h, enum fact which, int64_t value)
{
    atomic_store_explicit(&h->facts[which].shared, (uint64_t)value, memory_order_release);
}

#endif
