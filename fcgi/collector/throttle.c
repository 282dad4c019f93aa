#include "throttle.h"

#include <assert.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/time.h"
#include "base/util.h"

enum { RULES_MAX = 1000, NAME_MAX_BYTES = 100, NESTING_MAX = 8, FILE_MAX = 1 << 20 };
enum { REGEX_MATCH_LIMIT = 100000, REGEX_SUBJECT_MAX = 64 << 10, ENVIRONMENT_MAX = 4 << 20 };

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

struct context {
    const struct throttle_facts *facts;
    const char *key;          /* of the rule */
    const char *field;        /* the annotation that the condition looks at */
    const json_t *annotation; /* its value, or NULL */
    bool has_text;            /* text is comparable (not an object or list) */
    struct str text;
    char number[40]; /* storage of a number's text */
};

/* Values compare as text; a missing one is the default, or empty. */
static void take_text(struct context *c, const json_t *condition)
{
    const json_t *v = c->annotation;
    c->has_text = true;
    if (!v) {
        const char *fallback = jget_str(condition, "default");
        c->text = str_of(fallback ? fallback : "");
    } else if (json_is_string(v)) {
        c->text = str_n(json_string_value(v), json_string_length(v));
    } else if (json_is_null(v)) {
        c->text = STR("None");
    } else if (json_is_boolean(v)) {
        c->text = json_is_true(v) ? STR("True") : STR("False");
    } else if (json_is_integer(v)) {
        snprintf(c->number, sizeof c->number, "%lld", (long long)json_integer_value(v));
        c->text = str_of(c->number);
    } else if (json_is_real(v)) {
        snprintf(c->number, sizeof c->number, "%.17g", json_real_value(v));
        c->text = str_of(c->number);
    } else {
        c->has_text = false;
        c->text = STR("");
    }
}

static bool text_equals(const struct context *c, const json_t *value)
{
    return c->has_text && str_eq(c->text, str_of(json_string_value(value)));
}

static bool op_always(const struct context *c, const json_t *condition, const json_t *value)
{
    (void)c, (void)condition, (void)value;
    return true;
}

static bool op_exists(const struct context *c, const json_t *condition, const json_t *value)
{
    (void)condition, (void)value;
    return c->annotation != NULL;
}

static bool op_equals(const struct context *c, const json_t *condition, const json_t *value)
{
    (void)condition;
    return text_equals(c, value);
}

static bool op_equals_nocase(const struct context *c, const json_t *condition, const json_t *value)
{
    (void)condition;
    return c->has_text && str_eq_nocase(c->text, str_of(json_string_value(value)));
}

static bool op_in(const struct context *c, const json_t *condition, const json_t *value)
{
    (void)condition;
    for (size_t i = 0; i < json_array_size(value); i++)
        if (text_equals(c, json_array_get(value, i)))
            return true;
    return false;
}

static bool op_prefix(const struct context *c, const json_t *condition, const json_t *value)
{
    (void)condition;
    return c->has_text && str_starts(c->text, str_of(json_string_value(value)));
}

static bool op_prefix_in(const struct context *c, const json_t *condition, const json_t *value)
{
    for (size_t i = 0; i < json_array_size(value); i++)
        if (op_prefix(c, condition, json_array_get(value, i)))
            return true;
    return false;
}

static bool op_lt(const struct context *c, const json_t *condition, const json_t *value)
{
    (void)condition;
    return c->has_text && str_cmp(c->text, str_of(json_string_value(value))) < 0;
}

static pcre2_code *compile(struct str pattern, int *ret_error)
{
    PCRE2_SIZE at;
    return pcre2_compile((PCRE2_SPTR)pattern.p, pattern.n, PCRE2_UTF, ret_error, &at, NULL);
}

