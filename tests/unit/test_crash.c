#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <sys/stat.h>

#include "lib/base/fs.h"
#include "lib/base/util.h"
#include "lib/crash/crash_id.h"
#include "lib/crash/field.h"
#include "lib/crash/product.h"
#include "lib/crash/product_files.h"
#include "lib/json/json.h"

static const struct {
    const char *label, *id;
    bool lenient, strict;
} id_cases[] = {
    {"ordinary", "de1bb258-cbbf-4589-a673-34f800160918", true, true},
    {"deferred", "de1bb258-cbbf-4589-a673-34f801160918", true, true},
    {"other digit", "de1bb258-cbbf-4589-a673-34f80f160918", true, false},
    {"upper case", "DE1bb258-cbbf-4589-a673-34f800160918", false, false},
    {"no dashes", "de1bb258cbbf4589a67334f800160918", false, false},
    {"dash moved", "de1bb25-8cbbf-4589-a673-34f800160918", false, false},
    {"newline behind", "de1bb258-cbbf-4589-a673-34f800160918\n", false, false},
    {"one short", "de1bb258-cbbf-4589-a673-34f80016091", false, false},
    {"letter in date", "de1bb258-cbbf-4589-a673-34f80016091a", false, false},
    {"month 13", "de1bb258-cbbf-4589-a673-34f800161318", false, false},
    {"30 February", "de1bb258-cbbf-4589-a673-34f800160230", false, false},
    {"leap day", "de1bb258-cbbf-4589-a673-34f800160229", true, true},
    {"all zeros", "00000000-0000-0000-0000-000000000000", false, false},
    {"empty", "", false, false},
};

static void test_id_valid(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(id_cases); i++) {
        if (crash_id_valid(str_of(id_cases[i].id), false) != id_cases[i].lenient ||
            crash_id_valid(str_of(id_cases[i].id), true) != id_cases[i].strict)
            fail_msg("%s", id_cases[i].label);
    }
}

static void test_id_new(void **state)
{
    (void)state;
    char id[CRASH_ID_SIZE], other[CRASH_ID_SIZE], date[CRASH_DATE_SIZE];
    int64_t at = 1474156800LL * 1000000; /* 2016-09-18 00:00:00 */
    crash_id_new(at, 1, id);
    crash_id_new(at - 1, 0, other);
    assert_true(crash_id_valid(str_of(id), true));
    assert_true(crash_id_valid(str_of(other), true));
    assert_string_equal(id + 29, "1160918");
    assert_string_equal(other + 29, "0160917");
    assert_int_equal(id[14], '4');
    assert_non_null(strchr("89ab", id[19]));
    assert_int_equal(crash_id_digit(id), 1);
    crash_id_date(id, date);
    assert_string_equal(date, "20160918");
}

static void test_id_parse(void **state)
{
    (void)state;
    char id[CRASH_ID_SIZE] = "untouched";
    assert_false(crash_id_parse(STR("bp-"), id));
    assert_false(crash_id_parse(STR("bp-bp-de1bb258-cbbf-4589-a673-34f800160918"), id));
    assert_string_equal(id, "untouched");
    assert_true(crash_id_parse(STR("bp-de1bb258-cbbf-4589-a673-34f800160918"), id));
    assert_string_equal(id, "de1bb258-cbbf-4589-a673-34f800160918");
}

static void test_tables_sorted(void **state)
{
    (void)state;
    for (size_t i = 1; i < fields_builtin.annotation_count; i++)
        assert_true(
            strcmp(fields_builtin.annotations[i - 1].name, fields_builtin.annotations[i].name) < 0);
    for (size_t i = 1; i < fields_builtin.search_count; i++)
        assert_true(strcmp(fields_builtin.search[i - 1].name, fields_builtin.search[i].name) < 0);
    for (size_t i = 0; i < fields_builtin.search_count; i++)
        assert_ptr_equal(search_field_find(&fields_builtin, str_of(fields_builtin.search[i].name)),
                         &fields_builtin.search[i]);
    assert_null(search_field_find(&fields_builtin, STR("signaturf")));
    assert_null(search_field_find(&fields_builtin, STR("")));
    assert_null(annotation_find(&fields_builtin, STR("productName")));
}

