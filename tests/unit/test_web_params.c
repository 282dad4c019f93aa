#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/util.h"
#include "lib/web/internal.h"
#include "lib/web/password.h"

enum { ARENA_MAX = 4 << 20 };

/* clang-format off */
static const struct {
    const char *label, *text, *want; /* pairs as name=value| */
} query_cases[] = {
    {"empty", "", ""},
    {"one", "a=1", "a=1|"},
    {"order and repeats", "b=2&a=1&b=3", "b=2|a=1|b=3|"},
    {"no value", "a&b=", "a=|b=|"},
    {"empty pairs", "&&a=1&", "a=1|"},
    {"plus and percent", "a+b=%41%2b+c", "a b=A+ c|"},
    {"broken percent stays", "a=%4&b=%zz%", "a=%4|b=%zz%|"},
    {"equals inside", "a=b=c", "a=b=c|"},
    {"UTF-8", "a=%C3%A9", "a=\xc3\xa9|"},
    {"broken UTF-8", "a=%ff", "a=\xef\xbf\xbd|"},
    {"NUL is dropped", "a=x%00y", "a=xy|"},
};

static const struct {
    const char *label, *header, *name, *want; /* NULL: absent */
} cookie_cases[] = {
    {"only", "a=1", "a", "1"},
    {"second", "a=1; b=2", "b", "2"},
    {"no blank", "a=1;b=2", "b", "2"},
    {"first wins", "a=1; a=2", "a", "1"},
    {"prefix is not it", "ab=1", "a", NULL},
    {"quoted", "a=\"x y\"", "a", "x y"},
    {"empty", "a=", "a", ""},
    {"none", "", "a", NULL},
    {"no equals", "a; b=1", "a", NULL},
};

static const struct {
    const char *label, *header, *name, *want;
} header_cases[] = {
    {"quoted", "form-data; name=\"a\"", "name", "a"},
    {"bare", "form-data; name=ProductName", "name", "ProductName"},
    {"bare before another", "form-data; name=a ; filename=b", "name", "a"},
    {"name without case", "x; BOUNDARY=abc", "boundary", "abc"},
    {"no blank", "x;boundary=abc;charset=utf-8", "charset", "utf-8"},
    {"any order", "x; charset=utf-8; boundary=abc", "boundary", "abc"},
    {"escaped quote", "x; name=\"a\\\"b\\\\c\"", "name", "a\"b\\c"},
    {"other backslash stays", "x; name=\"C:\\dir\"", "name", "C:\\dir"},
    {"semicolon in quotes", "x; a=\"1; name=2\"; name=3", "name", "3"},
    {"open quote", "x; name=\"abc", "name", "abc"},
    {"empty quoted", "x; filename=\"\"", "filename", ""},
    {"absent", "x; filename=a", "name", NULL},
    {"no equals", "x; name; name=b", "name", "b"},
    {"only the last counts", "x; name=a; name=b", "name", "b"},
    {"star is another", "x; filename*=utf-8''a", "filename", NULL},
    {"blanks around equals", "x; name = \"a\"", "name", "a"},
    {"percent stays", "x; name=\"a%22b\"", "name", "a%22b"},
    {"backslash at the end", "x; name=\"a\\", "name", "a\\"},
};

static const struct {
    const char *label, *header, *type;
    bool want;
} accept_cases[] = {
    {"same", "text/html", "text/html", true},
    {"one of", "application/json, text/html;q=0.9", "text/html", true},
    {"all", "*/*", "text/html", true},
    {"family", "text/*", "text/html", true},
    {"other", "application/json", "text/html", false},
    {"none", "", "text/html", false},
};
/* clang-format on */

static void test_query(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(query_cases); i++) {
        struct arena a;
        arena_init(&a, ARENA_MAX);
        struct param_list list = {0};
        STRBUF_AUTO got;
        sb_init(&got, 1000);
        assert_true(params_parse(&a, str_of(query_cases[i].text), &list, ERR_IGNORED));
        for (size_t k = 0; k < list.n; k++)
            sb_printf(&got, STR_FMT "=" STR_FMT "|", STR_ARG(list.v[k].name),
                      STR_ARG(list.v[k].value));
        if (strcmp(sb_cstr(&got), query_cases[i].want) != 0)
            fail_msg("%s: got %s", query_cases[i].label, sb_cstr(&got));
        arena_release(&a);
    }
}