static bool op_regex(const struct context *c, const json_t *condition, const json_t *value)
{
    (void)condition;
    int error;
    pcre2_code *re = compile(str_of(json_string_value(value)), &error);
    if (!re || !c->has_text || c->text.n > REGEX_SUBJECT_MAX) {
        pcre2_code_free(re);
        return false;
    }
    pcre2_match_data *match = pcre2_match_data_create_from_pattern(re, NULL);
    pcre2_match_context *limits = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(limits, REGEX_MATCH_LIMIT);
    int rc = pcre2_match(re, (PCRE2_SPTR)c->text.p, c->text.n, 0, 0, match, limits);
    pcre2_match_context_free(limits);
    pcre2_match_data_free(match);
    pcre2_code_free(re);
    return rc >= 0;
}

/* A build id is 14 digits that start with a date of this century. */
static bool op_older_than_days(const struct context *c, const json_t *condition,
                               const json_t *value)
{
    (void)condition;
    uint64_t number;
    if (c->text.n != 14 || !str_starts(c->text, STR("20")) ||
        !str_to_u64(c->text, 10, UINT64_MAX, "build id", &number, NULL))
        return false;
    int date = (int)(number / 1000000);
    int year = date / 10000, month = date / 100 % 100, day = date % 100;
    if (!civil_date_exists(year, month, day))
        return false;
    int64_t built_us = days_of_civil(year, month, day) * 86400 * 1000000;
    return built_us < c->facts->now_us - json_integer_value(value) * 86400 * 1000000;
}

static bool op_product_unlisted(const struct context *c, const json_t *condition,
                                const json_t *value)
{
    (void)condition;
    const struct products *p = c->facts->products;
    return !p || !products_find(p, str_of(json_string_value(value)));
}

static bool op_product_unsupported(const struct context *c, const json_t *condition,
                                   const json_t *value)
{
    (void)condition, (void)value;
    const struct products *p = c->facts->products;
    if (!p || p->n == 0 || (c->has_text && products_find(p, c->text)))
        return false;
    log_event(LOG_INFO, "product_rejected", "ProductName rejected", LOG_V("product", c->text));
    return true;
}

static bool op_package_unsupported(const struct context *c, const json_t *condition,
                                   const json_t *value)
{
    (void)condition, (void)value;
    const char *name = jget_str(c->facts->annotations, "ProductName");
    const struct product *product =
        c->facts->products && name ? products_find(c->facts->products, str_of(name)) : NULL;
    if (!product || c->facts->all_packages || !product->package_names || !product->package_names[0])
        return false;
    for (char **p = product->package_names; *p && c->annotation; p++)
        if (c->has_text && str_eq(c->text, str_of(*p)))
            return false;
    log_event(LOG_INFO, "package_rejected", "Android_PackageName rejected", LOG_S("product", name),
              LOG_V("package", c->annotation ? c->text : STR("no Android_PackageName")));
    return true;
}

/* The annotation is itself a JSON text; the value at `path` in it, new, or NULL. */
static json_t *value_inside(const struct context *c, const json_t *condition)
{
    if (!json_is_string(c->annotation))
        return NULL;
    json_auto_t *inside = json_parse(c->text, ENVIRONMENT_MAX, NULL);
    return json_incref(jpath(inside, jget_str(condition, "path")));
}

static bool op_json_equals(const struct context *c, const json_t *condition, const json_t *value)
{
    json_auto_t *found = value_inside(c, condition);
    return found && json_equal(found, value);
}

static bool op_json_at_most(const struct context *c, const json_t *condition, const json_t *value)
{
    json_auto_t *found = value_inside(c, condition);
    return json_is_integer(found) && json_integer_value(found) <= json_integer_value(value);
}

static bool matches(struct context c, const json_t *condition);

static bool op_all(const struct context *c, const json_t *condition, const json_t *value)
{
    (void)value;
    const json_t *list = jget_arr(condition, "conditions");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!matches(*c, json_array_get(list, i)))
            return false;
    return true;
}

static bool op_any(const struct context *c, const json_t *condition, const json_t *value)
{
    (void)value;
    const json_t *list = jget_arr(condition, "conditions");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (matches(*c, json_array_get(list, i)))
            return true;
    return false;
}

