/*
 * What the form offers: lines of field, operator and value, and the choices of fields.  The field
 * table names the choices that are the same everywhere; products, versions and platforms are what
 * this installation knows.  Page and script (/search/fields/) get them from one place.
 */
#include "fcgi/webapp/webapp.h"
#include "fcgi/webapp/live_versions.h"
#include "fcgi/webapp/operators.h"
#include "fcgi/webapp/url_query.h"
#include "fcgi/webapp/search_form.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/field.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/tpl/tpl.h"
#include "lib/web/web.h"
#include "queries.h"
#include "rows.h"

static const char *const simple_fields[] = {"product", "version", "platform", "process_type"};

bool search_form_is_simple(const struct search_field *f)
{
    for (size_t i = 0; i < ARRAY_LEN(simple_fields); i++)
        if (strcmp(f->name, simple_fields[i]) == 0)
            return true;
    return false;
}

/* The simple fields show values without an operator; any other filter on them is a line. */
static bool is_simple_value(const struct search_field *f, struct str text)
{
    return search_form_is_simple(f) && filter_split(f, text).op.n == 0;
}

static void add_option(struct tpl_rows *options, struct str value, struct str text, bool is_chosen)
{
    struct tpl_row *row = tpl_row_add(options);
    tpl_col_text(row, OPTION_VALUE, value);
    tpl_col_text(row, OPTION_TEXT, text);
    tpl_col_bool(row, OPTION_IS_CHOSEN, is_chosen);
}

/*
 * A line of the form.  The operators offered depend on the type of the field; one that is not among
 * them, from an address written by hand, is added, since sending the form must not change it.
 */
static void add_search_line(struct tpl_rows *rows, const struct search_field *f,
                            struct filter_value value)
{
    const struct operator_label *ops = operators_of(f ? f->query_type : QUERY_STRING);
    struct tpl_row *row = tpl_row_add(rows);
    bool known = false;
    tpl_col_int(row, SEARCH_LINE_NUMBER, (int64_t)tpl_rows_count(rows));
    tpl_col_cstr(row, SEARCH_LINE_FIELD, f ? f->name : "");
    tpl_col_text(row, SEARCH_LINE_OPERATOR, value.op);
    tpl_col_text(row, SEARCH_LINE_VALUE, value.value);
    struct tpl_rows *options = tpl_col_rows(row, SEARCH_LINE_OPTIONS);
    for (const struct operator_label *op = ops; op->label; op++) {
        bool is_it = str_eq(value.op, str_of(op->code));
        add_option(options, str_of(op->code), str_of(op->label), is_it);
        known = known || is_it;
    }
    if (!known && value.op.n > 0)
        add_option(options, value.op, value.op, true); /* legal, though not offered */
}

