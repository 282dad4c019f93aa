#ifndef SEARCH_COLUMNS_FORMAT_H
#define SEARCH_COLUMNS_FORMAT_H

#include <stddef.h>
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
 *   DIR/numbering-lock            flock: one process at a time makes numberings
 *   DIR/numbering/FIELD           struct numbering_head and what it counts (numbering.h)
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
 *       FIELD.packed              packed weeks: the first rows of the column (struct packed_head)
 *       FIELD.texts, .element-texts
 *                                 and the first entries of its dictionary (struct texts_head)
 *
 * All numbers are in the byte order of the machine.  Heads are mapped and shared; every field
 * that a reader looks at while a writer works is a `struct shared_…`, which only the operations of
 * commit.h can read and write.  Each other file starts with a struct file_head of 64 bytes.
 *
 * Version 2 added the sums, version 3 a seed to the hashes of dictionaries (dict_hash).  An index
 * of a version before is made anew by the first writer and filled from the store.  A packed week is
 * of version 4 and lies beside weeks of version 3: its first `packed_rows` rows and the entries of
 * dictionaries that these use are in files that never change, and every other file is as in version
 * 3, counted from the first row and the first entry, with a hole where the packed ones would be. Of
 * _row-of an entry 0 stands for a packed row that has not been replaced: those have codes of crash
 * ids in the order of the rows.
 */
enum {
    FORMAT_VERSION = 3,
    FORMAT_PACKED = 4, /* of a partition */
    FILE_HEAD_BYTES = 64,
    PARTS_MAX = 1024,  /* weeks: nineteen years */
    COLUMNS_MAX = 512, /* SEARCH_FIELDS_MAX, element columns of lists and some to spare */
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
    FILE_PACKED,
    FILE_TEXTS,
};

struct shared_u32 {
    _Atomic uint32_t shared;
};
struct shared_u64 {
    _Atomic uint64_t shared;
};
struct shared_i64 {
    _Atomic int64_t shared;
};

/* See commit.h.  The sum is XXH3 over the used part of the head around this struct. */
struct head_seal {
    struct shared_u64 turn; /* odd while a writer is at it */
    struct shared_u64 sum;
};

struct dict_head {
    struct shared_u64 count; /* entries; codes run from 1 */
    struct shared_u64 hash;  /* bits << 32 | version of the file */
};

enum column_kind { COLUMN_DICT, COLUMN_LIST, COLUMN_NUMBER, COLUMN_BOOL };

struct column_head {
    char name[COLUMN_NAME_MAX];
    uint8_t kind;      /* enum column_kind */
    uint8_t index;     /* enum index_kind */
    uint8_t is_packed; /* its first packed_rows rows are in FIELD.packed */
    uint8_t reserved[5];
    struct shared_u64 rows; /* bytes per row << 32 | version of the file */
    struct dict_head dict;
    struct dict_head elements; /* COLUMN_LIST */
};

/* Row count as of a commit.  A writer fills the slot that is not current; readers take the newest
 * one that is not younger than their snapshot. */
struct row_slot {
    struct shared_u64 sequence; /* SLOT_VOID while it is written */
    struct shared_u64 rows;
};
#define SLOT_VOID UINT64_MAX

/* In _row-of: a packed row that is dead, without another one for its crash. */
#define ROW_OF_GONE UINT32_MAX

struct part_head {
    char magic[8];
    uint32_t format;
    int32_t week; /* Monday, days since 1970 */
    uint64_t generation;
    struct head_seal seal;
    struct shared_u64 row_cap;
    struct row_slot slots[2];
    struct shared_u64 dead_rows; /* a hint for housekeeping */
    struct shared_u64 changed;   /* sequence of the newest commit that touched it */
    struct shared_u64 synced;    /* value of `changed` that is known to be on disk */
    struct shared_u32 column_count;
    uint32_t packed_rows; /* never changes; 0: an open week */
    uint32_t reserved[4];
    struct column_head columns[COLUMNS_MAX];
};

/*
 * FIELD.packed: struct file_head, struct packed_head, a struct packed_block for each BLOCK_ROWS
 * rows, and what these point to.  The number of row i of a block is base + unit * (step * i + its
 * bits), see bits.h; behind the bits of a block lies, where some rows have a number and others
 * none, a bit for each.
 */
enum packed_presence { PRESENT_ALL, PRESENT_NONE, PRESENT_BITS };

struct packed_head {
    uint64_t bytes; /* of the whole file */
    uint64_t rows;
    uint64_t sum; /* of the two numbers before and of the blocks */
};

struct packed_block {
    uint64_t base, unit;
    uint32_t step;
    uint32_t at; /* in units of PACKED_ALIGN from the start of the file */
    uint8_t width;
    uint8_t presence; /* enum packed_presence */
    uint8_t reserved[6];
};
enum { PACKED_ALIGN = 8 };

