#include "fcgi/webapp/layout.h"
#include "fcgi/webapp/pages.h"
#include "lib/base/util.h"
#include "lib/web/param_spec.h"
#include "queries.h"

/*
 * State of the installation for superusers: queue, reports by product, jobs, accounts, audit log,
 * status notices.  Accounts themselves are changed with the command `datil`.
 */
enum { MESSAGE_MAX = 2000 };

static const char bad_notice[] = "A notice needs a text of at most 2,000 bytes and a severity";
static const struct param_choice severities[] = {
    {"info", NULL}, {"warning", NULL}, {"critical", NULL}, {0}};
enum { SHOW_NOT, SHOW };
static const struct param_choice shows[] = {[SHOW_NOT] = {"0", NULL}, [SHOW] = {"1", NULL}, {0}};

/* clang-format off */
static const struct param_spec
    message = {"message", PARAM_TEXT, PARAM_REQUIRED | PARAM_TRIMMED, .max = MESSAGE_MAX,
               .refusal = bad_notice, .help = "text of the notice"},
    severity = {"severity", PARAM_CHOICE, PARAM_REQUIRED, .choices = severities,
                .refusal = bad_notice, .help = "how it looks"},
    notice_id = {"id", PARAM_INT, PARAM_REQUIRED, .min = 1, .max = INT64_MAX, .help = "which notice"},
    show = {"show", PARAM_CHOICE, PARAM_LENIENT, .choices = shows, .help = "1 shows it, 0 hides it"};
/* clang-format on */
const struct param_spec *const admin_notice_params[] = {&message, &severity, NULL};
const struct param_spec *const admin_notice_set_params[] = {&notice_id, &show, NULL};

static bool check_admin(struct req *r, struct err *err)
{
    return req_user(r)->is_superuser ||
           err_set(err, ERR_FORBIDDEN, "This page is for administrators");
}

/* A table as the query gives it: its columns are those of the page. */
struct admin_table {
    const char *name; /* of the list in the template */
    const struct db_query *query;
    int columns[8]; /* ended by 0 */
};

static const struct admin_table tables[] = {
    {"queue",
     &q_web_admin_queue,
     {Q_WEB_ADMIN_QUEUE_COL_QUEUE, Q_WEB_ADMIN_QUEUE_COL_WAITING, Q_WEB_ADMIN_QUEUE_COL_RUNNING,
      Q_WEB_ADMIN_QUEUE_COL_FAILED, Q_WEB_ADMIN_QUEUE_COL_OLDEST}},
    {"ledger",
     &q_web_admin_ledger,
     {Q_WEB_ADMIN_LEDGER_COL_PRODUCT, Q_WEB_ADMIN_LEDGER_COL_RECEIVED,
      Q_WEB_ADMIN_LEDGER_COL_PROCESSED, Q_WEB_ADMIN_LEDGER_COL_REJECTED,
      Q_WEB_ADMIN_LEDGER_COL_FAILED}},
    {"jobs",
     &q_web_admin_jobs,
     {Q_WEB_ADMIN_JOBS_COL_APP_NAME, Q_WEB_ADMIN_JOBS_COL_LAST_RUN,
      Q_WEB_ADMIN_JOBS_COL_LAST_SUCCESS, Q_WEB_ADMIN_JOBS_COL_NEXT_RUN,
      Q_WEB_ADMIN_JOBS_COL_ERROR_COUNT}},
    {"accounts",
     &q_account_list,
     {Q_ACCOUNT_LIST_COL_EMAIL, Q_ACCOUNT_LIST_COL_GROUPS, Q_ACCOUNT_LIST_COL_LAST_LOGIN,
      Q_ACCOUNT_LIST_COL_IS_ACTIVE, Q_ACCOUNT_LIST_COL_IS_SUPERUSER}},
    {"audit",
     &q_web_admin_audit,
     {Q_WEB_ADMIN_AUDIT_COL_AT, Q_WEB_ADMIN_AUDIT_COL_USER_NAME, Q_WEB_ADMIN_AUDIT_COL_OBJECT,
      Q_WEB_ADMIN_AUDIT_COL_OBJECT_ID, Q_WEB_ADMIN_AUDIT_COL_ACTION,
      Q_WEB_ADMIN_AUDIT_COL_MESSAGE}},
    {"messages",
     &q_web_admin_notices,
     {Q_WEB_ADMIN_NOTICES_COL_ID, Q_WEB_ADMIN_NOTICES_COL_CREATED, Q_WEB_ADMIN_NOTICES_COL_SEVERITY,
      Q_WEB_ADMIN_NOTICES_COL_MESSAGE, Q_WEB_ADMIN_NOTICES_COL_IS_ENABLED}},
};

