/*
 * The journal of pings: what was appended is read once and in order; what is cut off or damaged
 * behind the last whole record is not; and what a process was told is durable is there, however
 * many of them are killed while they append.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/ping/journal.h"

struct journal_fixture {
    char dir[64];
    struct journal_shared *shared;
    struct journal journal;
};

static int begin(void **state)
{
    struct journal_fixture *f = xcalloc(1, sizeof *f);
    struct err err = {0};
    snprintf(f->dir, sizeof f->dir, "/tmp/test-journal-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_true(journal_shared_new(&f->shared, &err));
    assert_true(journal_open(&f->journal, f->dir, true, f->shared, &err));
    *state = f;
    return 0;
}

static int end(void **state)
{
    struct journal_fixture *f = *state;
    journal_close(&f->journal);
    fs_remove_tree(f->dir, ERR_IGNORED);
    free(f);
    return 0;
}

static bool add_record(void *arg, struct str record)
{
    struct strbuf *all = arg;
    sb_str(all, record);
    sb_char(all, ' ');
    return true;
}

/* All records of all files, in their order; the files go if `drop`. */
static void read_all(struct journal_fixture *f, struct strbuf *all, bool drop)
{
    struct journal_file files[16];
    size_t n = journal_files(&f->journal, files, ARRAY_LEN(files));
    for (size_t i = 0; i < n; i++) {
        uint64_t at = 0, to = 0;
        do {
            at = to;
            assert_true(
                journal_read(&f->journal, &files[i], at, add_record, all, &to, ERR_IGNORED));
        } while (to > at);
        if (drop)
            assert_true(journal_drop(&f->journal, &files[i], at));
    }
}

static void test_append_and_read(void **state)
{
    struct journal_fixture *f = *state;
    STRBUF_AUTO all;
    sb_init(&all, 1 << 20);
    assert_true(journal_append(&f->journal, STR("one"), ERR_IGNORED));
    assert_true(journal_append(&f->journal, STR("two"), ERR_IGNORED));
    read_all(f, &all, false);
    assert_string_equal(sb_cstr(&all), "one two ");
    sb_reset(&all);
    read_all(f, &all, true);
    sb_reset(&all);
    read_all(f, &all, true);
    assert_string_equal(sb_cstr(&all), "");
    assert_true(journal_append(&f->journal, STR("three"), ERR_IGNORED));
    read_all(f, &all, true);
    assert_string_equal(sb_cstr(&all), "three ");
    struct err err = {0};
    assert_false(journal_append(&f->journal, str_n("", JOURNAL_RECORD_MAX + 1), &err));
    assert_int_equal(err.code, ERR_TOO_LARGE);
}

/* What is behind the last whole record is covered by the next one, and never read. */
static void test_torn_tail(void **state)
{
    struct journal_fixture *f = *state;
    struct journal_file files[2];
    STRBUF_AUTO all;
    sb_init(&all, 1 << 20);
    assert_true(journal_append(&f->journal, STR("whole"), ERR_IGNORED));
    assert_int_equal(journal_files(&f->journal, files, 2), 1);
    char path[200];
    snprintf(path, sizeof path, "%s/%s", f->dir, files[0].name);
    FILE *file = fopen(path, "ab");
    fputs("PING half of a rec", file);
    fclose(file);
    read_all(f, &all, false);
    assert_true(journal_append(&f->journal, STR("next"), ERR_IGNORED));
    sb_reset(&all);
    read_all(f, &all, false);
    assert_string_equal(sb_cstr(&all), "whole next ");

    /* the same file for a program that is started anew, cut at every length */
    FREE_LATER char *bytes = NULL;
    size_t n;
    assert_true(fs_read(path, 1000, &bytes, &n, ERR_IGNORED));
    for (size_t cut = 0; cut <= n; cut++) {
        FILE *out = fopen(path, "wb");
        fwrite(bytes, 1, cut, out);
        fclose(out);
        struct journal later;
        struct journal_shared *shared;
        assert_true(journal_shared_new(&shared, ERR_IGNORED));
        assert_true(journal_open(&later, f->dir, true, shared, ERR_IGNORED));
        struct journal_fixture g = {.journal = later, .shared = shared};
        sb_reset(&all);
        read_all(&g, &all, false);
        size_t first = 16 + 5, second = first + 16 + 4;
        assert_string_equal(sb_cstr(&all), cut < first    ? ""
                                           : cut < second ? "whole "
                                                          : "whole next ");
    }
}

