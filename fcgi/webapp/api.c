#include "fcgi/webapp/answer.h"
#include "fcgi/webapp/app.h"
#include "fcgi/webapp/layout.h"
#include "fcgi/webapp/pages.h"
#include "lib/base/util.h"

/*
 * The API as a table: it makes the page /api/ with its forms.  Handlers are in api_*.c; routes in
 * routes.c.
 */
struct api_param {
    const char *name;
    bool required;
    const char *type, *text;
};

struct api_endpoint {
    const char *name, *method, *text;
    const char *permission; /* label, NULL: none */
    const char *permission_name;
    struct api_param params[6];
};

/* clang-format off */
static const struct api_endpoint endpoints[] = {
    {"SuperSearch", "GET", "Searches, lists and counts processed crashes. Any search field is a parameter; values start with an operator.", NULL, NULL,
     {{"product", false, "list", "Any field works the same way"},
      {"date", false, "list", "Bounds such as >=2026-01-01; default: the last 7 days"},
      {"_columns", false, "list", "Fields of each hit"},
      {"_facets", false, "list", "Fields to count"},
      {"_results_number", false, "integer", "Number of hits, at most 1000"},
      {"_sort", false, "list", "Fields; a leading - is descending"}}},
    {"SuperSearchUnredacted", "GET", "The same with protected fields.", "View Personal Identifiable Information", "view_pii",
     {{"product", false, "list", "As for SuperSearch"}, {"_columns", false, "list", "Fields of each hit"}}},
    {"SuperSearchFields", "GET", "The fields a search can use.", NULL, NULL, {{0}}},
    {"ProcessedCrash", "GET", "One processed crash. Without the permission to see protected data: its public part.", NULL, NULL,
     {{"crash_id", true, "text", "Crash id"}}},
    {"RawCrash", "GET", "Annotations of a crash as they were sent, or one of its files.", NULL, NULL,
     {{"crash_id", true, "text", "Crash id"},
      {"format", false, "text", "meta (default) or raw; raw needs the permission View Raw Dumps"},
      {"name", false, "text", "With raw: name of the file, default upload_file_minidump"}}},
    {"CrashVerify", "GET", "Which parts of a crash are stored.", NULL, NULL,
     {{"crash_id", true, "text", "Crash id"}}},
    {"Bugs", "GET", "All signatures of all bugs of the given signatures. POST takes long lists.", NULL, NULL,
     {{"signatures", true, "list", "Crash signatures"}}},
    {"SignaturesByBugs", "GET", "Signatures that bugs name.", NULL, NULL,
     {{"bug_ids", true, "list", "Bug numbers"}}},
    {"SignatureFirstDate", "GET", "When signatures were first seen.", NULL, NULL,
     {{"signatures", true, "list", "Crash signatures"}}},
    {"VersionString", "GET", "Version of a build of a product.", NULL, NULL,
     {{"product", true, "text", "Product"}, {"channel", true, "text", "Release channel"},
      {"build_id", true, "text", "Build id"}}},
    {"Reprocessing", "POST", "Puts crashes into the queue again.", "Reprocess Crashes", "reprocess_crashes",
     {{"crash_ids", true, "list", "Crash ids; each may end with :RULESET (default, regenerate_signature)"}}},
    {"CrashSignature", "POST", "Signatures for crash data sent as JSON: {\"jobs\": [...]}.", NULL, NULL, {{0}}},
    {"MissingProcessedCrash", "GET", "Crashes that were accepted and found not processed.", NULL, NULL,
     {{"page", false, "integer", "From 1; 1000 a page"}}},
    {"NoOp", "GET", "Does nothing, for tests of clients.", NULL, NULL,
     {{"product", true, "text", "Any product but bad"}}},
};
/* clang-format on */

static void add_params(struct tpl_rows *rows, const struct api_endpoint *e)
{
    for (size_t i = 0; i < ARRAY_LEN(e->params) && e->params[i].name; i++) {
        struct tpl_row *row = tpl_row_add(rows);
        tpl_row_cstr(row, e->params[i].name);
        tpl_row_cstr(row, e->params[i].required ? "yes" : "");
        tpl_row_cstr(row, e->params[i].type);
        tpl_row_cstr(row, e->params[i].text);
    }
}

static const char *limit_text(struct req *r, enum conf_name key)
{
    int64_t n = conf_int(req_conf(r), key);
    return n ? arena_printf(req_arena(r), "%lld calls", (long long)n) : "as many calls as you like";
}

/* GET /api/ */
bool api_docs_get(struct req *r, struct err *err)
{
    struct arena *a = req_arena(r);
    struct tpl_values *v = layout_new(r, &(struct layout){.title = "API"});
    struct tpl_rows *rows = tpl_rows(v, "endpoints");
    for (size_t i = 0; i < ARRAY_LEN(endpoints); i++) {
        const struct api_endpoint *e = &endpoints[i];
        struct tpl_row *row = tpl_row_add(rows);
        tpl_row_cstr(row, e->name);
        tpl_row_cstr(row, e->method);
        tpl_row_cstr(row, e->text);
        tpl_row_cstr(row, arena_printf(a, "%s/api/%s/", app_of(r)->base_url, e->name));
        add_params(tpl_row_rows(row), e);
        tpl_row_cstr(row,
                     e->permission_name && !req_may(r, e->permission_name) ? e->permission : "");
        tpl_row_int(row, e->params[0].name != NULL);
        tpl_row_url(row, str_of(arena_printf(a, "/api/%s/", e->name)));
    }
    tpl_cstr(v, "limit_anonymous", limit_text(r, CONF_RATE_LIMIT_API_ANONYMOUS));
    tpl_cstr(v, "limit_user", limit_text(r, CONF_RATE_LIMIT_API_USER));
    return layout_send(r, 200, "api.html", v, err);
}

/* Anything else below /api/ */
bool api_unknown_get(struct req *r, struct err *err)
{
    (void)err;
    struct str name = req_path_rest(r);
    name = str_sub(name, 0, str_find_char(name, '/', 0));
    return answer_error(r, 404, "No service called '" STR_FMT "'", STR_ARG(str_sub(name, 0, 100)));
}
