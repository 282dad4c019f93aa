/*
 * Extracts over more reports than a search may show: every row once and in order, in pieces of a
 * bounded size, with replaced and deleted reports in between; and what a sink that fails leads to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/search/extract.h"
#include "lib/search/search.h"

enum { CRASHES = 12000, WEEKS = 3, PIECE_MAX = 80 << 10 };

struct fixture {
    char dir[64];
    struct index_writer *w;
    struct index_reader *r;
    struct arena arena;
    int64_t now_us;
};

static void uuid_of(int n, char out[40])
{
    snprintf(out, 40, "%08x-0000-4000-8000-000000260901", (unsigned)n);
}

static void put(struct fixture *f, int n, const char *signature)
{
    char uuid[40], date[TIME_TEXT_MAX];
    struct err err = {0};
    uuid_of(n, uuid);
    time_iso(f->now_us - (WEEKS - n * WEEKS / CRASHES) * 7 * DAY_US, false, date);
    json_auto_t *doc = json_pack("{s:s, s:s, s:s, s:s}", "uuid", uuid, "date_processed", date,
                                 "signature", signature, "url", "http://secret/");
    if (!index_put(f->w, doc, &err))
        fail_msg("%s", err.msg);
}

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    struct err err = {0};
    uint64_t losses;
    char signature[32];
    snprintf(f->dir, sizeof f->dir, "/tmp/datil-extract-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    arena_init(&f->arena, 64 << 20);
    f->now_us = 1790000000 * (int64_t)1000000;
    if (!index_writer_open(f->dir, &fields_builtin, &f->w, &err) ||
        !index_fill_begin(f->w, 0, &losses, &err) ||
        !index_reader_open(f->dir, &fields_builtin, &f->r, &err))
        fail_msg("%s", err.msg);
    for (int n = 0; n < CRASHES; n++) {
        snprintf(signature, sizeof signature, "sig %d", n % 11000);
        put(f, n, signature);
    }
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

struct sunk {
    struct strbuf text;
    size_t pieces, most_pieces;
};

static bool sink(void *arg, struct str piece, const struct extract_done *so_far, struct err *err)
{
    struct sunk *s = arg;
    assert_true(piece.n <= PIECE_MAX);
    assert_true(piece.n == 0 || piece.p[piece.n - 1] == '\n');
    assert_int_equal(so_far->missing_weeks, 0);
    if (s->pieces++ >= s->most_pieces)
        return err_set(err, ERR_IO, "the sink is full");
    sb_str(&s->text, piece);
    return true;
}

static bool extract(struct fixture *f, const char *query, enum extract_format format,
                    struct sunk *s, struct extract_done *done, struct err *err)
{
    struct search_param v[16];
    struct search_params params = {.v = v};
    struct str rest = str_of(query), part;
    const struct search_context ctx = {.now_us = f->now_us, .reader = PERM_PUBLIC};
    arena_reset(&f->arena);
    while (str_split(&rest, '&', &part)) {
        size_t eq = str_find_char(part, '=', 0);
        v[params.n++] =
            (struct search_param){str_sub(part, 0, eq), str_sub(part, eq + 1, SIZE_MAX)};
    }
    return extract_run(&f->arena, f->r, &ctx, params, format, sink, s, done, NULL, err);
}

static void expect_ids(struct str text, const bool *is_gone)
{
    struct str line;
    char uuid[40];
    assert_true(str_split(&text, '\n', &line) && str_eq(line, STR("uuid")));
    for (int n = 0; n < CRASHES; n++) {
        if (is_gone && is_gone[n])
            continue;
        uuid_of(n, uuid);
        assert_true(str_split(&text, '\n', &line));
        if (!str_eq(line, str_of(uuid)))
            fail_msg("%s is " STR_FMT, uuid, STR_ARG(line));
    }
    assert_int_equal(text.n, 0);
}

static void test_every_row_once(void **state)
{
    struct sunk s = {.most_pieces = SIZE_MAX};
    struct extract_done done;
    struct err err = {0};
    sb_init(&s.text, 64 << 20);
    if (!extract(*state, "date=>=-30d&_columns=uuid&_sort=-uuid&_facets=signature", EXTRACT_CSV, &s,
                 &done, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(done.rows, CRASHES);
    assert_true(s.pieces > 5);
    expect_ids(sb_view(&s.text), NULL);
    sb_release(&s.text);
}

static void test_every_value(void **state)
{
    struct sunk s = {.most_pieces = SIZE_MAX};
    struct extract_done done;
    struct err err = {0};
    sb_init(&s.text, 64 << 20);
    if (!extract(*state, "date=>=-30d&_facet=signature", EXTRACT_CSV, &s, &done, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(done.rows, 11000);
    assert_true(str_starts(sb_view(&s.text), STR("signature,count\nsig 0,2\nsig 1,2\n")));
    assert_true(str_ends(sb_view(&s.text), STR("\nsig 9999,1\n")));
    sb_release(&s.text);
}

/* What the sink fails with is what the caller reads, not that the search was given up. */
static void test_a_sink_that_fails(void **state)
{
    for (size_t most = 0; most < 4; most++) {
        struct sunk s = {.most_pieces = most};
        struct extract_done done;
        struct err err = {0};
        sb_init(&s.text, 64 << 20);
        assert_false(extract(*state, "date=>=-30d&_columns=uuid", EXTRACT_NDJSON, &s, &done, &err));
        assert_int_equal(err.code, ERR_IO);
        assert_string_equal(err.msg, "the sink is full");
        assert_int_equal(s.pieces, most + 1);
        sb_release(&s.text);
    }
}

static void test_replaced_and_deleted(void **state)
{
    struct fixture *f = *state;
    struct sunk s = {.most_pieces = SIZE_MAX};
    struct extract_done done;
    struct err err = {0};
    FREE_LATER bool *is_gone = xcalloc(CRASHES, sizeof *is_gone);
    char uuid[40];
    sb_init(&s.text, 64 << 20);
    for (int n = 0; n < CRASHES; n += 7) {
        bool was_there;
        uuid_of(n, uuid);
        is_gone[n] = true;
        if (!index_delete(f->w, uuid, &was_there, &err))
            fail_msg("%s", err.msg);
        assert_true(was_there);
    }
    if (!extract(f, "date=>=-30d&_columns=uuid", EXTRACT_CSV, &s, &done, &err))
        fail_msg("%s", err.msg);
    expect_ids(sb_view(&s.text), is_gone);
    sb_release(&s.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_once),
        cmocka_unit_test(test_every_value),
        cmocka_unit_test(test_a_sink_that_fails),
        cmocka_unit_test(test_replaced_and_deleted),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
