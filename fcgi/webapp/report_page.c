/*
 * /report/index/ID: one processed crash as a page.
 *
 * The documents come from the store, not from the index, and go through the reducer before
 * anything here reads them, so this file cannot show a field that the reader may not see.  A
 * report that is stored but not yet processed is put in front of the queue, and the page waits for
 * it.
 */
#include "fcgi/webapp/webapp.h"
#include "fcgi/webapp/fmt.h"
#include "fcgi/webapp/layout.h"
#include "fcgi/webapp/pages.h"
#include "fcgi/webapp/url_query.h"
#include "fcgi/webapp/report_common.h"
#include "fcgi/webapp/report_bugs.h"
#include "fcgi/webapp/report_details.h"
#include "fcgi/webapp/report_findings.h"
#include "fcgi/webapp/report_parts.h"
#include "fcgi/webapp/report_similar.h"
#include "fcgi/webapp/report_stacks.h"
#include "fcgi/webapp/report_symbols.h"
#include "fcgi/webapp/signature_correlations.h"
#include "fcgi/webapp/results.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/crash_id.h"
#include "lib/crash/product.h"
#include "lib/crash/raw.h"
#include "lib/crash/reduce.h"
#include "lib/json/json.h"
#include "lib/ledger/ledger.h"
#include "lib/signature/signature.h"
#include "lib/store/store.h"
#include "lib/tpl/tpl.h"
#include "lib/web/human.h"
#include "lib/web/param_spec.h"
#include "lib/web/site.h"
#include "lib/web/web.h"
#include "rows.h"

enum {
    DOCUMENT_MAX = 64 << 20, /* as much as the API gives out of one document */
    PUBLISH_EVERY_S = 60,    /* the waiting page is loaded again and again; once is enough */
    RELOAD_S = 5,            /* a crash that somebody waits for is processed within seconds */
};

/* A document of the store; absent is not an error. */
static bool read_document(struct req *r, const char *id, const char *kind, json_t **ret,
                          struct err *err)
{
    struct err why = {0};
    json_t *doc = store_get_json(app_of(r)->store, id, kind, DOCUMENT_MAX, &why);
    if (!doc && why.code == ERR_DAMAGED)
        doc = json_null(); /* what cannot be read is no object: malformed */
    *ret = doc;
    return doc || why.code == ERR_NOT_FOUND ||
           err_set(err, why.code, "reading the %s of a report: %s", kind, why.msg);
}

/* 8-4-4-4-12 hexadecimal digits, whatever the last six say. */
static bool looks_like_id(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? s.p[i] != '-' : hex_digit(s.p[i]) < 0)
            return false;
    }
    return s.n == CRASH_ID_LEN;
}

static const struct param_spec report_is_queued = {
    "queued", PARAM_FLAG, .help = "the answer to the button Reprocess: the report says so"};
const struct param_spec *const report_params[] = {&report_is_queued, NULL};

/* Who mistyped the date of an id learns that it is one; everything else is no page of ours. */
static bool bad_id(struct str text, struct err *err)
{
    if (looks_like_id(text))
        return err_set(err, ERR_INVALID, "Invalid crash ID");
    return err_set(err, ERR_NOT_FOUND, "There is no crash report of that name");
}

static bool send_simple(struct req *r, int status, const char *page, const char *title,
                        const char *id, struct err *err)
{
    struct tpl_values *v = layout_new(r, &(struct layout){.title = title});
    tpl_cstr(v, "crash_id", id);
    return layout_send(r, status, page, v, err);
}

/* Somebody looks at it, so it goes first: at most once a minute for each report. */
static void process_now(struct req *r, const char *id, const json_t *raw)
{
    struct err err = {0};
    if (req_rate_count(r, "process-now", str_of(id), PUBLISH_EVERY_S, 1) > 1)
        return;
    if (!ledger_publish(req_db(r), id, "default", QUEUE_PRIORITY, jget_str(raw, "ProductName"),
                        jget_str(raw, "submitted_timestamp"), &err))
        log_event(LOG_WARN, "publish_failed", "a report that is looked at cannot be queued",
                  LOG_S("crash_id", id), LOG_E(&err));
}

/* Never kept by a browser: the next look at this address may be the report. */
static bool send_pending(struct req *r, const char *id, const json_t *raw, struct err *err)
{
    struct tpl_values *v = layout_new(r, &(struct layout){.title = "Please wait"});
    process_now(r, id, raw);
    tpl_cstr(v, "crash_id", id);
    tpl_int(v, "reload_seconds", RELOAD_S);
    resp_header(r, "Cache-Control", STR("no-store"));
    return layout_send(r, 200, "report_pending.html", v, err);
}

