/*
 * What the symbol server answers: pages and their forms, the JSON API behind them, uploads,
 * symbolication, health, and last the files themselves, whose paths may be nearly anything.
 *
 * The order of rows means nothing: an exact path beats a prefix and a longer prefix a shorter one
 * (lib/web/route.c), and so the files can have "/" as theirs without hiding anything. Paths come
 * with and without a slash at the end where clients of Tecken and Eliot send both; a redirect would
 * not do, since it turns a POST into a GET.
 */
#include "fcgi/symbols/missing_list.h"
#include "fcgi/symbols/missing_page.h"
#include "fcgi/symbols/symbol_server.h"
#include "fcgi/symbols/upload_lists.h"
#include "fcgi/symbols/symbol_tokens.h"
#include "fcgi/symbols/upload_stats.h"
#include "fcgi/symbols/symbol_pages.h"
#include "lib/base/util.h"
#include "lib/web/health.h"
#include "lib/web/site.h"
#include "lib/web/web.h"

/*
 * Every path below a prefix exists for GET only if it names a file: the handler knows.  So other
 * methods have rows of their own, which answer 404 or 405 by the same test.
 */
enum { OTHER = ROUTE_PREFIX | ROUTE_RAW_BODY | ROUTE_NO_CSRF };

/*
 * READER, of a form with an archive: what proves that it is ours stands in a body of up to
 * gigabytes, so its handler reads and checks it (upload_body.h).
 */
enum { UPLOADER = ROUTE_PAGE | ROUTE_LOGIN | ROUTE_RAW_BODY | ROUTE_NO_CSRF };
enum { ASKER = ROUTE_API | ROUTE_LOGIN };   /* a session or a token */
enum { READER = ROUTE_PAGE | ROUTE_LOGIN }; /* a session */
/* Nobody is asked who he is: a token that has expired must not end a profile. */
enum {
    SYMBOLICATE = ROUTE_RAW_BODY | ROUTE_NO_CSRF | ROUTE_NO_SESSION,
    ANY = METHOD_GET | METHOD_POST | METHOD_PUT | METHOD_OPTIONS,
};

