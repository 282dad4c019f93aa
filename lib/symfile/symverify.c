/*
 * Rows and files are written one after the other (symstore.c, symrows.c), copied by hand and
 * restored from backups of different hours, so they may disagree; downloads believe the rows, and
 * stack walks believe the files.  Three passes look at all of it:
 *
 *   1. the files of each area, a page of names at a time, against their rows;
 *   2. the rows of each area, in the order of their keys, against the disk;
 *   3. the checksums of compiled files, which nobody looks at on the way of a crash.
 *
 * What changes while the passes go on may be reported wrongly, and is put right only if it is still
 * so: a row is dropped after a second look at the disk, and rows are written by what the file is
 * when it is read.
 */
#include "lib/symfile/symverify.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/symfile/csym.h"
#include "lib/symfile/symkey.h"
#include "lib/symfile/symreader.h"
#include "lib/symfile/symrows.h"
#include "queries.h"

enum {
    PAGE = 500,          /* names of one question to the database */
    ARENA_MAX = 4 << 20, /* a page of names of at most SYMKEY_MAX bytes, as an array and as rows */
};

const char *const symverify_words[] = {
    [SYMVERIFY_NO_FILE] = "in the database, not on disk",
    [SYMVERIFY_NO_ROW] = "on disk, not in the database",
    [SYMVERIFY_SIZE] = "on disk with another size",
    [SYMVERIFY_CONTENT] = "damaged: its bytes are not those that were stored",
    [SYMVERIFY_CSYM] = "compiled symbols are damaged",
};

struct seen_file {
    struct symkey key;
    struct symstore_found found;
};

struct verifying {
    const struct symverify *v;
    enum symstore_area area;
    struct seen_file page[PAGE];
    size_t n;
    struct err *err;
};

/* A finding to the caller, who prints it: area, key, and whether it has been mended. */
static void tell(const struct symverify *v, enum symverify_finding finding, enum symstore_area area,
                 const struct symkey *key, bool is_mended)
{
    char text[SYMKEY_MAX + 1], name[SYMKEY_MAX + 16];
    symkey_text(key, text);
    snprintf(name, sizeof name, "%s %s", symstore_area_names[area], text);
    v->found(v->arg, finding, name, is_mended);
}

/* Facts of the text as they were when the file came: what is stored as it came is not unpacked for
 * it, however packed it looks. */
static bool read_text(const struct symverify *v, const struct symstore_found *f,
                      struct symreader_text *ret, struct err *err)
{
    struct symreader *r = NULL;
    FD_AUTO fd = open(f->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "%s", f->path);
    if (!symreader_start(fd, v->temp_dir, &r, err))
        return false;
    bool ok =
        f->is_compressed ? symreader_load(r, NULL, ret, err) : symreader_load_as_is(r, ret, err);
    symreader_stop(r);
    return ok;
}

/* Rows for a file by what it is now.  One that cannot be read gets none. */
static bool write_rows(struct verifying *x, const struct seen_file *f, bool *ret_mended,
                       struct err *err)
{
    struct symstore_new n = {.key = f->key,
                             .area = x->area,
                             .change = SYMSTORE_ADDED,
                             .is_compressed = f->found.is_compressed,
                             .stored_size = f->found.stored_size,
                             .started_us = f->found.modified_s * 1000000,
                             .temp_fd = -1,
                             .csym_fd = -1};
    *ret_mended = read_text(x->v, &f->found, &n.text, ERR_IGNORED);
    return !*ret_mended || symrows_add(x->v->db, NULL, &n, 1, err);
}

/* row: of the file, or -1. */
static bool compare_file(struct verifying *x, const struct seen_file *f, const struct db_rows *rows,
                         int row, struct err *err)
{
    bool is_mended = false;
    struct symreader_text text;
    if (row >= 0 && (uint64_t)db_col_int(rows, row, Q_SYMBOL_OBJECT_OF_COL_STORED_SIZE, -1) ==
                        f->found.stored_size) {
        if (x->v->wants_content &&
            (!read_text(x->v, &f->found, &text, ERR_IGNORED) ||
             strcmp(text.md5, db_col(rows, row, Q_SYMBOL_OBJECT_OF_COL_ORIGINAL_MD5)) != 0))
            tell(x->v, SYMVERIFY_CONTENT, x->area, &f->key, false);
        return true;
    }
    if (x->v->is_fixing && !write_rows(x, f, &is_mended, err))
        return false;
    tell(x->v, row < 0 ? SYMVERIFY_NO_ROW : SYMVERIFY_SIZE, x->area, &f->key, is_mended);
    return true;
}

/*
 * Rows of up to PAGE files in one question.  Both lists are short, so each file looks through all
 * rows.
 */
