#include <ctype.h>
#include <limits.h>

#include <ctpl/ctpl.h>

#undef MIN /* GLib has its own */
#undef MAX

#include "lib/base/fs.h"
#include "lib/base/util.h"
#include "lib/tpl/tpl_internal.h"

/*
 * From what a template says to what ctpl reads, in one pass over the text.
 *
 * The grammar we allow: {if EXPR} {else} {end}, {for NAME in LIST}, {EXPR}, {include FILE} and
 * {# a comment}; a backslash before a brace that is text.  ctpl drops the rest of a page without a
 * word when it meets a mistake inside an {if}, so every block is read here first, and expressions
 * are tried with ctpl's own expression reader.
 *
 * ctpl has no members, only positions.  A loop over a declared list gives its variable a row type,
 * and {hit.url} becomes {hit[2]}.  Which columns and lists were named is kept in `used`.
 *
 * Each file closes what it opens, and is read where it is included: so a piece may name the loop
 * variables around its {include}, and a message can say the file and line that somebody has to look
 * at, whatever was put in before it.
 */
enum { INCLUDE_DEPTH_MAX = 8, NESTING_MAX = 32 };

struct block {
    bool is_if;                     /* {else} may still come */
    struct str variable;            /* of a loop; empty for {if} */
    const struct tpl_row_type *row; /* what the variable stands for; NULL: columns by position */
};

struct translation {
    const char *dir;
    const struct tpl_schema *schema;
    struct tpl_usage *used;
    struct strbuf *out;
    struct block open[NESTING_MAX];
    size_t open_count;
    int depth; /* of includes */
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
    return err_set(err, ERR_INVALID, "line %zu: %s: {" STR_FMT "}", s->line, what, STR_ARG(where));
}

static const struct block *loop_of(const struct translation *t, struct str variable)
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
    struct str member;              /* p NULL: none */
    const struct tpl_row_type *row; /* what it is a list of; NULL: one value */
};

/* {hit.url} of a loop over a declared list. */
static bool write_column(struct translation *t, const struct source *s, const struct block *loop,
                         struct reference *ref, struct err *err)
{
    const struct tpl_row_type *row = loop->row;
    if (!ref->member.p)
        return complain(s, err, "a row is no value: name one of its columns", ref->name);
    const struct tpl_column *column = column_of(row, ref->member);
    if (!column)
        return err_set(
            err, ERR_INVALID,
            "line %zu: a row \"%s\" has no column " STR_FMT ": {" STR_FMT "." STR_FMT "}", s->line,
            row->name, STR_ARG(ref->member), STR_ARG(ref->name), STR_ARG(ref->member));
    t->used->columns[column - t->schema->columns] = true;
    sb_printf(t->out, STR_FMT "[%zu]", STR_ARG(ref->name), (size_t)(column - row->columns));
    ref->row = column->rows;
    return true;
}

