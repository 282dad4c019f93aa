/*
 * The commit protocol of the index: the order of all stores that somebody without a lock may see.
 *
 * One number is the commit.  A writer prepares everything above the counts, where nobody looks,
 * and announces what it is about to do; tombstones and row counts carry the number of the commit,
 * so they mean nothing to a reader whose number is smaller; then the number is stored, and all of
 * it holds, in every partition.  A writer that is killed before that store has changed nothing, one
 * that is killed after it has changed everything; what it had announced tells the next writer which
 * of the two it was and what is left to do (recover.c).
 *
 * Every step is one store.  Which neighbours may change places and which may not is written down,
 * and tried out, in tests/unit/test_search_commit.c.
 *
 * Plain loads and stores of one aligned word are enough on the machines we know; what is needed
 * beyond that is order.  A release store may not move before what was written earlier, an acquire
 * load may not move behind what is read later, and on amd64 both cost nothing.  Where a store must
 * not be overtaken by later ones either (the turn of a seal, the stamp of the table), it is an
 * addition, which is a full barrier.
 */
#include "lib/search/columns/commit.h"

#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/util.h"

static uint64_t load(const struct shared_u64 *s)
{
    return atomic_load_explicit(&s->shared, memory_order_acquire);
}

static void store(struct shared_u64 *s, uint64_t v)
{
    atomic_store_explicit(&s->shared, v, memory_order_release);
}

static uint32_t load32(const struct shared_u32 *s)
{
    return atomic_load_explicit(&s->shared, memory_order_acquire);
}

static void store32(struct shared_u32 *s, uint32_t v)
{
    atomic_store_explicit(&s->shared, v, memory_order_release);
}

/*
 * The sum of a seal covers the bytes of a head that are in use: up to the last column, up to the
 * last partition of the table.  That is 2.6 KB for a partition of 25 columns, 0.2 us each time
 * (tests/bench/search), so every put can afford to check the heads it changes and to close them
 * again.  The turn is the seed of the sum: a flipped bit in the turn shows as well.
 * A reader looks LOOKS times, since a writer may be at work at the first.
 */
enum { LOOKS = 3 };

/* Where in a head the seal is, and what of the head is in use. */
static const struct head_layout {
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
    const struct head_layout *l = &layouts[type];
    const uint8_t *bytes = head;
    const struct shared_u32 *count = (const void *)(bytes + l->count);
    uint32_t n = atomic_load_explicit(&count->shared, memory_order_relaxed);
    size_t from = l->seal + sizeof(struct head_seal);
    size_t to = l->array + MIN(n, l->max) * l->element;
    return hash64_seed(bytes + from, to - from, hash64_seed(bytes, l->seal, turn));
}

/* The sum counts only if the turn is the same before and after it was made: a sequence lock. */
enum seal_state seal_look(enum head_type type, const void *head)
{
    const struct head_seal *s = seal_in(type, head);
    for (int i = 0; i < LOOKS; i++) {
        uint64_t turn = load(&s->turn);
        if (turn % 2)
            return SEAL_OPEN;
        uint64_t sum = sum_of(type, head, turn);
        uint64_t want = atomic_load_explicit(&s->sum.shared, memory_order_relaxed);
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&s->turn.shared, memory_order_relaxed) == turn)
            return sum == want ? SEAL_GOOD : SEAL_BROKEN;
    }
    return SEAL_OPEN; /* changes faster than we can look: somebody is at work */
}

/*
 * The lowest bit of a turn is the one flip that the sum does not show, for nobody looks at the sum
 * of an open head.  But a writer opens the head of the index first and closes it last, and one that
 * died has left it open: if the index was closed all the time while its partition was open, no
 * writer has done that.
 */
enum seal_state seal_look_part(const struct root_head *root, const struct part_head *part)
{
    uint64_t turn = load(&root->seal.turn);
    enum seal_state state = seal_look(HEAD_PART, part);
    if (state == SEAL_OPEN && turn % 2 == 0 && load(&root->seal.turn) == turn)
        return SEAL_BROKEN;
    return state;
}

void seal_open(enum head_type type, void *head)
{
    struct head_seal *s = seal_in(type, head);
    if (atomic_load_explicit(&s->turn.shared, memory_order_relaxed) % 2 == 0)
        atomic_fetch_add(&s->turn.shared, 1); /* a full barrier: no store into the head before it */
}

/* The turn becomes even with the release of everything before it: whoever sees it sees the sum. */
void seal_close(enum head_type type, void *head)
{
    struct head_seal *s = seal_in(type, head);
    uint64_t turn = atomic_load_explicit(&s->turn.shared, memory_order_relaxed) | 1;
    atomic_store_explicit(&s->sum.shared, sum_of(type, head, turn + 1), memory_order_relaxed);
    store(&s->turn, turn + 1);
}

