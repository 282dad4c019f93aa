/*
 * The smaller endpoints: bugs, first dates, versions, queueing.  Lists of rows come as {"hits":
 * […], "total": N}, the shape that clients of Crash Stats read; total is the number of hits in this
 * answer.
 */
#include "fcgi/webapp/answer.h"
#include "fcgi/webapp/webapp.h"
#include "fcgi/webapp/pages.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/builds.h"
#include "lib/crash/crash_id.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/ledger/ledger.h"
#include "lib/signature/signature.h"
#include "lib/web/param_spec.h"
#include "lib/web/site.h"
#include "lib/web/web.h"
#include "queries.h"

/*
 * PER_PAGE is promised in docs/api.md.  BODY_MAX is above the 4 MiB that nginx lets through for
 * crash data (nginx/host.conf.in) and holds where another server is in front.  JOBS_MAX keeps one
 * call from occupying a worker: more are for crashsig on the command line.
 */
enum { PER_PAGE = 1000, BODY_MAX = 16 << 20, JOBS_MAX = 1000 };

/* One call of a build system has the builds of a release; 10,000 are a megabyte. */
enum { BUILDS_MAX = 10000 };

/* Lists must be sent; an empty value among others comes from a form with a field too many. */
enum { LIST = PARAM_REQUIRED | PARAM_SKIP_EMPTY };

/* clang-format off */
static const struct param_spec
    signatures = {"signatures", PARAM_LIST, LIST, .help = "Crash signatures"},
    bug_ids = {"bug_ids", PARAM_INT_LIST, LIST, .max = INT64_MAX,
               .refusal = API_BAD_VALUE("bug_ids"), .help = "Bug numbers"},
    product = {"product", PARAM_TEXT, PARAM_REQUIRED, .help = "Product"},
    channel = {"channel", PARAM_TEXT, PARAM_REQUIRED, .help = "Release channel"},
    build_id = {"build_id", PARAM_TEXT, PARAM_REQUIRED, .help = "Build id"},
    /* Each is taken apart by hand: what is said of a bad one quotes it. */
    crash_ids = {"crash_ids", PARAM_LIST, LIST,
                 .help = "Crash ids; each may end with :RULESET (default, regenerate_signature)"},
    page = {"page", PARAM_INT, .min = 1, .max = 1000000, .fallback = "1",
            .refusal = "invalid page number", .help = "From 1; 1000 a page"},
    tried_product = {"product", PARAM_TEXT, PARAM_REQUIRED, .help = "Any product but bad"};
/* clang-format on */

const struct param_spec *const api_signatures_params[] = {&signatures, NULL};
const struct param_spec *const api_signatures_by_bugs_params[] = {&bug_ids, NULL};
const struct param_spec *const api_version_string_params[] = {&product, &channel, &build_id, NULL};
const struct param_spec *const api_reprocessing_params[] = {&crash_ids, NULL};
const struct param_spec *const api_missing_processed_crash_params[] = {&page, NULL};
const struct param_spec *const api_no_op_params[] = {&tried_product, NULL};

/* Takes `hits`. */
static bool answer_hits(struct req *r, json_t *hits, struct err *err)
{
    json_auto_t *body = json_object();
    jset_int(body, "total", (int64_t)json_array_size(hits));
    json_object_set_new(body, "hits", hits);
    return answer_json_cached(r, body, err);
}

/* Two queries have these columns, in places of their own; one bug may stand in many hits. */
static json_t *bug_hits(const struct db_rows *rows, int id_column, int signature_column)
{
    json_t *hits = json_array();
    for (int i = 0; i < rows->count; i++) {
        json_t *hit = json_object();
        jset_int(hit, "id", db_col_int(rows, i, id_column, 0));
        jset_cstr(hit, "signature", db_col(rows, i, signature_column));
        json_array_append_new(hits, hit);
    }
    return hits;
}

/*
 * GET, POST /api/Bugs/?signatures=: not only the bugs of these signatures but all signatures of
 * those bugs, since people want to see what else a bug covers.  POST is for lists too long for an
 * address.
 */
