/*
 * The record of each CPU as its writers lay it out; only general purpose registers are
 * read.  The ids overlap with flag bits of other CPUs, so the processor architecture of
 * the dump chooses the row and the flags only confirm it.
 *
 * The numbers are offsets into CONTEXT of Windows' headers (x86, amd64, arm64), and of Breakpad's
 * minidump_cpu_*.h for all other processors, which have no Windows. A register is a name, an offset
 * and a width, and that is all a walker needs: it asks for registers by number and never sees a
 * record. A record that is shorter than its row is refused as a whole, since a part of the
 * registers would make a wrong walk look like a right one.
 */
#include "lib/minidump/context.h"

#include "lib/base/err.h"
#include "lib/base/rd.h"
#include "lib/base/str.h"
#include "lib/base/util.h"

/* clang-format off */
static const struct mdmp_layout layouts[] = {
    {
        .cpu = MDMP_CPU_X86,
        .id = 0x00010000,
        .size = 716,
        .flags_off = 0,
        .flags_bytes = 4,
        .word_bytes = 4,
        .pc = 0,
        .sp = 1,
        .fp = 2,
        .reg_count = 10,
        .regs =
            {
                {"eip", 184, 4, NULL}, {"esp", 196, 4, NULL}, {"ebp", 180, 4, NULL},
                {"ebx", 164, 4, NULL}, {"esi", 160, 4, NULL}, {"edi", 156, 4, NULL},
                {"eax", 176, 4, NULL}, {"ecx", 172, 4, NULL}, {"edx", 168, 4, NULL},
                {"eflags", 192, 4, NULL},
            },
    },
    {
        .cpu = MDMP_CPU_AMD64,
        .id = 0x00100000,
        .size = 1232,
        .flags_off = 48,
        .flags_bytes = 4,
        .word_bytes = 8,
        .pc = 16,
        .sp = 7,
        .fp = 6,
        .reg_count = 17,
        .regs =
            {
                {"rax", 120, 8, NULL}, {"rdx", 136, 8, NULL}, {"rcx", 128, 8, NULL},
                {"rbx", 144, 8, NULL}, {"rsi", 168, 8, NULL}, {"rdi", 176, 8, NULL},
                {"rbp", 160, 8, NULL}, {"rsp", 152, 8, NULL}, {"r8", 184, 8, NULL},
                {"r9", 192, 8, NULL}, {"r10", 200, 8, NULL}, {"r11", 208, 8, NULL},
                {"r12", 216, 8, NULL}, {"r13", 224, 8, NULL}, {"r14", 232, 8, NULL},
                {"r15", 240, 8, NULL}, {"rip", 248, 8, NULL},
            },
    },
    {
        .cpu = MDMP_CPU_ARM,
        .id = 0x40000000,
        .size = 368,
        .flags_off = 0,
        .flags_bytes = 4,
        .word_bytes = 4,
        .pc = 15,
        .sp = 13,
        .fp = 12,
        .reg_count = 16,
        .regs =
            {
                {"r0", 4, 4, NULL}, {"r1", 8, 4, NULL}, {"r2", 12, 4, NULL},
                {"r3", 16, 4, NULL}, {"r4", 20, 4, NULL}, {"r5", 24, 4, NULL},
                {"r6", 28, 4, NULL}, {"r7", 32, 4, NULL}, {"r8", 36, 4, NULL},
                {"r9", 40, 4, NULL}, {"r10", 44, 4, NULL}, {"r12", 52, 4, NULL},
                {"fp", 48, 4, "r11"}, {"sp", 56, 4, "r13"}, {"lr", 60, 4, "r14"},
                {"pc", 64, 4, "r15"},
            },
    },
    {
        .cpu = MDMP_CPU_ARM64,
        .id = 0x00400000,
        .size = 912,
        .flags_off = 0,
        .flags_bytes = 4,
        .word_bytes = 8,
        .pc = 32,
        .sp = 31,
        .fp = 29,
        .reg_count = 33,
        .regs =
            {
                {"x0", 8, 8, NULL}, {"x1", 16, 8, NULL}, {"x2", 24, 8, NULL},
                {"x3", 32, 8, NULL}, {"x4", 40, 8, NULL}, {"x5", 48, 8, NULL},
                {"x6", 56, 8, NULL}, {"x7", 64, 8, NULL}, {"x8", 72, 8, NULL},
                {"x9", 80, 8, NULL}, {"x10", 88, 8, NULL}, {"x11", 96, 8, NULL},
                {"x12", 104, 8, NULL}, {"x13", 112, 8, NULL}, {"x14", 120, 8, NULL},
                {"x15", 128, 8, NULL}, {"x16", 136, 8, NULL}, {"x17", 144, 8, NULL},
                {"x18", 152, 8, NULL}, {"x19", 160, 8, NULL}, {"x20", 168, 8, NULL},
                {"x21", 176, 8, NULL}, {"x22", 184, 8, NULL}, {"x23", 192, 8, NULL},
                {"x24", 200, 8, NULL}, {"x25", 208, 8, NULL}, {"x26", 216, 8, NULL},
                {"x27", 224, 8, NULL}, {"x28", 232, 8, NULL}, {"fp", 240, 8, "x29"},
                {"lr", 248, 8, "x30"}, {"sp", 256, 8, NULL}, {"pc", 264, 8, NULL},
            },
    },
    {
        .cpu = MDMP_CPU_ARM64,
        .is_old_arm64 = true,
        .id = 0x80000000,
        .size = 796,
        .flags_off = 0,
        .flags_bytes = 8,
        .word_bytes = 8,
        .pc = 32,
        .sp = 31,
        .fp = 29,
        .reg_count = 33,
        .regs =
            {
                {"x0", 8, 8, NULL}, {"x1", 16, 8, NULL}, {"x2", 24, 8, NULL},
                {"x3", 32, 8, NULL}, {"x4", 40, 8, NULL}, {"x5", 48, 8, NULL},
                {"x6", 56, 8, NULL}, {"x7", 64, 8, NULL}, {"x8", 72, 8, NULL},
                {"x9", 80, 8, NULL}, {"x10", 88, 8, NULL}, {"x11", 96, 8, NULL},
                {"x12", 104, 8, NULL}, {"x13", 112, 8, NULL}, {"x14", 120, 8, NULL},
                {"x15", 128, 8, NULL}, {"x16", 136, 8, NULL}, {"x17", 144, 8, NULL},
                {"x18", 152, 8, NULL}, {"x19", 160, 8, NULL}, {"x20", 168, 8, NULL},
                {"x21", 176, 8, NULL}, {"x22", 184, 8, NULL}, {"x23", 192, 8, NULL},
                {"x24", 200, 8, NULL}, {"x25", 208, 8, NULL}, {"x26", 216, 8, NULL},
                {"x27", 224, 8, NULL}, {"x28", 232, 8, NULL}, {"fp", 240, 8, "x29"},
                {"lr", 248, 8, "x30"}, {"sp", 256, 8, NULL}, {"pc", 264, 8, NULL},
            },
    },
    {
        .cpu = MDMP_CPU_MIPS,
        .id = 0x00040000,
        .size = 600,
        .flags_off = 0,
        .flags_bytes = 4,
        .word_bytes = 4,
        .pc = 4,
        .sp = 1,
        .fp = 2,
        .reg_count = 13,
        .regs =
            {
                {"gp", 232, 8, NULL}, {"sp", 240, 8, NULL}, {"fp", 248, 8, NULL},
                {"ra", 256, 8, NULL}, {"pc", 312, 8, NULL}, {"s0", 136, 8, NULL},
                {"s1", 144, 8, NULL}, {"s2", 152, 8, NULL}, {"s3", 160, 8, NULL},
                {"s4", 168, 8, NULL}, {"s5", 176, 8, NULL}, {"s6", 184, 8, NULL},
                {"s7", 192, 8, NULL},
            },
    },
    {
        .cpu = MDMP_CPU_MIPS64,
        .id = 0x00080000,
        .size = 600,
        .flags_off = 0,
        .flags_bytes = 4,
        .word_bytes = 8,
        .pc = 4,
        .sp = 1,
        .fp = 2,
        .reg_count = 13,
        .regs =
            {
                {"gp", 232, 8, NULL}, {"sp", 240, 8, NULL}, {"fp", 248, 8, NULL},
                {"ra", 256, 8, NULL}, {"pc", 312, 8, NULL}, {"s0", 136, 8, NULL},
                {"s1", 144, 8, NULL}, {"s2", 152, 8, NULL}, {"s3", 160, 8, NULL},
                {"s4", 168, 8, NULL}, {"s5", 176, 8, NULL}, {"s6", 184, 8, NULL},
                {"s7", 192, 8, NULL},
            },
    },
};
/* clang-format on */

