#include "unwind/insn.h"

#include "base/util.h"

/* Names with a condition, one string each, because rows are constant. */
#define CONDITIONAL(prefix)                                                                        \
    {                                                                                              \
        prefix "o", prefix "no", prefix "b", prefix "nb", prefix "z", prefix "nz", prefix "na",    \
            prefix "a", prefix "s", prefix "ns", prefix "p", prefix "np", prefix "l", prefix "ge", \
            prefix "le", prefix "g"                                                                \
    }
static const char *const jumps[16] = CONDITIONAL("j");
static const char *const sets[16] = CONDITIONAL("set");
static const char *const moves[16] = CONDITIONAL("cmov");

static const char *const arithmetic[8] = {"add", "or", "adc", "sbb", "and", "sub", "xor", "cmp"};
static const enum insn_form arithmetic_forms[6] = {FORM_EB_GB, FORM_EV_GV, FORM_GB_EB,
                                                   FORM_GV_EV, FORM_AL_IB, FORM_AX_IZ};

#define ARITHMETIC "add,or,adc,sbb,and,sub,xor,cmp"
#define SHIFTS     "rol,ror,rcl,rcr,shl,shr,sal,sar"

static const struct entry {
    uint8_t from, to; /* opcodes */
    struct insn_row row;
} one_byte[] = {
    {0x50, 0x57, {"push", FORM_ZQ, 0}},
    {0x58, 0x5f, {"pop", FORM_ZQ, 0}},
    {0x63, 0x63, {"movsxd", FORM_GV_ED, 0}},
    {0x68, 0x68, {"push", FORM_IZ, 0}},
    {0x69, 0x69, {"imul", FORM_GV_EV_IZ, 0}},
    {0x6a, 0x6a, {"push", FORM_IB, 0}},
    {0x6b, 0x6b, {"imul", FORM_GV_EV_IB, 0}},
    {0x6c, 0x6d, {"ins", FORM_NONE, 0}},
    {0x6e, 0x6f, {"outs", FORM_NONE, 0}},
    {0x80, 0x80, {ARITHMETIC, FORM_GROUP, FORM_EB_IB}},
    {0x81, 0x81, {ARITHMETIC, FORM_GROUP, FORM_EV_IZ}},
    {0x83, 0x83, {ARITHMETIC, FORM_GROUP, FORM_EV_IB}},
    {0x84, 0x84, {"test", FORM_EB_GB, 0}},
    {0x85, 0x85, {"test", FORM_EV_GV, 0}},
    {0x86, 0x86, {"xchg", FORM_EB_GB, 0}},
    {0x87, 0x87, {"xchg", FORM_EV_GV, 0}},
    {0x88, 0x88, {"mov", FORM_EB_GB, 0}},
    {0x89, 0x89, {"mov", FORM_EV_GV, 0}},
    {0x8a, 0x8a, {"mov", FORM_GB_EB, 0}},
    {0x8b, 0x8b, {"mov", FORM_GV_EV, 0}},
    {0x8d, 0x8d, {"lea", FORM_GV_M, 0}},
    {0x8f, 0x8f, {"pop,,,,,,,", FORM_GROUP, FORM_EQ}},
    {0x90, 0x90, {"nop|nop|pause|nop", FORM_NONE, 0}},
    {0x91, 0x97, {"xchg", FORM_AX_ZV, 0}},
    {0x98, 0x98, {"cwde,cbw,cdqe", FORM_BY_SIZE, 0}},
    {0x99, 0x99, {"cdq,cwd,cqo", FORM_BY_SIZE, 0}},
    {0x9c, 0x9c, {"pushf", FORM_NONE, 0}},
    {0x9d, 0x9d, {"popf", FORM_NONE, 0}},
    {0xa4, 0xa5, {"movs", FORM_STRING, 0}},
    {0xa6, 0xa7, {"cmps", FORM_STRING, 0}},
    {0xa8, 0xa8, {"test", FORM_AL_IB, 0}},
    {0xa9, 0xa9, {"test", FORM_AX_IZ, 0}},
    {0xaa, 0xab, {"stos", FORM_STRING, 0}},
    {0xac, 0xad, {"lods", FORM_STRING, 0}},
    {0xae, 0xaf, {"scas", FORM_STRING, 0}},
    {0xb0, 0xb7, {"mov", FORM_ZB_IB, 0}},
    {0xb8, 0xbf, {"mov", FORM_ZV_IV, 0}},
    {0xc0, 0xc0, {SHIFTS, FORM_GROUP, FORM_EB_IB}},
    {0xc1, 0xc1, {SHIFTS, FORM_GROUP, FORM_EV_IB}},
    {0xc2, 0xc2, {"ret", FORM_IW, 0}},
    {0xc3, 0xc3, {"ret", FORM_NONE, 0}},
    {0xc6, 0xc6, {"mov,,,,,,,", FORM_GROUP, FORM_EB_IB}},
    {0xc7, 0xc7, {"mov,,,,,,,", FORM_GROUP, FORM_EV_IZ}},
    {0xc9, 0xc9, {"leave", FORM_NONE, 0}},
    {0xca, 0xca, {"retf", FORM_IW, 0}},
    {0xcb, 0xcb, {"retf", FORM_NONE, 0}},
    {0xcc, 0xcc, {"int3", FORM_NONE, 0}},
    {0xcd, 0xcd, {"int", FORM_IB, 0}},
    {0xcf, 0xcf, {"iret", FORM_NONE, 0}},
    {0xd0, 0xd0, {SHIFTS, FORM_GROUP, FORM_EB_1}},
    {0xd1, 0xd1, {SHIFTS, FORM_GROUP, FORM_EV_1}},
    {0xd2, 0xd2, {SHIFTS, FORM_GROUP, FORM_EB_CL}},
    {0xd3, 0xd3, {SHIFTS, FORM_GROUP, FORM_EV_CL}},
    {0xe4, 0xe5, {"in", FORM_IB, 0}},
    {0xe6, 0xe7, {"out", FORM_IB, 0}},
    {0xe8, 0xe8, {"call", FORM_JZ, 0}},
    {0xe9, 0xe9, {"jmp", FORM_JZ, 0}},
    {0xeb, 0xeb, {"jmp", FORM_JB, 0}},
    {0xec, 0xed, {"in", FORM_NONE, 0}},
    {0xee, 0xef, {"out", FORM_NONE, 0}},
    {0xf1, 0xf1, {"int1", FORM_NONE, 0}},
    {0xf4, 0xf4, {"hlt", FORM_NONE, 0}},
    {0xf5, 0xf5, {"cmc", FORM_NONE, 0}},
    {0xf6, 0xf6, {"test,test,not,neg,mul,imul,div,idiv", FORM_GROUP, FORM_EB}},
    {0xf7, 0xf7, {"test,test,not,neg,mul,imul,div,idiv", FORM_GROUP, FORM_EV}},
    {0xf8, 0xf8, {"clc", FORM_NONE, 0}},
    {0xf9, 0xf9, {"stc", FORM_NONE, 0}},
    {0xfa, 0xfa, {"cli", FORM_NONE, 0}},
    {0xfb, 0xfb, {"sti", FORM_NONE, 0}},
    {0xfc, 0xfc, {"cld", FORM_NONE, 0}},
    {0xfd, 0xfd, {"std", FORM_NONE, 0}},
    {0xfe, 0xfe, {"inc,dec,,,,,,", FORM_GROUP, FORM_EB}},
    {0xff, 0xff, {"inc,dec,call,callf,jmp,jmpf,push,", FORM_GROUP, FORM_EV}},
};

