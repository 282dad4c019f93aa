/*
 * The rules one by one: what each makes of annotations and dump, and that its row of the table
 * tells the truth.  Every case runs again and again with other inputs: without the keys, and with
 * other values of the keys, that the row does not name as read, which must change nothing; and
 * without each key that it does name, which must change something in at least one case.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <zlib.h>

#include "lib/base/fs.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/crash/field.h"
#include "processor/job.h"
#include "processor/rule_table.h"
#include "processor/rules.h"
#include "tests/unit/json_doc.h"

static struct {
    int exit_code;
    const char *json;
    const char *log;
    int runs;
} fake;

bool walker_run(const struct walker_options *opt, int dump_fd, const json_t *annotations_,
                struct walker_result *ret, struct err *err)
{
    (void)opt, (void)dump_fd, (void)err;
    fake.runs++;
    *ret = (struct walker_result){
        .exit_code = fake.exit_code,
        .json_dump = fake.json ? json_loads(fake.json, JSON_DECODE_ANY, NULL) : NULL,
        .log = xstrdup(fake.log ? fake.log : ""),
        .version = "datil-stackwalk 0.1.0",
    };
    ret->is_output_json = ret->json_dump != NULL;
    if (json_object_size(annotations_) > 0)
        json_object_set_new(ret->json_dump, "annotations", json_deep_copy(annotations_));
    return true;
}

void walker_result_release(struct walker_result *r)
{
    json_decref(r->json_dump);
    free(r->log);
}

static struct siglists *lists;
static const struct walker_options walker_options;

static json_t *find_beta(void *ctx, struct str product, struct str channel, struct str build_id)
{
    (void)ctx;
    if (str_eq(product, STR("DevEdition")) && str_eq(channel, STR("aurora")))
        return json_pack("[s]", "64.0b9");
    if (str_eq(product, STR("Thunderbird")) || !str_eq(channel, STR("beta")))
        return NULL;
    if (str_eq(build_id, STR("1")))
        return json_pack("[ss]", "63.0b4rc1", "63.0b4");
    if (str_eq(build_id, STR("2")))
        return json_pack("[ss]", "63.0", "63.0rc1");
    return json_array();
}

static const struct version_source versions = {.find = find_beta};

/* Of the facts 1:P 3:1.0 8:20260101 1:7 1:c 3:abc; every other crash is the first of its kind. */
static bool find_twin(void *ctx, const struct twin_question *q, struct twin_original *ret)
{
    (void)ctx;
    bool is_known = strcmp(q->fingerprint, "5a1681210b9530960700bde69ad772ed"
                                           "ec40ba372e782e7575917ca9d8c1a0b9") == 0;
    ret->crash_time = is_known ? 1000 : q->crash_time;
    snprintf(ret->crash_id, sizeof ret->crash_id, "%s",
             is_known ? "de1bb258-cbbf-4589-a673-34f811240110" : q->crash_id);
    return true;
}

static const struct twin_source twins = {.find = find_twin};

static void job_begin(struct job *job, struct arena *arena, const char *raw, const char *processed)
{
    arena_init(arena, 64 << 20);
    *job = (struct job){
        .fields = &fields_builtin,
        .arena = arena,
        .crash_id = "de1bb258-cbbf-4589-a673-34f800240110",
        .ruleset = "default",
        .raw = doc(raw ? raw : "{}"),
        .processed = doc(processed ? processed : "{}"),
        .notes = json_array(),
        .siglists = lists,
        .walker = &walker_options,
        .versions = &versions,
        .twins = &twins,
        .symbol_hosts = "symbols.example.com other.example.com",
        .now_us = 1704888794000000, /* 2024-01-10T12:13:14 */
        .hostname = "test",
    };
}

static void job_end(struct job *job)
{
    json_decref(job->raw);
    json_decref(job->processed);
    json_decref(job->notes);
    arena_release(job->arena);
}

static const struct rule *rule_named(const char *name)
{
    for (size_t i = 0; i < rule_count; i++)
        if (strcmp(rule_table[i].name, name) == 0)
            return &rule_table[i];
    fail_msg("no rule %s", name);
    return NULL;
}

static bool names_key(const char *words, const char *key)
{
    struct str rest = str_of(words), word;
    while (str_split(&rest, ' ', &word)) {
        bool is_open = word.n > 0 && word.p[word.n - 1] == '*';
        if (is_open ? str_starts(str_of(key), str_sub(word, 0, word.n - 1))
                    : str_eq(word, str_of(key)))
            return true;
        if (str_eq(word, STR("@copied")))
            for (size_t i = 0; i < fields_builtin.annotation_count; i++)
                if (fields_builtin.annotations[i].processed_key &&
                    strcmp(fields_builtin.annotations[i].processed_key, key) == 0)
                    return true;
    }
    return false;
}

static void check_writes(const char *label, const struct rule *rule, const char *prefix,
                         const json_t *before, const json_t *after)
{
    const json_t *sides[] = {before, after};
    for (size_t i = 0; i < 2; i++) {
        const char *key;
        json_t *v;
        json_object_foreach ((json_t *)sides[i], key, v) {
            char name[256];
            snprintf(name, sizeof name, "%s%s", prefix, key);
            json_t *other = json_object_get(sides[!i], key);
            if ((!other || !json_equal(v, other)) && !names_key(rule->writes, name))
                fail_msg("%s: %s writes %s without saying so", label, rule->name, name);
        }
    }
}

static char *joined_notes(const struct job *job)
{
    STRBUF_AUTO all = {0};
    sb_init(&all, 1 << 20);
    for (size_t i = 0; i < json_array_size(job->notes); i++)
        sb_printf(&all, "%s%s", i ? "; " : "", json_string_value(json_array_get(job->notes, i)));
    return xstrdup(sb_cstr(&all));
}

/* What a rule makes of a document: the document before and after. */
struct sides {
    json_t *raw, *raw_after, *processed, *processed_after;
    char *notes;
};

static void sides_release(struct sides *s)
{
    json_decref(s->raw);
    json_decref(s->raw_after);
    json_decref(s->processed);
    json_decref(s->processed_after);
    free(s->notes);
}
#define SIDES_AUTO __attribute__((cleanup(sides_release))) struct sides

/* Copies without, or with "7" for, the keys that the row does not name. */
static json_t *without_unread(const json_t *from, const char *prefix, const char *reads)
{
    json_t *copy = json_deep_copy(from);
    const char *key;
    json_t *v;
    json_object_foreach ((json_t *)from, key, v) {
        char name[256];
        snprintf(name, sizeof name, "%s%s", prefix, key);
        if (!names_key(reads, name))
            json_object_del(copy, key);
    }
    return copy;
}

static json_t *with_unread(const json_t *from, const char *reads, bool is_raw)
{
    json_t *copy = json_deep_copy(from);
    size_t n = is_raw ? fields_builtin.annotation_count : fields_builtin.processed.n;
    for (size_t i = 0; i < n; i++) {
        const char *key =
            is_raw ? fields_builtin.annotations[i].name : fields_builtin.processed.keys[i].name;
        char name[256];
        snprintf(name, sizeof name, "%s%s", is_raw ? "raw:" : "", key);
        if (!strchr(name, '*') && !names_key(reads, name))
            json_object_set_new(copy, key, json_string("7"));
    }
    return copy;
}

/* Runs the rule on these documents (takes both). */
static struct sides apply_to(const struct job *job, const char *rule, json_t *raw,
                             json_t *processed, bool with_dumps)
{
    struct job other = *job;
    struct err err = {0};
    int runs = fake.runs;
    other.raw = json_deep_copy(raw);
    other.processed = json_deep_copy(processed);
    other.notes = json_array();
    other.dump_count = with_dumps ? job->dump_count : 0;
    assert_true(rules_apply_one(&other, rule, &err));
    fake.runs = runs;
    struct sides s = {raw, other.raw, processed, other.processed, joined_notes(&other)};
    json_decref(other.notes);
    return s;
}

/* One key: the same value afterwards, or untouched both times. */
static bool same_effect(const json_t *before, const json_t *after, const json_t *before2,
                        const json_t *after2, const char *key)
{
    const json_t *a = json_object_get(after, key), *b = json_object_get(after2, key);
    const json_t *was_a = json_object_get(before, key), *was_b = json_object_get(before2, key);
    bool is_same = a == b || (a && b && json_equal(a, b));
    bool a_stays = a == was_a || (a && was_a && json_equal(a, was_a));
    bool b_stays = b == was_b || (b && was_b && json_equal(b, was_b));
    return is_same || (a_stays && b_stays);
}

/* The first key on which the rule had another effect; "" when only the notes differ, else NULL. */
static const char *difference(const struct sides *a, const struct sides *b)
{
    const json_t *all[] = {a->processed, a->processed_after, b->processed, b->processed_after};
    const json_t *raws[] = {a->raw, a->raw_after, b->raw, b->raw_after};
    const char *key;
    json_t *v;
    for (size_t i = 0; i < 4; i++) {
        json_object_foreach ((json_t *)all[i], key, v)
            if (!same_effect(all[0], all[1], all[2], all[3], key))
                return key;
        json_object_foreach ((json_t *)raws[i], key, v)
            if (!same_effect(raws[0], raws[1], raws[2], raws[3], key))
                return key;
    }
    return strcmp(a->notes, b->notes) != 0 ? "" : NULL;
}

/* "Rule key", of all cases: keys without which the rule did something else. */
static json_t *used;

