#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fcgi/collector/recent.h"
#include "lib/base/fs.h"
#include "lib/base/util.h"

enum { NOW_S = 1700000000 };

struct fixture {
    char dir[64], path[80];
    struct recent t;
};

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/test-recent-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    snprintf(f->path, sizeof f->path, "%s/recent", f->dir);
    *state = f;
    return recent_open(&(struct spool){.dir = f->dir}, &f->t, ERR_IGNORED) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    recent_close(&f->t);
    fs_remove_tree(f->dir, ERR_IGNORED);
    free(f);
    return 0;
}

static void key_of(const char *annotations, const char *dump, uint8_t key[RECENT_KEY_BYTES])
{
    json_auto_t *ann = json_loads(annotations, 0, NULL);
    json_auto_t *sums = json_pack("{s:s*}", "upload_file_minidump", dump);
    memset(key, 0, RECENT_KEY_BYTES);
    if (!recent_key(ann, sums, key))
        memset(key, 0, RECENT_KEY_BYTES);
}

static bool same_report(const char *a, const char *b)
{
    uint8_t key_a[RECENT_KEY_BYTES], key_b[RECENT_KEY_BYTES];
    key_of(a, "abc", key_a);
    key_of(b, "abc", key_b);
    return memcmp(key_a, key_b, sizeof key_a) == 0;
}

static bool has_key(const char *annotations, const char *dump)
{
    static const uint8_t none[RECENT_KEY_BYTES];
    uint8_t key[RECENT_KEY_BYTES];
    key_of(annotations, dump, key);
    return memcmp(key, none, sizeof key) != 0;
}

