/*
 * The JSON API of tokens, and who asks.  Reading and making tokens needs the permission to manage
 * them; to remove or extend one's own a log-in is enough, so that nobody is left with a token that
 * they cannot end.
 */
#include "fcgi/symbols/form_errors.h"
#include "fcgi/symbols/symbol_pages.h"
#include "fcgi/symbols/symbol_server.h"
#include "fcgi/symbols/symbol_tokens.h"
#include "fcgi/symbols/upload_lists.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/web/param_spec.h"
#include "lib/web/site.h"
#include "lib/web/web.h"
#include "queries.h"

/* clang-format off */
static const struct param_spec
    state = {"state", PARAM_TEXT, .help = "empty: those that have not expired; `expired`, `all`"},
    permissions = {"permissions", PARAM_LIST, .help = "numbers of permissions with commas between"},
    expires = {"expires", PARAM_TEXT, .help = "days that it lives; required"},
    notes = {"notes", PARAM_TEXT, PARAM_TRIMMED, .fallback = "", .help = "what it is for"},
    days = {"days", PARAM_TEXT, .fallback = "365", .help = "days that are added"};
/* clang-format on */
const struct param_spec *const api_tokens_params[] = {&state, NULL};
const struct param_spec *const api_tokens_post_params[] = {&permissions, &expires, &notes, NULL};
const struct param_spec *const api_token_extend_params[] = {&days, NULL};

static const struct {
    const char *name;
    enum token_state state;
} states[] = {{"", TOKENS_ACTIVE}, {"expired", TOKENS_EXPIRED}, {"all", TOKENS_ALL}};

/* GET /api/tokens/ */
bool api_tokens_get(struct req *r, struct err *err)
{
    FORM_ERRORS_AUTO errors = {0};
    json_auto_t *answer = NULL;
    struct str asked = req_text(r, &state);
    if (!req_may(r, "manage_tokens"))
        return list_forbidden(err);
    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        if (str_eq(asked, str_of(states[i].name)))
            return tokens_load(r, states[i].state, &answer, err) && resp_json(r, 200, answer, err);
    form_errors_add(&errors, "state", "Unrecognized state value '" STR_FMT "'",
                    STR_ARG(str_sub(asked, 0, utf8_prefix_bytes(asked, 100))));
    return form_errors_send(r, &errors, err);
}

/* POST /api/tokens/: the key is in this answer and never again. */
bool api_tokens_post(struct req *r, struct err *err)
{
    FORM_ERRORS_AUTO errors = {0};
    char key[TOKEN_KEY_DIGITS + 1];
    if (!req_may(r, "manage_tokens"))
        return list_forbidden(err);
    const struct token_form form = {.permissions = req_list(r, &permissions),
                                    .days = req_text(r, &expires),
                                    .notes = req_text(r, &notes)};
    if (!token_create(r, &form, &errors, key, err))
        return false;
    if (form_errors_any(&errors))
        return form_errors_send(r, &errors, err);
    json_auto_t *body = json_pack("{s:b, s:s}", "ok", 1, "key", key);
    resp_header(r, "Cache-Control", STR("no-store"));
    return resp_json(r, 201, body, err);
}

/* DELETE /api/tokens/token/ID */
bool api_token_delete(struct req *r, struct err *err)
{
    int64_t id;
    json_auto_t *body = json_pack("{s:b}", "ok", 1);
    return list_path_id(r, &id, err) && token_remove(r, id, err) && resp_json(r, 200, body, err);
}

/* POST /api/tokens/token/ID/extend */
bool api_token_extend_post(struct req *r, struct err *err)
{
    FORM_ERRORS_AUTO errors = {0};
    struct str text = req_path_rest(r);
    int64_t id, added;
    if (str_ends(text, STR("/")))
        text.n--;
    if (!str_ends(text, STR("/extend"))) /* the path of DELETE */
        return resp_header(r, "Allow", STR("DELETE, OPTIONS")) &&
               symbol_server_error(r, 405, &(struct err){.code = ERR_INVALID});
    if (!str_to_i64(str_sub(text, 0, text.n - strlen("/extend")), 1, INT64_MAX, "id", &id,
                    ERR_IGNORED))
        return err_set(err, ERR_NOT_FOUND, "Not Found");
    if (!token_days(req_text(r, &days), "days", &added, &errors))
        return form_errors_send(r, &errors, err);
    json_auto_t *body = json_pack("{s:b, s:I}", "ok", 1, "days", (json_int_t)added);
    return token_extend(r, id, added, err) && resp_json(r, 200, body, err);
}

/*
 * Only the permissions of the symbol server: what else an account may do is nothing that clients of
 * this API know. With a token it is what the token may, not what its owner may.
 */
static bool add_permissions(struct req *r, json_t *user, struct err *err)
{
    DB_ROWS ids = {0};
    if (!DB_RUN(req_db(r), &q_symbol_permission_ids, &ids, err))
        return err_wrap(err, "listing permissions");
    json_t *list = json_array();
    for (int i = 0; i < ids.count; i++) {
        const char *name = db_col(&ids, i, Q_SYMBOL_PERMISSION_IDS_COL_NAME);
        bool is_ours = false;
        for (size_t k = 0; k < SYMBOL_PERMISSIONS; k++)
            is_ours |= strcmp(name, symbol_permissions[k]) == 0;
        if (is_ours && req_may(r, name))
            json_array_append_new(
                list, json_pack("{s:I, s:s, s:s}", "id",
                                (json_int_t)db_col_int(&ids, i, Q_SYMBOL_PERMISSION_IDS_COL_ID, 0),
                                "codename", permission_codename(req_arena(r), name), "name",
                                db_col(&ids, i, Q_SYMBOL_PERMISSION_IDS_COL_LABEL)));
    }
    json_object_set_new(user, "permissions", list);
    return true;
}

/* GET /api/_auth/: who asks, for pages of others and for scripts; the log-in takes a browser. */
bool api_auth_get(struct req *r, struct err *err)
{
    const struct web_user *user = req_user(r);
    struct str base = site_base(r);
    json_auto_t *body = json_object();
    if (!user->is_logged_in) {
        jset_null(body, "user");
        jset_text(body, "sign_in_url",
                  str_of(arena_printf(req_arena(r), STR_FMT "/login/", STR_ARG(base))));
        return resp_json(r, 200, body, err);
    }
    json_t *who = json_pack("{s:s, s:b, s:b}", "email", user->email, "is_active", 1, "is_superuser",
                            user->is_superuser);
    json_object_set_new(body, "user", who);
    jset_text(body, "sign_out_url",
              str_of(arena_printf(req_arena(r), STR_FMT "/logout/", STR_ARG(base))));
    return add_permissions(r, who, err) && resp_json(r, 200, body, err);
}
