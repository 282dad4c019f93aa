#ifndef MINIDUMP_CONTEXT_H
#define MINIDUMP_CONTEXT_H

#include "lib/minidump/system.h"

/*
 * context - the registers of one thread, read by a table that describes each CPU's
 * record.
 *
 * A register is an index into its layout's table; only registers whose bit is set in
 * `valid` may be used.  The order of the table is the order of reports.  MDMP_REG_MAX is room for
 * the longest table.
 */
enum { MDMP_REG_MAX = 34, MDMP_REG_NONE = 0xff };

struct mdmp_reg {
    const char *name;
    uint16_t off;      /* in the record */
    uint8_t bytes;     /* 4 or 8 */
    const char *alias; /* second name in unwind rules, or NULL */
};

struct mdmp_layout {
    enum mdmp_cpu cpu;
    bool is_old_arm64; /* the layout for processor_architecture 0x8003 */
    uint32_t id;       /* all these bits must be set in the flags */
    uint16_t size;     /* least size of the record */
    uint16_t flags_off;
    uint8_t flags_bytes;
    uint8_t word_bytes;
    uint8_t pc, sp, fp; /* indices */
    uint8_t reg_count;
    struct mdmp_reg regs[MDMP_REG_MAX];
};

struct mdmp_context {
    const struct mdmp_layout *layout;
    uint64_t r[MDMP_REG_MAX];
    uint64_t valid; /* bit per register */
};

/* NULL: contexts of this CPU are not read. */
const struct mdmp_layout *mdmp_layout_of(const struct mdmp_system *sys);

/* ERR_INVALID: too short, or the flags belong to another CPU. */
bool mdmp_context_read(const struct mdmp_layout *layout, struct rd record, struct mdmp_context *ret,
                       struct err *err);

/* Index of the register called so (or by alias), MDMP_REG_NONE if there is none. */
uint8_t mdmp_reg_index(const struct mdmp_layout *layout, struct str name);

static inline bool mdmp_reg_get(const struct mdmp_context *c, uint8_t reg, uint64_t *ret)
{
    if (reg >= MDMP_REG_MAX || !(c->valid >> reg & 1))
        return false;
    *ret = c->r[reg];
    return true;
}

static inline void mdmp_reg_set(struct mdmp_context *c, uint8_t reg, uint64_t value)
{
    c->r[reg] = c->layout->word_bytes == 4 ? (uint32_t)value : value;
    c->valid |= UINT64_C(1) << reg;
}

#endif
