/* webapp: numbers, frames, versions, links and charts as people see them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fcgi/webapp/chart.h"
#include "fcgi/webapp/fmt.h"
#include "fcgi/webapp/url_query.h"
#include "fcgi/webapp/version_order.h"
#include "lib/base/fs.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/web/human.h"
#include "rows.h"

static int make(void **state)
{
    struct arena *a = xcalloc(1, sizeof *a);
    arena_init(a, 8 << 20);
    *state = a;
    return 0;
}

static int drop(void **state)
{
    arena_release(*state);
    free(*state);
    return 0;
}

static void check(const char *label, const char *got, const char *want)
{
    if (strcmp(got, want) != 0)
        fail_msg("%s: got '%s', want '%s'", label, got, want);
}

static const struct {
    int64_t n;
    const char *count, *seconds, *bytes;
} numbers[] = {
    {0, "0", "0 seconds", "0 bytes"},
    {1, "1", "1 second", "1 byte"},
    {59, "59", "59 seconds", "59 bytes"},
    {60, "60", "60 seconds (1 minute)", "60 bytes"},
    {999, "999", "999 seconds (16 minutes, 39 seconds)", "999 bytes"},
    {1024, "1,024", "1,024 seconds (17 minutes, 4 seconds)", "1,024 bytes"},
    {1025, "1,025", "1,025 seconds (17 minutes, 5 seconds)", "1,025 bytes (1.02 KB)"},
    {1234, "1,234", "1,234 seconds (20 minutes, 34 seconds)", "1,234 bytes (1.23 KB)"},
    {90061, "90,061", "90,061 seconds (1 day, 1 hour, 1 minute, 1 second)",
     "90,061 bytes (90.06 KB)"},
    {999999, "999,999", "999,999 seconds (11 days, 13 hours, 46 minutes, 39 seconds)",
     "999,999 bytes (1.00 MB)"},
    {12345678, "12,345,678", "12,345,678 seconds (142 days, 21 hours, 21 minutes, 18 seconds)",
     "12,345,678 bytes (12.35 MB)"},
    {-5000, "-5,000", "-5,000 seconds", "-5,000 bytes"},
};

static const struct {
    int64_t n;
    const char *size, *span;
} sizes[] = {
    {0, "0 bytes", "0 seconds"},        {1, "1 byte", "1 second"},
    {1023, "1023 bytes", "17 minutes"}, {1024, "1.0 KB", "17 minutes"},
    {1048524, "1023.9 KB", "12 days"},  {1048560, "1.0 MB", "12 days"},
    {28857600, "27.5 MB", "10 months"}, {31557600, "30.1 MB", "1 year"},
    {-7200, "-7200 bytes", "2 hours"},
};

static void test_sizes(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        check("size", human_size(*state, sizes[i].n), sizes[i].size);
        check("span", human_span(*state, sizes[i].n), sizes[i].span);
    }
}

static void test_numbers(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        check("count", human_count(*state, numbers[i].n), numbers[i].count);
        check("seconds", fmt_seconds(*state, numbers[i].n), numbers[i].seconds);
        check("bytes", fmt_bytes(*state, numbers[i].n), numbers[i].bytes);
    }
    check("least", human_count(*state, INT64_MIN), "-9,223,372,036,854,775,808");
    check("most bytes", fmt_bytes(*state, INT64_MAX), "9,223,372,036,854,775,807 bytes (9.22 EB)");
    check("percent", fmt_percent(*state, 1, 3, 2), "33.33");
    check("percent of nothing", fmt_percent(*state, 1, 0, 1), "0.0");
}

static const struct {
    const char *id, *date;
} builds[] = {
    {"20260105093736", "2026-01-05"},
    {"20260105", "2026-01-05"},
    {"20260230000000", ""},
    {"2026", ""},
    {"", ""},
    {"00000000000000", ""},
    {"x0260105", ""},
    {"18000101000000", ""},
};

static void test_names(void **state)
{
    struct str v[] = {STR("date"), STR("signature"), STR("")};
    check("none", fmt_names(*state, (struct strs){v, 0}), "");
    check("one", fmt_names(*state, (struct strs){v, 1}), "date");
    check("three", fmt_names(*state, (struct strs){v, 3}), "date, signature, ");
}

static void test_dates(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(builds); i++)
        check(builds[i].id, fmt_build_date(*state, str_of(builds[i].id)), builds[i].date);
    check("ISO", fmt_iso_time(*state, "2026-01-05T09:37:36.766914+00:00"), "2026-01-05 09:37:36");
    check("not ISO", fmt_iso_time(*state, "yesterday"), "yesterday");
    check("none", fmt_iso_time(*state, NULL), "");
    check("minute", fmt_minute(*state, 0), "1970-01-01T00:00");
}

static const struct {
    int64_t uptime;
    const char *range;
} uptimes[] = {
    {0, "< 1 min"},     {59, "< 1 min"},   {60, "1-5 min"},    {299, "1-5 min"},
    {300, "5-15 min"},  {899, "5-15 min"}, {900, "15-60 min"}, {3599, "15-60 min"},
    {3600, "> 1 hour"}, {-60, "< 1 min"},
};

static const struct {
    int64_t now, before;
    const char *text;
} ranks[] = {
    {1, 1, ""}, {3, 7, ""}, {3, 8, "+5"}, {10, 5, "-5"}, {10, 6, ""}, {1, 200, "+199"},
};

static void test_ranges(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(uptimes); i++)
        check("uptime", fmt_uptime_range(fmt_uptime_index(uptimes[i].uptime)), uptimes[i].range);
    for (size_t i = 0; i < ARRAY_LEN(ranks); i++)
        check("rank", fmt_rank_change(*state, ranks[i].now, ranks[i].before), ranks[i].text);
}

static const struct {
    const char *label, *frame, *want;
} frames[] = {
    {"function", "{\"function\":\"f\",\"module\":\"m\"}", "f"},
    {"blanks before stars and commas", "{\"function\":\"f(char *, int &,long)\"}",
     "f(char*, int&, long)"},
    {"blank after comma once", "{\"function\":\"f(a,   b,c)\"}", "f(a, b, c)"},
    {"blanks stay elsewhere", "{\"function\":\"unsigned int f(int const)\"}",
     "unsigned int f(int const)"},
    {"file and line", "{\"file\":\"a.c\",\"line\":7,\"module\":\"m\"}", "a.c#7"},
    {"file without line", "{\"file\":\"a.c\",\"module\":\"m\",\"module_offset\":\"0x0000\"}",
     "m@0x0"},
    {"module", "{\"module\":\"m.dll\",\"module_offset\":\"0x0000000000001230\"}", "m.dll@0x1230"},
    {"unloaded",
     "{\"unloaded_modules\":[{\"module\":\"u.dll\",\"offsets\":[\"0x00000012\"]}],\"offset\":"
     "\"0x01\"}",
     "(unloaded u.dll@0x12)"},
    {"address", "{\"offset\":\"0x00007fff00000010\"}", "@0x7fff00000010"},
    {"nothing", "{}", "@0x0"},
    {"wrong types", "{\"function\":5,\"module\":[],\"offset\":null}", "@0x0"},
};

static void test_frames(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
        json_auto_t *frame = json_loads(frames[i].frame, 0, NULL);
        assert_non_null(frame);
        check(frames[i].label, fmt_frame(*state, frame).p, frames[i].want);
    }
}

static const struct {
    const char *file;
    int64_t line;
    const char *text, *url;
} sources[] = {
    {"hg:hg.mozilla.org/mozilla-central:js/src/a.cpp:abc", 5, "js/src/a.cpp:5",
     "https://hg.mozilla.org/mozilla-central/file/abc/js/src/a.cpp#l5"},
    {"git:github.com/rust-lang/rust:src/x.rs:cafe", 6, "src/x.rs:6",
     "https://github.com/rust-lang/rust/blob/cafe/src/x.rs#L6"},
    {"svn:svn.example/repo:trunk/a.c:7", 1, "trunk/a.c:1", ""},
    {"git:evil.example/x:a.c:1", 1, "a.c:1", ""},
    {"/usr/src/a.c", 12, "/usr/src/a.c:12", ""},
    {"C:\\build\\a.c", 3, "C:\\build\\a.c:3", ""},
    {"a.c", 0, "a.c", ""},
    {"", 0, "", ""},
};

static void test_sources(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        struct source_link l = fmt_source(*state, str_of(sources[i].file), sources[i].line);
        check(sources[i].file, str_adup(*state, l.text), sources[i].text);
        check(sources[i].file, str_adup(*state, l.url), sources[i].url);
    }
    char file[400], text[200];
    memset(text, 'a', 128);
    text[128] = '\0';
    snprintf(file, sizeof file, "s3:gecko-generated-sources:%s/ipc/x.cpp:", text);
    struct source_link l = fmt_source(*state, str_of(file), 9);
    check("generated", str_adup(*state, l.text), "ipc/x.cpp:9");
    assert_int_equal(l.url.n, 0); /* named without the hash; nothing to link to */
}

