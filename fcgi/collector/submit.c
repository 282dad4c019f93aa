/*
 * POST /submit: receives, decides, makes durable, answers.  The replies are a contract with crash
 * reporters in the field; docs/collector.md has the table.  The checks run in one fixed order, and
 * the first that fails answers.
 *
 * The order of the last steps is the promise: the answer of an earlier time is looked for before a
 * rule is asked, since a sampling rule must not be asked twice; the id is noted as begun, then the
 * report committed (spool), then the id noted as accepted, then the answer written.  Whatever is
 * killed in between, a client that sends again gets the same id or a report that is its only one.
 *
 * A report is refused for what it is, with a status that tells its client not to come again, and
 * put off for what we lack (room, a disk that works), with 503 and a time.  The two never mix: a
 * client that reads a decision out of our trouble throws its crash away.
 */
#include <stdio.h>

#include "fcgi/collector/collector.h"
#include "fcgi/collector/conditions.h"
#include "fcgi/collector/names.h"
#include "fcgi/collector/product_terms.h"
#include "fcgi/collector/recent.h"
#include "fcgi/collector/refused.h"
#include "fcgi/collector/report_form.h"
#include "fcgi/collector/sentry.h"
#include "fcgi/collector/throttle.h"
#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/crash/crash_id.h"
#include "lib/crash/product.h"
#include "lib/json/json.h"
#include "lib/spool/receive.h"
#include "lib/spool/spool.h"
#include "lib/web/multipart.h"
#include "lib/web/param_spec.h"
#include "lib/web/params.h"
#include "lib/web/unpack.h"
#include "lib/web/web.h"

enum {
    PIECE_BYTES = 64 << 10, /* of the body, in memory at a time */
    /* Between one and five minutes, by chance: all clients were turned away at the same moment. */
    RETRY_MIN_S = 60,
    RETRY_SPREAD_S = 240,
    WINDOW_S = 60, /* RATE_LIMIT_SUBMIT is per minute */
};

/* In the address of a report, where programs of Breakpad give them. */
/* clang-format off */
static const struct param_spec
    product_param = {"product", PARAM_TEXT, .help = "product, if the form does not name it"},
    version_param = {"version", PARAM_TEXT, .help = "version, if the form does not name it"},
    sentry_key_param = {"sentry_key", PARAM_TEXT, .help = "public key of the product; or in X-Sentry-Auth"};
/* clang-format on */
const struct param_spec *const submit_params[] = {&product_param, &version_param, NULL};
const struct param_spec *const sentry_params[] = {&sentry_key_param, NULL};

struct submission {
    struct req *req;
    struct collector *app;
    struct report report;
    struct multipart form;
    struct unpack unpack;
    enum unpack_coding coding;
    uint64_t wire_bytes;
    bool walk_failed; /* the form is malformed, or the disk refused: */
    struct err walk_err;
    const char *token_product;     /* whose token came with it, or NULL */
    bool is_sentry;                /* it came to Sentry's address */
    const struct product *product; /* behind map_names(); NULL: not configured */
    struct throttle_result throttle;
    char crash_id[CRASH_ID_SIZE];
    bool has_key; /* a report that may be sent twice; see recent.h */
    uint8_t key[RECENT_KEY_BYTES];
};

static bool reply(struct req *req, int status, const char *text)
{
    return resp_bytes(req, status, "text/plain", str_of(text));
}

/* Sentry's clients take any text for an id, so a report that a rule threw away gets none. */
static bool discarded(struct submission *s, int status, const char *what, const char *reason)
{
    if (s->is_sentry && status == 200)
        return reply(s->req, 200, "");
    const char *text = arena_printf(req_arena(s->req), "Discarded=%s_%s", what, reason);
    return reply(s->req, status, text);
}

static bool malformed(struct submission *s, int status, const char *reason)
{
    log_event(LOG_INFO, "crash_malformed", reason, LOG_S("request_id", req_id(s->req)));
    metric_add(s->app->metrics, METRIC_MALFORMED, 1, reason);
    return discarded(s, status, "malformed", reason);
}