uint64_t seal_turn(enum head_type type, const void *head)
{
    return load(&seal_in(type, head)->turn);
}

/* A turn that went back would make old sums of resting files look valid. */
void seal_set_turn(enum head_type type, void *head, uint64_t turn)
{
    store(&seal_in(type, head)->turn, turn);
}

/* The slot that is not current: void or older.  It stays the same while it is being filled. */
static struct row_slot *spare_slot(struct part_head *h)
{
    uint64_t one = load(&h->slots[0].sequence), other = load(&h->slots[1].sequence);
    bool is_second = other == SLOT_VOID || (one != SLOT_VOID && other < one);
    return &h->slots[is_second];
}

/* Plain stores: only the holder of the lock reads them, and only if the number says so. */
static void announce_rows(const struct commit *c)
{
    struct intent *in = &c->head->intent;
    in->new_week = c->new.part ? c->new.part->week : 0;
    in->new_row = c->new.part ? c->new.row + 1 : 0;
    in->old_week = c->old.part ? c->old.part->week : 0;
    in->old_row = c->old.part ? c->old.row + 1 : 0;
}

static void announce(const struct commit *c)
{
    store(&c->head->intent.sequence, c->sequence);
}

static void kill_old(const struct commit *c)
{
    if (c->old.part)
        atomic_store_explicit(&c->old.dead_at[c->old.row].shared, c->sequence,
                              memory_order_relaxed);
}

static void mark_old(const struct commit *c)
{
    if (c->old.part)
        atomic_fetch_or_explicit(&c->old.dead[c->old.row / 64].shared,
                                 (uint64_t)1 << (c->old.row % 64), memory_order_release);
}

/* For housekeeping: how many rows a compaction would save, and that a sync is due. */
static void note_change(const struct commit *c)
{
    if (c->old.part) {
        tombs_set_count(c->old.part, tombs_count(c->old.part) + 1);
        part_set_changed(c->old.part, c->sequence);
    }
    if (c->new.part)
        part_set_changed(c->new.part, c->sequence);
}

static void void_slot(const struct commit *c)
{
    if (c->new.part)
        store(&spare_slot(c->new.part)->sequence, SLOT_VOID);
}

static void fill_slot(const struct commit *c)
{
    if (c->new.part)
        store(&spare_slot(c->new.part)->rows, c->new.row + 1);
}

static void date_slot(const struct commit *c)
{
    if (c->new.part)
        store(&spare_slot(c->new.part)->sequence, c->sequence);
}

static void store_number(const struct commit *c)
{
    store(&c->head->sequence, c->sequence);
}

/* In the same partition the code of the crash is the same, and the next step overwrites it. */
static void unlink_old(const struct commit *c)
{
    if (c->old.part && c->old.part != c->new.part)
        row_of_set(c->old.row_of, c->old.code, c->old.gone);
}

static void link_new(const struct commit *c)
{
    if (c->new.part)
        row_of_set(c->new.row_of, c->new.code, (uint32_t)c->new.row + 1);
}

static void withdraw(const struct commit *c)
{
    commit_withdraw(c->head);
}

const struct commit_step commit_steps[COMMIT_STEPS] = {
    {"say which rows", announce_rows},
    {"say which commit", announce},
    {"tombstone: the number", kill_old},
    {"tombstone: the bit", mark_old},
    {"note the change", note_change},
    {"row count: void", void_slot},
    {"row count: the count", fill_slot},
    {"row count: the number", date_slot},
    {"the commit", store_number},
    {"crash to row: the old one goes", unlink_old},
    {"crash to row: the new one", link_new},
    {"nothing announced", withdraw},
};

/* All steps, in their order. */
void commit_do(const struct commit *c)
{
    for (size_t i = 0; i < COMMIT_STEPS; i++)
        commit_steps[i].act(c);
}

uint64_t commit_sequence(const struct root_head *h)
{
    return load(&h->sequence);
}

struct announced commit_announced(const struct root_head *h)
{
    const struct intent *in = &h->intent;
    return (struct announced){.sequence = load(&in->sequence),
                              .new_week = in->new_week,
                              .old_week = in->old_week,
                              .new_row = in->new_row,
                              .old_row = in->old_row};
}

void commit_withdraw(struct root_head *h)
{
    store(&h->intent.sequence, 0);
}

void commit_set_sequence(struct root_head *h, uint64_t sequence)
{
    store(&h->sequence, sequence);
    commit_withdraw(h);
}

