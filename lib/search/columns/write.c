/*
 * Appending.  A row is written above the count, where no reader looks, column by column; a code
 * that no longer fits makes a wider copy of its column.  The commit then is, in this order: the
 * intent, the tombstone of the row that is replaced, the row count, the sequence number in the
 * head, the row of the crash.  Whatever a killed writer leaves of it, recover.c can tell which of
 * them happened.
 *
 * A put looks for the crash in every partition, since a report may have moved to another week, and
 * knows then whether it is new or replaces a row.  Damage that it meets on the way does not stop
 * it: the partition goes aside, and the put is tried again, at most twice, for its own week and for
 * that of the old row.
 */
#include "lib/search/columns/write.h"

#include <limits.h>

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/search/columns/commit.h"
#include "lib/search/columns/dict.h"
#include "lib/search/columns/format.h"
#include "lib/search/columns/mfile.h"
#include "lib/search/columns/part.h"
#include "lib/search/columns/root_parts.h"

/* Weeks begin on Monday, in UTC, also before 1970. */
int32_t week_of(int64_t date_us)
{
    int64_t day = date_us / DAY_US - (date_us % DAY_US < 0);
    return (int32_t)(day - weekday_of_us(date_us));
}

/* The first row behind the packed ones: until there is room for it, nothing names these files. */
static bool begin_column(struct column *c, uint64_t cap, struct err *err)
{
    char path[PATH_MAX];
    struct file_name file = column_file(c->h);
    uint64_t generation = c->part->h->generation;
    column_path(c, "rows", file.version, path);
    if (!mfile_create(&c->rows, path, (struct mfile_kind){FILE_ROWS, file.width, generation},
                      c->packed_rows, cap, err))
        return false;
    c->rows_file = file;
    c->width = file.width;
    column_path(c, "present", 0, path);
    return c->kind != COLUMN_NUMBER ||
           mfile_create(&c->present, path, (struct mfile_kind){FILE_PRESENT, 1, generation},
                        c->packed_rows / 8, (cap + 7) / 8, err);
}

/*
 * Other writers may have widened the column or made it longer since; the head says which file it
 * is.
 */
static bool grow_column(struct column *c, uint64_t cap, struct err *err)
{
    char path[PATH_MAX];
    struct file_name file = column_file(c->h);
    if (c->packed_rows > 0 && rows_room(c->part->h) == c->packed_rows)
        return begin_column(c, cap, err);
    column_path(c, "rows", file.version, path);
    if (!mfile_grow(&c->rows, path, file.width, cap, err))
        return false;
    c->rows_file = file;
    c->width = file.width;
    column_path(c, "present", 0, path);
    return c->kind != COLUMN_NUMBER || mfile_grow(&c->present, path, 1, (cap + 7) / 8, err);
}

/*
 * Every file of the partition for `cap` rows, then the capacity: a reader that sees the capacity
 * finds files that long.
 */
static bool grow_part(struct part *p, uint64_t cap, struct err *err)
{
    static const struct {
        const char *name;
        uint32_t bytes;
        uint64_t rows;
        size_t offset;
    } files[] = {
        {"_zones", sizeof(struct zone), BLOCK_ROWS, offsetof(struct part, zones)},
        {"_dead", 8, 64, offsetof(struct part, dead)},
        {"_dead-at", 8, 1, offsetof(struct part, dead_at)},
        {"_row-of", 4, 1, offsetof(struct part, row_of)},
    };
    char path[PATH_MAX];
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct mfile *m = (struct mfile *)((char *)p + files[i].offset);
        snprintf(path, sizeof path, "%s/%s", p->folder, files[i].name);
        if (!mfile_grow(m, path, files[i].bytes, (cap + files[i].rows - 1) / files[i].rows, err))
            return false;
    }
    for (size_t i = 0; i < p->column_count; i++)
        if (p->columns[i] && !grow_column(p->columns[i], cap, err))
            return false;
    rows_set_room(p->h, cap);
    return true;
}

/* Below the lock there is always a count: two commits cannot come in between. */
uint64_t part_current_rows(const struct root *r, const struct part *p)
{
    uint64_t rows = 0;
    rows_as_of(p->h, commit_sequence(r->h), &rows);
    return rows;
}