static bool write_reference(struct translation *t, const struct source *s, struct reference *ref,
                            struct err *err)
{
    const struct block *loop = loop_of(t, ref->name);
    if (loop && loop->row)
        return write_column(t, s, loop, ref, err);
    if (ref->member.p)
        return complain(s, err, "not a variable of a loop over a declared list", ref->name);
    const struct tpl_list *list = loop ? NULL : list_of(t, ref->name);
    if (list) {
        t->used->lists[list - t->schema->lists] = true;
        ref->row = list->rows;
    }
    sb_str(t->out, ref->name);
    return true;
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

/* Behind the quote that closes the string at `at`; the end where none does, for ctpl to complain.
 */
static size_t string_end(struct str e, size_t at)
{
    for (at++; at < e.n && e.p[at] != '"'; at++)
        if (e.p[at] == '\\')
            at++;
    return at < e.n ? at + 1 : e.n;
}

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

/* Writes the expression with positions for names; *ret_last is the last name in it. */
static bool write_expr(struct translation *t, const struct source *s, struct str e,
                       struct reference *ret_last, struct err *err)
{
    size_t start = t->out->n;
    for (size_t at = 0, end; at < e.n; at = end) {
        if (isalpha((unsigned char)e.p[at]) || e.p[at] == '_') {
            end = read_reference(e, at, ret_last);
            if (!write_reference(t, s, ret_last, err))
                return false;
            continue;
        }
        end = e.p[at] == '"'                    ? string_end(e, at)
              : isdigit((unsigned char)e.p[at]) ? number_end(e, at)
                                                : at + 1;
        sb_str(t->out, str_sub(e, at, end - at));
    }
    return is_expression(str_sub(sb_view(t->out), start, SIZE_MAX)) ||
           complain(s, err, "not an expression", e);
}

static bool open_block(struct translation *t, const struct source *s, struct block b,
                       struct str text, struct err *err)
{
    if (t->open_count == NESTING_MAX)
        return complain(s, err, "nested too deeply", text);
    t->open[t->open_count++] = b;
    return true;
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
    struct reference list = {0};
    sb_printf(t->out, "{for " STR_FMT " in ", STR_ARG(variable));
    if (!write_expr(t, s, str_trim(str_sub(block, in + 4, SIZE_MAX)), &list, err))
        return false;
    sb_char(t->out, '}');
    return open_block(t, s, (struct block){.variable = variable, .row = list.row}, block, err);
}

static bool translate_if(struct translation *t, const struct source *s, struct str block,
                         struct err *err)
{
    struct reference last;
    sb_text(t->out, "{if ");
    if (!write_expr(t, s, str_trim(str_sub(block, 3, SIZE_MAX)), &last, err))
        return false;
    sb_char(t->out, '}');
    return open_block(t, s, (struct block){.is_if = true}, block, err);
}

static bool translate_else(struct translation *t, const struct source *s, struct err *err)
{
    struct block *last = t->open_count > s->outer ? &t->open[t->open_count - 1] : NULL;
    if (!last || !last->is_if)
        return complain(s, err, "no 'if' before", STR("else"));
    last->is_if = false; /* a second one is a mistake */
    sb_text(t->out, "{else}");
    return true;
}

static bool translate_end(struct translation *t, const struct source *s, struct err *err)
{
    if (t->open_count == s->outer)
        return complain(s, err, "nothing to end", STR("end"));
    t->open_count--;
    sb_text(t->out, "{end}");
    return true;
}

static bool translate_value(struct translation *t, const struct source *s, struct str block,
                            struct err *err)
{
    struct reference last;
    sb_char(t->out, '{');
    if (!write_expr(t, s, str_trim(block), &last, err))
        return false;
    sb_char(t->out, '}');
    return true;
}

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
            sb_str(t->out, piece);
        }
        for (size_t i = 0; i < piece.n; i++)
            s->line += piece.p[i] == '\n';
        s->at += piece.n;
    }
    return t->open_count == s->outer || complain(s, err, "blocks left open at the end", STR(""));
}

static bool translate_file(struct translation *t, struct str name, struct err *err)
{
    if (t->depth > INCLUDE_DEPTH_MAX)
        return err_set(err, ERR_INVALID, "includes nested more than %d deep", INCLUDE_DEPTH_MAX);
    if (str_find(name, STR(".."), 0) != SIZE_MAX || str_starts(name, STR("/")))
        return err_set(err, ERR_INVALID, "include outside the directory: " STR_FMT, STR_ARG(name));
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/" STR_FMT, t->dir, STR_ARG(name));
    FREE_LATER char *text = NULL;
    size_t n = 0;
    if (!fs_read(path, TPL_TEMPLATE_MAX, &text, &n, err))
        return err_wrap(err, "template " STR_FMT, STR_ARG(name));
    struct source s = {.text = str_n(text, n), .line = 1, .outer = t->open_count};
    t->depth++;
    if (!translate_text(t, &s, err))
        return err_wrap(err, "template " STR_FMT, STR_ARG(name));
    t->depth--;
    return !t->out->overflow ||
           err_set(err, ERR_INVALID, "template " STR_FMT " is too large", STR_ARG(name));
}

bool tpl_translate(const char *dir, const char *name, const struct tpl_schema *schema,
                   struct tpl_usage *used, struct strbuf *out, struct err *err)
{
    struct translation t = {.dir = dir, .schema = schema, .used = used, .out = out};
    return translate_file(&t, str_of(name), err);
}

bool tpl_check_usage(const struct tpl_schema *schema, const struct tpl_usage *used, struct err *err)
{
    for (size_t i = 0; i < schema->list_count; i++)
        if (!used->lists[i])
            return err_set(err, ERR_INVALID, "%s: line %d: no template shows the list %s",
                           schema->file, schema->lists[i].rows->line, schema->lists[i].name);
    for (size_t i = 0; i < schema->type_count; i++) {
        const struct tpl_row_type *row = &schema->types[i];
        for (size_t k = 0; k < row->count; k++)
            if (!used->columns[&row->columns[k] - schema->columns])
                return err_set(err, ERR_INVALID,
                               "%s: line %d: no template names %s of a row \"%s\"", schema->file,
                               row->line, row->columns[k].name, row->name);
    }
    return true;
}
