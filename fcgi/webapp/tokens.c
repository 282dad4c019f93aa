/*
 * API tokens of the user who is logged in.  The key is shown once, in the answer that makes it
 * (lib/web/token_make.h); its first characters stay, so that people can tell their tokens apart.
 *
 * A token never may more than its owner: permissions are checked when it is made, and what its
 * owner loses later it cannot do either, for each call looks at both (sql/session.sql).  It ends
 * after 90 days; a new one takes its place, none is prolonged.
 */
#include "fcgi/webapp/webapp.h"
#include "fcgi/webapp/layout.h"
#include "fcgi/webapp/pages.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/tpl/tpl.h"
#include "lib/web/param_spec.h"
#include "lib/web/site.h"
#include "lib/web/token_make.h"
#include "lib/web/web.h"
#include "queries.h"
#include "rows.h"

enum { TOKEN_DAYS = 90 };

/* Whether the user holds each permission is looked at by hand: it is no matter of its text. */
static const struct param_spec permissions = {"permissions", PARAM_LIST,
                                              .help = "what the token may do, of what you may"};
static const struct param_spec notes = {"notes",
                                        PARAM_TEXT,
                                        PARAM_TRIMMED | PARAM_CHARACTERS,
                                        .max = TOKEN_NOTES_MAX,
                                        .fallback = "",
                                        .refusal = "Notes may have 2,000 characters.",
                                        .help = "what it is for"};
const struct param_spec *const tokens_post_params[] = {&permissions, &notes, NULL};

/* Tokens of the user, expired ones among them: those can be removed, not renewed. */
static void list_tokens(const struct db_rows *found, struct tpl_rows *rows)
{
    static const struct {
        /* Of the page's row, and of the query's. */
        const struct tpl_column *column;
        enum q_web_tokens_col from;
    } texts[] = {
        {TOKEN_ID, Q_WEB_TOKENS_COL_ID},
        {TOKEN_CREATED, Q_WEB_TOKENS_COL_CREATED},
        {TOKEN_KEY_START, Q_WEB_TOKENS_COL_KEY_START},
        {TOKEN_EXPIRES, Q_WEB_TOKENS_COL_EXPIRES},
        {TOKEN_PERMISSIONS, Q_WEB_TOKENS_COL_PERMISSIONS},
        {TOKEN_NOTES, Q_WEB_TOKENS_COL_NOTES},
    };
    for (int i = 0; i < found->count; i++) {
        struct tpl_row *row = tpl_row_add(rows);
        for (size_t k = 0; k < ARRAY_LEN(texts); k++)
            tpl_col_cstr(row, texts[k].column, db_col(found, i, (int)texts[k].from));
        tpl_col_bool(row, TOKEN_IS_EXPIRED, db_col_bool(found, i, Q_WEB_TOKENS_COL_IS_EXPIRED));
    }
}

/*
 * The page after every answer: the list, the form, and the key or the problem if there is one.  The
 * answer to a POST is a page and no redirect, for the key is nowhere else to be had; so it must not
 * be kept by a browser either.
 */
static bool send_page(struct req *r, int status, const char *key, const char *problem,
                      struct err *err)
{
    const char *user = db_int(req_arena(r), req_user(r)->id);
    DB_ROWS tokens = {0};
    DB_ROWS held = {0};
    if (!DB_RUN(req_db(r), &q_web_tokens, &tokens, err, user) ||
        !DB_RUN(req_db(r), &q_web_permissions, &held, err, user))
        return err_wrap(err, "listing tokens");
    struct tpl_values *v = layout_new(r, &(struct layout){.title = "API tokens"});
    list_tokens(&tokens, tpl_list(v, LIST_TOKENS));
    struct tpl_rows *choices = tpl_list(v, LIST_GRANTABLE_PERMISSIONS);
    for (int i = 0; i < held.count; i++) {
        if (!db_col_bool(&held, i, Q_WEB_PERMISSIONS_COL_HAS_IT))
            continue;
        struct tpl_row *row = tpl_row_add(choices);
        tpl_col_cstr(row, PERMISSION_NAME, db_col(&held, i, Q_WEB_PERMISSIONS_COL_NAME));
        tpl_col_cstr(row, PERMISSION_LABEL, db_col(&held, i, Q_WEB_PERMISSIONS_COL_LABEL));
        tpl_col_bool(row, PERMISSION_HAS_IT, true);
    }
    tpl_bool(v, "has_tokens", tokens.count > 0);
    tpl_bool(v, "has_permissions", tpl_rows_count(choices) > 0);
    tpl_cstr(v, "key", key);
    tpl_cstr(v, "problem", problem);
    resp_header(r, "Cache-Control", STR("no-store"));
    return layout_send(r, status, "tokens.html", v, err);
}

/* GET /api/tokens/ */
bool tokens_get(struct req *r, struct err *err)
{
    return send_page(r, 200, "", "", err);
}

/* Everything asked for must be held by the user; so nobody lends more than they have. */
static bool may_all(struct req *r, struct strs names)
{
    for (size_t i = 0; i < names.n; i++)
        if (!req_may(r, str_adup(req_arena(r), names.v[i])))
            return false;
    return true;
}

/* POST /api/tokens/: permissions (repeated), notes. */
bool tokens_post(struct req *r, struct err *err)
{
    struct strs wanted = req_list(r, &permissions);
    char key[TOKEN_KEY_DIGITS + 1];
    struct err problem;
    if (!req_params_fit(r, &problem))
        return send_page(r, 400, "", problem.msg, err);
    if (!may_all(r, wanted))
        return send_page(r, 400, "", "A token can only have permissions that you hold.", err);
    if (!token_make(r, wanted, TOKEN_DAYS, req_text(r, &notes), key, err))
        return false;
    return send_page(r, 200, key, "", err);
}

/*
 * POST /api/tokens/delete/ID/.  The statement asks for the owner too: the number of somebody else's
 * token is answered like one that does not exist.
 */
bool tokens_delete_post(struct req *r, struct err *err)
{
    struct arena *a = req_arena(r);
    struct str text = req_path_rest(r);
    int64_t id;
    if (str_ends(text, STR("/")))
        text.n--;
    if (!str_to_i64(text, 1, INT64_MAX, "token", &id, ERR_IGNORED))
        return err_set(err, ERR_NOT_FOUND, "There is no such token");
    DB_ROWS gone = {0};
    if (!DB_RUN(req_db(r), &q_web_token_remove, &gone, err, db_int(a, req_user(r)->id),
                db_int(a, id)))
        return err_wrap(err, "removing a token");
    if (gone.affected == 0)
        return err_set(err, ERR_NOT_FOUND, "There is no such token");
    site_audit(r, "token", db_int(a, id), "delete", "");
    return resp_redirect(r, 303, STR("/api/tokens/"));
}
