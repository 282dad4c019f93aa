#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fcgi/collector/report_form.h"
#include "lib/base/fs.h"
#include "lib/base/util.h"

#define B                "--XX\r\n"
#define END              "--XX--\r\n"
#define CD               "Content-Disposition: form-data; name="
#define KV(k, v)         B CD k "\r\n\r\n" v "\r\n"
#define JSON(name, text) B CD name "\r\nContent-Type: application/json\r\n\r\n" text "\r\n"
#define FILE_(name, data)                                                                          \
    B CD name "; filename=f\r\nContent-Type: application/octet-stream\r\n\r\n" data "\r\n"
#define SHA_X "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881" /* of "x" */
#define SHA_Y "a1fce4363854ff888cff4b8e7875d600c2682390412a8cf79b37d0b11148b0fa" /* of "y" */

/* clang-format off */
static const struct {
    const char *label, *body;
    const char *annotations, *notes, *checksums; /* sorted JSON */
    const char *reason; /* malformed; the three above do not matter then */
} cases[] = {
    {"fields", KV("a", "1") KV("\"b\"", "2\r\n") END, "{\"a\": \"1\", \"b\": \"2\\r\\n\"}", "[]", "{}", NULL},
    {"last one wins", KV("a", "1") KV("a", "2") END, "{\"a\": \"2\"}", "[]", "{}", NULL},
    {"extra", JSON("extra; filename=extra.json", "{\"a\": 1, \"b\": [null]}") END, "{\"a\": 1, \"b\": [null]}", "[]", "{}", NULL},
    {"extra without filename", JSON("extra", "{\"a\": 1}") END, "{\"a\": 1}", "[]", "{}", NULL},
    {"JSON type in capitals", B CD "extra\r\nContent-Type: Application/JSON; x=y\r\n\r\n{\"a\": 1}\r\n" END, "{\"a\": 1}", "[]", "{}", NULL},
    {"JSON replaces what came before", KV("a", "1") JSON("extra", "{\"b\": 2}") KV("c", "3") END, "{\"b\": 2, \"c\": \"3\"}", "[\"includes annotations in both json-encoded extra and formdata parts\"]", "{}", NULL},
    {"second extra replaces the first", JSON("extra", "{\"a\": 1}") JSON("extra", "{\"b\": 2}") END, "{\"b\": 2}", "[]", "{}", NULL},
    {"JSON of another name, alone", JSON("meta; filename=m.json", "{\"a\": 1}") END, "{\"a\": 1}", "[]", "{}", NULL},
    {"JSON of another name and fields", KV("z", "0") JSON("meta; filename=m", "{\"a\": 1}") KV("b", "2") END, "{\"a\": 1, \"b\": \"2\"}", "[\"includes annotations in both json-encoded extra and formdata parts\"]", "{}", NULL},
    {"JSON of another name, then extra", JSON("meta; filename=m", "x") JSON("extra", "{\"a\": 1}") END, "{\"a\": 1}", "[\"unknown content type: meta application/json\"]", "{\"meta\": \"" SHA_X "\"}", NULL},
    {"extra, then JSON of another name", JSON("extra", "{\"a\": 1}") JSON("meta; filename=m", "x") END, "{\"a\": 1}", "[\"unknown content type: meta application/json\"]", "{\"meta\": \"" SHA_X "\"}", NULL},
    {"first JSON without filename", JSON("other", "{\"a\": 1}") JSON("meta", "x") END, "{\"a\": 1}", "[\"unknown content type: meta application/json\"]", "{\"meta\": \"" SHA_X "\"}", NULL},
    {"reserved name that holds the annotations", JSON("raw_crash; filename=m", "{\"a\": 1}") END, "{\"a\": 1}", "[]", "{}", NULL},
    {"reserved name beside extra", JSON("raw_crash; filename=m", "x") JSON("extra", "{\"a\": 1}") END, NULL, NULL, NULL, "invalid_dump_name"},
    {"file", KV("a", "1") FILE_("upload_file_minidump", "x") END, "{\"a\": \"1\"}", "[]", "{\"upload_file_minidump\": \"" SHA_X "\"}", NULL},
    {"file without type", KV("a", "1") B CD "log; filename=f\r\n\r\nx\r\n" END, "{\"a\": \"1\"}", "[\"unknown content type: log text/plain\"]", "{\"log\": \"" SHA_X "\"}", NULL},
    {"octet-stream without filename", KV("a", "1") B CD "log\r\nContent-Type: application/octet-stream\r\n\r\nx\r\n" END, "{\"a\": \"1\"}", "[]", "{\"log\": \"" SHA_X "\"}", NULL},
    {"memory report", KV("a", "1") B CD "memory_report; filename=f\r\nContent-Type: application/gzip\r\n\r\nx\r\n" END, "{\"a\": \"1\"}", "[\"unknown content type: memory_report application/gzip\"]", "{\"memory_report\": \"" SHA_X "\"}", NULL},
    {"same file twice", KV("a", "1") FILE_("d", "xxxx") FILE_("d", "y") END, "{\"a\": \"1\"}", "[]", "{\"d\": \"" SHA_Y "\"}", NULL},
    {"file and field of one name", KV("d", "1") FILE_("d", "x") END, "{\"d\": \"1\"}", "[]", "{\"d\": \"" SHA_X "\"}", NULL},
    {"name that climbs", KV("a", "1") FILE_("\"../../etc/pass-wd.\xce\x94\"", "x") END, "{\"a\": \"1\"}", "[]", "{\"etcpasswd\": \"" SHA_X "\"}", NULL},
    {"unusable name", KV("a", "1") FILE_("\"../..\"", "x") END, "{\"a\": \"1\"}", "[\"file part without usable name stored as unnamed\"]", "{\"unnamed\": \"" SHA_X "\"}", NULL},
    {"named dump", KV("a", "1") FILE_("dump", "x") END, "{\"a\": \"1\"}", "[\"file part dump stored as dump_file\"]", "{\"dump_file\": \"" SHA_X "\"}", NULL},
    {"reserved", KV("a", "1") FILE_("\"raw.crash_\"", "x") FILE_("\"raw_crash.\"", "x") END, NULL, NULL, NULL, "invalid_dump_name"},
    {"no name", KV("a", "1") B CD "\"\"\r\n\r\nx\r\n" B "X-A: b\r\n\r\ny\r\n" END, "{\"a\": \"1\"}", "[]", "{}", NULL},
    {"broken name", KV("a", "1") B CD "\"\xff\"\r\n\r\nx\r\n" END, "{\"a\": \"1\"}", "[\"skipped a part whose headers are not text\"]", "{}", NULL},
    {"broken UTF-8", KV("a", "1") KV("b", "\xff") END, "{\"a\": \"1\"}", "[\"extract payload text part exception: invalid text or charset: utf-8\"]", "{}", NULL},
    {"latin-1", B CD "a\r\nContent-Type: text/plain; charset=ISO-8859-1\r\n\r\n\xe9\r\n" END, "{\"a\": \"\\u00E9\"}", "[]", "{}", NULL},
    {"windows-1252", B CD "a\r\nContent-Type: text/plain; charset=\"windows-1252\"\r\n\r\n\x80\r\n" END, "{\"a\": \"\\u20AC\"}", "[]", "{}", NULL},
    {"us-ascii that is none", KV("b", "1") B CD "a\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n\xe9\r\n" END, "{\"b\": \"1\"}", "[\"extract payload text part exception: invalid text or charset: us-ascii\"]", "{}", NULL},
    {"unknown charset", KV("b", "1") B CD "a\r\nContent-Type: text/plain; charset=klingon\r\n\r\nx\r\n" END, "{\"b\": \"1\"}", "[\"extract payload text part exception: invalid text or charset: klingon\"]", "{}", NULL},
    {"percent stays", KV("\"a%22b\"", "%41") END, "{\"a%22b\": \"%41\"}", "[]", "{}", NULL},
    {"NUL in JSON", JSON("extra", "{\"a\": \"x\\u0000y\", \"b\\u0000\": \"\\u0000\"}") END, "{\"a\": \"xy\", \"b\": \"\"}", "[\"removed NUL characters from 2 annotations\"]", "{}", NULL},
    {"lone surrogate", JSON("extra", "{\"a\": \"\\ud800\"}") END, "{\"a\": \"\\uFFFD\"}", "[\"replaced 1 lone surrogates\"]", "{}", NULL},
    {"not JSON", JSON("extra", "{") END, NULL, NULL, NULL, "invalid_json"},
    {"empty JSON", JSON("extra", "") END, NULL, NULL, NULL, "invalid_json"},
    {"not an object", JSON("extra", "[1]") END, NULL, NULL, NULL, "invalid_json_value"},
    {"first mistake counts", JSON("extra", "{") FILE_("raw_crash", "x"), NULL, NULL, NULL, "invalid_json"},
    {"empty object", JSON("extra", "{}") END, NULL, NULL, NULL, "no_annotations"},
    {"only files", FILE_("d", "x") END, NULL, NULL, NULL, "no_annotations"},
    {"nothing", END, NULL, NULL, NULL, "no_annotations"},
    {"no end", KV("a", "1"), NULL, NULL, NULL, "(structure)"},
};

