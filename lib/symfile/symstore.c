/*
 * Symbols files on disk, in two areas: regular, and what is tried out.  Text is stored compressed
 * under its name with .gz behind it, everything else as it came.  A file is prepared beside its
 * place, many are flushed together, and each appears by rename; so a name holds a whole file or
 * none, and equal content is not written again.
 *
 *     v1/<debug file>/<ID>/<file>[.gz]       regular; try/v1/… what is tried out; cache/v1/… what
 *                                            was fetched from other servers
 *     ids/<area>/<2 digits>/<ID>             a debug file that has symbols of this id (symindex.c)
 *     codes/<area>/<2 digits>/<ID>_<file>    debug file and id of this code file and id
 *     incoming/<random>                      files that are prepared, below the same mount
 *
 * The order in a commit makes it safe to be killed, or to lose power, between any two steps:
 *
 *   1. the bytes of all prepared files are flushed: a name never holds less than its file;
 *   2. for each file, the entry of its id, its name, its .csym: an entry without a file is not
 *      believed, and a .csym that is not of the text beside it has another stamp;
 *   3. the names are flushed; only now the caller writes rows and answers.
 *
 * Whatever was done before a kill is found as done when the same files come again.
 */
#include "lib/symfile/symstore.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/store/mark.h"
#include "lib/symfile/csym.h"
#include "lib/symfile/symbytes.h"
#include "lib/symfile/symcache.h"
#include "lib/symfile/symindex.h"

enum {
    SYNC_EACH_MAX = 4,      /* more files than this: one syncfs costs less than an fsync for each */
    INCOMING_MAX_S = 86400, /* no batch takes a day: what is older belongs to a dead process */
};

static const char *const area_dirs[] = {
    [SYMSTORE_REGULAR] = "v1", [SYMSTORE_TRY] = "try/v1", [SYMSTORE_CACHE] = "cache/v1"};
const char *const symstore_area_names[] = {
    [SYMSTORE_REGULAR] = "regular", [SYMSTORE_TRY] = "try", [SYMSTORE_CACHE] = "cache"};

struct symstore symstore_of_conf(const struct conf *conf)
{
    return (struct symstore){
        .dir = conf_text(conf, CONF_SYMBOLS_DIR),
        .cache_dir = conf_text(conf, CONF_SYMBOLS_CACHE_DIR),
        .cache_max_bytes = conf_int(conf, CONF_SYMBOLS_CACHE_MAX_BYTES),
        .wants_mark = true,
    };
}

/*
 * What follows from "a name gets .gz behind it" for a name that ends in .gz already: x.sym.gz is
 * taken by x.sym, so x.sym.gz must get one too, and so on.
 */
bool symstore_is_compressible(const char *file)
{
    struct str name = str_of(file), end = STR(".sym"), packed = STR(".gz");
    while (str_ends(name, packed))
        name.n -= packed.n;
    return name.n >= end.n && str_eq_nocase(str_sub(name, name.n - end.n, end.n), end);
}

/* The one place where a key becomes a path. */
static bool object_path(const struct symstore *s, enum symstore_area area, const struct symkey *k,
                        char out[PATH_MAX], struct err *err)
{
    int n = snprintf(out, PATH_MAX, "%s/%s/%s/%s/%s%s", s->dir, area_dirs[area], k->debug_file,
                     k->debug_id, k->file, symstore_is_compressible(k->file) ? ".gz" : "");
    return (n > 0 && n < PATH_MAX) || err_errno(err, ENAMETOOLONG, "path of a symbols file");
}

/* A name that is too long for the file system is not there, like any other that is not. */
bool symstore_find(const struct symstore *s, enum symstore_area area, const struct symkey *key,
                   struct symstore_found *ret, struct err *err)
{
    struct symstore_found f = {.is_compressed = symstore_is_compressible(key->file)};
    struct stat st;
    if (!object_path(s, area, key, f.path, err))
        return false;
    bool is_there = stat(f.path, &st) == 0;
    if (!is_there && errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG)
        return err_errno(err, errno, "%s", f.path);
    if (!is_there || !S_ISREG(st.st_mode))
        return err_set(err, ERR_NOT_FOUND, "%s/%s/%s is not stored", key->debug_file, key->debug_id,
                       key->file);
    f.stored_size = (uint64_t)st.st_size;
    f.modified_s = st.st_mtim.tv_sec;
    *ret = f;
    return true;
}