/*
 * The two newest counts are kept, since a reader may hold the number before the newest.  Both slots
 * are loaded, and their numbers once more behind the counts.  A writer voids a slot before it fills
 * it and takes the two in turns, so numbers that are the same before and after stood there
 * together, with these counts; a reader that looked at one slot after the other could miss the
 * count of its commit in the second, after two more commits, and take the one before from the
 * first.
 */
bool rows_as_of(const struct part_head *h, uint64_t sequence, uint64_t *ret_rows)
{
    const struct row_slot *s = h->slots;
    for (int i = 0; i < LOOKS; i++) {
        uint64_t at[2] = {load(&s[0].sequence), load(&s[1].sequence)};
        uint64_t rows[2] = {load(&s[0].rows), load(&s[1].rows)};
        if (load(&s[0].sequence) != at[0] || load(&s[1].sequence) != at[1])
            continue;
        bool is_second = at[0] > sequence || (at[1] <= sequence && at[1] > at[0]);
        if (at[is_second] > sequence)
            return false; /* void slots are greater than any number */
        *ret_rows = rows[is_second];
        return true;
    }
    return false;
}

void rows_begin(struct part_head *h)
{
    store(&h->slots[0].rows, 0);
    store(&h->slots[0].sequence, 0);
    store(&h->slots[1].sequence, SLOT_VOID);
}

void rows_publish(struct part_head *h, uint64_t sequence, uint64_t rows)
{
    struct row_slot *s = spare_slot(h);
    store(&s->sequence, SLOT_VOID);
    store(&s->rows, rows);
    store(&s->sequence, sequence);
}

/*
 * After a kill before the commit: a later commit would take the same number and bring the row count
 * to life that nobody committed.
 */
void rows_void_since(struct part_head *h, uint64_t sequence)
{
    for (int i = 0; i < 2; i++)
        if (load(&h->slots[i].sequence) > sequence)
            store(&h->slots[i].sequence, SLOT_VOID);
}

uint64_t rows_room(const struct part_head *h)
{
    return load(&h->row_cap);
}

void rows_set_room(struct part_head *h, uint64_t rows)
{
    store(&h->row_cap, rows);
}

void tomb_set(struct part_head *h, struct shared_u64 *dead, struct shared_u64 *dead_at,
              uint64_t row, uint64_t sequence)
{
    struct commit c = {.sequence = sequence,
                       .old = {.part = h, .dead = dead, .dead_at = dead_at, .row = row}};
    kill_old(&c);
    mark_old(&c);
    note_change(&c);
}

/*
 * Before a row is committed: a killed writer may have had a row at the same place, and buried it.
 */
void tomb_clear(struct shared_u64 *dead, struct shared_u64 *dead_at, uint64_t row)
{
    tomb_undo(dead_at, row);
    atomic_fetch_and(&dead[row / 64].shared, ~((uint64_t)1 << (row % 64)));
}

void tomb_undo(struct shared_u64 *dead_at, uint64_t row)
{
    store(&dead_at[row], 0);
}

void tomb_remark(struct shared_u64 *dead, uint64_t row)
{
    atomic_fetch_or(&dead[row / 64].shared, (uint64_t)1 << (row % 64));
}

uint64_t tombs_count(const struct part_head *h)
{
    return load(&h->dead_rows);
}

void tombs_set_count(struct part_head *h, uint64_t n)
{
    store(&h->dead_rows, n);
}

uint64_t part_changed(const struct part_head *h)
{
    return load(&h->changed);
}

void part_set_changed(struct part_head *h, uint64_t sequence)
{
    store(&h->changed, sequence);
}

uint64_t part_synced(const struct part_head *h)
{
    return load(&h->synced);
}

void part_set_synced(struct part_head *h, uint64_t sequence)
{
    store(&h->synced, sequence);
}

uint32_t columns_count(const struct part_head *h)
{
    return load32(&h->column_count);
}

void columns_set_count(struct part_head *h, uint32_t n)
{
    store32(&h->column_count, n);
}

/* Width and version are one number on disk, so a reader never has one of each. */
static struct file_name file_of(const struct shared_u64 *s)
{
    uint64_t both = load(s);
    return (struct file_name){(uint32_t)(both >> 32), (uint32_t)both};
}

static void set_file(struct shared_u64 *s, struct file_name f)
{
    store(s, (uint64_t)f.width << 32 | f.version);
}

struct file_name column_file(const struct column_head *c)
{
    return file_of(&c->rows);
}

void column_set_file(struct column_head *c, struct file_name file)
{
    set_file(&c->rows, file);
}

uint64_t dict_entries(const struct dict_head *d)
{
    return load(&d->count);
}

void dict_set_entries(struct dict_head *d, uint64_t n)
{
    store(&d->count, n);
}

