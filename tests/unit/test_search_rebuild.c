/*
 * Weeks made anew while the index is used: what was put, replaced and deleted meanwhile, only some
 * weeks, and a rebuild that is killed anywhere, again and again, under a search that must find
 * every crash each time.
 *
 * The store is memory that processes share: which version of a crash it has, 0 for none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/search/index.h"
#include "lib/search/search.h"

/* A Friday; crashes lie in the 21 days before it, three weeks and some days of a fourth. */
#define NOW_US (1790294400 * (int64_t)1000000)
enum { CRASHES = 600, DAYS = 21, KILLS = 30, KILL_US_MAX = 400000 };

struct world {
    char dir[64];
    int *version; /* of each crash in the store, shared */
    int deletes;  /* a crash that is deleted the next time that the store is asked for one; 0: none
                   */
    struct index_writer *w;
    struct index_reader *r;
    struct arena arena;
};

static int64_t date_of(int i)
{
    return NOW_US - DAY_US * (1 + i % DAYS);
}

static void id_of(int i, char out[40])
{
    snprintf(out, 40, "%08x-93cf-4b46-8d8e-000000260925", (unsigned)i);
}

static json_t *crash(int i, int version)
{
    char id[40], date[TIME_TEXT_MAX], text[16];
    id_of(i, id);
    time_iso_s(date_of(i) / 1000000, date);
    snprintf(text, sizeof text, "%d.0", version);
    return json_pack("{s:s, s:s, s:s, s:s, s:s}", "uuid", id, "date_processed", date, "version",
                     text, "signature", i % 3 ? "js::GC" : "OOM | small", "product", "Firefox");
}

static void put(struct world *t, int i, int version)
{
    struct err err = {0};
    json_auto_t *doc = crash(i, version);
    if (!index_put(t->w, doc, &err))
        fail_msg("%s", err.msg);
}

