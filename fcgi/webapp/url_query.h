#ifndef WEBAPP_URL_QUERY_H
#define WEBAPP_URL_QUERY_H

#include "lib/search/search.h"
#include "lib/web/web.h"

/*
 * url_query - a list of URL parameters: taken from a request, changed, made into a link or a
 * search.
 *
 * Ownership  The list and its texts live in the arena; added texts are borrowed and must live as
 *            long.
 */
struct query {
    struct arena *a;
    struct search_param *v;
    size_t n, cap;
};

struct query query_new(struct arena *a);
struct query
query_of_request(struct req *r); /* all parameters of the query string, empty ones left out */
/* The same of a text "product=Firefox&version=1", percent-encoded as in an address.
 * ERR_TOO_LARGE: more parameters than an address may have. */
bool query_of_text(struct arena *a, struct str text, struct query *ret, struct err *err);
struct query query_copy(const struct query *q);

void query_add(struct query *q, const char *name, struct str value);
void query_addc(struct query *q, const char *name, const char *value);
void query_addf(struct query *q, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Replaces every value of that name. */
void query_set(struct query *q, const char *name, struct str value);
void query_drop(struct query *q, const char *name);
/* For numbers of crashes: adds search_counted_once, unless the query has something of its own. */
void query_count_once(struct query *q);
void query_drop_meta(struct query *q); /* names that start with "_", and "page" */

struct str query_get(const struct query *q, const char *name); /* first; p NULL if absent */
struct strs query_all(const struct query *q, const char *name);
bool query_has(const struct query *q, const char *name, struct str value);

struct search_params query_params(const struct query *q);
/* "/search/?product=Firefox&version=1"; path alone without parameters. */
struct str query_url(const struct query *q, const char *path);

#endif
