/* amd64 instructions: bytes to text, and what is concluded from the one that crashed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/util.h"
#include "lib/unwind/analysis.h"
#include "lib/unwind/insn.h"

static const struct mdmp_layout *layout(bool is_x86)
{
    const struct mdmp_system x86 = {.arch = 0, .cpu = MDMP_CPU_X86, .word_bytes = 4};
    const struct mdmp_system amd64 = {.arch = 9, .cpu = MDMP_CPU_AMD64, .word_bytes = 8};
    return mdmp_layout_of(is_x86 ? &x86 : &amd64);
}

static const struct {
    const char *bytes;
    size_t n;
    const char *want; /* NULL: not decoded */
    bool is_x86;
} decodes[] = {
    {"\x48\x8b\x47\x18", 4, "mov rax, qword [rdi + 0x18]", false},
    {"\xc7\x00\x05\x00\x00\x00", 6, "mov dword [rax], 0x5", false},
    {"\xc6\x04\x25\x42\x00\x00\x80\x01", 8, "mov byte [0xffffffff80000042], 0x1", false},
    {"\xff\x50\x10", 3, "call qword [rax + 0x10]", false},
    {"\xff\xd0", 2, "call rax", false},
    {"\x41\xff\x24\xc4", 4, "jmp qword [r12 + rax * 8]", false},
    {"\xe8\xfb\xff\xff\xff", 5, "call $-0x5", false},
    {"\x0f\x84\x10\x00\x00\x00", 6, "jz $+0x10", false},
    {"\xc3", 1, "ret", false},
    {"\x55", 1, "push rbp", false},
    {"\x41\x5f", 2, "pop r15", false},
    {"\x8b\x05\x10\x00\x00\x00", 6, "mov eax, dword [rip + 0x10]", false},
    {"\x64\x48\x8b\x04\x25\x28\x00\x00\x00", 9, "mov rax, qword fs:[0x28]", false},
    {"\x48\x8d\x44\x91\xf8", 5, "lea rax, [rcx + rdx * 4 - 0x8]", false},
    {"\xf3\x48\xab", 3, "stosq qword [rdi]", false},
    {"\xa4", 1, "movsb byte [rdi], byte [rsi]", false},
    {"\x0f\x29\x44\x24\x20", 5, "movaps xmmword [rsp + 0x20], xmm0", false},
    {"\xf3\x0f\x10\x07", 4, "movss xmm0, dword [rdi]", false},
    {"\xf2\x0f\x58\x07", 4, "addsd xmm0, qword [rdi]", false},
    {"\x66\x48\x0f\x6e\xc0", 5, "movq xmm0, rax", false},
    {"\xc5\xfe\x6f\x06", 4, "vmovdqu ymm0, ymmword [rsi]", false},
    {"\xc5\xfd\x74\x0f", 4, "vpcmpeqb ymm1, ymm0, ymmword [rdi]", false},
    {"\xf7\xf9", 2, "idiv ecx", false},
    {"\xf6\x07\x01", 3, "test byte [rdi], 0x1", false},
    {"\x0f\xb6\x00", 3, "movzx eax, byte [rax]", false},
    {"\xf0\x0f\xb1\x17", 4, "cmpxchg dword [rdi], edx", false},
    {"\x0f\x0b", 2, "ud2", false},
    {"\xf3\x0f\x1e\xfa", 4, "endbr64", false},
    {"\x66\x90", 2, "nop", false},
    {"\x48\xb8\x11\x22\x33\x44\x55\x66\x77\x88", 10, "mov rax, -0x778899aabbccddef", false},
    {"\x06", 1, NULL, false}, /* not in 64-bit mode */
    {"\x67\x8b\x00", 3, "mov eax, dword [eax]", false},
    {"\x06", 1, "push es", true},
    {"\x8b\x45\x08", 3, "mov eax, dword [ebp + 0x8]", true},
    {"\xa1\x10\x00\x00\x00", 5, "mov eax, dword [0x10]", true},
    {"\x64\xa1\x30\x00\x00\x00", 6, "mov eax, dword fs:[0x30]", true},
    {"\x62\xf1\x7c\x48\x10\x00", 6, "vmovups zmm0, zmmword [rax]", false},
    {"\x62\xe1\xfe\x28\x6f\x46\x01", 7, "vmovdqu64 ymm16, ymmword [rsi + 0x20]", false},
    {"\x8b", 1, NULL, false},                 /* cut off */
    {"\x48\x8b\x80\x00\x00", 5, NULL, false}, /* cut off in the displacement */
    {"\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x90", 16, NULL,
     false}, /* 15 bytes */
    {"", 0, NULL, false},
};

