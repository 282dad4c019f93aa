#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lib/base/util.h"
#include "lib/search/doc.h"
#include "lib/search/doc_frames.h"

#define STACK(frames) "{\"json_dump\":{\"crashing_thread\":{\"frames\":[" frames "]}}}"

/* What becomes of odd values on their way into the index. */
static const struct {
    const char *json, *field, *want; /* NULL: absent; "!": left out and named */
} cases[] = {
    {"{\"signature\":\"x\"}", "signature", "x"},
    {"{\"signature\":\"\"}", "signature", ""},
    {"{\"signature\":null}", "signature", NULL},
    {"{\"signature\":5}", "signature", "BAD DATA"},
    {"{\"signature\":[\"a\"]}", "signature", "BAD DATA"},
    {"{\"os_name\":\"Linux\"}", "platform", "Linux"},
    {"{\"addons\":[\"a\",\"b\"]}", "addons", "a,b"},
    {"{\"addons\":[\"a\",7]}", "addons", "a,BAD DATA"},
    {"{\"addons\":[7,\"a\"]}", "addons", "BAD DATA"},
    {"{\"addons\":[]}", "addons", NULL},
    {"{\"addons\":\"one\"}", "addons", "one"},
    {"{\"addons\":{}}", "addons", "BAD DATA"},
    {"{\"build\":\"20240501093000\"}", "build_id", "20240501093000"},
    {"{\"build\":\" 12 \"}", "build_id", "12"},
    {"{\"build\":\"12.9\"}", "build_id", "12"},
    {"{\"build\":-3.7}", "build_id", "-3"},
    {"{\"build\":\"12x\"}", "build_id", "!"},
    {"{\"build\":1e300}", "build_id", "!"},
    {"{\"build\":true}", "build_id", "!"},
    {"{\"build\":[1]}", "build_id", "!"},
    {"{\"crashing_thread\":3000000000}", "crashing_thread", "!"},
    {"{\"content_sandbox_level\":40000}", "content_sandbox_level", "!"},
    {"{\"content_sandbox_level\":-32768}", "content_sandbox_level", "-32768"},
    {"{\"json_dump\":{\"system_info\":{\"cpu_count\":4}},\"cpu_count\":8}", "cpu_count", "4"},
    {"{\"cpu_count\":8}", "cpu_count", "8"},
    {"{\"json_dump\":{\"system_info\":null},\"cpu_count\":8}", "cpu_count", "8"},
    {"{\"memory_measures\":{\"explicit\":9}}", "memory_explicit", "9"},
    {"{\"memory_explicit\":9}", "memory_explicit", NULL},
    {"{\"accessibility\":true}", "accessibility", "1"},
    {"{\"accessibility\":\"1\"}", "accessibility", "1"},
    {"{\"accessibility\":1}", "accessibility", "1"},
    {"{\"accessibility\":\"true\"}", "accessibility", "1"},
    {"{\"accessibility\":\"yes\"}", "accessibility", "0"},
    {"{\"accessibility\":2}", "accessibility", "0"},
    {"{\"accessibility\":[]}", "accessibility", "0"},
    {"{\"startup_crash\":null}", "startup_crash", "0"},
    {"{\"marionette\":null}", "marionette", NULL},
    {"{}", "startup_crash", NULL},
    {"{\"json_dump\":{\"modules\":[{\"filename\":\"b\",\"version\":\"2\"},{\"filename\":\"a\"},"
     "{\"filename\":\"b\",\"version\":\"2\"},{\"filename\":null},{\"version\":\"1\"},3]}}",
     "modules", "a,b/2"},
    {"{\"json_dump\":{\"modules\":[]}}", "modules", NULL},
    {STACK("{\"function\":\"a\",\"module\":\"m\"},{\"module\":\"m\"},{\"function\":\"b\"}"),
     "frame_function", "a,,b"},
    {STACK("{\"function\":\"a\",\"module\":\"m\"},{\"module\":\"m\"},{\"function\":\"b\"}"),
     "frame_module", "m,m,"},
    {STACK("{\"function\":\"a\"},{\"truncated\":{\"msg\":\"9\"}},{\"function\":\"a\"}"),
     "frame_function", "a,,a"},
    {STACK("{\"function\":\"f\",\"module\":\"m\",\"file\":\"f.c\",\"inlines\":[{\"function\":\"i\","
           "\"file\":\"i.h\"},{\"function\":\"j\"}]}"),
     "frame_function", "i,j,f"},
    {STACK("{\"function\":\"f\",\"module\":\"m\",\"file\":\"f.c\",\"inlines\":[{\"function\":\"i\","
           "\"file\":\"i.h\"},{\"function\":\"j\"}]}"),
     "frame_file", "i.h,,f.c"},
    {STACK("{\"module\":\"m\",\"inlines\":[{\"function\":\"i\",\"module\":\"x\"}]}"),
     "frame_module", "m,m"},
    {STACK("{\"function\":null},{\"function\":7},3,[],null"), "frame_function", NULL},
    {STACK(""), "frame_file", NULL},
    {"{\"json_dump\":{\"crashing_thread\":{\"frames\":\"x\"}}}", "frame_function", NULL},
    {"{\"json_dump\":{\"crashing_thread\":[{\"frames\":[]}]}}", "frame_function", NULL},
    {"{\"frame_function\":[\"a\"]}", "frame_function", NULL},
    {"{\"crashing_thread\":1,\"json_dump\":{\"crashing_thread\":{\"frames\":[{\"function\":\"a\"}]}"
     ","
     "\"threads\":[{},{\"frames\":[{\"function\":\"b\"}]}]}}",
     "frame_function", "b"},
    {"{\"crashing_thread\":2,\"json_dump\":{\"crashing_thread\":{\"frames\":[{\"function\":\"a\"}]}"
     ","
     "\"threads\":[{},{\"frames\":[{\"function\":\"b\"}]}]}}",
     "frame_function", "a"},
    {"{\"json_dump\":{\"threads\":[{\"frames\":[{\"function\":\"b\"},{\"function\":\"a\"}]},"
     "{\"frames\":null},7,{\"frames\":[{\"function\":\"b\",\"inlines\":[{\"function\":\"c\"}]}]}]}"
     "}",
     "thread_function", "a,b,c"},
    {"{\"json_dump\":{\"threads\":[{\"frames\":[{\"module\":\"\"}]}]}}", "thread_module", NULL},
    {"{\"json_dump\":{\"threads\":{}}}", "thread_file", NULL},
    {"{\"json_dump\":{\"modules\":\"b\"}}", "modules", NULL},
};

