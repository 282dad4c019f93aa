#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cron/jobs.h"
#include "cron/jobs_configured.h"
#include "lib/base/time.h"
#include "lib/base/util.h"

/* When jobs run, on a clock that we set. */

static int64_t at(const char *text)
{
    int64_t us;
    if (!text)
        return TIME_NEVER;
    if (!time_parse(str_of(text), &us, ERR_IGNORED))
        fail_msg("bad time in the test: %s", text);
    return us;
}

static struct plan plan(const char *frequency, const char *time, bool backfill)
{
    struct plan p;
    struct err err = {0};
    if (!plan_parse(frequency, time, backfill, &p, &err))
        fail_msg("%s", err.msg);
    return p;
}

static const struct {
    const char *label, *frequency, *time;
    bool ok;
} parse_cases[] = {
    {"minutes", "5m", NULL, true},
    {"days", "1d", "00:00", true},
    {"late", "1d", "23:59", true},
    {"no unit", "5", NULL, false},
    {"no number", "d", NULL, false},
    {"seconds", "5s", NULL, false},
    {"nothing", "", NULL, false},
    {"zero", "0d", NULL, false},
    {"sign", "-1d", NULL, false},
    {"blank", " 1d", NULL, false},
    {"hour too big", "1d", "24:00", false},
    {"one digit", "1d", "5:00", false},
    {"seconds in time", "1d", "05:00:00", false},
    {"letters", "1d", "ab:cd", false},
};

static void test_parse(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(parse_cases); i++) {
        struct plan p;
        struct err err = {0};
        if (plan_parse(parse_cases[i].frequency, parse_cases[i].time, false, &p, &err) !=
            parse_cases[i].ok)
            fail_msg("%s", parse_cases[i].label);
    }
}

static const struct {
    const char *label, *time, *next_run, *now;
    bool due;
} due_cases[] = {
    {"never run, no time", NULL, NULL, "2026-07-28T03:00:00", true},
    {"never run, before its time", "05:00", NULL, "2026-07-28T04:59:59", false},
    {"never run, at its time", "05:00", NULL, "2026-07-28T05:00:00", true},
    {"never run, same minute in a later hour", "05:30", NULL, "2026-07-28T06:00:00", true},
    {"next run ahead", "05:00", "2026-07-29T05:00:00", "2026-07-28T23:00:00", false},
    {"next run reached", "05:00", "2026-07-29T05:00:00", "2026-07-29T05:00:00", false},
    {"next run passed", "05:00", "2026-07-29T05:00:00", "2026-07-29T05:00:01", true},
    {"almost two days ahead is a plan", "23:59", "2026-07-30T23:59:00", "2026-07-29T00:01:00",
     false},
    {"the clock was ahead", "05:00", "2027-02-14T05:00:00", "2026-07-29T03:00:00", true},
};

static void test_due(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(due_cases); i++) {
        struct plan p = plan("1d", due_cases[i].time, false);
        struct job_state s = {.next_run_us = at(due_cases[i].next_run)};
        if (plan_is_due(&p, &s, at(due_cases[i].now)) != due_cases[i].due)
            fail_msg("%s", due_cases[i].label);
    }
}

static const struct {
    const char *label, *frequency, *time;
    bool backfill;
    const char *last_success, *now;
    size_t n;
    const char *first, *last;
} slot_cases[] = {
    {"no backfill", "1h", NULL, false, "2026-07-28T01:00:00", "2026-07-28T09:00:00", 1,
     "2026-07-28T09:00:00", "2026-07-28T09:00:00"},
    {"never succeeded", "1h", NULL, true, NULL, "2026-07-28T09:00:00", 1, "2026-07-28T09:00:00",
     "2026-07-28T09:00:00"},
    {"hourly, three hours behind", "1h", NULL, true, "2026-07-28T06:00:00", "2026-07-28T09:00:00",
     3, "2026-07-28T07:00:00", "2026-07-28T09:00:00"},
    {"daily at 10:30, a day behind", "1d", "10:30", true, "2026-07-27T12:00:00",
     "2026-07-28T12:00:00", 1, "2026-07-28T10:30:00", "2026-07-28T10:30:00"},
    {"the clock was ahead", "1d", "10:30", true, "2027-02-14T10:30:00", "2026-07-28T12:00:00", 1,
     "2026-07-28T12:00:00", "2026-07-28T12:00:00"},
    {"nothing missed", "1d", "10:30", true, "2026-07-28T10:31:00", "2026-07-28T12:00:00", 0, NULL,
     NULL},
    {"over the end of a month", "1d", "04:00", true, "2026-02-27T04:00:00", "2026-03-02T04:00:00",
     3, "2026-02-28T04:00:00", "2026-03-02T04:00:00"},
};

