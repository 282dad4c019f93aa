/*
 * A worker of the symbol server: what it opens at its start, its errors and its health.  Errors are
 * small JSON objects, as upload scripts written for Tecken read them, or pages where people are;
 * reasons that name files or the database go to the log alone.  A miss of a download is no error
 * and has its text in download.c.
 *
 * Symbols that were asked for in vain are counted in memory and written now and then
 * (lib/symfile/missing.h): a dump asks for hundreds of modules at once, and a statement for each
 * would cost more than the answers.
 */
#include "fcgi/symbols/symbol_server.h"

#include <unistd.h>

#include "fcgi/symbols/download_times.h"
#include "fcgi/symbols/symbolicate_error.h"
#include "fcgi/symbols/upstream.h"
#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/store/mark.h"
#include "lib/symfile/symbolize.h"
#include "lib/symfile/symfind.h"
#include "lib/symfile/symrows.h"
#include "lib/web/health.h"
#include "lib/web/site.h"

bool symbol_server_start(struct web_app *web, void **ret_app, struct err *err)
{
    const struct conf *conf = web_conf(web);
    struct symbol_server *s = xcalloc(1, sizeof *s);
    s->web = web;
    s->store = symstore_of_conf(conf);
    s->store.times = &s->times_of_store;
    s->temp_dir = conf_text(conf, CONF_UPLOAD_TEMPDIR);
    s->public_url = conf_text(conf, CONF_SYMBOLS_PUBLIC_URL);
    const char *const dirs[] = {s->store.dir, s->store.cache_dir, s->temp_dir};
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
        if (!fs_mkdirs(dirs[i], FS_DIR_MODE, err)) {
            free(s);
            return false;
        }
    if (!upstream_new(conf, &s->upstream, err)) {
        free(s);
        return false;
    }
    struct err why = {0};
    if (!symstore_ensure_index(&s->store, &why)) /* names alone are found without it */
        log_event(LOG_WARN, "symbol_index_failed", "no index by debug id", LOG_E(&why));
    if (!symrows_ensure_codes(web_db(web), &s->store, &why))
        log_event(LOG_WARN, "symbol_index_failed", "no index by code id", LOG_E(&why));
    s->sends_files = strcmp(conf_text(conf, CONF_SYMBOLS_DOWNLOAD_MODE), "accel") == 0;
    s->missing = missing_new();
    s->metrics = web_metrics(web);
    s->times = download_times_new();
    db_plan_once(web_db(web)); /* half as many downloads again: tests/bench/bench_downloads.py */
    *ret_app = s;
    return true;
}

/*
 * What was counted is written down even now; a worker that is killed loses what it had not written,
 * which is a statistic and no report.
 */
void symbol_server_stop(void *app)
{
    struct symbol_server *s = app;
    missing_flush(s->missing, web_db(s->web), true);
    missing_free(s->missing);
    upstream_free(s->upstream);
    symbolizer_free(s->symbolizer);
    symfind_free(s->find);
    download_times_flush(s->times, web_db(s->web), true);
    download_times_free(s->times);
    free(s);
}

int symbol_server_tick(void *app)
{
    struct symbol_server *s = app;
    missing_flush(s->missing, web_db(s->web), false);
    download_times_flush(s->times, web_db(s->web), false);
    int missing_ms = missing_due_ms(s->missing), times_ms = download_times_due_ms(s->times);
    return missing_ms < 0 || (times_ms >= 0 && times_ms < missing_ms) ? times_ms : missing_ms;
}

bool symbol_server_open_symbolizer(struct symbol_server *s, struct err *err)
{
    if (!s->find && !symfind_new_of_conf(web_conf(s->web), &s->find, err))
        return err_wrap(err, "symbolication");
    if (!s->symbolizer)
        s->symbolizer = symbolizer_new(s->find);
    return true;
}

/*
 * On a page it is a page.  Elsewhere an error of 404 names the path, and a 405 the method, in the
 * words of Tecken.  Both come from strangers, hence the clean-up: JSON has to be valid UTF-8.
 */
bool symbol_server_json_error(struct req *req, int status, const struct err *err)
{
    struct arena *a = req_arena(req);
    if (symbolicate_is_path(req_path(req)))
        return symbolicate_error(req, status, err);
    struct str path = utf8_clean(a, req_path(req));
    struct str message = utf8_clean(a, str_of(err->msg));
    if (status == 404 && (message.n == 0 || str_eq(message, STR("Page not found"))))
        message = STR("Not Found"); /* the words for an address that is none */
    if (status == 405)
        message = str_of(arena_printf(a, "Method Not Allowed (" STR_FMT "): " STR_FMT,
                                      STR_ARG(utf8_clean(a, req_method_name(req))), STR_ARG(path)));
    json_auto_t *body = json_pack("{s:s%}", "error", message.p, message.n);
    if (status == 404 && !(req_route_flags(req) & ROUTE_API)) /* there, an object is missing */
        json_object_set_new(body, "path", json_stringn(path.p, path.n));
    return body && resp_json(req, status, body, &(struct err){0});
}

bool symbol_server_error(struct req *req, int status, const struct err *err)
{
    if (req_route_flags(req) & ROUTE_PAGE && site_wants_page(req))
        return site_error_page(req, status, err);
    return symbol_server_json_error(req, status, err);
}

/*
 * The mark first: an empty directory where the store is not mounted can be written to as well, and
 * uploads would vanish under the mount.
 */
static bool check_storage(struct req *req, struct err *err)
{
    const struct symbol_server *s = req_app(req);
    return mark_check(s->store.dir, NULL, err) &&
           (fs_is_writable_dir(s->store.dir) ||
            err_set(err, ERR_IO, "%s cannot be written", s->store.dir));
}

static bool check_symcache(struct req *req, struct err *err)
{
    const struct symbol_server *s = req_app(req);
    return fs_is_writable_dir(s->store.cache_dir) ||
           err_set(err, ERR_IO, "%s cannot be written", s->store.cache_dir);
}

/*
 * All checks are made even after one has failed, and the document says which: monitors show them
 * side by side.  The keys are those of Tecken, "details" among them, which is always empty here:
 * reasons are in the log.
 */
static bool answer_health(struct req *req, const struct health_verdict *v, size_t n,
                          struct err *err)
{
    bool ok = true;
    json_auto_t *body = json_pack("{s:s, s:{}, s:{}}", "status", "ok", "checks", "details");
    json_t *verdicts = json_object_get(body, "checks"); /* borrowed */
    for (size_t i = 0; i < n; i++) {
        json_object_set_new(verdicts, v[i].check->name, json_string(v[i].holds ? "ok" : "error"));
        ok &= v[i].holds;
    }
    if (!ok)
        json_object_set_new(body, "status", json_string("error"));
    return resp_json(req, ok ? 200 : 500, body, err);
}

static const struct health_check health_checks[] = {
    {"database", health_database},
    {"migrations", health_migrations},
    {"storage", check_storage},
    {"symcache", check_symcache},
};
const struct health symbol_server_health = {
    .checks = health_checks,
    .check_count = ARRAY_LEN(health_checks),
    .answer = answer_health,
    .alive_type = "text/plain; charset=utf-8",
    .alive = "ok",
    .version_type = "application/json; charset=utf-8",
};

/* GET /__broken__: only through the operators' door (ROUTE_LOCAL). */
bool symbols_broken_get(struct req *req, struct err *err)
{
    (void)req;
    return err_set(err, ERR_INTERNAL, "this page is broken on purpose");
}