static void note_used_keys(const struct job *job, const struct rule *rule, const struct sides *full)
{
    struct str rest = str_of(rule->reads), word;
    while (str_split(&rest, ' ', &word)) {
        bool is_raw = str_starts(word, STR("raw:"));
        json_t *raw = json_deep_copy(job->raw), *processed = json_deep_copy(job->processed);
        FREE_LATER char *words = str_dup(word);
        const json_t *after = is_raw ? full->raw_after : full->processed_after;
        bool matters = false; /* a key that the rule deletes matters by being there */
        const char *key;
        void *next;
        json_t *v;
        json_object_foreach_safe (is_raw ? raw : processed, next, key, v) {
            char name[256];
            snprintf(name, sizeof name, "%s%s", is_raw ? "raw:" : "", key);
            if (!names_key(words, name))
                continue;
            matters |= !json_object_get(after, key);
            json_object_del(is_raw ? raw : processed, key);
        }
        SIDES_AUTO without = apply_to(job, rule->name, raw, processed, !str_eq(word, STR("dumps")));
        if (matters || difference(full, &without)) {
            char pair[256];
            snprintf(pair, sizeof pair, "%s %s", rule->name, words);
            json_object_set_new(used, pair, json_true());
        }
    }
}

static void check_reads(const char *label, const struct job *job, const struct rule *rule)
{
    bool with_dumps = names_key(rule->reads, "dumps");
    SIDES_AUTO full =
        apply_to(job, rule->name, json_deep_copy(job->raw), json_deep_copy(job->processed), true);
    SIDES_AUTO less = apply_to(job, rule->name, without_unread(job->raw, "raw:", rule->reads),
                               without_unread(job->processed, "", rule->reads), with_dumps);
    SIDES_AUTO more = apply_to(job, rule->name, with_unread(job->raw, rule->reads, true),
                               with_unread(job->processed, rule->reads, false), true);
    const char *by_less = difference(&full, &less), *by_more = difference(&full, &more);
    if (by_less || by_more)
        fail_msg("%s: %s reads something that its row does not name: %s is another", label,
                 rule->name, by_less ? by_less : by_more);
    note_used_keys(job, rule, &full);
}

/* Sets in `into` what `want` names; a member "-": ["a"] removes keys. */
static void expect_changes(json_t *into, const json_t *want)
{
    size_t i;
    const char *key;
    json_t *v, *gone;
    json_object_foreach ((json_t *)want, key, v)
        if (strcmp(key, "-") != 0)
            json_object_set(into, key, v);
    json_array_foreach (jget_arr(want, "-"), i, gone)
        json_object_del(into, json_string_value(gone));
}

static void check_rule(const char *label, struct job *job, const char *rule, const char *want,
                       const char *notes)
{
    json_auto_t *raw = json_deep_copy(job->raw);
    json_auto_t *expected = json_deep_copy(job->processed);
    json_auto_t *before = json_deep_copy(job->processed);
    json_auto_t *changes = doc(want);
    struct err err = {0};
    check_reads(label, job, rule_named(rule));
    assert_true(rules_apply_one(job, rule, &err));
    expect_changes(expected, changes);
    if (!json_equal(expected, job->processed)) {
        FREE_LATER char *text = json_dumps(job->processed, JSON_SORT_KEYS | JSON_COMPACT);
        fail_msg("%s, %s: got %s", rule, label, text);
    }
    check_writes(label, rule_named(rule), "", before, job->processed);
    check_writes(label, rule_named(rule), "raw:", raw, job->raw);
    FREE_LATER char *got = joined_notes(job);
    if (strcmp(got, notes ? notes : "") != 0)
        fail_msg("%s, %s: notes '%s'", rule, label, got);
}

#define DUMP(members) "{'json_dump':{" members "}}"

