/*
 * Packing by planes (bits.h).  The usual layout, numbers one behind the other, needs a shift that
 * differs from row to row; this one needs none that differs within a loop.  Nearly all blocks are
 * full, so the loops are made a second time for exactly BLOCK_ROWS numbers: with constant bounds
 * the compiler leaves nothing but vectors.
 */
#include "lib/search/columns/bits.h"

#include <stdbool.h>
#include <string.h>

/* Planes of parts of a byte: of 4, 2 and 1 bits. */
#define IN_RUNS 7u

static void pack_run(const uint64_t *v, size_t n, size_t room, uint32_t plane, uint32_t shift,
                     uint8_t *out)
{
    size_t run = room / 8 * plane;
    uint64_t mask = ((uint64_t)1 << plane) - 1;
    memset(out, 0, run);
    for (size_t i = 0; i < n; i++)
        out[i % run] |= (uint8_t)((v[i] >> shift & mask) << (i / run * plane));
}

static void pack_bytes(const uint64_t *v, size_t n, size_t room, uint32_t plane, uint32_t shift,
                       uint8_t *out)
{
    size_t bytes = plane / 8;
    memset(out, 0, room * bytes);
    for (size_t i = 0; i < n; i++) {
        uint64_t part = v[i] >> shift;
        memcpy(out + i * bytes, &part, bytes); /* the low bytes: our machines are little-endian */
    }
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "planes are the low bytes of numbers");

void bits_pack(const uint64_t *v, size_t n, uint32_t width, uint8_t *out)
{
    size_t room = bits_room(n);
    uint32_t shift = 0;
    for (uint32_t plane = 64; plane > 0; plane /= 2) {
        if (!(width & plane))
            continue;
        if (plane & IN_RUNS)
            pack_run(v, n, room, plane, shift, out);
        else
            pack_bytes(v, n, room, plane, shift, out);
        out += room / 8 * plane;
        shift += plane;
    }
}

/*
 * A shift by as many bits as the type has is undefined; planes beyond the type hold only what is
 * cut off anyway.
 */
#define ADD_BYTES(out_type, plane_type)                                                            \
    do {                                                                                           \
        const plane_type *part = (const void *)in;                                                 \
        if (shift < 8 * sizeof(out_type))                                                          \
            for (size_t i = 0; i < room; i++)                                                      \
                out[i] = (out_type)(out[i] + (out_type)((out_type)part[i] << shift));              \
        in += room * sizeof(plane_type);                                                           \
        shift += 8 * (uint32_t)sizeof(plane_type);                                                 \
    } while (0)

/* One run of rows: `from` is its place in a byte. */
#define ADD_RUN(out_type, plane, from)                                                             \
    do {                                                                                           \
        out_type *restrict to = out + (from) / (plane)*run;                                        \
        for (size_t i = 0; i < run; i++) {                                                         \
            out_type part = (out_type)((uint8_t)(in[i] >> (from)) & ((1u << (plane)) - 1));        \
            to[i] = (out_type)(to[i] + (out_type)(part << shift));                                 \
        }                                                                                          \
    } while (0)
#define BEGIN_RUNS(plane)                                                                          \
    size_t run = room / 8 * (plane);                                                               \
    bool fits = shift < 8 * sizeof *out
#define END_RUNS(plane)                                                                            \
    in += run;                                                                                     \
    shift += (plane)
#define ADD_RUNS4(t)                                                                               \
    do {                                                                                           \
        BEGIN_RUNS(4u);                                                                            \
        if (fits) {                                                                                \
            ADD_RUN(t, 4u, 0u);                                                                    \
            ADD_RUN(t, 4u, 4u);                                                                    \
        }                                                                                          \
        END_RUNS(4u);                                                                              \
    } while (0)
#define ADD_RUNS2(t)                                                                               \
    do {                                                                                           \
        BEGIN_RUNS(2u);                                                                            \
        if (fits) {                                                                                \
            ADD_RUN(t, 2u, 0u);                                                                    \
            ADD_RUN(t, 2u, 2u);                                                                    \
            ADD_RUN(t, 2u, 4u);                                                                    \
            ADD_RUN(t, 2u, 6u);                                                                    \
        }                                                                                          \
        END_RUNS(2u);                                                                              \
    } while (0)
#define ADD_RUNS1(t)                                                                               \
    do {                                                                                           \
        BEGIN_RUNS(1u);                                                                            \
        if (fits) {                                                                                \
            ADD_RUN(t, 1u, 0u);                                                                    \
            ADD_RUN(t, 1u, 1u);                                                                    \
            ADD_RUN(t, 1u, 2u);                                                                    \
            ADD_RUN(t, 1u, 3u);                                                                    \
            ADD_RUN(t, 1u, 4u);                                                                    \
            ADD_RUN(t, 1u, 5u);                                                                    \
            ADD_RUN(t, 1u, 6u);                                                                    \
            ADD_RUN(t, 1u, 7u);                                                                    \
        }                                                                                          \
        END_RUNS(1u);                                                                              \
    } while (0)

