#ifndef SYMFILE_CSYM_FORMAT_H
#define SYMFILE_CSYM_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/hash.h"

/*
 * csym_format - layout of a .csym file, shared by its writer and its reader.
 *
 * Little-endian; sections are 8-byte aligned, each {offset u64, size u64} in the header.
 *
 *   header   512 bytes: magic, version, flags, header size, total u64, source bytes u64,
 *            source stamp u64, hash of the sections u64, hash of the rest of the header u64,
 *            reserved u64, section table
 *   STRINGS  varint length + bytes, each string once; offset 0 is the empty string
 *   INFO     string offsets: os, arch, debug id, debug file, code id, url
 *   *_START  sorted start addresses, u32, or u64 in a file with CSYM_WIDE; parallel to
 *   FUNC     size, name, offset in BODY          (12 bytes)
 *   PUBLIC   name, parameter size                (8 bytes)
 *   CFI      size, offset in CFI_ROW             (8 bytes)
 *   WIN_*    csym_win's numbers, program string  (36 bytes; starts are always u32)
 *   BODY     per function: varint parameter size, varint bytes of the line run, the line
 *            run, varint number of inline levels, per level: varint bytes, inline run
 *   FILE, ORIGIN, REG  string offsets by dense index
 *   CFI_ROW  per INIT record a row run; the value of a row is an index into
 *   CFI_SET  offsets into CFI_RULE: varint count, per rule varint register, varint offset
 *            into CFI_PROGRAM; set 0 stands for malformed rules
 *
 * A run is a list of records sorted by a 32-bit key relative to its owner's start.  Records
 * are varint deltas, in blocks of CSYM_BLOCK that can be decoded on their own:
 *
 *   varint count; if count > CSYM_BLOCK for each block but the first {key u32, offset u32};
 *   records.  Offsets count from behind the table.
 *
 *   range record   varint size << 1 | has_gap, [varint gap to the end of the one before]
 *     line         zigzag line delta << 1 | file differs, [varint file]
 *     inline       varint origin, varint call line << 1 | file differs, [varint file]
 *   row            varint key delta, varint rule set
 */
enum {
    CSYM_MAGIC = 0x4d595343, /* "CSYM" */
    CSYM_VERSION = 3,
    CSYM_HEADER_SIZE = 512,
    CSYM_STAMP_AT = 32,       /* offset of the source stamp */
    CSYM_HASH_AT = 40,        /* of the hash of the sections */
    CSYM_HEADER_HASH_AT = 48, /* of that of the header */
    CSYM_SECTION_TABLE = 64,  /* offset of the section table */
    CSYM_BLOCK = 32, /* nearly every function has fewer records, so its run needs no table */
    CSYM_FUNC_SIZE = 12,
    CSYM_PUBLIC_SIZE = 8,
    CSYM_CFI_SIZE = 8,
    CSYM_WIN_SIZE = 36,
    CSYM_REG_MAX = 0xfff0,      /* 16 bits, less the numbers of csym.h that stand for no register */
    CSYM_PROGRAM_OPS_MAX = 256, /* the longest of linkers, for a PLT, is nine operations */
    CSYM_BAD_LINES_MAX = 100,   /* more: the file counts as corrupt */
};

/* In the head: addresses of 64 bits; more bad lines than CSYM_BAD_LINES_MAX. */
enum csym_flag { CSYM_WIDE = 1, CSYM_CORRUPT = 2 };

enum csym_info {
    CSYM_OS,
    CSYM_ARCH,
    CSYM_DEBUG_ID,
    CSYM_DEBUG_FILE,
    CSYM_CODE_ID,
    CSYM_URL,
    CSYM_CODE_FILE,
    CSYM_INFO_COUNT
};

/* Registers inside a rule set: 0 .cfa, 1 .ra, else index + 2. */
enum { CSYM_RULE_CFA = 0, CSYM_RULE_RA = 1, CSYM_RULE_REG = 2 };

/* Postfix byte code of CFI expressions.  Constants are zigzag varints. */
enum csym_op {
    OP_END,
    OP_PUSH, /* constant */
    OP_REG,  /* register */
    OP_CFA,
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_MOD,
    OP_ALIGN,
    OP_DEREF,
    OP_UNDEF, /* the expression is .undef, or holds it: value unknown */
    OP_FAIL,
    OP_REG_ADD,   /* register, constant */
    OP_CFA_ADD,   /* constant */
    OP_CFA_DEREF, /* constant: the word at CFA + constant */
};

static inline uint32_t csym_u32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint64_t csym_u64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* Of all of the header but the hash itself. */
static inline uint64_t csym_header_hash(const uint8_t *header)
{
    enum { BEHIND = CSYM_HEADER_HASH_AT + sizeof(uint64_t) };
    return hash64_seed(header + BEHIND, CSYM_HEADER_SIZE - BEHIND,
                       hash64_seed(header, CSYM_HEADER_HASH_AT, 0));
}

static inline void csym_seal_header(uint8_t *header)
{
    uint64_t hash = csym_header_hash(header);
    memcpy(header + CSYM_HEADER_HASH_AT, &hash, sizeof hash);
}

static inline uint64_t zigzag(int64_t v)
{
    return (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0);
}

static inline int64_t unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1 ^ -(v & 1));
}

/*
 * vr - varint reader, the csym counterpart of rd: sticky, and next_byte is the only place
 * that compares with the end.  Inline because a lookup is little else.
 */
struct vr {
    const uint8_t *p, *end;
    bool bad;
};

static inline struct vr vr_at(const uint8_t *p, size_t n, size_t off)
{
    if (off >= n)
        return (struct vr){.bad = true};
    return (struct vr){.p = p + off, .end = p + n};
}

static inline uint8_t vr_byte(struct vr *r)
{
    if (r->p == r->end) {
        r->bad = true;
        return 0;
    }
    return *r->p++;
}

static inline uint64_t vr_u64(struct vr *r)
{
    uint64_t v = vr_byte(r);
    if (v < 0x80)
        return v;
    v &= 0x7f;
    for (unsigned shift = 7; shift < 64; shift += 7) {
        uint64_t b = vr_byte(r);
        v |= (b & 0x7f) << shift;
        if (b < 0x80)
            return v;
    }
    r->bad = true;
    return 0;
}

/* A value above 32 bits in a 32-bit place is damage. */
static inline uint32_t vr_u32(struct vr *r)
{
    uint64_t v = vr_u64(r);
    if (v > UINT32_MAX)
        r->bad = true;
    return (uint32_t)v;
}

/* The next n bytes as a reader of their own; r goes on behind them. */
static inline struct vr vr_window(struct vr *r, uint64_t n)
{
    if (r->bad || n > (size_t)(r->end - r->p)) {
        r->bad = true;
        return (struct vr){.bad = true};
    }
    struct vr w = {.p = r->p, .end = r->p + n};
    r->p += n;
    return w;
}

static inline void vr_skip(struct vr *r, uint64_t n)
{
    (void)vr_window(r, n);
}

#endif
