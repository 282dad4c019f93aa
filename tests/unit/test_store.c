#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <limits.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/util.h"
#include "lib/store/mark.h"
#include "lib/store/store.h"

/* The object store: one suite, run against each back end that needs no server. */
#define ID    "11111111-2222-4333-8444-555550260728"
#define OTHER "11111111-2222-4333-8444-666660260729"
#define DAY   "20260728"

struct fixture {
    char dir[64];
    struct store *store;
    struct arena arena;
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/datil-store.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    char root[80];
    snprintf(root, sizeof root, "%s/store", f->dir);
    struct store_config cfg = {.backend = "fs", .fs_root = root};
    struct err err = {0};
    assert_true(store_open(&cfg, &f->store, &err));
    arena_init(&f->arena, 1 << 20);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    store_close(f->store);
    arena_release(&f->arena);
    fs_remove_tree(f->dir, ERR_IGNORED);
    free(f);
    return 0;
}

static void put(struct fixture *f, const char *id, const char *kind, const char *text)
{
    struct err err = {0};
    if (!store_put(f->store, id, kind, str_of(text), &err))
        fail_msg("%s/%s: %s", id, kind, err.msg);
}

static void assert_object(struct fixture *f, const char *id, const char *kind, const char *want)
{
    struct err err = {0};
    FREE_LATER char *text = NULL;
    size_t n;
    if (!store_get(f->store, id, kind, 1000, &text, &n, &err))
        fail_msg("%s/%s: %s", id, kind, err.msg);
    assert_string_equal(text, want);
}

