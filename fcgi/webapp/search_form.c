#include "search_form.h"

#include "base/time.h"
#include "base/util.h"
#include "fmt.h"
#include "queries.h"
#include "versions.h"

static const int64_t DAY_US = 86400000000;

/* ---- operators ------------------------------------------------------------------------------- */

struct operator_label {
    const char *code, *label;
};

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

struct filter_value filter_split(const struct search_field *field, struct str text)
{
    size_t not = text.n > 0 && text.p[0] == '!' ? 1 : 0;
    struct str rest = str_sub(text, not, SIZE_MAX);
    for (const char *const *op = value_ops[field->value_type]; *op; op++)
        if (str_starts(rest, str_of(*op))) {
            size_t n = not +strlen(*op);
            return (struct filter_value){str_sub(text, 0, n), str_sub(text, n, SIZE_MAX)};
        }
    return (struct filter_value){str_sub(text, 0, not ), rest};
}

static bool is_range(struct str op)
{
    return op.n > 0 && (op.p[0] == '<' || op.p[0] == '>');
}

static bool is_null(struct str op)
{
    return str_ends(op, STR("__null__"));
}

/* ---- what a form sends ----------------------------------------------------------------------- */

static const char *const helpers[] = {"_form", "_from", "_to",         "_f",        "_o",
                                      "_v",    "_c",    "_facet_list", "_sort_list"};

static bool is_helper(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(helpers); i++)
        if (str_eq(name, str_of(helpers[i])))
            return true;
    return false;
}

bool search_form_is_submitted(struct req *r)
{
    return req_param(r, "_form").n > 0;
}

static void add_list(struct query *out, const char *name, struct str text)
{
    struct str part;
    while (str_split(&text, ',', &part)) {
        part = str_trim(part);
        if (part.n > 0)
            query_add(out, name, part);
    }
}

/* Several values of "matches" may stand in one line, separated by commas. */
static void add_line(struct query *out, struct str field, struct str op, struct str value)
{
    const struct search_field *f = search_field_find(field);
    const char *name = str_adup(out->a, field);
    bool needs_value = !str_ends(op, STR("__"));
    if (!f || (needs_value && value.n == 0))
        return;
    if (!needs_value) {
        query_add(out, name, op);
        return;
    }
    if (op.n > 1 || (op.n == 1 && op.p[0] != '!')) {
        query_add(out, name,
                  str_of(arena_printf(out->a, STR_FMT STR_FMT, STR_ARG(op), STR_ARG(value))));
        return;
    }
    struct str part;
    while (str_split(&value, ',', &part))
        if (str_trim(part).n > 0)
            query_add(out, name,
                      str_of(arena_printf(out->a, STR_FMT STR_FMT, STR_ARG(op),
                                          STR_ARG(str_trim(part)))));
}

/* The helper parameters come straight from the request: an empty value keeps its place. */
static void add_lines(struct req *r, struct query *out)
{
    struct strs f = req_params(r, "_f"), o = req_params(r, "_o"), v = req_params(r, "_v");
    for (size_t i = 0; i < f.n && i < o.n && i < v.n; i++)
        add_line(out, str_trim(f.v[i]), o.v[i], str_trim(v.v[i]));
}

static void add_date(struct query *out, const char *op, struct str text)
{
    int64_t us;
    if (time_parse(text, &us, NULL))
        query_addf(out, "date", "%s%s:00Z", op, fmt_minute(out->a, us));
}

struct str search_form_url(struct req *r, const struct query *sent, const char *path)
{
    struct query out = query_new(req_arena(r));
    for (size_t i = 0; i < sent->n; i++)
        if (!is_helper(sent->v[i].name))
            query_add(&out, str_adup(out.a, sent->v[i].name), sent->v[i].value);
    add_date(&out, ">=", query_get(sent, "_from"));
    add_date(&out, "<", query_get(sent, "_to"));
    add_lines(r, &out);
    add_list(&out, "_columns", query_get(sent, "_c"));
    add_list(&out, "_facets", query_get(sent, "_facet_list"));
    add_list(&out, "_sort", query_get(sent, "_sort_list"));
    return query_url(&out, path);
}

/* ---- dates ----------------------------------------------------------------------------------- */

