#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/search/columns/format.h"
#include "lib/search/search.h"

/*
 * Files of common numbers (DIR/numbering): whatever is in them, a process that begins with them
 * answers as one that has none.  DATIL_SEED in the environment repeats the damage of a run.
 */
enum { CRASHES = 500, WEEKS = 4, DAMAGES = 300, KILLS = 40 };

static const int64_t NOW_US = 1790000000 * (int64_t)1000000;

struct world {
    char dir[64];
    struct index_writer *w;
    uint64_t seed;
};

static uint64_t next_random(struct world *w)
{
    w->seed = w->seed * 6364136223846793005u + 1442695040888963407u;
    return w->seed >> 17;
}

/* Some signatures are in all weeks, others in one. */
static json_t *make_doc(uint32_t crash)
{
    char uuid[40], date[TIME_TEXT_MAX], text[64], version[16];
    uint32_t week = crash % WEEKS;
    snprintf(uuid, sizeof uuid, "%08x-0000-4000-8000-000000%06u", crash * 2654435761u, crash);
    time_iso(NOW_US - (int64_t)week * 7 * 86400 * 1000000 - crash * (int64_t)1000000, false, date);
    if (crash % 3 == 0)
        snprintf(text, sizeof text, "only%u::in_week_%u", crash / 6, week);
    else
        snprintf(text, sizeof text, "sig%u | everywhere", crash / 4 % 40);
    snprintf(version, sizeof version, "%u.0", 100 + crash % 23);
    return json_pack("{s:s, s:s, s:s, s:i, s:s, s:s, s:[s, s]}", "uuid", uuid, "date_processed",
                     date, "signature", text, "uptime", (int)crash, "version", version, "product",
                     crash % 2 ? "Odd" : "Even", "addons", text, "always");
}

static void put_crashes(struct world *w, uint32_t from, uint32_t to)
{
    struct err err = {0};
    for (uint32_t c = from; c < to; c++) {
        json_auto_t *doc = make_doc(c);
        if (!index_put(w->w, doc, &err))
            fail_msg("%s", err.msg);
    }
}

