/*
 * Rows of stored symbols files, a batch for each statement: all columns are arrays of one length,
 * and the database unnests them.  Ten thousand files of an upload are then three statements and
 * not thirty thousand.
 *
 * Rows come after files, because a row without a file would be an answer that leads nowhere, while
 * a file without a row is only not found by its code id.  Who is killed between the two leaves such
 * files; they are found again here when the same archive is sent once more, as files that are
 * there already (SYMSTORE_SAME) and are not known to the database.
 */
#include "lib/symfile/symrows.h"

#include <limits.h>
#include <stdio.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/symfile/symkey.h"
#include "queries.h"

/* Ten thousand files with seventeen texts of a few hundred bytes, twice: as columns and as
 * arrays. */
enum { ARENA_MAX = 256 << 20 };

/* One array parameter per column; all have the length of the batch. */
enum row_column {
    AREA,
    KEY,
    STORED_SIZE,
    ORIGINAL_SIZE,
    MD5,
    CONTENT_TYPE,
    CONTENT_ENCODING,
    DEBUG_FILENAME,
    DEBUG_ID,
    CODE_FILE,
    CODE_ID,
    GENERATOR,
    UPDATE,
    COMPRESSED,
    STARTED,
    SYMBOL,
    SYMBOL_ID,
    COLUMNS
};

struct rows {
    struct arena arena;
    struct strs columns[COLUMNS];
    size_t n;
    const char *upload_id;
};

/* Ids are looked up in upper case; what is too long to be one is stored as none. */
static const char *upper(struct arena *a, const char *id)
{
    char *out = arena_strdup(a, strlen(id) <= SYMKEY_ID_MAX ? id : "");
    for (char *p = out; *p; p++)
        if (*p >= 'a' && *p <= 'z')
            *p = (char)(*p - 'a' + 'A');
    return out;
}

static const char *key_text(struct arena *a, const struct symkey *k)
{
    char text[SYMKEY_MAX + 1];
    symkey_text(k, text);
    return arena_strdup(a, text);
}

static void add_row(struct rows *r, const struct symstore_new *n)
{
    struct arena *a = &r->arena;
    const struct symreader_text *t = &n->text;
    const char *const values[COLUMNS] = {
        [AREA] = symstore_area_names[n->area],
        [KEY] = key_text(a, &n->key),
        [STORED_SIZE] = db_int(a, (int64_t)n->stored_size),
        [ORIGINAL_SIZE] = db_int(a, (int64_t)t->size),
        [MD5] = t->md5,
        [CONTENT_TYPE] = symkey_is_text(&n->key) ? "text/plain" : "application/octet-stream",
        [CONTENT_ENCODING] = n->is_compressed ? "gzip" : "",
        [DEBUG_FILENAME] = t->debug_file,
        [DEBUG_ID] = upper(a, t->debug_id),
        [CODE_FILE] = t->code_file,
        [CODE_ID] = upper(a, t->code_id),
        [GENERATOR] = t->generator,
        [UPDATE] = db_bool(n->change == SYMSTORE_UPDATED),
        [COMPRESSED] = db_bool(n->is_compressed),
        [STARTED] = db_int(a, n->started_us),
        [SYMBOL] = n->key.debug_file,
        [SYMBOL_ID] = n->key.debug_id,
    };
    for (size_t c = 0; c < COLUMNS; c++)
        r->columns[c].v[r->n] = str_of(values[c]);
    r->n++;
    for (size_t c = 0; c < COLUMNS; c++)
        r->columns[c].n = r->n;
}

/*
 * is_known[i]: the file has rows. Asked before the transaction: two who add the same file at once
 * write its present state twice, which is the same, and each a row of history.
 */
static bool ask_known(struct db *db, struct rows *r, const struct symstore_new *news, size_t n,
                      bool *is_known, struct err *err)
{
    struct strs areas = {.v = arena_array(&r->arena, n + 1, sizeof(struct str)), .n = n};
    struct strs keys = {.v = arena_array(&r->arena, n + 1, sizeof(struct str)), .n = n};
    for (size_t i = 0; i < n; i++) {
        areas.v[i] = str_of(symstore_area_names[news[i].area]);
        keys.v[i] = str_of(key_text(&r->arena, &news[i].key));
    }
    DB_ROWS rows = {0};
    if (!DB_RUN(db, &q_symbol_object_known, &rows, err, db_text_array(&r->arena, areas),
                db_text_array(&r->arena, keys)))
        return false;
    for (int i = 0; i < rows.count; i++) {
        int64_t at = db_col_int(&rows, i, Q_SYMBOL_OBJECT_KNOWN_COL_AT, 0);
        if (at >= 1 && at <= (int64_t)n)
            is_known[at - 1] = true;
    }
    return true;
}

