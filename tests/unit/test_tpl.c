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
        tpl_col_rows(r, TEST_ROW_CELLS);
        tpl_col_text(r, TEST_ROW_TEXT, hostile[i].value);
        tpl_col_url(r, TEST_ROW_URL, hostile[i].value);
        HTML_WRITER_AUTO w;
        html_init(&w, 1000);
        html_raw(&w, "<b>");
        html_text(&w, hostile[i].value);
        html_raw(&w, "</b>");
        html_url(&w, hostile[i].value);
        html_printf(&w, "%d", 7);
        tpl_html(v, "h", html_done(&w, &f->a));

        const char *page = render(f, "{t}|{u}|{h}|{for r in rows}{r.text}|{r.url}{end}", v);
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
    {"missing list", "{for r in nobody}{end}", "nobody"},
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

/*
 * What a template asks for, read from its own text: names, and which of them are lists of what.
 * Loop variables know the list they walk, so that r[3] can be a list again.
 */
struct need {
    char name[48]; /* empty: column of a list */
    long column;
    bool is_list;
    struct need *parent; /* the list this is a column of */
    struct need *next;
};

struct scan {
    struct fixture *f;
    struct need *needs;
    struct {
        char var[48];
        struct need *list;
        bool is_loop;
    } open[40];
    size_t depth;
};

static struct need *need(struct scan *s, struct need *parent, struct str name, long column)
{
    char text[48];
    snprintf(text, sizeof text, STR_FMT, STR_ARG(name));
    for (struct need *n = s->needs; n; n = n->next)
        if (n->parent == parent && n->column == column && strcmp(n->name, text) == 0)
            return n;
    struct need *n = arena_alloc(&s->f->a, sizeof *n);
    memcpy(n->name, text, sizeof text);
    n->column = column;
    n->parent = parent;
    n->next = s->needs;
    return s->needs = n;
}

/* One name or name[number], as it stands in an expression. */
static struct need *use(struct scan *s, struct str name, long column)
{
    for (size_t i = s->depth; i > 0; i--)
        if (s->open[i - 1].is_loop && str_eq(name, str_of(s->open[i - 1].var)))
            return column < 0 ? NULL : need(s, s->open[i - 1].list, STR(""), column);
    return need(s, NULL, name, -1);
}

static struct need *scan_expr(struct scan *s, struct str e)
{
    struct need *last = NULL;
    for (size_t i = 0; i < e.n;) {
        if (e.p[i] == '"') {
            i = str_find_char(e, '"', i + 1) + 1;
        } else if (isalpha((unsigned char)e.p[i])) {
            size_t from = i;
            while (i < e.n && (isalnum((unsigned char)e.p[i]) || e.p[i] == '_'))
                i++;
            struct str name = str_sub(e, from, i - from);
            long column = -1;
            if (i < e.n && e.p[i] == '[')
                column = strtol(e.p + i + 1, NULL, 10);
            last = use(s, name, column);
        } else {
            i++;
        }
    }
    return last;
}

static void scan_block(struct scan *s, struct str block)
{
    if (str_eq(block, STR("end"))) {
        s->depth--;
    } else if (str_starts(block, STR("if "))) {
        scan_expr(s, str_sub(block, 3, SIZE_MAX));
        s->open[s->depth++].is_loop = false;
    } else if (str_starts(block, STR("for "))) {
        size_t in = str_find(block, STR(" in "), 4);
        struct need *list = scan_expr(s, str_sub(block, in + 4, SIZE_MAX));
        if (!list)
            fail_msg("loop over a loop variable: " STR_FMT, STR_ARG(block));
        list->is_list = true;
        snprintf(s->open[s->depth].var, sizeof s->open[0].var, STR_FMT,
                 STR_ARG(str_trim(str_sub(block, 4, in - 4))));
        s->open[s->depth].list = list;
        s->open[s->depth++].is_loop = true;
    } else if (!str_eq(block, STR("else"))) {
        scan_expr(s, block);
    }
}

static void scan(struct scan *s, struct str text)
{
    for (size_t at = 0; at < text.n; at++) {
        if (text.p[at] == '\\') {
            at++;
        } else if (text.p[at] == '{') {
            size_t close = str_find_char(text, '}', at);
            scan_block(s, str_sub(text, at + 1, close - at - 1));
            at = close;
        }
    }
}

static void fill_list(struct scan *s, struct tpl_rows *rows, const struct need *list, int count)
{
    long width = 0;
    for (struct need *n = s->needs; n; n = n->next)
        if (n->parent == list)
            width = MAX(width, n->column + 1);
    for (int i = 0; i < count; i++) {
        struct tpl_row *r = tpl_row_add(rows);
        for (long c = 0; c < width; c++) {
            struct need *n = need(s, (struct need *)(uintptr_t)list, STR(""), c);
            if (n->is_list)
                fill_list(s, tpl_row_rows(r), n, count);
            else
                tpl_row_cstr(r, "<\"&'>");
        }
    }
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
    for (size_t i = 0; i < tpl_count(set); i++) {
        struct scan s = {.f = f};
        scan(&s, tpl_source_at(set, i, &f->a));
        for (int most = 0; most < 2; most++) {
            struct tpl_values *v = tpl_values_new(&f->a);
            for (struct need *n = s.needs; n; n = n->next) {
                if (n->parent)
                    continue;
                if (n->is_list)
                    fill_list(&s, tpl_rows(v, n->name), n, most ? 2 : 0);
                else
                    tpl_cstr(v, n->name, most ? "<\"&'>" : "");
            }
            for (size_t k = 0; k < page_rows.list_count; k++)
                fill_rows(tpl_list(v, &page_lists[k]), page_lists[k].rows, most ? 2 : 0);
            struct str page;
            if (!tpl_render(set, tpl_name_at(set, i), v, &f->a, &page, &err))
                fail_msg("%s with %s data: %s", tpl_name_at(set, i), most ? "most" : "least",
                         err.msg);
            if (str_find(page, STR("<\"&'>"), 0) != SIZE_MAX)
                fail_msg("%s: a value came out unescaped", tpl_name_at(set, i));
            if (str_find(page, STR("<script>"), 0) != SIZE_MAX ||
                str_find(page, STR(" style=\""), 0) != SIZE_MAX ||
                str_find(page, STR(" onclick="), 0) != SIZE_MAX)
                fail_msg("%s: inline script or style", tpl_name_at(set, i));
        }
    }
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
