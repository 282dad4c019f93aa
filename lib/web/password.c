/*
 * Passwords as argon2id hashes in the encoded form, which carries its own parameters, so that
 * stronger ones can be chosen later without touching what is stored.
 */
#include "lib/web/password.h"

#include <argon2.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/util.h"

/* The first choice of the OWASP table for argon2id: 19 MiB, two passes, one lane. */
enum { MEMORY_KIB = 19456, PASSES = 2, LANES = 1, SALT_BYTES = 16, HASH_BYTES = 32 };

bool password_hash(const char *password, char out[PASSWORD_HASH_SIZE], struct err *err)
{
    size_t n = strlen(password);
    if (n == 0 || n > PASSWORD_MAX)
        return err_set(err, ERR_INVALID, "a password has 1 to %d bytes", PASSWORD_MAX);
    uint8_t salt[SALT_BYTES];
    random_bytes(salt, sizeof salt);
    int rc = argon2id_hash_encoded(PASSES, MEMORY_KIB, LANES, password, n, salt, sizeof salt,
                                   HASH_BYTES, out, PASSWORD_HASH_SIZE);
    if (rc != ARGON2_OK)
        return err_set(err, ERR_INTERNAL, "argon2id: %s", argon2_error_message(rc));
    return true;
}

/*
 * An account that does not exist costs the same time as one that does: a hash that nobody can match
 * is verified instead, so the answer's time does not tell which addresses have accounts.
 */
bool password_verify(const char *hash, const char *password)
{
    /* Of a random password nobody knows; same parameters as above. */
    static const char nobody[] = "$argon2id$v=19$m=19456,t=2,p=1$AAECAwQFBgcICQoLDA0ODw"
                                 "$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    bool is_known = hash && *hash;
    size_t n = strlen(password);
    if (n > PASSWORD_MAX)
        return false;
    return argon2id_verify(is_known ? hash : nobody, password, n) == ARGON2_OK && is_known;
}
