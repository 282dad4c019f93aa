#include "base/util.h"
#include "queries.h"
#include "search_form.h"
#include "versions.h"

/*
 * What the form shows: lines of field, operator and value, and the choices of the simple fields.
 */
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
    const struct operator_label *ops = operators_of(f ? f->query_type : QUERY_STRING);
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
    struct str rest = choices_of(f), part;
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
