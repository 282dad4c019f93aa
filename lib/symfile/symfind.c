#include "symfile/symfind.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/time.h"
#include "base/util.h"
#include "symfile/symcache.h"
#include "symfile/symtext.h"

/*
 * The stamp of the text decides, not the order of caches: a look-up finds the text first (a
 * few stat calls) and then its .csym, or makes it.  So symbols that were uploaded a moment
 * ago are found by everybody, and there is no list of misses that could hide them.
 */
struct root {
    char *dir;
    bool is_store; /* ids in upper case, .sym.gz first */
};

struct symfind {
    char *cache_dir;
    int64_t cache_max_bytes;
    struct root *roots;
    size_t root_count;
    int64_t cache_bytes; /* at the last count, plus what we added since; -1 not counted yet */
};

static void add_root(struct symfind *s, bool is_store, const char *dir, const char *below)
{
    STRBUF_AUTO path;
    sb_init(&path, PATH_MAX);
    sb_printf(&path, "%s%s", dir, below);
    s->roots = xrealloc(s->roots, (s->root_count + 1) * sizeof *s->roots);
    s->roots[s->root_count++] = (struct root){str_dup(sb_view(&path)), is_store};
}

bool symfind_new(const struct symfind_options *opt, struct symfind **ret, struct err *err)
{
    if (!fs_mkdirs(opt->cache_dir, FS_DIR_MODE, err))
        return err_wrap(err, "symbol cache");
    struct symfind *s = xcalloc(1, sizeof *s);
    s->cache_dir = xstrdup(opt->cache_dir);
    s->cache_max_bytes = opt->cache_max_bytes;
    s->cache_bytes = -1;
    if (opt->store_dir) {
        add_root(s, true, opt->store_dir, "/v1");
        add_root(s, true, opt->store_dir, "/try/v1");
    }
    for (size_t i = 0; opt->sym_dirs && opt->sym_dirs[i]; i++)
        add_root(s, false, opt->sym_dirs[i], "");
    *ret = s;
    return true;
}

void symfind_free(struct symfind *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->root_count; i++)
        free(s->roots[i].dir);
    free(s->roots);
    free(s->cache_dir);
    free(s);
}

/* ---- names ------------------------------------------------------------------------------------
 */
static struct str base_name(struct str path)
{
    for (size_t i = path.n; i-- > 0;)
        if (path.p[i] == '/' || path.p[i] == '\\')
            return str_sub(path, i + 1, SIZE_MAX);
    return path;
}

bool symfind_sym_name(struct str debug_file, char *out, size_t out_size, struct err *err)
{
    if (debug_file.n == 0 || str_eq(debug_file, STR(".")) || str_eq(debug_file, STR("..")))
        return err_set(err, ERR_INVALID, "no file name");
    for (size_t i = 0; i < debug_file.n; i++) {
        unsigned char c = (unsigned char)debug_file.p[i];
        if (c < 0x20 || c == 0x7f || c == '/' || c == '\\')
            return err_set(err, ERR_INVALID, "a file name with a path or control characters");
    }
    struct str stem = debug_file;
    if (stem.n >= 4 && str_eq_nocase(str_sub(stem, stem.n - 4, 4), STR(".pdb")))
        stem.n -= 4;
    if (stem.n + sizeof ".sym" > out_size)
        return err_set(err, ERR_INVALID, "a file name of %zu bytes", debug_file.n);
    snprintf(out, out_size, STR_FMT ".sym", STR_ARG(stem));
    return true;
}

/* ---- where the text is --------------------------------------------------------------------- */
static bool is_text_at(char out[PATH_MAX], const char *dir, const struct symkey *k, const char *id,
                       const char *suffix, uint64_t *ret_stamp)
{
    int n = snprintf(out, PATH_MAX, "%s/%s/%s/%s%s", dir, k->debug_file, id, k->file, suffix);
    return n > 0 && n < PATH_MAX && symtext_stamp(out, ret_stamp, NULL);
}

/* Plain directories may write the age of the id in either case. */
static bool find_text(const struct symfind *s, const struct symkey *k, const char *id_as_given,
                      char path[PATH_MAX], uint64_t *ret_stamp)
{
    for (size_t i = 0; i < s->root_count; i++) {
        const struct root *r = &s->roots[i];
        if (is_text_at(path, r->dir, k, k->debug_id, r->is_store ? ".gz" : "", ret_stamp) ||
            is_text_at(path, r->dir, k, k->debug_id, r->is_store ? "" : ".gz", ret_stamp))
            return true;
        if (!r->is_store && strcmp(id_as_given, k->debug_id) != 0 &&
            (is_text_at(path, r->dir, k, id_as_given, "", ret_stamp) ||
             is_text_at(path, r->dir, k, id_as_given, ".gz", ret_stamp)))
            return true;
    }
    return false;
}