/* Filters as lines, and empty ones to fill in; names of fields that complete what is typed. */
static void set_lines(struct req *r, struct tpl_values *v, const struct query *q,
                      size_t blank_lines, bool with_simple)
{
    enum perm reader = app_reader(r);
    json_auto_t *operators = operators_json();
    FREE_LATER char *text = jdump(operators, NULL);
    tpl_cstr(v, "operators", arena_strdup(q->a, text));
    struct tpl_rows *names = tpl_list(v, LIST_SEARCH_FIELDS);
    struct tpl_rows *rows = tpl_list(v, LIST_SEARCH_LINES);
    const struct field_table *fields = app_fields(r);
    for (size_t i = 0; i < fields->search_count; i++) {
        const struct search_field *f = &fields->search[i];
        if (f->perm > reader)
            continue;
        struct tpl_row *row = tpl_row_add(names);
        tpl_col_cstr(row, SEARCH_FIELD_NAME, f->name);
        tpl_col_cstr(row, SEARCH_FIELD_DESCRIPTION, f->description);
    }
    for (size_t i = 0; i < q->n; i++) {
        const struct search_field *f = search_field_find(fields, q->v[i].name);
        if (!f || f->perm > reader || f == fields->date ||
            (!with_simple && is_simple_value(f, q->v[i].value)))
            continue;
        add_search_line(rows, f, filter_split(f, q->v[i].value));
    }
    for (size_t i = 0; i < blank_lines; i++)
        add_search_line(rows, NULL, (struct filter_value){STR(""), STR("")});
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

/* Versions of the products asked for, else of the first. */
static void add_versions(struct req *r, const struct query *q, struct query *choices)
{
    const struct products *all = app_products(r);
    bool any = query_get(q, "product").n > 0;
    for (size_t i = 0; i < all->n; i++) {
        if (any ? !query_has(q, "product", str_of(all->v[i].name)) : i > 0)
            continue;
        const struct live_versions *l = live_versions_of(r, &all->v[i]);
        for (size_t k = 0; k < l->n; k++)
            query_add(choices, "version", str_of(arena_strdup(q->a, l->v[k].text)));
    }
}

static bool add_platforms(struct req *r, struct query *choices, struct err *err)
{
    DB_ROWS rows = {0};
    if (!DB_RUN(req_db(r), &q_web_platforms, &rows, err))
        return err_wrap(err, "listing platforms");
    for (int i = 0; i < rows.count; i++)
        query_add(choices, "platform",
                  str_of(arena_strdup(choices->a, db_col(&rows, i, Q_WEB_PLATFORMS_COL_NAME))));
    return true;
}

/*
 * Appends to `choices`, under the name of the field, the values that the form offers for it: what
 * the installation knows (products, versions of those in q, platforms), then what the field table
 * names.
 */
static bool add_choices(struct req *r, const struct query *q, const struct search_field *f,
                        struct query *choices, struct err *err)
{
    const struct products *products = app_products(r);
    if (strcmp(f->name, "product") == 0)
        for (size_t i = 0; i < products->n; i++)
            query_add(choices, f->name, str_of(products->v[i].name));
    if (strcmp(f->name, "version") == 0)
        add_versions(r, q, choices);
    if (strcmp(f->name, "platform") == 0 && !add_platforms(r, choices, err))
        return false;
    struct str rest = choices_of(f), part;
    while (str_split(&rest, ',', &part))
        if (str_trim(part).n > 0)
            query_add(choices, f->name, str_trim(part));
    return true;
}

/* Options of one simple field: its choices and whatever else is chosen, each once. */
static void set_options(struct tpl_rows *options, const struct query *q, const char *field,
                        struct strs values)
{
    struct query seen = query_new(q->a);
    for (size_t i = 0; i < values.n; i++) {
        if (query_has(&seen, field, values.v[i]))
            continue;
        query_add(&seen, field, values.v[i]);
        add_option(options, values.v[i], values.v[i], query_has(q, field, values.v[i]));
    }
}

/* The labels are in the order of simple_fields. */
bool search_form_set_simple(struct req *r, struct tpl_values *v, const struct query *q,
                            struct err *err)
{
    static const char *const labels[] = {"Product", "Version", "Platform", "Process type"};
    struct tpl_rows *rows = tpl_list(v, LIST_SIMPLE_FIELDS);
    for (size_t i = 0; i < ARRAY_LEN(simple_fields); i++) {
        const struct search_field *f = search_field_find(app_fields(r), str_of(simple_fields[i]));
        struct query choices = query_new(q->a);
        if (!f || !add_choices(r, q, f, &choices, err))
            return false;
        struct strs chosen = query_all(q, f->name);
        for (size_t k = 0; k < chosen.n; k++)
            if (is_simple_value(f, chosen.v[k]))
                query_add(&choices, f->name, chosen.v[k]);
        struct tpl_row *row = tpl_row_add(rows);
        tpl_col_cstr(row, SIMPLE_FIELD_NAME, f->name);
        tpl_col_cstr(row, SIMPLE_FIELD_LABEL, labels[i]);
        set_options(tpl_col_rows(row, SIMPLE_FIELD_OPTIONS), q, f->name,
                    query_all(&choices, f->name));
    }
    return true;
}

/* "platform_pretty_version" is read as "platform pretty version". */
static const char *label_of_field(struct arena *a, const char *name)
{
    char *label = arena_strdup(a, name);
    for (char *p = label; *p; p++)
        if (*p == '_')
            *p = ' ';
    return label;
}

bool search_form_fields(struct req *r, struct strs exclude, json_t *ret, struct err *err)
{
    struct query none = query_new(req_arena(r));
    const struct field_table *fields = app_fields(r);
    for (size_t i = 0; i < fields->search_count; i++) {
        const struct search_field *f = &fields->search[i];
        struct query choices = query_new(none.a);
        bool is_excluded = f->perm > app_reader(r);
        for (size_t k = 0; k < exclude.n; k++)
            is_excluded = is_excluded || str_eq(exclude.v[k], str_of(f->name));
        if (is_excluded)
            continue;
        if (!add_choices(r, &none, f, &choices, err))
            return false;
        json_t *values = json_array();
        for (size_t k = 0; k < choices.n; k++)
            json_array_append_new(values, jtext(choices.v[k].value));
        json_object_set_new(ret, f->name,
                            json_pack("{s:s, s:s, s:o, s:b, s:b, s:s}", "name",
                                      label_of_field(none.a, f->name), "valueType",
                                      query_type_name(f->query_type), "values", values, "multiple",
                                      1, "extensible", 1, "description", f->description));
    }
    return true;
}
