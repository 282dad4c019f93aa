#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

/*
 * hash - a fast hash for tables, SHA-256 for contents, random bytes.
 *
 * hash64() is XXH3 (libxxhash): stable across machines and releases, so it may
 * be stored on disk.  It is not keyed; tables fed by strangers pass a secret seed.
 */
uint64_t hash64(const void *p, size_t n);
uint64_t hash64_seed(const void *p, size_t n, uint64_t seed);

enum { SHA256_BYTES = 32, SHA256_HEX = 64 };

/* Streaming SHA-256 (libcrypto).  Release or finish exactly once. */
struct sha256 {
    void *ctx; /* owned */
};
void sha256_init(struct sha256 *h);
void sha256_add(struct sha256 *h, const void *p, size_t n);
void sha256_finish(struct sha256 *h, uint8_t out[SHA256_BYTES]);
void sha256_release(struct sha256 *h);
void sha256_hex(const void *p, size_t n, char out[SHA256_HEX + 1]);

/* From the kernel; never fails (aborts if the kernel has none). */
void random_bytes(void *out, size_t n);
uint64_t random_u64(void);

/* Constant time in n. */
bool secret_eq(const void *a, const void *b, size_t n);

#endif
