#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/search/columns/format.h"
#include "lib/search/search.h"

/*
 * One flipped bit at a time, anywhere in any file of an index: a scrub finds each, and after what
 * was lost has been put again the answers are those of before.  In half of the rounds two of the
 * weeks are packed, one of them with later rows.  DATIL_FLIPS and DATIL_SEED in the
 * environment ask for more flips or for the same ones again.
 */
enum { FLIPS = 600, CRASHES = 150, WEEKS = 3 };

static const int64_t NOW_US = 1790000000 * (int64_t)1000000;

struct world {
    char dir[64];
    struct index_writer *w;
    struct index_reader *r;
    uint64_t seed;
    char *answers; /* before any flip */
};

static uint64_t next_random(struct world *w)
{
    w->seed = w->seed * 6364136223846793005u + 1442695040888963407u;
    return w->seed >> 17;
}

static json_t *make_doc(uint32_t crash)
{
    char uuid[40], date[TIME_TEXT_MAX], text[64];
    snprintf(uuid, sizeof uuid, "%08x-0000-4000-8000-000000%06u", crash * 2654435761u, crash);
    time_iso(NOW_US - (int64_t)(crash % WEEKS) * 7 * 86400 * 1000000 - crash * (int64_t)1000000,
             false, date);
    snprintf(text, sizeof text, "sig%u", crash % 37);
    return json_pack("{s:s, s:s, s:s, s:i, s:b, s:[s,s], s:s, s:f}", "uuid", uuid, "date_processed",
                     date, "signature", text, "uptime", (int)crash, "startup_crash", crash % 3 == 0,
                     "addons", text, "always", "product", crash % 2 ? "Odd" : "Even", "uptime_ts",
                     crash / 7.0);
}

static void ask(struct world *w, struct search_param *v, size_t n, json_t *all)
{
    struct arena a;
    struct search_context ctx = {.now_us = NOW_US, .deadline_ms = mono_ms() + 20000};
    json_t *answer = NULL;
    const char *form;
    struct err err = {0};
    arena_init(&a, 8 << 20);
    if (!search_answer(&a, w->r, &ctx, (struct search_params){v, n}, &answer, &form, &err))
        fail_msg("search: %s", err.msg);
    json_array_append_new(all, answer);
    arena_release(&a);
}

/* What people see of it: hits, facets, sums, the order. */
static char *all_answers(struct world *w)
{
    static struct search_param v[] = {
        {STR_INIT("date"), STR_INIT(">=-30d")},
        {STR_INIT("_results_number"), STR_INIT("1000")},
        {STR_INIT("_sort"), STR_INIT("uptime")},
        {STR_INIT("_columns"), STR_INIT("uuid")},
        {STR_INIT("_columns"), STR_INIT("uptime")},
        {STR_INIT("_columns"), STR_INIT("signature")},
        {STR_INIT("_columns"), STR_INIT("addons")},
        {STR_INIT("_columns"), STR_INIT("startup_crash")},
        {STR_INIT("_facets"), STR_INIT("signature")},
        {STR_INIT("_facets"), STR_INIT("_cardinality.uuid")},
        {STR_INIT("_aggs.product"), STR_INIT("addons")},
        {STR_INIT("signature"), STR_INIT("~g1")},
    };
    json_auto_t *all = json_array();
    ask(w, v, ARRAY_LEN(v) - 1, all);
    ask(w, v, ARRAY_LEN(v), all);
    return json_dumps(all, JSON_SORT_KEYS);
}

/* As the index keeper does it.  A sync finds damage, too; then there is more to fill. */
static void fill_again(struct world *w)
{
    struct err err = {0};
    struct index_health h;
    int rounds = 0;
    do {
        uint64_t losses;
        assert_true(index_fill_begin(w->w, CRASHES, &losses, &err));
        for (uint32_t c = 0; losses && c < CRASHES; c++) {
            json_auto_t *doc = make_doc(c);
            bool was_there;
            if (!index_put_absent(w->w, doc, &was_there, &err))
                fail_msg("%s", err.msg);
        }
        assert_true(losses == 0 || index_filled(w->w, losses, &err));
        size_t written;
        assert_true(index_sync(w->w, &err) && index_look(w->w, 0, &err) &&
                    index_number(w->dir, &fields_builtin, 1, NULL, &written, &err));
        assert_true(index_health(w->dir, &fields_builtin, &h, &err));
    } while (!h.is_whole && ++rounds < WEEKS + 1);
    assert_true(h.is_whole);
}

/* Two of the three weeks; then a row that is replaced and one that is new. */
static void pack(struct world *w)
{
    struct err err = {0};
    size_t packed;
    if (!index_pack(w->w, NOW_US - (int64_t)5 * 86400 * 1000000, 0, NULL, &packed, &err))
        fail_msg("%s", err.msg);
    json_auto_t *doc = make_doc(1);
    assert_true(index_put(w->w, doc, &err) && index_sync(w->w, &err) && index_look(w->w, 0, &err));
}

