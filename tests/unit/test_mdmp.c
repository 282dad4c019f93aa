/* minidump reader: headers, lists, strings, ids, reasons, damaged files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>

#include "lib/base/fs.h"
#include "lib/base/util.h"
#include "lib/minidump/context.h"
#include "lib/minidump/memory.h"
#include "lib/minidump/reason.h"
#include "lib/minidump/windows_codes.h"
#include "lib/unwind/walk_dump.h"

#define HEADER(count, rva) "MDMP\x93\xa7\0\0" count rva "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"

static const struct {
    const char *label;
    const char *bytes;
    size_t len;
    const char *want; /* error name; NULL: opens */
} open_cases[] = {
    {"empty file", "", 0, "MissingHeader"},
    {"one byte short", HEADER("\0\0\0\0", "\x20\0\0\0"), 31, "MissingHeader"},
    {"wrong signature", "GIF89a..........................", 32, "HeaderMismatch"},
    {"wrong version", "MDMP\x94\xa7\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 32,
     "VersionMismatch"},
    {"no streams", HEADER("\0\0\0\0", "\x20\0\0\0"), 32, NULL},
    {"directory past end", HEADER("\1\0\0\0", "\x20\0\0\0"), 32, "MissingDirectory"},
    {"count * 12 wraps", HEADER("\xff\xff\xff\xff", "\x20\0\0\0"), 32, "MissingDirectory"},
    {"big-endian", "PMDM\0\0\xa7\x93\0\0\0\0\0\0\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 32, NULL},
};

/* A heap block of just `len` bytes, so that a one-byte overread is seen. */
static uint8_t *exact_copy(const void *p, size_t len)
{
    uint8_t *copy = xmalloc(len);
    if (len)
        memcpy(copy, p, len);
    return copy;
}

static void test_open(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(open_cases); i++) {
        FREE_LATER uint8_t *copy = exact_copy(open_cases[i].bytes, open_cases[i].len);
        struct mdmp dump = {0};
        struct err err = {0};
        bool ok = mdmp_open(copy, open_cases[i].len, &dump, &err);
        const char *want = open_cases[i].want;
        if (ok != !want || (want && strncmp(err.msg, want, strlen(want)) != 0))
            fail_msg("%s: %s", open_cases[i].label, err.msg);
    }
}

static const struct {
    const char *label;
    const char *bytes;
    size_t len;
    size_t entry;
    int count; /* -1: refused */
    uint8_t first;
} list_cases[] = {
    {"no count", "\1\0\0", 3, 4, -1, 0},
    {"one entry", "\1\0\0\0\7\0\0\0", 8, 4, 1, 7},
    {"padding of four", "\1\0\0\0\0\0\0\0\7\0\0\0", 12, 4, 1, 7},
    {"surplus at the end", "\1\0\0\0\7\0\0\0\0\0", 10, 4, 1, 7},
    {"more than fit", "\2\0\0\0\7\0\0\0", 8, 4, -1, 0},
    {"2^32 - 1 entries", "\xff\xff\xff\xff\7\0\0\0", 8, 4, -1, 0},
};

static void test_list(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(list_cases); i++) {
        FREE_LATER uint8_t *copy = exact_copy(list_cases[i].bytes, list_cases[i].len);
        struct mdmp_list list;
        bool ok =
            mdmp_list(rd_init(copy, list_cases[i].len), list_cases[i].entry, &list, ERR_IGNORED);
        if (ok != (list_cases[i].count >= 0))
            fail_msg("%s", list_cases[i].label);
        if (!ok)
            continue;
        struct rd e = mdmp_list_entry(&list, 0);
        if (list.count != (size_t)list_cases[i].count || rd_u8(&e) != list_cases[i].first)
            fail_msg("%s: %zu entries", list_cases[i].label, list.count);
    }
}

