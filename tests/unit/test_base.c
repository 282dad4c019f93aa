/* base: bounds, strings, numbers, time, arenas, files, configuration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/fs.h"
#include "lib/base/proc.h"
#include "lib/base/rd.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"

static void test_rd_sticky(void **state)
{
    (void)state;
    const uint8_t bytes[] = {1, 2, 3, 4, 5};
    struct rd r = rd_init(bytes, sizeof bytes);
    assert_int_equal(rd_u32(&r), 0x04030201);
    assert_int_equal(rd_u16(&r), 0); /* one byte left */
    assert_false(rd_ok(&r));
    assert_int_equal(rd_u8(&r), 0); /* stays bad though a byte would fit */
    assert_int_equal(rd_left(&r), 0);
}

static const struct {
    const char *label;
    uint64_t off, len;
    bool ok;
} windows[] = {
    {"all", 0, 5, true},
    {"empty at end", 5, 0, true},
    {"past end", 6, 0, false},
    {"one too long", 0, 6, false},
    {"wraps", 4, UINT64_MAX, false},
    {"huge offset", UINT64_MAX, 1, false},
};

static void test_rd_window(void **state)
{
    (void)state;
    const uint8_t bytes[5] = {0};
    for (size_t i = 0; i < ARRAY_LEN(windows); i++) {
        struct rd r = rd_init(bytes, sizeof bytes);
        struct rd w = rd_window(&r, windows[i].off, windows[i].len);
        if (rd_ok(&w) != windows[i].ok || rd_ok(&r) != windows[i].ok)
            fail_msg("%s", windows[i].label);
    }
}

static const struct {
    const char *text;
    int64_t us;
    bool ok;
} times[] = {
    {"1970-01-01", 0, true},
    {"2024-1-5", 1704412800000000, true},
    {"2024-01-10T12:13:14", 1704888794000000, true},
    {"2024-01-10 12:13:14.98765", 1704888794987650, true},
    {"2024-01-10T12:13:14+03:00", 1704877994000000, true},
    {"2024-01-10T12:13:14 0300", 1704877994000000, true},
    {"2024-01-10T12:13Z", 1704888780000000, true},
    {"2024-02-30", 0, false},
    {"2024-01-10T25:00", 0, false},
    {"yesterday", 0, false},
    {"2024-01-10T12:13:14+03:00x", 0, false},
    {"", 0, false},
};

static void test_a_full_disk_is_waited_for(void **state)
{
    static const struct {
        int errno_value;
        enum err_code code;
    } cases[] = {
        {ENOSPC, ERR_UNAVAILABLE}, {EDQUOT, ERR_UNAVAILABLE},
        {EROFS, ERR_UNAVAILABLE},  {EIO, ERR_IO},
        {EACCES, ERR_IO},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        assert_false(err_errno(&err, cases[i].errno_value, "writing"));
        assert_int_equal(err.code, cases[i].code);
    }
}

static void test_time_parse(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        int64_t us = 0;
        bool ok = time_parse(str_of(times[i].text), &us, ERR_IGNORED);
        if (ok != times[i].ok || us != times[i].us)
            fail_msg("%s: %d %lld", times[i].text, ok, (long long)us);
    }
}

static void test_time_round_trip(void **state)
{
    (void)state;
    for (int64_t s = -70000000000; s < 70000000000; s += 86399 * 37) {
        char text[TIME_TEXT_MAX];
        time_iso_s(s, text);
        int64_t us;
        if (strlen(text) == 25 && text[0] != '-') {
            assert_true(time_parse(str_of(text), &us, ERR_IGNORED));
            assert_int_equal(us, s * 1000000);
        }
    }
}

static void test_utf8_clean(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    struct str dirty = str_n("a\0b\xff\xe2\x82 \xed\xa0\x80z", 11);
    struct str clean = utf8_clean(&a, dirty);
    assert_true(utf8_valid(clean));
    assert_true(
        str_eq(clean, STR("ab\xef\xbf\xbd\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz")));
    arena_release(&a);
}

