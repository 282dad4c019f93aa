#ifndef SYMBOLS_UPLOAD_ROWS_H
#define SYMBOLS_UPLOAD_ROWS_H

#include "lib/json/json.h"
#include "lib/tpl/tpl.h"
#include "lib/web/web.h"

/*
 * upload_rows - documents of uploads and files as rows of pages; addresses of lists that keep their
 * filters.
 */
void upload_rows_fill(struct req *r, struct tpl_rows *rows, const json_t *uploads);
/* A file of an upload; f NULL: only a name that was not stored. */
void upload_row_file(struct req *r, struct tpl_row *row, const char *key, struct str url,
                     const json_t *f, const char *state, const char *remark);

/* Microseconds since 1970 of a time of a document; 0: null. */
int64_t list_time_us(const json_t *doc, const char *key);
int64_t list_took_us(const json_t *doc); /* from created_at to completed_at */

/* The path with the parameters of the request but those named, and with `extra` ("sort=size"). */
struct str list_url(struct req *r, const char *path, const char *const *without, const char *extra);
/* prev_url, next_url and total_text; `answer` may be NULL. */
void list_set_pager(struct req *r, struct tpl_values *v, const char *path, int64_t page,
                    const json_t *answer, const char *noun);

/* The tabs of the pages of uploads. */
enum upload_tab { UPLOAD_TAB_ALL, UPLOAD_TAB_MINE, UPLOAD_TAB_FILES, UPLOAD_TAB_SEND };
void symbol_page_tabs(struct req *r, struct tpl_values *v, enum upload_tab tab);

#endif
