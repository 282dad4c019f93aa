#include "unwind/insn.h"

#include <stdio.h>

#include "base/str.h"
#include "base/util.h"

static const char *size_word(unsigned bytes)
{
    switch (bytes) {
    case 1:
        return "byte ";
    case 2:
        return "word ";
    case 4:
        return "dword ";
    case 8:
        return "qword ";
    case 16:
        return "xmmword ";
    case 32:
        return "ymmword ";
    default:
        return "";
    }
}

static const char *layout_name(uint8_t reg)
{
    static const char *const names[] = {"rax", "rdx", "rcx", "rbx", "rsi", "rdi",
                                        "rbp", "rsp", "r8",  "r9",  "r10", "r11",
                                        "r12", "r13", "r14", "r15", "rip"};
    return reg < ARRAY_LEN(names) ? names[reg] : "?";
}

static void put_signed(struct strbuf *b, int64_t v)
{
    sb_printf(b, "%s0x%llx", v < 0 ? "-" : "",
              (unsigned long long)(v < 0 ? 0 - (uint64_t)v : (uint64_t)v));
}

static void put_memory(struct strbuf *b, const struct insn_operand *o, bool with_size)
{
    sb_printf(b, "%s", with_size ? size_word(o->bytes) : "");
    if (o->segment)
        sb_printf(b, "%cs:", o->segment);
    sb_char(b, '[');
    const char *separator = "";
    if (o->base != MDMP_REG_NONE) {
        sb_text(b, layout_name(o->base));
        separator = " + ";
    }
    if (o->index != MDMP_REG_NONE) {
        sb_printf(b, "%s%s * %u", separator, layout_name(o->index), o->scale);
        separator = " + ";
    }
    if (separator[0] == '\0')
        sb_printf(b, "0x%llx", (unsigned long long)o->value);
    else if (o->value)
        sb_printf(b, " %c 0x%llx", o->value < 0 ? '-' : '+',
                  (unsigned long long)(o->value < 0 ? 0 - (uint64_t)o->value : (uint64_t)o->value));
    sb_char(b, ']');
}

void insn_text(const struct insn *i, char *out, size_t size)
{
    STRBUF_AUTO b;
    sb_init(&b, 256);
    sb_text(&b, i->mnemonic);
    for (size_t k = 0; k < i->operand_count; k++) {
        const struct insn_operand *o = &i->operands[k];
        sb_text(&b, k ? ", " : " ");
        if (o->kind == INSN_REG)
            sb_text(&b, o->name);
        else if (o->kind == INSN_MEM)
            put_memory(&b, o, strcmp(i->mnemonic, "lea") != 0);
        else if (o->kind == INSN_IMM)
            put_signed(&b, o->value);
        else
            sb_printf(
                &b, "$%c0x%llx", o->value < 0 ? '-' : '+',
                (unsigned long long)(o->value < 0 ? 0 - (uint64_t)o->value : (uint64_t)o->value));
    }
    snprintf(out, size, "%s", sb_cstr(&b));
}
