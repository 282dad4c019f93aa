#include <ctpl/ctpl.h>

#include "lib/tpl/tpl_internal.h"

/*
 * The grammar we allow: {if EXPR} {else} {end} {for NAME in EXPR} {EXPR}, backslash before a
 * brace that is text.  Expressions are handed to ctpl's own expression reader.
 */
enum { NESTING_MAX = 32 };

struct checker {
    struct str text;
    size_t at;
    size_t line;
    bool is_if[NESTING_MAX];
    size_t depth;
};

static bool complain(const struct checker *c, struct err *err, const char *what, struct str where)
{
    return err_set(err, ERR_INVALID, "line %zu: %s: {" STR_FMT "}", c->line, what, STR_ARG(where));
}

static bool check_expr(const struct checker *c, struct str expr, struct err *err)
{
    GError *why = NULL;
    CtplTokenExpr *tree = expr.n ? ctpl_lexer_expr_lex_string(expr.p, (gssize)expr.n, &why) : NULL;
    bool ok = tree && !why;
    if (tree)
        ctpl_token_expr_free(tree);
    g_clear_error(&why);
    return ok || complain(c, err, "not an expression", expr);
}

static bool check_open(struct checker *c, bool is_if, struct str expr, struct str block,
                       struct err *err)
{
    if (c->depth == NESTING_MAX)
        return complain(c, err, "nested too deeply", block);
    c->is_if[c->depth++] = is_if;
    return check_expr(c, str_trim(expr), err);
}

static bool check_for(struct checker *c, struct str block, struct err *err)
{
    size_t in = str_find(block, STR(" in "), 4);
    if (in == SIZE_MAX)
        return complain(c, err, "no 'in'", block);
    struct str name = str_trim(str_sub(block, 4, in - 4));
    for (size_t i = 0; i < name.n; i++)
        if (!isalnum((unsigned char)name.p[i]) && name.p[i] != '_')
            return complain(c, err, "bad name of a loop variable", block);
    if (name.n == 0)
        return complain(c, err, "no loop variable", block);
    return check_open(c, false, str_sub(block, in + 4, SIZE_MAX), block, err);
}

static bool check_block(struct checker *c, struct str block, struct err *err)
{
    if (str_eq(block, STR("end"))) {
        if (c->depth == 0)
            return complain(c, err, "nothing to end", block);
        c->depth--;
        return true;
    }
    if (str_eq(block, STR("else"))) {
        if (c->depth == 0 || !c->is_if[c->depth - 1])
            return complain(c, err, "no 'if' before", block);
        c->is_if[c->depth - 1] = false; /* a second one is a mistake */
        return true;
    }
    if (str_starts(block, STR("if ")))
        return check_open(c, true, str_sub(block, 3, SIZE_MAX), block, err);
    if (str_starts(block, STR("for ")))
        return check_for(c, block, err);
    return check_expr(c, str_trim(block), err);
}

bool tpl_check_blocks(struct str text, struct err *err)
{
    struct checker c = {.text = text, .line = 1};
    while (c.at < text.n) {
        char ch = text.p[c.at++];
        if (ch == '\n')
            c.line++;
        else if (ch == '\\' && c.at < text.n)
            c.at++;
        else if (ch == '}')
            return complain(&c, err, "closing brace without an opening one", STR(""));
        if (ch != '{')
            continue;
        size_t close = str_find_char(text, '}', c.at);
        if (close == SIZE_MAX)
            return complain(&c, err, "no closing brace", str_sub(text, c.at, 40));
        struct str block = str_sub(text, c.at, close - c.at);
        if (str_find_char(block, '{', 0) != SIZE_MAX || str_find_char(block, '\n', 0) != SIZE_MAX)
            return complain(&c, err, "no closing brace", block);
        if (!check_block(&c, block, err))
            return false;
        c.at = close + 1;
    }
    return c.depth == 0 || complain(&c, err, "blocks left open at the end", STR(""));
}
