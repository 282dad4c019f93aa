/*
 * One ping: receive, reduce, make durable, answer.
 *
 * What the client reads decides whether it keeps its ping: after a 4xx it throws it away, after a
 * 5xx it sends it again.  So whatever is our trouble is a 503, and whatever can never become a ping
 * a 4xx.  The body lives in the memory of this request and nowhere else; what goes to the journal
 * is the document that lib/ping made of it.
 */
#include <stdio.h>

#include "fcgi/pings/receiver.h"
#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/ping/intake.h"
#include "lib/ping/journal.h"
#include "lib/ping/ping.h"
#include "lib/spool/spool.h"
#include "lib/web/unpack.h"
#include "lib/web/web.h"

enum {
    WIRE_MAX = 1 << 20,
    INFLATED_MAX = 10 << 20,
    WINDOW_S = 60, /* RATE_LIMIT_PING is per minute */
    PARTS_MAX = 8, /* of an address; the longest has seven */
};
#define RETRY_S "60"

struct ping_request {
    struct req *req;
    struct receiver *app;
    struct ping_given given;
    struct strbuf text; /* of the body, unpacked */
    bool is_too_large;
};

static bool answer(struct ping_request *p, int status, const char *body)
{
    return resp_bytes(p->req, status, "application/json", str_of(body));
}

static bool rejected(struct ping_request *p, int status, const char *why)
{
    const char *reason = status == 413   ? "too_large"
                         : status == 404 ? "product"
                         : status == 429 ? "rate"
                                         : "malformed";
    metric_add(p->app->metrics, METRIC_PING_REJECTED, 1, reason);
    return answer(p, status, arena_printf(req_arena(p->req), "{\"error\": \"%s\"}", why));
}

static bool malformed(struct ping_request *p)
{
    return p->is_too_large ? rejected(p, 413, "too large") : rejected(p, 400, "malformed");
}

static bool unknown_product(struct ping_request *p)
{
    return rejected(p, 404, "unknown product");
}

/* Not the ping's fault: its client keeps it. */
static bool put_off(struct ping_request *p, const struct err *why)
{
    log_event(LOG_ERROR, "ping_not_taken", "a ping could not be made durable", LOG_E(why),
              LOG_S("request_id", req_id(p->req)));
    metric_add(p->app->metrics, METRIC_PING_PUT_OFF, 1);
    resp_header(p->req, "Retry-After", STR(RETRY_S));
    return answer(p, 503, "{\"error\": \"unavailable\"}");
}

static bool take_text(void *arg, const void *bytes, size_t n, struct err *err)
{
    struct ping_request *p = arg;
    (void)err;
    sb_put(&p->text, bytes, n);
    return true;
}

/* False: the body is broken, or too large (is_too_large). */
static bool read_text(struct ping_request *p)
{
    struct err err = {0};
    struct unpack unpack;
    enum unpack_coding coding;
    struct str wire;
    if (!req_body(p->req, WIRE_MAX, &wire, &err)) {
        p->is_too_large = err.code == ERR_TOO_LARGE;
        return false;
    }
    if (!unpack_coding_of(req_header(p->req, "Content-Encoding"), &coding))
        return false;
    unpack_init(&unpack, coding, INFLATED_MAX, take_text, p);
    bool ok = unpack_feed(&unpack, wire.p, wire.n, &err) && unpack_finish(&unpack, &err);
    p->is_too_large = unpack.is_too_large;
    unpack_release(&unpack);
    return ok;
}

static bool make_durable(struct ping_request *p, json_t *doc, bool has_content, struct err *err)
{
    const struct intake_ping ping = {req_now_us(p->req), doc, has_content, 0};
    size_t n;
    FREE_LATER char *record = intake_record(&ping, &n);
    return journal_append(&p->app->journal, str_n(record, n), err);
}