static void test_decode(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(decodes); i++) {
        FREE_LATER uint8_t *copy = xmalloc(decodes[i].n);
        if (decodes[i].n)
            memcpy(copy, decodes[i].bytes, decodes[i].n);
        struct insn insn = {.text = "-"};
        bool ok = insn_decode(rd_init(copy, decodes[i].n), layout(decodes[i].is_x86), &insn);
        const char *want = decodes[i].want;
        if (ok != !!want || (want && (strcmp(insn.text, want) != 0 || insn.bytes != decodes[i].n)))
            fail_msg("case %zu: %s, wanted %s", i, insn.text, want ? want : "nothing");
    }
}

/*
 * What instructions do to memory, hidden operands included.  Registers hold 0x1000 times their
 * name's place in the layout plus 0x1000, so that an address tells where it came from.
 */
static const struct {
    const char *label, *bytes;
    size_t n;
    struct {
        const char *base; /* NULL: no address known */
        int64_t offset;
        uint16_t bytes;
        unsigned actions;
    } want[2];
    size_t count;
    bool is_x86;
} touches[] = {
    {"load", "\x48\x8b\x47\x18", 4, {{"rdi", 0x18, 8, INSN_READS}}, 1, false},
    {"store", "\xc7\x00\x05\x00\x00\x00", 6, {{"rax", 0, 4, INSN_WRITES}}, 1, false},
    {"add to memory", "\x01\x07", 2, {{"rdi", 0, 4, INSN_READS | INSN_WRITES}}, 1, false},
    {"test", "\xf6\x07\x01", 3, {{"rdi", 0, 1, INSN_READS}}, 1, false},
    {"cmpxchg", "\xf0\x0f\xb1\x17", 4, {{"rdi", 0, 4, INSN_READS | INSN_WRITES}}, 1, false},
    {"push", "\x55", 1, {{"rsp", -8, 8, INSN_WRITES}}, 1, false},
    {"push memory",
     "\xff\x30",
     2,
     {{"rax", 0, 8, INSN_READS}, {"rsp", -8, 8, INSN_WRITES}},
     2,
     false},
    {"pop", "\x5d", 1, {{"rsp", 0, 8, INSN_READS}}, 1, false},
    {"call", "\xe8\0\0\0\0", 5, {{"rsp", -8, 8, INSN_WRITES}}, 1, false},
    {"call memory",
     "\xff\x50\x10",
     3,
     {{"rax", 0x10, 8, INSN_READS}, {"rsp", -8, 8, INSN_WRITES}},
     2,
     false},
    {"ret", "\xc3", 1, {{"rsp", 0, 8, INSN_READS}}, 1, false},
    {"leave", "\xc9", 1, {{"rbp", 0, 8, INSN_READS}}, 1, false},
    {"rep movsb", "\xf3\xa4", 2, {{"rdi", 0, 1, INSN_WRITES}, {"rsi", 0, 1, INSN_READS}}, 2, false},
    {"stosq", "\x48\xab", 2, {{"rdi", 0, 8, INSN_WRITES}}, 1, false},
    {"lea", "\x48\x8d\x47\x18", 4, {{0}}, 0, false},
    {"long nop", "\x0f\x1f\x00", 3, {{0}}, 0, false},
    {"prefetch", "\x0f\x18\x0f", 3, {{0}}, 0, false},
    {"thread pointer", "\x64\x48\x8b\x04\x25\x28\0\0\0", 9, {{NULL, 0, 8, INSN_READS}}, 1, false},
    {"gather", "\xc4\xe2\x6d\x90\x04\x88", 6, {{NULL, 0, 4, INSN_READS}}, 1, false},
    {"AVX2 load", "\xc5\xfe\x6f\x06", 4, {{"rsi", 0, 32, INSN_READS}}, 1, false},
    {"AVX-512 store",
     "\x62\xe1\xfe\x28\x7f\x47\x01",
     7,
     {{"rdi", 0x20, 32, INSN_WRITES}},
     1,
     false},
    {"AVX-512 compare", "\x62\xb3\x7d\x20\x3f\x07\x00", 7, {{"rdi", 0, 32, INSN_READS}}, 1, false},
    {"x86 load", "\x8b\x45\x08", 3, {{"ebp", 8, 4, INSN_READS}}, 1, true},
    {"x86 push", "\x55", 1, {{"esp", -4, 4, INSN_WRITES}}, 1, true},
    {"x86 call memory",
     "\xff\x10",
     2,
     {{"eax", 0, 4, INSN_READS}, {"esp", -4, 4, INSN_WRITES}},
     2,
     true},
    {"x86 ret", "\xc3", 1, {{"esp", 0, 4, INSN_READS}}, 1, true},
};

