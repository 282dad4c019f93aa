/*
 * Two field tables at once, as two installations would have them in one process: each decides for
 * itself what is kept, who may see it and what can be searched.  The names are chosen so that the
 * tables disagree about everything that could be shared by mistake: ids of fields (the added ones
 * sort before the built-in ones in one table and behind them in the other), types, permissions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/crash/reduce.h"
#include "lib/search/doc.h"
#include "lib/search/search.h"

static const int64_t now = 1790000000 * (int64_t)1000000;

struct side {
    char dir[64];
    const struct field_table *fields;
    struct index_writer *w;
    struct index_reader *r;
    struct arena arena;
};

struct two {
    struct side a, z;
};

/* `mood` is a number that everybody sees here … */
static const char rows_a[] = "annotation\tMood\tint\tpub\t-\tx\n"
                             "key\tprocessed\tmood\tint\tpub\tCopyFromRawCrash\tMood\t-\n"
                             "search\taaa_mood\tinteger\tint\tlong\t-\tmood\t-\tx\n"
                             "search\tmood\tinteger\tint\tlong\t-\t=\t-\tx\n";
/* … and a protected text there. */
static const char rows_z[] = "annotation\tMood\tstr\tprot\t-\tx\n"
                             "annotation\tTune\tstr\tpub\t-\tx\n"
                             "key\tprocessed\tmood\tstr\tprot\tCopyFromRawCrash\tMood\t-\n"
                             "key\tprocessed\ttune\tstr\tpub\tCopyFromRawCrash\tTune\t-\n"
                             "search\tmood\tstring\tstr\tkeyword\t-\t=\t-\tx\n"
                             "search\tzzz_tune\tstring\tstr\tkeyword\t-\ttune\t-\tx\n";