/* Always answers. */
static bool take(struct ping_request *p)
{
    struct err err = {0};
    json_auto_t *doc = NULL;
    bool has_content;
    if (!spool_has_room(&p->app->spool, &err))
        return put_off(p, &err);
    if (!read_text(p))
        return malformed(p);
    json_auto_t *body = jparse_given(sb_view(&p->text), INFLATED_MAX, &err);
    if (!body || !ping_read(req_arena(p->req), body, &p->given, &doc, &has_content, &err))
        return malformed(p);
    const struct product *product = receiver_product(p->app, jget_strn(doc, "product"), false);
    if (!product)
        return unknown_product(p);
    jset_cstr(doc, "product", product->name);
    if (!make_durable(p, doc, has_content, &err))
        return err.code == ERR_TOO_LARGE ? rejected(p, 413, "too large") : put_off(p, &err);
    metric_add(p->app->metrics, METRIC_PING_RECEIVED, 1, product->name);
    return answer(p, 200, "{\"status\": \"ok\"}");
}

/* The address is asked for its number of pings and kept nowhere. */
static bool may_send(struct ping_request *p)
{
    int64_t most = conf_int(p->app->conf, CONF_RATE_LIMIT_PING);
    return most == 0 || req_rate_count(p->req, "ping", req_client(p->req), WINDOW_S, 1) <= most;
}

static bool ping_of_request(struct ping_request *p)
{
    int64_t begun_us = mono_us();
    bool ok;
    sb_init(&p->text, INFLATED_MAX);
    if (!conf_bool(p->app->conf, CONF_PING_ENABLED))
        ok = rejected(p, 404, "not found");
    else if (!may_send(p))
        ok = rejected(p, 429, "too many requests");
    else
        ok = take(p);
    sb_release(&p->text);
    metric_time(p->app->metrics, METRIC_PING_TIME, mono_us() - begun_us);
    return ok;
}

bool ping_post(struct req *req, struct err *err)
{
    struct ping_request p = {.req = req, .app = req_app(req)};
    (void)err;
    return ping_of_request(&p);
}

static size_t split_path(struct str path, struct str parts[PARTS_MAX])
{
    size_t n = 0;
    while (n < PARTS_MAX && str_split(&path, '/', &parts[n]))
        n++;
    return n;
}

/* APP/crash/VERSION/ID.  Other pings of Glean (baseline, metrics) do not exist here. */
static bool glean_post(struct ping_request *p, const struct str *parts, char id[PING_ID_SIZE])
{
    if (!str_eq(parts[1], STR("crash")))
        return rejected(p, 404, "not found");
    const struct product *product = receiver_product(p->app, parts[0], true);
    if (!product)
        return unknown_product(p);
    if (!ping_id_read(parts[3], id))
        return malformed(p);
    p->given = (struct ping_given){
        .document_id = str_of(id), .product = str_of(product->name), .product_wins = true};
    return ping_of_request(p);
}

/* telemetry/ID/crash/NAME/VERSION/CHANNEL/BUILD */
static bool legacy_post(struct ping_request *p, const struct str *parts, char id[PING_ID_SIZE])
{
    if (!str_eq(parts[2], STR("crash")))
        return rejected(p, 404, "not found");
    if (!ping_id_read(parts[1], id))
        return malformed(p);
    p->given = (struct ping_given){.document_id = str_of(id),
                                   .product = parts[3],
                                   .version = parts[4],
                                   .channel = parts[5],
                                   .build_id = parts[6]};
    return ping_of_request(p);
}

bool ping_client_post(struct req *req, struct err *err)
{
    struct ping_request p = {.req = req, .app = req_app(req)};
    struct str parts[PARTS_MAX];
    char id[PING_ID_SIZE];
    size_t n = split_path(req_path_rest(req), parts);
    (void)err;
    if (n == 7 && str_eq(parts[0], STR("telemetry")))
        return legacy_post(&p, parts, id);
    return n == 4 ? glean_post(&p, parts, id) : rejected(&p, 404, "not found");
}