static void test_annotation_rows(void **state)
{
    (void)state;
    const struct annotation *a = annotation_find(&fields_builtin, STR("Marionette"));
    assert_int_equal(a->copy, COPY_BOOL);
    assert_string_equal(a->processed_key, "marionette");
    assert_string_equal(a->fallback, "false");
    a = annotation_find(&fields_builtin, STR("MozCrashReason"));
    assert_int_equal(a->copy, COPY_NONE);
    assert_null(a->processed_key);
    assert_int_equal(a->perm, PERM_PROTECTED);
    a = annotation_find(&fields_builtin, STR("UptimeTS"));
    assert_int_equal(a->copy, COPY_NUM);
    a = annotation_find(&fields_builtin, STR("TelemetryEnvironment"));
    assert_int_equal(a->copy, COPY_OBJ);
}

/* Protected search fields, all of them: this list is the privacy promise. */
static const char *const protected_fields[] = {
    "collector_notes",
    "dumper_error",
    "glean_client_id",
    "gmp_library_path",
    "has_guard_page_access",
    "java_stack_trace_raw",
    "mac_boot_args",
    "moz_crash_reason_raw",
    "phc_alloc_stack",
    "phc_base_address",
    "phc_free_stack",
    "phc_kind",
    "phc_usable_size",
    "remote_type",
    "soft_errors",
    "throttle_rate",
    "url",
    "user_comments",
};

static void test_protected_fields(void **state)
{
    (void)state;
    size_t found = 0;
    for (size_t i = 0; i < fields_builtin.search_count; i++) {
        if (fields_builtin.search[i].perm == PERM_PUBLIC)
            continue;
        if (found >= ARRAY_LEN(protected_fields) ||
            strcmp(fields_builtin.search[i].name, protected_fields[found]) != 0)
            fail_msg("%s is protected", fields_builtin.search[i].name);
        found++;
    }
    assert_int_equal(found, ARRAY_LEN(protected_fields));
}

static void test_schema(void **state)
{
    (void)state;
    const struct schema_key *k = schema_find(&fields_builtin.processed, STR("json_dump"));
    assert_int_equal(k->types, SCHEMA_OBJ | SCHEMA_NULL);
    k = schema_find(k->shape, STR("threads"));
    assert_int_equal(k->types, SCHEMA_LIST | SCHEMA_NULL);
    assert_int_equal(k->item_types, SCHEMA_OBJ);
    k = schema_find(schema_find(k->shape, STR("frames"))->shape, STR("registers"));
    assert_true(k->is_map);
    assert_int_equal(k->perm, PERM_PROTECTED);
    assert_non_null(schema_find(&fields_builtin.processed, STR("upload_file_minidump_browser")));
    assert_non_null(schema_find(&fields_builtin.processed, STR("upload_file_minidump_x")));
    assert_null(schema_find(&fields_builtin.processed, STR("upload_file_minidump")));
}

struct dir {
    char path[64];
};

static int make_dir(void **state)
{
    struct dir *d = xcalloc(1, sizeof *d);
    snprintf(d->path, sizeof d->path, "/tmp/datil-test-XXXXXX");
    *state = d;
    return mkdtemp(d->path) ? 0 : -1;
}

static int drop_dir(void **state)
{
    struct dir *d = *state;
    struct err err = {0};
    fs_remove_tree(d->path, &err);
    free(d);
    return 0;
}

