/*
 * What becomes of pings: odd and hostile values of each form, one row each, and what the document
 * says then.  That nothing else gets into it is looked at over all rows: its names are those of the
 * native form.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/ping/ping.h"
#include "lib/ping/sampling.h"

enum { ARENA_BYTES = 64 << 20 };

static json_t *doc_of(const char *body, bool *ret_has_content)
{
    struct arena a;
    struct err err = {0};
    json_t *doc = NULL;
    const struct ping_given given = {0};
    arena_init(&a, ARENA_BYTES);
    json_auto_t *v = jparse_given(str_of(body), JSON_BYTES_MAX, &err);
    assert_non_null(v);
    assert_true(ping_read(&a, v, &given, &doc, ret_has_content, &err));
    arena_release(&a);
    return doc;
}

#define N(member, value)     "{\"" member "\": " value "}"
#define G(kind, name, value) "{\"metrics\": {\"" kind "\": {\"" name "\": " value "}}}"
#define L(member, value)     "{\"payload\": {\"" member "\": " value "}}"
#define LM(member, value)    "{\"payload\": {\"metadata\": {\"" member "\": " value "}}}"
#define S(traces)            "{\"stack_traces\": " traces "}"

static const struct {
    const char *body, *path, *expected; /* JSON, or NULL: the member is not there */
} cases[] = {
    {N("document_id", "\"0A1B2C3D-0000-4000-8000-00000000000F\""), "document_id",
     "\"0a1b2c3d-0000-4000-8000-00000000000f\""},
    {N("version", "121"), "version", "\"121\""},
    {N("version", "[1]"), "version", "\"\""},
    {N("version", "\"a\\u0000b\\nc\""), "version", "\"ab c\""},
    {N("channel", "\"Nightly\""), "channel", "\"nightly\""},
    {N("channel", "\"default\""), "channel", "\"unknown\""},
    {"{\"channel\": \"release\", \"version\": \"115.3esr\"}", "channel", "\"esr\""},
    {"{}", "channel", "\"unknown\""},
    {"{}", "process_type", "\"main\""},
    {"{}", "os", "\"Other\""},
    {N("os", "\"Darwin\""), "os", "\"Mac\""},
    {N("os", "\"WINNT\""), "os", "\"Windows\""},
    {N("os", "\"Plan 9\""), "os", "\"Other\""},
    {N("arch", "\"x86-64\""), "arch", "\"amd64\""},
    {N("arch", "\"riscv64\""), "arch", "\"riscv64\""},
    {N("process_type", "\"parent\""), "process_type", "\"main\""},
    {N("process_type", "\"web\""), "process_type", "\"content\""},
    {N("process_type", "\"\""), "process_type", "\"main\""},
    {"{\"process_type\": \"utility\", \"utility_actors\": [\"js-oracle\", 3]}", "utility_actors",
     "[\"js-oracle\"]"},
    {N("utility_actors", "[\"js-oracle\"]"), "utility_actors", NULL},
    {N("crash_time", "\"2026-01-01T23:59:59-05:00\""), "crash_time", "\"2026-01-02T04:00:00Z\""},
    {N("crash_time", "\"2026-01-01\""), "crash_time", "\"2026-01-01T00:00:00Z\""},
    {N("crash_time", "\"yesterday\""), "crash_time", NULL},
    {N("startup_crash", "\"1\""), "startup_crash", "true"},
    {N("startup_crash", "1"), "startup_crash", NULL},
    {N("uptime", "12.34567"), "uptime", "12.346"},
    {N("uptime", "-1"), "uptime", NULL},
    {N("uptime", "1e300"), "uptime", NULL},
    {N("uptime", "\"nan\""), "uptime", NULL},
    {G("timespan", "crash.uptime", "{\"value\": 2, \"time_unit\": \"minute\"}"), "uptime", "120"},
    {G("timespan", "environment_uptime", "{\"value\": 2000000000, \"time_unit\": \"nanosecond\"}"),
     "uptime", "2"},
    {G("timespan", "crash.uptime", "{\"value\": 2, \"time_unit\": \"fortnight\"}"), "uptime", NULL},
    {LM("UptimeTS", "\"12.5\""), "uptime", "12.5"},
    {N("reason", "\"byte index 3 of a private text\""), "reason",
     "\"sanitized--see moz_crash_reason_raw\""},
    {G("string", "crash_moz_crash_reason", "\"MOZ_CRASH(x)\""), "reason", "\"MOZ_CRASH(x)\""},
    {L("moz_crash_reason", "\"MOZ_CRASH(x)\""), "reason", "\"MOZ_CRASH(x)\""},
    {N("oom_size", "-5"), "oom_size", NULL},
    {LM("OOMAllocationSize", "\"4096\""), "oom_size", "4096"},
    {LM("OOMAllocationSize", "\"many\""), "oom_size", NULL},
    {N("async_shutdown_timeout",
       "\"{\\\"phase\\\": \\\"p\\\", \\\"conditions\\\": [{\\\"name\\\": \\\"c\\\", \\\"state\\\": "
       "\\\"secret\\\"}]}\""),
     "async_shutdown_timeout",
     "{\"broken_add_blockers\": [], \"conditions\": [\"c\"], \"phase\": \"p\"}"},
    {N("async_shutdown_timeout", "\"{\""), "async_shutdown_timeout", "\"unreadable\""},
    {N("metadata", "{\"URL\": \"secret\", \"FontName\": \"Arial\"}"), "metadata",
     "{\"FontName\": \"Arial\"}"},
    {N("metadata", "{\"RemoteType\": \"webIsolated=https://a.b\"}"), "metadata",
     "{\"RemoteType\": \"webIsolated\"}"},
    {G("string_list", "dll_blocklist.list", "[\"a.dll\", \"b.dll\"]"), "metadata",
     "{\"BlockedDllList\": \"a.dll;b.dll\"}"},
    {G("string", "crash.url", "\"secret\""), "metadata", NULL},
    {S("{\"crash_address\": \"0xffff\"}"), "crash_address", "\"null page\""},
    {S("{\"crash_address\": \"10000\"}"), "crash_address", "\"other\""},
    {S("{\"crash_address\": \"0xffff800000000000\"}"), "crash_address", "\"other\""},
    {S("{\"crash_address\": \"0x800000000000\"}"), "crash_address", "\"non-canonical\""},
    {S("{\"crash_address\": \"0x12345678901234567\"}"), "crash_address", NULL},
    {S("{\"crash_address\": \"-1\"}"), "crash_address", NULL},
    {S("{\"crash_type\": 11}"), "crash_type", "\"11\""},
    {S("{\"crash_address\": \"0x5\"}"), "stack_traces.threads",
     "[{\"frames\": [{\"ip\": \"0x0000000000000005\"}]}]"},
    {S("{\"crash_thread\": 7, \"crash_address\": \"0x5\", \"threads\": [{\"frames\": [{\"ip\": "
       "\"0x1\"}]}]}"),
     "stack_traces.threads", "[{\"frames\": [{\"ip\": \"0x0000000000000005\"}]}]"},
    {S("{\"threads\": [{\"frames\": [{\"ip\": \"0x1\"}]}]}"), "stack_traces.threads",
     "[{\"frames\": [{\"ip\": \"0x0000000000000001\"}]}]"},
    {S("{\"crashThread\": 1, \"threads\": [{}, {\"frames\": [{\"ip\": \"zz\", \"trust\": \"a "
       "secret\", \"moduleIndex\": 0}]}]}"),
     "stack_traces.threads", "[{\"frames\": [{}]}]"},
    {S("{\"error\": null, \"modules\": [{\"debug_file\": \"C:\\\\a\\\\b.pdb\", \"debug_id\": \"no "
       "id\", \"filename\": \"/home/x/y\"}]}"),
     "stack_traces.modules", "[{\"debug_file\": \"b.pdb\", \"filename\": \"y\"}]"},
    {S("{\"status\": \"OK\"}"), "stack_traces.error", NULL},
    {S("{\"status\": \"no modules\"}"), "stack_traces.error", "\"no modules\""},
    {S("[]"), "stack_traces", NULL},
    {N("java_exception",
       "{\"messages\": [\"java.lang.OutOfMemoryError: secret\"], \"stack\": [{\"className\": "
       "\"C\"}]}"),
     "java_exception", "{\"throwables\": [{\"stack\": [{\"className\": \"C\"}]}]}"},
    {N("java_exception", "{\"messages\": [\"a.bException: secret\"]}"), "java_exception",
     "{\"throwables\": [{\"stack\": [], \"typeName\": \"a.bException\"}]}"},
    {N("java_exception",
       "{\"throwables\": [{\"typeName\": \"a.B\", \"message\": \"secret\", \"stack\": "
       "[{\"methodName\": \"m\", \"line\": 3, \"isNative\": true}]}]}"),
     "java_exception",
     "{\"throwables\": [{\"stack\": [{\"isNative\": true, \"line\": 3, \"methodName\": \"m\"}], "
     "\"typeName\": \"a.B\"}]}"},
};

