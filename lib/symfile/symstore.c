#include "symfile/symstore.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/util.h"
#include "symfile/symcache.h"
#include "symfile/symtext.h"

static const char *const area_dirs[] = {[SYMSTORE_REGULAR] = "v1", [SYMSTORE_TRY] = "try/v1"};

/* The extensions that are stored compressed: text that compresses well and is asked for as text. */
static bool is_compressible(const char *file)
{
    const char *dot = strrchr(file, '.');
    return dot && str_eq_nocase(str_of(dot), STR(".sym"));
}

static bool object_path(const struct symstore *s, enum symstore_area area, const struct symkey *k,
                        char out[PATH_MAX], struct err *err)
{
    int n = snprintf(out, PATH_MAX, "%s/%s/%s/%s/%s%s", s->dir, area_dirs[area], k->debug_file,
                     k->debug_id, k->file, is_compressible(k->file) ? ".gz" : "");
    return (n > 0 && n < PATH_MAX) || err_set(err, ERR_INVALID, "path of a symbols file too long");
}

bool symstore_find(const struct symstore *s, enum symstore_area area, const struct symkey *key,
                   struct symstore_found *ret, struct err *err)
{
    struct symstore_found f = {.is_compressed = is_compressible(key->file)};
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

/* ---- writing ------------------------------------------------------------------------------------
 */
static bool is_same(const struct symstore_found *f, struct str bytes)
{
    if (f->is_compressed)
        return symtext_gzip_equals(f->path, bytes);
    const void *p;
    size_t n;
    if (f->stored_size != bytes.n || !fs_map(f->path, &p, &n, NULL))
        return false;
    bool same = n == bytes.n && (n == 0 || memcmp(p, bytes.p, n) == 0);
    if (n)
        munmap((void *)p, n);
    return same;
}

/* Temporary file in the same directory, fsync, rename. */
static bool write_object(const char *path, bool compress, struct str bytes, uint64_t *ret_size,
                         struct err *err)
{
    char dir[PATH_MAX], temp[PATH_MAX + 32];
    snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(path, '/') - path), path);
    snprintf(temp, sizeof temp, "%s.tmp.%016llx", path, (unsigned long long)random_u64());
    if (!fs_mkdirs(dir, FS_DIR_MODE, err))
        return false;
    FD_AUTO fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FS_FILE_MODE);
    if (fd < 0)
        return err_errno(err, errno, "creating %s", temp);
    struct stat st;
    bool ok = compress ? symtext_gzip(bytes, fd, temp, err)
                       : fs_write_all(fd, bytes.p, bytes.n, temp, err);
    if (ok && (fsync(fd) != 0 || fstat(fd, &st) != 0 || rename(temp, path) != 0))
        ok = err_errno(err, errno, "writing %s", path);
    if (!ok) {
        unlink(temp);
        return false;
    }
    *ret_size = (uint64_t)st.st_size;
    return fs_sync_dir(dir, err);
}

/* A crash that comes a second later should not have to wait for this. */
static void compile_now(const struct symstore *s, const struct symkey *key, const char *path,
                        struct str bytes)
{
    struct err err = {0};
    uint64_t stamp;
    if (!symtext_stamp(path, &stamp, &err) ||
        !symcache_put(s->cache_dir, key, stamp, bytes, NULL, &err))
        log_event(LOG_WARN, "symbols_unusable", "stored a symbols file that does not compile",
                  LOG_S("debug_file", key->debug_file), LOG_S("debug_id", key->debug_id),
                  LOG_E(&err));
}

void symstore_tidy(const struct symstore *s)
{
    struct err err = {0};
    int64_t left;
    if (s->cache_dir && s->cache_max_bytes > 0 &&
        !symcache_evict(s->cache_dir, s->cache_max_bytes, &left, &err))
        log_event(LOG_WARN, "symcache_evict_failed", "cannot clean the symbol cache", LOG_E(&err));
}

bool symstore_has(const struct symstore *s, enum symstore_area area, const struct symkey *key,
                  struct str bytes)
{
    struct symstore_found f;
    return symstore_find(s, area, key, &f, NULL) && is_same(&f, bytes);
}

bool symstore_put(const struct symstore *s, enum symstore_area area, const struct symkey *key,
                  struct str bytes, struct symstore_put *ret, struct err *err)
{
    struct symstore_put put = {.is_compressed = is_compressible(key->file)};
    struct symstore_found old;
    char path[PATH_MAX];
    if (!object_path(s, area, key, path, err))
        return false;
    if (symstore_find(s, area, key, &old, NULL)) {
        put.change = is_same(&old, bytes) ? SYMSTORE_SAME : SYMSTORE_UPDATED;
        put.stored_size = old.stored_size;
    }
    if (put.change == SYMSTORE_SAME) {
        *ret = put;
        return true;
    }

    /* The lock keeps another upload of this key from coming between file and .csym.  Try
     * symbols never take the place of regular ones. */
    FD_AUTO lock = -1;
    bool compile =
        s->cache_dir && put.is_compressed &&
        (area == SYMSTORE_REGULAR || !symstore_find(s, SYMSTORE_REGULAR, key, &old, NULL));
    if ((compile && !symcache_lock(s->cache_dir, key, &lock, err)) ||
        !write_object(path, put.is_compressed, bytes, &put.stored_size, err))
        return false;
    if (compile)
        compile_now(s, key, path, bytes);
    *ret = put;
    return true;
}

/* ---- reading the tree
 * ---------------------------------------------------------------------------- */
/* v1/<debug file>/<id>/<file>[.gz]: three levels below the root. */
static bool visit_file(const FTSENT *e, symstore_visit *visit, void *arg)
{
    const FTSENT *id = e->fts_parent, *file = id->fts_parent;
    struct str name = str_of(e->fts_name);
    struct symstore_found f = {.stored_size = (uint64_t)e->fts_statp->st_size,
                               .modified_s = e->fts_statp->st_mtim.tv_sec};
    if (str_ends(name, STR(".sym.gz"))) {
        name.n -= strlen(".gz");
        f.is_compressed = true;
    }
    struct symkey k;
    if (strstr(e->fts_name, ".tmp.") || (size_t)e->fts_pathlen >= sizeof f.path ||
        !symkey_make(str_of(file->fts_name), str_of(id->fts_name), name, &k, NULL))
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
