/*
 * Accounts, for superusers: a list, a form for each, and the log of what was changed.
 *
 * Whether somebody is a superuser is asked directly, and no permission gives access: permissions
 * come from groups, and a group whose members could change accounts could make itself more.
 * Accounts are not made here; what this page does can all be undone by it, except for one's own
 * account, which it does not touch. Every change is written to the audit log with what the account
 * is afterwards, not with what was clicked.
 */
#include "fcgi/symbols/symbol_pages.h"
#include "fcgi/symbols/upload_lists.h"
#include "fcgi/symbols/upload_rows.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/tpl/tpl.h"
#include "lib/web/param_spec.h"
#include "lib/web/site.h"
#include "lib/web/web.h"
#include "queries.h"
#include "rows.h"

enum { AUDIT_BATCH = 50 }; /* two screens of lines */

/* clang-format off */
static const struct param_spec
    is_active = {"is_active", PARAM_FLAG, .help = "the account may log in and its tokens work"},
    is_superuser = {"is_superuser", PARAM_FLAG, .help = "it has every permission"},
    groups = {"groups", PARAM_INT_LIST, PARAM_SKIP_EMPTY, .min = 1, .max = INT64_MAX, .help = "numbers of its groups"},
    page = {"page", PARAM_INT, PARAM_CLAMPED | PARAM_LENIENT, .min = 1, .max = 1000000, .fallback = "1", .help = "from 1"};
/* clang-format on */
const struct param_spec *const page_user_post_params[] = {&is_active, &is_superuser, &groups, NULL};
const struct param_spec *const page_audit_params[] = {&page, NULL};

static bool check_superuser(struct req *r, struct err *err)
{
    return req_user(r)->is_superuser ||
           err_set(err, ERR_FORBIDDEN, "This page is for administrators");
}

/* GET /users */
bool page_users_get(struct req *r, struct err *err)
{
    static const struct {
        const struct tpl_column *to;
        int from;
    } texts[] = {
        {USER_ROW_EMAIL, Q_SYMBOL_USERS_COL_EMAIL},
        {USER_ROW_UPLOADS, Q_SYMBOL_USERS_COL_UPLOADS},
        {USER_ROW_TOKENS, Q_SYMBOL_USERS_COL_TOKENS},
        {USER_ROW_LAST_UPLOAD, Q_SYMBOL_USERS_COL_LAST_UPLOAD},
        {USER_ROW_GROUPS, Q_SYMBOL_USERS_COL_GROUPS},
        {USER_ROW_JOINED, Q_SYMBOL_USERS_COL_JOINED},
        {USER_ROW_LAST_LOGIN, Q_SYMBOL_USERS_COL_LAST_LOGIN},
    };
    static const struct {
        const struct tpl_column *to;
        int from;
    } flags[] = {
        {USER_ROW_IS_ACTIVE, Q_SYMBOL_USERS_COL_IS_ACTIVE},
        {USER_ROW_IS_SUPERUSER, Q_SYMBOL_USERS_COL_IS_SUPERUSER},
        {USER_ROW_IS_STAFF, Q_SYMBOL_USERS_COL_IS_STAFF},
    };
    DB_ROWS found = {0};
    if (!check_superuser(r, err))
        return false;
    if (!DB_RUN(req_db(r), &q_symbol_users, &found, err))
        return err_wrap(err, "listing accounts");
    struct tpl_values *v = symbol_page_new(r, "Users", SYMBOL_NAV_USERS);
    struct tpl_rows *rows = tpl_list(v, LIST_USERS);
    for (int i = 0; i < found.count; i++) {
        struct tpl_row *row = tpl_row_add(rows);
        tpl_col_url(row, USER_ROW_URL,
                    site_path(r, arena_printf(req_arena(r), "/users/%s",
                                              db_col(&found, i, Q_SYMBOL_USERS_COL_ID))));
        for (size_t k = 0; k < ARRAY_LEN(texts); k++)
            tpl_col_cstr(row, texts[k].to, db_col(&found, i, texts[k].from));
        for (size_t k = 0; k < ARRAY_LEN(flags); k++)
            tpl_col_cstr(row, flags[k].to, db_col_bool(&found, i, flags[k].from) ? "yes" : "");
    }
    resp_header(r, "Cache-Control", STR("no-store"));
    return resp_page(r, 200, "symbols_users.html", v, err);
}

static bool load_user(struct req *r, int64_t *ret_id, struct db_rows *ret, struct err *err)
{
    if (!check_superuser(r, err) || !list_path_id(r, ret_id, err))
        return false;
    if (!DB_RUN(req_db(r), &q_symbol_user_get, ret, err, db_int(req_arena(r), *ret_id)))
        return err_wrap(err, "looking up an account");
    return ret->count > 0 || err_set(err, ERR_NOT_FOUND, "There is no such account");
}

/*
 * The form shows what the account is, also after a refusal: a form that kept what was sent would
 * look as if it had been done.
 */
