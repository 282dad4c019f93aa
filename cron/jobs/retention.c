/*
 * retention - crashes older than RETENTION_DAYS disappear, or older than the retention_days of
 * their product.
 *
 * The age is that of the date in the crash id.  Store: days that no product keeps, as a whole.
 * Index: weekly partitions likewise.  What is left is crash by crash, for products that keep less
 * than others and for the partition that a limit cuts through; the ledger knows of each crash
 * whose it is, and crashes of nobody have the days of RETENTION_DAYS.  Ledger rows go last, so that
 * an interrupted run finds again what is left to do.  Signatures, bugs and statistics stay.
 *
 * What is deleted does not come back, and the only thing that says "old" is a clock, which may be
 * wrong.  So the job compares the clock with the reports before it believes it, and refuses
 *
 *   - when the newest report is older than STALE_DAYS: a collector that works gets reports, so
 *     rather the clock has jumped than that nobody crashed for a month;
 *   - when more than half of all reports would go, unless the job ran as planned within the last
 *     two days and less than a week is due: then these are simply the oldest of few.
 *
 * `datil purge retention --force` (job argument force) says that it is meant.
 */
#include <stdlib.h>
#include <string.h>

#include "cron/job_context.h"
#include "cron/jobs.h"
#include "cron/jobs/job_functions.h"
#include "cron/schedule.h"
#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/crash/product.h"
#include "lib/db/db.h"
#include "lib/search/collection.h"
#include "lib/search/index.h"
#include "lib/store/store.h"
#include "queries.h"

enum {
    PAGE = 1000, /* ids of 37 bytes and their rows, far below the arena of drop_page */
    STALE_DAYS = 30,
    REGULAR_GAP_DAYS = 2,
    REGULAR_DAYS = 7,
    STATISTICS_DAYS = 775, /* two years, and the months to compare them with */
    HOURLY_DAYS = 35,      /* as far as the view signature_hourly goes back */
    FOLD = 20000,          /* crashes of one statement: below a second */
    LATER_DAYS_SHOWN = 20  /* lines of a log: who sends ids of his own may have sent any day */
};

/* Oldest first, so that a run that is interrupted has deleted what was due for longest. */
static bool drop_days(struct job_context *x, const char *first_kept, struct err *err)
{
    struct strs days = {0};
    size_t dropped = 0;
    if (!store_days(x->store, x->arena, &days, err))
        return false;
    for (size_t i = 0; i < days.n && str_cmp(days.v[i], str_of(first_kept)) < 0; i++) {
        if (!store_delete_day(x->store, days.v[i].p, err))
            return err_wrap(err, "day " STR_FMT, STR_ARG(days.v[i]));
        printf("deleted " STR_FMT "\n", STR_ARG(days.v[i]));
        job_did(x, 1);
        dropped++;
    }
    printf("%zu days deleted\n", dropped);
    return true;
}

/* How long what is kept, as days before which it is not: YYYYMMDD, and in arrays YYMMDD. */
struct keeping {
    char before[16];                /* of products without a number of their own */
    char oldest_before[16];         /* of the product that keeps longest */
    int64_t oldest_us;              /* the same as a time */
    const char *products, *befores; /* arrays of the database: products with one */
};

/* One page of old ledger rows, from *from on; *ret_count 0 at the end. */
static bool drop_page(struct job_context *x, const struct keeping *k, struct index_writer *index,
                      char from[16], size_t *ret_count, struct err *err)
{
    struct arena a;
    DB_ROWS rows = {0};
    arena_init(&a, 1 << 20); /* one page of ids, twice */
    bool ok = DB_RUN(x->db, &q_ledger_expired, &rows, err, k->before + 2, k->products, k->befores,
                     from, db_int(&a, PAGE));
    struct strs ids = {.v = arena_array(&a, PAGE, sizeof(struct str))};
    for (int i = 0; ok && i < rows.count; i++) {
        bool was_there;
        size_t removed;
        const char *id = db_col(&rows, i, Q_LEDGER_EXPIRED_COL_CRASH_ID);
        const char *day = id + strlen(id) - 6; /* days before are gone as a whole */
        ok = (strcmp(day, k->oldest_before + 2) < 0 || store_delete(x->store, id, &removed, err)) &&
             index_delete(index, id, &was_there, err);
        ids.v[ids.n++] = str_of(id);
        snprintf(from, 16, "%s", day);
    }
    if (ok && ids.n)
        ok = index_sync(index, err) &&
             DB_EXEC(x->db, &q_ledger_forget_all, err, db_text_array(&a, ids)) &&
             DB_EXEC(x->db, &q_lacking_forget, err, db_text_array(&a, ids));
    job_did(x, ok ? ids.n : 0);
    *ret_count = ids.n;
    arena_release(&a);
    return ok;
}