static const char *const known_names[] = {
    "document_id",
    "product",
    "version",
    "build_id",
    "channel",
    "os",
    "os_version",
    "arch",
    "process_type",
    "startup_crash",
    "utility_actors",
    "crash_time",
    "uptime",
    "reason",
    "ipc_channel_error",
    "oom_size",
    "async_shutdown_timeout",
    "java_exception",
    "stack_traces",
    "crash_type",
    "crash_address",
    "metadata",
};

static void check_names(const json_t *doc)
{
    const char *name;
    json_t *v;
    json_object_foreach ((json_t *)doc, name, v) {
        bool is_known = false;
        for (size_t i = 0; i < ARRAY_LEN(known_names); i++)
            is_known |= strcmp(name, known_names[i]) == 0;
        if (!is_known)
            fail_msg("a member %s", name);
    }
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        bool has_content;
        json_auto_t *doc = doc_of(cases[i].body, &has_content);
        json_auto_t *expected =
            cases[i].expected ? json_loads(cases[i].expected, JSON_DECODE_ANY, NULL) : NULL;
        json_t *v = jpath(doc, cases[i].path);
        FREE_LATER char *whole = jdump(doc, NULL);
        if (!(v ? expected && json_equal(v, expected) : !expected))
            fail_msg("%s: %s, not %s", cases[i].body, whole, cases[i].expected);
        assert_null(strstr(whole, "secret"));
        check_names(doc);
    }
}

