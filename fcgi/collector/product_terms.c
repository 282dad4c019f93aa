/*
 * The terms of a product are asked behind the rules: what a rule throws away needs no further
 * reason, and what a rule answers with a false id (FAKEACCEPT) stays so.  The quota is counted last
 * of all, so that reports which are refused for anything else do not use it up.
 */
#include "fcgi/collector/product_terms.h"

#include <string.h>

#include "lib/base/str.h"

const struct product *terms_product(const json_t *annotations, const struct products *products)
{
    return products_find(products, jget_strn(annotations, "ProductName"));
}

const char *terms_map_product(json_t *annotations, const struct products *products,
                              const char *token_product)
{
    const json_t *name = json_object_get(annotations, "ProductName");
    if (!name && token_product) {
        jset_cstr(annotations, "ProductName", token_product);
        return "ProductName is that of the token";
    }
    const struct product *meant =
        products_find_alias(products, jget_strn(annotations, "ProductName"));
    if (!meant)
        return NULL;
    jset_cstr(annotations, "ProductName", meant->name);
    return "ProductName was an alias";
}

static void refuse(struct throttle_result *result, const char *rule)
{
    *result = (struct throttle_result){THROTTLE_REJECT, rule, 100, 100};
}

static bool is_kept(const struct throttle_result *result)
{
    return result->code == THROTTLE_ACCEPT || result->code == THROTTLE_DEFER;
}

void terms_apply(const struct product *p, const char *token_product, struct throttle_result *result)
{
    if (!is_kept(result))
        return;
    if (token_product && (!p || strcmp(p->name, token_product) != 0))
        refuse(result, "wrong_token");
    else if (p && !p->is_enabled)
        refuse(result, "product_disabled");
    else if (p && p->requires_token && !token_product)
        refuse(result, "token_required");
}

void terms_take_quota(struct quota_table *quotas, const struct product *p, int64_t now_s,
                      struct throttle_result *result)
{
    if (p && is_kept(result) && !quota_take(quotas, p, now_s))
        refuse(result, p->quota_rule);
}
