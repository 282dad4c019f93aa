/* walker: the real child on good dumps, and children that misbehave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/sandbox/walker.h"
#include "lib/sandbox/wire.h"

enum { SECOND = 1000 };
static const int64_t MEMORY = INT64_C(512) << 20;

/* build/tests/test_walker -> build/bin/datil-stackwalk */
static void stackwalk_path(char *out, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", out, size - 1);
    assert_true(n > 0);
    out[n] = '\0';
    for (int up = 0; up < 2; up++)
        *strrchr(out, '/') = '\0';
    size_t dir = strlen(out);
    snprintf(out + dir, size - dir, "/bin/datil-stackwalk");
}

struct place {
    char dir[64];
    char program[4096];
    struct symfind *symbols;
};

static int set_up(void **state)
{
    static const char *const dirs[] = {"tests/data/symbols", NULL};
    struct place *p = xcalloc(1, sizeof *p);
    struct err err = {0};
    snprintf(p->dir, sizeof p->dir, "/tmp/datil-test-walker-XXXXXX");
    if (!mkdtemp(p->dir))
        return -1;
    stackwalk_path(p->program, sizeof p->program);
    const struct symfind_options options = {
        .cache_dir = p->dir, .cache_max_bytes = 1 << 30, .sym_dirs = dirs};
    if (!symfind_new(&options, &p->symbols, &err))
        return -1;
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    symfind_free(p->symbols);
    fs_remove_tree(p->dir, ERR_IGNORED);
    free(p);
    return 0;
}

