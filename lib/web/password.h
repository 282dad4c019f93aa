#ifndef WEB_PASSWORD_H
#define WEB_PASSWORD_H

#include <stdbool.h>

#include "lib/base/err.h"

/*
 * password - argon2id hashes of passwords, in the usual text form
 * ($argon2id$v=19$m=…,t=…,p=…$salt$hash), so that parameters can grow later.
 *
 * Cost       About 20 MiB and 20-40 ms for each call.
 * Errors     ERR_INVALID: the password is empty or longer than PASSWORD_MAX bytes.
 * Threads    No state.
 * Limits     A passphrase has some ten words.  The text of a hash is 97 bytes (base64 of SALT_BYTES
 *            and HASH_BYTES of password.c, and its parameters), and longer with larger parameters.
 */
enum { PASSWORD_MAX = 1024, PASSWORD_HASH_SIZE = 128 };

bool password_hash(const char *password, char out[PASSWORD_HASH_SIZE], struct err *err);

/* Constant time in the password.  hash NULL or empty (no such account): takes as long as a real
 * comparison and says false, so that nobody learns which accounts exist. */
bool password_verify(const char *hash, const char *password);

#endif