bool api_bugs_get(struct req *r, struct err *err)
{
    DB_ROWS rows = {0};
    if (!DB_RUN(req_db(r), &q_web_bugs_related, &rows, err,
                db_text_array(req_arena(r), req_list(r, &signatures)),
                db_bool(req_user(r)->is_logged_in)))
        return err_wrap(err, "looking up bugs");
    return answer_hits(
        r, bug_hits(&rows, Q_WEB_BUGS_RELATED_COL_BUG_ID, Q_WEB_BUGS_RELATED_COL_SIGNATURE), err);
}

/* GET /api/SignaturesByBugs/?bug_ids= */
bool api_signatures_by_bugs_get(struct req *r, struct err *err)
{
    DB_ROWS rows = {0};
    if (!DB_RUN(req_db(r), &q_web_signatures_by_bugs, &rows, err,
                db_text_array(req_arena(r), req_list(r, &bug_ids)),
                db_bool(req_user(r)->is_logged_in)))
        return err_wrap(err, "looking up signatures");
    return answer_hits(r,
                       bug_hits(&rows, Q_WEB_SIGNATURES_BY_BUGS_COL_BUG_ID,
                                Q_WEB_SIGNATURES_BY_BUGS_COL_SIGNATURE),
                       err);
}

/* GET /api/SignatureFirstDate/?signatures=: unknown ones are left out. */
bool api_signature_first_date_get(struct req *r, struct err *err)
{
    struct strs wanted = req_list(r, &signatures);
    DB_ROWS rows = {0};
    if (!DB_RUN(req_db(r), &q_web_first_dates, &rows, err, db_text_array(req_arena(r), wanted)))
        return err_wrap(err, "looking up %zu signatures", wanted.n);
    json_t *hits = json_array();
    static const enum q_web_first_dates_col columns[] = {Q_WEB_FIRST_DATES_COL_SIGNATURE,
                                                         Q_WEB_FIRST_DATES_COL_FIRST_DATE,
                                                         Q_WEB_FIRST_DATES_COL_FIRST_BUILD};
    for (int i = 0; i < rows.count; i++) {
        json_t *hit = json_object();
        for (size_t k = 0; k < ARRAY_LEN(columns); k++)
            jset_cstr(hit, db_col_name(columns[k]), db_col(&rows, i, columns[k]));
        json_array_append_new(hits, hit);
    }
    return answer_hits(r, hits, err);
}

/* Betas of aurora and beta come with release candidates; only one kind of them is wanted. */
static bool keep_version(const struct db_rows *rows, int i, bool is_beta_channel)
{
    bool first_is_beta =
        strchr(db_col(rows, 0, Q_WEB_VERSION_STRING_COL_VERSION_STRING), 'b') != NULL;
    bool is_rc = strstr(db_col(rows, i, Q_WEB_VERSION_STRING_COL_VERSION_STRING), "rc") != NULL;
    return !is_beta_channel || is_rc != first_is_beta;
}

/*
 * GET /api/VersionString/?product=&channel=&build_id=.  The table is that which the processor asks
 * (processor/version_cache.c), so what this answers is what reports of that build are given.
 */
bool api_version_string_get(struct req *r, struct err *err)
{
    struct str name = req_text(r, &channel);
    struct arena *a = req_arena(r);
    DB_ROWS rows = {0};
    if (!DB_RUN(req_db(r), &q_web_version_string, &rows, err, str_adup(a, req_text(r, &product)),
                str_adup(a, name), str_adup(a, req_text(r, &build_id))))
        return err_wrap(err, "looking up a version");
    bool is_beta = str_eq_nocase(name, STR("beta")) || str_eq_nocase(name, STR("aurora"));
    json_t *hits = json_array();
    for (int i = 0; i < rows.count; i++)
        if (keep_version(&rows, i, is_beta))
            json_array_append_new(
                hits, json_pack("{s:s}", "version_string",
                                db_col(&rows, i, Q_WEB_VERSION_STRING_COL_VERSION_STRING)));
    return answer_hits(r, hits, err);
}

/*
 * POST /api/ProductVersions/: a build system registers its builds, as CSV or JSON, so that reports
 * of a beta get its number whatever product it is.  Who may send the symbols of a build may also
 * say what it is: it is the same program that does both.  What is there already is skipped, so a
 * call whose answer was lost may be sent again.
 */
