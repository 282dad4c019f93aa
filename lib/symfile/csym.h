#ifndef SYMFILE_CSYM_H
#define SYMFILE_CSYM_H

#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * csym - a Breakpad symbol file compiled into a position-independent file that is
 * mapped and searched in place.
 *
 * Opening checks the header and the section bounds and touches nothing else.  A
 * lookup allocates nothing and touches O(log n) cache lines.
 *
 * Ownership  csym_open_mem borrows the bytes; csym_open_file and csym_open_fd map
 *            them.  csym_close unmaps what was mapped.  Strings point into the file.
 * Trust      The bytes may be damaged or hostile: every index is checked when it
 *            is used; the answer to any input is a value or "not found".
 * Threads    Immutable once opened; may be shared.
 * Addresses  Relative to the module's base, up to 64 bits.
 * Strings    Have no terminator and are bytes as they stood in the text: mostly UTF-8, but
 *            nobody checked (utf8_clean before they go into JSON).
 */
enum csym_section_id {
    SEC_STRINGS,
    SEC_INFO,
    SEC_FUNC_START,
    SEC_FUNC,
    SEC_BODY,
    SEC_FILE,
    SEC_ORIGIN,
    SEC_PUBLIC_START,
    SEC_PUBLIC,
    SEC_CFI_START,
    SEC_CFI,
    SEC_CFI_ROW,
    SEC_CFI_SET,
    SEC_CFI_RULE,
    SEC_CFI_PROGRAM,
    SEC_REG,
    SEC_WIN_FRAME_START,
    SEC_WIN_FRAME,
    SEC_WIN_FPO_START,
    SEC_WIN_FPO,
    CSYM_SECTION_COUNT,
};

struct csym {
    const uint8_t *p; /* whole file */
    size_t n;
    bool is_mapped;
    bool is_corrupt; /* more than 100 lines of the source were no records */
    bool is_wide;    /* private: start addresses are 64 bits wide */
    /* From MODULE and INFO lines. */
    struct str os, arch, debug_id, debug_file, code_id, url, code_file;
    uint64_t source_bytes; /* size of the symbol text */
    uint64_t source_stamp; /* what identifies the text */
    uint32_t reg_count;    /* register names used by CFI rules, see csym_reg_name */
    struct csym_section {
        const uint8_t *p;
        size_t n;
    } sec[CSYM_SECTION_COUNT]; /* private; known to lie inside the file */
};

/* Statistics of one compilation, for logs. */
struct csym_stats {
    uint64_t source_bytes, csym_bytes, funcs, lines, inlines, publics, cfi_ranges, cfi_rule_sets,
        bad_lines;
};

/*
 * Compiles symbol text into a new memory block (free), which is the file from its first byte to its
 * last.  `stamp` is kept for the caller, who may put there what identifies the source (0: nothing
 * yet).  ERR_INVALID: no valid MODULE line.  ERR_TOO_LARGE: a limit.  ret_stats may be NULL.
 */
bool csym_compile_mem(struct str text, uint64_t stamp, void **ret_p, size_t *ret_n,
                      struct csym_stats *ret_stats, struct err *err);

/* Gives a compiled file its stamp, when that is known only after it was made. */
bool csym_set_stamp(int fd, uint64_t stamp, struct err *err);

bool csym_open_mem(const void *p, size_t n, struct csym *ret, struct err *err);
bool csym_open_file(const char *path, struct csym *ret, struct err *err);
bool csym_open_fd(int fd, struct csym *ret, struct err *err); /* fd stays the caller's */
void csym_close(struct csym *c);
/* Reads the whole file and compares its checksum: for housekeeping, never on the way of a crash. */
bool csym_verify(const struct csym *c, struct err *err);

/* Levels; an estimate of what is more than anybody reads in one frame. */
enum { CSYM_INLINE_MAX = 128 };

struct csym_inline {
    struct str function; /* inlined function */
    struct str file;     /* where it stood when the address was reached; empty if unknown */
    uint32_t line;       /* 0 unknown */
};

struct csym_hit {
    struct str function;
    uint64_t function_addr;
    uint32_t param_size;
    bool is_public;  /* from a PUBLIC record: no size, no lines */
    struct str file; /* of the real frame: call site of inline level 0, else the line record */
    uint32_t line;   /* 0 unknown */
    size_t inline_count;
    struct csym_inline inlines[CSYM_INLINE_MAX]; /* innermost first */
};

bool csym_lookup(const struct csym *c, uint64_t addr, struct csym_hit *ret);

/*
 * Whether addr lies in a FUNC, is covered by a PUBLIC, or has unwind rules: most functions of a
 * stripped library have no name, and are code all the same.
 */
bool csym_is_code(const struct csym *c, uint64_t addr);

/* Name of CFI register `index` without "$"; index < reg_count.  Callers map names once per file. */
struct str csym_reg_name(const struct csym *c, uint32_t index);

/*
 * A row has a rule for each register that its function saves, at most all 33 of arm64.  The other
 * two are numbers that no register has (CSYM_REG_MAX).
 */
enum { CSYM_CFI_RULES_MAX = 64, CSYM_REG_CFA = 0xfffe, CSYM_REG_RA = 0xffff };

struct csym_cfi {
    uint64_t init_addr; /* start of the INIT record */
    uint32_t rule_count;
    struct {
        uint16_t reg;            /* index, or CSYM_REG_CFA, CSYM_REG_RA */
        uint32_t program;        /* handle for csym_cfi_eval */
    } rules[CSYM_CFI_RULES_MAX]; /* one per register, later rows already applied */
};

/* Rules in force at addr; false: no INIT record covers it, or its rules are malformed. */
bool csym_cfi_find(const struct csym *c, uint64_t addr, struct csym_cfi *ret);

/* What a rule needs of the callee's frame.  Both callbacks answer false for "unknown". */
struct csym_env {
    void *ctx;
    bool (*reg)(void *ctx, uint32_t reg_index, uint64_t *ret);
    bool (*word)(void *ctx, uint64_t addr, uint64_t *ret);
    bool has_cfa;
    uint64_t cfa;
};
bool csym_cfi_eval(const struct csym *c, uint32_t program, const struct csym_env *env,
                   uint64_t *ret);
/* Whether the expression says ".undef": the file states that there is no value. */
bool csym_cfi_is_undef(const struct csym *c, uint32_t program);

struct csym_win {
    uint32_t addr, size, prologue, epilogue, param_size, saved_regs, locals, max_stack;
    bool is_frame_data; /* type 4, with program; else FPO */
    bool allocates_base_pointer;
    struct str program;
};
/* Frame data is preferred over FPO. */
bool csym_win_find(const struct csym *c, uint64_t addr, struct csym_win *ret);

#endif
