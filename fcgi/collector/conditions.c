/*
 * A condition stays the JSON that it was read from; what is dear about one is done when the file is
 * read (regular expressions) or once for a report (JSON inside an annotation).
 *
 * The table of operators says what each one's value must be, and the check of a file goes by it: an
 * operator never looks at the type of its own value, and testing a report cannot fail.
 */
#include "fcgi/collector/conditions.h"

#include <assert.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>

#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/crash/product.h"

enum {
    /* Conditions are tested by recursion; those that ship have three levels. */
    NESTING_MAX = 8,
    /* A report is a stranger's, an expression an administrator's: what backtracks further, or is
     * applied to a longer text, does not match.  PCRE2's own limit is a hundred times as much. */
    REGEX_MATCH_LIMIT = 100000,
    REGEX_SUBJECT_MAX = 64 << 10, /* chosen: names, versions and notes have at most some KB */
    REGEXES_MAX = 1000,           /* one for each rule */
    ENVIRONMENT_MAX = 4 << 20,    /* JSON in an annotation, such as a telemetry environment */
};

/* What one condition is tested with; by value, since a condition inside another looks elsewhere. */
struct subject {
    const struct throttle_facts *facts;
    const struct throttle_regexes *regexes;
    struct condition_memo *memo;
    const char *key;          /* of the rule */
    const char *field;        /* the annotation that the condition looks at */
    const json_t *annotation; /* its value, or NULL */
    bool has_text;            /* text is comparable (not an object or list) */
    struct str text;
    char number[40]; /* storage of a number's text */
};

/* Values compare as text; a missing one is the default, or empty.  None, True and False are what
 * rules written for Mozilla's collector, which is in Python, expect. */
static void read_annotation_text(struct subject *c, const json_t *condition)
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

/* An object or a list equals nothing, not even the empty text. */
static bool text_equals(const struct subject *c, const json_t *value)
{
    return c->has_text && str_eq(c->text, str_of(json_string_value(value)));
}

static bool op_always(const struct subject *c, const json_t *condition, const json_t *value)
{
    (void)c, (void)condition, (void)value;
    return true;
}

static bool op_exists(const struct subject *c, const json_t *condition, const json_t *value)
{
    (void)condition, (void)value;
    return c->annotation != NULL;
}

static bool op_equals(const struct subject *c, const json_t *condition, const json_t *value)
{
    (void)condition;
    return text_equals(c, value);
}

/* ASCII only, as everywhere (lib/base/str.c). */
static bool op_equals_nocase(const struct subject *c, const json_t *condition, const json_t *value)
{
    (void)condition;
    return c->has_text && str_eq_nocase(c->text, str_of(json_string_value(value)));
}

static bool op_in(const struct subject *c, const json_t *condition, const json_t *value)
{
    (void)condition;
    for (size_t i = 0; i < json_array_size(value); i++)
        if (text_equals(c, json_array_get(value, i)))
            return true;
    return false;
}

static bool op_prefix(const struct subject *c, const json_t *condition, const json_t *value)
{
    (void)condition;
    return c->has_text && str_starts(c->text, str_of(json_string_value(value)));
}

static bool op_prefix_in(const struct subject *c, const json_t *condition, const json_t *value)
{
    for (size_t i = 0; i < json_array_size(value); i++)
        if (op_prefix(c, condition, json_array_get(value, i)))
            return true;
    return false;
}

/* By bytes: meant for build ids, which are digits of one length. */
static bool op_lt(const struct subject *c, const json_t *condition, const json_t *value)
{
    (void)condition;
    return c->has_text && str_cmp(c->text, str_of(json_string_value(value))) < 0;
}

struct throttle_regex {
    pcre2_code *code;
    pcre2_match_data *match;
};

/* In a condition of a loaded document: the place of its expression in the list. */
static const char compiled_key[] = "compiled";

/* Found anywhere in the text, unless the expression is anchored. */
static bool op_regex(const struct subject *c, const json_t *condition, const json_t *value)
{
    (void)value;
    const struct throttle_regex *re = &c->regexes->v[jget_int_or(condition, compiled_key, 0)];
    if (!c->has_text || c->text.n > REGEX_SUBJECT_MAX)
        return false;
    return pcre2_match(re->code, (PCRE2_SPTR)c->text.p, c->text.n, 0, 0, re->match,
                       c->regexes->limits) >= 0;
}

