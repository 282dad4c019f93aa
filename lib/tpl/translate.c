/*
 * From what a template says to what ctpl reads, in one pass over the text.
 *
 * The grammar we allow: {if EXPR} {else} {end}, {for NAME in LIST}, {EXPR}, {include FILE} and
 * {# a comment}; a backslash before a brace that is text.  ctpl drops the rest of a page without a
 * word when it meets a mistake inside an {if}, so every block is read here first, and expressions
 * are tried with ctpl's own expression reader.
 *
 * ctpl has no members, and it copies a whole row, with the lists in it, for each position that an
 * expression asks for.  So a loop is cut out and becomes a text of its own,
 * which is rendered for one row after the other with the columns it names as plain values:
 * {hit.url} is {hit__url} there.  500 rows of four columns with a list of one row in each took 21
 * ms as lists of lists with positions, and 1.9 this way.  Which columns and lists were named is
 * kept in `used`.
 *
 * Each file closes what it opens, and is read where it is included: so a piece may name the loop
 * variables around its {include}, and a message can say the file and line that somebody has to look
 * at, whatever was put in before it.
 */
#include <ctype.h>
#include <limits.h>
#include <stdio.h>

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/tpl/tpl_internal.h"

enum { INCLUDE_DEPTH_MAX = 8 }; /* ours are three deep; more is a file that includes itself */

/* An {if} or {for} whose {end} has not come yet. */
struct tpl_block {
    bool is_if;              /* {else} may still come */
    struct str variable;     /* of a loop; empty for {if} */
    struct tpl_loop *loop;   /* NULL: {if} */
    struct tpl_piece *outer; /* of a loop: the text it was cut out of */
};

/* One template with everything it includes. */
struct translation {
    const char *dir;
    const struct tpl_schema *schema;
    struct tpl_usage *used;
    struct tpl_piece *piece; /* that is written to */
    struct tpl_block open[TPL_NESTING_MAX];
    size_t open_count;
    size_t loop_count; /* loops that are open */
    size_t loops;      /* all that there were */
    int depth;         /* of includes */
};

/* A file on its way: what of it has been read, and how many blocks were open before it. */
struct source {
    struct str text;
    size_t at;
    size_t line;
    size_t outer;
};

static bool translate_file(struct translation *t, struct str name, struct err *err);

static bool complain(const struct source *s, struct err *err, const char *what, struct str where)
{
    return err_set(err, ERR_INTERNAL, "line %zu: %s: {" STR_FMT "}", s->line, what, STR_ARG(where));
}

/* The innermost open loop with this variable: an inner one hides those around it. */
static const struct tpl_block *loop_of(const struct translation *t, struct str variable)
{
    for (size_t i = t->open_count; i > 0; i--)
        if (str_eq(t->open[i - 1].variable, variable))
            return &t->open[i - 1];
    return NULL;
}

static const struct tpl_list *list_of(const struct translation *t, struct str name)
{
    for (size_t i = 0; i < t->schema->list_count; i++)
        if (str_eq(name, str_of(t->schema->lists[i].name)))
            return &t->schema->lists[i];
    return NULL;
}

static const struct tpl_column *column_of(const struct tpl_row_type *row, struct str name)
{
    for (size_t i = 0; i < row->count; i++)
        if (str_eq(name, str_of(row->columns[i].name)))
            return &row->columns[i];
    return NULL;
}

/* A name of an expression as it is written: "title", or "hit.url" in two parts. */
struct reference {
    struct str name;
    struct str member;               /* p NULL: none */
    const struct tpl_loop *loop;     /* whose row it is a column of; NULL: a value of the page */
    const struct tpl_column *column; /* of that row */
    const struct tpl_list *list;     /* of the page; NULL: something else */
};

/* {hit.url} of a loop. */
static bool resolve_column(struct translation *t, const struct source *s, struct reference *ref,
                           struct err *err)
{
    const struct tpl_row_type *row = ref->loop->row;
    if (!ref->member.p)
        return complain(s, err, "a row is no value: name one of its columns", ref->name);
    ref->column = column_of(row, ref->member);
    if (!ref->column)
        return err_set(
            err, ERR_INTERNAL,
            "line %zu: a row \"%s\" has no column " STR_FMT ": {" STR_FMT "." STR_FMT "}", s->line,
            row->name, STR_ARG(ref->member), STR_ARG(ref->name), STR_ARG(ref->member));
    t->used->columns[ref->column - t->schema->columns] = true;
    return true;
}