static void start_world(struct world *w)
{
    struct err err = {0};
    snprintf(w->dir, sizeof w->dir, "%s/datil-flips-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(w->dir));
    assert_true(index_writer_open(w->dir, &fields_builtin, &w->w, &err) &&
                index_reader_open(w->dir, &fields_builtin, &w->r, &err));
    for (uint32_t c = 0; c < CRASHES; c++) {
        json_auto_t *doc = make_doc(c);
        assert_true(index_put(w->w, doc, &err));
        if (c % 5 == 0) /* replaced rows, tombstones */
            assert_true(index_put(w->w, doc, &err));
    }
    fill_again(w);
    w->answers = all_answers(w);
    pack(w);
}

static void end_world(struct world *w)
{
    index_reader_close(w->r);
    index_writer_close(w->w);
    fs_remove_tree(w->dir, ERR_IGNORED);
    free(w->answers);
}

struct files {
    VEC(char *) paths;
};

/* Files whose text is for people only, and those that are always empty, have nothing to flip. */
static void list_files(const char *dir, struct files *out)
{
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        char path[512];
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (e->d_name[0] == '.' || stat(path, &st) < 0 || strcmp(e->d_name, "aside") == 0 ||
            strcmp(e->d_name, "maintenance") == 0 || strcmp(e->d_name, "fill-lock") == 0)
            continue;
        if (S_ISDIR(st.st_mode))
            list_files(path, out);
        else if (st.st_size > 0)
            VEC_PUSH(&out->paths, xstrdup(path));
    }
    closedir(d);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static uint8_t byte_at(const char *path, off_t at)
{
    uint8_t byte = 0;
    FD_AUTO fd = open(path, O_RDONLY);
    return fd >= 0 && pread(fd, &byte, 1, at) == 1 ? byte : 0;
}

struct flip {
    char path[512];
    off_t at;
    int bit;
    uint8_t flipped; /* the byte after it */
    ino_t inode;
};

/* 0: there is none. */
static ino_t inode_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? st.st_ino : 0;
}

static void choose(struct world *w, struct flip *f)
{
    struct files files = {0};
    struct stat st;
    list_files(w->dir, &files);
    qsort(files.paths.v, files.paths.n, sizeof *files.paths.v, by_name);
    snprintf(f->path, sizeof f->path, "%s", files.paths.v[next_random(w) % files.paths.n]);
    assert_int_equal(stat(f->path, &st), 0);
    /* every second one near the start, where small files have their data */
    off_t span = next_random(w) % 2 ? st.st_size : MIN(st.st_size, (off_t)600);
    f->at = (off_t)(next_random(w) % (uint64_t)span);
    f->bit = (int)(next_random(w) % 8);
    f->inode = st.st_ino;
    for (size_t i = 0; i < files.paths.n; i++)
        free(files.paths.v[i]);
    VEC_RELEASE(&files.paths);
}

static void flip(const char *path, off_t at, int bit)
{
    uint8_t byte = (uint8_t)(byte_at(path, at) ^ 1 << bit);
    FD_AUTO fd = open(path, O_WRONLY);
    assert_true(fd >= 0 && pwrite(fd, &byte, 1, at) == 1);
}

static void flip_somewhere(struct world *w, struct flip *f)
{
    choose(w, f);
    flip(f->path, f->at, f->bit);
    f->flipped = byte_at(f->path, f->at);
}

/* Found: something is to be filled again, or the byte has been mended, or the file was written anew
 * (perhaps with the same number there) or removed. */
static bool is_found(struct world *w, const struct flip *f)
{
    struct index_health h;
    struct err err = {0};
    assert_true(index_health(w->dir, &fields_builtin, &h, &err));
    return !h.is_whole || inode_of(f->path) != f->inode || byte_at(f->path, f->at) != f->flipped;
}

static void test_every_flip_is_found(void **state)
{
    (void)state;
    const char *flips = getenv("DATIL_FLIPS"), *seed = getenv("DATIL_SEED");
    uint64_t n = FLIPS;
    struct world w = {.seed = random_u64() >> 1};
    if (flips)
        assert_true(str_to_u64(str_of(flips), 10, 1000000, "flips", &n, ERR_IGNORED));
    if (seed)
        assert_true(str_to_u64(str_of(seed), 10, UINT64_MAX, "seed", &w.seed, ERR_IGNORED));
    printf("DATIL_SEED=%llu\n", (unsigned long long)w.seed);
    start_world(&w);
    for (uint64_t i = 0; i < n; i++) {
        struct flip f;
        size_t damaged;
        struct err err = {0};
        if (next_random(&w) % 2)
            pack(&w);
        flip_somewhere(&w, &f);
        if (!index_scrub(w.w, NULL, &damaged, &err))
            fail_msg("scrub after %s byte %lld: %s", f.path, (long long)f.at, err.msg);
        if (!is_found(&w, &f))
            fail_msg("flip %llu, bit %d of byte %lld of %s: nobody noticed", (unsigned long long)i,
                     f.bit, (long long)f.at, f.path);
        fill_again(&w);
        FREE_LATER char *now = all_answers(&w);
        if (strcmp(now, w.answers) != 0)
            fail_msg("flip %llu, bit %d of byte %lld of %s: other answers\n%s\n%s",
                     (unsigned long long)i, f.bit, (long long)f.at, f.path, now, w.answers);
    }
    printf("%llu flips, 0 silent\n", (unsigned long long)n);
    end_world(&w);
}