/* A program that is started anew does not take away a file that the old one still writes to. */
static void test_two_starts(void **state)
{
    struct journal_fixture *f = *state;
    struct journal_file files[2];
    struct journal later;
    struct journal_shared *shared;
    assert_true(journal_append(&f->journal, STR("old"), ERR_IGNORED));
    assert_true(journal_shared_new(&shared, ERR_IGNORED));
    assert_true(journal_open(&later, f->dir, true, shared, ERR_IGNORED));
    assert_int_equal(journal_files(&later, files, 2), 1);
    uint64_t read_to = files[0].end;
    assert_false(files[0].is_current);
    assert_false(journal_drop(&later, &files[0], read_to));
    assert_true(journal_append(&f->journal, STR("late"), ERR_IGNORED));
    journal_close(&f->journal);
    assert_false(journal_drop(&later, &files[0], read_to)); /* "late" was not read */
    assert_int_equal(journal_files(&later, files, 2), 1);
    assert_true(journal_drop(&later, &files[0], files[0].end));
    assert_int_equal(journal_files(&later, files, 2), 0);
}

enum { WRITERS = 4, KILLS = 60, RECORD_PAD = 300 };

/* Appends numbered records and says through the pipe which are durable, until it is killed. */
static void write_until_killed(struct journal_fixture *f, int out, unsigned writer)
{
    static char record[RECORD_PAD + 32];
    struct journal own;
    if (!journal_open(&own, f->dir, true, f->shared, ERR_IGNORED))
        _exit(1);
    for (unsigned i = 0;; i++) {
        memset(record, '.', sizeof record);
        int n = snprintf(record, 32, "<%u:%u>", writer, i);
        record[n] = '.';
        if (!journal_append(&own, str_n(record, RECORD_PAD), ERR_IGNORED))
            _exit(1);
        n = snprintf(record, 32, "<%u:%u>", writer, i);
        if (write(out, record, (size_t)n) != n)
            _exit(1);
    }
}

/* How many records of each writer were read; they must come in its order, each once. */
struct read_back {
    unsigned next[WRITERS + KILLS];
};

static void number_of(struct str text, unsigned *ret_writer, unsigned *ret_i)
{
    char copy[32];
    snprintf(copy, sizeof copy, STR_FMT, STR_ARG(str_sub(text, 0, 30)));
    assert_int_equal(sscanf(copy, "<%u:%u", ret_writer, ret_i), 2);
    assert_true(*ret_writer < WRITERS + KILLS);
}

static bool check_order(void *arg, struct str record)
{
    struct read_back *back = arg;
    unsigned w, i;
    number_of(record, &w, &i);
    assert_int_equal(i, back->next[w]);
    back->next[w]++;
    return true;
}

static void check_told(struct str told, const struct read_back *back)
{
    struct str one;
    size_t count = 0;
    while (str_split(&told, '>', &one)) {
        unsigned w, i;
        if (one.n == 0 || told.n == 0)
            continue; /* the last may be cut */
        number_of(one, &w, &i);
        assert_true(i < back->next[w]);
        count++;
    }
    assert_true(count >= KILLS);
}

static void test_kills(void **state)
{
    struct journal_fixture *f = *state;
    int fds[2];
    pid_t pids[WRITERS];
    STRBUF_AUTO told;
    sb_init(&told, 64 << 20);
    assert_int_equal(pipe(fds), 0);
    unsigned seed = 7, writer = 0;
    for (unsigned i = 0; i < WRITERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            write_until_killed(f, fds[1], i);
    }
    writer = WRITERS;
    for (int round = 0; round < KILLS; round++) {
        char got[2048];
        ssize_t n = read(fds[0], got, sizeof got); /* some have been told meanwhile */
        assert_true(n > 0);
        sb_put(&told, got, (size_t)n);
        unsigned victim = (unsigned)rand_r(&seed) % WRITERS;
        kill(pids[victim], SIGKILL);
        waitpid(pids[victim], NULL, 0);
        unsigned number = writer++;
        pids[victim] = fork();
        if (pids[victim] == 0)
            write_until_killed(f, fds[1], number);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }
    close(fds[1]);
    char got[4096];
    for (ssize_t more; (more = read(fds[0], got, sizeof got)) > 0;)
        sb_put(&told, got, (size_t)more);
    close(fds[0]);

    struct read_back back = {0};
    struct journal_file files[16];
    size_t n = journal_files(&f->journal, files, ARRAY_LEN(files));
    for (size_t i = 0; i < n; i++) {
        uint64_t at = 0, to = 0;
        do {
            at = to;
            assert_true(
                journal_read(&f->journal, &files[i], at, check_order, &back, &to, ERR_IGNORED));
        } while (to > at);
    }
    check_told(sb_view(&told), &back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_append_and_read, begin, end),
        cmocka_unit_test_setup_teardown(test_torn_tail, begin, end),
        cmocka_unit_test_setup_teardown(test_two_starts, begin, end),
        cmocka_unit_test_setup_teardown(test_kills, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