static const struct {
    const char *rule, *label, *raw, *processed, *want, *notes;
} cases[] = {
    {"CrashReportKeys", "sorted; the odd ones left out", "{'b':1,'a':2,'x y':3,'Add-ons':4,'':5}",
     NULL, "{'crash_report_keys':['Add-ons','a','b']}",
     "invalidkeys: Crash report contains invalid keys"},
    {"CrashReportKeys", "long name",
     "{'"
     "aaaaaaaaaabbbbbbbbbbaaaaaaaaaabbbbbbbbbbaaaaaaaaaabbbbbbbbbbaaaaaaaaaabbbbbbbbbbaaaaaaaaaabb"
     "bbbbbbbbX':1}",
     NULL,
     "{'crash_report_keys':['"
     "aaaaaaaaaabbbbbbbbbbaaaaaaaaaabbbbbbbbbbaaaaaaaaaabbbbbbbbbbaaaaaaaaaabb"
     "bbbbbbbbaaaaaaaaaabbbbbbbbbb']}",
     "invalidkeys: Crash report contains invalid keys"},
    {"CollectorMetadata", "there", "{'metadata':{'payload':'json'}}", NULL,
     "{'collector_metadata':{'payload':'json'}}", NULL},
    {"CollectorMetadata", "not an object", "{'metadata':'x'}", NULL, "{'collector_metadata':{}}",
     NULL},

    {"CopyFromRawCrash", "nothing", "{}", NULL, "{'marionette':false,'remote_agent':false}", NULL},
    {"CopyFromRawCrash", "booleans",
     "{'SafeMode':'1','StartupCrash':'FALSE','DOMIPCEnabled':true,'Marionette':'true'}", NULL,
     "{'safe_mode':true,'startup_crash':false,'dom_ipc_enabled':true,'marionette':true,"
     "'remote_agent':false}",
     NULL},
    {"CopyFromRawCrash", "no boolean", "{'SafeMode':'Maybe\\u00e9 some very long text'}", NULL,
     "{'marionette':false,'remote_agent':false}",
     "SafeMode has non-boolean value maybe some very long"},
    {"CopyFromRawCrash", "integers",
     "{'StartupTime':' 12 ','InstallTime':-3,'TotalPageFile':'9223372036854775808',"
     "'IPCMessageSize':'1.0','AvailablePageFile':'0x10'}",
     NULL, "{'startup_time':12,'install_time':-3,'marionette':false,'remote_agent':false}",
     "AvailablePageFile has a non-int value; IPCMessageSize has a non-int value; "
     "TotalPageFile has a non-int value"},
    {"CopyFromRawCrash", "numbers", "{'UptimeTS':'12.5'}", NULL,
     "{'uptime_ts':12.5,'marionette':false,'remote_agent':false}", NULL},
    {"CopyFromRawCrash", "no number", "{'UptimeTS':'1.2.3'}", NULL,
     "{'marionette':false,'remote_agent':false}", "UptimeTS has a non-float value"},
    {"CopyFromRawCrash", "infinite", "{'UptimeTS':'inf'}", NULL,
     "{'marionette':false,'remote_agent':false}", "UptimeTS has a non-float value"},
    {"CopyFromRawCrash", "texts",
     "{'ProductName':'A \\r\\n','Version':1.5,'Vendor':'','BuildID':null,'URL':'u'}", NULL,
     "{'product':'A','version':'1.5','vendor':'','url':'u','marionette':false,"
     "'remote_agent':false}",
     NULL},
    {"CopyFromRawCrash", "object", "{'TelemetryEnvironment':'{\\\"build\\\":{\\\"x\\\":[1]}}'}",
     NULL, "{'telemetry_environment':{'build':{'x':[1]}},'marionette':false,'remote_agent':false}",
     NULL},
    {"CopyFromRawCrash", "object that is one already",
     "{'JavaException':{'exception':{'values':[]}}}", NULL,
     "{'java_exception':{'exception':{'values':[]}},'marionette':false,'remote_agent':false}",
     NULL},
    {"CopyFromRawCrash", "malformed objects",
     "{'TelemetryEnvironment':'{\\\"build\\\":{\\\"buildId\\\":1}}','JavaException':'{'}", NULL,
     "{'marionette':false,'remote_agent':false}",
     "JavaException value is malformed json; TelemetryEnvironment value is malformed buildId"},
    {"CopyFromRawCrash", "rules' own keys are not copied", "{'MozCrashReason':'m','OS':'o'}", NULL,
     "{'marionette':false,'remote_agent':false}", NULL},

    {"FenixVersionRewrite", "nightly", NULL, "{'product':'Fenix','version':'Nightly 240101'}",
     "{'version':'0.0a1'}", "Changed version from 'Nightly 240101' to 0.0a1"},
    {"FenixVersionRewrite", "other product", NULL, "{'product':'Focus','version':'Nightly 1'}",
     "{}", NULL},
    {"ESRVersionRewrite", "esr", NULL, "{'release_channel':'esr','version':'60.0'}",
     "{'version':'60.0esr'}", NULL},
    {"ESRVersionRewrite", "no version", NULL, "{'release_channel':'esr'}", "{}",
     "'version' missing from esr release processed_crash"},
    {"ESRVersionRewrite", "other channel", NULL, "{'release_channel':'beta','version':'1'}", "{}",
     NULL},

    {"SubmittedFrom", "neither", "{}", NULL,
     "{'submitted_from':'Unknown','submitted_from_infobar':false}", NULL},
    {"SubmittedFrom", "new", "{'SubmittedFrom':'Infobar'}", NULL,
     "{'submitted_from':'Infobar','submitted_from_infobar':true}", NULL},
    {"SubmittedFrom", "old, yes", "{'SubmittedFromInfobar':true,'SubmittedFrom':'Auto'}", NULL,
     "{'submitted_from':'Infobar','submitted_from_infobar':true}", NULL},
    {"SubmittedFrom", "old, no", "{'SubmittedFromInfobar':'0'}", NULL,
     "{'submitted_from':'Unknown','submitted_from_infobar':false}", NULL},
    {"Identifier", "id", "{'uuid':'u'}", NULL, "{'uuid':'u','crash_id':'u'}", NULL},
    {"Identifier", "none", "{}", NULL, "{}", NULL},
    {"MinidumpSha256Hash", "hash", "{'metadata':{'dump_checksums':{'upload_file_minidump':'ab'}}}",
     NULL, "{'minidump_sha256_hash':'ab'}", NULL},
    {"MinidumpSha256Hash", "none", "{'metadata':[]}", NULL, "{'minidump_sha256_hash':''}", NULL},

    {"ModuleURLRewrite", "hosts", NULL,
     DUMP(
         "'modules':[{'filename':'a','symbol_url':'http://localhost:80/a'},{'debug_file':'b',"
         "'symbol_url':'https://x.localhost/a'},{'symbol_url':'https://symbols.mozilla.org/a?k=v'},"
         "{'symbol_url':'https://u@other.example.com:8/a?k=v'},{'symbol_url':'http://else/a?k'},"
         "{'symbol_url':null},7]"),
     DUMP("'modules':[{'filename':'a','symbol_url':null},{'debug_file':'b','symbol_url':null},"
          "{'symbol_url':'https://symbols.mozilla.org/a'},"
          "{'symbol_url':'https://u@other.example.com:8/a'},{'symbol_url':'http://else/a?k'},"
          "{'symbol_url':null},7]"),
     "Redacting symbol url for module a; Redacting symbol url for module b"},

    {"CrashingThreadInfo", "all there", NULL,
     DUMP("'crash_info':{'crashing_thread':2,'type':'SIGSEGV','address':'0x1'},"
          "'crashing_thread':{'thread_name':'n','last_error_value':'E'}"),
     "{'crashing_thread':2,'crashing_thread_name':'n','reason':'SIGSEGV','address':'0x1',"
     "'last_error_value':'E'}",
     NULL},
    {"CrashingThreadInfo", "nothing there", NULL, DUMP(""),
     "{'crashing_thread':null,'crashing_thread_name':null,'reason':'','address':null}",
     "mdsw did not identify the crashing thread"},
    {"CrashingThreadInfo", "null pointer, 64 bit", NULL,
     DUMP("'crash_info':{'crashing_thread':0,'address':'0x0000000000000018',"
          "'adjusted_address':{'kind':'null-pointer','offset':'0x18'}}"),
     "{'crashing_thread':0,'crashing_thread_name':null,'reason':'',"
     "'address':'0x0000000000000000'}",
     NULL},
    {"CrashingThreadInfo", "null pointer, 32 bit", NULL,
     DUMP("'crash_info':{'crashing_thread':0,'address':'0x00000018',"
          "'adjusted_address':{'kind':'null-pointer'}}"),
     "{'crashing_thread':0,'crashing_thread_name':null,'reason':'','address':'0x00000000'}", NULL},
    {"CrashingThreadInfo", "non-canonical", NULL,
     DUMP("'crash_info':{'crashing_thread':0,'address':'0x0',"
          "'adjusted_address':{'kind':'non-canonical','address':'0xe5'}}"),
     "{'crashing_thread':0,'crashing_thread_name':null,'reason':'','address':'0xe5'}", NULL},

    {"PossibleBitFlips", "best one, rounded down", NULL,
     DUMP("'crash_info':{'possible_bit_flips':[{'confidence':0.25},{'confidence':0.629},{},null]}"),
     "{'possible_bit_flips_max_confidence':62}", NULL},
    {"PossibleBitFlips", "none", NULL, DUMP("'crash_info':{'possible_bit_flips':[]}"), "{}", NULL},
    {"CrashInconsistencies", "list", NULL, DUMP("'crash_info':{'crash_inconsistencies':['a']}"),
     "{'crash_inconsistencies':['a']}", NULL},
    {"CrashInconsistencies", "null", NULL, DUMP("'crash_info':{}"),
     "{'crash_inconsistencies':null}", NULL},
    {"CrashInconsistencies", "no dump", NULL, "{}", "{}", NULL},
    {"HasGuardPageAccess", "yes", NULL,
     DUMP("'crash_info':{'memory_accesses':[{},{'is_likely_guard_page':true}]}"),
     "{'has_guard_page_access':true}", NULL},
    {"HasGuardPageAccess", "no", NULL,
     DUMP("'crash_info':{'memory_accesses':[{'is_likely_guard_page':false}]}"), "{}", NULL},

    {"MajorVersion", "plain", "{'Version':'128.0.1'}", NULL, "{'major_version':128}", NULL},
    {"MajorVersion", "no dot", "{'Version':'7'}", NULL, "{'major_version':7}", NULL},
    {"MajorVersion", "rubbish", "{'Version':'N/A'}", NULL, "{'major_version':0}", NULL},
    {"MajorVersion", "missing", "{}", NULL, "{'major_version':0}", NULL},
    {"Plugin", "plugin", "{'ProcessType':'plugin','PluginName':'p'}", NULL,
     "{'plugin_filename':'','plugin_name':'p','plugin_version':''}", NULL},
    {"Plugin", "all of it",
     "{'ProcessType':'plugin','PluginName':'p','PluginFilename':'f','PluginVersion':'v'}", NULL,
     "{'plugin_filename':'f','plugin_name':'p','plugin_version':'v'}", NULL},
    {"Plugin", "not a plugin", "{'PluginName':'p'}", NULL, "{}", NULL},
    {"ProcessType", "absent", "{}", NULL, "{'process_type':'parent'}", NULL},
    {"ProcessType", "main", "{'ProcessType':'main'}", NULL, "{'process_type':'parent'}", NULL},
    {"ProcessType", "content", "{'ProcessType':'content'}", NULL, "{'process_type':'content'}",
     NULL},
    {"Accessibility", "active", "{'Accessibility':'Active'}", NULL, "{'accessibility':true}", NULL},
    {"Accessibility", "case counts", "{'Accessibility':'active'}", NULL, "{'accessibility':false}",
     NULL},
    {"Addons", "list", "{'Add-ons':'a%40b:1.0,c+d,%7Bx%7D:%zz','EMCheckCompatibility':'TRUE'}",
     NULL, "{'addons':['a@b:1.0','c d:NO_VERSION','{x}:%zz'],'addons_checked':true}", NULL},
    {"Addons", "none", "{'Add-ons':''}", NULL, "{'addons':[],'addons_checked':null}", NULL},
    {"Addons", "not checked", "{'EMCheckCompatibility':'1'}", NULL,
     "{'addons':[],'addons_checked':false}", NULL},
    {"ThemePrettyName", "theme", NULL,
     "{'addons':['a:1','{972ce4c6-7e08-4474-a285-3208198ce6fd}:2']}",
     "{'addons':['a:1','{972ce4c6-7e08-4474-a285-3208198ce6fd} (default theme):2']}", NULL},
    {"ThemePrettyName", "no theme", NULL,
     "{'addons':['{972ce4c6-7e08-4474-a285-3208198ce6fd}x:2']}", "{}", NULL},

    {"DatesAndTimes", "ordinary",
     "{'submitted_timestamp':'2024-01-10T12:13:14.987654+00:00','CrashTime':'1704888700.7',"
     "'InstallTime':'1704888000','SecondsSinceLastCrash':'60'}",
     "{'startup_time':1704888600}",
     "{'submitted_timestamp':'2024-01-10T12:13:14.987654+00:00',"
     "'date_processed':'2024-01-10T12:13:14.987654+00:00','crash_time':1704888700,"
     "'client_crash_date':'2024-01-10T12:11:40+00:00','install_age':700,'uptime':100,"
     "'last_crash':60}",
     NULL},
    {"DatesAndTimes", "no crash time", "{'submitted_timestamp':'2024-01-10T12:13:14+00:00'}", NULL,
     "{'submitted_timestamp':'2024-01-10T12:13:14+00:00',"
     "'date_processed':'2024-01-10T12:13:14+00:00','crash_time':1704888794,"
     "'client_crash_date':'2024-01-10T12:13:14+00:00','install_age':0,'uptime':0,"
     "'last_crash':null}",
     "WARNING: raw_crash missing CrashTime; client_crash_date is unknown"},
    {"DatesAndTimes", "rubbish",
     "{'submitted_timestamp':'2024-01-10T12:13:14+00:00','CrashTime':'x','InstallTime':'y',"
     "'SecondsSinceLastCrash':'z'}",
     NULL,
     "{'submitted_timestamp':'2024-01-10T12:13:14+00:00',"
     "'date_processed':'2024-01-10T12:13:14+00:00','crash_time':0,"
     "'client_crash_date':'1970-01-01T00:00:00+00:00','install_age':0,'uptime':0,"
     "'last_crash':null}",
     "non-integer value of \"CrashTime\"; non-integer value of \"InstallTime\"; "
     "non-integer value of \"SecondsSinceLastCrash\""},
    {"DatesAndTimes", "extremes; start after the crash",
     "{'submitted_timestamp':'2024-01-10T12:13:14+00:00','CrashTime':1704888700,"
     "'InstallTime':'-9223372036854775808','SecondsSinceLastCrash':'9223372036854775808'}",
     "{'startup_time':1704888701}",
     "{'submitted_timestamp':'2024-01-10T12:13:14+00:00',"
     "'date_processed':'2024-01-10T12:13:14+00:00','crash_time':1704888700,"
     "'client_crash_date':'2024-01-10T12:11:40+00:00','install_age':9223372036854775807,"
     "'uptime':0,'last_crash':null}",
     "\"SecondsSinceLastCrash\" larger than MAXINT - set to NULL"},
    {"DatesAndTimes", "no time of receipt: the day of the id", "{'CrashTime':'1704844800'}", NULL,
     "{'submitted_timestamp':'2024-01-10T00:00:00+00:00',"
     "'date_processed':'2024-01-10T00:00:00+00:00','crash_time':1704844800,"
     "'client_crash_date':'2024-01-10T00:00:00+00:00','install_age':0,'uptime':0,"
     "'last_crash':null}",
     "client_crash_date is unknown"},

    {"PHC", "all",
     "{'PHCKind':'FreedPage','PHCBaseAddress':'8191','PHCUsableSize':'16','PHCAllocStack':'1,2',"
     "'PHCFreeStack':'3'}",
     NULL,
     "{'phc_kind':'FreedPage','phc_base_address':'0x1fff','phc_usable_size':16,"
     "'phc_alloc_stack':'1,2','phc_free_stack':'3'}",
     NULL},
    {"PHC", "rubbish is skipped", "{'PHCKind':'x','PHCBaseAddress':'0x1','PHCUsableSize':''}", NULL,
     "{'phc_kind':'x'}", NULL},
    {"PHC", "no kind", "{'PHCBaseAddress':'1'}", NULL, "{}", NULL},

    {"Breadcrumbs", "list as text",
     "{'Breadcrumbs':'[{\\\"message\\\":\\\"m\\\",\\\"data\\\":null}]'}", NULL,
     "{'breadcrumbs':[{'message':'m','data':null}]}", NULL},
    {"Breadcrumbs", "object with values", "{'Breadcrumbs':{'values':[{'level':'l'}]}}", NULL,
     "{'breadcrumbs':[{'level':'l'}]}", NULL},
    {"Breadcrumbs", "no JSON", "{'Breadcrumbs':'{'}", NULL, "{}",
     "Breadcrumbs: malformed: not valid json"},
    {"Breadcrumbs", "not a list", "{'Breadcrumbs':'{}'}", NULL, "{}",
     "Breadcrumbs: malformed: wrong type of breadcrumbs"},
    {"Breadcrumbs", "wrong type inside", "{'Breadcrumbs':'[{\\\"level\\\":1}]'}", NULL, "{}",
     "Breadcrumbs: malformed: wrong type of level"},

    {"JavaStackTrace", "message and cause go",
     "{'JavaStackTrace':'a.B$C: secret\\nmore secret\\n\\tat x.y(Z.java:1)\\n\\n\\tat q\\n"
     "Caused by: d.E: secret\\n\\tat r'}",
     NULL,
     "{'java_stack_trace_raw':'a.B$C: secret\\nmore secret\\n\\tat x.y(Z.java:1)\\n\\n\\tat q\\n"
     "Caused by: d.E: secret\\n\\tat r','java_stack_trace':'a.B$C\\n\\tat x.y(Z.java:1)\\n\\tat "
     "q'}",
     NULL},
    {"JavaStackTrace", "message without colon", "{'JavaStackTrace':'a.B secret\\n\\tat x'}", NULL,
     "{'java_stack_trace_raw':'a.B secret\\n\\tat x','java_stack_trace':'a.B\\n\\tat x'}", NULL},
    {"JavaStackTrace", "suppressed, indented",
     "{'JavaStackTrace':'a.B: s\\n\\tat x\\n\\tSuppressed: d.E: secret\\n\\tat r'}", NULL,
     "{'java_stack_trace_raw':'a.B: s\\n\\tat x\\n\\tSuppressed: d.E: secret\\n\\tat r',"
     "'java_stack_trace':'a.B\\n\\tat x'}",
     NULL},
    {"JavaStackTrace", "a line that is none", "{'JavaStackTrace':'a.B: s\\n\\tat x\\nsecret'}",
     NULL, "{'java_stack_trace_raw':'a.B: s\\n\\tat x\\nsecret','java_stack_trace':'malformed'}",
     "JavaStackTrace: malformed JavaStackTrace"},
    {"JavaStackTrace", "every kind of line end",
     "{'JavaStackTrace':'a.B: s\\u2028secret\\r\\tat x\\u0085\\tat y\\u000b\\u000c\\tat z\\r\\r\\n"
     "\\tat q\\u001e\\tat r\\n\\rCaused by: secret'}",
     NULL,
     "{'java_stack_trace_raw':'a.B: s\\u2028secret\\r\\tat x\\u0085\\tat y\\u000b\\u000c\\tat "
     "z\\r\\r\\n\\tat q\\u001e\\tat r\\n\\rCaused by: secret',"
     "'java_stack_trace':'a.B\\n\\tat x\\n\\tat y\\n\\tat z\\n\\tat q\\n\\tat r'}",
     NULL},
    {"JavaStackTrace", "text behind an odd line end is none of the stack",
     "{'JavaStackTrace':'a.B: s\\n\\tat x\\u2029secret'}", NULL,
     "{'java_stack_trace_raw':'a.B: s\\n\\tat x\\u2029secret','java_stack_trace':'malformed'}",
     "JavaStackTrace: malformed JavaStackTrace"},
    {"JavaStackTrace", "blank", "{'JavaStackTrace':' \\n '}", NULL,
     "{'java_stack_trace_raw':' \\n ','java_stack_trace':'malformed'}",
     "JavaStackTrace: malformed JavaStackTrace"},

    {"MacBootArgs", "text", NULL, DUMP("'mac_boot_args':' -v '"),
     "{'mac_boot_args':'-v','has_mac_boot_args':true}", NULL},
    {"MacBootArgs", "blank", NULL, DUMP("'mac_boot_args':' '"), "{}", NULL},
    {"MacBootArgs", "not a text", NULL, DUMP("'mac_boot_args':[1]"), "{}",
     "MacBootArgsRule: mac_boot_args is list and not str"},
    {"MacCrashInfo", "records", NULL, DUMP("'mac_crash_info':{'records':[],'num_records':1}"),
     "{'mac_crash_info':'{\\\"num_records\\\":1,\\\"records\\\":[]}'}", NULL},
    {"MacCrashInfo", "none; the old one goes", NULL, "{'mac_crash_info':'old'}",
     "{'-':['mac_crash_info']}", NULL},

    {"MozCrashReason", "plain", "{'MozCrashReason':'MOZ_CRASH(x)'}", NULL,
     "{'moz_crash_reason':'MOZ_CRASH(x)','moz_crash_reason_raw':'MOZ_CRASH(x)'}", NULL},
    {"MozCrashReason", "sanitised", "{'MozCrashReason':'byte index 3 of secret'}", NULL,
     "{'moz_crash_reason':'sanitized--see moz_crash_reason_raw',"
     "'moz_crash_reason_raw':'byte index 3 of secret'}",
     NULL},
    {"UtilityActorsName", "list", "{'UtilityActorsName':'a, b,,c '}", NULL,
     "{'utility_actors_name':['a','b','c']}", NULL},

    {"ReportType", "crash", NULL, "{}", "{'report_type':'crash'}", NULL},
    {"ReportType", "channel error", NULL, "{'ipc_channel_error':''}", "{'report_type':'hang'}",
     NULL},
    {"ReportType", "shutdown", NULL, "{'async_shutdown_timeout':'{}'}", "{'report_type':'hang'}",
     NULL},
    {"ReportType", "watchdog", NULL,
     DUMP("'threads':[{'frames':[{'function':null},{'function':'a::RunWatchdog(x)'}]}]"),
     "{'report_type':'hang'}", NULL},
    {"ReportType", "watchdog elsewhere", NULL,
     DUMP("'crash_info':{'crashing_thread':1},'threads':[{'frames':[{'function':'RunWatchdog'}]},{}"
          "]"),
     "{'report_type':'crash'}", NULL},

    {"CPUInfo", "all", NULL,
     DUMP("'system_info':{'cpu_info':'i','cpu_count':4,'cpu_arch':'amd64',"
          "'cpu_microcode_version':'0xf0'}"),
     "{'cpu_info':'i','cpu_count':4,'cpu_arch':'amd64','cpu_microcode_version':'0xf0'}", NULL},
    {"CPUInfo", "nothing", NULL, "{}", "{'cpu_info':'unknown','cpu_count':0,'cpu_arch':'unknown'}",
     NULL},
    {"CPUInfo", "microcode as number", NULL, DUMP("'system_info':{'cpu_microcode_version':240}"),
     "{'cpu_info':'unknown','cpu_count':0,'cpu_arch':'unknown','cpu_microcode_version':'0xf0'}",
     NULL},
    {"AndroidCPUInfo", "known", "{'Android_CPU_ABI':'arm64-v8a'}", "{'cpu_arch':'unknown'}",
     "{'cpu_arch':'arm64'}", NULL},
    {"AndroidCPUInfo", "other", "{'Android_CPU_ABI':'mips'}", "{'cpu_arch':'unknown'}",
     "{'cpu_arch':'mips'}", NULL},
    {"AndroidCPUInfo", "no CPU at all", "{'Android_CPU_ABI':'armeabi-v7a'}", "{}",
     "{'cpu_arch':'arm'}", NULL},
    {"AndroidCPUInfo", "null", "{'Android_CPU_ABI':'x86_64\\r\\n'}", "{'cpu_arch':null}",
     "{'cpu_arch':'amd64'}", NULL},
    {"AndroidCPUInfo", "blank", "{'Android_CPU_ABI':'x86'}", "{'cpu_arch':' '}",
     "{'cpu_arch':'x86'}", NULL},
    {"AndroidCPUInfo", "in capitals", "{'Android_CPU_ABI':'x86'}", "{'cpu_arch':'Unknown'}",
     "{'cpu_arch':'x86'}", NULL},
    {"AndroidCPUInfo", "blank ABI", "{'Android_CPU_ABI':' '}", "{'cpu_arch':'unknown'}", "{}",
     NULL},
    {"AndroidCPUInfo", "dump knows", "{'Android_CPU_ABI':'mips'}", "{'cpu_arch':'arm'}", "{}",
     NULL},

    {"DistributionId", "annotation", "{'DistributionID':'d'}", NULL, "{'distribution_id':'d'}",
     NULL},
    {"DistributionId", "environment", "{}",
     "{'telemetry_environment':{'partner':{'distributionId':'e'}}}", "{'distribution_id':'e'}",
     NULL},
    {"DistributionId", "environment, null", "{}",
     "{'telemetry_environment':{'partner':{'distributionId':null}}}",
     "{'distribution_id':'mozilla'}", NULL},
    {"DistributionId", "environment that no rule has parsed",
     "{'TelemetryEnvironment':'{\\\"partner\\\":{\\\"distributionId\\\":\\\"e\\\"}}'}", NULL,
     "{'distribution_id':'e'}", NULL},
    {"DistributionId", "nothing", "{}", NULL, "{'distribution_id':'unknown'}", NULL},

    {"OSInfo", "trimmed", NULL, DUMP("'system_info':{'os':' Linux ','os_ver':'6.1 '}"),
     "{'os_name':'Linux','os_version':'6.1'}", NULL},
    {"OSInfo", "none", NULL, "{}", "{'os_name':'Unknown','os_version':''}", NULL},
    {"AndroidOSInfo", "level", "{'Android_Version':'31 (REL)'}", "{'os_name':'Unknown'}",
     "{'os_name':'Android','os_version':'31'}", NULL},
    {"AndroidOSInfo", "no number", "{'Android_Version':'x'}",
     "{'os_name':'ANDROID','os_version':'1'}", "{'os_name':'Android'}", NULL},
    {"AndroidOSInfo", "no name at all", "{'Android_Version':'31'}", "{}",
     "{'os_name':'Android','os_version':'31'}", NULL},
    {"AndroidOSInfo", "blank version", "{'Android_Version':' '}", "{'os_name':'Unknown'}", "{}",
     NULL},
    {"AndroidOSInfo", "Linux", "{'Android_Version':'31'}", "{'os_name':'Linux'}", "{}", NULL},
    {"PlatformInfo", "stands in",
     "{'CPUArchitecture':'arm64','CPUInfo':' ','OS':'Linux','OSVersion':'5'}",
     "{'cpu_arch':'unknown','cpu_info':'unknown','os_name':'Unknown','os_version':'6'}",
     "{'cpu_arch':'arm64','os_name':'Linux'}", NULL},
    {"PlatformInfo", "only stands in", "{'CPUArchitecture':'a','CPUInfo':'c','OS':'o'}",
     "{'cpu_arch':'amd64','cpu_info':'family 6','os_name':'Linux'}", "{}", NULL},
    {"PlatformInfo", "stands in for what is empty", "{'CPUInfo':'c','OSVersion':'5'}",
     "{'cpu_info':'unknown','os_version':''}", "{'cpu_info':'c','os_version':'5'}", NULL},

    {"BetaVersion", "the one without rc", NULL,
     "{'product':'Firefox','release_channel':'Beta','build':'1','version':'63.0'}",
     "{'version':'63.0b4'}", NULL},
    {"BetaVersion", "release candidate", NULL,
     "{'product':'Firefox','release_channel':'beta','build':'2','version':'63.0'}",
     "{'version':'63.0rc1'}", NULL},
    {"BetaVersion", "aurora is the developer edition", NULL,
     "{'product':'Firefox','release_channel':'aurora','build':'20180101','version':'64.0'}",
     "{'version':'64.0b9'}", NULL},
    {"BetaVersion", "unknown build", NULL,
     "{'product':'Firefox','release_channel':'beta','build':'3','version':'63.0'}",
     "{'version':'63.0b0'}",
     "release channel is beta but no version data was found - added \"b0\" suffix to version "
     "number"},
    {"BetaVersion", "no build", NULL,
     "{'product':'Thunderbird','release_channel':'beta','version':'63.0'}", "{'version':'63.0b0'}",
     "release channel is beta but no version data was found - added \"b0\" suffix to version "
     "number"},
    {"BetaVersion", "other product", NULL,
     "{'product':'Fenix','release_channel':'beta','version':'63.0'}", "{}", NULL},
    {"BetaVersion", "other product whose builds somebody has entered", NULL,
     "{'product':'Fenix','release_channel':'beta','build':'1','version':'63.0'}",
     "{'version':'63.0b4'}", NULL},
    {"BetaVersion", "other product, unknown build", NULL,
     "{'product':'Fenix','release_channel':'beta','build':'3','version':'63.0'}", "{}", NULL},

#define TWIN(label, time, hash, want)                                                              \
    {                                                                                              \
        "Twin", label, "{'CrashTime':'" time "','Version':'1.0'}",                                 \
            "{'product':'P','build':20260101,'install_time':7,'glean_client_id':'c',"              \
            "'minidump_sha256_hash':'" hash "'}",                                                  \
            want, NULL                                                                             \
    }
    TWIN("seconds later", "1010", "abc",
         "{'is_duplicate':true,'duplicate_of':'de1bb258-cbbf-4589-a673-34f811240110'}"),
    TWIN("seconds before", "990", "abc",
         "{'is_duplicate':true,'duplicate_of':'de1bb258-cbbf-4589-a673-34f811240110'}"),
    TWIN("later than that", "1011", "abc", "{'is_duplicate':false}"),
    TWIN("another dump", "1000", "abd", "{'is_duplicate':false}"),
    TWIN("no dump", "1000", "", "{}"),
    TWIN("an empty dump", "1000",
         "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "{}"),
    TWIN("no time", "", "abc", "{}"),
    TWIN("a time that is none", "soon", "abc", "{}"),

#define PRETTY(os, version, want)                                                                  \
    {                                                                                              \
        "OSPrettyVersion", os " " version, NULL,                                                   \
            "{'os_name':'" os "','os_version':'" version "'}", "{'os_pretty_version':'" want "'}", \
            NULL                                                                                   \
    }
    PRETTY("Windows NT", "10.0.19045", "Windows 10"),
    PRETTY("Windows NT", "10.0.21996", "Windows 11"),
    PRETTY("Windows NT", "10.0.9999", "Windows 10"), /* greater as a text only */
    PRETTY("Windows NT", "6.1.7601 Service Pack 1", "Windows 7"),
    PRETTY("Windows NT", "4.9", "Windows Me"),
    PRETTY("Windows NT", "11.0", "Windows Unknown"),
    PRETTY("Windows NT", "x", "Windows NT"),
    PRETTY("Mac OS X", "13.4.0 22F66", "macOS 13"),
    PRETTY("Mac OS X", "10.15.7", "OS X 10.15"),
    PRETTY("Mac OS X", "9.1", "OS X Unknown"),
    PRETTY("Linux", "6.1", "Linux"),
    PRETTY("Android", "31", "Android 31"),
    PRETTY("Android", "", "Android"),
    PRETTY("iOS", "17.0", "iOS"),
    PRETTY("Windows NT", "99999999999.0", "Windows NT"),
    {"OSPrettyVersion", "distribution", "{'LinuxLSBDescription':'no'}",
     "{'os_name':'Linux','os_version':'6.1','json_dump':{'lsb_release':{'description':'Debian "
     "12'}}}",
     "{'os_pretty_version':'Debian 12'}", NULL},
    {"OSPrettyVersion", "distribution from the annotation", "{'LinuxLSBDescription':' D '}",
     "{'os_name':'Linux','json_dump':{'lsb_release':{'description':''}}}",
     "{'os_pretty_version':'D'}", NULL},

    {"TopMostFiles", "inlined first", NULL,
     DUMP("'crash_info':{'crashing_thread':0},'threads':[{'frames':[{'file':''},{'file':'b.c',"
          "'inlines':[{'file':null},{'file':'a.h'}]}]}]"),
     "{'topmost_filenames':'a.h'}", NULL},
    {"TopMostFiles", "no thread", NULL, DUMP("'threads':[{'frames':[{'file':'a.c'}]}]"), "{}",
     NULL},
    {"ModulesInStack", "sorted, cleaned", NULL,
     DUMP("'crash_info':{'crashing_thread':0},'threads':[{'frames':[{'module':'b;.so'},"
          "{'module':'a'},{'module':'a'},{'module':null},{'module':'gone'}]}],'modules':["
          "{'filename':'b;.so','debug_id':'AB-12'},{'filename':'a','debug_id':'FF0'},"
          "{'filename':'c','debug_id':'1'}]"),
     "{'modules_in_stack':'a/FF0;b.so/AB12'}", NULL},
    {"MissingSymbols", "all shapes", NULL,
     DUMP("'modules':[{'filename':'b','missing_symbols':true,'version':'1/2','debug_id':'AB',"
          "'code_id':'cd'},{'filename':'a','missing_symbols':true},{'filename':'c',"
          "'missing_symbols':false},{'missing_symbols':true}]"),
     "{'missing_symbols':'a/None/000000000000000000000000000000000;b/1\\\\/2/AB/cd'}", NULL},
    {"MissingSymbols", "none", NULL, DUMP("'modules':[{'filename':'c'}]"), "{}", NULL},

    {"SymbolsWanted", "most frames of the crashing thread first", NULL,
     DUMP("'system_info':{'os':'Linux'},'crash_info':{'crashing_thread':1},'threads':["
          "{'frames':[{'module':'a.so'},{'module':'a.so'},{'module':'c.so'},{}]},"
          "{'frames':[{'module':'b.so'}]}],"
          "'modules':[{'filename':'a.so','missing_symbols':true,'debug_id':'AB1','code_id':'ab',"
          "'version':'1','symbols_asked':[{'source':'s','answer':'not found'}]},"
          "{'filename':'b.so','corrupt_symbols':true,'debug_file':'b.dbg','debug_id':'cd2'},"
          "{'filename':'c.so','loaded_symbols':true},{'filename':'a.so','missing_symbols':true},"
          "{'missing_symbols':true}]"),
     "{'symbols_wanted':[{'filename':'b.so','debug_file':'b.dbg','debug_id':'CD2','code_id':null,"
     "'version':null,'state':'corrupt','frames':1,'crashing_frames':1,'asked':[],"
     "'command':'datil-dump-syms -o b.dbg.sym b.so && datil symbols add b.dbg.sym'},"
     "{'filename':'a.so','debug_file':'a.so','debug_id':'AB1','code_id':'ab','version':'1',"
     "'state':'missing','frames':2,'crashing_frames':0,"
     "'asked':[{'source':'s','answer':'not found'}],"
     "'command':'datil-dump-syms -o a.so.sym a.so && datil symbols add a.so.sym'}]}",
     NULL},
    {"SymbolsWanted", "Windows: of the PDB; names that a shell would read are quoted", NULL,
     DUMP("'system_info':{'os':'Windows NT'},'modules':[{'filename':'x.dll',"
          "'debug_file':'$(x) & y.pdb','debug_id':'AB1','missing_symbols':true}]"),
     "{'symbols_wanted':[{'filename':'x.dll','debug_file':'$(x) & y.pdb','debug_id':'AB1',"
     "'code_id':null,'version':null,'state':'missing','frames':0,'crashing_frames':0,'asked':[],"
     "'command':'datil symbols add \\u0027$(x) & y.pdb\\u0027'}]}",
     NULL},
    {"SymbolsWanted", "macOS: of the dSYM; a name is no option", NULL,
     DUMP("'system_info':{'os':'Mac OS X'},'modules':[{'filename':'-X','debug_id':'AB1',"
          "'missing_symbols':true}]"),
     "{'symbols_wanted':[{'filename':'-X','debug_file':'-X','debug_id':'AB1','code_id':null,"
     "'version':null,'state':'missing','frames':0,'crashing_frames':0,'asked':[],"
     "'command':'datil symbols add ./-X.dSYM'}]}",
     NULL},
    {"SymbolsWanted", "no id, or a name that is no file's: nothing to upload", NULL,
     DUMP("'system_info':{'os':'Linux'},'modules':[{'filename':'a','debug_id':'000000000',"
          "'missing_symbols':true},{'filename':'b`id`','debug_id':'AB1','missing_symbols':true}]"),
     "{'symbols_wanted':[{'filename':'a','debug_file':'a','debug_id':null,'code_id':null,"
     "'version':null,'state':'unidentified','frames':0,'crashing_frames':0,'asked':[],"
     "'command':null},{'filename':'b`id`','debug_file':'b`id`','debug_id':null,'code_id':null,"
     "'version':null,'state':'unidentified','frames':0,'crashing_frames':0,'asked':[],"
     "'command':null}]}",
     NULL},
    {"SymbolsWanted", "what the kernel maps is no file", NULL,
     DUMP("'system_info':{'os':'Linux'},'modules':[{'filename':'linux-gate.so','debug_id':'AB1',"
          "'missing_symbols':true},{'filename':'[vdso]','debug_id':'AB2','missing_symbols':true}]"),
     "{'symbols_wanted':[{'filename':'[vdso]','debug_file':'[vdso]','debug_id':null,"
     "'code_id':null,'version':null,'state':'unidentified','frames':0,'crashing_frames':0,"
     "'asked':[],'command':null},{'filename':'linux-gate.so','debug_file':'linux-gate.so',"
     "'debug_id':'AB1','code_id':null,'version':null,'state':'missing','frames':0,"
     "'crashing_frames':0,'asked':[],'command':null}]}",
     NULL},
    {"SymbolsWanted", "still being fetched", NULL,
     DUMP("'modules':[{'filename':'a','debug_id':'AB1','missing_symbols':true,'symbols_asked':["
          "{'source':'s','answer':'not found'},{'source':'t','answer':'pending'}]}]"),
     "{'symbols_wanted':[{'filename':'a','debug_file':'a','debug_id':'AB1','code_id':null,"
     "'version':null,'state':'pending','frames':0,'crashing_frames':0,"
     "'asked':[{'source':'s','answer':'not found'},{'source':'t','answer':'pending'}],"
     "'command':'datil-dump-syms -o a.sym a && datil symbols add a.sym'}]}",
     NULL},
    {"SymbolsWanted", "all have symbols", NULL, DUMP("'modules':[{'filename':'c'}]"), "{}", NULL},

    {"SoftErrors", "list", NULL, DUMP("'soft_errors':[{'a':1}]"),
     "{'soft_errors':'[{\\\"a\\\":1}]'}", NULL},
    {"SoftErrors", "null", NULL, DUMP("'soft_errors':null"), "{'soft_errors':'null'}", NULL},
    {"SoftErrors", "absent", NULL, DUMP(""), "{}", NULL},
    {"ThreadCount", "count", NULL, DUMP("'thread_count':3"), "{'thread_count':3}", NULL},
    {"ThreadCount", "unknown", NULL, "{}", "{'thread_count':null}", NULL},

    {"MemoryReportExtraction", "sums", NULL,
     "{'json_dump':{'pid':7},'memory_report':{'version':1,'hasMozMallocUsableSize':true,'reports':["
     "{'process':'Main (pid 7)','path':'explicit/images/a','units':0,'kind':1,'amount':10},"
     "{'process':'Main (pid 7)','path':'explicit/x/top(none)/detached/y','units':0,'kind':0,"
     "'amount':5},"
     "{'process':'Main (pid 7)','path':'explicit/heap-overhead/z','units':0,'kind':0,'amount':3},"
     "{'process':'Main (pid 7)','path':'js-main-runtime/a','units':0,'kind':2,'amount':2},"
     "{'process':'Main (pid 7)','path':'heap-allocated','units':0,'kind':2,'amount':100},"
     "{'process':'Main (pid 7)','path':'vsize-max-contiguous','units':0,'kind':2,'amount':1},"
     "{'process':'Other (pid 77)','path':'vsize','units':0,'kind':2,'amount':1}]}}",
     "{'memory_measures':{'explicit':108,'gfx_textures':0,'ghost_windows':0,'heap_allocated':100,"
     "'heap_overhead':3,'heap_unclassified':90,'host_object_urls':0,'images':10,"
     "'js_main_runtime':2,'private':0,'resident':0,'resident_unique':0,'system_heap_allocated':0,"
     "'top_none_detached':5,'vsize':0,'vsize_max_contiguous':1}}",
     NULL},
    {"MemoryReportExtraction", "wrong unit: none at all", NULL,
     "{'json_dump':{'pid':7},'memory_report':{'version':1,'hasMozMallocUsableSize':true,'reports':["
     "{'process':'Main (pid 7)','path':'explicit/a','units':1,'kind':1,'amount':10}]}}",
     "{}", NULL},
    {"MemoryReportExtraction", "key missing", NULL,
     "{'json_dump':{'pid':7},'memory_report':{'version':1,'hasMozMallocUsableSize':true,'reports':["
     "{'process':'Main (pid 7)','path':'vsize'}]}}",
     "{}", NULL},
    {"MemoryReportExtraction", "other process", NULL,
     "{'json_dump':{'pid':8},'memory_report':{'version':1,'hasMozMallocUsableSize':true,'reports':["
     "{'process':'Main (pid 7)','path':'vsize','units':0,'kind':0,'amount':1}]}}",
     "{}", NULL},

    {"SignatureGenerator", "frames", NULL,
     DUMP("'crash_info':{'crashing_thread':0},'threads':[{'frames':[{'function':'memcpy(x)'},"
          "{'function':'A::b(int)'}]}]"),
     "{'signature':'memcpy | A::b','proto_signature':'memcpy | A::b',"
     "'cluster_key':'ae9b3167af6c796a1bb0d96b9561a602','signature_debug':"
     "'SignatureGenerationRule: using CSignatureTool\\nSignatureGenerationRule: using included "
     "signature lists\\nSignatureGenerationRule: prefix; continue iterating: \\\"memcpy\\\"\\n"
     "SignatureGenerationRule: not a prefix; stop: \\\"A::b\\\"\\nSignatureGenerationRule: change "
     "signature: \\\"\\\" -> \\\"memcpy | A::b\\\"'}",
     NULL},
    {"ShutDownHangCrashingThread", "hang", NULL,
     "{'signature':'shutdownhang | x','crashing_thread':5,'json_dump':{'threads':"
     "[{'thread_name':'Main'}]}}",
     "{'crashing_thread':0,'crashing_thread_name':'Main'}", NULL},
    {"ShutDownHangCrashingThread", "other", NULL, "{'signature':'x','crashing_thread':5}", "{}",
     NULL},
};

static void test_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        struct job job;
        job_begin(&job, &arena, cases[i].raw, cases[i].processed);
        check_rule(cases[i].label, &job, cases[i].rule, cases[i].want, cases[i].notes);
        job_end(&job);
    }
}

