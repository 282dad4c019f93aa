/*
 * Retention of symbols.  The database says what is old, because it has an index by age and the disk
 * has not; the file itself has the last word, because an upload may have replaced it a moment ago.
 *
 * Files go before their rows, a page at a time.  Who is killed in between leaves rows without
 * files, which the next run takes up again; the other order would leave files that nobody would
 * ever look at.  An upload of the same key may come between any two steps: its file is too young to
 * be removed, and so is its row.
 *
 * Two things keep a wrong clock or an unmounted disk from costing anything.  The store must carry
 * the mark of this installation for each page.  And the newest sign of life (an upload, a report, a
 * log-in) must not be older than a month by this clock: a server that works sees one of them, so
 * rather the clock has jumped.
 *
 * "In use" is what .csym files and downloads say.  A .csym is touched by the walk of a crash at
 * most once an hour (symcache.c) and is itself evicted only when it was not used for longest, so as
 * long as it is there its time is that of the last crash with this module.
 */
#include "lib/symfile/symexpire.h"

#include <inttypes.h>
#include <stdio.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/symfile/symcache.h"
#include "lib/symfile/symkey.h"
#include "queries.h"

enum {
    PAGE_FILES = 500,    /* of one transaction: a second of unlinks on a slow disk */
    ARENA_MAX = 4 << 20, /* a page of keys of at most SYMKEY_MAX bytes, twice */
    STALE_DAYS = 30,     /* as the retention of crashes doubts the clock */
    HISTORY_PAGE = 10000,
    HISTORY_DAYS = 730,    /* of rows, however long the files themselves stay */
    TRY_HISTORY_DAYS = 30, /* two days more than the files: what went wrong is asked for later */
};

/* What a page of one area is about. */
struct expiring {
    const struct symexpire *x;
    enum symstore_area area;
    struct arena arena;
    int64_t before_us, used_since_us;
    char after[SYMKEY_MAX + 1]; /* the key that the last page ended with */
    struct strs doomed;
    int64_t bytes;
};

static bool check_clock(const struct symexpire *x, struct err *err)
{
    DB_ROWS rows = {0};
    if (x->is_forced)
        return true;
    if (!DB_RUN(x->db, &q_symbol_sign_of_life, &rows, err))
        return false;
    int64_t newest_us = db_col_int(&rows, 0, Q_SYMBOL_SIGN_OF_LIFE_COL_NEWEST_US, x->now_us);
    int64_t days = (x->now_us - newest_us) / DAY_US;
    return days <= STALE_DAYS ||
           err_set(err, ERR_CONFLICT,
                   "refused: by this clock nothing was uploaded, reported or logged in for %" PRId64
                   " days; check the clock; if this is meant, run `datil symbols expire --force`",
                   days);
}

/* What is tried out goes by age alone. */
static bool is_in_use(const struct expiring *e, const struct symkey *key, bool was_downloaded)
{
    return e->area != SYMSTORE_TRY &&
           (was_downloaded ||
            (e->x->store->cache_dir && symkey_is_of_module(key) &&
             symcache_used_s(e->x->store->cache_dir, key) * 1000000 >= e->used_since_us));
}

/* A row whose key cannot be one leads to no file: it goes. */
static void sort_out(struct expiring *e, const struct db_rows *rows,
                     struct symexpire_counts *counts)
{
    e->doomed.n = 0;
    e->bytes = 0;
    for (int i = 0; i < rows->count; i++) {
        const char *text = db_col(rows, i, Q_SYMBOL_OBJECT_OLD_COL_KEY);
        struct symkey key;
        bool stays =
            symkey_parse(str_of(text), &key, ERR_IGNORED) &&
            is_in_use(e, &key, db_col_bool(rows, i, Q_SYMBOL_OBJECT_OLD_COL_WAS_DOWNLOADED));
        int64_t bytes = db_col_int(rows, i, Q_SYMBOL_OBJECT_OLD_COL_STORED_SIZE, 0);
        e->x->report(e->x->arg, e->area, text, bytes, stays);
        counts->kept += stays;
        if (!stays) {
            e->doomed.v[e->doomed.n++] = str_of(arena_strdup(&e->arena, text));
            e->bytes += bytes;
        }
        snprintf(e->after, sizeof e->after, "%s", text);
    }
}

/* The rows of files that are gone go, too. */
static bool remove_page(struct expiring *e, struct symexpire_counts *counts, struct err *err)
{
    struct strs gone = {.v = arena_array(&e->arena, PAGE_FILES, sizeof(struct str))};
    if (e->doomed.n > 0 && !symstore_check(e->x->store, err))
        return false;
    for (size_t i = 0; i < e->doomed.n; i++) {
        struct symkey key;
        bool is_gone = true;
        if (symkey_parse(e->doomed.v[i], &key, ERR_IGNORED) &&
            !symstore_remove(e->x->store, e->area, &key, e->before_us / 1000000, &is_gone, err))
            return false;
        if (is_gone)
            gone.v[gone.n++] = e->doomed.v[i];
    }
    counts->removed += gone.n;
    return gone.n == 0 ||
           DB_EXEC(e->x->db, &q_symbol_object_forget, err, symstore_area_names[e->area],
                   db_text_array(&e->arena, gone), db_int(&e->arena, e->before_us));
}

