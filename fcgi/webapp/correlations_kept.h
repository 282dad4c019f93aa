#ifndef WEBAPP_CORRELATIONS_KEPT_H
#define WEBAPP_CORRELATIONS_KEPT_H

#include "lib/json/json.h"

/*
 * correlations_kept - what this worker computed within the hour.
 *
 * Ownership  Documents are shared: nobody changes one.
 */
struct correlations_kept;

json_t *correlations_kept(struct correlations_kept *kept, const char *key); /* new; NULL: none */
void correlations_keep(struct correlations_kept **kept, const char *key, json_t *document);
void correlations_kept_free(struct correlations_kept *kept);

#endif
