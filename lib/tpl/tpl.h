#ifndef TPL_TPL_H
#define TPL_TPL_H

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * tpl - HTML templates (ctpl) with escaping by type.  The only code that touches ctpl.
 *
 * Templates  All *.html files of a directory are loaded and checked at start, with what they
 *            include from directories below it.  {include part/head.html} is resolved before
 *            ctpl sees the text, and {# a comment } is taken out.  A trailer that every template
 *            gets must come out at the end of every rendering, so that half a page is never sent.
 * Rows       A list holds rows of a declared type, and {for hit in hits} {hit.url} names their
 *            columns.  C fills them by the same names, as constants.  A template that names what
 *            is not declared, and a declaration that no template names, stop the start.
 * Escaping   Chosen by the type of the value where it is set: text is escaped for element and
 *            quoted attribute, url allows http, https and local paths, html takes only what
 *            the html writer below produced.
 * Ownership  tpl_set owns the parsed templates.  Values and the result live in the arena.
 * Errors     Loading: ERR_INTERNAL names file and line, for templates are ours.  Rendering:
 * ERR_INTERNAL for an unknown template, a missing value, a row with a column unset, half a page.
 * Threads    A loaded set is read-only.
 */

/*
 * What the lists of a program's templates hold.  Nobody writes these structures by hand: the
 * program declares its row types in a table (templates/rows.tsv), and tools/gen/rows.awk makes
 * them and a constant for each column and list (HIT_URL, LIST_HITS in "rows.h").
 */
struct tpl_row_type;
struct tpl_column {
    const char *name;
    const struct tpl_row_type *rows; /* of a column that is a list itself; NULL: one value */
};
struct tpl_row_type {
    const char *name;
    const struct tpl_column *columns; /* a part of the schema's, in the order of positions */
    size_t count;
    int line; /* where it is declared */
};
struct tpl_list {
    const char *name;
    const struct tpl_row_type *rows;
};
struct tpl_schema {
    const char *file; /* that declares it, for messages */
    const struct tpl_row_type *types;
    size_t type_count;
    const struct tpl_column *columns; /* of all types */
    size_t column_count;
    const struct tpl_list *lists;
    size_t list_count;
};

struct tpl_set;
/* `schema` outlives the set. */
bool tpl_load(const char *dir, const struct tpl_schema *schema, struct tpl_set **ret,
              struct err *err);
void tpl_free(struct tpl_set *t);
bool tpl_has(const struct tpl_set *t, const char *template_name);
size_t tpl_count(const struct tpl_set *t);
const char *tpl_name_at(const struct tpl_set *t, size_t i); /* "search.html", sorted */
/* As ctpl reads it, the bodies of loops behind the page; for tests. */
struct str tpl_source_at(const struct tpl_set *t, size_t i, struct arena *a);

/* Escaped HTML; only the writer makes it. */
struct html {
    struct str escaped;
};
struct html_writer {
    struct strbuf b;
};
void html_init(struct html_writer *w, size_t max);
void html_release(struct html_writer *w);
/* Markup written by us: takes string literals only. */
#define html_raw(w, literal) html_markup((w), STR(literal))
void html_markup(struct html_writer *w, struct str literal);
void html_text(struct html_writer *w, struct str s);          /* escaped */
void html_url(struct html_writer *w, struct str url);         /* checked and escaped */
void html_printf(struct html_writer *w, const char *fmt, ...) /* numbers only: %d %zu %.2f … */
    __attribute__((format(printf, 2, 3)));
/* Copies to the arena and releases the writer; too much text was cut at max. */
struct html html_done(struct html_writer *w, struct arena *a);
#define HTML_WRITER_AUTO __attribute__((cleanup(html_release))) struct html_writer

struct tpl_values;
struct tpl_values *tpl_values_new(struct arena *a);
/* Setting a name again replaces its value. */
void tpl_text(struct tpl_values *v, const char *name, struct str s);
void tpl_cstr(struct tpl_values *v, const char *name, const char *s); /* NULL is empty */
void tpl_int(struct tpl_values *v, const char *name, int64_t i);
void tpl_bool(struct tpl_values *v, const char *name, bool b);
void tpl_url(struct tpl_values *v, const char *name, struct str url);
/*
 * A list of rows for {for hit in hits}.  Every column of every row is set, in any order; one that
 * is left out, or one of another row type, makes the rendering fail.  Setting it again replaces
 * its value.
 */
struct tpl_rows;
struct tpl_row;
struct tpl_rows *tpl_list(struct tpl_values *v, const struct tpl_list *list);
size_t tpl_rows_count(const struct tpl_rows *rows);
struct tpl_row *tpl_row_add(struct tpl_rows *rows);
void tpl_col_text(struct tpl_row *r, const struct tpl_column *c, struct str s);
void tpl_col_cstr(struct tpl_row *r, const struct tpl_column *c, const char *s); /* NULL is empty */
void tpl_col_int(struct tpl_row *r, const struct tpl_column *c, int64_t i);
void tpl_col_bool(struct tpl_row *r, const struct tpl_column *c, bool b);
void tpl_col_url(struct tpl_row *r, const struct tpl_column *c, struct str url);
void tpl_col_html(struct tpl_row *r, const struct tpl_column *c, struct html h);
/* A column that is a list of rows itself: {for f in stack.frames}. */
struct tpl_rows *tpl_col_rows(struct tpl_row *r, const struct tpl_column *c);

bool tpl_render(const struct tpl_set *t, const char *template_name, const struct tpl_values *v,
                struct arena *a, struct str *ret_page, struct err *err);

/* Whether a link may point there: http, https, a path of our own, a query or a fragment. */
bool url_is_safe(struct str url);

/* Percent-encodes for a query value or one path part (space is %20). */
struct str url_encode(struct arena *a, struct str s);
void url_encode_to(struct strbuf *b, struct str s);

#endif
