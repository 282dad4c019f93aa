#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "lib/base/util.h"
#include "lib/crash/reduce.h"
#include "lib/crash/schema.h"
#include "tests/unit/json_doc.h"

static const struct {
    const char *label, *in, *pub, *prot;
    size_t rejected; /* by the protected reader, who sees every known key */
} cases[] = {
    {"empty", "{}", "{}", "{}", 0},
    {"unknown at the top", "{'product':'A','secret':'x','':1,'Product':2}", "{'product':'A'}",
     "{'product':'A'}", 0},
    {"protected at the top", "{'url':'http://x','user_comments':'y','os_name':'L'}",
     "{'os_name':'L'}", "{'os_name':'L','url':'http://x','user_comments':'y'}", 0},
    {"wrong type", "{'product':1,'version':['1'],'uptime':'5','uptime_ts':3,'crash_time':1.5}",
     "{'uptime_ts':3}", "{'uptime_ts':3}", 4},
    {"null where allowed and where not", "{'reason':null,'product':null}", "{'reason':null}",
     "{'reason':null}", 1},
    {"boolean is no integer", "{'cpu_count':true,'success':1}", "{}", "{}", 2},
    {"guard page",
     "{'json_dump':{'crash_info':{'memory_accesses':[{'address':'0x1','size':8,"
     "'is_likely_guard_page':true,'access_type':'read'}],'adjusted_address':{'kind':'x'}},"
     "'handles':[1],'thread_id':1}}",
     "{'json_dump':{'crash_info':{'memory_accesses':[{'address':'0x1','size':8}]}}}",
     "{'json_dump':{'crash_info':{'memory_accesses':[{'address':'0x1','is_likely_guard_page':true,"
     "'size':8}]}}}",
     0},
    {"symbols that are wanted: all that the rule writes, and nothing else",
     "{'symbols_wanted':[{'filename':'a','debug_file':'a','debug_id':'AB1','code_id':null,'version'"
     ":"
     "null,'state':'missing','frames':1,'crashing_frames':1,'command':'c','asked':[{'source':'s',"
     "'answer':'not found','url':'http://u:p@h'}],'path':'/home/me'}]}",
     "{'symbols_wanted':[{'filename':'a','debug_file':'a','debug_id':'AB1','code_id':null,'version'"
     ":"
     "null,'state':'missing','frames':1,'crashing_frames':1,'command':'c','asked':[{'source':'s',"
     "'answer':'not found'}]}]}",
     "{'symbols_wanted':[{'filename':'a','debug_file':'a','debug_id':'AB1','code_id':null,'version'"
     ":"
     "null,'state':'missing','frames':1,'crashing_frames':1,'command':'c','asked':[{'source':'s',"
     "'answer':'not found'}]}]}",
     0},
    {"registers, in the crashing thread and in others",
     "{'json_dump':{'crashing_thread':{'frames':[{'frame':0,'registers':{'rip':'0x1'}}]},"
     "'threads':[{'thread_id':7,'frames':[{'frame':0,'registers':{'rip':'0x1'},'evil':{}}]}]}}",
     "{'json_dump':{'crashing_thread':{'frames':[{'frame':0}]},'threads':[{'frames':[{'frame':0}]}"
     "]}}",
     "{'json_dump':{'crashing_thread':{'frames':[{'frame':0,'registers':{'rip':'0x1'}}]},"
     "'threads':[{'frames':[{'frame':0,'registers':{'rip':'0x1'}}]}]}}",
     0},
    {"inlines keep known keys only",
     "{'json_dump':{'threads':[{'frames':[{'inlines':[{'function':'f','x':1}],"
     "'unloaded_modules':[{'module':'m','offsets':['0x1'],'y':2}],'truncated':{'msg':'m','z':3}}]}]"
     "}}",
     "{'json_dump':{'threads':[{'frames':[{'inlines':[{'function':'f'}],'truncated':{'msg':'m'},"
     "'unloaded_modules':[{'module':'m','offsets':['0x1']}]}]}]}}",
     NULL, 0},
    {"java exception value",
     "{'java_exception':{'exception':{'values':[{'stacktrace':{'module':'a','type':'T',"
     "'value':'secret','frames':[{'function':'f','vars':'secret'}]},'value':'secret'}],"
     "'mechanism':'secret'}}}",
     "{'java_exception':{'exception':{'values':[{'stacktrace':{'frames':[{'function':'f'}],"
     "'module':'a','type':'T'}}]}}}",
     "{'java_exception':{'exception':{'values':[{'stacktrace':{'frames':[{'function':'f'}],"
     "'module':'a','type':'T','value':'secret'}}]}}}",
     0},
    {"additional dump of any name",
     "{'upload_file_minidump_content':{'json_dump':{'pid':1,'mac_boot_args':'x'},'mdsw_stderr':'s',"
     "'success':true},'upload_file_minidump':{'json_dump':{}}}",
     "{'upload_file_minidump_content':{'json_dump':{'pid':1},'success':true}}",
     "{'upload_file_minidump_content':{'json_dump':{'mac_boot_args':'x','pid':1},'mdsw_stderr':'s',"
     "'success':true}}",
     0},
    {"element of a wrong type takes its list along",
     "{'addons':['a',{'b':'secret'}],'product':'p'}", "{'product':'p'}", "{'product':'p'}", 1},
    {"null frame", "{'json_dump':{'pid':1,'threads':[{'frames':[null]}]}}",
     "{'json_dump':{'pid':1,'threads':[{}]}}", NULL, 1},
    {"map values",
     "{'telemetry_environment':{'settings':{'userPrefs':{'a':1,'b':{'c':'secret'},"
     "'d':null}},'experiments':{'e1':{'branch':'b','x':1},'e2':'secret'},'x':{}}}",
     "{'telemetry_environment':{'experiments':{'e1':{'branch':'b'}},'settings':{'userPrefs':"
     "{'a':1,'d':null}}}}",
     NULL, 2},
    {"wholly protected objects",
     "{'breadcrumbs':[{'message':'m'}],'memory_report':{'version':1},"
     "'collector_metadata':{'user_agent':'u'}}",
     "{}",
     "{'breadcrumbs':[{'message':'m'}],'collector_metadata':{'user_agent':'u'},"
     "'memory_report':{'version':1}}",
     0},
    {"an object where a list should be",
     "{'json_dump':{'threads':{'0':{'frames':[]}},'modules':'x'}}", "{'json_dump':{}}", NULL, 2},
    {"not an object", "['signature']", "{}", NULL, 0},
};

