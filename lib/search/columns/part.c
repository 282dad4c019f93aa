/*
 * One week of the index: opening and making it, its columns, and what a reader may see of it.  A
 * reader fixes sequence and row count once (part_use); columns are mapped when they are first used
 * and checked once for each mapping, so that a search of three fields touches the files of three
 * fields.
 *
 * Two counts decide what may be read: rows below the row count of the snapshot, and dictionary
 * entries below theirs.  Both were stored after what they count.  A file may be longer, and its
 * rest means nothing.
 */
#include "lib/search/columns/part.h"

#include <assert.h>
#include <limits.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/search/columns/format.h"
#include "lib/search/columns/mfile.h"

static const char REMOVED_FIELDS[] = "removed_fields";

/* What the bookkeeping column looks like; it is not a field of the table. */
static const struct search_field removed_fields_field = {
    .name = REMOVED_FIELDS,
    .index = INDEX_KEYWORD,
    .is_list = true,
    .source_key = "",
    .perm = PERM_PROTECTED,
};

/* Dates of weeks as people and clients read them. */
void part_name(int32_t week, char out[16])
{
    struct civil c = civil_of_us((int64_t)week * DAY_US);
    snprintf(out, 16, "%04d%02d%02d", c.year, c.month, c.day);
}

void part_folder_name(int32_t week, uint32_t revision, char out[32])
{
    char name[16];
    part_name(week, name);
    snprintf(out, 32, "%s-%u", name, revision);
}

/* Only names that part_folder_name would give: "20240429-017" is not one of ours. */
bool part_folder_parse(const char *name, int32_t *ret_week, uint32_t *ret_revision)
{
    uint64_t date, revision;
    char again[32];
    if (strlen(name) < 10 || strlen(name) > 20 || name[8] != '-' ||
        !str_to_u64(str_n(name, 8), 10, UINT32_MAX, "date", &date, ERR_IGNORED) ||
        !str_to_u64(str_of(name + 9), 10, UINT32_MAX, "revision", &revision, ERR_IGNORED))
        return false;
    int year = (int)(date / 10000), month = (int)(date / 100 % 100), day = (int)(date % 100);
    if (!civil_date_exists(year, month, day))
        return false;
    int32_t week = (int32_t)days_of_civil(year, month, day);
    part_folder_name(week, (uint32_t)revision, again);
    if (strcmp(again, name) != 0)
        return false;
    *ret_week = week;
    *ret_revision = (uint32_t)revision;
    return true;
}

/* Two columns are asked for everywhere, so the table of fields knows them. */
struct column *part_ids(const struct part *p)
{
    return p->by_field[p->fields->uuid->id];
}

struct column *part_dates(const struct part *p)
{
    return p->by_field[p->fields->date->id];
}

/* Text columns begin with one byte for a code and get wider when they must (widen in write.c). */
uint32_t column_width(enum index_kind index)
{
    switch (index) {
    case INDEX_SHORT:
        return 2;
    case INDEX_INTEGER:
        return 4;
    case INDEX_LONG:
    case INDEX_DOUBLE:
    case INDEX_DATE:
        return 8;
    default:
        return 1;
    }
}

enum column_kind column_kind_of(const struct search_field *f)
{
    switch (f->index) {
    case INDEX_TEXT:
    case INDEX_SEMI:
    case INDEX_KEYWORD:
        return f->is_list ? COLUMN_LIST : COLUMN_DICT;
    case INDEX_BOOLEAN:
        return COLUMN_BOOL;
    default:
        return COLUMN_NUMBER;
    }
}

void column_path(const struct column *c, const char *what, uint32_t version, char *out)
{
    if (version)
        snprintf(out, PATH_MAX, "%s/%s.%s-%u", c->part->folder, c->h->name, what, version);
    else
        snprintf(out, PATH_MAX, "%s/%s.%s", c->part->folder, c->h->name, what);
}

static void part_path(const struct part *p, const char *what, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/%s", p->folder, what);
}

/*
 * What a file of this partition must say of itself; the generation is the partition's own number.
 */
static struct mfile_kind kind_in(const struct part *p, enum file_kind kind, uint32_t bytes)
{
    return (struct mfile_kind){kind, bytes, p->h->generation};
}

