/*
 * Everything that exists.  Log-in, permissions, rate limits, CSRF tokens and parameters are checked
 * by the runner before a handler runs, by what stands here.  The lists of parameters are declared
 * beside the handlers (lib/web/param_spec.h); the page /api/ is made from the rows of the API.
 */
#include "fcgi/webapp/routes.h"

#include "fcgi/webapp/pages.h"
#include "lib/base/util.h"
#include "lib/web/health.h"
#include "lib/web/site.h"

enum {
    GET = METHOD_GET,
    POST = METHOD_POST,
    API = ROUTE_API,
    BELOW = ROUTE_PREFIX,
    QUIET = ROUTE_NO_SESSION,
    SEARCHES = ROUTE_BROWSE, /* by itself, when it is opened */
    OWN_REFUSAL = ROUTE_OWN_REFUSAL,
    ADMIN = ROUTE_LOGIN | ROUTE_SUPERUSER,
};

/* clang-format off */
const struct route routes[] = {
    {GET, "/", SEARCHES, NULL, home_get, NULL, "products with their reports of the last 7 days"},
    {GET, "/home/product/", SEARCHES | BELOW, NULL, product_get, NULL, "one product: reports per day, versions, top signatures"},

    {GET, "/search/", ROUTE_SEARCH | OWN_REFUSAL, NULL, search_get, search_params, "Super Search: form and results"},
    {GET, "/search/results/", ROUTE_SEARCH | OWN_REFUSAL, NULL, search_results_get, search_results_params, "results alone"},
    {GET, "/search/fields/", 0, NULL, search_fields_get, search_fields_params, "fields and operators of the form (JSON)"},
    {GET, "/search/quick/", 0, NULL, search_quick_get, search_quick_params, "crash id or part of a signature"},

    {GET, "/report/index/", SEARCHES | BELOW, NULL, report_get, report_params, "one crash report"},
    {GET, "/report/similar/", SEARCHES, NULL, report_similar_get, report_similar_params, "crashes with a similar stack"},
    {POST, "/report/reprocess/", 0, "reprocess_crashes", report_reprocess_post, report_reprocess_params, "button of the report page"},
    {GET, "/topcrashers/", SEARCHES | OWN_REFUSAL, NULL, topcrashers_get, topcrashers_params, "signatures of a product by count"},

    {GET, "/signature/", SEARCHES | OWN_REFUSAL, NULL, signature_get, signature_params, "one signature"},
    {GET, "/signature/summary/", SEARCHES | OWN_REFUSAL, NULL, signature_summary_get, signature_params, "its panels alone"},
    {GET, "/signature/reports/", SEARCHES | OWN_REFUSAL, NULL, signature_reports_get, signature_params, "its table of reports alone"},
    {GET, "/signature/bugzilla/", SEARCHES | OWN_REFUSAL, NULL, signature_bugs_get, signature_params, "its bugs alone"},
    {GET, "/signature/comments/", SEARCHES | OWN_REFUSAL, NULL, signature_comments_get, signature_params, "what users wrote (view_pii)"},
    {GET, "/signature/correlations/", SEARCHES | OWN_REFUSAL, NULL, signature_correlations_get, signature_params, "what is special about its crashes"},
    {GET, "/signature/graphs/", SEARCHES | BELOW | OWN_REFUSAL, NULL, signature_graph_get, signature_params, "crashes per day by a field (JSON)"},
    {GET, "/signature/aggregation/", SEARCHES | BELOW | OWN_REFUSAL, NULL, signature_aggregation_get, signature_params, "counts of a field"},

    {GET, "/login/", 0, NULL, login_get, login_get_params, "log-in form"},
    {POST, "/login/", OWN_REFUSAL, NULL, login_post, login_post_params, "log-in"},
    {POST, "/logout/", 0, NULL, logout_post, NULL, "log-out"},
    {GET, "/profile/", ROUTE_LOGIN, NULL, profile_get, NULL, "what the user may do"},

    {GET, "/api/tokens/", ROUTE_LOGIN, NULL, tokens_get, NULL, "API tokens of the user"},
    {POST, "/api/tokens/", ROUTE_LOGIN | OWN_REFUSAL, NULL, tokens_post, tokens_post_params, "a new token; its key is shown once"},
    {POST, "/api/tokens/delete/", ROUTE_LOGIN | BELOW, NULL, tokens_delete_post, NULL, "remove a token"},

    {GET, "/siteadmin/", ADMIN, NULL, admin_get, NULL, "administration: its subjects, and how the installation is"},
    {GET, "/siteadmin/accounts/", ADMIN, NULL, admin_list_get, admin_list_params, "all accounts"},
    {GET, "/siteadmin/groups/", ADMIN, NULL, admin_list_get, admin_list_params, "groups and what they may do"},
    {GET, "/siteadmin/exceptions/", ADMIN, NULL, admin_list_get, admin_list_params, "policy exceptions"},
    {POST, "/siteadmin/exceptions/add/", ADMIN | OWN_REFUSAL, NULL, admin_add_post, admin_exception_params, "adds one"},
    {POST, "/siteadmin/exceptions/delete/", ADMIN | OWN_REFUSAL, NULL, admin_action_post, admin_action_params, "removes one"},
    {GET, "/siteadmin/tokens/", ADMIN, NULL, admin_list_get, admin_list_params, "API tokens of all accounts"},
    {POST, "/siteadmin/tokens/delete/", ADMIN | OWN_REFUSAL, NULL, admin_action_post, admin_action_params, "removes one"},
    {GET, "/siteadmin/versions/", ADMIN, NULL, admin_list_get, admin_list_params, "which version a build is"},
    {POST, "/siteadmin/versions/delete/", ADMIN | OWN_REFUSAL, NULL, admin_action_post, admin_action_params, "removes one"},
    {GET, "/siteadmin/bugs/", ADMIN, NULL, admin_list_get, admin_list_params, "bugs of signatures"},
    {POST, "/siteadmin/bugs/add/", ADMIN | OWN_REFUSAL, NULL, admin_add_post, admin_bug_params, "adds one"},
    {POST, "/siteadmin/bugs/delete/", ADMIN | OWN_REFUSAL, NULL, admin_action_post, admin_action_params, "removes one"},
    {GET, "/siteadmin/graphics/", ADMIN, NULL, admin_list_get, admin_list_params, "names of graphics devices"},
    {POST, "/siteadmin/graphics/add/", ADMIN | OWN_REFUSAL, NULL, admin_add_post, admin_graphics_params, "adds one"},
    {POST, "/siteadmin/graphics/delete/", ADMIN | OWN_REFUSAL, NULL, admin_action_post, admin_action_params, "removes one"},
    {GET, "/siteadmin/platforms/", ADMIN, NULL, admin_list_get, admin_list_params, "operating systems"},
    {POST, "/siteadmin/platforms/add/", ADMIN | OWN_REFUSAL, NULL, admin_add_post, admin_platform_params, "adds one"},
    {POST, "/siteadmin/platforms/delete/", ADMIN | OWN_REFUSAL, NULL, admin_action_post, admin_action_params, "removes one"},
    {GET, "/siteadmin/signatures/", ADMIN, NULL, admin_list_get, admin_list_params, "when signatures were first seen"},
    {POST, "/siteadmin/signatures/add/", ADMIN | OWN_REFUSAL, NULL, admin_add_post, admin_signature_params, "adds one"},
    {POST, "/siteadmin/signatures/delete/", ADMIN | OWN_REFUSAL, NULL, admin_action_post, admin_action_params, "removes one"},
    {GET, "/siteadmin/missing/", ADMIN, NULL, admin_list_get, admin_missing_params, "crashes that were accepted and found not processed"},
    {POST, "/siteadmin/missing/put-back/", ADMIN | OWN_REFUSAL, NULL, admin_action_post, admin_action_params, "puts one into the queue"},
    {GET, "/siteadmin/notices/", ADMIN, NULL, admin_list_get, admin_list_params, "status notices"},
    {POST, "/siteadmin/notices/add/", ADMIN | OWN_REFUSAL, NULL, admin_add_post, admin_notice_params, "adds one"},
    {POST, "/siteadmin/notices/hide/", ADMIN | OWN_REFUSAL, NULL, admin_action_post, admin_action_params, "hides one"},
    {POST, "/siteadmin/notices/show/", ADMIN | OWN_REFUSAL, NULL, admin_action_post, admin_action_params, "shows one again"},
    {GET, "/siteadmin/audit/", ADMIN, NULL, admin_list_get, admin_audit_params, "who changed what"},
    {GET, "/siteadmin/jobs/", ADMIN, NULL, admin_list_get, admin_list_params, "scheduled jobs"},
    {POST, "/siteadmin/jobs/run/", ADMIN | OWN_REFUSAL, NULL, admin_action_post, admin_action_params, "makes one due"},
    {GET, "/siteadmin/queues/", ADMIN, NULL, admin_list_get, admin_queue_params, "what waits, runs and has failed"},
    {POST, "/siteadmin/queues/put-back/", ADMIN | OWN_REFUSAL, NULL, admin_action_post, admin_action_params, "puts one into the queue"},
    {GET, "/siteadmin/protected/", ADMIN, NULL, admin_list_get, admin_list_params, "who sees protected data"},
    {GET, "/siteadmin/reprocess/", ADMIN, NULL, admin_reprocess_get, NULL, "crashes into the queue once more"},
    {POST, "/siteadmin/reprocess/", ADMIN | SEARCHES | OWN_REFUSAL, NULL, admin_reprocess_post, admin_reprocess_params, "looks how many there are, and what a sample would be called"},
    {POST, "/siteadmin/reprocess/affected/", ADMIN | SEARCHES | OWN_REFUSAL, NULL, admin_reprocess_affected_post, admin_reprocess_params, "the same for crashes that changed lists would rename"},
    {POST, "/siteadmin/reprocess/start/", ADMIN | OWN_REFUSAL, NULL, admin_reprocess_start_post, admin_reprocess_start_params, "queues what was looked for"},
    {GET, "/siteadmin/reprocess/progress/", ADMIN, NULL, admin_reprocess_progress_get, NULL, "how far they are (JSON)"},
    {GET, "/siteadmin/site/", ADMIN, NULL, admin_site_get, NULL, "versions, settings, migrations, tables"},
    {GET, "/siteadmin/search/", ADMIN | SEARCHES, NULL, admin_search_get, NULL, "the index, its partitions and fields"},
    {GET, "/siteadmin/delete/", ADMIN, NULL, admin_delete_get, admin_delete_params, "where a crash is"},
    {POST, "/siteadmin/delete/", ADMIN | OWN_REFUSAL, NULL, admin_delete_post, admin_delete_post_params, "deletes it everywhere"},
    {GET, "/siteadmin/purge/", ADMIN, NULL, admin_purge_get, NULL, "removing crashes with one value of an annotation (superusers)"},
    {POST, "/siteadmin/purge/", ADMIN | OWN_REFUSAL, NULL, admin_purge_post, admin_purge_params, "looks how many there are, and where"},
    {POST, "/siteadmin/purge/start/", ADMIN | OWN_REFUSAL, NULL, admin_purge_start_post, admin_purge_run_params, "deletes what was looked for"},
    {POST, "/siteadmin/purge/cancel/", ADMIN | OWN_REFUSAL, NULL, admin_purge_cancel_post, admin_purge_run_params, "forgets what was looked for"},

    {GET, "/api/", 0, NULL, api_docs_get, NULL, "endpoints with forms to try them"},
    {GET | POST, "/api/", API | BELOW, NULL, api_unknown_get, NULL, "anything else: 404"},
    {GET, "/api/SuperSearch/", API, NULL, api_super_search_get, api_super_search_params, "Searches, lists and counts processed crashes. Any search field is a parameter; values start with an operator."},
    {GET, "/api/SuperSearchUnredacted/", API, "view_pii", api_super_search_unredacted_get, api_super_search_unredacted_params, "The same with protected fields."},
    {GET, "/api/SuperSearchFields/", API, NULL, api_super_search_fields_get, NULL, "The fields a search can use."},
    {GET, "/api/ProcessedCrash/", API, NULL, api_processed_crash_get, api_processed_crash_params, "One processed crash. Without the permission to see protected data: its public part."},
    {GET, "/api/RawCrash/", API, NULL, api_raw_crash_get, api_raw_crash_params, "Annotations of a crash as they were sent, or one of its files."},
    {GET, "/api/CrashVerify/", API, NULL, api_crash_verify_get, api_crash_verify_params, "Which parts of a crash are stored."},
    {GET | POST, "/api/Bugs/", API | ROUTE_NO_CSRF, NULL, api_bugs_get, api_signatures_params, "All signatures of all bugs of the given signatures. POST takes long lists."},
    {GET, "/api/SignaturesByBugs/", API, NULL, api_signatures_by_bugs_get, api_signatures_by_bugs_params, "Signatures that bugs name."},
    {GET, "/api/SignatureFirstDate/", API, NULL, api_signature_first_date_get, api_signatures_params, "When signatures were first seen."},
    {GET, "/api/SignatureStats/", API, NULL, api_signature_stats_get, api_signature_stats_params, "Signatures by hour, day, week or build; when each was first and last seen."},
    {GET, "/api/CrashPing/", API, NULL, api_crash_ping_get, api_crash_ping_params, "One crash ping: its document, signature and stack."},
    {GET, "/api/Correlations/", API, NULL, api_correlations_get, api_correlations_params, "What is special about the crashes of a signature, or of any search: properties that are more or less frequent there."},
    {GET, "/api/SimilarCrashes/", API, NULL, api_similar_crashes_get, api_similar_crashes_params, "Crashes whose stacks have much in common with that of one crash, and their signatures."},
    {GET, "/api/VersionString/", API, NULL, api_version_string_get, api_version_string_params, "Version of a build of a product."},
    {POST, "/api/ProductVersions/", API | ROUTE_RAW_BODY, "upload_symbols", api_product_versions_post, NULL, "Registers builds: which version a build of a product is. CSV with the columns of `datil version load`, or JSON."},
    {POST, "/api/Reprocessing/", API, "reprocess_crashes", api_reprocessing_post, api_reprocessing_params, "Puts crashes into the queue again."},
    {POST, "/api/CrashSignature/", API | ROUTE_NO_CSRF, NULL, api_crash_signature_post, NULL, "Signatures for crash data sent as JSON: {\"jobs\": [...]}."},
    {GET, "/api/MissingProcessedCrash/", API, NULL, api_missing_processed_crash_get, api_missing_processed_crash_params, "Crashes that were accepted and found not processed."},
    {GET, "/api/NoOp/", API, NULL, api_no_op_get, api_no_op_params, "Does nothing, for tests of clients."},

    {GET, "/correlations/data/", BELOW | QUIET, NULL, correlations_file_get, NULL, "files of the nightly job: PRODUCT/all.json.gz, PRODUCT/CHANNEL/SHA1(signature).json.gz"},
    {GET, "/telemetry/telemetry_socorro_crash.json", QUIET, NULL, telemetry_schema_get, NULL, "JSON Schema of the public export; its files below `/telemetry/v2/` are sent by nginx"},

    {GET, "/documentation/", 0, NULL, help_get, NULL, "help"},
    {GET, "/documentation/supersearch/", 0, NULL, help_search_get, NULL, "how to search; all fields"},
    {GET, "/documentation/supersearch/examples/", 0, NULL, help_search_get, NULL, "the same page"},
    {GET, "/documentation/supersearch/api/", 0, NULL, help_search_get, NULL, "the same page"},
    {GET, "/documentation/protected_data_access/", 0, NULL, help_protected_get, NULL, "what protected data is"},
    {GET, "/documentation/memory_dump_access/", 0, NULL, help_memory_get, NULL, "old address"},
    {GET, "/documentation/products/", 0, NULL, help_products_get, NULL, "adding a product"},
    {GET, "/documentation/datadictionary/", 0, NULL, dictionary_get, NULL, "annotations and fields"},
    {GET, "/documentation/datadictionary/dataset/", SEARCHES | BELOW, NULL, dictionary_field_get, NULL, "one of them"},
    {GET, "/about/throttling/", 0, NULL, throttling_get, NULL, "why a report may be missing"},
    {GET, "/monitoring/", 0, NULL, monitoring_get, NULL, "links of this section"},
    {GET, "/monitoring/cron/", 0, NULL, monitoring_cron_get, NULL, "state of the scheduled jobs: a page, or JSON for programs"},
    {GET, "/__heartbeat__", QUIET, NULL, heartbeat_get, NULL, "database, store and search answer"},
    {GET, "/__lbheartbeat__", QUIET, NULL, lbheartbeat_get, NULL, "this program answers"},
    {GET, "/__version__", QUIET, NULL, version_get, NULL, "what is installed"},
    {GET, "/__metrics__", QUIET | ROUTE_LOCAL, NULL, metrics_get, metrics_params, "what was counted, as Prometheus text; of this program or of another one of this host"},
    {GET, "/__broken__", ROUTE_LOCAL, NULL, broken_get, NULL, "an error on purpose, to see that errors are noticed"},
    {POST, "/__cspreport__", QUIET | ROUTE_NO_CSRF | ROUTE_RAW_BODY, NULL, csp_report_post, NULL, "reports of browsers"},
    {GET, "/robots.txt", QUIET, NULL, robots_get, NULL, ""},
    {GET, "/favicon.ico", QUIET, NULL, favicon_get, NULL, ""},
    {GET, "/contribute.json", QUIET, NULL, contribute_get, NULL, ""},
    {GET, "/query/", BELOW, NULL, old_query_get, NULL, "old address of the search"},
    {GET, "/your-crashes/", 0, NULL, old_profile_get, NULL, "old address of the profile"},
    {GET, "/permissions/", 0, NULL, old_profile_get, NULL, "old address of the profile"},
};
/* clang-format on */

const size_t route_count = ARRAY_LEN(routes);
