/*
 * Rules as data: a list of conditions (conditions.c) with what happens to a report that one holds
 * for.
 *
 * Sampling draws from what the report is, not from a generator: a retry, another worker and another
 * collector draw the same.  Each rule has a draw of its own, because with a common one a report
 * that got through "10 % CONTINUE" would get through every later "10 %" as well.
 *
 * The first rule that matches and does not say CONTINUE decides; a report that none matches is
 * rejected.  A rules file is checked whole before it is used, down to the operators' values, so
 * that deciding about a report cannot fail: a report is never lost over a mistake in a rule.
 */
#include "fcgi/collector/throttle.h"

#include "fcgi/collector/conditions.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/product.h"

enum {
    RULES_MAX = 1000,     /* people write them; the rules that ship are 16 */
    NAME_MAX_BYTES = 100, /* RECENT_RULE_SIZE holds it, with its zero */
    FILE_MAX = 1 << 20,   /* a thousand rules of a kilobyte */
};

struct throttle_rule {
    const char *name, *key;  /* borrowed from the document */
    const json_t *condition; /* checked at load */
    enum throttle_code le, gt;
    double percentage; /* 100: always le */
};

/* clang-format off */
static const struct {
    const char *name;
    enum throttle_code code;
} codes[] = {
    {"ACCEPT", THROTTLE_ACCEPT}, {"DEFER", THROTTLE_DEFER}, {"REJECT", THROTTLE_REJECT},
    {"FAKEACCEPT", THROTTLE_FAKEACCEPT}, {"CONTINUE", THROTTLE_CONTINUE},
};
/* clang-format on */

const char *throttle_code_name(enum throttle_code code)
{
    return codes[code].name;
}

static bool parse_code(const json_t *v, bool may_continue, enum throttle_code *ret)
{
    for (size_t i = 0; json_is_string(v) && i < ARRAY_LEN(codes); i++)
        if (strcmp(codes[i].name, json_string_value(v)) == 0 &&
            (may_continue || codes[i].code != THROTTLE_CONTINUE)) {
            *ret = codes[i].code;
            return true;
        }
    return false;
}

/* "ACCEPT", or [PERCENT, what happens to so many, what to the others]; CONTINUE makes sense only in
 * the second form, a rule that always continued would be no rule. */
static bool parse_then(const json_t *then, struct throttle_rule *rule)
{
    rule->percentage = 100;
    if (json_is_string(then))
        return parse_code(then, false, &rule->le);
    const json_t *share = json_array_get(then, 0);
    rule->percentage = json_number_value(share);
    return json_array_size(then) == 3 && json_is_number(share) && rule->percentage >= 0 &&
           rule->percentage <= 100 && parse_code(json_array_get(then, 1), true, &rule->le) &&
           parse_code(json_array_get(then, 2), true, &rule->gt);
}

/* A name goes into logs, into the reply of a rejection and into the raw crash. */
static bool is_rule_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= 'A' && s.p[i] <= 'Z') ||
              (s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '_'))
            return false;
    return s.n > 0 && s.n <= NAME_MAX_BYTES;
}

/* The name first: every later message of this rule says it. */
static bool parse_rule(struct throttle_rules *rules, const json_t *v, struct throttle_rule *rule,
                       struct err *err)
{
    struct str name = jget_strn(v, "name");
    if (!is_rule_name(name))
        return err_set(err, ERR_INVALID, "bad or missing name");
    rule->name = name.p;
    rule->key = jget_str(v, "key");
    json_t *condition = jget_obj(v, "if");
    rule->condition = condition;
    bool ok = rule->key ? true : err_set(err, ERR_INVALID, "key is missing");
    ok = ok && condition_check(&rules->regexes, condition, rule->key[0] != '*', err);
    if (ok && !parse_then(json_object_get(v, "then"), rule))
        ok = err_set(err, ERR_INVALID, "bad or missing 'then'");
    return ok || err_wrap(err, "rule %s", rule->name);
}

/* The place behind the string that begins at `at`. */
static size_t skip_string(struct str text, size_t at)
{
    for (at++; at < text.n && text.p[at] != '"'; at++)
        if (text.p[at] == '\\')
            at++;
    return at + 1;
}

/* Line of the rule with this number in a document that parses: the objects in the list behind the
 * top key "rules". */
static int line_of_rule(struct str text, size_t number)
{
    int line = 1, depth = 0;
    bool is_rules = false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '"') {
            size_t end = skip_string(text, i);
            if (depth == 1) /* keys, and values that are texts */
                is_rules = str_eq(str_sub(text, i, end - i), STR("\"rules\""));
            i = end - 1;
            continue;
        }
        line += c == '\n';
        depth += (c == '{' || c == '[') - (c == '}' || c == ']');
        if (is_rules && c == '{' && depth == 3 && number-- == 0)
            return line;
    }
    return 1;
}

bool throttle_parse(struct str text, struct throttle_rules *ret, struct err *err)
{
    json_auto_t *document = jparse(text, FILE_MAX, err);
    if (!document)
        return err_wrap(err, "throttle rules");
    const json_t *list = jget_arr(document, "rules");
    size_t n = json_array_size(list);
    if (!list || n > RULES_MAX)
        return err_set(err, ERR_INVALID, "throttle rules: a list \"rules\" of at most %d is needed",
                       RULES_MAX);
    struct throttle_rules rules = {
        .document = json_incref(document),
        .v = xcalloc(n + 1, sizeof *rules.v),
        .n = n,
    };
    conditions_begin(&rules.regexes);
    for (size_t i = 0; i < n; i++)
        if (!parse_rule(&rules, json_array_get(list, i), &rules.v[i], err)) {
            throttle_release(&rules);
            return err_wrap(err, "throttle rules, number %zu in line %d", i + 1,
                            line_of_rule(text, i));
        }
    *ret = rules;
    return true;
}