/* Dump, crash time, build and product; how it was sent does not count. */
static void test_key(void **state)
{
    (void)state;
    static const char one[] = "{\"CrashTime\": \"1\", \"BuildID\": \"2\", \"ProductName\": \"P\"}";
    assert_true(same_report(one,
                            "{\"ProductName\": \"P\", \"CrashTime\": \"1\", \"BuildID\": \"2\","
                            " \"SubmittedFrom\": \"Infobar\", \"Notes\": \"n\"}"));
    assert_false(
        same_report(one, "{\"CrashTime\": \"2\", \"BuildID\": \"2\", \"ProductName\": \"P\"}"));
    assert_false(
        same_report(one, "{\"CrashTime\": \"1\", \"BuildID\": \"3\", \"ProductName\": \"P\"}"));
    assert_false(
        same_report(one, "{\"CrashTime\": \"1\", \"BuildID\": \"2\", \"ProductName\": \"Q\"}"));
    assert_false(same_report("{\"CrashTime\": \"1\", \"BuildID\": \"2\"}",
                             "{\"CrashTime\": \"1\", \"ProductName\": \"2\"}"));
    assert_true(has_key(one, "abc"));
    assert_false(has_key(one, NULL));
    assert_false(has_key("{\"BuildID\": \"2\", \"ProductName\": \"P\"}", "abc"));
    /* An empty dump is the same on every machine. */
    assert_false(has_key(one, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
}

static enum recent_state look(struct recent *t, const uint8_t key[RECENT_KEY_BYTES], int64_t now_s,
                              struct recent_answer *ret)
{
    recent_enter(t, key, now_s, ret);
    recent_leave(t, key);
    return ret->state;
}

static void test_a_restart_forgets_nothing(void **state)
{
    struct fixture *f = *state;
    struct recent_answer got;
    const struct recent_answer first = {.state = RECENT_ACCEPTED, .crash_id = "one"},
                               second = {.state = RECENT_REJECTED, .rule = "r"},
                               none = {.state = RECENT_NONE};
    const uint8_t a[RECENT_KEY_BYTES] = {1}, b[RECENT_KEY_BYTES] = {2};
    assert_int_equal(look(&f->t, a, NOW_S, &got), RECENT_NONE);
    recent_put(&f->t, a, NOW_S, &first);
    recent_put(&f->t, b, NOW_S, &second);
    recent_close(&f->t);
    assert_true(recent_open(&(struct spool){.dir = f->dir}, &f->t, ERR_IGNORED));
    assert_int_equal(look(&f->t, a, NOW_S + RECENT_SECONDS - 1, &got), RECENT_ACCEPTED);
    assert_string_equal(got.crash_id, "one");
    assert_int_equal(look(&f->t, b, NOW_S, &got), RECENT_REJECTED);
    assert_string_equal(got.rule, "r");
    assert_int_equal(look(&f->t, a, NOW_S + RECENT_SECONDS, &got), RECENT_NONE);
    recent_put(&f->t, a, NOW_S, &none);
    assert_int_equal(look(&f->t, a, NOW_S, &got), RECENT_NONE);
}

static void test_a_full_set_forgets_the_oldest(void **state)
{
    struct fixture *f = *state;
    struct recent_answer got;
    const struct recent_answer answer = {.state = RECENT_ACCEPTED, .crash_id = "x"};
    for (int i = 0; i < 100; i++) {
        const uint8_t key[RECENT_KEY_BYTES] = {(uint8_t)i};
        recent_put(&f->t, key, NOW_S + i, &answer);
    }
    const uint8_t old[RECENT_KEY_BYTES] = {0}, fresh[RECENT_KEY_BYTES] = {99};
    struct stat st;
    assert_int_equal(look(&f->t, old, NOW_S + 100, &got), RECENT_NONE);
    assert_int_equal(look(&f->t, fresh, NOW_S + 100, &got), RECENT_ACCEPTED);
    assert_int_equal(stat(f->path, &st), 0);
    assert_true(st.st_size < 8192); /* eight slots behind the header */
}

/* Any flipped byte of an entry costs that entry, and nothing else. */
static void test_a_torn_entry_is_none(void **state)
{
    struct fixture *f = *state;
    const struct recent_answer answer = {.state = RECENT_ACCEPTED, .crash_id = "x"};
    const uint8_t torn[RECENT_KEY_BYTES] = {1}, other[RECENT_KEY_BYTES] = {2};
    recent_put(&f->t, torn, NOW_S, &answer);
    recent_put(&f->t, other, NOW_S, &answer);
    int fd = open(f->path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    for (off_t at = 4096; at < 4096 + 192; at++) {
        struct recent_answer got;
        uint8_t byte;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 0x10;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        assert_int_equal(look(&f->t, torn, NOW_S, &got), RECENT_NONE);
        assert_int_equal(look(&f->t, other, NOW_S, &got), RECENT_ACCEPTED);
        byte ^= 0x10;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    assert_int_equal(ftruncate(fd, 4096 + 192 + 7), 0);
    struct recent_answer got;
    assert_int_equal(look(&f->t, torn, NOW_S, &got), RECENT_ACCEPTED);
    assert_int_equal(look(&f->t, other, NOW_S, &got), RECENT_NONE);
    close(fd);
}

static void test_a_damaged_header_begins_anew(void **state)
{
    struct fixture *f = *state;
    const struct recent_answer answer = {.state = RECENT_ACCEPTED, .crash_id = "x"};
    const uint8_t key[RECENT_KEY_BYTES] = {1};
    struct recent_answer got;
    recent_put(&f->t, key, NOW_S, &answer);
    recent_close(&f->t);
    assert_true(fs_write_atomic(f->path, "rubbish", 7, 0600, ERR_IGNORED));
    assert_true(recent_open(&(struct spool){.dir = f->dir}, &f->t, ERR_IGNORED));
    assert_int_equal(look(&f->t, key, NOW_S, &got), RECENT_NONE);
    recent_put(&f->t, key, NOW_S, &answer);
    assert_int_equal(look(&f->t, key, NOW_S, &got), RECENT_ACCEPTED);
}

/* One process that decides about one report; the first to come makes the id. */
static void decide(const char *dir, int number, bool is_killed)
{
    static const uint8_t key[RECENT_KEY_BYTES] = {7};
    struct recent t;
    struct recent_answer got;
    if (!recent_open(&(struct spool){.dir = dir}, &t, ERR_IGNORED))
        _exit(99);
    recent_enter(&t, key, NOW_S, &got);
    if (is_killed)
        raise(SIGKILL);
    if (got.state == RECENT_NONE) {
        got.state = RECENT_ACCEPTED;
        snprintf(got.crash_id, sizeof got.crash_id, "%d", number);
        usleep(20000); /* the others are at the door by then */
        recent_put(&t, key, NOW_S, &got);
    }
    recent_leave(&t, key);
    _exit(got.crash_id[0] - '0');
}

/* A killed process leaves its lock; all that race get the answer of one of them. */
static void test_racing_processes_get_one_answer(void **state)
{
    struct fixture *f = *state;
    enum { RACERS = 8 };
    int answers[RACERS];
    for (int i = 0; i < RACERS; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            decide(f->dir, i, i == 0);
    }
    for (int i = 0; i < RACERS; i++)
        assert_true(wait(&answers[i]) > 0);
    int killed = 0, first = -1;
    for (int i = 0; i < RACERS; i++) {
        if (WIFSIGNALED(answers[i])) {
            killed++;
            continue;
        }
        if (first < 0)
            first = WEXITSTATUS(answers[i]);
        assert_int_equal(WEXITSTATUS(answers[i]), first);
    }
    assert_int_equal(killed, 1);
    assert_in_range(first, 1, RACERS - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key),
        cmocka_unit_test_setup_teardown(test_a_restart_forgets_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_full_set_forgets_the_oldest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_torn_entry_is_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_damaged_header_begins_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_racing_processes_get_one_answer, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