/* What a name stands for, and that it is used; names of values are checked when they are
 * rendered. */
static bool resolve(struct translation *t, const struct source *s, struct reference *ref,
                    struct err *err)
{
    const struct tpl_block *block = loop_of(t, ref->name);
    if (block) {
        ref->loop = block->loop;
        return resolve_column(t, s, ref, err);
    }
    if (ref->member.p)
        return complain(s, err, "not a variable of a loop around it", ref->name);
    ref->list = list_of(t, ref->name);
    if (ref->list)
        t->used->lists[ref->list - t->schema->lists] = true;
    return true;
}

/* As ctpl knows it; a column that is asked for gets a name in its loop. */
static void write_reference(struct translation *t, const struct reference *ref)
{
    if (!ref->loop) {
        sb_str(&t->piece->text, ref->name);
        return;
    }
    char **name = &ref->loop->names[ref->column - ref->loop->row->columns];
    if (!*name) {
        STRBUF_AUTO b;
        sb_init(&b, ref->name.n + ref->member.n + 2);
        sb_printf(&b, STR_FMT "__" STR_FMT, STR_ARG(ref->name), STR_ARG(ref->member));
        *name = sb_take(&b, NULL);
    }
    sb_text(&t->piece->text, *name);
}

static bool is_name_char(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static size_t name_end(struct str e, size_t at)
{
    while (at < e.n && is_name_char(e.p[at]))
        at++;
    return at;
}

/* Behind the quote that closes the string at `at`; the end where none does, for ctpl to
 * complain. */
static size_t string_end(struct str e, size_t at)
{
    for (at++; at < e.n && e.p[at] != '"'; at++)
        if (e.p[at] == '\\')
            at++;
    return at < e.n ? at + 1 : e.n;
}

/* The dot of a number names no column: "1.5" is not column 5 of a row called 1. */
static size_t number_end(struct str e, size_t at)
{
    while (at < e.n && (is_name_char(e.p[at]) || e.p[at] == '.'))
        at++;
    return at;
}

/* The name at `at` with its member, if it has one; returns where it ends. */
static size_t read_reference(struct str e, size_t at, struct reference *ret)
{
    size_t end = name_end(e, at);
    *ret = (struct reference){.name = str_sub(e, at, end - at)};
    if (end < e.n && e.p[end] == '.') {
        size_t from = end + 1;
        end = name_end(e, from);
        ret->member = str_sub(e, from, end - from);
    }
    return end;
}

/* ctpl's own reader decides. */
static bool is_expression(struct str text)
{
    GError *why = NULL;
    CtplTokenExpr *tree = text.n ? ctpl_lexer_expr_lex_string(text.p, (gssize)text.n, &why) : NULL;
    bool ok = tree && !why;
    if (tree)
        ctpl_token_expr_free(tree);
    g_clear_error(&why);
    return ok;
}

/*
 * Copies an expression with its names replaced.  Only names, strings and numbers are told apart
 * here: what operators there are, and how they go together, is ctpl's business.
 */
static bool write_expr(struct translation *t, const struct source *s, struct str e, struct err *err)
{
    struct strbuf *out = &t->piece->text;
    size_t start = out->n;
    for (size_t at = 0, end; at < e.n; at = end) {
        if (isalpha((unsigned char)e.p[at]) || e.p[at] == '_') {
            struct reference ref;
            end = read_reference(e, at, &ref);
            if (!resolve(t, s, &ref, err))
                return false;
            write_reference(t, &ref);
            continue;
        }
        if (e.p[at] == '[')
            return complain(s, err, "a position: columns have names", e);
        end = e.p[at] == '"'                    ? string_end(e, at)
              : isdigit((unsigned char)e.p[at]) ? number_end(e, at)
                                                : at + 1;
        sb_str(out, str_sub(e, at, end - at));
    }
    return is_expression(str_sub(sb_view(out), start, SIZE_MAX)) ||
           complain(s, err, "not an expression", e);
}

static bool open_block(struct translation *t, const struct source *s, struct tpl_block b,
                       struct str text, struct err *err)
{
    if (t->open_count == TPL_NESTING_MAX)
        return complain(s, err, "nested too deeply", text);
    t->open[t->open_count++] = b;
    return true;
}

/* Cuts a loop out of the text: what follows up to its {end} is its own. */
static bool open_loop(struct translation *t, const struct source *s, struct str variable,
                      const struct reference *list, struct str block, struct err *err)
{
    struct tpl_loop *loop = xcalloc(1, sizeof *loop);
    VEC_PUSH(&t->piece->loops, loop);
    sb_init(&loop->body.text, TPL_TEMPLATE_MAX);
    loop->list = list->list;
    loop->row = list->list ? list->list->rows : list->column->rows;
    loop->depth = t->loop_count++;
    if (list->loop) {
        loop->outer = list->loop->depth;
        loop->column = (size_t)(list->column - list->loop->row->columns);
    }
    loop->names = xcalloc(loop->row->count + 1, sizeof *loop->names);
    STRBUF_AUTO symbol;
    sb_init(&symbol, block.n + 32);
    sb_printf(&symbol, "rows%zu__" STR_FMT, t->loops++,
              STR_ARG(list->list ? list->name : list->member));
    loop->symbol = sb_take(&symbol, NULL);
    sb_printf(&t->piece->text, "{%s}", loop->symbol);
    struct tpl_block b = {.variable = variable, .loop = loop, .outer = t->piece};
    t->piece = &loop->body;
    return open_block(t, s, b, block, err);
}

static bool translate_for(struct translation *t, const struct source *s, struct str block,
                          struct err *err)
{
    size_t in = str_find(block, STR(" in "), 4);
    if (in == SIZE_MAX)
        return complain(s, err, "no 'in'", block);
    struct str variable = str_trim(str_sub(block, 4, in - 4));
    if (variable.n == 0 || name_end(variable, 0) < variable.n)
        return complain(s, err, "bad name of a loop variable", block);
    struct str list = str_trim(str_sub(block, in + 4, SIZE_MAX));
    struct reference ref = {0};
    if (list.n > 0 && read_reference(list, 0, &ref) == list.n && !resolve(t, s, &ref, err))
        return false;
    if (ref.list || (ref.column && ref.column->rows))
        return open_loop(t, s, variable, &ref, block, err);
    if (ref.column)
        return complain(s, err, "a column that is no list", block);
    return complain(s, err, "not a declared list", block);
}

static bool translate_if(struct translation *t, const struct source *s, struct str block,
                         struct err *err)
{
    sb_text(&t->piece->text, "{if ");
    if (!write_expr(t, s, str_trim(str_sub(block, 3, SIZE_MAX)), err))
        return false;
    sb_char(&t->piece->text, '}');
    return open_block(t, s, (struct tpl_block){.is_if = true}, block, err);
}

/* Belongs to an {if} of the same file that has none yet. */
static bool translate_else(struct translation *t, const struct source *s, struct err *err)
{
    struct tpl_block *last = t->open_count > s->outer ? &t->open[t->open_count - 1] : NULL;
    if (!last || !last->is_if)
        return complain(s, err, "no 'if' before", STR("else"));
    last->is_if = false; /* a second one is a mistake */
    sb_text(&t->piece->text, "{else}");
    return true;
}

/* Ends what this file has opened; behind a cut-out loop, writing goes on in the text around it. */
static bool translate_end(struct translation *t, const struct source *s, struct err *err)
{
    if (t->open_count == s->outer)
        return complain(s, err, "nothing to end", STR("end"));
    const struct tpl_block *block = &t->open[--t->open_count];
    if (!block->loop) {
        sb_text(&t->piece->text, "{end}");
        return true;
    }
    t->piece = block->outer;
    t->loop_count--;
    return true;
}

static bool translate_value(struct translation *t, const struct source *s, struct str block,
                            struct err *err)
{
    sb_char(&t->piece->text, '{');
    if (!write_expr(t, s, str_trim(block), err))
        return false;
    sb_char(&t->piece->text, '}');
    return true;
}

/* What stands between two braces.  A brace or a new line in it means that the closing one is
 * missing. */
static bool translate_block(struct translation *t, const struct source *s, struct str block,
                            struct err *err)
{
    if (str_starts(block, STR("#")))
        return true;
    if (str_find_char(block, '{', 0) != SIZE_MAX || str_find_char(block, '\n', 0) != SIZE_MAX)
        return complain(s, err, "no closing brace", block);
    if (str_starts(block, STR("include ")))
        return translate_file(t, str_trim(str_sub(block, 8, SIZE_MAX)), err) ||
               err_wrap(err, "line %zu", s->line);
    if (str_starts(block, STR("for ")))
        return translate_for(t, s, block, err);
    if (str_starts(block, STR("if ")))
        return translate_if(t, s, block, err);
    if (str_eq(block, STR("else")))
        return translate_else(t, s, err);
    if (str_eq(block, STR("end")))
        return translate_end(t, s, err);
    return translate_value(t, s, block, err);
}

/* Line numbers count what has been read of this file, whatever was included meanwhile. */
static bool translate_text(struct translation *t, struct source *s, struct err *err)
{
    while (s->at < s->text.n) {
        char ch = s->text.p[s->at];
        if (ch == '}')
            return complain(s, err, "closing brace without an opening one", STR(""));
        struct str piece = str_sub(s->text, s->at, ch == '\\' ? 2 : 1);
        if (ch == '{') {
            size_t close = str_find_char(s->text, '}', s->at);
            if (close == SIZE_MAX)
                return complain(s, err, "no closing brace", str_sub(s->text, s->at + 1, 40));
            piece = str_sub(s->text, s->at, close + 1 - s->at);
            if (!translate_block(t, s, str_sub(piece, 1, piece.n - 2), err))
                return false;
        } else {
            sb_str(&t->piece->text, piece);
        }
        for (size_t i = 0; i < piece.n; i++)
            s->line += piece.p[i] == '\n';
        s->at += piece.n;
    }
    return t->open_count == s->outer || complain(s, err, "blocks left open at the end", STR(""));
}

/*
 * A file, at the place where it is included.  Names are paths below the template directory; a loop
 * of includes ends at the maximum of depth.
 */
static bool translate_file(struct translation *t, struct str name, struct err *err)
{
    if (t->depth > INCLUDE_DEPTH_MAX)
        return err_set(err, ERR_INTERNAL, "includes nested more than %d deep", INCLUDE_DEPTH_MAX);
    if (str_find(name, STR(".."), 0) != SIZE_MAX || str_starts(name, STR("/")))
        return err_set(err, ERR_INTERNAL, "include outside the directory: " STR_FMT, STR_ARG(name));
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/" STR_FMT, t->dir, STR_ARG(name));
    FREE_LATER char *text = NULL;
    size_t n = 0;
    if (!fs_read(path, TPL_TEMPLATE_MAX, &text, &n, err))
        return err_wrap(err, "template " STR_FMT, STR_ARG(name));
    bool ends = n > 0 && text[n - 1] == '\n'; /* the line, and not what stands in it */
    struct source s = {.text = str_n(text, n - ends), .line = 1, .outer = t->open_count};
    t->depth++;
    if (!translate_text(t, &s, err))
        return err_wrap(err, "template " STR_FMT, STR_ARG(name));
    t->depth--;
    return !t->piece->text.overflow ||
           err_set(err, ERR_INTERNAL, "template " STR_FMT " is too large", STR_ARG(name));
}

bool tpl_translate(const char *dir, const char *name, const struct tpl_schema *schema,
                   struct tpl_usage *used, struct tpl_piece *piece, struct err *err)
{
    struct translation t = {.dir = dir, .schema = schema, .used = used, .piece = piece};
    return translate_file(&t, str_of(name), err);
}

static void free_loop(struct tpl_loop *loop)
{
    for (size_t i = 0; i < loop->row->count; i++)
        free(loop->names[i]);
    free(loop->names);
    free(loop->symbol);
    tpl_piece_release(&loop->body);
    free(loop);
}

void tpl_piece_release(struct tpl_piece *piece)
{
    for (size_t i = 0; i < piece->loops.n; i++)
        free_loop(piece->loops.v[i]);
    VEC_RELEASE(&piece->loops);
    sb_release(&piece->text);
    if (piece->tree)
        ctpl_token_free(piece->tree);
}

bool tpl_check_usage(const struct tpl_schema *schema, const struct tpl_usage *used, struct err *err)
{
    for (size_t i = 0; i < schema->list_count; i++)
        if (!used->lists[i])
            return err_set(err, ERR_INTERNAL, "%s: line %d: no template shows the list %s",
                           schema->file, schema->lists[i].rows->line, schema->lists[i].name);
    for (size_t i = 0; i < schema->type_count; i++) {
        const struct tpl_row_type *row = &schema->types[i];
        for (size_t k = 0; k < row->count; k++)
            if (!used->columns[&row->columns[k] - schema->columns])
                return err_set(err, ERR_INTERNAL,
                               "%s: line %d: no template names %s of a row \"%s\"", schema->file,
                               row->line, row->columns[k].name, row->name);
    }
    return true;
}
