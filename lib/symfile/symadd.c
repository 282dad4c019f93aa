/*
 * Symbols into the store, the one way for uploads and for the administrator's command: what a file
 * is, is told by the sandboxed reader; its text is prepared beside its place, and a batch at a
 * time appears under its names and in the database.  A batch that is interrupted can be sent
 * again: texts that are there already are the same.
 *
 * A batch is limited twice.  Its files are known in memory, a few kilobytes for each, and its texts
 * lie in incoming/ beside what they will replace; and what was prepared when a process dies has
 * to be prepared again.  On the other side each flush waits for the disk, several times.
 *
 * An archive is in one batch, whatever it holds: whether it is whole is known when its last member
 * was read, and of a damaged one nothing may stay.  That takes no more disk than storing it does.
 *
 * Small members that the store does not have are asked for ahead (AHEAD_FILES): while the reader
 * inflates, packs and compiles some, this process makes the files of the next ones.  Members that
 * may be there already need the reader's current text for a comparison, so they are done alone.
 */
#include "lib/symfile/symadd.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/symfile/symkey.h"
#include "lib/symfile/symnative.h"
#include "lib/symfile/symreader.h"
#include "lib/symfile/symrows.h"
#include "lib/symfile/symzip.h"

enum {
    BATCH_FILES = 10000,     /* as many as an archive has (MEMBERS_MAX of symzip.c) */
    BATCH_BYTES = 512 << 20, /* of text: so much may be prepared and not yet be there */
    AHEAD_FILES = 8,         /* the reader may be so many behind: enough to keep both busy */
    AHEAD_BYTES = 1 << 20,   /* of a member that is asked for ahead */
};

/* Strings are owned. */
struct native_file {
    char *path, *name, *file_name;
    bool is_old;
};

/* Files that are prepared and not yet under their names. */
struct file_batch {
    const struct symadd *add;
    VEC(struct native_file) natives; /* over all batches */
    VEC(struct symstore_new) news;
    VEC(char *) names;
    size_t taken; /* of news; the reader is still asked for those behind */
    uint64_t bytes;
    bool is_deriving; /* what is added is made of a binary */
    bool is_archive;  /* members of one are being read: nothing is flushed meanwhile */
    size_t usable;    /* files over all batches */
};

/* Discards what lies in incoming/ and has no name yet. */
static void drop_behind(struct file_batch *b, size_t n)
{
    for (size_t i = n; i < b->news.n; i++) {
        symstore_discard(&b->news.v[i]);
        free(b->names.v[i]);
    }
    b->news.n = b->names.n = b->taken = n;
}

static void clear_batch(struct file_batch *b)
{
    drop_behind(b, 0);
    b->bytes = 0;
}

static void release_batch(struct file_batch *b)
{
    clear_batch(b);
    for (size_t i = 0; i < b->natives.n; i++) {
        free(b->natives.v[i].path);
        free(b->natives.v[i].name);
        free(b->natives.v[i].file_name);
    }
    VEC_RELEASE(&b->natives);
    VEC_RELEASE(&b->news);
    VEC_RELEASE(&b->names);
}

static void note_native(struct file_batch *b, const char *path, const char *name,
                        const char *file_name, bool is_old)
{
    VEC_PUSH(&b->natives,
             ((struct native_file){xstrdup(path), xstrdup(name), xstrdup(file_name), is_old}));
}

/* A stored member that may be a binary is looked at when everything else is there. */
static void note_if_native(struct file_batch *b, const char *name, const struct symstore_new *n)
{
    struct symstore_found f;
    if (!symkey_is_text(&n->key) &&
        symstore_find(b->add->store, n->area, &n->key, &f, ERR_IGNORED) && symnative_is(f.path))
        note_native(b, f.path, name, n->key.debug_file, false);
}

/* Files, then rows, then the report: what was reported is durable and found. */
static bool flush_batch(struct file_batch *b, struct err *err)
{
    const struct symadd *a = b->add;
    assert(b->taken == b->news.n); /* no name for a file that is still being written */
    if (!symstore_commit(a->store, b->news.v, b->news.n, err) ||
        (a->db && b->news.n > 0 && !symrows_add(a->db, a->upload_id, b->news.v, b->news.n, err)))
        return false;
    for (size_t i = 0; i < b->news.n; i++) {
        a->report(a->arg, b->names.v[i], &b->news.v[i], NULL);
        note_if_native(b, b->names.v[i], &b->news.v[i]);
    }
    b->usable += b->news.n;
    clear_batch(b);
    return true;
}

