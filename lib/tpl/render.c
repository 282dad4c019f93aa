/*
 * From values to a page.
 *
 * ctpl renders texts without loops (translate.c has cut them out), and is given
 * what they name: values of the page, columns of the rows they are in, and under a name of its own
 * what each loop inside of them shows.  So texts are rendered from the inside out, once for each
 * row. Nothing is sent before all of it is there: a missing value is an error of the whole page,
 * and the trailer at its end tells that ctpl came that far.
 */
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/tpl/tpl_internal.h"

/* A list is its number of rows for {if list}; what its loops show comes by other names. */
static void give_value(CtplEnviron *env, const char *name, const struct tpl_value *v)
{
    switch (v->kind) {
    case TPL_UNSET:
        break;
    case TPL_INT:
        ctpl_environ_push_int(env, name, (glong)v->i);
        break;
    case TPL_MARKUP:
        ctpl_environ_push_string(env, name, v->markup);
        break;
    case TPL_ROWS:
        ctpl_environ_push_int(env, name, (glong)v->rows->count);
        break;
    }
}

/*
 * One rendering.  Loops nest, and inner ones may name columns of every row around them: `rows` has
 * the row that each open loop is at, by its depth, and `env` the columns of those rows by name.
 */
struct rendering {
    const struct tpl_values *values;
    CtplEnviron *env;
    const struct tpl_row *rows[TPL_NESTING_MAX];
};

/* A text in memory that ctpl writes to. */
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

/* Borrowed from the stream. */
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
    for (const struct tpl_row *row = rows->first; row; row = row->next) {
        if (row->stray)
            return err_set(err, ERR_INTERNAL, "a row \"%s\" was given a wrong column: %s",
                           type->name, row->stray->name);
        for (size_t i = 0; i < type->count; i++) {
            const struct tpl_value *v = &row->columns[i];
            if (v->kind == TPL_UNSET)
                return err_set(err, ERR_INTERNAL, "a row \"%s\" without %s", type->name,
                               type->columns[i].name);
            if (v->kind == TPL_ROWS && !check_rows(v->rows, err))
                return false;
        }
    }
    return true;
}

/*
 * Before anything is rendered: loops inside of an {if} that is not taken are rendered like all
 * others, and what is wrong with a row is found on the first visit of a page and not on the rare
 * one.
 */
static bool check_values(const struct tpl_values *v, struct err *err)
{
    for (const struct tpl_value *x = v->first; x; x = x->next)
        if (x->kind == TPL_ROWS && !check_rows(x->rows, err))
            return err_wrap(err, "list %s", x->name);
    return true;
}

/*
 * Names of an inner loop that are those of an outer one hide it: ctpl keeps values of one name on a
 * stack, and what is given before the body is taken away behind it.
 */
static bool render_row(struct rendering *g, const struct tpl_loop *loop, const struct tpl_row *row,
                       struct output *out, struct err *err)
{
    g->rows[loop->depth] = row;
    for (size_t i = 0; i < loop->row->count; i++)
        if (loop->names[i])
            give_value(g->env, loop->names[i], &row->columns[i]);
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
    for (const struct tpl_value *v = g->values->first; v; v = v->next)
        if (v->kind == TPL_ROWS && strcmp(v->name, loop->list->name) == 0)
            return v->rows;
    return NULL;
}

/* Gives the text around the loop what the loop shows. */
static bool give_loop(struct rendering *g, const struct tpl_loop *loop, struct err *err)
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
    g_output_stream_write_all(out.memory, "", 1, &written, NULL, NULL); /* the terminator */
    if (ok)
        ctpl_environ_push_string(g->env, loop->symbol, output_text(&out).p);
    output_free(&out);
    return ok;
}

/* A text, after the loops that were cut out of it; their names are gone again afterwards. */
static bool render_piece(struct rendering *g, const struct tpl_piece *piece, struct output *out,
                         struct err *err)
{
    GError *why = NULL;
    bool ok = true;
    for (size_t i = 0; ok && i < piece->loops.n; i++)
        ok = give_loop(g, piece->loops.v[i], err);
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
    for (const struct tpl_value *x = v->first; x; x = x->next)
        give_value(g.env, x->name, x);
    bool ok = render_piece(&g, page, &out, err) && take_page(&out, a, ret_page, err);
    output_free(&out);
    ctpl_environ_unref(g.env);
    return ok || err_wrap(err, "template %s", template_name);
}
