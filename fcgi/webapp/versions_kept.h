#ifndef WEBAPP_VERSIONS_KEPT_H
#define WEBAPP_VERSIONS_KEPT_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

/*
 * versions_kept - the lists that live_versions.c has made, as a worker keeps them.
 *
 * Ownership  The list owns everything in it.
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
    int64_t until_ms;       /* mono_ms */
    int64_t products_stamp; /* of the product files that it was made by */
    struct live_versions *next;
};

/* The list of that product, made empty if there is none yet. */
struct live_versions *versions_kept_of(struct live_versions **all, const char *product);
/* Forgets the versions of one product; its place stays. */
void versions_kept_clear(struct live_versions *l);
void versions_kept_free(struct live_versions *all);

#endif