/*
 * What every row has besides its columns. _zones counts in blocks, _dead in words of 64 bits, and
 * _row-of by code of the crash id.
 */
static const struct row_file {
    const char *name;
    enum file_kind kind;
    uint32_t element_bytes;
    size_t offset; /* of the struct mfile in struct part */
    uint64_t rows_per_element;
} row_files[] = {
    {"_zones", FILE_ZONES, sizeof(struct zone), offsetof(struct part, zones), BLOCK_ROWS},
    {"_dead", FILE_DEAD, 8, offsetof(struct part, dead), 64},
    {"_dead-at", FILE_DEAD_AT, 8, offsetof(struct part, dead_at), 1},
    {"_row-of", FILE_ROW_OF, 4, offsetof(struct part, row_of), 1},
};

static struct mfile *row_file_in(struct part *p, const struct row_file *f)
{
    return (struct mfile *)((char *)p + f->offset);
}

/* All of the capacity, not only the rows: _row-of is indexed by code. */
static bool use_row_files(struct part *p, struct err *err)
{
    char path[PATH_MAX];
    uint64_t cap = rows_room(p->h);
    for (size_t i = 0; i < ARRAY_LEN(row_files); i++) {
        const struct row_file *f = &row_files[i];
        struct mfile *m = row_file_in(p, f);
        uint64_t need = (cap + f->rows_per_element - 1) / f->rows_per_element;
        if (m->base && mfile_elements(m, f->element_bytes) >= need)
            continue;
        part_path(p, f->name, path);
        if (!mfile_open(m, path, kind_in(p, f->kind, f->element_bytes), need, p->is_writable, err))
            return false;
    }
    return true;
}

/* Crash ids of packed rows have codes in the order of the rows, so nothing is stored for them. */
uint32_t part_row_of(const struct part *p, uint32_t code)
{
    bool is_ours = code > 0 && code <= mfile_elements(&p->row_of, sizeof(struct shared_u32));
    uint32_t row = is_ours ? row_of_code(mfile_data(&p->row_of), code) : 0;
    if (row == 0 && is_ours && code <= p->packed_rows)
        return code;
    return row == ROW_OF_GONE ? 0 : row;
}

void part_set_row_of(struct part *p, uint32_t code, uint32_t row_and_1)
{
    row_of_set(mfile_data(&p->row_of), code, row_and_1 ? row_and_1 : part_gone(p, code));
}

static bool fill(const struct part *p, const char *name, uint32_t bytes, uint64_t element,
                 struct err *err)
{
    char path[PATH_MAX];
    part_path(p, name, path);
    if (mfile_fill(path, bytes, element, err))
        return true;
    if (err->code == ERR_NOT_FOUND)
        err->code = ERR_DAMAGED;
    return false;
}

/* Only what is counted from the first row of a packed week has holes. */
bool part_fill(const struct part *p, uint64_t row, uint32_t code, struct err *err)
{
    return (row >= p->packed_rows || fill(p, "_dead-at", sizeof(struct shared_u64), row, err)) &&
           (code > p->packed_rows || fill(p, "_row-of", sizeof(struct shared_u32), code - 1, err));
}

/* The epoch is one that no partition has, so the first use maps and checks. */
static struct column *column_new(struct part *p, struct column_head *h)
{
    struct column *c = xcalloc(1, sizeof *c);
    c->part = p;
    c->h = h;
    c->kind = h->kind;
    c->epoch = UINT64_MAX;
    uint64_t g = p->h->generation;
    bool is_packed = h->is_packed && p->packed_rows > 0;
    c->packed_rows = is_packed ? p->packed_rows : 0;
    if (c->kind == COLUMN_DICT || c->kind == COLUMN_LIST)
        dict_init(&c->dict, &h->dict, p->folder, h->name, ".", g, is_packed);
    if (c->kind == COLUMN_LIST)
        dict_init(&c->elements, &h->elements, p->folder, h->name, ".element-", g, is_packed);
    return c;
}

