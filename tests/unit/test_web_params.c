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
    {METHOD_GET, "/", 0, NULL, NULL, NULL, ""},
    {METHOD_GET, "/login/", 0, NULL, NULL, NULL, ""},
    {METHOD_POST, "/login/", 0, NULL, NULL, NULL, ""},
    {METHOD_GET, "/report/", ROUTE_PREFIX, NULL, NULL, NULL, ""},
    {METHOD_GET, "/report/index/", ROUTE_PREFIX, NULL, NULL, NULL, ""},
    {METHOD_GET | METHOD_POST, "/report/index/fixed", 0, NULL, NULL, NULL, ""},
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
            strcmp(method_names(&a, m.methods | METHOD_OPTIONS), route_cases[i].allow) != 0)
            fail_msg("case %zu %s: %d %d %s", i, route_cases[i].path, any, route,
                     method_names(&a, m.methods | METHOD_OPTIONS));
    }
    arena_release(&a);
}

/* clang-format off */
static const struct param_choice sizes[] = {{"50", NULL}, {"100", NULL}, {0}};
static const struct param_spec
    text = {"t", PARAM_TEXT, PARAM_TRIMMED, .max = 3, .fallback = "def", .refusal = "t is long"},
    notes = {"t", PARAM_TEXT, PARAM_CHARACTERS, .max = 3, .refusal = "t is long"},
    number = {"n", PARAM_INT, .min = 1, .max = 9, .fallback = "4", .refusal = "no n"},
    bare_number = {"n", PARAM_INT, PARAM_REQUIRED, .min = 1, .max = 9},
    clamped = {"n", PARAM_INT, PARAM_CLAMPED, .min = 1, .max = 9, .fallback = "1", .refusal = "no n"},
    numbers = {"n", PARAM_INT_LIST, PARAM_REQUIRED | PARAM_SKIP_EMPTY, .max = 9, .refusal = "no n"},
    all = {"t", PARAM_LIST, .help = ""},
    size = {"s", PARAM_CHOICE, .choices = sizes, .refusal = "unknown s"},
    any_size = {"s", PARAM_CHOICE, PARAM_LENIENT, .choices = sizes, .number_refusal = "s is no number"},
    day = {"d", PARAM_DATE, PARAM_LENIENT | PARAM_SKIP_EMPTY, .help = ""},
    id = {"i", PARAM_CRASH_ID, PARAM_REQUIRED, .refusal = "no id"},
    flag = {"f", PARAM_FLAG, .help = ""},
    foreign = {"n", PARAM_INT, PARAM_OF_SEARCH, .min = 1, .max = 2};
#define CRASH "11111111-2222-4333-8444-555550260101"

static const struct {
    const char *query;
    const struct param_spec *spec;
    const char *want; /* the value as text, or what is said of it */
} param_cases[] = {
    {"", &text, "def"}, {"t=", &text, "def"}, {"t=+a+", &text, "a"}, {"t=a&t=b", &text, "a"},
    {"t=%20abc%20", &text, "abc"}, {"t=abcd", &text, "t is long"}, {"t=%C3%A9%C3%A9", &text, "t is long"},
    {"t=%C3%A9%C3%A9%C3%A9", &notes, "\xc3\xa9\xc3\xa9\xc3\xa9"}, {"t=%C3%A9%C3%A9%C3%A9x", &notes, "t is long"},
    {"", &number, "4"}, {"n=", &number, "4"}, {"n=9", &number, "9"}, {"n=0", &number, "no n"},
    {"n=10", &number, "no n"}, {"n=x", &number, "no n"}, {"n=1x", &number, "no n"},
    {"n=99999999999999999999", &number, "no n"},
    {"n=x", &bare_number, "n: not a number"}, {"n=0", &bare_number, "n: 0 lies outside 1..9"},
    {"", &bare_number, "n: empty where a number was expected"},
    {"n=-7", &clamped, "1"}, {"n=70", &clamped, "9"}, {"n=x", &clamped, "no n"}, {"", &clamped, "1"},
    {"n=1&n=&n=007", &numbers, "1|007|"}, {"n=1&n=x", &numbers, "no n"}, {"n=-1", &numbers, "no n"},
    {"n=", &numbers, "no n"},
    {"t=&t=b", &all, "|b|"}, {"", &all, ""},
    {"", &size, "0"}, {"s=100", &size, "1"}, {"s=070", &size, "unknown s"}, {"s=0100", &size, "unknown s"},
    {"s=7", &any_size, "0"}, {"s=x", &any_size, "s is no number"}, {"s=100", &any_size, "1"},
    {"d=&d=1970-01-01T00:00:01", &day, "1000000"}, {"d=never", &day, "none"}, {"", &day, "none"},
    {"i=bp-" CRASH, &id, CRASH}, {"i=x", &id, "no id"}, {"", &id, "no id"}, {"i=&i=" CRASH, &id, "no id"},
    {"f", &flag, "off"}, {"f=0", &flag, "on"},
    {"n=77", &foreign, "0"},
};
/* clang-format on */