static void test_memory(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(touches); i++) {
        struct mdmp_context c = {.layout = layout(touches[i].is_x86)};
        struct insn insn;
        for (uint8_t r = 0; r < c.layout->reg_count; r++)
            mdmp_reg_set(&c, r, 0x1000 + r * UINT64_C(0x1000));
        if (!insn_decode(rd_init(touches[i].bytes, touches[i].n), c.layout, &insn) ||
            insn.bytes != touches[i].n || insn.memory_count != touches[i].count)
            fail_msg("%s: %s, %zu operands", touches[i].label, insn.text, insn.memory_count);
        for (size_t k = 0; k < touches[i].count; k++) {
            const struct insn_memory *m = &insn.memory[k];
            uint64_t want = 0;
            if (touches[i].want[k].base)
                mdmp_reg_get(&c, mdmp_reg_index(c.layout, str_of(touches[i].want[k].base)), &want);
            if (m->has_address != !!touches[i].want[k].base ||
                (m->has_address &&
                 insn_address(&insn, m, &c) != want + (uint64_t)touches[i].want[k].offset) ||
                m->bytes != touches[i].want[k].bytes || m->actions != touches[i].want[k].actions)
                fail_msg("%s: operand %zu of %s: 0x%llx, %u bytes, actions %u", touches[i].label, k,
                         insn.text, (unsigned long long)insn_address(&insn, m, &c), m->bytes,
                         m->actions);
        }
    }
}

enum { RAX = 0, RDI = 5, RSP = 7, RIP = 16, CODE = 0x400000, STACK = 0x7000, HEAP = 0x10000000 };

struct scene {
    struct arena arena;
    struct facts f;
    struct mdmp_context c;
    struct mdmp_region regions[1];
    struct mdmp_mapping maps[4];
};

/* A Linux process at `code` with: code, heap, guard page, more heap. */
static void scene_init(struct scene *s, const char *code, size_t n)
{
    *s = (struct scene){0};
    arena_init(&s->arena, 1 << 20);
    s->f.system = (struct mdmp_system){
        .arch = 9, .os = MDMP_OS_LINUX, .cpu = MDMP_CPU_AMD64, .word_bytes = 8};
    s->f.layout = mdmp_layout_of(&s->f.system);
    s->f.has_exception = true;
    s->f.exception = (struct mdmp_exception){.code = 11, .flags = 1};
    s->regions[0] = (struct mdmp_region){CODE, rd_init(code, n)};
    s->f.memory.regions = s->regions;
    ranges_init(&s->f.memory.index, &s->arena, 1);
    ranges_add(&s->f.memory.index, CODE, n, 0);
    const struct mdmp_mapping maps[] = {{CODE, 0x1000, true, false, true},
                                        {HEAP, 0x1000, true, true, false},
                                        {HEAP + 0x1000, 0x1000, false, false, false},
                                        {HEAP + 0x2000, 0x1000, true, true, false}};
    memcpy(s->maps, maps, sizeof maps);
    s->f.maps.v = s->maps;
    s->f.maps.n = ARRAY_LEN(maps);
    ranges_init(&s->f.maps.index, &s->arena, ARRAY_LEN(maps));
    for (uint32_t i = 0; i < ARRAY_LEN(maps); i++)
        ranges_add(&s->f.maps.index, maps[i].base, maps[i].size, i);
    s->c.layout = s->f.layout;
    for (uint8_t i = 0; i < s->c.layout->reg_count; i++)
        mdmp_reg_set(&s->c, i, 0x123456789000 + i * UINT64_C(0x100000));
    mdmp_reg_set(&s->c, RIP, CODE);
}