static const struct {
    const char *label;
    const char *bytes;
    size_t len;
    const char *want; /* NULL: refused */
} string_cases[] = {
    {"ascii", "\4\0\0\0a\0b\0", 8, "ab"},
    {"empty", "\0\0\0\0", 4, ""},
    {"two bytes", "\2\0\0\0\xe9\0", 6, "\xc3\xa9"},
    {"surrogate pair", "\4\0\0\0\x3d\xd8\x00\xde", 8, "\xf0\x9f\x98\x80"},
    {"lone high surrogate", "\2\0\0\0\x3d\xd8", 6, NULL},
    {"lone low surrogate", "\2\0\0\0\x00\xde", 6, NULL},
    {"odd length", "\3\0\0\0a\0b\0", 8, NULL},
    {"past the end", "\6\0\0\0a\0b\0", 8, NULL},
    {"length 2^32 - 2", "\xfe\xff\xff\xff", 4, NULL},
};

static void test_string(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(string_cases); i++) {
        FREE_LATER uint8_t *copy = exact_copy(string_cases[i].bytes, string_cases[i].len);
        struct mdmp d = {.file = rd_init(copy, string_cases[i].len)};
        struct mdmp_pool pool = {&arena, 1000};
        struct str s = STR_NONE;
        bool ok = mdmp_string(&d, 0, &pool, &s, ERR_IGNORED);
        const char *want = string_cases[i].want;
        if (ok != !!want || (want && !str_eq(s, str_of(want))))
            fail_msg("%s: " STR_FMT, string_cases[i].label, STR_ARG(s));
    }
    arena_release(&arena);
}

static void test_ranges(void **state)
{
    (void)state;
    struct arena arena;
    struct ranges r;
    arena_init(&arena, 1 << 20);
    ranges_init(&r, &arena, 8);
    ranges_add(&r, 100, 50, 0);
    ranges_add(&r, 120, 10, 1);            /* inside the first: dropped */
    ranges_add(&r, 150, 10, 2);            /* touches: kept */
    ranges_add(&r, UINT64_MAX - 9, 10, 3); /* up to the top */
    ranges_add(&r, UINT64_MAX, 2, 4);      /* wraps */
    ranges_add(&r, 0, 0, 5);
    ranges_sort(&r);
    assert_int_equal(r.n, 3);
    assert_int_equal(ranges_find(&r, 125)->index, 0);
    assert_int_equal(ranges_find(&r, 159)->index, 2);
    assert_int_equal(ranges_find(&r, UINT64_MAX)->index, 3);
    assert_null(ranges_find(&r, 99));
    assert_null(ranges_find(&r, 160));
    arena_release(&arena);
}

