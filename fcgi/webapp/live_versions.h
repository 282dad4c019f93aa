#ifndef WEBAPP_LIVE_VERSIONS_H
#define WEBAPP_LIVE_VERSIONS_H

#include "fcgi/webapp/webapp.h"

/*
 * live_versions - which versions of a product are alive: those in the reports of the last 60 days,
 * newest first, featured ones in front.
 *
 * Cache      By product, in the worker; ten minutes, one second while a product has none.
 * Errors     None: an index that cannot be searched means no versions (logged).
 */
struct live_version {
    char *text;
    int64_t count; /* reports in 60 days; 0 for a family such as 128.0b */
    bool is_featured;
};

struct live_versions {
    char *product;
    struct live_version *v;
    size_t n;
    int64_t until_ms; /* mono_ms */
    struct live_versions *next;
};

const struct live_versions *live_versions_of(struct req *r, const struct product *product);
void live_versions_free(struct live_versions *all);

#endif
