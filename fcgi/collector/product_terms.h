#ifndef COLLECTOR_PRODUCT_TERMS_H
#define COLLECTOR_PRODUCT_TERMS_H

#include "fcgi/collector/quota.h"
#include "fcgi/collector/throttle.h"
#include "lib/crash/product.h"
#include "lib/json/json.h"

/*
 * product_terms - what the file of a product says of its reports beside the rules, which are about
 * all of them: other names, tokens, size, quota, and whether it takes reports at all.
 *
 * What product files refuse is a rule's refusal for the client (Discarded=rule_NAME), with the
 * names product_disabled, token_required, wrong_token and quota_PRODUCT.
 */

/* Gives ProductName the name of the product that has it as an alias, or, where there is none, of
 * the token.  Returns a note for the report, or NULL: nothing was changed. */
const char *terms_map_product(json_t *annotations, const struct products *products,
                              const char *token_product);

/* Of the report; NULL: it is not configured. */
const struct product *terms_product(const json_t *annotations, const struct products *products);

/*
 * A report that the rules would keep is refused in *result when its product does not take it.
 * token_product: whose token came with it, or NULL.
 */
void terms_apply(const struct product *p, const char *token_product,
                 struct throttle_result *result);

/* Counts a report that is to be kept; refuses it in *result when the quota is used up. */
void terms_take_quota(struct quota_table *quotas, const struct product *p, int64_t now_s,
                      struct throttle_result *result);

#endif