static void test_slots(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(slot_cases); i++) {
        struct plan p = plan(slot_cases[i].frequency, slot_cases[i].time, slot_cases[i].backfill);
        struct job_state s = {.last_success_us = at(slot_cases[i].last_success)};
        int64_t slots[10];
        size_t n = plan_slots(&p, &s, at(slot_cases[i].now), slots, ARRAY_LEN(slots));
        if (n != slot_cases[i].n)
            fail_msg("%s: %zu slots", slot_cases[i].label, n);
        if (n && (slots[0] != at(slot_cases[i].first) || slots[n - 1] != at(slot_cases[i].last)))
            fail_msg("%s: wrong moments", slot_cases[i].label);
    }
}

static void test_slots_have_a_limit(void **state)
{
    (void)state;
    struct plan p = plan("1m", NULL, true);
    struct job_state s = {.last_success_us = at("2020-01-01")};
    int64_t slots[5];
    assert_int_equal(plan_slots(&p, &s, at("2026-01-01"), slots, 5), 5);
    assert_int_equal(slots[0], at("2020-01-01T00:01:00"));
}

static void test_success_and_failure(void **state)
{
    (void)state;
    struct plan p = plan("1d", "05:00", true);
    struct job_state s = {TIME_NEVER, TIME_NEVER, TIME_NEVER, TIME_NEVER, 0, false};
    int64_t first = at("2026-07-28T05:03:07");
    plan_success(&p, &s, first, first);
    assert_int_equal(s.first_run_us, first);
    assert_int_equal(s.last_success_us, first);
    assert_int_equal(s.next_run_us, at("2026-07-29T05:00:00"));

    int64_t second = at("2026-07-29T05:02:00");
    plan_failure(&s, second);
    plan_failure(&s, second);
    assert_int_equal(s.error_count, 2);
    assert_int_equal(s.last_success_us, first); /* a lost slot would never be run */
    assert_int_equal(s.last_run_us, second);
    assert_int_equal(s.next_run_us, at("2026-07-29T05:03:00"));

    int64_t third = at("2026-07-29T05:04:00");
    plan_success(&p, &s, at("2026-07-29T05:00:00"), third);
    assert_int_equal(s.error_count, 0);
    assert_int_equal(s.first_run_us, first);
    assert_int_equal(s.last_success_us, at("2026-07-29T05:00:00"));
    assert_int_equal(s.next_run_us, at("2026-07-30T05:00:00"));
}

static void test_table_of_jobs(void **state)
{
    (void)state;
    for (size_t i = 0; i < cron_job_count; i++) {
        const struct cron_job *j = &cron_jobs[i];
        plan(j->frequency, j->time, j->flags & JOB_BACKFILL);
        assert_true(j->timeout_s > 0 && j->run && j->help[0]);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(cron_jobs[k].name, j->name);
    }
}

static void test_configured_jobs(void **state)
{
    (void)state;
    static const char *const bad[] = {"nothing off",         "crontest every=2w",
                                      "crontest time=25:00", "crontest limit=8d",
                                      "crontest often",      "crontest every=1h; retention of",
                                      "crontest limit=90s"};
    struct arena a;
    struct job_list l;
    struct err err = {0};
    arena_init(&a, 1 << 20);
    assert_true(jobs_configure(&a, "", &l, &err));
    assert_memory_equal(l.v, cron_jobs, cron_job_count * sizeof *l.v);
    assert_true(jobs_configure(
        &a, " crontest  every=2h limit=90m;archivescraper off ; retention time=none every=12h;", &l,
        &err));
    for (size_t i = 0; i < l.n; i++) {
        const struct cron_job *j = &l.v[i];
        bool is_test = strcmp(j->name, "crontest") == 0;
        bool is_retention = strcmp(j->name, "retention") == 0;
        assert_string_equal(j->frequency, is_test        ? "2h"
                                          : is_retention ? "12h"
                                                         : cron_jobs[i].frequency);
        assert_int_equal(j->timeout_s, is_test ? 5400 : cron_jobs[i].timeout_s);
        assert_int_equal((j->flags & JOB_OFF) != 0, strcmp(j->name, "archivescraper") == 0);
        assert_true(!is_retention || !j->time);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err why = {0};
        assert_false(jobs_configure(&a, bad[i], &l, &why));
        assert_int_equal(why.code, ERR_INVALID);
        assert_true(strncmp(why.msg, "CRON_JOBS: ", 11) == 0);
    }
    arena_release(&a);
}

static void test_job_args(void **state)
{
    (void)state;
    const char *args[] = {"dry-run", "print=a=b", NULL};
    struct job_context x = {.args = args};
    assert_string_equal(job_arg(&x, "dry-run"), "");
    assert_string_equal(job_arg(&x, "print"), "a=b");
    assert_null(job_arg(&x, "pri"));
    assert_null(job_arg(&(struct job_context){0}, "print"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_due),
        cmocka_unit_test(test_slots),
        cmocka_unit_test(test_slots_have_a_limit),
        cmocka_unit_test(test_success_and_failure),
        cmocka_unit_test(test_table_of_jobs),
        cmocka_unit_test(test_configured_jobs),
        cmocka_unit_test(test_job_args),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
