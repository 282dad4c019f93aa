/*
 * Reading and writing a file of common numbers; format.h says what is in it.
 *
 * The file is believed only as a whole: its sum is made over everything behind itself, and beyond
 * that each number in it is compared with what it counts, so that a file whose writer was wrong
 * cannot lead outside of it either.  Both together take two milliseconds for the signatures of
 * ten million reports (tests/bench/search); what they spare takes hundreds.
 *
 * Everything here can be made again from the dictionaries.  So nothing is mended: a file that does
 * not fit is left alone, and the index keeper writes another.
 */
#include "lib/search/columns/numbering.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/search/columns/format.h"

/* Of 2^31 ids, which no dictionary has: the table is at most half full. */
enum { TABLE_BITS_MAX = 32 };

static void file_path(const char *dir, const char *name, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/%s/%s", dir, NUMBERING_DIR, name);
}

/* Where the arrays begin and how long the file is, for a head whose counts are inside their limits
 * and the codes of its parts. */
struct numbering_layout {
    size_t parts, places, table, ids, end;
};

static struct numbering_layout layout_of(const struct numbering_head *h, uint64_t codes)
{
    struct numbering_layout l = {.parts = sizeof *h};
    l.places = l.parts + h->part_count * sizeof(struct numbering_part);
    l.table = l.places + (size_t)h->id_count * 8;
    l.ids = l.table + ((size_t)8 << h->table_bits);
    l.end = l.ids + (codes + h->part_count) * 4;
    return l;
}

static uint64_t codes_of(const struct numbering_part *parts, size_t n)
{
    uint64_t codes = 0;
    for (size_t i = 0; i < n; i++)
        codes += parts[i].codes;
    return codes;
}

uint64_t numbering_codes(const struct numbering *n)
{
    return codes_of(n->parts, n->h.part_count);
}

static uint64_t sum_of(const uint8_t *bytes, size_t n)
{
    size_t from = offsetof(struct numbering_head, bytes);
    return hash64(bytes + from, n - from);
}

/* The counts of the head, before anything is computed from them. */
static bool is_head_good(const struct numbering_head *h, const char *field, size_t bytes)
{
    return memcmp(h->magic, NUMBERING_MAGIC, sizeof h->magic) == 0 &&
           h->format == NUMBERING_FORMAT && h->bytes == bytes && h->part_count <= PARTS_MAX &&
           h->table_bits <= TABLE_BITS_MAX && memchr(h->field, '\0', sizeof h->field) &&
           strcmp(h->field, field) == 0;
}

/* The parts must lie in the file before their codes are added up to know how long it is. */
static bool find_arrays(struct numbering *n, const char *field)
{
    const uint8_t *base = n->file.base;
    size_t bytes = n->file.bytes;
    if (bytes < sizeof n->h)
        return false;
    memcpy(&n->h, base, sizeof n->h);
    if (!is_head_good(&n->h, field, bytes))
        return false;
    struct numbering_layout l = layout_of(&n->h, 0);
    if (l.end > bytes)
        return false;
    n->parts = (const void *)(base + l.parts);
    l = layout_of(&n->h, codes_of(n->parts, n->h.part_count));
    n->places = (const void *)(base + l.places);
    n->ids = (const void *)(base + l.ids);
    n->texts = (struct tagmap){.places = (uint64_t *)((uintptr_t)base + l.table),
                               .n = n->h.id_count,
                               .cap = (size_t)1 << n->h.table_bits};
    return l.end == bytes;
}

bool numbering_map(const char *dir, const char *field, struct numbering *ret, struct err *err)
{
    char path[PATH_MAX];
    struct numbering n = {0};
    file_path(dir, field, path);
    if (!mfile_map_whole(&n.file, path, err))
        return false;
    if (!find_arrays(&n, field)) {
        mfile_close(&n.file);
        return err_set(err, ERR_DAMAGED, "%s is not the numbering of this field", path);
    }
    *ret = n;
    return true;
}

void numbering_close(struct numbering *n)
{
    mfile_close(&n->file);
    *n = (struct numbering){0};
}

bool numbering_is_in_place(const struct numbering *n, const char *dir)
{
    char path[PATH_MAX];
    file_path(dir, n->h.field, path);
    return mfile_is_at(&n->file, path);
}

