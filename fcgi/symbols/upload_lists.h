#ifndef SYMBOLS_UPLOAD_LISTS_H
#define SYMBOLS_UPLOAD_LISTS_H

#include "fcgi/symbols/form_errors.h"
#include "fcgi/symbols/list_filter.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/web/param_spec.h"
#include "lib/web/web.h"

/*
 * upload_lists - uploads and stored files as the JSON API answers them.  Pages show the same
 * documents, so that both say the same to the same reader.
 *
 * Access     What a reader may not see is not loaded: uploads of others need view_all_uploads.
 * Ownership  Documents are new references of the caller.
 * Errors     What is wrong with filters goes to form_errors, and the function then returns true
 *            with no document.
 */

/*
 * The `total` of a list without filters.  It stands for the number of all, which nobody asked for
 * and which would cost a count of the whole table; the value is Tecken's, and its clients know it.
 */
enum { LIST_NOT_COUNTED = 1000000 };

/* Filters that lists have in common, as parameters of their routes. */
extern const struct param_spec list_size, list_created, list_completed, list_page, list_sort,
    list_reverse;

/* The ranges and the page that a request asks for. */
struct list_ask {
    struct size_range size;
    struct time_range created, completed;
    int64_t page; /* from 1 */
};
/* The page asked for, from 1; the first one where it is no number. */
int64_t list_page_number(struct req *r);
/* created_fallback: taken as created_at where none was sent; NULL: none. */
void list_ask_read(struct req *r, const char *created_fallback, struct list_ask *ret,
                   struct form_errors *errors);
bool list_ask_filters(const struct list_ask *ask);

/* A range as the parameters of a statement: NULL is no limit. */
struct list_bounds {
    const char *size_least, *size_most, *created_from, *created_end, *completed_from,
        *completed_end, *completed_is_null;
};
struct list_bounds list_bounds_of(struct arena *a, const struct list_ask *ask);

/* The column `record` of each row appended, at most `most` of them. */
void list_append_records(json_t *list, const struct db_rows *rows, int column, size_t most);

/* {"uploads", "can_view_all", "batch_size", "order_by", "has_next", "total"} */
bool uploads_load(struct req *r, const char *created_fallback, struct form_errors *errors,
                  json_t **ret, struct err *err);
/*
 * One upload with its files and related ones.  ERR_NOT_FOUND; ERR_FORBIDDEN: it is somebody else's.
 * `warnings` is not part of the API's answer; NULL: nobody wants them.
 */
bool upload_load(struct req *r, int64_t id, json_t **ret, json_t **ret_warnings, struct err *err);

/* {"files", "has_next", "batch_size", "total"}; for those who see all uploads. */
bool files_load(struct req *r, struct form_errors *errors, json_t **ret, struct err *err);
/* One file; *ret_exists: it is stored now.  Errors as upload_load. */
bool file_load(struct req *r, int64_t id, json_t **ret, bool *ret_exists, struct err *err);

/* The number behind the path of a route.  ERR_NOT_FOUND. */
bool list_path_id(struct req *r, int64_t *ret, struct err *err);
/* 403 without more words. */
bool list_forbidden(struct err *err);

web_handler api_uploads_get, api_upload_get, api_files_get, api_file_get;
extern const struct param_spec *const uploads_params[], *const files_params[];
/* For pages. */
extern const struct param_spec uploads_user, files_key, files_bucket, files_type;

#endif