static const struct entry two_byte[] = {
    {0x00, 0x00, {"sldt,str,lldt,ltr,verr,verw,,", FORM_GROUP, FORM_EW}},
    {0x05, 0x05, {"syscall", FORM_NONE, 0}},
    {0x06, 0x06, {"clts", FORM_NONE, 0}},
    {0x07, 0x07, {"sysret", FORM_NONE, 0}},
    {0x08, 0x08, {"invd", FORM_NONE, 0}},
    {0x09, 0x09, {"wbinvd", FORM_NONE, 0}},
    {0x0b, 0x0b, {"ud2", FORM_NONE, 0}},
    {0x0d, 0x0d, {"prefetch,prefetchw,,,,,,", FORM_GROUP, FORM_M}},
    {0x10, 0x10, {"movups|movupd|movss|movsd", FORM_V_W, 0}},
    {0x11, 0x11, {"movups|movupd|movss|movsd", FORM_W_V, 0}},
    {0x12, 0x12, {"movlps|movlpd||", FORM_V_MQ, 0}},
    {0x13, 0x13, {"movlps|movlpd||", FORM_MQ_V, 0}},
    {0x14, 0x14, {"unpcklps|unpcklpd||", FORM_V_W, 0}},
    {0x15, 0x15, {"unpckhps|unpckhpd||", FORM_V_W, 0}},
    {0x16, 0x16, {"movhps|movhpd||", FORM_V_MQ, 0}},
    {0x17, 0x17, {"movhps|movhpd||", FORM_MQ_V, 0}},
    {0x18, 0x18, {"prefetchnta,prefetcht0,prefetcht1,prefetcht2,,,,", FORM_GROUP, FORM_M}},
    {0x1f, 0x1f, {"nop", FORM_EV, 0}},
    {0x20, 0x23, {"mov", FORM_RQ_C, 0}},
    {0x28, 0x28, {"movaps|movapd||", FORM_V_W, 0}},
    {0x29, 0x29, {"movaps|movapd||", FORM_W_V, 0}},
    {0x2a, 0x2a, {"||cvtsi2ss|cvtsi2sd", FORM_V_EV, 0}},
    {0x2b, 0x2b, {"movntps|movntpd||", FORM_W_V, 0}},
    {0x2c, 0x2c, {"||cvttss2si|cvttsd2si", FORM_GV_WS, 0}},
    {0x2d, 0x2d, {"||cvtss2si|cvtsd2si", FORM_GV_WS, 0}},
    {0x2e, 0x2e, {"ucomiss|ucomisd||", FORM_V_WS, 0}},
    {0x2f, 0x2f, {"comiss|comisd||", FORM_V_WS, 0}},
    {0x30, 0x30, {"wrmsr", FORM_NONE, 0}},
    {0x31, 0x31, {"rdtsc", FORM_NONE, 0}},
    {0x32, 0x32, {"rdmsr", FORM_NONE, 0}},
    {0x33, 0x33, {"rdpmc", FORM_NONE, 0}},
    {0x34, 0x34, {"sysenter", FORM_NONE, 0}},
    {0x35, 0x35, {"sysexit", FORM_NONE, 0}},
    {0x51, 0x51, {"sqrtps|sqrtpd|sqrtss|sqrtsd", FORM_V_W, 0}},
    {0x54, 0x54, {"andps|andpd||", FORM_V_W, 0}},
    {0x55, 0x55, {"andnps|andnpd||", FORM_V_W, 0}},
    {0x56, 0x56, {"orps|orpd||", FORM_V_W, 0}},
    {0x57, 0x57, {"xorps|xorpd||", FORM_V_W, 0}},
    {0x58, 0x58, {"addps|addpd|addss|addsd", FORM_V_W, 0}},
    {0x59, 0x59, {"mulps|mulpd|mulss|mulsd", FORM_V_W, 0}},
    {0x5a, 0x5a, {"||cvtss2sd|cvtsd2ss", FORM_V_W, 0}},
    {0x5b, 0x5b, {"cvtdq2ps|cvtps2dq|cvttps2dq|", FORM_V_W, 0}},
    {0x5c, 0x5c, {"subps|subpd|subss|subsd", FORM_V_W, 0}},
    {0x5d, 0x5d, {"minps|minpd|minss|minsd", FORM_V_W, 0}},
    {0x5e, 0x5e, {"divps|divpd|divss|divsd", FORM_V_W, 0}},
    {0x5f, 0x5f, {"maxps|maxpd|maxss|maxsd", FORM_V_W, 0}},
    {0x60, 0x60, {"|punpcklbw||", FORM_V_W, 0}},
    {0x61, 0x61, {"|punpcklwd||", FORM_V_W, 0}},
    {0x62, 0x62, {"|punpckldq||", FORM_V_W, 0}},
    {0x64, 0x64, {"|pcmpgtb||", FORM_V_W, 0}},
    {0x66, 0x66, {"|pcmpgtd||", FORM_V_W, 0}},
    {0x6c, 0x6c, {"|punpcklqdq||", FORM_V_W, 0}},
    {0x6d, 0x6d, {"|punpckhqdq||", FORM_V_W, 0}},
    {0x6e, 0x6e, {"|movd||", FORM_V_EV, 0}},
    {0x6f, 0x6f, {"|movdqa|movdqu|", FORM_V_W, 0}},
    {0x70, 0x70, {"|pshufd|pshufhw|pshuflw", FORM_V_W_IB, 0}},
    {0x74, 0x74, {"|pcmpeqb||", FORM_V_W, 0}},
    {0x75, 0x75, {"|pcmpeqw||", FORM_V_W, 0}},
    {0x76, 0x76, {"|pcmpeqd||", FORM_V_W, 0}},
    {0xa2, 0xa2, {"cpuid", FORM_NONE, 0}},
    {0xa3, 0xa3, {"bt", FORM_EV_GV, 0}},
    {0xa4, 0xa4, {"shld", FORM_EV_GV_IB, 0}},
    {0xa5, 0xa5, {"shld", FORM_EV_GV_CL, 0}},
    {0xab, 0xab, {"bts", FORM_EV_GV, 0}},
    {0xac, 0xac, {"shrd", FORM_EV_GV_IB, 0}},
    {0xad, 0xad, {"shrd", FORM_EV_GV_CL, 0}},
    {0xaf, 0xaf, {"imul", FORM_GV_EV, 0}},
    {0xb0, 0xb0, {"cmpxchg", FORM_EB_GB, 0}},
    {0xb1, 0xb1, {"cmpxchg", FORM_EV_GV, 0}},
    {0xb3, 0xb3, {"btr", FORM_EV_GV, 0}},
    {0xb6, 0xb6, {"movzx", FORM_GV_EB, 0}},
    {0xb7, 0xb7, {"movzx", FORM_GV_EW, 0}},
    {0xb8, 0xb8, {"||popcnt|", FORM_GV_EV, 0}},
    {0xb9, 0xb9, {"ud1", FORM_GV_EV, 0}},
    {0xba, 0xba, {",,,,bt,bts,btr,btc", FORM_GROUP, FORM_EV_IB}},
    {0xbb, 0xbb, {"btc", FORM_EV_GV, 0}},
    {0xbc, 0xbc, {"bsf|bsf|tzcnt|", FORM_GV_EV, 0}},
    {0xbd, 0xbd, {"bsr|bsr|lzcnt|", FORM_GV_EV, 0}},
    {0xbe, 0xbe, {"movsx", FORM_GV_EB, 0}},
    {0xbf, 0xbf, {"movsx", FORM_GV_EW, 0}},
    {0xc0, 0xc0, {"xadd", FORM_EB_GB, 0}},
    {0xc1, 0xc1, {"xadd", FORM_EV_GV, 0}},
    {0xc6, 0xc6, {"shufps|shufpd||", FORM_V_W_IB, 0}},
    {0xc7, 0xc7, {",cmpxchg16b,,,,,,", FORM_GROUP, FORM_M16}},
    {0xc8, 0xcf, {"bswap", FORM_ZV, 0}},
    {0xd4, 0xd4, {"|paddq||", FORM_V_W, 0}},
    {0x77, 0x77, {"emms", FORM_NONE, 0}},
    {0xd7, 0xd7, {"|pmovmskb||", FORM_RQ_C, 0}},
    {0xd6, 0xd6, {"|movq||", FORM_WQ_V, 0}},
    {0xda, 0xda, {"|pminub||", FORM_V_W, 0}},
    {0xdb, 0xdb, {"|pand||", FORM_V_W, 0}},
    {0xdf, 0xdf, {"|pandn||", FORM_V_W, 0}},
    {0xe6, 0xe6, {"|cvttpd2dq||", FORM_V_W, 0}},
    {0xe7, 0xe7, {"|movntdq||", FORM_W_V, 0}},
    {0xeb, 0xeb, {"|por||", FORM_V_W, 0}},
    {0xef, 0xef, {"|pxor||", FORM_V_W, 0}},
    {0xf8, 0xf8, {"|psubb||", FORM_V_W, 0}},
    {0xfa, 0xfa, {"|psubd||", FORM_V_W, 0}},
    {0xfb, 0xfb, {"|psubq||", FORM_V_W, 0}},
    {0xfc, 0xfc, {"|paddb||", FORM_V_W, 0}},
    {0xfe, 0xfe, {"|paddd||", FORM_V_W, 0}},
    {0xff, 0xff, {"ud0", FORM_GV_EV, 0}},
};

