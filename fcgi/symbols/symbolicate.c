/*
 * Symbolication over HTTP: POST /symbolicate/v5 and v4, for the Firefox Profiler, scripts of crash
 * analysis and whoever else was made for Tecken or Eliot.
 *
 * Web pages of any site may ask, so every answer on these paths carries the CORS headers, errors
 * too.  A request holds a worker as long as it takes, so at most SYMBOLICATE_MAX_CONCURRENT are
 * worked on; others wait a moment and are told 503 with Retry-After, which the clients know.
 */
#include "fcgi/symbols/symbolicate.h"
#include "fcgi/symbols/symbolicate_error.h"

#include <stdio.h>

#include "fcgi/symbols/symbol_counters.h"
#include "fcgi/symbols/symbol_server.h"
#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/web/counters.h"
#include "lib/web/web.h"

/* clang-format off */
static const enum symbol_counter error_counters[] = {
    [SYMBOLICATE_BAD_JSON] = COUNT_ERROR_BAD_JSON,
    [SYMBOLICATE_BAD_JOBS] = COUNT_ERROR_INVALID_JOBS,
    [SYMBOLICATE_BAD_MODULES] = COUNT_ERROR_INVALID_MODULES,
    [SYMBOLICATE_BAD_STACKS] = COUNT_ERROR_INVALID_STACKS,
    [SYMBOLICATE_TOO_MANY_JOBS] = COUNT_ERROR_TOO_MANY_JOBS,
    [SYMBOLICATE_TOO_MANY_FRAMES] = COUNT_ERROR_TOO_MANY_FRAMES,
};
/* clang-format on */

static void count_modules(struct counters *c, const struct symbolicate_request *q)
{
    for (size_t i = 0; i < q->pairs.n; i++) {
        const struct symbolicate_pair *pair = &q->pairs.v[i];
        if (!pair->module)
            continue;
        uint64_t ms = (uint64_t)pair->cost.us / 1000;
        if (pair->cost.was_compiled)
            counter_add(c, COUNT_PARSE_MS, ms, NULL);
        if (pair->module->state == SYMFIND_CORRUPT)
            counter_add(c, COUNT_PARSE_ERROR, 1, NULL);
        bool is_hit = pair->module->state == SYMFIND_LOADED && !pair->cost.was_compiled;
        counter_add(c, is_hit ? COUNT_CACHE_HIT_MS : COUNT_CACHE_MISS_MS, ms, NULL);
        counter_add(c, is_hit ? COUNT_CACHE_HITS : COUNT_CACHE_MISSES, 1, NULL);
    }
}

static bool symbolicate_checked(struct req *req, struct symbolicate_request *q,
                                enum symbolicate_version version, int64_t start_us, struct err *err)
{
    struct symbol_server *s = req_app(req);
    counter_add(s->counters, COUNT_JOBS, q->job_count, NULL);
    counter_add(s->counters, COUNT_STACKS, q->stack_count, NULL);
    counter_add(s->counters, COUNT_FRAMES, q->frame_count, NULL);
    if (!s->symbolizer && !symbol_server_open_symbolizer(s, err))
        return false;
    symbolicate_open_modules(q, s->symbolizer,
                             mono_ms() + 1000 * conf_int(req_conf(req), CONF_SYMBOLICATE_WAIT_S));
    count_modules(s->counters, q);
    bool ok = symbolicate_answer(req, q, version, s->temp_dir, start_us, err);
    symbolicate_close_modules(q, s->symbolizer);
    return ok;
}

/* The turn comes before the body is read: what waits has no memory. */
static bool symbolicate_request_of(struct req *req, enum symbolicate_version version,
                                   struct err *err)
{
    struct symbol_server *s = req_app(req);
    struct symbolicate_request q;
    enum symbolicate_fault fault;
    struct str body;
    int64_t start_us = mono_us();
    bool is_v5 = version == SYMBOLICATE_V5;
    counter_add(s->counters, is_v5 ? COUNT_REQUESTS_V5 : COUNT_REQUESTS_V4, 1, NULL);
    if (!req_take_turn(req, true, err)) {
        counter_add(s->counters, COUNT_REFUSED, 1, NULL);
        return false;
    }
    if (!req_body(req, SYMBOLICATE_BODY_MAX, &body, err))
        return false;
    bool ok = symbolicate_parse(req_arena(req), body, version, &q, &fault, err);
    if (ok)
        ok = symbolicate_checked(req, &q, version, start_us, err);
    else
        counter_add(s->counters, error_counters[fault], 1, NULL);
    symbolicate_release(&q);
    counter_add(s->counters, is_v5 ? COUNT_API_V5_MS : COUNT_API_V4_MS,
                (uint64_t)(mono_us() - start_us) / 1000, NULL);
    if (ok)
        symbolicate_allow_origins(req);
    return ok;
}

bool symbolicate_v5_post(struct req *req, struct err *err)
{
    return symbolicate_request_of(req, SYMBOLICATE_V5, err);
}

bool symbolicate_v4_post(struct req *req, struct err *err)
{
    return symbolicate_request_of(req, SYMBOLICATE_V4, err);
}

/*
 * The preflight of browsers: which headers a page may send is what it asks for, since none of them
 * means anything here.
 */
bool symbolicate_options(struct req *req, struct err *err)
{
    (void)err;
    struct str wanted = req_header(req, "Access-Control-Request-Headers");
    symbolicate_allow_origins(req);
    resp_header(req, "Allow", STR("POST, OPTIONS"));
    resp_header(req, "Access-Control-Allow-Methods", STR("POST"));
    resp_header(req, "Access-Control-Expose-Headers",
                STR("accept, accept-encoding, authorization, content-type, dnt, origin, "
                    "user-agent, x-csrftoken, x-requested-with"));
    if (wanted.n)
        resp_header(req, "Access-Control-Allow-Headers", wanted);
    resp_header(req, "Access-Control-Max-Age", STR("86400"));
    return resp_bytes(req, 200, "text/plain; charset=utf-8", STR(""));
}

bool symbolicate_unknown(struct req *req, struct err *err)
{
    (void)req;
    return err_set(err, ERR_NOT_FOUND, "there are /symbolicate/v5 and /symbolicate/v4");
}
