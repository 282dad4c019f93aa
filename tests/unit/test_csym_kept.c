/*
 * Compiled symbols that lie in a cache for months: every flipped bit and every cut is found by the
 * header or by csym_verify, or changes no answer; what is damaged is made again; what somebody has
 * open or mapped is not evicted.  DATIL_SEED in the environment repeats a run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/symfile/csym.h"
#include "lib/symfile/csym_format.h"
#include "lib/symfile/symcache.h"
#include "lib/symfile/symfind.h"
#include "lib/symfile/symbolize.h"
#include "tests/fuzz/csym_poke.h"

#define ID "0123456789ABCDEF0123456789ABCDEF0"

enum { FUNCS = 40, STRIDE = 0x100, FLIPS_PER_SECTION = 60, CACHE_FLIPS = 150 };

/* A bit of every kind of record, so that no section is empty. */
static struct str make_text(void)
{
    struct strbuf b;
    sb_init(&b, 1 << 20);
    sb_text(&b, "MODULE windows x86 " ID " prog\nINFO CODE_ID ABCD prog.dll\n"
                "INFO URL https://symbols.example.org/prog\nFILE 0 a.c\nFILE 1 b.h\n"
                "INLINE_ORIGIN 0 in_line\nINLINE_ORIGIN 1 deeper\n");
    for (unsigned i = 0; i < FUNCS; i++) {
        unsigned at = 0x1000 + i * STRIDE;
        sb_printf(&b, "FUNC %x 80 4 function_%u\nINLINE 0 %u 0 0 %x 20\nINLINE 1 7 1 1 %x 8\n", at,
                  i, i + 9, at + 8, at + 8);
        for (unsigned line = 0; line < 0x80; line += 2) /* more than a block */
            sb_printf(&b, "%x 2 %u %u\n", at + line, 100 + line % 7, line % 3 == 0);
        sb_printf(&b, "PUBLIC %x 8 public_%u\n", at + 0x90, i);
        sb_printf(&b,
                  "STACK CFI INIT %x 80 .cfa: $esp 4 + .ra: .cfa 4 - ^\n"
                  "STACK CFI %x .cfa: $esp %u + $ebx: .cfa 8 - ^\n",
                  at, at + 1 + i, 8 + i % 3 * 4);
        sb_printf(&b,
                  "STACK WIN 4 %x 80 6 0 4 0 %u 0 1 $T0 $ebp = $eip $T0 4 + ^ = $esp $T0 8 + =\n"
                  "STACK WIN 0 %x 80 0 0 4 0 %u 0 0 1\n",
                  at, i, at, i);
    }
    size_t n;
    char *p = sb_take(&b, &n);
    return str_n(p, n);
}

