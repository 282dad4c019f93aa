/*
 * A packed week is written column by column.  Each column is read as any reader reads it, recoded
 * where it is a dictionary, written, read back and compared row by row and entry by entry: a week
 * that reads otherwise than it was never takes the place of the one it was made of.
 *
 * Entries that no live row has are left out, the others are sorted, so that they compress well and
 * their codes are narrow.  Crash ids stay in the order of the rows: their codes follow from the
 * rows and take no bits, and neither does the way back (_row-of).
 */
#include "lib/search/columns/pack.h"

#include <limits.h>
#include <stdlib.h>

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/sort.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/search/columns/commit.h"
#include "lib/search/columns/dict.h"
#include "lib/search/columns/format.h"
#include "lib/search/columns/mfile.h"
#include "lib/search/columns/packed.h"
#include "lib/search/columns/texts.h"

/* A partition that is being packed. */
struct packer {
    const char *dir;
    struct part *old;
    char folder[PATH_MAX];
    struct part_head *h; /* of the new one; owned */
    uint32_t *row_of;    /* by new row: the row in old; owned */
    uint64_t rows;
    const struct index_pace *pace;
};

/* Entries of a dictionary that are used, in their new order. */
struct recoded {
    struct dict *dict;
    uint32_t *new_of; /* by old code: the new one; 0: not used.  Owned */
    uint32_t *old_of; /* by new code - 1; owned */
    uint32_t count;
    const struct recoded *elements; /* of a list: what its entries consist of */
    uint32_t *lists;                /* its entries with new codes, one behind the other; owned */
    uint64_t *ends;                 /* of them, by old code; owned */
};

static void recoded_release(struct recoded *r)
{
    free(r->new_of);
    free(r->old_of);
    free(r->lists);
    free(r->ends);
}

static void column_file_path(const struct packer *k, const char *name, const char *what,
                             char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/%s.%s", k->folder, name, what);
}

/* What is written for an old code: the entry itself, or the list in new codes. */
static struct str text_of(const struct recoded *r, uint32_t old_code)
{
    if (!r->lists)
        return dict_entry(r->dict, old_code);
    uint64_t start = old_code > 1 ? r->ends[old_code - 2] : 0;
    return str_n((const char *)(r->lists + start),
                 (r->ends[old_code - 1] - start) * sizeof *r->lists);
}

static struct str text_of_new(void *arg, uint32_t code)
{
    const struct recoded *r = arg;
    return text_of(r, r->old_of[code - 1]);
}

static int by_text(const void *a, const void *b, void *arg)
{
    return str_cmp(text_of(arg, *(const uint32_t *)a), text_of(arg, *(const uint32_t *)b));
}

/* new_of marks the codes that are used; afterwards it holds the new ones. */
static void give_codes(struct recoded *r, bool is_sorted)
{
    r->old_of = xmalloc((r->dict->checked + 1) * sizeof *r->old_of);
    for (uint32_t code = 1; code <= r->dict->checked; code++)
        if (r->new_of[code])
            r->old_of[r->count++] = code;
    if (is_sorted)
        qsort_r(r->old_of, r->count, sizeof *r->old_of, by_text, r);
    for (uint32_t i = 0; i < r->count; i++)
        r->new_of[r->old_of[i]] = i + 1;
}

static void recoded_init(struct recoded *r, struct dict *d)
{
    *r = (struct recoded){.dict = d, .new_of = xcalloc(d->checked + 1, sizeof *r->new_of)};
}

/* Codes of a column that live rows have. */
static void mark_used(const struct packer *k, const struct column *c, struct recoded *r)
{
    for (uint64_t row = 0; row < k->rows; row++)
        r->new_of[column_code(c, k->row_of[row])] = 1;
    r->new_of[0] = 0;
}

/* The crash of each new row has the number of the row as its code. */
static bool recode_ids(const struct packer *k, const struct column *c, struct recoded *r,
                       struct err *err)
{
    r->old_of = xmalloc((k->rows + 1) * sizeof *r->old_of);
    for (uint64_t row = 0; row < k->rows; row++) {
        uint32_t code = column_code(c, k->row_of[row]);
        if (code == 0 || r->new_of[code])
            return err_set(err, ERR_DAMAGED, "%s: row %u has no crash id of its own",
                           k->old->folder, k->row_of[row]);
        r->new_of[code] = (uint32_t)row + 1;
        r->old_of[row] = code;
    }
    r->count = (uint32_t)k->rows;
    return true;
}

