/*
 * Stored files: one page of the history of what was stored, and one file.  The list is for those
 * who see all uploads; a single file also for who uploaded it.
 *
 * It is a history: a key that was sent three times has three rows, and only the newest is what
 * downloads get. The list has no total, for which the whole table would be read; instead it says
 * whether there is another page. Only a search for parts of a key counts, for there an index has
 * found the rows already.
 */
#include "fcgi/symbols/upload_lists.h"

#include "fcgi/symbols/form_errors.h"
#include "fcgi/symbols/list_filter.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/web/param_spec.h"
#include "lib/web/params.h"
#include "lib/web/web.h"
#include "queries.h"

enum { BATCH = 40 }; /* as Tecken has it */

/* Try symbols and regular ones lie in areas of their own; the API calls that the type of an
 * upload. */
enum { TYPE_ANY, TYPE_TRY, TYPE_REGULAR };
static const struct param_choice types[] = {
    [TYPE_ANY] = {"", "any"},
    [TYPE_TRY] = {"try", NULL},
    [TYPE_REGULAR] = {"regular", NULL},
    {0},
};

/* clang-format off */
const struct param_spec
    files_key = {"key", PARAM_TEXT, .help = "parts of the key with commas between: all must occur, in any case"},
    files_bucket = {"bucket_name", PARAM_TEXT, .help = "names of storages with commas between, `!` in front: not that one"},
    files_type = {"upload_type", PARAM_CHOICE, PARAM_LENIENT, .choices = types, .help = "of experimental builds, or of others"};
/* clang-format on */
const struct param_spec *const files_params[] = {&files_key,      &list_size,    &list_created,
                                                 &list_completed, &files_bucket, &files_type,
                                                 &list_page,      NULL};

/* The filters beside those of all lists, as parameters of statements. */
struct file_filters {
    const char *pattern; /* the longest part of the key: what the index is asked for */
    const char *other_patterns;
    const char *areas, *buckets, *not_buckets;
};

static bool has_filter(const struct file_filters *f)
{
    return f->pattern || f->areas || f->buckets || f->not_buckets;
}

/* The longest part has most trigrams, so it leaves the fewest rows to look at. */
static void read_keys(struct req *r, struct file_filters *f)
{
    struct arena *a = req_arena(r);
    struct str rest = req_text(r, &files_key), part;
    struct strs others = {.v = arena_array(a, rest.n + 1, sizeof(struct str))};
    while (list_filter_part(&rest, &part)) {
        const char *pattern = like_pattern(a, part);
        if (f->pattern && strlen(pattern) > strlen(f->pattern)) {
            others.v[others.n++] = str_of(f->pattern);
            f->pattern = pattern;
        } else if (f->pattern) {
            others.v[others.n++] = str_of(pattern);
        } else {
            f->pattern = pattern;
        }
    }
    f->other_patterns = db_text_array(a, others);
}

/* Names in front of which a ! stands are excluded; the others, if there are any, are the only
 * ones. */
static void read_buckets(struct req *r, struct file_filters *f)
{
    struct arena *a = req_arena(r);
    struct str rest = req_text(r, &files_bucket), part;
    struct strs in = {.v = arena_array(a, rest.n + 1, sizeof(struct str))};
    struct strs out = {.v = arena_array(a, rest.n + 1, sizeof(struct str))};
    while (list_filter_part(&rest, &part)) {
        if (str_starts(part, STR("!")))
            out.v[out.n++] = str_trim(str_sub(part, 1, SIZE_MAX));
        else
            in.v[in.n++] = part;
    }
    f->buckets = in.n ? db_text_array(a, in) : NULL;
    f->not_buckets = out.n ? db_text_array(a, out) : NULL;
}

static void read_filters(struct req *r, struct file_filters *f)
{
    size_t type = req_choice(r, &files_type);
    *f = (struct file_filters){0};
    read_keys(r, f);
    read_buckets(r, f);
    f->areas = type == TYPE_TRY ? "{try}" : type == TYPE_REGULAR ? "{regular}" : NULL;
}

/* A search for parts of a key counts what it finds: whoever searches wants to know how much. */
static bool load_by_key(struct req *r, const struct list_ask *ask, const struct file_filters *f,
                        json_t *answer, struct err *err)
{
    struct arena *a = req_arena(r);
    struct list_bounds b = list_bounds_of(a, ask);
    DB_ROWS rows = {0};
    if (!DB_RUN(req_db(r), &q_symbol_file_by_key, &rows, err, b.size_least, b.size_most,
                b.created_from, b.created_end, b.completed_from, b.completed_end,
                b.completed_is_null, f->areas, f->buckets, f->not_buckets, db_int(a, BATCH + 1),
                db_int(a, (ask->page - 1) * BATCH), f->pattern, f->other_patterns))
        return err_wrap(err, "searching files");
    list_append_records(json_object_get(answer, "files"), &rows, Q_SYMBOL_FILE_BY_KEY_COL_RECORD,
                        BATCH);
    return jset_bool(answer, "has_next", rows.count > BATCH) &&
           jset_int(answer, "total", db_col_int(&rows, 0, Q_SYMBOL_FILE_BY_KEY_COL_TOTAL, 0));
}