/*
 * Twice the rows each time, up to a million more, so that a large week does not take the space of
 * two.
 */
static bool make_room(struct part *p, uint64_t row, struct err *err)
{
    uint64_t cap = rows_room(p->h);
    if (row >= ROWS_MAX)
        return err_set(err, ERR_TOO_LARGE, "%s: more than %d rows", p->folder, ROWS_MAX);
    if (!part_adopt_columns(p, err))
        return false;
    uint64_t more = MAX(row - p->packed_rows, (uint64_t)ROWS_FIRST);
    return row < cap || grow_part(p, row + MIN(more, (uint64_t)1 << 20), err);
}

static void store_code(struct column *c, uint64_t row, uint32_t code)
{
    void *data = mfile_data(&c->rows);
    if (c->width == 1)
        ((uint8_t *)data)[row] = (uint8_t)code;
    else if (c->width == 2)
        ((uint16_t *)data)[row] = (uint16_t)code;
    else
        ((uint32_t *)data)[row] = code;
}

/* Twice the bytes per row: a new file, so that readers keep the old one. */
static bool widen(struct column *c, uint64_t rows, struct err *err)
{
    char path[PATH_MAX];
    struct mfile wide = {0};
    uint32_t width = c->width * 2, version = c->rows_file.version + 1;
    struct mfile_kind kind = {FILE_ROWS, width, c->part->h->generation};
    column_path(c, "rows", version, path);
    uint64_t from = c->part->packed_rows;
    if (!mfile_create(&wide, path, kind, from, rows_room(c->part->h), err))
        return false;
    struct column new = *c;
    new.rows = wide;
    new.width = width;
    for (uint64_t row = from; row < rows; row++)
        store_code(&new, row, column_code(c, row));
    mfile_close(&c->rows);
    c->rows = wide;
    c->width = width;
    c->rows_file = (struct file_name){width, version};
    column_set_file(c->h, c->rows_file);
    return true;
}

/* A column becomes wider when the first code does not fit: 255 texts fit one byte, 65535 two. */
static bool put_code(struct column *c, uint64_t row, uint32_t code, struct err *err)
{
    while (c->width < 4 && code >> (8 * c->width))
        if (!widen(c, row, err))
            return false;
    store_code(c, row, code);
    return true;
}

/* Absent numbers are 0 with their bit cleared; a killed writer may have left another bit there. */
static void put_number(struct column *c, uint64_t row, const struct doc_value *v)
{
    void *data = mfile_data(&c->rows);
    uint8_t *bits = mfile_data(&c->present);
    uint8_t bit = (uint8_t)(1u << (row % 8));
    bits[row / 8] = (uint8_t)(v ? bits[row / 8] | bit : bits[row / 8] & ~bit);
    if (c->h->index == INDEX_DOUBLE)
        ((double *)data)[row] = v ? v->d : 0;
    else if (c->width == 2)
        ((int16_t *)data)[row] = (int16_t)(v ? v->i : 0);
    else if (c->width == 4)
        ((int32_t *)data)[row] = (int32_t)(v ? v->i : 0);
    else
        ((int64_t *)data)[row] = v ? v->i : 0;
}

/*
 * A list is itself an entry of a dictionary, an array of element codes: equal lists are stored
 * once.
 */
static bool put_list(struct column *c, uint64_t row, struct strs texts, struct err *err)
{
    FREE_LATER uint32_t *codes = xmalloc((texts.n + 1) * sizeof *codes);
    uint32_t list;
    for (size_t i = 0; i < texts.n; i++)
        if (!dict_add(&c->elements, texts.v[i], &codes[i], err))
            return false;
    return dict_add(&c->dict, str_n((const char *)codes, texts.n * sizeof *codes), &list, err) &&
           put_code(c, row, list, err);
}

/* The value of one column in the new row; v NULL: absent. */
static bool put_value(struct column *c, uint64_t row, const struct doc_value *v, uint32_t *ret_code,
                      struct err *err)
{
    *ret_code = 0;
    if (!column_map(c, err))
        return false;
    switch (c->kind) {
    case COLUMN_NUMBER:
        put_number(c, row, v);
        return true;
    case COLUMN_BOOL:
        return put_code(c, row, !v ? 0 : v->i ? 2 : 1, err);
    case COLUMN_LIST:
        return v ? put_list(c, row, v->texts, err) : put_code(c, row, 0, err);
    case COLUMN_DICT:
        if (v && !dict_add(&c->dict, v->texts.v[0], ret_code, err))
            return false;
        return put_code(c, row, *ret_code, err);
    }
    return true;
}

