#ifndef WEBAPP_RESULTS_FACETS_H
#define WEBAPP_RESULTS_FACETS_H

#include "fcgi/webapp/results.h"

/*
 * results_facets - facets of an answer of Super Search as template values.
 *
 * Errors     What adds rows fails when the page must not grow on (app_goes_on), or without the
 *            database that bugs come from.
 */
/* The list "facets", in the order asked for. */
bool results_set_facets(struct req *r, struct tpl_values *v, const struct results_page *p,
                        struct strs facets, const json_t *answer, struct err *err);

/* Each bucket as a row "term", without bugs. */
bool results_add_terms(struct req *r, struct tpl_rows *rows, const struct results_page *p,
                       const struct search_field *f, const json_t *buckets, int64_t total,
                       struct err *err);

/* The first `most` bugs of a signature as rows "bug_link"; `bugs` has those of several. */
void results_add_bugs(struct req *r, struct tpl_rows *rows, const struct db_rows *bugs,
                      struct str signature, size_t most);

#endif
