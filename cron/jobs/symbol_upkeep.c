/*
 * Upkeep of symbols: what is old disappears (symexpire.h), its history too, the list of missing
 * symbols forgets what nobody asks for any more, files that dead uploads left behind are removed,
 * and the cache of compiled files stays below its limit.
 *
 * All of them may be killed anywhere and do the rest the next time.  With the job argument dry-run
 * they only say what they would do, with force expire-symbols believes the clock whatever it says.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cron/job_context.h"
#include "cron/jobs.h"
#include "cron/jobs/job_functions.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/metrics.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/symfile/symcache.h"
#include "lib/symfile/symexpire.h"
#include "lib/symfile/symsession.h"
#include "lib/symfile/symstore.h"
#include "lib/symfile/symverify.h"
#include "queries.h"

/* So many names of files that go, or stay, stand in the log of a run; the rest is counted. */
enum { NAMES_SHOWN = 50, FINDINGS_SHOWN = 50 };

/* Old files in use first of all: who keeps them alive should know what would else be gone. */
static void print_file(void *arg, enum symstore_area area, const char *key, int64_t bytes,
                       bool is_in_use)
{
    size_t *shown = arg;
    (void)bytes;
    if ((*shown)++ < NAMES_SHOWN)
        printf("%s %s %s\n", is_in_use ? "old, but in use:" : "expired:", symstore_area_names[area],
               key);
}

static struct symexpire expiry_of(const struct job_context *x, const struct symstore *store,
                                  size_t *shown)
{
    struct symexpire expiry = symexpire_of_conf(x->conf, store, x->db);
    expiry.now_us = x->run_time_us;
    expiry.is_dry = job_arg(x, "dry-run");
    expiry.is_forced = job_arg(x, "force");
    expiry.report = print_file;
    expiry.arg = shown;
    return expiry;
}

/* Bytes are those on disk, compressed: what an administrator gets back. */
bool job_expire_symbols(struct job_context *x, struct err *err)
{
    struct symstore store = symstore_of_conf(x->conf);
    struct symexpire_counts counts;
    size_t shown = 0;
    struct symexpire expiry = expiry_of(x, &store, &shown);
    if (!symexpire_files(&expiry, &counts, err))
        return false;
    job_did(x, counts.removed);
    symexpire_print(&expiry, &counts);
    return true;
}

static bool count_history(const struct job_context *x, struct err *err)
{
    DB_ROWS uploads = {0}, files = {0};
    if (!DB_RUN(x->db, &q_symbol_count_uploads, &uploads, err) ||
        !DB_RUN(x->db, &q_symbol_count_files, &files, err))
        return false;
    int64_t n_uploads = db_col_int(&uploads, 0, Q_SYMBOL_COUNT_UPLOADS_COL_N, 0);
    int64_t n_files = db_col_int(&files, 0, Q_SYMBOL_COUNT_FILES_COL_N, 0);
    metric_set(x->metrics, METRIC_CLEAR_RECORDS, n_uploads, "upload");
    metric_set(x->metrics, METRIC_CLEAR_RECORDS, n_files, "fileupload");
    printf("%lld rows of files and %lld of uploads\n", (long long)n_files, (long long)n_uploads);
    return true;
}

/* Announced files that never came, and what of them did. */
static bool forget_sessions(const struct job_context *x, const struct symstore *store,
                            struct err *err)
{
    DB_ROWS rows = {0};
    size_t n = 0;
    bool dry = job_arg(x, "dry-run");
    if (!(dry ? DB_RUN(x->db, &q_symbol_session_over, &rows, err)
              : symsession_forget(x->db, store->dir, &n, err)))
        return false;
    if (dry)
        printf("%s announced files would be forgotten\n",
               db_col(&rows, 0, Q_SYMBOL_SESSION_OVER_COL_COUNT));
    else
        printf("%zu announced files forgotten\n", n);
    return true;
}

/* Rows of files that are still stored stay, whatever their age: they are found by code id. */
bool job_clear_uploads(struct job_context *x, struct err *err)
{
    struct symstore store = symstore_of_conf(x->conf);
    size_t files, uploads, shown = 0;
    struct symexpire expiry = expiry_of(x, &store, &shown);
    if (!forget_sessions(x, &store, err) || !count_history(x, err) ||
        !symexpire_history(&expiry, &files, &uploads, err))
        return false;
    metric_set(x->metrics, METRIC_CLEAR_DELETED, expiry.is_dry ? 0 : uploads, "upload");
    metric_set(x->metrics, METRIC_CLEAR_DELETED, expiry.is_dry ? 0 : files, "fileupload");
    printf("%zu rows of files and %zu of uploads %s\n", files, uploads,
           expiry.is_dry ? "would be deleted" : "deleted");
    return true;
}

