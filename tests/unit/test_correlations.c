#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/correlations/attributes.h"
#include "lib/correlations/correlation_files.h"
#include "lib/correlations/correlations.h"
#include "lib/correlations/priors.h"
#include "lib/correlations/significance.h"
#include "lib/search/sample.h"

/*
 * Samples, tests of significance, names of files, limits.  The mining as a whole is held against a
 * second implementation in tests/api/test_correlations.py.
 */

/* Tables whose numbers stand in textbooks or come from R 4.2 (chisq.test, fisher.test). */
static void test_significance(void **state)
{
    (void)state;
    const struct fourfold tea = {3, 1, 1, 3}, none = {0, 5, 0, 9}, strong = {90, 10, 20, 80},
                          uneven = {1, 9, 11, 3};
    assert_true(fabs(fisher_p(&tea) - 0.4857143) < 1e-6);
    assert_true(fabs(fisher_p(&uneven) - 0.002759456) < 1e-8);
    assert_true(fabs(chi_square(&tea) - 0.5) < 1e-9);
    assert_true(fabs(chi_square_p(0.5) - 0.4795001) < 1e-6);
    assert_true(fabs(chi_square_p(3.841459) - 0.05) < 1e-6);
    assert_true(chi_square(&none) == 0 && chi_square_p(0) == 1);
    assert_true(fisher_p(&none) == 1);
    assert_true(fisher_p(&strong) < 1e-20 && fisher_p(&strong) > 0);
    /* Twenty thousand crashes on a side are no trouble, and neither end leaves [0, 1]. */
    const struct fourfold large = {9000, 11000, 4000, 16000}, same = {10000, 10000, 10000, 10000};
    assert_true(fisher_p(&large) >= 0 && fisher_p(&large) < 1e-300);
    assert_true(fabs(fisher_p(&same) - 1) < 1e-6);
}

/* All tables with small margins, against the sum by its definition. */
static void test_fisher_by_definition(void **state)
{
    (void)state;
    for (int a = 0; a < 7; a++)
        for (int b = 0; b < 7; b++)
            for (int c = 0; c < 7; c++)
                for (int d = 0; d < 7; d++) {
                    const struct fourfold t = {a, b, c, d};
                    double own = 0, sum = 0, all = 0;
                    for (int pass = 0; pass < 2; pass++)
                        for (int k = 0; k <= a + b && k <= a + c; k++) {
                            if (d - a + k < 0)
                                continue;
                            double w = exp(-lgamma(k + 1) - lgamma(a + b - k + 1) -
                                           lgamma(a + c - k + 1) - lgamma(d - a + k + 1));
                            if (pass == 0) {
                                all += w;
                                own = k == a ? w : own;
                            } else if (w <= own * (1 + 1e-7)) {
                                sum += w;
                            }
                        }
                    assert_true(fabs(fisher_p(&t) - (all > 0 ? sum / all : 1)) < 1e-9);
                }
}

static void test_interval(void **state)
{
    (void)state;
    assert_true(fabs(difference_at_least(50, 100, 50, 100) - (1.96 * sqrt(0.005) + 0.01)) < 1e-12);
    assert_true(difference_at_least(90, 100, 10, 100) > difference_at_least(9, 10, 1, 10));
    assert_true(difference_at_least(1, 0, 1, 5) == 0);
}

static void test_priors(void **state)
{
    (void)state;
    assert_true(prior_may_explain(CAUSE_PLATFORM, CAUSE_MODULE));
    assert_true(prior_may_explain(CAUSE_VENDOR, CAUSE_GRAPHICS_LOG));
    assert_true(prior_may_explain(CAUSE_STARTUP, CAUSE_DRIVER));
    assert_false(prior_may_explain(CAUSE_DEVICE, CAUSE_VENDOR));
    assert_false(prior_may_explain(CAUSE_MODULE, CAUSE_PLATFORM));
    assert_false(prior_may_explain(CAUSE_OTHER, CAUSE_OTHER));
    for (int i = 0; i < CAUSE_COUNT; i++) /* no circle */
        assert_false(prior_may_explain((enum cause)i, (enum cause)i));
}

