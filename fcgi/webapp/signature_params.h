#ifndef WEBAPP_SIGNATURE_PARAMS_H
#define WEBAPP_SIGNATURE_PARAMS_H

#include "fcgi/webapp/webapp.h"

/*
 * signature_params - what is asked about one signature, for its page and for each part of it.
 */
struct signature_page {
    struct req *req;
    struct arena *a;
    struct str signature;
    struct query query;       /* as in the address, signature included */
    struct strs columns;      /* of the table of reports */
    struct strs aggregations; /* fields to count */
    const char *graph_field;
    struct str ignored;      /* app_ignored: what this reader may not use of all this */
    struct str correlations; /* what the crashes are compared with; n 0: nothing was asked */
    size_t page;
};

/* Reads and checks the parameters.  ERR_INVALID with the text for the client. */
bool signature_read(struct req *r, struct signature_page *ret, struct err *err);
/* The filters with the exact signature; no meta parameters. */
struct query signature_filters(const struct signature_page *p);

#endif
