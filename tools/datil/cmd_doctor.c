/*
 * `datil doctor`: says in words what is wrong with an installation, and what to do.
 *
 * Whoever runs it runs it from a timer, so a false alarm costs as much as a missed one: whatever
 * changes while work goes on is looked at again before it is called a problem.
 *
 * The order of the checks is that of dependence: what needs the database is left out when it does
 * not answer, what needs the store when that is not the right one, so that one cause gives one line
 * and not ten.  Advice names a command or a file.
 */
#include "tools/datil/cmd_doctor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/opts.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/crash/product.h"
#include "lib/db/db.h"
#include "lib/spool/spool.h"
#include "lib/store/mark.h"
#include "queries.h"
#include "tools/datil/heartbeat.h"

enum {
    /*
     * All are set well above what is normal, because a false alarm is expensive: NTP keeps clocks
     * within a second, a report leaves the spool within seconds, and a job that has failed three
     * times has not just been unlucky.
     */
    CLOCK_SKEW_MAX_S = 60,
    DISK_FREE_PERCENT_MIN = 5, /* of every file system that a directory lies on, */
    SPOOL_AGE_MAX_S = 600,     /* the mover pauses 5 minutes at most between tries */
    QUEUE_AGE_MAX_S = 3600,
    CRON_ERRORS_MAX = 3,          /* in a row: one failure of a job is mended by its next run */
    PROGRAM_PATIENCE_MS = 5000,   /* a program may just be restarting */
    HEARTBEAT_TIMEOUT_MS = 10000, /* every worker may be busy with a long request */
    ASK_AGAIN_MS = 200,
    SAID_MAX = 300, /* bytes of a heartbeat's document that a line shows */
};
#define REFUSED_DAYS "7"
static const int64_t disk_free_min = (int64_t)1 << 30; /* chosen: a thousand dumps of a MB */