static void test_numbers(void **state)
{
    (void)state;
    int64_t i;
    uint64_t u;
    assert_true(
        str_to_i64(STR("-9223372036854775808"), INT64_MIN, INT64_MAX, "x", &i, ERR_IGNORED));
    assert_int_equal(i, INT64_MIN);
    assert_false(
        str_to_i64(STR("9223372036854775808"), INT64_MIN, INT64_MAX, "x", &i, ERR_IGNORED));
    assert_false(str_to_u64(STR("18446744073709551616"), 10, UINT64_MAX, "x", &u, ERR_IGNORED));
    assert_true(str_to_u64(STR("ffffffffffffffff"), 16, UINT64_MAX, "x", &u, ERR_IGNORED));
    assert_false(str_to_u64(STR("12 "), 10, UINT64_MAX, "x", &u, ERR_IGNORED));
    assert_false(str_to_u64(STR(""), 10, UINT64_MAX, "x", &u, ERR_IGNORED));
}

static void test_arena_reset_gives_zeroes(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    for (int round = 0; round < 3; round++) {
        char *p = arena_alloc(&a, 1000);
        for (size_t i = 0; i < 1000; i++)
            assert_int_equal(p[i], 0);
        memset(p, 'x', 1000);
        arena_reset(&a);
    }
    struct err err = {0};
    assert_false(arena_fits(&a, 2 << 20, "a test", &err));
    assert_int_equal(err.code, ERR_TOO_LARGE);
    arena_release(&a);
}

/* Crossing the limit is remembered and goes on; what does not fit is not given. */
static void test_arena_limit_is_soft_and_sticky(void **state)
{
    (void)state;
    struct arena a;
    struct err err = {0};
    arena_init(&a, 1000);
    memset(arena_alloc(&a, 1000), 'x', 1000);
    assert_true(arena_within(&a, "a test", &err));
    memset(arena_alloc(&a, 1), 'x', 1);
    assert_true(arena_is_over(&a));
    memset(arena_alloc(&a, 100000), 'x', 100000);
    assert_false(arena_within(&a, "a test", &err));
    assert_int_equal(err.code, ERR_TOO_LARGE);
    assert_string_equal(err.msg, "a test takes more than 1000 bytes of memory");
    assert_false(arena_fits(&a, 1, "a test", &err));
    arena_reset(&a);
    assert_true(arena_within(&a, "a test", &err));
    assert_true(arena_fits(&a, 1000, "a test", &err));
    arena_release(&a);
}

