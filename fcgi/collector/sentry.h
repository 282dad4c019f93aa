#ifndef COLLECTOR_SENTRY_H
#define COLLECTOR_SENTRY_H

#include "lib/crash/product.h"
#include "lib/json/json.h"

/*
 * sentry - reports of programs that were built for Sentry's minidump endpoint, so that they need
 * no new build: POST /api/PROJECT/minidump/?sentry_key=KEY.
 *
 * The key is one of the submit_tokens of a product, and says which product it is.  The form is an
 * ordinary one with a field `sentry`, a JSON text (continued in sentry__1, sentry__2, …), or
 * fields such as sentry[release] and sentry[tags][name].
 *
 * Trust      The bytes are hostile.  What Sentry calls the user and the request is personal and is
 *            dropped; the rest stays as the annotation `sentry`, which is protected.
 */
/* The key in the query or in the header X-Sentry-Auth; p NULL if there is none. */
struct str sentry_key(struct str query_key, struct str auth_header);

/* release, environment, dist, tags and extra become annotations; those that are there stay. */
void sentry_map(json_t *annotations, const char *product);

#endif
