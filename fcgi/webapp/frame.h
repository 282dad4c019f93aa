#ifndef WEBAPP_FRAME_H
#define WEBAPP_FRAME_H

#include "fcgi/webapp/app.h"

/*
 * frame - what every page has: header with product, version and reports, notices, footer.
 */
struct frame {
    const char *title;
    const char *nav;               /* "overview", "topcrashers", "search" or NULL */
    const struct product *product; /* NULL: the first one */
    const char *version;           /* NULL: all versions */
};

/* Values of the frame; the page adds its own. */
struct tpl_values *frame_new(struct req *r, const struct frame *f);

/* Renders and answers. */
bool frame_send(struct req *r, int status, const char *template_name, struct tpl_values *v,
                struct err *err);

/* Errors of pages in the same frame; the runner's default for everything else. */
bool frame_error(struct req *r, int status, const struct err *err);

/* A link for a product: topcrashers or search with its first versions. */
struct str frame_url(struct arena *a, const char *path, const char *product, const char *version);

#endif
