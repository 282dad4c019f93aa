#ifndef WEBAPP_SIGNATURE_H
#define WEBAPP_SIGNATURE_H

#include "fcgi/webapp/app.h"
#include "fcgi/webapp/results.h"

/*
 * signature - the report of one signature: everything its page shows comes out of one search.
 */
struct signature_page {
    struct req *req;
    struct arena *a;
    struct str signature;
    struct query query;       /* as in the address, signature included */
    struct strs columns;      /* of the table of reports */
    struct strs aggregations; /* fields to count */
    const char *graph_field;
    size_t page;
};

/* Reads and checks the parameters.  ERR_INVALID with the text for the client. */
bool signature_read(struct req *r, struct signature_page *ret, struct err *err);
/* The filters with the exact signature; no meta parameters. */
struct query signature_filters(const struct signature_page *p);

/* signature_summary.c */
void signature_ask_summary(struct query *q);
bool signature_set_summary(const struct signature_page *p, struct tpl_values *v,
                           const json_t *answer, struct err *err);
/* signature_graph.c */
void signature_ask_graph(struct query *q, const char *field);
void signature_set_graph(const struct signature_page *p, struct tpl_values *v,
                         const json_t *answer);

#endif
