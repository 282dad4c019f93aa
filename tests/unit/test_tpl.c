/* tpl: nothing escapes, nothing is lost, every template of the project renders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/fs.h"
#include "lib/base/util.h"
#include "lib/tpl/tpl.h"
#include "rows.h"

/* Row types of these tests: rows of a text, a link and a list of cells. */
extern const struct tpl_row_type test_types[2];
static const struct tpl_column test_columns[] = {
    {"text", NULL},
    {"url", NULL},
    {"cells", &test_types[1]},
    {"text", NULL},
};
const struct tpl_row_type test_types[2] = {
    {"row", &test_columns[0], 3, 4},
    {"cell", &test_columns[3], 1, 5},
};
static const struct tpl_list test_lists[] = {{"rows", &test_types[0]}, {"cells", &test_types[1]}};
static const struct tpl_schema schema = {
    "rows.tsv", test_types, 2, test_columns, 4, test_lists, 2,
};
#define TEST_ROW_TEXT   (&test_columns[0])
#define TEST_ROW_URL    (&test_columns[1])
#define TEST_ROW_CELLS  (&test_columns[2])
#define TEST_CELL_TEXT  (&test_columns[3])
#define TEST_LIST_ROWS  (&test_lists[0])
#define TEST_LIST_CELLS (&test_lists[1])

/* A template that names all of them, so that the others need not. */
static const char everything[] =
    "{for r in rows}{r.text}{r.url}{for c in r.cells}{c.text}{end}{end}{if cells}{end}";

struct fixture {
    char dir[64];
    struct arena a;
};

static int make(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/test-tpl-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    arena_init(&f->a, 64 << 20);
    *state = f;
    return 0;
}

static int drop(void **state)
{
    struct fixture *f = *state;
    fs_remove_tree(f->dir, ERR_IGNORED);
    arena_release(&f->a);
    free(f);
    return 0;
}

static void write_template(struct fixture *f, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    struct err err = {0};
    if (!fs_write_atomic(path, text, strlen(text), 0644, &err))
        fail_msg("%s", err.msg);
}

/* Renders `text` with the values; the page is in the arena. */
static const char *render(struct fixture *f, const char *text, const struct tpl_values *v)
{
    write_template(f, "t.html", text);
    write_template(f, "everything.html", everything);
    struct tpl_set *set = NULL;
    struct err err = {0};
    struct str page;
    if (!tpl_load(f->dir, &schema, &set, &err) ||
        !tpl_render(set, "t.html", v, &f->a, &page, &err)) {
        tpl_free(set);
        return arena_printf(&f->a, "ERROR %s", err.msg);
    }
    tpl_free(set);
    return page.p;
}

static const struct {
    const char *label;
    struct str value;
    const char *text; /* as text in an element or a quoted attribute */
    const char *url;
} hostile[] = {
    {"tags", STR("<script>alert(1)</script>"), "&lt;script&gt;alert(1)&lt;/script&gt;", "#"},
    {"double quote", STR("\" onclick=\"x"), "&quot; onclick=&quot;x", "#"},
    {"single quote", STR("' onclick='x"), "&#39; onclick=&#39;x", "#"},
    {"ampersand", STR("a&lt;b"), "a&amp;lt;b", "#"},
    {"template code", STR("{x}{end}\\{"), "{x}{end}\\{", "#"},
    {"NUL inside", STR("a\0b"),
     "a\xEF\xBF\xBD"
     "b",
     "#"},
    {"escape character", STR("\x1b[31m"), "\xEF\xBF\xBD[31m", "#"},
    {"the trailer's own bytes",
     STR("\x02"
         "end"),
     "\xEF\xBF\xBD"
     "end",
     "#"},
    {"broken UTF-8", STR("a\xC3("), "a\xEF\xBF\xBD(", "#"},
    {"overlong slash", STR("\xC0\xAF"), "\xEF\xBF\xBD\xEF\xBF\xBD", "#"},
    {"script link", STR("javascript:alert(1)"), "javascript:alert(1)", "#"},
    {"script link, capitals and tab", STR("Java\tScript:x"), "Java\tScript:x", "#"},
    {"data link", STR("data:text/html,x"), "data:text/html,x", "#"},
    {"other host without scheme", STR("//evil.example/"), "//evil.example/", "#"},
    {"backslash host", STR("/\\evil.example"), "/\\evil.example", "#"},
    {"our path", STR("/search/?a=1&b=2"), "/search/?a=1&amp;b=2", "/search/?a=1&amp;b=2"},
    {"https", STR("https://x.example/'"), "https://x.example/&#39;", "https://x.example/&#39;"},
    {"query", STR("?page=2"), "?page=2", "?page=2"},
    {"nothing", STR(""), "", ""},
};