static bool drop_rows(struct job_context *x, const struct keeping *k, struct err *err)
{
    struct index_writer *index;
    size_t got, total = 0;
    char from[16] = "000000";
    if (!index_writer_open(conf_text(x->conf, CONF_INDEX_DIR), x->fields, &index, err))
        return false;
    bool ok = true;
    do {
        ok = drop_page(x, k, index, from, &got, err);
        total += ok ? got : 0;
    } while (ok && got);
    index_writer_close(index);
    printf("%zu ledger rows deleted\n", total);
    return ok;
}

/* What crashes that are gone have added becomes sums of days; docs/statistics.md. */
static bool fold_statistics(struct job_context *x, struct err *err)
{
    int64_t n, total = 0;
    do {
        DB_ROWS rows = {0};
        if (!DB_RUN(x->db, &q_counted_fold, &rows, err, db_int(x->arena, HOURLY_DAYS),
                    db_int(x->arena, FOLD)))
            return err_wrap(err, "folding statistics");
        n = db_col_int(&rows, 0, Q_COUNTED_FOLD_COL_N, 0);
        job_did(x, (size_t)n);
        total += n;
    } while (n > 0);
    printf("%lld crashes folded into sums of days\n", (long long)total);
    return true;
}

struct outlook {
    int64_t rows, doomed_rows; /* of the ledger */
    size_t days, doomed_days;  /* of the store */
    size_t later_days;         /* of the store, after tomorrow */
    char newest[16];           /* YYYYMMDD, not later than today; empty: nothing is there */
};

/* Days compare as texts, since all have eight digits. */
static void note_newest(struct outlook *o, struct str day, const char *today)
{
    if (str_cmp(day, str_of(today)) <= 0 && str_cmp(day, str_of(o->newest)) > 0)
        snprintf(o->newest, sizeof o->newest, STR_FMT, STR_ARG(day));
}

/* The remainders change nothing; they show the compiler that 16 bytes are enough. */
static void day_text(int64_t us, char out[16])
{
    struct civil c = civil_of_us(us);
    snprintf(out, 16, "%04d%02d%02d", c.year % 10000, c.month % 100, c.day % 100);
}

/* Dates after today say nothing about the clock: whoever sends an id of his own chooses them. */
static bool look_ahead(struct job_context *x, const struct keeping *k, const char *today,
                       struct outlook *ret, struct err *err)
{
    struct outlook o = {0};
    struct strs days = {0};
    char tomorrow[16];
    DB_ROWS rows = {0};
    day_text(x->run_time_us + DAY_US, tomorrow);
    /* The ledger is asked by the days of crash ids, which have no century, hence the + 2. */
    if (!store_days(x->store, x->arena, &days, err) ||
        !DB_RUN(x->db, &q_ledger_outlook, &rows, err, k->before + 2, k->products, k->befores,
                today + 2))
        return false;
    o.days = days.n;
    for (size_t i = 0; i < days.n; i++) {
        o.doomed_days += str_cmp(days.v[i], str_of(k->oldest_before)) < 0;
        if (str_cmp(days.v[i], str_of(tomorrow)) > 0 && o.later_days++ < LATER_DAYS_SHOWN)
            printf("reports dated " STR_FMT ", after today, are kept until then\n",
                   STR_ARG(days.v[i]));
        note_newest(&o, days.v[i], today);
    }
    o.rows = db_col_int(&rows, 0, Q_LEDGER_OUTLOOK_COL_TOTAL, 0);
    o.doomed_rows = db_col_int(&rows, 0, Q_LEDGER_OUTLOOK_COL_DOOMED, 0);
    const char *newest = db_col(&rows, 0, Q_LEDGER_OUTLOOK_COL_NEWEST);
    if (newest)
        note_newest(&o, str_of(arena_printf(x->arena, "20%s", newest)), today);
    *ret = o;
    return true;
}

static int64_t age_days(const char *day, int64_t now)
{
    int64_t us;
    return time_parse(str_of(day), &us, ERR_IGNORED) ? (now - us) / DAY_US : INT64_MAX;
}

#define IF_MEANT "if this is meant, run `datil purge retention --force`"

