/*
 * /siteadmin/purge/: removing what should not have been collected, for superusers.  It is asked for
 * in two steps.  First somebody looks: how many crashes have this value, and in how many places
 * they are.  Only what was looked for can be deleted, and after that it is gone.
 *
 * Neither is done here.  Both go through all raw crashes of the days in question, which takes from
 * seconds to hours, so the page writes down what is wanted and the scheduled job `purge` does it;
 * its progress is on this page.  The value is in the form alone: it comes in no address, and the
 * database has a digest of it until the purge ends.
 */
#include "fcgi/webapp/layout.h"
#include "fcgi/webapp/pages.h"
#include "fcgi/webapp/webapp.h"
#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/purge/purge.h"
#include "lib/tpl/tpl.h"
#include "lib/web/human.h"
#include "lib/web/param_spec.h"
#include "lib/web/site.h"
#include "lib/web/web.h"
#include "queries.h"
#include "rows.h"

/* Names of annotations are words; values may be as long as an address or a comment. */
enum { ANNOTATION_MAX = 200, VALUE_MAX = 8192 };

/* clang-format off */
static const struct param_spec
    annotation = {"annotation", PARAM_TEXT, PARAM_REQUIRED | PARAM_TRIMMED, .max = ANNOTATION_MAX,
                  .refusal = "The name of an annotation is needed", .help = "name of the annotation"},
    value = {"value", PARAM_TEXT, PARAM_REQUIRED, .max = VALUE_MAX,
             .refusal = "The value is needed, as it was sent", .help = "its whole value"},
    purge_product = {"product", PARAM_TEXT, PARAM_TRIMMED, .max = ANNOTATION_MAX,
                     .refusal = "There is no product of such a name", .help = "of this product alone"},
    first_day = {"from", PARAM_DATE, .refusal = "The first day is no date", .help = "first day of crash ids"},
    last_day = {"to", PARAM_DATE, .refusal = "The last day is no date", .help = "last day of crash ids"},
    run_id = {"id", PARAM_INT, PARAM_REQUIRED, .min = 1, .max = INT64_MAX, .help = "which purge"};
/* clang-format on */
const struct param_spec *const admin_purge_params[] = {&annotation, &value,    &purge_product,
                                                       &first_day,  &last_day, NULL};
const struct param_spec *const admin_purge_run_params[] = {&run_id, NULL};

static const struct {
    const char *state, *text;
} states[] = {
    {"preview", "Looking"},     {"previewed", "Waits for a decision"},
    {"running", "At work"},     {"processing", "Crashes are processed again"},
    {"cancelled", "Cancelled"}, {"done", "Done"},
};

static const char *state_text(const char *state)
{
    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        if (strcmp(states[i].state, state) == 0)
            return states[i].text;
    return state;
}

static const struct {
    const struct tpl_column *to;
    int from;
} texts[] = {
    {PURGE_RUN_ID, Q_WEB_PURGE_LIST_COL_RUN_ID},
    {PURGE_RUN_ANNOTATION, Q_WEB_PURGE_LIST_COL_ANNOTATION},
    {PURGE_RUN_PRODUCT, Q_WEB_PURGE_LIST_COL_PRODUCT},
    {PURGE_RUN_DAYS, Q_WEB_PURGE_LIST_COL_DAYS},
    {PURGE_RUN_ASKED_BY, Q_WEB_PURGE_LIST_COL_ASKED_BY},
    {PURGE_RUN_STARTED_AT, Q_WEB_PURGE_LIST_COL_STARTED_AT},
    {PURGE_RUN_MOVED_AT, Q_WEB_PURGE_LIST_COL_MOVED_AT},
    {PURGE_RUN_SCAN_DAY, Q_WEB_PURGE_LIST_COL_SCAN_DAY},
};

static const struct {
    const struct tpl_column *to;
    int from;
} counts[] = {
    {PURGE_RUN_SEEN, Q_WEB_PURGE_LIST_COL_SEEN},
    {PURGE_RUN_FOUND, Q_WEB_PURGE_LIST_COL_FOUND},
    {PURGE_RUN_DELETED, Q_WEB_PURGE_LIST_COL_DELETED},
    {PURGE_RUN_IN_PROCESSED, Q_WEB_PURGE_LIST_COL_IN_PROCESSED},
    {PURGE_RUN_IN_INDEX, Q_WEB_PURGE_LIST_COL_IN_INDEX},
    {PURGE_RUN_IN_STATISTICS, Q_WEB_PURGE_LIST_COL_IN_STATISTICS},
    {PURGE_RUN_IN_EXPORT, Q_WEB_PURGE_LIST_COL_IN_EXPORT},
};

static void add_run(struct req *r, struct tpl_rows *out, const struct db_rows *rows, int i)
{
    struct tpl_row *row = tpl_row_add(out);
    const char *state = db_col(rows, i, Q_WEB_PURGE_LIST_COL_STATE);
    for (size_t k = 0; k < ARRAY_LEN(texts); k++)
        tpl_col_cstr(row, texts[k].to, db_col(rows, i, texts[k].from));
    for (size_t k = 0; k < ARRAY_LEN(counts); k++) {
        int64_t n = 0;
        str_to_i64(str_of(db_col(rows, i, counts[k].from)), 0, INT64_MAX, "count", &n, ERR_IGNORED);
        tpl_col_cstr(row, counts[k].to, human_count(req_arena(r), n));
    }
    tpl_col_cstr(row, PURGE_RUN_STATE, state_text(state));
    tpl_col_cstr(row, PURGE_RUN_DONE_TO_THEM,
                 db_col(rows, i, Q_WEB_PURGE_LIST_COL_IS_OF_NAMES)[0] == 't'
                     ? "changed and queued for processing"
                     : "deleted");
    tpl_col_bool(row, PURGE_RUN_HAS_PLACES,
                 db_col(rows, i, Q_WEB_PURGE_LIST_COL_HAS_PLACES)[0] == 't');
    tpl_col_bool(row, PURGE_RUN_IS_PREVIEWED,
                 db_col(rows, i, Q_WEB_PURGE_LIST_COL_IS_PREVIEWED)[0] == 't');
    tpl_col_bool(row, PURGE_RUN_IS_CANCELLABLE,
                 db_col(rows, i, Q_WEB_PURGE_LIST_COL_IS_CANCELLABLE)[0] == 't');
}