/* A build id is 14 digits that start with a date of this century.  Anything else has no age, so the
 * rule does not match: an odd build id is no reason to reject. */
static bool op_older_than_days(const struct subject *c, const json_t *condition,
                               const json_t *value)
{
    (void)condition;
    uint64_t number;
    if (c->text.n != 14 || !str_starts(c->text, STR("20")) ||
        !str_to_u64(c->text, 10, UINT64_MAX, "build id", &number, ERR_IGNORED))
        return false;
    int date = (int)(number / 1000000);
    int year = date / 10000, month = date / 100 % 100, day = date % 100;
    if (!civil_date_exists(year, month, day))
        return false;
    int64_t built_us = days_of_civil(year, month, day) * DAY_US;
    return built_us < c->facts->now_us - json_integer_value(value) * DAY_US;
}

/* Without product files nobody has said which products there are: then none is unsupported, but
 * each is unlisted. */
static bool op_product_unlisted(const struct subject *c, const json_t *condition,
                                const json_t *value)
{
    (void)condition;
    const struct products *p = c->facts->products;
    return !p || !products_find(p, str_of(json_string_value(value)));
}

static bool op_product_unsupported(const struct subject *c, const json_t *condition,
                                   const json_t *value)
{
    (void)condition, (void)value;
    const struct products *p = c->facts->products;
    if (!p || p->n == 0 || (c->has_text && products_find(p, c->text)))
        return false;
    log_event(LOG_INFO, "product_rejected", "ProductName rejected", LOG_V("product", c->text));
    return true;
}

/* A product without a list of packages takes all of them; with one, a report that names none is
 * none of that product. */
static bool op_package_unsupported(const struct subject *c, const json_t *condition,
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

/* The annotation is itself a JSON text; the value at `path` in it, borrowed, or NULL.  It is parsed
 * once for all conditions in a row that look at the same annotation. */
static const json_t *value_inside(const struct subject *c, const json_t *condition)
{
    if (!json_is_string(c->annotation))
        return NULL;
    if (c->memo->annotation != c->annotation) {
        json_decref(c->memo->inside);
        c->memo->inside = jparse(c->text, ENVIRONMENT_MAX, ERR_IGNORED);
        c->memo->annotation = c->annotation;
    }
    return jpath(c->memo->inside, jget_str(condition, "path"));
}

/* By JSON's own equality: 1 is not "1", as it would be for an annotation. */
static bool op_json_equals(const struct subject *c, const json_t *condition, const json_t *value)
{
    const json_t *found = value_inside(c, condition);
    return found && json_equal(found, value);
}

/* Numbers in an annotation's JSON are compared as numbers, unlike annotations themselves. */
static bool op_json_at_most(const struct subject *c, const json_t *condition, const json_t *value)
{
    const json_t *found = value_inside(c, condition);
    return json_is_integer(found) && json_integer_value(found) <= json_integer_value(value);
}

static bool matches(struct subject c, const json_t *condition);

/* An empty list of conditions: `all` is true and `any` is false, as in logic. */
static bool op_all(const struct subject *c, const json_t *condition, const json_t *value)
{
    (void)value;
    const json_t *list = jget_arr(condition, "conditions");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!matches(*c, json_array_get(list, i)))
            return false;
    return true;
}

static bool op_any(const struct subject *c, const json_t *condition, const json_t *value)
{
    (void)value;
    const json_t *list = jget_arr(condition, "conditions");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (matches(*c, json_array_get(list, i)))
            return true;
    return false;
}

/* None of the conditions holds. */
static bool op_not(const struct subject *c, const json_t *condition, const json_t *value)
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

/* The operators.  A new one is a row and a function; the checks at load follow from the row. */
/* clang-format off */
static const struct op {
    const char *name;
    enum value_kind kind; /* of "value" */
    bool needs_path;
    bool (*test)(const struct subject *c, const json_t *condition, const json_t *value);
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

/* By name each time: a dozen comparisons of short words beside the parsing of a report. */
static const struct op *op_of(const json_t *condition)
{
    const char *name = jget_str(condition, "op");
    for (size_t i = 0; name && i < ARRAY_LEN(ops); i++)
        if (strcmp(ops[i].name, name) == 0)
            return &ops[i];
    return NULL;
}

/*
 * c by value: a condition below another one looks at an annotation of its own ("of") and leaves
 * that of the one above as it was.  The memo is shared by all.
 */
static bool matches(struct subject c, const json_t *condition)
{
    const char *of = jget_str(condition, "of");
    c.field = of ? of : c.key;
    c.annotation = json_object_get(c.facts->annotations, c.field);
    read_annotation_text(&c, condition);
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

/* Checked when rules are loaded, so that no operator has to look at the type of its value later. */
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
    case VALUE_REGEX:
        return json_is_string(v); /* compile_regex says whether it is good */
    default:
        return v == NULL;
    }
}

