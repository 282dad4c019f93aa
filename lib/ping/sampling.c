/*
 * A hash of the id is a number that is equally often anywhere between 0 and 2^64; its place there
 * is compared with the share that is to be kept.
 */
#include "lib/ping/sampling.h"

#include <math.h>

#include "lib/base/hash.h"

bool sampling_keeps(struct str document_id, struct str salt, double probability)
{
    uint64_t hash = hash64_seed(document_id.p, document_id.n, hash64(salt.p, salt.n));
    return ldexp((double)hash, -64) < probability || probability >= 1;
}