static bool op_not(const struct context *c, const json_t *condition, const json_t *value)
{
    return !op_any(c, condition, value);
}

enum value_kind {
    VALUE_NONE,
    VALUE_TEXT,
    VALUE_TEXTS,
    VALUE_INT,
    VALUE_ANY,
    VALUE_REGEX,
    VALUE_CONDITIONS
};

/* clang-format off */
static const struct op {
    const char *name;
    enum value_kind kind; /* of "value" */
    bool needs_path;
    bool (*test)(const struct context *c, const json_t *condition, const json_t *value);
} ops[] = {
    {"always", VALUE_NONE, false, op_always},
    {"exists", VALUE_NONE, false, op_exists},
    {"equals", VALUE_TEXT, false, op_equals},
    {"equals_nocase", VALUE_TEXT, false, op_equals_nocase},
    {"in", VALUE_TEXTS, false, op_in},
    {"prefix", VALUE_TEXT, false, op_prefix},
    {"prefix_in", VALUE_TEXTS, false, op_prefix_in},
    {"lt", VALUE_TEXT, false, op_lt},
    {"regex", VALUE_REGEX, false, op_regex},
    {"older_than_days", VALUE_INT, false, op_older_than_days},
    {"product_unlisted", VALUE_TEXT, false, op_product_unlisted},
    {"product_unsupported", VALUE_NONE, false, op_product_unsupported},
    {"package_unsupported", VALUE_NONE, false, op_package_unsupported},
    {"json_equals", VALUE_ANY, true, op_json_equals},
    {"json_at_most", VALUE_INT, true, op_json_at_most},
    {"all", VALUE_CONDITIONS, false, op_all},
    {"any", VALUE_CONDITIONS, false, op_any},
    {"not", VALUE_CONDITIONS, false, op_not},
};
/* clang-format on */

static const struct op *op_of(const json_t *condition)
{
    const char *name = jget_str(condition, "op");
    for (size_t i = 0; name && i < ARRAY_LEN(ops); i++)
        if (strcmp(ops[i].name, name) == 0)
            return &ops[i];
    return NULL;
}

static bool matches(struct context c, const json_t *condition)
{
    const char *of = jget_str(condition, "of");
    c.field = of ? of : c.key;
    c.annotation = json_object_get(c.facts->annotations, c.field);
    take_text(&c, condition);
    const struct op *op = op_of(condition);
    assert(op); /* checked at load */
    return op->test(&c, condition, json_object_get(condition, "value"));
}

static bool is_text_list(const json_t *v)
{
    for (size_t i = 0; i < json_array_size(v); i++)
        if (!json_is_string(json_array_get(v, i)))
            return false;
    return json_is_array(v);
}

static bool value_fits(enum value_kind kind, const json_t *v)
{
    switch (kind) {
    case VALUE_TEXT:
        return json_is_string(v);
    case VALUE_TEXTS:
        return is_text_list(v);
    case VALUE_INT:
        return json_is_integer(v);
    case VALUE_ANY:
        return v != NULL;
    case VALUE_REGEX: {
        int error = 0;
        pcre2_code *re = json_is_string(v) ? compile(str_of(json_string_value(v)), &error) : NULL;
        pcre2_code_free(re);
        return re != NULL;
    }
    default:
        return v == NULL;
    }
}

static bool check_condition(const json_t *c, bool is_keyed, int depth, struct err *err)
{
    const struct op *op = op_of(c);
    if (!op)
        return err_set(err, ERR_INVALID, "unknown operator '%.40s'",
                       jget_str(c, "op") ? jget_str(c, "op") : "");
    if (depth > NESTING_MAX)
        return err_set(err, ERR_INVALID, "conditions nested deeper than %d", NESTING_MAX);
    bool looks =
        op->kind != VALUE_CONDITIONS && op->test != op_always && op->test != op_product_unlisted;
    if (looks && !is_keyed && !jget_str(c, "of"))
        return err_set(err, ERR_INVALID, "operator %s needs 'of' in a rule with key *", op->name);
    if (!value_fits(op->kind, json_object_get(c, "value")))
        return err_set(err, ERR_INVALID, "operator %s: bad or missing value", op->name);
    if (op->needs_path && !jget_str(c, "path"))
        return err_set(err, ERR_INVALID, "operator %s: path is missing", op->name);
    const json_t *list = jget_arr(c, "conditions");
    if ((op->kind == VALUE_CONDITIONS) != (list != NULL))
        return err_set(err, ERR_INVALID, "operator %s: 'conditions' missing or not wanted",
                       op->name);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!check_condition(json_array_get(list, i), is_keyed, depth + 1, err))
            return false;
    return true;
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