/*
 * Fields that the document had in a form that does not fit are named in a column that is no field.
 */
static bool put_removed(struct part *p, uint64_t row, const struct doc *doc, struct err *err)
{
    struct doc_value v = {.texts = doc->removed};
    uint32_t code;
    if (v.texts.n > 0 && !p->removed_fields && !column_create(p, NULL, &p->removed_fields, err))
        return false;
    return !p->removed_fields ||
           put_value(p->removed_fields, row, v.texts.n > 0 ? &v : NULL, &code, err);
}

/*
 * Every column of the partition gets a value in every row, so a column that the document does not
 * have gets "absent".  A field that no row had before makes its column now; the rows before read as
 * absent, since the file begins with zeroes.
 */
static bool write_row(struct part *p, uint64_t row, const struct doc *doc, uint32_t *ret_uuid_code,
                      struct err *err)
{
    size_t next = 0; /* both lists are in the order of the field table */
    for (size_t i = 0; i < p->fields->search_count; i++) {
        const struct search_field *f = &p->fields->search[i];
        const struct doc_value *v = NULL;
        if (next < doc->n && doc->values[next].field == f)
            v = &doc->values[next++];
        struct column *c = p->by_field[i];
        uint32_t code;
        if (!c && v && !column_create(p, f, &c, err))
            return false;
        if (!c)
            continue;
        if (!put_value(c, row, v, &code, err))
            return false;
        if (f == p->fields->uuid)
            *ret_uuid_code = code;
    }
    return put_removed(p, row, doc, err);
}

/* The live row of a crash in one partition; ret->part NULL: there is none. */
static bool find_in_part(struct root *r, struct part *p, struct str uuid, struct live_row *ret,
                         struct err *err)
{
    uint64_t rows = part_current_rows(r, p);
    *ret = (struct live_row){.part = NULL};
    if (rows == 0)
        return true;
    if (!part_use(p, commit_sequence(r->h), rows, err))
        return false;
    struct column *c = part_ids(p);
    if (!c)
        return true;
    if (!column_map(c, err) || !dict_find(&c->dict, uuid, true, &ret->code, err))
        return false;
    uint32_t row = part_row_of(p, ret->code);
    if (row > rows)
        return err_set(err, ERR_DAMAGED, "%s: row %u of a crash lies behind the end", p->folder,
                       row);
    if (row > 0 && !part_is_dead(p, row - 1)) {
        ret->part = p;
        ret->row = row - 1;
    }
    return true;
}

/* At most one partition has a live row of a crash. */
bool write_find(struct root *r, struct str uuid, struct live_row *ret, struct err *err)
{
    *ret = (struct live_row){.part = NULL};
    for (size_t i = 0; i < r->part_count && !ret->part; i++) {
        struct err why = {0};
        if (!r->parts[i] || find_in_part(r, r->parts[i], uuid, ret, &why))
            continue;
        if (why.code != ERR_DAMAGED)
            return err_set(err, why.code, "%s", why.msg);
        if (!root_set_aside(r, i, why.msg, err))
            return false;
        ret->part = NULL;
    }
    return true;
}

bool write_append(struct part *p, uint64_t rows, const struct doc *doc, uint32_t *ret_uuid_code,
                  uint64_t *ret_row, struct err *err)
{
    /* the writer's view includes the row to come */
    if (!make_room(p, rows, err) || !part_use(p, p->sequence, rows + 1, err) ||
        !write_row(p, rows, doc, ret_uuid_code, err))
        return err_wrap(err, "partition %s", p->folder);
    /* entries of killed writers count, too: there may be more codes than rows */
    if (*ret_uuid_code > mfile_elements(&p->row_of, 4) && !grow_part(p, rows_room(p->h) * 2, err))
        return false;
    zone_widen((struct zone *)mfile_data(&p->zones) + rows / BLOCK_ROWS, doc->date_us,
               rows % BLOCK_ROWS == 0);
    tomb_clear(mfile_data(&p->dead), mfile_data(&p->dead_at), rows); /* of a killed writer's row */
    *ret_row = rows;
    return true;
}