/* Marks the elements of lists that are used. */
static bool mark_elements(const struct column *c, const struct recoded *lists,
                          struct recoded *elements, struct err *err)
{
    for (uint32_t code = 1; code <= c->dict.checked; code++) {
        size_t n;
        if (!lists->new_of[code])
            continue;
        const uint32_t *codes = column_list(c, code, &n);
        if (!codes && dict_entry(&c->dict, code).n > 0)
            return err_set(err, ERR_DAMAGED, "%s/%s: list %u is damaged", c->part->folder,
                           c->h->name, code);
        for (size_t i = 0; codes && i < n; i++)
            elements->new_of[codes[i]] = 1;
    }
    return true;
}

/* Lists as arrays of the new codes of their elements. */
static void recode_lists(const struct column *c, struct recoded *lists,
                         const struct recoded *elements)
{
    uint64_t total = 0, at = 0;
    for (uint32_t code = 1; code <= c->dict.checked; code++)
        total += lists->new_of[code] ? dict_entry(&c->dict, code).n / sizeof(uint32_t) : 0;
    lists->lists = xmalloc((total + 1) * sizeof *lists->lists);
    lists->ends = xmalloc((c->dict.checked + 1) * sizeof *lists->ends);
    for (uint32_t code = 1; code <= c->dict.checked; code++) {
        size_t n = 0;
        const uint32_t *codes = lists->new_of[code] ? column_list(c, code, &n) : NULL;
        for (size_t i = 0; codes && i < n; i++)
            lists->lists[at++] = elements->new_of[codes[i]];
        lists->ends[code - 1] = at;
    }
}

static bool differs(const char *path, struct err *err)
{
    return err_set(err, ERR_INTERNAL, "%s does not read as what was written", path);
}

/* Every entry, by its code and by its hash. */
static bool check_texts(const char *path, uint64_t generation, struct recoded *r, struct err *err)
{
    struct texts *t;
    if (!texts_open(path, generation, &t, err))
        return false;
    bool ok = t->count == r->count;
    for (uint32_t code = 1; ok && code <= r->count; code++) {
        struct str want = text_of_new(r, code);
        ok = str_eq(texts_entry(t, code), want) &&
             texts_find(t, want, dict_hash(generation, want)) == code;
    }
    ok = ok && !t->is_damaged;
    texts_close(t);
    return ok || differs(path, err);
}

static bool write_dict(const struct packer *k, struct recoded *r, const char *name,
                       const char *what, struct dict_head *h, struct err *err)
{
    char path[PATH_MAX];
    column_file_path(k, name, what, path);
    dict_set_entries(h, r->count);
    return texts_write(path, k->h->generation, r->count, text_of_new, r, err) &&
           check_texts(path, k->h->generation, r, err);
}

/* Where the rows of a column come from. */
struct row_source {
    const struct packer *k;
    const struct column *c;
    const uint32_t *new_of; /* of codes; NULL: as they are */
};

static void fill_codes(void *arg, uint64_t first, size_t n, uint64_t *values, uint8_t *present)
{
    const struct row_source *s = arg;
    (void)present;
    for (size_t i = 0; i < n; i++) {
        uint32_t code = column_code(s->c, s->k->row_of[first + i]);
        values[i] = s->new_of ? s->new_of[code] : code;
    }
}

static void fill_numbers(void *arg, uint64_t first, size_t n, uint64_t *values, uint8_t *present)
{
    const struct row_source *s = arg;
    for (size_t i = 0; i < n; i++) {
        uint64_t row = s->k->row_of[first + i];
        bool has = column_has(s->c, row);
        if (!has)
            present[i / 8] &= (uint8_t) ~(1u << (i % 8));
        if (s->c->h->index != INDEX_DOUBLE) {
            values[i] = has ? (uint64_t)column_int(s->c, row) : 0;
            continue;
        }
        double d = has ? column_double(s->c, row) : 0;
        memcpy(&values[i], &d, sizeof d);
    }
}

