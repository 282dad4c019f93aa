#ifndef SEARCH_COLUMNS_FORMAT_H
#define SEARCH_COLUMNS_FORMAT_H

#include <stdatomic.h>
#include <stdint.h>

/*
 * format - what lies on disk.  docs/search-index.md explains the idea.
 *
 *   DIR/head                      struct root_head
 *   DIR/head.synced               its durable copy, then the sum of all bytes before
 *   DIR/lock                      flock: one writer at a time
 *   DIR/sync-lock, maintenance, fill-lock
 *                                 flock: one sync, one compaction, one filling at a time; the
 *                                 text of the last two names who holds it
 *   DIR/aside/                    what was damaged, until it has been made again
 *   DIR/YYYYMMDD-REVISION/        a week, named by its Monday
 *       head                      struct part_head
 *       head.synced               its durable copy and the sums of the files (struct sums_head)
 *       FIELD.rows-V              a code, number or truth value per row
 *       FIELD.present             numbers: a bit per row
 *       FIELD.offsets, .bytes     dictionary: ends of the entries, the entries
 *       FIELD.hash-V              dictionary: entry -> code
 *       FIELD.element-…           lists: dictionary of the elements; the entries of the list's own
 *                                 dictionary are arrays of element codes
 *       _zones _dead _dead-at _row-of
 *
 * All numbers are in the byte order of the machine.  Heads are mapped and shared; every field
 * that a reader looks at while a writer works is atomic.  Each other file starts with a struct
 * file_head of 64 bytes.
 *
 * Version 2 added the sums.  An index of version 1 is set aside by the first writer and filled
 * again from the store.
 */
enum {
    FORMAT_VERSION = 2,
    FILE_HEAD_BYTES = 64,
    PARTS_MAX = 1024,
    COLUMNS_MAX = 512,
    COLUMN_NAME_MAX = 56,
    BLOCK_ROWS = 4096, /* rows of one zone */
    ROWS_MAX = 1 << 30,
    ROWS_FIRST = 1024, /* capacity of a new partition */
};

#define ROOT_MAGIC "DATILIX1"
#define PART_MAGIC "DATILPT1"
#define FILE_MAGIC "DATILCL1"

struct file_head {
    char magic[8];
    uint64_t generation; /* of the partition */
    uint32_t kind;       /* enum file_kind */
    uint32_t element_bytes;
    uint8_t reserved[40];
};
_Static_assert(sizeof(struct file_head) == FILE_HEAD_BYTES, "file head");

enum file_kind {
    FILE_ROWS = 1,
    FILE_PRESENT,
    FILE_OFFSETS,
    FILE_BYTES,
    FILE_HASH,
    FILE_ZONES,
    FILE_DEAD,
    FILE_DEAD_AT,
    FILE_ROW_OF,
};

/* See seal.h.  The sum is XXH3 over the used part of the head around this struct. */
struct head_seal {
    _Atomic uint64_t turn; /* odd while a writer is at it */
    _Atomic uint64_t sum;
};

struct dict_head {
    _Atomic uint64_t count; /* entries; codes run from 1 */
    _Atomic uint64_t hash;  /* bits << 32 | version of the file */
};

enum column_kind { COLUMN_DICT, COLUMN_LIST, COLUMN_NUMBER, COLUMN_BOOL };

struct column_head {
    char name[COLUMN_NAME_MAX];
    uint8_t kind;  /* enum column_kind */
    uint8_t index; /* enum index_kind */
    uint8_t reserved[6];
    _Atomic uint64_t rows; /* bytes per row << 32 | version of the file */
    struct dict_head dict;
    struct dict_head elements; /* COLUMN_LIST */
};

/* Row count as of a commit.  A writer fills the slot that is not current; readers take the newest
 * one that is not younger than their snapshot. */
struct row_slot {
    _Atomic uint64_t sequence; /* SLOT_VOID while it is written */
    _Atomic uint64_t rows;
};
#define SLOT_VOID UINT64_MAX

