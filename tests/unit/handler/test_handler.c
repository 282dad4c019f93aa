/* Parts of the crash handler: ELF identities, maps, answers of a collector, JSON, reports on
 * disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/handler/elf_id.h"
#include "client/handler/notes.h"
#include "client/handler/reports.h"
#include "client/handler/send.h"
#include "client/handler/target.h"
#include "client/handler/writer.h"
#include "lib/base/fs.h"
#include "lib/base/util.h"
#include "lib/json/json.h"

#define NOTE(n, d, type) n "\0\0\0" d "\0\0\0" type "\0\0\0"

static const struct {
    const char *label, *bytes;
    size_t n;
    const char *want; /* hex, NULL: none */
} note_cases[] = {
    {"empty", "", 0, NULL},
    {"build id", NOTE("\4", "\3", "\3") "GNU\0\1\2\3\0", 20, "010203"},
    {"without padding at the end", NOTE("\4", "\3", "\3") "GNU\0\1\2\3", 19, "010203"},
    {"behind another note",
     NOTE("\4", "\1", "\1") "GNU\0x\0\0\0" NOTE("\4", "\2", "\3") "GNU\0\xab\xcd\0\0", 40, "abcd"},
    {"of another owner", NOTE("\4", "\3", "\3") "FOO\0\1\2\3\0", 20, NULL},
    {"empty id", NOTE("\4", "\0", "\3") "GNU\0", 16, NULL},
    {"cut off", NOTE("\4", "\x14", "\3") "GNU\0\1\2\3\0", 20, NULL},
    {"name size wraps", "\xff\xff\xff\xff\4\0\0\0\3\0\0\0GNU\0\1\2\3\4", 20, NULL},
    {"id size wraps", "\4\0\0\0\xfd\xff\xff\xff\3\0\0\0GNU\0\1\2\3\4", 20, NULL},
};

static void test_notes_segment(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(note_cases); i++) {
        FREE_LATER uint8_t *copy = xmalloc(note_cases[i].n);
        memcpy(copy, note_cases[i].bytes, note_cases[i].n);
        uint8_t id[ELF_BUILD_ID_MAX];
        char hex[2 * ELF_BUILD_ID_MAX + 1] = "";
        size_t n;
        bool ok = elf_notes_build_id(rd_init(copy, note_cases[i].n), id, &n, ERR_IGNORED);
        if (ok)
            hex_encode(id, n, hex);
        if (ok != (note_cases[i].want != NULL) || (ok && strcmp(hex, note_cases[i].want) != 0))
            fail_msg("%s: %d %s", note_cases[i].label, ok, hex);
    }
}