static const char *list_text(struct arena *a, struct strs l)
{
    const char *joined = "";
    for (size_t i = 0; i < l.n; i++)
        joined = arena_printf(a, "%s" STR_FMT "|", joined, STR_ARG(l.v[i]));
    return joined;
}

static const char *value_text(struct req *r, const struct param_spec *p)
{
    int64_t us;
    switch (p->type) {
    case PARAM_TEXT:
        return str_adup(&r->arena, req_text(r, p));
    case PARAM_LIST:
    case PARAM_INT_LIST:
        return list_text(&r->arena, req_list(r, p));
    case PARAM_INT:
        return arena_printf(&r->arena, "%lld", (long long)req_int(r, p));
    case PARAM_FLAG:
        return req_flag(r, p) ? "on" : "off";
    case PARAM_CHOICE:
        return arena_printf(&r->arena, "%zu", req_choice(r, p));
    case PARAM_DATE:
        return req_date(r, p, &us) ? arena_printf(&r->arena, "%lld", (long long)us) : "none";
    case PARAM_CRASH_ID:
        return req_crash_id(r, p);
    }
    return NULL;
}

/* Every type with values that fit and values that do not; the words of refusals are the
 * declared. */
static void test_declared_params(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(param_cases); i++) {
        const struct param_spec *const list[] = {param_cases[i].spec, NULL};
        const struct route route = {METHOD_GET, "/", 0, NULL, NULL, list, ""};
        const struct web_program program = {.routes = &route, .route_count = 1};
        struct web_app web = {.program = &program};
        struct req r = {.web = &web, .route = &route};
        struct err err = {0};
        arena_init(&r.arena, ARENA_MAX);
        assert_true(params_parse(&r.arena, str_of(param_cases[i].query), &r.params, &err));
        params_check(&r);
        const char *got = req_params_fit(&r, &err) ? value_text(&r, list[0]) : err.msg;
        if (strcmp(got, param_cases[i].want) != 0)
            fail_msg("case %zu, %s of \"%s\": %s", i, list[0]->name, param_cases[i].query, got);
        arena_release(&r.arena);
    }
}

/* The first in the order of the list is the problem; the API has its own words for absent ones. */
static void test_first_problem_of_a_route(void **state)
{
    (void)state;
    const struct param_spec *const list[] = {&id, &number, NULL};
    const struct route route = {METHOD_GET, "/api/x/", ROUTE_API, NULL, NULL, list, ""};
    const struct web_program program = {.routes = &route, .route_count = 1};
    struct web_app web = {.program = &program};
    struct req r = {.web = &web, .route = &route};
    arena_init(&r.arena, ARENA_MAX);
    assert_true(params_parse(&r.arena, STR("n=x"), &r.params, ERR_IGNORED));
    params_check(&r);
    const struct param_problem *problem = req_param_problem(&r);
    assert_non_null(problem);
    assert_ptr_equal(problem->param, &id);
    assert_true(problem->is_missing);
    assert_string_equal(problem->err.msg, "This field is required.");
    arena_release(&r.arena);
}

/* What any request may ask for: more memory than it has. */
static bool take_too_much(struct req *r, struct err *err)
{
    arena_alloc(&r->arena, ARENA_MAX + 1);
    return resp_bytes(r, 200, "text/plain", STR("all of it")) || err_wrap(err, "unreachable");
}

