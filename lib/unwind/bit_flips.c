/*
 * Single flipped bits: an address that one bit away would have been fine hints at bad
 * memory hardware.  Confidence is a rough score, not a probability.
 */
#include "lib/unwind/bit_flips.h"

#include "lib/base/util.h"
#include "lib/minidump/context.h"
#include "lib/minidump/memory.h"
#include "lib/unwind/fault.h"

/*
 * Those of rust-minidump, with whose reports ours are compared: an address in the first two pages
 * is a null pointer and a field behind it, and a register within a page of an address was the base
 * of a structure there.
 */
enum { LOW_ADDRESS = 8192, NEARBY = 4096 };

/* Bytes that allocators and compilers fill memory with. */
static const uint8_t poison[] = {0x2b, 0x2d, 0x2f, 0x49, 0x4b, 0x4d, 0x4f, 0x6b, 0x8b,
                                 0x9b, 0x9f, 0xa5, 0xbb, 0xcc, 0xcd, 0xce, 0xdb, 0xe5};

static bool allows(const struct mdmp_mapping *m, enum operation op)
{
    return m && ((op == OP_UNKNOWN) || (op == OP_READ && m->can_read) ||
                 (op == OP_WRITE && m->can_write) || (op == OP_EXECUTE && m->can_execute));
}

static bool is_poison(uint64_t value)
{
    uint8_t b = (uint8_t)value;
    return value == b * UINT64_C(0x0101010101010101) && memchr(poison, b, sizeof poison);
}

/*
 * Doubts are multiplied: each fact removes part of what is left.  The weights are those of the Rust
 * walker whose numbers stored reports hold, and are not derived from measurements; only the order
 * they give means something.
 */
static float confidence(const struct bit_flip *flip)
{
    static const float nearby[] = {0, 0.50f, 0.55f, 0.60f, 0.65f};
    float doubt = 1 - 0.25f;
    if (flip->was_non_canonical)
        doubt *= 1 - 0.90f;
    if (flip->is_null)
        doubt *= 1 - (flip->was_low ? 0.25f : 0.50f);
    if (flip->nearby_registers)
        doubt *= 1 - nearby[MIN(flip->nearby_registers, 4u)];
    return (1 - doubt) * (flip->has_poison ? 0.5f : 1);
}

/* Facts about the registers that speak for or against the candidate. */
static void look_at_registers(const struct mdmp_context *c, struct bit_flip *flip)
{
    for (uint8_t i = 0; i < c->layout->reg_count; i++) {
        uint64_t value;
        if (!mdmp_reg_get(c, i, &value))
            continue;
        uint64_t distance = value > flip->address ? value - flip->address : flip->address - value;
        flip->nearby_registers += flip->address > LOW_ADDRESS && distance <= NEARBY;
        flip->has_poison |= is_poison(value);
    }
}

/*
 * Whether `address` lies within `bytes` of a region that allows op: off by one, not a flip. A wide
 * access may begin before a mapping and end in it, or run over its end.
 */
static bool is_near_allowed(const struct facts *f, uint64_t address, uint64_t bytes,
                            enum operation op)
{
    for (uint64_t d = 1; d < bytes; d++)
        if ((address >= d && allows(mdmp_maps_at(&f->maps, address - d), op)) ||
            (address <= UINT64_MAX - d && allows(mdmp_maps_at(&f->maps, address + d), op)))
            return true;
    return false;
}

/* Adds what one suspect may have been; how many there are then. */
static size_t flip_bits_of(const struct facts *f, const struct mdmp_context *c,
                           const struct flip_suspect *suspect, uint64_t access_bytes,
                           struct bit_flip *out, size_t n)
{
    uint64_t start = suspect->address;
    enum operation op = fault_operation(f);
    bool was_non_canonical = fault_is_non_canonical(start);
    if (allows(mdmp_maps_at(&f->maps, start), op) || is_near_allowed(f, start, access_bytes, op))
        return n;
    unsigned from = was_non_canonical ? 48 : 0, to = was_non_canonical ? 64 : 48;
    for (unsigned bit = from; bit < to && n < BIT_FLIPS_MAX; bit++) {
        uint64_t candidate = start ^ UINT64_C(1) << bit;
        if (candidate != 0 && !allows(mdmp_maps_at(&f->maps, candidate), op))
            continue;
        struct bit_flip flip = {
            .address = candidate,
            .source_register = suspect->source_register,
            .was_non_canonical = was_non_canonical,
            .is_null = candidate == 0,
            .was_low = candidate == 0 && start <= LOW_ADDRESS,
        };
        look_at_registers(c, &flip);
        flip.confidence = confidence(&flip);
        out[n++] = flip;
    }
    return n;
}

size_t bit_flips_find(const struct facts *f, const struct mdmp_context *c,
                      const struct flip_suspect *suspects, size_t n, uint64_t access_bytes,
                      struct bit_flip out[BIT_FLIPS_MAX])
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++)
        found = flip_bits_of(f, c, &suspects[i], access_bytes, out, found);
    return found;
}