/* ---- compiling on first use ------------------------------------------------------------------ */
static void keep_in_bounds(struct symfind *s, uint64_t added)
{
    struct err err = {0};
    if (s->cache_bytes >= 0)
        s->cache_bytes += (int64_t)added;
    if (s->cache_max_bytes <= 0 || (s->cache_bytes >= 0 && s->cache_bytes <= s->cache_max_bytes))
        return;
    if (!symcache_evict(s->cache_dir, s->cache_max_bytes, &s->cache_bytes, &err))
        log_event(LOG_WARN, "symcache_evict_failed", "cannot clean the symbol cache", LOG_E(&err));
}

/* With the lock of the key: what another process has made in the meantime counts. */
static enum symcache_state compile(struct symfind *s, const struct symkey *k, const char *path,
                                   int *ret_fd)
{
    struct err err = {0};
    FD_AUTO lock = -1;
    struct symtext t = {0};
    struct csym_stats stats = {0};
    uint64_t stamp;
    if (!symcache_lock(s->cache_dir, k, &lock, &err) || !symtext_stamp(path, &stamp, &err))
        goto fail;
    enum symcache_state state = symcache_get(s->cache_dir, k, stamp, ret_fd);
    if (state != SYMCACHE_MISS)
        return state;

    int64_t start_ms = mono_ms();
    if (!symtext_open(path, s->cache_dir, SYMTEXT_MAX_BYTES, &t, &err))
        goto fail;
    bool ok = symcache_put(s->cache_dir, k, t.stamp, t.text, &stats, &err);
    stamp = t.stamp;
    symtext_close(&t);
    if (!ok)
        goto fail;
    log_event(
        LOG_INFO, "symbols_compiled", "compiled a symbols file", LOG_S("debug_file", k->debug_file),
        LOG_S("debug_id", k->debug_id), LOG_I("source_bytes", (int64_t)stats.source_bytes),
        LOG_I("csym_bytes", (int64_t)stats.csym_bytes),
        LOG_I("bad_lines", (int64_t)stats.bad_lines), LOG_I("duration_ms", mono_ms() - start_ms));
    state = symcache_get(s->cache_dir, k, stamp, ret_fd);
    keep_in_bounds(s, stats.csym_bytes);
    return state;
fail:
    log_event(LOG_WARN, "symbols_unusable", "cannot use a symbols file",
              LOG_S("debug_file", k->debug_file), LOG_S("debug_id", k->debug_id), LOG_E(&err));
    return err.code == ERR_INVALID || err.code == ERR_TOO_LARGE ? SYMCACHE_BAD : SYMCACHE_MISS;
}

static void read_url(int fd, struct symfind_result *ret)
{
    struct csym c;
    if (!csym_open_fd(fd, &c, NULL))
        return;
    snprintf(ret->url, sizeof ret->url, STR_FMT, STR_ARG(str_sub(c.url, 0, sizeof ret->url - 1)));
    csym_close(&c);
}

static bool is_null_id(const char *id)
{
    return id[strspn(id, "0")] == '\0';
}

void symfind_get(struct symfind *s, const struct symfind_key *key, struct symfind_result *ret)
{
    *ret = (struct symfind_result){.state = SYMFIND_MISSING, .fd = -1};
    struct symkey k;
    char path[PATH_MAX], id[SYMKEY_ID_MAX + 1];
    if (!symkey_of_module(base_name(key->debug_file), key->debug_id, &k, NULL) ||
        is_null_id(k.debug_id))
        return;
    snprintf(id, sizeof id, STR_FMT, STR_ARG(key->debug_id));
    uint64_t stamp;
    if (!find_text(s, &k, id, path, &stamp))
        return;

    int fd = -1;
    enum symcache_state state = symcache_get(s->cache_dir, &k, stamp, &fd);
    if (state == SYMCACHE_MISS)
        state = compile(s, &k, path, &fd);
    if (state == SYMCACHE_BAD)
        ret->state = SYMFIND_CORRUPT;
    if (state != SYMCACHE_HIT)
        return;
    ret->state = SYMFIND_LOADED;
    ret->fd = fd;
    read_url(fd, ret);
}