static void test_names_of_files(void **state)
{
    (void)state;
    static const char *const good[] = {"Firefox", "MozillaVPN", "My App-1.0_x", "esr", "a+b(c)"};
    static const char *const bad[] = {"",    ".",     "..",       ".x",   "a/b", "a\\b",
                                      "a\n", "x.new", "\xc3\xa9", "a\tb", " a",  "a%2e"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(correlation_name_is_safe(str_of(good[i])));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(correlation_name_is_safe(str_of(bad[i])));
    assert_false(correlation_name_is_safe(str_n("a\0b", 3)));
    char name[CORRELATION_FILE_SIZE];
    correlation_file_name(STR("abc"), name);
    assert_string_equal(name, "a9993e364706816aba3e25717850c26c9cd0d89d.json.gz");
}

struct fixture {
    char dir[64];
    struct index_reader *r;
    struct search_context ctx;
};

enum { CRASHES = 3000 };

/* Every third crash is an "odd" one; numbers and lists differ in each. */
static void put_all(const char *dir, int64_t now, struct err *err)
{
    struct index_writer *w;
    uint64_t losses;
    assert_true(index_writer_open(dir, &fields_builtin, &w, err));
    assert_true(index_fill_begin(w, 0, &losses, err));
    for (int i = 0; i < CRASHES; i++) {
        char uuid[48], date[TIME_TEXT_MAX], build[32];
        snprintf(uuid, sizeof uuid, "%08x-0000-4000-8000-%012d", (unsigned)i * 2654435761u, i);
        time_iso(now - (int64_t)i * 600000000, false, date); /* three weeks */
        snprintf(build, sizeof build, "%d", i);
        json_auto_t *doc =
            json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:[s, s], s:s}", "uuid", uuid,
                      "date_processed", date, "product", i % 3 ? "Even" : "Odd", "signature", "s",
                      "build", build, "startup_crash", i % 2, "addons", i % 5 ? "b:1" : "a:2",
                      "b:1", "os_name", i % 2 ? "Linux" : "Windows NT");
        assert_true(index_put(w, doc, err));
    }
    assert_true(index_filled(w, losses, err));
    index_writer_close(w);
}

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    struct err err = {0};
    snprintf(f->dir, sizeof f->dir, "/tmp/datil-correlations-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->ctx = (struct search_context){.now_us = 1790000000 * (int64_t)1000000,
                                     .deadline_ms = mono_ms() + 60000};
    put_all(f->dir, f->ctx.now_us, &err);
    assert_true(index_reader_open(f->dir, &fields_builtin, &f->r, &err));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    index_reader_close(f->r);
    fs_remove_tree(f->dir, ERR_IGNORED);
    free(f);
    return 0;
}

static bool sample_of(struct fixture *f, const char *product, struct sample_values *values,
                      size_t max, struct sample *ret, struct err *err)
{
    struct arena a;
    struct search_query *q;
    const char *form;
    struct search_param v[] = {{STR("product"), str_of(product)}, {STR("date"), STR(">=-30d")}};
    arena_init(&a, 1 << 20);
    bool ok =
        search_parse(&a, &fields_builtin, &f->ctx, (struct search_params){v, 2}, &q, &form, err) &&
        search_sample(f->r, &f->ctx, q, values, max, ret, err);
    arena_release(&a);
    return ok;
}

enum { PLATFORM, STARTUP, BUILD_ID, ADDONS, FIELDS };

static struct sample_values *values_new(void)
{
    static const char *const names[FIELDS] = {"platform", "startup_crash", "build_id", "addons"};
    const struct search_field *fields[FIELDS];
    for (size_t i = 0; i < FIELDS; i++)
        fields[i] = search_field_find(&fields_builtin, str_of(names[i]));
    return sample_values_new(fields, FIELDS);
}

/* Each row is one crash: its platform, flag and number belong together, over all weeks. */
static void test_rows_of_a_sample(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct sample_values *values = values_new();
    struct sample s;
    assert_true(sample_of(f, "Odd", values, SIZE_MAX, &s, &err));
    assert_int_equal(s.n, CRASHES / 3);
    assert_int_equal(s.total, CRASHES / 3);
    assert_int_equal(s.missing_weeks, 0);
    size_t with_a = 0;
    for (size_t row = 0; row < s.n; row++) {
        struct str platform = sample_text(values, PLATFORM, sample_column(&s, PLATFORM)[row]);
        struct str startup = sample_text(values, STARTUP, sample_column(&s, STARTUP)[row]);
        struct str build = sample_text(values, BUILD_ID, sample_column(&s, BUILD_ID)[row]);
        bool is_odd = (build.p[build.n - 1] - '0') % 2;
        assert_true(str_eq(platform, is_odd ? STR("Linux") : STR("Windows NT")));
        assert_true(str_eq(startup, is_odd ? STR("1") : STR("0")));
        size_t n;
        const uint32_t *list = sample_list(values, ADDONS, sample_column(&s, ADDONS)[row], &n);
        assert_true(n == 1 || n == 2); /* ["b:1", "b:1"] has one element */
        with_a += n == 2;
        assert_true(n == 1 || list[0] < list[1]);
    }
    assert_int_equal(with_a, CRASHES / 15);
    sample_release(&s);
    sample_values_free(values);
}

