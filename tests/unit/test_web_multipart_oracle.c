#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/util.h"
#include "lib/web/multipart.h"

/*
 * Random forms, read by our reader in pieces of many sizes and by another program's: Python's email
 * package, asked through multipart_forms.py.
 */
enum { FORMS = 1500, FORM_MAX = 1 << 20 };

struct reading {
    struct strbuf parts, data; /* parts so far; data of the one at hand */
};

static void put_counted(struct strbuf *out, struct str s)
{
    sb_printf(out, "%zu:", s.n);
    sb_str(out, s);
}

static bool on_begin(void *arg, const struct multipart_part *part, struct err *err)
{
    struct reading *r = arg;
    (void)err;
    put_counted(&r->parts, part->name);
    put_counted(&r->parts, part->filename);
    put_counted(&r->parts, part->content_type);
    sb_reset(&r->data);
    return true;
}

static bool on_data(void *arg, const void *p, size_t n, struct err *err)
{
    struct reading *r = arg;
    (void)err;
    sb_put(&r->data, p, n);
    return true;
}

static bool on_end(void *arg, struct err *err)
{
    struct reading *r = arg;
    (void)err;
    put_counted(&r->parts, sb_view(&r->data));
    return true;
}

static void read_form(struct str body, size_t step, struct reading *r)
{
    static const struct multipart_events events = {on_begin, on_data, on_end};
    struct multipart m;
    assert_true(multipart_init(&m, STR("XX"), &events, r, ERR_IGNORED));
    bool ok = true;
    for (size_t at = 0; ok && at < body.n; at += step)
        ok = multipart_feed(&m, body.p + at, MIN(step, body.n - at), ERR_IGNORED);
    if (!ok || !multipart_finish(&m, ERR_IGNORED)) {
        sb_reset(&r->parts);
        sb_char(&r->parts, '!');
    }
    multipart_release(&m);
}

static void check_form(struct str body, struct str want)
{
    static const size_t steps[] = {1, 2, 3, 5, 7, 13, 64, FORM_MAX};
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        struct reading r;
        sb_init(&r.parts, 2 * FORM_MAX);
        sb_init(&r.data, FORM_MAX);
        read_form(body, steps[i], &r);
        struct str got = sb_view(&r.parts);
        if (!str_eq(got, want))
            fail_msg("in pieces of %zu: " STR_FMT "\nread as: " STR_FMT "\nnot as: " STR_FMT,
                     steps[i], STR_ARG(body), STR_ARG(got), STR_ARG(want));
        sb_release(&r.parts);
        sb_release(&r.data);
    }
}

static FILE *ask_python(int seed, pid_t *ret_pid)
{
    char number[20], count[20];
    int ends[2];
    snprintf(number, sizeof number, "%d", seed);
    snprintf(count, sizeof count, "%d", FORMS);
    assert_int_equal(pipe(ends), 0);
    *ret_pid = fork();
    assert_true(*ret_pid >= 0);
    if (*ret_pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execlp("python3", "python3", "tests/unit/multipart_forms.py", number, count, NULL);
        _exit(127);
    }
    close(ends[1]);
    return fdopen(ends[0], "r");
}

static void check_forms(int seed)
{
    pid_t pid;
    FILE *in = ask_python(seed, &pid);
    assert_non_null(in);
    size_t seen = 0;
    char line[100];
    for (; fgets(line, sizeof line, in); seen++) {
        char *end;
        size_t body_n = strtoul(line, &end, 10), want_n = strtoul(end, NULL, 10);
        assert_true(body_n < FORM_MAX && want_n < FORM_MAX);
        FREE_LATER char *bytes = xmalloc(body_n + want_n + 1);
        assert_int_equal(fread(bytes, 1, body_n + want_n, in), body_n + want_n);
        check_form(str_n(bytes, body_n), str_n(bytes + body_n, want_n));
    }
    fclose(in);
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(seen, FORMS);
}

static void test_reads_as_another_reader(void **state)
{
    (void)state;
    for (int seed = 1; seed <= 2; seed++)
        check_forms(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_as_another_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
