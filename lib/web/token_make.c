/*
 * The one place in the web programs where a token comes into being: pages of crashes and of symbols
 * both end here, so its length, its hash and the line of the audit log are the same.
 */
#include "lib/web/token_make.h"

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/web/site.h"
#include "queries.h"

enum { KEY_BYTES = TOKEN_KEY_DIGITS / 2, START_LEN = 12 }; /* 48 bits tell tokens apart */
/* The upload protocol that clients of symbols are told to use: archives. */
#define UPLOAD_API "1"

/*
 * What is hashed is the key's text, the digits a client sends in Auth-Token, and not the bytes
 * behind it.  A plain hash is enough where passwords need a slow one: there is nothing to guess.
 */
bool token_make(struct req *r, struct strs permissions, int64_t days, struct str notes,
                char ret_key[TOKEN_KEY_DIGITS + 1], struct err *err)
{
    struct arena *a = req_arena(r);
    uint8_t bytes[KEY_BYTES];
    char key[TOKEN_KEY_DIGITS + 1], hash[SHA256_HEX + 1];
    random_bytes(bytes, sizeof bytes);
    hex_encode(bytes, sizeof bytes, key);
    sha256_hex(key, strlen(key), hash);
    const char *start = arena_memdup0(a, key, START_LEN);
    if (!DB_EXEC(req_db(r), &q_account_token_add, err, db_int(a, req_user(r)->id), hash, start,
                 str_adup(a, notes), db_int(a, days), db_text_array(a, permissions), UPLOAD_API))
        return err_wrap(err, "adding a token");
    site_audit(r, "token", start, "add", "");
    memcpy(ret_key, key, sizeof key);
    return true;
}
