/*
 * Parameters of Super Search become filters, one for each field that is named, whose values may be
 * several.  Different fields must all hold.  The values of one field are folded from the left into
 * (((c1 op c2) op c3) …), and what `op` is depends on the condition to its right:
 *
 *   1. values with an operator, in the order in which they came; a range joins with AND, so that
 *      `uptime=>10&uptime=<20` is an interval, everything else with OR;
 *   2. one condition "none of the negated plain values", joined with OR;
 *   3. one condition "any of the plain values", joined with OR;
 *   4. the beta rule's prefixes, joined with OR.
 *
 * This is what the search service did whose clients come here, oddities included: links to searches
 * stand in bug trackers for years and must go on to mean what they meant.  Thus
 * `signature=!~a&signature=!~b` is "not a or not b", which nearly every report satisfies; the form
 * warns of it, the API keeps to it.
 *
 * Conditions on several frames of a stack (query_frames.c) and on versions of modules
 * (module_version.h) are values with an operator; the latter are ranges.
 *
 * The beta rule: people write 128.0b for all betas of 128.0, so a plain version that ends in 'b' is
 * the prefix 128.0b.  Each of them is a condition of its own and keeps its '!'.
 */
#include "lib/search/query_build.h"

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/field.h"
#include "lib/search/module_version.h"
#include "lib/search/query.h"
#include "lib/search/regex.h"
#include "lib/search/text.h"

/*
 * Expressions come from strangers, so each is compiled here, before anything is searched: one that
 * does not parse is an error even if no row would be held against it.  The length is limited in
 * characters, as users count.  All expressions of a query share one budget of states, for each has
 * a matcher with a cache while the search runs, and a query may have any number of them.
 */
static bool compile_value(struct query_build *b, struct cond_value *v)
{
    struct err why = {0};
    if (utf8_prefix_chars(v->text, QUERY_REGEX_CHARS_MAX) < v->text.n)
        return err_set(b->err, ERR_INVALID,
                       "Malformed supersearch query: regular expression longer than %d characters",
                       QUERY_REGEX_CHARS_MAX);
    if (!arena_fits(b->arena, REGEX_ARENA_BYTES, "expressions", ERR_IGNORED))
        return query_too_complex(b);
    if (regex_compile(b->arena, v->text, &v->regex, &why)) {
        b->regex_states += regex_state_count(v->regex);
        return b->regex_states <= QUERY_REGEX_STATES_MAX || query_too_complex(b);
    }
    if (why.code == ERR_TOO_LARGE)
        return query_too_complex(b);
    return err_set(b->err, ERR_INVALID, "Malformed supersearch query: %s", why.msg);
}

/*
 * What stands behind the operator, by the field's type, which is that of its column (fields_load
 * and the generator see to it).  NaN is refused: it compares with nothing, not even with itself. Of
 * truth values whatever is no word for yes is false, as clients send it.
 */
bool query_read_value(struct query_build *b, const struct search_field *f, enum cond_op op,
                      struct str text, struct cond_value *v)
{
    v->text = text;
    if (op == COND_TRUE || op == COND_MISSING)
        return true;
    switch (f->value_type) {
    case VALUE_INT:
        if (!str_to_i64(str_trim(text), INT64_MIN, INT64_MAX, "value", &v->i, ERR_IGNORED))
            return err_set(b->err, ERR_INVALID, "Bad value for parameter %s: not a valid int",
                           f->name);
        return true;
    case VALUE_FLOAT:
        if (!str_to_double(str_trim(text), "value", &v->d, ERR_IGNORED) || v->d != v->d)
            return err_set(b->err, ERR_INVALID, "Bad value for parameter %s: not a valid float",
                           f->name);
        return true;
    case VALUE_BOOL:
        v->i = query_is_yes(text);
        return true;
    default:
        break;
    }
    if (op == COND_REGEX)
        return compile_value(b, v);
    if (op == COND_MATCHES && f->index == INDEX_TEXT)
        v->tokens = text_words(b->arena, text);
    else if (op == COND_MATCHES && f->index == INDEX_SEMI)
        v->tokens = text_semi(b->arena, text);
    return true;
}

static bool is_range(enum cond_op op)
{
    return op == COND_GE || op == COND_LE || op == COND_LT || op == COND_GT;
}

/*
 * The conditions of one field while its values are read: operators in order, plain values
 * collected in two conditions, families of beta versions at the end.
 */
struct fold {
    struct cond *operators, *families;
    size_t operator_count, family_count;
    struct cond plain, negated; /* op COND_MATCHES */
};

/* Adds a condition of one value to the list, which has room for it. */
static struct cond *add_cond(struct query_build *b, struct cond *list, size_t *n, enum cond_op op,
                             bool is_negated)
{
    struct cond *c = &list[(*n)++];
    *c = (struct cond){.op = op,
                       .is_negated = is_negated,
                       .joins_with_and = is_range(op) || op == COND_VERSION,
                       .values = arena_alloc(b->arena, sizeof(struct cond_value)),
                       .n = 1};
    return c;
}