/* The place of the compiled expression is written into the condition, so that a rule needs no tree
 * of its own beside the document. */
static bool compile_regex(struct throttle_regexes *regexes, json_t *condition, struct err *err)
{
    PCRE2_UCHAR why[120];
    PCRE2_SIZE at;
    int error;
    struct str pattern = jget_strn(condition, "value");
    if (regexes->n == REGEXES_MAX)
        return err_set(err, ERR_INVALID, "more than %d regular expressions", REGEXES_MAX);
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)pattern.p, pattern.n, PCRE2_UTF, &error, &at, NULL);
    if (!code) {
        pcre2_get_error_message(error, why, sizeof why);
        return err_set(err, ERR_INVALID, "operator regex: %s at character %zu", (char *)why, at);
    }
    regexes->v[regexes->n] =
        (struct throttle_regex){code, pcre2_match_data_create_from_pattern(code, NULL)};
    return jset_int(condition, compiled_key, (int64_t)regexes->n++);
}

/*
 * Everything that deciding relies on: a known operator, an annotation to look at, a value of the
 * operator's type, no deeper nesting than recursion is meant for.
 */
static bool check_nested(struct throttle_regexes *regexes, json_t *c, bool is_keyed, int depth,
                         struct err *err)
{
    const struct op *op = op_of(c);
    if (!op)
        return err_set(err, ERR_INVALID, "unknown operator '%.40s'",
                       jget_str(c, "op") ? jget_str(c, "op") : "");
    if (depth > NESTING_MAX)
        return err_set(err, ERR_INVALID, "conditions nested deeper than %d", NESTING_MAX);
    /* With key "*" a condition must say which annotation it means. */
    bool looks =
        op->kind != VALUE_CONDITIONS && op->test != op_always && op->test != op_product_unlisted;
    if (looks && !is_keyed && !jget_str(c, "of"))
        return err_set(err, ERR_INVALID, "operator %s needs 'of' in a rule with key *", op->name);
    if (!value_fits(op->kind, json_object_get(c, "value")))
        return err_set(err, ERR_INVALID, "operator %s: bad or missing value", op->name);
    if (op->kind == VALUE_REGEX && !compile_regex(regexes, c, err))
        return false;
    if (op->needs_path && !jget_str(c, "path"))
        return err_set(err, ERR_INVALID, "operator %s: path is missing", op->name);
    const json_t *list = jget_arr(c, "conditions");
    if ((op->kind == VALUE_CONDITIONS) != (list != NULL))
        return err_set(err, ERR_INVALID, "operator %s: 'conditions' missing or not wanted",
                       op->name);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!check_nested(regexes, json_array_get(list, i), is_keyed, depth + 1, err))
            return false;
    return true;
}

bool condition_check(struct throttle_regexes *regexes, json_t *condition, bool is_keyed,
                     struct err *err)
{
    return check_nested(regexes, condition, is_keyed, 0, err);
}

bool condition_holds(const struct throttle_regexes *regexes, const struct throttle_facts *facts,
                     struct condition_memo *memo, const char *key, const json_t *condition)
{
    const struct subject c = {.facts = facts, .regexes = regexes, .memo = memo, .key = key};
    return matches(c, condition);
}

void condition_memo_release(struct condition_memo *memo)
{
    json_decref(memo->inside);
    *memo = (struct condition_memo){0};
}

void conditions_begin(struct throttle_regexes *regexes)
{
    regexes->v = xcalloc(REGEXES_MAX, sizeof *regexes->v);
    regexes->limits = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(regexes->limits, REGEX_MATCH_LIMIT);
}

void conditions_end(struct throttle_regexes *regexes)
{
    for (size_t i = 0; i < regexes->n; i++) {
        pcre2_code_free(regexes->v[i].code);
        pcre2_match_data_free(regexes->v[i].match);
    }
    free(regexes->v);
    pcre2_match_context_free(regexes->limits);
}