/* Not the report's fault: come again later.  The client must not read a decision out of it. */
static bool overloaded(struct submission *s, const struct err *why)
{
    uint64_t wait = RETRY_MIN_S + random_u64() % (RETRY_SPREAD_S + 1);
    log_event(LOG_ERROR, "crash_not_taken", "a report could not be made durable", LOG_E(why),
              LOG_S("request_id", req_id(s->req)));
    metric_add(s->app->metrics, METRIC_OVERLOAD, 1);
    resp_header(s->req, "Retry-After",
                str_of(arena_printf(req_arena(s->req), "%llu", (unsigned long long)wait)));
    return reply(s->req, 503, "");
}

/* Sentry's clients keep the body as the id. */
static bool accepted(struct submission *s)
{
    if (s->is_sentry)
        return reply(s->req, 200, arena_strdup(req_arena(s->req), s->crash_id));
    return reply(s->req, 200, arena_printf(req_arena(s->req), "CrashID=bp-%s\n", s->crash_id));
}

/* Unpacked bytes into the form.  After a mistake in the form the rest is only unpacked, because
 * data that are not of their coding come first in the order of checks. */
static bool take_bytes(void *arg, const void *p, size_t n, struct err *err)
{
    struct submission *s = arg;
    (void)err;
    if (!s->walk_failed && !multipart_feed(&s->form, p, n, &s->walk_err))
        s->walk_failed = true;
    return true;
}

/* An empty body is no broken one: nothing was begun, so nothing has to be complete. */
static bool unpack_body(struct submission *s, struct err *err)
{
    FREE_LATER char *piece = xmalloc(PIECE_BYTES);
    size_t got = 0;
    do {
        if (!req_read_body(s->req, piece, PIECE_BYTES, &got, err) ||
            !unpack_feed(&s->unpack, piece, got, err))
            return false;
        s->wire_bytes += got;
    } while (got);
    return s->wire_bytes == 0 || unpack_finish(&s->unpack, err);
}

/* What went wrong with the bytes of the body; always answers. */
static bool answer_unpack(struct submission *s, const struct err *err)
{
    if (s->unpack.is_too_large) {
        metric_add(s->app->metrics, METRIC_DECOMPRESS_LIMIT, 1);
        return malformed(s, 413, "payload_too_large");
    }
    if (s->unpack.is_bad_data)
        return malformed(s, 400,
                         arena_printf(req_arena(s->req), "bad_%s", unpack_coding_name(s->coding)));
    log_event(LOG_INFO, "crash_broken_off", "the sender went away", LOG_E(err),
              LOG_S("request_id", req_id(s->req)));
    return reply(s->req, 400, "");
}

/*
 * Answers a form that could be unpacked but not taken: its contents are wrong, its grammar is, or
 * we could not store it.
 */
static bool answer_bad_form(struct submission *s)
{
    struct report *r = &s->report;
    if (r->reason)
        return malformed(s, s->walk_err.code == ERR_TOO_LARGE ? 413 : 400, r->reason);
    if (s->form.is_structure)
        return malformed(s, 400, "invalid_payload_structure");
    return overloaded(s, &s->walk_err); /* the disk */
}

/* Reads the whole body into the report.  False: answered. */
static bool receive_form(struct submission *s)
{
    struct err err = {0};
    int64_t most = conf_int(s->app->conf, CONF_COLLECTOR_MAX_DECOMPRESSED_BYTES);
    int64_t begun_us = mono_us();
    unpack_init(&s->unpack, s->coding, (uint64_t)most, take_bytes, s);
    bool is_whole = unpack_body(s, &err);
    if (s->coding != UNPACK_IDENTITY)
        metric_time(s->app->metrics, METRIC_DECOMPRESS_TIME, mono_us() - begun_us,
                    is_whole ? "success" : "fail");
    uint64_t bytes = s->unpack.out_bytes;
    if (!is_whole)
        answer_unpack(s, &err);
    else if (s->wire_bytes == 0)
        malformed(s, 400, "no_content_length");
    unpack_release(&s->unpack);
    if (!is_whole || s->wire_bytes == 0)
        return false;
    if (!s->walk_failed)
        s->walk_failed =
            !multipart_finish(&s->form, &s->walk_err) || !report_finish(&s->report, &s->walk_err);
    if (s->walk_failed) {
        answer_bad_form(s);
        return false;
    }
    metric_size(s->app->metrics, METRIC_CRASH_SIZE, bytes,
                s->coding == UNPACK_IDENTITY ? "uncompressed" : "compressed");
    return true;
}