/* The reserve ends, too: a block that input sizes without a question is a mistake of ours. */
static void test_arena_reserve_ends(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        struct arena a;
        arena_init(&a, 1000);
        close(STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        arena_alloc(&a, ARENA_RESERVE_MIN); /* 1000 bytes are left of limit and reserve */
        arena_alloc(&a, 1001);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void test_strbuf_limit(void **state)
{
    (void)state;
    STRBUF_AUTO b;
    sb_init(&b, 5);
    sb_text(&b, "abc");
    sb_printf(&b, "%d", 12345);
    assert_true(b.overflow);
    assert_string_equal(sb_cstr(&b), "abc12");
}

static void test_conf_refuses_unknown(void **state)
{
    (void)state;
    struct conf c;
    struct err err = {0};
    setenv("DATIL_NO_SUCH_KEY", "1", 1);
    assert_false(conf_load(&c, &err));
    assert_non_null(strstr(err.msg, "DATIL_NO_SUCH_KEY"));
    unsetenv("DATIL_NO_SUCH_KEY");

    setenv("DATIL_PORT", "80x", 1);
    assert_false(conf_load(&c, &err));
    assert_non_null(strstr(err.msg, "DATIL_PORT"));
    setenv("DATIL_PORT", "9999", 1);
    setenv("DATIL_VAR", "/tmp/x", 1);
    assert_true(conf_load(&c, &err));
    assert_int_equal(conf_int(&c, CONF_DATIL_PORT), 9999);
    assert_string_equal(conf_text(&c, CONF_SPOOL_DIR), "/tmp/x/spool");
    assert_string_equal(conf_text(&c, CONF_DATABASE_URL),
                        "host=/tmp/x/run/pg user=datil dbname=datil");
    conf_release(&c);
    unsetenv("DATIL_PORT");
    unsetenv("DATIL_VAR");
}

static void test_write_atomic(void **state)
{
    (void)state;
    char dir[] = "/tmp/datil-test-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char path[200];
    snprintf(path, sizeof path, "%s/a/b/file", dir);
    struct err err = {0};
    assert_true(fs_write_atomic(path, "one", 3, 0644, &err));
    assert_true(fs_write_atomic(path, "three", 5, 0644, &err));
    FREE_LATER char *text = NULL;
    size_t n;
    assert_true(fs_read(path, 100, &text, &n, &err));
    assert_string_equal(text, "three");
    FREE_LATER char *none = NULL;
    assert_false(fs_read(path, 4, &none, &n, &err));
    assert_int_equal(err.code, ERR_TOO_LARGE);
    assert_true(fs_remove_tree(dir, &err));
    assert_false(fs_exists(dir));
}

static void test_a_reused_number_or_a_zombie_is_no_process(void **state)
{
    (void)state;
    char self[PROC_NAME_MAX], other[PROC_NAME_MAX + 4];
    assert_true(proc_name(getpid(), self));
    assert_false(proc_is_gone(str_of(self)));
    snprintf(other, sizeof other, "%d-1", (int)getpid()); /* our number, another start */
    assert_true(proc_is_gone(str_of(other)));
    snprintf(other, sizeof other, "%d", (int)getpid());
    assert_false(proc_is_gone(str_of(other)));
    assert_false(proc_is_gone(STR("nonsense")));
    assert_false(proc_is_gone(STR("")));

    pid_t child = fork();
    if (child == 0)
        _exit(0);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    assert_false(proc_name(child, self)); /* still there, but a zombie */
    snprintf(other, sizeof other, "%d", (int)child);
    assert_true(proc_is_gone(str_of(other)));
    waitpid(child, NULL, 0);
    assert_true(proc_is_gone(str_of(other)));
}

static void put_marked(const char *dir, const char *mark)
{
    char path[200];
    struct err err = {0};
    snprintf(path, sizeof path, "%s/%s", dir, mark);
    assert_true(fs_mkdirs(dir, 0755, &err));
    assert_true(fs_write_atomic(path, "", 0, 0644, &err));
}

static bool has_mark(const char *dir, const char *mark)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", dir, mark);
    return fs_exists(path);
}

/* First where nothing is, then where the first one is. */
static void test_a_folder_takes_the_place_of_another(void **state)
{
    (void)state;
    char dir[] = "/tmp/datil-base-XXXXXX", draft[100], place[100];
    struct err err = {0};
    assert_non_null(mkdtemp(dir));
    snprintf(draft, sizeof draft, "%s/draft", dir);
    snprintf(place, sizeof place, "%s/place", dir);
    put_marked(draft, "one");
    assert_true(fs_take_place(draft, place, &err));
    assert_true(has_mark(place, "one") && !fs_exists(draft));
    put_marked(draft, "two");
    assert_true(fs_take_place(draft, place, &err));
    assert_true(has_mark(place, "two") && !has_mark(place, "one"));
    assert_true(has_mark(draft, "one"));
    assert_true(fs_remove_tree(draft, &err));
    assert_false(fs_take_place(draft, place, &err)); /* no draft: the place stays */
    assert_true(has_mark(place, "two"));
    assert_true(fs_remove_tree(dir, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rd_sticky),
        cmocka_unit_test(test_rd_window),
        cmocka_unit_test(test_a_folder_takes_the_place_of_another),
        cmocka_unit_test(test_a_full_disk_is_waited_for),
        cmocka_unit_test(test_time_parse),
        cmocka_unit_test(test_time_round_trip),
        cmocka_unit_test(test_utf8_clean),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_arena_reset_gives_zeroes),
        cmocka_unit_test(test_arena_limit_is_soft_and_sticky),
        cmocka_unit_test(test_arena_reserve_ends),
        cmocka_unit_test(test_strbuf_limit),
        cmocka_unit_test(test_conf_refuses_unknown),
        cmocka_unit_test(test_write_atomic),
        cmocka_unit_test(test_a_reused_number_or_a_zombie_is_no_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
