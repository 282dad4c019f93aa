/*
 * Crashes that are like one crash, for programs and as a part of its page.  What is compared and
 * answered is public, whoever asks, so there is one answer for all readers.
 *
 * The part of the page is fetched by a script when somebody opens it; for those without scripts it
 * is a page of its own.  Both are made here.
 */
#include "fcgi/webapp/report_similar.h"

#include "fcgi/webapp/answer.h"
#include "fcgi/webapp/fmt.h"
#include "fcgi/webapp/layout.h"
#include "fcgi/webapp/pages.h"
#include "fcgi/webapp/results.h"
#include "fcgi/webapp/url_query.h"
#include "fcgi/webapp/webapp.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/correlations/similar.h"
#include "lib/crash/reduce.h"
#include "lib/json/json.h"
#include "lib/search/search.h"
#include "lib/store/store.h"
#include "lib/tpl/tpl.h"
#include "lib/web/human.h"
#include "lib/web/param_spec.h"
#include "lib/web/web.h"
#include "rows.h"

enum { DOCUMENT_MAX = 64 << 20 }; /* as much as the report page reads of one document */

/* clang-format off */
static const struct param_spec
    crash_id = {"crash_id", PARAM_CRASH_ID, PARAM_REQUIRED, .refusal = API_BAD_VALUE("crash_id"), .help = "Crash id of a processed crash"},
    number = {"number", PARAM_INT, .max = SIMILAR_HITS_MAX, .fallback = "20", .refusal = API_BAD_VALUE("number"), .help = "How many crashes are listed, at most 100"},
    part = {"part", PARAM_FLAG, .help = "without what stands around it on a page"};
/* clang-format on */
const struct param_spec *const api_similar_crashes_params[] = {&crash_id, &number, NULL};
const struct param_spec *const report_similar_params[] = {&crash_id, &part, NULL};

/* ERR_NOT_FOUND: there is no processed crash of that id. */
static bool find_similar(struct req *r, const char *id, size_t n, json_t **ret, struct err *err)
{
    struct index_reader *index;
    struct search_context ctx;
    const struct siglists *lists;
    json_auto_t *stored =
        store_get_json(app_of(r)->store, id, "processed_crash", DOCUMENT_MAX, err);
    if (!stored)
        return false;
    json_auto_t *doc = reduce_processed(app_fields(r), stored, PERM_PUBLIC, NULL);
    return app_siglists(app_of(r), &lists, err) &&
           app_search_begin(r, (struct app_search){.as_public = true}, &index, &ctx, err) &&
           similar_find(index, &ctx, lists, doc, n, ret, err);
}

/* GET /api/SimilarCrashes/ */
bool api_similar_crashes_get(struct req *r, struct err *err)
{
    const char *id = req_crash_id(r, &crash_id);
    json_auto_t *document = NULL;
    struct err why = {0};
    if (find_similar(r, id, (size_t)req_int(r, &number), &document, &why))
        return answer_json_cached(r, document, err);
    if (why.code == ERR_NOT_FOUND)
        return answer_error(r, 404, "Not found: CrashIDNotFound %s", id);
    if (why.code == ERR_INVALID)
        return answer_error(r, 400, "Bad request: BadArgumentError: %s", why.msg);
    *err = why;
    return false;
}

static const char *percent(struct arena *a, const json_t *holder)
{
    return arena_printf(a, "%.0f", 100 * json_number_value(json_object_get(holder, "overlap")));
}

static void set_signatures(struct arena *a, struct tpl_values *v, const json_t *list)
{
    struct tpl_rows *rows = tpl_list(v, LIST_SIMILAR_SIGNATURES);
    const json_t *s;
    size_t i;
    json_array_foreach (list, i, s) {
        struct tpl_row *row = tpl_row_add(rows);
        struct query q = query_new(a);
        query_add(&q, "signature", jget_strn(s, "signature"));
        tpl_col_text(row, SIMILAR_SIGNATURE_TEXT, jget_strn(s, "signature"));
        tpl_col_url(row, SIMILAR_SIGNATURE_URL, query_url(&q, "/signature/"));
        tpl_col_cstr(row, SIMILAR_SIGNATURE_COUNT, human_count(a, jget_int_or(s, "count", 0)));
        tpl_col_cstr(row, SIMILAR_SIGNATURE_PERCENT, percent(a, s));
    }
}

