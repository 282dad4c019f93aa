#ifndef SEARCH_COLUMNS_PART_H
#define SEARCH_COLUMNS_PART_H

#include "lib/crash/field.h"
#include "lib/search/columns/commit.h"
#include "lib/search/columns/dict.h"
#include "lib/search/columns/packed.h"

/*
 * part - one weekly partition, opened for reading or writing: its head and the columns,
 * which are mapped when they are first used.
 *
 * Ownership  part_free gives back all mappings.
 * Errors     ERR_DAMAGED: the files do not fit together; the partition is damaged.
 *            ERR_NOT_FOUND: it has been replaced; look at the root again.
 * Trust      Files are hostile until checked: column_use checks every code below the row
 *            count once per mapping, so the loops over rows need no checks.
 * Threads    One.
 */
struct column {
    struct part *part;
    struct column_head *h;
    const struct search_field *field; /* NULL: a bookkeeping column */
    enum column_kind kind;
    uint32_t width;             /* bytes per row */
    struct file_name rows_file; /* as mapped */
    struct mfile rows, present;
    uint64_t packed_rows; /* the first ones, which are in `packed`; of the others see mfile */
    struct packed_column packed;
    struct dict dict, elements;
    uint64_t checked_rows; /* codes below are inside the dictionary */
    uint64_t epoch;        /* of the part when it was last refreshed */
};

struct part {
    char *folder;
    const struct field_table *fields; /* borrowed */
    int32_t week;
    uint32_t revision;
    bool is_writable;
    struct mfile head;
    struct part_head *h;
    struct column *columns[COLUMNS_MAX];
    size_t column_count;
    struct column **by_field; /* by id of a field, NULL: no such column */
    struct column *removed_fields;
    struct mfile zones, dead, dead_at, row_of;
    uint64_t packed_rows;
    uint64_t rows;     /* in use: of the snapshot, or of the writer */
    uint64_t sequence; /* of the snapshot */
    uint64_t epoch;    /* changes when rows does */

    /* writers only */
    bool is_open; /* its seal, by us: in the list of the root */
    struct part *next_open;
    uint64_t rest_turn;        /* the turn as of which head.synced holds every sum; 0: not known */
    struct sums_inode *inodes; /* of its files when the keeper looked last; owned */
    size_t inode_count;
};

/* Name of the folder below the index: YYYYMMDD-REVISION. */
void part_folder_name(int32_t week, uint32_t revision, char out[32]);
/* The folder of another time: false if the name is none. */
bool part_folder_parse(const char *name, int32_t *ret_week, uint32_t *ret_revision);
/* YYYYMMDD, as answers and reports name it. */
void part_name(int32_t week, char out[16]);

bool part_open(const char *dir, const struct field_table *fields, int32_t week, uint32_t revision,
               bool is_writable, struct part **ret, struct err *err);
/* Makes the folder and an empty partition in it; its seal stays open. */
bool part_create(const char *dir, const struct field_table *fields, int32_t week, uint32_t revision,
                 struct part **ret, struct err *err);
void part_free(struct part *p);

/* Fixes the view to a snapshot: rows, new columns, row bookkeeping. */
bool part_use(struct part *p, uint64_t sequence, uint64_t rows, struct err *err);
/* Maps what this column needs for the rows of the snapshot, without looking at it. */
bool column_map(struct column *c, struct err *err);
/* Maps and checks. */
bool column_use(struct column *c, struct err *err);
/* What unpacked texts take; and given back, when nobody has one. */
static inline size_t column_text_bytes(const struct column *c)
{
    return texts_bytes(c->dict.texts) + texts_bytes(c->elements.texts);
}
/* What it would take to unpack all others. */
static inline size_t column_text_bytes_left(const struct column *c)
{
    return texts_bytes_left(c->dict.texts) + texts_bytes_left(c->elements.texts);
}
static inline void column_forget(struct column *c)
{
    dict_forget(&c->dict);
    dict_forget(&c->elements);
}

/* The columns that every row has a value in; NULL: the partition has no row yet. */
struct column *part_ids(const struct part *p);   /* crash ids */
struct column *part_dates(const struct part *p); /* when the report came in */

/* Whether the row has been deleted as of the snapshot. */
static inline bool part_is_dead(const struct part *p, uint64_t row)
{
    return tomb_is_dead(mfile_data(&p->dead), mfile_data(&p->dead_at), row, p->sequence);
}

/* The row of the crash with this id, + 1, as row_of_code; 0: none, or the code is none of ours. */
uint32_t part_row_of(const struct part *p, uint32_t code);
/* For the writer; row_and_1 0: none. */
void part_set_row_of(struct part *p, uint32_t code, uint32_t row_and_1);
/* What _row-of says of a crash that has no row here any more. */
static inline uint32_t part_gone(const struct part *p, uint32_t code)
{
    return code <= p->packed_rows ? ROW_OF_GONE : 0;
}
/* Room on the disk for the death of a row and for the row of a crash, before either is stored. */
bool part_fill(const struct part *p, uint64_t row, uint32_t code, struct err *err);

void column_path(const struct column *c, const char *what, uint32_t version, char *out);
uint32_t column_width(enum index_kind index);
enum column_kind column_kind_of(const struct search_field *f);
/* For the writer: a column that is not there yet. */
bool column_create(struct part *p, const struct search_field *f, struct column **ret,
                   struct err *err);
bool part_adopt_columns(struct part *p, struct err *err);

static inline uint32_t column_code(const struct column *c, uint64_t row)
{
    if (row < c->packed_rows)
        return (uint32_t)packed_get(&c->packed, row);
    const void *data = mfile_data(&c->rows);
    if (c->width == 1)
        return ((const uint8_t *)data)[row];
    if (c->width == 2)
        return ((const uint16_t *)data)[row];
    return ((const uint32_t *)data)[row];
}

static inline bool column_has(const struct column *c, uint64_t row)
{
    if (row < c->packed_rows)
        return packed_has(&c->packed, row);
    const uint8_t *bits = mfile_data(&c->present);
    return bits[row / 8] >> (row % 8) & 1;
}

/* COLUMN_NUMBER of a whole kind. */
static inline int64_t column_int(const struct column *c, uint64_t row)
{
    if (row < c->packed_rows)
        return (int64_t)packed_get(&c->packed, row);
    const void *data = mfile_data(&c->rows);
    if (c->width == 2)
        return ((const int16_t *)data)[row];
    if (c->width == 4)
        return ((const int32_t *)data)[row];
    return ((const int64_t *)data)[row];
}

static inline double column_double(const struct column *c, uint64_t row)
{
    if (row < c->packed_rows) {
        double d;
        uint64_t bits = packed_get(&c->packed, row);
        memcpy(&d, &bits, sizeof d);
        return d;
    }
    return ((const double *)mfile_data(&c->rows))[row];
}

/* The elements of list `code`, checked: *ret_n codes that lie inside the element dictionary. */
const uint32_t *column_list(const struct column *c, uint32_t code, size_t *ret_n);

#endif