static void test_raw_repairs(void **state)
{
    (void)state;
    struct arena arena;
    struct job job;
    job_begin(&job, &arena,
              "{'a':'x\\u0000y','b':null,'c':{'d':null},'ModuleSignatureInfo':{'s':['m']}}", NULL);
    check_rule("raw", &job, "DeNull", "{}", NULL);
    check_rule("raw", &job, "DeNone", "{}", NULL);
    check_rule("raw", &job, "ConvertModuleSignatureInfo", "{}", NULL);
    json_auto_t *want =
        doc("{'a':'xy','c':{'d':null},'ModuleSignatureInfo':'{\\\"s\\\":[\\\"m\\\"]}'}");
    assert_true(json_equal(job.raw, want));
    job_end(&job);
}

static const struct {
    const char *label;
    int exit_code;
    const char *json, *log, *want, *notes;
} walks[] = {
    {"good", 0, "{\"status\":\"OK\",\"pid\":1}", "a\nb\n",
     "{'json_dump':{'status':'OK','pid':1},'mdsw_return_code':0,'mdsw_status_string':'OK',"
     "'success':true,'stackwalk_version':'datil-stackwalk 0.1.0','mdsw_stderr':'a\\nb'}",
     ""},
    {"error in the log", 1, NULL, "ERROR MissingSystemInfo - text",
     "{'json_dump':{},'mdsw_return_code':1,'mdsw_status_string':'MissingSystemInfo',"
     "'success':false,'stackwalk_version':'datil-stackwalk 0.1.0',"
     "'mdsw_stderr':'ERROR MissingSystemInfo - text'}",
     "MinidumpStackwalkRule: minidump-stackwalk: failed: 1: unknown error; MinidumpStackwalkRule: "
     "processing upload_file_minidump had error; stomped on mdsw_status_string"},
    {"killed", -9, NULL, "",
     "{'json_dump':{},'mdsw_return_code':-9,'mdsw_status_string':'unknown error','success':false,"
     "'stackwalk_version':'datil-stackwalk 0.1.0','mdsw_stderr':''}",
     "MinidumpStackwalkRule: minidump-stackwalk: timeout (SIGKILL)"},
    {"no JSON", 0, NULL, "",
     "{'json_dump':{},'mdsw_return_code':0,'mdsw_status_string':'unknown error','success':false,"
     "'stackwalk_version':'datil-stackwalk 0.1.0','mdsw_stderr':''}",
     "minidump-stackwalk: non-json output: not valid JSON"},
    {"no object", 0, "[]", "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n",
     "{'json_dump':{},'mdsw_return_code':0,'mdsw_status_string':'unknown error','success':false,"
     "'stackwalk_version':'datil-stackwalk 0.1.0',"
     "'mdsw_stderr':'...\\n2\\n3\\n4\\n5\\n6\\n7\\n8\\n9\\n10\\n11'}",
     "MinidumpStackwalkRule: minidump-stackwalk produced unexpected output: list"},
};

