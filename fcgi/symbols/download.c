/*
 * Files for stack walkers and debuggers.
 *
 * Most requests are for what nobody has, so a miss is one statement with a few indexed look-ups and
 * no look at the disk; a hit is a redirect, so that the bytes come from nginx or another server.
 * Nothing is remembered between requests: what was uploaded is found by the next one, whichever
 * worker has it.  A name is looked for as it is before its ids are tried, and regular symbols
 * before those of experimental builds: nothing that was uploaded can hide what is asked for.
 */
#include <stdio.h>

#include "fcgi/symbols/download_times.h"
#include "fcgi/symbols/symbol_server.h"
#include "fcgi/symbols/upstream.h"
#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/metrics.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/symfile/fetched_rows.h"
#include "lib/symfile/missing.h"
#include "lib/symfile/symkey.h"
#include "lib/symfile/symstore.h"
#include "lib/web/param_spec.h"
#include "lib/web/params.h"
#include "lib/web/site.h"
#include "lib/web/web.h"
#include "queries.h"

/* clang-format off */
/*
 * What stack walkers (.sym) and debuggers ask for: compressed DLL, EXE and PDB of Microsoft's,
 * debug files and archives of other systems.  The list is Tecken's; a request for anything else
 * ends without a look at the disk.
 */
static const char *const extensions[] = {".sym", ".dl_", ".ex_", ".pd_", ".dbg.gz", ".tar.bz2"};
static const struct {
    const char *name, *value;
} cors[] = {
    {"Access-Control-Allow-Origin", "*"},
    {"Access-Control-Allow-Methods", "GET"},
    {"Access-Control-Allow-Headers", "accept,accept-encoding,authorization,content-type,dnt,"
                                     "origin,user-agent,x-csrftoken,x-requested-with"},
};
static const char *const area_paths[] = {[SYMSTORE_REGULAR] = "v1",
                                         [SYMSTORE_TRY] = "try/v1",
                                         [SYMSTORE_CACHE] = "cache/v1"};
/* clang-format on */

/*
 * Scripts of pages on other sites may read the answers: downloads need no log-in.  The headers are
 * those that Tecken allows.
 */
void download_add_cors(struct req *req)
{
    for (size_t i = 0; i < ARRAY_LEN(cors); i++)
        resp_header(req, cors[i].name, str_of(cors[i].value));
}

/*
 * Names that no symbol server has: answered without a look.  Microsoft's debuggers ask for file.ptr
 * after every miss, and an id of zeros is that of a module without one.
 */
static bool is_ignored(const struct symkey *k)
{
    if (strcmp(k->file, "file.ptr") == 0)
        return true;
    if (strlen(k->debug_id) == SYMKEY_DEBUG_ID_MIN && !k->debug_id[strspn(k->debug_id, "0")])
        return true;
    for (size_t i = 0; i < ARRAY_LEN(extensions); i++)
        if (str_ends(str_of(k->file), str_of(extensions[i])))
            return false;
    return true;
}

/*
 * For those who ask how long the store took: seconds, and exactly 0 for a request that did not
 * look.
 */
static void add_debug_time(struct req *req, int64_t us)
{
    struct str wish = req_header(req, "Debug");
    if (!str_eq_nocase(wish, STR("true")) && !str_eq(wish, STR("1")) &&
        !str_eq_nocase(wish, STR("yes")))
        return;
    const char *text = us ? arena_printf(req_arena(req), "%.6f", (double)us / 1e6) : "0";
    resp_header(req, "Debug-Time", str_of(text));
}

static bool not_found(struct req *req, const char *text)
{
    return resp_bytes(req, 404, "text/plain; charset=utf-8", str_of(text));
}

/*
 * HEAD is answered with 200 and not with 302, as Tecken does: a client that only asks whether a
 * file is there need not follow a redirect.
 */
static bool redirect_to(struct req *req, const char *where)
{
    if (req_method(req) != METHOD_HEAD)
        return resp_redirect(req, 302, str_of(where));
    return resp_header(req, "Location", str_of(where)) && resp_bytes(req, 200, NULL, STR(""));
}

/*
 * An address of this host, which nginx serves from SYMBOLS_DIR, or of SYMBOLS_PUBLIC_URL when the
 * files are elsewhere.  HEAD is a 200 and not a 302, as with Tecken: who only asks whether a file
 * is there need not follow anything.  In the mode accel nginx sends the file in the place of a
 * redirect, for clients that follow none; it can do that only with its own files.
 */
static bool send_file(struct req *req, enum symstore_area area, const struct symkey *k)
{
    struct symbol_server *s = req_app(req);
    struct arena *a = req_arena(req);
    char key[SYMKEY_MAX + 1];
    symkey_text(k, key);
    download_times_note(s->times, area, key);
    struct str path = url_path_encode(a, str_of(key));
    if (s->sends_files && req_method(req) != METHOD_HEAD)
        return resp_header(req, "X-Accel-Redirect",
                           str_of(arena_printf(a, STR_FMT "/symbols-files/%s/" STR_FMT,
                                               STR_ARG(req_mount(req)), area_paths[area],
                                               STR_ARG(path)))) &&
               resp_bytes(req, 200, NULL, STR(""));
    if (*s->public_url)
        return redirect_to(
            req, arena_printf(a, "%s/%s/" STR_FMT, s->public_url, area_paths[area], STR_ARG(path)));
    return redirect_to(req, arena_printf(a, STR_FMT "/symbols-files/%s/" STR_FMT,
                                         STR_ARG(site_base(req)), area_paths[area], STR_ARG(path)));
}