/*
 * FIELD.texts: struct file_head, struct texts_head, a struct texts_block for each `per_block`
 * entries, the table from hash to code, and the blocks.  The table has bucket_count + 1 places,
 * where the entries of each bucket begin, a byte of the hash of each entry, and the code of each,
 * packed as in bits.h by blocks of BLOCK_ROWS.
 */
enum texts_kind {
    TEXTS_PLAIN, /* lengths of four bytes each, then the texts */
    TEXTS_ZSTD,  /* the same, compressed */
    TEXTS_IDS,   /* of crash ids: which of their 16 bytes are the same in all, those, the others */
};

struct texts_head {
    uint64_t bytes;       /* of the whole file */
    uint64_t plain_bytes; /* of all texts, unpacked */
    uint32_t count, per_block, block_count, bucket_count;
    uint64_t sum; /* of the numbers before and of the blocks */
};

struct texts_block {
    uint64_t at;          /* from the start of the file */
    uint64_t plain_start; /* in all texts, unpacked */
    uint64_t sum;         /* of its bytes */
    uint32_t bytes, plain_bytes;
    uint32_t kind; /* enum texts_kind */
    uint32_t reserved;
};

struct zone {
    struct shared_i64 min_us, max_us;
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

/*
 * DIR/numbering/FIELD: struct numbering_head, part_count struct numbering_part, then
 *
 *   uint64_t places[id_count]     where the text of id 1, 2, … is: index among the parts here << 32
 *                                 | code
 *   uint64_t table[2^table_bits]  of a struct tagmap (lib/base/map.h), from texts to ids; the hash
 *                                 is XXH3 with the seed
 *   uint32_t ids[codes + 1]       for each part: the id of each code, 0 of code 0
 *
 * It says nothing that the dictionaries do not say, so what does not fit is not used.
 */
enum { NUMBERING_FORMAT = 1 };
#define NUMBERING_MAGIC "DATILNU1"

struct numbering_head {
    char magic[8];
    uint64_t sum; /* XXH3 of all bytes behind it */
    uint64_t bytes;
    uint64_t seed;
    char field[COLUMN_NAME_MAX];
    uint32_t format;
    uint32_t part_count, id_count, table_bits;
    uint32_t reserved[6];
};
_Static_assert(sizeof(struct numbering_head) == 128, "numbering head");

struct numbering_part {
    uint64_t generation; /* of the partition, which no other has */
    uint64_t last;       /* XXH3 of the text of its last code here */
    uint32_t codes;      /* 1 to this one are numbered */
    uint32_t reserved;
};

enum { PART_DAMAGED = 1 }; /* what this week held is lost until it has been filled again */

struct root_part {
    struct shared_u32 week;     /* int32_t */
    struct shared_u32 revision; /* 0: no folder at the moment */
    struct shared_u32 flags;
};

/* What the writer at work is about to commit: lets the next one finish or undo it.  Read and
 * written under the lock alone, but for the number. */
struct intent {
    struct shared_u64 sequence; /* 0: none */
    int32_t new_week, old_week;
    uint64_t new_row, old_row; /* + 1; 0: none */
};

/*
 * What the head says of the index as a whole, one number each, signed ones as they are.  Times are
 * microseconds since 1970.
 */
enum fact {
    FACT_LEDGER_SEQ,     /* each crash with a ledger number up to this was put before the last
                          * sync; -1: not known */
    FACT_IS_ROLLED_BACK, /* what came later is to be put again before the ledger number grows */
    FACT_LOSSES,         /* crashes may be missing until filled == losses */
    FACT_FILLED,
    FACT_LOST_ALL,      /* all of them may be missing until filled >= this */
    FACT_FILL_BEGAN_US, /* the last filling; ended 0: not yet */
    FACT_FILL_ENDED_US,
    FACT_FILL_LOOKED,
    FACT_FILL_TOTAL,
    FACT_FILL_PUT,
    FACT_SCRUB_BEGAN_US,
    FACT_SCRUB_ENDED_US,
    FACT_SCRUB_DAMAGE, /* partitions it set aside */
    FACT_COUNT,
};

struct root_head {
    char magic[8];
    uint32_t format;
    struct shared_u32 part_count;
    struct head_seal seal;
    struct shared_u64 sequence;             /* of the newest commit; storing it is the commit */
    struct shared_u64 parts_stamp;          /* changes with the table of partitions */
    struct shared_u64 synced, synced_stamp; /* sequence and parts_stamp of the last sync */
    struct shared_u32 next_revision;
    uint32_t reserved;
    char boot_id[40]; /* of the machine when this was last opened for writing */
    struct intent intent;
    struct shared_u64 facts[FACT_COUNT];
    struct root_part parts[PARTS_MAX]; /* sorted by nothing; never shrinks */
};

_Static_assert(offsetof(struct root_head, parts) == 248, "root head");
_Static_assert(offsetof(struct part_head, columns) == 128, "part head");

#endif