/* It began at start_us and was about n files.  step NULL: nobody wants to know. */
static void note_step(struct symstore_step *step, int64_t start_us, size_t n)
{
    if (!step)
        return;
    step->us += mono_us() - start_us;
    step->n += n;
}

static bool look(const struct symstore *s, enum symstore_area area, const struct symkey *key,
                 struct symstore_found *ret)
{
    int64_t start_us = mono_us();
    bool is_there = symstore_find(s, area, key, ret, ERR_IGNORED);
    note_step(s->times ? &s->times->look : NULL, start_us, 1);
    return is_there;
}

bool symstore_check(const struct symstore *s, struct err *err)
{
    return !s->wants_mark || mark_check(s->dir, NULL, err);
}

/* Whether a stored file holds the current text; damaged and unreadable ones do not. */
static bool is_same(const struct symstore_found *f, struct symreader *r, bool *ret, struct err *err)
{
    FD_AUTO fd = open(f->path, O_RDONLY | O_CLOEXEC);
    *ret = false;
    return fd < 0 || symreader_same(r, fd, f->is_compressed, ret, err);
}

/* Beside the areas, so that a rename stays inside one file system. */
static bool open_incoming(const struct symstore *s, char path[PATH_MAX], int *ret_fd,
                          struct err *err)
{
    int n =
        snprintf(path, PATH_MAX, "%s/incoming/%016llx", s->dir, (unsigned long long)random_u64());
    if (n < 0 || n >= PATH_MAX)
        return err_set(err, ERR_IO, "path of the symbol store too long");
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, FS_FILE_MODE);
    if (fd < 0 && errno == ENOENT) {
        char dir[PATH_MAX];
        snprintf(dir, sizeof dir, "%s/incoming", s->dir);
        if (!fs_mkdirs(dir, FS_DIR_MODE, err))
            return false;
        fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, FS_FILE_MODE);
    }
    if (fd < 0)
        return err_errno(err, errno, "creating %s", path);
    *ret_fd = fd;
    return true;
}

/* Only the file that a look-up of the module finds: symbols of the other areas do not take the
 * place of regular ones. */
static bool is_to_compile(const struct symstore *s, const struct symstore_new *n)
{
    struct symstore_found regular;
    return s->cache_dir && symkey_is_of_module(&n->key) &&
           (n->area == SYMSTORE_REGULAR ||
            !symstore_find(s, SYMSTORE_REGULAR, &n->key, &regular, ERR_IGNORED));
}

/* Asks for the file as it is stored, and for its .csym: a crash that comes a second later should
 * not have to wait for that. */
static bool ask_files(const struct symstore *s, struct symreader *r, struct symstore_new *n,
                      struct err *err)
{
    char path[PATH_MAX];
    if (!open_incoming(s, path, &n->temp_fd, err))
        return false;
    n->temp = xstrdup(path);
    if (!symreader_ask_write(r, n->temp_fd, n->is_compressed, err))
        return false;
    if (!is_to_compile(s, n))
        return true;
    if (!symcache_temp(s->cache_dir, path, &n->csym_fd, err))
        return false;
    n->csym = xstrdup(path);
    return symreader_ask_compile(r, n->csym_fd, err);
}

/* The stamp of a .csym names the stored file as it will lie there; nothing changes it on
 * the way. */
static bool take_csym(const struct symstore *s, struct symreader *r, struct symstore_new *n,
                      struct err *err)
{
    char path[PATH_MAX];
    struct stat st;
    struct csym_stats stats = {0};
    struct err why = {0};
    if (!object_path(s, n->area, &n->key, path, err))
        return false;
    if (fstat(n->temp_fd, &st) != 0)
        return err_errno(err, errno, "%s", n->temp);
    uint64_t stamp = symbytes_stamp_of(path, &st);
    if (symreader_take_compile(r, &stats, &why)) {
        n->csym_bytes = stats.csym_bytes;
        return csym_set_stamp(n->csym_fd, stamp, err);
    }
    if (why.code != ERR_INVALID && why.code != ERR_TOO_LARGE)
        return err_set(err, why.code, "%s", why.msg);
    log_event(LOG_WARN, "symbols_unusable", "stored a symbols file that does not compile",
              LOG_S("debug_file", n->key.debug_file), LOG_S("debug_id", n->key.debug_id),
              LOG_E(&why));
    n->is_bad = true;
    return symcache_mark_bad(n->csym_fd, stamp, err);
}

