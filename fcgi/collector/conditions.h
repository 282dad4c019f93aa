#ifndef COLLECTOR_CONDITIONS_H
#define COLLECTOR_CONDITIONS_H

#include "lib/crash/product.h"
#include "lib/json/json.h"

/*
 * conditions - the operators of rules: whether a report is what a rule is about.
 *
 * Ownership  Compiled expressions belong to the rules: conditions_begin before the first check,
 *            conditions_end with the rules.  Checking writes into a condition which one is its own.
 * Errors     condition_check: ERR_INVALID says which operator and what is wrong.  Of a condition
 *            that was checked condition_holds cannot fail.
 * Trust      Conditions come from an administrator, annotations from strangers.
 */

/* What is asked about. */
struct throttle_facts {
    const json_t *annotations;
    const struct products *products; /* NULL: every product is supported */
    bool all_packages;               /* no package restrictions */
    int64_t now_us;
    double draw;          /* of sampling rules, 0 to 100; negative: one for each rule, */
    bool by_content;      /* out of the report itself, the same whenever it comes; else random */
    const char *checksum; /* of the main dump; NULL: there is none, the annotations count */
};

struct throttle_regex;
struct throttle_regexes {
    struct throttle_regex *v; /* owned */
    size_t n;
    struct pcre2_real_match_context_8 *limits;
};
void conditions_begin(struct throttle_regexes *regexes);
void conditions_end(struct throttle_regexes *regexes);

/* What is worked out at most once for a report. */
struct condition_memo {
    const json_t *annotation; /* whose text is parsed in `inside` */
    json_t *inside;           /* owned; NULL: it is no JSON */
};
void condition_memo_release(struct condition_memo *memo);

/* is_keyed: the rule says which annotation it is about. */
bool condition_check(struct throttle_regexes *regexes, json_t *condition, bool is_keyed,
                     struct err *err);

/* key: of the rule; the annotation of conditions without "of". */
bool condition_holds(const struct throttle_regexes *regexes, const struct throttle_facts *facts,
                     struct condition_memo *memo, const char *key, const json_t *condition);

#endif