static void test_shipped_products(void **state)
{
    struct dir *d = *state;
    struct products p = {0};
    struct err err = {0};
    if (!products_load(d->path, &p, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(p.n, product_file_count);
    assert_string_equal(p.v[0].name, "Firefox");
    assert_string_equal(p.v[1].name, "Fenix");
    assert_string_equal(p.v[1].package_names[2], "org.mozilla.fenix");
    assert_null(p.v[1].package_names[3]);
    assert_string_equal(p.v[1].version_urls[0], "product_details");
    assert_non_null(products_find(&p, STR("Crashme")));
    assert_non_null(products_find(&p, STR("Firefox Enterprise")));
    assert_null(products_find(&p, STR("firefox")));
    products_release(&p);
}

static void test_add_remove(void **state)
{
    struct dir *d = *state;
    struct products p = {0};
    struct err err = {0};
    assert_true(products_load(d->path, &p, &err));
    int64_t stamp = p.stamp;
    if (!product_add(d->path, "My App/2 \"x\"", NULL, &err))
        fail_msg("%s", err.msg);
    assert_true(products_refresh(&p, &err));
    assert_true(p.stamp != stamp);
    assert_string_equal(p.v[p.n - 1].name, "My App/2 \"x\"");
    assert_false(product_add(d->path, "Firefox", "", &err));
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_false(product_add(d->path, "a\nb", "", &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_false(product_add(d->path, "", "", &err));
    json_auto_t *alias = json_pack("{s:[s]}", "aliases", "Firefox ESR");
    assert_true(product_change(d->path, "Firefox", alias, &err));
    assert_false(product_change(d->path, "My App/2 \"x\"", alias, &err));
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_false(product_add(d->path, "Firefox ESR", "", &err));
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_true(product_remove(d->path, "My App/2 \"x\"", &err));
    assert_false(product_remove(d->path, "My App/2 \"x\"", &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_true(products_refresh(&p, &err));
    assert_int_equal(p.n, product_file_count);
    products_release(&p);
}

static const struct {
    const char *label, *json, *want; /* want: part of the message */
} bad_files[] = {
    {"not JSON", "{", "x.json"},
    {"not an object", "[]", "not a JSON object"},
    {"unknown key", "{\"name\":\"a\",\"description\":\"b\",\"home_page_sort\":1,\"sort\":1}",
     "unknown key 'sort'"},
    {"no name", "{\"description\":\"b\",\"home_page_sort\":1}", "name: this key is required"},
    {"empty name", "{\"name\":\"\",\"description\":\"b\",\"home_page_sort\":1}",
     "name: wrong type"},
    {"sort is text", "{\"name\":\"a\",\"description\":\"b\",\"home_page_sort\":\"1\"}",
     "home_page_sort: wrong type"},
    {"link of three",
     "{\"name\":\"a\",\"description\":\"b\",\"home_page_sort\":1,"
     "\"bug_links\":[[\"a\",\"b\",\"c\"]]}",
     "bug_links: wrong type"},
    {"versions of numbers",
     "{\"name\":\"a\",\"description\":\"b\",\"home_page_sort\":1,"
     "\"featured_versions\":[\"1\",2]}",
     "featured_versions: wrong type"},
    {"same name twice", "{\"name\":\"Firefox\",\"description\":\"b\",\"home_page_sort\":1}",
     "has it already"},
};

/* Strangers choose the name, an administrator pastes the line. */
static void test_add_command(void **state)
{
    static const struct {
        const char *name, *want;
    } cases[] = {
        {"Firefox", "datil product add Firefox"},
        {"My App", "datil product add 'My App'"},
        {"x; rm -rf ~", "datil product add 'x; rm -rf ~'"},
        {"$(id)`id`\\", "datil product add '$(id)`id`\\'"},
        {"it's", "datil product add 'it'\\''s'"},
        {"--help", "datil product add -- --help"},
        {"Größe", "datil product add 'Größe'"},
        {"", NULL},
        {" x", NULL},
        {"a\nb", NULL},
        {"cut\xEF\xBF\xBD", NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        FREE_LATER char *got = product_add_command(cases[i].name);
        if ((got == NULL) != (cases[i].want == NULL) || (got && strcmp(got, cases[i].want) != 0))
            fail_msg("'%s': got %s", cases[i].name, got ? got : "nothing");
    }
}

static void test_bad_files(void **state)
{
    struct dir *d = *state;
    struct products p = {0};
    struct err err = {0};
    assert_true(products_load(d->path, &p, &err));
    char path[128];
    snprintf(path, sizeof path, "%s/config/products/x.json", d->path);
    for (size_t i = 0; i < ARRAY_LEN(bad_files); i++) {
        assert_true(
            fs_write_atomic(path, bad_files[i].json, strlen(bad_files[i].json), 0644, &err));
        struct err why = {0};
        if (products_refresh(&p, &why) || why.code != ERR_INVALID ||
            !strstr(why.msg, bad_files[i].want))
            fail_msg("%s: %s", bad_files[i].label, why.msg);
        assert_int_equal(p.n, product_file_count); /* the old set stays */
    }
    static const char good[] =
        "{\"_comment\":\"x\",\"name\":\"a\",\"description\":\"b\",\"home_page_sort\":0}";
    assert_true(fs_write_atomic(path, good, strlen(good), 0644, &err));
    assert_true(products_refresh(&p, &err));
    assert_string_equal(p.v[0].name, "a");
    products_release(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_id_valid),
        cmocka_unit_test(test_id_new),
        cmocka_unit_test(test_id_parse),
        cmocka_unit_test(test_tables_sorted),
        cmocka_unit_test(test_annotation_rows),
        cmocka_unit_test(test_protected_fields),
        cmocka_unit_test(test_schema),
        cmocka_unit_test_setup_teardown(test_shipped_products, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(test_add_remove, make_dir, drop_dir),
        cmocka_unit_test(test_add_command),
        cmocka_unit_test_setup_teardown(test_bad_files, make_dir, drop_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
