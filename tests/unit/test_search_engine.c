#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/search/search.h"

/*
 * The engine with a handful of documents: what a newcomer would try first.  The thorough
 * comparison with a naive evaluation is in test_search_oracle.c.
 */
struct fixture {
    char dir[64];
    struct index_writer *w;
    struct index_reader *r;
    struct arena arena;
    int64_t now_us;
};

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/datil-search-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    struct err err = {0};
    arena_init(&f->arena, 64 << 20);
    f->now_us = 1790000000 * (int64_t)1000000;
    uint64_t losses;
    if (!index_writer_open(f->dir, &fields_builtin, &f->w, &err) ||
        !index_fill_begin(f->w, 0, &losses, &err) ||
        !index_reader_open(f->dir, &fields_builtin, &f->r, &err))
        fail_msg("%s", err.msg);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    index_reader_close(f->r);
    index_writer_close(f->w);
    fs_remove_tree(f->dir, ERR_IGNORED);
    arena_release(&f->arena);
    free(f);
    return 0;
}

static void uuid_of(int n, char out[40])
{
    snprintf(out, 40, "%08x-0000-4000-8000-00000%07d", (unsigned)n * 2654435761u, n);
}

static void put(struct fixture *f, int n, int days_ago, const char *more)
{
    char uuid[40], date[TIME_TEXT_MAX], text[1024];
    struct err err = {0};
    uuid_of(n, uuid);
    time_iso(f->now_us - days_ago * (int64_t)86400000000 - n * (int64_t)1000000, false, date);
    snprintf(text, sizeof text, "{\"uuid\":\"%s\",\"date_processed\":\"%s\"%s%s}", uuid, date,
             *more ? "," : "", more);
    json_auto_t *doc = jparse(str_of(text), 4096, &err);
    if (!doc || !index_put(f->w, doc, &err))
        fail_msg("%s: %s", text, err.msg);
}

/* Query string -> answer; NULL with the error in f. */
static json_t *ask_as(struct fixture *f, const char *query, enum perm reader, struct err *err)
{
    arena_reset(&f->arena);
    struct search_param v[64];
    struct search_params params = {.v = v};
    struct str rest = str_of(query), part;
    while (str_split(&rest, '&', &part)) {
        size_t eq = str_find_char(part, '=', 0);
        v[params.n++] =
            (struct search_param){str_sub(part, 0, eq), str_sub(part, eq + 1, SIZE_MAX)};
    }
    struct search_context ctx = {
        .now_us = f->now_us, .reader = reader, .deadline_ms = mono_ms() + 20000};
    json_t *answer = NULL;
    const char *form;
    search_answer(&f->arena, f->r, &ctx, params, &answer, &form, err);
    return answer;
}

static json_t *ask(struct fixture *f, const char *query)
{
    struct err err = {0};
    json_t *answer = ask_as(f, query, PERM_PUBLIC, &err);
    if (!answer)
        fail_msg("%s: %s", query, err.msg);
    return answer;
}

static void expect(struct fixture *f, const char *query, const char *path, const char *want)
{
    json_auto_t *answer = ask(f, query);
    const json_t *v = jpath(answer, path);
    char *got = v ? json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    if (!got || strcmp(got, want) != 0)
        fail_msg("%s: %s is %s, not %s", query, path, got ? got : "absent", want);
    free(got);
}

static void load(struct fixture *f)
{
    put(f, 1, 0,
        "\"product\":\"Firefox\",\"version\":\"128.0\",\"signature\":\"OOM | small\","
        "\"os_name\":\"Windows\",\"uptime\":5,\"install_time\":100");
    put(f, 2, 1,
        "\"product\":\"Firefox\",\"version\":\"128.0\",\"signature\":\"OOM | large\","
        "\"os_name\":\"Windows\",\"uptime\":55,\"install_time\":100");
    put(f, 3, 8,
        "\"product\":\"Firefox\",\"version\":\"129.0a1\",\"signature\":\"js::f\","
        "\"os_name\":\"Linux\",\"uptime\":125,\"install_time\":101");
    put(f, 4, 2,
        "\"product\":\"Fenix\",\"version\":\"128.0b3\",\"signature\":\"js::f\","
        "\"os_name\":\"Android\",\"url\":\"http://secret/\"");
}