/* Descriptors are closed as soon as the answers are there: a batch may have ten thousand files. */
static bool take_files(const struct symstore *s, struct symreader *r, struct symstore_new *n,
                       struct err *err)
{
    int64_t start_us = mono_us();
    bool ok = symreader_take_write(r, &n->stored_size, err);
    if (n->is_compressed)
        note_step(s->times ? &s->times->pack : NULL, start_us, 1);
    ok = ok && (!n->csym || take_csym(s, r, n, err));
    util_close_fd(&n->temp_fd);
    util_close_fd(&n->csym_fd);
    return ok;
}

static struct symstore_new new_file(enum symstore_area area, const struct symkey *key)
{
    return (struct symstore_new){.key = *key,
                                 .area = area,
                                 .change = SYMSTORE_ADDED,
                                 .is_compressed = symstore_is_compressible(key->file),
                                 .started_us = now_us(),
                                 .temp_fd = -1,
                                 .csym_fd = -1};
}

bool symstore_ask(const struct symstore *s, enum symstore_area area, const struct symkey *key,
                  struct symreader *r, struct symstore_new *ret, struct err *err)
{
    struct symstore_new n = new_file(area, key);
    if (!ask_files(s, r, &n, err)) {
        symstore_discard(&n);
        return false;
    }
    *ret = n;
    return true;
}

bool symstore_take(const struct symstore *s, struct symreader *r, struct symstore_new *n,
                   struct err *err)
{
    return symreader_take_load(r, &n->text, err) && take_files(s, r, n, err);
}

bool symstore_has(const struct symstore *s, enum symstore_area area, const struct symkey *key)
{
    struct symstore_found f;
    return look(s, SYMSTORE_REGULAR, key, &f) || (area == SYMSTORE_TRY && look(s, area, key, &f));
}

/* Compares with what is stored under the key; a try file may have its twin in the regular area. */
static bool compare_with_stored(const struct symstore *s, enum symstore_area area,
                                struct symreader *r, struct symstore_new *n, struct err *err)
{
    bool same = false;
    struct symstore_found f;
    const enum symstore_area areas[] = {area == SYMSTORE_TRY ? SYMSTORE_REGULAR : area, area};
    for (size_t i = 0, count = area == SYMSTORE_TRY ? 2 : 1; i < count && !same; i++) {
        enum symstore_area at = areas[i];
        bool is_there = look(s, at, &n->key, &f);
        if (is_there && !is_same(&f, r, &same, err))
            return false;
        n->area = at;
        n->change = same ? SYMSTORE_SAME : is_there ? SYMSTORE_UPDATED : SYMSTORE_ADDED;
    }
    return true;
}

bool symstore_prepare(const struct symstore *s, enum symstore_area area, const struct symkey *key,
                      struct symreader *r, const struct symreader_text *text,
                      struct symstore_new *ret, struct err *err)
{
    struct symstore_new n = new_file(area, key);
    n.text = *text;
    if (!compare_with_stored(s, area, r, &n, err) ||
        (n.change != SYMSTORE_SAME && (!ask_files(s, r, &n, err) || !take_files(s, r, &n, err)))) {
        symstore_discard(&n);
        return false;
    }
    *ret = n;
    return true;
}

void symstore_discard(struct symstore_new *n)
{
    char **const files[] = {&n->temp, &n->csym};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        if (*files[i])
            unlink(*files[i]);
        free(*files[i]);
        *files[i] = NULL;
    }
    util_close_fd(&n->temp_fd);
    util_close_fd(&n->csym_fd);
}

/* fsync flushes what other descriptors wrote, too; this one is only to call it. */
static bool sync_file(const char *path, struct err *err)
{
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        return err_errno(err, errno, "fsync of %s", path);
    return true;
}

/* Flushes everything of the file system, of others too: that is why few files are flushed one by
 * one. */
static bool sync_system(const char *dir, struct err *err)
{
    FD_AUTO fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || syncfs(fd) != 0)
        return err_errno(err, errno, "syncfs of %s", dir);
    return true;
}

/* Bytes before names. */
static bool sync_bytes(const struct symstore *s, const struct symstore_new *news, size_t n,
                       bool one_by_one, struct err *err)
{
    struct stat store, cache;
    if (!one_by_one) {
        bool two = s->cache_dir && stat(s->dir, &store) == 0 && stat(s->cache_dir, &cache) == 0 &&
                   store.st_dev != cache.st_dev;
        return sync_system(s->dir, err) && (!two || sync_system(s->cache_dir, err));
    }
    for (size_t i = 0; i < n; i++)
        if ((news[i].temp && !sync_file(news[i].temp, err)) ||
            (news[i].csym && !sync_file(news[i].csym, err)))
            return false;
    return true;
}