static const struct {
    const char *name, *want;
    enum dump_name_change change;
} name_cases[] = {
    {"upload_file_minidump", "upload_file_minidump", DUMP_NAME_PLAIN},
    {"upload_file_minidump_browser", "upload_file_minidump_browser", DUMP_NAME_PLAIN},
    {"../../etc/pass-wd.\xce\x94", "etcpasswd", DUMP_NAME_PLAIN},
    {"123456789012345678901234567890X", "123456789012345678901234567890", DUMP_NAME_PLAIN},
    {"", "unnamed", DUMP_NAME_WAS_EMPTY},
    {"/.-", "unnamed", DUMP_NAME_WAS_EMPTY},
    {"dump", "dump_file", DUMP_NAME_WAS_DUMP},
    {"du.mp", "dump_file", DUMP_NAME_WAS_DUMP},
    {"Dump", "Dump", DUMP_NAME_PLAIN},
};

static const struct {
    const char *label, *in, *product, *version, *want; /* want NULL: nothing mapped */
} breakpad_cases[] = {
    {"all", "{\"prod\": \"P\", \"ver\": \"1\", \"comments\": \"c\", \"channel\": \"x\"}", NULL, NULL, "{\"Comments\": \"c\", \"ProductName\": \"P\", \"ReleaseChannel\": \"x\", \"Version\": \"1\", \"channel\": \"x\", \"comments\": \"c\", \"prod\": \"P\", \"ver\": \"1\"}"},
    {"comments_", "{\"comments_\": \"c\"}", NULL, NULL, "{\"Comments\": \"c\", \"comments_\": \"c\"}"},
    {"there is a product", "{\"ProductName\": \"Q\", \"prod\": \"P\"}", NULL, NULL, NULL},
    {"version stays", "{\"prod\": \"P\", \"ver\": \"1\", \"Version\": \"2\"}", NULL, NULL, "{\"ProductName\": \"P\", \"Version\": \"2\", \"prod\": \"P\", \"ver\": \"1\"}"},
    {"query", "{\"a\": \"b\"}", "P", "3", "{\"ProductName\": \"P\", \"Version\": \"3\", \"a\": \"b\"}"},
    {"query is the last resort", "{\"prod\": \"P\"}", "Q", NULL, "{\"ProductName\": \"P\", \"prod\": \"P\"}"},
    {"Electron", "{\"_productName\": \"P\", \"_version\": \"1\", \"prod\": \"Electron\", \"ver\": \"28\"}", "Q", "3", "{\"ProductName\": \"P\", \"Version\": \"1\", \"_productName\": \"P\", \"_version\": \"1\", \"prod\": \"Electron\", \"ver\": \"28\"}"},
    {"Electron without version", "{\"_productName\": \"P\", \"prod\": \"Electron\", \"ver\": \"28\"}", NULL, NULL, "{\"ProductName\": \"Electron\", \"Version\": \"28\", \"_productName\": \"P\", \"prod\": \"Electron\", \"ver\": \"28\"}"},
    {"nothing to map", "{\"a\": \"b\"}", NULL, NULL, NULL},
};
/* clang-format on */

