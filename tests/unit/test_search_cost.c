#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <malloc.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/search/columns/cost.h"
#include "lib/search/search.h"

/*
 * What one search may cost.  An index with many different values, and a table of searches that ask
 * for much in few words: each must end by itself in time, in memory and in buckets, wherever it
 * is at that moment, and leave the reader as good as before.
 */
enum { REPORTS = 12000, LONG_TEXTS = 300, LONG_LISTS = 40, LIST_PIECES = 3000 };

struct fixture {
    char dir[64];
    struct index_writer *w;
    struct index_reader *r;
    int64_t now_us;
};

static void put(struct fixture *f, int n, const char *long_text, const char *long_list)
{
    char uuid[40], date[TIME_TEXT_MAX], text[4096];
    struct err err = {0};
    snprintf(uuid, sizeof uuid, "%08x-0000-4000-8000-%012d", (unsigned)n * 2654435761u, n);
    time_iso(f->now_us - (int64_t)n * 170 * 86400000000 / REPORTS, false, date);
    snprintf(text, sizeof text,
             "{\"uuid\":\"%s\",\"date_processed\":\"%s\",\"signature\":\"f%d::g%d\","
             "\"proto_signature\":\"a%d | b | c | d%d\",\"product\":\"P%d\",\"address\":\"0x%x\","
             "\"version\":\"%d.0\",\"install_time\":%d,\"uptime\":%d,\"url\":\"http://h%d/\","
             "\"addons\":[\"x%d:1\",\"y%d:2\",\"z:%d\"]}",
             uuid, date, n % 7000, n % 3, n, n % 11, n % 3, n * 16, n % 150, 1600000000 + n * 7,
             n * 13 % 100000, n, n, n % 500, n % 77);
    json_auto_t *doc = jparse(str_of(text), sizeof text, &err);
    if (doc && n < LONG_TEXTS)
        jset_cstr(doc, "app_notes", long_text);
    if (doc && n < LONG_LISTS)
        jset_cstr(doc, "modules_in_stack", long_list);
    if (!doc || !index_put(f->w, doc, &err))
        fail_msg("%s: %s", text, err.msg);
}

/* A text of 30 kB; a list of LIST_PIECES pieces, each different. */
static void make_long(char **ret_text, char **ret_list)
{
    STRBUF_AUTO text, list;
    sb_init(&text, 1 << 20);
    sb_init(&list, 1 << 20);
    for (int i = 0; i < 3000; i++)
        sb_printf(&text, "word%05d ", i);
    for (int i = 0; i < LIST_PIECES; i++)
        sb_printf(&list, "m%d/%x;", i, i);
    *ret_text = xstrdup(sb_cstr(&text));
    *ret_list = xstrdup(sb_cstr(&list));
}

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    struct err err = {0};
    char *text, *list;
    snprintf(f->dir, sizeof f->dir, "/tmp/datil-search-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->now_us = 1790000000 * (int64_t)1000000;
    if (!index_writer_open(f->dir, &fields_builtin, &f->w, &err))
        fail_msg("%s", err.msg);
    make_long(&text, &list);
    for (int n = 0; n < REPORTS; n++)
        put(f, n, text, list);
    free(text);
    free(list);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    index_writer_close(f->w);
    fs_remove_tree(f->dir, ERR_IGNORED);
    free(f);
    return 0;
}

static int open_reader(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    if (!index_reader_open(f->dir, &fields_builtin, &f->r, &err))
        fail_msg("%s", err.msg);
    return 0;
}

static int close_reader(void **state)
{
    struct fixture *f = *state;
    index_reader_close(f->r);
    return 0;
}

/* The answer, or NULL with *err. */
static json_t *ask(struct fixture *f, const char *query, struct search_context ctx, struct err *err)
{
    static struct search_param v[2000];
    struct search_params params = {.v = v};
    struct str rest = str_of(query), part;
    struct arena a;
    const char *form;
    json_t *answer = NULL;
    while (str_split(&rest, '&', &part)) {
        size_t eq = str_find_char(part, '=', 0);
        v[params.n++] =
            (struct search_param){str_sub(part, 0, eq), str_sub(part, eq + 1, SIZE_MAX)};
    }
    ctx.now_us = f->now_us;
    ctx.reader = PERM_PROTECTED;
    arena_init(&a, 64 << 20);
    *err = (struct err){0};
    search_answer(&a, f->r, &ctx, params, &answer, &form, err);
    arena_release(&a);
    return answer;
}

