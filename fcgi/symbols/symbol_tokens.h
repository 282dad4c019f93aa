#ifndef SYMBOLS_SYMBOL_TOKENS_H
#define SYMBOLS_SYMBOL_TOKENS_H

#include "fcgi/symbols/form_errors.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/web/param_spec.h"
#include "lib/web/token_make.h"
#include "lib/web/web.h"

/*
 * symbol_tokens - API tokens of who asks: listing, making, extending, removing, for the JSON API
 * and for the page alike.
 *
 * Errors     What is wrong with a form goes to form_errors; ERR_FORBIDDEN: a permission that the
 *            asker lacks; ERR_NOT_FOUND: it is not theirs, or there is none.
 */
enum token_state { TOKENS_ACTIVE, TOKENS_EXPIRED, TOKENS_ALL };

/* {"tokens", "permissions", "totals"}, new. */
bool tokens_load(struct req *r, enum token_state state, json_t **ret, struct err *err);

/*
 * From the form: permissions (numbers or code names), days, notes.  With errors in the form it
 * returns true and makes nothing.
 */
struct token_form {
    struct strs permissions;
    struct str days, notes;
};
bool token_create(struct req *r, const struct token_form *form, struct form_errors *errors,
                  char ret_key[TOKEN_KEY_DIGITS + 1], struct err *err);
bool token_extend(struct req *r, int64_t id, int64_t days, struct err *err);
bool token_remove(struct req *r, int64_t id, struct err *err);

/* "365"; what is no number of days is an error of that field. */
bool token_days(struct str text, const char *field, int64_t *ret, struct form_errors *errors);

/* "upload.upload_symbols" of "upload_symbols". */
const char *permission_codename(struct arena *a, const char *name);

web_handler api_tokens_get, api_tokens_post, api_token_delete, api_token_extend_post, api_auth_get;
extern const struct param_spec *const api_tokens_params[], *const api_tokens_post_params[],
                                                               *const api_token_extend_params[];

#endif
