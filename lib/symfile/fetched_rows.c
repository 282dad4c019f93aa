/*
 * A note is a JSON object in SYMBOLS_DIR/cache/new/, written beside and renamed.  It holds what the
 * sandboxed reader said of the text, which would otherwise have to be read again: half a gigabyte
 * for a row.  Rows first, then the note goes: who is killed in between writes them once more, which
 * changes nothing (symrows_add knows what has rows).
 *
 * The files of the store are ours, but whoever can write there could write notes; so a note is
 * checked like anything else, and one that is damaged is dropped.
 */
#include "lib/symfile/fetched_rows.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/symfile/symkey.h"
#include "lib/symfile/symreader.h"
#include "lib/symfile/symrows.h"

enum {
    NOTE_MAX = 16 << 10, /* seven texts of at most 300 bytes, escaped */
    BATCH = 500,         /* notes of one call: a crash waits for it */
};

static const struct {
    const char *name;
    size_t at, size;
} texts[] = {
    {"md5", offsetof(struct symreader_text, md5), SYMREADER_MD5_HEX + 1},
    {"debug_file", offsetof(struct symreader_text, debug_file), SYMREADER_TEXT_MAX + 1},
    {"debug_id", offsetof(struct symreader_text, debug_id), SYMREADER_TEXT_MAX + 1},
    {"code_file", offsetof(struct symreader_text, code_file), SYMREADER_TEXT_MAX + 1},
    {"code_id", offsetof(struct symreader_text, code_id), SYMREADER_TEXT_MAX + 1},
    {"generator", offsetof(struct symreader_text, generator), SYMREADER_TEXT_MAX + 1},
};

bool fetched_rows_note(const struct symstore *store, const struct symstore_new *file,
                       struct err *err)
{
    char key[SYMKEY_MAX + 1], path[PATH_MAX];
    json_auto_t *o = json_object();
    symkey_text(&file->key, key);
    jset_cstr(o, "key", key);
    jset_int(o, "stored_size", (int64_t)file->stored_size);
    jset_int(o, "size", (int64_t)file->text.size);
    jset_int(o, "started_us", file->started_us);
    jset_bool(o, "is_compressed", file->is_compressed);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        json_object_set_new(o, texts[i].name,
                            jtext(str_of((const char *)&file->text + texts[i].at)));
    FREE_LATER char *text = json_dumps(o, JSON_COMPACT);
    snprintf(path, sizeof path, "%s/cache/new", store->dir);
    if (!text || !fs_mkdirs(path, FS_DIR_MODE, err))
        return text ? false : err_set(err, ERR_INTERNAL, "cannot write a note");
    snprintf(path, sizeof path, "%s/cache/new/%016llx.json", store->dir,
             (unsigned long long)random_u64());
    return fs_write_atomic(path, text, strlen(text), FS_FILE_MODE, err);
}

static bool read_note(const char *path, struct symstore_new *ret, struct err *err)
{
    FREE_LATER char *text = NULL;
    size_t n;
    if (!fs_read(path, NOTE_MAX, &text, &n, err))
        return false;
    json_auto_t *o = jparse(str_n(text, n), NOTE_MAX, err);
    *ret = (struct symstore_new){.area = SYMSTORE_CACHE, .temp_fd = -1, .csym_fd = -1};
    if (!o || !symkey_parse(jget_strn(o, "key"), &ret->key, err))
        return err_set(err, ERR_DAMAGED, "%s: no note about a symbols file", path);
    ret->change = SYMSTORE_SAME; /* so that a file that has rows gets no more of them */
    ret->stored_size = (uint64_t)MAX(jget_int_or(o, "stored_size", 0), (int64_t)0);
    ret->text.size = (uint64_t)MAX(jget_int_or(o, "size", 0), (int64_t)0);
    ret->started_us = jget_int_or(o, "started_us", 0);
    ret->is_compressed = jget_bool_or(o, "is_compressed", false);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        snprintf((char *)&ret->text + texts[i].at, texts[i].size, STR_FMT,
                 STR_ARG(jget_strn(o, texts[i].name)));
    return true;
}

struct note_batch {
    struct symstore_new files[BATCH];
    char names[BATCH][NAME_MAX + 1];
    size_t n, files_n;
};

static void read_folder(DIR *d, const char *dir, struct note_batch *b)
{
    for (struct dirent *e; b->n < BATCH && (e = readdir(d));) {
        char path[PATH_MAX];
        struct err err = {0};
        if (!str_ends(str_of(e->d_name), STR(".json")))
            continue;
        snprintf(b->names[b->n++], NAME_MAX + 1, "%s", e->d_name);
        if (snprintf(path, sizeof path, "%s/%s", dir, e->d_name) < (int)sizeof path &&
            read_note(path, &b->files[b->files_n], &err))
            b->files_n++;
        else
            log_event(LOG_WARN, "symbols_note_damaged", "a note about fetched symbols is dropped",
                      LOG_E(&err));
    }
}

bool fetched_rows_add(struct db *db, const char *store_dir, size_t *ret_added, struct err *err)
{
    char dir[PATH_MAX];
    *ret_added = 0;
    snprintf(dir, sizeof dir, "%s/cache/new", store_dir);
    DIR *d = opendir(dir);
    if (!d)
        return errno == ENOENT || err_errno(err, errno, "%s", dir);
    if (flock(dirfd(d), LOCK_EX | LOCK_NB) != 0) {
        closedir(d);
        return true;
    }
    FREE_LATER struct note_batch *b = xcalloc(1, sizeof *b);
    read_folder(d, dir, b);
    bool ok = b->files_n == 0 || symrows_add(db, NULL, b->files, b->files_n, err);
    for (size_t i = 0; ok && i < b->n; i++)
        unlinkat(dirfd(d), b->names[i], 0);
    closedir(d);
    *ret_added = ok ? b->files_n : 0;
    return ok;
}
