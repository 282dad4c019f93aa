/*
 * Numbers of uploads, for the first page and for programs.  Days are those of UTC, and the last 30
 * days are today and the 30 before, as with Tecken.
 */
#include "fcgi/symbols/upload_stats.h"

#include "lib/base/err.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "queries.h"

static const char *const period_names[] = {
    [UPLOADS_TODAY] = "today",
    [UPLOADS_YESTERDAY] = "yesterday",
    [UPLOADS_LAST_30_DAYS] = "last_30_days",
};

/* The statement answers a row for each period, in their order. */
bool upload_stats_load(struct req *r, struct upload_stats *ret, struct err *err)
{
    bool sees_all = req_may(r, "view_all_uploads");
    DB_ROWS rows = {0};
    if (!DB_RUN(req_db(r), &q_symbol_stats, &rows, err,
                sees_all ? NULL : db_int(req_arena(r), req_user(r)->id)))
        return err_wrap(err, "counting uploads");
    *ret = (struct upload_stats){0};
    for (int i = 0; i < rows.count && i < UPLOAD_PERIODS; i++) {
        ret->of[i].count = db_col_int(&rows, i, Q_SYMBOL_STATS_COL_N, 0);
        ret->of[i].bytes = db_col_int(&rows, i, Q_SYMBOL_STATS_COL_BYTES, 0);
    }
    return true;
}

bool api_stats_get(struct req *r, struct err *err)
{
    struct upload_stats s;
    if (!upload_stats_load(r, &s, err))
        return false;
    json_auto_t *body = json_pack("{s:{s:{s:b}}}", "stats", "uploads", "all_uploads",
                                  req_may(r, "view_all_uploads"));
    json_t *uploads = json_object_get(json_object_get(body, "stats"), "uploads"); /* borrowed */
    for (int i = 0; i < UPLOAD_PERIODS; i++)
        json_object_set_new(uploads, period_names[i],
                            json_pack("{s:I, s:I}", "count", (json_int_t)s.of[i].count,
                                      "total_size", (json_int_t)s.of[i].bytes));
    return resp_json(r, 200, body, err);
}