bool api_product_versions_post(struct req *r, struct err *err)
{
    struct str body, type = req_header(r, "Content-Type");
    struct builds builds;
    struct err why = {0};
    int64_t added;
    bool is_csv = str_starts_nocase(type, STR("text/csv"));
    if (!is_csv && !str_starts_nocase(type, STR("application/json")))
        return answer_error(r, 415, "Unsupported Media Type");
    if (!req_body(r, BODY_MAX, &body, err))
        return false;
    builds_init(&builds, req_arena(r), BUILDS_MAX);
    if (!(is_csv ? builds_read_csv : builds_read_json)(&builds, body, &why))
        return answer_error(r, why.code == ERR_TOO_LARGE ? 413 : 400,
                            "Bad request: BadArgumentError: %s", why.msg);
    if (builds.columns[0].n == 0)
        return answer_error(r, 400, "Bad request: BadArgumentError: no builds");
    if (!builds_put(&builds, req_db(r), &added, err))
        return err_wrap(err, "registering builds");
    if (added > 0)
        site_audit(r, "product version", str_adup(req_arena(r), builds.columns[BUILD_PRODUCT].v[0]),
                   "add", arena_printf(req_arena(r), "%lld builds", (long long)added));
    json_auto_t *answer = json_object();
    jset_int(answer, "found", (int64_t)builds.columns[0].n);
    jset_int(answer, "inserted", added);
    return answer_json(r, 200, answer, err);
}

/* The two that processing knows: all rules, or only that of the signature. */
static bool is_ruleset(struct str name)
{
    return str_eq(name, STR("default")) || str_eq(name, STR("regenerate_signature"));
}

/*
 * ID or ID:RULESET.  False: answered.  The text quotes what was sent, 80 bytes of it, so that a
 * client with hundreds of ids in one call learns which one is wrong.
 */
static bool read_entry(struct req *r, struct str text, struct ledger_entry *ret)
{
    char id[CRASH_ID_SIZE];
    size_t colon = str_find_char(text, ':', 0);
    struct str ruleset = colon == SIZE_MAX ? STR("default") : str_sub(text, colon + 1, SIZE_MAX);
    struct str shown = str_sub(str_sub(text, 0, colon), 0, 80);
    if (!crash_id_parse(str_sub(text, 0, colon), id)) {
        answer_error(r, 400, "Bad request: BadArgumentError: Crash id '" STR_FMT "' is not valid.",
                     STR_ARG(shown));
        return false;
    }
    if (!is_ruleset(ruleset)) {
        answer_error(r, 400, "Bad request: BadArgumentError: Ruleset '" STR_FMT "' is not valid.",
                     STR_ARG(str_sub(ruleset, 0, 80)));
        return false;
    }
    *ret = (struct ledger_entry){.crash_id = arena_strdup(req_arena(r), id),
                                 .ruleset = str_adup(req_arena(r), ruleset),
                                 .queue = QUEUE_REPROCESSING};
    return true;
}

/*
 * POST /api/Reprocessing/ crash_ids=: all are checked before any is queued, so a call that is
 * refused has done nothing and may be sent again whole.  Queued in batches of what the ledger takes
 * in one transaction; a failure between two leaves the first queued, which does no harm, for a
 * report may be processed as often as anybody likes.
 */
bool api_reprocessing_post(struct req *r, struct err *err)
{
    struct strs ids = req_list(r, &crash_ids);
    struct ledger_entry *entries = arena_array(req_arena(r), ids.n, sizeof *entries);
    for (size_t i = 0; i < ids.n; i++)
        if (!read_entry(r, str_trim(ids.v[i]), &entries[i]))
            return true;
    for (size_t i = 0; i < ids.n; i += LEDGER_BATCH_MAX)
        if (!ledger_publish_all(req_db(r), entries + i, MIN(ids.n - i, (size_t)LEDGER_BATCH_MAX),
                                err))
            return err_wrap(err, "queueing %zu reports", ids.n);
    for (size_t i = 0; i < ids.n; i++)
        site_audit(r, "crash", entries[i].crash_id, "reprocess", entries[i].ruleset);
    json_auto_t *body = json_true();
    return answer_json(r, 200, body, err);
}