/* Headers that make a body not worth reading.  False: answered. */
static bool check_headers(struct submission *s, struct strbuf *ret_boundary)
{
    struct str header = req_header(s->req, "Content-Type");
    struct str type = header_value(header);
    if (str_trim(header).n == 0)
        return malformed(s, 400, "no_content_type"), false;
    if (!str_eq_nocase(type, STR("multipart/form-data")) &&
        !str_eq_nocase(type, STR("multipart/mixed")))
        return malformed(s, 400, "wrong_content_type"), false;
    header_param(header, "boundary", ret_boundary);
    struct str boundary = str_rtrim(sb_view(ret_boundary));
    if (!multipart_init(&s->form, boundary, &report_events, &s->report, ERR_IGNORED))
        return malformed(s, 400, "no_boundary"), false;
    if (req_content_length(s->req) == 0)
        return malformed(s, 400, "no_content_length"), false;
    if (!unpack_coding_of(req_header(s->req, "Content-Encoding"), &s->coding)) {
        resp_header(s->req, "Accept-Encoding", STR("gzip, deflate, zstd"));
        return malformed(s, 400, "unsupported_content_encoding"), false;
    }
    return true;
}

/* Product and version by the names that rules and fields know, before any rule looks at them. */
static void map_names(struct submission *s)
{
    json_t *a = s->report.annotations;
    if (s->is_sentry) {
        sentry_map(a, s->token_product);
        report_drop_surplus(&s->report); /* tags and extra members have become names */
        report_note(&s->report, "mapped sentry field names");
    } else if (conf_bool(s->app->conf, CONF_BREAKPAD_FIELD_NAMES) &&
               names_map_breakpad(a, req_text(s->req, &product_param),
                                  req_text(s->req, &version_param))) {
        report_note(&s->report, "mapped breakpad field names");
    }
    collector_refresh(s->app, jget_strn(a, "ProductName"));
    const char *note = terms_map_product(a, &s->app->products, s->token_product);
    if (note)
        report_note(&s->report, "%s", note);
    s->product = terms_product(a, &s->app->products);
}

static void remove_annotation(struct report *r, const char *name)
{
    if (json_object_del(r->annotations, name) == 0)
        report_note(r, "Removed %s from raw crash.", name);
}

/* Called when the rules have decided, so that a rule may go by an annotation that is not kept. */
static void remove_forbidden(struct submission *s)
{
    struct str rest = str_of(conf_text(s->app->conf, CONF_COLLECTOR_REMOVE_ANNOTATIONS)), name;
    while (str_split(&rest, ',', &name))
        if (str_trim(name).n)
            remove_annotation(&s->report, str_adup(req_arena(s->req), str_trim(name)));
    if (conf_bool(s->app->conf, CONF_BREAKPAD_FIELD_NAMES))
        remove_annotation(&s->report, "email");
}

/* What the collector knows of a report beside its annotations.  The keys are those of Socorro's raw
 * crashes; the mover and the processor read `deferred` and `dump_checksums`. */
static json_t *metadata(struct submission *s)
{
    struct report *r = &s->report;
    struct str agent = req_header(s->req, "User-Agent");
    json_t *m = json_object();
    jset_cstr(m, "payload", r->has_json ? "json" : "multipart");
    jset_cstr(m, "payload_compressed", s->coding == UNPACK_IDENTITY ? "0" : "1");
    jset_int(m, "payload_size", (int64_t)s->wire_bytes);
    json_object_set(m, "collector_notes", r->notes);
    json_object_set(m, "dump_checksums", r->checksums);
    jset_text(m, "user_agent", agent.p ? agent : STR("None"));
    jset_cstr(m, "throttle_rule", s->throttle.rule);
    /* A share and not a percentage: one report stands for 1/rate (docs/statistics.md). */
    double rate = s->throttle.rate / 100;
    json_object_set_new(m, "throttle_rate", rate == 1 ? json_integer(1) : json_real(rate));
    if (s->throttle.code == THROTTLE_DEFER)
        jset_bool(m, "deferred", true); /* the mover stores it and queues nothing */
    return m;
}