static const struct {
    const char *label;
    enum mdmp_os os;
    enum mdmp_cpu cpu;
    uint32_t code, flags, parameter_count;
    uint64_t parameters[3];
    const char *want;
} reasons[] = {
    {"fault", MDMP_OS_LINUX, MDMP_CPU_AMD64, 11, 1, 0, {0}, "SIGSEGV / SEGV_MAPERR"},
    {"by user", MDMP_OS_LINUX, MDMP_CPU_AMD64, 11, 0, 0, {0}, "SIGSEGV"},
    {"abort", MDMP_OS_LINUX, MDMP_CPU_AMD64, 6, 0xfffffffa, 0, {0}, "SIGABRT / SI_TKILL"},
    {"kernel", MDMP_OS_ANDROID, MDMP_CPU_ARM64, 11, 0x80, 0, {0}, "SIGSEGV / SI_KERNEL"},
    {"odd si_code", MDMP_OS_LINUX, MDMP_CPU_AMD64, 6, 0x99, 0, {0}, "SIGABRT / 0x00000099"},
    {"asked for", MDMP_OS_LINUX, MDMP_CPU_AMD64, 0xffffffff, 0, 0, {0}, "DUMP_REQUESTED"},
    {"no signal", MDMP_OS_LINUX, MDMP_CPU_AMD64, 77, 1, 0, {0}, "unknown 0x0000004d / 0x00000001"},
    {"seccomp", MDMP_OS_LINUX, MDMP_CPU_AMD64, 31, 1, 0, {0}, "SIGSYS / SYS_SECCOMP"},
    {"read",
     MDMP_OS_WINDOWS,
     MDMP_CPU_X86,
     0xc0000005,
     0,
     2,
     {0, 5},
     "EXCEPTION_ACCESS_VIOLATION_READ"},
    {"exec",
     MDMP_OS_WINDOWS,
     MDMP_CPU_X86,
     0xc0000005,
     0,
     2,
     {8, 5},
     "EXCEPTION_ACCESS_VIOLATION_EXEC"},
    {"other access",
     MDMP_OS_WINDOWS,
     MDMP_CPU_X86,
     0xc0000005,
     0,
     2,
     {3, 5},
     "EXCEPTION_ACCESS_VIOLATION"},
    {"page",
     MDMP_OS_WINDOWS,
     MDMP_CPU_AMD64,
     0xc0000006,
     0,
     3,
     {0, 5, 0xc000009a},
     "EXCEPTION_IN_PAGE_ERROR_READ / STATUS_INSUFFICIENT_RESOURCES"},
    {"fast fail",
     MDMP_OS_WINDOWS,
     MDMP_CPU_AMD64,
     0xc0000409,
     0,
     1,
     {7},
     "EXCEPTION_STACK_BUFFER_OVERRUN / FAST_FAIL_FATAL_APP_EXIT"},
    {"out of memory", MDMP_OS_WINDOWS, MDMP_CPU_AMD64, 0xe0000008, 0, 0, {0}, "Out of Memory"},
    {"heap", MDMP_OS_WINDOWS, MDMP_CPU_AMD64, 0xc0000374, 0, 0, {0}, "STATUS_HEAP_CORRUPTION"},
    {"facility",
     MDMP_OS_WINDOWS,
     MDMP_CPU_AMD64,
     0xc06d007e,
     0,
     0,
     {0},
     "FACILITY_VISUALCPP / ERROR_MOD_NOT_FOUND"},
    {"unknown", MDMP_OS_WINDOWS, MDMP_CPU_AMD64, 0x12345678, 0, 0, {0}, "unknown 0x12345678"},
    {"mach", MDMP_OS_MAC, MDMP_CPU_ARM64, 1, 0x101, 0, {0}, "EXC_BAD_ACCESS / EXC_ARM_DA_ALIGN"},
    {"mach on another cpu",
     MDMP_OS_MAC,
     MDMP_CPU_AMD64,
     1,
     0x101,
     0,
     {0},
     "EXC_BAD_ACCESS / 0x00000101"},
    {"guard",
     MDMP_OS_MAC,
     MDMP_CPU_AMD64,
     12,
     2u << 29,
     3,
     {12, UINT64_C(1) << 32 | 5, 9},
     "EXC_GUARD / GUARD_TYPE_FD / GUARD_EXC_CLOSE file descriptor: 5 guard identifier: 9"},
    {"resource",
     MDMP_OS_MAC,
     MDMP_CPU_AMD64,
     11,
     3u << 29,
     3,
     {11, UINT64_C(1) << 58 | 100, 0},
     "EXC_RESOURCE / RESOURCE_TYPE_MEMORY / FLAVOR_HIGH_WATERMARK high watermark limit: 100MiB"},
    {"solaris", MDMP_OS_SOLARIS, MDMP_CPU_SPARC, 11, 1, 0, {0}, "unknown 0x0000000b / 0x00000001"},
};

