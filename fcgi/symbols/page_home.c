/*
 * GET /: what this server is, and for those who are logged in what came in lately and what they may
 * do.
 *
 * Strangers get the page too, without any number: it is where a developer lands who was given the
 * address and wants to know what to do with it. Numbers are those of /api/stats/ (upload_stats.h).
 */
#include "fcgi/symbols/symbol_pages.h"
#include "fcgi/symbols/upload_stats.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/tpl/tpl.h"
#include "lib/web/human.h"
#include "lib/web/site.h"
#include "lib/web/web.h"
#include "queries.h"
#include "rows.h"

/* In the order of the table's columns. */
static const char *const period_titles[] = {
    [UPLOADS_TODAY] = "Today",
    [UPLOADS_YESTERDAY] = "Yesterday",
    [UPLOADS_LAST_30_DAYS] = "Last 30 days",
};

static bool set_stats(struct req *r, struct tpl_values *v, struct err *err)
{
    struct arena *a = req_arena(r);
    struct upload_stats s;
    if (!upload_stats_load(r, &s, err))
        return false;
    struct tpl_rows *rows = tpl_list(v, LIST_UPLOAD_PERIODS);
    for (int i = 0; i < UPLOAD_PERIODS; i++) {
        struct tpl_row *row = tpl_row_add(rows);
        tpl_col_cstr(row, UPLOAD_PERIOD_TITLE, period_titles[i]);
        tpl_col_cstr(row, UPLOAD_PERIOD_COUNT, human_count(a, s.of[i].count));
        tpl_col_cstr(row, UPLOAD_PERIOD_SIZE, human_size(a, s.of[i].bytes));
    }
    return true;
}

/* The four permissions of the symbol server; what else an account may do is Crash Stats' matter. */
static void set_permissions(struct req *r, struct tpl_values *v)
{
    struct tpl_rows *rows = tpl_list(v, LIST_PERMISSIONS);
    size_t held = 0;
    for (size_t i = 0; i < SYMBOL_PERMISSIONS; i++) {
        struct tpl_row *row = tpl_row_add(rows);
        bool has_it = req_may(r, symbol_permissions[i]);
        tpl_col_cstr(row, PERMISSION_NAME, symbol_permissions[i]);
        tpl_col_cstr(row, PERMISSION_LABEL, web_permission_label(symbol_permissions[i]));
        tpl_col_bool(row, PERMISSION_HAS_IT, has_it);
        held += has_it;
    }
    tpl_bool(v, "has_permissions", held > 0);
}

bool page_home_get(struct req *r, struct err *err)
{
    struct tpl_values *v = symbol_page_new(r, "Symbols", SYMBOL_NAV_HOME);
    bool shows_stats = req_user(r)->is_logged_in && may_see_uploads(r);
    tpl_bool(v, "shows_stats", shows_stats);
    tpl_bool(v, "sees_all", req_may(r, "view_all_uploads"));
    tpl_text(v, "base", site_base(r));
    tpl_list(v, LIST_UPLOAD_PERIODS);
    set_permissions(r, v);
    return (!shows_stats || set_stats(r, v, err)) && resp_page(r, 200, "symbols_home.html", v, err);
}