static bool parse(struct arena *a, const char *json, struct doc *d, json_t **ret_tree)
{
    struct err err = {0};
    *ret_tree = jparse(str_of(json), 1 << 20, &err);
    assert_non_null(*ret_tree);
    json_object_set_new(*ret_tree, "uuid", json_string("u"));
    json_object_set_new(*ret_tree, "date_processed", json_string("2024-05-01T09:30:00Z"));
    return doc_from_json(a, &fields_builtin, *ret_tree, d, &err);
}

static void show(const struct doc_value *v, struct strbuf *out)
{
    if (v->texts.n == 0)
        sb_printf(out, "%lld", (long long)v->i);
    for (size_t i = 0; i < v->texts.n; i++)
        sb_printf(out, "%s" STR_FMT, i ? "," : "", STR_ARG(v->texts.v[i]));
}

static void test_values(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 8 << 20);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct doc d;
        json_t *tree;
        STRBUF_AUTO got;
        bool has = false, is_removed = false;
        sb_init(&got, 4096);
        arena_reset(&a);
        assert_true(parse(&a, cases[i].json, &d, &tree));
        for (size_t k = 0; k < d.n; k++)
            if (strcmp(d.values[k].field->name, cases[i].field) == 0) {
                has = true;
                show(&d.values[k], &got);
            }
        for (size_t k = 0; k < d.removed.n; k++)
            is_removed = is_removed || str_eq(d.removed.v[k], str_of(cases[i].field));
        bool wants_removed = cases[i].want && strcmp(cases[i].want, "!") == 0;
        bool wants_value = cases[i].want && !wants_removed;
        if (has != wants_value || is_removed != wants_removed ||
            (has && strcmp(sb_cstr(&got), cases[i].want) != 0))
            fail_msg("%s: %s is %s", cases[i].json, cases[i].field, has ? sb_cstr(&got) : "absent");
        json_decref(tree);
    }
    arena_release(&a);
}

