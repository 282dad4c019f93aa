/*
 * GET /api/syminfo/<file>/<id>: what the header of a symbols file said, found by either of its two
 * names.  Nothing is remembered between requests, so `_refresh` has nothing to do.
 */
#include "fcgi/symbols/symbol_server.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/metrics.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/symfile/symkey.h"
#include "lib/web/param_spec.h"
#include "lib/web/params.h"
#include "lib/web/site.h"
#include "lib/web/web.h"
#include "queries.h"

static const struct param_spec refresh = {
    "_refresh", PARAM_FLAG,
    .help = "for clients of servers that remember answers; this one asks its table each time"};
const struct param_spec *const syminfo_params[] = {&refresh, NULL};

/* The address of the .sym file itself, below /try when it is one of an experimental build. */
static const char *symbols_url(struct req *req, const struct db_rows *rows)
{
    struct arena *a = req_arena(req);
    struct symkey k;
    char key[SYMKEY_MAX + 1];
    if (!symkey_of_module(str_of(db_col(rows, 0, Q_SYMBOL_BY_IDS_COL_DEBUG_FILENAME)),
                          str_of(db_col(rows, 0, Q_SYMBOL_BY_IDS_COL_DEBUG_ID)), &k, ERR_IGNORED))
        return NULL;
    symkey_text(&k, key);
    bool is_try = strcmp(db_col(rows, 0, Q_SYMBOL_BY_IDS_COL_AREA), "try") == 0;
    return arena_printf(a, STR_FMT "%s/" STR_FMT, STR_ARG(site_base(req)), is_try ? "/try" : "",
                        STR_ARG(url_path_encode(a, str_of(key))));
}

static bool look_up(struct req *req, const struct symkey *k, struct db_rows *ret, struct err *err)
{
    const struct symbol_server *s = req_app(req);
    int64_t start_us = mono_us();
    bool ok = DB_RUN(req_db(req), &q_symbol_by_ids, ret, err, k->debug_file, k->debug_id);
    metric_time(s->metrics, METRIC_SYMINFO, mono_us() - start_us);
    metric_add(s->metrics, METRIC_SYMINFO_CACHED, 1, "false");
    return ok;
}

bool syminfo_get(struct req *req, struct err *err)
{
    static const struct {
        const char *member;
        int column;
    } members[] = {
        {"debug_id", Q_SYMBOL_BY_IDS_COL_DEBUG_ID},
        {"debug_filename", Q_SYMBOL_BY_IDS_COL_DEBUG_FILENAME},
        {"code_file", Q_SYMBOL_BY_IDS_COL_CODE_FILE},
        {"code_id", Q_SYMBOL_BY_IDS_COL_CODE_ID},
        {"generator", Q_SYMBOL_BY_IDS_COL_GENERATOR},
    };
    struct str rest = req_path_rest(req);
    size_t slash = str_find_char(rest, '/', 0);
    struct symkey k;
    /* The rules of a key hold for its first two parts, whatever the third is. */
    if (slash == SIZE_MAX ||
        !symkey_make(str_sub(rest, 0, slash), str_sub(rest, slash + 1, SIZE_MAX), STR("x.sym"), &k,
                     ERR_IGNORED))
        return err_set(err, ERR_NOT_FOUND, "Not Found");
    download_add_cors(req);
    DB_ROWS rows = {0};
    if (!look_up(req, &k, &rows, err))
        return err_wrap(err, "looking up symbols");
    if (rows.count == 0)
        return resp_bytes(req, 404, "text/plain; charset=utf-8", STR("Code file / id Not Found"));
    json_auto_t *body = json_object();
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        const char *value = db_col(&rows, 0, members[i].column);
        jset_cstr(body, members[i].member, value ? value : "");
    }
    jset_cstr(body, "url", symbols_url(req, &rows));
    return resp_json(req, 200, body, err);
}