/* Mappings only: what is on disk stays. */
static void column_free(struct column *c)
{
    mfile_close(&c->rows);
    mfile_close(&c->present);
    packed_close(&c->packed);
    dict_release(&c->dict);
    dict_release(&c->elements);
    free(c);
}

/* Ties a column of the file to the field table; one that does not fit stays unused. */
static void adopt(struct part *p, struct column_head *h)
{
    struct column *c = NULL;
    const struct search_field *f = NULL;
    if (memchr(h->name, '\0', sizeof h->name)) {
        f = search_field_find(p->fields, str_of(h->name));
        bool is_ours =
            f && column_kind_of(f) == h->kind && (h->kind != COLUMN_NUMBER || f->index == h->index);
        bool is_removed = strcmp(h->name, REMOVED_FIELDS) == 0 && h->kind == COLUMN_LIST;
        if (is_ours || is_removed)
            c = column_new(p, h);
    }
    p->columns[p->column_count++] = c;
    if (!c)
        return;
    c->field = f;
    if (f)
        p->by_field[f->id] = c;
    else
        p->removed_fields = c;
}

/*
 * Columns never go away and never move, so only new ones are looked at.  A count that is smaller
 * than before says that the head is not the one we knew.
 */
bool part_adopt_columns(struct part *p, struct err *err)
{
    uint32_t n = columns_count(p->h);
    if (n > COLUMNS_MAX || n < p->column_count)
        return err_set(err, ERR_DAMAGED, "%s: %u columns", p->folder, n);
    while (p->column_count < n)
        adopt(p, &p->h->columns[p->column_count]);
    return true;
}

/* Else a flipped bit in the width would let rows be read beyond the file. */
static bool is_width_right(const struct column *c, uint32_t width)
{
    if (c->kind == COLUMN_NUMBER)
        return width == column_width(c->h->index);
    if (c->kind == COLUMN_BOOL)
        return width == 1;
    return width == 1 || width == 2 || width == 4;
}

static bool wrong_width(const struct column *c, uint32_t width, struct err *err)
{
    return err_set(err, ERR_DAMAGED, "%s/%s: %u bytes per row", c->part->folder, c->h->name, width);
}

/* Of a column all of whose rows are packed: there need not be a file for others. */
static bool use_width(struct column *c, struct err *err)
{
    c->width = column_file(c->h).width;
    return is_width_right(c, c->width) || wrong_width(c, c->width, err);
}

/* Maps the current file of the rows; a writer may be widening it, so look twice. */
static bool use_rows(struct column *c, uint64_t rows, struct err *err)
{
    char path[PATH_MAX];
    for (int tries = 0;; tries++) {
        struct file_name file = column_file(c->h);
        uint32_t width = file.width;
        if (!is_width_right(c, width))
            return wrong_width(c, width, err);
        if (c->rows.base && file_is(file, c->rows_file) && mfile_elements(&c->rows, width) >= rows)
            return true;
        struct err why = {0};
        column_path(c, "rows", file.version, path);
        if (mfile_open(&c->rows, path, kind_in(c->part, FILE_ROWS, width), rows,
                       c->part->is_writable, &why)) {
            c->rows_file = file;
            c->width = width;
            return true;
        }
        if (why.code != ERR_NOT_FOUND || tries > 100 || file_is(column_file(c->h), file))
            return err_set(err, why.code == ERR_NOT_FOUND ? ERR_DAMAGED : why.code, "%s", why.msg);
    }
}

static bool use_packed(struct column *c, struct err *err)
{
    char path[PATH_MAX];
    if (c->packed_rows == 0 || c->packed.rows)
        return true;
    column_path(c, "packed", 0, path);
    return packed_open(&c->packed, path, c->part->h->generation, c->packed_rows, err);
}

/* A bit per row, for numbers only: every other kind has code 0 for "no value". */
static bool use_present(struct column *c, uint64_t rows, struct err *err)
{
    char path[PATH_MAX];
    uint64_t need = (rows + 7) / 8;
    if (c->kind != COLUMN_NUMBER || (c->present.base && mfile_elements(&c->present, 1) >= need))
        return true;
    column_path(c, "present", 0, path);
    return mfile_open(&c->present, path, kind_in(c->part, FILE_PRESENT, 1), need,
                      c->part->is_writable, err);
}

