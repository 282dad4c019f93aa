/* The command line as a table: what is taken, what stays, what is refused in which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/opts.h"
#include "lib/base/str.h"

struct found {
    bool flag;
    const char *text, *output, *job;
    int64_t any, ranged;
    struct opt_list list;
    enum { MODE_NONE, MODE_LIST, MODE_JOB } mode;
};

/* Splits the line at blanks, reads it, and writes down what was found. */
static void read_line(const char *line, int min, int max, char ret[512])
{
    char copy[512];
    char *v[32], *save = NULL;
    struct args args = {.v = v};
    struct found f = {0};
    struct err err = {0};
    const struct opt opts[] = {
        {"--flag", OPT_FLAG, &f.flag},
        {"--text", OPT_TEXT, &f.text},
        {"-o", OPT_TEXT, &f.output},
        {"--any", OPT_INT, &f.any},
        {"--ranged", OPT_RANGE, &(struct opt_range){&f.ranged, 1, 10}},
        {"--more", OPT_LIST, &f.list},
        {"--list", OPT_CHOICE, &(struct opt_choice){&f.mode, MODE_LIST, NULL}},
        {"--job", OPT_CHOICE, &(struct opt_choice){&f.mode, MODE_JOB, &f.job}},
        {"--ignored", OPT_FLAG, NULL},
        {"--ignored-text", OPT_TEXT, NULL},
    };
    snprintf(copy, sizeof copy, "%s", line);
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
        v[args.n++] = word;
    if (!OPTS_PARSE(opts, &args, min, max, &err)) {
        assert_int_equal(err.code, ERR_INVALID);
        snprintf(ret, 512, "%d %s: %s", args.trouble, args.bad ? args.bad : "-", err.msg);
        return;
    }
    assert_int_equal(args.trouble, OPTS_GOOD);
    STRBUF_AUTO out;
    sb_init(&out, 500);
    sb_printf(&out, "%s%s%s", f.flag ? "flag " : "", f.text ? f.text : "",
              f.output ? f.output : "");
    if (f.any || f.ranged)
        sb_printf(&out, " %lld %lld", (long long)f.any, (long long)f.ranged);
    for (size_t i = 0; i < f.list.n; i++)
        sb_printf(&out, " +%s", f.list.v[i]);
    if (f.mode)
        sb_printf(&out, " mode %u %s", f.mode, f.job ? f.job : "");
    for (int i = 0; i < args.n; i++)
        sb_printf(&out, " [%s]", args.v[i]);
    snprintf(ret, 512, "%s", sb_cstr(&out));
}

static const struct {
    const char *line;
    int min, max;
    const char *want;
} lines[] = {
    {"", 0, -1, ""},
    {"a --flag b", 0, -1, "flag  [a] [b]"},
    {"--text x", 0, -1, "x"},
    {"--text=x=y", 0, -1, "x=y"},
    {"--text --flag", 0, -1, "--flag"},
    {"--te x", 0, -1, "x"},
    {"-o out a", 0, -1, "out [a]"},
    {"-oout", 0, -1, "out"},
    {"--any -5 --ranged 10", 0, -1, " -5 10"},
    {"--more a b --more=c", 0, -1, " +a +c [b]"},
    {"--list --job j", 0, -1, " mode 2 j"},
    {"--job j --list", 0, -1, " mode 1 j"},
    {"--ignored --ignored-text x y", 0, -1, " [y]"},
    {"a -- --flag -o", 0, -1, " [a] [--flag] [-o]"},
    {"- a", 0, -1, " [-] [a]"},
    {"--ranged 11", 0, -1, "3 -: --ranged: 11 lies outside 1..10"},
    {"--foo", 0, -1, "1 --foo: unknown option --foo"},
    {"a --foo=bar b", 0, -1, "1 --foo=bar: unknown option --foo"},
    {"-x", 0, -1, "1 -x: unknown option -x"},
    {"--ignored-te", 0, -1, "2 --ignored-te: --ignored-text needs a value"},
    {"--l --flag=yes", 0, -1, "3 --flag=yes: --flag takes no value"},
    {"--text", 0, -1, "2 --text: --text needs a value"},
    {"-o", 0, -1, "2 -o: -o needs a value"},
    {"a b", 0, 1, "3 b: too much on the command line: b"},
    {"a", 2, 3, "3 -: something is missing on the command line"},
};

static void test_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        char got[512];
        read_line(lines[i].line, lines[i].min, lines[i].max, got);
        if (strcmp(got, lines[i].want) != 0)
            fail_msg("\"%s\": got \"%s\", not \"%s\"", lines[i].line, got, lines[i].want);
    }
}

/* The order of arguments stays what it is, whatever the environment says. */
static void test_posixly_correct_has_no_say(void **state)
{
    (void)state;
    char got[512];
    setenv("POSIXLY_CORRECT", "1", 1);
    read_line("a --flag b", 0, -1, got);
    unsetenv("POSIXLY_CORRECT");
    assert_string_equal(got, "flag  [a] [b]");
}

static void test_a_list_has_an_end(void **state)
{
    (void)state;
    enum { WORDS = 2 * OPT_LIST_MAX };
    static char more[] = "--more", x[] = "x";
    char *v[WORDS + 2];
    struct opt_list list = {0};
    struct err err = {0};
    const struct opt opts[] = {{"--more", OPT_LIST, &list}};
    for (int i = 0; i < WORDS + 2; i++)
        v[i] = i % 2 ? x : more;
    struct args args = {.n = WORDS, .v = v};
    assert_true(OPTS_PARSE(opts, &args, 0, 0, &err));
    assert_int_equal(list.n, OPT_LIST_MAX);
    assert_null(list.v[OPT_LIST_MAX]);

    for (int i = 0; i < WORDS + 2; i++)
        v[i] = i % 2 ? x : more;
    list.n = 0;
    args = (struct args){.n = WORDS + 2, .v = v};
    assert_false(OPTS_PARSE(opts, &args, 0, 0, &err));
    assert_string_equal(err.msg, "--more: at most 64 times");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_posixly_correct_has_no_say),
        cmocka_unit_test(test_a_list_has_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
