/* The export record and the keys that versions are sorted by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "lib/base/util.h"
#include "lib/crash/field.h"
#include "lib/crash/telemetry.h"
#include "lib/crash/version_key.h"
#include "tests/unit/json_doc.h"

static const struct {
    const char *version, *key; /* NULL: no version */
} versions[] = {
    {"63.0b4", "63.0.0-beta.4.rc.999"},
    {"60.2.0esr", "60.2.0-xsr.rc.999"},
    {"62.0rc1", "62.0.0-release.rc.1"},
    {"63.0b", "63.0.0-beta.rc.999"},
    {"63.0b4rc2", "63.0.0-beta.4.rc.2"},
    {"64.0a1", "64.0.0-alpha.1.rc.999"},
    {"64.0a7", "64.0.0-alpha.1.rc.999"},
    {"128", "128.0.0-release.rc.999"},
    {"128.0", "128.0.0-release.rc.999"},
    {"128.0.1", "128.0.1-release.rc.999"},
    {"128.0.1.7", "128.0.1-release.rc.999"},
    {"1.2.3-beta.1", "1.2.3-beta.1"},
    {"1.2.3--", "1.2.3--"},
    {"1.2.3-01", NULL},
    {"01.2.3", "1.2.3-release.rc.999"},
    {"", NULL},
    {".", NULL},
    {"1..2", NULL},
    {"1.2.3-", NULL},
    {"1.2.3-a..b", NULL},
    {"1.0aa", NULL},
    {"1.0b1b2", NULL},
    {"1.0rc1rc2", NULL},
    {"1.0rc", NULL},
    {"1.0rcx", NULL},
    {"1.0bx", NULL},
    {"Nightly 1", NULL},
    {"1.0 ", NULL},
    {"99999999999999999999", NULL},
    {"18446744073709551615", "18446744073709551615.0.0-release.rc.999"},
};

static void test_version_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        char key[VERSION_KEY_MAX] = "";
        bool ok = version_key(str_of(versions[i].version), key);
        const char *want = versions[i].key;
        if (ok != !!want || (want && strcmp(key, want) != 0))
            fail_msg("%s: %s", versions[i].version, ok ? key : "no version");
    }
}

static void test_long_version(void **state)
{
    (void)state;
    char text[400], key[VERSION_KEY_MAX];
    memset(text, 'x', sizeof text);
    memcpy(text, "1.2.3-", 6);
    assert_false(version_key(str_n(text, sizeof text), key));
    assert_true(version_key(str_n(text, VERSION_KEY_MAX - 1), key));
    assert_int_equal(strlen(key), VERSION_KEY_MAX - 1);
}

/* Bytes of the keys sort as releases follow each other; a beta is below its release. */
static void test_version_order(void **state)
{
    (void)state;
    static const char *const ascending[] = {
        "9.0",     "10.0a1",    "10.0b1",    "10.0b2",    "10.0b10", "10.0b",
        "10.0rc1", "10.0rc2",   "10.0rc10",  "10.0",      "10.0esr", "10.0.1b1",
        "10.0.1",  "10.0.2",    "10.0.10",   "10.1",      "100.0",   "146.0b3",
        "146.0",   "200.1.1-1", "200.1.1-2", "200.1.1-a", "200.1.1", "18446744073709551615",
    };
    char key[VERSION_SORT_MAX], before[VERSION_SORT_MAX] = "";
    for (size_t i = 0; i < ARRAY_LEN(ascending); i++) {
        assert_true(version_sort_key(str_of(ascending[i]), key));
        if (strcmp(before, key) >= 0)
            fail_msg("%s: %s is not behind %s", ascending[i], key, before);
        memcpy(before, key, sizeof key);
    }
    assert_false(version_sort_key(STR("Nightly"), key));
    char text[VERSION_KEY_MAX - 1]; /* every part as short as can be, so that marks are most */
    memcpy(text, "1.2.3-", 6);
    for (size_t i = 6; i < sizeof text; i++)
        text[i] = i % 2 ? '.' : '1';
    assert_true(version_sort_key(str_n(text, sizeof text), key));
    assert_true(strlen(key) < VERSION_SORT_MAX);
}