static bool check_packed_codes(const struct column *c, uint64_t max, struct err *err)
{
    uint64_t fits = c->width == 4 ? UINT32_MAX : ((uint64_t)1 << (8 * c->width)) - 1;
    for (uint64_t first = 0; first < c->packed_rows; first += BLOCK_ROWS)
        if (!packed_codes_within(&c->packed, first / BLOCK_ROWS, (uint32_t)MIN(max, fits)))
            return err_set(err, ERR_DAMAGED, "%s/%s: packed codes beyond %llu", c->part->folder,
                           c->h->name, (unsigned long long)max);
    return true;
}

/*
 * The highest code of rows that have this many bytes each.  In pieces of a fixed length the loop
 * has no branch and the compiler makes it one of vectors.
 */
#define HIGHEST(type, at, n)                                                                       \
    do {                                                                                           \
        enum { PIECE = 256 / sizeof(type) };                                                       \
        const type *codes = (const type *)mfile_data(&c->rows) + (at);                             \
        type of_rest = 0, of_place[PIECE] = {0};                                                   \
        uint64_t i = 0;                                                                            \
        for (; i + PIECE <= (n); i += PIECE)                                                       \
            for (size_t k = 0; k < PIECE; k++)                                                     \
                of_place[k] = codes[i + k] > of_place[k] ? codes[i + k] : of_place[k];             \
        for (; i < (n); i++)                                                                       \
            of_rest = MAX(of_rest, codes[i]);                                                      \
        for (size_t k = 0; k < PIECE; k++)                                                         \
            of_rest = MAX(of_rest, of_place[k]);                                                   \
        return of_rest;                                                                            \
    } while (0)

static uint32_t highest_code(const struct column *c, uint64_t from, uint64_t n)
{
    if (c->width == 1)
        HIGHEST(uint8_t, from, n);
    if (c->width == 2)
        HIGHEST(uint16_t, from, n);
    HIGHEST(uint32_t, from, n);
}

/* One comparison at the end is enough. */
static bool check_codes(struct column *c, uint64_t rows, struct err *err)
{
    uint64_t max = c->kind == COLUMN_BOOL ? 2 : c->dict.count;
    if (c->kind == COLUMN_NUMBER || rows <= c->checked_rows)
        return true;
    if (c->checked_rows < c->packed_rows && !check_packed_codes(c, max, err))
        return false;
    uint64_t from = MAX(c->checked_rows, c->packed_rows);
    uint32_t highest = rows > from ? highest_code(c, from, rows - from) : 0;
    if (highest > max)
        return err_set(err, ERR_DAMAGED, "%s/%s: code %u of %llu", c->part->folder, c->h->name,
                       highest, (unsigned long long)max);
    c->checked_rows = rows;
    return true;
}

/* For writers, who read single rows and check what they meet. */
bool column_map(struct column *c, struct err *err)
{
    struct part *p = c->part;
    bool ok = p->rows > c->packed_rows ? use_rows(c, p->rows, err) && use_present(c, p->rows, err)
                                       : use_width(c, err);
    if (!ok || !use_packed(c, err))
        return false;
    bool has_dict = c->kind == COLUMN_DICT || c->kind == COLUMN_LIST;
    if (has_dict && !dict_refresh(&c->dict, p->is_writable, err))
        return false;
    return c->kind != COLUMN_LIST || dict_refresh(&c->elements, p->is_writable, err);
}

/*
 * Once for each snapshot of a reader: afterwards every code of every row below the count is inside
 * the dictionary, and every entry inside its file.
 */
bool column_use(struct column *c, struct err *err)
{
    if (c->epoch == c->part->epoch)
        return true;
    if (!column_map(c, err))
        return false;
    if (c->dict.h && !dict_check(&c->dict, err))
        return false;
    if (c->elements.h && !dict_check(&c->elements, err))
        return false;
    if (!check_codes(c, c->part->rows, err))
        return false;
    c->epoch = c->part->epoch;
    return true;
}