static void test_hostile(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
        struct tpl_values *v = tpl_values_new(&f->a);
        tpl_text(v, "t", hostile[i].value);
        tpl_url(v, "u", hostile[i].value);
        struct tpl_row *r = tpl_row_add(tpl_list(v, TEST_LIST_ROWS));
        struct tpl_row *cell = tpl_row_add(tpl_col_rows(r, TEST_ROW_CELLS));
        tpl_col_text(r, TEST_ROW_TEXT, hostile[i].value);
        tpl_col_url(r, TEST_ROW_URL, hostile[i].value);
        HTML_WRITER_AUTO w;
        html_init(&w, 1000);
        html_raw(&w, "<b>");
        html_text(&w, hostile[i].value);
        html_raw(&w, "</b>");
        html_url(&w, hostile[i].value);
        html_printf(&w, "%d", 7);
        tpl_col_html(cell, TEST_CELL_TEXT, html_done(&w, &f->a));

        const char *page = render(
            f, "{t}|{u}|{for r in rows}{for c in r.cells}{c.text}{end}|{r.text}|{r.url}{end}", v);
        const char *want =
            arena_printf(&f->a, "%s|%s|<b>%s</b>%s7|%s|%s", hostile[i].text, hostile[i].url,
                         hostile[i].text, hostile[i].url, hostile[i].text, hostile[i].url);
        if (strcmp(page, want) != 0)
            fail_msg("%s: got %s, want %s", hostile[i].label, page, want);
    }
}

static void test_values(void **state)
{
    struct fixture *f = *state;
    struct tpl_values *v = tpl_values_new(&f->a);
    tpl_int(v, "n", -5);
    tpl_bool(v, "yes", true);
    tpl_bool(v, "no", false);
    tpl_cstr(v, "none", NULL);
    tpl_cstr(v, "twice", "first");
    tpl_cstr(v, "twice", "second");
    tpl_list(v, TEST_LIST_CELLS);
    struct tpl_rows *rows = tpl_list(v, TEST_LIST_ROWS);
    for (int i = 0; i < 3; i++) {
        struct tpl_row *r = tpl_row_add(rows);
        struct tpl_rows *inner = tpl_col_rows(r, TEST_ROW_CELLS);
        for (int k = 0; k < i; k++)
            tpl_col_cstr(tpl_row_add(inner), TEST_CELL_TEXT, "x");
        tpl_col_bool(r, TEST_ROW_URL, i > 1);
        tpl_col_int(r, TEST_ROW_TEXT, 7);
        tpl_col_int(r, TEST_ROW_TEXT, i);
    }
    assert_int_equal(tpl_rows_count(rows), 3);
    assert_string_equal(render(f,
                               "{n} {if yes}Y{else}N{end}{if no}Y{else}N{end}[{none}]{twice}"
                               "{if cells}E{else}0{end}{# a comment }"
                               "{for r in rows}({r.text}{for q in r.cells}{q.text}{end}"
                               "{if r.url}!{end}{if n > 1.5}?{end}{if twice == \"r.text\"}{end})"
                               "{end}\\{\\}",
                               v),
                        "-5 YN[]second0(0)(1x)(2xx!){}");
}