static struct insn_row find(const struct entry *rows, size_t n, uint8_t opcode)
{
    for (size_t i = 0; i < n; i++)
        if (opcode >= rows[i].from && opcode <= rows[i].to)
            return rows[i].row;
    return (struct insn_row){NULL, FORM_BAD, FORM_BAD};
}

struct insn_row insn_row_1(uint8_t opcode)
{
    if (opcode < 0x40 && opcode % 8 < 6)
        return (struct insn_row){arithmetic[opcode / 8], arithmetic_forms[opcode % 8], FORM_BAD};
    if (opcode >= 0x70 && opcode <= 0x7f)
        return (struct insn_row){jumps[opcode - 0x70], FORM_JB, FORM_BAD};
    return find(one_byte, ARRAY_LEN(one_byte), opcode);
}

struct insn_row insn_row_0f(uint8_t opcode)
{
    if (opcode >= 0x40 && opcode <= 0x4f)
        return (struct insn_row){moves[opcode - 0x40], FORM_GV_EV, FORM_BAD};
    if (opcode >= 0x80 && opcode <= 0x8f)
        return (struct insn_row){jumps[opcode - 0x80], FORM_JZ, FORM_BAD};
    if (opcode >= 0x90 && opcode <= 0x9f)
        return (struct insn_row){sets[opcode - 0x90], FORM_EB, FORM_BAD};
    return find(two_byte, ARRAY_LEN(two_byte), opcode);
}