static void test_first_steps(void **state)
{
    struct fixture *f = *state;
    expect(f, "", "total", "0");
    load(f);
    expect(f, "", "total", "3");
    expect(f, "date=>=-30d", "total", "4");
    expect(f, "date=>=-30d&product=Firefox", "total", "3");
    expect(f, "date=>=-30d&product=!Firefox", "total", "1");
    expect(f, "date=>=-30d&uptime=>10&uptime=<100", "total", "1");
    expect(f, "date=>=-30d&uptime=__null__", "total", "1");
    expect(f, "date=>=-30d&version=128.0b", "total", "1");
    expect(f, "date=>=-30d&signature=@OOM.*", "total", "2");
    expect(f, "date=>=-30d&signature=oom", "total", "2");
    expect(f, "date=>=-30d&signature=~::", "total", "2");
    expect(f, "date=>=-30d&platform=Linux&_results_number=0", "hits", "[]");
    expect(f,
           "date=>=-30d&_columns=version&_columns=platform&_columns=url&_columns=uptime"
           "&_sort=-uptime&_results_offset=2&_results_number=5",
           "hits",
           "[{\"platform\":\"Windows\",\"uptime\":5,\"version\":\"128.0\"},"
           "{\"platform\":\"Android\",\"uptime\":null,\"version\":\"128.0b3\"}]");
}

static void test_shapes(void **state)
{
    struct fixture *f = *state;
    load(f);
    expect(f, "date=>=-30d", "facets.signature",
           "[{\"count\":2,\"term\":\"js::f\"},{\"count\":1,\"term\":\"OOM | large\"},"
           "{\"count\":1,\"term\":\"OOM | small\"}]");
    expect(f,
           "date=>=-30d&product=Firefox&_aggs.product.version=_cardinality.install_time"
           "&_histogram.uptime=platform&_histogram_interval.uptime=60&_facets=platform",
           "facets",
           "{\"histogram_uptime\":[{\"count\":2,\"facets\":{\"platform\":[{\"count\":2,\"term\":"
           "\"Windows\"}]},\"term\":0},{\"count\":1,\"facets\":{\"platform\":[{\"count\":1,"
           "\"term\":\"Linux\"}]},\"term\":120}],\"platform\":[{\"count\":2,\"term\":\"Windows\"},"
           "{\"count\":1,\"term\":\"Linux\"}],\"product\":[{\"count\":3,\"facets\":{\"version\":[{"
           "\"count\":2,\"facets\":{\"cardinality_install_time\":{\"value\":1}},\"term\":\"128.0\"}"
           ",{\"count\":1,\"facets\":{\"cardinality_install_time\":{\"value\":1}},\"term\":"
           "\"129.0a1\"}]},\"term\":\"Firefox\"}]}");
}

static void test_replace_and_delete(void **state)
{
    struct fixture *f = *state;
    bool there;
    char uuid[40];
    struct err err = {0};
    load(f);
    put(f, 3, 0, "\"product\":\"Firefox\"");
    expect(f, "date=>=-30d&product=Firefox", "total", "3");
    expect(f, "date=>=-30d&signature==js::f", "total", "1");
    uuid_of(3, uuid);
    assert_true(index_has(f->r, uuid, &there, &err) && there);
    assert_true(index_delete(f->w, uuid, &there, &err) && there);
    assert_true(index_delete(f->w, uuid, &there, &err) && !there);
    assert_true(index_has(f->r, uuid, &there, &err) && !there);
    expect(f, "date=>=-30d", "total", "3");
    if (!index_sync(f->w, &err) || !index_compact(f->dir, &fields_builtin, &err))
        fail_msg("%s", err.msg);
    expect(f, "date=>=-30d", "total", "3");
    size_t dropped;
    assert_true(index_expire(f->dir, &fields_builtin, f->now_us + 30 * (int64_t)86400000000,
                             &dropped, &err));
    expect(f, "date=>=-30d", "total", "0");
    put(f, 9, 0, "\"product\":\"Firefox\"");
    expect(f, "date=>=-30d", "total", "1");
    assert_true(index_reset(f->dir, &fields_builtin, &err));
    expect(f, "date=>=-30d", "total", "0");
}