/* The folders of the file, of the id and of the debug file may all be new. */
static bool sync_names(const struct symstore *s, const struct symstore_new *n, struct err *err)
{
    char path[PATH_MAX];
    if (!object_path(s, n->area, &n->key, path, err))
        return false;
    for (int up = 0; up < 3; up++) {
        *strrchr(path, '/') = '\0';
        if (!fs_sync_dir(path, err))
            return false;
    }
    return true;
}

/*
 * The entry of the debug id comes before the file, the .csym after it: what is interrupted leaves
 * no file that is not found by its id, and no .csym without its text.  Two uploads of one key may
 * mix; a .csym that is not of the text beside it has another stamp, and is made anew.
 */
static bool publish(const struct symstore *s, struct symstore_new *n, struct symstore_step *cached,
                    struct err *err)
{
    char path[PATH_MAX];
    if (!object_path(s, n->area, &n->key, path, err))
        return false;
    if (symkey_is_of_module(&n->key)) {
        if (n->area != SYMSTORE_CACHE) /* fetched under the name that is asked for */
            symindex_add(s->dir, n->area == SYMSTORE_TRY, &n->key);
        symindex_add_code(s->dir, area_dirs[n->area], n->text.code_file, n->text.code_id, &n->key);
    }
    if (!fs_move(n->temp, path, err))
        return false;
    free(n->temp);
    n->temp = NULL;
    if (!n->csym)
        return true;
    int64_t start_us = mono_us();
    if (!symcache_publish(s->cache_dir, &n->key, n->csym, n->is_bad, err))
        return false;
    note_step(cached, start_us, 1);
    free(n->csym);
    n->csym = NULL;
    return true;
}

void symstore_add_code(const struct symstore *s, const char *area, const char *code_file,
                       const char *code_id, const struct symkey *key)
{
    for (enum symstore_area a = 0; a < SYMSTORE_AREA_COUNT; a++)
        if (strcmp(area, symstore_area_names[a]) == 0)
            symindex_add_code(s->dir, area_dirs[a], code_file, code_id, key);
}

/* Before the files get their names, as symcache.c wants it. */
static bool count_csyms(const struct symstore *s, const struct symstore_new *news, size_t n,
                        struct err *err)
{
    int64_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += symcache_disk_bytes(news[i].csym ? news[i].csym_bytes : 0);
    return bytes == 0 || symcache_count(s->cache_dir, bytes, err);
}

static bool put(const struct symstore *s, struct symstore_new *news, size_t n, size_t changed,
                struct err *err)
{
    bool one_by_one = changed <= SYNC_EACH_MAX;
    if (!sync_bytes(s, news, n, one_by_one, err) || !count_csyms(s, news, n, err))
        return false;
    struct symstore_step cached = {0};
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++)
        ok = !news[i].temp ||
             (publish(s, &news[i], &cached, err) && (!one_by_one || sync_names(s, &news[i], err)));
    if (cached.n)
        symcache_note_puts(s->cache_dir, cached.n, cached.us);
    return ok && (one_by_one || sync_system(s->dir, err));
}

/* The mark is read again: between preparing and here the file system may have been taken away. */
bool symstore_commit(const struct symstore *s, struct symstore_new *news, size_t n, struct err *err)
{
    if (!symstore_check(s, err))
        return false;
    size_t changed = 0;
    for (size_t i = 0; i < n; i++)
        changed += news[i].temp != NULL;
    if (changed == 0)
        return true;
    int64_t start_us = mono_us();
    bool ok = put(s, news, n, changed, err);
    note_step(s->times ? &s->times->put : NULL, start_us, changed);
    return ok;
}

/* What a process that was killed had prepared. */
static void clear_incoming(const struct symstore *s)
{
    char dir[PATH_MAX];
    snprintf(dir, sizeof dir, "%s/incoming", s->dir);
    DIR *d = opendir(dir);
    if (!d)
        return;
    struct stat st;
    for (struct dirent *e; (e = readdir(d));)
        if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
            st.st_mtim.tv_sec + INCOMING_MAX_S < now_s())
            unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
}

void symstore_tidy(const struct symstore *s)
{
    struct err err = {0};
    clear_incoming(s);
    if (s->cache_dir && s->cache_max_bytes > 0 &&
        !symcache_keep_below(s->cache_dir, s->dir, s->cache_max_bytes, &err))
        log_event(LOG_WARN, "symcache_evict_failed", "cannot clean the symbol cache", LOG_E(&err));
}