static int set_up(void **state)
{
    struct world *t = xcalloc(1, sizeof *t);
    struct err err = {0};
    uint64_t losses;
    snprintf(t->dir, sizeof t->dir, "/tmp/datil-rebuild-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    t->version = mmap(NULL, CRASHES * sizeof(int), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(t->version, MAP_FAILED);
    arena_init(&t->arena, 64 << 20);
    if (!index_writer_open(t->dir, &fields_builtin, &t->w, &err) ||
        !index_fill_begin(t->w, 0, &losses, &err) ||
        !index_reader_open(t->dir, &fields_builtin, &t->r, &err))
        fail_msg("%s", err.msg);
    for (int i = 0; i < CRASHES; i++) {
        t->version[i] = 2;
        put(t, i, 1);
    }
    *state = t;
    return 0;
}

static int tear_down(void **state)
{
    struct world *t = *state;
    index_reader_close(t->r);
    index_writer_close(t->w);
    arena_release(&t->arena);
    munmap(t->version, CRASHES * sizeof(int));
    fs_remove_tree(t->dir, ERR_IGNORED);
    free(t);
    return 0;
}

static int number_of(const char *id)
{
    return (int)strtol(id, NULL, 16);
}

static bool get_stored(void *arg, const char *id, json_t **ret, struct err *err)
{
    const struct world *t = arg;
    int i = number_of(id);
    (void)err;
    *ret = t->version[i] ? crash(i, t->version[i]) : NULL;
    return true;
}

static bool has_stored(void *arg, const char *id)
{
    struct world *t = arg;
    if (t->deletes) {
        bool was_there;
        char other[40];
        id_of(t->deletes, other);
        t->version[t->deletes] = 0;
        t->deletes = 0;
        assert_true(index_delete(t->w, other, &was_there, ERR_IGNORED) && was_there);
    }
    return t->version[number_of(id)] != 0;
}

/* From the day that was noted on, as `datil index rebuild` does it. */
static bool read_store(struct world *t, struct rebuilding *b, struct err *err)
{
    struct index_writer *w;
    int64_t noted;
    if (!index_rebuild_noted(b, &noted, err) ||
        !index_writer_open(index_rebuild_dir(b), &fields_builtin, &w, err))
        return false;
    bool ok = true, was_there;
    for (int day = (int)noted + 1; ok && day < DAYS; day++) {
        for (int i = 0; ok && i < CRASHES; i++) {
            if (i % DAYS != day || !t->version[i])
                continue;
            json_auto_t *doc = crash(i, t->version[i]);
            ok = index_put_absent(w, doc, &was_there, err);
        }
        ok = ok && index_rebuild_note(b, day, err);
    }
    index_writer_close(w);
    return ok;
}

static struct rebuilding *begin(struct world *t, int64_t from_us, int64_t to_us)
{
    struct rebuilding *b;
    struct err err = {0};
    if (!index_rebuild_open(t->dir, &fields_builtin, from_us, to_us, "the test", 10000, &b, &err))
        fail_msg("%s", err.msg);
    return b;
}

static void finish(struct world *t, struct rebuilding *b)
{
    struct err err = {0};
    size_t weeks;
    const struct index_source source = {get_stored, has_stored, t};
    if (!index_rebuild_finish(b, &source, &weeks, &err))
        fail_msg("%s", err.msg);
    index_rebuild_close(b);
}

static int64_t count(struct world *t, const char *version, size_t *ret_missing)
{
    struct search_param params[] = {
        {STR_INIT("date"), STR_INIT(">=2026-08-01")},
        {STR_INIT("_facets"), STR_INIT("signature")},
        {STR_INIT("_results_number"), STR_INIT("0")},
        {STR_INIT("version"), str_of(version ? version : "")},
    };
    struct search_context ctx = {.now_us = NOW_US};
    struct search_query *q;
    const char *form_param = NULL;
    json_auto_t *answer = NULL;
    struct err err = {0};
    arena_reset(&t->arena);
    if (!search_parse(&t->arena, &fields_builtin, &ctx, (struct search_params){params, 4}, &q,
                      &form_param, &err) ||
        !search_run(t->r, &ctx, q, &answer, &err))
        fail_msg("%s", err.msg);
    *ret_missing = json_array_size(json_object_get(answer, "errors"));
    return json_integer_value(json_object_get(answer, "total"));
}

static void expect(struct world *t, const char *version, int64_t n)
{
    size_t missing;
    assert_int_equal(count(t, version, &missing), n);
    assert_int_equal(missing, 0);
}

static void ignore_line(void *arg, const char *line)
{
    (void)arg, (void)line;
}

static void is_sound(struct world *t)
{
    struct err err = {0};
    char path[128];
    snprintf(path, sizeof path, "%s/rebuild", t->dir);
    assert_false(fs_exists(path));
    if (!index_sync(t->w, &err) || !index_verify(t->dir, &fields_builtin, ignore_line, NULL, &err))
        fail_msg("%s", err.msg);
}

static void test_all_weeks(void **state)
{
    struct world *t = *state;
    struct err err = {0};
    struct rebuilding *b = begin(t, INT64_MIN, INT64_MAX);
    assert_true(read_store(t, b, &err));
    expect(t, "1.0", CRASHES);
    finish(t, b);
    expect(t, "2.0", CRASHES);
    expect(t, NULL, CRASHES);
    is_sound(t);
}

/* Of the crashes of one week, and of no other; a document of another week is left out. */
static void test_one_week(void **state)
{
    struct world *t = *state;
    struct err err = {0};
    int64_t day = NOW_US - 9 * DAY_US, monday = day - weekday_of_us(day) * DAY_US;
    int64_t of_week = 0;
    for (int i = 0; i < CRASHES; i++)
        of_week += date_of(i) >= monday && date_of(i) < monday + 7 * DAY_US;
    assert_int_not_equal(of_week, 0);
    struct rebuilding *b = begin(t, day, day);
    assert_true(read_store(t, b, &err));
    finish(t, b);
    expect(t, "2.0", of_week);
    expect(t, "1.0", CRASHES - of_week);
    is_sound(t);
}

/*
 * 1 is replaced, 2 deleted, 3 was not in the index and is deleted, 4 was not in the index and is in
 * the store, 5 is new, 6 lies in the store under a day that was not read, 7 is deleted at the last
 * moment.
 */
static void test_what_happens_meanwhile(void **state)
{
    struct world *t = *state;
    struct err err = {0};
    bool was_there;
    char id[40];
    for (int i = 3; i <= 5; i++) {
        id_of(i, id);
        assert_true(index_delete(t->w, id, &was_there, &err) && was_there);
    }
    t->version[5] = t->version[6] = 0;
    struct rebuilding *b = begin(t, INT64_MIN, INT64_MAX);
    assert_true(read_store(t, b, &err));
    t->version[6] = 2;
    put(t, 1, 3);
    for (int i = 2; i <= 3; i++) {
        id_of(i, id);
        t->version[i] = 0;
        assert_true(index_delete(t->w, id, &was_there, &err));
    }
    put(t, 5, 3); /* its document is stored behind the index, as workers do it */
    t->deletes = 7;
    finish(t, b);
    expect(t, "3.0", 2);
    expect(t, "2.0", CRASHES - 5);
    expect(t, NULL, CRASHES - 3);
    is_sound(t);
}

/* Puts and deletions behind the change go to the new weeks, with the writer that was open before.
 */
static void test_life_goes_on(void **state)
{
    struct world *t = *state;
    struct err err = {0};
    bool was_there;
    char id[40];
    struct rebuilding *b = begin(t, INT64_MIN, INT64_MAX);
    assert_true(read_store(t, b, &err));
    id_of(9, id);
    assert_true(index_delete(t->w, id, &was_there, &err) && was_there);
    t->version[9] = 0;
    finish(t, b);
    id_of(10, id);
    assert_true(index_delete(t->w, id, &was_there, &err) && was_there);
    put(t, 11, 4);
    put(t, 9, 4);
    expect(t, "4.0", 2);
    expect(t, NULL, CRASHES - 1);
    is_sound(t);
    assert_true(index_compact(t->dir, &fields_builtin, &err));
    expect(t, NULL, CRASHES - 1);
    is_sound(t);
}

/* Rows that were replaced while they were read died by commits that the index has not seen yet. */
static void test_documents_that_are_put_often(void **state)
{
    struct world *t = *state;
    struct err err = {0};
    struct index_writer *w;
    struct rebuilding *b = begin(t, INT64_MIN, INT64_MAX);
    assert_true(read_store(t, b, &err));
    assert_true(index_writer_open(index_rebuild_dir(b), &fields_builtin, &w, &err));
    for (int i = 0; i < 3 * CRASHES; i++) {
        json_auto_t *doc = crash(i % CRASHES, 2);
        assert_true(index_put(w, doc, &err));
    }
    index_writer_close(w);
    finish(t, b);
    expect(t, "2.0", CRASHES);
    is_sound(t);
}

/* Whoever compacts moves rows; the rebuild begins again and is right all the same. */
static void test_a_killed_one_and_a_compaction(void **state)
{
    struct world *t = *state;
    struct err err = {0};
    bool was_there;
    char id[40];
    struct rebuilding *b = begin(t, INT64_MIN, INT64_MAX);
    assert_true(read_store(t, b, &err));
    index_rebuild_close(b);
    for (int i = 0; i < 50; i++) {
        id_of(i, id);
        t->version[i] = 0;
        assert_true(index_delete(t->w, id, &was_there, &err) && was_there);
    }
    assert_true(index_compact(t->dir, &fields_builtin, &err));
    b = begin(t, INT64_MIN, INT64_MAX);
    int64_t noted;
    assert_true(index_rebuild_noted(b, &noted, &err));
    assert_int_equal(noted, -1);
    assert_true(read_store(t, b, &err));
    finish(t, b);
    expect(t, "2.0", CRASHES - 50);
    expect(t, NULL, CRASHES - 50);
    is_sound(t);
}

static void rebuild_and_exit(struct world *t)
{
    struct rebuilding *b;
    struct err err = {0};
    size_t weeks;
    const struct index_source source = {get_stored, has_stored, t};
    bool ok =
        index_rebuild_open(t->dir, &fields_builtin, INT64_MIN, INT64_MAX, "x", 10000, &b, &err) &&
        read_store(t, b, &err) && index_rebuild_finish(b, &source, &weeks, &err);
    if (!ok)
        fprintf(stderr, "%s\n", err.msg);
    _exit(ok ? 0 : 1);
}

/* Searches until the rebuild ends or its time is over.  True: it was killed. */
static bool search_until_killed(struct world *t, pid_t child, int64_t kill_us)
{
    int status;
    int64_t until_us = mono_us() + kill_us;
    while (waitpid(child, &status, WNOHANG) == 0) {
        expect(t, NULL, CRASHES);
        if (mono_us() >= until_us)
            kill(child, SIGKILL);
    }
    if (!WIFSIGNALED(status))
        assert_int_equal(WEXITSTATUS(status), 0);
    return WIFSIGNALED(status);
}

static void test_kills(void **state)
{
    struct world *t = *state;
    int killed = 0, ended = 0;
    const char *seed = getenv("DATIL_SEED");
    uint64_t random = seed ? strtoull(seed, NULL, 10) : 1;
    for (int i = 0; i < KILLS; i++) {
        pid_t child = fork();
        assert_int_not_equal(child, -1);
        if (child == 0)
            rebuild_and_exit(t);
        random = hash64(&random, sizeof random);
        if (search_until_killed(t, child, (int64_t)(random % KILL_US_MAX)))
            killed++;
        else
            ended++;
        put(t, (int)(random % CRASHES), 2); /* also where a killed one has just changed the table */
        expect(t, NULL, CRASHES);
    }
    assert_int_not_equal(killed, 0);
    pid_t last = fork();
    assert_int_not_equal(last, -1);
    if (last == 0)
        rebuild_and_exit(t);
    assert_false(search_until_killed(t, last, INT32_MAX));
    expect(t, "2.0", CRASHES);
    is_sound(t);
    print_message("killed %d, ended %d\n", killed, ended);
}

int main(void)
{
#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_WORLD(test_all_weeks),
        WITH_WORLD(test_one_week),
        WITH_WORLD(test_what_happens_meanwhile),
        WITH_WORLD(test_life_goes_on),
        WITH_WORLD(test_documents_that_are_put_often),
        WITH_WORLD(test_a_killed_one_and_a_compaction),
        WITH_WORLD(test_kills),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
