/*
 * What the lists of uploads and of files have in common: filters, pages, rows as documents.  The
 * database makes the documents (migrations/0011_symbol_lists.sql): a member is named in one place.
 */
#include "fcgi/symbols/upload_lists.h"

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"

/* Nobody turns as many pages; the product with a page's length still is a number of rows. */
static const int64_t last_page = 1000000000;

/* clang-format off */
const struct param_spec
    list_size = {"size", PARAM_TEXT, .help = "conditions with commas between: `>1mb, <=2gb`"},
    list_created = {"created_at", PARAM_TEXT, .help = "conditions with commas between: `>=2026-01-05`, `today`, `yesterday`"},
    list_completed = {"completed_at", PARAM_TEXT, .help = "the same; `incomplete`: has not come to its end"},
    list_page = {"page", PARAM_TEXT, PARAM_TRIMMED, .fallback = "1", .help = "from 1"},
    list_sort = {"sort", PARAM_TEXT, .fallback = "created_at", .help = "`created_at` or `size`"},
    list_reverse = {"reverse", PARAM_TEXT, .help = "`true`: the other way round; without it the newest or largest first"};
/* clang-format on */

/* False: it is no number; *ret is the first page then. */
static bool parse_page(struct req *r, int64_t *ret)
{
    struct str text = req_text(r, &list_page);
    *ret = 1;
    bool ok = text.n == 0 || str_to_i64(text, INT64_MIN, INT64_MAX, "page", ret, ERR_IGNORED);
    *ret = MIN(MAX(*ret, (int64_t)1), last_page);
    return ok;
}

int64_t list_page_number(struct req *r)
{
    int64_t page;
    parse_page(r, &page);
    return page;
}

static void read_page(struct req *r, struct list_ask *ask, struct form_errors *errors)
{
    struct str text = req_text(r, &list_page);
    if (!parse_page(r, &ask->page))
        form_errors_add(errors, "page", "Not a number '" STR_FMT "'",
                        STR_ARG(str_sub(text, 0, utf8_prefix_bytes(text, 100))));
}

void list_ask_read(struct req *r, const char *created_fallback, struct list_ask *ret,
                   struct form_errors *errors)
{
    struct err err;
    struct str created = req_text(r, &list_created);
    if (created_fallback && !req_is_sent(r, &list_created))
        created = str_of(created_fallback);
    *ret = (struct list_ask){.page = 1};
    if (!size_filter_parse(req_text(r, &list_size), &ret->size, &err))
        form_errors_add(errors, "size", "%s", err.msg);
    if (!time_filter_parse(created, req_now_us(r), &ret->created, &err))
        form_errors_add(errors, "created_at", "%s", err.msg);
    if (!time_filter_parse(req_text(r, &list_completed), req_now_us(r), &ret->completed, &err))
        form_errors_add(errors, "completed_at", "%s", err.msg);
    read_page(r, ret, errors);
}

bool list_ask_filters(const struct list_ask *ask)
{
    return ask->size.is_set || ask->created.is_set || ask->created.must_be_null ||
           ask->completed.is_set || ask->completed.must_be_null;
}

/* A row without a time of creation does not exist, so that such a filter fits nothing. */
struct list_bounds list_bounds_of(struct arena *a, const struct list_ask *ask)
{
    struct list_bounds b = {0};
    if (ask->size.is_set) {
        b.size_least = db_int(a, ask->size.least);
        b.size_most = db_int(a, ask->size.most);
    }
    if (ask->created.is_set || ask->created.must_be_null) {
        b.created_from = db_int(a, ask->created.from_us);
        b.created_end =
            db_int(a, ask->created.must_be_null ? ask->created.from_us : ask->created.end_us);
    }
    if (ask->completed.is_set) {
        b.completed_from = db_int(a, ask->completed.from_us);
        b.completed_end = db_int(a, ask->completed.end_us);
    }
    if (ask->completed.must_be_null)
        b.completed_is_null = db_bool(true);
    return b;
}

void list_append_records(json_t *list, const struct db_rows *rows, int column, size_t most)
{
    for (int i = 0; i < rows->count && (size_t)i < most; i++) {
        const char *text = db_col(rows, i, column);
        json_t *record = text ? json_loads(text, 0, NULL) : NULL;
        if (record)
            json_array_append_new(list, record);
    }
}

/* "/api/uploads/upload/17" with or without a slash behind. */
bool list_path_id(struct req *r, int64_t *ret, struct err *err)
{
    struct str text = req_path_rest(r);
    if (str_ends(text, STR("/")))
        text.n--;
    return str_to_i64(text, 1, INT64_MAX, "id", ret, ERR_IGNORED) ||
           err_set(err, ERR_NOT_FOUND, "Not Found");
}

bool list_forbidden(struct err *err)
{
    return err_set(err, ERR_FORBIDDEN, "Forbidden");
}