/* The same code as the processor's: what this answers is what a report would get. */
static json_t *signature_json(const struct siglists *lists, const json_t *job)
{
    struct signature_result s = {0};
    json_t *out = json_object();
    signature_generate(lists, job, &s);
    json_object_set(out, "signature", s.signature);
    json_object_set(out, "notes", s.notes);
    json_object_set(out, "extra", s.extra);
    signature_result_release(&s);
    return out;
}

/*
 * POST /api/CrashSignature/ {"jobs": [crash data, …]}.  Another type of body is a 415 before it is
 * read; no jobs at all is a mistake of the caller (400), since an empty answer would hide it.
 */
bool api_crash_signature_post(struct req *r, struct err *err)
{
    struct str body;
    const struct siglists *lists;
    struct str type = req_header(r, "Content-Type");
    if (!str_starts_nocase(type, STR("application/json")))
        return answer_error(r, 415, "Unsupported Media Type");
    if (!req_body(r, BODY_MAX, &body, err))
        return false;
    json_auto_t *sent = jparse(body, BODY_MAX, err);
    const json_t *jobs = jget_arr(sent, "jobs");
    if (!sent || json_array_size(jobs) == 0)
        return answer_error(r, 400, "no jobs specified");
    if (json_array_size(jobs) > JOBS_MAX)
        return answer_error(r, 400, "more than %d jobs", JOBS_MAX);
    if (!app_siglists(app_of(r), &lists, err))
        return false;
    json_auto_t *answer = json_object();
    json_t *results = json_array();
    json_object_set_new(answer, "results", results);
    size_t i;
    const json_t *job;
    json_array_foreach (jobs, i, job)
        json_array_append_new(results, signature_json(lists, job));
    return answer_json(r, 200, answer, err);
}

/* Absolute, or null where there is none: clients follow "next" until it is null. */
static void set_page_link(struct req *r, json_t *body, const char *key, int64_t number, bool exists)
{
    if (exists)
        jset_cstr(body, key,
                  arena_printf(req_arena(r), "%s/api/MissingProcessedCrash/?page=%lld",
                               app_of(r)->base_url, (long long)number));
    else
        jset_null(body, key);
}

/*
 * GET /api/MissingProcessedCrash/?page=.  In the order of being found, which does not change, so a
 * client that turns pages misses none while rows are added at the end.
 */
bool api_missing_processed_crash_get(struct req *r, struct err *err)
{
    int64_t number = req_int(r, &page);
    DB_ROWS rows = {0};
    DB_ROWS count = {0};
    if (!DB_RUN(req_db(r), &q_web_missing_processed_count, &count, err) ||
        !DB_RUN(req_db(r), &q_web_missing_processed, &rows, err, db_int(req_arena(r), PER_PAGE),
                db_int(req_arena(r), (number - 1) * PER_PAGE)))
        return err_wrap(err, "listing missing crashes");
    int64_t total = db_col_int(&count, 0, Q_WEB_MISSING_PROCESSED_COUNT_COL_N, 0);
    json_auto_t *body = json_object();
    json_t *results = json_array();
    for (int i = 0; i < rows.count; i++) {
        json_t *row = json_object();
        jset_cstr(row, "crash_id", db_col(&rows, i, Q_WEB_MISSING_PROCESSED_COL_CRASH_ID));
        jset_bool(row, "is_processed",
                  db_col_bool(&rows, i, Q_WEB_MISSING_PROCESSED_COL_IS_PROCESSED));
        jset_cstr(row, "created", db_col(&rows, i, Q_WEB_MISSING_PROCESSED_COL_CREATED));
        json_array_append_new(results, row);
    }
    json_object_set_new(body, "results", results);
    jset_int(body, "count", total);
    set_page_link(r, body, "next", number + 1, number * PER_PAGE < total);
    set_page_link(r, body, "previous", number - 1, number > 1);
    return answer_json_cached(r, body, err);
}

/*
 * GET /api/NoOp/?product=.  Needs nothing behind it, and "bad" gives an error on purpose: for tests
 * of clients, of their error paths too.
 */
bool api_no_op_get(struct req *r, struct err *err)
{
    if (str_eq(req_text(r, &tried_product), STR("bad")))
        return answer_error(r, 400, API_BAD_VALUE("Bad product"));
    return answer_hits(r, json_array(), err);
}