static void test_walks(void **state)
{
    (void)state;
    struct job_dump dumps[] = {{"upload_file_minidump", "/dev/null", 1}};
    for (size_t i = 0; i < ARRAY_LEN(walks); i++) {
        struct arena arena;
        struct job job;
        job_begin(&job, &arena, NULL, NULL);
        job.dumps = dumps;
        job.dump_count = 1;
        fake.exit_code = walks[i].exit_code;
        fake.json = walks[i].json;
        fake.log = walks[i].log;
        STRBUF_AUTO want = {0};
        sb_init(&want, 4096);
        sb_printf(&want, "{'additional_minidumps':[],%s", walks[i].want + 1);
        check_rule(walks[i].label, &job, "MinidumpStackwalk", sb_cstr(&want), walks[i].notes);
        job_end(&job);
    }
}

static void test_several_dumps(void **state)
{
    (void)state;
    struct job_dump dumps[] = {{"memory_report", "/dev/null", 1},
                               {"upload_file_minidump_browser", "/dev/null", 1},
                               {"upload_file_minidump", "/dev/null", 0}};
    struct arena arena;
    struct job job;
    fake.exit_code = fake.runs = 0;
    fake.json = "{\"status\":\"OK\"}";
    fake.log = "";
    job_begin(&job, &arena, "{'a':'b'}", NULL);
    job.dumps = dumps;
    job.dump_count = ARRAY_LEN(dumps);
    check_rule("names of dumps", &job, "CrashReportKeys",
               "{'crash_report_keys':['a','memory_report','upload_file_minidump',"
               "'upload_file_minidump_browser']}",
               NULL);
    check_rule(
        "several", &job, "MinidumpStackwalk",
        "{'additional_minidumps':['upload_file_minidump_browser'],"
        "'mdsw_status_string':'EmptyMinidump','mdsw_stderr':'Shortcut for 0-bytes minidump.',"
        "'upload_file_minidump_browser':{'json_dump':{'status':'OK',"
        "'annotations':{'a':'b'}},'mdsw_return_code':0,'mdsw_status_string':'OK','success':true,'"
        "stackwalk_version':'datil-stackwalk 0.1.0',"
        "'mdsw_stderr':''}}",
        "MinidumpStackwalkRule: upload_file_minidump is empty--skipping minidump processing");
    assert_int_equal(fake.runs, 1);
    job_end(&job);
}