struct fixture {
    char dir[64];
    struct spool spool;
};

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/test-report-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    f->spool = (struct spool){.dir = f->dir, .no_fsync = true};
    *state = f;
    return spool_open(&f->spool, ERR_IGNORED) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    fs_remove_tree(f->dir, ERR_IGNORED);
    free(f);
    return 0;
}

/* Feeds a body cut in two, the second part byte by byte if wanted; true if it is a good report. */
static bool read_report(struct report *r, struct str body, size_t first, bool bytewise)
{
    struct multipart m;
    assert_true(multipart_init(&m, STR("XX"), &report_events, r, ERR_IGNORED));
    bool ok = multipart_feed(&m, body.p, first, ERR_IGNORED);
    size_t step = bytewise ? 1 : MAX(body.n - first, (size_t)1);
    for (size_t at = first; ok && at < body.n; at += step)
        ok = multipart_feed(&m, body.p + at, MIN(step, body.n - at), ERR_IGNORED);
    ok = ok && multipart_finish(&m, ERR_IGNORED) && report_finish(r, ERR_IGNORED);
    if (!ok && !r->reason && m.is_structure)
        r->reason = "(structure)";
    multipart_release(&m);
    return ok;
}

static void same(const char *label, const char *what, const json_t *got, const char *want)
{
    FREE_LATER char *text = json_dumps(got, JSON_SORT_KEYS | JSON_ENSURE_ASCII);
    if (strcmp(text, want) != 0)
        fail_msg("%s: %s are %s", label, what, text);
}