static void compare(const char *label, const char *reader, const json_t *got, const char *want)
{
    json_auto_t *expected = doc(want);
    if (!json_equal((json_t *)got, expected)) {
        FREE_LATER char *text = json_dumps(got, JSON_SORT_KEYS | JSON_COMPACT);
        fail_msg("%s, %s reader: %s", label, reader, text);
    }
}

static void test_processed(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_auto_t *in = doc(cases[i].in);
        json_auto_t *before = json_deep_copy(in);
        size_t rejected;
        json_auto_t *pub = reduce_processed(&fields_builtin, in, PERM_PUBLIC, NULL);
        json_auto_t *prot = reduce_processed(&fields_builtin, in, PERM_PROTECTED, &rejected);
        compare(cases[i].label, "public", pub, cases[i].pub);
        compare(cases[i].label, "protected", prot, cases[i].prot ? cases[i].prot : cases[i].pub);
        if (rejected != cases[i].rejected)
            fail_msg("%s: %zu rejected", cases[i].label, rejected);
        assert_true(json_equal(in, before));
    }
}

static const struct {
    const char *label, *in, *pub;
    size_t rejected;
} raw_cases[] = {
    {"unknown is protected", "{'ProductName':'A','MyKey':'x','productname':'y'}",
     "{'ProductName':'A'}", 0},
    {"protected", "{'URL':'u','Comments':'c','JavaStackTrace':'j','MozCrashReason':'m','OS':'o'}",
     "{'OS':'o'}", 0},
    {"metadata", "{'metadata':{'user_agent':'u'},'uuid':'i','version':2}",
     "{'uuid':'i','version':2}", 0},
    {"plain values", "{'SafeMode':true,'ReleaseChannel':null,'UptimeTS':1.5,'BuildID':20200101}",
     "{'SafeMode':true,'ReleaseChannel':null,'UptimeTS':1.5,'BuildID':20200101}", 0},
    {"objects and lists", "{'Notes':{'a':'b'},'Vendor':['x'],'Hang':'ui'}", "{'Hang':'ui'}", 2},
};