/* The mappings hold until the next file grows, which is after the commit. */
static struct commit_row commit_row_of(struct part *p, uint64_t row, uint32_t code)
{
    return (struct commit_row){.part = p->h,
                               .dead = mfile_data(&p->dead),
                               .dead_at = mfile_data(&p->dead_at),
                               .row_of = mfile_data(&p->row_of),
                               .row = row,
                               .code = code,
                               .gone = part_gone(p, code)};
}

/*
 * The row of the document in the partition of its week, and the row that it replaces, made ready
 * for the commit.  *ret_bad: this partition is damaged.
 */
static bool prepare_rows(struct root *r, const struct doc *doc, const struct live_row *old,
                         struct commit *ret, struct part **ret_bad, struct err *err)
{
    uint64_t row;
    uint32_t code = 0;
    struct part *p = root_part(r, week_of(doc->date_us));
    if (!p && !root_make_part(r, week_of(doc->date_us), &p, err))
        return false;
    *ret_bad = p;
    if (!root_open_part(r, p, err) ||
        !write_append(p, part_current_rows(r, p), doc, &code, &row, err) ||
        !part_fill(p, row, code, err))
        return false;
    *ret = (struct commit){
        .head = r->h, .sequence = commit_sequence(r->h) + 1, .new = commit_row_of(p, row, code)};
    if (!old->part)
        return true;
    *ret_bad = old->part;
    if (!root_open_part(r, old->part, err) || !part_fill(old->part, old->row, old->code, err))
        return false;
    ret->old = commit_row_of(old->part, old->row, old->code);
    return true;
}

/* The partition may have gone already with the old row's. */
static bool set_aside(struct root *r, const struct part *bad, const char *why, struct err *err)
{
    for (size_t i = 0; i < r->part_count; i++)
        if (r->parts[i] == bad)
            return root_set_aside(r, i, why, err);
    return true;
}

bool write_prepare(struct root *r, const struct doc *doc, bool only_if_absent, struct commit *ret,
                   bool *ret_was_there, struct err *err)
{
    for (int tries = 0;; tries++) {
        struct live_row old;
        struct part *bad = NULL;
        struct err why = {0};
        *ret = (struct commit){.head = NULL};
        bool found = write_find(r, doc->uuid, &old, &why);
        *ret_was_there = found && old.part;
        if (found && old.part && only_if_absent)
            return true;
        if (found && prepare_rows(r, doc, &old, ret, &bad, &why))
            return true;
        /* a damaged partition makes place for a new one; its own and that of the old row */
        if (why.code != ERR_DAMAGED || !bad || tries > 1)
            return err_set(err, why.code, "%s", why.msg);
        if (!set_aside(r, bad, why.msg, err))
            return false;
    }
}

bool write_put(struct root *r, const struct doc *doc, bool only_if_absent, bool *ret_was_there,
               struct err *err)
{
    struct commit c;
    if (!write_prepare(r, doc, only_if_absent, &c, ret_was_there, err))
        return false;
    if (c.head)
        commit_do(&c);
    return true;
}

void write_prepare_delete(const struct root *r, const struct live_row *old, struct commit *ret)
{
    *ret = (struct commit){.head = r->h,
                           .sequence = commit_sequence(r->h) + 1,
                           .old = commit_row_of(old->part, old->row, old->code)};
}

/*
 * A crash in a damaged partition is deleted with it, and the filling does not find it in the store.
 */
bool write_delete(struct root *r, struct str uuid, bool *ret_was_there, struct err *err)
{
    struct live_row old;
    if (!write_find(r, uuid, &old, err))
        return false;
    *ret_was_there = old.part != NULL;
    struct err why = {0};
    if (old.part &&
        (!root_open_part(r, old.part, &why) || !part_fill(old.part, old.row, old.code, &why))) {
        if (why.code != ERR_DAMAGED)
            return err_set(err, why.code, "%s", why.msg);
        return set_aside(r, old.part, why.msg, err); /* it goes with the partition */
    }
    if (old.part) {
        struct commit c;
        write_prepare_delete(r, &old, &c);
        commit_do(&c);
    }
    return true;
}