static struct walker_result walk_with(const struct walker_options *o, const char *dump,
                                      const json_t *annotations)
{
    struct walker_result r = {0};
    struct err err = {0};
    FD_AUTO fd = open(dump, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    if (!walker_run(o, fd, annotations, &r, &err))
        fail_msg("%s", err.msg);
    return r;
}

static void test_good_dump(void **state)
{
    struct place *p = *state;
    struct walker_options o = {p->program, p->symbols, 60 * SECOND, MEMORY, 0};
    struct walker_result r = walk_with(&o, "tests/data/minidumps/linux_inline.dmp", NULL);
    if (r.exit_code != 0)
        fail_msg("exit %d: %s", r.exit_code, r.log);
    assert_true(r.is_output_json);
    assert_string_equal(r.log, "");
    assert_string_equal(r.version, "datil-stackwalk " DATIL_VERSION);
    json_t *frame = json_array_get(jpath(r.json_dump, "crashing_thread.frames"), 0);
    assert_string_equal(jget_str(frame, "function"), "main");
    assert_int_equal(json_array_size(jget_arr(frame, "inlines")), 3);
    json_t *module = json_array_get(jget_arr(r.json_dump, "modules"), 0);
    assert_true(jget_bool_or(module, "loaded_symbols", false));
    assert_null(json_object_get(module, "symbols_asked"));
    walker_result_release(&r);
}

/* Each module that was asked for in vain says so, and no other does. */
static void test_refusals(void **state)
{
    struct place *p = *state;
    struct walker_options o = {p->program, p->symbols, 60 * SECOND, MEMORY, 0};
    struct walker_result r = walk_with(&o, "tests/data/minidumps/linux_inline.dmp", NULL);
    size_t i, refused = 0;
    const json_t *module;
    json_array_foreach (jget_arr(r.json_dump, "modules"), i, module) {
        bool is_missing = jget_bool_or(module, "missing_symbols", false);
        const json_t *asked = jget_arr(module, "symbols_asked");
        refused += is_missing;
        assert_int_equal(is_missing, json_array_size(asked) > 0);
        if (is_missing)
            assert_string_equal(jget_str(json_array_get(asked, 0), "answer"), "not found");
    }
    assert_true(refused > 0);
    walker_result_release(&r);
}

/* What a walker says itself about that does not count: it did not ask anybody. */
static void test_invented_refusals(void **state)
{
    static const char script[] =
        "#!/bin/sh\necho '{\"modules\":[{\"filename\":\"x\",\"missing_symbols\":true,"
        "\"symbols_asked\":[{\"source\":\"http://me:secret@host/\",\"answer\":\"not "
        "found\"}]}]}'\n";
    struct place *p = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/inventor", p->dir);
    assert_true(fs_write_atomic(path, script, sizeof script - 1, 0755, ERR_IGNORED));
    struct walker_options o = {path, p->symbols, 60 * SECOND, MEMORY, 0};
    struct walker_result r = walk_with(&o, "/dev/null", NULL);
    const json_t *module = json_array_get(jget_arr(r.json_dump, "modules"), 0);
    assert_true(jget_bool_or(module, "missing_symbols", false));
    assert_null(json_object_get(module, "symbols_asked"));
    walker_result_release(&r);
}

static void test_annotations(void **state)
{
    struct place *p = *state;
    struct walker_options o = {p->program, p->symbols, 60 * SECOND, MEMORY, 0};
    json_auto_t *annotations =
        json_pack("{s:{s:[s]}, s:s, s:s}", "ModuleSignatureInfo", "Somebody Ltd", "libm.so.6",
                  "CPUMicrocodeVersion", "0x1d", "Email", "someone@example.com");
    struct walker_result r = walk_with(&o, "tests/data/minidumps/linux_inline.dmp", annotations);
    assert_int_equal(r.exit_code, 0);
    json_t *libm = json_array_get(jget_arr(r.json_dump, "modules"), 3);
    assert_string_equal(jget_str(libm, "cert_subject"), "Somebody Ltd");
    assert_true(jget_bool_or(r.json_dump, "modules_contains_cert_info", false));
    assert_string_equal(jpath_str(r.json_dump, "system_info.cpu_microcode_version"), "0x1d");
    walker_result_release(&r);
}

static void test_bad_dump(void **state)
{
    struct place *p = *state;
    struct walker_options o = {p->program, p->symbols, 60 * SECOND, MEMORY, 0};
    struct walker_result r = walk_with(&o, "Makefile", NULL);
    assert_int_equal(r.exit_code, 1);
    assert_false(r.is_output_json);
    assert_true(str_starts(str_of(r.log), STR("ERROR HeaderMismatch - ")));
    walker_result_release(&r);
    r = walk_with(&o, "/dev/null", NULL);
    assert_int_equal(r.exit_code, 1);
    assert_true(str_starts(str_of(r.log), STR("ERROR MissingHeader - ")));
    walker_result_release(&r);
}

#if !defined(__SANITIZE_ADDRESS__)
static void put_words(uint8_t **at, const uint32_t *words, size_t n)
{
    memcpy(*at, words, n * sizeof *words);
    *at += n * sizeof *words;
}

/* A valid dump of a million memory regions of one byte each: 16 MiB that need 80. */
static void write_greedy_dump(const char *path)
{
    enum { REGIONS = 1 << 20, SYSTEM = 72, THREADS = SYSTEM + 56, MEMORY64 = THREADS + 4 };
    const size_t n = MEMORY64 + 16 + (size_t)REGIONS * 16;
    FREE_LATER uint8_t *bytes = xcalloc(1, n);
    const uint32_t head[] = {0x504d444d, 0xa793, 3, 32, 0, 0, 0, 0};
    const uint32_t dir[] = {7, 56, SYSTEM, 3, 4, THREADS, 9, (uint32_t)(n - MEMORY64), MEMORY64};
    uint8_t *at = bytes;
    put_words(&at, head, ARRAY_LEN(head));
    put_words(&at, dir, ARRAY_LEN(dir));
    at = bytes + MEMORY64;
    put_words(&at, (const uint32_t[]){REGIONS, 0, 32, 0}, 4);
    for (uint32_t i = 0; i < REGIONS; i++)
        put_words(&at, (const uint32_t[]){i * 2, 0, 1, 0}, 4);
    assert_true(fs_write_atomic(path, bytes, n, 0600, ERR_IGNORED));
}

static void test_memory_limit(void **state)
{
    struct place *p = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/greedy.dmp", p->dir);
    write_greedy_dump(path);
    struct walker_options o = {p->program, p->symbols, 60 * SECOND, 40 << 20, 0};
    struct walker_result r = walk_with(&o, path, NULL);
    assert_int_equal(r.exit_code, -SIGABRT);
    assert_null(r.json_dump);
    walker_result_release(&r);
    o.memory_bytes = MEMORY;
    r = walk_with(&o, path, NULL);
    assert_int_equal(r.exit_code, 0);
    walker_result_release(&r);
}
#endif

/* Walkers that do something else, as shell scripts. */
static const struct {
    const char *label;
    const char *script;
    int timeout_ms;
    int exit_code;
    const char *log; /* must be part of it */
    const char *not_log;
} impostors[] = {
    {"hangs", "exec sleep 60", 200, -SIGKILL, "ERROR killed at the time limit\n", NULL},
    {"hangs with closed pipes", "exec sleep 60 >&- 2>&-", 200, -SIGKILL, "time limit", NULL},
    {"no output", "exit 0", 60 * SECOND, 0, "", NULL},
    {"garbage", "echo '{\"status\": '", 60 * SECOND, 0, "", NULL},
    {"not an object", "echo 17", 60 * SECOND, 0, "", NULL},
    {"crashes", "kill -SEGV $$", 60 * SECOND, -SIGSEGV, "", NULL},
    {"endless output", "exec cat /dev/zero", 60 * SECOND, -SIGKILL, "too much output", NULL},
    {"exit status", "echo out of luck >&2; exit 42", 60 * SECOND, 42, "out of luck\n", NULL},
    {"much log", "head -c 3000000 /dev/zero | tr '\\0' x >&2; exit 3", 60 * SECOND, 3, "xxxx",
     NULL},
    {"binary log", "printf 'a\\377b\\000c' >&2; exit 3", 60 * SECOND, 3,
     "a\xef\xbf\xbd"
     "bc",
     NULL},
    {"garbage to the socket", "echo hello >&3; read x <&3; exit 5", 60 * SECOND, 5, "", NULL},
    {"no environment", "env >&2; exit 3", 60 * SECOND, 3, "", "DATIL_TEST_SECRET"},
    {"no descriptors", "ls -l /proc/self/fd >&2; exit 3", 60 * SECOND, 3, "", "Makefile"},
};

static void test_impostors(void **state)
{
    struct place *p = *state;
    setenv("DATIL_TEST_SECRET", "1", 1);
    int leak = open("Makefile", O_RDONLY); /* without close-on-exec */
    for (size_t i = 0; i < ARRAY_LEN(impostors); i++) {
        char path[128], script[256];
        snprintf(path, sizeof path, "%s/walker-%zu", p->dir, i);
        int n = snprintf(script, sizeof script, "#!/bin/sh\n%s\n", impostors[i].script);
        assert_true(fs_write_atomic(path, script, (size_t)n, 0755, ERR_IGNORED));
        struct walker_options o = {path, p->symbols, impostors[i].timeout_ms, MEMORY, 0};
        int64_t start_ms = mono_ms();
        struct walker_result r = walk_with(&o, "/dev/null", NULL);
        if (r.exit_code != impostors[i].exit_code || r.json_dump || r.is_output_json ||
            !strstr(r.log, impostors[i].log) || strlen(r.log) > 64 << 10 ||
            (impostors[i].not_log && strstr(r.log, impostors[i].not_log)))
            fail_msg("%s: exit %d, log %.300s", impostors[i].label, r.exit_code, r.log);
        if (mono_ms() - start_ms > 20 * SECOND)
            fail_msg("%s: took too long", impostors[i].label);
        walker_result_release(&r);
    }
    close(leak);
}

static void test_no_program(void **state)
{
    struct place *p = *state;
    struct walker_options o = {"/nonexistent/walker", p->symbols, SECOND, MEMORY, 0};
    struct walker_result r;
    struct err err = {0};
    FD_AUTO fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_false(walker_run(&o, fd, NULL, &r, &err));
    assert_int_equal(err.code, ERR_IO);
}

static const struct {
    const char *label;
    const char *bytes;
    size_t n;
    bool ok;
} packets[] = {
    {"four texts", "\1\0a\1\0b\1\0c\1\0d", 12, true},
    {"four empty texts", "\0\0\0\0\0\0\0\0", 8, true},
    {"three texts", "\1\0a\1\0b\1\0c", 9, false},
    {"surplus", "\1\0a\1\0b\1\0c\1\0de", 13, false},
    {"length beyond the packet",
     "\xff\xff"
     "a",
     3, false},
    {"one byte", "a", 1, false},
};

static void test_packets(void **state)
{
    (void)state;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    for (size_t i = 0; i < ARRAY_LEN(packets); i++) {
        char buf[WIRE_PACKET_MAX];
        struct symfind_key key;
        struct err err = {0};
        assert_int_equal(send(pair[0], packets[i].bytes, packets[i].n, 0), packets[i].n);
        if (wire_receive(pair[1], buf, &key, &err) != packets[i].ok)
            fail_msg("%s: %s", packets[i].label, err.msg);
        if (!packets[i].ok)
            assert_int_equal(err.code, ERR_INVALID);
    }
    char big[WIRE_PACKET_MAX + 1] = {0}, buf[WIRE_PACKET_MAX];
    struct symfind_key key;
    struct err err = {0};
    assert_int_equal(send(pair[0], big, sizeof big, 0), sizeof big);
    assert_false(wire_receive(pair[1], buf, &key, &err));
    assert_int_equal(err.code, ERR_INVALID);
    close(pair[0]);
    assert_false(wire_receive(pair[1], buf, &key, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    close(pair[1]);
}

static void test_answer(void **state)
{
    (void)state;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    struct symfind_result found = {.state = SYMFIND_LOADED, .url = "https://example.com/a.sym"};
    found.fd = open("Makefile", O_RDONLY | O_CLOEXEC);
    assert_true(
        wire_answer(pair[1], &found, ERR_IGNORED)); /* waits in the socket for the question */
    struct symfind_key key = {STR("a.so"), STR("00"), STR("a.so"), STR("")};
    struct symfind_result got;
    wire_ask(pair[0], &key, &got);
    assert_int_equal(got.state, SYMFIND_LOADED);
    assert_string_equal(got.url, found.url);
    struct stat a, b;
    assert_true(got.fd != found.fd && fstat(got.fd, &a) == 0 && fstat(found.fd, &b) == 0);
    assert_int_equal(a.st_ino, b.st_ino);
    close(got.fd);
    close(found.fd);
    close(pair[1]);
    wire_ask(pair[0], &key, &got); /* nobody there */
    assert_int_equal(got.state, SYMFIND_MISSING);
    assert_int_equal(got.fd, -1);
    close(pair[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_dump),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_invented_refusals),
        cmocka_unit_test(test_annotations),
        cmocka_unit_test(test_bad_dump),
#if !defined(__SANITIZE_ADDRESS__)
        cmocka_unit_test(test_memory_limit),
#endif
        cmocka_unit_test(test_impostors),
        cmocka_unit_test(test_no_program),
        cmocka_unit_test(test_packets),
        cmocka_unit_test(test_answer),
    };
    log_init("test", "error");
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
