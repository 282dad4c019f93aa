/* The table that a program shares with its crash handler. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/annotations.h"
#include "lib/base/str.h"
#include "lib/base/util.h"

/* "key=value;" of everything in the table. */
static void append_pair(void *arg, const char *key, const char *value, size_t n)
{
    sb_printf(arg, "%s=%.*s;", key, (int)n, value);
}

static void assert_table(const struct annotations *t, const char *want)
{
    STRBUF_AUTO text;
    sb_init(&text, 1 << 22);
    assert_true(datil_annotations_each(t, append_pair, &text));
    assert_string_equal(sb_cstr(&text), want);
}

static bool set(struct annotations *t, const char *key, const char *value)
{
    return datil_annotations_set(t, key, value, strlen(value));
}

static void test_set_replace_forget(void **state)
{
    (void)state;
    FREE_LATER struct annotations *t = xcalloc(1, sizeof *t);
    datil_annotations_init(t);
    assert_table(t, "");
    assert_true(set(t, "A", "1"));
    assert_true(set(t, "B", ""));
    assert_true(set(t, "A", "two"));
    assert_true(set(t, "A", "3"));
    assert_table(t, "A=3;B=;");
    datil_annotations_forget(t, "A");
    datil_annotations_forget(t, "never set");
    assert_table(t, "B=;");
    assert_true(set(t, "C", "in the freed slot"));
    assert_table(t, "C=in the freed slot;B=;");
}

static void test_limits(void **state)
{
    (void)state;
    FREE_LATER struct annotations *t = xcalloc(1, sizeof *t);
    datil_annotations_init(t);
    char key[DATIL_CLIENT_KEY_MAX + 2];
    memset(key, 'k', sizeof key);
    key[DATIL_CLIENT_KEY_MAX + 1] = '\0';
    assert_false(set(t, key, "name too long"));
    assert_false(set(t, "", "no name"));
    key[DATIL_CLIENT_KEY_MAX] = '\0';
    assert_true(set(t, key, "just fits"));
    for (int i = 1; i < DATIL_CLIENT_ANNOTATIONS_MAX; i++) {
        snprintf(key, sizeof key, "k%d", i);
        assert_true(set(t, key, "v"));
    }
    assert_false(set(t, "one too many", "v"));
    assert_true(set(t, "k5", "known ones still change"));
}

/* A long value is cut between characters, never inside one. */
static void test_cut(void **state)
{
    (void)state;
    FREE_LATER struct annotations *t = xcalloc(1, sizeof *t);
    FREE_LATER char *value = xmalloc(5001);
    datil_annotations_init(t);
    memset(value, 'x', 5000);
    value[5000] = '\0';
    memcpy(value + DATIL_CLIENT_VALUE_MAX - 2, "\xe2\x98\x83", 3); /* a snowman across the limit */
    assert_true(set(t, "long", value));
    STRBUF_AUTO text;
    sb_init(&text, 1 << 20);
    datil_annotations_each(t, append_pair, &text);
    assert_int_equal(text.n, strlen("long=;") + DATIL_CLIENT_VALUE_MAX - 2);
    assert_true(utf8_valid(sb_view(&text)));
}

/* A program that dies between writing a value and publishing it leaves the old one. */
static void test_death_in_the_middle(void **state)
{
    (void)state;
    FREE_LATER struct annotations *t = xcalloc(1, sizeof *t);
    datil_annotations_init(t);
    set(t, "A", "old");
    memcpy(t->slots[0].value[1], "half a n", 8);
    t->slots[0].length[1] = 100;
    assert_table(t, "A=old;");
}

static const struct {
    const char *label;
    uint32_t state, length;
    const char *want;
} hostile[] = {
    {"unknown state", 7, 1, "B=2;"},
    {"length beyond the buffer", ANNOTATION_FIRST, DATIL_CLIENT_VALUE_MAX + 1, "B=2;"},
    {"length wraps", ANNOTATION_FIRST, UINT32_MAX, "B=2;"},
};

static void test_damaged_slots(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
        FREE_LATER struct annotations *t = xcalloc(1, sizeof *t);
        datil_annotations_init(t);
        set(t, "A", "1");
        set(t, "B", "2");
        t->slots[0].state = hostile[i].state;
        t->slots[0].length[0] = hostile[i].length;
        assert_table(t, hostile[i].want);
    }
    FREE_LATER struct annotations *t = xcalloc(1, sizeof *t);
    assert_false(datil_annotations_each(t, append_pair, NULL)); /* no table at all */
    datil_annotations_init(t);
    set(t, "A", "1");
    memset(t->slots[0].key, 'z', sizeof t->slots[0].key); /* no terminator */
    STRBUF_AUTO text;
    sb_init(&text, 1000);
    assert_true(datil_annotations_each(t, append_pair, &text));
    assert_int_equal(text.n, DATIL_CLIENT_KEY_MAX + strlen("=1;"));
}

/* The public functions, without a handler. */
static void test_before_start(void **state)
{
    (void)state;
    char why[256] = "";
    assert_true(datil_client_annotate("Early", "yes"));
    assert_true(datil_client_annotate_int("Number", -12345678901));
    assert_false(datil_client_annotate(NULL, "x"));
    assert_false(datil_client_annotate("x", NULL));
    datil_client_forget("Early");
    assert_false(datil_client_report()); /* nobody to ask */
    struct datil_client_options o = {.product = "P", .database = "/nonexistent"};
    assert_false(datil_client_start(&o, why, sizeof why));
    assert_string_equal(why, "options.version is required");
    o.version = "1";
    o.handler_path = "/nonexistent/handler";
    assert_false(datil_client_start(&o, why, sizeof why));
    assert_string_equal(why, "cannot run /nonexistent/handler: No such file or directory");
    assert_false(datil_client_start(&o, NULL, 0));
    assert_true(datil_client_protect_thread());
    datil_client_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_replace_forget),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_death_in_the_middle),
        cmocka_unit_test(test_damaged_slots),
        cmocka_unit_test(test_before_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
