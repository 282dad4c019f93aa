#ifndef TPL_TPL_H
#define TPL_TPL_H

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * tpl - HTML templates (ctpl) with escaping by type.  The only code that touches ctpl.
 *
 * Templates  All *.html files below a directory are loaded and checked at start.
 *            {include part/head.html} is resolved before ctpl sees the text, and
 *            {# a comment } is taken out.  A trailer that every template gets must come
 *            out at the end of every rendering, so that half a page is never sent.
 * Escaping   Chosen by the type of the value where it is set: text is escaped for element and
 *            quoted attribute, url allows http, https and local paths, html takes only what
 *            the html writer below produced.
 * Ownership  tpl_set owns the parsed templates.  Values and the result live in the arena.
 * Errors     Loading: ERR_INVALID names file and line.  Rendering: ERR_INTERNAL for an
 *            unknown template, a missing value, half a page.
 * Threads    A loaded set is read-only.
 */
struct tpl_set;
bool tpl_load(const char *dir, struct tpl_set **ret, struct err *err);
void tpl_free(struct tpl_set *t);
bool tpl_has(const struct tpl_set *t, const char *template_name);
size_t tpl_count(const struct tpl_set *t);
const char *tpl_name_at(const struct tpl_set *t, size_t i);  /* "search.html", sorted */
struct str tpl_source_at(const struct tpl_set *t, size_t i); /* includes resolved, for tests */

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
void html_text(struct html_writer *w, struct str s);  /* escaped */
void html_url(struct html_writer *w, struct str url); /* checked and escaped */
void html_add(struct html_writer *w, struct html h);
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
void tpl_html(struct tpl_values *v, const char *name, struct html h);
/* A list of rows for {for r in name}: r[0], r[1], …; columns by the same typed setters. */
struct tpl_rows;
struct tpl_rows *tpl_rows(struct tpl_values *v, const char *name);
size_t tpl_rows_count(const struct tpl_rows *rows);
struct tpl_row;
struct tpl_row *tpl_row_add(struct tpl_rows *rows);
void tpl_row_text(struct tpl_row *r, struct str s);
void tpl_row_cstr(struct tpl_row *r, const char *s); /* NULL is empty */
void tpl_row_int(struct tpl_row *r, int64_t i);
void tpl_row_url(struct tpl_row *r, struct str url);
void tpl_row_html(struct tpl_row *r, struct html h);
/* A column that is a list of rows itself: {for x in r[3]}. */
struct tpl_rows *tpl_row_rows(struct tpl_row *r);

bool tpl_render(const struct tpl_set *t, const char *template_name, const struct tpl_values *v,
                struct arena *a, struct str *ret_page, struct err *err);

/* Whether a link may point there: http, https, a path of our own, a query or a fragment. */
bool url_is_safe(struct str url);

/* Percent-encodes for a query value or one path part (space is %20). */
struct str url_encode(struct arena *a, struct str s);
void url_encode_to(struct strbuf *b, struct str s);

#endif