/* The folders of the id and of the debug file, if this was their last file. */
static void remove_empty_dirs(const char *file)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", file);
    for (int up = 0; up < 2; up++) {
        *strrchr(path, '/') = '\0';
        if (rmdir(path) != 0)
            return;
    }
}

/*
 * The time of the file decides, not the row that led here: an upload that replaces it meanwhile has
 * renamed a younger one over it.  The entry of the id and the .csym go first, because neither is
 * believed without its file, and a file without them is still found by its name.
 */
bool symstore_remove(const struct symstore *s, enum symstore_area area, const struct symkey *key,
                     int64_t not_after_s, bool *ret_is_gone, struct err *err)
{
    struct symstore_found f;
    struct err why = {0};
    *ret_is_gone = !symstore_find(s, area, key, &f, &why);
    if (*ret_is_gone)
        return why.code == ERR_NOT_FOUND || err_set(err, why.code, "%s", why.msg);
    if (f.modified_s > not_after_s)
        return true;
    if (symkey_is_of_module(key)) {
        symindex_remove(s->dir, area == SYMSTORE_TRY, key);
        if (s->cache_dir)
            symcache_forget(s->cache_dir, key);
    }
    if (unlink(f.path) != 0 && errno != ENOENT)
        return err_errno(err, errno, "removing %s", f.path);
    remove_empty_dirs(f.path);
    *ret_is_gone = true;
    return true;
}

/* v1/<debug file>/<id>/<file>[.gz]: three levels below the root. */
static bool visit_file(const FTSENT *e, symstore_visit *visit, void *arg)
{
    const FTSENT *id = e->fts_parent, *file = id->fts_parent;
    char name[SYMKEY_PART_MAX + 8];
    struct symstore_found f = {.stored_size = (uint64_t)e->fts_statp->st_size,
                               .modified_s = e->fts_statp->st_mtim.tv_sec};
    struct symkey k;
    if (e->fts_namelen >= sizeof name || (size_t)e->fts_pathlen >= sizeof f.path)
        return true;
    memcpy(name, e->fts_name, (size_t)e->fts_namelen + 1);
    f.is_compressed = symstore_is_compressible(name) && str_ends(str_of(name), STR(".gz"));
    if (f.is_compressed)
        name[e->fts_namelen - strlen(".gz")] = '\0';
    if (!symkey_make(str_of(file->fts_name), str_of(id->fts_name), str_of(name), &k, ERR_IGNORED))
        return true;
    memcpy(f.path, e->fts_path, (size_t)e->fts_pathlen + 1);
    return visit(arg, &k, &f);
}

/* Only the depth that files have: what lies elsewhere was put there by somebody else. */
bool symstore_list(const struct symstore *s, enum symstore_area area, symstore_visit *visit,
                   void *arg, struct err *err)
{
    char root[PATH_MAX];
    snprintf(root, sizeof root, "%s/%s", s->dir, area_dirs[area]);
    if (!fs_exists(root))
        return true;
    char *const roots[] = {root, NULL};
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (!fts)
        return err_errno(err, errno, "reading %s", root);
    bool more = true;
    for (FTSENT *e; more && (e = fts_read(fts));)
        if (e->fts_info == FTS_F && e->fts_level == 3)
            more = visit_file(e, visit, arg);
    fts_close(fts);
    return true;
}

struct indexing {
    const char *dir;
    bool is_try;
};

static bool index_file(void *arg, const struct symkey *key, const struct symstore_found *file)
{
    const struct indexing *x = arg;
    (void)file;
    if (symkey_is_of_module(key))
        symindex_add(x->dir, x->is_try, key);
    return true;
}

/* The mark is written last: who is killed before begins again.  Two at once do no harm. */
bool symstore_ensure_index(const struct symstore *s, struct err *err)
{
    char mark[PATH_MAX];
    int n = snprintf(mark, sizeof mark, "%s/ids/complete", s->dir);
    if (n < 0 || n >= PATH_MAX)
        return err_set(err, ERR_IO, "path of the symbol store too long");
    if (fs_exists(mark))
        return true;
    struct indexing regular = {s->dir, false}, tried = {s->dir, true};
    return symstore_list(s, SYMSTORE_REGULAR, index_file, &regular, err) &&
           symstore_list(s, SYMSTORE_TRY, index_file, &tried, err) &&
           fs_write_atomic(mark, "", 0, FS_FILE_MODE, err);
}
