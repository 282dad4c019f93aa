/*
 * The whole way of a search: parameters, query, engine, answer.  Everything that asks the index
 * goes through here, so that no caller can forget a limit.
 *
 * A query holds fields by pointer and engines keep things by their ids, so a query that was parsed
 * against another table than the reader's would read other columns than it names.  No input can
 * bring that about, hence the assertion.
 */
#include "lib/search/search.h"

#include <assert.h>

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/search/engine.h"

struct search_limits search_limits_of(const struct search_context *ctx)
{
    return (struct search_limits){
        .deadline_ms = ctx->deadline_ms > 0 ? ctx->deadline_ms : INT64_MAX,
        .max_buckets = ctx->max_buckets ? ctx->max_buckets : SEARCH_BUCKETS_DEFAULT,
        .max_bytes = ctx->max_bytes ? ctx->max_bytes : SEARCH_BYTES_DEFAULT,
        .exact_values = ctx->exact_values ? ctx->exact_values : SEARCH_EXACT_VALUES_DEFAULT,
        .is_abandoned = ctx->is_abandoned,
        .asker = ctx->asker,
        .lanes = ctx->lanes,
        .lane_rows = ctx->lane_rows ? ctx->lane_rows : SEARCH_LANE_ROWS_DEFAULT,
        .lanes_now = ctx->lanes_now,
    };
}

bool search_run(struct index_reader *r, const struct search_context *ctx,
                const struct search_query *q, json_t **ret, struct err *err)
{
    assert(q->fields == r->fields);
    const struct search_limits limits = search_limits_of(ctx);
    return r->engine->run(r->impl, q, &limits, ret, err);
}

bool search_each(struct index_reader *r, const struct search_context *ctx,
                 const struct search_query *q, search_each_hit *each, void *arg,
                 size_t *ret_missing_weeks, struct err *err)
{
    assert(q->fields == r->fields);
    const struct search_limits limits = search_limits_of(ctx);
    return r->engine->each(r->impl, q, &limits, each, arg, ret_missing_weeks, err);
}

/* Also the crashes of before there was a flag: these are not known to be duplicates. */
const struct search_param search_counted_once = {STR_INIT("is_duplicate"), STR_INIT("!__true__")};

bool search_answer(struct arena *a, struct index_reader *r, const struct search_context *ctx,
                   struct search_params params, json_t **ret, const char **ret_form_param,
                   struct err *err)
{
    struct search_query *q;
    if (ret_form_param)
        *ret_form_param = NULL;
    if (!ctx->is_unredacted)
        search_clean(r->fields, ctx, &params);
    if (!search_parse(a, r->fields, ctx, params, &q, ret_form_param, err))
        return false;
    if (!search_wants_query(q))
        return search_run(r, ctx, q, ret, err);
    *ret = search_query_json(q);
    return *ret || err_set(err, ERR_INTERNAL, "cannot show the query");
}