/* The present state, the history, and that nobody misses the file any more: all of it or
 * nothing. */
static bool write_rows(struct db *db, void *arg, struct err *err)
{
    struct rows *r = arg;
    const char *p[COLUMNS];
    for (size_t c = 0; c < COLUMNS; c++)
        p[c] = db_text_array(&r->arena, r->columns[c]);
    return DB_EXEC(db, &q_symbol_object_put, err, p[AREA], p[KEY], p[STORED_SIZE], p[ORIGINAL_SIZE],
                   p[MD5], p[CONTENT_TYPE], p[CONTENT_ENCODING]) &&
           DB_EXEC(db, &q_symbol_file_add, err, r->upload_id, p[AREA], p[KEY], p[DEBUG_FILENAME],
                   p[DEBUG_ID], p[CODE_FILE], p[CODE_ID], p[GENERATOR], p[UPDATE], p[COMPRESSED],
                   p[STORED_SIZE], p[STARTED]) &&
           DB_EXEC(db, &q_missing_symbol_found, err, p[SYMBOL], p[SYMBOL_ID]);
}

bool symrows_add(struct db *db, const char *upload_id, const struct symstore_new *news, size_t n,
                 struct err *err)
{
    struct rows r = {.upload_id = upload_id};
    FREE_LATER bool *is_known = xcalloc(n + 1, sizeof *is_known);
    arena_init(&r.arena, ARENA_MAX);
    for (size_t c = 0; c < COLUMNS; c++)
        r.columns[c].v = arena_array(&r.arena, n + 1, sizeof(struct str));
    bool ok = ask_known(db, &r, news, n, is_known, err);
    for (size_t i = 0; ok && i < n; i++)
        if (news[i].change != SYMSTORE_SAME || !is_known[i])
            add_row(&r, &news[i]);
    if (ok && r.n > 0)
        ok = db_tx(db, write_rows, &r, err);
    arena_release(&r.arena);
    return ok || err_wrap(err, "recording symbols files");
}

/* Rows of what is no longer stored lead to entries that nobody believes. */
static bool index_page(struct db *db, const struct symstore *store, int64_t *after, bool *ret_more,
                       struct err *err)
{
    DB_ROWS rows = {0};
    struct arena a;
    arena_init(&a, 4096);
    bool ok = DB_RUN(db, &q_symbol_file_codes, &rows, err, db_int(&a, *after));
    arena_release(&a);
    for (int i = 0; ok && i < rows.count; i++) {
        struct symkey k;
        *after = db_col_int(&rows, i, Q_SYMBOL_FILE_CODES_COL_ID, *after);
        if (symkey_of_module(str_of(db_col(&rows, i, Q_SYMBOL_FILE_CODES_COL_DEBUG_FILENAME)),
                             str_of(db_col(&rows, i, Q_SYMBOL_FILE_CODES_COL_DEBUG_ID)), &k,
                             ERR_IGNORED))
            symstore_add_code(store, db_col(&rows, i, Q_SYMBOL_FILE_CODES_COL_AREA),
                              db_col(&rows, i, Q_SYMBOL_FILE_CODES_COL_CODE_FILE),
                              db_col(&rows, i, Q_SYMBOL_FILE_CODES_COL_CODE_ID), &k);
    }
    *ret_more = rows.count > 0;
    return ok;
}

/* The mark is written last, as that of the index by debug id. */
bool symrows_ensure_codes(struct db *db, const struct symstore *store, struct err *err)
{
    char mark[PATH_MAX];
    int n = snprintf(mark, sizeof mark, "%s/codes/complete", store->dir);
    if (n < 0 || n >= (int)sizeof mark)
        return err_set(err, ERR_IO, "path of the symbol store too long");
    if (fs_exists(mark))
        return true;
    int64_t after = 0;
    for (bool more = true; more;)
        if (!index_page(db, store, &after, &more, err))
            return false;
    return fs_write_atomic(mark, "", 0, FS_FILE_MODE, err);
}
