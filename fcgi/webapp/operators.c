/*
 * Operators as the form offers them, and how one is cut off the front of a value.
 *
 * There are two tables, because two questions are asked.  What is offered depends on how a field is
 * searched (query type) and has words for people.  What may stand in front of a value depends on
 * what the field holds (value type), and has to be tried in the order of lib/search, or the form
 * would show another filter than the one that was applied.
 */
#include "fcgi/webapp/operators.h"

#include "lib/base/str.h"
#include "lib/base/util.h"

/* Offered by kind of field; the first is the default.  An empty row ends a list. */
static const struct operator_label string_operators[] = {
    {"", "matches"},
    {"!", "does not match"},
    {"~", "contains"},
    {"!~", "does not contain"},
    {"=", "is"},
    {"!=", "is not"},
    {"^", "starts with"},
    {"!^", "does not start with"},
    {"$", "ends with"},
    {"!$", "does not end with"},
    {"@", "matches regex"},
    {"!@", "does not match regex"},
    {"__null__", "does not exist"},
    {"!__null__", "exists"},
    {0},
};
/* "has" is "is": nobody means a list that is one text. */
static const struct operator_label frames_operators[] = {
    {"=", "has"},
    {"!=", "has not"},
    {"~", "has one that contains"},
    {"!~", "has none that contains"},
    {"^", "has one that starts with"},
    {"!^", "has none that starts with"},
    {"$", "has one that ends with"},
    {"!$", "has none that ends with"},
    {"@", "has one that matches regex"},
    {"!@", "has none that matches regex"},
    {"__null__", "does not exist"},
    {"!__null__", "exists"},
    {0},
};
static const struct operator_label enum_operators[] = {
    {"", "matches"},
    {"!", "does not match"},
    {"__null__", "does not exist"},
    {"!__null__", "exists"},
    {0},
};
static const struct operator_label number_operators[] = {
    {"", "matches"},
    {"!", "does not match"},
    {">", ">"},
    {">=", ">="},
    {"<", "<"},
    {"<=", "<="},
    {"__null__", "does not exist"},
    {"!__null__", "exists"},
    {0},
};
static const struct operator_label date_operators[] = {
    {">=", ">="}, {">", ">"}, {"<=", "<="}, {"<", "<"}, {0},
};
static const struct operator_label bool_operators[] = {
    {"__true__", "is true"},
    {"!__true__", "is not true"},
    {"__null__", "does not exist"},
    {"!__null__", "exists"},
    {0},
};

static const struct {
    const char *name;
    const struct operator_label *operators;
} kinds[] = {
    [QUERY_ENUM] = {"enum", enum_operators},         [QUERY_STRING] = {"string", string_operators},
    [QUERY_INTEGER] = {"integer", number_operators}, [QUERY_FLOAT] = {"float", number_operators},
    [QUERY_BOOL] = {"bool", bool_operators},         [QUERY_DATE] = {"date", date_operators},
    [QUERY_FRAMES] = {"frames", frames_operators},
};

/* In the order in which the search tries them. */
static const char *const str_ops[] = {"=", "~", "$", "^", "@", "__null__", NULL};
static const char *const number_ops[] = {">=", "<=", "<", ">", "__null__", "=", NULL};
static const char *const date_ops[] = {">=", "<=", "<", ">", "__null__", NULL};
static const char *const bool_ops[] = {"__true__", "__null__", NULL};
static const char *const enum_ops[] = {"__null__", "=", NULL};
static const char *const *const value_ops[] = {
    [VALUE_STR] = str_ops,      [VALUE_ENUM] = enum_ops, [VALUE_INT] = number_ops,
    [VALUE_FLOAT] = number_ops, [VALUE_BOOL] = bool_ops, [VALUE_DATETIME] = date_ops,
};

const struct operator_label *operators_of(enum query_type type)
{
    return kinds[type].operators;
}

/*
 * A "!" belongs to the operator, also where it stands alone.  The first operator of the list that
 * fits is taken: ">=" stands before ">", or the value of ">=5" would be "=5".
 */
struct filter_value filter_split(const struct search_field *field, struct str text)
{
    size_t bang = text.n > 0 && text.p[0] == '!' ? 1 : 0;
    struct str rest = str_sub(text, bang, SIZE_MAX);
    for (const char *const *op = value_ops[field->value_type]; *op; op++)
        if (str_starts(rest, str_of(*op))) {
            size_t n = bang + strlen(*op);
            return (struct filter_value){str_sub(text, 0, n), str_sub(text, n, SIZE_MAX)};
        }
    return (struct filter_value){str_sub(text, 0, bang), rest};
}

/*
 * "@…" names a list that the installation has (search_choices.c), and is none itself. p NULL: any
 * value may be typed.
 */
struct str choices_of(const struct search_field *field)
{
    bool has_list = field->choices && field->choices[0] != '@';
    return has_list ? str_of(field->choices) : STR_NONE;
}

/*
 * For the script of the form (static/js/search-form.js): kind of field to pairs of label and code.
 * The page carries it, so that script and server offer the same.
 */
json_t *operators_json(void)
{
    json_t *all = json_object();
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        json_t *list = json_array();
        for (const struct operator_label *op = kinds[i].operators; op->label; op++)
            json_array_append_new(list, json_pack("[s, s]", op->label, op->code));
        json_object_set_new(all, kinds[i].name, list);
    }
    return all;
}

const char *query_type_name(enum query_type type)
{
    return kinds[type].name;
}
