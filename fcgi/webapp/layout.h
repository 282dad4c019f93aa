#ifndef WEBAPP_LAYOUT_H
#define WEBAPP_LAYOUT_H

#include "fcgi/webapp/webapp.h"

/*
 * layout - what every page has: header with product, version and reports, notices, footer.
 */
struct layout {
    const char *title;
    const char *nav;               /* "overview", "topcrashers", "search" or NULL */
    const struct product *product; /* NULL: the first one */
    const char *version;           /* NULL: all versions */
};

/* Values of the layout; the page adds its own. */
struct tpl_values *layout_new(struct req *r, const struct layout *l);

/* Renders and answers. */
bool layout_send(struct req *r, int status, const char *template_name, struct tpl_values *v,
                 struct err *err);

/* Errors of pages in the same layout; the runner's default for everything else. */
bool layout_error(struct req *r, int status, const struct err *err);

/* Rows that several pages have: a "link", and a "choice" of a menu or of a group of links. */
void layout_add_link(struct tpl_rows *rows, struct str text, struct str url);
void layout_add_choice(struct tpl_rows *rows, const char *text, struct str url, bool is_current);

/* A link for a product: topcrashers or search with its first versions. */
struct str layout_url(struct arena *a, const char *path, const char *product, const char *version);

#endif