/* From here on the annotations are the raw crash. */
static void complete(struct submission *s)
{
    char when[TIME_TEXT_MAX];
    json_t *a = s->report.annotations;
    time_iso(req_now_us(s->req), true, when);
    remove_forbidden(s);
    jset_cstr(a, "uuid", s->crash_id);
    jset_cstr(a, "submitted_timestamp", when);
    jset_int(a, "version", 2);
    json_object_set_new(a, "metadata", metadata(s));
}

static void throttle(struct submission *s)
{
    const struct throttle_facts facts = {
        .annotations = s->report.annotations,
        .products = &s->app->products,
        .now_us = req_now_us(s->req),
        .draw = -1,
        .by_content = true,
        .checksum = jget_str(s->report.checksums, "upload_file_minidump"),
    };
    throttle_decide(&s->app->rules, &facts, &s->throttle);
    terms_apply(s->product, s->token_product, &s->throttle);
}

/* Compares with every token in constant time for tokens of the same length. */
static bool is_token(struct str configured, struct str token)
{
    struct str one;
    bool found = false;
    while (str_split(&configured, ',', &one)) {
        one = str_trim(one);
        if (one.n && one.n == token.n)
            found |= secret_eq(one.p, token.p, one.n);
    }
    return found;
}

/*
 * The last six digits of an id are a date, and where a report is stored and how long it is kept
 * goes by it.  A sender whose clock or id generator is wrong makes reports that retention deletes
 * at once or never: they are taken (the sender had a token), and somebody must be able to find out.
 */
static void note_odd_date(const struct submission *s)
{
    char digits[CRASH_DATE_SIZE], day[16];
    int64_t day_us, age_days = 0;
    crash_id_date(s->crash_id, digits);
    snprintf(day, sizeof day, "%.4s-%.2s-%.2s", digits, digits + 4, digits + 6);
    bool is_date = time_parse(str_of(day), &day_us, ERR_IGNORED);
    if (is_date)
        age_days = (req_now_us(s->req) - day_us) / DAY_US;
    if (is_date && age_days >= -1 && age_days <= conf_int(s->app->conf, CONF_RETENTION_DAYS))
        return;
    log_event(LOG_WARN, "crash_id_date",
              "a report brings a crash id with a date that cannot be right",
              LOG_S("crash_id", s->crash_id), LOG_S("date", day), LOG_I("age_days", age_days));
}

/* A report that brings its own crash id needs a token.  False: answered. */
static bool choose_id(struct submission *s)
{
    const json_t *uuid = json_object_get(s->report.annotations, "uuid");
    if (!uuid) {
        crash_id_new(req_now_us(s->req), (int)s->throttle.code, s->crash_id);
        return true;
    }
    struct str header = str_trim(req_header(s->req, "Authorization"));
    struct str token = str_trim(str_sub(header, sizeof "Bearer" - 1, SIZE_MAX));
    const char *configured = conf_text(s->app->conf, CONF_BREAKPAD_STAGE_SUBMITTER_BEARER_TOKEN);
    if (!str_starts_nocase(header, STR("Bearer ")) || !is_token(str_of(configured), token)) {
        metric_add(s->app->metrics, METRIC_UNAUTHORIZED, 1);
        reply(s->req, 401, "Discarded=unauthorized_uuid");
        return false;
    }
    struct str id =
        json_is_string(uuid) ? str_n(json_string_value(uuid), json_string_length(uuid)) : STR("");
    if (!crash_id_valid(id, true))
        return malformed(s, 400, "invalid_uuid"), false;
    memcpy(s->crash_id, id.p, CRASH_ID_LEN);
    note_odd_date(s);
    return true;
}

static void log_decision(const struct submission *s)
{
    static const char *const of_code[] = {"accept", "defer", "reject", "fakeaccept"};
    const struct throttle_result *t = &s->throttle;
    char msg[200];
    snprintf(msg, sizeof msg, "%s: matched by %s; returned %s", s->crash_id, t->rule,
             throttle_code_name(t->code));
    struct str product = jget_strn(s->report.annotations, "ProductName");
    metric_add(s->app->metrics, METRIC_THROTTLE, 1, of_code[t->code]);
    metric_add(s->app->metrics, METRIC_THROTTLE_RULE, 1, t->rule);
    metric_add(s->app->metrics, METRIC_PRODUCT, 1, s->product ? s->product->name : "unknown",
               of_code[t->code]);
    log_event(LOG_INFO, t->code == THROTTLE_REJECT ? "crash_rejected" : "crash_accepted", msg,
              LOG_S("crash_id", s->crash_id), LOG_S("rule", t->rule), LOG_V("product", product),
              LOG_I("bytes", (int64_t)s->wire_bytes), LOG_S("request_id", req_id(s->req)));
}