/* Without a key the index by time leads, and nothing is counted. */
static bool load_newest(struct req *r, const struct list_ask *ask, const struct file_filters *f,
                        json_t *answer, struct err *err)
{
    struct arena *a = req_arena(r);
    struct list_bounds b = list_bounds_of(a, ask);
    DB_ROWS rows = {0};
    if (!DB_RUN(req_db(r), &q_symbol_file_newest, &rows, err, b.size_least, b.size_most,
                b.created_from, b.created_end, b.completed_from, b.completed_end,
                b.completed_is_null, f->areas, f->buckets, f->not_buckets, db_int(a, BATCH + 1),
                db_int(a, (ask->page - 1) * BATCH)))
        return err_wrap(err, "listing files");
    list_append_records(json_object_get(answer, "files"), &rows, Q_SYMBOL_FILE_NEWEST_COL_RECORD,
                        BATCH);
    jset_bool(answer, "has_next", rows.count > BATCH);
    jset_int(answer, "total", LIST_NOT_COUNTED);
    if (!has_filter(f) && !list_ask_filters(ask))
        return true;
    DB_ROWS count = {0};
    if (!DB_RUN(req_db(r), &q_symbol_file_count, &count, err, b.size_least, b.size_most,
                b.created_from, b.created_end, b.completed_from, b.completed_end,
                b.completed_is_null, f->areas, f->buckets, f->not_buckets))
        return err_wrap(err, "counting files");
    return jset_int(answer, "total", db_col_int(&count, 0, Q_SYMBOL_FILE_COUNT_COL_TOTAL, 0));
}

bool files_load(struct req *r, struct form_errors *errors, json_t **ret, struct err *err)
{
    struct list_ask ask;
    struct file_filters filters;
    if (!req_may(r, "view_all_uploads"))
        return list_forbidden(err);
    list_ask_read(r, NULL, &ask, errors);
    read_filters(r, &filters);
    if (form_errors_any(errors))
        return true;
    json_auto_t *answer = json_pack("{s:[], s:i}", "files", "batch_size", BATCH);
    if (!(filters.pattern ? load_by_key(r, &ask, &filters, answer, err)
                          : load_newest(r, &ask, &filters, answer, err)))
        return false;
    *ret = json_incref(answer);
    return true;
}

/*
 * An id that does not exist is told before whose file it is: ids are numbers in a row, so that one
 * exists is no secret. Rows are JSON that our own database made; one that does not parse is damage
 * and not a bad request.
 */
bool file_load(struct req *r, int64_t id, json_t **ret, bool *ret_exists, struct err *err)
{
    struct arena *a = req_arena(r);
    DB_ROWS found = {0};
    if (!DB_RUN(req_db(r), &q_symbol_file_get, &found, err, db_int(a, id)))
        return err_wrap(err, "looking up a file");
    if (found.count == 0)
        return err_set(err, ERR_NOT_FOUND, "Not Found");
    const char *owner = db_col(&found, 0, Q_SYMBOL_FILE_GET_COL_USER_ID);
    bool is_own =
        owner && db_col_int(&found, 0, Q_SYMBOL_FILE_GET_COL_USER_ID, 0) == req_user(r)->id;
    if (!is_own && !req_may(r, "view_all_uploads"))
        return err_set(err, ERR_FORBIDDEN, "Insufficient access to view this file");
    json_t *file = json_loads(db_col(&found, 0, Q_SYMBOL_FILE_GET_COL_RECORD), 0, NULL);
    if (!file)
        return err_set(err, ERR_DAMAGED, "a file's row is no JSON");
    bool is_try = strcmp(db_col(&found, 0, Q_SYMBOL_FILE_GET_COL_AREA), "try") == 0;
    struct str key = str_of(db_col(&found, 0, Q_SYMBOL_FILE_GET_COL_KEY));
    jset_text(file, "url",
              str_of(arena_printf(a, STR_FMT "/" STR_FMT "%s", STR_ARG(req_mount(r)),
                                  STR_ARG(url_path_encode(a, key)), is_try ? "?try" : "")));
    *ret_exists = db_col_bool(&found, 0, Q_SYMBOL_FILE_GET_COL_EXISTS);
    *ret = file;
    return true;
}

/* GET /api/uploads/files/ */
bool api_files_get(struct req *r, struct err *err)
{
    FORM_ERRORS_AUTO errors = {0};
    json_auto_t *answer = NULL;
    if (!files_load(r, &errors, &answer, err))
        return false;
    return form_errors_any(&errors) ? form_errors_send(r, &errors, err)
                                    : resp_json(r, 200, answer, err);
}

/* GET /api/uploads/files/file/ID */
bool api_file_get(struct req *r, struct err *err)
{
    int64_t id;
    json_t *file = NULL;
    bool exists;
    if (!list_path_id(r, &id, err) || !file_load(r, id, &file, &exists, err))
        return false;
    json_auto_t *body = json_pack("{s:o}", "file", file);
    return resp_json(r, 200, body, err);
}
