#include <assert.h>

#include <ctpl/ctpl.h>

#include "lib/tpl/tpl.h"
#include "lib/tpl/tpl_internal.h"

/*
 * Values are collected in the arena, already escaped, and become a ctpl environment only for
 * the time of one rendering.
 */
struct tpl_row {
    struct arena *a;
    const struct tpl_row_type *type; /* NULL: columns by position */
    struct value *columns;           /* one for each of the type */
    const struct tpl_column *stray;  /* one that was set and is not of the type; NULL: none */
    struct value *first, *last;      /* by position */
    struct tpl_row *next;
};

struct tpl_rows {
    struct arena *a;
    const struct tpl_row_type *type;
    struct tpl_row *first, *last;
    size_t count;
};

struct value {
    const char *name; /* NULL in a column */
    enum { V_UNSET, V_INT, V_MARKUP, V_ROWS } kind;
    int64_t i;
    const char *markup; /* escaped, terminated */
    struct tpl_rows *rows;
    struct value *next;
};

struct tpl_values {
    struct arena *a;
    struct value *first, *last;
};

static struct value markup_value(struct arena *a, struct str escaped)
{
    return (struct value){.kind = V_MARKUP, .markup = str_adup(a, escaped)};
}

static struct value text_value(struct arena *a, struct str s)
{
    STRBUF_AUTO b;
    sb_init(&b, s.n * 6 + 8); /* &quot; is the longest */
    tpl_escape(&b, s);
    return markup_value(a, sb_view(&b));
}

static struct value url_value(struct arena *a, struct str url)
{
    return text_value(a, url_is_safe(url) ? url : STR("#"));
}

static struct value rows_value(struct arena *a, const struct tpl_row_type *type)
{
    struct value v = {.kind = V_ROWS, .rows = arena_alloc(a, sizeof(struct tpl_rows))};
    v.rows->a = a;
    v.rows->type = type;
    return v;
}

static struct value *append_value(struct arena *a, struct value **first, struct value **last,
                                  struct value v)
{
    struct value *copy = arena_alloc(a, sizeof *copy);
    *copy = v;
    if (*last)
        (*last)->next = copy;
    else
        *first = copy;
    return *last = copy;
}

static struct value *put(struct tpl_values *v, const char *name, struct value value)
{
    value.name = name;
    for (struct value *old = v->first; old; old = old->next)
        if (strcmp(old->name, name) == 0) {
            value.next = old->next;
            *old = value;
            return old;
        }
    value.name = arena_strdup(v->a, name);
    return append_value(v->a, &v->first, &v->last, value);
}

struct tpl_values *tpl_values_new(struct arena *a)
{
    struct tpl_values *v = arena_alloc(a, sizeof *v);
    v->a = a;
    return v;
}

void tpl_text(struct tpl_values *v, const char *name, struct str s)
{
    put(v, name, text_value(v->a, s));
}

void tpl_cstr(struct tpl_values *v, const char *name, const char *s)
{
    tpl_text(v, name, s ? str_of(s) : STR(""));
}

void tpl_int(struct tpl_values *v, const char *name, int64_t i)
{
    put(v, name, (struct value){.kind = V_INT, .i = i});
}

void tpl_bool(struct tpl_values *v, const char *name, bool b)
{
    tpl_int(v, name, b);
}

void tpl_url(struct tpl_values *v, const char *name, struct str url)
{
    put(v, name, url_value(v->a, url));
}

void tpl_html(struct tpl_values *v, const char *name, struct html h)
{
    put(v, name, markup_value(v->a, h.escaped));
}

struct tpl_rows *tpl_rows(struct tpl_values *v, const char *name)
{
    return put(v, name, rows_value(v->a, NULL))->rows;
}

struct tpl_rows *tpl_list(struct tpl_values *v, const struct tpl_list *list)
{
    return put(v, list->name, rows_value(v->a, list->rows))->rows;
}

size_t tpl_rows_count(const struct tpl_rows *rows)
{
    return rows->count;
}