static json_t *thread_of(int n)
{
    json_t *frames = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(frames, json_pack("{s:i}", "frame", i));
    return json_pack("{s:o, s:i}", "frames", frames, "frame_count", n);
}

static void test_truncate(void **state)
{
    (void)state;
    struct arena arena;
    struct job job;
    job_begin(&job, &arena, NULL, "{'additional_minidumps':['upload_file_minidump_x']}");
    json_object_set_new(job.processed, "json_dump",
                        json_pack("{s:o, s:[o,o]}", "crashing_thread", thread_of(1501), "threads",
                                  thread_of(500), thread_of(501)));
    json_object_set_new(job.processed, "upload_file_minidump_x",
                        json_pack("{s:{s:[o]}}", "json_dump", "threads", thread_of(600)));
    struct err err = {0};
    check_reads("truncate", &job, rule_named("TruncateStacks"));
    assert_true(rules_apply_one(&job, "TruncateStacksRule", &err));
    FREE_LATER char *notes = joined_notes(&job);
    assert_string_equal(
        notes, "TruncateStacksRule: truncated json_dump.crashing_thread.frames: 1501 -> 500; "
               "TruncateStacksRule: truncated json_dump.threads[1].frames: 501 > 500; "
               "TruncateStacksRule: truncated upload_file_minidump_x.json_dump.threads[0].frames: "
               "600 > 500");
    const json_t *thread = jpath(job.processed, "json_dump.crashing_thread");
    const json_t *frames = jget_arr(thread, "frames");
    assert_int_equal(json_array_size(frames), 500);
    assert_string_equal(jpath_str(json_array_get(frames, 250), "truncated.msg"),
                        "1,001 frames truncated");
    assert_int_equal(jget_int_or(json_array_get(frames, 249), "frame", -1), 249);
    assert_int_equal(jget_int_or(json_array_get(frames, 251), "frame", -1), 1501 - 249);
    assert_int_equal(jget_int_or(thread, "frame_count", -1), 1501);
    assert_true(jget_bool_or(thread, "truncated", false));
    job_end(&job);
}