/*
 * Where a file has another name: the same request for that.  The query goes along, for the second
 * request may miss as well and then wants code_file and code_id in the list.
 */
static bool redirect_to_name(struct req *req, const struct symkey *to)
{
    struct arena *a = req_arena(req);
    char key[SYMKEY_MAX + 1];
    symkey_text(to, key);
    return resp_redirect(
        req, 302,
        str_of(arena_printf(a, STR_FMT "%s/" STR_FMT "%s" STR_FMT, STR_ARG(site_base(req)),
                            str_starts(req_path(req), STR("/try/")) ? "/try" : "",
                            STR_ARG(url_path_encode(a, str_of(key))), req_query(req).n ? "?" : "",
                            STR_ARG(req_query(req)))));
}

/*
 * What the table says about a name: the file itself, or the name of the same module under another
 * one.  One statement with one or two look-ups in an index, so that a miss, which most requests
 * are, costs one trip to the database; code ids are looked for only when an id may be one.
 */
struct table_answer {
    enum { FOUND_NOTHING, FOUND_FILE, FOUND_NAME } found;
    enum symstore_area area;
    int64_t age_days;   /* FOUND_FILE */
    struct symkey name; /* FOUND_NAME */
};

/* A redirect to itself would be an endless loop; the statements leave such rows out. */
static void take_row(struct table_answer *t, const char *area, bool is_file, const char *debug_file,
                     const char *debug_id, const char *file)
{
    t->area =
        strcmp(area, symstore_area_names[SYMSTORE_TRY]) == 0 ? SYMSTORE_TRY : SYMSTORE_REGULAR;
    if (is_file)
        t->found = FOUND_FILE;
    else if (symkey_make(str_of(debug_file), str_of(debug_id), str_of(file), &t->name, ERR_IGNORED))
        t->found = FOUND_NAME;
}

static bool ask_names(struct db *db, const struct symkey *k, const char *key, bool with_try,
                      struct table_answer *t, struct err *err)
{
    DB_ROWS rows = {0};
    if (!DB_RUN(db, &q_symbol_download, &rows, err, key, k->debug_file, k->debug_id,
                db_bool(with_try), db_bool(symkey_is_of_module(k))))
        return false;
    if (rows.count == 0)
        return true;
    t->age_days = db_col_int(&rows, 0, Q_SYMBOL_DOWNLOAD_COL_AGE_DAYS, 0);
    take_row(t, db_col(&rows, 0, Q_SYMBOL_DOWNLOAD_COL_AREA),
             db_col_bool(&rows, 0, Q_SYMBOL_DOWNLOAD_COL_IS_FILE),
             db_col(&rows, 0, Q_SYMBOL_DOWNLOAD_COL_DEBUG_FILENAME), k->debug_id,
             db_col(&rows, 0, Q_SYMBOL_DOWNLOAD_COL_FILE));
    return true;
}

static bool ask_names_and_codes(struct db *db, const struct symkey *k, const char *key,
                                bool with_try, struct table_answer *t, struct err *err)
{
    DB_ROWS rows = {0};
    if (!DB_RUN(db, &q_symbol_download_code, &rows, err, key, k->debug_file, k->debug_id,
                db_bool(with_try), db_bool(symkey_is_of_module(k))))
        return false;
    if (rows.count == 0)
        return true;
    t->age_days = db_col_int(&rows, 0, Q_SYMBOL_DOWNLOAD_CODE_COL_AGE_DAYS, 0);
    bool is_code_id = db_col_bool(&rows, 0, Q_SYMBOL_DOWNLOAD_CODE_COL_IS_CODE_ID);
    take_row(t, db_col(&rows, 0, Q_SYMBOL_DOWNLOAD_CODE_COL_AREA),
             db_col_bool(&rows, 0, Q_SYMBOL_DOWNLOAD_CODE_COL_IS_FILE),
             db_col(&rows, 0, Q_SYMBOL_DOWNLOAD_CODE_COL_DEBUG_FILENAME),
             db_col(&rows, 0, Q_SYMBOL_DOWNLOAD_CODE_COL_DEBUG_ID),
             is_code_id ? k->file : db_col(&rows, 0, Q_SYMBOL_DOWNLOAD_CODE_COL_FILE));
    return true;
}

