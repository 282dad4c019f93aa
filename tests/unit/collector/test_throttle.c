#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fcgi/collector/throttle.h"
#include "lib/base/fs.h"
#include "lib/base/time.h"
#include "lib/base/util.h"

/* clang-format off */
/* now is 2026-01-05T00:00:00Z unless the case says otherwise. */
enum profile { DEFAULT, ALL_PRODUCTS, ALL_PACKAGES, ACCEPT_ALL };
static const struct {
    const char *label, *annotations;
    enum profile profile;
    double draw; /* percent */
    const char *result, *rule;
    double percentage;
} cases[] = {
#define FX "\"ProductName\": \"Firefox\""
#define NIGHTLY FX ", \"ReleaseChannel\": \"nightly\""
    {"old build", "{" NIGHTLY ", \"BuildID\": \"20240105000000\"}", DEFAULT, 50, "REJECT", "has_old_buildid", 100},
    {"exactly 730 days", "{" NIGHTLY ", \"BuildID\": \"20240106000000\"}", DEFAULT, 50, "ACCEPT", "is_nightly", 100},
    {"build id of 13 digits", "{" NIGHTLY ", \"BuildID\": \"2010010500000\"}", DEFAULT, 50, "ACCEPT", "is_nightly", 100},
    {"build id with a date that is none", "{" NIGHTLY ", \"BuildID\": \"20100231000000\"}", DEFAULT, 50, "ACCEPT", "is_nightly", 100},
    {"build id of another century", "{" NIGHTLY ", \"BuildID\": \"19990105000000\"}", DEFAULT, 50, "ACCEPT", "is_nightly", 100},
    {"build id with a sign", "{" NIGHTLY ", \"BuildID\": \"+2010010500000\"}", DEFAULT, 50, "ACCEPT", "is_nightly", 100},
    {"build id as a number", "{" NIGHTLY ", \"BuildID\": 20100105000000}", DEFAULT, 50, "REJECT", "has_old_buildid", 100},
    {"hang of the browser", "{" NIGHTLY ", \"HangID\": \"x\"}", DEFAULT, 50, "REJECT", "has_hangid_and_browser", 100},
    {"hang, said to be the browser", "{" NIGHTLY ", \"HangID\": \"\", \"ProcessType\": \"browser\"}", DEFAULT, 50, "REJECT", "has_hangid_and_browser", 100},
    {"hang of a plugin", "{" NIGHTLY ", \"HangID\": \"x\", \"ProcessType\": \"plugin\"}", DEFAULT, 50, "ACCEPT", "is_background", 100},
    {"infobar", "{" NIGHTLY ", \"SubmittedFromInfobar\": \"true\", \"Version\": \"56.0.1\", \"BuildID\": \"20171002220106\"}", ALL_PRODUCTS, 50, "REJECT", "has_old_buildid", 100},
    {"infobar, build id no date", "{" NIGHTLY ", \"SubmittedFromInfobar\": \"true\", \"Version\": \"56.0.1\", \"BuildID\": \"2017\"}", ALL_PRODUCTS, 50, "REJECT", "infobar_is_true", 100},
    {"infobar as a boolean", "{" NIGHTLY ", \"SubmittedFromInfobar\": true, \"Version\": \"56.0.1\", \"BuildID\": \"2017\"}", ALL_PRODUCTS, 50, "ACCEPT", "is_nightly", 100},
    {"infobar without build id", "{" NIGHTLY ", \"SubmittedFromInfobar\": \"true\", \"Version\": \"56.0.1\"}", ALL_PRODUCTS, 50, "ACCEPT", "is_nightly", 100},
    {"infobar, later version", "{" NIGHTLY ", \"SubmittedFromInfobar\": \"true\", \"Version\": \"60.0\", \"BuildID\": \"2017\"}", ALL_PRODUCTS, 50, "ACCEPT", "is_nightly", 100},
    {"infobar, later build", "{" NIGHTLY ", \"SubmittedFromInfobar\": \"true\", \"Version\": \"59.0\", \"BuildID\": \"20171226\"}", ALL_PRODUCTS, 50, "ACCEPT", "is_nightly", 100},
    {"b2g", "{\"ProductName\": \"B2G\"}", DEFAULT, 50, "FAKEACCEPT", "b2g", 100},
    {"b2g in any case", "{\"ProductName\": \"b2G\"}", DEFAULT, 50, "FAKEACCEPT", "b2g", 100},
    {"b2g where every product is supported", "{\"ProductName\": \"B2G\"}", ALL_PRODUCTS, 50, "FAKEACCEPT", "b2g", 100},
    {"unknown product", "{\"ProductName\": \"Zzz\"}", DEFAULT, 50, "REJECT", "unsupported_product", 100},
    {"product in other case", "{\"ProductName\": \"firefox\"}", DEFAULT, 50, "REJECT", "unsupported_product", 100},
    {"no product", "{\"Version\": \"1\"}", DEFAULT, 50, "REJECT", "unsupported_product", 100},
    {"null product", "{\"ProductName\": null}", DEFAULT, 50, "REJECT", "unsupported_product", 100},
    {"product as a list", "{\"ProductName\": [\"Firefox\"]}", DEFAULT, 50, "REJECT", "unsupported_product", 100},
    {"unknown product where all are supported", "{\"ProductName\": \"Zzz\"}", ALL_PRODUCTS, 50, "ACCEPT", "accept_everything", 100},
    {"product with a blank", "{\"ProductName\": \"Firefox Enterprise\"}", DEFAULT, 50, "ACCEPT", "accept_everything", 100},
    {"package missing", "{\"ProductName\": \"Fenix\"}", DEFAULT, 50, "REJECT", "unsupported_packagename", 100},
    {"package unknown", "{\"ProductName\": \"Fenix\", \"Android_PackageName\": \"org.evil\"}", DEFAULT, 50, "REJECT", "unsupported_packagename", 100},
    {"package known", "{\"ProductName\": \"Fenix\", \"Android_PackageName\": \"org.mozilla.fenix\"}", DEFAULT, 50, "ACCEPT", "accept_everything", 100},
    {"package of another product", "{\"ProductName\": \"Focus\", \"Android_PackageName\": \"org.mozilla.fenix\"}", DEFAULT, 50, "REJECT", "unsupported_packagename", 100},
    {"package of an unrestricted product", "{" NIGHTLY ", \"Android_PackageName\": \"org.evil\"}", DEFAULT, 50, "ACCEPT", "is_nightly", 100},
    {"no package restrictions", "{\"ProductName\": \"Fenix\"}", ALL_PACKAGES, 50, "ACCEPT", "accept_everything", 100},
    {"not throttleable", "{" FX ", \"Throttleable\": \"0\"}", DEFAULT, 50, "ACCEPT", "throttleable_0", 100},
    {"not throttleable as a number", "{" FX ", \"Throttleable\": 0}", DEFAULT, 50, "ACCEPT", "throttleable_0", 100},
    {"throttleable", "{" NIGHTLY ", \"Throttleable\": \"1\"}", DEFAULT, 50, "ACCEPT", "is_nightly", 100},
    {"empty comment", "{" FX ", \"Comments\": \"\"}", DEFAULT, 50, "ACCEPT", "has_comments", 100},
    {"null comment", "{" FX ", \"Comments\": null}", DEFAULT, 50, "ACCEPT", "has_comments", 100},
    {"phc", "{" FX ", \"PHCKind\": \"FreedPage\"}", DEFAULT, 50, "ACCEPT", "has_phc", 100},
    {"gpu process", "{" FX ", \"ProcessType\": \"gpu\"}", DEFAULT, 50, "ACCEPT", "is_background", 100},
    {"content process", "{" FX ", \"ProcessType\": \"content\"}", DEFAULT, 50, "ACCEPT", "accept_everything", 100},
    {"shutdown kill, out of the share", "{" NIGHTLY ", \"ipc_channel_error\": \"ShutDownKill\"}", DEFAULT, 10.01, "REJECT", "is_shutdownkill", 10},
    {"shutdown kill, in the share", "{" NIGHTLY ", \"ipc_channel_error\": \"ShutDownKill\"}", DEFAULT, 10, "ACCEPT", "is_nightly", 100},
    {"other ipc error", "{" NIGHTLY ", \"ipc_channel_error\": \"shutdownkill\"}", DEFAULT, 99, "ACCEPT", "is_nightly", 100},
#define ESR(env) "{" FX ", \"ReleaseChannel\": \"esr\", \"TelemetryEnvironment\": \"" env "\"}"
#define OS(name, build) "{\\\"system\\\": {\\\"os\\\": {\\\"name\\\": \\\"" name "\\\", \\\"windowsBuildNumber\\\": " build "}}}"
    {"esr on Windows 8.1, out of the share", ESR(OS("Windows_NT", "9600")), DEFAULT, 26, "REJECT", "is_firefox_esr_unsupported_windows", 25},
    {"esr on Windows 8.1, in the share", ESR(OS("Windows_NT", "9600")), DEFAULT, 25, "ACCEPT", "is_alpha_beta_esr", 100},
    {"esr on Windows 10", ESR(OS("Windows_NT", "10240")), DEFAULT, 99, "ACCEPT", "is_alpha_beta_esr", 100},
    {"esr on Linux", ESR(OS("Linux", "9600")), DEFAULT, 99, "ACCEPT", "is_alpha_beta_esr", 100},
    {"esr, build zero", ESR(OS("Windows_NT", "0")), DEFAULT, 99, "ACCEPT", "is_alpha_beta_esr", 100},
    {"esr, build as text", ESR(OS("Windows_NT", "\\\"9600\\\"")), DEFAULT, 99, "ACCEPT", "is_alpha_beta_esr", 100},
    {"esr, build a fraction", ESR(OS("Windows_NT", "9600.0")), DEFAULT, 99, "ACCEPT", "is_alpha_beta_esr", 100},
    {"esr, environment is no JSON", ESR("{"), DEFAULT, 99, "ACCEPT", "is_alpha_beta_esr", 100},
    {"esr, environment is a list", ESR("[]"), DEFAULT, 99, "ACCEPT", "is_alpha_beta_esr", 100},
    {"esr, os is a list", ESR("{\\\"system\\\": {\\\"os\\\": []}}"), DEFAULT, 99, "ACCEPT", "is_alpha_beta_esr", 100},
    {"beta", "{" FX ", \"ReleaseChannel\": \"beta\"}", DEFAULT, 99, "ACCEPT", "is_alpha_beta_esr", 100},
    {"nightly variant", "{" FX ", \"ReleaseChannel\": \"nightly-try\"}", DEFAULT, 99, "ACCEPT", "is_nightly", 100},
    {"release, in the share", "{" FX ", \"ReleaseChannel\": \"release\"}", DEFAULT, 0, "ACCEPT", "is_firefox_desktop", 10},
    {"release, out of the share", "{" FX ", \"ReleaseChannel\": \"release\"}", DEFAULT, 11, "REJECT", "is_firefox_desktop", 10},
    {"release of another product", "{\"ProductName\": \"Thunderbird\", \"ReleaseChannel\": \"release\"}", DEFAULT, 99, "ACCEPT", "accept_everything", 100},
    {"other channel", "{" FX ", \"ReleaseChannel\": \"default\"}", DEFAULT, 99, "ACCEPT", "accept_everything", 100},
    {"accept all", "{}", ACCEPT_ALL, 99, "ACCEPT", "accept_everything", 100},
};