static void test_soname(void **state)
{
    (void)state;
    static const uint64_t both[] = {1, 77, 14, 0x30, 5, 0x5000, 0, 0}; /* DT_NEEDED first */
    static const uint64_t end_first[] = {0, 0, 14, 0x30, 5, 0x5000};
    static const uint64_t no_strings[] = {14, 0x30, 0, 0};
    static const uint32_t narrow[] = {14, 0x30, 5, 0x5000, 0, 0};
    const struct {
        const char *label;
        const void *bytes;
        size_t n;
        bool is_64, want;
    } cases[] = {
        {"a library", both, sizeof both, true, true},
        {"cut off before the strings", both, 40, true, false},
        {"behind the end", end_first, sizeof end_first, true, false},
        {"no strings", no_strings, sizeof no_strings, true, false},
        {"32 bits", narrow, sizeof narrow, false, true},
        {"empty", both, 0, true, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        FREE_LATER uint8_t *copy = xmalloc(cases[i].n);
        memcpy(copy, cases[i].bytes, cases[i].n);
        struct elf_soname at = {0};
        bool ok = elf_dynamic_soname(rd_init(copy, cases[i].n), cases[i].is_64, &at, ERR_IGNORED);
        if (ok != cases[i].want || (ok && (at.offset != 0x30 || at.strings != 0x5000)))
            fail_msg("%s: %d", cases[i].label, ok);
    }
}

/* Every prefix of a real program: a value or an error. */
static void test_own_image(void **state)
{
    (void)state;
    FREE_LATER char *self = NULL;
    size_t n;
    assert_true(fs_read("/proc/self/exe", 256 << 20, &self, &n, ERR_IGNORED));
    struct elf_image e;
    struct err err = {0};
    for (size_t cut = 0; cut < 1024; cut++) {
        FREE_LATER uint8_t *copy = xmalloc(cut);
        memcpy(copy, self, cut);
        elf_image_read(rd_init(copy, cut), &e, ERR_IGNORED);
    }
    if (!elf_image_read(rd_init(self, n), &e, &err))
        fail_msg("%s", err.msg);
    assert_true(e.is_64 && e.low % 4096 == 0 && e.high % 4096 == 0 && e.high - e.low > 4096);
    uint8_t id[16];
    assert_true(elf_text_hash(rd_init(self, n), &e, id, ERR_IGNORED));
    assert_false(elf_image_read(
        rd_init("#!/bin/sh\nexit 1\n......................................", 55), &e, ERR_IGNORED));
}

static void test_maps(void **state)
{
    (void)state;
    struct target t = {.mem_fd = -1};
    sb_init(&t.maps_text, 10000);
    sb_text(&t.maps_text,
            "55c0-55d0 r-xp 00001000 08:01 77                 /opt/a program/x (deleted)\n"
            "junk\n"
            "7000-6000 r--p 0 00:00 0\n"
            "8000-9000 ---p 00000000 00:00 0 \n"
            "9000-a000 rw-s 00000000 00:01 5 /dev/zero\n"
            "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0   [vsyscall]");
    target_parse_maps(&t);
    assert_int_equal(t.maps.n, 4);
    assert_string_equal(t.maps.v[0].path, "/opt/a program/x (deleted)");
    assert_true(t.maps.v[0].executable && !t.maps.v[0].writable);
    assert_int_equal(t.maps.v[0].offset, 0x1000);
    assert_int_equal(t.maps.v[0].inode, 77);
    assert_string_equal(t.maps.v[1].path, "");
    assert_string_equal(t.maps.v[3].path, "[vsyscall]");
    assert_ptr_equal(target_mapping(&t, 0x8fff), &t.maps.v[1]);
    assert_ptr_equal(target_mapping(&t, 0x9000), &t.maps.v[2]);
    assert_null(target_mapping(&t, 0x7000));
    assert_ptr_equal(target_mapping_from(&t, 0x7000), &t.maps.v[1]);
    assert_null(target_mapping_from(&t, UINT64_MAX));
    target_close(&t);
}

static const struct {
    long status;
    const char *body;
    enum err_code want; /* ERR_NONE: taken */
} answers[] = {
    {200, "CrashID=bp-de1bb258-cbbf-4589-a673-34f800160918\n", ERR_NONE},
    {200, "CrashID=bp-de1bb258-cbbf-4589-a673-34f800160918\r\nStopSendingReportsFor=3\n", ERR_NONE},
    {200, "Discarded=rule_unsupported_product", ERR_INVALID},
    {400, "Discarded=malformed_no_annotations", ERR_INVALID},
    {413, "<html>too large</html>", ERR_INVALID},
    {200, "", ERR_UNAVAILABLE},
    {200, "<html>log in to this network first</html>", ERR_UNAVAILABLE},
    {200, "CrashID=bp-../../../x\n", ERR_UNAVAILABLE},
    {200, "CrashID=\n", ERR_UNAVAILABLE},
    {200, "CrashID=bp-000000000000000000000000000000000000000000000000000000000000000000\n",
     ERR_UNAVAILABLE},
    {429, "", ERR_UNAVAILABLE},
    {500, "", ERR_UNAVAILABLE},
    {503, "CrashID=bp-de1bb258-cbbf-4589-a673-34f800160918\n", ERR_UNAVAILABLE},
    {302, "", ERR_UNAVAILABLE},
};

static void test_judge(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        char id[SEND_ID_MAX] = "";
        struct err err = {0};
        send_judge(answers[i].status, str_of(answers[i].body), id, &err);
        if (err.code != answers[i].want)
            fail_msg("%ld %s: %s", answers[i].status, answers[i].body, err.msg);
        assert_string_equal(id,
                            err.code == ERR_NONE ? "bp-de1bb258-cbbf-4589-a673-34f800160918" : "");
    }
}

