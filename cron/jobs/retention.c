#include "base/time.h"
#include "base/util.h"
#include "cron/jobs/jobs.h"
#include "queries.h"

/*
 * retention - crashes older than RETENTION_DAYS disappear.
 *
 * The age is that of the date in the crash id.  Store: whole days.  Index: whole weekly
 * partitions, and in the partition that the limit cuts through crash by crash.  Ledger rows go
 * last, so that an interrupted run finds again what is left to do.  Signatures, bugs and
 * statistics stay.
 */
enum { PAGE = 1000 };
#define DAY_US ((int64_t)86400 * 1000000)

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
        dropped++;
    }
    printf("%zu days deleted\n", dropped);
    return true;
}

/* One page of old ledger rows; *ret_count 0 at the end. */
static bool drop_page(struct job_context *x, struct index_writer *index, const char *before,
                      size_t *ret_count, struct err *err)
{
    struct arena a;
    DB_ROWS rows = {0};
    arena_init(&a, 1 << 20);
    bool ok = DB_RUN(x->db, &q_ledger_expired, &rows, err, before, db_int(&a, PAGE));
    struct strs ids = {.v = arena_array(&a, PAGE, sizeof(struct str))};
    for (int i = 0; ok && i < rows.count; i++) {
        bool was_there;
        const char *id = db_col(&rows, i, "crash_id");
        ok = index_delete(index, id, &was_there, err);
        ids.v[ids.n++] = str_of(id);
    }
    if (ok && ids.n)
        ok = index_sync(index, err) &&
             DB_EXEC(x->db, &q_ledger_forget_all, err, db_text_array(&a, ids));
    arena_release(&a);
    *ret_count = ids.n;
    return ok;
}

static bool drop_rows(struct job_context *x, const char *before, struct err *err)
{
    struct index_writer *index;
    size_t got, total = 0;
    if (!index_writer_open(conf_text(x->conf, "INDEX_DIR"), &index, err))
        return false;
    bool ok = true;
    do {
        ok = drop_page(x, index, before, &got, err);
        total += ok ? got : 0;
    } while (ok && got);
    index_writer_close(index);
    printf("%zu ledger rows deleted\n", total);
    return ok;
}

bool job_retention(struct job_context *x, struct err *err)
{
    int64_t cutoff_us = x->run_time_us - conf_int(x->conf, "RETENTION_DAYS") * DAY_US;
    struct civil c = civil_of_us(cutoff_us);
    char day[16];
    snprintf(day, sizeof day, "%04d%02d%02d", c.year % 10000, c.month % 100, c.day % 100);
    int64_t midnight_us = civil_to_us((struct civil){c.year, c.month, c.day, 0, 0, 0, 0});

    size_t partitions = 0;
    if (!drop_days(x, day, err) ||
        !index_expire(conf_text(x->conf, "INDEX_DIR"), midnight_us, &partitions, err))
        return false;
    printf("%zu index partitions deleted\n", partitions);
    return drop_rows(x, day + 2, err);
}