static const struct {
    const char *label, *rules, *message; /* part of it; NULL: good */
} load_cases[] = {
#define RULE(cond) "{\"rules\": [{\"name\": \"r\", \"key\": \"*\", \"if\": " cond ", \"then\": \"ACCEPT\"}]}"
#define THEN(then) "{\"rules\": [{\"name\": \"r\", \"key\": \"*\", \"if\": {\"op\": \"always\"}, \"then\": " then "}]}"
    {"good", RULE("{\"op\": \"always\"}"), NULL},
    {"no rules at all", "{\"rules\": []}", NULL},
    {"not JSON", "x", "not valid JSON"},
    {"no list", "{}", "a list"},
    {"bad name", "{\"rules\": [{\"name\": \"a b\"}]}", "name"},
    {"no key", "{\"rules\": [{\"name\": \"a\"}]}", "key is missing"},
    {"unknown operator", RULE("{\"op\": \"is\"}"), "unknown operator 'is'"},
    {"no condition", "{\"rules\": [{\"name\": \"a\", \"key\": \"*\"}]}", "unknown operator"},
    {"no field", RULE("{\"op\": \"equals\", \"value\": \"x\"}"), "needs 'of'"},
    {"no value", RULE("{\"op\": \"equals\", \"of\": \"x\"}"), "value"},
    {"value of a wrong type", RULE("{\"op\": \"in\", \"of\": \"x\", \"value\": [1]}"), "value"},
    {"bad regex", RULE("{\"op\": \"regex\", \"of\": \"x\", \"value\": \"(\"}"), "operator regex: missing closing parenthesis"},
    {"line of a rule", "{\n\"a\": [{\"}\": [{}]}],\n\"rules\": [\n{}]}", "number 1 in line 4"},
    {"regex", RULE("{\"op\": \"regex\", \"of\": \"x\", \"value\": \"^a+$\"}"), NULL},
    {"no conditions", RULE("{\"op\": \"all\"}"), "conditions"},
    {"bad condition inside", RULE("{\"op\": \"not\", \"conditions\": [{\"op\": \"x\"}]}"), "unknown operator 'x'"},
    {"no path", RULE("{\"op\": \"json_equals\", \"of\": \"x\", \"value\": 1}"), "path"},
    {"share", THEN("[12.5, \"CONTINUE\", \"REJECT\"]"), NULL},
    {"share over 100", THEN("[101, \"ACCEPT\", \"REJECT\"]"), "then"},
    {"share of two", THEN("[10, \"ACCEPT\"]"), "then"},
    {"unknown result", THEN("\"MAYBE\""), "then"},
    {"fixed CONTINUE", THEN("\"CONTINUE\""), "then"},
};
/* clang-format on */