static void test_raw(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(raw_cases); i++) {
        json_auto_t *in = doc(raw_cases[i].in);
        size_t rejected;
        json_auto_t *pub = reduce_raw(&fields_builtin, in, PERM_PUBLIC, &rejected);
        json_auto_t *prot = reduce_raw(&fields_builtin, in, PERM_PROTECTED, NULL);
        compare(raw_cases[i].label, "public", pub, raw_cases[i].pub);
        assert_true(json_equal(prot, in));
        assert_int_equal(rejected, raw_cases[i].rejected);
    }
}

static const struct {
    const char *path;
    bool pub, prot;
} paths[] = {
    {"signature", true, true},
    {"url", false, true},
    {"json_dump", true, true},
    {"json_dump.pid", true, true},
    {"json_dump.handles", false, false},
    {"json_dump.soft_errors", false, true},
    {"json_dump.crash_info.memory_accesses.is_likely_guard_page", false, true},
    {"json_dump.threads.frames.registers", false, true},
    {"json_dump.threads.frames.registers.rip", false, true},
    {"json_dump.threads.frames.function", true, true},
    {"collector_metadata.user_agent", false, true},
    {"telemetry_environment.experiments.any-name.branch", true, true},
    {"telemetry_environment.experiments.any-name.secret", false, false},
    {"telemetry_environment.settings.userPrefs.a.b", false, false},
    {"breadcrumbs.data.k.deeper", false, true},
    {"upload_file_minidump_browser.mdsw_stderr", false, true},
    {"signature.x", false, false},
    {"", false, false},
    {".", false, false},
    {"json_dump.", false, false},
    {"nothing", false, false},
};

static void test_may_see(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct str p = str_of(paths[i].path);
        if (reduce_may_see(&fields_builtin, p, PERM_PUBLIC) != paths[i].pub ||
            reduce_may_see(&fields_builtin, p, PERM_PROTECTED) != paths[i].prot)
            fail_msg("'%s'", paths[i].path);
    }
}

/* Every search field may be seen by exactly those its permission says. */
static void test_search_fields_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < fields_builtin.search_count; i++) {
        struct str p = str_of(fields_builtin.search[i].source_key);
        if (reduce_may_see(&fields_builtin, p, PERM_PUBLIC) !=
                (fields_builtin.search[i].perm == PERM_PUBLIC) ||
            !reduce_may_see(&fields_builtin, p, PERM_PROTECTED))
            fail_msg("%s", fields_builtin.search[i].name);
    }
}

/* A document nested as deep as the parser allows, inside known keys. */
static void test_deep(void **state)
{
    (void)state;
    json_t *v = json_string("bottom");
    for (int i = 0; i < 60; i++)
        v = json_pack("{s:o}", i % 2 ? "json_dump" : "crash_info", v);
    json_auto_t *in = v;
    json_auto_t *out = reduce_processed(&fields_builtin, in, PERM_PROTECTED, NULL);
    compare("deep", "protected", out, "{'json_dump':{'crash_info':{}}}");
}

static void test_misfit(void **state)
{
    (void)state;
    const struct schema_key *k =
        schema_find(&fields_builtin.processed, STR("telemetry_environment"));
    json_auto_t *good = doc("{'build':{'buildId':'1'},'unknown':{'buildId':1}}");
    json_auto_t *bad = doc("{'system':{'gfx':{'adapters':[{'RAM':'many'}]}}}");
    json_auto_t *pref = doc("{'settings':{'userPrefs':{'x.y':[]}}}");
    assert_null(schema_misfit(k, good));
    assert_string_equal(schema_misfit(k, bad), "RAM");
    assert_string_equal(schema_misfit(k, pref), "userPrefs");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_processed), cmocka_unit_test(test_raw),
        cmocka_unit_test(test_may_see),   cmocka_unit_test(test_search_fields_agree),
        cmocka_unit_test(test_deep),      cmocka_unit_test(test_misfit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
