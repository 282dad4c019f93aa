/* Rows of an installation: what a file may say, and that a table is a value of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "lib/base/fs.h"
#include "lib/base/util.h"
#include "lib/crash/field.h"
#include "lib/crash/reduce.h"

static char dir[] = "/tmp/datil-test-XXXXXX";

static bool load(const char *text, const struct field_table **ret, struct err *err)
{
    char path[64];
    snprintf(path, sizeof path, "%s/config/fields.tsv", dir);
    assert_true(fs_write_atomic(path, text, strlen(text), 0600, err));
    return fields_load(dir, ret, err);
}

#define ANNOTATION "annotation\tMyState\tstr\tpub\t-\twhat it was doing\n"
#define SECRET     "annotation\tMySecret\tstr\tprot\t-\tsecret\n"

static const struct {
    const char *label, *text, *want; /* part of the message */
} bad[] = {
    {"unknown kind", "field\tx\n", "fields.tsv:1: unknown kind"},
    {"columns", "# c\n\nannotation\tX\n", "fields.tsv:3: annotation has 6 columns"},
    {"too many columns", "a\t\t\t\t\t\t\t\t\t\t\n", "more than 9"},
    {"known annotation", "annotation\tURL\tstr\tpub\t-\tx\n", "known already"},
    {"twice", ANNOTATION ANNOTATION, "fields.tsv:2: annotation MyState is known"},
    {"name with a blank", "annotation\tA B\tstr\tpub\t-\tx\n", "not an annotation name"},
    {"permission", "annotation\tX\tstr\tpublic\t-\tx\n", "say pub or prot"},
    {"type", "annotation\tX\ttext\tpub\t-\tx\n", "type 'text'"},
    {"default", "annotation\tX\tstr\tpub\tno\tx\n", "not JSON"},
    {"known key", ANNOTATION "key\tprocessed\turl\tstr\tpub\tCopyFromRawCrash\tMyState\t-\n",
     "key url is known"},
    {"key of a pattern",
     ANNOTATION "key\tprocessed\tupload_file_minidump_x\tstr\tpub\tCopyFromRawCrash\tMyState\t-\n",
     "known already"},
    {"nested", "key\tjson_dump\tx\tstr\tpub\tCopyFromRawCrash\tMyState\t-\n", "only 'processed'"},
    {"built-in annotation", "key\tprocessed\tx\tstr\tpub\tCopyFromRawCrash\tURL\t-\n",
     "URL is no annotation of this file"},
    {"protected made public",
     SECRET "key\tprocessed\tmy_secret\tstr\tpub\tCopyFromRawCrash\tMySecret\t-\n",
     "its key must be too"},
    {"copied twice",
     ANNOTATION "key\tprocessed\tx\tstr\tpub\tCopyFromRawCrash\tMyState\t-\n"
                "key\tprocessed\ty\tstr\tpub\tCopyFromRawCrash\tMyState\t-\n",
     "copied twice"},
    {"structured", ANNOTATION "key\tprocessed\tx\tobj\tpub\tCopyFromRawCrash\tMyState\t-\n",
     "say str, int, num or bool"},
    {"no source", "search\tmy_state\tstring\tstr\tkeyword\t-\t=\t-\tx\n", "no key my_state"},
    {"known field", "search\turl\tstring\tstr\tkeyword\t-\t=\t-\tx\n", "url is known"},
    {"name of a field", "search\t../x\tstring\tstr\tkeyword\t-\turl\t-\tx\n", "lower-case"},
    {"long name",
     "search\tmy_state_of_the_application_when_the_user_last_looked_at_it\tstring\tstr\tkeyword\t-"
     "\t"
     "url\t-\tx\n",
     "at most 55"},
    {"index kind", "search\tx\tstring\tstr\twhole\t-\turl\t-\tx\n", "index kind 'whole'"},
    {"index of another type", "search\tx\tbool\tbool\tkeyword\t-\tsafe_mode\t-\tx\n",
     "an index of kind keyword cannot hold values of type bool"},
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = {0};
        const struct field_table *fields = NULL;
        if (load(bad[i].text, &fields, &err) || fields || err.code != ERR_INVALID ||
            !strstr(err.msg, bad[i].want))
            fail_msg("%s: %s", bad[i].label, err.msg);
    }
}