/* *ret_more: there may be further ones. */
static bool expire_page(struct expiring *e, struct symexpire_counts *counts, bool *ret_more,
                        struct err *err)
{
    struct arena *a = &e->arena;
    DB_ROWS rows = {0};
    if (!DB_RUN(e->x->db, &q_symbol_object_old, &rows, err, symstore_area_names[e->area],
                db_int(a, e->before_us), db_int(a, e->used_since_us), e->after,
                db_int(a, PAGE_FILES)))
        return false;
    e->doomed.v = arena_array(a, PAGE_FILES, sizeof(struct str));
    sort_out(e, &rows, counts);
    counts->bytes += e->bytes;
    if (e->x->is_dry)
        counts->removed += e->doomed.n;
    else if (!remove_page(e, counts, err))
        return false;
    *ret_more = rows.count == PAGE_FILES;
    return true;
}

static bool expire_area(const struct symexpire *x, enum symstore_area area,
                        struct symexpire_counts *counts, struct err *err)
{
    /* Of what can be fetched again the age is that of the last use. */
    int keep_days = area == SYMSTORE_CACHE ? x->days[area] : x->keep_used_days;
    struct expiring e = {.x = x,
                         .area = area,
                         .before_us = x->now_us - x->days[area] * DAY_US,
                         .used_since_us = x->now_us - keep_days * DAY_US};
    bool more = true, ok = true;
    while (ok && more) {
        arena_init(&e.arena, ARENA_MAX);
        ok = expire_page(&e, counts, &more, err);
        arena_release(&e.arena);
    }
    return ok;
}

struct symexpire symexpire_of_conf(const struct conf *conf, const struct symstore *store,
                                   struct db *db)
{
    return (struct symexpire){
        .store = store,
        .db = db,
        .days = {[SYMSTORE_REGULAR] = (int)conf_int(conf, CONF_SYMBOLS_REGULAR_RETENTION_DAYS),
                 [SYMSTORE_TRY] = (int)conf_int(conf, CONF_SYMBOLS_TRY_RETENTION_DAYS),
                 [SYMSTORE_CACHE] = (int)conf_int(conf, CONF_SYMBOLS_UPSTREAM_RETENTION_DAYS)},
        .keep_used_days = (int)conf_int(conf, CONF_SYMBOLS_KEEP_USED_DAYS),
    };
}

bool symexpire_count(const struct symexpire *x, size_t *ret, struct err *err)
{
    struct arena a;
    bool ok = true;
    *ret = 0;
    arena_init(&a, ARENA_MAX);
    for (enum symstore_area area = 0; ok && area < SYMSTORE_AREA_COUNT; area++) {
        DB_ROWS rows = {0};
        if (x->days[area] == 0)
            continue;
        ok = DB_RUN(x->db, &q_symbol_object_old_count, &rows, err, symstore_area_names[area],
                    db_int(&a, x->now_us - x->days[area] * DAY_US));
        if (ok)
            *ret += (size_t)db_col_int(&rows, 0, Q_SYMBOL_OBJECT_OLD_COUNT_COL_N, 0);
    }
    arena_release(&a);
    return ok;
}

void symexpire_print(const struct symexpire *x, const struct symexpire_counts *counts)
{
    printf("%zu symbols files %s (%lld MiB), %zu old ones kept because they are in use\n",
           counts->removed, x->is_dry ? "would be removed" : "removed",
           (long long)(counts->bytes >> 20), counts->kept);
}

bool symexpire_files(const struct symexpire *x, struct symexpire_counts *ret, struct err *err)
{
    *ret = (struct symexpire_counts){0};
    if (!check_clock(x, err))
        return false;
    for (enum symstore_area area = 0; area < SYMSTORE_AREA_COUNT; area++)
        if (x->days[area] > 0 && !expire_area(x, area, ret, err))
            return err_wrap(err, "expiring %s symbols", symstore_area_names[area]);
    return true;
}

/* Pages, so that no statement holds its locks for minutes. */
static bool clear_all(const struct symexpire *x, struct arena *a, const struct db_query *q,
                      int64_t before_us, bool is_try, size_t *count, struct err *err)
{
    int page;
    do {
        DB_ROWS rows = {0};
        if (!DB_RUN(x->db, q, &rows, err, db_int(a, before_us), db_bool(is_try),
                    db_int(a, HISTORY_PAGE)))
            return false;
        page = rows.affected;
        *count += (size_t)page;
    } while (page == HISTORY_PAGE);
    return true;
}

static bool count_old(const struct symexpire *x, struct arena *a, int64_t before_us, bool is_try,
                      size_t *files, size_t *uploads, struct err *err)
{
    DB_ROWS rows = {0};
    if (!DB_RUN(x->db, &q_symbol_history_old, &rows, err, db_int(a, before_us), db_bool(is_try)))
        return false;
    *files += (size_t)db_col_int(&rows, 0, Q_SYMBOL_HISTORY_OLD_COL_FILES, 0);
    *uploads += (size_t)db_col_int(&rows, 0, Q_SYMBOL_HISTORY_OLD_COL_UPLOADS, 0);
    return true;
}

bool symexpire_history(const struct symexpire *x, size_t *ret_files, size_t *ret_uploads,
                       struct err *err)
{
    struct arena a;
    bool ok = check_clock(x, err);
    *ret_files = *ret_uploads = 0;
    arena_init(&a, ARENA_MAX);
    for (int is_try = 0; ok && is_try < 2; is_try++) {
        int days = is_try ? TRY_HISTORY_DAYS : HISTORY_DAYS;
        int64_t before_us = x->now_us - days * DAY_US;
        ok =
            x->is_dry
                ? count_old(x, &a, before_us, is_try, ret_files, ret_uploads, err)
                : clear_all(x, &a, &q_symbol_file_clear, before_us, is_try, ret_files, err) &&
                      clear_all(x, &a, &q_symbol_upload_clear, before_us, is_try, ret_uploads, err);
    }
    arena_release(&a);
    return ok;
}
