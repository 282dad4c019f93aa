/*
 * Two services share a program and not the form of their errors: clients of Eliot look for "title",
 * those of Tecken for "error".  The path decides, also for errors that come up before a handler is
 * found; and a browser that may not read an answer shows its script none of it, so the CORS header
 * stands on errors as on results.
 */
#include "fcgi/symbols/symbolicate_error.h"

#include <jansson.h>

#include "lib/base/arena.h"

void symbolicate_allow_origins(struct req *req)
{
    resp_header(req, "Access-Control-Allow-Origin", STR("*"));
}

bool symbolicate_is_path(struct str path)
{
    return str_eq(path, STR("/symbolicate")) || str_starts(path, STR("/symbolicate/"));
}

/* Clients look for the status in front, as Eliot has it; what is wrong with a body has no
 * number. */
bool symbolicate_error(struct req *req, int status, const struct err *err)
{
    struct arena *a = req_arena(req);
    const char *title =
        status == 400 ? err->msg : arena_printf(a, "%d %s", status, web_status_text(status));
    struct str text = utf8_clean(a, str_of(title));
    json_auto_t *body = json_pack("{s:s%}", "title", text.p, text.n);
    symbolicate_allow_origins(req);
    return body && resp_json(req, status, body, ERR_IGNORED);
}
