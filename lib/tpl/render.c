#include <assert.h>

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

/* Lists by position: ctpl's grow cheaply at the front only, so they are walked backwards. */
static void give_positions(CtplValue *out, const struct tpl_rows *rows);

static void give_column(CtplValue *out, const struct value *v)
{
    ctpl_value_init(out);
    if (v->kind == V_INT)
        ctpl_value_set_int(out, (glong)v->i);
    else if (v->kind == V_MARKUP)
        ctpl_value_set_string(out, v->markup);
    else
        give_positions(out, v->rows);
}

static void prepend(CtplValue *array, CtplValue *one)
{
    ctpl_value_array_prepend(array, one);
    ctpl_value_free_value(one);
}

static void give_row(CtplValue *out, const struct value *column)
{
    size_t n = 0;
    for (const struct value *c = column; c; c = c->next)
        n++;
    const struct value **all = g_new(const struct value *, n + 1);
    for (size_t i = 0; i < n; i++, column = column->next)
        all[i] = column;
    ctpl_value_init(out);
    ctpl_value_set_array(out, CTPL_VTYPE_INT, 0, NULL);
    for (size_t i = n; i > 0; i--) {
        CtplValue one;
        give_column(&one, all[i - 1]);
        prepend(out, &one);
    }
    g_free(all);
}

static void give_positions(CtplValue *out, const struct tpl_rows *rows)
{
    ctpl_value_init(out);
    ctpl_value_set_array(out, CTPL_VTYPE_INT, 0, NULL);
    const struct tpl_row **all = g_new(const struct tpl_row *, rows->count + 1);
    size_t n = 0;
    for (const struct tpl_row *r = rows->first; r; r = r->next)
        all[n++] = r;
    for (; n > 0; n--) {
        CtplValue one;
        give_row(&one, all[n - 1]->first);
        prepend(out, &one);
    }
    g_free(all);
}

/* A list is its number of rows for {if list}; what its loops show comes by other names. */
static void push(CtplEnviron *env, const char *name, const struct value *v)
{
    CtplValue rows;
    switch (v->kind) {
    case V_UNSET:
        break;
    case V_INT:
        ctpl_environ_push_int(env, name, (glong)v->i);
        break;
    case V_MARKUP:
        ctpl_environ_push_string(env, name, v->markup);
        break;
    case V_ROWS:
        if (v->rows->type) {
            ctpl_environ_push_int(env, name, (glong)v->rows->count);
            break;
        }
        give_positions(&rows, v->rows);
        ctpl_environ_push(env, name, &rows);
        ctpl_value_free_value(&rows);
        break;
    }
}

/* One rendering: the page's values, and the row that each open loop is at. */
struct rendering {
    const struct tpl_values *values;
    CtplEnviron *env;
    const struct tpl_row *rows[TPL_NESTING_MAX];
};

struct output {
    GOutputStream *memory;
    CtplOutputStream *stream;
};

static struct output output_new(void)
{
    struct output o = {.memory = g_memory_output_stream_new_resizable()};
    o.stream = ctpl_output_stream_new(o.memory);
    return o;
}

static void output_free(struct output *o)
{
    ctpl_output_stream_unref(o->stream);
    g_object_unref(o->memory);
}

static struct str output_text(const struct output *o)
{
    GMemoryOutputStream *memory = G_MEMORY_OUTPUT_STREAM(o->memory);
    return str_n(g_memory_output_stream_get_data(memory),
                 g_memory_output_stream_get_data_size(memory));
}

static bool render_piece(struct rendering *g, const struct tpl_piece *piece, struct output *out,
                         struct err *err);

/* Every column of every row must be there, whatever the template makes of it. */
static bool check_rows(const struct tpl_rows *rows, struct err *err)
{
    const struct tpl_row_type *type = rows->type;
    for (const struct tpl_row *row = rows->first; type && row; row = row->next) {
        if (row->stray)
            return err_set(err, ERR_INTERNAL, "a row \"%s\" was given a wrong column: %s",
                           type->name, row->stray->name);
        for (size_t i = 0; i < type->count; i++) {
            const struct value *v = &row->columns[i];
            if (v->kind == V_UNSET)
                return err_set(err, ERR_INTERNAL, "a row \"%s\" without %s", type->name,
                               type->columns[i].name);
            if (v->kind == V_ROWS && !check_rows(v->rows, err))
                return false;
        }
    }
    return true;
}