static void test_put_get(void **state)
{
    struct fixture *f = *state;
    put(f, ID, "raw_crash", "{}");
    put(f, ID, "raw_crash", "{\"a\":1}"); /* may be repeated; the last one counts */
    put(f, ID, "upload_file_minidump", "MDMP");
    assert_object(f, ID, "raw_crash", "{\"a\":1}");
    assert_object(f, ID, "upload_file_minidump", "MDMP");

    char path[128];
    snprintf(path, sizeof path, "%s/store/" DAY "/raw_crash/" ID ".json", f->dir);
    assert_true(fs_exists(path));
    snprintf(path, sizeof path, "%s/store/" DAY "/upload_file_minidump/" ID, f->dir);
    assert_true(fs_exists(path));

    struct err err = {0};
    FREE_LATER char *text = NULL;
    size_t n;
    assert_false(store_get(f->store, ID, "raw_crash", 3, &text, &n, &err));
    assert_int_equal(err.code, ERR_TOO_LARGE);
    assert_false(store_get(f->store, OTHER, "raw_crash", 3, &text, &n, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_true(store_exists(f->store, ID, "raw_crash"));
    assert_false(store_exists(f->store, ID, "processed_crash"));
}

/* A broken document is our damage, not a mistake of who asks for it. */
static void test_damaged_document(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct strs names;
    put(f, ID, "raw_crash", "{broken");
    put(f, ID, "dump_names", "[");
    assert_null(store_get_json(f->store, ID, "raw_crash", 1000, &err));
    assert_int_equal(err.code, ERR_DAMAGED);
    assert_null(store_get_json(f->store, "no id", "raw_crash", 1000, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_null(store_get_json(f->store, OTHER, "raw_crash", 1000, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_false(store_dump_names(f->store, &f->arena, ID, &names, &err));
    assert_int_equal(err.code, ERR_DAMAGED);
}

static const struct {
    const char *label, *id, *kind;
} refused[] = {
    {"path in the id", "../../../../../../../../etc/passwd00", "raw_crash"},
    {"short id", "11111111", "raw_crash"},
    {"upper case id", "AAAAAAAA-2222-4333-8444-555550260728", "raw_crash"},
    {"id with a tail", ID "0", "raw_crash"},
    {"no date", "11111111-2222-4333-8444-55555026072f", "raw_crash"},
    {"empty kind", ID, ""},
    {"path in the kind", ID, "../x"},
    {"hidden kind", ID, ".x"},
    {"long kind", ID, "a123456789012345678901234567890"},
};

static void test_refused(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct err err = {0};
        if (store_put(f->store, refused[i].id, refused[i].kind, STR("x"), &err) ||
            err.code != ERR_INVALID)
            fail_msg("%s: %d %s", refused[i].label, err.code, err.msg);
        assert_false(store_exists(f->store, refused[i].id, refused[i].kind));
    }
    struct err err = {0};
    assert_false(store_delete_day(f->store, "../..", &err));
    assert_int_equal(err.code, ERR_INVALID);
}

static void test_put_file_moves_and_repeats(void **state)
{
    struct fixture *f = *state;
    char path[80];
    struct err err = {0};
    snprintf(path, sizeof path, "%s/upload", f->dir);
    assert_true(fs_write_atomic(path, "dump", 4, 0644, &err));
    assert_true(store_put_file(f->store, ID, "upload_file_minidump", path, &err));
    assert_false(fs_exists(path));
    assert_object(f, ID, "upload_file_minidump", "dump");
    assert_true(store_put_file(f->store, ID, "upload_file_minidump", path, &err));
    assert_false(store_put_file(f->store, OTHER, "upload_file_minidump", path, &err));
}

static const struct {
    const char *label, *text;
    size_t n;
    const char *first;
} name_cases[] = {
    {"none", "[]", 0, NULL},
    {"sorted", "[\"upload_file_minidump\",\"memory_report\"]", 2, "memory_report"},
    {"bad names are left out", "[\"../x\",7,\"\",\"ok\"]", 1, "ok"},
    {"not a list", "{}", 0, NULL},
};

static void test_dump_names(void **state)
{
    struct fixture *f = *state;
    struct strs names = {0};
    struct err err = {0};
    assert_true(store_dump_names(f->store, &f->arena, ID, &names, &err)); /* no list: none */
    assert_int_equal(names.n, 0);
    for (size_t i = 0; i < ARRAY_LEN(name_cases); i++) {
        put(f, ID, "dump_names", name_cases[i].text);
        assert_true(store_dump_names(f->store, &f->arena, ID, &names, &err));
        if (names.n != name_cases[i].n ||
            (names.n && !str_eq(names.v[0], str_of(name_cases[i].first))))
            fail_msg("%s: %zu names", name_cases[i].label, names.n);
    }
}

static bool count_each(void *arg, const char *crash_id)
{
    assert_int_equal(strlen(crash_id), 36);
    ++*(size_t *)arg;
    return true;
}

static void test_days_catalog_delete(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    put(f, OTHER, "raw_crash", "{}");
    put(f, ID, "raw_crash", "{}");
    put(f, ID, "processed_crash", "{}");
    put(f, ID, "memory_report", "gz");

    struct strs days = {0};
    assert_true(store_days(f->store, &f->arena, &days, &err));
    assert_int_equal(days.n, 2);
    assert_true(str_eq(days.v[0], STR(DAY)));

    size_t seen = 0;
    assert_true(store_catalog(f->store, DAY, "raw_crash", count_each, &seen, &err));
    assert_true(store_catalog(f->store, DAY, "memory_report", count_each, &seen, &err));
    assert_true(store_catalog(f->store, "20200101", "raw_crash", count_each, &seen, &err));
    assert_int_equal(seen, 2);

    size_t removed = 0;
    assert_true(store_delete(f->store, ID, &removed, &err));
    assert_int_equal(removed, 3);
    assert_true(store_delete(f->store, ID, &removed, &err));
    assert_int_equal(removed, 0);

    assert_true(store_delete_day(f->store, "20260729", &err));
    assert_true(store_delete_day(f->store, "20260729", &err));
    assert_false(store_exists(f->store, OTHER, "raw_crash"));
}

static void test_deferred_sync(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    store_defer_sync(f->store);
    put(f, ID, "processed_crash", "{}");
    assert_true(store_sync(f->store, &err));
    assert_object(f, ID, "processed_crash", "{}");
}

static void test_unknown_backend(void **state)
{
    (void)state;
    struct store_config cfg = {.backend = "tape", .fs_root = "/tmp"};
    struct store *s;
    struct err err = {0};
    assert_false(store_open(&cfg, &s, &err));
    assert_int_equal(err.code, ERR_INVALID);
}

#define INSTALLATION "0123456789abcdef0123456789abcdef"
#define FOREIGN      "fedcba9876543210fedcba9876543210"

static struct store *open_marked(const char *root, const char *id)
{
    struct store *s;
    struct err err = {0};
    struct store_config cfg = {.backend = "fs", .fs_root = root, .wants_mark = true};
    assert_true(store_open(&cfg, &s, &err));
    store_expect(s, id);
    return s;
}

static enum err_code get_code(struct store *s)
{
    struct err err = {0};
    FREE_LATER char *text = NULL;
    size_t n;
    return store_get(s, ID, "raw_crash", 100, &text, &n, &err) ? ERR_NONE : err.code;
}

/* The root is a mount point: what is below it when nothing is mounted is another directory. */
static void test_store_that_is_not_mounted(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    char root[80], away[80];
    snprintf(root, sizeof root, "%s/mount", f->dir);
    snprintf(away, sizeof away, "%s/away", f->dir);
    assert_true(mark_write(root, INSTALLATION, &err));
    struct store *s = open_marked(root, INSTALLATION);
    assert_int_equal(get_code(s), ERR_NOT_FOUND);
    assert_true(store_put(s, ID, "raw_crash", STR("{}"), &err));

    assert_int_equal(rename(root, away), 0);
    assert_int_equal(get_code(s), ERR_UNAVAILABLE); /* no root at all */
    assert_true(fs_mkdirs(root, 0755, &err));       /* an empty mount point */
    assert_int_equal(get_code(s), ERR_UNAVAILABLE);
    struct strs days;
    size_t removed;
    assert_false(store_put(s, OTHER, "raw_crash", STR("{}"), &err));
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    assert_false(store_days(s, &f->arena, &days, &err));
    assert_false(store_delete(s, ID, &removed, &err));
    assert_false(store_delete_day(s, DAY, &err));
    assert_false(store_check(s, &err));
    assert_int_equal(rmdir(root), 0); /* nothing was made below it */

    assert_true(mark_write(root, FOREIGN, &err)); /* somebody else's file system */
    assert_int_equal(get_code(s), ERR_UNAVAILABLE);
    assert_true(fs_remove_tree(root, &err));
    assert_int_equal(rename(away, root), 0);
    assert_int_equal(get_code(s), ERR_NONE);
    assert_true(store_put(s, OTHER, "raw_crash", STR("{}"), &err));
    store_close(s);
}

static void test_damaged_mark(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    char path[120], id[INSTALLATION_ID_SIZE];
    snprintf(path, sizeof path, "%s/.datil-store", f->dir);
    assert_false(mark_write(f->dir, "short", &err));
    assert_false(mark_read(f->dir, id, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_true(fs_write_atomic(path, "0123\n", 5, 0644, &err));
    assert_false(mark_read(f->dir, id, &err));
    assert_int_equal(err.code, ERR_DAMAGED);
    assert_false(mark_check(f->dir, NULL, &err));
    assert_int_equal(err.code, ERR_UNAVAILABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_put_get, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_document, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_put_file_moves_and_repeats, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dump_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_days_catalog_delete, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deferred_sync, setup, teardown),
        cmocka_unit_test(test_unknown_backend),
        cmocka_unit_test_setup_teardown(test_store_that_is_not_mounted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_mark, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