/* Costs no sync and cannot fail: at worst a report that is sent again counts twice (recent.h). */
static void remember(struct submission *s, enum recent_state state)
{
    struct recent_answer answer = {.state = state};
    if (!s->has_key)
        return;
    memcpy(answer.crash_id, s->crash_id, sizeof answer.crash_id);
    snprintf(answer.rule, sizeof answer.rule, "%s", s->throttle.rule ? s->throttle.rule : "");
    recent_put(&s->app->recent, s->key, now_s(), &answer);
}

static bool repeat_answer(struct submission *s, const struct recent_answer *before)
{
    metric_add(s->app->metrics, METRIC_DUPLICATE, 1);
    log_event(LOG_INFO, "crash_duplicate", "answered as before",
              LOG_S("crash_id", before->crash_id), LOG_S("request_id", req_id(s->req)));
    memcpy(s->crash_id, before->crash_id, sizeof s->crash_id);
    if (before->state == RECENT_REJECTED)
        return discarded(s, 200, "rule", arena_strdup(req_arena(s->req), before->rule));
    return accepted(s);
}

/* A worker was killed while it made this report durable: did it come that far?  True: answered. */
static bool settle_begun(struct submission *s, struct recent_answer *before)
{
    struct err err = {0};
    bool is_there;
    if (!collector_holds(s->app, before->crash_id, &is_there, &err))
        return overloaded(s, &err);
    if (!is_there)
        return false;
    before->state = RECENT_ACCEPTED;
    recent_put(&s->app->recent, s->key, now_s(), before);
    return repeat_answer(s, before);
}

/* A report that was answered before, and is here again because the reply was lost: the same
 * answer.  False: it is new, and nobody else decides about the same one meanwhile. */
static bool answer_duplicate(struct submission *s)
{
    struct recent_answer before;
    const json_t *a = s->report.annotations;
    s->has_key = conf_bool(s->app->conf, CONF_COLLECTOR_DEDUPLICATE) &&
                 !json_object_get(a, "uuid") && recent_key(a, s->report.checksums, s->key);
    if (!s->has_key)
        return false;
    recent_enter(&s->app->recent, s->key, now_s(), &before);
    if (before.state == RECENT_NONE)
        return false;
    return before.state == RECENT_BEGUN ? settle_begun(s, &before) : repeat_answer(s, &before);
}

/*
 * Counts a refused report for the administrator, whichever rule refused it: see `datil product
 * list`.
 */
static void count_unknown_product(const struct submission *s)
{
    if (!s->product)
        refused_add(s->app->refused, jget_strn(s->report.annotations, "ProductName"), 1);
}

/* For its product; what is too large for everybody nginx has refused. */
static bool is_too_large(const struct submission *s)
{
    return s->product && s->product->max_body_bytes &&
           s->wire_bytes > (uint64_t)s->product->max_body_bytes;
}

static bool decide(struct submission *s)
{
    struct err err = {0};
    metric_add(s->app->metrics, METRIC_INCOMING, 1);
    if (s->coding != UNPACK_IDENTITY)
        metric_add(s->app->metrics, METRIC_COMPRESSED, 1);
    map_names(s);
    if (is_too_large(s))
        return malformed(s, 413, "payload_too_large");
    if (answer_duplicate(s))
        return true;
    throttle(s);
    if (!choose_id(s))
        return true;
    terms_take_quota(s->app->quotas, s->product, req_now_us(s->req) / SECOND_US, &s->throttle);
    if (s->throttle.code == THROTTLE_REJECT) {
        count_unknown_product(s);
        log_decision(s);
        /* A quota has room again in a minute or a day: nothing is known of the next attempt. */
        if (!s->product || s->throttle.rule != s->product->quota_rule)
            remember(s, RECENT_REJECTED);
        return discarded(s, 200, "rule", s->throttle.rule);
    }
    if (s->throttle.code == THROTTLE_FAKEACCEPT) {
        log_decision(s);
        return accepted(s);
    }
    complete(s);
    /*
     * When the commit fails the entry stays RECENT_BEGUN: what failed may have been the last sync,
     * at a moment when the report had its name in the spool already.
     */
    remember(s, RECENT_BEGUN);
    if (!spool_commit(&s->report.entry, s->crash_id, s->report.annotations, &err))
        return overloaded(s, &err);
    remember(s, RECENT_ACCEPTED);
    log_decision(s);
    return accepted(s);
}