#define UNPACK(name, type, usual)                                                                  \
    __attribute__((always_inline)) static inline void add_planes_##name(                           \
        const uint8_t *restrict in, size_t room, uint32_t width, type base, type *restrict out)    \
    {                                                                                              \
        uint32_t shift = 0;                                                                        \
        for (size_t i = 0; i < room; i++)                                                          \
            out[i] = base;                                                                         \
        if (width & 64)                                                                            \
            ADD_BYTES(type, uint64_t);                                                             \
        if (width & 32)                                                                            \
            ADD_BYTES(type, uint32_t);                                                             \
        if (width & 16)                                                                            \
            ADD_BYTES(type, uint16_t);                                                             \
        if (width & 8)                                                                             \
            ADD_BYTES(type, uint8_t);                                                              \
        if (width & 4)                                                                             \
            ADD_RUNS4(type);                                                                       \
        if (width & 2)                                                                             \
            ADD_RUNS2(type);                                                                       \
        if (width & 1)                                                                             \
            ADD_RUNS1(type);                                                                       \
    }                                                                                              \
    static void full_##name(const uint8_t *in, uint32_t width, type base, type *out)               \
    {                                                                                              \
        switch (width) {                                                                           \
            usual(add_planes_##name) default                                                       \
                : add_planes_##name(in, BLOCK_ROWS, width, base, out);                             \
        }                                                                                          \
    }                                                                                              \
    void name(const uint8_t *in, size_t n, uint32_t width, type base, type *out)                   \
    {                                                                                              \
        if (n == BLOCK_ROWS)                                                                       \
            full_##name(in, width, base, out);                                                     \
        else                                                                                       \
            add_planes_##name(in, bits_room(n), width, base, out);                                 \
    }

/*
 * A width that is known, too, makes every shift a constant, which takes a third of the time; for
 * the widths that codes of the type have.
 */
#define FOR_WIDTH(add, w)                                                                          \
    case w:                                                                                        \
        add(in, BLOCK_ROWS, w, base, out);                                                         \
        break;
#define WIDTHS_OF_8(add)                                                                           \
    FOR_WIDTH(add, 1)                                                                              \
    FOR_WIDTH(add, 2)                                                                              \
    FOR_WIDTH(add, 3)                                                                              \
    FOR_WIDTH(add, 4)                                                                              \
    FOR_WIDTH(add, 5)                                                                              \
    FOR_WIDTH(add, 6)                                                                              \
    FOR_WIDTH(add, 7)
#define WIDTHS_OF_16(add)                                                                          \
    FOR_WIDTH(add, 4)                                                                              \
    FOR_WIDTH(add, 5)                                                                              \
    FOR_WIDTH(add, 6)                                                                              \
    FOR_WIDTH(add, 7)                                                                              \
    FOR_WIDTH(add, 8)                                                                              \
    FOR_WIDTH(add, 9)                                                                              \
    FOR_WIDTH(add, 10)                                                                             \
    FOR_WIDTH(add, 11)                                                                             \
    FOR_WIDTH(add, 12)                                                                             \
    FOR_WIDTH(add, 13)                                                                             \
    FOR_WIDTH(add, 14)                                                                             \
    FOR_WIDTH(add, 15)
#define WIDTHS_OF_32(add)                                                                          \
    FOR_WIDTH(add, 13)                                                                             \
    FOR_WIDTH(add, 14)                                                                             \
    FOR_WIDTH(add, 15)                                                                             \
    FOR_WIDTH(add, 16)                                                                             \
    FOR_WIDTH(add, 17)                                                                             \
    FOR_WIDTH(add, 18)                                                                             \
    FOR_WIDTH(add, 19)                                                                             \
    FOR_WIDTH(add, 20)                                                                             \
    FOR_WIDTH(add, 21)
#define WIDTHS_OF_64(add)

UNPACK(bits_unpack8, uint8_t, WIDTHS_OF_8)
UNPACK(bits_unpack16, uint16_t, WIDTHS_OF_16)
UNPACK(bits_unpack32, uint32_t, WIDTHS_OF_32)
UNPACK(bits_unpack64, uint64_t, WIDTHS_OF_64)

static uint64_t part_of_run(const uint8_t *in, size_t run, uint32_t plane, size_t i)
{
    uint32_t k = (uint32_t)i / (uint32_t)run;
    return in[i - k * run] >> (k * plane) & ((1u << plane) - 1);
}

#define GET_BYTES(plane, type)                                                                     \
    do {                                                                                           \
        if (width & (plane)) {                                                                     \
            type part;                                                                             \
            memcpy(&part, in + i * sizeof part, sizeof part);                                      \
            v |= (uint64_t)part << shift;                                                          \
            in += room * sizeof part;                                                              \
            shift += (plane);                                                                      \
        }                                                                                          \
    } while (0)
#define GET_RUN(plane)                                                                             \
    do {                                                                                           \
        if (width & (plane)) {                                                                     \
            v |= part_of_run(in, room / 8 * (plane), (plane), i) << shift;                         \
            in += room / 8 * (plane);                                                              \
            shift += (plane);                                                                      \
        }                                                                                          \
    } while (0)

__attribute__((always_inline)) static inline uint64_t get(const uint8_t *in, size_t room,
                                                          uint32_t width, size_t i)
{
    uint64_t v = 0;
    uint32_t shift = 0;
    GET_BYTES(64, uint64_t);
    GET_BYTES(32, uint32_t);
    GET_BYTES(16, uint16_t);
    GET_BYTES(8, uint8_t);
    GET_RUN(4u);
    GET_RUN(2u);
    GET_RUN(1u);
    return v;
}

/* The divisions are shifts where the number of rows is known. */
uint64_t bits_get(const uint8_t *in, size_t n, uint32_t width, size_t i)
{
    return n == BLOCK_ROWS ? get(in, BLOCK_ROWS, width, i) : get(in, bits_room(n), width, i);
}