static const struct {
    const char *label, *in, *want;
    size_t rejected;
} records[] = {
    {"unknown and protected keys", "{'url':'u','user_comments':'c','secret':1,'product':'P'}",
     "{'product':'P'}", 0},
    {"protected keys that the schema names", "{'memory_report':{},'submitted_from_infobar':true}",
     "{}", 0},
    {"names of the export",
     "{'build':'1','date_processed':'d','os_name':'Linux','os_pretty_version':'p',"
     "'os_version':'v'}",
     "{'build_id':'1','date':'d','platform':'Linux','platform_pretty_version':'p',"
     "'platform_version':'v'}",
     0},
    {"as text",
     "{'accessibility':true,'safe_mode':false,'oom_allocation_size':65536,"
     "'total_physical_memory':17179869184}",
     "{'accessibility':'1','safe_mode':'0','oom_allocation_size':'65536',"
     "'total_physical_memory':'17179869184'}",
     0},
    {"wrong types are left out and counted", "{'uptime':'x','product':1,'version':'1'}",
     "{'version':'1'}", 2},
    {"null stays", "{'reason':null,'last_crash':null}", "{'reason':null,'last_crash':null}", 0},
    {"dump",
     "{'json_dump':{'pid':7,'status':'OK','handles':[1],'crash_info':{'address':'0x0','type':'t',"
     "'instruction':'ret'},'modules':[{'filename':'f','cert_subject':'c'}],'threads':[{'frames':"
     "[{'frame':0,'trust':'cfi','function':'f','registers':{'rip':'0x0'}}],'thread_name':'n'}]}}",
     "{'json_dump':{'pid':7,'status':'OK','crash_info':{'address':'0x0','type':'t'},"
     "'modules':[{'filename':'f'}],'threads':[{'frames':[{'frame':0,'function':'f'}]}]}}",
     0},
};

static void test_records(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(records); i++) {
        json_auto_t *in = doc(records[i].in);
        json_auto_t *before = json_deep_copy(in);
        json_auto_t *want = doc(records[i].want);
        size_t rejected;
        json_auto_t *got = telemetry_record(&fields_builtin, in, &rejected);
        FREE_LATER char *text = jdump(got, NULL);
        if (!json_equal(got, want) || rejected != records[i].rejected)
            fail_msg("%s: %s, %zu rejected", records[i].label, text, rejected);
        assert_true(json_equal(in, before));
    }
}

static void test_ten_frames(void **state)
{
    (void)state;
    json_t *frames = json_array();
    for (int i = 0; i < 25; i++)
        json_array_append_new(frames, json_pack("{s:i}", "frame", i));
    json_auto_t *in = json_pack("{s:{s:{s:o, s:i}}}", "json_dump", "crashing_thread", "frames",
                                frames, "threads_index", 0);
    json_auto_t *record = telemetry_record(&fields_builtin, in, NULL);
    const json_t *kept = jpath(record, "json_dump.crashing_thread.frames");
    assert_int_equal(json_array_size(kept), TELEMETRY_FRAMES_MAX);
    assert_int_equal(json_array_size(frames), 25);
}

static void check_sorted(const struct schema_shape *shape)
{
    for (size_t i = 0; i < shape->n; i++) {
        if (i > 0 && strcmp(shape->keys[i - 1].name, shape->keys[i].name) >= 0)
            fail_msg("%s: %s is not sorted", shape->name, shape->keys[i].name);
        if (shape->keys[i].shape)
            check_sorted(shape->keys[i].shape);
    }
}

static void test_tables_are_sorted(void **state)
{
    (void)state;
    check_sorted(&telemetry_shape);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version_keys), cmocka_unit_test(test_version_order),
        cmocka_unit_test(test_long_version), cmocka_unit_test(test_records),
        cmocka_unit_test(test_ten_frames),   cmocka_unit_test(test_tables_are_sorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
