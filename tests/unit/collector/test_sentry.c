#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fcgi/collector/sentry.h"
#include "lib/base/util.h"

/* clang-format off */
static const struct {
    const char *label, *in, *want;
} cases[] = {
    {"JSON text", "{\"sentry\": \"{\\\"release\\\": \\\"app@1.2+b7\\\", \\\"environment\\\": \\\"beta\\\", \\\"dist\\\": \\\"7\\\", \\\"user\\\": {\\\"email\\\": \\\"a@b.c\\\"}}\"}",
     "{\"BuildID\": \"7\", \"ProductName\": \"P\", \"ReleaseChannel\": \"beta\", \"Version\": \"1.2\", \"sentry\": {\"dist\": \"7\", \"environment\": \"beta\", \"release\": \"app@1.2+b7\"}}"},
    {"in pieces", "{\"sentry\": \"{\\\"rel\", \"sentry__1\": \"ease\\\": \\\"1\", \"sentry__2\": \".0\\\"}\"}",
     "{\"ProductName\": \"P\", \"Version\": \"1.0\", \"sentry\": {\"release\": \"1.0\"}}"},
    {"fields", "{\"sentry[release]\": \"1.0\", \"sentry[tags][os]\": \"linux\", \"sentry[tags][uuid]\": \"x\", \"sentry[user][id]\": \"9\", \"sentry[\": \"y\", \"a\": \"b\"}",
     "{\"ProductName\": \"P\", \"Version\": \"1.0\", \"a\": \"b\", \"os\": \"linux\", \"sentry\": {\"release\": \"1.0\", \"tags\": {\"os\": \"linux\", \"uuid\": \"x\"}}}"},
    {"what is there stays", "{\"Version\": \"5\", \"ProductName\": \"Q\", \"sentry[release]\": \"1.0\"}",
     "{\"ProductName\": \"P\", \"Version\": \"5\", \"sentry\": {\"release\": \"1.0\"}}"},
    {"no JSON", "{\"sentry\": \"{\", \"a\": \"b\"}", "{\"ProductName\": \"P\", \"a\": \"b\"}"},
    {"NUL in a tag", "{\"sentry\": \"{\\\"tags\\\": {\\\"a\\\\u0000b\\\": \\\"c\\\\u0000d\\\"}}\"}",
     "{\"ProductName\": \"P\", \"ab\": \"cd\", \"sentry\": {\"tags\": {\"ab\": \"cd\"}}}"},
    {"nothing", "{}", "{\"ProductName\": \"P\"}"},
};
/* clang-format on */

static void test_map(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_auto_t *a = json_loads(cases[i].in, 0, NULL);
        assert_non_null(a);
        sentry_map(a, "P");
        FREE_LATER char *text = json_dumps(a, JSON_SORT_KEYS);
        if (strcmp(text, cases[i].want) != 0)
            fail_msg("%s: %s", cases[i].label, text);
    }
}

/* Whatever depth an event has: the raw crash that it becomes a part of can be read again. */
static void test_deep_events_can_be_read_again(void **state)
{
    (void)state;
    for (int depth = JSON_GIVEN_DEPTH_MAX - 1; depth <= JSON_DEPTH_MAX + 1; depth++) {
        STRBUF_AUTO text;
        sb_init(&text, 10000);
        sb_text(&text, "{\"contexts\":");
        for (int i = 1; i < depth; i++)
            sb_char(&text, '[');
        for (int i = 1; i < depth; i++)
            sb_char(&text, ']');
        sb_char(&text, '}');
        json_auto_t *a = json_pack("{s:s}", "sentry", sb_cstr(&text));
        sentry_map(a, "P");
        bool is_kept = json_object_get(a, "sentry");
        size_t n;
        FREE_LATER char *stored = jdump(a, &n);
        json_auto_t *again = jparse(str_n(stored, n), JSON_BYTES_MAX, ERR_IGNORED);
        if (!again || is_kept != (depth <= JSON_GIVEN_DEPTH_MAX))
            fail_msg("depth %d: %s, %s", depth, is_kept ? "kept" : "left out",
                     again ? "readable" : "lost");
    }
}

static void check_key(struct str query, struct str header, struct str want)
{
    assert_true(str_eq(sentry_key(query, header), want));
}

static void test_key(void **state)
{
    (void)state;
    check_key(STR("k"), STR("Sentry sentry_key=h"), STR("k"));
    check_key(STR_NONE, STR("Sentry sentry_version=7, sentry_key=h , sentry_client=x"), STR("h"));
    check_key(STR_NONE, STR("sentry_key=h"), STR("h"));
    assert_null(sentry_key(STR_NONE, STR("Sentry")).p);
    assert_null(sentry_key(STR_NONE, STR_NONE).p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map),
        cmocka_unit_test(test_deep_events_can_be_read_again),
        cmocka_unit_test(test_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
