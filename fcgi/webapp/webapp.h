#ifndef WEBAPP_WEBAPP_H
#define WEBAPP_WEBAPP_H

#include "lib/crash/product.h"
#include "fcgi/webapp/url_query.h"
#include "fcgi/webapp/version_documents.h"
#include "lib/search/index.h"
#include "lib/store/mark.h"
#include "lib/store/store.h"
#include "lib/web/web.h"

/*
 * webapp - what a worker keeps between requests: open store and index, products, small caches.
 *
 * Ownership  Made by app_start, released by app_stop.  What functions hand out of it is borrowed
 *            until the request ends.
 * Threads    One worker, one request at a time.
 */
struct live_versions;     /* versions_kept.h */
struct correlations_kept; /* correlations_kept.h */
struct siglists;

struct webapp {
    const struct field_table *fields; /* of the installation; what readers may see and search */
    struct store *store;
    char installation[INSTALLATION_ID_SIZE]; /* empty: the database was not asked yet */
    struct siglists *siglists;               /* NULL until somebody needs them */
    struct index_reader *index;              /* NULL until it could be opened; see app_index */
    struct products products;
    struct live_versions *versions;
    struct version_documents version_documents;
    struct correlations_kept *correlations; /* NULL until somebody asked */
    char last_purge[40];                    /* what is kept is from after it (purge_last) */
    char *base_url;                         /* public address, without a slash at the end */
    char *index_dir;
};

bool app_start(struct web_app *web, void **ret_app, struct err *err);
void app_stop(void *app);
void app_reload(void *app);

struct webapp *app_of(struct req *r);
const struct field_table *app_fields(struct req *r);
bool app_index(struct webapp *app, struct index_reader **ret, struct err *err);
bool app_siglists(struct webapp *app, const struct siglists **ret, struct err *err);
/* Fresh from the directory if it changed. */
const struct products *app_products(struct req *r);

/* The product of that name; with an empty name the first.  ERR_NOT_FOUND: unknown. */
bool app_product(struct req *r, struct str name, const struct product **ret, struct err *err);

/* What the caller may see. */
enum perm app_reader(struct req *r);

/*
 * Super Search for a page or the API.  Goes through the clean-up of parameters by permission,
 * whatever the caller put in.  ERR_INVALID has the text for the client; *ret_form_param (may be
 * NULL) is set when it belongs to one parameter.  ERR_BUSY: too many searches at once.
 *
 * Time counts from the arrival of the request, for all of its searches together; it ends when the
 * client goes away.
 */
struct app_search {
    bool is_unredacted;
    bool is_html;
    bool as_public; /* public data only, whoever asks: for what is cached between callers */
    /* The page is good without it: no wait for a turn, and the route needs no rate limit. */
    bool is_extra;
    bool is_check;   /* of our own health: needs no turn, has a short time limit */
    bool is_extract; /* sent while it is made: has a long time limit */
};
bool app_search(struct req *r, const struct query *q, struct app_search how, json_t **ret,
                const char **ret_form_param, struct err *err);

/*
 * For what asks the index in another way than app_search, in the same bounds: takes the turn, opens
 * the index, fills the context.
 */
struct search_context;
bool app_search_begin(struct req *r, struct app_search how, struct index_reader **ret_index,
                      struct search_context *ret, struct err *err);

/*
 * Asked for each row that a page adds: whether it may grow on.  ERR_INVALID: the time of the
 * request is over, nobody waits for it, or the page has become too large; the text says what helps.
 */
bool app_goes_on(struct req *r, struct err *err);

/*
 * What a query names and this reader may not use, so that it is not looked at: protected fields
 * with commas between them, empty if there are none.  For people to read (part/ignored.html);
 * programs have it in a header of the answer, which is set here.
 */
struct str app_ignored(struct req *r, const struct query *q);

/* Buckets of one facet of an answer ([] if there is none); borrowed. */
const json_t *app_facet(const json_t *answer, const char *name);

#endif
