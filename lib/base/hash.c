/*
 * XXH3 for tables and fingerprints, getrandom for secrets.  XXH3 was chosen for its speed on short
 * texts (names, keys of a few dozen bytes) and because its values are fixed by its specification:
 * they stand in index and symbol cache files and must not change with the library.
 *
 * It is no cryptographic hash.  Without a seed anybody can make texts that collide; with a secret
 * one nobody can who does not see its values.
 */
#include "lib/base/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include <xxhash.h>

uint64_t hash64(const void *p, size_t n)
{
    return XXH3_64bits(p, n);
}

uint64_t hash64_seed(const void *p, size_t n, uint64_t seed)
{
    return XXH3_64bits_withSeed(p, n, seed);
}

/*
 * A program without randomness would hand out session keys that can be guessed: it stops instead.
 * getrandom gives up to 256 bytes at once and may give less of more, hence the loop.
 */
void random_bytes(void *out, size_t n)
{
    uint8_t *p = out;
    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            abort();
        p += got;
        n -= (size_t)got;
    }
}

uint64_t random_u64(void)
{
    uint64_t v;
    random_bytes(&v, sizeof v);
    return v;
}
