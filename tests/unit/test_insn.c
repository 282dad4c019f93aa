/* amd64 instructions: bytes to text, and what is concluded from the one that crashed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/util.h"
#include "unwind/analysis.h"
#include "unwind/insn.h"

static const struct {
    const char *bytes;
    size_t n;
    const char *want; /* NULL: not decoded */
} decodes[] = {
    {"\x48\x8b\x47\x18", 4, "mov rax, qword [rdi + 0x18]"},
    {"\xc7\x00\x05\x00\x00\x00", 6, "mov dword [rax], 0x5"},
    {"\xc6\x04\x25\x42\x00\x00\x80\x01", 8, "mov byte [0xffffffff80000042], 0x1"},
    {"\xff\x50\x10", 3, "call qword [rax + 0x10]"},
    {"\xff\xd0", 2, "call rax"},
    {"\x41\xff\x24\xc4", 4, "jmp qword [r12 + rax * 8]"},
    {"\xe8\xfb\xff\xff\xff", 5, "call $-0x5"},
    {"\x0f\x84\x10\x00\x00\x00", 6, "jz $+0x10"},
    {"\xc3", 1, "ret"},
    {"\x55", 1, "push rbp"},
    {"\x41\x5f", 2, "pop r15"},
    {"\x8b\x05\x10\x00\x00\x00", 6, "mov eax, dword [rip + 0x10]"},
    {"\x64\x48\x8b\x04\x25\x28\x00\x00\x00", 9, "mov rax, qword fs:[0x28]"},
    {"\x48\x8d\x44\x91\xf8", 5, "lea rax, [rcx + rdx * 4 - 0x8]"},
    {"\xf3\x48\xab", 3, "stos qword [rdi], rax"},
    {"\xa4", 1, "movs byte [rdi], byte [rsi]"},
    {"\x0f\x29\x44\x24\x20", 5, "movaps xmmword [rsp + 0x20], xmm0"},
    {"\xf3\x0f\x10\x07", 4, "movss xmm0, dword [rdi]"},
    {"\xf2\x0f\x58\x07", 4, "addsd xmm0, qword [rdi]"},
    {"\x66\x48\x0f\x6e\xc0", 5, "movq xmm0, rax"},
    {"\xc5\xfe\x6f\x06", 4, "vmovdqu ymm0, ymmword [rsi]"},
    {"\xc5\xfd\x74\x0f", 4, "vpcmpeqb ymm1, ymm0, ymmword [rdi]"},
    {"\xf7\xf9", 2, "idiv ecx"},
    {"\xf6\x07\x01", 3, "test byte [rdi], 0x1"},
    {"\x0f\xb6\x00", 3, "movzx eax, byte [rax]"},
    {"\xf0\x0f\xb1\x17", 4, "cmpxchg dword [rdi], edx"},
    {"\x0f\x0b", 2, "ud2"},
    {"\xf3\x0f\x1e\xfa", 4, "endbr64"},
    {"\x66\x90", 2, "nop"},
    {"\x48\xb8\x11\x22\x33\x44\x55\x66\x77\x88", 10, "mov rax, -0x778899aabbccddef"},
    {"\x06", 1, NULL},                 /* not in 64-bit mode */
    {"\x67\x8b\x00", 3, NULL},         /* 32-bit addresses */
    {"\x8b", 1, NULL},                 /* cut off */
    {"\x48\x8b\x80\x00\x00", 5, NULL}, /* cut off in the displacement */
    {"\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x90", 16, NULL}, /* 15 bytes */
    {"\x62\xf1\x7c\x48\x10\x00", 6, NULL},                                          /* EVEX */
    {"", 0, NULL},
};

static void test_decode(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(decodes); i++) {
        FREE_LATER uint8_t *copy = xmalloc(decodes[i].n);
        if (decodes[i].n)
            memcpy(copy, decodes[i].bytes, decodes[i].n);
        struct insn insn;
        char text[ANALYSIS_TEXT_MAX] = "-";
        bool ok = insn_decode(rd_init(copy, decodes[i].n), &insn);
        if (ok)
            insn_text(&insn, text, sizeof text);
        const char *want = decodes[i].want;
        if (ok != !!want || (want && (strcmp(text, want) != 0 || insn.bytes != decodes[i].n)))
            fail_msg("case %zu: %s, wanted %s", i, text, want ? want : "nothing");
    }
}

/* ---- analysis ------------------------------------------------------------------------------ */

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
        cmocka_unit_test(test_decode),         cmocka_unit_test(test_null_pointer),
        cmocka_unit_test(test_hidden_address), cmocka_unit_test(test_guard_page),
        cmocka_unit_test(test_contradictions), cmocka_unit_test(test_without_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