/* What collectors take away, with blanks, so that the line can break. */
static const char *configured_text(struct req *r)
{
    struct str rest = str_of(conf_text(req_conf(r), CONF_COLLECTOR_REMOVE_ANNOTATIONS)), name;
    const char *text = "";
    while (str_split(&rest, ',', &name))
        if (str_trim(name).n > 0)
            text = arena_printf(req_arena(r), "%s%s" STR_FMT, text, *text ? ", " : "",
                                STR_ARG(str_trim(name)));
    return text;
}

static bool send_page(struct req *r, int status, const char *problem, struct err *err)
{
    DB_ROWS rows = {0};
    if (!DB_RUN(req_db(r), &q_web_purge_list, &rows, err))
        return err_wrap(err, "listing purges");
    struct tpl_values *v = layout_new(r, &(struct layout){.title = "Purge"});
    struct tpl_rows *out = tpl_list(v, LIST_PURGE_RUNS);
    for (int i = 0; i < rows.count; i++)
        add_run(r, out, &rows, i);
    struct tpl_rows *products = tpl_list(v, LIST_PRODUCTS);
    const struct products *all = app_products(r);
    for (size_t i = 0; i < all->n; i++) {
        struct tpl_row *row = tpl_row_add(products);
        tpl_col_cstr(row, PRODUCT_NAME, all->v[i].name);
    }
    tpl_cstr(v, "problem", problem);
    tpl_cstr(v, "configured", configured_text(r));
    tpl_int(v, "interval_s", conf_int(req_conf(r), CONF_CRON_INTERVAL_S));
    resp_header(r, "Cache-Control", STR("no-store"));
    return layout_send(r, status, "admin_purge.html", v, err);
}

/* GET /siteadmin/purge/ */
bool admin_purge_get(struct req *r, struct err *err)
{
    return send_page(r, 200, "", err);
}

/* As the store writes days; empty without one. */
static const char *day_text(struct req *r, const struct param_spec *p)
{
    int64_t us;
    if (!req_date(r, p, &us))
        return "";
    struct civil c = civil_of_us(us);
    return arena_printf(req_arena(r), "%04d%02d%02d", c.year, c.month, c.day);
}

/*
 * POST /siteadmin/purge/: annotation, value, product, from, to.  A mistake shows the form again,
 * without the value: it is in no page.
 */
bool admin_purge_post(struct req *r, struct err *err)
{
    struct arena *a = req_arena(r);
    struct err why = {0};
    if (!req_params_fit(r, &why))
        return send_page(r, 400, why.msg, err);
    const struct purge_wanted w = {
        .annotation = str_adup(a, req_text(r, &annotation)),
        .value = req_text(r, &value),
        .product = str_adup(a, req_text(r, &purge_product)),
        .first_day = day_text(r, &first_day),
        .last_day = day_text(r, &last_day),
    };
    if (*w.last_day && strcmp(w.first_day, w.last_day) > 0)
        return send_page(r, 400, "The first day is behind the last", err);
    if (!purge_want(req_db(r), &w, req_user(r)->email, true, err))
        return err_wrap(err, "asking for a purge");
    site_audit(r, "annotation", w.annotation, "preview purge", "crashes with one value of it");
    if (!DB_EXEC(req_db(r), &q_web_purge_due, err))
        return err_wrap(err, "asking for a purge");
    return resp_redirect(r, 303, STR("/siteadmin/purge/"));
}

/* One step of a run; it may have gone on since the page was made, and then nothing happens. */
static bool change_run(struct req *r, const struct db_query *query, int column, const char *action,
                       struct err *err)
{
    DB_ROWS rows = {0};
    if (!req_params_fit(r, err))
        return false;
    const char *id = db_int(req_arena(r), req_int(r, &run_id));
    if (!DB_RUN(req_db(r), query, &rows, err, id))
        return err_wrap(err, "changing a purge");
    if (rows.count == 0)
        return send_page(r, 409, "This purge is in another state by now", err);
    site_audit(r, "annotation", db_col(&rows, 0, column), action,
               arena_printf(req_arena(r), "purge %s", id));
    if (!DB_EXEC(req_db(r), &q_web_purge_due, err))
        return err_wrap(err, "changing a purge");
    return resp_redirect(r, 303, STR("/siteadmin/purge/"));
}

/* POST /siteadmin/purge/start/: id. */
bool admin_purge_start_post(struct req *r, struct err *err)
{
    return change_run(r, &q_web_purge_start, Q_WEB_PURGE_START_COL_ANNOTATION, "purge", err);
}

/* POST /siteadmin/purge/cancel/: id. */
bool admin_purge_cancel_post(struct req *r, struct err *err)
{
    return change_run(r, &q_web_purge_cancel, Q_WEB_PURGE_CANCEL_COL_ANNOTATION, "cancel purge",
                      err);
}
