/*
 * Days of the export: making one out of the records of the store, and taking crashes out of one.
 *
 * Making: ids in order, so that the same records give the same bytes; the day appears; then the
 * single records go.  A job that is killed before the day appears starts over; one that is killed
 * behind it finds the day and only removes the records that are left.  A record that a processor
 * writes in this very moment is removed by the next call; its crash came too late for the day.
 *
 * Taking out: the day is written anew without them and exchanged with the old one.  What was
 * fetched before is out of our hands; the list of what to delete there is the importer's business.
 *
 * Both are done by jobs and by `datil purge`, in several processes, so a lock on a file keeps them
 * apart: two that write the same draft would publish a mixture.
 */
#include "lib/export/export.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/crash_id.h"
#include "lib/export/partition.h"
#include "lib/json/json.h"
#include "lib/store/store.h"

/* A day of the largest installations has some millions of crashes; an id takes 52 bytes. */
enum { IDS_BYTES_MAX = 1 << 30, DAY_DIGITS = 8, MANIFEST_NAME_MAX = 200 };

/* Those who make or change days, one after the other.  -1: failed. */
static int lock_days(const char *var_dir, struct err *err)
{
    FREE_LATER char *dir = NULL, *path = NULL;
    if (asprintf(&dir, "%s/telemetry", var_dir) < 0 || asprintf(&path, "%s/.lock", dir) < 0)
        abort();
    if (!fs_mkdirs(dir, FS_DIR_MODE, err))
        return -1;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, FS_FILE_MODE);
    while (fd >= 0 && flock(fd, LOCK_EX) != 0)
        if (errno != EINTR)
            break;
    if (fd < 0)
        err_errno(err, errno, "%s", path);
    return fd;
}

struct ids {
    struct arena arena;
    struct str *v;
    size_t n, cap;
};

static bool add_id(void *arg, const char *id)
{
    struct ids *ids = arg;
    if (ids->n == ids->cap) {
        ids->cap = MAX(ids->cap * 2, (size_t)1024);
        ids->v = xrealloc(ids->v, ids->cap * sizeof *ids->v);
    }
    ids->v[ids->n++] = str_of(arena_strdup(&ids->arena, id));
    return true;
}

