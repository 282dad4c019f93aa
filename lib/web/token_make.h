#ifndef WEB_TOKEN_MAKE_H
#define WEB_TOKEN_MAKE_H

#include "lib/web/web.h"

/*
 * token_make - making an API token for who is logged in.
 *
 * A key is 128 random bits as 32 digits.  The database has its SHA-256 and first characters: who
 * reads the table can use none.  It is shown once, by the caller.
 */
enum { TOKEN_KEY_DIGITS = 32, TOKEN_NOTES_MAX = 2000 /* characters */ };

/*
 * Every permission must be held by the user (req_may): the caller looks.  The new token goes to the
 * audit log under its first characters.
 */
bool token_make(struct req *r, struct strs permissions, int64_t days, struct str notes,
                char ret_key[TOKEN_KEY_DIGITS + 1], struct err *err);

#endif