static void open_side(struct side *s, const char *rows)
{
    char path[128], index[128];
    struct err err = {0};
    uint64_t losses;
    snprintf(s->dir, sizeof s->dir, "/tmp/datil-tables-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    snprintf(path, sizeof path, "%s/config/fields.tsv", s->dir);
    snprintf(index, sizeof index, "%s/index", s->dir);
    arena_init(&s->arena, 64 << 20);
    if (!fs_write_atomic(path, rows, strlen(rows), 0600, &err) ||
        !fields_load(s->dir, &s->fields, &err) ||
        !index_writer_open(index, s->fields, &s->w, &err) ||
        !index_fill_begin(s->w, 0, &losses, &err) ||
        !index_reader_open(index, s->fields, &s->r, &err))
        fail_msg("%s", err.msg);
}

static void close_side(struct side *s)
{
    index_reader_close(s->r);
    index_writer_close(s->w);
    fields_free(s->fields);
    fs_remove_tree(s->dir, ERR_IGNORED);
    arena_release(&s->arena);
}

static int set_up(void **state)
{
    struct two *t = xcalloc(1, sizeof *t);
    open_side(&t->a, rows_a);
    open_side(&t->z, rows_z);
    *state = t;
    return 0;
}

static int tear_down(void **state)
{
    struct two *t = *state;
    close_side(&t->a);
    close_side(&t->z);
    free(t);
    return 0;
}

static json_t *crash(int n, const char *more)
{
    char date[TIME_TEXT_MAX], text[512];
    struct err err = {0};
    time_iso(now - n * (int64_t)1000000, false, date);
    snprintf(text, sizeof text,
             "{\"uuid\":\"%08d-0000-4000-8000-000000240101\",\"date_processed\":\"%s\",%s}", n,
             date, more);
    json_t *doc = jparse(str_of(text), sizeof text, &err);
    if (!doc)
        fail_msg("%s: %s", text, err.msg);
    return doc;
}

static void put(struct side *s, int n, const char *more)
{
    struct err err = {0};
    json_auto_t *doc = crash(n, more);
    if (!index_put(s->w, doc, &err))
        fail_msg("%s", err.msg);
}

static json_t *ask(struct side *s, const char *query, enum perm reader, struct err *err)
{
    struct search_param v[16];
    struct search_params params = {.v = v};
    struct str rest = str_of(query), part;
    while (str_split(&rest, '&', &part)) {
        size_t eq = str_find_char(part, '=', 0);
        v[params.n++] =
            (struct search_param){str_sub(part, 0, eq), str_sub(part, eq + 1, SIZE_MAX)};
    }
    struct search_context ctx = {.now_us = now, .reader = reader};
    json_t *answer = NULL;
    const char *form;
    arena_reset(&s->arena);
    search_answer(&s->arena, s->r, &ctx, params, &answer, &form, err);
    return answer;
}

/* The value at `path` of the answer to `query` is the JSON text `want`. */
static void expect(struct side *s, const char *query, enum perm reader, const char *path,
                   const char *want)
{
    struct err err = {0};
    json_auto_t *answer = ask(s, query, reader, &err);
    if (!answer)
        fail_msg("%s: %s", query, err.msg);
    const json_t *v = jpath(answer, path);
    FREE_LATER char *got = v ? json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    if (!got || strcmp(got, want) != 0)
        fail_msg("%s: %s is %s, not %s", query, path, got ? got : "absent", want);
}

static void print_damage(void *arg, const char *line)
{
    (void)arg;
    fprintf(stderr, "%s\n", line);
}

/* Compacts the index, which copies every row by field, and reads all of it. */
static void check_files(struct side *s)
{
    char index[128];
    struct err err = {0};
    snprintf(index, sizeof index, "%s/index", s->dir);
    if (!index_compact(index, s->fields, &err) ||
        !index_verify(index, s->fields, print_damage, NULL, &err))
        fail_msg("%s", err.msg);
}

static void test_ids(void **state)
{
    struct two *t = *state;
    assert_int_equal(t->a.fields->search_count, fields_builtin.search_count + 2);
    assert_int_equal(t->z.fields->search_count, fields_builtin.search_count + 2);
    assert_int_not_equal(t->a.fields->date->id, t->z.fields->date->id);
    assert_int_equal(t->a.fields->date->id, fields_builtin.date->id + 1);
    assert_null(search_field_find(t->a.fields, STR("zzz_tune")));
    assert_null(search_field_find(t->z.fields, STR("aaa_mood")));
    assert_null(search_field_find(&fields_builtin, STR("mood")));
}

/* Interleaved, so that whatever one leaves behind would be met by the other. */
static void test_search(void **state)
{
    struct two *t = *state;
    for (int i = 1; i <= 3; i++) {
        char number[64], text[96];
        snprintf(number, sizeof number, "\"mood\":%d,\"product\":\"A\"", i * 10);
        snprintf(text, sizeof text, "\"mood\":\"m%d\",\"tune\":\"t%d\",\"product\":\"Z\"", i,
                 4 - i);
        put(&t->a, i, number);
        put(&t->z, i, text);
    }
    put(&t->z, 4, "\"product\":\"Z\"");
    for (int round = 0; round < 2; round++) {
        expect(&t->a, "mood=>15&_columns=aaa_mood&_sort=-aaa_mood", PERM_PUBLIC, "hits",
               "[{\"aaa_mood\":30},{\"aaa_mood\":20}]");
        expect(&t->z, "mood=m2&_columns=mood&_columns=zzz_tune", PERM_PROTECTED, "hits",
               "[{\"mood\":\"m2\",\"zzz_tune\":\"t2\"}]");
        expect(&t->a, "_facets=mood&mood=<15", PERM_PUBLIC, "facets.mood",
               "[{\"term\":10,\"count\":1}]");
        expect(&t->z, "_sort=zzz_tune&_columns=zzz_tune&zzz_tune=!__null__", PERM_PUBLIC, "hits",
               "[{\"zzz_tune\":\"t1\"},{\"zzz_tune\":\"t2\"},{\"zzz_tune\":\"t3\"}]");
        expect(&t->z, "_sort=-date&_columns=uuid&_results_number=1", PERM_PUBLIC, "hits",
               "[{\"uuid\":\"00000001-0000-4000-8000-000000240101\"}]");
        struct err err = {0};
        if (!index_sync(t->a.w, &err) || !index_sync(t->z.w, &err))
            fail_msg("%s", err.msg);
    }
    /* A crash that is put again replaces its row, which is found by the table's own crash id. */
    put(&t->a, 2, "\"mood\":21");
    put(&t->z, 2, "\"tune\":\"t9\"");
    expect(&t->a, "_sort=uuid&_columns=mood", PERM_PUBLIC, "hits",
           "[{\"mood\":10},{\"mood\":21},{\"mood\":30}]");
    expect(
        &t->z, "_sort=-uuid&_columns=zzz_tune", PERM_PUBLIC, "hits",
        "[{\"zzz_tune\":null},{\"zzz_tune\":\"t1\"},{\"zzz_tune\":\"t9\"},{\"zzz_tune\":\"t3\"}]");
    check_files(&t->a);
    check_files(&t->z);
    expect(&t->a, "_sort=-date&_columns=aaa_mood", PERM_PUBLIC, "hits",
           "[{\"aaa_mood\":10},{\"aaa_mood\":21},{\"aaa_mood\":30}]");
    struct err err = {0};
    json_auto_t *unknown = ask(&t->a, "_columns=zzz_tune", PERM_PROTECTED, &err);
    assert_null(unknown);
    assert_string_equal(err.msg, "Unknown field 'zzz_tune'");
}

/* Protected in one table and public in the other: each reader gets what its own table says. */
static void test_permissions(void **state)
{
    struct two *t = *state;
    put(&t->a, 1, "\"mood\":1");
    put(&t->z, 1, "\"mood\":\"secret\"");
    expect(&t->a, "_facets=mood", PERM_PUBLIC, "facets.mood", "[{\"term\":1,\"count\":1}]");
    expect(&t->z, "_facets=mood&_facets=product&mood=nothing", PERM_PUBLIC, "facets",
           "{\"product\":[]}");
    expect(&t->z, "_facets=product&mood=nothing", PERM_PUBLIC, "total", "1");
    expect(&t->z, "mood=nothing", PERM_PROTECTED, "total", "0");
    expect(&t->z, "_columns=mood&_columns=product", PERM_PUBLIC, "hits", "[{\"product\":null}]");

    json_auto_t *doc = crash(1, "\"mood\":1"), *text = crash(1, "\"mood\":\"secret\"");
    size_t rejected;
    json_auto_t *seen_a = reduce_processed(t->a.fields, doc, PERM_PUBLIC, NULL);
    json_auto_t *seen_z = reduce_processed(t->z.fields, text, PERM_PUBLIC, NULL);
    json_auto_t *protected_z = reduce_processed(t->z.fields, text, PERM_PROTECTED, NULL);
    json_auto_t *misfit = reduce_processed(t->z.fields, doc, PERM_PROTECTED, &rejected);
    assert_int_equal(json_integer_value(json_object_get(seen_a, "mood")), 1);
    assert_null(json_object_get(seen_z, "mood"));
    assert_string_equal(jget_str(protected_z, "mood"), "secret");
    assert_null(json_object_get(misfit, "mood"));
    assert_int_equal(rejected, 1);

    json_auto_t *raw = json_pack("{s:s, s:s}", "Mood", "x", "Tune", "y");
    json_auto_t *raw_a = reduce_raw(t->a.fields, raw, PERM_PUBLIC, NULL);
    json_auto_t *raw_z = reduce_raw(t->z.fields, raw, PERM_PUBLIC, NULL);
    assert_true(json_object_get(raw_a, "Mood") && !json_object_get(raw_a, "Tune"));
    assert_true(!json_object_get(raw_z, "Mood") && json_object_get(raw_z, "Tune"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ids, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_search, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_permissions, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