static void set_crashes(struct arena *a, struct tpl_values *v, const json_t *document)
{
    struct tpl_rows *rows = tpl_list(v, LIST_SIMILAR_CRASHES);
    struct str key = jget_strn(document, "cluster_key");
    const json_t *hit;
    size_t i;
    json_array_foreach (jget_arr(document, "hits"), i, hit) {
        struct tpl_row *row = tpl_row_add(rows);
        const char *id = jget_str(hit, "uuid"), *product = jget_str(hit, "product");
        const char *version = jget_str(hit, "version"), *date = jget_str(hit, "date");
        tpl_col_cstr(row, SIMILAR_CRASH_ID, id);
        tpl_col_url(row, SIMILAR_CRASH_URL, results_report_url(a, id));
        tpl_col_cstr(row, SIMILAR_CRASH_SIGNATURE, jget_str(hit, "signature"));
        tpl_col_cstr(row, SIMILAR_CRASH_PRODUCT,
                     arena_printf(a, "%s %s", product ? product : "", version ? version : ""));
        tpl_col_cstr(row, SIMILAR_CRASH_DATE, fmt_iso_time(a, date ? date : ""));
        tpl_col_cstr(row, SIMILAR_CRASH_PERCENT, percent(a, hit));
        tpl_col_bool(row, SIMILAR_CRASH_IS_OF_CLUSTER,
                     key.n > 0 && str_eq(jget_strn(hit, "cluster_key"), key));
    }
}

static void set_similar(struct arena *a, struct tpl_values *v, const json_t *document)
{
    static const struct {
        const char *value, *key;
    } numbers[] = {{"similar_functions", "functions"},
                   {"similar_candidates", "candidates"},
                   {"similar_compared", "compared"},
                   {"similar_in_cluster", "in_cluster"}};
    struct query q = query_new(a);
    struct str key = jget_strn(document, "cluster_key");
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        tpl_cstr(v, numbers[i].value, human_count(a, jget_int_or(document, numbers[i].key, 0)));
    query_add(&q, "cluster_key", str_of(arena_printf(a, "=" STR_FMT, STR_ARG(key))));
    query_addf(&q, "date", ">=-%dd", (int)SIMILAR_DAYS);
    tpl_int(v, "similar_days", SIMILAR_DAYS);
    tpl_bool(v, "similar_has_cluster", key.n > 0);
    tpl_url(v, "similar_cluster_url", query_url(&q, "/search/"));
    tpl_bool(v, "similar_has_functions", jget_int_or(document, "functions", 0) > 0);
    tpl_bool(v, "similar_found", json_array_size(jget_arr(document, "hits")) > 0);
    tpl_bool(v, "similar_is_chosen",
             jget_int_or(document, "compared", 0) < jget_int_or(document, "candidates", 0));
    tpl_bool(v, "similar_incomplete", json_array_size(jget_arr(document, "errors")) > 0);
    set_signatures(a, v, jget_arr(document, "signatures"));
    set_crashes(a, v, document);
}

/* GET /report/similar/ */
bool report_similar_get(struct req *r, struct err *err)
{
    const char *id = req_crash_id(r, &crash_id);
    struct arena *a = req_arena(r);
    json_auto_t *document = NULL;
    if (!find_similar(r, id, SIMILAR_HITS_DEFAULT, &document, err))
        return false;
    bool is_part = req_flag(r, &part);
    struct tpl_values *v =
        is_part
            ? tpl_values_new(a)
            : layout_new(r, &(struct layout){.title = arena_printf(a, "Similar crashes - %s", id)});
    set_similar(a, v, document);
    tpl_cstr(v, "crash_id", id);
    tpl_url(v, "report_url", results_report_url(a, id));
    return layout_send(r, 200, is_part ? "report_similar_part.html" : "report_similar.html", v,
                       err);
}

bool report_has_stack(const json_t *doc)
{
    return json_array_size(jpath(doc, "json_dump.crashing_thread.frames")) > 0;
}

void report_offer_similar(struct arena *a, const char *id, const json_t *doc, struct tpl_values *v)
{
    struct query q = query_new(a);
    query_addc(&q, "crash_id", id);
    tpl_bool(v, "has_similar", report_has_stack(doc));
    tpl_url(v, "similar_url", query_url(&q, "/report/similar/"));
    query_addc(&q, "part", "1");
    tpl_url(v, "similar_load_url", query_url(&q, "/report/similar/"));
}
