#include <assert.h>
#include <stdint.h>

#include "fcgi/collector/throttle.h"
#include "lib/base/util.h"

/* A rules file of an administrator who errs; what loads decides about reports of strangers. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decide(const struct throttle_rules *rules, const char *annotations)
{
    struct throttle_result a, b;
    json_auto_t *doc = json_loads(annotations, JSON_ALLOW_NUL, NULL);
    assert(doc);
    const struct throttle_facts facts = {
        .annotations = doc, .now_us = 1800000000000000, .draw = -1, .by_content = true};
    throttle_decide(rules, &facts, &a);
    throttle_decide(rules, &facts, &b);
    assert(a.code == b.code && strcmp(a.rule, b.rule) == 0);
    assert(a.code != THROTTLE_CONTINUE && a.rate >= 0 && a.rate <= 100);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct throttle_rules rules;
    struct err err = {0};
    if (!throttle_parse(str_n((const char *)data, size), &rules, &err)) {
        assert(err.code != ERR_NONE && err.msg[0]);
        return 0;
    }
    decide(&rules, "{}");
    decide(&rules, "{\"ProductName\": \"P\", \"BuildID\": \"20260101000000\", \"a\": \"x\\u0000y\","
                   " \"b\": null, \"c\": [1], \"d\": 1.5, \"e\": \"{\\\"x\\\": {\\\"y\\\": 3}}\"}");
    throttle_release(&rules);
    return 0;
}