/*
 * Weeks that are being written to: a flip in bytes that are changed in place may go unnoticed, but
 * only if it changes no answer.
 */
static void test_no_flip_changes_an_answer_under_writes(void **state)
{
    (void)state;
    struct world w = {.seed = random_u64() >> 1};
    int found = 0;
    const char *seed = getenv("DATIL_SEED");
    if (seed)
        assert_true(str_to_u64(str_of(seed), 10, UINT64_MAX, "seed", &w.seed, ERR_IGNORED));
    printf("DATIL_SEED=%llu\n", (unsigned long long)w.seed);
    start_world(&w);
    for (int i = 0; i < FLIPS / 2; i++) {
        struct flip f;
        size_t damaged;
        struct err err = {0};
        for (uint32_t c = 0; c < WEEKS; c++) { /* the same again: a new row in each week */
            json_auto_t *doc = make_doc(c);
            assert_true(index_put(w.w, doc, &err));
        }
        assert_true(index_sync(w.w, &err));
        flip_somewhere(&w, &f);
        if (!index_scrub(w.w, NULL, &damaged, &err))
            fail_msg("scrub after %s byte %lld: %s", f.path, (long long)f.at, err.msg);
        found += is_found(&w, &f);
        fill_again(&w);
        FREE_LATER char *now = all_answers(&w);
        if (strcmp(now, w.answers) != 0)
            fail_msg("flip %d, bit %d of byte %lld of %s: other answers\n%s\n%s", i, f.bit,
                     (long long)f.at, f.path, now, w.answers);
    }
    printf("%d flips under writes, %d found, 0 changed an answer\n", FLIPS / 2, found);
    end_world(&w);
}

static bool scrub_finds(struct index_writer *w, struct err *err)
{
    size_t damaged;
    return index_scrub(w, NULL, &damaged, err);
}

static bool look_finds(struct index_writer *w, struct err *err)
{
    return index_look(w, 0, err);
}

/* Into the week that is damaged: a put must not close over it. */
static bool put_finds(struct index_writer *w, struct err *err)
{
    json_auto_t *doc = make_doc(0);
    return index_put(w, doc, err);
}

/* The head of the newest week, which is that of crash 0. */
static void newest_head(const char *dir, char path[512])
{
    struct files files = {0};
    list_files(dir, &files);
    qsort(files.paths.v, files.paths.n, sizeof *files.paths.v, by_name);
    for (size_t i = 0; i < files.paths.n; i++) {
        struct str in_dir = str_of(files.paths.v[i] + strlen(dir) + 1);
        if (str_ends(in_dir, STR("/head")))
            snprintf(path, 512, "%s", files.paths.v[i]);
        free(files.paths.v[i]);
    }
    VEC_RELEASE(&files.paths);
}

static void flip_in_seal(struct world *w, size_t byte, int bit,
                         bool (*find)(struct index_writer *, struct err *))
{
    struct index_health h;
    struct err err = {0};
    char path[512] = "";
    newest_head(w->dir, path);
    flip(path, (off_t)(offsetof(struct part_head, seal) + byte), bit);
    if (!find(w->w, &err))
        fail_msg("bit %d of byte %zu: %s", bit, byte, err.msg);
    assert_true(index_health(w->dir, &fields_builtin, &h, &err));
    if (h.is_whole)
        fail_msg("bit %d of byte %zu of a seal: nobody noticed", bit, byte);
    fill_again(w);
    FREE_LATER char *now = all_answers(w);
    assert_string_equal(now, w->answers);
}

/*
 * The lowest bit of the turn makes a closed head look like one that a writer is at, and then no sum
 * is compared: it takes another look to find this one.  Bits of turn and sum, whoever comes first.
 */
static void test_bits_of_a_seal(void **state)
{
    (void)state;
    static bool (*const finders[])(struct index_writer *, struct err *) = {scrub_finds, look_finds,
                                                                           put_finds};
    struct world w = {.seed = 1};
    start_world(&w);
    for (size_t i = 0; i < ARRAY_LEN(finders); i++)
        for (int bit = 0; bit < 8; bit++) {
            flip_in_seal(&w, offsetof(struct head_seal, turn), bit, finders[i]);
            flip_in_seal(&w, offsetof(struct head_seal, sum), bit, finders[i]);
        }
    end_world(&w);
}

int main(void)
{
    log_init("test", "error");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_flip_is_found),
        cmocka_unit_test(test_bits_of_a_seal),
        cmocka_unit_test(test_no_flip_changes_an_answer_under_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
