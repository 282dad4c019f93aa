#ifndef SYMBOLS_MISSING_LIST_H
#define SYMBOLS_MISSING_LIST_H

#include "fcgi/symbols/form_errors.h"
#include "lib/json/json.h"
#include "lib/web/param_spec.h"
#include "lib/web/web.h"

/*
 * missing_list - symbols that were wanted in vain, with how many crashes each would improve, as
 * the JSON API answers them; the page shows the same document.  For everybody: names and ids of
 * modules are public.
 */
extern const struct param_spec missing_symbol, missing_debugid, missing_filename, missing_code_file,
    missing_code_id, missing_modified, missing_created, missing_product, missing_version,
    missing_sort, missing_reverse, missing_page;

/*
 * {"records", "total_count", "batch_size", "page", "order_by"}.  default_sort: where the request
 * names none.  What is wrong with filters goes to errors, and there is no document then.
 */
bool missing_load(struct req *r, const char *default_sort, struct form_errors *errors, json_t **ret,
                  struct err *err);

/* What this worker has counted and not yet written is in the next answer. */
void missing_write_now(struct req *r);

/* A filter as a parameter of a statement; NULL when none was sent. */
const char *missing_filter(struct req *r, const struct param_spec *spec);

web_handler missing_list_get;
extern const struct param_spec *const missing_list_params[];

#endif