static void write_gzip(const char *path, const char *text, size_t zeros)
{
    gzFile f = gzopen(path, "wb");
    assert_non_null(f);
    gzwrite(f, text, (unsigned)strlen(text));
    FREE_LATER char *block = xcalloc(1, zeros + 1);
    memset(block, ' ', zeros);
    gzwrite(f, block, (unsigned)zeros);
    gzclose(f);
}

static void test_memory_report(void **state)
{
    (void)state;
    char path[] = "/tmp/datil-test-XXXXXX";
    FD_AUTO fd = mkstemp(path);
    assert_true(fd >= 0);
    static const struct {
        const char *label, *text;
        size_t zeros;
        const char *want, *notes;
    } reports[] = {
        {"good", "{\"version\":1}", 0, "{'memory_report':{'version':1}}", ""},
        {"JSON cut off", "{\"version\":", 0,
         "{'memory_report_error':'error in json for memory_report'}",
         "error in json for memory_report"},
        {"too large", "{", 20 << 20,
         "{'memory_report_error':'Uncompressed memory info too large 20971521 (max: 20971520)'}",
         "Uncompressed memory info too large 20971521 (max: 20971520)"},
        {"no gzip", NULL, 0, "{'memory_report_error':'error in gzip for memory_report'}",
         "error in gzip for memory_report"},
    };
    for (size_t i = 0; i < ARRAY_LEN(reports); i++) {
        struct job_dump dump = {"memory_report", path, 1};
        struct arena arena;
        struct job job;
        struct err err = {0};
        if (reports[i].text)
            write_gzip(path, reports[i].text, reports[i].zeros);
        else
            assert_true(fs_write_atomic(path, "plain", 5, 0600, &err));
        job_begin(&job, &arena, NULL, NULL);
        job.dumps = &dump;
        job.dump_count = 1;
        check_rule(reports[i].label, &job, "OutOfMemoryBinary", reports[i].want, reports[i].notes);
        job_end(&job);
    }
    unlink(path);
}