static bool fold_value(struct query_build *b, const struct search_field *f, struct fold *fold,
                       struct str value)
{
    bool is_negated;
    enum cond_op op = query_take_operator(f->value_type, &value, &is_negated);
    struct cond_value v = {.text = value};
    if (query_is_frames(f, op, value))
        return query_build_frames(
            b, f, op, value,
            add_cond(b, fold->operators, &fold->operator_count, COND_FRAMES, is_negated));
    if (op == COND_MATCHES && f->has_versions && module_version_split(value, &v)) {
        add_cond(b, fold->operators, &fold->operator_count, COND_VERSION, is_negated)->values[0] =
            v;
        return true;
    }
    if (!query_read_value(b, f, op, value, &v))
        return false;
    if (op == COND_MATCHES && strcmp(f->name, "version") == 0 && str_ends(value, STR("b"))) {
        add_cond(b, fold->families, &fold->family_count, COND_PREFIX, is_negated)->values[0] = v;
        return true;
    }
    if (op == COND_MATCHES) {
        struct cond *c = is_negated ? &fold->negated : &fold->plain;
        c->values[c->n++] = v;
        return true;
    }
    add_cond(b, fold->operators, &fold->operator_count, op, is_negated)->values[0] = v;
    return true;
}

static void finish_fold(struct query_build *b, struct fold *fold, struct filter *ret)
{
    size_t max = fold->operator_count + fold->family_count + 2;
    ret->conds = arena_array(b->arena, max, sizeof *ret->conds);
    for (size_t i = 0; i < fold->operator_count; i++)
        ret->conds[ret->n++] = fold->operators[i];
    if (fold->negated.n > 0)
        ret->conds[ret->n++] = fold->negated;
    if (fold->plain.n > 0)
        ret->conds[ret->n++] = fold->plain;
    for (size_t i = 0; i < fold->family_count; i++)
        ret->conds[ret->n++] = fold->families[i];
}

/* Dates are none: query_date.c makes two bounds of them.  Names of no field are ignored. */
static bool is_filter(const struct field_table *fields, const struct search_param *p,
                      const struct search_field **ret)
{
    if (p->value.n == 0 || str_starts(p->name, STR("_")))
        return false;
    *ret = search_field_find(fields, p->name);
    return *ret && (*ret)->index != INDEX_DATE;
}

static bool is_value_of(const struct search_param *p, const struct search_field *f)
{
    return p->value.n > 0 && str_eq(p->name, str_of(f->name));
}

/* The filter of a field whose first value is parameter `first`; any of the values may be of any of
 * the lists of the fold, so each has room for all. */
static bool build_filter(struct query_build *b, const struct search_field *f, size_t first)
{
    size_t n = 0;
    for (size_t i = first; i < b->params.n; i++)
        n += is_value_of(&b->params.v[i], f);
    struct fold fold = {
        .operators = arena_array(b->arena, n, sizeof(struct cond)),
        .families = arena_array(b->arena, n, sizeof(struct cond)),
        .plain.values = arena_array(b->arena, n, sizeof(struct cond_value)),
        .negated = {.is_negated = true,
                    .values = arena_array(b->arena, n, sizeof(struct cond_value))},
    };
    for (size_t i = first; i < b->params.n; i++)
        if (is_value_of(&b->params.v[i], f) && !fold_value(b, f, &fold, b->params.v[i].value))
            return false;
    struct filter *ret = &b->query->filters[b->query->filter_count++];
    ret->field = f;
    finish_fold(b, &fold, ret);
    return true;
}

static bool has_filter(const struct search_query *q, const struct search_field *f)
{
    for (size_t i = 0; i < q->filter_count; i++)
        if (q->filters[i].field == f)
            return true;
    return false;
}

static bool is_configured(const char *const *products, struct str name)
{
    for (; *products; products++)
        if (str_eq(str_of(*products), name))
            return true;
    return false;
}

/*
 * Names every value of `product` that is not configured, as many as fit into an error.  Somebody
 * who has mistyped a product would otherwise read that it never crashes.
 */
static bool check_products(struct query_build *b)
{
    char bad[160] = "";
    if (!b->ctx->products)
        return true;
    for (size_t i = 0; i < b->params.n; i++) {
        const struct search_param *p = &b->params.v[i];
        if (p->value.n == 0 || !str_eq(p->name, STR("product")))
            continue;
        struct str value = p->value;
        bool is_negated;
        enum cond_op op = query_take_operator(VALUE_ENUM, &value, &is_negated);
        if (op == COND_MISSING || is_configured(b->ctx->products, value))
            continue;
        size_t used = strlen(bad);
        snprintf(bad + used, sizeof bad - used, "%s" STR_FMT, used ? ", " : "", STR_ARG(value));
    }
    /* the buffer may have cut a character in two */
    struct str text = str_of(bad);
    text.n = utf8_prefix_bytes(text, sizeof bad - 4);
    return text.n == 0 ||
           err_set(b->err, ERR_INVALID,
                   "Bad value for parameter(s) 'Not valid products: " STR_FMT "'", STR_ARG(text));
}

/*
 * A field that this reader may not see is refused here, although query_clean.c has dropped it
 * before: whoever forgets the clean-up gets an error and not an answer that tells, by its number of
 * hits, what stands in a protected field.
 */
bool query_build_filters(struct query_build *b)
{
    const struct search_field *f;
    b->query->filters =
        arena_array(b->arena, MIN(b->params.n, b->fields->search_count) + 1, sizeof(struct filter));
    for (size_t i = 0; i < b->params.n; i++) {
        if (!is_filter(b->fields, &b->params.v[i], &f) || has_filter(b->query, f))
            continue;
        if (!query_may_see(b->ctx, f))
            return err_set(b->err, ERR_FORBIDDEN, "field '%s' needs a permission", f->name);
        if (!build_filter(b, f, i))
            return false;
    }
    return check_products(b);
}