static void test_url(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"http://host", "http://host/submit"},
        {"https://host:8443/", "https://host:8443/submit"},
        {"http://host/submit", "http://host/submit"},
        {"http://host/a/b?x=1", "http://host/a/b?x=1"},
        {"ftp://host/", NULL},
        {"file:///etc/passwd", NULL},
        {"host", NULL},
        {"http://", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char out[64];
        bool ok = send_url(cases[i][0], out, sizeof out, ERR_IGNORED);
        if (ok != (cases[i][1] != NULL) || (ok && strcmp(out, cases[i][1]) != 0))
            fail_msg("%s: %s", cases[i][0], ok ? out : "refused");
    }
    char small[20];
    assert_false(send_url("http://a-long-host-name", small, sizeof small, ERR_IGNORED));
}

static void test_json(void **state)
{
    (void)state;
    FREE_LATER struct annotations *t = xcalloc(1, sizeof *t);
    datil_annotations_init(t);
    static const char odd[] = "a\"b\\c\n\x01\xff\xe2\x98";
    datil_annotations_set(t, "Odd", odd, sizeof odd - 1);
    datil_annotations_set(t, "Zero", "a\0b", 3);
    datil_annotations_set(t, "StartupTime", "1799999990", 10);
    datil_annotations_set(t, "TotalPhysicalMemory", "42", 2);
    struct notes_facts facts = {
        .now_us = 1800000000500000, .last_crash_s = 1799999000, .dumper_error = "too \"bad\""};
    STRBUF_AUTO out;
    sb_init(&out, NOTES_JSON_MAX);
    notes_json(t, &facts, &out);

    json_auto_t *v = jparse(sb_view(&out), NOTES_JSON_MAX, ERR_IGNORED);
    assert_non_null(v);
    assert_string_equal(json_string_value(json_object_get(v, "CrashTime")), "1800000000");
    assert_string_equal(json_string_value(json_object_get(v, "UptimeTS")), "10.500");
    assert_string_equal(json_string_value(json_object_get(v, "SecondsSinceLastCrash")), "1000");
    assert_string_equal(json_string_value(json_object_get(v, "DumperError")), "too \"bad\"");
    /* What the program says counts. */
    assert_string_equal(json_string_value(json_object_get(v, "TotalPhysicalMemory")), "42");
    assert_non_null(
        strstr(json_string_value(json_object_get(v, "Odd")), "a\"b\\c\n\x01\xef\xbf\xbd"));
}

static void test_writer_strings(void **state)
{
    (void)state;
    STRBUF_AUTO out;
    struct err err = {0};
    struct writer w;
    sb_init(&out, 4096);
    writer_begin(&w, &out, 1234567890);
    uint32_t rva = w_string(&w, STR("h\xc3\xa4\xf0\x9f\x98\x80"));
    static const uint8_t want[] = {8, 0, 0, 0, 'h', 0, 0xe4, 0, 0x3d, 0xd8, 0x00, 0xde, 0, 0};
    assert_memory_equal(out.p + rva, want, sizeof want);
    uint32_t begin = w_begin(&w);
    w_u32(&w, 0xaabbccdd);
    w_stream(&w, 77, begin);
    assert_true(writer_end(&w, &err));
    struct rd r = rd_init(out.p, out.n);
    assert_int_equal(rd_u32(&r), 0x504d444d);
    rd_skip(&r, 4);
    assert_int_equal(rd_u32(&r), 1);
    struct rd entry = rd_window(&r, rd_u32(&r), 12);
    assert_int_equal(rd_u32(&entry), 77);
    assert_int_equal(rd_u32(&entry), 4);
    assert_int_equal(rd_u32(&entry), begin);
}

