/*
 * The part of hash.h that needs libcrypto, in a file of its own: programs that only hash
 * for tables (the stack walker is started for every dump) do without loading it.
 */
#include "lib/base/hash.h"

#include <stdlib.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "lib/base/str.h"

void sha256_init(struct sha256 *h)
{
    h->ctx = EVP_MD_CTX_new();
    if (!h->ctx || EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL) != 1)
        abort();
}

void sha256_add(struct sha256 *h, const void *p, size_t n)
{
    if (EVP_DigestUpdate(h->ctx, p, n) != 1)
        abort();
}

/* Fails only when libcrypto has no memory left, or no SHA-256: nothing of ours works then. */
void sha256_finish(struct sha256 *h, uint8_t out[SHA256_BYTES])
{
    unsigned n = 0;
    if (EVP_DigestFinal_ex(h->ctx, out, &n) != 1 || n != SHA256_BYTES)
        abort();
    sha256_release(h);
}

void sha256_release(struct sha256 *h)
{
    EVP_MD_CTX_free(h->ctx);
    h->ctx = NULL;
}

void sha256_hex(const void *p, size_t n, char out[SHA256_HEX + 1])
{
    struct sha256 h;
    uint8_t digest[SHA256_BYTES];
    sha256_init(&h);
    sha256_add(&h, p, n);
    sha256_finish(&h, digest);
    hex_encode(digest, sizeof digest, out);
}

bool secret_eq(const void *a, const void *b, size_t n)
{
    return CRYPTO_memcmp(a, b, n) == 0;
}
