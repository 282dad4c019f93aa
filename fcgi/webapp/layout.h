#ifndef WEBAPP_LAYOUT_H
#define WEBAPP_LAYOUT_H

#include "fcgi/webapp/webapp.h"

/*
 * layout - what every page of Crash Stats has: that of all pages (lib/web/site.h), with the menus
 * of products and versions.
 */
struct layout {
    const char *title;
    const char *nav;               /* "overview", "topcrashers", "search" or NULL */
    const struct product *product; /* NULL: the first one */
    struct strs versions;          /* none: all of them */
};

/* Values of the layout; the page adds its own. */
struct tpl_values *layout_new(struct req *r, const struct layout *l);
/* The same for a page of no product: web_program.layout. */
struct tpl_values *layout_titled(struct req *r, const char *title);

/* Renders and answers. */
bool layout_send(struct req *r, int status, const char *template_name, struct tpl_values *v,
                 struct err *err);

/* Errors of pages in the same layout; the runner's default for everything else. */
bool layout_error(struct req *r, int status, const struct err *err);

/* A link for a product: topcrashers or search with its first versions. */
struct str layout_url(struct arena *a, const char *path, const char *product, const char *version);
/* The same with these versions; none leaves the choice to the page. */
struct str layout_versions_url(struct arena *a, const char *path, const char *product,
                               struct strs versions);

#endif
