#include "fcgi/webapp/routes.h"

#include "fcgi/webapp/pages.h"
#include "lib/base/util.h"

/*
 * Everything that exists.  Log-in, permissions, rate limits and CSRF tokens are checked by the
 * runner before a handler runs, by what stands here.
 */
enum {
    GET = METHOD_GET,
    POST = METHOD_POST,
    API = ROUTE_API,
    BELOW = ROUTE_PREFIX,
    QUIET = ROUTE_NO_SESSION,
    SEARCHES = ROUTE_BROWSE, /* by itself, when it is opened */
};

/* clang-format off */
const struct route routes[] = {
    {GET, "/", SEARCHES, NULL, home_get, "products with their reports of the last 7 days"},
    {GET, "/home/product/", SEARCHES | BELOW, NULL, product_get, "one product: reports per day, versions, top signatures"},

    {GET, "/search/", ROUTE_SEARCH, NULL, search_get, "Super Search: form and results"},
    {GET, "/search/results/", ROUTE_SEARCH, NULL, search_results_get, "results alone"},
    {GET, "/search/fields/", 0, NULL, search_fields_get, "fields and operators of the form (JSON)"},
    {GET, "/search/quick/", 0, NULL, search_quick_get, "crash id or part of a signature"},

    {GET, "/report/index/", SEARCHES | BELOW, NULL, report_get, "one crash report"},
    {POST, "/report/reprocess/", 0, "reprocess_crashes", report_reprocess_post, "button of the report page"},
    {GET, "/topcrashers/", SEARCHES, NULL, topcrashers_get, "signatures of a product by count"},

    {GET, "/signature/", SEARCHES, NULL, signature_get, "one signature"},
    {GET, "/signature/summary/", SEARCHES, NULL, signature_summary_get, "its panels alone"},
    {GET, "/signature/reports/", SEARCHES, NULL, signature_reports_get, "its table of reports alone"},
    {GET, "/signature/bugzilla/", SEARCHES, NULL, signature_bugs_get, "its bugs alone"},
    {GET, "/signature/comments/", SEARCHES, NULL, signature_comments_get, "what users wrote (view_pii)"},
    {GET, "/signature/graphs/", SEARCHES | BELOW, NULL, signature_graph_get, "crashes per day by a field (JSON)"},
    {GET, "/signature/aggregation/", SEARCHES | BELOW, NULL, signature_aggregation_get, "counts of a field"},

    {GET, "/login/", 0, NULL, login_get, "log-in form"},
    {POST, "/login/", 0, NULL, login_post, "log-in"},
    {POST, "/logout/", 0, NULL, logout_post, "log-out"},
    {GET, "/profile/", ROUTE_LOGIN, NULL, profile_get, "what the user may do"},

    {GET, "/api/tokens/", ROUTE_LOGIN, NULL, tokens_get, "API tokens of the user"},
    {POST, "/api/tokens/", ROUTE_LOGIN, NULL, tokens_post, "a new token; its key is shown once"},
    {POST, "/api/tokens/delete/", ROUTE_LOGIN | BELOW, NULL, tokens_delete_post, "remove a token"},
    {GET, "/siteadmin/", ROUTE_LOGIN, NULL, admin_get, "state of the installation (superusers)"},
    {POST, "/siteadmin/notice/", ROUTE_LOGIN, NULL, admin_notice_post, "a new status notice"},
    {POST, "/siteadmin/notice/set/", ROUTE_LOGIN, NULL, admin_notice_set_post, "show or hide a notice"},

    {GET, "/api/", 0, NULL, api_docs_get, "endpoints with forms to try them"},
    {GET | POST, "/api/", API | BELOW, NULL, api_unknown_get, "anything else: 404"},
    {GET, "/api/SuperSearch/", API, NULL, api_super_search_get, "search"},
    {GET, "/api/SuperSearchUnredacted/", API, "view_pii", api_super_search_unredacted_get, "search with protected fields"},
    {GET, "/api/SuperSearchFields/", API, NULL, api_super_search_fields_get, "search fields"},
    {GET, "/api/ProcessedCrash/", API, NULL, api_processed_crash_get, "a processed crash"},
    {GET, "/api/RawCrash/", API, NULL, api_raw_crash_get, "annotations or a file of a crash"},
    {GET, "/api/CrashVerify/", API, NULL, api_crash_verify_get, "which parts of a crash are stored"},
    {GET | POST, "/api/Bugs/", API | ROUTE_NO_CSRF, NULL, api_bugs_get, "bugs and signatures by signature"},
    {GET, "/api/SignaturesByBugs/", API, NULL, api_signatures_by_bugs_get, "signatures by bug"},
    {GET, "/api/SignatureFirstDate/", API, NULL, api_signature_first_date_get, "when signatures were first seen"},
    {GET, "/api/VersionString/", API, NULL, api_version_string_get, "version of a build"},
    {POST, "/api/Reprocessing/", API, "reprocess_crashes", api_reprocessing_post, "queue crashes again"},
    {POST, "/api/CrashSignature/", API | ROUTE_NO_CSRF, NULL, api_crash_signature_post, "signatures of crash data"},
    {GET, "/api/MissingProcessedCrash/", API, NULL, api_missing_processed_crash_get, "accepted and not processed"},
    {GET, "/api/NoOp/", API, NULL, api_no_op_get, "nothing"},

    {GET, "/documentation/", 0, NULL, help_get, "help"},
    {GET, "/documentation/supersearch/", 0, NULL, help_search_get, "how to search; all fields"},
    {GET, "/documentation/supersearch/examples/", 0, NULL, help_search_get, "the same page"},
    {GET, "/documentation/supersearch/api/", 0, NULL, help_search_get, "the same page"},
    {GET, "/documentation/protected_data_access/", 0, NULL, help_protected_get, "what protected data is"},
    {GET, "/documentation/memory_dump_access/", 0, NULL, help_memory_get, "old address"},
    {GET, "/documentation/products/", 0, NULL, help_products_get, "adding a product"},
    {GET, "/documentation/datadictionary/", 0, NULL, dictionary_get, "annotations and fields"},
    {GET, "/documentation/datadictionary/dataset/", SEARCHES | BELOW, NULL, dictionary_field_get, "one of them"},
    {GET, "/about/throttling/", 0, NULL, throttling_get, "why a report may be missing"},
    {GET, "/monitoring/", 0, NULL, monitoring_get, "links of this section"},
    {GET, "/monitoring/cron/", QUIET, NULL, monitoring_cron_get, "state of the scheduled jobs"},
    {GET, "/__heartbeat__", QUIET, NULL, heartbeat_get, "database, store and search answer"},
    {GET, "/__lbheartbeat__", QUIET, NULL, lbheartbeat_get, "this program answers"},
    {GET, "/__version__", QUIET, NULL, version_get, "what is installed"},
    {GET, "/__broken__", ROUTE_LOCAL, NULL, broken_get, "an error on purpose, to see that errors are noticed"},
    {POST, "/__cspreport__", QUIET | ROUTE_NO_CSRF | ROUTE_RAW_BODY, NULL, csp_report_post, "reports of browsers"},
    {GET, "/robots.txt", QUIET, NULL, robots_get, ""},
    {GET, "/favicon.ico", QUIET, NULL, favicon_get, ""},
    {GET, "/contribute.json", QUIET, NULL, contribute_get, ""},
    {GET, "/query/", BELOW, NULL, old_query_get, "old address of the search"},
    {GET, "/your-crashes/", 0, NULL, old_profile_get, "old address of the profile"},
    {GET, "/permissions/", 0, NULL, old_profile_get, "old address of the profile"},
};
/* clang-format on */

const size_t route_count = ARRAY_LEN(routes);
