#ifndef WEBAPP_REPORT_H
#define WEBAPP_REPORT_H

#include "fcgi/webapp/app.h"

/*
 * report_page - one crash as its page shows it.
 *
 * What leaves: `doc` and `annotations` have gone through the reducer for this reader; the parts of
 * the page read nothing else.  `stored` and `raw` are the whole documents, for the few places
 * where a permission is checked for the whole (Debug).
 */
struct report_page {
    struct req *req;
    struct arena *a;
    const char *id;
    json_t *raw;         /* as stored; NULL when there is none */
    json_t *stored;      /* processed crash as stored */
    json_t *doc;         /* what this reader may see of it */
    json_t *annotations; /* what this reader may see of raw */
    enum perm reader;
    const struct product *product; /* NULL: not one of ours any more */
};

/* report_details.c: rows `details` (label, html, is_protected) and `keys` (label, html). */
bool report_set_details(const struct report_page *c, struct tpl_values *v, struct err *err);
/* report_stacks.c: `stacks` and `other_threads`. */
void report_set_stacks(const struct report_page *c, struct tpl_values *v);
/* The thread whose stack matters, and its number in threads (-1: unknown). */
const json_t *report_crashing_thread(const json_t *doc, int64_t *ret_index);
/* report_parts.c: modules, annotations, downloads, extensions, telemetry, debug. */
void report_set_modules(const struct report_page *c, struct tpl_values *v);
void report_set_annotations(const struct report_page *c, struct tpl_values *v);
bool report_set_downloads(const struct report_page *c, struct tpl_values *v, struct err *err);
void report_set_trees(const struct report_page *c, struct tpl_values *v);
void report_set_extensions(const struct report_page *c, struct tpl_values *v);
void report_set_debug(const struct report_page *c, struct tpl_values *v);
/* report_bugs.c: known bugs, links that create one (public values only). */
bool report_set_bugs(const struct report_page *c, struct tpl_values *v, struct err *err);

/* Whether a part of the processed crash is protected: marked on the page. */
bool report_is_protected(const struct report_page *c, const char *path);
struct str report_search_url(struct arena *a, const char *field, struct str value);

#endif