/* Elements are checked here and not in column_use: most searches look at few lists. */
const uint32_t *column_list(const struct column *c, uint32_t code, size_t *ret_n)
{
    *ret_n = 0;
    if (code == 0)
        return NULL;
    struct str entry = dict_entry(&c->dict, code);
    const uint32_t *codes = (const uint32_t *)(const void *)entry.p;
    /* entries are multiples of four bytes, so each starts aligned; a bad file's may not */
    if (entry.n % 4 != 0 || (uintptr_t)entry.p % 4 != 0)
        return NULL;
    for (size_t i = 0; i < entry.n / 4; i++)
        if (codes[i] == 0 || codes[i] > c->elements.count)
            return NULL;
    *ret_n = entry.n / 4;
    return codes;
}

static_assert((int)SEARCH_FIELD_NAME_MAX < (int)COLUMN_NAME_MAX,
              "every search field has room for its name");
static_assert((int)SEARCH_FIELDS_MAX < (int)COLUMNS_MAX,
              "and for its column, beside that of removed fields");

/* The head of a packed week has no room on the disk for columns that it does not have. */
static bool fill_head(const struct part *p, uint32_t at, struct err *err)
{
    char path[PATH_MAX];
    part_path(p, "head", path);
    return p->packed_rows == 0 ||
           mfile_fill_bytes(path, offsetof(struct part_head, columns[at]),
                            offsetof(struct part_head, columns[at + 1]), err);
}

/*
 * The description lies above the count of columns until everything is there; a writer that dies
 * before leaves files that the next one truncates.
 */
bool column_create(struct part *p, const struct search_field *f, struct column **ret,
                   struct err *err)
{
    f = f ? f : &removed_fields_field;
    uint32_t at = columns_count(p->h);
    if (at >= COLUMNS_MAX || strlen(f->name) >= COLUMN_NAME_MAX)
        return err_set(err, ERR_TOO_LARGE, "%s: no room for column %s", p->folder, f->name);
    struct column_head *h = &p->h->columns[at];
    if (!fill_head(p, at, err))
        return false;
    memset(h, 0, sizeof *h);
    memcpy(h->name, f->name, strlen(f->name) + 1);
    h->kind = (uint8_t)column_kind_of(f);
    h->index = (uint8_t)f->index;

    char path[PATH_MAX];
    uint32_t width = column_width(f->index);
    uint64_t cap = rows_room(p->h);
    struct column *c = column_new(p, h);
    column_path(c, "rows", 1, path);
    bool ok = mfile_create(&c->rows, path, kind_in(p, FILE_ROWS, width), p->packed_rows, cap, err);
    column_path(c, "present", 0, path);
    if (ok && c->kind == COLUMN_NUMBER)
        ok = mfile_create(&c->present, path, kind_in(p, FILE_PRESENT, 1), p->packed_rows / 8,
                          (cap + 7) / 8, err);
    if (ok && (c->kind == COLUMN_DICT || c->kind == COLUMN_LIST))
        ok = dict_create(&c->dict, err);
    if (ok && c->kind == COLUMN_LIST)
        ok = dict_create(&c->elements, err);
    column_free(c);
    if (!ok)
        return false;
    column_set_file(h, (struct file_name){width, 1});
    columns_set_count(p->h, at + 1);
    if (!part_adopt_columns(p, err))
        return false;
    *ret = p->columns[at];
    return true;
}

/* Nothing is opened yet. */
static struct part *part_new(const char *dir, const struct field_table *fields, int32_t week,
                             uint32_t revision, bool is_writable)
{
    char name[32];
    part_folder_name(week, revision, name);
    struct part *p = xcalloc(1, sizeof *p);
    size_t n = strlen(dir) + strlen(name) + 2;
    p->folder = xmalloc(n);
    snprintf(p->folder, n, "%s/%s", dir, name);
    p->fields = fields;
    p->week = week;
    p->revision = revision;
    p->is_writable = is_writable;
    p->by_field = xcalloc(fields->search_count, sizeof *p->by_field);
    return p;
}

/* Texts that were borrowed from the dictionaries of the partition are invalid afterwards. */
void part_free(struct part *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->column_count; i++)
        if (p->columns[i])
            column_free(p->columns[i]);
    for (size_t i = 0; i < ARRAY_LEN(row_files); i++)
        mfile_close(row_file_in(p, &row_files[i]));
    mfile_close(&p->head);
    free(p->inodes);
    free(p->by_field);
    free(p->folder);
    free(p);
}