static bool is_believable(struct job_context *x, const struct outlook *o, struct err *err)
{
    if (o->doomed_rows == 0 && o->doomed_days == 0)
        return true;
    char iso[16];
    snprintf(iso, sizeof iso, "%.4s-%.2s-%.2s", o->newest, o->newest + 4, o->newest + 6);
    int64_t age = o->newest[0] ? age_days(iso, x->run_time_us) : INT64_MAX;
    if (o->newest[0] && age > STALE_DAYS)
        return err_set(err, ERR_CONFLICT,
                       "refused: by this clock the newest report (%s) is %lld days old; check the "
                       "clock and the collector; " IF_MEANT,
                       iso, (long long)age);
    bool is_most = o->rows ? o->doomed_rows * 2 > o->rows : o->doomed_days * 2 > o->days;
    bool is_regular = x->last_success_us != TIME_NEVER &&
                      llabs(x->run_time_us - x->last_success_us) <= REGULAR_GAP_DAYS * DAY_US &&
                      o->doomed_days < REGULAR_DAYS;
    if (is_most && !is_regular)
        return err_set(
            err, ERR_CONFLICT,
            "refused: %lld of %lld reports (%zu of %zu days) would be deleted; check the "
            "clock and RETENTION_DAYS; " IF_MEANT,
            (long long)o->doomed_rows, (long long)o->rows, o->doomed_days, o->days);
    return true;
}

static void limit_of(const struct job_context *x, int64_t days, char ret[16])
{
    day_text(x->run_time_us - days * DAY_US, ret);
}

/* Product files are read anew: a number that was changed holds from the next run on. */
static bool read_keeping(struct job_context *x, struct keeping *ret, struct err *err)
{
    struct products all = {0};
    struct keeping k;
    int64_t usual = conf_int(x->conf, CONF_RETENTION_DAYS), most = usual;
    if (!products_load(conf_text(x->conf, CONF_DATIL_VAR), &all, err))
        return false;
    struct strs names = {.v = arena_array(x->arena, all.n + 1, sizeof(struct str))};
    struct strs befores = {.v = arena_array(x->arena, all.n + 1, sizeof(struct str))};
    for (size_t i = 0; i < all.n; i++) {
        char day[16];
        if (!all.v[i].retention_days)
            continue;
        limit_of(x, all.v[i].retention_days, day);
        most = MAX(most, all.v[i].retention_days);
        names.v[names.n++] = str_of(arena_strdup(x->arena, all.v[i].name));
        befores.v[befores.n++] = str_of(arena_strdup(x->arena, day + 2));
        printf("%s: %lld days\n", all.v[i].name, (long long)all.v[i].retention_days);
    }
    products_release(&all);
    limit_of(x, usual, k.before);
    limit_of(x, most, k.oldest_before);
    k.oldest_us = x->run_time_us - most * DAY_US;
    k.products = db_text_array(x->arena, names);
    k.befores = db_text_array(x->arena, befores);
    *ret = k;
    return true;
}

static bool drop_weeks(struct job_context *x, const struct keeping *k, struct err *err)
{
    const int64_t oldest_us[COLLECTIONS] = {
        [COLLECTION_REPORTS] = k->oldest_us,
        [COLLECTION_PINGS] = x->run_time_us - conf_int(x->conf, CONF_PING_RETENTION_DAYS) * DAY_US,
    };
    size_t total = 0;
    for (enum collection_id id = 0; id < COLLECTIONS; id++) {
        struct collection c = collection_of(x->conf, x->fields, id);
        size_t partitions;
        if (!index_expire(c.dir, c.fields, oldest_us[id] - oldest_us[id] % DAY_US, &partitions,
                          err))
            return err_wrap(err, "the index of %s", c.name);
        total += partitions;
    }
    printf("%zu index partitions deleted\n", total);
    return true;
}

/* Single pings go with PING_RETENTION_DAYS; what was counted of them stays as long as that of
 * reports. */
static bool expire_pings(struct job_context *x, struct err *err)
{
    DB_ROWS rows = {0};
    if (!DB_RUN(x->db, &q_ping_expire, &rows, err,
                db_int(x->arena, conf_int(x->conf, CONF_PING_RETENTION_DAYS)),
                db_int(x->arena, STATISTICS_DAYS)))
        return err_wrap(err, "pings");
    printf("%s crash pings deleted\n", db_col(&rows, 0, Q_PING_EXPIRE_COL_GONE));
    return true;
}

bool job_retention(struct job_context *x, struct err *err)
{
    char today[16];
    struct keeping k;
    struct outlook ahead;
    day_text(x->run_time_us, today);
    if (!read_keeping(x, &k, err) || !look_ahead(x, &k, today, &ahead, err) ||
        (!job_arg(x, "force") && !is_believable(x, &ahead, err)))
        return false;

    return drop_days(x, k.oldest_before, err) && drop_weeks(x, &k, err) && drop_rows(x, &k, err) &&
           fold_statistics(x, err) &&
           DB_EXEC(x->db, &q_counted_expire, err, db_int(x->arena, STATISTICS_DAYS)) &&
           expire_pings(x, err);
}