/*
 * A document that takes more memory than it may: as many long lists as a table of an installation
 * can ask for.  It is refused, and the writer goes on.
 */
static void test_document_beyond_its_memory(void **state)
{
    struct fixture *f = *state;
    enum { LISTS = 480, ELEMENTS = 10000 };
    const struct search_field *like = search_field_find(&fields_builtin, STR("addons"));
    struct field_table table = fields_builtin;
    struct search_field *fields = xcalloc(LISTS + 2, sizeof *fields);
    static char names[LISTS][16];
    struct index_writer *w;
    struct err err = {0};
    json_auto_t *doc = json_pack("{s:s, s:s}", "uuid", "00000001-0000-4000-8000-000000260101",
                                 "date_processed", "2026-01-01T00:00:00+00:00");
    json_auto_t *list = json_array(), *text = json_string("x");
    for (int i = 0; i < ELEMENTS; i++)
        json_array_append(list, text);
    for (int i = 0; i < LISTS; i++) {
        snprintf(names[i], sizeof names[i], "a_list_%03d", i);
        fields[i] = *like;
        fields[i].name = fields[i].source_key = names[i];
        fields[i].id = (size_t)i;
        json_object_set(doc, names[i], list);
    }
    fields[LISTS] = *fields_builtin.date;
    fields[LISTS].id = LISTS;
    fields[LISTS + 1] = *fields_builtin.uuid;
    fields[LISTS + 1].id = LISTS + 1;
    table.search = fields;
    table.search_count = LISTS + 2;
    table.date = &fields[LISTS];
    table.uuid = &fields[LISTS + 1];
    assert_true(index_writer_open(f->dir, &table, &w, &err));
    assert_false(index_put(w, doc, &err));
    assert_int_equal(err.code, ERR_TOO_LARGE);
    for (int i = 0; i < LISTS; i++)
        json_object_del(doc, names[i]);
    if (!index_put(w, doc, &err))
        fail_msg("%s", err.msg);
    index_writer_close(w);
    free(fields);
}

/* Fields of every kind, with and without values; in order of arrival but for every tenth. */
static void put_many(struct fixture *f, int from, int to)
{
    for (int n = from; n < to; n++) {
        char uuid[40], date[TIME_TEXT_MAX], more[160];
        struct err err = {0};
        uuid_of(n, uuid);
        time_iso(f->now_us - (int64_t)(n % 10 ? 3600 + n : 90000) * 1000000 - n % 7, false, date);
        snprintf(more, sizeof more, "f%u | g%d", (unsigned)n * 2654435761u % 700, n % 3);
        json_auto_t *doc =
            json_pack("{s:s, s:s, s:s, s:s, s:i, s:b, s:f}", "uuid", uuid, "date_processed", date,
                      "signature", more, "product", n % 3 ? "Firefox" : "Fenix", "uptime",
                      n * 7 % 5000, "startup_crash", n % 5 == 0, "uptime_ts", n % 40 / 4.0);
        if (n % 4)
            json_object_set_new(doc, "addons", json_pack("[s, s]", n % 8 ? "a:1" : "b:2", more));
        if (n % 6)
            json_object_set_new(doc, "install_time", json_integer(1600000000 + n % 900));
        if (!index_put(f->w, doc, &err))
            fail_msg("%s", err.msg);
    }
}