struct fixture {
    char dir[64];
    struct products products;
    struct throttle_rules rules, accept_all;
};

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/test-throttle-XXXXXX");
    if (!mkdtemp(f->dir) || !products_load(f->dir, &f->products, ERR_IGNORED) ||
        !throttle_load("default", &f->rules, ERR_IGNORED) ||
        !throttle_load("accept_all", &f->accept_all, ERR_IGNORED))
        return -1;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    throttle_release(&f->rules);
    throttle_release(&f->accept_all);
    products_release(&f->products);
    fs_remove_tree(f->dir, ERR_IGNORED);
    free(f);
    return 0;
}

static void test_default_rules(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        json_auto_t *a = jparse(str_of(cases[i].annotations), 1 << 20, &err);
        if (!a)
            fail_msg("%s: %s", cases[i].label, err.msg);
        const struct throttle_facts facts = {
            .annotations = a,
            .products = cases[i].profile == ALL_PRODUCTS ? NULL : &f->products,
            .all_packages = cases[i].profile == ALL_PACKAGES,
            .now_us = days_of_civil(2026, 1, 5) * 86400 * 1000000,
            .draw = cases[i].draw,
        };
        struct throttle_result got;
        throttle_decide(cases[i].profile == ACCEPT_ALL ? &f->accept_all : &f->rules, &facts, &got);
        if (strcmp(throttle_code_name(got.code), cases[i].result) != 0 ||
            strcmp(got.rule, cases[i].rule) != 0 ||
            (int)(got.percentage * 100) != (int)(cases[i].percentage * 100))
            fail_msg("%s: got %s by %s, %.2f %%", cases[i].label, throttle_code_name(got.code),
                     got.rule, got.percentage);
    }
}

