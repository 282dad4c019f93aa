#ifndef UNWIND_INSN_H
#define UNWIND_INSN_H

#include "base/rd.h"
#include "minidump/context.h"

/*
 * insn - decodes one amd64 instruction: what it is called, its operands, which memory
 * it touches.  Enough for the instructions compilers emit; x87, AVX-512 and other rare
 * ones are answered with false, never guessed.
 *
 * Registers are indices of the amd64 context layout.
 */
enum { INSN_BYTES_MAX = 15, INSN_OPERANDS_MAX = 3 };

enum insn_kind { INSN_REG = 1, INSN_MEM, INSN_IMM, INSN_REL };

struct insn_operand {
    enum insn_kind kind;
    uint16_t bytes; /* of the register or the memory; 0 unknown */
    /* INSN_REG */
    char name[8];
    uint8_t reg; /* MDMP_REG_NONE: not a general purpose register */
    /* INSN_MEM */
    uint8_t base, index; /* MDMP_REG_NONE: none */
    uint8_t scale;
    char segment; /* 'f' or 'g': relative to a base that contexts do not have; else 0 */
    /* displacement, immediate, or distance from the end of the instruction */
    int64_t value;
};

struct insn {
    char mnemonic[16];
    struct insn_operand operands[INSN_OPERANDS_MAX];
    size_t operand_count;
    uint8_t bytes; /* length */
};

bool insn_decode(struct rd bytes, struct insn *ret);

/* "mov rax, qword [rdi + 0x18]" */
void insn_text(const struct insn *i, char *out, size_t size);

/* ---- tables, used by the decoder ------------------------------------------------------- */

/*
 * Operand forms in the notation of the manuals: E is a register or memory by ModRM, G a
 * register by ModRM, Z a register by the opcode, V and W are SSE registers (W or
 * memory), I immediates, J distances; b w d q are sizes, v is 2, 4 or 8 by prefixes.
 */
enum insn_form {
    FORM_BAD, /* no such instruction, or not decoded */
    FORM_NONE,
    FORM_EB_GB,
    FORM_EV_GV,
    FORM_GB_EB,
    FORM_GV_EV,
    FORM_AL_IB,
    FORM_AX_IZ,
    FORM_ZQ, /* 64-bit by default: push, pop */
    FORM_IZ,
    FORM_IB,
    FORM_IW,
    FORM_GV_EV_IZ,
    FORM_GV_EV_IB,
    FORM_JB,
    FORM_JZ,
    FORM_EB_IB,
    FORM_EV_IZ,
    FORM_EV_IB,
    FORM_EB,
    FORM_EV,
    FORM_EQ, /* 64-bit by default */
    FORM_EW,
    FORM_GV_M, /* lea */
    FORM_GV_ED,
    FORM_GV_EB,
    FORM_GV_EW,
    FORM_ZV_IV,
    FORM_ZB_IB,
    FORM_AX_ZV,
    FORM_EB_1,
    FORM_EV_1,
    FORM_EB_CL,
    FORM_EV_CL,
    FORM_ZV,
    FORM_M,   /* memory of unknown size */
    FORM_M16, /* 16 bytes, 8 without REX.W */
    FORM_EV_GV_IB,
    FORM_EV_GV_CL,
    FORM_V_W, /* xmm, xmm or 16 bytes; scalars by prefix */
    FORM_W_V,
    FORM_V_W_IB,
    FORM_V_MQ, /* 8 bytes */
    FORM_MQ_V,
    FORM_V_EV, /* movd, movq from general registers */
    FORM_EV_V,
    FORM_V_WQ, /* movq */
    FORM_WQ_V,
    FORM_V_WS, /* always scalar by prefix: cvtsi2sd and its kind read general registers */
    FORM_GV_WS,
    FORM_RQ_C,    /* control and debug registers */
    FORM_STRING,  /* [rdi], [rsi] and the accumulator, by opcode */
    FORM_BY_SIZE, /* no operands; the name is a list by operand size 4, 2, 8 */
    FORM_GROUP,   /* the name is a list by ModRM.reg, form of the members follows */
};

/*
 * name: alternatives by prefix none|66|F3|F2 separated by '|', or in a group the eight
 * members separated by ','; an empty part is a hole.
 */
struct insn_row {
    const char *name;
    enum insn_form form;
    enum insn_form member; /* FORM_GROUP: of its members */
};

struct insn_row insn_row_1(uint8_t opcode);  /* one byte */
struct insn_row insn_row_0f(uint8_t opcode); /* 0F and one byte */

#endif