static uint64_t seed_of_run(void)
{
    const char *given = getenv("DATIL_SEED");
    uint64_t seed = random_u64() >> 1;
    if (given)
        assert_true(str_to_u64(str_of(given), 10, UINT64_MAX, "seed", &seed, ERR_IGNORED));
    printf("DATIL_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static uint64_t pick(uint64_t *seed, uint64_t below)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (*seed >> 20) % below;
}

/* All that can be asked, as one number. */
static uint64_t answers(const struct csym *c)
{
    poke_sink = 0;
    for (uint64_t at = 0xff0; at < 0x1000 + FUNCS * STRIDE; at += 9)
        poke_csym(c, at);
    const struct str texts[] = {c->os,      c->arch, c->debug_id, c->debug_file,
                                c->code_id, c->url,  c->code_file};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        poke_str(texts[i]);
    return poke_sink + c->reg_count + c->source_stamp + c->is_corrupt;
}

struct compiled {
    uint8_t *p;
    size_t n;
    uint64_t answers;
    struct csym csym;
};

static struct compiled compile(void)
{
    struct compiled c;
    struct str text = make_text();
    struct csym_stats stats;
    void *p;
    assert_true(csym_compile_mem(text, 0x1234, &p, &c.n, &stats, ERR_IGNORED));
    assert_int_equal(stats.bad_lines, 0);
    free((void *)text.p);
    c.p = p;
    assert_true(csym_open_mem(c.p, c.n, &c.csym, ERR_IGNORED));
    c.answers = answers(&c.csym);
    return c;
}

/* Asking damaged symbols anything is allowed, too; the answers are of no use. */
static bool is_found(const struct compiled *good, const uint8_t *p, size_t n)
{
    struct csym c;
    if (!csym_open_mem(p, n, &c, ERR_IGNORED))
        return true;
    uint64_t got = answers(&c);
    return !csym_verify(&c, ERR_IGNORED) || got == good->answers;
}

static void flip(struct compiled *c, size_t at, unsigned bit, const char *where)
{
    c->p[at] ^= (uint8_t)(1 << bit);
    if (!is_found(c, c->p, c->n))
        fail_msg("bit %u of byte %zu, %s", bit, at, where);
    c->p[at] ^= (uint8_t)(1 << bit);
}

static void test_flips(void **state)
{
    (void)state;
    uint64_t seed = seed_of_run();
    struct compiled c = compile();
    for (size_t at = 0; at < CSYM_HEADER_SIZE; at++)
        for (unsigned bit = 0; bit < 8; bit++) {
            struct csym opened;
            c.p[at] ^= (uint8_t)(1 << bit);
            assert_false(csym_open_mem(c.p, c.n, &opened, ERR_IGNORED));
            c.p[at] ^= (uint8_t)(1 << bit);
        }
    for (size_t i = 0; i < CSYM_SECTION_COUNT; i++) {
        const struct csym_section *s = &c.csym.sec[i];
        char where[32];
        snprintf(where, sizeof where, "section %zu", i);
        assert_true(s->n > 0);
        for (int k = 0; k < FLIPS_PER_SECTION; k++)
            flip(&c, (size_t)(s->p - c.p) + pick(&seed, s->n), (unsigned)pick(&seed, 8), where);
    }
    for (int k = 0; k < FLIPS_PER_SECTION; k++) /* what lies between the sections, too */
        flip(&c, pick(&seed, c.n), (unsigned)pick(&seed, 8), "anywhere");
    free(c.p);
}

/* A whole piece of zeros, as a disk that was full or a sector that was lost leaves it. */
static void test_lost_pieces(void **state)
{
    (void)state;
    uint64_t seed = seed_of_run();
    struct compiled c = compile();
    uint8_t *copy = xmalloc(c.n);
    for (int k = 0; k < FLIPS_PER_SECTION; k++) {
        size_t at = pick(&seed, c.n), most = 1 + pick(&seed, 4096), n = MIN(c.n - at, most);
        memcpy(copy, c.p, c.n);
        memset(copy + at, 0, n);
        if (!is_found(&c, copy, c.n))
            fail_msg("%zu zeros from %zu on", n, at);
    }
    free(copy);
    free(c.p);
}

static void test_cuts(void **state)
{
    (void)state;
    struct compiled c = compile();
    struct csym opened;
    for (size_t n = 0; n < c.n; n += n < CSYM_HEADER_SIZE ? 1 : 7)
        assert_false(csym_open_mem(c.p, n, &opened, ERR_IGNORED));
    uint8_t *longer = xcalloc(1, c.n + 8);
    memcpy(longer, c.p, c.n);
    assert_false(csym_open_mem(longer, c.n + 8, &opened, ERR_IGNORED));
    free(longer);
    free(c.p);
}

/* A cache, and a folder with the text. */
struct place {
    char dir[64], cache[96], csym[128];
    struct symfind *find;
};

static const struct symfind_key wanted = {.debug_file = STR("prog"), .debug_id = STR(ID)};

static int set_up(void **state)
{
    struct place *p = xcalloc(1, sizeof *p);
    char path[PATH_MAX], texts[96];
    struct str text = make_text();
    snprintf(p->dir, sizeof p->dir, "/tmp/datil-csym-kept-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    snprintf(p->cache, sizeof p->cache, "%s/cache", p->dir);
    snprintf(p->csym, sizeof p->csym, "%s/prog/" ID ".csym", p->cache);
    snprintf(texts, sizeof texts, "%s/texts", p->dir);
    snprintf(path, sizeof path, "%s/prog/" ID "/prog.sym", texts);
    assert_true(fs_write_atomic(path, text.p, text.n, FS_FILE_MODE, ERR_IGNORED));
    free((void *)text.p);
    const char *dirs[] = {texts, NULL};
    const struct symfind_options opt = {.cache_dir = p->cache, .sym_dirs = dirs};
    assert_true(symfind_new(&opt, &p->find, ERR_IGNORED));
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    symfind_free(p->find);
    fs_remove_tree(p->dir, ERR_IGNORED);
    free(p);
    return 0;
}

/* Descriptor of the compiled symbols; made if need be. */
static int get(struct place *p)
{
    struct symfind_result r;
    symfind_get(p->find, &wanted, &r);
    assert_int_equal(r.state, SYMFIND_LOADED);
    return r.fd;
}

static uint64_t answers_now(struct place *p)
{
    struct csym c;
    FD_AUTO fd = get(p);
    assert_true(csym_open_fd(fd, &c, ERR_IGNORED));
    uint64_t got = answers(&c);
    csym_close(&c);
    return got;
}

/* As `datil symbols verify --fix` and the nightly job do it. */
static void remove_if_damaged(struct place *p)
{
    struct csym c;
    bool ok = csym_open_file(p->csym, &c, ERR_IGNORED);
    ok = ok && csym_verify(&c, ERR_IGNORED);
    csym_close(&c);
    if (!ok)
        assert_int_equal(unlink(p->csym), 0);
}

/* The damaged file takes the place of the good one, as it would after a restart. */
static void test_damaged_file_is_made_again(void **state)
{
    struct place *p = *state;
    uint64_t seed = seed_of_run(), right = answers_now(p);
    uint8_t *good, *bad;
    size_t n;
    int made_at_once = 0, made_after_look = 0;
    assert_true(fs_read(p->csym, 1 << 22, (char **)&good, &n, ERR_IGNORED));
    bad = xmalloc(n);
    for (int i = 0; i < CACHE_FLIPS; i++) {
        memcpy(bad, good, n);
        size_t at = pick(&seed, i % 3 ? n : CSYM_HEADER_SIZE), left = n;
        bad[at] ^= (uint8_t)(1 << pick(&seed, 8));
        if (i % 5 == 0)
            left = pick(&seed, n);
        assert_true(fs_write_atomic(p->csym, (char *)bad, left, FS_FILE_MODE, ERR_IGNORED));
        bool at_once = answers_now(p) == right;
        remove_if_damaged(p);
        assert_int_equal(answers_now(p), right);
        made_at_once += at_once;
        made_after_look += !at_once;
        if (i % 3 == 0 || left < n)
            assert_true(at_once);
    }
    assert_true(made_at_once > 0 && made_after_look > 0);
    free(bad);
    free(good);
}

/* Symbols that say to be another module's, by damage: no crash waits for the nightly look. */
static void test_damaged_id_is_made_again_at_once(void **state)
{
    struct place *p = *state;
    uint64_t right = answers_now(p);
    char *bytes;
    size_t n;
    assert_true(fs_read(p->csym, 1 << 22, &bytes, &n, ERR_IGNORED));
    char *id = memmem(bytes, n, ID, strlen(ID));
    assert_non_null(id);
    id[3] ^= 1;
    assert_true(fs_write_atomic(p->csym, bytes, n, FS_FILE_MODE, ERR_IGNORED));
    free(bytes);
    assert_int_equal(answers_now(p), right);
}

static void evict_all(struct place *p)
{
    int64_t left;
    assert_true(symcache_evict(p->cache, NULL, 1, &left, ERR_IGNORED));
}

static void test_open_file_is_kept(void **state)
{
    struct place *p = *state;
    int fd = get(p), copy = dup(fd);
    evict_all(p);
    assert_true(fs_exists(p->csym));
    close(fd);
    evict_all(p);
    assert_true(fs_exists(p->csym));
    close(copy);
    evict_all(p);
    assert_false(fs_exists(p->csym));
}

static void test_mapped_file_is_kept(void **state)
{
    struct place *p = *state;
    struct csym c;
    uint64_t right = answers_now(p);
    int fd = get(p);
    assert_true(csym_open_fd(fd, &c, ERR_IGNORED));
    close(fd);
    evict_all(p);
    assert_true(fs_exists(p->csym));
    assert_int_equal(answers(&c), right);
    csym_close(&c);
    evict_all(p);
    assert_false(fs_exists(p->csym));
}

/* A walker has the file by a mapping alone, and ends in any way. */
static void test_file_of_a_walker_is_kept(void **state)
{
    struct place *p = *state;
    int ready[2];
    char byte;
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    int fd = get(p);
    pid_t walker = fork();
    assert_true(walker >= 0);
    if (walker == 0) {
        struct csym c;
        bool ok = csym_open_fd(fd, &c, ERR_IGNORED);
        close(fd);
        if (ok && write(ready[1], "", 1) == 1)
            pause();
        _exit(1);
    }
    close(fd);
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    evict_all(p);
    assert_true(fs_exists(p->csym));
    kill(walker, SIGKILL);
    assert_int_equal(waitpid(walker, NULL, 0), walker);
    evict_all(p);
    assert_false(fs_exists(p->csym));
}

static void test_file_of_symbolication_is_kept(void **state)
{
    struct place *p = *state;
    struct symbolizer *s = symbolizer_new(p->find);
    struct symbolize_cost cost;
    struct csym_hit hit;
    struct symbolize_module *m = symbolize_open(s, &wanted, mono_ms() + 60000, &cost);
    assert_int_equal(m->state, SYMFIND_LOADED);
    evict_all(p);
    assert_true(fs_exists(p->csym));
    assert_true(symbolize_at(m, 0x1000, &hit));
    assert_true(str_eq(hit.function, STR("function_0")));
    symbolize_close(s, m);
    symbolizer_free(s);
    evict_all(p);
    assert_false(fs_exists(p->csym));
}

#define WITH_PLACE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    log_init("test", "error");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flips),
        cmocka_unit_test(test_lost_pieces),
        cmocka_unit_test(test_cuts),
        WITH_PLACE(test_damaged_file_is_made_again),
        WITH_PLACE(test_damaged_id_is_made_again_at_once),
        WITH_PLACE(test_open_file_is_kept),
        WITH_PLACE(test_mapped_file_is_kept),
        WITH_PLACE(test_file_of_a_walker_is_kept),
        WITH_PLACE(test_file_of_symbolication_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