static void push_file(struct file_batch *b, const char *name, const struct symstore_new *n)
{
    VEC_PUSH(&b->news, *n);
    VEC_PUSH(&b->names, xstrdup(name));
}

/* Takes what the reader has done, until it is at most so many files behind.  After a failure nobody
 * waits for the rest: answers and files would no longer belong together. */
static bool catch_up(struct file_batch *b, struct symreader *r, size_t behind, struct err *err)
{
    while (b->news.n - b->taken > behind) {
        struct symstore_new *n = &b->news.v[b->taken];
        if (!symstore_take(b->add->store, r, n, err)) {
            drop_behind(b, b->taken);
            return false;
        }
        b->taken++;
        b->bytes += n->text.size;
    }
    return true;
}

static bool flush_if_full(struct file_batch *b, struct symreader *r, struct err *err)
{
    bool is_full = b->news.n >= BATCH_FILES || b->bytes >= BATCH_BYTES;
    return b->is_archive || !is_full || (catch_up(b, r, 0, err) && flush_batch(b, err));
}

/* The current text of r. */
static bool add_to_batch(struct file_batch *b, const char *name, const struct symkey *key,
                         struct symreader *r, const struct symreader_text *text, struct err *err)
{
    struct symstore_new n;
    if ((b->news.n == 0 && !symstore_check(b->add->store, err)) ||
        !symstore_prepare(b->add->store, b->add->area, key, r, text, &n, err))
        return false;
    n.is_derived = b->is_deriving;
    push_file(b, name, &n);
    b->taken++;
    b->bytes += text->size;
    return flush_if_full(b, r, err);
}

static bool ask_member(struct file_batch *b, struct symreader *r, const struct symreader_member *m,
                       struct err *err)
{
    struct symstore_new n;
    if ((b->news.n == 0 && !symstore_check(b->add->store, err)) ||
        !symreader_ask_load(r, m, true, err) ||
        !symstore_ask(b->add->store, b->add->area, &m->key, r, &n, err))
        return false;
    push_file(b, m->name, &n);
    return true;
}

/* Small new members go ahead; what may be compared or may take long is done alone. */
static bool add_member(struct file_batch *b, struct symreader *r, const struct symreader_member *m,
                       struct err *err)
{
    struct symreader_text text;
    bool alone = m->size > AHEAD_BYTES || symstore_has(b->add->store, b->add->area, &m->key);
    if (alone)
        return catch_up(b, r, 0, err) && symreader_load(r, m, &text, err) &&
               add_to_batch(b, m->name, &m->key, r, &text, err);
    return ask_member(b, r, m, err) && catch_up(b, r, AHEAD_FILES, err) && flush_if_full(b, r, err);
}

/* All or nothing: what was prepared of a damaged archive is discarded. */
static bool add_members(struct file_batch *b, struct symreader *r,
                        const struct symreader_list *list, struct err *err)
{
    size_t before = b->news.n;
    bool ok = true;
    b->is_archive = true;
    for (size_t i = 0; ok && i < list->members.n; i++)
        ok = list->members.v[i].is_ignored || add_member(b, r, &list->members.v[i], err);
    ok = ok && catch_up(b, r, 0, err);
    b->is_archive = false;
    if (!ok)
        drop_behind(b, before);
    return ok;
}

/* The store, the disk and the database are not to blame: another file may be good. */
static bool is_about_the_file(const struct err *err)
{
    return err->code == ERR_INVALID || err->code == ERR_TOO_LARGE || err->code == ERR_NOT_FOUND;
}

/* A bad file is reported and skipped; a store that cannot be written ends the work. */
static bool report_left_out(struct file_batch *b, const char *name, const struct err *why,
                            struct err *err)
{
    if (!is_about_the_file(why))
        return err_set(err, why->code, "%s", why->msg);
    b->add->report(b->add->arg, name, NULL, why->msg);
    return true;
}

/* A text alone is named by its MODULE line, whatever the file is called. */
static bool add_text(struct file_batch *b, const char *path, struct symreader *r, struct err *err)
{
    struct symreader_text text;
    struct symkey key;
    char name[SYMKEY_MAX + 1];
    if (!symreader_load(r, NULL, &text, err))
        return false;
    if (!text.has_header)
        return err_set(err, ERR_INVALID, "%s",
                       "neither symbols (the first line would be MODULE …) nor a program, library "
                       "or debug file");
    if (!symkey_of_module(str_of(text.debug_file), str_of(text.debug_id), &key, err))
        return err_wrap(err, "%s: its MODULE line", path);
    if (b->is_deriving && b->add->forbidden.n &&
        !symreader_check_content(r, b->add->forbidden, err))
        return false;
    symkey_text(&key, name);
    return add_to_batch(b, name, &key, r, &text, err);
}