static void add_tab(struct tpl_rows *tabs, const char *id, const char *label, const char *count)
{
    struct tpl_row *row = tpl_row_add(tabs);
    tpl_col_cstr(row, TAB_ID, id);
    tpl_col_cstr(row, TAB_LABEL, label);
    tpl_col_cstr(row, TAB_COUNT, count);
}

/*
 * Tabs without content are left out, and those that this reader may not open: Debug shows whole
 * documents, so it takes both permissions that open parts of one.
 */
static void set_tabs(const struct report_page *c, struct tpl_values *v)
{
    struct tpl_rows *tabs = tpl_list(v, LIST_REPORT_TABS);
    const json_t *environment = jget_obj(c->doc, "telemetry_environment");
    bool may_debug = c->reader == PERM_PROTECTED && req_may(c->req, "view_rawdump");
    bool may_reprocess = req_may(c->req, "reprocess_crashes");
    size_t modules = json_array_size(jpath(c->doc, "json_dump.modules"));
    size_t wanted = report_wanted_symbols(c);
    size_t extensions = json_object_size(jpath(environment, "addons.activeAddons"));
    size_t addons = json_array_size(jget_arr(c->doc, "addons"));
    add_tab(tabs, "details", "Details", "");
    add_tab(tabs, "annotations", "Crash Annotations", "");
    add_tab(tabs, "bugzilla", "Bugs", "");
    add_tab(tabs, "modules", "Modules", modules ? human_count(c->a, (int64_t)modules) : "");
    if (wanted > 0)
        add_tab(tabs, "symbols", "Symbols", human_count(c->a, (int64_t)wanted));
    add_tab(tabs, "rawdump", "Raw Data and Minidumps", "");
    if (extensions + addons > 0)
        add_tab(tabs, "extensions", "Extensions",
                human_count(c->a, (int64_t)(extensions ? extensions : addons)));
    if (environment)
        add_tab(tabs, "telemetryenvironment", "Telemetry Environment", "");
    if (report_has_stack(c->doc))
        add_tab(tabs, "similar", "Similar crashes", "");
    if (jget_strn(c->doc, "signature").n > 0)
        add_tab(tabs, "correlation", "Correlations", "");
    if (may_debug)
        add_tab(tabs, "debug", "Debug", "");
    if (may_reprocess)
        add_tab(tabs, "reprocess", "Reprocess", "");
    tpl_bool(v, "has_debug", may_debug);
    tpl_bool(v, "may_reprocess", may_reprocess);
}

static void set_head(const struct report_page *c, struct tpl_values *v)
{
    const char *signature = jget_str(c->doc, "signature"), *product = jget_str(c->doc, "product");
    const char *version = jget_str(c->doc, "version");
    struct query q = query_new(c->a);
    query_addc(&q, "signature", signature ? signature : "");
    if (product)
        query_addc(&q, "product", product);
    tpl_cstr(v, "heading",
             arena_printf(c->a, "%s %s Crash Report", product ? product : "Unknown product",
                          version ? version : ""));
    tpl_cstr(v, "signature", signature);
    tpl_url(v, "signature_url", query_url(&q, "/signature/"));
    tpl_cstr(v, "crash_product", product ? product : "Unknown product");
    tpl_cstr(v, "crash_version", version);
    tpl_url(v, "version_url", layout_url(c->a, "/topcrashers/", product ? product : "", version));
    tpl_cstr(v, "og_title", arena_printf(c->a, "%s [@ %s]", c->id, signature ? signature : ""));
}

static void set_duplicate(const struct report_page *c, struct tpl_values *v)
{
    char id[CRASH_ID_SIZE];
    const char *original = jget_str(c->doc, "duplicate_of");
    bool is_known = jget_bool_or(c->doc, "is_duplicate", false) && original &&
                    crash_id_parse(str_of(original), id);
    tpl_bool(v, "is_duplicate", is_known);
    tpl_cstr(v, "original_id", is_known ? arena_strdup(c->a, id) : "");
    tpl_url(v, "original_url", is_known ? results_report_url(c->a, id) : STR("/"));
}

/* Lists change: what today's would say, for those who may act on it. */
static void set_new_signature(const struct report_page *c, struct tpl_values *v)
{
    const struct siglists *lists = NULL;
    struct err err = {0};
    tpl_cstr(v, "new_signature", "");
    if (c->reader != PERM_PROTECTED || !app_siglists(app_of(c->req), &lists, &err))
        return;
    json_auto_t *data = signature_crash_data(c->stored);
    struct signature_result result = {0};
    signature_generate(lists, data, &result);
    const char *now = json_string_value(result.signature), *was = jget_str(c->doc, "signature");
    if (now && (!was || strcmp(now, was) != 0))
        tpl_cstr(v, "new_signature", now);
    signature_result_release(&result);
}

