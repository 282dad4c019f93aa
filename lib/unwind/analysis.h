#ifndef UNWIND_ANALYSIS_H
#define UNWIND_ANALYSIS_H

#include "lib/unwind/bit_flips.h"

/*
 * analysis - what the crashing instruction says about the crash: which memory it
 * touched, null pointers in disguise, addresses the processor hides, guard pages, single
 * flipped bits, and facts that contradict each other.
 *
 * Only x86 and amd64, and only when the dump has the bytes at the program counter; otherwise
 * has_instruction is false and the rest says "unknown".
 */
enum {
    ANALYSIS_ACCESSES_MAX = 4, /* INSN_MEMORY_MAX: no instruction has more */
    ANALYSIS_INCONSISTENCIES_MAX = 8,
    ANALYSIS_TEXT_MAX = 96,
};

enum access_kind { ACCESS_UNKNOWN, ACCESS_READ, ACCESS_WRITE, ACCESS_READWRITE };

struct memory_access {
    uint64_t address;
    uint16_t bytes; /* 0 unknown */
    enum access_kind kind;
    bool is_guard_page;
    bool has_null_base; /* its base register is 0 */
};

enum adjustment { ADJUST_NONE, ADJUST_NULL_POINTER, ADJUST_NON_CANONICAL };

struct analysis {
    bool has_instruction;
    char instruction[ANALYSIS_TEXT_MAX];
    bool has_accesses; /* false also for segment-relative operands, whose base is unknown */
    struct memory_access accesses[ANALYSIS_ACCESSES_MAX];
    size_t access_count;
    bool has_update; /* the instruction sets the program counter to update */
    uint64_t update;
    bool update_is_guard_page;
    enum adjustment adjustment;
    uint64_t adjusted; /* address, or offset from null */
    struct bit_flip flips[BIT_FLIPS_MAX];
    size_t flip_count;
    const char *inconsistencies[ANALYSIS_INCONSISTENCIES_MAX];
    size_t inconsistency_count;
};

/* context: registers at the crash, or NULL. */
void analysis_run(const struct facts *f, const struct mdmp_context *context, struct analysis *ret);

const char *access_kind_name(enum access_kind kind); /* NULL for unknown */

#endif