static bool check_values(const struct tpl_values *v, struct err *err)
{
    for (const struct value *x = v->first; x; x = x->next)
        if (x->kind == V_ROWS && !check_rows(x->rows, err))
            return err_wrap(err, "list %s", x->name);
    return true;
}

static bool render_row(struct rendering *g, const struct tpl_loop *loop, const struct tpl_row *row,
                       struct output *out, struct err *err)
{
    g->rows[loop->depth] = row;
    for (size_t i = 0; i < loop->row->count; i++)
        if (loop->names[i])
            push(g->env, loop->names[i], &row->columns[i]);
    bool ok = render_piece(g, &loop->body, out, err);
    for (size_t i = 0; i < loop->row->count; i++)
        if (loop->names[i])
            ctpl_environ_pop(g->env, loop->names[i], NULL);
    return ok;
}

/* The rows a loop goes over; NULL where the page has not set that list, and must not show it. */
static const struct tpl_rows *rows_of(const struct rendering *g, const struct tpl_loop *loop)
{
    if (!loop->list)
        return g->rows[loop->outer]->columns[loop->column].rows;
    for (const struct value *v = g->values->first; v; v = v->next)
        if (v->kind == V_ROWS && v->rows->type && strcmp(v->name, loop->list->name) == 0)
            return v->rows;
    return NULL;
}

/* Gives the text around the loop what the loop shows. */
static bool push_loop(struct rendering *g, const struct tpl_loop *loop, struct err *err)
{
    const struct tpl_rows *rows = rows_of(g, loop);
    if (!rows)
        return true;
    if (rows->count == 0) { /* most lists inside of rows */
        ctpl_environ_push_string(g->env, loop->symbol, "");
        return true;
    }
    struct output out = output_new();
    bool ok = true;
    for (const struct tpl_row *row = rows->first; ok && row; row = row->next)
        ok = render_row(g, loop, row, &out, err);
    gsize written;
    g_output_stream_write_all(out.memory, "", 1, &written, NULL, NULL);
    if (ok)
        ctpl_environ_push_string(g->env, loop->symbol, output_text(&out).p);
    output_free(&out);
    return ok;
}

static bool render_piece(struct rendering *g, const struct tpl_piece *piece, struct output *out,
                         struct err *err)
{
    GError *why = NULL;
    bool ok = true;
    for (size_t i = 0; ok && i < piece->loops.n; i++)
        ok = push_loop(g, piece->loops.v[i], err);
    if (ok && piece->tree && (!ctpl_parser_parse(piece->tree, g->env, out->stream, &why) || why))
        ok = err_set(err, ERR_INTERNAL, "%s", why ? why->message : "rendering failed");
    g_clear_error(&why);
    for (size_t i = 0; i < piece->loops.n; i++)
        ctpl_environ_pop(g->env, piece->loops.v[i]->symbol, NULL);
    return ok;
}

/* The finished text without the trailer, or an error if that did not come out. */
static bool take_page(const struct output *out, struct arena *a, struct str *ret, struct err *err)
{
    struct str all = output_text(out);
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
    const struct tpl_piece *page = tpl_parsed(t, template_name);
    if (!page)
        return err_set(err, ERR_INTERNAL, "no template %s", template_name);
    if (!check_values(v, err))
        return err_wrap(err, "template %s", template_name);
    struct rendering g = {.values = v, .env = ctpl_environ_new()};
    struct output out = output_new();
    for (const struct value *x = v->first; x; x = x->next)
        push(g.env, x->name, x);
    bool ok = render_piece(&g, page, &out, err) && take_page(&out, a, ret_page, err);
    output_free(&out);
    ctpl_environ_unref(g.env);
    return ok || err_wrap(err, "template %s", template_name);
}
