/*
 * Symbols files on disk, in two areas: regular, and what is tried out.  Text is stored compressed
 * under its name with .gz behind it, everything else as it came.  A file is prepared beside its
 * place, many are flushed together, and each appears by rename; so a name holds a whole file or
 * none, and equal content is not written again.
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

#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/store/mark.h"
#include "lib/symfile/symcache.h"
#include "lib/symfile/symindex.h"
#include "lib/symfile/symtext.h"

enum {
    SYNC_EACH_MAX = 4, /* more files than this: one syncfs costs less than an fsync for each */
    INCOMING_MAX_S = 86400,
};

static const char *const area_dirs[] = {[SYMSTORE_REGULAR] = "v1", [SYMSTORE_TRY] = "try/v1"};

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

static bool object_path(const struct symstore *s, enum symstore_area area, const struct symkey *k,
                        char out[PATH_MAX], struct err *err)
{
    int n = snprintf(out, PATH_MAX, "%s/%s/%s/%s/%s%s", s->dir, area_dirs[area], k->debug_file,
                     k->debug_id, k->file, symstore_is_compressible(k->file) ? ".gz" : "");
    return (n > 0 && n < PATH_MAX) || err_set(err, ERR_INVALID, "path of a symbols file too long");
}

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

/* Whether the area has the current text under this key, or something else, or nothing. */
static bool look(const struct symstore *s, enum symstore_area area, const struct symkey *key,
                 struct symreader *r, enum symstore_change *ret, struct err *err)
{
    struct symstore_found f;
    bool same = false;
    *ret = SYMSTORE_ADDED;
    if (!symstore_find(s, area, key, &f, ERR_IGNORED))
        return true;
    FD_AUTO fd = open(f.path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && !symreader_same(r, fd, f.is_compressed, &same, err))
        return false;
    *ret = same ? SYMSTORE_SAME : SYMSTORE_UPDATED;
    return true;
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

static bool write_object(const struct symstore *s, struct symreader *r, struct symstore_new *n,
                         struct err *err)
{
    char path[PATH_MAX];
    FD_AUTO fd = -1;
    if (!open_incoming(s, path, &fd, err))
        return false;
    n->temp = xstrdup(path);
    return symreader_write(r, fd, n->is_compressed, &n->stored_size, err);
}

/* A crash that comes a second later should not have to wait for this. */
static bool compile_object(const struct symstore *s, struct symreader *r, struct symstore_new *n,
                           struct err *err)
{
    char path[PATH_MAX];
    FD_AUTO fd = -1;
    struct csym_stats stats = {0};
    struct err why = {0};
    if (!symcache_temp(s->cache_dir, path, &fd, err))
        return false;
    n->csym = xstrdup(path);
    if (symreader_compile(r, fd, &stats, &why)) {
        n->csym_bytes = stats.csym_bytes;
        return true;
    }
    if (why.code != ERR_INVALID && why.code != ERR_TOO_LARGE)
        return err_set(err, why.code, "%s", why.msg);
    log_event(LOG_WARN, "symbols_unusable", "stored a symbols file that does not compile",
              LOG_S("debug_file", n->key.debug_file), LOG_S("debug_id", n->key.debug_id),
              LOG_E(&why));
    n->is_bad = true;
    return true;
}

/* Only the file that a look-up of the module finds; and try symbols do not take the place of
 * regular ones. */
static bool is_to_compile(const struct symstore *s, const struct symstore_new *n)
{
    struct symstore_found regular;
    return s->cache_dir && symkey_is_of_module(&n->key) &&
           (n->area == SYMSTORE_REGULAR ||
            !symstore_find(s, SYMSTORE_REGULAR, &n->key, &regular, ERR_IGNORED));
}

bool symstore_prepare(const struct symstore *s, enum symstore_area area, const struct symkey *key,
                      struct symreader *r, const struct symreader_text *text,
                      struct symstore_new *ret, struct err *err)
{
    if (s->wants_mark && !mark_check(s->dir, NULL, err))
        return false;
    struct symstore_new n = {.key = *key,
                             .area = SYMSTORE_REGULAR,
                             .is_compressed = symstore_is_compressible(key->file),
                             .started_us = now_us(),
                             .text = *text};
    if (!look(s, SYMSTORE_REGULAR, key, r, &n.change, err))
        return false;
    if (area == SYMSTORE_TRY && n.change != SYMSTORE_SAME) {
        n.area = area;
        if (!look(s, area, key, r, &n.change, err))
            return false;
    }
    if (n.change != SYMSTORE_SAME && (!write_object(s, r, &n, err) ||
                                      (is_to_compile(s, &n) && !compile_object(s, r, &n, err)))) {
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
}

static bool sync_file(const char *path, struct err *err)
{
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        return err_errno(err, errno, "fsync of %s", path);
    return true;
}

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
            (news[i].csym && !news[i].is_bad && !sync_file(news[i].csym, err)))
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

static bool move_object(const char *temp, const char *path, struct err *err)
{
    char dir[PATH_MAX];
    if (rename(temp, path) == 0)
        return true;
    snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(path, '/') - path), path);
    if (!fs_mkdirs(dir, FS_DIR_MODE, err))
        return false;
    return rename(temp, path) == 0 || err_errno(err, errno, "renaming %s", temp);
}

/* The lock keeps another upload of this key from coming between file and .csym. */
static bool publish(const struct symstore *s, struct symstore_new *n, struct err *err)
{
    char path[PATH_MAX];
    uint64_t stamp;
    FD_AUTO lock = -1;
    if (!object_path(s, n->area, &n->key, path, err) ||
        (n->csym && !symcache_lock(s->cache_dir, &n->key, &lock, err)) ||
        !move_object(n->temp, path, err))
        return false;
    if (n->csym && symtext_stamp(path, &stamp, err)) {
        if (n->is_bad)
            symcache_note_bad(s->cache_dir, &n->key, stamp);
        else if (!symcache_publish(s->cache_dir, &n->key, stamp, n->csym, err))
            return false;
    }
    if (symkey_is_of_module(&n->key))
        symindex_add(s->dir, n->area == SYMSTORE_TRY, &n->key);
    symstore_discard(n); /* the names are gone; a bad .csym is removed */
    return true;
}

bool symstore_commit(const struct symstore *s, struct symstore_new *news, size_t n, struct err *err)
{
    if (s->wants_mark && !mark_check(s->dir, NULL, err))
        return false;
    size_t changed = 0;
    for (size_t i = 0; i < n; i++)
        changed += news[i].temp != NULL;
    if (changed == 0)
        return true;
    bool one_by_one = changed <= SYNC_EACH_MAX;
    if (!sync_bytes(s, news, n, one_by_one, err))
        return false;
    for (size_t i = 0; i < n; i++)
        if (news[i].temp &&
            (!publish(s, &news[i], err) || (one_by_one && !sync_names(s, &news[i], err))))
            return false;
    return one_by_one || sync_system(s->dir, err);
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
    int64_t left;
    clear_incoming(s);
    if (s->cache_dir && s->cache_max_bytes > 0 &&
        !symcache_evict(s->cache_dir, s->cache_max_bytes, &left, &err))
        log_event(LOG_WARN, "symcache_evict_failed", "cannot clean the symbol cache", LOG_E(&err));
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