static const char *cell(const struct db_rows *rows, int i, int column)
{
    const char *text = db_col(rows, i, column);
    if (strncmp(db_col_name(column), "is_", 3) == 0)
        return text && *text == 't' ? "yes" : "";
    return text;
}

static bool set_table(struct req *r, struct tpl_values *v, const struct admin_table *t,
                      struct err *err)
{
    DB_ROWS rows = {0};
    if (!DB_RUN(req_db(r), t->query, &rows, err))
        return err_wrap(err, "table %s", t->name);
    struct tpl_rows *out = tpl_rows(v, t->name);
    for (int i = 0; i < rows.count; i++) {
        struct tpl_row *row = tpl_row_add(out);
        for (size_t k = 0; k < ARRAY_LEN(t->columns) && t->columns[k]; k++)
            tpl_row_cstr(row, cell(&rows, i, t->columns[k]));
    }
    return true;
}

/* GET /siteadmin/ */
bool admin_get(struct req *r, struct err *err)
{
    if (!check_admin(r, err))
        return false;
    struct tpl_values *v = layout_new(r, &(struct layout){.title = "Administration"});
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        if (!set_table(r, v, &tables[i], err))
            return false;
    struct tpl_rows *products = tpl_rows(v, "products");
    const struct products *all = app_products(r);
    for (size_t i = 0; i < all->n; i++) {
        struct tpl_row *row = tpl_row_add(products);
        tpl_row_cstr(row, all->v[i].name);
        tpl_row_cstr(row, all->v[i].description);
    }
    resp_header(r, "Cache-Control", STR("no-store"));
    return layout_send(r, 200, "admin.html", v, err);
}

/* POST /siteadmin/notice/: message, severity */
bool admin_notice_post(struct req *r, struct err *err)
{
    if (!check_admin(r, err) || !req_params_fit(r, err))
        return false;
    DB_ROWS rows = {0};
    if (!DB_RUN(req_db(r), &q_web_admin_notice_add, &rows, err,
                str_adup(req_arena(r), req_text(r, &message)),
                severities[req_choice(r, &severity)].value))
        return err_wrap(err, "adding a notice");
    app_audit(r, "notice", db_col(&rows, 0, Q_WEB_ADMIN_NOTICE_ADD_COL_ID), "add", "");
    app_of(r)->notices_until_ms = 0;
    return resp_redirect(r, 303, STR("/siteadmin/"));
}

/* POST /siteadmin/notice/set/: id, show (1 or 0) */
bool admin_notice_set_post(struct req *r, struct err *err)
{
    struct arena *a = req_arena(r);
    if (!check_admin(r, err) || !req_params_fit(r, err))
        return false;
    const char *id = db_int(a, req_int(r, &notice_id));
    bool is_shown = req_choice(r, &show) == SHOW;
    if (!DB_EXEC(req_db(r), &q_web_admin_notice_set, err, id, db_bool(is_shown)))
        return err_wrap(err, "changing a notice");
    app_audit(r, "notice", id, is_shown ? "show" : "hide", "");
    app_of(r)->notices_until_ms = 0;
    return resp_redirect(r, 303, STR("/siteadmin/"));
}