struct part_head {
    char magic[8];
    uint32_t format;
    int32_t week; /* Monday, days since 1970 */
    uint64_t generation;
    struct head_seal seal;
    _Atomic uint64_t row_cap;
    struct row_slot slots[2];
    _Atomic uint64_t dead_rows; /* a hint for housekeeping */
    _Atomic uint64_t changed;   /* sequence of the newest commit that touched it */
    _Atomic uint64_t synced;    /* value of `changed` that is known to be on disk */
    _Atomic uint32_t column_count;
    uint32_t reserved[5];
    struct column_head columns[COLUMNS_MAX];
};

struct zone {
    _Atomic int64_t min_us, max_us;
};

/*
 * DIR/WEEK/head.synced: struct part_head, struct sums_head, file_count struct sums_file,
 * block_count sums of eight bytes, and the sum of all bytes before.
 *
 * Columns and dictionaries only grow, so their bytes below the counts never change: they have a sum
 * per SUM_BLOCK bytes, which every sync extends (and looks at again before it does).  What is
 * changed in place and what lies behind the counts has a sum while nobody writes: `tail`, valid
 * as long as the turn of the head is `rest_turn`.
 */
enum { SUM_BLOCK = 65536, SUM_NAME_MAX = 80 };
#define SUMS_MAGIC "DATILSM1"

struct sums_head {
    char magic[8];
    uint64_t generation;
    uint64_t rest_turn; /* 0: the tails are not known */
    uint32_t file_count, block_count;
};

struct sums_file {
    char name[SUM_NAME_MAX];
    uint64_t covered; /* bytes from the start that have sums per block */
    uint64_t size;    /* of the file at rest */
    uint64_t tail; /* sum from `covered` to `size`, with the last byte if it is covered in part */
    uint32_t first_block, blocks;
    uint32_t last_bits; /* low bits of the last covered byte that count; 0: all */
    uint32_t reserved;
};

enum { PART_DAMAGED = 1 }; /* what this week held is lost until it has been filled again */

struct root_part {
    _Atomic int32_t week;
    _Atomic uint32_t revision; /* 0: no folder at the moment */
    _Atomic uint32_t flags;
};

/* What the writer at work is about to commit: lets the next one finish or undo it. */
struct intent {
    _Atomic uint64_t sequence; /* 0: none */
    int32_t new_week, old_week;
    uint64_t new_row, old_row; /* + 1; 0: none */
};

struct root_head {
    char magic[8];
    uint32_t format;
    _Atomic uint32_t part_count;
    struct head_seal seal;
    _Atomic uint64_t sequence;             /* of the newest commit; storing it is the commit */
    _Atomic uint64_t parts_stamp;          /* changes with the table of partitions */
    _Atomic uint64_t synced, synced_stamp; /* sequence and parts_stamp of the last sync */
    _Atomic uint32_t next_revision;
    uint32_t reserved;
    char boot_id[40]; /* of the machine when this was last opened for writing */
    struct intent intent;
    /* Each crash with a ledger number up to this was put before the last sync; -1: not known. */
    _Atomic int64_t ledger_seq;
    _Atomic uint64_t
        is_rolled_back; /* what came later is to be put again before ledger_seq grows */
    /* Losses counted: crashes may be missing until filled == losses, all of them until
     * filled >= lost_all. */
    _Atomic uint64_t losses, filled, lost_all;
    _Atomic int64_t fill_began_us, fill_ended_us; /* the last filling; ended 0: not yet */
    _Atomic uint64_t fill_looked, fill_total, fill_put;
    _Atomic int64_t scrub_began_us, scrub_ended_us;
    _Atomic uint64_t scrub_damage;     /* partitions it set aside */
    struct root_part parts[PARTS_MAX]; /* sorted by nothing; never shrinks */
};

#endif