static void start_world(struct world *w)
{
    struct err err = {0};
    const char *seed = getenv("DATIL_SEED");
    uint64_t losses;
    *w = (struct world){.seed = random_u64() >> 1};
    if (seed)
        assert_true(str_to_u64(str_of(seed), 10, UINT64_MAX, "seed", &w->seed, ERR_IGNORED));
    printf("DATIL_SEED=%llu\n", (unsigned long long)w->seed);
    snprintf(w->dir, sizeof w->dir, "%s/datil-numbering-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(w->dir));
    assert_true(index_writer_open(w->dir, &fields_builtin, &w->w, &err) &&
                index_fill_begin(w->w, 0, &losses, &err));
    put_crashes(w, 0, CRASHES);
    assert_true(index_sync(w->w, &err));
}

static void end_world(struct world *w)
{
    index_writer_close(w->w);
    fs_remove_tree(w->dir, ERR_IGNORED);
}

static void ask(struct index_reader *r, struct search_param *v, size_t n, json_t *all)
{
    struct arena a;
    struct search_context ctx = {.now_us = NOW_US, .deadline_ms = mono_ms() + 20000, .lanes = 2};
    json_t *answer = NULL;
    const char *form;
    struct err err = {0};
    arena_init(&a, 8 << 20);
    if (!search_answer(&a, r, &ctx, (struct search_params){v, n}, &answer, &form, &err))
        fail_msg("search: %s", err.msg);
    json_array_append_new(all, answer);
    arena_release(&a);
}

/* Everything that goes by numbers of texts: facets, nested ones, conditions, the order. */
static char *answers_of(struct index_reader *r)
{
    static struct search_param facets[] = {
        {STR_INIT("date"), STR_INIT(">=-2d")},
        {STR_INIT("_facets_size"), STR_INIT("1000")},
        {STR_INIT("_facets"), STR_INIT("signature")},
        {STR_INIT("_facets"), STR_INIT("version")},
        {STR_INIT("_facets"), STR_INIT("addons")},
        {STR_INIT("_aggs.product.signature"), STR_INIT("version")},
        {STR_INIT("_facets"), STR_INIT("_cardinality.signature")},
        {STR_INIT("_results_number"), STR_INIT("0")},
    };
    static struct search_param hits[] = {
        {STR_INIT("date"), STR_INIT(">=-40d")},
        {STR_INIT("_results_number"), STR_INIT("1000")},
        {STR_INIT("_sort"), STR_INIT("-signature")},
        {STR_INIT("_sort"), STR_INIT("version")},
        {STR_INIT("_columns"), STR_INIT("uuid")},
        {STR_INIT("_columns"), STR_INIT("signature")},
        {STR_INIT("signature"), STR_INIT("~1")},
        {STR_INIT("version"), STR_INIT("!$7.0")},
    };
    json_auto_t *all = json_array();
    ask(r, facets, ARRAY_LEN(facets), all); /* one week first */
    facets[0].value = STR(">=-40d");
    ask(r, facets, ARRAY_LEN(facets), all);
    facets[0].value = STR(">=-2d");
    ask(r, hits, ARRAY_LEN(hits), all);
    return json_dumps(all, JSON_SORT_KEYS);
}

static bool has_mapped(const char *path)
{
    char *text;
    size_t n;
    assert_true(fs_read("/proc/self/maps", 64 << 20, &text, &n, ERR_IGNORED));
    bool found = str_find(str_n(text, n), str_of(path), 0) != SIZE_MAX;
    free(text);
    return found;
}

static void file_of(const struct world *w, const char *field, char out[128])
{
    snprintf(out, 128, "%s/numbering/%s", w->dir, field);
}

/* Of a process that has just started.  *ret_used: with the file of signatures. */
static char *first_answers(struct world *w, bool *ret_used)
{
    struct index_reader *r;
    struct err err = {0};
    char path[128];
    assert_true(index_reader_open(w->dir, &fields_builtin, &r, &err));
    char *answers = answers_of(r);
    file_of(w, "signature", path);
    *ret_used = has_mapped(path);
    index_reader_close(r);
    return answers;
}

static size_t number(struct world *w)
{
    struct err err = {0};
    size_t written;
    if (!index_number(w->dir, &fields_builtin, 1, NULL, &written, &err))
        fail_msg("%s", err.msg);
    return written;
}

static char *answers_without(struct world *w)
{
    char path[128];
    bool is_used;
    snprintf(path, sizeof path, "%s/numbering", w->dir);
    fs_remove_tree(path, ERR_IGNORED);
    char *answers = first_answers(w, &is_used);
    assert_false(is_used);
    return answers;
}

static void expect(struct world *w, const char *want, bool is_used, const char *what)
{
    bool used;
    FREE_LATER char *got = first_answers(w, &used);
    if (strcmp(got, want) != 0)
        fail_msg("%s: other answers\n%s\n%s", what, got, want);
    if (used != is_used)
        fail_msg("%s: the file is %s", what, used ? "used" : "not used");
}

static void test_a_process_begins_with_it(void **state)
{
    (void)state;
    struct world w;
    start_world(&w);
    FREE_LATER char *want = answers_without(&w);
    assert_int_equal(number(&w), 3); /* signature, version, product: no ids, no lists */
    expect(&w, want, true, "all codes in the file");
    assert_int_equal(number(&w), 0);

    put_crashes(&w, CRASHES, CRASHES + 60); /* new texts in the weeks of the file */
    number(&w);                             /* too many for one of the files */
    put_crashes(&w, CRASHES + 60, CRASHES + 64);
    FREE_LATER char *more = answers_without(&w);
    number(&w);
    expect(&w, more, true, "written again");
    end_world(&w);
}

/* The file is older than the texts that a reader finds, which are numbered behind those of it. */
static void test_newer_texts_are_added(void **state)
{
    (void)state;
    struct world w;
    start_world(&w);
    number(&w);
    put_crashes(&w, CRASHES, 2 * CRASHES);
    struct err err = {0};
    bool used;
    FREE_LATER char *with = first_answers(&w, &used);
    assert_true(used);
    FREE_LATER char *want = answers_without(&w);
    assert_string_equal(with, want);

    /* a reader that stays, while texts are added and the file is written anew below it */
    struct index_reader *r;
    number(&w);
    assert_true(index_reader_open(w.dir, &fields_builtin, &r, &err));
    for (uint32_t c = 2 * CRASHES; c < 3 * CRASHES; c += 100) {
        free(answers_of(r));
        put_crashes(&w, c, c + 100);
        number(&w);
    }
    FREE_LATER char *stayed = answers_of(r);
    index_reader_close(r);
    FREE_LATER char *fresh = answers_without(&w);
    assert_string_equal(stayed, fresh);
    end_world(&w);
}

/* Flipped, cut, longer, or emptied. */
static void damage(struct world *w, const char *path)
{
    struct stat st;
    uint8_t byte;
    FD_AUTO fd = open(path, O_RDWR);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    off_t at = (off_t)(next_random(w) % (uint64_t)(next_random(w) % 2 ? st.st_size : 200));
    if (next_random(w) % 4 == 0) {
        assert_int_equal(ftruncate(fd, next_random(w) % 8 ? at : st.st_size + 1 + at), 0);
        return;
    }
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= (uint8_t)(1 << next_random(w) % 8);
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

static void test_a_damaged_file_is_not_used(void **state)
{
    (void)state;
    struct world w;
    struct err err = {0};
    size_t damaged;
    char path[128];
    start_world(&w);
    FREE_LATER char *want = answers_without(&w);
    file_of(&w, "signature", path);
    for (int i = 0; i < DAMAGES; i++) {
        char what[32];
        snprintf(what, sizeof what, "damage %d", i);
        number(&w);
        damage(&w, path);
        expect(&w, want, false, what);
        assert_true(index_scrub(w.w, NULL, &damaged, &err));
        if (fs_exists(path))
            fail_msg("%s: nobody noticed", what);
    }
    end_world(&w);
}

/* Whole in itself, but not of these weeks as they are. */
static void test_a_file_of_others_is_not_used(void **state)
{
    (void)state;
    struct world w, other;
    struct err err = {0};
    char path[128], from[128], old[160];
    start_world(&w);
    start_world(&other);
    number(&w);
    number(&other);
    FREE_LATER char *want = answers_without(&w);
    number(&w);
    file_of(&w, "signature", path);

    file_of(&w, "version", from);
    assert_true(fs_copy(from, path, 0600, &err));
    expect(&w, want, false, "the file of another field");
    file_of(&other, "signature", from);
    assert_true(fs_copy(from, path, 0600, &err));
    expect(&w, want, false, "the file of another index");

    number(&w);
    expect(&w, want, true, "written again");
    snprintf(old, sizeof old, "%s/old", w.dir);
    assert_true(fs_copy(path, old, 0600, &err));
    json_auto_t *doc = make_doc(1);
    bool was_there;
    assert_true(index_delete(w.w, jget_str(doc, "uuid"), &was_there, &err) &&
                index_compact(w.dir, &fields_builtin, &err));
    assert_false(fs_exists(path)); /* what hashes of purged texts it had is gone */
    FREE_LATER char *compacted = answers_without(&w);
    assert_true(fs_copy(old, path, 0600, &err));
    expect(&w, compacted, false, "the file of a week before it was compacted");
    assert_true(number(&w) > 0);
    expect(&w, compacted, true, "written again after a compaction");

    size_t dropped;
    assert_true(fs_copy(path, old, 0600, &err) &&
                index_expire(w.dir, &fields_builtin, NOW_US - INT64_C(14) * 86400 * 1000000,
                             &dropped, &err));
    assert_int_equal(dropped, 1);
    FREE_LATER char *expired = answers_without(&w);
    assert_true(fs_copy(old, path, 0600, &err));
    expect(&w, expired, false, "the file of a week that was dropped");
    end_world(&other);
    end_world(&w);
}

struct file {
    uint8_t *bytes;
    size_t n;
    struct numbering_head h;
};

static void read_file(const char *path, struct file *f)
{
    char *text;
    assert_true(fs_read(path, 64 << 20, &text, &f->n, ERR_IGNORED));
    f->bytes = (uint8_t *)text;
    memcpy(&f->h, text, sizeof f->h);
}

/* With the sum that belongs to the bytes. */
static void write_file(const char *path, struct file *f)
{
    size_t from = offsetof(struct numbering_head, bytes);
    uint64_t sum = hash64(f->bytes + from, f->n - from);
    memcpy(f->bytes + offsetof(struct numbering_head, sum), &sum, sizeof sum);
    assert_true(fs_write_atomic(path, f->bytes, f->n, 0600, ERR_IGNORED));
    free(f->bytes);
}

/* Numbers that lead nowhere, below a good sum: what a writer with a mistake would leave. */
static void test_numbers_are_compared_with_their_limits(void **state)
{
    (void)state;
    struct world w;
    char path[128];
    start_world(&w);
    FREE_LATER char *want = answers_without(&w);
    file_of(&w, "signature", path);
    for (int i = 0; i < 9; i++) {
        struct file f;
        number(&w);
        read_file(path, &f);
        size_t parts = sizeof f.h, places = parts + f.h.part_count * sizeof(struct numbering_part);
        size_t table = places + f.h.id_count * (size_t)8;
        size_t ids = table + ((size_t)8 << f.h.table_bits);
        struct numbering_part part;
        memcpy(&part, f.bytes + parts, sizeof part);
        uint32_t *u32 = (uint32_t *)(void *)f.bytes;
        uint64_t *u64 = (uint64_t *)(void *)f.bytes;
        switch (i) {
        case 0: /* an id that is none */
            u32[ids / 4 + 3] = f.h.id_count + 1;
            break;
        case 1:
            u32[ids / 4 + 3] = 0;
            break;
        case 2: /* "no value" has an id */
            u32[ids / 4] = 1;
            break;
        case 3: /* a text in a part, at a code, that there is not */
            u64[places / 8 + 1] = (uint64_t)f.h.part_count << 32 | 1;
            break;
        case 4:
            u64[places / 8 + 1] = part.codes + 1;
            break;
        case 5: /* no free place */
            memset(f.bytes + table, 1, (size_t)8 << f.h.table_bits);
            break;
        case 6: /* the same week twice */
            memcpy(f.bytes + parts + sizeof part, &part, sizeof part.generation);
            break;
        case 7: /* more parts than there is file */
            f.h.part_count = PARTS_MAX;
            memcpy(f.bytes, &f.h, sizeof f.h);
            break;
        case 8: /* another last text */
            u64[(parts + offsetof(struct numbering_part, last)) / 8]++;
            break;
        }
        write_file(path, &f);
        char what[32];
        snprintf(what, sizeof what, "mistake %d", i);
        expect(&w, want, false, what);
        struct err err = {0};
        size_t damaged;
        assert_true(index_scrub(w.w, NULL, &damaged, &err));
        if (fs_exists(path))
            fail_msg("%s: nobody noticed", what);
    }
    end_world(&w);
}

/* Two texts changed places, everything else fits: only the texts themselves say so. */
static void test_a_scrub_compares_the_texts(void **state)
{
    (void)state;
    struct world w;
    struct err err = {0};
    size_t damaged;
    char path[128];
    start_world(&w);
    FREE_LATER char *want = answers_without(&w);
    file_of(&w, "signature", path);
    for (int i = 0; i < 2; i++) {
        struct file f;
        number(&w);
        read_file(path, &f);
        size_t places = sizeof f.h + f.h.part_count * sizeof(struct numbering_part);
        size_t table = places + f.h.id_count * (size_t)8;
        size_t ids = table + ((size_t)8 << f.h.table_bits);
        if (i == 0) { /* an id of another text */
            uint32_t *u32 = (uint32_t *)(void *)(f.bytes + ids), first = u32[1];
            u32[1] = u32[2];
            u32[2] = first;
        } else { /* a hash of another text */
            uint64_t *u64 = (uint64_t *)(void *)(f.bytes + table);
            while (*u64 == 0)
                u64++;
            *u64 ^= UINT64_C(1) << 63;
        }
        write_file(path, &f);
        assert_true(index_scrub(w.w, NULL, &damaged, &err));
        if (fs_exists(path))
            fail_msg("exchange %d: nobody noticed", i);
        expect(&w, want, false, "after the scrub");
    }
    end_world(&w);
}

static size_t count_temporary(const struct world *w)
{
    char path[128];
    size_t n = 0;
    snprintf(path, sizeof path, "%s/numbering", w->dir);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));)
        n += strstr(e->d_name, ".tmp.") != NULL;
    if (d)
        closedir(d);
    return n;
}

static void number_for_ever(struct world *w)
{
    char path[128];
    file_of(w, "signature", path);
    for (;;) {
        unlink(path);
        number(w);
    }
}

static void test_killed_while_writing(void **state)
{
    (void)state;
    struct world w;
    bool used;
    start_world(&w);
    FREE_LATER char *want = answers_without(&w);
    for (int i = 0; i < KILLS; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            number_for_ever(&w);
        }
        usleep((useconds_t)(next_random(&w) % 4000));
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        FREE_LATER char *got = first_answers(&w, &used);
        assert_string_equal(got, want);
    }
    number(&w);
    assert_int_equal(count_temporary(&w), 0);
    expect(&w, want, true, "after the kills");
    end_world(&w);
}

int main(void)
{
    log_init("test", "error");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_process_begins_with_it),
        cmocka_unit_test(test_newer_texts_are_added),
        cmocka_unit_test(test_a_damaged_file_is_not_used),
        cmocka_unit_test(test_a_file_of_others_is_not_used),
        cmocka_unit_test(test_numbers_are_compared_with_their_limits),
        cmocka_unit_test(test_a_scrub_compares_the_texts),
        cmocka_unit_test(test_killed_while_writing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
