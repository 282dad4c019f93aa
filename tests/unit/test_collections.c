/*
 * The second collection: documents of another kind, with a field table of their own, in an index
 * beside the first.  Both are written and searched in one process, and neither sees the other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/conf.h"
#include "lib/base/fs.h"
#include "lib/base/time.h"
#include "lib/search/collection.h"
#include "lib/search/search.h"

static const int64_t now = 1790000000 * (int64_t)1000000;

struct both {
    char var[64];
    struct conf conf;
    struct collection c[COLLECTIONS];
    struct index_writer *w[COLLECTIONS];
    struct index_reader *r[COLLECTIONS];
    struct arena arena;
};

static int set_up(void **state)
{
    static struct both b;
    struct err err = {0};
    uint64_t losses;
    snprintf(b.var, sizeof b.var, "/tmp/datil-collections-XXXXXX");
    assert_non_null(mkdtemp(b.var));
    assert_int_equal(setenv("DATIL_VAR", b.var, 1), 0);
    arena_init(&b.arena, 64 << 20);
    if (!conf_load(&b.conf, &err))
        fail_msg("%s", err.msg);
    for (enum collection_id id = 0; id < COLLECTIONS; id++) {
        b.c[id] = collection_of(&b.conf, &fields_builtin, id);
        if (!index_writer_open(b.c[id].dir, b.c[id].fields, &b.w[id], &err) ||
            !index_fill_begin(b.w[id], 0, &losses, &err) ||
            !index_reader_open(b.c[id].dir, b.c[id].fields, &b.r[id], &err))
            fail_msg("%s", err.msg);
    }
    *state = &b;
    return 0;
}

static int tear_down(void **state)
{
    struct both *b = *state;
    for (enum collection_id id = 0; id < COLLECTIONS; id++) {
        index_reader_close(b->r[id]);
        index_writer_close(b->w[id]);
    }
    arena_release(&b->arena);
    conf_release(&b->conf);
    fs_remove_tree(b->var, ERR_IGNORED);
    return 0;
}

static json_t *ping(int i)
{
    char id[40];
    snprintf(id, sizeof id, "5f0b8a5e-93cf-4b46-8d8e-%012x", (unsigned)i);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:f, s:[s,s]}", "document_id", id,
                     "received_at", "2026-09-20T10:00:00Z", "day", "2026-09-20", "signature",
                     i % 2 ? "js::GC" : "mozalloc_abort", "product", "Firefox", "version", "131.0",
                     "channel", i % 4 ? "release" : "nightly", "startup_crash", i % 2, "weight",
                     2.5, "utility_actors", "js-oracle", "windows-utils");
}

static json_t *ask(struct both *b, enum collection_id id, struct search_param *params, size_t n)
{
    struct search_context ctx = {.now_us = now};
    struct search_query *q;
    const char *form_param = NULL;
    json_t *answer = NULL;
    struct err err = {0};
    if (!search_parse(&b->arena, b->c[id].fields, &ctx, (struct search_params){params, n}, &q,
                      &form_param, &err) ||
        !search_run(b->r[id], &ctx, q, &answer, &err))
        fail_msg("%s", err.msg);
    return answer;
}

static void put_pings(struct both *b, int n)
{
    struct err err = {0};
    for (int i = 0; i < n; i++) {
        json_auto_t *doc = ping(i);
        if (!index_put(b->w[COLLECTION_PINGS], doc, &err))
            fail_msg("%s", err.msg);
    }
}

#define PARAM(key, text)                                                                           \
    {                                                                                              \
        STR_INIT(key), STR_INIT(text)                                                              \
    }

static void test_pings_are_found(void **state)
{
    struct both *b = *state;
    put_pings(b, 40);
    struct search_param params[] = {PARAM("channel", "release"), PARAM("signature", "=js::GC"),
                                    PARAM("_facets", "day"), PARAM("_facets", "utility_actors"),
                                    PARAM("_results_number", "1")};
    json_auto_t *found = ask(b, COLLECTION_PINGS, params, 5);
    assert_int_equal(json_integer_value(json_object_get(found, "total")), 20);
    assert_int_equal(json_array_size(json_object_get(found, "errors")), 0);
    const json_t *facets = json_object_get(found, "facets");
    const json_t *day = json_array_get(json_object_get(facets, "day"), 0);
    assert_string_equal(json_string_value(json_object_get(day, "term")), "2026-09-20");
    assert_int_equal(json_array_size(json_object_get(facets, "utility_actors")), 2);
    const json_t *hit = json_array_get(json_object_get(found, "hits"), 0);
    assert_non_null(json_object_get(hit, "document_id"));
    assert_null(json_object_get(hit, "uuid"));
}

static void test_reports_do_not_see_them(void **state)
{
    struct both *b = *state;
    put_pings(b, 4);
    struct search_param none[] = {PARAM("_facets", "signature")};
    json_auto_t *found = ask(b, COLLECTION_REPORTS, none, 1);
    assert_int_equal(json_integer_value(json_object_get(found, "total")), 0);
    assert_true(fs_exists(b->c[COLLECTION_PINGS].dir));
    assert_string_not_equal(b->c[COLLECTION_REPORTS].dir, b->c[COLLECTION_PINGS].dir);
}

/* Ids of pings are not those of crashes: a deleted one is found by its text in whatever week. */
static void test_a_ping_is_replaced_and_deleted(void **state)
{
    struct both *b = *state;
    struct err err = {0};
    bool was_there;
    put_pings(b, 2);
    put_pings(b, 2);
    struct search_param none[] = {PARAM("_facets", "version")};
    const char *id = "5f0b8a5e-93cf-4b46-8d8e-000000000001";
    json_auto_t *before = ask(b, COLLECTION_PINGS, none, 1);
    assert_true(index_has(b->r[COLLECTION_PINGS], id, &was_there, &err) && was_there);
    assert_true(index_delete(b->w[COLLECTION_PINGS], id, &was_there, &err) && was_there);
    json_auto_t *after = ask(b, COLLECTION_PINGS, none, 1);
    assert_int_equal(json_integer_value(json_object_get(after, "total")) + 1,
                     json_integer_value(json_object_get(before, "total")));
    assert_true(index_delete(b->w[COLLECTION_PINGS], id, &was_there, &err) && !was_there);
}