/* "default", "accept_all", or the path of a file. */
bool throttle_load(const char *which, struct throttle_rules *ret, struct err *err)
{
    if (strcmp(which, "default") == 0)
        return throttle_parse(str_of(throttle_default_text), ret, err);
    if (strcmp(which, "accept_all") == 0)
        return throttle_parse(str_of(throttle_accept_all_text), ret, err);
    FREE_LATER char *text = NULL;
    size_t n;
    return fs_read(which, FILE_MAX, &text, &n, err) &&
           (throttle_parse(str_n(text, n), ret, err) || err_wrap(err, "%s", which));
}

void throttle_release(struct throttle_rules *r)
{
    json_decref(r->document);
    free(r->v);
    conditions_end(&r->regexes);
    *r = (struct throttle_rules){0};
}

/* The checksum of the main dump, or of all annotations when there is none: a report that is sent
 * again with other annotations but the same dump is to draw the same. */
static const char *content_of(const struct throttle_facts *facts, char memo[SHA256_HEX + 1])
{
    if (facts->checksum)
        return facts->checksum;
    if (!memo[0]) {
        size_t n;
        FREE_LATER char *text = jdump(facts->annotations, &n);
        sha256_hex(text, n, memo);
    }
    return memo;
}

/* 0 to 100, evenly; 53 bits, as many as a double holds. */
static double draw(const struct throttle_facts *facts, char memo[SHA256_HEX + 1], const char *rule)
{
    if (facts->draw >= 0)
        return facts->draw;
    uint64_t number;
    if (facts->by_content) {
        const char *content = content_of(facts, memo);
        number = hash64_seed(content, strlen(content), hash64(rule, strlen(rule)));
    } else {
        number = random_u64();
    }
    return (double)(number >> 11) / 9007199254740992.0 * 100;
}

/* Draws for one rule; *rate becomes the share of such reports that come this way. */
static enum throttle_code outcome(const struct throttle_rule *rule,
                                  const struct throttle_facts *facts, char memo[SHA256_HEX + 1],
                                  double *rate)
{
    /* No draw where both ways are the same: the rate of the crash stays what it was. */
    if (rule->percentage >= 100 || rule->le == rule->gt)
        return rule->le;
    bool is_le = draw(facts, memo, rule->name) <= rule->percentage;
    *rate *= (is_le ? rule->percentage : 100 - rule->percentage) / 100;
    return is_le ? rule->le : rule->gt;
}

/* The rules that a product's own share takes the place of: those that keep all, or a share of all.
 * A rule that keeps reports for what they say (a comment) or samples some kind of them goes on. */
static bool is_general(const struct throttle_rule *rule)
{
    const char *op = jget_str(rule->condition, "op");
    bool samples = rule->percentage < 100 && rule->gt == THROTTLE_REJECT;
    bool keeps_all = rule->key[0] == '*' && op && strcmp(op, "always") == 0;
    return rule->le == THROTTLE_ACCEPT && (samples || keeps_all);
}

/* The rule of the product's own sampling in place of this one; false: it has none. */
static bool own_share(const struct throttle_facts *facts, const struct throttle_rule *rule,
                      struct throttle_rule *ret)
{
    const struct product *p =
        facts->products
            ? products_find(facts->products, jget_strn(facts->annotations, "ProductName"))
            : NULL;
    double percent;
    if (!p || !is_general(rule) ||
        !product_share(p, jget_strn(facts->annotations, "ReleaseChannel"), &percent))
        return false;
    *ret = (struct throttle_rule){.name = p->sampling_rule,
                                  .le = THROTTLE_ACCEPT,
                                  .gt = THROTTLE_REJECT,
                                  .percentage = percent};
    return true;
}

/*
 * The rate is what the report counts for: 10 after one rule that kept ten of a hundred, 2.5 when a
 * second one then kept a quarter.
 */
void throttle_decide(const struct throttle_rules *rules, const struct throttle_facts *facts,
                     struct throttle_result *ret)
{
    struct condition_memo memo = {0};
    char content[SHA256_HEX + 1] = ""; /* worked out at most once for a report */
    double rate = 100;
    *ret = (struct throttle_result){THROTTLE_REJECT, "NO_MATCH", 0, rate};
    for (size_t i = 0; i < rules->n; i++) {
        const struct throttle_rule *rule = &rules->v[i];
        bool is_keyed = rule->key[0] != '*';
        if (is_keyed && !json_object_get(facts->annotations, rule->key))
            continue; /* a condition such as `not` must not match for want of the annotation */
        if (!condition_holds(&rules->regexes, facts, &memo, rule->key, rule->condition))
            continue;
        struct throttle_rule own;
        if (own_share(facts, rule, &own))
            rule = &own;
        enum throttle_code code = outcome(rule, facts, content, &rate);
        if (code == THROTTLE_CONTINUE)
            continue;
        *ret = (struct throttle_result){code, rule->name, rule->percentage, rate};
        break;
    }
    condition_memo_release(&memo);
}