static void test_content(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        bool has_content;
    } rows[] = {{"{}", false},
                {N("metadata", "{\"FontName\": \"x\"}"), false},
                {S("{}"), true},
                {S("null"), false},
                {N("reason", "\"MOZ_CRASH(x)\""), true},
                {N("reason", "\"\""), false},
                {N("java_exception", "{}"), true}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bool has_content;
        json_auto_t *doc = doc_of(rows[i].body, &has_content);
        if (has_content != rows[i].has_content)
            fail_msg("%s", rows[i].body);
    }
}

/* Lists as long as a body can hold are cut. */
static void test_limits(void **state)
{
    (void)state;
    bool has_content;
    STRBUF_AUTO body;
    sb_init(&body, 8 << 20);
    sb_text(&body, "{\"stack_traces\": {\"modules\": [");
    for (int i = 0; i < 3000; i++)
        sb_printf(&body, "%s{\"filename\": \"m%d\"}", i ? "," : "", i);
    sb_text(&body, "], \"threads\": [{\"frames\": [");
    for (int i = 0; i < 1500; i++)
        sb_printf(&body, "%s{\"ip\": \"0x%x\", \"module_index\": %d}", i ? "," : "", i, 2 * i);
    sb_text(&body, "]}]}}");
    json_auto_t *doc = doc_of(sb_cstr(&body), &has_content);
    const json_t *frames =
        jget_arr(json_array_get(jpath(doc, "stack_traces.threads"), 0), "frames");
    assert_int_equal(json_array_size(jpath(doc, "stack_traces.modules")), PING_MODULES_MAX);
    assert_int_equal(json_array_size(frames), PING_FRAMES_MAX);
    assert_int_equal(jget_int_or(json_array_get(frames, 999), "module_index", -1), 1998);
}

static void test_ids(void **state)
{
    (void)state;
    char a[PING_ID_SIZE], b[PING_ID_SIZE];
    ping_id_new(a);
    ping_id_new(b);
    assert_string_not_equal(a, b);
    assert_true(ping_id_read(str_of(a), b));
    assert_string_equal(a, b);
    assert_int_equal(a[14], '4');
    assert_false(ping_id_read(STR("0a1b2c3d-0000-4000-8000-00000000000"), b));
    assert_false(ping_id_read(STR("0a1b2c3d+0000-4000-8000-00000000000f"), b));
}

/*
 * The same decision each time, and the right share over many ids: with p = 0.05 of 100,000 the
 * number kept has a standard deviation of 69; six of them are once in half a billion.
 */
static void test_sampling(void **state)
{
    (void)state;
    enum { IDS = 100000, BINS = 20 };
    size_t kept = 0, bins[BINS] = {0};
    for (unsigned i = 0; i < IDS; i++) {
        char id[PING_ID_SIZE];
        snprintf(id, sizeof id, "%08x-0000-4000-8000-000000000000", i);
        kept += sampling_keeps(str_of(id), STR("salt"), 0.05);
        for (size_t b = 0; b < BINS; b++)
            if (sampling_keeps(str_of(id), STR("salt"), (double)(b + 1) / BINS)) {
                bins[b]++;
                break;
            }
        assert_true(sampling_keeps(str_of(id), STR("salt"), 1));
        assert_false(sampling_keeps(str_of(id), STR("salt"), 0));
    }
    assert_in_range(kept, 5000 - 6 * 69, 5000 + 6 * 69);
    double chi = 0;
    for (size_t b = 0; b < BINS; b++)
        chi += ((double)bins[b] - IDS / BINS) * ((double)bins[b] - IDS / BINS) / (IDS / BINS);
    assert_true(chi < 43.8); /* 19 degrees of freedom, p = 0.001; ids and salt are fixed */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),    cmocka_unit_test(test_content),
        cmocka_unit_test(test_limits),   cmocka_unit_test(test_ids),
        cmocka_unit_test(test_sampling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