/*
 * What lies in the store beside a new file of the same key: a program whose debug file comes later,
 * or the reverse.  It is read again only if it belongs to something that is new.
 */
static void note_mates(struct file_batch *b, const char *path, const char *file_name)
{
    char dir[PATH_MAX];
    snprintf(dir, sizeof dir, "%s", path);
    *strrchr(dir, '/') = '\0';
    DIR *d = opendir(dir);
    size_t known = b->natives.n;
    for (struct dirent *e; d && (e = readdir(d));) {
        char mate[PATH_MAX + NAME_MAX + 1];
        bool is_known = e->d_name[0] == '.' || symstore_is_compressible(e->d_name);
        snprintf(mate, sizeof mate, "%s/%s", dir, e->d_name);
        for (size_t i = 0; i < known && !is_known; i++)
            is_known = strcmp(b->natives.v[i].path, mate) == 0;
        if (!is_known && symnative_is(mate))
            note_native(b, mate, e->d_name, file_name, true);
    }
    if (d)
        closedir(d);
}

static bool is_derived(const struct symreader_text *t)
{
    return strstr(t->generator, SYMNATIVE_ORIGIN) != NULL;
}

/* The facts of a stored text; one that cannot be read is as good as none. */
static bool read_stored(const struct file_batch *b, const struct symkey *key,
                        struct symreader_text *ret)
{
    struct symstore_found f;
    struct symreader *r = NULL;
    if (!symstore_find(b->add->store, SYMSTORE_REGULAR, key, &f, ERR_IGNORED) &&
        (b->add->area != SYMSTORE_TRY ||
         !symstore_find(b->add->store, SYMSTORE_TRY, key, &f, ERR_IGNORED)))
        return false;
    FD_AUTO fd = open(f.path, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && symreader_start(fd, b->add->temp_dir, &r, ERR_IGNORED) &&
              symreader_load(r, NULL, ret, ERR_IGNORED);
    symreader_stop(r);
    return ok;
}

/* A text that was uploaded stays; one made here stays if what comes knows less. */
static bool wants_text(void *arg, const struct symkey *key, bool has_debug_info)
{
    struct symreader_text have;
    return !read_stored(arg, key, &have) ||
           (is_derived(&have) &&
            (has_debug_info || strstr(have.generator, SYMNATIVE_ORIGIN_DEBUG) == NULL));
}

static void on_problem(void *arg, const char *name, const char *what, bool is_lost)
{
    const struct symadd *a = ((struct file_batch *)arg)->add;
    if (is_lost)
        a->report(a->arg, name, NULL, what);
    else if (a->note)
        a->note(a->arg, name, what);
}

/* The text is named by its MODULE line, like any that comes alone. */
static bool take_text(void *arg, int fd, const char *from, struct err *err)
{
    struct file_batch *b = arg;
    struct symreader *r = NULL;
    struct err why = {0};
    if (!symreader_start(fd, b->add->temp_dir, &r, err))
        return false;
    b->is_deriving = true;
    bool ok = add_text(b, from, r, &why);
    b->is_deriving = false;
    symreader_stop(r);
    return ok || report_left_out(b, from, &why, err);
}

/*
 * Programs and debug files are kept until the end of a batch, for they belong together in pairs
 * that nobody announces. Of one that lies in the store, what lies beside it there is looked at too:
 * its other half may have come last week.
 */
static bool convert_natives(struct file_batch *b, struct err *err)
{
    size_t n = b->natives.n;
    if (n == 0)
        return true;
    char root[PATH_MAX];
    snprintf(root, sizeof root, "%s/", b->add->store->dir);
    for (size_t i = 0; i < n; i++)
        if (str_starts(str_of(b->natives.v[i].path), str_of(root)))
            note_mates(b, b->natives.v[i].path, b->natives.v[i].file_name);
    struct symnative_input *inputs = xcalloc(b->natives.n, sizeof *inputs);
    for (size_t i = 0; i < b->natives.n; i++) {
        const struct native_file *f = &b->natives.v[i];
        inputs[i] = (struct symnative_input){f->path, f->name, f->file_name, f->is_old};
    }
    const struct symnative_visitor v = {
        .wants = wants_text, .take = take_text, .problem = on_problem, .arg = b};
    bool ok =
        symnative_convert(inputs, b->natives.n, b->add->temp_dir, &v, err) && flush_batch(b, err);
    free(inputs);
    return ok;
}

/* What was not flushed when something failed is discarded: the next try prepares it again. */
bool symadd_members(const struct symadd *a, struct symreader *r, const struct symreader_list *list,
                    struct err *err)
{
    struct file_batch b = {.add = a};
    bool ok = add_members(&b, r, list, err) && (!a->begin || a->begin(a->arg, err)) &&
              flush_batch(&b, err) && convert_natives(&b, err);
    release_batch(&b);
    symstore_tidy(a->store);
    return ok;
}

bool symadd_text(const struct symadd *a, struct symreader *r, const struct symkey *key,
                 const struct symreader_text *text, struct err *err)
{
    struct file_batch b = {.add = a};
    char name[SYMKEY_MAX + 1];
    symkey_text(key, name);
    bool ok = add_to_batch(&b, name, key, r, text, err) && flush_batch(&b, err) &&
              convert_natives(&b, err);
    release_batch(&b);
    symstore_tidy(a->store);
    return ok;
}

/* The limits of symzip hold; those of the server's configuration are for uploads. */
static bool add_archive(struct file_batch *b, struct symreader *r, struct err *err)
{
    struct symreader_list list = {0};
    bool ok = symreader_zip(r, &(struct symzip_limits){0}, &list, err) &&
              add_members(b, r, &list, err) && flush_if_full(b, r, err);
    symreader_list_release(&list);
    return ok;
}

static bool has_ending(struct str name, const char *const *endings, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_ends(name, str_of(endings[i])))
            return true;
    return false;
}

