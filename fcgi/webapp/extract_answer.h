#ifndef WEBAPP_EXTRACT_ANSWER_H
#define WEBAPP_EXTRACT_ANSWER_H

#include "fcgi/webapp/webapp.h"
#include "lib/web/param_spec.h"

/*
 * extract_answer - a search as a file to download (lib/search/extract.h), sent while it is made.
 */
extern const struct param_spec extract_format, extract_facet;
#define EXTRACT_PARAMS &extract_format, &extract_facet

/* `_format` asks for one. */
bool extract_is_wanted(struct req *r);
/* As app_search with is_unredacted; the query is that of the address. */
bool extract_answer(struct req *r, const struct query *q, bool is_unredacted,
                    const char **ret_form_param, struct err *err);

/* Address of the same search as a file: "csv" or "ndjson"; of a facet's values, or NULL. */
struct str extract_url(const struct query *q, const char *format, const char *facet);

#endif