static void test_parts(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str body = str_of(cases[i].body);
        for (size_t cut = 0; cut <= body.n; cut++) {
            struct report r;
            report_init(&r, &f->spool, &fields_builtin, "upload_file_minidump", 5000);
            bool ok = read_report(&r, body, cut, cut % 7 == 0);
            const char *reason = ok ? NULL : r.reason;
            if ((reason != NULL) != (cases[i].reason != NULL) ||
                (reason && strcmp(reason, cases[i].reason) != 0))
                fail_msg("%s, cut at %zu: %s", cases[i].label, cut, reason ? reason : "accepted");
            if (ok) {
                same(cases[i].label, "annotations", r.annotations, cases[i].annotations);
                same(cases[i].label, "notes", r.notes, cases[i].notes);
                same(cases[i].label, "checksums", r.checksums, cases[i].checksums);
            }
            report_release(&r);
        }
    }
}

static void test_nul_in_fields(void **state)
{
    struct fixture *f = *state;
    static const char body[] = B CD "\"a\0b\"\r\n\r\nx\0y\0\r\n" B CD "\"\0\"\r\n\r\nz\r\n" END;
    struct report r;
    report_init(&r, &f->spool, &fields_builtin, "upload_file_minidump", 5000);
    assert_true(read_report(&r, str_n(body, sizeof body - 1), 0, false));
    same("NUL", "annotations", r.annotations, "{\"ab\": \"xy\"}");
    report_release(&r);
}

static void add_part(struct strbuf *b, const char *name, size_t n)
{
    sb_printf(b, B CD "%s\r\n\r\n", name);
    for (size_t i = 0; i < n; i++)
        sb_char(b, 'x');
    sb_text(b, "\r\n");
}

