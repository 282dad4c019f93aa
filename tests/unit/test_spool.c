#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/fs.h"
#include "lib/base/util.h"
#include "lib/spool/receive.h"
#include "lib/spool/spool.h"

struct fixture {
    char dir[64];
    struct spool spool;
};

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/test-spool-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    f->spool = (struct spool){.dir = f->dir, .no_fsync = true};
    *state = f;
    return spool_open(&f->spool, ERR_IGNORED) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    fs_remove_tree(f->dir, ERR_IGNORED);
    free(f);
    return 0;
}

#define ID "00000000-0000-4000-8000-000000260105"

static void commit_one(struct fixture *f, const char *data, int64_t mark)
{
    struct spool_entry e = {.spool = &f->spool};
    struct spool_file file;
    char sha[SHA256_HEX + 1];
    json_auto_t *raw = json_pack("{s:I}", "mark", (json_int_t)mark);
    if (data) {
        assert_true(spool_file_begin(&e, "d", &file, ERR_IGNORED));
        assert_true(spool_file_add(&file, data, strlen(data), ERR_IGNORED));
        assert_true(spool_file_end(&e, &file, sha, ERR_IGNORED));
    }
    assert_true(spool_commit(&e, ID, raw, ERR_IGNORED));
    assert_string_equal(e.name, "");
}

static void assert_file(struct fixture *f, const char *below, const char *want)
{
    char path[200];
    FREE_LATER char *text = NULL;
    size_t n = 0;
    snprintf(path, sizeof path, "%s/%s", f->dir, below);
    assert_int_equal(fs_read(path, 1000, &text, &n, ERR_IGNORED), want != NULL);
    if (want)
        assert_string_equal(text, want);
}

/* A report sent again under its own id replaces the one that still waits, whole. */
static void test_commit_twice(void **state)
{
    struct fixture *f = *state;
    commit_one(f, "first", 1);
    assert_file(f, "new/" ID "/dump.d", "first");
    assert_file(f, "new/" ID "/raw_crash", "{\"mark\": 1}");
    commit_one(f, NULL, 2);
    assert_file(f, "new/" ID "/dump.d", NULL);
    assert_file(f, "new/" ID "/raw_crash", "{\"mark\": 2}");
    char path[SPOOL_PATH_SIZE];
    spool_path(&f->spool, SPOOL_RECEIVING, NULL, NULL, path);
    assert_int_equal(rmdir(path), 0); /* nothing was left in it */
    assert_true(spool_open(&f->spool, ERR_IGNORED));
    spool_remove(&f->spool, SPOOL_NEW, ID);
}

static void test_discard_and_sweep(void **state)
{
    struct fixture *f = *state;
    struct spool_entry e = {.spool = &f->spool};
    struct spool_file file;
    char path[SPOOL_PATH_SIZE];
    assert_true(spool_file_begin(&e, "d", &file, ERR_IGNORED));
    spool_file_drop(&file);
    spool_path(&f->spool, SPOOL_RECEIVING, e.name, NULL, path);
    assert_true(fs_exists(path));
    spool_sweep(&f->spool, 0); /* too young */
    assert_true(fs_exists(path));
    spool_sweep(&f->spool, INT64_C(1) << 40);
    assert_false(fs_exists(path));
    spool_discard(&e);
}

static void test_room(void **state)
{
    struct fixture *f = *state;
    struct spool s = f->spool;
    struct err err = {0};
    assert_true(spool_has_room(&s, &err));
    s.min_free_bytes = INT64_MAX;
    assert_false(spool_has_room(&s, &err));
    assert_int_equal(err.code, ERR_UNAVAILABLE);
}

static bool is_in(struct fixture *f, enum spool_state state, const char *id)
{
    char path[SPOOL_PATH_SIZE];
    spool_path(&f->spool, state, id, NULL, path);
    return fs_exists(path);
}

static size_t waiting(struct fixture *f)
{
    size_t count;
    int64_t oldest_s;
    spool_count(&f->spool, 0, &count, &oldest_s);
    return count;
}

/* Wherever a report is on its way, it is there and counts; what was never committed does not. */
static void test_holds(void **state)
{
    static const char id[] = "00000000-0000-4000-8000-000000260101";
    struct fixture *f = *state;
    size_t before = waiting(f);
    for (enum spool_state at = 0; at < SPOOL_STATES; at++) {
        bool is_accepted = at >= SPOOL_ACCEPTED, is_there = true;
        char path[SPOOL_PATH_SIZE];
        assert_true(spool_holds(&f->spool, id, &is_there, ERR_IGNORED));
        assert_false(is_there);
        spool_path(&f->spool, at, id, NULL, path);
        assert_true(fs_mkdirs(path, 0700, ERR_IGNORED));
        assert_true(spool_holds(&f->spool, id, &is_there, ERR_IGNORED));
        assert_int_equal(is_there, is_accepted);
        assert_int_equal(waiting(f), before + is_accepted);
        assert_true(fs_remove_tree(path, ERR_IGNORED));
    }
}