static int by_bytes(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* A record that was removed meanwhile is none of the day. */
static bool add_record(struct partition *p, struct store *store, const char *id, struct err *err)
{
    char *bytes;
    size_t n;
    struct err why = {0};
    if (!store_get(store, id, "crash_report", JSON_BYTES_MAX, &bytes, &n, &why))
        return why.code == ERR_NOT_FOUND || err_set(err, why.code, "record of %s: %s", id, why.msg);
    bool ok = partition_add(p, str_n(bytes, n), err);
    free(bytes);
    return ok;
}

static bool make_day(const char *var_dir, struct store *store, const char *day,
                     const struct ids *ids, struct export_rolled *ret, struct err *err)
{
    struct partition *p;
    if (!partition_new(var_dir, day, &p, err))
        return false;
    bool ok = true;
    for (size_t i = 0; ok && i < ids->n; i++)
        ok = add_record(p, store, ids->v[i].p, err);
    ok = ok && partition_publish(p, &ret->rows, &ret->files, err);
    partition_free(p);
    return ok;
}

/* The day is looked for behind the listing: records that came in between are in the list and go
 * without being in the day, as the head of this file says of all that come too late. */
static bool roll(const char *var_dir, struct store *store, const char *day, struct ids *ids,
                 struct export_rolled *ret, struct err *err)
{
    json_auto_t *manifest = NULL;
    struct err why = {0};
    struct export_rolled r = {0};
    if (!store_catalog(store, day, "crash_report", add_id, ids, err))
        return false;
    qsort(ids->v, ids->n, sizeof *ids->v, by_bytes);
    r.was_there = partition_manifest(var_dir, day, &manifest, &why);
    if (!r.was_there && why.code != ERR_NOT_FOUND)
        return err_set(err, why.code, "%s", why.msg);
    if (!r.was_there && !make_day(var_dir, store, day, ids, &r, err))
        return false;
    for (size_t i = 0; i < ids->n; i++)
        if (!store_remove(store, ids->v[i].p, "crash_report", err))
            return false;
    *ret = r;
    return true;
}

bool export_roll(const char *var_dir, struct store *store, const char *day,
                 struct export_rolled *ret, struct err *err)
{
    struct ids ids = {0};
    if (strlen(day) != DAY_DIGITS || strspn(day, "0123456789") != DAY_DIGITS)
        return err_set(err, ERR_INVALID, "no day of the form YYYYMMDD: %s", day);
    int lock = lock_days(var_dir, err);
    if (lock < 0)
        return false;
    arena_init(&ids.arena, IDS_BYTES_MAX);
    bool ok = roll(var_dir, store, day, &ids, ret, err);
    arena_release(&ids.arena);
    free(ids.v);
    close(lock);
    return ok;
}

struct day_removal {
    const struct str *ids; /* sorted */
    size_t n;
    struct partition *draft; /* NULL: only look */
    bool is_count;           /* nothing is to be removed */
    size_t found;
};

/* Without a crash_id a record has its id as "uuid".  The same function counts in the first pass and
 * copies in the second. */
static bool look_at_line(void *arg, struct str line, struct err *err)
{
    struct day_removal *r = arg;
    struct str id = partition_id_of(line);
    bool is_doomed = bsearch(&id, r->ids, r->n, sizeof *r->ids, by_bytes) != NULL;
    r->found += is_doomed;
    return is_doomed || !r->draft || partition_add(r->draft, line, err);
}

static bool read_day(const char *var_dir, const char *day, const json_t *manifest,
                     struct day_removal *r, struct err *err)
{
    size_t i;
    const json_t *file;
    r->found = 0;
    json_array_foreach (jget_arr(manifest, "files"), i, file) {
        const char *name = jget_str(file, "name");
        if (!name || strchr(name, '/') || strlen(name) > MANIFEST_NAME_MAX)
            return err_set(err, ERR_DAMAGED, "manifest of %s: a file without a good name", day);
        if (!partition_read(var_dir, day, name, look_at_line, r, err))
            return false;
    }
    return true;
}

/* Two passes, since most days have none of them and stay as they are. */
static bool remove_of_day(const char *var_dir, const char *day, struct day_removal *r,
                          size_t *ret_rows, struct err *err)
{
    json_auto_t *manifest = NULL;
    struct err why = {0};
    size_t rows, files;
    if (!partition_manifest(var_dir, day, &manifest, &why))
        return why.code == ERR_NOT_FOUND || err_set(err, why.code, "%s", why.msg);
    if (!read_day(var_dir, day, manifest, r, err))
        return false;
    if (r->found == 0 || r->is_count) {
        *ret_rows += r->found;
        return true;
    }
    bool ok = partition_new(var_dir, day, &r->draft, err) &&
              read_day(var_dir, day, manifest, r, err) &&
              partition_publish(r->draft, &rows, &files, err);
    partition_free(r->draft);
    r->draft = NULL;
    *ret_rows += ok ? r->found : 0;
    return ok;
}

/* The last six digits of a crash id are its day. */
static int by_day(const void *a, const void *b)
{
    const struct str *x = a, *y = b;
    int c = str_cmp(str_sub(*x, x->n - 6, 6), str_sub(*y, y->n - 6, 6));
    return c ? c : str_cmp(*x, *y);
}

/* A day is read once, however many of its crashes go. */
static bool remove_sorted(const char *var_dir, struct strs ids, bool is_count, size_t *ret_rows,
                          struct err *err)
{
    for (size_t i = 0, end; i < ids.n; i = end) {
        char day[CRASH_DATE_SIZE];
        crash_id_date(ids.v[i].p, day);
        for (end = i + 1; end < ids.n; end++)
            if (memcmp(ids.v[end].p + ids.v[end].n - 6, ids.v[i].p + ids.v[i].n - 6, 6) != 0)
                break;
        struct day_removal r = {.ids = ids.v + i, .n = end - i, .is_count = is_count};
        if (!remove_of_day(var_dir, day, &r, ret_rows, err))
            return err_wrap(err, "export of %s", day);
    }
    return true;
}

static bool remove_or_count(const char *var_dir, struct strs crash_ids, bool is_count,
                            size_t *ret_rows, struct err *err)
{
    size_t rows = 0;
    int lock = lock_days(var_dir, err);
    if (lock < 0)
        return false;
    struct strs sorted = {.v = xmalloc((crash_ids.n + 1) * sizeof *sorted.v), .n = crash_ids.n};
    memcpy(sorted.v, crash_ids.v, crash_ids.n * sizeof *sorted.v);
    qsort(sorted.v, sorted.n, sizeof *sorted.v, by_day);
    bool ok = remove_sorted(var_dir, sorted, is_count, &rows, err);
    free(sorted.v);
    close(lock);
    *ret_rows = rows;
    return ok;
}

bool export_hold(const char *var_dir, int *ret_fd, struct err *err)
{
    *ret_fd = lock_days(var_dir, err);
    return *ret_fd >= 0;
}

bool export_has(const char *var_dir, const char *crash_id, bool *ret, struct err *err)
{
    char day[CRASH_DATE_SIZE];
    crash_id_date(crash_id, day);
    return partition_has(var_dir, day, crash_id, ret, err);
}

bool export_remove(const char *var_dir, struct strs crash_ids, size_t *ret_rows, struct err *err)
{
    return remove_or_count(var_dir, crash_ids, false, ret_rows, err);
}

bool export_count(const char *var_dir, struct strs crash_ids, size_t *ret_rows, struct err *err)
{
    return remove_or_count(var_dir, crash_ids, true, ret_rows, err);
}