/* Per address, over all workers. */
static bool may_submit(struct submission *s)
{
    int64_t most = conf_int(s->app->conf, CONF_RATE_LIMIT_SUBMIT);
    return most == 0 || req_rate_count(s->req, "submit", req_client(s->req), WINDOW_S, 1) <= most;
}

/* Always answers. */
static void submit(struct submission *s)
{
    STRBUF_AUTO boundary;
    struct err why = {0};
    int64_t begun_us = mono_us();
    sb_init(&boundary, 1000);
    if (!spool_has_room(&s->app->spool, &why)) {
        overloaded(s, &why);
        return;
    }
    if (!may_submit(s)) {
        reply(s->req, 429, "");
        return;
    }
    report_init(&s->report, &s->app->spool, s->app->fields,
                conf_text(s->app->conf, CONF_BREAKPAD_DUMP_FIELD),
                (size_t)conf_int(s->app->conf, CONF_COLLECTOR_MAX_ANNOTATIONS));
    s->report.sentry_is_text = s->is_sentry;
    if (check_headers(s, &boundary) && receive_form(s))
        decide(s);
    if (s->has_key)
        recent_leave(&s->app->recent, s->key);
    if (s->form.events)
        multipart_release(&s->form);
    report_release(&s->report);
    metric_time(s->app->metrics, METRIC_POST_TIME, mono_us() - begun_us);
}

/* Whose token it is; the product files are looked at as for a report of an unknown product. */
static bool find_token(struct submission *s, struct str token)
{
    collector_refresh(s->app, STR(""));
    const struct product *product = products_find_token(&s->app->products, token);
    if (product)
        s->token_product = arena_strdup(req_arena(s->req), product->name);
    return product != NULL;
}

/*
 * POST /submit
 *
 * The body is a form of annotations and files; see docs/collector.md.
 */
bool submit_post(struct req *req, struct err *err)
{
    struct submission s = {.req = req, .app = req_app(req)};
    struct str token = str_trim(req_header(req, "X-Submit-Token"));
    (void)err;
    if (token.n && !find_token(&s, token))
        return reply(req, 403, "unknown token");
    submit(&s);
    return true;
}

/*
 * POST /submit/TOKEN
 *
 * 404 for a token that no product has, as for any other address that there is not.
 */
bool token_submit_post(struct req *req, struct err *err)
{
    struct submission s = {.req = req, .app = req_app(req)};
    if (!find_token(&s, req_path_rest(req)))
        return err_set(err, ERR_NOT_FOUND, "Not Found");
    submit(&s);
    return true;
}

static bool is_minidump_path(struct str rest)
{
    size_t slash = str_find_char(rest, '/', 0);
    struct str end = str_sub(rest, slash, SIZE_MAX);
    return slash != SIZE_MAX && slash > 0 &&
           (str_eq(end, STR("/minidump/")) || str_eq(end, STR("/minidump")));
}

/*
 * POST /api/PROJECT/minidump/?sentry_key=KEY
 *
 * 200 with the bare id, or with nothing when a rule threw the report away; 403 for a key that no
 * product has.  The project does not count: the key says which product it is.
 */
bool sentry_post(struct req *req, struct err *err)
{
    struct submission s = {.req = req, .app = req_app(req)};
    if (!is_minidump_path(req_path_rest(req)))
        return err_set(err, ERR_NOT_FOUND, "Not Found");
    if (!find_token(&s,
                    sentry_key(req_text(req, &sentry_key_param), req_header(req, "X-Sentry-Auth"))))
        return reply(req, 403, "unknown sentry_key");
    s.is_sentry = true;
    submit(&s);
    return true;
}