/* Every row again, as the source gives it and as it reads now. */
static bool check_rows(const char *path, const struct packer *k, packed_fill *fill,
                       struct row_source *s, struct err *err)
{
    struct packed_column p = {.rows = 0};
    uint64_t values[BLOCK_ROWS];
    if (!packed_open(&p, path, k->h->generation, k->rows, err))
        return false;
    bool ok = true;
    for (uint64_t first = 0; ok && first < k->rows; first += BLOCK_ROWS) {
        size_t n = packed_block_rows(k->rows, first / BLOCK_ROWS);
        uint8_t present[BLOCK_ROWS / 8];
        memset(present, 0xff, sizeof present);
        fill(s, first, n, values, present);
        for (size_t i = 0; ok && i < n; i++) {
            bool has = present[i / 8] >> (i % 8) & 1;
            ok = packed_has(&p, first + i) == has &&
                 packed_get(&p, first + i) == (has ? values[i] : 0);
        }
    }
    packed_close(&p);
    return ok || differs(path, err);
}

static bool write_rows(const struct packer *k, const struct column *c, const uint32_t *new_of,
                       struct err *err)
{
    char path[PATH_MAX];
    struct row_source s = {k, c, new_of};
    bool is_number = c->kind == COLUMN_NUMBER;
    enum packed_as as = !is_number                    ? PACKED_CODES
                        : c->h->index == INDEX_DOUBLE ? PACKED_DOUBLES
                                                      : PACKED_WHOLE;
    packed_fill *fill = is_number ? fill_numbers : fill_codes;
    column_file_path(k, c->h->name, "packed", path);
    return packed_write(path, k->h->generation, k->rows, as, fill, &s, err) &&
           check_rows(path, k, fill, &s, err);
}

static uint32_t width_for(uint32_t codes)
{
    return codes <= UINT8_MAX ? 1 : codes <= UINT16_MAX ? 2 : 4;
}

static bool pack_lists(const struct packer *k, struct column *c, struct recoded *lists,
                       struct column_head *h, struct err *err)
{
    struct recoded elements;
    recoded_init(&elements, &c->elements);
    bool ok = mark_elements(c, lists, &elements, err);
    if (ok) {
        give_codes(&elements, true);
        recode_lists(c, lists, &elements);
        give_codes(lists, true);
        ok = write_dict(k, &elements, h->name, "element-texts", &h->elements, err);
    }
    recoded_release(&elements);
    return ok;
}

/* *ret_count: how many values it has. */
static bool pack_dict(const struct packer *k, struct column *c, struct column_head *h,
                      uint32_t *ret_count, struct err *err)
{
    struct recoded r;
    recoded_init(&r, &c->dict);
    bool is_ids = c == part_ids(k->old), ok = true;
    if (is_ids) {
        ok = recode_ids(k, c, &r, err);
    } else {
        mark_used(k, c, &r);
        if (c->kind == COLUMN_LIST)
            ok = pack_lists(k, c, &r, h, err);
        else
            give_codes(&r, true);
    }
    ok =
        ok && write_dict(k, &r, h->name, "texts", &h->dict, err) && write_rows(k, c, r.new_of, err);
    *ret_count = r.count;
    recoded_release(&r);
    return ok;
}

/* A column without a value in any live row is left out. */
static bool has_values(const struct packer *k, const struct column *c)
{
    for (uint64_t row = 0; row < k->rows; row++) {
        uint64_t old = k->row_of[row];
        if (c->kind == COLUMN_NUMBER ? column_has(c, old) : column_code(c, old) != 0)
            return true;
    }
    return false;
}

static bool pack_column(const struct packer *k, struct column *c, struct err *err)
{
    uint32_t at = columns_count(k->h), codes = 2;
    struct column_head *h = &k->h->columns[at];
    if (!has_values(k, c))
        return true;
    memcpy(h->name, c->h->name, sizeof h->name);
    h->kind = c->h->kind;
    h->index = c->h->index;
    h->is_packed = true;
    bool has_dict = c->kind == COLUMN_DICT || c->kind == COLUMN_LIST;
    if (!(has_dict ? pack_dict(k, c, h, &codes, err) : write_rows(k, c, NULL, err)))
        return false;
    uint32_t width = c->kind == COLUMN_NUMBER ? c->width : width_for(codes);
    column_set_file(h, (struct file_name){width, 1});
    columns_set_count(k->h, at + 1);
    column_forget(c);
    return true;
}