struct tpl_row *tpl_row_add(struct tpl_rows *rows)
{
    struct tpl_row *r = arena_alloc(rows->a, sizeof *r);
    r->a = rows->a;
    r->type = rows->type;
    if (r->type)
        r->columns = arena_array(rows->a, r->type->count, sizeof *r->columns);
    if (rows->last)
        rows->last->next = r;
    else
        rows->first = r;
    rows->last = r;
    rows->count++;
    return r;
}

/*
 * Constants of another row type compile, so they are noticed here.  The page fails when it is
 * rendered, as with any other value that is missing: setters have nobody to tell.
 */
static struct value *put_column(struct tpl_row *r, const struct tpl_column *c, struct value v)
{
    bool is_ours = r->type && c >= r->type->columns && c < r->type->columns + r->type->count;
    if (!is_ours || (v.kind == V_ROWS) != (c->rows != NULL)) {
        r->stray = c;
        struct value *nowhere = arena_alloc(r->a, sizeof *nowhere);
        *nowhere = v;
        return nowhere;
    }
    struct value *slot = &r->columns[c - r->type->columns];
    *slot = v;
    return slot;
}

void tpl_col_text(struct tpl_row *r, const struct tpl_column *c, struct str s)
{
    put_column(r, c, text_value(r->a, s));
}

void tpl_col_cstr(struct tpl_row *r, const struct tpl_column *c, const char *s)
{
    tpl_col_text(r, c, s ? str_of(s) : STR(""));
}

void tpl_col_int(struct tpl_row *r, const struct tpl_column *c, int64_t i)
{
    put_column(r, c, (struct value){.kind = V_INT, .i = i});
}

void tpl_col_bool(struct tpl_row *r, const struct tpl_column *c, bool b)
{
    tpl_col_int(r, c, b);
}

void tpl_col_url(struct tpl_row *r, const struct tpl_column *c, struct str url)
{
    put_column(r, c, url_value(r->a, url));
}

void tpl_col_html(struct tpl_row *r, const struct tpl_column *c, struct html h)
{
    put_column(r, c, markup_value(r->a, h.escaped));
}

struct tpl_rows *tpl_col_rows(struct tpl_row *r, const struct tpl_column *c)
{
    return put_column(r, c, rows_value(r->a, c->rows))->rows;
}

void tpl_row_text(struct tpl_row *r, struct str s)
{
    append_value(r->a, &r->first, &r->last, text_value(r->a, s));
}

void tpl_row_cstr(struct tpl_row *r, const char *s)
{
    tpl_row_text(r, s ? str_of(s) : STR(""));
}

void tpl_row_int(struct tpl_row *r, int64_t i)
{
    append_value(r->a, &r->first, &r->last, (struct value){.kind = V_INT, .i = i});
}

void tpl_row_url(struct tpl_row *r, struct str url)
{
    append_value(r->a, &r->first, &r->last, url_value(r->a, url));
}

void tpl_row_html(struct tpl_row *r, struct html h)
{
    append_value(r->a, &r->first, &r->last, markup_value(r->a, h.escaped));
}

struct tpl_rows *tpl_row_rows(struct tpl_row *r)
{
    return append_value(r->a, &r->first, &r->last, rows_value(r->a, NULL))->rows;
}

static bool give_value(CtplValue *out, const struct value *v, struct err *err);

/* An empty list, ready for ctpl_value_array_prepend. */
static void give_empty_array(CtplValue *out)
{
    ctpl_value_init(out);
    ctpl_value_set_array(out, CTPL_VTYPE_INT, 0, NULL);
}

static bool prepend(CtplValue *array, const struct value *v, struct err *err)
{
    CtplValue one;
    bool ok = give_value(&one, v, err);
    if (ok)
        ctpl_value_array_prepend(array, &one);
    ctpl_value_free_value(&one);
    return ok;
}

static bool give_columns(CtplValue *out, const struct tpl_row *row, struct err *err)
{
    const struct tpl_row_type *type = row->type;
    if (row->stray)
        return err_set(err, ERR_INTERNAL, "a row \"%s\" was given a wrong column: %s", type->name,
                       row->stray->name);
    for (size_t i = type->count; i > 0; i--) {
        if (row->columns[i - 1].kind == V_UNSET)
            return err_set(err, ERR_INTERNAL, "a row \"%s\" without %s", type->name,
                           type->columns[i - 1].name);
        if (!prepend(out, &row->columns[i - 1], err))
            return false;
    }
    return true;
}