static void test_loading(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(load_cases); i++) {
        struct throttle_rules rules = {0};
        struct err err = {0};
        bool ok = throttle_parse(str_of(load_cases[i].rules), &rules, &err);
        const char *want = load_cases[i].message;
        if (ok != (want == NULL) || (want && !strstr(err.msg, want)))
            fail_msg("%s: %s", load_cases[i].label, err.msg);
        if (ok)
            throttle_release(&rules);
    }
}

static void test_no_match(void **state)
{
    (void)state;
    struct throttle_rules rules;
    struct throttle_result got;
    assert_true(throttle_parse(STR("{\"rules\": []}"), &rules, ERR_IGNORED));
    json_auto_t *a = json_object();
    throttle_decide(&rules, &(struct throttle_facts){.annotations = a}, &got);
    assert_int_equal(got.code, THROTTLE_REJECT);
    assert_string_equal(got.rule, "NO_MATCH");
    assert_true(got.percentage < 0.01);
    throttle_release(&rules);
}

/* A sampling rule keeps about its share. */
static void test_share(void **state)
{
    struct fixture *f = *state;
    json_auto_t *a = json_pack("{s:s, s:s}", "ProductName", "Firefox", "ReleaseChannel", "release");
    int kept = 0;
    for (int i = 0; i < 10000; i++) {
        struct throttle_result got;
        throttle_decide(
            &f->rules,
            &(struct throttle_facts){.annotations = a, .products = &f->products, .draw = -1}, &got);
        kept += got.code == THROTTLE_ACCEPT;
    }
    assert_in_range(kept, 800, 1200);
}