static bool compare_page(struct verifying *x, struct err *err)
{
    struct arena a;
    DB_ROWS rows = {0};
    arena_init(&a, ARENA_MAX);
    struct strs names = {.v = arena_array(&a, PAGE, sizeof(struct str))};
    for (size_t i = 0; i < x->n; i++) {
        char text[SYMKEY_MAX + 1];
        symkey_text(&x->page[i].key, text);
        names.v[names.n++] = str_of(arena_strdup(&a, text));
    }
    bool ok = DB_RUN(x->v->db, &q_symbol_object_of, &rows, err, symstore_area_names[x->area],
                     db_text_array(&a, names));
    for (size_t i = 0; ok && i < x->n; i++) {
        int row = -1;
        for (int k = 0; k < rows.count && row < 0; k++)
            if (str_eq(names.v[i], str_of(db_col(&rows, k, Q_SYMBOL_OBJECT_OF_COL_KEY))))
                row = k;
        ok = compare_file(x, &x->page[i], &rows, row, err);
        x->v->step(x->v->arg, x->page[i].found.stored_size);
    }
    arena_release(&a);
    x->n = 0;
    return ok;
}

static bool on_file(void *arg, const struct symkey *key, const struct symstore_found *file)
{
    struct verifying *x = arg;
    x->page[x->n++] = (struct seen_file){*key, *file};
    return x->n < PAGE || compare_page(x, x->err);
}

/* From the disk to the database: files that have no row, or another than they should. */
static bool verify_files(const struct symverify *v, enum symstore_area area, struct err *err)
{
    FREE_LATER struct verifying *x = xcalloc(1, sizeof *x);
    x->v = v;
    x->area = area;
    x->err = err;
    *err = (struct err){0};
    return symstore_list(v->store, area, on_file, x, err) && !err->code && compare_page(x, err);
}

/* A second look: the file may have come since the row was read. */
static bool look_at_row(const struct symverify *v, enum symstore_area area, const char *text,
                        struct err *err)
{
    struct symkey key;
    struct symstore_found f;
    struct err why = {0};
    if (symkey_parse(str_of(text), &key, ERR_IGNORED) &&
        (symstore_find(v->store, area, &key, &f, &why) || why.code != ERR_NOT_FOUND))
        return why.code == ERR_NONE || err_set(err, why.code, "%s", why.msg);
    if (v->is_fixing &&
        !DB_EXEC(v->db, &q_symbol_object_drop, err, symstore_area_names[area], text))
        return false;
    v->found(v->arg, SYMVERIFY_NO_FILE, text, v->is_fixing);
    return true;
}

/*
 * From the database to the disk, in the order of keys: each page begins behind the last key, so
 * rows that come or go meanwhile shift nothing.
 */
static bool verify_rows(const struct symverify *v, enum symstore_area area, struct err *err)
{
    char after[SYMKEY_MAX + 1] = "";
    bool ok = true, more = true;
    while (ok && more) {
        struct arena a;
        DB_ROWS rows = {0};
        arena_init(&a, ARENA_MAX);
        ok = DB_RUN(v->db, &q_symbol_object_page, &rows, err, symstore_area_names[area], after,
                    db_int(&a, PAGE));
        arena_release(&a);
        more = ok && rows.count == PAGE;
        for (int i = 0; ok && i < rows.count; i++) {
            snprintf(after, sizeof after, "%s", db_col(&rows, i, Q_SYMBOL_OBJECT_PAGE_COL_KEY));
            ok = look_at_row(v, area, after, err);
        }
    }
    return ok;
}

/* Closing a csym that did not open is allowed; what cannot be opened is damaged as well, or of
 * another version, and is made anew in either case. */
static bool is_whole_csym(const char *path)
{
    struct csym c;
    bool ok = csym_open_file(path, &c, ERR_IGNORED);
    if (!ok)
        return false;
    ok = csym_verify(&c, ERR_IGNORED);
    csym_close(&c);
    return ok;
}

/*
 * Every .csym of the cache with its checksum.  A damaged one is removed and nothing else: it is
 * made again when somebody wants it.
 */
static bool verify_csyms(const struct symverify *v, struct err *err)
{
    char *const roots[] = {(char *)v->store->cache_dir, NULL};
    FTS *fts = v->store->cache_dir ? fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL) : NULL;
    if (!fts)
        return !v->store->cache_dir || err_errno(err, errno, "reading %s", v->store->cache_dir);
    for (FTSENT *e; (e = fts_read(fts));) {
        if (e->fts_info != FTS_F || !str_ends(str_of(e->fts_name), STR(".csym")))
            continue;
        v->step(v->arg, (uint64_t)e->fts_statp->st_size);
        if (!is_whole_csym(e->fts_accpath))
            v->found(v->arg, SYMVERIFY_CSYM, e->fts_path + strlen(v->store->cache_dir) + 1,
                     v->is_fixing && unlink(e->fts_accpath) == 0);
    }
    fts_close(fts);
    return true;
}

/* An unmounted store would look like one that has lost everything. */
bool symverify_run(const struct symverify *v, struct err *err)
{
    if (!symstore_check(v->store, err))
        return false;
    for (enum symstore_area area = 0; area < SYMSTORE_AREA_COUNT; area++)
        if (!verify_files(v, area, err) || !verify_rows(v, area, err))
            return err_wrap(err, "comparing %s symbols", symstore_area_names[area]);
    return verify_csyms(v, err);
}
