#ifndef UNWIND_WALK_H
#define UNWIND_WALK_H

#include "lib/unwind/walk_symbols.h"

/*
 * walk - from the registers and the stack memory of every thread to frames with
 * modules, functions, lines and inlines.
 *
 * Each frame is found from the younger one by the first method that works: call frame
 * information, frame pointer, stack scan; `trust` tells which.  A method may also know
 * that there is no caller, which ends the stack: no frame is better than an invented one.
 * Every step moves the stack pointer up, so a walk ends; frames per thread and per dump
 * are limited besides.
 *
 * Ownership  Stacks and frames live in the arena; texts point into the dump and into
 *            the symbol files, which stay open as long as the struct walk_symbols.
 */
enum {
    WALK_FRAMES_DEFAULT = 1024,    /* per thread */
    WALK_FRAMES_MAX = 1 << 20,     /* the most that may be configured */
    WALK_FRAMES_TOTAL = 128 << 10, /* per dump */
    WALK_INLINES_TOTAL = 1 << 20,  /* per dump */
};

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

/* Walks every thread.  frames_max 0 means the default. */
void walk_run(const struct facts *facts, struct walk_symbols *symbols, struct arena *arena,
              size_t frames_max, struct walk *ret);

const char *walk_trust_name(enum walk_trust trust); /* as in JSON */
const char *walk_trust_text(enum walk_trust trust); /* for people */

#endif
