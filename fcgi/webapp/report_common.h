#ifndef WEBAPP_REPORT_COMMON_H
#define WEBAPP_REPORT_COMMON_H

#include "fcgi/webapp/webapp.h"

/*
 * report_common - one crash as its page shows it, and what the parts of that page have in common.
 *
 * report_page.c answers requests and asks the parts, each a pair of files of its own
 * (report_details, report_stacks, report_parts, report_bugs), to set their values; the parts know
 * this header and not each other.
 *
 * What leaves  `doc` and `annotations` have gone through the reducer for this reader; the parts of
 *              the page read nothing else.  `stored` and `raw` are the whole documents, for the
 *              few places where a permission is checked for the whole (Debug) or where everybody
 *              gets the public part (links that create a bug).
 * Ownership    The documents are those of report_page.c and live until the page is rendered.
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

/* Whether a part of the processed crash is protected: marked on the page. */
bool report_is_protected(const struct report_page *c, const char *path);

/* A search for the reports whose field has this value, as Super Search writes values. */
struct str report_search_url(struct arena *a, const char *field, struct str value);

/* The thread whose stack matters, and its number in threads (-1: unknown).  NULL: none is known. */
const json_t *report_crashing_thread(const json_t *doc, int64_t *ret_index);

/* What is said under a list of which only so many are shown; empty when it is whole. */
const char *report_more_text(struct arena *a, size_t all, size_t shown);

#endif
