/*
 * The largest dump that the counts of the reader let through: what it takes stays below the limit
 * of the walker's arena with the usual number of frames, and crosses it with the largest one that
 * may be asked for.  Nearly all of its 78 MiB are zeros, which count all the same: room for
 * regions, mappings and labels is made by what a list promises.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/util.h"
#include "lib/minidump/mdmp.h"
#include "lib/minidump/memory.h"
#include "lib/minidump/module.h"
#include "lib/minidump/thread.h"
#include "lib/unwind/walk_dump.h"

/*
 * The longest cheap way through the arena: most threads have one frame, for which room for 32 is
 * made; the others have one more than 512, for which rooms for 32, 64, … 1024 were made in turn.
 */
enum {
    LONG_THREADS = 1916, /* with one frame for each other thread just below WALK_FRAMES_MAX */
    LONG_FRAMES = 513,
    STACK_BASE = 0x10000000,
    CODE = 0x400000,
    CONTEXT_BYTES = 1232, /* of amd64 */
    CONTEXT_FLAGS_AT = 48,
    CONTEXT_RSP_AT = 152,
    CONTEXT_RBP_AT = 160,
    CONTEXT_RIP_AT = 248,
    STACK_BYTES = (LONG_FRAMES + 1) * 16,
};

/* Where everything lies in the file. */
enum {
    SYSTEM_AT = 128,
    SHORT_AT = SYSTEM_AT + 64, /* context without a stack */
    LONG_AT = SHORT_AT + CONTEXT_BYTES,
    STACK_AT = LONG_AT + CONTEXT_BYTES,
    THREADS_AT = STACK_AT + STACK_BYTES,
    THREADS_BYTES = 4 + MDMP_THREADS_MAX * 48,
    MODULES_AT = THREADS_AT + THREADS_BYTES,
    MODULES_BYTES = 4 + MDMP_MODULES_MAX * 108,
    MEMORY_AT = MODULES_AT + MODULES_BYTES,
    MEMORY_BYTES = 16 + MDMP_REGIONS_MAX * 16,
    INFO_AT = MEMORY_AT + MEMORY_BYTES,
    INFO_BYTES = 16 + MDMP_REGIONS_MAX * 48,
    FILE_BYTES = INFO_AT + INFO_BYTES,
};

static void put32(uint8_t *at, uint32_t v)
{
    memcpy(at, &v, sizeof v);
}

static void put64(uint8_t *at, uint64_t v)
{
    memcpy(at, &v, sizeof v);
}

static void put_context(uint8_t *at, uint64_t rsp, uint64_t rbp)
{
    put32(at + CONTEXT_FLAGS_AT, 0x10001f);
    put64(at + CONTEXT_RSP_AT, rsp);
    put64(at + CONTEXT_RBP_AT, rbp);
    put64(at + CONTEXT_RIP_AT, CODE);
}

/* A chain of frame pointers, each pointing to the next record; the last one leads nowhere. */
static void put_stack(uint8_t *at)
{
    for (uint32_t i = 0; i + 1 < LONG_FRAMES; i++) {
        put64(at + i * 16, STACK_BASE + (i + 1) * 16);
        put64(at + i * 16 + 8, CODE);
    }
}

static void put_threads(uint8_t *at)
{
    put32(at, MDMP_THREADS_MAX);
    at += 4;
    for (uint32_t i = 0; i < MDMP_THREADS_MAX; i++, at += 48) {
        bool is_long = i >= MDMP_THREADS_MAX - LONG_THREADS;
        put32(at, i + 1);
        put64(at + 24, is_long ? STACK_BASE : 0);
        put32(at + 32, is_long ? STACK_BYTES : 0);
        put32(at + 36, is_long ? STACK_AT : 0);
        put32(at + 40, CONTEXT_BYTES);
        put32(at + 44, is_long ? LONG_AT : SHORT_AT);
    }
}

static void put_modules(uint8_t *at)
{
    put32(at, MDMP_MODULES_MAX);
    at += 4;
    for (uint32_t i = 0; i < MDMP_MODULES_MAX; i++, at += 108) {
        put64(at, UINT64_C(0x7f0000000000) + i * UINT64_C(4096));
        put32(at + 8, 4096);
    }
}

static uint8_t *largest_dump(void)
{
    const uint32_t head[] = {0x504d444d, MDMP_VERSION, 6, MDMP_HEADER_SIZE};
    const uint32_t directory[][3] = {
        {MDMP_SYSTEM_INFO, 56, SYSTEM_AT},
        {MDMP_THREAD_LIST, THREADS_BYTES, THREADS_AT},
        {MDMP_MODULE_LIST, MODULES_BYTES, MODULES_AT},
        {MDMP_MEMORY64_LIST, MEMORY_BYTES, MEMORY_AT},
        {MDMP_MEMORY_INFO_LIST, INFO_BYTES, INFO_AT},
        {MDMP_LINUX_MAPS, INFO_BYTES, INFO_AT}, /* streams may lie on each other */
    };
    uint8_t *file = xcalloc(1, FILE_BYTES);
    memcpy(file, head, sizeof head);
    memcpy(file + MDMP_HEADER_SIZE, directory, sizeof directory);
    put32(file + SYSTEM_AT, 9);           /* amd64 */
    put32(file + SYSTEM_AT + 20, 0x8201); /* Linux */
    put_context(file + SHORT_AT, 0, 0);
    put_context(file + LONG_AT, STACK_BASE - 8, STACK_BASE);
    put_stack(file + STACK_AT);
    put_threads(file + THREADS_AT);
    put_modules(file + MODULES_AT);
    put64(file + MEMORY_AT, MDMP_REGIONS_MAX);
    put32(file + INFO_AT, 16); /* sizes of head and entry, and the count */
    put32(file + INFO_AT + 4, 48);
    put64(file + INFO_AT + 8, MDMP_REGIONS_MAX);
    return file;
}

static bool walk_with(const uint8_t *file, size_t frames_max, struct err *err)
{
    const struct walk_input in = {.bytes = file,
                                  .len = FILE_BYTES,
                                  .source = no_symbols(),
                                  .frames_max = frames_max,
                                  .format = WALK_TEXT};
    STRBUF_AUTO out;
    sb_init(&out, 4096); /* the rest is cut: what the walk takes is the question */
    return walk_dump(&in, &out, err);
}

static void test_largest_dump(void **state)
{
    (void)state;
    struct err err = {0};
    FREE_LATER uint8_t *file = largest_dump();
    if (!walk_with(file, 0, &err))
        fail_msg("with the usual number of frames: %s", err.msg);
    assert_false(walk_with(file, WALK_FRAMES_MAX, &err));
    assert_int_equal(err.code, ERR_TOO_LARGE);
    assert_true(str_starts(str_of(err.msg), STR("OutputTooLarge - ")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_largest_dump),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