/* Whole blocks, and one that is packed to its middle: what is packed reads as it did. */
static void test_packed_weeks_answer_as_open_ones(void **state)
{
    static const char *const queries[] = {
        "date=>=-20d&_facets=signature&_facets=product&_facets=addons&_facets=uptime"
        "&_facets=startup_crash&_facets=uptime_ts&_facets_size=2000&_results_number=0",
        "date=>=-20d&_facets=_cardinality.install_time&_facets=_cardinality.uuid"
        "&_facets=_cardinality.signature&_results_number=0",
        "date=>=-20d&_aggs.product.signature=_cardinality.install_time&_aggs.product=addons"
        "&_aggs.product=uptime&_results_number=0",
        "date=>=-20d&_histogram.date=product&_histogram_interval.date=hour&_results_number=0",
        "date=>=-20d&uptime=>100&uptime=<900&_sort=-uptime&_sort=uuid&_results_number=500"
        "&_columns=uuid&_columns=date&_columns=uptime&_columns=signature&_columns=addons"
        "&_columns=install_time&_columns=startup_crash&_columns=uptime_ts",
        "date=>=-20d&signature=~f12&_sort=signature&_sort=date&_results_number=300&_columns=uuid",
        "date=>=-20d&uuid=~1f&_facets=install_time&_facets_size=1000&_results_number=0",
        "date=>=-2h&_facets=signature&_results_number=20&_sort=date&_columns=uuid&_columns=date",
        "date=>=-20d&install_time=__null__&addons=a:1&_facets=product",
    };
    struct fixture *f = *state;
    struct err err = {0};
    size_t packed;
    char *open[ARRAY_LEN(queries)];
    put_many(f, 0, 9000);
    for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
        json_auto_t *answer = ask(f, queries[i]);
        open[i] = json_dumps(answer, JSON_SORT_KEYS);
    }
    if (!index_pack(f->w, f->now_us + (int64_t)14 * 86400 * 1000000, 0, NULL, &packed, &err))
        fail_msg("%s", err.msg);
    assert_true(packed > 0);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
            json_auto_t *answer = ask(f, queries[i]);
            FREE_LATER char *now = json_dumps(answer, JSON_SORT_KEYS);
            if (strcmp(now, open[i]) != 0)
                fail_msg("%s\nround %d\n%.2000s\n%.2000s", queries[i], round, now, open[i]);
        }
        put_many(f, 100, 1100); /* the same again: behind the packed rows, and those die */
    }
    for (size_t i = 0; i < ARRAY_LEN(queries); i++)
        free(open[i]);
}

/* A stranger who knows the hash function must not know the slots: those of one text differ by week.
 */
static void test_slots_of_texts_differ_by_week(void **state)
{
    struct fixture *f = *state;
    char pattern[128], *bytes[2];
    size_t n[2];
    glob_t found;
    struct err err = {0};
    put(f, 1, 1, "\"product\":\"Firefox\"");
    put(f, 2, 15, "\"product\":\"Firefox\"");
    snprintf(pattern, sizeof pattern, "%s/*/product.hash-*", f->dir);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, 2);
    for (size_t i = 0; i < 2; i++)
        assert_true(fs_read(found.gl_pathv[i], 1 << 20, &bytes[i], &n[i], &err));
    assert_int_equal(n[0], n[1]);
    enum { HEAD = 64 }; /* names the partition, so it differs anyway */
    assert_memory_not_equal(bytes[0] + HEAD, bytes[1] + HEAD, n[0] - HEAD);
    for (size_t i = 0; i < 2; i++)
        free(bytes[i]);
    globfree(&found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_first_steps, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_shapes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_replace_and_delete, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_document_beyond_its_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_packed_weeks_answer_as_open_ones, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_slots_of_texts_differ_by_week, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