#define OVER_ALL "date=>=-180d&_results_number=0&_facets_size=10000&"

/* Few words that ask for much; `name` many times over where that is what costs. */
static const struct {
    const char *label, *query, *name;
    size_t times;
    bool is_light; /* ends with an answer when nothing limits it */
} monsters[] = {
    /* clang-format off */
    {"every value of everything", OVER_ALL "_facets=uuid&_facets=url&_facets=address"
     "&_facets=proto_signature&_facets=install_time&_facets=addons&_facets=modules_in_stack"
     "&_facets=signature",
     NULL, 0, false},
    {"values inside values", OVER_ALL "_aggs.address.proto_signature=url", NULL, 0, false},
    {"four levels", OVER_ALL "_aggs.signature.address.version.install_time=uuid", NULL, 0, false},
    {"seconds of half a year",
     OVER_ALL "_histogram.date=uuid&_histogram_interval.date=1s", NULL, 0, false},
    {"a histogram in each value", OVER_ALL "_aggs.address=_histogram.uptime"
     "&_facets=uuid&_facets=url&_facets=proto_signature&_facets=install_time", NULL, 0, false},
    {"distinct values in each value", OVER_ALL "_aggs.address=_cardinality.install_time"
     "&_aggs.address=_cardinality.url&_aggs.address=_cardinality.uuid"
     "&_aggs.address=_cardinality.addons&_aggs.address=_cardinality.proto_signature"
     "&_aggs.address=_cardinality.signature", NULL, 0, false},
    {"percentiles in each value", OVER_ALL "_aggs.address.proto_signature=_p50.install_time"
     "&_aggs.address.proto_signature=_avg.install_time", NULL, 0, false},
    {"lists inside lists",
     OVER_ALL "_aggs.addons.addons=addons&_aggs.modules_in_stack.addons=modules_in_stack",
     NULL, 0, false},
    {"the last page by every key", "date=>=-180d&_facets_size=0&_results_number=1000"
     "&_results_offset=9000&_sort=version&_sort=-proto_signature&_sort=url&_sort=addons",
     NULL, 0, true},
    {"every hit with its texts", "date=>=-180d&_facets_size=0&_results_number=1000"
     "&_columns=app_notes&_columns=modules_in_stack&_columns=url&_sort=uuid&app_notes=!__null__",
     NULL, 0, true},
    {"a thousand parts of texts",
     OVER_ALL "_facets=version", "&proto_signature=~*a*1*b*", 1000, true},
    {"a thousand words", OVER_ALL "_facets=version", "&app_notes=some words in it", 1000, true},
    {"a thousand numbers", OVER_ALL "_facets=version", "&uptime=!5", 1000, true},
    {"expressions that share nothing", OVER_ALL "_facets=version",
     "&proto_signature=@(a|b|c).*(1|2).{40}", 20, true},
    {"an expression with many ways through a long text",
     OVER_ALL "_facets=version&app_notes=@(.*w.{50}){2}", NULL, 0, true},
    /* clang-format on */
};

static const char *query_of(size_t i, struct strbuf *b)
{
    sb_reset(b);
    sb_text(b, monsters[i].query);
    for (size_t k = 0; k < monsters[i].times; k++)
        sb_text(b, monsters[i].name);
    return sb_cstr(b);
}

static bool mentions(const struct err *err, const char *word)
{
    return strstr(err->msg, word) != NULL;
}

/* A reader that has just given up still answers right. */
static void expect_sound(struct fixture *f, const char *label)
{
    struct err err = {0};
    json_auto_t *answer = ask(f,
                              "date=>=-180d&_results_number=0&_facets=product&_facets=addons"
                              "&_facets=_cardinality.url&_sort=url",
                              (struct search_context){0}, &err);
    if (!answer)
        fail_msg("after %s: %s", label, err.msg);
    const json_t *facets = jget_obj(answer, "facets");
    if (jget_int_or(answer, "total", 0) != REPORTS ||
        jget_int_or(json_array_get(jget_arr(facets, "product"), 0), "count", 0) != REPORTS / 3 ||
        jget_int_or(jget_obj(facets, "cardinality_url"), "value", 0) != REPORTS ||
        jget_int_or(json_array_get(jget_arr(facets, "addons"), 0), "count", 0) != 156)
        fail_msg("after %s: a wrong answer", label);
}