static void test_reasons(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
        struct mdmp_system sys = {.os = reasons[i].os, .cpu = reasons[i].cpu, .word_bytes = 8};
        struct mdmp_exception x = {.code = reasons[i].code,
                                   .flags = reasons[i].flags,
                                   .parameter_count = reasons[i].parameter_count};
        memcpy(x.parameters, reasons[i].parameters, sizeof reasons[i].parameters);
        struct str got = mdmp_reason(&sys, &x, &arena);
        if (!str_eq(got, str_of(reasons[i].want)))
            fail_msg("%s: " STR_FMT, reasons[i].label, STR_ARG(got));
    }
    arena_release(&arena);
}

/* The system's own numbers, so that a table typed wrong is not tested against itself. */
#define SI(sig, code)                                                                              \
    {                                                                                              \
        sig, code, #sig " / " #code                                                                \
    }
static const struct {
    int signal, code;
    const char *want;
} si_codes[] = {
    SI(SIGILL, ILL_ILLOPC),
    SI(SIGILL, ILL_ILLOPN),
    SI(SIGILL, ILL_ILLADR),
    SI(SIGILL, ILL_ILLTRP),
    SI(SIGILL, ILL_PRVOPC),
    SI(SIGILL, ILL_PRVREG),
    SI(SIGILL, ILL_COPROC),
    SI(SIGILL, ILL_BADSTK),
    SI(SIGILL, ILL_BADIADDR),
    SI(SIGFPE, FPE_INTDIV),
    SI(SIGFPE, FPE_INTOVF),
    SI(SIGFPE, FPE_FLTDIV),
    SI(SIGFPE, FPE_FLTOVF),
    SI(SIGFPE, FPE_FLTUND),
    SI(SIGFPE, FPE_FLTRES),
    SI(SIGFPE, FPE_FLTINV),
    SI(SIGFPE, FPE_FLTSUB),
    SI(SIGFPE, FPE_FLTUNK),
    SI(SIGFPE, FPE_CONDTRAP),
    SI(SIGSEGV, SEGV_MAPERR),
    SI(SIGSEGV, SEGV_ACCERR),
    SI(SIGSEGV, SEGV_BNDERR),
    SI(SIGSEGV, SEGV_PKUERR),
    SI(SIGSEGV, SEGV_ACCADI),
    SI(SIGSEGV, SEGV_ADIDERR),
    SI(SIGSEGV, SEGV_ADIPERR),
    SI(SIGSEGV, SEGV_MTEAERR),
    SI(SIGSEGV, SEGV_MTESERR),
    SI(SIGBUS, BUS_ADRALN),
    SI(SIGBUS, BUS_ADRERR),
    SI(SIGBUS, BUS_OBJERR),
    SI(SIGBUS, BUS_MCEERR_AR),
    SI(SIGBUS, BUS_MCEERR_AO),
    SI(SIGTRAP, TRAP_BRKPT),
    SI(SIGTRAP, TRAP_TRACE),
    SI(SIGTRAP, TRAP_BRANCH),
    SI(SIGTRAP, TRAP_HWBKPT),
    SI(SIGTRAP, TRAP_UNK),
    SI(SIGCHLD, CLD_EXITED),
    SI(SIGCHLD, CLD_KILLED),
    SI(SIGCHLD, CLD_DUMPED),
    SI(SIGCHLD, CLD_TRAPPED),
    SI(SIGCHLD, CLD_STOPPED),
    SI(SIGCHLD, CLD_CONTINUED),
    SI(SIGIO, POLL_IN),
    SI(SIGIO, POLL_OUT),
    SI(SIGIO, POLL_MSG),
    SI(SIGIO, POLL_ERR),
    SI(SIGIO, POLL_PRI),
    SI(SIGIO, POLL_HUP),
    SI(SIGABRT, SI_TKILL),
    SI(SIGTERM, SI_QUEUE),
    SI(SIGALRM, SI_TIMER),
    SI(SIGUSR1, SI_MESGQ),
    SI(SIGUSR2, SI_ASYNCIO),
    SI(SIGIO, SI_SIGIO),
    SI(SIGSEGV, SI_KERNEL),
    SI(SIGHUP, SI_ASYNCNL),
    /* Younger than the C library. */
    {SIGSEGV, 10, "SIGSEGV / SEGV_CPERR"},
    {SIGSYS, 1, "SIGSYS / SYS_SECCOMP"},
    {SIGSYS, 2, "SIGSYS / SYS_USER_DISPATCH"},
    {SIGTRAP, 6, "SIGTRAP / TRAP_PERF"},
    {SIGKILL, -7, "SIGKILL / SI_DETHREAD"},
    {SIGFPE, 9, "SIGFPE / 0x00000009"},
    {SIGSEGV, 11, "SIGSEGV / 0x0000000b"},
    {SIGFPE, 16, "SIGFPE / 0x00000010"},
};