static void test_long_values(void **state)
{
    struct fixture *f = *state;
    STRBUF_AUTO body;
    sb_init(&body, 64 << 20);
    add_part(&body, "fits", REPORT_TEXT_MAX);
    add_part(&body, "too_long", REPORT_TEXT_MAX + 1);
    add_part(&body, "all_together", REPORT_TEXT_MAX - 1);
    STRBUF_AUTO name;
    sb_init(&name, 1000);
    for (int i = 0; i < REPORT_NAME_MAX + 1; i++)
        sb_char(&name, 'n');
    add_part(&body, sb_cstr(&name), 1);
    add_part(&body, sb_cstr(&name) + 1, 1);
    sb_text(&body, END);
    struct report r;
    report_init(&r, &f->spool, &fields_builtin, "upload_file_minidump", 5000);
    assert_true(read_report(&r, sb_view(&body), 1000, false));
    assert_int_equal(json_object_size(r.annotations), 2);
    assert_int_equal(jget_strn(r.annotations, "fits").n, REPORT_TEXT_MAX);
    assert_non_null(json_object_get(r.annotations, sb_cstr(&name) + 1));
    same("long", "notes", r.notes,
         "[\"extract payload text part exception: body part is too large\", "
         "\"extract payload text part exception: body part is too large\", "
         "\"dropped annotation: name longer than 256 bytes\"]");
    report_release(&r);
}

static void test_counts(void **state)
{
    struct fixture *f = *state;
    for (size_t parts = REPORT_PARTS_MAX; parts <= REPORT_PARTS_MAX + 1; parts++) {
        STRBUF_AUTO body;
        sb_init(&body, 16 << 20);
        for (size_t i = 0; i < parts; i++) {
            char name[20];
            snprintf(name, sizeof name, "k%zu", i);
            add_part(&body, name, 1);
        }
        sb_text(&body, END);
        struct report r;
        report_init(&r, &f->spool, &fields_builtin, "upload_file_minidump", 5000);
        assert_int_equal(read_report(&r, sb_view(&body), 9, false), parts == REPORT_PARTS_MAX);
        if (parts > REPORT_PARTS_MAX)
            assert_string_equal(r.reason, "too_many_parts");
        else
            assert_int_equal(json_object_size(r.annotations), parts);
        report_release(&r);
    }
}

static void test_dump_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(name_cases); i++) {
        char got[DUMP_NAME_SIZE];
        enum dump_name_change change = dump_name_of(str_of(name_cases[i].name), got);
        if (strcmp(got, name_cases[i].want) != 0 || change != name_cases[i].change)
            fail_msg("%s: got %s", name_cases[i].name, got);
    }
}

static void test_breakpad_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(breakpad_cases); i++) {
        json_auto_t *a = json_loads(breakpad_cases[i].in, 0, NULL);
        bool mapped = names_map_breakpad(a, str_of(breakpad_cases[i].product),
                                         str_of(breakpad_cases[i].version));
        if (mapped != (breakpad_cases[i].want != NULL))
            fail_msg("%s", breakpad_cases[i].label);
        same(breakpad_cases[i].label, "annotations", a,
             mapped ? breakpad_cases[i].want : breakpad_cases[i].in);
    }
}

/* What the field table knows stays. */
static void test_too_many_annotations(void **state)
{
    struct fixture *f = *state;
    STRBUF_AUTO body;
    sb_init(&body, 1 << 20);
    sb_text(&body, B CD "extra; filename=extra.json\r\nContent-Type: application/json\r\n\r\n{");
    for (int i = 0; i < 1000; i++)
        sb_printf(&body, "\"k%d\": 1, ", i);
    sb_text(&body, "\"ProductName\": \"P\"}\r\n" END);
    struct report r;
    report_init(&r, &f->spool, &fields_builtin, "upload_file_minidump", 100);
    assert_true(read_report(&r, sb_view(&body), 0, false));
    assert_int_equal(json_object_size(r.annotations), 100);
    assert_string_equal(jget_str(r.annotations, "ProductName"), "P");
    same("too many", "notes", r.notes, "[\"dropped 901 annotations: more than 100 names\"]");
    report_release(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_nul_in_fields),
        cmocka_unit_test(test_too_many_annotations),
        cmocka_unit_test(test_long_values),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_dump_names),
        cmocka_unit_test(test_breakpad_names),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
