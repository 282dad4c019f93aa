/*
 * Super Search for programs: one search, with what its caller may see (SuperSearch) or with
 * everything (SuperSearchUnredacted, behind a permission), and the list of fields.
 *
 * What a parameter means is decided in lib/search alone; the same address gives the same hits here
 * and on the page. Refusals keep their words, because clients match them.
 */
#include "fcgi/webapp/answer.h"
#include "fcgi/webapp/extract_answer.h"
#include "fcgi/webapp/webapp.h"
#include "fcgi/webapp/pages.h"
#include "fcgi/webapp/url_query.h"
#include "lib/base/err.h"
#include "lib/search/search.h"
#include "lib/web/param_spec.h"

/*
 * Any search field is a parameter and lib/search reads them all, so these rows only tell people
 * about the commonest.
 */
/* clang-format off */
static const struct param_spec
    product = {"product", PARAM_LIST, PARAM_OF_SEARCH, .help = "Any field works the same way"},
    any_product = {"product", PARAM_LIST, PARAM_OF_SEARCH, .help = "As for SuperSearch"},
    date = {"date", PARAM_LIST, PARAM_OF_SEARCH, .help = "Bounds such as >=2026-01-01; default: the last 7 days"},
    columns = {"_columns", PARAM_LIST, PARAM_OF_SEARCH, .help = "Fields of each hit"},
    facets = {"_facets", PARAM_LIST, PARAM_OF_SEARCH, .help = "Fields to count"},
    results_number = {"_results_number", PARAM_INT, PARAM_OF_SEARCH, .max = 1000, .help = "Number of hits, at most 1000"},
    sort = {"_sort", PARAM_LIST, PARAM_OF_SEARCH, .help = "Fields; a leading - is descending"};
/* clang-format on */
const struct param_spec *const api_super_search_params[] = {
    &product, &date, &columns, &facets, &results_number, &sort, EXTRACT_PARAMS, NULL};
const struct param_spec *const api_super_search_unredacted_params[] = {&any_product, &columns,
                                                                       EXTRACT_PARAMS, NULL};

/* The search's own words, as clients know them. */
static bool refuse(struct req *r, const struct err *why, const char *form_param, struct err *err)
{
    if (why->code == ERR_INVALID && form_param)
        return answer_param_error(r, form_param, why->msg);
    if (why->code == ERR_INVALID)
        return answer_error(r, 400, "Bad request: BadArgumentError: %s", why->msg);
    *err = *why;
    return false;
}

static bool answer_search(struct req *r, bool is_unredacted, struct err *err)
{
    struct query q = query_of_request(r);
    json_auto_t *answer = NULL;
    const char *form_param = NULL;
    struct err why = {0};
    if (!is_unredacted)
        app_ignored(r, &q);
    if (extract_is_wanted(r))
        return extract_answer(r, &q, is_unredacted, &form_param, &why) ||
               refuse(r, &why, form_param, err);
    if (!app_search(r, &q, (struct app_search){.is_unredacted = is_unredacted}, &answer,
                    &form_param, &why))
        return refuse(r, &why, form_param, err);
    return answer_json_cached(r, answer, err);
}

/* GET /api/SuperSearch/ */
bool api_super_search_get(struct req *r, struct err *err)
{
    return answer_search(r, false, err);
}

/* GET /api/SuperSearchUnredacted/: the route asks for view_pii. */
bool api_super_search_unredacted_get(struct req *r, struct err *err)
{
    return answer_search(r, true, err);
}

/* GET /api/SuperSearchFields/ */
bool api_super_search_fields_get(struct req *r, struct err *err)
{
    json_auto_t *fields = search_fields_json(app_fields(r));
    return answer_json_cached(r, fields, err);
}