static void test_includes(void **state)
{
    struct fixture *f = *state;
    write_template(f, "part/head.html", "<h1>{t}</h1>{include part/deep.html}");
    write_template(f, "part/deep.html", "deep");
    struct tpl_values *v = tpl_values_new(&f->a);
    tpl_cstr(v, "t", "T");
    assert_string_equal(render(f, "a {include part/head.html} b", v), "a <h1>T</h1>deep b");

    write_template(f, "part/row.html", "<i>{r.text}</i>");
    struct tpl_rows *rows = tpl_list(v, TEST_LIST_ROWS);
    for (int i = 0; i < 2; i++) {
        struct tpl_row *r = tpl_row_add(rows);
        tpl_col_int(r, TEST_ROW_TEXT, i);
        tpl_col_cstr(r, TEST_ROW_URL, "");
        tpl_col_rows(r, TEST_ROW_CELLS);
    }
    assert_string_equal(render(f, "{for r in rows}{include part/row.html}{end}", v),
                        "<i>0</i><i>1</i>");
}

static const struct {
    const char *label, *text, *complaint;
} refused[] = {
    {"missing value", "{nobody}", "nobody"},
    {"list that is not declared", "{for r in nobody}{end}", "not a declared list"},
    {"list that the page has not set", "{for r in rows}{r.text}{end}", "rows"},
    {"column that is no list", "{for r in rows}{for c in r.text}{end}{end}", "no list"},
    {"loop over an expression", "{for r in t + 1}{end}", "not a declared list"},
    {"position in a value", "{t[0]}", "a position"},
    {"unknown column", "a\n{for r in rows}\n{r.txt}{end}",
     "template t.html: line 3: a row \"row\" has no column txt: {r.txt}"},
    {"column of another type", "{for c in cells}{c.url}{end}", "\"cell\" has no column url"},
    {"unknown column of a list in a row", "{for r in rows}{for c in r.cells}{c.url}{end}{end}",
     "\"cell\" has no column url"},
    {"row as a value", "{for r in rows}{r}{end}", "name one of its columns"},
    {"position in a row", "{for r in rows}{r[0]}{end}", "name one of its columns"},
    {"column of a value", "{t.text}", "not a variable of a loop"},
    {"variable after its loop", "{for r in rows}{end}{r.text}", "not a variable of a loop"},
    {"member of a member", "{for r in rows}{r.text.n}{end}", "not an expression"},
    {"mistake inside if", "a\n{if t}{t t}{end}", "template t.html: line 2"},
    {"mistake in what is included", "a\n{include part/bad.html}",
     "template t.html: line 2: template part/bad.html: line 3: not an expression: {t t}"},
    {"loop left open in what is included", "{include part/open.html}x{end}",
     "part/open.html: line 1: blocks left open"},
    {"end of another file's block", "{if t}{include part/end.html}", "part/end.html: line 1"},
    {"two braces", "{if t}{t}}{end}", "closing brace"},
    {"brace in a string", "{if t == \"a}b\"}x{end}", "not an expression"},
    {"not closed", "{if t}x", "left open"},
    {"never opened", "x{end}", "nothing to end"},
    {"else twice", "{if t}a{else}b{else}c{end}", "no 'if'"},
    {"else of a loop", "{for r in rows}a{else}b{end}", "no 'if'"},
    {"empty block", "{}", "not an expression"},
    {"no negation", "{if !t}x{end}", "not an expression"},
    {"bad loop", "{for r of rows}x{end}", "no 'in'"},
    {"brace at the end", "x{", "closing brace"},
    {"include of itself", "{include t.html}", "nested"},
    {"include of nothing", "{include part/none.html}", "none.html"},
    {"include elsewhere", "{include ../secret}", "outside"},
    {"include by absolute path", "{include /etc/passwd}", "outside"},
};