static void test_si_codes(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct mdmp_system sys = {.os = MDMP_OS_LINUX, .cpu = MDMP_CPU_AMD64, .word_bytes = 8};
    for (size_t i = 0; i < ARRAY_LEN(si_codes); i++) {
        struct mdmp_exception x = {.code = (uint32_t)si_codes[i].signal,
                                   .flags = (uint32_t)si_codes[i].code};
        struct str got = mdmp_reason(&sys, &x, &arena);
        if (!str_eq(got, str_of(si_codes[i].want)))
            fail_msg("%s: " STR_FMT, si_codes[i].want, STR_ARG(got));
    }
    arena_release(&arena);
}

static void test_windows_tables(void **state)
{
    (void)state;
    assert_string_equal(windows_code_name("winerror", 0), "ERROR_SUCCESS");
    assert_string_equal(windows_code_name("ntstatus", 0xc0000005), "STATUS_ACCESS_VIOLATION");
    assert_null(windows_code_name("winerror", 0xfffffff0));
    assert_null(windows_code_name("nothing", 0));
}

static const char *const samples[] = {"linux_inline", "linux-mini", "null_read_av",
                                      "synth-arm64-mac-fp", "invalid-record-count"};

/* Any answer will do; sanitizers and the clock are the judges. */
static void walk_bytes(const uint8_t *bytes, size_t len)
{
    FREE_LATER uint8_t *copy = exact_copy(bytes, len);
    struct walk_input in = {.bytes = copy, .len = len, .source = no_symbols(), .format = WALK_JSON};
    STRBUF_AUTO out;
    sb_init(&out, REPORT_BYTES_MAX);
    struct err err = {0};
    if (!walk_dump(&in, &out, &err) && !strstr(err.msg, " - "))
        fail_msg("an error without a name: %s", err.msg);
}

static char *sample(const char *name, size_t *ret_n)
{
    char path[4096];
    struct err err = {0};
    char *bytes = NULL;
    snprintf(path, sizeof path, "tests/data/minidumps/%s.dmp", name);
    if (!fs_read(path, 1 << 20, &bytes, ret_n, &err))
        fail_msg("%s", err.msg);
    return bytes;
}

static void test_every_prefix(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        size_t n;
        FREE_LATER char *bytes = sample(samples[i], &n);
        for (size_t len = 0; len < n; len += 97)
            walk_bytes((const uint8_t *)bytes, len);
    }
}

static void test_every_word_of_the_start(void **state)
{
    (void)state;
    static const uint32_t values[] = {0, 0xffffffff, 0x7fffffff};
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        size_t n;
        FREE_LATER char *bytes = sample(samples[i], &n);
        for (size_t off = 0; off + 4 <= MIN(n, (size_t)4096); off += 4) {
            char old[4];
            memcpy(old, bytes + off, 4);
            for (size_t v = 0; v < ARRAY_LEN(values); v++) {
                memcpy(bytes + off, &values[v], 4);
                walk_bytes((const uint8_t *)bytes, n);
            }
            memcpy(bytes + off, old, 4);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_string),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_si_codes),
        cmocka_unit_test(test_windows_tables),
        cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_every_word_of_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