static void test_too_many(void **state)
{
    (void)state;
    STRBUF_AUTO text = {0};
    struct err err = {0};
    const struct field_table *fields;
    sb_init(&text, 1 << 16);
    size_t room = SEARCH_FIELDS_MAX - fields_builtin.search_count;
    for (size_t i = 0; i < room; i++)
        sb_printf(&text, "search\tx%zu\tstring\tstr\tkeyword\t-\turl\t-\tx\n", i);
    if (!load(sb_cstr(&text), &fields, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(fields->search_count, SEARCH_FIELDS_MAX);
    fields_free(fields);
    sb_text(&text, "search\ty\tstring\tstr\tkeyword\t-\turl\t-\tx\n");
    assert_false(load(sb_cstr(&text), &fields, &err));
    assert_int_equal(err.code, ERR_TOO_LARGE);
}

static void check_order(const struct field_table *fields)
{
    for (size_t i = 0; i < fields->search_count; i++) {
        assert_int_equal(fields->search[i].id, i);
        assert_true(i == 0 || strcmp(fields->search[i - 1].name, fields->search[i].name) < 0);
    }
    assert_string_equal(fields->uuid->name, "uuid");
    assert_ptr_equal(fields->uuid, &fields->search[fields->uuid->id]);
    assert_string_equal(fields->date->name, "date");
    assert_ptr_equal(fields->date, &fields->search[fields->date->id]);
}

static void test_good(void **state)
{
    (void)state;
    struct err err = {0};
    const struct field_table *fields;
    if (!load("# ours\n\n" ANNOTATION SECRET
              "key\tprocessed\tmy_state\tint\tpub\tCopyFromRawCrash\tMyState\t-\n"
              "key\tprocessed\tmy_secret\tstr\tprot\tCopyFromRawCrash\tMySecret\t-\n"
              "search\tmy_state\tinteger\tint\tlong\t-\t=\t-\tState\n"
              "search\tsecret\tstring\tstr\ttext\tfull\tmy_secret\ta,b\tSecret\n"
              "search\tmy_pid\tinteger\tint\tlong\t-\tjson_dump.pid\t-\tProcess\n",
              &fields, &err))
        fail_msg("%s", err.msg);
    const struct annotation *a = annotation_find(fields, STR("MyState"));
    assert_int_equal(a->copy, COPY_INT);
    assert_string_equal(a->processed_key, "my_state");
    assert_int_equal(search_field_find(fields, STR("secret"))->perm, PERM_PROTECTED);
    assert_int_equal(search_field_find(fields, STR("my_pid"))->perm, PERM_PUBLIC);
    assert_true(reduce_may_see(fields, STR("my_state"), PERM_PUBLIC));
    assert_false(reduce_may_see(fields, STR("my_secret"), PERM_PUBLIC));
    assert_non_null(annotation_find(fields, STR("URL")));
    assert_int_equal(fields->search_count, fields_builtin.search_count + 3);
    check_order(fields);
    fields_free(fields);
}

/* The built-in table is as it was, whatever was loaded; without a file a new table is its copy. */
static void test_builtin(void **state)
{
    (void)state;
    struct err err = {0};
    const struct field_table *fields;
    char path[64];
    snprintf(path, sizeof path, "%s/nowhere", dir);
    assert_true(fields_load(path, &fields, &err));
    assert_int_equal(fields->annotation_count, fields_builtin.annotation_count);
    assert_int_equal(fields->search_count, fields_builtin.search_count);
    assert_int_equal(fields->processed.n, fields_builtin.processed.n);
    assert_null(annotation_find(&fields_builtin, STR("MyState")));
    assert_false(reduce_may_see(&fields_builtin, STR("my_state"), PERM_PROTECTED));
    check_order(fields);
    check_order(&fields_builtin);
    fields_free(fields);
}

static int setup(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    struct err err = {0};
    fs_remove_tree(dir, &err);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_builtin),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