static void test_a_ping_without_its_id_is_refused(void **state)
{
    struct both *b = *state;
    struct err err = {0};
    json_auto_t *doc = ping(7);
    json_object_del(doc, "document_id");
    assert_false(index_put(b->w[COLLECTION_PINGS], doc, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_string_equal(err.msg, "the document has no document_id");
}

static void count_lines(void *arg, const char *line)
{
    (void)line;
    ++*(int *)arg;
}

/* Packing, scrub and verify of ids that are no crash ids. */
static void test_housekeeping(void **state)
{
    struct both *b = *state;
    struct err err = {0};
    size_t packed, damaged;
    int lines = 0;
    put_pings(b, 40);
    struct index_writer *w = b->w[COLLECTION_PINGS];
    const struct collection *c = &b->c[COLLECTION_PINGS];
    if (!index_sync(w, &err) || !index_pack(w, now, 0, NULL, &packed, &err) ||
        !index_scrub(w, NULL, &damaged, &err) ||
        !index_verify(c->dir, c->fields, count_lines, &lines, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(packed, 1);
    assert_int_equal(damaged, 0);
    struct search_param one[] = {PARAM("startup_crash", "__true__"), PARAM("_facets", "channel")};
    json_auto_t *found = ask(b, COLLECTION_PINGS, one, 2);
    assert_int_equal(json_integer_value(json_object_get(found, "total")), 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pings_are_found),
        cmocka_unit_test(test_reports_do_not_see_them),
        cmocka_unit_test(test_a_ping_is_replaced_and_deleted),
        cmocka_unit_test(test_a_ping_without_its_id_is_refused),
        cmocka_unit_test(test_housekeeping),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
