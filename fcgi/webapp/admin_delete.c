/*
 * /siteadmin/delete/: one crash leaves every place, as with `datil crash delete`.  First somebody
 * looks where it is; the second form, which has the id of that look, deletes it.
 *
 * The look and the deletion are two requests, and what is found may change between them; deleting
 * goes through all places whatever the look said, and says what there was.  It may be repeated:
 * what a failure left is found by the next look.
 */
#include "fcgi/webapp/layout.h"
#include "fcgi/webapp/pages.h"
#include "fcgi/webapp/webapp.h"
#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/crash_id.h"
#include "lib/db/db.h"
#include "lib/export/export.h"
#include "lib/ledger/ledger.h"
#include "lib/search/index.h"
#include "lib/store/store.h"
#include "lib/tpl/tpl.h"
#include "lib/web/param_spec.h"
#include "lib/web/site.h"
#include "lib/web/web.h"
#include "queries.h"
#include "rows.h"

/* An id with "bp-" and what is copied along with it. */
enum { TYPED_MAX = 200 };

static const struct param_spec typed_id = {"crash_id",
                                           PARAM_TEXT,
                                           PARAM_TRIMMED,
                                           .max = TYPED_MAX,
                                           .refusal = "This is no crash id",
                                           .help = "which crash"};
static const struct param_spec doomed_id = {"crash_id", PARAM_CRASH_ID, PARAM_REQUIRED,
                                            .refusal = "This is no crash id",
                                            .help = "which crash"};
const struct param_spec *const admin_delete_params[] = {&typed_id, NULL};
const struct param_spec *const admin_delete_post_params[] = {&doomed_id, NULL};

static void add_place(struct tpl_rows *places, const char *place, const char *text)
{
    struct tpl_row *row = tpl_row_add(places);
    tpl_col_cstr(row, CRASH_PLACE_PLACE, place);
    tpl_col_cstr(row, CRASH_PLACE_TEXT, text);
}

/* The kinds that readers know by name; deleting takes every file of the crash. */
static size_t look_in_store(struct req *r, const char *id, struct tpl_rows *places)
{
    static const struct {
        const char *kind, *text;
    } kinds[] = {{"raw_crash", "raw crash, with its dumps"},
                 {"processed_crash", "processed crash"},
                 {"crash_report", "record for the export"}};
    size_t n = places ? tpl_rows_count(places) : 0;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (store_exists(app_of(r)->store, id, kinds[i].kind))
            add_place(places, "Store", kinds[i].text);
    return tpl_rows_count(places) - n;
}

static bool look(struct req *r, const char *id, struct tpl_rows *places, struct err *err)
{
    struct str one = str_of(id);
    struct index_reader *index;
    DB_ROWS found = {0};
    size_t exported;
    bool is_indexed = false;
    look_in_store(r, id, places);
    if (!DB_RUN(req_db(r), &q_admin_crash_places, &found, err, id) ||
        !app_index(app_of(r), &index, err) || !index_has(index, id, &is_indexed, err) ||
        !export_count(conf_text(req_conf(r), CONF_DATIL_VAR), (struct strs){&one, 1}, &exported,
                      err))
        return err_wrap(err, "looking for a crash");
    for (int i = 0; i < found.count; i++)
        add_place(places, db_col(&found, i, Q_ADMIN_CRASH_PLACES_COL_PLACE),
                  db_col(&found, i, Q_ADMIN_CRASH_PLACES_COL_TEXT));
    if (is_indexed)
        add_place(places, "Index", "searches find it");
    if (exported)
        add_place(places, "Export", "it is in the files of its day");
    return true;
}

static bool send_delete(struct req *r, int status, const char *id, const char *typed,
                        const char *problem, const char *done, struct err *err)
{
    struct tpl_values *v = layout_new(r, &(struct layout){.title = "Delete a crash"});
    struct tpl_rows *places = tpl_list(v, LIST_CRASH_PLACES);
    if (*id && !look(r, id, places, err))
        return false;
    tpl_cstr(v, "crash_id", id);
    tpl_cstr(v, "typed", typed);
    tpl_cstr(v, "problem", problem);
    tpl_cstr(v, "done", done);
    resp_header(r, "Cache-Control", STR("no-store"));
    return layout_send(r, status, "admin_delete.html", v, err);
}

/* GET /siteadmin/delete/?crash_id= */
bool admin_delete_get(struct req *r, struct err *err)
{
    char id[CRASH_ID_SIZE];
    struct str typed = req_text(r, &typed_id);
    if (typed.n == 0)
        return send_delete(r, 200, "", "", "", "", err);
    if (!crash_id_parse(typed, id))
        return send_delete(r, 400, "", str_adup(req_arena(r), typed), "This is no crash id", "",
                           err);
    return send_delete(r, 200, id, id, "", "", err);
}

/* The audit row is written also when a place could not be reached: something was deleted. */
static bool delete_crash(struct req *r, const char *id, const char **ret_text, struct err *err)
{
    struct webapp *app = app_of(r);
    struct ledger_removed gone = {0};
    struct str one = str_of(id);
    struct index_writer *index;
    size_t exported = 0;
    if (!index_writer_open(app->index_dir, app->fields, &index, err))
        return false;
    bool ok = ledger_delete(req_db(r), app->store, index, id, &gone, err) &&
              export_remove(conf_text(req_conf(r), CONF_DATIL_VAR), (struct strs){&one, 1},
                            &exported, err);
    index_writer_close(index);
    *ret_text =
        arena_printf(req_arena(r), "%zu objects of the store%s%s%s%s", gone.store_objects,
                     gone.was_in_ledger ? ", ledger" : "", gone.was_in_queue ? ", queue" : "",
                     gone.was_in_index ? ", index" : "", exported ? ", export" : "");
    site_audit(r, "crash", id, "delete", *ret_text);
    return ok;
}

/* POST /siteadmin/delete/: crash_id. */
bool admin_delete_post(struct req *r, struct err *err)
{
    struct err why = {0};
    const char *text = "";
    if (!req_params_fit(r, &why))
        return send_delete(r, 400, "", "", why.msg, "", err);
    const char *id = req_crash_id(r, &doomed_id);
    if (!delete_crash(r, id, &text, err))
        return err_wrap(err, "deleting a crash");
    return send_delete(r, 200, "", "", "", arena_printf(req_arena(r), "Deleted %s: %s.", id, text),
                       err);
}
