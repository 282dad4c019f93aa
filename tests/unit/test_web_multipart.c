#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/util.h"
#include "lib/web/multipart.h"

/*
 * Each body is read in one piece, byte by byte, and cut in two at every place: the parts that
 * come out must be the same.  Written down as `name|filename|type|data;` for each part; an error
 * of the grammar ends the text with "!".
 */
#define B   "--XX\r\n"
#define END "\r\n--XX--\r\n"
#define CD  "Content-Disposition: form-data; "

/* clang-format off */
static const struct {
    const char *label, *body, *want;
} cases[] = {
    {"one", B CD "name=\"a\"\r\n\r\n1" END, "a||text/plain|1;"},
    {"two", B CD "name=\"a\"\r\n\r\n1\r\n" B CD "name=\"b\"\r\n\r\n2" END, "a||text/plain|1;b||text/plain|2;"},
    {"bare name", B CD "name=ProductName\r\n\r\nFenix" END, "ProductName||text/plain|Fenix;"},
    {"file", B CD "name=\"d\"; filename=\"x.dmp\"\r\nContent-Type: application/octet-stream\r\n\r\nMDMP" END, "d|x.dmp|application/octet-stream|MDMP;"},
    {"star filename", B CD "name=\"d\"; filename*=utf-8''x%20y\r\n\r\nz" END, "d|x y|text/plain|z;"},
    {"star filename in latin-1", B CD "name=\"d\"; filename*=ISO-8859-1'en'%e9\r\n\r\nz" END, "d|\xc3\xa9|text/plain|z;"},
    {"star filename without form", B CD "name=\"d\"; filename*=x%20y\r\n\r\nz" END, "d|x%20y|text/plain|z;"},
    {"star filename that is no UTF-8", B CD "name=\"d\"; filename*=utf-8''%ff\r\n\r\nz" END, "d|utf-8''%ff|text/plain|z;"},
    {"plain filename before the star", B CD "name=\"d\"; filename*=utf-8''x; filename=y\r\n\r\nz" END, "d|y|text/plain|z;"},
    {"empty filename", B CD "name=\"d\"; filename=\"\"\r\n\r\nz" END, "d||text/plain|z;"},
    {"preamble", "hello\r\n\r\n" B CD "name=\"a\"\r\n\r\n1" END, "a||text/plain|1;"},
    {"leading line end", "\r\n" B CD "name=\"a\"\r\n\r\n1" END, "a||text/plain|1;"},
    {"epilogue", B CD "name=\"a\"\r\n\r\n1" END "more\r\n--XX\r\nnonsense", "a||text/plain|1;"},
    {"no line end behind the last", B CD "name=\"a\"\r\n\r\n1\r\n--XX--", "a||text/plain|1;"},
    {"extra line end before the last", B CD "name=\"a\"\r\n\r\n1\r\n" END, "a||text/plain|1\r\n;"},
    {"padding", "--XX \t\r\n" CD "name=\"a\"\r\n\r\n1\r\n--XX  \r\n" CD "name=\"b\"\r\n\r\n2" END, "a||text/plain|1;b||text/plain|2;"},
    {"boundary as prefix of data", B CD "name=\"a\"\r\n\r\n1\r\n--XXY\r\n2" END, "a||text/plain|1\r\n--XXY\r\n2;"},
    {"boundary and one dash", B CD "name=\"a\"\r\n\r\n1\r\n--XX-\r\n2" END, "a||text/plain|1\r\n--XX-\r\n2;"},
    {"padding and then data", B CD "name=\"a\"\r\n\r\n1\r\n--XX  y" END, "a||text/plain|1\r\n--XX  y;"},
    {"padding, CR, no LF", B CD "name=\"a\"\r\n\r\n1\r\n--XX \ry" END, "a||text/plain|1\r\n--XX \ry;"},
    {"padding, CR, delimiter", B CD "name=\"a\"\r\n\r\n1\r\n--XX \r" END, "a||text/plain|1\r\n--XX \r;"},
    {"runs of CR", B CD "name=\"a\"\r\n\r\n\r\r\r\n\r\r\n-\r\n--\r\n--X\r" END, "a||text/plain|\r\r\r\n\r\r\n-\r\n--\r\n--X\r;"},
    {"empty value", B CD "name=\"a\"\r\n\r\n" END, "a||text/plain|;"},
    {"part ends with its headers", B CD "name=\"a\"\r\n\r\n" B CD "name=\"b\"\r\n\r\n2" END, "a||text/plain|;b||text/plain|2;"},
    {"last part ends with its headers", B CD "name=\"a\"\r\n\r\n--XX--", "a||text/plain|;"},
    {"several parts end with their headers", B CD "name=a\r\n\r\n" B CD "name=b\r\n\r\n--XX \t\r\n" CD "name=c\r\n\r\n" END, "a||text/plain|;b||text/plain|;c||text/plain|;"},
    {"headers without their empty line", B CD "name=a\r\n" B CD "name=b\r\n\r\n2\r\n" B CD "name=c\r\n--XX--", "a||text/plain|;b||text/plain|2;c||text/plain|;"},
    {"delimiter behind a delimiter", B B CD "name=a\r\n\r\n1" END, "||text/plain|;a||text/plain|1;"},
    {"nearly a delimiter behind the headers", B CD "name=a\r\n\r\n--XXY\r\n" END, "a||text/plain|--XXY\r\n;"},
    {"data that begin with a line end", B CD "name=a\r\n\r\n\r\nx" END, "a||text/plain|\r\nx;"},
    {"data that begin with CR", B CD "name=a\r\n\r\n\r--XX--\r\n" END, "a||text/plain|\r--XX--\r\n;"},
    {"header that begins with dashes", B "--X: y\r\n" CD "name=a\r\n\r\n1" END, "a||text/plain|1;"},
    {"no headers", B "\r\ndata" END, "||text/plain|data;"},
    {"only the end", "--XX--", ""},
    {"only the end after preamble", "x" END, ""},
    {"unknown headers", B "X-A: b\r\n" CD "name=\"a\"\r\nX-B: c\r\n\r\n1" END, "a||text/plain|1;"},
    {"header names without case", B "content-disposition: form-data; name=a\r\ncontent-type:application/json\r\n\r\n1" END, "a||application/json|1;"},
    {"folded", B "Content-Disposition: form-data;\r\n  name=\"a\"\r\n\r\n1" END, "a||text/plain|1;"},
    {"repeated header", B CD "name=\"a\"\r\n" CD "name=\"b\"\r\n\r\n1" END, "b||text/plain|1;"},
    {"no blank after the colon", B "Content-Disposition:form-data;name=a\r\n\r\n1" END, "a||text/plain|1;"},
    {"line without colon", B "rubbish\r\n" CD "name=\"a\"\r\n\r\n1" END, "a||text/plain|1;"},
    {"encoding binary", B CD "name=\"a\"\r\nContent-Transfer-Encoding: Binary\r\n\r\n1" END, "a||text/plain|1;"},
    {"encoding base64", B CD "name=\"a\"\r\nContent-Transfer-Encoding: base64\r\n\r\n1" END, "!"},
    {"no boundary", "hello", "!"},
    {"empty body", "", "!"},
    {"no end", B CD "name=\"a\"\r\n\r\n1\r\n", "a||text/plain|1"},
    {"ends in headers", B CD "name=\"a\"\r\n", "!"},
    {"bare line feeds", "--XX\nContent-Disposition: form-data; name=a\n\n1\n--XX--\n", "!"},
    {"bare line feed in headers", B "X-A: 1\n" CD "name=a\r\n\r\n1" END, "!"},
    {"not UTF-8", B CD "name=\"\xff\"\r\n\r\n1" END, "?|1;"},
    {"type not ASCII", B CD "name=\"a\"\r\nContent-Type: t\xc3\xa9xt\r\n\r\n1" END, "?|1;"},
    {"UTF-8 name", B CD "name=\"\xc3\xa9\"\r\n\r\n1" END, "\xc3\xa9||text/plain|1;"},
};
/* clang-format on */