static bool give_positions(CtplValue *out, const struct value *column, struct err *err)
{
    size_t n = 0;
    for (const struct value *c = column; c; c = c->next)
        n++;
    const struct value **all = g_new(const struct value *, n + 1);
    for (size_t i = 0; i < n; i++, column = column->next)
        all[i] = column;
    bool ok = true;
    for (size_t i = n; ok && i > 0; i--)
        ok = prepend(out, all[i - 1], err);
    g_free(all);
    return ok;
}

/*
 * ctpl's lists grow cheaply at the front only; so rows and columns are walked backwards.  The
 * recursion is as deep as lists are nested in our own code (two or three).
 */
static bool give_rows(CtplValue *out, const struct tpl_rows *rows, struct err *err)
{
    give_empty_array(out);
    const struct tpl_row **all = g_new(const struct tpl_row *, rows->count + 1);
    size_t n = 0;
    for (const struct tpl_row *r = rows->first; r; r = r->next)
        all[n++] = r;
    bool ok = true;
    for (; ok && n > 0; n--) {
        const struct tpl_row *row = all[n - 1];
        CtplValue one;
        give_empty_array(&one);
        ok = row->type ? give_columns(&one, row, err) : give_positions(&one, row->first, err);
        if (ok)
            ctpl_value_array_prepend(out, &one);
        ctpl_value_free_value(&one);
    }
    g_free(all);
    return ok;
}

/* *out is to be freed also where this fails. */
static bool give_value(CtplValue *out, const struct value *v, struct err *err)
{
    ctpl_value_init(out);
    switch (v->kind) {
    case V_UNSET:
        break; /* give_columns has complained */
    case V_INT:
        ctpl_value_set_int(out, (glong)v->i);
        break;
    case V_MARKUP:
        ctpl_value_set_string(out, v->markup);
        break;
    case V_ROWS:
        return give_rows(out, v->rows, err);
    }
    return true;
}

static bool give_all(CtplEnviron *env, const struct tpl_values *v, struct err *err)
{
    bool ok = true;
    for (const struct value *x = v->first; ok && x; x = x->next) {
        CtplValue one;
        ok = give_value(&one, x, err);
        if (ok)
            ctpl_environ_push(env, x->name, &one);
        else
            err_wrap(err, "list %s", x->name);
        ctpl_value_free_value(&one);
    }
    return ok;
}

/* The finished text without the trailer, or an error if that did not come out. */
static bool take_page(GOutputStream *stream, struct arena *a, struct str *ret, struct err *err)
{
    GMemoryOutputStream *memory = G_MEMORY_OUTPUT_STREAM(stream);
    struct str all = str_n(g_memory_output_stream_get_data(memory),
                           g_memory_output_stream_get_data_size(memory));
    if (!str_ends(all, STR(TPL_TRAILER)))
        return err_set(err, ERR_INTERNAL, "the page broke off after %zu bytes", all.n);
    all.n -= sizeof TPL_TRAILER - 1;
    if (!arena_fits(a, all.n + 1, "page", err))
        return false;
    *ret = str_copy(a, all);
    return true;
}

bool tpl_render(const struct tpl_set *t, const char *template_name, const struct tpl_values *v,
                struct arena *a, struct str *ret_page, struct err *err)
{
    const CtplToken *tree = tpl_tree(t, template_name);
    if (!tree)
        return err_set(err, ERR_INTERNAL, "no template %s", template_name);
    CtplEnviron *env = ctpl_environ_new();
    GOutputStream *memory = g_memory_output_stream_new_resizable();
    CtplOutputStream *out = ctpl_output_stream_new(memory);
    GError *why = NULL;

    bool ok = give_all(env, v, err);
    if (ok && (!ctpl_parser_parse(tree, env, out, &why) || why))
        ok = err_set(err, ERR_INTERNAL, "%s", why ? why->message : "rendering failed");
    ok = ok && take_page(memory, a, ret_page, err);
    g_clear_error(&why);
    ctpl_output_stream_unref(out);
    g_object_unref(memory);
    ctpl_environ_unref(env);
    return ok || err_wrap(err, "template %s", template_name);
}