static bool send_user(struct req *r, int status, int64_t id, const struct db_rows *user,
                      const char *problem, struct err *err)
{
    DB_ROWS all = {0};
    if (!DB_RUN(req_db(r), &q_symbol_user_groups, &all, err, db_int(req_arena(r), id)))
        return err_wrap(err, "listing groups");
    const char *email = db_col(user, 0, Q_SYMBOL_USER_GET_COL_EMAIL);
    struct tpl_values *v = symbol_page_new(r, email, SYMBOL_NAV_USERS);
    struct tpl_rows *rows = tpl_list(v, LIST_GROUP_CHOICES);
    for (int i = 0; i < all.count; i++) {
        struct tpl_row *row = tpl_row_add(rows);
        tpl_col_cstr(row, GROUP_CHOICE_ID, db_col(&all, i, Q_SYMBOL_USER_GROUPS_COL_ID));
        tpl_col_cstr(row, GROUP_CHOICE_NAME, db_col(&all, i, Q_SYMBOL_USER_GROUPS_COL_NAME));
        tpl_col_bool(row, GROUP_CHOICE_IS_MEMBER,
                     db_col_bool(&all, i, Q_SYMBOL_USER_GROUPS_COL_IS_MEMBER));
    }
    tpl_int(v, "account_id", id);
    tpl_cstr(v, "account_email", email);
    tpl_bool(v, "account_is_active", db_col_bool(user, 0, Q_SYMBOL_USER_GET_COL_IS_ACTIVE));
    tpl_bool(v, "account_is_superuser", db_col_bool(user, 0, Q_SYMBOL_USER_GET_COL_IS_SUPERUSER));
    tpl_cstr(v, "problem", problem);
    resp_header(r, "Cache-Control", STR("no-store"));
    return resp_page(r, status, "symbols_user.html", v, err);
}

/* GET /users/ID */
bool page_user_get(struct req *r, struct err *err)
{
    int64_t id;
    DB_ROWS user = {0};
    return load_user(r, &id, &user, err) && send_user(r, 200, id, &user, "", err);
}

/* "active on, superuser off, groups Uploaders": what an account is from now on. */
static const char *describe(struct req *r, const struct strs *chosen, const struct db_rows *all)
{
    struct arena *a = req_arena(r);
    const char *names = "";
    for (int i = 0; i < all->count; i++)
        for (size_t k = 0; k < chosen->n; k++)
            if (str_eq(chosen->v[k], str_of(db_col(all, i, Q_SYMBOL_USER_GROUPS_COL_ID))))
                names = arena_printf(a, "%s%s%s", names, *names ? ", " : "",
                                     db_col(all, i, Q_SYMBOL_USER_GROUPS_COL_NAME));
    return arena_printf(a, "active %s, superuser %s, groups: %s",
                        req_flag(r, &is_active) ? "on" : "off",
                        req_flag(r, &is_superuser) ? "on" : "off", *names ? names : "none");
}

/*
 * POST /users/ID.  Nobody takes the account away that they are working with: an installation whose
 * last superuser is gone has only its command line.
 */
bool page_user_post(struct req *r, struct err *err)
{
    struct arena *a = req_arena(r);
    int64_t id;
    DB_ROWS user = {0};
    DB_ROWS all = {0};
    DB_ROWS changed = {0};
    struct strs chosen = req_list(r, &groups);
    if (!load_user(r, &id, &user, err))
        return false;
    if (id == req_user(r)->id && (!req_flag(r, &is_active) || !req_flag(r, &is_superuser)))
        return send_user(r, 400, id, &user,
                         "You cannot switch off your own account or stop being a superuser. Let "
                         "another superuser do it.",
                         err);
    if (!DB_RUN(req_db(r), &q_symbol_user_groups, &all, err, db_int(a, id)) ||
        !DB_RUN(req_db(r), &q_symbol_user_set, &changed, err, db_int(a, id),
                db_bool(req_flag(r, &is_active)), db_bool(req_flag(r, &is_superuser)),
                db_text_array(a, chosen)))
        return err_wrap(err, "changing an account");
    site_audit(r, "user", db_col(&user, 0, Q_SYMBOL_USER_GET_COL_EMAIL), "change",
               describe(r, &chosen, &all));
    return resp_redirect(r, 303, site_path(r, "/users"));
}

/* GET /users/audit */
bool page_audit_get(struct req *r, struct err *err)
{
    static const struct {
        const struct tpl_column *to;
        int from;
    } columns[] = {
        {AUDIT_ENTRY_AT, Q_SYMBOL_AUDIT_COL_AT},
        {AUDIT_ENTRY_USER_NAME, Q_SYMBOL_AUDIT_COL_USER_NAME},
        {AUDIT_ENTRY_OBJECT, Q_SYMBOL_AUDIT_COL_OBJECT},
        {AUDIT_ENTRY_OBJECT_ID, Q_SYMBOL_AUDIT_COL_OBJECT_ID},
        {AUDIT_ENTRY_ACTION, Q_SYMBOL_AUDIT_COL_ACTION},
        {AUDIT_ENTRY_MESSAGE, Q_SYMBOL_AUDIT_COL_MESSAGE},
    };
    struct arena *a = req_arena(r);
    DB_ROWS found = {0};
    if (!check_superuser(r, err))
        return false;
    if (!DB_RUN(req_db(r), &q_symbol_audit, &found, err, db_int(a, AUDIT_BATCH + 1),
                db_int(a, (req_int(r, &page) - 1) * AUDIT_BATCH)))
        return err_wrap(err, "reading the audit log");
    struct tpl_values *v = symbol_page_new(r, "Audit log", SYMBOL_NAV_USERS);
    struct tpl_rows *rows = tpl_list(v, LIST_AUDIT);
    for (int i = 0; i < found.count && i < AUDIT_BATCH; i++) {
        struct tpl_row *row = tpl_row_add(rows);
        for (size_t k = 0; k < ARRAY_LEN(columns); k++)
            tpl_col_cstr(row, columns[k].to, db_col(&found, i, columns[k].from));
    }
    json_auto_t *answer =
        json_pack("{s:b, s:i}", "has_next", found.count > AUDIT_BATCH, "total", LIST_NOT_COUNTED);
    list_set_pager(r, v, "/users/audit", req_int(r, &page), answer, "change");
    resp_header(r, "Cache-Control", STR("no-store"));
    return resp_page(r, 200, "symbols_audit.html", v, err);
}