static void test_null_pointer(void **state)
{
    (void)state;
    struct scene s;
    struct analysis a;
    scene_init(&s, "\x48\x8b\x47\x18", 4); /* mov rax, [rdi + 0x18] */
    mdmp_reg_set(&s.c, RDI, 0);
    s.f.crash_address = 0x18;
    analysis_run(&s.f, &s.c, &a);
    assert_int_equal(a.adjustment, ADJUST_NULL_POINTER);
    assert_int_equal(a.adjusted, 0x18);
    assert_int_equal(a.access_count, 1);
    assert_int_equal(a.accesses[0].kind, ACCESS_READ);
    assert_int_equal(a.accesses[0].bytes, 8);
    assert_int_equal(a.flip_count, 0);
    assert_int_equal(a.inconsistency_count, 0);
    arena_release(&s.arena);
}

static void test_hidden_address(void **state)
{
    (void)state;
    struct scene s;
    struct analysis a;
    scene_init(&s, "\xff\xd0", 2); /* call rax */
    mdmp_reg_set(&s.c, RAX, UINT64_C(0x0080000010000010));
    s.f.exception.flags = 0x80; /* SI_KERNEL */
    s.f.crash_address = 0;
    analysis_run(&s.f, &s.c, &a);
    assert_true(a.has_update);
    assert_int_equal(a.adjustment, ADJUST_NON_CANONICAL);
    assert_true(a.adjusted == UINT64_C(0x0080000010000010));
    assert_int_equal(a.flip_count, 1); /* one bit away from the heap */
    assert_int_equal(a.flips[0].address, HEAP + 0x10);
    assert_true(a.flips[0].was_non_canonical);
    assert_true(a.flips[0].confidence > 0.92f && a.flips[0].confidence < 0.93f);
    arena_release(&s.arena);
}

static void test_guard_page(void **state)
{
    (void)state;
    struct scene s;
    struct analysis a;
    scene_init(&s, "\xc6\x00\x00", 3); /* mov byte [rax], 0 */
    mdmp_reg_set(&s.c, RAX, HEAP + 0x1000);
    s.f.crash_address = HEAP + 0x1000;
    analysis_run(&s.f, &s.c, &a);
    assert_int_equal(a.access_count, 1);
    assert_true(a.accesses[0].is_guard_page);
    assert_int_equal(a.accesses[0].kind, ACCESS_WRITE);
    arena_release(&s.arena);
}

static void test_contradictions(void **state)
{
    (void)state;
    struct scene s;
    struct analysis a;
    scene_init(&s, "\x01\xc0", 2);                                  /* add eax, eax */
    s.f.exception = (struct mdmp_exception){.code = 8, .flags = 1}; /* FPE_INTDIV */
    analysis_run(&s.f, &s.c, &a);
    assert_int_equal(a.inconsistency_count, 1);
    assert_string_equal(a.inconsistencies[0], "int_div_by_zero_not_possible");

    arena_release(&s.arena);

    /* Windows: a write to what may be written, by an instruction that writes elsewhere. */
    scene_init(&s, "\xc6\x00\x00", 3);
    s.f.system.os = MDMP_OS_WINDOWS;
    s.f.exception =
        (struct mdmp_exception){.code = 0xc0000005, .parameter_count = 2, .parameters = {1, HEAP}};
    s.f.crash_address = HEAP;
    analysis_run(&s.f, &s.c, &a);
    assert_int_equal(a.inconsistency_count, 2);
    assert_string_equal(a.inconsistencies[0], "access_violation_when_access_allowed");
    assert_string_equal(a.inconsistencies[1], "crashing_access_not_found_in_memory_accesses");
    arena_release(&s.arena);
}

static void test_without_code(void **state)
{
    (void)state;
    struct scene s;
    struct analysis a;
    scene_init(&s, "\xc3", 1);
    mdmp_reg_set(&s.c, RIP, CODE + 1);
    analysis_run(&s.f, &s.c, &a);
    assert_false(a.has_instruction || a.has_accesses || a.has_update);
    analysis_run(&s.f, NULL, &a);
    assert_false(a.has_instruction);
    arena_release(&s.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode),       cmocka_unit_test(test_memory),
        cmocka_unit_test(test_null_pointer), cmocka_unit_test(test_hidden_address),
        cmocka_unit_test(test_guard_page),   cmocka_unit_test(test_contradictions),
        cmocka_unit_test(test_without_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