static bool is_rule_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= 'A' && s.p[i] <= 'Z') ||
              (s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '_'))
            return false;
    return s.n > 0 && s.n <= NAME_MAX_BYTES;
}

static bool parse_rule(const json_t *v, struct throttle_rule *rule, struct err *err)
{
    struct str name = jget_strn(v, "name");
    if (!is_rule_name(name))
        return err_set(err, ERR_INVALID, "bad or missing name");
    rule->name = name.p;
    rule->key = jget_str(v, "key");
    rule->condition = jget_obj(v, "if");
    bool ok = rule->key ? true : err_set(err, ERR_INVALID, "key is missing");
    ok = ok && check_condition(rule->condition, rule->key[0] != '*', 0, err);
    if (ok && !parse_then(json_object_get(v, "then"), rule))
        ok = err_set(err, ERR_INVALID, "bad or missing 'then'");
    return ok || err_wrap(err, "rule %s", rule->name);
}

/* Line of the rule with this number in a document that parses; 1 if it is not found. */
static int line_of_rule(struct str text, size_t number)
{
    int line = 1, depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        line += c == '\n';
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '{' || c == '['))
            depth++;
        else if (!in_string && (c == '}' || c == ']'))
            depth--;
        if (!in_string && c == '{' && depth == 3 && number-- == 0)
            return line;
    }
    return 1;
}

bool throttle_parse(struct str text, struct throttle_rules *ret, struct err *err)
{
    json_auto_t *document = json_parse(text, FILE_MAX, err);
    if (!document)
        return err_wrap(err, "throttle rules");
    const json_t *list = jget_arr(document, "rules");
    size_t n = json_array_size(list);
    if (!list || n > RULES_MAX)
        return err_set(err, ERR_INVALID, "throttle rules: a list \"rules\" of at most %d is needed",
                       RULES_MAX);
    FREE_LATER struct throttle_rule *rules = xcalloc(n + 1, sizeof *rules);
    for (size_t i = 0; i < n; i++)
        if (!parse_rule(json_array_get(list, i), &rules[i], err))
            return err_wrap(err, "throttle rules, number %zu in line %d", i + 1,
                            line_of_rule(text, i));
    *ret = (struct throttle_rules){.document = TAKE(document), .v = TAKE(rules), .n = n};
    return true;
}

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
    *r = (struct throttle_rules){0};
}

static double draw(const struct throttle_facts *facts)
{
    return facts->draw >= 0 ? facts->draw : (double)(random_u64() >> 11) / 9007199254740992.0 * 100;
}

void throttle_decide(const struct throttle_rules *rules, const struct throttle_facts *facts,
                     struct throttle_result *ret)
{
    for (size_t i = 0; i < rules->n; i++) {
        const struct throttle_rule *rule = &rules->v[i];
        const struct context c = {.facts = facts, .key = rule->key};
        bool is_keyed = rule->key[0] != '*';
        if (is_keyed && !json_object_get(facts->annotations, rule->key))
            continue;
        if (!matches(c, rule->condition))
            continue;
        enum throttle_code code =
            rule->percentage >= 100 || draw(facts) <= rule->percentage ? rule->le : rule->gt;
        if (code == THROTTLE_CONTINUE)
            continue;
        *ret = (struct throttle_result){code, rule->name, rule->percentage};
        return;
    }
    *ret = (struct throttle_result){THROTTLE_REJECT, "NO_MATCH", 0};
}
