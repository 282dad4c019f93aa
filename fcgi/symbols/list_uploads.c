/*
 * Uploads: one page of them, and one with everything.  Whose they are is a condition of the
 * statement and no later check, so a list cannot show what its reader may not see.
 *
 * A page asks for one row more than it shows: that there is another page is then known without
 * counting. Only lists with a filter are counted; without one a count would read the whole table,
 * and the total says so (LIST_NOT_COUNTED). Uploads that look like the same archive (same owner
 * and size, same hash or else name) are shown beside one, for the commonest question about an
 * upload is why it was sent again.
 */
#include "fcgi/symbols/upload_lists.h"

#include "fcgi/symbols/form_errors.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/web/param_spec.h"
#include "lib/web/web.h"
#include "queries.h"

enum { BATCH = 20 }; /* as Tecken has it */

const struct param_spec uploads_user = {
    "user", PARAM_TEXT, PARAM_TRIMMED,
    .help = "part of the address of who uploaded, `!` in front: of others; for those who see all"};
const struct param_spec *const uploads_params[] = {&uploads_user,   &list_size, &list_created,
                                                   &list_completed, &list_page, &list_sort,
                                                   &list_reverse,   NULL};

/* How the list is ordered: a statement each, so that each can have its index. */
static const struct {
    const char *key;
    struct {
        const struct db_query *query;
        int record; /* its column */
    } by[2];        /* most first, least first */
} orders[] = {
    {"created_at",
     {{&q_symbol_upload_newest, Q_SYMBOL_UPLOAD_NEWEST_COL_RECORD},
      {&q_symbol_upload_oldest, Q_SYMBOL_UPLOAD_OLDEST_COL_RECORD}}},
    {"size",
     {{&q_symbol_upload_largest, Q_SYMBOL_UPLOAD_LARGEST_COL_RECORD},
      {&q_symbol_upload_smallest, Q_SYMBOL_UPLOAD_SMALLEST_COL_RECORD}}},
};

static size_t read_order(struct req *r, struct form_errors *errors)
{
    struct str sort = req_text(r, &list_sort);
    for (size_t i = 0; i < ARRAY_LEN(orders); i++)
        if (sort.n == 0 || str_eq(sort, str_of(orders[i].key)))
            return i;
    form_errors_add(errors, "sort", "Invalid sort '" STR_FMT "'",
                    STR_ARG(str_sub(sort, 0, utf8_prefix_bytes(sort, 100))));
    return 0;
}

/* Whose uploads: arrays of ids, NULL for no condition. */
struct whose {
    const char *users, *not_users;
    bool is_filter; /* the reader asked for it */
};

/*
 * Who may not see all uploads gets their own, whatever they ask for: a filter by user is passed
 * over and no error, since the page sends it along. A part of an address that fits nobody gives an
 * empty list of ids, which no upload has.
 */
static bool read_whose(struct req *r, struct whose *ret, struct err *err)
{
    struct arena *a = req_arena(r);
    struct str part = req_text(r, &uploads_user);
    *ret = (struct whose){0};
    if (!req_may(r, "view_all_uploads")) {
        ret->users = arena_printf(a, "{%lld}", (long long)req_user(r)->id);
        return true;
    }
    bool is_not = str_starts(part, STR("!"));
    if (is_not)
        part = str_trim(str_sub(part, 1, SIZE_MAX));
    if (part.n == 0)
        return true;
    DB_ROWS rows = {0};
    if (!DB_RUN(req_db(r), &q_symbol_user_matching, &rows, err, str_adup(a, part)))
        return err_wrap(err, "looking up accounts");
    struct strs ids = {.v = arena_array(a, (size_t)rows.count + 1, sizeof(struct str))};
    for (int i = 0; i < rows.count; i++)
        ids.v[ids.n++] = str_of(arena_strdup(a, db_col(&rows, i, Q_SYMBOL_USER_MATCHING_COL_ID)));
    const char *array = db_text_array(a, ids);
    ret->users = is_not ? NULL : array;
    ret->not_users = is_not ? array : NULL;
    ret->is_filter = true;
    return true;
}

