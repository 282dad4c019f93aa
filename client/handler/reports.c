/*
 * Reports hold the memory of a program, and what is too old here is removed with everything in it.
 * So each directory must be one that nobody else can put things into: not another user's, not open
 * to everybody, no link to somewhere else.  A database in /tmp could be all of that.
 */
#include "client/handler/reports.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/handler/notes.h"
#include "client/handler/send.h"
#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"

/* Directory of one report. */
static void report_path(const struct reports *r, const char *where, const char *name,
                        char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/%s%s%s", r->root, where, name[0] ? "/" : "", name);
}

/* path holds no link but perhaps its last part. */
static bool is_own_directory(const char *path, struct err *err)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return err_errno(err, errno, "looking at %s", path);
    if (!S_ISDIR(st.st_mode))
        return err_set(err, ERR_INVALID, "%s is not a directory", path);
    if (st.st_uid != geteuid())
        return err_set(err, ERR_INVALID, "%s belongs to another user", path);
    if (st.st_mode & S_IWOTH)
        return err_set(err, ERR_INVALID, "everybody may write into %s", path);
    return true;
}

bool reports_open(struct reports *r, const char *root, const char *url, struct err *err)
{
    char full[PATH_MAX];
    if (!fs_mkdirs(root, 0700, err))
        return false;
    if (!realpath(root, full) || strlen(full) >= sizeof r->root)
        return err_set(err, ERR_INVALID, "the path of the database is too long");
    if (!is_own_directory(full, err))
        return false;
    snprintf(r->root, sizeof r->root, "%s", full);
    r->url = url;
    static const char *const folders[] = {"pending", "submitted", "tmp"};
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        report_path(r, folders[i], "", full);
        if (!fs_mkdirs(full, 0700, err) || !is_own_directory(full, err))
            return false;
    }
    return true;
}

/*
 * For whoever looks for reports that did not arrive: on standard error and in a log beside the
 * reports, which never takes more than twice REPORTS_LOG_MAX.
 */
void reports_tell(const struct reports *r, const char *fmt, ...)
{
    char line[512], when[TIME_TEXT_MAX], path[PATH_MAX], old[PATH_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    fprintf(stderr, "datil: %s\n", line);

    snprintf(path, sizeof path, "%s/log", r->root);
    snprintf(old, sizeof old, "%s/log.old", r->root);
    struct stat st;
    if (stat(path, &st) == 0 && st.st_size > REPORTS_LOG_MAX)
        rename(path, old);
    FD_AUTO fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    time_iso_s(now_s(), when);
    if (fd >= 0)
        dprintf(fd, "%s %s\n", when, line);
}

static bool write_file(const char *folder, const char *name, struct str bytes, struct err *err)
{
    char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return fs_write_atomic(path, bytes.p, bytes.n, 0600, err);
}

static void remember_crash(const struct reports *r, int64_t now_s)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%lld\n", (long long)now_s);
    write_file(r->root, "last_crash", str_n(text, (size_t)n), ERR_IGNORED);
}

int64_t reports_last_crash_s(const struct reports *r)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/last_crash", r->root);
    FREE_LATER char *text = NULL;
    size_t n;
    int64_t s = 0;
    if (fs_read(path, 64, &text, &n, ERR_IGNORED))
        str_to_i64(str_trim(str_n(text, n)), 0, INT64_MAX, "time", &s, ERR_IGNORED);
    return s;
}

/* Without waiting: who finds a report locked leaves it to the other. */
static bool lock_report(const char *folder, struct pending_report *report, struct err *err)
{
    FD_AUTO fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "%s", folder);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return err_set(err, ERR_CONFLICT, "another handler is sending it");
    report->lock = TAKE_FD(fd);
    return true;
}

/*
 * A report is made in tmp/ and renamed into pending/ when it is whole and on the disk, so a handler
 * that is killed leaves no half report to send.  It is locked before it can be seen, so that
 * another handler, which looks for reports to send again, does not send it a second time.
 */
bool reports_add(const struct reports *r, struct str json, struct str dump, int64_t now_us,
                 struct pending_report *ret_report, struct err *err)
{
    struct pending_report report = {.lock = -1};
    /* Names sort by age. */
    snprintf(report.name, sizeof report.name, "%016llx-%016llx", (unsigned long long)now_us,
             (unsigned long long)random_u64());
    char temp[PATH_MAX], final[PATH_MAX];
    report_path(r, "tmp", report.name, temp);
    report_path(r, "pending", report.name, final);
    if (!fs_mkdirs(temp, 0700, err) || !write_file(temp, "extra.json", json, err) ||
        (dump.n && !write_file(temp, "minidump.dmp", dump, err)) ||
        !lock_report(temp, &report, err))
        return false;
    char pending[PATH_MAX];
    report_path(r, "pending", "", pending);
    if (rename(temp, final) != 0 || !fs_sync_dir(pending, ERR_IGNORED)) {
        err_errno(err, errno, "renaming %s", temp);
        close(report.lock);
        return false;
    }
    remember_crash(r, now_us / 1000000);
    *ret_report = report;
    return true;
}