void doctor_good(struct doctor *d, const char *fmt, ...)
{
    va_list ap;
    (void)d;
    fputs("ok       ", stdout);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

/* A note: worth knowing, but no problem. */
void doctor_note(struct doctor *d, const char *fmt, ...)
{
    va_list ap;
    (void)d;
    fputs("note     ", stdout);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

void doctor_problem(struct doctor *d, const char *fmt, ...)
{
    va_list ap;
    d->problems++;
    fputs("problem  ", stdout);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

static const char *conf(struct doctor *d, enum conf_name key)
{
    return conf_text(&d->app->conf, key);
}

static void check_database(struct doctor *d)
{
    struct err err = {0};
    DB_ROWS rows = {0};
    if (!app_db(d->app, &err) || !DB_RUN(d->app->db, &q_db_ping, &rows, &err)) {
        doctor_problem(d, "database: %s", err.msg);
        return;
    }
    d->has_db = true;
    doctor_good(d, "database: PostgreSQL %s answers", db_col(&rows, 0, Q_DB_PING_COL_VERSION));
    int64_t skew_s = now_s() - db_col_int(&rows, 0, Q_DB_PING_COL_NOW_S, 0);
    if (llabs(skew_s) > CLOCK_SKEW_MAX_S)
        doctor_problem(d, "clock: this machine is %lld s off the database; set both by NTP",
                       (long long)skew_s);
    else
        doctor_good(d, "clock: agrees with the database");
}

/*
 * Reports dated after today: the clock was set back, or somebody sends ids of his own making.
 * Retention goes by the date in the id (docs/decisions/118): reports from the future outlive it.
 */
static void check_dates(struct doctor *d)
{
    struct err err = {0};
    DB_ROWS rows = {0};
    char tomorrow[8];
    if (!d->has_db)
        return;
    struct civil c = civil_of_us(now_us() + DAY_US);
    snprintf(tomorrow, sizeof tomorrow, "%02d%02d%02d", c.year % 100, c.month % 100, c.day % 100);
    if (!DB_RUN(d->app->db, &q_doctor_dates, &rows, &err, tomorrow))
        doctor_problem(d, "dates: %s", err.msg);
    else if (db_col_bool(&rows, 0, Q_DOCTOR_DATES_COL_IS_CLOCK_BEHIND))
        doctor_problem(d,
                       "dates: a report was received at %s, which is not yet by this clock; if the "
                       "clock was ahead, nothing has to be done but to watch `datil cron list`, "
                       "else set the clock",
                       db_col(&rows, 0, Q_DOCTOR_DATES_COL_NEWEST));
    else if (db_col_int(&rows, 0, Q_DOCTOR_DATES_COL_AHEAD, 0) > 0)
        doctor_note(d,
                    "dates: the ids of %s reports lie in the future; retention comes to them late",
                    db_col(&rows, 0, Q_DOCTOR_DATES_COL_AHEAD));
}

/*
 * A migration that was changed after it had been applied is an alarm of its own: this database has
 * another schema than a new one.  Then db_check_all prepares every statement, which finds a table
 * that somebody has altered by hand.
 */
static void check_schema(struct doctor *d)
{
    char dir[PATH_MAX];
    struct err err = {0};
    struct strs pending = {0}, changed = {0};
    if (!d->has_db)
        return;
    snprintf(dir, sizeof dir, "%s/migrations", fs_share_dir());
    if (!db_migrations_pending(d->app->db, dir, &d->app->arena, &pending, &changed, &err)) {
        doctor_problem(d, "schema: %s", err.msg);
        return;
    }
    for (size_t i = 0; i < changed.n; i++)
        doctor_problem(d, "schema: " STR_FMT " was changed after it had been applied",
                       STR_ARG(changed.v[i]));
    if (pending.n) {
        doctor_problem(d, "schema: %zu migrations are missing, run `datil migrate`", pending.n);
        d->has_db = false; /* the rest would only fail in a less clear way */
    } else if (!db_check_all(d->app->db, &err)) {
        doctor_problem(d, "schema: %s", err.msg);
    } else {
        doctor_good(d, "schema: up to date");
    }
}

static const enum conf_name dir_keys[] = {
    CONF_DATIL_VAR,         CONF_DATIL_RUN,         CONF_CRASHMOVER_CRASHSTORAGE_FS_ROOT,
    CONF_INDEX_DIR,         CONF_SPOOL_DIR,         CONF_SYMBOLS_DIR,
    CONF_SYMBOLS_CACHE_DIR, CONF_PROCESSOR_TMP_DIR,
};

/* The programs write in the sub-folders of the other two only. */
static bool is_programs_own(enum conf_name key)
{
    return key != CONF_DATIL_RUN && key != CONF_DATIL_VAR;
}

/*
 * doctor works as the programs' user, but started by root it keeps the right to write everywhere
 * (lib/base/identity.h), and whether it could write says nothing then.  So what belongs to root is
 * a problem by itself.
 */
static void check_dir(struct doctor *d, enum conf_name key, size_t *good)
{
    const char *name = conf_keys[key].name;
    const char *path = conf(d, key);
    struct stat st;
    if (stat(path, &st) != 0 && errno == ENOENT) {
        if (key == CONF_DATIL_VAR)
            doctor_problem(d, "directories: %s (%s) does not exist", path, name);
        else
            ++*good; /* whoever needs it first makes it */
    } else if (is_programs_own(key) && st.st_uid == 0) {
        doctor_problem(d, "directories: %s (%s) belongs to root; `chown` it to the programs' user",
                       path, name);
    } else if (is_programs_own(key) && !fs_is_writable_dir(path)) {
        doctor_problem(d, "directories: %s (%s): %s", path, name, strerror(errno));
    } else {
        ++*good;
    }
}

static void check_dirs(struct doctor *d)
{
    size_t good = 0;
    for (size_t i = 0; i < ARRAY_LEN(dir_keys); i++)
        check_dir(d, dir_keys[i], &good);
    if (good == ARRAY_LEN(dir_keys))
        doctor_good(d, "directories: all can be written");
}

/*
 * A directory without its mark is empty for a reason: nothing may be concluded from it.
 * is_store_away keeps doctor_agreement from taking all crashes for lost.
 */
static void check_marks(struct doctor *d)
{
    size_t good = 0;
    struct err err = {0};
    if (d->has_db && !app_installation(d->app, &err)) {
        doctor_problem(d, "store: %s", err.msg);
        return;
    }
    for (size_t i = 0; i < marked_dir_count; i++) {
        const struct marked_dir *m = &marked_dirs[i];
        err = (struct err){0};
        if (mark_check(conf(d, m->key), d->app->installation, &err)) {
            good++;
            continue;
        }
        doctor_problem(
            d,
            "%s: %s  Reports wait in the spool meanwhile, nothing is lost: mount it, or if "
            "this is the right place after all, run `datil store mark %s`",
            m->what, err.msg, m->what);
        d->is_store_away |= strcmp(m->what, "store") == 0;
    }
    if (good == marked_dir_count)
        doctor_good(d, "store: store and symbols are those of this installation");
}

/* f_bavail and not f_bfree: what is reserved for root is of no use to programs that are not. */
static void check_disk(struct doctor *d)
{
    size_t problems = d->problems;
    int64_t least = INT64_MAX;
    for (size_t i = 0; i < ARRAY_LEN(dir_keys); i++) {
        struct statvfs fs;
        if (statvfs(conf(d, dir_keys[i]), &fs) != 0 || fs.f_blocks == 0)
            continue;
        int64_t bytes = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
        int percent = (int)(100 * fs.f_bavail / fs.f_blocks);
        least = MIN(least, bytes);
        if (bytes < disk_free_min || percent < DISK_FREE_PERCENT_MIN)
            doctor_problem(d, "disk space: %lld MiB (%d %%) are free for %s",
                           (long long)(bytes >> 20), percent, conf(d, dir_keys[i]));
    }
    if (d->problems == problems && least < INT64_MAX)
        doctor_good(d, "disk space: at least %lld MiB are free", (long long)(least >> 20));
}

/*
 * Each program looks at what it needs itself; doctor repeats what it says.  An answer other than
 * 200 is asked for again: a program may just be restarting, or the database may be.
 */
static void check_program(struct doctor *d, const char *name, size_t *good)
{
    char path[PATH_MAX];
    int status = 0;
    struct str said = STR("");
    struct err err = {0};
    bool is_answered = false;
    snprintf(path, sizeof path, "%s/web/%s.sock", conf(d, CONF_DATIL_RUN), name);
    int64_t until_ms = mono_ms() + PROGRAM_PATIENCE_MS;
    do {
        if (status || err.code != ERR_NONE)
            usleep(ASK_AGAIN_MS * 1000);
        err = (struct err){0};
        is_answered =
            heartbeat_ask(&d->app->arena, path, HEARTBEAT_TIMEOUT_MS, &status, &said, &err);
        if (is_answered && status == 200) {
            ++*good;
            return;
        }
    } while (mono_ms() < until_ms);
    if (is_answered)
        doctor_problem(d, "programs: %s says with %d what it misses: " STR_FMT "; its log says why",
                       name, status, STR_ARG(str_sub(said, 0, SAID_MAX)));
    else
        doctor_problem(d,
                       "programs: %s does not answer at %s (%s); is it running?  If it does "
                       "not start, its log and `datil config check` say why",
                       name, path, err.msg);
}

static void check_programs(struct doctor *d)
{
    static const char *const names[] = {"datil-collector", "datil-webapp", "datil-symbols",
                                        "datil-pings"};
    size_t good = 0;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        check_program(d, names[i], &good);
    if (good == ARRAY_LEN(names))
        doctor_good(d, "programs: collector, webapp, symbol server and ping receiver answer");
}

/*
 * A processor has no socket; its workers are known by the name that their connections to the
 * database carry.  During a restart there is none for a moment, hence the patience.
 */
static void check_processor(struct doctor *d)
{
    struct err err = {0};
    if (!d->has_db)
        return;
    for (int64_t until_ms = mono_ms() + PROGRAM_PATIENCE_MS; mono_ms() < until_ms;) {
        DB_ROWS rows = {0};
        if (!DB_RUN(d->app->db, &q_doctor_processors, &rows, &err)) {
            doctor_problem(d, "processor: %s", err.msg);
            return;
        }
        if (db_col_int(&rows, 0, Q_DOCTOR_PROCESSORS_COL_COUNT, 0) > 0) {
            doctor_good(d, "processor: %s workers are connected",
                        db_col(&rows, 0, Q_DOCTOR_PROCESSORS_COL_COUNT));
            return;
        }
        usleep(ASK_AGAIN_MS * 1000);
    }
    doctor_problem(d, "processor: no worker is connected to the database; is it running?");
}

static void check_spool(struct doctor *d)
{
    const struct spool spool = spool_of_conf(&d->app->conf);
    size_t count;
    int64_t oldest_s;
    spool_count(&spool, now_s(), &count, &oldest_s);
    if (oldest_s > SPOOL_AGE_MAX_S)
        doctor_problem(d,
                       "spool: %zu reports, the oldest for %lld s; the collector cannot move them "
                       "into the store or publish them, its log says why",
                       count, (long long)oldest_s);
    else
        doctor_good(d, "spool: %zu reports on their way", count);
}

/*
 * Crashes that failed for good are a problem whatever the queue does: nobody will look at them
 * again unless a person says so.
 */
static void check_queue(struct doctor *d)
{
    struct err err = {0};
    DB_ROWS due = {0}, failed = {0};
    if (!d->has_db)
        return;
    if (!DB_RUN(d->app->db, &q_queue_due, &due, &err) ||
        !DB_RUN(d->app->db, &q_doctor_failed, &failed, &err)) {
        doctor_problem(d, "queue: %s", err.msg);
        return;
    }
    int64_t oldest_s = db_col_int(&due, 0, Q_QUEUE_DUE_COL_OLDEST_S, 0);
    int64_t failures = db_col_int(&failed, 0, Q_DOCTOR_FAILED_COL_COUNT, 0);
    if (failures)
        doctor_problem(d,
                       "queue: %lld crashes failed for good; `datil queue failed` lists them, "
                       "`datil queue retry` puts them back",
                       (long long)failures);
    if (oldest_s > QUEUE_AGE_MAX_S)
        doctor_problem(d, "queue: %s crashes wait, the oldest for %lld s; more workers are needed",
                       db_col(&due, 0, Q_QUEUE_DUE_COL_DUE), (long long)oldest_s);
    else if (!failures)
        doctor_good(d, "queue: %s crashes wait", db_col(&due, 0, Q_QUEUE_DUE_COL_DUE));
}

static void check_cron(struct doctor *d)
{
    struct err err = {0};
    DB_ROWS rows = {0};
    if (!d->has_db)
        return;
    char limit[16];
    snprintf(limit, sizeof limit, "%d", CRON_ERRORS_MAX);
    if (!DB_RUN(d->app->db, &q_doctor_cron, &rows, &err, limit)) {
        doctor_problem(d, "scheduled jobs: %s", err.msg);
        return;
    }
    for (int i = 0; i < rows.count; i++) {
        const char *name = db_col(&rows, i, Q_DOCTOR_CRON_COL_APP_NAME);
        if (db_col_int(&rows, i, Q_DOCTOR_CRON_COL_ERROR_COUNT, 0) > 0)
            doctor_problem(d, "scheduled jobs: %s has failed %s times: %s", name,
                           db_col(&rows, i, Q_DOCTOR_CRON_COL_ERROR_COUNT),
                           db_col(&rows, i, Q_DOCTOR_CRON_COL_LAST_ERROR));
        else
            doctor_problem(d,
                           "scheduled jobs: %s is overdue, its last success: %s; does datil-cron "
                           "run? `datil cron run %s --if-due`",
                           name, db_col(&rows, i, Q_DOCTOR_CRON_COL_LAST_SUCCESS), name);
    }
    if (rows.count == 0)
        doctor_good(d, "scheduled jobs: none fails, none is overdue");
}

/*
 * A note and no problem: whoever sends reports of a foreign product does nothing wrong, and neither
 * does the installation that refuses them.  A misspelled name in a release is found here.
 */
static void check_products(struct doctor *d)
{
    struct err err = {0};
    struct products products = {0};
    DB_ROWS rows = {0};
    int unknown = 0;
    if (!d->has_db)
        return;
    if (!products_load(conf(d, CONF_DATIL_VAR), &products, &err) ||
        !DB_RUN(d->app->db, &q_rejected_product_list, &rows, &err, REFUSED_DAYS)) {
        doctor_problem(d, "products: %s", err.msg);
        products_release(&products);
        return;
    }
    for (int i = 0; i < rows.count; i++)
        unknown += !products_find(&products,
                                  str_of(db_col(&rows, i, Q_REJECTED_PRODUCT_LIST_COL_PRODUCT)));
    if (unknown)
        doctor_note(d,
                    "products: reports of %d that are not configured were refused in the last "
                    "%s days; `datil product list` names them",
                    unknown, REFUSED_DAYS);
    else
        doctor_good(d, "products: %zu, and no reports of others", products.n);
    products_release(&products);
}

/*
 * Lines go out one by one, since the last two checks may take long and whoever waits wants to read.
 */
static bool run_doctor(struct app *app, struct args args, struct err *err)
{
    static doctor_check *const checks[] = {
        check_database, check_schema,   check_dates,     check_marks,        check_dirs,
        check_disk,     check_programs, check_processor, check_spool,        check_queue,
        check_cron,     check_products, doctor_index,    doctor_index_bytes, doctor_agreement,
    };
    bool is_quick = false;
    const struct opt opts[] = {{"--quick", OPT_FLAG, &is_quick}};
    struct doctor d = {.app = app};
    if (!OPTS_PARSE(opts, &args, 0, 0, err) || !app_is_somewhere(app, err))
        return false;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < ARRAY_LEN(checks); i++)
        if (!is_quick || (checks[i] != doctor_agreement && checks[i] != doctor_index_bytes))
            checks[i](&d);
    if (d.problems == 0)
        puts("no problems found");
    else
        printf("%zu problem%s found\n", d.problems, d.problems == 1 ? "" : "s");
    app->exit_status = d.problems ? EXIT_FAILURE : EXIT_SUCCESS;
    return true;
}

const struct command doctor_commands[] = {
    {"doctor", "[--quick]",
     "Says in words what is wrong with this installation; exits 1 if anything is.\n"
     "Compares every crash of the ledger with store and index unless --quick is given.",
     run_doctor},
    {0},
};