/* Fewer rows of a week than would fill a table by halves: each has a text that no other has. */
static void test_a_text_of_its_own_in_each_crash(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    const struct search_field *field = search_field_find(&fields_builtin, STR("uuid"));
    struct sample_values *values = sample_values_new(&field, 1);
    struct sample s;
    for (size_t max = 1; max <= 8; max++) {
        assert_true(sample_of(f, "Odd", values, max, &s, &err));
        assert_int_equal(s.n, max);
        for (size_t row = 1; row < s.n; row++)
            assert_true(sample_column(&s, 0)[row] != sample_column(&s, 0)[row - 1]);
        sample_release(&s);
    }
    sample_values_free(values);
}

/* Evenly over the weeks, as many as wanted, the same ones again. */
static void test_choice_of_a_sample(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct sample_values *values = values_new();
    struct sample s, again;
    assert_true(sample_of(f, "Even", values, 500, &s, &err));
    assert_true(sample_of(f, "Even", values, 500, &again, &err));
    assert_int_equal(s.n, 500);
    assert_int_equal(s.total, CRASHES - CRASHES / 3);
    assert_memory_equal(s.ids, again.ids, s.n * FIELDS * sizeof *s.ids);
    size_t early = 0, on_linux = 0;
    for (size_t row = 0; row < s.n; row++) {
        int64_t build;
        assert_true(str_to_i64(sample_text(values, BUILD_ID, sample_column(&s, BUILD_ID)[row]), 0,
                               INT64_MAX, "build", &build, &err));
        early += build < CRASHES / 2;
        on_linux +=
            str_eq(sample_text(values, PLATFORM, sample_column(&s, PLATFORM)[row]), STR("Linux"));
    }
    assert_in_range(early, 200, 300); /* four standard deviations are 45 */
    assert_in_range(on_linux, 200, 300);
    sample_release(&s);
    sample_release(&again);
    sample_values_free(values);
}

static bool never(void *asker)
{
    (void)asker;
    return true;
}

static void test_limits(void **state)
{
    struct fixture *f = *state;
    struct search_context given = f->ctx;
    struct sample_values *values = values_new();
    struct sample s;
    struct err err = {0};
    f->ctx.max_bytes = 10000;
    assert_false(sample_of(f, "Even", values, SIZE_MAX, &s, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_non_null(strstr(err.msg, "memory"));
    f->ctx = given;
    f->ctx.deadline_ms = mono_ms() - 1;
    err = (struct err){0};
    assert_false(sample_of(f, "Even", values, SIZE_MAX, &s, &err));
    assert_non_null(strstr(err.msg, "timed out"));
    f->ctx = given;
    f->ctx.is_abandoned = never;
    err = (struct err){0};
    assert_false(sample_of(f, "Even", values, SIZE_MAX, &s, &err));
    f->ctx = given;
    sample_values_free(values);
}

/* Whatever the table marks, nothing that is protected is read. */
static void test_only_public_fields(void **state)
{
    (void)state;
    struct sample_values *values = attribute_values_new(&fields_builtin);
    assert_true(values->n > 40);
    for (size_t i = 0; i < values->n; i++)
        assert_int_equal(values->fields[i].field->perm, PERM_PUBLIC);
    for (size_t i = 0; i < fields_builtin.search_count; i++)
        assert_true(!fields_builtin.search[i].correlates ||
                    fields_builtin.search[i].perm == PERM_PUBLIC);
    sample_values_free(values);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_significance),
        cmocka_unit_test(test_fisher_by_definition),
        cmocka_unit_test(test_interval),
        cmocka_unit_test(test_priors),
        cmocka_unit_test(test_names_of_files),
        cmocka_unit_test(test_only_public_fields),
        cmocka_unit_test_setup_teardown(test_rows_of_a_sample, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_text_of_its_own_in_each_crash, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_choice_of_a_sample, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_limits, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