static bool on_begin(void *arg, const struct multipart_part *part, struct err *err)
{
    struct strbuf *out = arg;
    (void)err;
    if (part->is_undecodable) {
        sb_text(out, "?|");
        return true;
    }
    sb_str(out, part->name);
    sb_char(out, '|');
    sb_str(out, part->filename);
    sb_char(out, '|');
    sb_str(out, part->content_type);
    sb_char(out, '|');
    return true;
}

static bool on_data(void *arg, const void *p, size_t n, struct err *err)
{
    (void)err;
    assert_true(n > 0);
    sb_put(arg, p, n);
    return true;
}

static bool on_end(void *arg, struct err *err)
{
    (void)err;
    sb_char(arg, ';');
    return true;
}

static const struct multipart_events events = {on_begin, on_data, on_end};

/* Feeds `first` bytes, then the rest in pieces of `step`; each piece is a heap copy of its size. */
static void read_in_pieces(struct str boundary, struct str body, size_t first, size_t step,
                           struct strbuf *out)
{
    struct multipart m;
    assert_true(multipart_init(&m, boundary, &events, out, ERR_IGNORED));
    bool ok = true;
    for (size_t at = 0, n = first; ok && at < body.n; at += n, n = step) {
        n = MIN(n, body.n - at);
        FREE_LATER char *piece = xmalloc(MAX(n, (size_t)1));
        memcpy(piece, body.p + at, n);
        ok = multipart_feed(&m, piece, n, ERR_IGNORED);
    }
    if (!ok || !multipart_finish(&m, ERR_IGNORED)) {
        assert_true(m.is_structure);
        sb_char(out, '!');
    }
    multipart_release(&m);
}

