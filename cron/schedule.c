/*
 * Decides when a job is due and for which moments it runs.
 *
 * The clock is not trusted: a machine that was a year ahead for five minutes leaves states that lie
 * in the future.  No run of ours is ever planned further ahead than one period and one day (the
 * time of day can lie up to a day behind the period's end), so a plan beyond that was made under
 * another clock and counts as due, and a last success in the future counts as none.
 */
#include "cron/schedule.h"

#include "lib/base/time.h"
#include "lib/base/util.h"

enum {
    FREQUENCY_MAX = 100000, /* days would be 273 years: no overflow in microseconds */
    RETRY_S = 60,           /* behind a failure, however long the period is */
};

static bool parse_frequency(const char *text, int64_t *ret_us, struct err *err)
{
    struct str s = str_of(text);
    uint64_t n;
    int64_t unit = 0;
    if (s.n >= 2) {
        char c = s.p[s.n - 1];
        unit = c == 'm' ? MINUTE_US : c == 'h' ? HOUR_US : c == 'd' ? DAY_US : 0;
    }
    if (!unit ||
        !str_to_u64(str_sub(s, 0, s.n - 1), 10, FREQUENCY_MAX, "frequency", &n, ERR_IGNORED) ||
        n == 0)
        return err_set(err, ERR_INVALID, "frequency '%.20s': say a number and m, h or d", text);
    *ret_us = (int64_t)n * unit;
    return true;
}

static bool two_digits(const char *p, int max, int *ret)
{
    if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
        return false;
    *ret = (p[0] - '0') * 10 + (p[1] - '0');
    return *ret <= max;
}

bool plan_parse(const char *frequency, const char *time, bool has_backfill, struct plan *ret,
                struct err *err)
{
    struct plan p = {.hour = -1, .minute = -1, .has_backfill = has_backfill};
    if (!parse_frequency(frequency, &p.every_us, err))
        return false;
    if (time && (strlen(time) != 5 || time[2] != ':' || !two_digits(time, 23, &p.hour) ||
                 !two_digits(time + 3, 59, &p.minute)))
        return err_set(err, ERR_INVALID, "time '%.20s': say HH:MM", time);
    *ret = p;
    return true;
}

/* The same day at the plan's time of day, seconds 0; unchanged without one. */
static int64_t at_time_of_day(const struct plan *p, int64_t us)
{
    if (p->hour < 0)
        return us;
    struct civil c = civil_of_us(us);
    c.hour = p->hour;
    c.minute = p->minute;
    c.second = c.micro = 0;
    return civil_to_us(c);
}

/*
 * A job that has never run is due at once or, if it has a time of day, when that is past today: on
 * a new installation the jobs of the night run on the first day, too.
 */
bool plan_is_due(const struct plan *p, const struct job_state *s, int64_t now_us)
{
    bool is_from_future = s->next_run_us > now_us + p->every_us + DAY_US;
    if (s->next_run_us != TIME_NEVER)
        return s->next_run_us < now_us || is_from_future;
    if (p->hour < 0)
        return true;
    struct civil c = civil_of_us(now_us);
    return c.hour > p->hour || (c.hour == p->hour && c.minute >= p->minute);
}

/* Slots lie a whole number of periods behind the last success, not behind now: a job that counts
 * what belongs to a day gets each day once, however late it runs. */
size_t plan_slots(const struct plan *p, const struct job_state *s, int64_t now_us, int64_t *slots,
                  size_t max)
{
    bool is_from_future = s->last_success_us > now_us + p->every_us;
    if (!p->has_backfill || s->last_success_us == TIME_NEVER || is_from_future) {
        slots[0] = now_us;
        return 1;
    }
    size_t n = 0;
    for (int64_t at = at_time_of_day(p, s->last_success_us) + p->every_us; at <= now_us && n < max;
         at += p->every_us)
        slots[n++] = at;
    return n;
}

/* The next run counts from now and not from the slot, so one that is late is not followed by
 * others. */
void plan_success(const struct plan *p, struct job_state *s, int64_t slot_us, int64_t now_us)
{
    s->last_success_us = slot_us;
    s->last_run_us = now_us;
    if (s->first_run_us == TIME_NEVER)
        s->first_run_us = now_us;
    s->error_count = 0;
    s->is_overdue = false;
    s->next_run_us = at_time_of_day(p, now_us + p->every_us);
}

/* The last success stays, so a backfilling job comes back to the slots that it has not done. */
void plan_failure(struct job_state *s, int64_t now_us)
{
    s->last_run_us = now_us;
    s->error_count++;
    s->next_run_us = now_us + (int64_t)RETRY_S * 1000000;
}