/* The same report draws the same, each rule for itself; the rate says what a kept one
 * stands for. */
static void test_sampling_by_content(void **state)
{
    (void)state;
    static const char text[] =
        "{\"rules\": ["
        "{\"name\": \"first\", \"key\": \"*\", \"if\": {\"op\": \"always\"},"
        " \"then\": [10, \"CONTINUE\", \"REJECT\"]},"
        "{\"name\": \"second\", \"key\": \"*\", \"if\": {\"op\": \"always\"},"
        " \"then\": [50, \"ACCEPT\", \"REJECT\"]}]}";
    struct throttle_rules rules;
    assert_true(throttle_parse(str_of(text), &rules, ERR_IGNORED));
    int through_first = 0, kept = 0;
    for (int i = 0; i < 20000; i++) {
        json_auto_t *a = json_pack("{s:i}", "CrashTime", i);
        char sum[20];
        snprintf(sum, sizeof sum, "%d", i);
        const struct throttle_facts facts = {
            .annotations = a, .draw = -1, .by_content = true, .checksum = i % 2 ? sum : NULL};
        struct throttle_result got, again;
        throttle_decide(&rules, &facts, &got);
        throttle_decide(&rules, &facts, &again);
        assert_int_equal(got.code, again.code);
        assert_string_equal(got.rule, again.rule);
        through_first += strcmp(got.rule, "second") == 0;
        if (got.code == THROTTLE_ACCEPT) {
            kept++;
            assert_true(got.rate > 4.999 && got.rate < 5.001);
        }
    }
    assert_in_range(through_first, 1800, 2200);
    assert_in_range(kept, 850, 1150);
    throttle_release(&rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default_rules),
        cmocka_unit_test(test_loading),
        cmocka_unit_test(test_no_match),
        cmocka_unit_test(test_share),
        cmocka_unit_test(test_sampling_by_content),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
