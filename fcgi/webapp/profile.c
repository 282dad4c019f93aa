/*
 * What the reader's account may do, and by which groups: so that people know what to ask for.
 */
#include "fcgi/webapp/layout.h"
#include "fcgi/webapp/pages.h"
#include "lib/base/err.h"
#include "lib/db/db.h"
#include "lib/tpl/tpl.h"
#include "lib/web/web.h"
#include "queries.h"
#include "rows.h"

/* GET /profile/ */
bool profile_get(struct req *r, struct err *err)
{
    struct tpl_values *v = layout_new(r, &(struct layout){.title = "Profile"});
    const char *id = db_int(req_arena(r), req_user(r)->id);
    DB_ROWS permissions = {0};
    DB_ROWS groups = {0};
    if (!DB_RUN(req_db(r), &q_web_permissions, &permissions, err, id) ||
        !DB_RUN(req_db(r), &q_web_groups, &groups, err, id))
        return err_wrap(err, "looking up permissions");
    struct tpl_rows *rows = tpl_list(v, LIST_PERMISSIONS), *names = tpl_list(v, LIST_GROUPS);
    for (int i = 0; i < permissions.count; i++) {
        struct tpl_row *row = tpl_row_add(rows);
        tpl_col_cstr(row, PERMISSION_LABEL, db_col(&permissions, i, Q_WEB_PERMISSIONS_COL_LABEL));
        tpl_col_cstr(row, PERMISSION_NAME, db_col(&permissions, i, Q_WEB_PERMISSIONS_COL_NAME));
        tpl_col_bool(row, PERMISSION_HAS_IT,
                     db_col_bool(&permissions, i, Q_WEB_PERMISSIONS_COL_HAS_IT));
    }
    for (int i = 0; i < groups.count; i++)
        tpl_col_cstr(tpl_row_add(names), GROUP_NAME, db_col(&groups, i, Q_WEB_GROUPS_COL_NAME));
    tpl_bool(v, "has_groups", groups.count > 0);
    return layout_send(r, 200, "profile.html", v, err);
}