static void remember_id(const struct reports *r, const char *id, int64_t now_s)
{
    char folder[PATH_MAX], text[TIME_TEXT_MAX + 32];
    report_path(r, "submitted", "", folder);
    char when[TIME_TEXT_MAX];
    time_iso_s(now_s, when);
    int n = snprintf(text, sizeof text, "submitted %s\n", when);
    write_file(folder, id, str_n(text, (size_t)n), ERR_IGNORED);
}

/*
 * Read again from the disk although the caller has just written it: the report of today and the one
 * left from yesterday go the same way.
 */
static bool post(const struct reports *r, const char *folder, char id[SEND_ID_MAX], struct err *err)
{
    char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/extra.json", folder);
    FREE_LATER char *json = NULL;
    size_t n;
    if (!fs_read(path, NOTES_JSON_MAX, &json, &n, err))
        return false;
    snprintf(path, sizeof path, "%s/minidump.dmp", folder);
    return send_report(r->url, str_n(json, n), fs_exists(path) ? path : NULL, id, err);
}

/*
 * ERR_INVALID is the collector's decision (send_judge) and final.  ERR_NOT_FOUND is a report
 * without its files, which will never be one.  Everything else may be different tomorrow, so the
 * report stays.
 */
bool reports_send(const struct reports *r, struct pending_report *report, struct err *err)
{
    char folder[PATH_MAX];
    report_path(r, "pending", report->name, folder);
    if (report->lock < 0 && !lock_report(folder, report, err))
        return false;
    FD_AUTO lock = TAKE_FD(report->lock);
    (void)lock; /* held until this function is left */
    if (!r->url)
        return err_set(err, ERR_UNAVAILABLE, "no address to send to");

    char id[SEND_ID_MAX];
    bool sent = post(r, folder, id, err);
    if (!sent && err->code != ERR_INVALID && err->code != ERR_NOT_FOUND) {
        reports_tell(r, "crash report kept for later: %s", err->msg);
        return false;
    }
    if (sent) {
        remember_id(r, id, now_s());
        reports_tell(r, "crash report sent: %s", id);
    } else {
        reports_tell(r, "crash report not wanted: %s", err->msg);
    }
    return fs_remove_tree(folder, err);
}

struct report_names {
    VEC(char *) v;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Entries of a folder that look like ours, sorted: oldest first in pending/. */
static void list_folder(const char *folder, struct report_names *ret_names)
{
    enum { LISTED_MAX = 4096 }; /* twenty times what we keep: the folder is the user's */
    DIR *dir = opendir(folder);
    struct dirent *e;
    while (dir && (e = readdir(dir)) && ret_names->v.n < LISTED_MAX)
        if (e->d_name[0] != '.' && strlen(e->d_name) < REPORTS_NAME_MAX)
            VEC_PUSH(&ret_names->v, xstrdup(e->d_name));
    if (dir)
        closedir(dir);
    if (ret_names->v.n)
        qsort(ret_names->v.v, ret_names->v.n, sizeof(char *), by_name);
}

static void names_release(struct report_names *names)
{
    for (size_t i = 0; i < names->v.n; i++)
        free(names->v.v[i]);
    VEC_RELEASE(&names->v);
}

static bool older_than(const char *folder, const char *name, int64_t limit_s)
{
    char path[PATH_MAX + REPORTS_NAME_MAX];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return lstat(path, &st) == 0 && (int64_t)st.st_mtime < limit_s;
}

/* Keeps the newest `keep` entries that are younger than max_age_s. */
static void prune(const struct reports *r, const char *where, size_t keep, int64_t oldest_s)
{
    char folder[PATH_MAX];
    report_path(r, where, "", folder);
    struct report_names names = {0};
    list_folder(folder, &names);
    for (size_t i = 0; i < names.v.n; i++) {
        char path[PATH_MAX];
        report_path(r, where, names.v.v[i], path);
        if (i + keep < names.v.n || older_than(folder, names.v.v[i], oldest_s))
            fs_remove_tree(path, ERR_IGNORED);
    }
    names_release(&names);
}

/*
 * Called when a program starts its handler: what is too old or too much goes first, the oldest of
 * the rest is sent first.
 */
void reports_retry(const struct reports *r, int64_t now_us)
{
    int64_t day = 86400, now_s = now_us / 1000000;
    prune(r, "pending", REPORTS_PENDING_MAX, now_s - REPORTS_AGE_MAX_DAYS * day);
    prune(r, "submitted", REPORTS_SUBMITTED_MAX, now_s - 365 * day);
    prune(r, "tmp", SIZE_MAX / 2, now_s - day); /* of handlers that were killed */
    char folder[PATH_MAX];
    report_path(r, "pending", "", folder);
    struct report_names names = {0};
    list_folder(folder, &names);
    for (size_t i = 0; i < names.v.n && i < REPORTS_RETRY_MAX; i++) {
        struct err err = {0};
        struct pending_report report = {.lock = -1};
        snprintf(report.name, sizeof report.name, "%s", names.v.v[i]);
        /* A collector that is away stays away: do not wait for it ten times. */
        if (!reports_send(r, &report, &err) && err.code == ERR_UNAVAILABLE)
            break;
    }
    names_release(&names);
}
