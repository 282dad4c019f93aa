#ifndef WEBAPP_CORRELATIONS_FOUND_H
#define WEBAPP_CORRELATIONS_FOUND_H

#include "fcgi/webapp/url_query.h"
#include "fcgi/webapp/webapp.h"

/*
 * correlations_found - for the tab, the API and the files: where a document comes from.
 *
 * A signature on a channel has one from last night, if it is among the top ones; else it is made
 * now.  Two searches are always compared now.  What was made is kept for an hour.
 */
struct correlations_wanted {
    struct str product, channel, signature;
    const struct query *group, *reference; /* both or none; then the texts above are not used */
};

/*
 * *ret: the document (lib/correlations/correlations.h) with its "date", new; NULL when there is
 * none. *ret_message: why there is nothing to show, for people; NULL: there is.  ERR_INVALID: the
 * search is no good.
 */
bool correlations_find(struct req *r, const struct correlations_wanted *w, json_t **ret,
                       const char **ret_message, struct err *err);

#endif