static bool ask_table(struct req *req, const struct symkey *k, bool with_try,
                      struct table_answer *ret, struct err *err)
{
    const struct symbol_server *s = req_app(req);
    struct table_answer t = {.found = FOUND_NOTHING};
    char key[SYMKEY_MAX + 1];
    symkey_text(k, key);
    bool may_be_code_id =
        str_ends(str_of(k->file), STR(".sym")) && strlen(k->debug_id) < SYMKEY_DEBUG_ID_MIN;
    if (may_be_code_id)
        metric_add(s->metrics, METRIC_DOWNLOAD_CODE_ID, 1);
    bool ok = may_be_code_id ? ask_names_and_codes(req_db(req), k, key, with_try, &t, err)
                             : ask_names(req_db(req), k, key, with_try, &t, err);
    if (!ok)
        return err_wrap(err, "looking up symbols");
    *ret = t;
    return true;
}

/* clang-format off */
static const struct param_spec
    try_too = {"try", PARAM_FLAG, .help = "present, with or without a value: symbols of experimental builds, too"},
    code_file = {"code_file", PARAM_TEXT, .help = "file name of the module, for the list of missing symbols"},
    code_id = {"code_id", PARAM_TEXT, .help = "code id of the module, for the list of missing symbols"},
    refresh = {"_refresh", PARAM_FLAG, .help = "for clients of servers that remember answers; this one asks its table each time"};
/* clang-format on */
const struct param_spec *const download_params[] = {&try_too, &code_file, &code_id, &refresh, NULL};
const struct param_spec *const download_try_params[] = {&code_file, &code_id, &refresh, NULL};

/* The file has rows when its address is known; else it gets them soon. */
static void note_fetched(struct req *req)
{
    size_t n;
    fetched_rows_add(req_db(req), conf_text(req_conf(req), CONF_SYMBOLS_DIR), &n, ERR_IGNORED);
}

/*
 * What other servers have.  503 and not 404 while it is being fetched: clients come again for the
 * one and give up at the other.
 */
static bool ask_upstream(struct req *req, const struct symkey *k)
{
    const struct symbol_server *s = req_app(req);
    char url[2048];
    struct symkey stored;
    switch (upstream_find(s->upstream, k, req_text(req, &code_file), req_text(req, &code_id),
                          &stored, url)) {
    case UPSTREAM_STORED:
        note_fetched(req);
        return strcmp(stored.debug_id, k->debug_id) == 0 ? send_file(req, SYMSTORE_CACHE, &stored)
                                                         : redirect_to_name(req, &stored);
    case UPSTREAM_ELSEWHERE:
        return redirect_to(req, url);
    case UPSTREAM_LATER:
        return resp_header(req, "Retry-After", STR("3")) &&
               resp_bytes(req, 503, "text/plain; charset=utf-8",
                          STR("Symbols are being fetched from another server; ask again"));
    case UPSTREAM_NONE:
        break;
    }
    return false;
}

/*
 * The order is that of the head of this file.  A miss is written down for GET only: HEAD asks
 * whether a file is there and does not want it.
 */
static bool download(struct req *req, bool with_try, struct err *err)
{
    struct symbol_server *s = req_app(req);
    struct symkey k;
    if (!symkey_parse(req_path_rest(req), &k, ERR_IGNORED))
        return err_set(err, ERR_NOT_FOUND, "Not Found");
    download_add_cors(req);
    if (is_ignored(&k)) {
        add_debug_time(req, 0);
        return not_found(req, "Symbol Not Found (and ignored)");
    }

    struct table_answer t;
    int64_t start_us = mono_us();
    if (!ask_table(req, &k, with_try, &t, err))
        return false;
    add_debug_time(req, MAX(mono_us() - start_us, (int64_t)1));
    if (t.found == FOUND_FILE) {
        metric_size(s->metrics, METRIC_FILE_AGE, t.age_days, symstore_area_names[t.area]);
        return send_file(req, t.area, &k);
    }
    if (t.found == FOUND_NAME)
        return redirect_to_name(req, &t.name);
    if (ask_upstream(req, &k))
        return true;
    if (req_method(req) == METHOD_GET)
        missing_record(s->missing, &k,
                       &(struct missing_about){.code_file = req_text(req, &code_file),
                                               .code_id = req_text(req, &code_id)});
    return not_found(req, "Symbol Not Found");
}

/* A path that names no file is no download. */
static bool download_counted(struct req *req, bool with_try, struct err *err)
{
    const struct symbol_server *s = req_app(req);
    int64_t start_us = mono_us();
    bool ok = download(req, with_try, err);
    if (ok || err->code != ERR_NOT_FOUND)
        metric_time(s->metrics, METRIC_DOWNLOAD, mono_us() - start_us);
    return ok;
}

bool download_get(struct req *req, struct err *err)
{
    return download_counted(req, req_is_sent(req, &try_too), err);
}

bool download_try_get(struct req *req, struct err *err)
{
    return download_counted(req, true, err);
}

/* What can be fetched cannot be posted to; everything else is unknown. */
bool other_method(struct req *req, struct err *err)
{
    struct symkey k;
    if (!symkey_parse(req_path_rest(req), &k, ERR_IGNORED))
        return err_set(err, ERR_NOT_FOUND, "Not Found");
    return symbol_server_error(req, 405, &(struct err){.code = ERR_INVALID}) &&
           resp_header(req, "Allow", STR("GET, HEAD"));
}
