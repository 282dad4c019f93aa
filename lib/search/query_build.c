/*
 * What the parts of a query have in common while it is made: names to fields, operators, and the
 * words in which users are told that something is wrong with a parameter.  Nothing here knows the
 * parts; they know this file, and query_parse.c knows them all.
 */
#include "lib/search/query_build.h"

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/field.h"
#include "lib/search/search.h"

/*
 * A condition is written as one value, "!~foo": perhaps '!', perhaps an operator, then the rest.
 * Which operators there are depends on the type of the field, so that a text that begins with '>'
 * needs no escape.  They are tried in this order, hence ">=" stands before ">".  A truth value has
 * no "=": there "=true" is a text that is no word for yes, and so means false.
 */
enum { TYPE_STR = 1, TYPE_NUM = 2, TYPE_DATE = 4, TYPE_BOOL = 8, TYPE_ENUM = 16, TYPE_ANY = 31 };

static const struct operator
{
    struct str text;
    enum cond_op op;
    unsigned types;
}
operators[] = {
    {STR_INIT("="), COND_EXACT, TYPE_STR},
    {STR_INIT("~"), COND_CONTAINS, TYPE_STR},
    {STR_INIT("$"), COND_SUFFIX, TYPE_STR},
    {STR_INIT("^"), COND_PREFIX, TYPE_STR},
    {STR_INIT("@"), COND_REGEX, TYPE_STR},
    {STR_INIT(">="), COND_GE, TYPE_NUM | TYPE_DATE},
    {STR_INIT("<="), COND_LE, TYPE_NUM | TYPE_DATE},
    {STR_INIT("<"), COND_LT, TYPE_NUM | TYPE_DATE},
    {STR_INIT(">"), COND_GT, TYPE_NUM | TYPE_DATE},
    {STR_INIT("__true__"), COND_TRUE, TYPE_BOOL},
    {STR_INIT("__null__"), COND_MISSING, TYPE_ANY},
    {STR_INIT("="), COND_EXACT, TYPE_NUM | TYPE_ENUM},
};

static unsigned type_bit(enum value_type type)
{
    switch (type) {
    case VALUE_STR:
        return TYPE_STR;
    case VALUE_ENUM:
        return TYPE_ENUM;
    case VALUE_INT:
    case VALUE_FLOAT:
        return TYPE_NUM;
    case VALUE_BOOL:
        return TYPE_BOOL;
    case VALUE_DATETIME:
        return TYPE_DATE;
    }
    return 0;
}

enum cond_op query_take_operator(enum value_type type, struct str *value, bool *ret_is_negated)
{
    *ret_is_negated = str_starts(*value, STR("!"));
    if (*ret_is_negated)
        *value = str_sub(*value, 1, SIZE_MAX);
    for (size_t i = 0; i < ARRAY_LEN(operators); i++)
        if ((operators[i].types & type_bit(type)) && str_starts(*value, operators[i].text)) {
            *value = str_sub(*value, operators[i].text.n, SIZE_MAX);
            return operators[i].op;
        }
    return COND_MATCHES;
}

bool query_is_yes(struct str s)
{
    static const struct str words[] = {STR_INIT("true"), STR_INIT("t"), STR_INIT("1"),
                                       STR_INIT("y"), STR_INIT("yes")};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq_nocase(s, words[i]))
            return true;
    return false;
}

struct str query_last_value(struct search_params params, struct str name)
{
    for (size_t i = params.n; i-- > 0;)
        if (params.v[i].value.n > 0 && str_eq(params.v[i].name, name))
            return params.v[i].value;
    return STR_NONE;
}

bool query_form_error(struct query_build *b, struct str param, const char *text)
{
    *b->ret_form_param = str_adup(b->arena, param);
    return err_set(b->err, ERR_INVALID, "%s", text);
}

bool query_too_complex(struct query_build *b)
{
    return err_set(b->err, ERR_INVALID,
                   "Search query is too complex to execute. Simplify the search pattern and try "
                   "again.");
}

bool query_may_see(const struct search_context *ctx, const struct search_field *f)
{
    return f->perm <= ctx->reader;
}

const struct search_field *query_field(struct query_build *b, struct str name)
{
    const struct search_field *f = search_field_find(b->fields, name);
    if (!f) {
        /* 200 bytes: an err holds 256 with what stands around the name */
        struct str shown = str_n(name.p, utf8_prefix_bytes(name, 200));
        err_set(b->err, ERR_INVALID, "Unknown field '" STR_FMT "'", STR_ARG(shown));
        return NULL;
    }
    if (!query_may_see(b->ctx, f)) {
        err_set(b->err, ERR_FORBIDDEN, "field '%s' needs a permission", f->name);
        return NULL;
    }
    return f;
}
