#ifndef SYMBOLS_MISSING_PAGE_H
#define SYMBOLS_MISSING_PAGE_H

#include "lib/web/param_spec.h"
#include "lib/web/web.h"

/*
 * missing_page - /missing: what to upload first, and its sum by product and version as CSV.
 */
web_handler missing_page_get, missing_summary_get;
/* The page reads what the JSON list does: missing_list_params. */
extern const struct param_spec *const missing_summary_params[];

#endif