/* A good seal says that all of it is what a writer left; an open one that somebody is at work. */
static bool check_head(const struct part *p, struct err *err)
{
    uint32_t format = p->h->packed_rows ? FORMAT_PACKED : FORMAT_VERSION;
    if (memcmp(p->h->magic, PART_MAGIC, sizeof p->h->magic) != 0 || p->h->format != format ||
        p->h->week != p->week)
        return err_set(err, ERR_DAMAGED, "%s: not the head of this partition", p->folder);
    if (seal_look(HEAD_PART, p->h) == SEAL_BROKEN || p->packed_rows > rows_room(p->h))
        return err_set(err, ERR_DAMAGED, "%s: the head is not what was written", p->folder);
    return true;
}

/* The head alone; columns are mapped when they are asked for. */
bool part_open(const char *dir, const struct field_table *fields, int32_t week, uint32_t revision,
               bool is_writable, struct part **ret, struct err *err)
{
    char path[PATH_MAX];
    struct part *p = part_new(dir, fields, week, revision, is_writable);
    part_path(p, "head", path);
    if (!mfile_map_head(&p->head, path, sizeof(struct part_head), is_writable, err)) {
        part_free(p);
        return false;
    }
    p->h = (struct part_head *)(void *)p->head.base;
    p->packed_rows = p->h->packed_rows;
    if (!check_head(p, err) || !part_adopt_columns(p, err)) {
        part_free(p);
        return false;
    }
    *ret = p;
    return true;
}

/*
 * The seal stays open until the writer that makes the partition gives the lock back, so a partition
 * that was left unfinished is not taken for a whole one.
 */
static bool write_empty_head(const struct part *p, const char *path, struct err *err)
{
    struct part_head *h = xcalloc(1, sizeof *h);
    memcpy(h->magic, PART_MAGIC, sizeof h->magic);
    h->format = FORMAT_VERSION;
    h->week = p->week;
    h->generation = random_u64();
    rows_set_room(h, ROWS_FIRST);
    rows_begin(h);
    seal_open(HEAD_PART, h);
    bool ok = fs_write_atomic(path, h, sizeof *h, FS_FILE_MODE, err);
    free(h);
    return ok;
}

/* A folder of this name is what a killed writer left: revisions are given once. */
bool part_create(const char *dir, const struct field_table *fields, int32_t week, uint32_t revision,
                 struct part **ret, struct err *err)
{
    char path[PATH_MAX];
    struct part *p = part_new(dir, fields, week, revision, true);
    part_path(p, "head", path);
    bool ok = fs_remove_tree(p->folder, err) && fs_mkdirs(p->folder, FS_DIR_MODE, err) &&
              write_empty_head(p, path, err);
    part_free(p);
    if (!ok || !part_open(dir, fields, week, revision, true, &p, err))
        return false;
    for (size_t i = 0; ok && i < ARRAY_LEN(row_files); i++) {
        const struct row_file *f = &row_files[i];
        part_path(p, f->name, path);
        ok = mfile_create(row_file_in(p, f), path, kind_in(p, f->kind, f->element_bytes), 0,
                          (ROWS_FIRST + f->rows_per_element - 1) / f->rows_per_element, err);
    }
    if (!ok) {
        part_free(p);
        return false;
    }
    *ret = p;
    return true;
}

/*
 * For a reader the rows of its snapshot, for a writer those it is about to have.  The epoch changes
 * only with the count: a second search over the same state checks nothing.
 */
bool part_use(struct part *p, uint64_t sequence, uint64_t rows, struct err *err)
{
    if (rows > rows_room(p->h) || rows > ROWS_MAX)
        return err_set(err, ERR_DAMAGED, "%s: %llu rows", p->folder, (unsigned long long)rows);
    p->sequence = sequence;
    if (rows != p->rows || p->epoch == 0) {
        p->rows = rows;
        p->epoch++;
    }
    return part_adopt_columns(p, err) && use_row_files(p, err);
}