/* A file that was named is tried whatever its name is; below a folder binaries are known by their
 * first bytes, texts by their endings. */
static bool add_file(struct file_batch *b, const char *path, bool was_named, struct err *err)
{
    static const char *const texts[] = {".sym", ".sym.gz", ".sym.zst"};
    struct str name = str_of(path);
    struct err why = {0};
    struct symreader *r = NULL;
    /* The archive of a dSYM folder is a debug file, any other one of symbols. */
    bool is_zip = str_ends(name, STR(".zip")) && !str_ends(name, STR(".dSYM.zip"));
    if (!is_zip && symnative_is(path)) {
        const char *slash = strrchr(path, '/');
        note_native(b, path, path, slash ? slash + 1 : path, false);
        return true;
    }
    if (!is_zip && !was_named && !has_ending(name, texts, ARRAY_LEN(texts)))
        return true;
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        err_set(&why, ERR_NOT_FOUND, "it cannot be read: %s", strerror(errno));
        return report_left_out(b, path, &why, err);
    }
    if (!symreader_start(fd, b->add->temp_dir, &r, err))
        return false;
    bool ok = is_zip ? add_archive(b, r, &why) : add_text(b, path, r, &why);
    symreader_stop(r);
    return ok || report_left_out(b, path, &why, err);
}

/* Links are not followed: a tree may contain one to itself. */
static bool add_tree(struct file_batch *b, const char *path, struct err *err)
{
    char *const roots[] = {(char *)path, NULL};
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (!fts)
        return err_errno(err, errno, "reading %s", path);
    bool ok = true;
    for (FTSENT *e; ok && (e = fts_read(fts));)
        if (e->fts_info == FTS_F)
            ok = add_file(b, e->fts_path, false, err);
    fts_close(fts);
    return ok;
}

/* Folders of the installation are made here: the command may be the first program that runs. */
bool symadd_path(const struct symadd *a, const char *path, struct err *err)
{
    struct file_batch b = {.add = a};
    struct stat st;
    if (stat(path, &st) != 0)
        return err_set(err, ERR_NOT_FOUND, "%s: no such file or directory", path);
    if (!fs_mkdirs(a->store->dir, FS_DIR_MODE, err) || !fs_mkdirs(a->temp_dir, FS_DIR_MODE, err) ||
        (a->store->cache_dir && !fs_mkdirs(a->store->cache_dir, FS_DIR_MODE, err)))
        return false;
    bool ok = S_ISDIR(st.st_mode) ? add_tree(&b, path, err) : add_file(&b, path, true, err);
    ok = ok && flush_batch(&b, err) && convert_natives(&b, err);
    release_batch(&b);
    symstore_tidy(a->store);
    if (!ok)
        return false;
    return b.usable > 0 || err_set(err, ERR_INVALID, "%s: nothing to add", path);
}