static void test_long_values_are_cut(void **state)
{
    (void)state;
    struct arena a;
    struct doc d;
    struct err err = {0};
    arena_init(&a, 8 << 20);
    char *text = xcalloc(1, 80001);
    for (size_t i = 0; i < 80000; i += 2)
        memcpy(text + i, "\u00e9", 2);
    json_auto_t *tree = json_pack("{s:s, s:s, s:s, s:s}", "uuid", "u", "date_processed",
                                  "2024-05-01", "address", text, "signature", text);
    assert_true(doc_from_json(&a, &fields_builtin, tree, &d, &err));
    for (size_t i = 0; i < d.n; i++) {
        if (strcmp(d.values[i].field->name, "address") == 0)
            assert_int_equal(d.values[i].texts.v[0].n, 20000); /* 10000 characters */
        if (strcmp(d.values[i].field->name, "signature") == 0)
            assert_int_equal(d.values[i].texts.v[0].n, 32766);
    }
    free(text);
    arena_release(&a);
}

static json_t *many_frames(size_t n, const char *prefix)
{
    json_t *frames = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(frames, json_pack("{s:s+}", "function", prefix, i % 3 ? "x" : ""));
    return frames;
}

static const struct doc_value *value_of(const struct doc *d, const char *field)
{
    for (size_t i = 0; i < d->n; i++)
        if (strcmp(d->values[i].field->name, field) == 0)
            return &d->values[i];
    fail_msg("no %s", field);
    return NULL;
}

/* Stacks that are longer and wider than what the index keeps, and names that are endless. */
static void test_long_stacks_are_cut(void **state)
{
    (void)state;
    struct arena a;
    struct doc d;
    struct err err = {0};
    arena_init(&a, 8 << 20);
    char *text = xcalloc(1, 5001);
    memset(text, 'y', 5000);
    json_auto_t *tree =
        json_pack("{s:s, s:s, s:{s:{s:o}, s:[]}}", "uuid", "u", "date_processed", "2024-05-01",
                  "json_dump", "crashing_thread", "frames", many_frames(2000, text), "threads");
    json_t *threads = json_object_get(json_object_get(tree, "json_dump"), "threads");
    for (int i = 0; i < 80; i++) {
        char top[16], low[16];
        snprintf(top, sizeof top, "top%03d", i);
        snprintf(low, sizeof low, "low%03d", i);
        json_array_append_new(
            threads, json_pack("{s:[{s:s}, {s:s}]}", "frames", "function", top, "function", low));
    }
    assert_true(doc_from_json(&a, &fields_builtin, tree, &d, &err));
    const struct doc_value *v = value_of(&d, "frame_function");
    assert_int_equal(v->texts.n, DOC_FRAMES_MAX);
    assert_int_equal(v->texts.v[0].n, DOC_FRAME_BYTES_MAX);
    v = value_of(&d, "thread_function"); /* what is near the top comes first */
    assert_int_equal(v->texts.n, DOC_THREAD_TEXTS_MAX);
    assert_true(str_eq(v->texts.v[19], STR("low019")) && str_eq(v->texts.v[20], STR("top000")) &&
                str_eq(v->texts.v[99], STR("top079")));
    free(text);
    arena_release(&a);
}

static void test_documents_without_a_name_or_date(void **state)
{
    (void)state;
    static const char *const bad[] = {"{}",
                                      "{\"uuid\":\"u\"}",
                                      "{\"uuid\":5}",
                                      "{\"date_processed\":\"2024-05-01\"}",
                                      "{\"uuid\":\"\",\"date_processed\":\"2024-05-01\"}",
                                      "{\"uuid\":\"u\",\"date_processed\":\"yesterday\"}",
                                      "[]"};
    struct arena a;
    arena_init(&a, 8 << 20);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct doc d;
        struct err err = {0};
        json_auto_t *tree = jparse(str_of(bad[i]), 1000, &err);
        if (doc_from_json(&a, &fields_builtin, tree, &d, &err) || err.code != ERR_INVALID)
            fail_msg("%s was accepted", bad[i]);
    }
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_long_values_are_cut),
        cmocka_unit_test(test_long_stacks_are_cut),
        cmocka_unit_test(test_documents_without_a_name_or_date),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
