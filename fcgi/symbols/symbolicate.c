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

#include "fcgi/symbols/symbol_server.h"
#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/metrics.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/web/web.h"

/* clang-format off */
static const char *const reasons[] = {
    [SYMBOLICATE_BAD_JSON] = "bad_json",
    [SYMBOLICATE_BAD_JOBS] = "invalid_jobs",
    [SYMBOLICATE_BAD_MODULES] = "invalid_modules",
    [SYMBOLICATE_BAD_STACKS] = "invalid_stacks",
    [SYMBOLICATE_TOO_MANY_JOBS] = "too_many_jobs",
    [SYMBOLICATE_TOO_MANY_FRAMES] = "too_many_frames",
};
/* clang-format on */

/* Eliot's reasons; NULL: there is nothing wrong with the symbols, or none are there. */
static const char *reason_unusable(const struct symbolicate_pair *pair)
{
    if (pair->module->state == SYMFIND_CORRUPT)
        return pair->cost.is_other_build ? "sym_debug_id_lookup_error" : "sym_malformed";
    return pair->module->state == SYMFIND_MISSING && pair->cost.is_bad_id ? "bad_debug_id" : NULL;
}

static void count_modules(struct metrics *m, const struct symbolicate_request *q)
{
    for (size_t i = 0; i < q->pairs.n; i++) {
        const struct symbolicate_pair *pair = &q->pairs.v[i];
        if (!pair->module)
            continue;
        if (pair->cost.was_compiled)
            metric_time(m, METRIC_PARSE_SYM, pair->cost.us);
        const char *reason = reason_unusable(pair);
        if (reason)
            metric_add(m, METRIC_PARSE_SYM_ERROR, 1, reason);
        bool is_hit = pair->module->state == SYMFIND_LOADED && !pair->cost.was_compiled;
        metric_time(m, METRIC_DISKCACHE_GET, pair->cost.us,
                    pair->module->state == SYMFIND_CORRUPT ? "error"
                    : is_hit                               ? "hit"
                                                           : "miss");
    }
}

static bool symbolicate_checked(struct req *req, struct symbolicate_request *q,
                                enum symbolicate_version version, int64_t start_us, struct err *err)
{
    struct symbol_server *s = req_app(req);
    metric_size(s->metrics, METRIC_SYMBOLICATE_JOBS, q->job_count);
    metric_size(s->metrics, METRIC_SYMBOLICATE_STACKS, q->stack_count);
    metric_size(s->metrics, METRIC_SYMBOLICATE_FRAMES, q->frame_count);
    if (!s->symbolizer && !symbol_server_open_symbolizer(s, err))
        return false;
    symbolicate_open_modules(q, s->symbolizer,
                             mono_ms() + 1000 * conf_int(req_conf(req), CONF_SYMBOLICATE_WAIT_S));
    count_modules(s->metrics, q);
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
    const char *name = version == SYMBOLICATE_V5 ? "v5" : "v4";
    metric_add(s->metrics, METRIC_SYMBOLICATE, 1, name);
    if (!req_take_turn(req, true, err)) {
        metric_add(s->metrics, METRIC_SYMBOLICATE_REFUSED, 1);
        return false;
    }
    if (!req_body(req, SYMBOLICATE_BODY_MAX, &body, err))
        return false;
    bool ok = symbolicate_parse(req_arena(req), body, version, &q, &fault, err);
    if (ok)
        ok = symbolicate_checked(req, &q, version, start_us, err);
    else
        metric_add(s->metrics, METRIC_SYMBOLICATE_ERROR, 1, reasons[fault]);
    symbolicate_release(&q);
    metric_time(s->metrics, METRIC_SYMBOLICATE_TIME, mono_us() - start_us, name);
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