static void test_refused(void **state)
{
    struct fixture *f = *state;
    write_template(f, "part/bad.html", "x\n{t}\n{t t}");
    write_template(f, "part/open.html", "{if t}");
    write_template(f, "part/end.html", "{end}");
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct tpl_values *v = tpl_values_new(&f->a);
        tpl_cstr(v, "t", "T");
        const char *page = render(f, refused[i].text, v);
        if (strncmp(page, "ERROR", 5) != 0 || !strstr(page, refused[i].complaint))
            fail_msg("%s: %s", refused[i].label, page);
    }
}

/* The other direction: what is declared and nobody shows. */
static void test_unused(void **state)
{
    struct fixture *f = *state;
    struct tpl_set *set = NULL;
    struct err err = {0};
    write_template(f, "t.html",
                   "{for r in rows}{r.text}{r.url}{for c in r.cells}{c.text}{end}{end}");
    assert_false(tpl_load(f->dir, &schema, &set, &err));
    assert_string_equal(err.msg, "rows.tsv: line 5: no template shows the list cells");
    write_template(f, "t.html", "{for r in rows}{r.text}{end}{for c in cells}{c.text}{end}");
    assert_false(tpl_load(f->dir, &schema, &set, &err));
    assert_string_equal(err.msg, "rows.tsv: line 4: no template names url of a row \"row\"");
}

/* Rows that are not what was declared are no half pages, wherever the template stops looking. */
static void test_bad_rows(void **state)
{
    struct fixture *f = *state;
    struct tpl_values *v = tpl_values_new(&f->a);
    struct tpl_row *r = tpl_row_add(tpl_list(v, TEST_LIST_ROWS));
    tpl_col_cstr(r, TEST_ROW_TEXT, "x");
    tpl_col_rows(r, TEST_ROW_CELLS);
    assert_string_equal(render(f, "{if rows}x{end}", v),
                        "ERROR template t.html: list rows: a row \"row\" without url");
    tpl_col_cstr(r, TEST_ROW_URL, "");
    assert_string_equal(render(f, "{if rows}x{end}", v), "x");
    tpl_col_cstr(r, TEST_CELL_TEXT, "x");
    assert_string_equal(render(f, "{if rows}x{end}", v),
                        "ERROR template t.html: list rows: a row \"row\" was given a wrong "
                        "column: text");
    r = tpl_row_add(tpl_list(v, TEST_LIST_ROWS));
    tpl_col_int(tpl_row_add(tpl_col_rows(r, TEST_ROW_URL)), TEST_CELL_TEXT, 1);
    assert_string_equal(render(f, "{if rows}x{end}", v),
                        "ERROR template t.html: list rows: a row \"row\" was given a wrong "
                        "column: url");
    v = tpl_values_new(&f->a);
    r = tpl_row_add(tpl_list(v, TEST_LIST_ROWS));
    tpl_row_add(tpl_col_rows(r, TEST_ROW_CELLS));
    tpl_col_cstr(r, TEST_ROW_TEXT, "x");
    tpl_col_cstr(r, TEST_ROW_URL, "");
    assert_string_equal(render(f, "{if rows}x{end}", v),
                        "ERROR template t.html: list rows: a row \"cell\" without text");
}

static void test_url_encode(void **state)
{
    struct fixture *f = *state;
    struct str s = url_encode(&f->a, STR("a b&c=d/é+~"));
    assert_string_equal(s.p, "a%20b%26c%3Dd%2F%C3%A9%2B~");
}

static void test_many_rows(void **state)
{
    struct fixture *f = *state;
    struct tpl_values *v = tpl_values_new(&f->a);
    struct tpl_rows *rows = tpl_list(v, TEST_LIST_ROWS);
    for (int i = 0; i < 2000; i++) {
        struct tpl_row *r = tpl_row_add(rows);
        tpl_col_int(r, TEST_ROW_TEXT, i);
        tpl_col_int(r, TEST_ROW_URL, i);
        tpl_col_int(tpl_row_add(tpl_col_rows(r, TEST_ROW_CELLS)), TEST_CELL_TEXT, i);
    }
    const char *page =
        render(f, "{for r in rows}{r.text}{r.url}{for c in r.cells}{c.text}{end};{end}", v);
    assert_memory_equal(page, "000;111;222;", 12);
    assert_string_equal(page + strlen(page) - 13, "199919991999;");
}