/* Each sorts after the one before. */
static const char *const ascending[] = {
    "1.0a1", "1.0b1", "1.0b2", "1.0b10", "1.0b",      "1.0rc1", "1.0",  "1.0esr",     "1.0.1",
    "1.2",   "1.10",  "2.0a1", "60.2.0", "60.2.0esr", "63.0b4", "63.0", "128.0b3rc1", "128.0b3",
};
static const char *const no_versions[] = {"",    "x",      "1.0a1a", "1.0b1b",
                                          "1.x", "1.0rcx", "-1",     "1..2x"};

static void test_versions(void **state)
{
    (void)state;
    for (size_t i = 0; i + 1 < ARRAY_LEN(ascending); i++) {
        struct version a, b;
        if (!version_parse(str_of(ascending[i]), &a) ||
            !version_parse(str_of(ascending[i + 1]), &b))
            fail_msg("%s or %s does not parse", ascending[i], ascending[i + 1]);
        if (version_cmp(&a, &b) >= 0 || version_cmp(&b, &a) <= 0 || version_cmp(&a, &a) != 0)
            fail_msg("%s should come before %s", ascending[i], ascending[i + 1]);
    }
    for (size_t i = 0; i < ARRAY_LEN(no_versions); i++) {
        struct version v;
        if (version_parse(str_of(no_versions[i]), &v))
            fail_msg("'%s' parses", no_versions[i]);
    }
}

