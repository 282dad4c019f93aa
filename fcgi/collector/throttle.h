#ifndef COLLECTOR_THROTTLE_H
#define COLLECTOR_THROTTLE_H

#include "fcgi/collector/conditions.h"
#include "lib/json/json.h"

/*
 * throttle - decides by rules whether a report is kept.  Rules are data (throttle_default.c, or a
 * file): an ordered list, the first rule that matches and does not say CONTINUE decides.
 *
 *   {"rules": [{"name": "is_nightly", "key": "ReleaseChannel",
 *               "if": {"op": "prefix", "value": "nightly"}, "then": "ACCEPT"},
 *              {"name": "ten_percent", "key": "*", "if": {"op": "always"},
 *               "then": [10, "ACCEPT", "REJECT"]}]}
 *
 * Key        "*": the condition sees the whole report.  Else the rule applies only if the
 *            annotation exists (also empty or null), and conditions without "of" see it.
 * Condition  "op" from the table in conditions.c; "of" an annotation; "default" stands for a
 * missing one (else the empty text); "conditions" below all, any and not. Ownership  throttle_rules
 * owns the parsed document. Errors     Loading: ERR_INVALID names the rule and what is wrong.
 * Deciding never fails: what does not fit a condition does not match it. Trust      Rules come from
 * an administrator, annotations from strangers.
 */
enum throttle_code {
    THROTTLE_ACCEPT = 0,
    THROTTLE_DEFER = 1,
    THROTTLE_REJECT = 2,
    THROTTLE_FAKEACCEPT = 3,
    THROTTLE_CONTINUE = 4,
};
const char *throttle_code_name(enum throttle_code code); /* "ACCEPT" */

struct throttle_rule;
struct throttle_rules {
    json_t *document; /* all owned */
    struct throttle_rule *v;
    size_t n;
    struct throttle_regexes regexes;
};

/* which: "default", "accept_all", or the path of a file. */
bool throttle_load(const char *which, struct throttle_rules *ret, struct err *err);
bool throttle_parse(struct str text, struct throttle_rules *ret, struct err *err);
void throttle_release(struct throttle_rules *r);
extern const char throttle_default_text[];
extern const char throttle_accept_all_text[];

struct throttle_result {
    enum throttle_code code;
    const char *rule;  /* borrowed from the rules, or "NO_MATCH" */
    double percentage; /* 100 for a fixed result, 0 for no match */
    double rate;       /* percent of such reports that come to this result, over all sampling
                          rules on the way: what one of them stands for */
};

void throttle_decide(const struct throttle_rules *rules, const struct throttle_facts *facts,
                     struct throttle_result *ret);

/* `datil-collector --throttle [--rules F]`: a dry run from standard input to output. */
int throttle_dry_run(int argc, char **argv);

#endif