/* clang-format off */
const struct route symbol_server_routes[] = {
    {METHOD_GET, "/", ROUTE_PAGE, NULL, page_home_get, NULL,
     "what this is; who is logged in: uploads of the last days"},
    {METHOD_GET, "/uploads", READER, NULL, page_uploads_get, uploads_params,
     "uploads of the last 30 days, with filters"},
    {METHOD_GET, "/uploads/upload", READER, NULL, page_upload_now_get, NULL,
     "a form to upload symbols from the browser, and the commands for build machines"},
    {METHOD_POST, "/uploads/upload", UPLOADER, NULL, page_upload_now_post, NULL,
     "multipart form of csrf_token, then a ZIP archive, and try or url: 303 to the upload's page"},
    {METHOD_GET, "/uploads/upload/", READER | ROUTE_PREFIX, NULL, page_upload_get,
     page_upload_params, "<id>: one upload with its files"},
    {METHOD_GET, "/uploads/files", READER, NULL, page_files_get, files_params,
     "stored files, with filters"},
    {METHOD_GET, "/uploads/files/file/", READER | ROUTE_PREFIX, NULL, page_file_get, NULL,
     "<id>: one stored file"},
    {METHOD_GET, "/tokens", READER, NULL, page_tokens_get, page_tokens_params,
     "one's own API tokens"},
    {METHOD_POST, "/tokens", READER, NULL, page_tokens_post, page_tokens_post_params,
     "a new token; its key is shown once"},
    {METHOD_POST, "/tokens/extend", READER, NULL, page_token_extend_post, page_token_extend_params,
     "a token lives longer"},
    {METHOD_POST, "/tokens/delete", READER, NULL, page_token_delete_post, page_token_delete_params,
     "a token ends"},
    {METHOD_GET, "/users", READER, NULL, page_users_get, NULL, "accounts, for superusers"},
    {METHOD_GET, "/users/", READER | ROUTE_PREFIX, NULL, page_user_get, NULL, "<id>: one account"},
    {METHOD_POST, "/users/", READER | ROUTE_PREFIX, NULL, page_user_post, page_user_post_params,
     "<id>: changes an account"},
    {METHOD_GET, "/users/audit", READER, NULL, page_audit_get, page_audit_params,
     "what was changed of accounts and tokens, for superusers"},
    {METHOD_GET, "/help", ROUTE_PAGE, NULL, page_help_get, NULL, "how to use this server"},
    {METHOD_GET, "/status", READER, NULL, page_status_get, NULL,
     "store, tables and settings, for staff"},
    {METHOD_GET, "/login/", ROUTE_PAGE, NULL, login_get, login_get_params, "log-in form"},
    {METHOD_POST, "/login/", ROUTE_PAGE | ROUTE_OWN_REFUSAL, NULL, login_post, login_post_params,
     "log-in"},
    {METHOD_POST, "/logout/", ROUTE_PAGE, NULL, logout_post, NULL, "log-out"},
    {METHOD_GET, "/api/_auth/", ROUTE_API, NULL, api_auth_get, NULL,
     "Who asks: address and permissions, or where to sign in."},
    {METHOD_GET, "/api/stats/", ASKER, NULL, api_stats_get, NULL,
     "Uploads of today, yesterday and the last 30 days: how many, and their bytes."},
    {METHOD_GET, "/api/tokens/", ASKER, NULL, api_tokens_get, api_tokens_params,
     "Tokens of who asks, newest first, with the permissions that a new one may have."},
    {METHOD_POST, "/api/tokens/", ASKER, NULL, api_tokens_post, api_tokens_post_params,
     "Makes a token. Its key is in the answer and nowhere else."},
    {METHOD_POST, "/api/tokens", ASKER, NULL, api_tokens_post, api_tokens_post_params, "the same"},
    {METHOD_POST, "/api/tokens/token/", ASKER | ROUTE_PREFIX, NULL, api_token_extend_post,
     api_token_extend_params, "<id>/extend: a token lives longer."},
    {METHOD_DELETE, "/api/tokens/token/", ASKER | ROUTE_PREFIX, NULL, api_token_delete, NULL,
     "<id>: removes a token; superusers remove anybody's."},
    {METHOD_GET, "/api/uploads/", ASKER, NULL, api_uploads_get, uploads_params,
     "Uploads, 20 at a time; without view_all_uploads one's own."},
    {METHOD_GET, "/api/uploads/upload/", ASKER | ROUTE_PREFIX, NULL, api_upload_get, NULL,
     "<id>: one upload, its files, and uploads that look like the same archive."},
    {METHOD_GET, "/api/uploads/files/", ASKER, NULL, api_files_get, files_params,
     "Stored files, 40 at a time, newest first; needs view_all_uploads."},
    {METHOD_GET, "/api/uploads/files/file/", ASKER | ROUTE_PREFIX, NULL, api_file_get, NULL,
     "<id>: one stored file, where to fetch it, and the upload that it came with."},

    {METHOD_POST, "/upload/", ROUTE_RAW_BODY | ROUTE_NO_CSRF, NULL, upload_post, NULL,
     "takes a ZIP archive of symbols; needs a token with upload_symbols or upload_try_symbols"},
    {METHOD_POST, "/upload", ROUTE_RAW_BODY | ROUTE_NO_CSRF, NULL, upload_post, NULL, "the same"},
    {METHOD_POST, "/upload/v2/", ROUTE_RAW_BODY | ROUTE_NO_CSRF, NULL, upload_v2_post, NULL,
     "takes a list of files as JSON and tells for each what to do; needs a token like /upload/"},
    {METHOD_POST, "/upload/v2", ROUTE_RAW_BODY | ROUTE_NO_CSRF, NULL, upload_v2_post, NULL,
     "the same"},
    {METHOD_POST, "/upload/auth_info/", ROUTE_RAW_BODY | ROUTE_NO_CSRF, NULL, upload_auth_info_post,
     NULL, "whose the token is, where its uploads go, when it expires"},
    {METHOD_POST, "/upload/auth_info", ROUTE_RAW_BODY | ROUTE_NO_CSRF, NULL, upload_auth_info_post,
     NULL, "the same"},
    {METHOD_PUT, "/upload/session/", ROUTE_RAW_BODY | ROUTE_NO_CSRF | ROUTE_PREFIX | ROUTE_NO_SESSION,
     NULL, upload_session_put, NULL,
     "takes a file of /upload/v2/, or a piece of it with Content-Range; the address is the secret"},
    {METHOD_GET, "/missing", ROUTE_PAGE, NULL, missing_page_get, missing_list_params,
     "what is missing, and how many crashes would get better"},
    {METHOD_GET, "/missing.csv", 0, NULL, missing_summary_get, missing_summary_params,
     "the same by product and version, as CSV"},
    {METHOD_GET, "/missingsymbols/", ROUTE_API, NULL, missing_list_get, missing_list_params,
     "Symbols that were asked for in vain, 40 at a time, with how many crashes lack them."},
    {METHOD_POST, "/symbolicate/v5", SYMBOLICATE, NULL, symbolicate_v5_post, NULL,
     "functions, files, lines and inlined calls of addresses; docs/symbols.md"},
    {METHOD_POST, "/symbolicate/v5/", SYMBOLICATE, NULL, symbolicate_v5_post, NULL, "the same"},
    {METHOD_POST, "/symbolicate/v4", SYMBOLICATE, NULL, symbolicate_v4_post, NULL,
     "functions of addresses as lines of text; for old clients"},
    {METHOD_POST, "/symbolicate/v4/", SYMBOLICATE, NULL, symbolicate_v4_post, NULL, "the same"},
    {METHOD_OPTIONS, "/symbolicate/v5", SYMBOLICATE, NULL, symbolicate_options, NULL,
     "lets pages of other sites ask (CORS preflight)"},
    {METHOD_OPTIONS, "/symbolicate/v5/", SYMBOLICATE, NULL, symbolicate_options, NULL, "the same"},
    {METHOD_OPTIONS, "/symbolicate/v4", SYMBOLICATE, NULL, symbolicate_options, NULL,
     "lets pages of other sites ask (CORS preflight)"},
    {METHOD_OPTIONS, "/symbolicate/v4/", SYMBOLICATE, NULL, symbolicate_options, NULL, "the same"},
    {ANY, "/symbolicate/", SYMBOLICATE | ROUTE_PREFIX, NULL, symbolicate_unknown, NULL, "404"},
    {ANY, "/symbolicate", SYMBOLICATE, NULL, symbolicate_unknown, NULL, "404"},
    {METHOD_GET, "/__metrics__", ROUTE_NO_SESSION | ROUTE_LOCAL, NULL, metrics_get, metrics_params,
     "what was counted, as Prometheus text"},
    {METHOD_GET, "/missingsymbols.csv", 0, NULL, missing_csv_get, missing_csv_params,
     "what was asked for in vain in the last 24 hours, or ?today"},
    {METHOD_GET, "/api/syminfo/", ROUTE_PREFIX, NULL, syminfo_get, syminfo_params,
     "<file>/<id>: what is known of a module, by debug file and id or code file and id"},
    {METHOD_GET, "/__broken__", ROUTE_LOCAL, NULL, symbols_broken_get, NULL,
     "an error on purpose, to see that errors are noticed"},
    {METHOD_GET, "/__heartbeat__", ROUTE_NO_SESSION, NULL, heartbeat_get, NULL,
     "checks everything the symbol server needs: 200, or 500 and what does not work"},
    {METHOD_GET, "/__lbheartbeat__", ROUTE_NO_SESSION, NULL, lbheartbeat_get, NULL,
     "200 as long as the program answers"},
    {METHOD_GET, "/__version__", ROUTE_NO_SESSION, NULL, version_get, NULL,
     "version.json of the deployment"},
    {METHOD_POST | METHOD_PUT | METHOD_DELETE, "/try/", OTHER, NULL, other_method, NULL,
     "404, or 405 for the path of a file"},
    {METHOD_POST | METHOD_PUT | METHOD_DELETE, "/", OTHER, NULL, other_method, NULL, "the same"},
    {METHOD_GET, "/buildid/", ROUTE_PREFIX, NULL, buildid_get, NULL,
     "<build id>/debuginfo or /executable: for debuginfod clients, what was uploaded beside symbols"},
    {METHOD_GET, "/try/", ROUTE_PREFIX, NULL, download_try_get, download_try_params,
     "as below, with symbols of experimental builds behind the regular ones"},
    {METHOD_GET, "/", ROUTE_PREFIX, NULL, download_get, download_params,
     "<debug file>/<debug id>/<file>: 302 to the stored file, or 404"},
};
/* clang-format on */

const size_t symbol_server_route_count = ARRAY_LEN(symbol_server_routes);