/* Whatever a stranger nests inside an annotation, the processed crash can be read again. */
static void test_deep_annotations_can_be_read_again(void **state)
{
    (void)state;
    static const char *const rules[] = {"CopyFromRawCrash", "Breadcrumbs"};
    for (int depth = JSON_GIVEN_DEPTH_MAX - 1; depth <= JSON_DEPTH_MAX + 1; depth++) {
        STRBUF_AUTO text;
        sb_init(&text, 10000);
        for (int i = 0; i < depth; i++)
            sb_text(&text, i % 2 ? "[" : "{\"a\":");
        sb_char(&text, '1');
        for (int i = depth; i-- > 0;)
            sb_char(&text, i % 2 ? ']' : '}');
        struct arena arena;
        struct job job;
        struct err err = {0};
        size_t n;
        job_begin(&job, &arena, NULL, NULL);
        jset_cstr(job.raw, "TelemetryEnvironment", sb_cstr(&text));
        jset_cstr(job.raw, "Breadcrumbs", sb_cstr(&text));
        for (size_t i = 0; i < ARRAY_LEN(rules); i++)
            assert_true(rule_named(rules[i])->act(&job, &err));
        bool is_kept = json_object_get(job.processed, "telemetry_environment");
        FREE_LATER char *stored = jdump(job.processed, &n);
        json_auto_t *again = jparse(str_n(stored, n), JSON_BYTES_MAX, ERR_IGNORED);
        if (!again || is_kept != (depth <= JSON_GIVEN_DEPTH_MAX))
            fail_msg("depth %d: %s, %s", depth, is_kept ? "kept" : "left out",
                     again ? "readable" : "lost");
        job_end(&job);
    }
}

static void test_writes_are_known(void **state)
{
    (void)state;
    for (size_t i = 0; i < rule_count; i++) {
        struct str rest = str_of(rule_table[i].writes), word;
        while (str_split(&rest, ' ', &word)) {
            if (str_starts(word, STR("raw:")) || word.p[0] == '@' || word.n == 0)
                continue;
            if (!schema_find(&fields_builtin.processed, word))
                fail_msg("%s writes " STR_FMT ", which the field table does not know",
                         rule_table[i].name, STR_ARG(word));
        }
    }
}

/* The field table says which rule makes a key; that rule must say so too. */
static void test_writers_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < fields_builtin.processed.n; i++) {
        const struct schema_key *k = &fields_builtin.processed.keys[i];
        if (strcmp(k->writer, "pipeline") != 0 &&
            !names_key(rule_named(k->writer)->writes, k->name))
            fail_msg("%s is not written by %s", k->name, k->writer);
    }
}

/* Behind all cases: a key that a row names as read matters in one of them. */
static void test_reads_are_used(void **state)
{
    (void)state;
    int unused = 0;
    for (size_t i = 0; i < rule_count; i++) {
        struct str rest = str_of(rule_table[i].reads), word;
        while (str_split(&rest, ' ', &word)) {
            char name[256];
            snprintf(name, sizeof name, "%s " STR_FMT, rule_table[i].name, STR_ARG(word));
            if (!json_object_get(used, name)) {
                print_error("no case in which it matters that %s\n", name);
                unused++;
            }
        }
    }
    assert_int_equal(unused, 0);
}

static void test_whole_run(void **state)
{
    (void)state;
    struct arena arena;
    struct job job;
    struct err err = {0};
    json_auto_t *old =
        doc("{'processor_notes':'second','processor_history':['first'],'url':'stale'}");
    job_begin(&job, &arena,
              "{'ProductName':'Firefox','Version':'128.0','uuid':'x',"
              "'submitted_timestamp':'2024-01-10T12:13:14+00:00','metadata':{}}",
              NULL);
    assert_true(rules_run(&job, old, &err));
    json_auto_t *want = doc("['second','first']");
    assert_true(json_equal(jget_arr(job.processed, "processor_history"), want));
    assert_true(jget_bool_or(job.processed, "success", false));
    assert_string_equal(jget_str(job.processed, "signature"), "EMPTY: no frame data available");
    assert_string_equal(jget_str(job.processed, "started_datetime"), "2024-01-10T12:13:14+00:00");
    assert_null(json_object_get(job.processed, "url"));
    const char *notes = jget_str(job.processed, "processor_notes");
    assert_true(str_starts(str_of(notes), STR(">>> Start processing: 2024-01-10 "
                                              "12:13:14.000000+00:00 (test)\n")));
    assert_null(strstr(notes, "failed"));
    const char *key;
    json_t *v;
    json_object_foreach (job.processed, key, v)
        if (!schema_find(&fields_builtin.processed, str_of(key)))
            fail_msg("%s is not in the field table", key);
    job_end(&job);
}

static void test_regenerate(void **state)
{
    (void)state;
    struct arena arena;
    struct job job;
    struct err err = {0};
    json_auto_t *old = doc("{'signature':'old','product':'P','json_dump':{'threads':[{'frames':"
                           "[{'function':'F'}]}]}}");
    job_begin(&job, &arena, NULL, NULL);
    job.ruleset = "regenerate_signature";
    assert_true(rules_run(&job, old, &err));
    assert_string_equal(jget_str(job.processed, "signature"), "F");
    assert_string_equal(jget_str(job.processed, "product"), "P");
    assert_string_equal(jget_str(old, "signature"), "old");
    job_end(&job);

    job_begin(&job, &arena, NULL, NULL);
    job.ruleset = "nonsense";
    assert_false(rules_run(&job, old, &err));
    assert_int_equal(err.code, ERR_INTERNAL); /* whoever took the name should have asked before */
    assert_false(rules_has_set("nonsense"));
    assert_false(rules_apply_one(&job, "Nonsense", &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    job_end(&job);
}

/* A crash that takes more memory than it may is refused; the worker and the next crash live. */
static void test_crash_beyond_its_memory(void **state)
{
    (void)state;
    struct arena arena;
    struct job job;
    struct err err = {0};
    job_begin(&job, &arena, "{'ProductName':'P','Version':'1.0','BuildID':'20240101000000'}", NULL);
    arena.max_bytes = 16;
    arena_alloc(&arena, 17); /* as its dumps' names or a rule may take */
    assert_false(rules_run(&job, NULL, &err));
    assert_int_equal(err.code, ERR_TOO_LARGE);
    assert_null(json_object_get(job.processed, "completed_datetime"));
    job_end(&job);
}

/*
 * An annotation that is a list becomes a text five times as long (0.1 is written with 17 digits),
 * larger than the limit and its reserve: the rules see an empty text, and the crash is processed.
 */
static void test_annotation_beyond_the_memory_of_a_crash(void **state)
{
    (void)state;
    enum { NUMBERS = 1200000, LIMIT = 1 << 20 };
    struct arena arena;
    struct job job;
    struct err err = {0};
    job_begin(&job, &arena, "{'ProductName':'P','Version':'1.0','BuildID':'20240101000000'}", NULL);
    json_t *list = json_array();
    for (int i = 0; i < NUMBERS; i++)
        json_array_append_new(list, json_real(0.1));
    json_object_set_new(job.raw, "JavaStackTrace", list);
    arena.max_bytes = LIMIT;
    if (!rules_run(&job, NULL, &err))
        fail_msg("%s", err.msg);
    assert_true(jget_bool_or(job.processed, "success", false));
    assert_int_equal(annotation_text(&job, "JavaStackTrace").n, 0);
    assert_string_equal(jget_str(job.processed, "product"), "P");
    job_end(&job);
}

/* Every rule over documents in which everything has a wrong type. */
static void test_hostile(void **state)
{
    (void)state;
    static const char *const values[] = {"null", "7",      "'x'",           "[]",    "{}", "[[]]",
                                         "true", "[null]", "{'frames':{}}", "1e300", "-1"};
    for (size_t v = 0; v < ARRAY_LEN(values); v++) {
        struct arena arena;
        struct job job;
        STRBUF_AUTO raw = {0};
        STRBUF_AUTO processed = {0};
        struct err err = {0};
        sb_init(&raw, 1 << 20);
        sb_init(&processed, 1 << 20);
        for (size_t i = 0; i < fields_builtin.annotation_count; i++)
            sb_printf(&raw, "%s'%s':%s", i ? "," : "{", fields_builtin.annotations[i].name,
                      values[v]);
        for (size_t i = 0; i < fields_builtin.processed.n; i++)
            sb_printf(&processed, "%s'%s':%s", i ? "," : "{", fields_builtin.processed.keys[i].name,
                      values[v]);
        sb_char(&raw, '}');
        sb_char(&processed, '}');
        job_begin(&job, &arena, sb_cstr(&raw), NULL);
        assert_true(rules_run(&job, NULL, &err));
        job_end(&job);
        for (size_t i = 0; i < rule_count; i++) {
            job_begin(&job, &arena, sb_cstr(&raw), sb_cstr(&processed));
            assert_true(rules_apply_one(&job, rule_table[i].name, &err));
            job_end(&job);
        }
    }
}

static int setup(void **state)
{
    (void)state;
    used = json_object();
    return siglists_load(NULL, &lists, ERR_IGNORED) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    siglists_free(lists);
    json_decref(used);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_raw_repairs),
        cmocka_unit_test(test_walks),
        cmocka_unit_test(test_several_dumps),
        cmocka_unit_test(test_truncate),
        cmocka_unit_test(test_memory_report),
        cmocka_unit_test(test_deep_annotations_can_be_read_again),
        cmocka_unit_test(test_reads_are_used),
        cmocka_unit_test(test_writes_are_known),
        cmocka_unit_test(test_writers_agree),
        cmocka_unit_test(test_whole_run),
        cmocka_unit_test(test_regenerate),
        cmocka_unit_test(test_crash_beyond_its_memory),
        cmocka_unit_test(test_annotation_beyond_the_memory_of_a_crash),
        cmocka_unit_test(test_hostile),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