static void test_query_limit(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 64 << 20);
    STRBUF_AUTO text;
    sb_init(&text, 1 << 20);
    for (int i = 0; i <= PARAMS_MAX; i++)
        sb_text(&text, "a=1&");
    struct param_list list = {0};
    struct err err = {0};
    assert_false(params_parse(&a, sb_view(&text), &list, &err));
    assert_int_equal(err.code, ERR_TOO_LARGE);
    arena_release(&a);
}

static void test_cookies(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cookie_cases); i++) {
        struct str got = cookie_find(str_of(cookie_cases[i].header), cookie_cases[i].name);
        const char *want = cookie_cases[i].want;
        if ((want != NULL) != (got.p != NULL) || (want && !str_eq(got, str_of(want))))
            fail_msg("%s: got " STR_FMT, cookie_cases[i].label, STR_ARG(got));
    }
}

static void test_header_params(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(header_cases); i++) {
        STRBUF_AUTO got;
        sb_init(&got, 100);
        bool is_there = header_param(str_of(header_cases[i].header), header_cases[i].name, &got);
        const char *want = header_cases[i].want;
        if (is_there != (want != NULL) || (want && strcmp(sb_cstr(&got), want) != 0))
            fail_msg("%s: got %s", header_cases[i].label, sb_cstr(&got));
    }
    assert_true(str_eq(header_value(STR(" text/plain ; charset=x")), STR("text/plain")));
}

static void test_accept(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(accept_cases); i++)
        if (accepts(str_of(accept_cases[i].header), accept_cases[i].type) != accept_cases[i].want)
            fail_msg("%s", accept_cases[i].label);
}

static const struct route routes[] = {
    {METHOD_GET, "/", 0, NULL, NULL, ""},
    {METHOD_GET, "/login/", 0, NULL, NULL, ""},
    {METHOD_POST, "/login/", 0, NULL, NULL, ""},
    {METHOD_GET, "/report/", ROUTE_PREFIX, NULL, NULL, ""},
    {METHOD_GET, "/report/index/", ROUTE_PREFIX, NULL, NULL, ""},
    {METHOD_GET | METHOD_POST, "/report/index/fixed", 0, NULL, NULL, ""},
};

/* clang-format off */
static const struct {
    const char *path;
    enum method method;
    int any, route; /* index, or -1 */
    const char *rest, *allow;
} route_cases[] = {
    {"/", METHOD_GET, 0, 0, "", "GET, OPTIONS"},
    {"/nothing", METHOD_GET, -1, -1, "", "OPTIONS"},
    {"/login/", METHOD_POST, 1, 2, "", "GET, POST, OPTIONS"},
    {"/login/", METHOD_HEAD, 1, 1, "", "GET, POST, OPTIONS"},
    {"/login/", METHOD_PUT, 1, -1, "", "GET, POST, OPTIONS"},
    {"/login", METHOD_GET, -1, -1, "", "OPTIONS"},
    {"/report/x", METHOD_GET, 3, 3, "x", "GET, OPTIONS"},
    {"/report/index/abc", METHOD_GET, 4, 4, "abc", "GET, OPTIONS"},
    {"/report/index/fixed", METHOD_POST, 5, 5, "", "GET, POST, OPTIONS"},
    {"/report/index/fixed2", METHOD_GET, 4, 4, "fixed2", "GET, OPTIONS"},
};
/* clang-format on */

static void test_routes(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, ARENA_MAX);
    for (size_t i = 0; i < ARRAY_LEN(route_cases); i++) {
        struct route_match m = route_find(routes, ARRAY_LEN(routes), str_of(route_cases[i].path),
                                          route_cases[i].method);
        int any = m.any ? (int)(m.any - routes) : -1;
        int route = m.route ? (int)(m.route - routes) : -1;
        if (any != route_cases[i].any || route != route_cases[i].route ||
            !str_eq(m.rest, str_of(route_cases[i].rest)) ||
            strcmp(route_allow(&a, m.methods), route_cases[i].allow) != 0)
            fail_msg("case %zu %s: %d %d %s", i, route_cases[i].path, any, route,
                     route_allow(&a, m.methods));
    }
    arena_release(&a);
}

