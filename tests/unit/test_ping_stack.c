/*
 * Stacks and signatures of pings: what the entries of a stack are for frames of all kinds, and that
 * the signature is the one that a report with the same stack has.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/ping/ping.h"
#include "lib/ping/ping_signature.h"
#include "lib/ping/ping_symbols.h"
#include "lib/signature/signature.h"
#include "lib/symfile/symbolize.h"
#include "lib/symfile/symfind.h"

#define ID "44E4EC8C2F41492B9369D6B9A059577C2"
static const char symbols[] = "MODULE windows x86_64 " ID " app.pdb\n"
                              "FILE 0 c:\\src\\app.cpp\n"
                              "FILE 1 c:\\src\\inner.h\n"
                              "INLINE_ORIGIN 0 inner()\n"
                              "FUNC 1000 100 0 outer(int)\n"
                              "INLINE 0 12 0 0 1000 80\n"
                              "1000 80 7 1\n"
                              "1080 80 20 0\n"
                              "PUBLIC 3000 0 exported\n";

struct stack_fixture {
    char dir[64];
    struct symfind *find;
    struct symbolizer *symbolizer;
    struct ping_symbols symbols;
    struct siglists *lists;
};

static int begin(void **state)
{
    struct stack_fixture *f = xcalloc(1, sizeof *f);
    struct err err = {0};
    char path[200], cache[100];
    snprintf(f->dir, sizeof f->dir, "/tmp/test-ping-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(path, sizeof path, "%s/sym/app.pdb/" ID "/app.sym", f->dir);
    assert_true(fs_write_atomic(path, symbols, sizeof symbols - 1, FS_FILE_MODE, &err));
    snprintf(path, sizeof path, "%s/sym", f->dir);
    snprintf(cache, sizeof cache, "%s/cache", f->dir);
    const char *dirs[] = {path, NULL};
    const struct symfind_options options = {
        .cache_dir = cache, .cache_max_bytes = 1 << 30, .sym_dirs = dirs};
    if (!symfind_new(&options, &f->find, &err) || !siglists_load(NULL, &f->lists, &err))
        fail_msg("%s", err.msg);
    struct symfind_result warm; /* compiled here, not by a process beside */
    symfind_get_here(f->find, &(struct symfind_key){STR("app.pdb"), STR(ID), STR(""), STR("")},
                     &warm);
    assert_int_equal(warm.state, SYMFIND_LOADED);
    close(warm.fd);
    f->symbolizer = symbolizer_new(f->find);
    ping_symbols_init(&f->symbols, f->symbolizer, NULL);
    *state = f;
    return 0;
}

static int end(void **state)
{
    struct stack_fixture *f = *state;
    ping_symbols_release(&f->symbols);
    symbolizer_free(f->symbolizer);
    symfind_free(f->find);
    siglists_free(f->lists);
    fs_remove_tree(f->dir, ERR_IGNORED);
    free(f);
    return 0;
}

#define MODULES                                                                                    \
    "\"modules\": [{\"filename\": \"App.exe\", \"debug_file\": \"c:\\\\x\\\\app.pdb\", "           \
    "\"debug_id\": \"" ID "\", \"base_address\": \"0x400000\"}, {\"filename\": \"Other.dll\", "    \
    "\"base_address\": \"0x800000\"}]"

/* The document of a ping with these frames, as JSON. */
static json_t *doc_of_frames(const char *frames)
{
    struct arena a;
    json_t *doc = NULL;
    bool has_content;
    const struct ping_given given = {0};
    STRBUF_AUTO body;
    sb_init(&body, 8 << 20);
    sb_printf(&body,
              "{\"os\": \"Windows_NT\", \"stack_traces\": {" MODULES
              ", \"threads\": [{\"frames\": [%s]}]}}",
              frames);
    json_auto_t *v = jparse_given(sb_view(&body), JSON_BYTES_MAX, ERR_IGNORED);
    assert_non_null(v);
    arena_init(&a, 64 << 20);
    assert_true(ping_read(&a, v, &given, &doc, &has_content, ERR_IGNORED));
    arena_release(&a);
    return doc;
}

static json_t *stack_of(struct stack_fixture *f, const char *frames)
{
    bool is_pending;
    json_auto_t *doc = doc_of_frames(frames);
    json_t *entries = ping_symbolicate(&f->symbols, doc, &is_pending);
    ping_symbols_close(&f->symbols);
    assert_false(is_pending);
    return entries;
}

#define HEX(n) "0x0000000000" n