/* One row more than a page tells whether there is another page. */
static bool load_page(struct req *r, const struct list_ask *ask, const struct whose *w,
                      size_t order, bool is_reversed, json_t *answer, struct err *err)
{
    struct arena *a = req_arena(r);
    struct list_bounds b = list_bounds_of(a, ask);
    DB_ROWS rows = {0};
    if (!DB_RUN(req_db(r), orders[order].by[is_reversed].query, &rows, err, w->users, w->not_users,
                b.size_least, b.size_most, b.created_from, b.created_end, b.completed_from,
                b.completed_end, b.completed_is_null, db_int(a, BATCH + 1),
                db_int(a, (ask->page - 1) * BATCH)))
        return err_wrap(err, "listing uploads");
    json_t *uploads = json_object_get(answer, "uploads"); /* borrowed */
    list_append_records(uploads, &rows, orders[order].by[is_reversed].record, BATCH);
    jset_bool(answer, "has_next", rows.count > BATCH);
    jset_int(answer, "total", LIST_NOT_COUNTED);
    if (!w->is_filter && !list_ask_filters(ask))
        return true;
    DB_ROWS count = {0};
    if (!DB_RUN(req_db(r), &q_symbol_upload_count, &count, err, w->users, w->not_users,
                b.size_least, b.size_most, b.created_from, b.created_end, b.completed_from,
                b.completed_end, b.completed_is_null))
        return err_wrap(err, "counting uploads");
    return jset_int(answer, "total", db_col_int(&count, 0, Q_SYMBOL_UPLOAD_COUNT_COL_TOTAL, 0));
}

bool uploads_load(struct req *r, const char *created_fallback, struct form_errors *errors,
                  json_t **ret, struct err *err)
{
    struct list_ask ask;
    struct whose whose;
    list_ask_read(r, created_fallback, &ask, errors);
    size_t order = read_order(r, errors);
    bool is_reversed = str_eq_nocase(req_text(r, &list_reverse), STR("true"));
    if (form_errors_any(errors))
        return true;
    if (!read_whose(r, &whose, err))
        return false;
    json_auto_t *answer = json_pack("{s:[], s:b, s:i, s:{s:s, s:b}}", "uploads", "can_view_all",
                                    req_may(r, "view_all_uploads"), "batch_size", BATCH, "order_by",
                                    "sort", orders[order].key, "reverse", is_reversed);
    if (!load_page(r, &ask, &whose, order, is_reversed, answer, err))
        return false;
    *ret = json_incref(answer);
    return true;
}

/*
 * Warnings are for pages alone: what of an archive was odd but taken. They are no member of the
 * document, whose shape clients of Tecken know.
 */
bool upload_load(struct req *r, int64_t id, json_t **ret, json_t **ret_warnings, struct err *err)
{
    struct arena *a = req_arena(r);
    DB_ROWS found = {0};
    DB_ROWS files = {0};
    DB_ROWS related = {0};
    if (!DB_RUN(req_db(r), &q_symbol_upload_get, &found, err, db_int(a, id)))
        return err_wrap(err, "looking up an upload");
    if (found.count == 0)
        return err_set(err, ERR_NOT_FOUND, "Not Found");
    bool is_own = db_col_int(&found, 0, Q_SYMBOL_UPLOAD_GET_COL_USER_ID, 0) == req_user(r)->id;
    if (!is_own && !req_may(r, "view_all_uploads"))
        return err_set(err, ERR_FORBIDDEN, "Insufficient access to view this upload");
    if (!DB_RUN(req_db(r), &q_symbol_upload_files, &files, err, db_int(a, id)) ||
        !DB_RUN(req_db(r), &q_symbol_upload_related, &related, err, db_int(a, id)))
        return err_wrap(err, "listing the files of an upload");
    json_t *upload = json_loads(db_col(&found, 0, Q_SYMBOL_UPLOAD_GET_COL_RECORD), 0, NULL);
    if (!upload)
        return err_set(err, ERR_DAMAGED, "an upload's row is no JSON");
    json_t *list = json_array(), *others = json_array();
    list_append_records(list, &files, Q_SYMBOL_UPLOAD_FILES_COL_RECORD, SIZE_MAX);
    list_append_records(others, &related, Q_SYMBOL_UPLOAD_RELATED_COL_RECORD, SIZE_MAX);
    json_object_set_new(upload, "file_uploads", list);
    json_object_set_new(upload, "related", others);
    if (ret_warnings)
        *ret_warnings = json_loads(db_col(&found, 0, Q_SYMBOL_UPLOAD_GET_COL_WARNINGS), 0, NULL);
    *ret = upload;
    return true;
}

/* GET /api/uploads/ */
bool api_uploads_get(struct req *r, struct err *err)
{
    FORM_ERRORS_AUTO errors = {0};
    json_auto_t *answer = NULL;
    if (!uploads_load(r, NULL, &errors, &answer, err))
        return false;
    return form_errors_any(&errors) ? form_errors_send(r, &errors, err)
                                    : resp_json(r, 200, answer, err);
}

/* GET /api/uploads/upload/ID */
bool api_upload_get(struct req *r, struct err *err)
{
    int64_t id;
    json_t *upload = NULL;
    if (!list_path_id(r, &id, err) || !upload_load(r, id, &upload, NULL, err))
        return false;
    json_auto_t *body = json_pack("{s:o}", "upload", upload);
    return resp_json(r, 200, body, err);
}