/* A table without a free place would be looked through for ever. */
static bool is_table_good(const struct numbering *n)
{
    size_t used = 0;
    bool is_outside = false;
    for (size_t i = 0; i < n->texts.cap; i++) {
        uint64_t place = n->texts.places[i];
        uint32_t id = (uint32_t)place;
        used += place != 0;
        is_outside |= place != 0 && (id == 0 || id > n->h.id_count);
    }
    return !is_outside && used == n->h.id_count && used * 2 <= n->texts.cap;
}

static bool are_places_good(const struct numbering *n)
{
    for (size_t i = 0; i < n->h.id_count; i++) {
        uint64_t part = n->places[i] >> 32;
        uint32_t code = (uint32_t)n->places[i];
        if (part >= n->h.part_count || code == 0 || code > n->parts[part].codes)
            return false;
    }
    return true;
}

static bool are_ids_good(const struct numbering *n)
{
    const uint32_t *ids = n->ids;
    bool is_outside = false;
    for (size_t i = 0; i < n->h.part_count; i++) {
        is_outside |= ids[0] != 0;
        for (uint32_t code = 1; code <= n->parts[i].codes; code++)
            is_outside |= ids[code] - 1 >= n->h.id_count; /* 0 is the greatest then */
        ids += n->parts[i].codes + 1;
    }
    return !is_outside;
}

bool numbering_check(const struct numbering *n, struct err *err)
{
    if (n->h.sum != sum_of(n->file.base, n->file.bytes))
        return err_set(err, ERR_DAMAGED, "it is not what was written");
    if (!is_table_good(n) || !are_places_good(n) || !are_ids_good(n))
        return err_set(err, ERR_DAMAGED, "it leads outside of it");
    return true;
}

static void fill_head(struct numbering_head *h, const struct numbering_plan *plan)
{
    memcpy(h->magic, NUMBERING_MAGIC, sizeof h->magic);
    h->format = NUMBERING_FORMAT;
    h->seed = plan->seed;
    h->part_count = (uint32_t)plan->part_count;
    h->id_count = (uint32_t)plan->id_count;
    h->table_bits = (uint32_t)__builtin_ctzl(plan->texts->cap);
    snprintf(h->field, sizeof h->field, "%s", plan->field);
}

/* Made in memory as a whole, since its sum stands at its beginning. */
bool numbering_write(const char *dir, const struct numbering_plan *plan, struct err *err)
{
    struct numbering_head h = {0};
    fill_head(&h, plan);
    struct numbering_layout l = layout_of(&h, codes_of(plan->parts, plan->part_count));
    FREE_LATER uint8_t *bytes = xcalloc(1, l.end);
    h.bytes = l.end;
    memcpy(bytes, &h, sizeof h);
    memcpy(bytes + l.parts, plan->parts, plan->part_count * sizeof *plan->parts);
    memcpy(bytes + l.places, plan->places, plan->id_count * sizeof *plan->places);
    memcpy(bytes + l.table, plan->texts->places, plan->texts->cap * sizeof *plan->texts->places);
    for (size_t i = 0, at = l.ids; i < plan->part_count; i++) {
        size_t n = ((size_t)plan->parts[i].codes + 1) * sizeof **plan->ids;
        memcpy(bytes + at, plan->ids[i], n);
        at += n;
    }
    h.sum = sum_of(bytes, l.end);
    memcpy(bytes, &h, sizeof h);
    char path[PATH_MAX];
    file_path(dir, plan->field, path);
    return fs_write_atomic(path, bytes, l.end, FS_FILE_MODE, err);
}

/* fs_write_atomic writes under such a name first. */
bool numbering_is_written(const char *name, const void *unused)
{
    (void)unused;
    return strstr(name, ".tmp.") == NULL;
}

bool numbering_remove(const char *dir, bool (*goes)(const char *name, const void *arg),
                      const void *arg, struct err *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", dir, NUMBERING_DIR);
    DIR *d = opendir(path);
    if (!d)
        return errno == ENOENT || err_errno(err, errno, "listing %s", path);
    bool ok = true;
    for (struct dirent *e; ok && (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || !goes(e->d_name, arg))
            continue;
        ok = unlinkat(dirfd(d), e->d_name, 0) == 0 || errno == ENOENT ||
             err_errno(err, errno, "removing %s/%s", path, e->d_name);
    }
    closedir(d);
    return ok;
}
