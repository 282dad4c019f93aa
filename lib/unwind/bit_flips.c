/*
 * Single flipped bits: an address that one bit away would have been fine hints at bad
 * memory hardware.  Confidence is a rough score, not a probability.
 */
#include "lib/unwind/analysis.h"

#include "lib/base/util.h"

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

/* Whether `address` lies within `bytes` of a region that allows op: off by one, not a flip. */
static bool is_near_allowed(const struct facts *f, uint64_t address, uint64_t bytes,
                            enum operation op)
{
    for (uint64_t d = 1; d < bytes; d++)
        if ((address >= d && allows(mdmp_maps_at(&f->maps, address - d), op)) ||
            (address <= UINT64_MAX - d && allows(mdmp_maps_at(&f->maps, address + d), op)))
            return true;
    return false;
}

static void try_address(const struct facts *f, const struct mdmp_context *c, uint64_t start,
                        uint64_t access_bytes, uint8_t source, struct analysis *a)
{
    enum operation op = analysis_operation(f);
    bool was_non_canonical = analysis_is_non_canonical(start);
    if (allows(mdmp_maps_at(&f->maps, start), op) || is_near_allowed(f, start, access_bytes, op))
        return;
    unsigned from = was_non_canonical ? 48 : 0, to = was_non_canonical ? 64 : 48;
    for (unsigned bit = from; bit < to && a->flip_count < ANALYSIS_FLIPS_MAX; bit++) {
        uint64_t candidate = start ^ UINT64_C(1) << bit;
        if (candidate != 0 && !allows(mdmp_maps_at(&f->maps, candidate), op))
            continue;
        struct bit_flip flip = {
            .address = candidate,
            .source_register = source,
            .was_non_canonical = was_non_canonical,
            .is_null = candidate == 0,
            .was_low = candidate == 0 && start <= LOW_ADDRESS,
        };
        look_at_registers(c, &flip);
        flip.confidence = confidence(&flip);
        a->flips[a->flip_count++] = flip;
    }
}

void analysis_find_flips(const struct facts *f, const struct mdmp_context *c,
                         const uint8_t *registers, size_t register_count, struct analysis *a)
{
    if (f->maps.n == 0 || a->adjustment == ADJUST_NULL_POINTER)
        return;
    uint64_t start = a->adjustment == ADJUST_NON_CANONICAL ? a->adjusted : f->crash_address;
    uint64_t access_bytes = 0;
    for (size_t k = 0; k < a->access_count; k++) {
        const struct memory_access *m = &a->accesses[k];
        if (start >= m->address && start - m->address < MAX(m->bytes, 1)) {
            start = m->address;
            access_bytes = m->bytes;
            break;
        }
    }
    try_address(f, c, start, access_bytes, MDMP_REG_NONE, a);
    for (size_t i = 0; i < register_count; i++)
        try_address(f, c, c->r[registers[i]], access_bytes, registers[i], a);
}
