#include "fcgi/webapp/answer.h"
#include "fcgi/webapp/app.h"
#include "fcgi/webapp/pages.h"

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
