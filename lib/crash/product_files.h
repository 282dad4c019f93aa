#ifndef CRASH_PRODUCT_FILES_H
#define CRASH_PRODUCT_FILES_H

#include <stdbool.h>
#include <stddef.h>

/*
 * product_files - the products a new installation starts with.
 *
 * The texts are pieces of JSON, put together by product.c.
 */
struct product_file {
    const char *name, *description;
    int home_page_sort;
    const char *featured_versions; /* elements of the list */
    const char *version_url;       /* of the document called product_details, or "" */
    const char *package_names;     /* elements of the list */
    const char *app_ids;           /* the same */
    bool in_buildhub;
    const char *bug_links; /* the whole member */
};
extern const struct product_file product_files[];
extern const size_t product_file_count;

#endif