static void test_query(void **state)
{
    struct query q = query_new(*state);
    for (int i = 0; i < 20; i++)
        query_addf(&q, "version", "%d", i);
    query_addc(&q, "_facets", "signature");
    query_addc(&q, "page", "3");
    query_set(&q, "version", STR("a b&c"));
    assert_string_equal(query_url(&q, "/search/").p,
                        "/search/?_facets=signature&page=3&version=a%20b%26c");
    struct query copy = query_copy(&q);
    query_drop_meta(&copy);
    query_addc(&copy, "product", "X");
    assert_string_equal(query_url(&copy, "/x/").p, "/x/?version=a%20b%26c&product=X");
    assert_int_equal(q.n, 3);
    assert_true(query_has(&q, "page", STR("3")));
    assert_false(query_has(&q, "page", STR("4")));
    assert_null(query_get(&q, "product").p);
    assert_int_equal(query_all(&q, "version").n, 1);
}

/* A template that names every column, so that a set of one piece can be loaded. */
static void name_columns(FILE *out, const struct tpl_row_type *type, int depth)
{
    for (size_t i = 0; i < type->count; i++) {
        const struct tpl_column *c = &type->columns[i];
        if (!c->rows) {
            fprintf(out, "{v%d.%s}", depth, c->name);
            continue;
        }
        fprintf(out, "{for v%d in v%d.%s}", depth + 1, depth, c->name);
        name_columns(out, c->rows, depth + 1);
        fprintf(out, "{end}");
    }
}

static FILE *open_template(const char *dir, const char *name)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    return out;
}

static void write_set(const char *dir)
{
    FILE *out = open_template(dir, "everything.html");
    for (size_t i = 0; i < page_rows.list_count; i++) {
        fprintf(out, "{for v0 in %s}", page_lists[i].name);
        name_columns(out, page_lists[i].rows, 0);
        fprintf(out, "{end}");
    }
    fclose(out);
    out = open_template(dir, "chart.html");
    fputs(
        "{chart_label}|{for g in chart_grid}{g.class} {g.y} {g.text}|{end}"
        "{for d in chart_dates}{d.x} {d.text}|{end}{for d in chart_partials}{d.x} {d.anchor}|{end}"
        "{for l in chart_lines}{l.class} {l.points}{end}",
        out);
    fclose(out);
}

