/*
 * State of the installation for superusers: queue, reports by product, jobs, accounts, audit log,
 * status notices.  All but the notices is read only.  Accounts themselves are changed with the
 * command `datil`: who can run that has the machine, and a stolen session of a browser cannot make
 * accounts.  A notice stands above every page, so MESSAGE_MAX is a long paragraph.
 */
#include "fcgi/webapp/webapp.h"
#include "fcgi/webapp/layout.h"
#include "fcgi/webapp/pages.h"
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

enum { MESSAGE_MAX = 2000 };

/*
 * A notice stands above every page, hence the limit; the form in templates/admin.html has it too.
 */
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

/* No permission gives access: only superusers have it, so a group cannot hand it on. */
bool admin_check(struct req *r, struct err *err)
{
    return req_user(r)->is_superuser ||
           err_set(err, ERR_FORBIDDEN, "This page is for administrators");
}

/*
 * A table as a query gives it: each column of its rows from one of the same name.  Both names are
 * constants made at build time (rows.tsv, sql/webapp.sql), so a column that one side does not have
 * is an error of the compiler.
 */
struct admin_table {
    const struct tpl_list *list;
    const struct db_query *query;
    struct {
        const struct tpl_column *to; /* NULL: no more */
        int from;
    } columns[8];
};

#define COLUMN(row, query, name)                                                                   \
    {                                                                                              \
        row##_##name, Q_##query##_COL_##name                                                       \
    }
/* clang-format off */
static const struct admin_table tables[] = {
    {LIST_QUEUE,
     &q_web_admin_queue,
     {COLUMN(QUEUE_STATE, WEB_ADMIN_QUEUE, QUEUE),
      COLUMN(QUEUE_STATE, WEB_ADMIN_QUEUE, WAITING),
      COLUMN(QUEUE_STATE, WEB_ADMIN_QUEUE, RUNNING),
      COLUMN(QUEUE_STATE, WEB_ADMIN_QUEUE, FAILED),
      COLUMN(QUEUE_STATE, WEB_ADMIN_QUEUE, OLDEST)}},
    {LIST_LEDGER,
     &q_web_admin_ledger,
     {COLUMN(LEDGER_STATE, WEB_ADMIN_LEDGER, PRODUCT),
      COLUMN(LEDGER_STATE, WEB_ADMIN_LEDGER, RECEIVED),
      COLUMN(LEDGER_STATE, WEB_ADMIN_LEDGER, PROCESSED),
      COLUMN(LEDGER_STATE, WEB_ADMIN_LEDGER, REJECTED),
      COLUMN(LEDGER_STATE, WEB_ADMIN_LEDGER, FAILED)}},
    {LIST_JOBS,
     &q_web_admin_jobs,
     {COLUMN(JOB, WEB_ADMIN_JOBS, APP_NAME),
      COLUMN(JOB, WEB_ADMIN_JOBS, LAST_RUN),
      COLUMN(JOB, WEB_ADMIN_JOBS, LAST_SUCCESS),
      COLUMN(JOB, WEB_ADMIN_JOBS, NEXT_RUN),
      COLUMN(JOB, WEB_ADMIN_JOBS, ERROR_COUNT)}},
    {LIST_ACCOUNTS,
     &q_account_list,
     {COLUMN(ACCOUNT, ACCOUNT_LIST, EMAIL),
      COLUMN(ACCOUNT, ACCOUNT_LIST, GROUPS),
      COLUMN(ACCOUNT, ACCOUNT_LIST, LAST_LOGIN),
      COLUMN(ACCOUNT, ACCOUNT_LIST, IS_ACTIVE),
      COLUMN(ACCOUNT, ACCOUNT_LIST, IS_SUPERUSER)}},
    {LIST_AUDIT,
     &q_web_admin_audit,
     {COLUMN(AUDIT_ENTRY, WEB_ADMIN_AUDIT, AT),
      COLUMN(AUDIT_ENTRY, WEB_ADMIN_AUDIT, USER_NAME),
      COLUMN(AUDIT_ENTRY, WEB_ADMIN_AUDIT, OBJECT),
      COLUMN(AUDIT_ENTRY, WEB_ADMIN_AUDIT, OBJECT_ID),
      COLUMN(AUDIT_ENTRY, WEB_ADMIN_AUDIT, ACTION),
      COLUMN(AUDIT_ENTRY, WEB_ADMIN_AUDIT, MESSAGE)}},
    {LIST_MESSAGES,
     &q_web_admin_notices,
     {COLUMN(MESSAGE, WEB_ADMIN_NOTICES, ID),
      COLUMN(MESSAGE, WEB_ADMIN_NOTICES, CREATED),
      COLUMN(MESSAGE, WEB_ADMIN_NOTICES, SEVERITY),
      COLUMN(MESSAGE, WEB_ADMIN_NOTICES, MESSAGE),
      COLUMN(MESSAGE, WEB_ADMIN_NOTICES, IS_ENABLED)}},
};
/* clang-format on */