static void test_rate(void **state)
{
    (void)state;
    struct rate_table *t;
    assert_true(rate_new(&t, ERR_IGNORED));
    assert_int_equal(rate_count(t, "api", STR("a"), 60, 120, 0), 0);
    for (uint32_t i = 1; i <= 5; i++)
        assert_int_equal(rate_count(t, "api", STR("a"), 60, 120 + i, 1), i);
    assert_int_equal(rate_count(t, "api", STR("b"), 60, 120, 1), 1);
    assert_int_equal(rate_count(t, "search", STR("a"), 60, 120, 1), 1);
    assert_int_equal(rate_count(t, "api", STR("a"), 60, 179, 0), 5);
    assert_int_equal(rate_count(t, "api", STR("a"), 60, 180, 1), 1);
    for (int i = 0; i < 300000; i++) { /* more keys than slots: old windows make room */
        char key[20];
        snprintf(key, sizeof key, "%d", i);
        rate_count(t, "api", str_of(key), 60, 240 + i / 1000 * 60, 1);
    }
    assert_int_equal(rate_count(t, "api", STR("new"), 60, 999999960, 2), 2);
    rate_free(t);
}

/* Failed log-ins (15 minutes) lost their slots to request counts (1 minute). */
static void test_rate_keeps_long_windows(void **state)
{
    (void)state;
    struct rate_table *t;
    const int64_t start_s = 1800000000 / 900 * 900;
    assert_true(rate_new(&t, ERR_IGNORED));
    rate_count(t, "login", STR("someone"), 900, start_s, 7);
    for (int i = 0; i < 300000; i++) {
        char key[20];
        snprintf(key, sizeof key, "%d", i);
        rate_count(t, "api", str_of(key), 60, start_s + i / 25000 * 60, 1);
    }
    assert_int_equal(rate_count(t, "login", STR("someone"), 900, start_s + 840, 0), 7);
    assert_int_equal(rate_count(t, "login", STR("someone"), 900, start_s + 900, 0), 0);
    rate_free(t);
}

static void test_rate_full_table_still_counts(void **state)
{
    (void)state;
    struct rate_table *t;
    assert_true(rate_new(&t, ERR_IGNORED));
    for (int i = 0; i < 2000000; i++) {
        char key[20];
        snprintf(key, sizeof key, "%d", i);
        rate_count(t, "login", str_of(key), 900, 900000, 1);
    }
    for (uint32_t i = 1; i <= 10; i++)
        assert_int_equal(rate_count(t, "login", STR("somebody"), 900, 900000, 1), i);
    rate_free(t);
}

static void test_rate_client(void **state)
{
    (void)state;
    static const struct {
        const char *address, *client;
    } cases[] = {
        {"192.0.2.7", "192.0.2.7"},
        {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
        {"2001:db8:1:2:ffff::1", "2001:db8:1:2::"},
        {"2001:db8:1:3::1", "2001:db8:1:3::"},
        {"::1", "::"},
        {"::ffff:192.0.2.7", "192.0.2.7"},
        {"unix:", "unix:"},
        {"", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char key[RATE_CLIENT_SIZE];
        assert_true(str_eq(rate_client(str_of(cases[i].address), key), str_of(cases[i].client)));
    }
}

static void test_password(void **state)
{
    (void)state;
    char hash[PASSWORD_HASH_SIZE], again[PASSWORD_HASH_SIZE];
    assert_true(password_hash("correct horse", hash, ERR_IGNORED));
    assert_true(password_hash("correct horse", again, ERR_IGNORED));
    assert_string_not_equal(hash, again);
    assert_memory_equal(hash, "$argon2id$v=19$m=19456,t=2,p=1$", 31);
    assert_true(password_verify(hash, "correct horse"));
    assert_false(password_verify(hash, "correct horsf"));
    assert_false(password_verify(hash, ""));
    assert_false(password_verify(NULL, "correct horse"));
    assert_false(password_verify("", "x"));
    assert_false(password_verify("$argon2id$rubbish", "x"));
    struct err err = {0};
    assert_false(password_hash("", hash, &err));
    assert_int_equal(err.code, ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_query_limit),
        cmocka_unit_test(test_cookies),
        cmocka_unit_test(test_header_params),
        cmocka_unit_test(test_accept),
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_rate_keeps_long_windows),
        cmocka_unit_test(test_rate_full_table_still_counts),
        cmocka_unit_test(test_rate_client),
        cmocka_unit_test(test_password),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