/* `count` rows with a hostile text in every column. */
static void fill_rows(struct tpl_rows *rows, const struct tpl_row_type *type, int count)
{
    for (int i = 0; i < count; i++) {
        struct tpl_row *r = tpl_row_add(rows);
        for (size_t c = 0; c < type->count; c++)
            if (type->columns[c].rows)
                fill_rows(tpl_col_rows(r, &type->columns[c]), type->columns[c].rows, count);
            else
                tpl_col_cstr(r, &type->columns[c], "<\"&'>");
    }
}

/* Every name that stands in a block, as a value of the page: more than are needed do no harm. */
static void set_names(struct tpl_values *v, struct arena *a, struct str text, const char *value)
{
    for (size_t open = 0; (open = str_find_char(text, '{', open)) != SIZE_MAX; open++) {
        struct str block = str_sub(text, open + 1, str_find_char(text, '}', open) - open - 1);
        for (size_t at = 0, end; at < block.n; at = end + 1) {
            for (end = at;
                 end < block.n && (isalnum((unsigned char)block.p[end]) || block.p[end] == '_');)
                end++;
            if (end > at)
                tpl_cstr(v, str_adup(a, str_sub(block, at, end - at)), value);
        }
    }
}

static void check_page(struct fixture *f, const struct tpl_set *set, size_t i, bool most)
{
    struct tpl_values *v = tpl_values_new(&f->a);
    struct err err = {0};
    struct str page;
    set_names(v, &f->a, tpl_source_at(set, i, &f->a), most ? "<\"&'>" : "");
    for (size_t k = 0; k < page_rows.list_count; k++)
        fill_rows(tpl_list(v, &page_lists[k]), page_lists[k].rows, most ? 2 : 0);
    if (!tpl_render(set, tpl_name_at(set, i), v, &f->a, &page, &err))
        fail_msg("%s with %s data: %s", tpl_name_at(set, i), most ? "most" : "least", err.msg);
    if (str_find(page, STR("<\"&'>"), 0) != SIZE_MAX)
        fail_msg("%s: a value came out unescaped", tpl_name_at(set, i));
    if (str_find(page, STR("<script>"), 0) != SIZE_MAX ||
        str_find(page, STR(" style=\""), 0) != SIZE_MAX ||
        str_find(page, STR(" onclick="), 0) != SIZE_MAX)
        fail_msg("%s: inline script or style", tpl_name_at(set, i));
}

/* Every template of the project, with least and with most data. */
static void test_project_templates(void **state)
{
    struct fixture *f = *state;
    char dir[512];
    snprintf(dir, sizeof dir, "%s/templates", fs_share_dir());
    if (!fs_exists(dir)) {
        print_message("no templates at %s\n", dir);
        skip();
    }
    struct tpl_set *set = NULL;
    struct err err = {0};
    if (!tpl_load(dir, &page_rows, &set, &err))
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < tpl_count(set); i++)
        for (int most = 0; most < 2; most++)
            check_page(f, set, i, most);
    tpl_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_hostile, make, drop),
        cmocka_unit_test_setup_teardown(test_values, make, drop),
        cmocka_unit_test_setup_teardown(test_includes, make, drop),
        cmocka_unit_test_setup_teardown(test_refused, make, drop),
        cmocka_unit_test_setup_teardown(test_unused, make, drop),
        cmocka_unit_test_setup_teardown(test_bad_rows, make, drop),
        cmocka_unit_test_setup_teardown(test_url_encode, make, drop),
        cmocka_unit_test_setup_teardown(test_many_rows, make, drop),
        cmocka_unit_test_setup_teardown(test_project_templates, make, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
