#ifndef UNWIND_WALK_FRAMES_H
#define UNWIND_WALK_FRAMES_H

#include "lib/base/str.h"
#include "lib/minidump/context.h"
#include "lib/unwind/walk_symbols.h"

/* walk_frames - what a walk is made of: frames, stacks, and what is left of its limits. */

/* TRUST_CALL: the caller after a call through a bad pointer; JSON knows it as "cfi". */
enum walk_trust { TRUST_CONTEXT, TRUST_CALL, TRUST_CFI, TRUST_FRAME_POINTER, TRUST_SCAN };

struct walk_inline {
    struct str function, file; /* file may be empty */
    uint32_t line;             /* 0 unknown */
};

struct walk_frame {
    enum walk_trust trust;
    uint64_t resume;      /* program counter or return address */
    uint64_t instruction; /* what lookups use: resume moved back into the call */
    size_t module;        /* index, SIZE_MAX: in no loaded module */
    struct str function;  /* p NULL: no symbol */
    uint64_t function_addr;
    struct str file; /* p NULL or empty: unknown */
    uint32_t line;   /* 0 unknown */
    uint32_t param_size;
    const struct walk_inline *inlines; /* innermost first */
    size_t inline_count;
};

struct walk_stack {
    struct walk_frame *frames; /* youngest first */
    size_t n;
    bool is_cut;                 /* there were more than the limit */
    struct mdmp_context context; /* of frame 0, when n > 0 */
};

struct walk {
    const struct facts *facts;
    struct walk_symbols *symbols;
    struct arena *arena;
    size_t frames_max; /* per thread */
    size_t frames_left, inlines_left;
    uint64_t pointer_mask;     /* arm64: bits that belong to an address */
    struct walk_stack *stacks; /* one per thread */
    bool was_cut;
};

#endif
