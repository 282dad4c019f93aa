/*
 * A worker of the symbol server: what it opens at its start, its errors and its health.  Errors
 * are small JSON objects; reasons that name files or the database go to the log alone.
 */
#include "fcgi/symbols/symbol_server.h"

#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/util.h"
#include "lib/store/mark.h"
#include "queries.h"

bool symbol_server_start(struct web_app *web, void **ret_app, struct err *err)
{
    const struct conf *conf = web_conf(web);
    struct symbol_server *s = xcalloc(1, sizeof *s);
    s->web = web;
    s->store = (struct symstore){.dir = conf_text(conf, CONF_SYMBOLS_DIR),
                                 .cache_dir = conf_text(conf, CONF_SYMBOLS_CACHE_DIR),
                                 .cache_max_bytes = conf_int(conf, CONF_SYMBOLS_CACHE_MAX_BYTES),
                                 .wants_mark = true};
    s->temp_dir = conf_text(conf, CONF_UPLOAD_TEMPDIR);
    s->public_url = conf_text(conf, CONF_SYMBOLS_PUBLIC_URL);
    const char *const dirs[] = {s->store.dir, s->store.cache_dir, s->temp_dir};
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
        if (!fs_mkdirs(dirs[i], FS_DIR_MODE, err)) {
            free(s);
            return false;
        }
    struct err why = {0};
    if (!symstore_ensure_index(&s->store, &why)) /* names alone are found without it */
        log_event(LOG_WARN, "symbol_index_failed", "no index by debug id", LOG_E(&why));
    s->missing = missing_new();
    *ret_app = s;
    return true;
}

void symbol_server_stop(void *app)
{
    struct symbol_server *s = app;
    missing_flush(s->missing, web_db(s->web), true);
    missing_free(s->missing);
    free(s);
}

int symbol_server_tick(void *app)
{
    struct symbol_server *s = app;
    missing_flush(s->missing, web_db(s->web), false);
    return missing_due_ms(s->missing);
}

static const char *method_name(enum method m)
{
    switch (m) {
    case METHOD_GET:
        return "GET";
    case METHOD_POST:
        return "POST";
    case METHOD_HEAD:
        return "HEAD";
    case METHOD_OPTIONS:
        return "OPTIONS";
    case METHOD_PUT:
        return "PUT";
    }
    return "?";
}

bool symbol_server_error(struct req *req, int status, const struct err *err)
{
    struct arena *a = req_arena(req);
    struct str path = utf8_clean(a, req_path(req));
    struct str message = utf8_clean(a, str_of(err->msg));
    if (status == 404 && message.n == 0)
        message = STR("Not Found");
    if (status == 405)
        message = str_of(arena_printf(a, "Method Not Allowed (%s): " STR_FMT,
                                      method_name(req_method(req)), STR_ARG(path)));
    json_auto_t *body = json_pack("{s:s%}", "error", message.p, message.n);
    if (status == 404)
        json_object_set_new(body, "path", json_stringn(path.p, path.n));
    return body && resp_json(req, status, body, &(struct err){0});
}

bool lbheartbeat_get(struct req *req, struct err *err)
{
    (void)err;
    return resp_bytes(req, 200, "text/plain; charset=utf-8", STR("ok"));
}

/* Notes one check; the reason of a failure goes to the log only. */
static void note(json_t *checks, const char *name, bool ok, const char *why, bool *all)
{
    json_object_set_new(checks, name, json_string(ok ? "ok" : "error"));
    if (!ok)
        log_event(LOG_ERROR, "heartbeat_failed", name, LOG_S("error", why));
    *all &= ok;
}

bool heartbeat_get(struct req *req, struct err *err)
{
    const struct symbol_server *s = req_app(req);
    struct err why = {0};
    bool ok = true;
    json_auto_t *body = json_pack("{s:s, s:{}, s:{}}", "status", "ok", "checks", "details");
    json_t *checks = json_object_get(body, "checks"); /* borrowed */
    DB_ROWS rows = {0};
    note(checks, "database", DB_RUN(req_db(req), &q_db_ping, &rows, &why), why.msg, &ok);
    why.msg[0] = '\0';
    note(checks, "storage",
         mark_check(s->store.dir, NULL, &why) && fs_is_writable_dir(s->store.dir),
         why.msg[0] ? why.msg : s->store.dir, &ok);
    note(checks, "symcache", fs_is_writable_dir(s->store.cache_dir), s->store.cache_dir, &ok);
    if (!ok)
        json_object_set_new(body, "status", json_string("error"));
    return resp_json(req, ok ? 200 : 500, body, err);
}