/* A spool that is not there (another disk is to be mounted) holds nothing, and that is no error. */
static void test_count_of_nothing(void **state)
{
    const struct spool none = {.dir = "/nonexistent/spool"};
    size_t count = 1;
    int64_t oldest_s = 1;
    (void)state;
    spool_count(&none, 1000, &count, &oldest_s);
    assert_int_equal(count, 0);
    assert_int_equal(oldest_s, 0);
}

/* New, moving, set aside, gone; a newer self waits while the older one moves. */
static void test_states(void **state)
{
    struct fixture *f = *state;
    struct spool s = f->spool;
    commit_one(f, "first", 1);
    assert_true(spool_claim(&s, ID));
    assert_true(is_in(f, SPOOL_MOVING, ID) && !is_in(f, SPOOL_NEW, ID));
    commit_one(f, "second", 2);
    assert_false(spool_claim(&s, ID));
    assert_true(is_in(f, SPOOL_NEW, ID));
    assert_file(f, "moving/" ID "/dump.d", "first");
    spool_set_aside(&s, SPOOL_MOVING, ID);
    assert_true(is_in(f, SPOOL_UNPUBLISHED, ID) && !is_in(f, SPOOL_MOVING, ID));
    assert_true(spool_claim(&s, ID));
    spool_set_aside(&s, SPOOL_MOVING, ID); /* one is there: its name is enough */
    assert_false(is_in(f, SPOOL_MOVING, ID));
    spool_set_aside(&s, SPOOL_UNPUBLISHED, ID);
    assert_true(is_in(f, SPOOL_UNPUBLISHED, ID));
    spool_remove(&s, SPOOL_UNPUBLISHED, ID);
    assert_false(is_in(f, SPOOL_UNPUBLISHED, ID));
    assert_false(spool_claim(&s, ID));
}

static bool count_ids(void *arg, const char *id)
{
    assert_string_equal(id, ID);
    return ++*(size_t *)arg < 2;
}

static bool count_files(void *arg, const char *file, const char *path)
{
    assert_true(strcmp(file, SPOOL_RAW_CRASH) == 0 || strcmp(file, SPOOL_DUMP_PREFIX "d") == 0);
    assert_true(fs_exists(path));
    ++*(size_t *)arg;
    return true;
}

static void test_each(void **state)
{
    struct fixture *f = *state;
    size_t ids = 0, files = 0;
    char path[SPOOL_PATH_SIZE];
    commit_one(f, "x", 1);
    spool_path(&f->spool, SPOOL_NEW, "lost+found", NULL, path);
    assert_int_equal(mkdir(path, 0700), 0);
    spool_each(&f->spool, SPOOL_NEW, count_ids, &ids);
    assert_int_equal(ids, 1);
    assert_int_equal(rmdir(path), 0);
    assert_true(spool_each_file(&f->spool, SPOOL_NEW, ID, count_files, &files, ERR_IGNORED));
    assert_int_equal(files, 2);
    assert_false(spool_each_file(&f->spool, SPOOL_MOVING, ID, count_files, &files, ERR_IGNORED));
    spool_remove(&f->spool, SPOOL_NEW, ID);
}

/* Whatever happens to an entry is seen, however soon after the first look. */
static void test_look(void **state)
{
    struct fixture *f = *state;
    struct spool_look look;
    char path[SPOOL_PATH_SIZE];
    assert_false(spool_look(&f->spool, SPOOL_NEW, ID, &look));
    commit_one(f, "first", 1);
    assert_true(spool_look(&f->spool, SPOOL_NEW, ID, &look));
    assert_true(spool_is_unchanged(&f->spool, SPOOL_NEW, ID, &look));
    commit_one(f, "again", 1);
    assert_false(spool_is_unchanged(&f->spool, SPOOL_NEW, ID, &look));

    assert_true(spool_look(&f->spool, SPOOL_NEW, ID, &look));
    spool_path(&f->spool, SPOOL_NEW, ID, SPOOL_DUMP_PREFIX "d", path);
    assert_int_equal(unlink(path), 0);
    assert_false(spool_is_unchanged(&f->spool, SPOOL_NEW, ID, &look));

    assert_true(spool_look(&f->spool, SPOOL_NEW, ID, &look));
    assert_true(spool_claim(&f->spool, ID));
    assert_false(spool_is_unchanged(&f->spool, SPOOL_NEW, ID, &look));
    assert_true(spool_is_unchanged(&f->spool, SPOOL_MOVING, ID, &look)); /* the same, elsewhere */
    spool_remove(&f->spool, SPOOL_MOVING, ID);
}

static void test_watch(void **state)
{
    struct fixture *f = *state;
    char event[4096];
    FD_AUTO fd = -1;
    assert_true(spool_watch(&f->spool, &fd, ERR_IGNORED));
    assert_int_equal(read(fd, event, sizeof event), -1);
    commit_one(f, NULL, 1);
    assert_true(read(fd, event, sizeof event) > 0);
    spool_remove(&f->spool, SPOOL_NEW, ID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commit_twice),
        cmocka_unit_test(test_discard_and_sweep),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_holds),
        cmocka_unit_test(test_count_of_nothing),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_each),
        cmocka_unit_test(test_look),
        cmocka_unit_test(test_watch),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