/* The dates of each block, as a writer would have widened them. */
static void write_zones(const struct packer *k, struct zone *zones)
{
    const struct column *dates = part_dates(k->old);
    for (uint64_t row = 0; dates && row < k->rows; row++)
        zone_widen(&zones[row / BLOCK_ROWS], column_int(dates, k->row_of[row]),
                   row % BLOCK_ROWS == 0);
}

/* No row is dead and each crash has its packed row: nothing is stored about either. */
static bool make_row_files(const struct packer *k, struct err *err)
{
    static const struct {
        const char *name;
        enum file_kind kind;
        uint32_t bytes;
        uint64_t rows;
        bool is_hole;
    } files[] = {
        {"_zones", FILE_ZONES, sizeof(struct zone), BLOCK_ROWS, false},
        {"_dead", FILE_DEAD, 8, 64, false},
        {"_dead-at", FILE_DEAD_AT, 8, 1, true},
        {"_row-of", FILE_ROW_OF, 4, 1, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char path[PATH_MAX];
        struct mfile m = {0};
        uint64_t n = (k->rows + files[i].rows - 1) / files[i].rows;
        snprintf(path, sizeof path, "%s/%s", k->folder, files[i].name);
        struct mfile_kind kind = {files[i].kind, files[i].bytes, k->h->generation};
        if (!mfile_create(&m, path, kind, files[i].is_hole ? n : 0, n, err))
            return false;
        if (files[i].kind == FILE_ZONES)
            write_zones(k, mfile_data(&m));
        mfile_close(&m);
    }
    return true;
}

/* The head comes last: without it the folder is no partition. */
static bool write_head(const struct packer *k, struct err *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/head", k->folder);
    rows_set_room(k->h, k->rows);
    rows_begin(k->h);
    seal_open(HEAD_PART, k->h);
    if (!fs_write_atomic(path, k->h, sizeof *k->h, FS_FILE_MODE, err))
        return false;
    mfile_punch(path, offsetof(struct part_head, columns[columns_count(k->h)]), sizeof *k->h);
    return true;
}

static bool goes_on(const struct packer *k, struct err *err)
{
    return !k->pace || k->pace->go_on(k->pace->arg, k->rows * sizeof(uint64_t)) ||
           err_set(err, ERR_UNAVAILABLE, "told to stop");
}

static bool write_all(const struct packer *k, struct err *err)
{
    if (!fs_remove_tree(k->folder, err) || !fs_mkdirs(k->folder, FS_DIR_MODE, err))
        return false;
    for (size_t i = 0; i < k->old->column_count; i++)
        if (k->old->columns[i] && (!pack_column(k, k->old->columns[i], err) || !goes_on(k, err)))
            return false;
    return make_row_files(k, err) && write_head(k, err);
}

static void begin_head(struct packer *k)
{
    k->h = xcalloc(1, sizeof *k->h);
    memcpy(k->h->magic, PART_MAGIC, sizeof k->h->magic);
    k->h->format = FORMAT_PACKED;
    k->h->week = k->old->week;
    k->h->generation = random_u64();
    k->h->packed_rows = (uint32_t)k->rows;
}

static void list_live_rows(struct packer *k, uint32_t *row_in_new)
{
    k->row_of = xmalloc((k->old->rows + 1) * sizeof *k->row_of);
    for (uint64_t row = 0; row < k->old->rows; row++) {
        if (part_is_dead(k->old, row))
            continue;
        k->row_of[k->rows++] = (uint32_t)row;
        row_in_new[row] = (uint32_t)k->rows;
    }
}

bool pack_part(const char *dir, struct part *old, uint32_t revision, const struct index_pace *pace,
               uint32_t *row_in_new, struct part **ret, uint64_t *ret_rows, struct err *err)
{
    struct packer k = {.dir = dir, .old = old, .pace = pace};
    char name[32];
    part_folder_name(old->week, revision, name);
    snprintf(k.folder, sizeof k.folder, "%s/%s", dir, name);
    list_live_rows(&k, row_in_new);
    bool ok;
    if (k.rows == 0) {
        ok = part_create(dir, old->fields, old->week, revision, ret, err);
    } else {
        begin_head(&k);
        ok = write_all(&k, err) && part_open(dir, old->fields, old->week, revision, true, ret, err);
    }
    *ret_rows = k.rows;
    free(k.h);
    free(k.row_of);
    return ok;
}
