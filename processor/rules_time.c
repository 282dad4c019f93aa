/*
 * DatesAndTimes.  The clocks of the machines that crash are often wrong; ours, at
 * receipt, is what a report is dated by.  So date_processed is the time of receipt, however often
 * and however late a crash is processed: a report stays in its day of the index, and whoever counts
 * crashes per day counts them once.
 *
 * The client's times are kept beside it (client_crash_date, crash_time), and differences of two of
 * them (uptime, install_age) are good even where the clock is wrong.  All of them are seconds; all
 * come from strangers, so they may be anything that fits into 64 bits.
 */
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/crash/crash_id.h"
#include "lib/json/json.h"
#include "processor/job.h"
#include "processor/rules.h"

/* Microseconds of receipt.  A report that lost its time stamp keeps the day in its id. */
static int64_t received_us(struct job *job)
{
    int64_t us;
    struct str stamp = annotation_text(job, "submitted_timestamp");
    if (time_parse(stamp, &us, ERR_IGNORED)) {
        set_text(job, "submitted_timestamp", stamp);
        set_text(job, "date_processed", stamp);
        return us;
    }
    char date[CRASH_DATE_SIZE], text[TIME_TEXT_MAX], iso[11];
    us = job->now_us;
    if (job->crash_id && crash_id_valid(str_of(job->crash_id), false)) {
        crash_id_date(job->crash_id, date);
        snprintf(iso, sizeof iso, "%.4s-%.2s-%.2s", date, date + 4, date + 6);
        time_parse(str_of(iso), &us, ERR_IGNORED);
    }
    time_iso_s(us / 1000000, text);
    set_text(job, "submitted_timestamp", str_of(text));
    set_text(job, "date_processed", str_of(text));
    return us;
}

static bool to_int(struct str s, int64_t *ret)
{
    return str_to_i64(str_trim(s), INT64_MIN, INT64_MAX, "time", ret, ERR_IGNORED);
}

/*
 * Seconds since 1970. Some clients send a fraction or milliseconds behind the ten digits. A time
 * that cannot be read is 0 and not that of receipt: then it would look right.
 */
static int64_t crash_time(struct job *job, int64_t received_s)
{
    enum { TIME_DIGITS = 10 };
    struct str text = annotation_text(job, "CrashTime");
    int64_t s = 0;
    if (!text.p) {
        job_note(job, "WARNING: raw_crash missing CrashTime");
        s = received_s;
    } else if (!to_int(str_sub(text, 0, TIME_DIGITS), &s)) {
        job_note(job, "non-integer value of \"CrashTime\"");
    }
    if (s == received_s)
        job_note(job, "client_crash_date is unknown");
    return s;
}

static int64_t install_time(struct job *job, int64_t startup_s)
{
    struct str text = annotation_text(job, "InstallTime");
    int64_t s = 0;
    if (!text.p)
        return startup_s;
    if (!to_int(text, &s))
        job_note(job, "non-integer value of \"InstallTime\"");
    return s;
}

static bool all_digits(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return s.n > 0;
}

/*
 * How long ago the crash before this one was. A number too large is told apart from a text, since
 * it is a fault of the client and not of the user's profile.
 */
static json_t *last_crash(struct job *job)
{
    struct str text = annotation_text(job, "SecondsSinceLastCrash");
    int64_t s;
    if (!text.p)
        return json_null();
    if (to_int(text, &s))
        return json_integer(s);
    if (all_digits(str_trim(text)))
        job_note(job, "\"SecondsSinceLastCrash\" larger than MAXINT - set to NULL");
    else
        job_note(job, "non-integer value of \"SecondsSinceLastCrash\"");
    return json_null();
}

/* a - b, staying inside the range: the values are whatever somebody sent. */
static int64_t difference(int64_t a, int64_t b)
{
    int64_t d;
    if (__builtin_sub_overflow(a, b, &d))
        return a < b ? INT64_MIN : INT64_MAX;
    return d;
}

/*
 * Missing start and installation count as the moment of the crash, so both ages are 0. Never a
 * negative uptime; a negative install_age shows a clock that was set.
 */
bool dates_and_times_act(struct job *job, struct err *err)
{
    (void)err;
    int64_t received_s = received_us(job) / 1000000;
    int64_t crash_s = crash_time(job, received_s);
    int64_t startup_s = jget_int_or(job->processed, "startup_time", crash_s);
    int64_t install_s = install_time(job, startup_s);
    char text[TIME_TEXT_MAX];
    time_iso_s(crash_s, text);
    jset_int(job->processed, "crash_time", crash_s);
    set_text(job, "client_crash_date", str_of(text));
    jset_int(job->processed, "install_age", difference(crash_s, install_s));
    jset_int(job->processed, "uptime", MAX(0, difference(crash_s, startup_s)));
    set_value(job, "last_crash", last_crash(job));
    return true;
}