/* The statements know the age (30 days): nobody has asked again in a month. */
bool job_clear_missing_symbols(struct job_context *x, struct err *err)
{
    DB_ROWS rows = {0};
    bool dry = job_arg(x, "dry-run");
    if (!DB_RUN(x->db, dry ? &q_missing_symbol_old : &q_missing_symbol_clear, &rows, err))
        return false;
    if (dry)
        printf("%s missing symbols would be forgotten\n",
               db_col(&rows, 0, Q_MISSING_SYMBOL_OLD_COL_COUNT));
    else
        printf("%d missing symbols forgotten\n", rows.affected);
    return true;
}

/*
 * A lease to write is granted only while nobody else has the file open, so asking for one tells
 * whether an upload that takes long is still at work with it; closing gives it back.
 */
static bool is_open_elsewhere(int dir, const char *name)
{
    FD_AUTO fd = openat(dir, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    return fd < 0 || fcntl(fd, F_SETLEASE, F_WRLCK) != 0;
}

/* Links and folders are not ours: uploads make plain files only. */
static void remove_orphan(int dir, const char *name, int64_t before_s, bool dry, size_t *count)
{
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode) ||
        st.st_mtim.tv_sec > before_s || is_open_elsewhere(dir, name))
        return;
    if (dry || unlinkat(dir, name, 0) == 0)
        ++*count;
}

/* Most scratch files have no name; what has one and no owner belonged to a process that died. */
bool job_clear_orphans(struct job_context *x, struct err *err)
{
    const char *path = conf_text(x->conf, CONF_UPLOAD_TEMPDIR);
    int64_t before_s =
        x->run_time_us / 1000000 - conf_int(x->conf, CONF_UPLOAD_TEMPDIR_ORPHANS_CUTOFF) * 60;
    bool dry = job_arg(x, "dry-run");
    size_t count = 0;
    DIR *dir = opendir(path);
    if (!dir && errno != ENOENT)
        return err_errno(err, errno, "%s", path);
    for (struct dirent *e; dir && (e = readdir(dir));)
        remove_orphan(dirfd(dir), e->d_name, before_s, dry, &count);
    if (dir)
        closedir(dir);
    metric_add(x->metrics, METRIC_ORPHANS_DELETED, dry ? 0 : count);
    printf("%zu orphaned files of uploads %s\n", count, dry ? "would be removed" : "removed");
    return true;
}

/*
 * Whoever compiles keeps the cache below its limit, too; this is for hosts where nobody does.  A
 * cache that is not there is not made: its file system may be away, and health checks shall see
 * that.
 */
bool job_symcache_janitor(struct job_context *x, struct err *err)
{
    struct symstore store = symstore_of_conf(x->conf);
    if (!fs_exists(store.cache_dir)) {
        printf("%s is not there\n", store.cache_dir);
        return true;
    }
    if (!job_arg(x, "dry-run") &&
        !symcache_keep_below(store.cache_dir, store.dir, store.cache_max_bytes, err))
        return false;
    int64_t bytes = symcache_bytes(store.cache_dir);
    metric_add(x->metrics, METRIC_DISKCACHE_EVICT, symcache_take_evicted(store.cache_dir));
    metric_set(x->metrics, METRIC_DISKCACHE_USAGE, bytes);
    int64_t puts, put_us;
    symcache_take_puts(store.cache_dir, &puts, &put_us);
    metric_times(x->metrics, METRIC_DISKCACHE_SET, put_us, (uint64_t)puts);
    printf("compiled symbols take %lld MiB of %lld MiB\n", (long long)(bytes >> 20),
           (long long)(store.cache_max_bytes >> 20));
    return true;
}

struct upkeep_findings {
    size_t n, mended;
};

static void print_finding(void *arg, enum symverify_finding finding, const char *name,
                          bool is_mended)
{
    struct upkeep_findings *f = arg;
    f->mended += is_mended;
    if (f->n++ < FINDINGS_SHOWN)
        printf("%s: %s%s\n", name, symverify_words[finding], is_mended ? " (mended)" : "");
}

static void no_step(void *arg, uint64_t bytes)
{
    (void)arg;
    (void)bytes;
}

/* Finds and mends; contents are left to `datil symbols verify --content`, which reads
 * everything. */
bool job_verify_storage(struct job_context *x, struct err *err)
{
    struct symstore store = symstore_of_conf(x->conf);
    struct upkeep_findings found = {0};
    const struct symverify v = {
        .store = &store,
        .db = x->db,
        .temp_dir = conf_text(x->conf, CONF_UPLOAD_TEMPDIR),
        .is_fixing = !job_arg(x, "dry-run"),
        .found = print_finding,
        .step = no_step,
        .arg = &found,
    };
    if (!symverify_run(&v, err))
        return false;
    printf("%zu differences, %zu mended\n", found.n, found.mended);
    return true;
}