static void check_cuts(const char *label, struct str body, struct str want, bool ends_open)
{
    for (size_t first = 0; first <= body.n; first++)
        for (int way = 0; way < 2; way++) {
            STRBUF_AUTO got;
            sb_init(&got, 1 << 20);
            read_in_pieces(STR("XX"), body, first, way ? 1 : body.n + 1, &got);
            struct str out = sb_view(&got);
            /* An open part may have given all its data, or hold some of it back. */
            bool same =
                ends_open ? str_starts(out, want) && str_ends(out, STR("!")) : str_eq(out, want);
            if (!same)
                fail_msg("%s, cut at %zu: got " STR_FMT, label, first, STR_ARG(out));
        }
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str want = str_of(cases[i].want);
        bool ends_open = want.n && !str_ends(want, STR(";")) && !str_ends(want, STR("!"));
        check_cuts(cases[i].label, str_of(cases[i].body), want, ends_open);
    }
}

/* Binary data with delimiters' beginnings all over, a NUL, and a long boundary. */
static void test_binary(void **state)
{
    (void)state;
    static const char data[] = "\0\r\n\r\n--\r\n--X\0\r\n--XX\0\r\r\n--XXX\r\n--X";
    STRBUF_AUTO body;
    STRBUF_AUTO want;
    sb_init(&body, 1000);
    sb_init(&want, 1000);
    sb_text(&body, B CD "name=d; filename=f\r\n\r\n");
    sb_put(&body, data, sizeof data - 1);
    sb_text(&body, END);
    sb_text(&want, "d|f|text/plain|");
    sb_put(&want, data, sizeof data - 1);
    sb_char(&want, ';');
    check_cuts("binary", sb_view(&body), sb_view(&want), false);
}

static void test_header_limit(void **state)
{
    (void)state;
    for (size_t extra = 0; extra < 2; extra++) {
        STRBUF_AUTO body;
        sb_init(&body, 1 << 20);
        sb_text(&body, B "X: ");
        for (size_t i = 0; i < MULTIPART_HEADER_MAX - 3 + extra; i++)
            sb_char(&body, 'x');
        sb_text(&body, "\r\n\r\n1" END);
        STRBUF_AUTO got;
        sb_init(&got, 1 << 20);
        read_in_pieces(STR("XX"), sb_view(&body), 100, 1000, &got);
        assert_string_equal(sb_cstr(&got), extra ? "!" : "||text/plain|1;");
    }
}

static void test_boundaries(void **state)
{
    (void)state;
    static const char seventy[] =
        "0123456789012345678901234567890123456789012345678901234567890123456789";
    struct multipart m;
    struct err err = {0};
    assert_false(multipart_init(&m, STR(""), &events, NULL, &err));
    assert_false(multipart_init(&m, STR("   "), &events, NULL, &err));
    assert_false(multipart_init(&m, STR("a\rb"), &events, NULL, &err));
    assert_false(multipart_init(&m, str_n(seventy, 71), &events, NULL, &err));
    STRBUF_AUTO got;
    sb_init(&got, 1000);
    STRBUF_AUTO body;
    sb_init(&body, 1000);
    sb_printf(&body, "--%s\r\n\r\nx\r\n--%.69s\r\n--%s--", seventy, seventy, seventy);
    read_in_pieces(str_of(seventy), sb_view(&body), 7, 3, &got);
    assert_memory_equal(sb_cstr(&got), "||text/plain|x\r\n--012", 21);
    assert_true(str_ends(sb_view(&got), STR("8;")));
}

/* More blanks behind a boundary than can be held: then it is data. */
static void test_long_padding(void **state)
{
    (void)state;
    for (size_t n = MULTIPART_PADDING_MAX - 1; n < MULTIPART_PADDING_MAX + 3; n++) {
        STRBUF_AUTO body;
        STRBUF_AUTO want;
        sb_init(&body, 10000);
        sb_init(&want, 10000);
        sb_text(&body, B "\r\n1\r\n--XX");
        sb_text(&want, "||text/plain|1");
        if (n > MULTIPART_PADDING_MAX)
            sb_text(&want, "\r\n--XX");
        for (size_t i = 0; i < n; i++) {
            sb_char(&body, ' ');
            if (n > MULTIPART_PADDING_MAX)
                sb_char(&want, ' ');
        }
        sb_text(&body, "\r\n\r\n2" END);
        sb_text(&want, n > MULTIPART_PADDING_MAX ? "\r\n\r\n2;" : ";||text/plain|2;");
        check_cuts("long padding", sb_view(&body), sb_view(&want), false);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),        cmocka_unit_test(test_binary),
        cmocka_unit_test(test_boundaries),   cmocka_unit_test(test_header_limit),
        cmocka_unit_test(test_long_padding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