static void test_buckets_are_counted_over_the_whole_answer(void **state)
{
    static const struct {
        const char *query;
        size_t buckets;
    } cases[] = {
        {"_facets=version&_facets_size=100", 100},
        {"_facets=version&_facets=addons&_facets=product&_facets_size=100", 203},
        {"_facets=product&_aggs.product=version&_facets_size=100", 153},
        {"_facets=product&_aggs.product.version=_cardinality.url&_facets_size=10", 63},
        {"_facets=product&_histogram.date=product&_histogram_interval.date=30d", 31},
        {"_facets=_cardinality.url&_facets=_cardinality.version", 2},
        {"_facets=_p50.uptime&_facets=_p95.uptime&_facets=_avg.uptime", 3},
        {"_facets=product&_aggs.product=_sum.uptime&_aggs.product=_p5.uptime&_facets_size=100", 9},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char query[256];
        struct err err = {0};
        snprintf(query, sizeof query, "date=>=-180d&_results_number=0&%s", cases[i].query);
        json_auto_t *enough =
            ask(f, query, (struct search_context){.max_buckets = cases[i].buckets}, &err);
        if (!enough)
            fail_msg("%s: %zu are not enough: %s", query, cases[i].buckets, err.msg);
        json_auto_t *too_few =
            ask(f, query, (struct search_context){.max_buckets = cases[i].buckets - 1}, &err);
        if (too_few || err.code != ERR_INVALID || !mentions(&err, "SEARCH_MAX_BUCKETS"))
            fail_msg("%s: %zu should be too few: %s", query, cases[i].buckets - 1, err.msg);
    }
}

static void test_limits_end_monsters(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(monsters); i++) {
        STRBUF_AUTO b;
        struct err err = {0};
        sb_init(&b, 1 << 20);
        json_auto_t *answer =
            ask(f, query_of(i, &b), (struct search_context){.max_buckets = REPORTS}, &err);
        if (monsters[i].is_light ? !answer : !mentions(&err, "SEARCH_MAX_"))
            fail_msg("%s: %s", monsters[i].label, err.msg);
    }
    expect_sound(f, "all of them");
}

static size_t heap_bytes(void)
{
    struct mallinfo2 i = mallinfo2();
    return i.uordblks + i.hblkhd;
}

static void test_memory_ends_at_its_limit_and_is_given_back(void **state)
{
    enum { SMALL = 6 << 20, KEPT = 70 << 20 };
    struct fixture *f = *state;
    expect_sound(f, "nothing");
    size_t before = heap_bytes();
    for (size_t i = 0; i < ARRAY_LEN(monsters); i++) {
        STRBUF_AUTO b;
        struct err err = {0};
        sb_init(&b, 1 << 20);
        json_auto_t *answer =
            ask(f, query_of(i, &b), (struct search_context){.max_bytes = SMALL}, &err);
        if (!answer && !mentions(&err, "SEARCH_MAX_"))
            fail_msg("%s: %s", monsters[i].label, err.msg);
        if (!answer && heap_bytes() > before + SMALL)
            fail_msg("%s: keeps %zu bytes", monsters[i].label, heap_bytes() - before);
        json_decref(answer);
        answer = ask(f, query_of(i, &b), (struct search_context){0}, &err);
        json_decref(answer);
        answer = NULL;
        if (heap_bytes() > before + KEPT)
            fail_msg("%s: keeps %zu bytes", monsters[i].label, heap_bytes() - before);
    }
    expect_sound(f, "small memory");
}

/* Limits below are processor time, so that a busy machine does not count; with sanitizers
 * everything takes about four times as long. */
#ifdef __SANITIZE_ADDRESS__
enum { SLOWER = 4 };
#else
enum { SLOWER = 1 };
#endif

static int64_t cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct asker {
    int64_t last_ms, longest_ms;
    size_t looks, leaves_at; /* 0: stays */
};

static bool look(void *arg)
{
    struct asker *a = arg;
    int64_t now = cpu_ms();
    a->longest_ms = MAX(a->longest_ms, now - a->last_ms);
    a->last_ms = now;
    return ++a->looks == a->leaves_at;
}

/* No part of a search goes on for long without a look at the clock: building the answer
 * included. */
