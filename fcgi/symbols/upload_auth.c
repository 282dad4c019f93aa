/*
 * POST /upload/auth_info/: what a client that is about to upload asks about its token, so that it
 * fails before it has packed anything, and speaks the protocol that the token is meant for.
 *
 * It answers nothing that the token's owner does not know, and writes nothing: a client may ask as
 * often as it likes.
 */
#include "fcgi/symbols/upload.h"

#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/web/web.h"
#include "queries.h"

/* "a=1, b=2" as an object; a piece without '=' is nothing. */
static json_t *object_of_list(const char *list)
{
    json_t *object = json_object();
    struct str rest = str_of(list), one;
    while (str_split(&rest, ',', &one)) {
        size_t eq = str_find_char(one, '=', 0);
        struct str name = str_trim(str_sub(one, 0, eq));
        if (eq != SIZE_MAX && name.n)
            json_object_setn_new(object, name.p, name.n,
                                 jtext(str_trim(str_sub(one, eq + 1, SIZE_MAX))));
    }
    return object;
}

static json_t *opentelemetry(const struct conf *conf)
{
    return json_pack("{s:s, s:o, s:o, s:s}", "endpoint",
                     conf_text(conf, CONF_UPLOAD_OPENTELEMETRY_ENDPOINT), "headers",
                     object_of_list(conf_text(conf, CONF_UPLOAD_OPENTELEMETRY_HEADERS)),
                     "resource_attributes",
                     object_of_list(conf_text(conf, CONF_UPLOAD_OPENTELEMETRY_RESOURCE_ATTRIBUTES)),
                     "log_level", conf_text(conf, CONF_UPLOAD_OPENTELEMETRY_LOG_LEVEL));
}

bool upload_auth_info_post(struct req *req, struct err *err)
{
    const struct conf *conf = req_conf(req);
    DB_ROWS rows = {0};
    if (!upload_check_user(req, err))
        return false;
    const struct web_user *user = req_user(req);
    if (!DB_RUN(req_db(req), &q_token_upload_facts, &rows, err,
                db_int(req_arena(req), user->token_id)))
        return err_wrap(err, "looking up a token");
    if (rows.count == 0) /* removed since it was looked at */
        return err_set(err, ERR_FORBIDDEN, "API Token not matched");
    json_auto_t *body = json_pack(
        "{s:s, s:I, s:b, s:I, s:I}", "email", user->email, "user_id", (json_int_t)user->id,
        "try_symbols", upload_default_area(req) == SYMSTORE_TRY, "token_expires_at",
        (json_int_t)db_col_int(&rows, 0, Q_TOKEN_UPLOAD_FACTS_COL_EXPIRES_S, 0),
        "upload_api_version",
        (json_int_t)db_col_int(&rows, 0, Q_TOKEN_UPLOAD_FACTS_COL_PREFERRED_UPLOAD_API_VERSION, 1));
    if (body && *conf_text(conf, CONF_UPLOAD_OPENTELEMETRY_ENDPOINT))
        json_object_set_new(body, "opentelemetry", opentelemetry(conf));
    if (!body)
        return err_set(err, ERR_INTERNAL, "cannot build the answer about a token");
    return resp_json(req, 200, body, err);
}