/* A request beyond its memory is answered with 413, and the worker takes the next one. */
static void test_request_beyond_its_memory(void **state)
{
    (void)state;
    const struct route route = {METHOD_GET, "/api/x/", ROUTE_API, NULL, take_too_much, NULL, ""};
    const struct web_program program = {.routes = &route, .route_count = 1};
    struct web_app web = {.program = &program};
    struct req r = {.web = &web, .route = &route};
    arena_init(&r.arena, ARENA_MAX);
    resp_init(&r);
    answer_of_handler(&r);
    assert_int_equal(r.resp.status, 413);
    assert_true(str_find(r.resp.body, STR("takes more than"), 0) != SIZE_MAX);
    resp_reset(&r);
    arena_reset(&r.arena);
    assert_false(arena_is_over(&r.arena));
    arena_release(&r.arena);
}

/* A page that quotes each parameter in two links, as search pages do with their query. */
static bool quote_twice(struct req *r, struct err *err)
{
    struct str last = STR("");
    for (size_t i = 0; i < 2 * r->params.n; i++)
        last = url_path_encode(&r->arena, r->params.v[i / 2].value);
    return resp_bytes(r, 200, "text/plain", last) || err_wrap(err, "the page");
}

/* One request with `n` parameters of `bytes` bytes; the memory it leaves is emptied afterwards. */
static int status_of_request(struct req *r, size_t n, size_t bytes)
{
    struct str piece = str_n(xcalloc(1, bytes + 1), bytes);
    memset((char *)piece.p, 'a', bytes);
    STRBUF_AUTO query;
    sb_init(&query, n * (bytes + 3));
    for (size_t i = 0; i < n; i++) {
        sb_text(&query, "v=");
        sb_str(&query, piece);
        sb_char(&query, '&');
    }
    free((char *)piece.p);
    resp_init(r);
    r->params = (struct param_list){0};
    assert_true(params_parse(&r->arena, sb_view(&query), &r->params, ERR_IGNORED));
    assert_int_equal(r->params.n, n);
    answer_of_handler(r);
    int status = r->resp.status;
    resp_reset(r);
    arena_reset(&r->arena);
    return status;
}

/*
 * Parameters that fit into the memory of a request, but not together with what a page makes of
 * them: 900 KiB, once in one piece and once in many, of which the links take six times as much.
 */
static void test_parameters_beyond_the_memory_of_a_request(void **state)
{
    (void)state;
    const struct route route = {METHOD_GET, "/api/x/", ROUTE_API, NULL, quote_twice, NULL, ""};
    const struct web_program program = {.routes = &route, .route_count = 1};
    struct web_app web = {.program = &program};
    struct req r = {.web = &web, .route = &route};
    arena_init(&r.arena, ARENA_MAX);
    assert_int_equal(status_of_request(&r, 1, 900 << 10), 413);
    r.arena.max_bytes = ARENA_MAX; /* the refusal was given more, as in the worker */
    assert_int_equal(status_of_request(&r, 1, 100), 200);
    assert_int_equal(status_of_request(&r, 9000, 100), 413);
    r.arena.max_bytes = ARENA_MAX;
    assert_int_equal(status_of_request(&r, 9, 100), 200);
    arena_release(&r.arena);
}

/* A form larger than the limit and its reserve together: refused before anything is copied. */
static void test_form_beyond_the_memory_of_a_request(void **state)
{
    (void)state;
    enum { BYTES = ARENA_MAX + ARENA_RESERVE_MIN + (1 << 20) };
    struct arena a;
    struct param_list list = {0};
    struct err err = {0};
    FREE_LATER char *body = xmalloc(BYTES);
    memset(body, 'a', BYTES);
    arena_init(&a, ARENA_MAX);
    assert_false(params_parse(&a, str_n(body, BYTES), &list, &err));
    assert_int_equal(err.code, ERR_TOO_LARGE);
    assert_int_equal(list.n, 0);
    assert_false(arena_is_over(&a));
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
        cmocka_unit_test(test_declared_params),
        cmocka_unit_test(test_first_problem_of_a_route),
        cmocka_unit_test(test_request_beyond_its_memory),
        cmocka_unit_test(test_parameters_beyond_the_memory_of_a_request),
        cmocka_unit_test(test_form_beyond_the_memory_of_a_request),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_rate_keeps_long_windows),
        cmocka_unit_test(test_rate_full_table_still_counts),
        cmocka_unit_test(test_rate_client),
        cmocka_unit_test(test_password),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
