#ifndef TPL_TPL_H
#define TPL_TPL_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

/*
 * tpl - HTML templates (ctpl) with escaping by type.  The only code that touches ctpl.
 *
 * Templates  All files below templates/ are loaded and checked at start.  `include NAME`
 *            lines ({include part/head.html}) are resolved before ctpl sees the text.  A fixed
 *            trailer is required at the end of every rendering.
 * Escaping   Chosen by the type of the value where it is set: text is escaped for element and
 *            quoted attribute, url allows http, https and local paths, html takes only what
 *            the html writer below produced.
 * Ownership  tpl_set owns the parsed templates.  Values and the result live in the arena.
 * Errors     ERR_INTERNAL: unknown template, missing value, half a page.
 */
struct tpl_set;
bool tpl_load(const char *dir, struct tpl_set **ret, struct err *err);
void tpl_free(struct tpl_set *t);

/* Escaped HTML; only the writer makes it. */
struct html {
    struct str escaped;
};
struct html_writer {
    struct strbuf b;
};
void html_init(struct html_writer *w, size_t max);
void html_release(struct html_writer *w);
void html_raw(struct html_writer *w, const char *literal);  /* markup written by us, a literal */
void html_text(struct html_writer *w, struct str s);        /* escaped */
void html_url(struct html_writer *w, struct str url);       /* checked and escaped */
void html_printf(struct html_writer *w, const char *fmt, ...) /* numbers only: %d %zu %.2f … */
    __attribute__((format(printf, 2, 3)));
struct html html_done(struct html_writer *w, struct arena *a);

struct tpl_values;
struct tpl_values *tpl_values_new(struct arena *a);
void tpl_text(struct tpl_values *v, const char *name, struct str s);
void tpl_cstr(struct tpl_values *v, const char *name, const char *s); /* NULL is empty */
void tpl_int(struct tpl_values *v, const char *name, int64_t i);
void tpl_bool(struct tpl_values *v, const char *name, bool b);
void tpl_url(struct tpl_values *v, const char *name, struct str url);
void tpl_html(struct tpl_values *v, const char *name, struct html h);
/* A list of rows for {for r in name}: r[0], r[1], …; columns by the same typed setters. */
struct tpl_rows;
struct tpl_rows *tpl_rows(struct tpl_values *v, const char *name);
struct tpl_row;
struct tpl_row *tpl_row_add(struct tpl_rows *rows);
void tpl_row_text(struct tpl_row *r, struct str s);
void tpl_row_int(struct tpl_row *r, int64_t i);
void tpl_row_url(struct tpl_row *r, struct str url);
void tpl_row_html(struct tpl_row *r, struct html h);

bool tpl_render(const struct tpl_set *t, const char *template_name, const struct tpl_values *v,
                struct arena *a, struct str *ret_page, struct err *err);

/* Percent-encodes for a query value (space is %20). */
struct str url_encode(struct arena *a, struct str s);

#endif