/* Columns of yes and no are named is_…; no is shown as nothing, so that yes stands out. */
static const char *cell_text(const struct db_rows *rows, int i, int column)
{
    const char *text = db_col(rows, i, column);
    if (strncmp(db_col_name(column), "is_", 3) == 0)
        return text && *text == 't' ? "yes" : "";
    return text;
}

/* All rows that the query answers: those of the tables that only grow have a LIMIT there. */
static bool set_table(struct req *r, struct tpl_values *v, const struct admin_table *t,
                      struct err *err)
{
    DB_ROWS rows = {0};
    if (!DB_RUN(req_db(r), t->query, &rows, err))
        return err_wrap(err, "table %s", t->list->name);
    struct tpl_rows *out = tpl_list(v, t->list);
    for (int i = 0; i < rows.count; i++) {
        struct tpl_row *row = tpl_row_add(out);
        for (size_t k = 0; k < ARRAY_LEN(t->columns) && t->columns[k].to; k++)
            tpl_col_cstr(row, t->columns[k].to, cell_text(&rows, i, t->columns[k].from));
    }
    return true;
}

/* GET /siteadmin/.  Never kept by a browser: the page has the addresses of all accounts on it. */
bool admin_get(struct req *r, struct err *err)
{
    if (!admin_check(r, err))
        return false;
    struct tpl_values *v = layout_new(r, &(struct layout){.title = "Administration"});
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        if (!set_table(r, v, &tables[i], err))
            return false;
    struct tpl_rows *products = tpl_list(v, LIST_PRODUCTS);
    const struct products *all = app_products(r);
    for (size_t i = 0; i < all->n; i++) {
        struct tpl_row *row = tpl_row_add(products);
        tpl_col_cstr(row, PRODUCT_NAME, all->v[i].name);
        tpl_col_cstr(row, PRODUCT_DESCRIPTION, all->v[i].description);
    }
    resp_header(r, "Cache-Control", STR("no-store"));
    return layout_send(r, 200, "admin.html", v, err);
}

/*
 * POST /siteadmin/notice/: message, severity.  The worker that took the notice shows it at once;
 * the others when the time for which they keep notices is over (layout.c).
 */
bool admin_notice_post(struct req *r, struct err *err)
{
    if (!admin_check(r, err) || !req_params_fit(r, err))
        return false;
    DB_ROWS rows = {0};
    if (!DB_RUN(req_db(r), &q_web_admin_notice_add, &rows, err,
                str_adup(req_arena(r), req_text(r, &message)),
                severities[req_choice(r, &severity)].value))
        return err_wrap(err, "adding a notice");
    site_audit(r, "notice", db_col(&rows, 0, Q_WEB_ADMIN_NOTICE_ADD_COL_ID), "add", "");
    site_forget_notices(r);
    return resp_redirect(r, 303, STR("/siteadmin/"));
}

/*
 * POST /siteadmin/notice/set/: id, show (1 or 0).  Hidden notices are kept, so that the list tells
 * what people were told when.
 */
bool admin_notice_set_post(struct req *r, struct err *err)
{
    struct arena *a = req_arena(r);
    if (!admin_check(r, err) || !req_params_fit(r, err))
        return false;
    const char *id = db_int(a, req_int(r, &notice_id));
    bool is_shown = req_choice(r, &show) == SHOW;
    if (!DB_EXEC(req_db(r), &q_web_admin_notice_set, err, id, db_bool(is_shown)))
        return err_wrap(err, "changing a notice");
    site_audit(r, "notice", id, is_shown ? "show" : "hide", "");
    site_forget_notices(r);
    return resp_redirect(r, 303, STR("/siteadmin/"));
}