/* ISO, or -7d and the like relative to now. */
static bool date_value(struct str text, int64_t now_us, int64_t *ret_us)
{
    static const struct {
        char unit;
        int64_t s;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
    int64_t n;
    if (text.n > 2 && text.p[0] == '-')
        for (size_t i = 0; i < ARRAY_LEN(units); i++)
            if (text.p[text.n - 1] == units[i].unit &&
                str_to_i64(str_sub(text, 1, text.n - 2), 0, 1000000, "date", &n, NULL)) {
                *ret_us = now_us - n * units[i].s * 1000000;
                return true;
            }
    return time_parse(text, ret_us, NULL);
}

struct date_bounds search_form_bounds(const struct query *q, int64_t now_us)
{
    const struct search_field *date = search_field_find(STR("date"));
    struct strs values = query_all(q, "date");
    bool has_from = false, has_to = false;
    struct date_bounds b = {0};
    for (size_t i = 0; date && i < values.n; i++) {
        struct filter_value f = filter_split(date, values.v[i]);
        int64_t us;
        if (!is_range(f.op) || !date_value(f.value, now_us, &us))
            continue;
        if (f.op.p[0] == '>') {
            b.from_us = has_from ? MAX(b.from_us, us) : us;
            has_from = true;
        } else {
            b.to_us = has_to ? MIN(b.to_us, us) : us;
            has_to = true;
        }
    }
    if (!has_to)
        b.to_us = now_us;
    if (!has_from)
        b.from_us = b.to_us - 7 * DAY_US;
    return b;
}

static const struct {
    const char *label;
    int days;
} shortcuts[] = {
    {"24 hours", 1}, {"3 days", 3},    {"7 days", 7},     {"14 days", 14},
    {"1 month", 30}, {"3 months", 91}, {"6 months", 182},
};

static void add_shortcut(struct tpl_rows *rows, const struct query *q, const char *path,
                         const char *label, struct date_bounds b, bool is_current)
{
    struct query c = query_copy(q);
    query_drop(&c, "date");
    query_drop(&c, "page");
    query_addf(&c, "date", ">=%s:00Z", fmt_minute(q->a, b.from_us));
    query_addf(&c, "date", "<%s:00Z", fmt_minute(q->a, b.to_us));
    struct tpl_row *row = tpl_row_add(rows);
    tpl_row_cstr(row, label);
    tpl_row_url(row, query_url(&c, path));
    tpl_row_int(row, is_current);
}

void search_form_set_dates(struct req *r, struct tpl_values *v, const struct query *q,
                           const char *path)
{
    int64_t now = req_now_us(r);
    struct date_bounds b = search_form_bounds(q, now);
    struct tpl_rows *rows = tpl_rows(v, "shortcuts");
    /* The end is the next full minute, so that what came in just now is inside. */
    int64_t end = (now / 60000000 + 1) * 60000000;
    tpl_cstr(v, "date_from", fmt_minute(q->a, b.from_us));
    tpl_cstr(v, "date_to", fmt_minute(q->a, b.to_us == now ? end : b.to_us));
    bool ends_now = b.to_us > now - 15 * 60000000LL && b.to_us <= end;
    for (size_t i = 0; i < ARRAY_LEN(shortcuts); i++) {
        int64_t off = b.to_us - b.from_us - shortcuts[i].days * DAY_US;
        add_shortcut(rows, q, path, shortcuts[i].label,
                     (struct date_bounds){end - shortcuts[i].days * DAY_US, end},
                     ends_now && off > -120000000 && off < 120000000);
    }
    struct date_bounds midnight = {b.from_us / DAY_US * DAY_US,
                                   (b.to_us + DAY_US - 1) / DAY_US * DAY_US};
    add_shortcut(rows, q, path, "day ends", midnight, false);
}

/* ---- lines ----------------------------------------------------------------------------------- */

static const char *const simple_fields[] = {"product", "version", "platform", "process_type"};

static bool is_simple_value(const struct search_field *f, struct str text)
{
    for (size_t i = 0; i < ARRAY_LEN(simple_fields); i++)
        if (strcmp(f->name, simple_fields[i]) == 0)
            return filter_split(f, text).op.n == 0;
    return false;
}

static void line_row(struct tpl_rows *rows, const struct search_field *f, struct filter_value value)
{
    const struct operator_label *ops = kinds[f ? f->query_type : QUERY_STRING].operators;
    struct tpl_row *row = tpl_row_add(rows);
    bool known = false;
    tpl_row_cstr(row, f ? f->name : "");
    tpl_row_text(row, value.op);
    tpl_row_text(row, value.value);
    tpl_row_int(row, (int64_t)tpl_rows_count(rows));
    struct tpl_rows *options = tpl_row_rows(row);
    for (const struct operator_label *op = ops; op->label; op++) {
        bool is_it = str_eq(value.op, str_of(op->code));
        struct tpl_row *o = tpl_row_add(options);
        tpl_row_cstr(o, op->code);
        tpl_row_cstr(o, op->label);
        tpl_row_int(o, is_it);
        known = known || is_it;
    }
    if (known || value.op.n == 0)
        return;
    struct tpl_row *o = tpl_row_add(options); /* legal, though not offered */
    tpl_row_text(o, value.op);
    tpl_row_text(o, value.op);
    tpl_row_int(o, 1);
}

static void set_lines(struct req *r, struct tpl_values *v, const struct query *q,
                      size_t blank_lines, bool with_simple)
{
    enum perm reader = app_reader(r);
    struct tpl_rows *names = tpl_rows(v, "fields"), *rows = tpl_rows(v, "lines");
    for (size_t i = 0; i < search_field_count; i++) {
        if (search_fields[i].perm > reader)
            continue;
        struct tpl_row *row = tpl_row_add(names);
        tpl_row_cstr(row, search_fields[i].name);
        tpl_row_cstr(row, search_fields[i].description);
    }
    for (size_t i = 0; i < q->n; i++) {
        const struct search_field *f = search_field_find(q->v[i].name);
        if (!f || f->perm > reader || strcmp(f->name, "date") == 0 ||
            (!with_simple && is_simple_value(f, q->v[i].value)))
            continue;
        line_row(rows, f, filter_split(f, q->v[i].value));
    }
    for (size_t i = 0; i < blank_lines; i++)
        line_row(rows, NULL, (struct filter_value){STR(""), STR("")});
}

void search_form_set_lines(struct req *r, struct tpl_values *v, const struct query *q,
                           size_t blank_lines)
{
    set_lines(r, v, q, blank_lines, false);
}

void search_form_set_all_lines(struct req *r, struct tpl_values *v, const struct query *q,
                               size_t blank_lines)
{
    set_lines(r, v, q, blank_lines, true);
}

/* ---- simple fields --------------------------------------------------------------------------- */

static void option(struct tpl_rows *options, const struct query *q, const char *field,
                   struct str value, struct query *seen)
{
    if (query_has(seen, field, value))
        return;
    query_add(seen, field, value);
    struct tpl_row *row = tpl_row_add(options);
    tpl_row_text(row, value);
    tpl_row_int(row, query_has(q, field, value));
}

static void product_options(struct req *r, struct tpl_rows *options, const struct query *q,
                            struct query *seen)
{
    const struct products *all = app_products(r);
    for (size_t i = 0; i < all->n; i++)
        option(options, q, "product", str_of(all->v[i].name), seen);
}

/* Versions of the products asked for, else of the first. */
static void version_options(struct req *r, struct tpl_rows *options, const struct query *q,
                            struct query *seen)
{
    const struct products *all = app_products(r);
    bool any = query_get(q, "product").n > 0;
    for (size_t i = 0; i < all->n; i++) {
        if (any ? !query_has(q, "product", str_of(all->v[i].name)) : i > 0)
            continue;
        const struct version_list *l = versions_of(r, &all->v[i]);
        for (size_t k = 0; k < l->n; k++)
            option(options, q, "version", str_of(arena_strdup(q->a, l->v[k].text)), seen);
    }
}

static bool platform_options(struct req *r, struct tpl_rows *options, const struct query *q,
                             struct query *seen, struct err *err)
{
    DB_ROWS rows = {0};
    if (!DB_RUN(req_db(r), &q_web_platforms, &rows, err))
        return err_wrap(err, "listing platforms");
    for (int i = 0; i < rows.count; i++)
        option(options, q, "platform", str_of(arena_strdup(q->a, db_col(&rows, i, "name"))), seen);
    return true;
}

static void choice_options(struct tpl_rows *options, const struct query *q,
                           const struct search_field *f, struct query *seen)
{
    struct str rest = str_of(f->choices ? f->choices : ""), part;
    while (str_split(&rest, ',', &part))
        if (str_trim(part).n > 0)
            option(options, q, f->name, str_trim(part), seen);
}

bool search_form_set_simple(struct req *r, struct tpl_values *v, const struct query *q,
                            struct err *err)
{
    static const char *const labels[] = {"Product", "Version", "Platform", "Process type"};
    struct tpl_rows *rows = tpl_rows(v, "simple");
    struct query seen = query_new(q->a);
    for (size_t i = 0; i < ARRAY_LEN(simple_fields); i++) {
        const struct search_field *f = search_field_find(str_of(simple_fields[i]));
        struct tpl_row *row = tpl_row_add(rows);
        tpl_row_cstr(row, simple_fields[i]);
        tpl_row_cstr(row, labels[i]);
        struct tpl_rows *options = tpl_row_rows(row);
        if (i == 0)
            product_options(r, options, q, &seen);
        else if (i == 1)
            version_options(r, options, q, &seen);
        else if (i == 2 && !platform_options(r, options, q, &seen, err))
            return false;
        if (f)
            choice_options(options, q, f, &seen);
        struct strs chosen = query_all(q, simple_fields[i]);
        for (size_t k = 0; f && k < chosen.n; k++)
            if (is_simple_value(f, chosen.v[k]))
                option(options, q, f->name, chosen.v[k], &seen);
    }
    return true;
}

/* ---- checks ---------------------------------------------------------------------------------- */

struct bounds {
    bool has_low, has_high, low_open, high_open;
    double low, high;
};

static void narrow(struct bounds *b, struct str op, double x)
{
    bool is_open = op.n == 1;
    if (op.p[0] == '>' && (!b->has_low || x > b->low || (x == b->low && is_open))) {
        b->has_low = true;
        b->low = x;
        b->low_open = is_open;
    }
    if (op.p[0] == '<' && (!b->has_high || x < b->high || (x == b->high && is_open))) {
        b->has_high = true;
        b->high = x;
        b->high_open = is_open;
    }
}

static bool is_empty_range(const struct bounds *b)
{
    if (!b->has_low || !b->has_high)
        return false;
    return b->low > b->high || (b->low == b->high && (b->low_open || b->high_open));
}

static bool number_of(const struct search_field *f, struct str text, double *ret)
{
    int64_t us;
    if (f->value_type != VALUE_DATETIME)
        return str_to_double(str_trim(text), f->name, ret, NULL);
    if (!time_parse(text, &us, NULL))
        return false; /* the search itself complains */
    *ret = (double)us;
    return true;
}

static bool check_field(struct arena *a, const struct query *q, const struct search_field *f,
                        struct err *err)
{
    struct strs values = query_all(q, f->name);
    struct bounds b = {0};
    size_t nulls = 0;
    for (size_t i = 0; i < values.n; i++) {
        struct filter_value x = filter_split(f, values.v[i]);
        double number;
        nulls += is_null(x.op);
        if (is_range(x.op) && number_of(f, x.value, &number))
            narrow(&b, x.op, number);
    }
    if (nulls > 0 && values.n > nulls)
        return err_set(err, ERR_INVALID, "%s: Can't combine __null__ with other filters", f->name);
    if (!is_empty_range(&b))
        return true;
    const char *all = "";
    for (size_t i = 0; i < values.n && i < 4; i++)
        all = arena_printf(a, "%s%s" STR_FMT, all, i ? " and " : "",
                           STR_ARG(str_sub(values.v[i], 0, 40)));
    return err_set(err, ERR_INVALID, "Operator combination failed: %s %s can never hold", f->name,
                   all);
}

static bool is_first_of_name(const struct query *q, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (str_eq(q->v[k].name, q->v[i].name))
            return false;
    return true;
}

bool search_form_check(struct arena *a, const struct query *q, struct err *err)
{
    for (size_t i = 0; i < q->n; i++) {
        const struct search_field *f = search_field_find(q->v[i].name);
        if (f && is_first_of_name(q, i) && !check_field(a, q, f, err))
            return false;
    }
    return true;
}

void search_form_warnings(struct arena *a, const struct query *q, struct tpl_rows *rows)
{
    for (size_t i = 0; i < q->n; i++) {
        const struct search_field *f = search_field_find(q->v[i].name);
        if (!f || !is_first_of_name(q, i))
            continue;
        struct strs values = query_all(q, f->name);
        size_t negated = 0;
        for (size_t k = 0; k < values.n; k++) {
            struct str op = filter_split(f, values.v[k]).op;
            negated += op.n > 1 && op.p[0] == '!';
        }
        if (negated > 0 && values.n > 1)
            tpl_row_cstr(
                tpl_row_add(rows),
                arena_printf(a,
                             "Conditions on one field are joined by OR: with a negated one "
                             "beside another, nearly every report matches %s.",
                             f->name));
    }
}

/* ---- for the script -------------------------------------------------------------------------- */

static json_t *field_json(const struct search_field *f)
{
    json_t *o = json_object();
    json_set_cstr(o, "name", f->name);
    json_set_cstr(o, "type", kinds[f->query_type].name);
    json_set_cstr(o, "description", f->description);
    json_t *choices = json_array();
    struct str rest = str_of(f->choices ? f->choices : ""), part;
    while (str_split(&rest, ',', &part))
        json_array_append_new(choices, json_text(str_trim(part)));
    json_object_set_new(o, "choices", choices);
    return o;
}

json_t *search_form_fields(enum perm reader)
{
    json_t *all = json_object(), *fields = json_array(), *operators = json_object();
    for (size_t i = 0; i < search_field_count; i++)
        if (search_fields[i].perm <= reader)
            json_array_append_new(fields, field_json(&search_fields[i]));
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        json_t *list = json_array();
        for (const struct operator_label *op = kinds[i].operators; op->label; op++)
            json_array_append_new(list, json_pack("[s, s]", op->label, op->code));
        json_object_set_new(operators, kinds[i].name, list);
    }
    json_object_set_new(all, "fields", fields);
    json_object_set_new(all, "operators", operators);
    return all;
}
