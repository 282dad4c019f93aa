#ifndef UNWIND_BIT_FLIPS_H
#define UNWIND_BIT_FLIPS_H

#include "lib/unwind/facts.h"

/*
 * bit_flips - addresses of a crash that would have been fine with one bit the other way, which
 * hints at bad memory hardware.
 */
enum { BIT_FLIPS_MAX = 256 }; /* four addresses of 64 bits, all of whose flips fit */

struct bit_flip {
    uint64_t address;
    float confidence;
    uint8_t source_register; /* MDMP_REG_NONE: the crash address */
    bool was_non_canonical, is_null, was_low, has_poison;
    uint32_t nearby_registers;
};

/* An address that may have been damaged, and the register it comes from. */
struct flip_suspect {
    uint64_t address;
    uint8_t source_register; /* MDMP_REG_NONE: the crash address */
};

/*
 * What the suspects may have been before a bit flipped, in their order; how many.  access_bytes: as
 * many as the instruction touches, 0 unknown.  c holds the registers at the crash.
 */
size_t bit_flips_find(const struct facts *f, const struct mdmp_context *c,
                      const struct flip_suspect *suspects, size_t n, uint64_t access_bytes,
                      struct bit_flip out[BIT_FLIPS_MAX]);

#endif