const struct mdmp_layout *mdmp_layout_of(const struct mdmp_system *sys)
{
    for (size_t i = 0; i < ARRAY_LEN(layouts); i++)
        if (layouts[i].cpu == sys->cpu &&
            (sys->cpu != MDMP_CPU_ARM64 ||
             layouts[i].is_old_arm64 == (sys->arch == MDMP_ARCH_ARM64_OLD)))
            return &layouts[i];
    return NULL;
}

/*
 * Registers of 32-bit CPUs may be stored in 8 bytes (mips), those of 64-bit ones never in 4;
 * mdmp_reg_set cuts to the CPU's word.
 */
static uint64_t read_uint(struct rd *record, size_t off, size_t bytes)
{
    rd_seek(record, off);
    return bytes == 4 ? rd_u32(record) : rd_u64(record);
}

bool mdmp_context_read(const struct mdmp_layout *layout, struct rd record, struct mdmp_context *ret,
                       struct err *err)
{
    /*
     * Longer records are fine: amd64 contexts may be followed by the extended state (AVX), which
     * nobody here needs.
     */
    if (!rd_ok(&record) || record.n < layout->size)
        return err_set(err, ERR_INVALID, "a context of %zu bytes where %u are needed", record.n,
                       layout->size);
    /*
     * The flags also say which groups of registers were saved.  Writers save control and integer
     * registers always, so only the bits that name the CPU are asked for; a record without them
     * belongs to another CPU or is not a context at all.
     */
    uint64_t flags = read_uint(&record, layout->flags_off, layout->flags_bytes);
    if ((flags & layout->id) != layout->id)
        return err_set(err, ERR_INVALID, "context flags %llx without %x", (unsigned long long)flags,
                       layout->id);

    struct mdmp_context c = {.layout = layout};
    for (uint8_t i = 0; i < layout->reg_count; i++)
        mdmp_reg_set(&c, i, read_uint(&record, layout->regs[i].off, layout->regs[i].bytes));
    *ret = c;
    return true;
}

uint8_t mdmp_reg_index(const struct mdmp_layout *layout, struct str name)
{
    for (uint8_t i = 0; i < layout->reg_count; i++) {
        const struct mdmp_reg *reg = &layout->regs[i];
        if (str_eq(name, str_of(reg->name)) || (reg->alias && str_eq(name, str_of(reg->alias))))
            return i;
    }
    return MDMP_REG_NONE;
}