static void test_clock_is_looked_at_everywhere(void **state)
{
    enum { LONGEST_MS = 250 * SLOWER };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(monsters); i++) {
        STRBUF_AUTO b;
        struct err err = {0};
        struct asker asker = {.last_ms = cpu_ms()};
        sb_init(&b, 1 << 20);
        json_auto_t *answer = ask(f, query_of(i, &b),
                                  (struct search_context){.is_abandoned = look,
                                                          .asker = &asker,
                                                          .max_buckets = 1000000,
                                                          .max_bytes = (size_t)1 << 30},
                                  &err);
        look(&asker);
        if (asker.longest_ms > LONGEST_MS)
            fail_msg("%s: %lld ms without a look", monsters[i].label, (long long)asker.longest_ms);
    }
}

static void test_late_search_ends(void **state)
{
    enum { LONGEST_MS = 400 * SLOWER };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(monsters); i++) {
        STRBUF_AUTO b;
        struct err err = {0};
        sb_init(&b, 1 << 20);
        const char *query = query_of(i, &b);
        int64_t start = cpu_ms();
        json_auto_t *answer =
            ask(f, query, (struct search_context){.deadline_ms = mono_ms()}, &err);
        if (answer || !mentions(&err, "timed out"))
            fail_msg("%s: %s", monsters[i].label, answer ? "an answer" : err.msg);
        if (cpu_ms() - start > LONGEST_MS)
            fail_msg("%s: %lld ms late", monsters[i].label, (long long)(cpu_ms() - start));
    }
    expect_sound(f, "late searches");
}

/* Whoever asked may leave at any moment; what was begun for him is no harm to the next. */
static void test_abandoned_search_ends(void **state)
{
    struct fixture *f = *state;
    size_t ended = 0;
    for (size_t i = 0; i < ARRAY_LEN(monsters); i++)
        for (size_t leaves_at = 1; leaves_at < 12; leaves_at += 5) {
            STRBUF_AUTO b;
            struct err err = {0};
            struct asker asker = {.last_ms = cpu_ms(), .leaves_at = leaves_at};
            sb_init(&b, 1 << 20);
            json_auto_t *answer =
                ask(f, query_of(i, &b),
                    (struct search_context){.is_abandoned = look, .asker = &asker}, &err);
            if (asker.looks > leaves_at)
                fail_msg("%s: goes on after %zu looks", monsters[i].label, leaves_at);
            if (asker.looks == leaves_at && (answer || !mentions(&err, "given up")))
                fail_msg("%s: %s", monsters[i].label, answer ? "an answer" : err.msg);
            ended += !answer && mentions(&err, "given up");
        }
    assert_true(ended >= ARRAY_LEN(monsters)); /* the first look comes with the first column */
    expect_sound(f, "abandoned searches");
}

/* Whatever ended a search, every further question is answered with no, however small the work. */
static void test_end_is_final(void **state)
{
    (void)state;
    for (int why = 0; why < 4; why++) {
        struct asker asker = {.last_ms = cpu_ms(), .leaves_at = 1};
        struct search_limits limits = {.deadline_ms = why == 0 ? mono_ms() : INT64_MAX,
                                       .max_buckets = 10,
                                       .max_bytes = 10,
                                       .is_abandoned = why == 1 ? look : NULL,
                                       .asker = &asker};
        struct cost c;
        struct err err = {0};
        cost_begin(&c, &limits);
        assert_true(cost_work(&c, 1) && cost_hold(&c, 10) && cost_buckets(&c, 10));
        assert_false(why == 2   ? cost_hold(&c, 1)
                     : why == 3 ? cost_buckets(&c, 1)
                                : cost_work(&c, COST_LOOK_EVERY));
        enum cost_end end = c.end;
        cost_give_back(&c, 10);
        for (int i = 0; i < 10; i++)
            assert_false(cost_work(&c, 1) || cost_look(&c) || cost_hold(&c, 1) ||
                         cost_buckets(&c, 0));
        assert_int_equal(c.end, end);
        assert_false(cost_error(&c, &err));
        assert_int_equal(err.code, why == 1 ? ERR_ABANDONED : ERR_INVALID);
    }
}

#define WITH_READER(test) cmocka_unit_test_setup_teardown(test, open_reader, close_reader)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_end_is_final),
        WITH_READER(test_buckets_are_counted_over_the_whole_answer),
        WITH_READER(test_limits_end_monsters),
        WITH_READER(test_memory_ends_at_its_limit_and_is_given_back),
        WITH_READER(test_clock_is_looked_at_everywhere),
        WITH_READER(test_late_search_ends),
        WITH_READER(test_abandoned_search_ends),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