static const struct {
    const char *frames, *expected;
} frame_cases[] = {
    {"{\"ip\": \"0x401090\", \"module_index\": 0, \"trust\": \"cfi\"}",
     "[{\"file\": \"c:\\\\src\\\\app.cpp\", \"function\": \"outer(int)\", \"function_offset\": "
     "\"" HEX("000090") "\", "
                        "\"line\": 20, \"module\": \"App.exe\", \"module_offset\": \"" HEX(
                            "001090") "\", \"offset\": \"" HEX("401090") "\", "
                                                                         "\"trust\": \"cfi\"}]"},
    {"{\"ip\": \"0x401010\", \"module_index\": 0}",
     "[{\"file\": \"c:\\\\src\\\\inner.h\", \"function\": \"inner()\", \"line\": 7, \"module\": "
     "\"App.exe\", "
     "\"module_offset\": \"" HEX("001010") "\", \"offset\": \"" HEX(
         "401010") "\"}, "
                   "{\"file\": \"c:\\\\src\\\\app.cpp\", \"function\": \"outer(int)\", "
                   "\"function_offset\": \"" HEX(
                       "000010") "\", "
                                 "\"line\": 12, \"module\": \"App.exe\", \"module_offset\": \"" HEX(
                                     "001010") "\", \"offset\": \"" HEX("401010") "\"}]"},
    {"{\"ip\": \"0x403004\", \"module_index\": 0}",
     "[{\"function\": \"exported\", \"function_offset\": \"" HEX(
         "000004") "\", \"module\": \"App.exe\", "
                   "\"module_offset\": \"" HEX("003004") "\", \"offset\": \"" HEX("403004") "\"}]"},
    {"{\"ip\": \"0x800010\", \"module_index\": 1}",
     "[{\"module\": \"Other.dll\", \"module_offset\": \"" HEX("000010") "\", \"offset\": \"" HEX(
         "800010") "\"}]"},
    {"{\"ip\": \"0x10\", \"module_index\": 0}", /* below its module */
     "[{\"module\": \"App.exe\", \"offset\": \"" HEX("000010") "\"}]"},
    {"{\"ip\": \"0x200401090\", \"module_index\": 0}", /* further than 4 GiB behind it */
     "[{\"module\": \"App.exe\", \"offset\": \"0x0000000200401090\"}]"},
    {"{\"ip\": \"0x401090\"}", "[{\"offset\": \"" HEX("401090") "\"}]"},
    {"{\"ip\": \"0x401090\", \"module_index\": 7}", "[{\"offset\": \"" HEX("401090") "\"}]"},
    {"{\"ip\": \"here\", \"module_index\": 0}", "[{\"error\": \"the address cannot be read\"}]"},
    {"{}", "[{\"error\": \"the address cannot be read\"}]"},
    {"", "[]"},
};

static void test_frames(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(frame_cases); i++) {
        json_auto_t *entries = stack_of(*state, frame_cases[i].frames);
        json_auto_t *expected = json_loads(frame_cases[i].expected, 0, NULL);
        FREE_LATER char *text = jdump(entries, NULL);
        assert_non_null(expected);
        if (!json_equal(entries, expected))
            fail_msg("%s: %s", frame_cases[i].frames, text);
    }
}

/* Long stacks keep both ends, also when they become long by inlined calls. */
static void test_long_stacks(void **state)
{
    static const struct {
        int frames;
        const char *ip;
        size_t entries;
        int64_t omitted;
    } rows[] = {{300, "0x401090", 101, 200}, {101, "0x401090", 101, 1},
                {100, "0x401090", 100, 0},   {90, "0x401010", 101, 80},
                {50, "0x401010", 100, 0},    {300, "0x401010", 101, 300}};
    for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
        STRBUF_AUTO frames;
        sb_init(&frames, 1 << 20);
        for (int i = 0; i < rows[r].frames; i++)
            sb_printf(&frames, "%s{\"ip\": \"%s\", \"module_index\": 0}", i ? "," : "", rows[r].ip);
        json_auto_t *entries = stack_of(*state, sb_cstr(&frames));
        assert_int_equal(json_array_size(entries), rows[r].entries);
        assert_int_equal(jget_int_or(json_array_get(entries, 50), "omitted", 0), rows[r].omitted);
    }
}

static void check_signature(struct stack_fixture *f, const char *frames, const char *report,
                            const char *expected)
{
    bool is_pending;
    json_auto_t *doc = doc_of_frames(frames), *result = json_object();
    json_auto_t *entries = ping_symbolicate(&f->symbols, doc, &is_pending);
    ping_symbols_close(&f->symbols);
    ping_sign(f->lists, doc, entries, result);
    json_auto_t *processed = json_loads(report, 0, NULL);
    assert_non_null(processed);
    json_auto_t *data = signature_crash_data(processed);
    struct signature_result r;
    signature_generate(f->lists, data, &r);
    assert_string_equal(jget_str(result, "signature"), json_string_value(r.signature));
    assert_string_equal(jget_str(result, "signature"), expected);
    const char *proto = jget_str(result, "proto_signature");
    assert_string_equal(proto ? proto : "",
                        r.proto_signature ? json_string_value(r.proto_signature) : "");
    signature_result_release(&r);
}

#define REPORT(frames)                                                                             \
    "{\"json_dump\": {\"crash_info\": {\"crashing_thread\": 0}, \"system_info\": {\"os\": "        \
    "\"Windows NT\"}, \"threads\": [{\"frames\": [" frames "]}]}}"

/* A report has inlined calls inside the frame, a ping as entries. */
static void test_same_signature(void **state)
{
    check_signature(
        *state,
        "{\"ip\": \"0x401010\", \"module_index\": 0}, {\"ip\": \"0x800010\", \"module_index\": 1}",
        REPORT("{\"module\": \"App.exe\", \"offset\": \"0x0000000000401010\", \"function\": "
               "\"outer(int)\", "
               "\"file\": \"c:\\\\src\\\\app.cpp\", \"line\": 12, \"inlines\": [{\"function\": "
               "\"inner()\", \"file\": "
               "\"c:\\\\src\\\\inner.h\", \"line\": 7}]}, {\"module\": \"Other.dll\", \"offset\": "
               "\"0x0000000000800010\"}"),
        "inner");
    check_signature(
        *state, "{\"ip\": \"0x800010\", \"module_index\": 1}, {\"ip\": \"0x5\"}",
        REPORT("{\"module\": \"Other.dll\", \"offset\": \"0x0000000000800010\"}, {\"offset\": "
               "\"0x0000000000000005\"}"),
        "other.dll");
    check_signature(*state, "", REPORT(""), "EMPTY: no frame data available");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_frames, begin, end),
        cmocka_unit_test_setup_teardown(test_long_stacks, begin, end),
        cmocka_unit_test_setup_teardown(test_same_signature, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