struct file_name dict_hash_file(const struct dict_head *d)
{
    return file_of(&d->hash);
}

void dict_set_hash_file(struct dict_head *d, struct file_name file)
{
    set_file(&d->hash, file);
}

/*
 * The first row of a block sets both ends: whatever stands there is of a row that was never
 * committed.
 */
void zone_widen(struct zone *z, int64_t date_us, bool is_first)
{
    if (is_first || date_us < zone_min(z))
        atomic_store(&z->min_us.shared, date_us);
    if (is_first || date_us > zone_max(z))
        atomic_store(&z->max_us.shared, date_us);
}

uint64_t table_stamp(const struct root_head *h)
{
    return load(&h->parts_stamp);
}

uint32_t table_count(const struct root_head *h)
{
    return load32(&h->part_count);
}

/* The revision is stored last, so it is loaded first: week and flags belong to it or to a later
 * one, which the stamp then shows. */
struct table_entry table_entry(const struct root_head *h, size_t i)
{
    struct table_entry e = {.revision = load32(&h->parts[i].revision)};
    e.week = (int32_t)load32(&h->parts[i].week);
    e.flags = load32(&h->parts[i].flags);
    return e;
}

static void stamp_odd(struct root_head *h, size_t i, struct table_entry to)
{
    (void)i, (void)to;
    if (table_stamp(h) % 2 == 0)
        atomic_fetch_add(&h->parts_stamp.shared, 1); /* a full barrier: no entry comes before it */
}

static void set_week(struct root_head *h, size_t i, struct table_entry to)
{
    store32(&h->parts[i].week, (uint32_t)to.week);
}

static void set_flags(struct root_head *h, size_t i, struct table_entry to)
{
    store32(&h->parts[i].flags, to.flags);
}

static void set_revision(struct root_head *h, size_t i, struct table_entry to)
{
    store32(&h->parts[i].revision, to.revision);
}

static void count_entry(struct root_head *h, size_t i, struct table_entry to)
{
    (void)to;
    if (i == table_count(h))
        store32(&h->part_count, (uint32_t)i + 1);
}

static void stamp_even(struct root_head *h, size_t i, struct table_entry to)
{
    (void)i, (void)to;
    if (table_stamp(h) % 2 == 1)
        atomic_fetch_add(&h->parts_stamp.shared, 1);
}

const struct table_step table_steps[TABLE_STEPS] = {
    {"the stamp becomes odd", stamp_odd},
    {"week", set_week},
    {"flags", set_flags},
    {"revision", set_revision},
    {"the entry counts", count_entry},
    {"the stamp becomes even", stamp_even},
};

void table_change(struct root_head *h, size_t i, struct table_entry to)
{
    for (size_t step = 0; step < TABLE_STEPS; step++)
        table_steps[step].act(h, i, to);
}

void table_clear_flag(struct root_head *h, size_t i, uint32_t flag)
{
    atomic_fetch_and(&h->parts[i].flags.shared, ~flag);
}

void table_settle(struct root_head *h)
{
    if (table_stamp(h) % 2 == 0)
        return;
    table_clear_rest(h);
    atomic_fetch_add(&h->parts_stamp.shared, 1);
}

void table_renew(struct root_head *h)
{
    atomic_fetch_add(&h->parts_stamp.shared, 2 - table_stamp(h) % 2);
}

void table_forget(struct root_head *h)
{
    store32(&h->part_count, 0);
}

/* By memset: no reader looks behind the count. */
void table_clear_rest(struct root_head *h)
{
    uint32_t n = table_count(h);
    memset((void *)&h->parts[n], 0, (PARTS_MAX - n) * sizeof h->parts[0]);
}

/* Given once and never again, so a folder of a killed writer is never taken for a new one. */
uint32_t table_take_revision(struct root_head *h)
{
    return atomic_fetch_add(&h->next_revision.shared, 1);
}

void table_skip_revisions(struct root_head *h, uint32_t next)
{
    if (next > table_next_revision(h))
        store32(&h->next_revision, next);
}

uint32_t table_next_revision(const struct root_head *h)
{
    return load32(&h->next_revision);
}

bool sync_is_due(const struct root_head *h)
{
    return load(&h->synced) != commit_sequence(h) || load(&h->synced_stamp) != table_stamp(h);
}

void sync_note(struct root_head *h, uint64_t sequence, uint64_t stamp)
{
    store(&h->synced, sequence);
    store(&h->synced_stamp, stamp);
}

void sync_forget(struct root_head *h)
{
    store(&h->synced, 0);
}

bool sync_was(const struct root_head *h)
{
    return load(&h->synced) != 0;
}