static bool set_values(const struct report_page *c, struct tpl_values *v, struct err *err)
{
    set_head(c, v);
    set_duplicate(c, v);
    set_new_signature(c, v);
    set_tabs(c, v);
    report_set_findings(c, v);
    report_set_stacks(c, v);
    report_set_modules(c, v);
    report_set_symbols(c, v);
    report_set_annotations(c, v);
    report_set_trees(c, v);
    report_set_extensions(c, v);
    report_set_debug(c, v);
    report_offer_similar(c->a, c->id, c->doc, v);
    correlations_offer(c->a, c->doc, v);
    return report_set_details(c, v, err) && report_set_bugs(c, v, err) &&
           report_set_downloads(c, v, err);
}

/* The report may be of a product that is not configured any more: then the layout has none. */
static bool send_report(struct report_page *c, struct err *err)
{
    const char *product = jget_str(c->doc, "product"), *version = jget_str(c->doc, "version");
    const char *signature = jget_str(c->doc, "signature");
    c->product = product ? products_find(app_products(c->req), str_of(product)) : NULL;
    struct str shown = str_of(version);
    const struct layout layout = {
        .title = arena_printf(c->a, "%s - %s", signature ? signature : "Crash report", c->id),
        .product = c->product,
        .versions = {&shown, c->product && version ? 1 : 0},
    };
    struct tpl_values *v = layout_new(c->req, &layout);
    tpl_cstr(v, "crash_id", c->id);
    tpl_bool(v, "is_queued", req_flag(c->req, &report_is_queued));
    tpl_cstr(v, "processed_text", fmt_iso_time(c->a, jget_str(c->doc, "completed_datetime")));
    tpl_url(v, "report_url", results_report_url(c->a, c->id));
    return set_values(c, v, err) && layout_send(c->req, 200, "report.html", v, err);
}

/*
 * The reducer is the one way from a stored document to this page.  What it cannot walk, because it
 * is no object, is not shown in any part: nobody could say which of it is public.
 */
static bool reduce_and_send(struct report_page *c, struct err *err)
{
    if (!json_is_object(c->stored) || (c->raw && !json_is_object(c->raw)))
        return send_simple(c->req, 500, "report_malformed.html", "Crash Report Malformed", c->id,
                           err);
    json_auto_t *doc = reduce_processed(app_fields(c->req), c->stored, c->reader, NULL);
    json_auto_t *annotated =
        c->raw ? reduce_raw(app_fields(c->req), c->raw, c->reader, NULL) : json_object();
    c->doc = doc;
    c->annotations = annotated;
    return send_report(c, err);
}

/*
 * GET /report/index/CRASHID
 *
 * The report; while it is not processed a page that waits for it and puts it first in the queue.
 */
bool report_get(struct req *r, struct err *err)
{
    char id[CRASH_ID_SIZE];
    struct str text = req_path_rest(r);
    if (str_ends(text, STR("/")))
        text.n--;
    struct str bare = str_alower(req_arena(r), text);
    if (str_starts(bare, STR("bp-")))
        bare = str_sub(bare, 3, SIZE_MAX);
    if (!crash_id_parse(bare, id))
        return bad_id(bare, err);
    if (!str_eq(bare, text))
        return resp_redirect(r, 302, results_report_url(req_arena(r), id));

    json_auto_t *raw = NULL, *stored = NULL;
    if (!read_document(r, id, "raw_crash", &raw, err) ||
        !read_document(r, id, "processed_crash", &stored, err))
        return false;
    if (!raw && !stored)
        return send_simple(r, 404, "report_missing.html", "Crash Report Not Found", id, err);
    raw_crash_upgrade(raw);
    if (!stored)
        return send_pending(r, id, raw, err);
    struct report_page c = {.req = r,
                            .a = req_arena(r),
                            .id = arena_strdup(req_arena(r), id),
                            .raw = raw,
                            .stored = stored,
                            .reader = app_reader(r)};
    return reduce_and_send(&c, err);
}

static const struct param_spec reprocess_id = {"crash_id", PARAM_CRASH_ID, PARAM_REQUIRED,
                                               .refusal = "Invalid crash ID",
                                               .help = "which report"};
const struct param_spec *const report_reprocess_params[] = {&reprocess_id, NULL};

/* POST /report/reprocess/: the button of the page, for readers without scripts too. */
bool report_reprocess_post(struct req *r, struct err *err)
{
    const char *id = req_crash_id(r, &reprocess_id);
    if (!ledger_publish(req_db(r), id, "default", QUEUE_REPROCESSING, NULL, NULL, err))
        return err_wrap(err, "queueing a report");
    site_audit(r, "crash", id, "reprocess", "default");
    struct str url = results_report_url(req_arena(r), id);
    return resp_redirect(
        r, 303,
        str_of(arena_printf(req_arena(r), STR_FMT "?%s=1", STR_ARG(url), report_is_queued.name)));
}