static const char *draw(struct arena *a, const struct tpl_set *set, const int64_t *counts,
                        struct chart_days days)
{
    struct chart_line line = {counts};
    struct tpl_values *v = tpl_values_new(a);
    struct err err = {0};
    struct str page;
    chart_set_days(v, a, &days, &line, 1, "a <b>");
    if (!tpl_render(set, "chart.html", v, a, &page, &err))
        fail_msg("%s", err.msg);
    return page.p;
}

static void test_charts(void **state)
{
    struct arena *a = *state;
    const int64_t counts[] = {0, 5, 1000000, 3}, none[] = {0};
    char dir[] = "/tmp/test-chart-XXXXXX";
    struct tpl_set *set = NULL;
    struct err err = {0};
    assert_non_null(mkdtemp(dir));
    write_set(dir);
    if (!tpl_load(dir, &page_rows, &set, &err))
        fail_msg("%s", err.msg);
    check("four days", draw(a, set, counts, chart_days_of(0, 4 * DAY_US)),
          "a &lt;b&gt;|axis 216.0 0|gridline 174.4 200,000|gridline 132.8 400,000|"
          "gridline 91.2 600,000|gridline 49.6 800,000|gridline 8.0 1,000,000|"
          "56.0 01-01|366.7 01-02|677.3 01-03|988.0 01-04|"
          "s1 56.0,216.0 366.7,216.0 677.3,8.0 988.0,216.0 ");
    check("one day without reports", draw(a, set, none, chart_days_of(0, DAY_US)),
          "a &lt;b&gt;|axis 216.0 0|gridline 8.0 1|56.0 01-01|s1 56.0,216.0 ");
    check("two partial days", draw(a, set, counts + 2, chart_days_of(SECOND_US, DAY_US + 1)),
          "a &lt;b&gt; (partial: 1970-01-01, 1970-01-02)|axis 216.0 0|gridline 174.4 200,000|"
          "gridline 132.8 400,000|gridline 91.2 600,000|gridline 49.6 800,000|"
          "gridline 8.0 1,000,000|56.0 01-01|988.0 01-02|56.0 start|988.0 end|"
          "s1 partial 56.0,8.0 988.0,216.0 ");
    check("today is partial", draw(a, set, counts + 1, chart_days_of(0, 2 * DAY_US + SECOND_US)),
          "a &lt;b&gt; (partial: 1970-01-03)|axis 216.0 0|gridline 174.4 200,000|"
          "gridline 132.8 400,000|gridline 91.2 600,000|gridline 49.6 800,000|"
          "gridline 8.0 1,000,000|56.0 01-01|522.0 01-02|988.0 01-03|988.0 end|"
          "s1 partial 522.0,8.0 988.0,216.0 s1 56.0,216.0 522.0,8.0 ");
    tpl_free(set);
    fs_remove_tree(dir, ERR_IGNORED);

    int64_t width = 0;
    struct tpl_values *v = tpl_values_new(a);
    struct tpl_rows *bars = tpl_col_rows(tpl_row_add(tpl_list(v, LIST_CARDS)), PRODUCT_CARD_SPARK);
    const struct chart_days four = chart_days_of(0, 4 * DAY_US);
    chart_spark(a, bars, &four, counts, &width);
    assert_int_equal(tpl_rows_count(bars), 4);
    assert_int_equal(width, 80);
    assert_string_equal(chart_share(a, 7, 1), "100.00");
    assert_string_equal(chart_share(a, 1, 3), "33.33");
    assert_string_equal(chart_share(a, 1, 0), "0.00");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_numbers, make, drop),
        cmocka_unit_test_setup_teardown(test_sizes, make, drop),
        cmocka_unit_test_setup_teardown(test_names, make, drop),
        cmocka_unit_test_setup_teardown(test_dates, make, drop),
        cmocka_unit_test_setup_teardown(test_ranges, make, drop),
        cmocka_unit_test_setup_teardown(test_frames, make, drop),
        cmocka_unit_test_setup_teardown(test_sources, make, drop),
        cmocka_unit_test_setup_teardown(test_versions, make, drop),
        cmocka_unit_test_setup_teardown(test_query, make, drop),
        cmocka_unit_test_setup_teardown(test_charts, make, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