static void test_writer_limit(void **state)
{
    (void)state;
    STRBUF_AUTO out;
    struct err err = {0};
    struct writer w;
    sb_init(&out, 100);
    writer_begin(&w, &out, 0);
    w_zeros(&w, 200);
    w_string(&w, STR("behind the end"));
    assert_false(writer_end(&w, &err));
    assert_int_equal(err.code, ERR_TOO_LARGE);
}

static size_t count_entries(const char *root, const char *below)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", root, below);
    DIR *d = opendir(path);
    size_t n = 0;
    struct dirent *e;
    while (d && (e = readdir(d)))
        n += e->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

static void test_reports(void **state)
{
    (void)state;
    char root[] = "/tmp/datil-reports-XXXXXX";
    assert_non_null(mkdtemp(root));
    struct reports r;
    struct err err = {0};
    assert_true(reports_open(&r, root, NULL, &err));
    assert_int_equal(reports_last_crash_s(&r), 0);
    struct pending_report first = {.lock = -1}, again = {.lock = -1};
    assert_true(reports_add(&r, STR("{}"), STR("MDMP"), 1800000000000000, &first, &err));
    assert_int_equal(reports_last_crash_s(&r), 1800000000);
    assert_int_equal(count_entries(root, "pending"), 1);
    assert_int_equal(count_entries(root, "tmp"), 0);

    /* Nobody else can send what is locked. */
    memcpy(again.name, first.name, sizeof again.name);
    assert_false(reports_send(&r, &again, &err));
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_false(reports_send(&r, &first, &err)); /* no address; gives the lock back */
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    assert_int_equal(first.lock, -1);
    assert_int_equal(count_entries(root, "pending"), 1);

    /* An address that is none says nothing about the report: that stays, too. */
    r.url = "crash-reports.example.org";
    assert_false(reports_send(&r, &first, &err));
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    assert_int_equal(count_entries(root, "pending"), 1);
    fs_remove_tree(root, ERR_IGNORED);
}

/* What others can put into a database would be sent, or removed with all it holds. */
static void test_a_database_that_others_could_fill(void **state)
{
    (void)state;
    char top[] = "/tmp/datil-reports-XXXXXX", root[100], path[200];
    assert_non_null(mkdtemp(top));
    snprintf(root, sizeof root, "%s/db", top);
    struct reports r;
    struct err err = {0};
    assert_true(reports_open(&r, root, NULL, &err));

    snprintf(path, sizeof path, "%s/pending", root);
    assert_int_equal(chmod(path, 0777), 0);
    assert_false(reports_open(&r, root, NULL, &err));
    assert_non_null(strstr(err.msg, "everybody may write"));
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(symlink(top, path), 0);
    assert_false(reports_open(&r, root, NULL, &err));
    assert_non_null(strstr(err.msg, "not a directory"));
    assert_int_equal(unlink(path), 0);
    assert_true(reports_open(&r, root, NULL, &err));

    assert_int_equal(chmod(root, 01777), 0);
    assert_false(reports_open(&r, root, NULL, &err));
    assert_int_equal(chmod(root, 0700), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(root, 1, 1), 0);
        assert_false(reports_open(&r, root, NULL, &err));
        assert_non_null(strstr(err.msg, "another user"));
    }
    fs_remove_tree(top, ERR_IGNORED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notes_segment),
        cmocka_unit_test(test_own_image),
        cmocka_unit_test(test_soname),
        cmocka_unit_test(test_maps),
        cmocka_unit_test(test_judge),
        cmocka_unit_test(test_url),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_writer_strings),
        cmocka_unit_test(test_writer_limit),
        cmocka_unit_test(test_reports),
        cmocka_unit_test(test_a_database_that_others_could_fill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
