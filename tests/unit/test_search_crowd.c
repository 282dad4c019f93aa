#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/search/columns/commit.h"
#include "lib/search/search.h"

/*
 * Many processes at one index: writers and a compactor that are killed at any moment, and a
 * reader that must see each crash exactly once at every instant.  Then damaged files.
 */
enum { CRASHES = 120, WRITERS = 3, RUN_MS = 2500, WEEKS = 3 };

struct shared {
    _Atomic uint32_t acked[CRASHES]; /* newest version whose put has returned */
    _Atomic uint32_t next;
    _Atomic uint64_t puts;
};

static const int64_t NOW_US = 1790000000 * (int64_t)1000000;

/* A new installation: there are no crashes that the index could lack. */
static void start_index(const char *dir, struct index_writer **ret)
{
    struct err err = {0};
    uint64_t losses;
    if (!index_writer_open(dir, &fields_builtin, ret, &err) ||
        !index_fill_begin(*ret, 0, &losses, &err))
        fail_msg("%s", err.msg);
}

/* Everything in a document follows from the crash and the version. */
static json_t *make_doc(uint32_t crash, uint32_t version)
{
    char uuid[40], date[TIME_TEXT_MAX], text[64], low[16];
    snprintf(low, sizeof low, "f%u", crash);
    snprintf(uuid, sizeof uuid, "%08x-0000-4000-8000-000000%06u", crash * 2654435761u, crash);
    time_iso(NOW_US - (int64_t)(version % WEEKS) * 7 * 86400 * 1000000 - crash * (int64_t)1000000,
             false, date);
    snprintf(text, sizeof text, "sig%u", version % 700);
    return json_pack("{s:s, s:s, s:s, s:i, s:i, s:[s,s], s:s, s:{s:{s:[{s:s}, {s:s}, {s:s}]}}}",
                     "uuid", uuid, "date_processed", date, "signature", text, "uptime",
                     (int)version, "install_time", (int)crash, "addons", text, "always", "product",
                     version % 2 ? "Odd" : "Even", "json_dump", "crashing_thread", "frames",
                     "function", text, "function", "always", "function", low);
}

/* Each writer has crashes of its own, so that versions of one crash come in order. */
static void write_for_ever(const char *dir, struct shared *s, uint32_t number)
{
    struct index_writer *w;
    struct err err = {0};
    if (!index_writer_open(dir, &fields_builtin, &w, &err))
        _exit(10);
    for (;;) {
        uint32_t crash = (uint32_t)(random_u64() % (CRASHES / WRITERS)) * WRITERS + number;
        uint32_t version = atomic_fetch_add(&s->next, 1);
        json_t *doc = make_doc(crash, version);
        if (!index_put(w, doc, &err)) {
            fprintf(stderr, "put: %s\n", err.msg);
            _exit(11);
        }
        json_decref(doc);
        uint32_t old = atomic_load(&s->acked[crash]);
        while (old < version && !atomic_compare_exchange_weak(&s->acked[crash], &old, version))
            ;
        atomic_fetch_add(&s->puts, 1);
        if (random_u64() % 64 == 0)
            index_sync(w, &err);
    }
}

static void compact_for_ever(const char *dir)
{
    struct err err = {0};
    for (;;) {
        if (!index_compact(dir, &fields_builtin, &err)) {
            fprintf(stderr, "compact: %s\n", err.msg);
            _exit(12);
        }
        usleep(20000);
    }
}

static pid_t start(const char *dir, struct shared *s, int kind)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (kind < WRITERS)
            write_for_ever(dir, s, (uint32_t)kind);
        compact_for_ever(dir);
    }
    return pid;
}

static json_t *ask(struct index_reader *r, struct search_param *v, size_t n)
{
    static struct arena a;
    struct search_context ctx = {.now_us = NOW_US, .deadline_ms = mono_ms() + 20000};
    json_t *answer = NULL;
    const char *form;
    struct err err = {0};
    arena_init(&a, 8 << 20);
    if (!search_answer(&a, r, &ctx, (struct search_params){v, n}, &answer, &form, &err))
        fail_msg("search: %s", err.msg);
    arena_release(&a);
    return answer;
}

static void check_hit(const json_t *hit, uint32_t *versions)
{
    int64_t version = jget_int_or(hit, "uptime", -1), crash = jget_int_or(hit, "install_time", -1);
    assert_true(version >= 0 && crash >= 0 && crash < CRASHES);
    json_auto_t *want = make_doc((uint32_t)crash, (uint32_t)version);
    static const char *const keys[] = {"uuid", "signature", "product", "addons"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (!json_equal(json_object_get(hit, keys[i]), json_object_get(want, keys[i])))
            fail_msg("crash %d version %d has a wrong %s", (int)crash, (int)version, keys[i]);
    const json_t *stack = json_object_get(hit, "frame_function");
    if (!str_eq(jget_strn(want, "signature"), str_of(json_string_value(json_array_get(stack, 0)))))
        fail_msg("crash %d version %d has a stack of another", (int)crash, (int)version);
    versions[crash] = (uint32_t)version;
}

/* Each crash is there once, whole, and not older than what had been acknowledged before. */
static void check_state(struct index_reader *r, const uint32_t *acked_before)
{
    static struct search_param v[] = {
        {STR_INIT("date"), STR_INIT(">=-30d")},
        {STR_INIT("_results_number"), STR_INIT("1000")},
        {STR_INIT("_facets"), STR_INIT("_cardinality.uuid")},
        {STR_INIT("_columns"), STR_INIT("uuid")},
        {STR_INIT("_columns"), STR_INIT("uptime")},
        {STR_INIT("_columns"), STR_INIT("signature")},
        {STR_INIT("_columns"), STR_INIT("install_time")},
        {STR_INIT("_columns"), STR_INIT("addons")},
        {STR_INIT("_columns"), STR_INIT("product")},
        {STR_INIT("_columns"), STR_INIT("frame_function")},
        {STR_INIT("_facets"), STR_INIT("frame_function")},
        {STR_INIT("frame_function"), STR_INIT("^sig @0 <- =always <- ^f")},
    };
    uint32_t versions[CRASHES] = {0};
    json_auto_t *answer = ask(r, v, ARRAY_LEN(v));
    if (json_array_size(jget_arr(answer, "errors")) != 0)
        fail_msg("errors: %s", json_dumps(jget_arr(answer, "errors"), 0));
    assert_int_equal(jget_int_or(answer, "total", -1), CRASHES);
    assert_int_equal(json_integer_value(jpath(answer, "facets.cardinality_uuid.value")), CRASHES);
    const json_t *most = json_array_get(jpath(answer, "facets.frame_function"), 0);
    assert_string_equal(jget_str(most, "term"), "always");
    assert_int_equal(jget_int_or(most, "count", -1), CRASHES);
    size_t i;
    json_t *hit;
    json_array_foreach (jget_arr(answer, "hits"), i, hit)
        check_hit(hit, versions);
    for (int c = 0; c < CRASHES; c++)
        if (versions[c] < acked_before[c])
            fail_msg("crash %d is at version %u, %u was acknowledged", c, versions[c],
                     acked_before[c]);
}

static void quiet(void *arg, const char *line)
{
    (void)arg;
    (void)line;
}

static void loud(void *arg, const char *line)
{
    (void)arg;
    printf("%s\n", line);
}

static void test_killed_writers(void **state)
{
    (void)state;
    char dir[] = "/tmp/datil-crowd-XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct shared *s =
        mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct index_writer *w;
    struct index_reader *r;
    struct err err = {0};
    start_index(dir, &w);
    assert_true(index_reader_open(dir, &fields_builtin, &r, &err));
    for (uint32_t c = 0; c < CRASHES; c++) {
        json_auto_t *doc = make_doc(c, 1);
        assert_true(index_put(w, doc, &err));
        s->acked[c] = 1;
    }
    s->next = 2;
    index_writer_close(w);

    pid_t pids[WRITERS + 1];
    for (int i = 0; i <= WRITERS; i++)
        pids[i] = start(dir, s, i);
    int checks = 0, kills = 0;
    for (int64_t end = mono_ms() + RUN_MS; mono_ms() < end; checks++) {
        uint32_t acked[CRASHES];
        for (int c = 0; c < CRASHES; c++)
            acked[c] = atomic_load(&s->acked[c]);
        check_state(r, acked);
        int victim = (int)(random_u64() % (WRITERS + 1)), status;
        if (random_u64() % 4)
            continue;
        kill(pids[victim], SIGKILL);
        assert_int_equal(waitpid(pids[victim], &status, 0), pids[victim]);
        if (!WIFSIGNALED(status))
            fail_msg("process %d gave up: %d", victim, WEXITSTATUS(status));
        pids[victim] = start(dir, s, victim);
        kills++;
    }
    for (int i = 0; i <= WRITERS; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }
    uint32_t acked[CRASHES];
    for (int c = 0; c < CRASHES; c++)
        acked[c] = s->acked[c];
    check_state(r, acked);
    assert_true(index_writer_open(dir, &fields_builtin, &w, &err)); /* the next writer tidies up */
    json_auto_t *doc = make_doc(0, s->next + 1);
    assert_true(index_put(w, doc, &err));
    index_writer_close(w);
    if (!index_verify(dir, &fields_builtin, quiet, NULL, &err)) {
        index_verify(dir, &fields_builtin, loud, NULL, &err);
        fail_msg("%s", err.msg);
    }
    printf("%d checks, %d kills, %llu puts\n", checks, kills, (unsigned long long)s->puts);
    index_reader_close(r);
    munmap(s, sizeof *s);
    fs_remove_tree(dir, ERR_IGNORED);
}

static void put_crashes(const char *dir, uint32_t crashes)
{
    struct index_writer *w;
    struct err err = {0};
    start_index(dir, &w);
    for (uint32_t c = 0; c < crashes; c++) {
        json_auto_t *doc = make_doc(c, c + 1);
        if (!index_put(w, doc, &err))
            fail_msg("%s", err.msg);
    }
    index_writer_close(w);
}

/* Folder of the newest partition. */
static void newest_folder(const char *dir, char out[256])
{
    char best[64] = "";
    DIR *d = opendir(dir);
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] == '2' && strcmp(e->d_name, best) > 0)
            snprintf(best, sizeof best, "%.63s", e->d_name);
    closedir(d);
    snprintf(out, 256, "%s/%s", dir, best);
}

static void overwrite(const char *path, off_t at, const void *bytes, size_t n)
{
    FD_AUTO fd = open(path, O_RDWR);
    assert_true(fd >= 0 && pwrite(fd, bytes, n, at) == (ssize_t)n);
}

static const struct {
    const char *label, *file;
    off_t truncate_to;
    off_t at;
    const char *bytes;
    size_t n;
} damages[] = {
    {"rows cut", "signature.rows-1", 70, 0, NULL, 0},
    {"rows empty", "signature.rows-1", 0, 0, NULL, 0},
    {"wrong magic", "signature.rows-1", -1, 0, "XX", 2},
    {"wrong generation", "signature.offsets", -1, 8, "\1\2\3\4", 4},
    {"code behind the dictionary", "signature.rows-1", -1, 64, "\xff\xff", 2},
    {"offset behind the bytes", "signature.offsets", -1, 64, "\xff\xff\xff\xff\xff\xff\xff\x7f", 8},
    {"offsets fall", "signature.offsets", -1, 72, "\0\0\0\0\0\0\0\0", 8},
    {"dates missing", "date.rows-1", 64, 0, NULL, 0},
    {"row count of the moon", "head", -1, offsetof(struct part_head, slots[0].rows),
     "\xff\xff\xff\xff\xff", 5},
    {"head cut", "head", 4096, 0, NULL, 0},
    {"head of another format", "head", -1, 8, "\x63", 1},
    {"column count", "head", -1, offsetof(struct part_head, column_count), "\xff\xff", 2},
    {"zones gone", "_zones", 64, 0, NULL, 0},
};

static void test_damage_is_reported(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
        char dir[] = "/tmp/datil-damage-XXXXXX", folder[256], path[320];
        struct index_reader *r;
        struct err err = {0};
        assert_non_null(mkdtemp(dir));
        put_crashes(dir, 90);
        newest_folder(dir, folder);
        snprintf(path, sizeof path, "%s/%s", folder, damages[i].file);
        if (damages[i].truncate_to >= 0)
            assert_int_equal(truncate(path, damages[i].truncate_to), 0);
        if (damages[i].bytes) {
            /* both row slots, whichever is current */
            overwrite(path, damages[i].at, damages[i].bytes, damages[i].n);
            if (strstr(damages[i].label, "moon"))
                overwrite(path, damages[i].at + (off_t)sizeof(struct row_slot), damages[i].bytes,
                          damages[i].n);
        }
        assert_true(index_reader_open(dir, &fields_builtin, &r, &err));
        static struct search_param v[] = {{STR_INIT("date"), STR_INIT(">=-30d")},
                                          {STR_INIT("signature"), STR_INIT("~sig")}};
        json_auto_t *answer = ask(r, v, ARRAY_LEN(v));
        if (json_array_size(jget_arr(answer, "errors")) != 1 ||
            jget_int_or(answer, "total", 0) != 60)
            fail_msg("%s: %s", damages[i].label, json_dumps(answer, 0));
        assert_false(index_verify(dir, &fields_builtin, quiet, NULL, &err));

        /* a writer that touches it makes a new one beside */
        put_crashes(dir, 90);
        json_auto_t *again = ask(r, v, ARRAY_LEN(v));
        if (jget_int_or(again, "total", 0) < 60)
            fail_msg("%s: after writing again %s", damages[i].label, json_dumps(again, 0));
        index_reader_close(r);
        assert_true(index_reset(dir, &fields_builtin, &err));
        fs_remove_tree(dir, ERR_IGNORED);
    }
}

static const struct {
    const char *label;
    off_t truncate_to, at;
    const char *bytes;
    size_t n;
} head_damages[] = {
    {"empty", 0, 0, NULL, 0},
    {"cut", 100, 0, NULL, 0},
    {"not ours", -1, 0, "XX", 2},
    {"another version", -1, offsetof(struct root_head, format), "\x63", 1},
    {"too many partitions", -1, offsetof(struct root_head, part_count), "\xff\xff", 2},
};

static void sync_index(const char *dir)
{
    struct index_writer *w;
    struct err err = {0};
    if (!index_writer_open(dir, &fields_builtin, &w, &err) || !index_sync(w, &err))
        fail_msg("%s", err.msg);
    index_writer_close(w);
}

/* Readers cannot say anything without the head; the next writer makes it anew from its copy. */
static void test_damaged_head_heals(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(head_damages); i++) {
        char dir[] = "/tmp/datil-head-XXXXXX", path[64];
        struct index_reader *r;
        struct index_writer *w;
        struct err search = {0}, has = {0}, err = {0};
        struct arena a;
        bool there, ok;
        assert_non_null(mkdtemp(dir));
        put_crashes(dir, 9);
        sync_index(dir);
        snprintf(path, sizeof path, "%s/head", dir);
        if (head_damages[i].truncate_to >= 0)
            assert_int_equal(truncate(path, head_damages[i].truncate_to), 0);
        if (head_damages[i].bytes)
            overwrite(path, head_damages[i].at, head_damages[i].bytes, head_damages[i].n);

        json_t *answer = NULL;
        const struct search_context ctx = {.now_us = NOW_US};
        arena_init(&a, 1 << 20);
        assert_true(index_reader_open(dir, &fields_builtin, &r, &err));
        ok = search_answer(&a, r, &ctx, (struct search_params){0}, &answer, NULL, &search);
        ok = ok || index_has(r, "x", &there, &has);
        arena_release(&a);
        if (ok || search.code != ERR_UNAVAILABLE || has.code != ERR_UNAVAILABLE)
            fail_msg("%s: search %d, has %d", head_damages[i].label, search.code, has.code);

        assert_true(index_writer_open(dir, &fields_builtin, &w, &err));
        json_auto_t *doc = make_doc(1, 100);
        if (!index_put(w, doc, &err))
            fail_msg("%s: %s", head_damages[i].label, err.msg);
        static struct search_param v[] = {{STR_INIT("date"), STR_INIT(">=-30d")}};
        json_auto_t *healed = ask(r, v, 1); /* the reader notices the new head */
        if (jget_int_or(healed, "total", 0) != 9 || json_array_size(jget_arr(healed, "errors")))
            fail_msg("%s: %s", head_damages[i].label, json_dumps(healed, 0));
        index_writer_close(w);
        index_reader_close(r);
        fs_remove_tree(dir, ERR_IGNORED);
    }
}

/* The machine was another one when the index was opened last. */
static void boot_again(const char *dir)
{
    char path[64];
    snprintf(path, sizeof path, "%s/head", dir);
    FD_AUTO fd = open(path, O_RDWR);
    struct root_head *h = mmap(NULL, sizeof *h, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(fd >= 0 && h != MAP_FAILED);
    seal_open(HEAD_ROOT, h);
    memcpy(h->boot_id, "another-boot", 12);
    seal_close(HEAD_ROOT, h);
    munmap(h, sizeof *h);
}

/* After a restart of the machine only what was synced counts. */
static void test_reboot(void **state)
{
    (void)state;
    char dir[] = "/tmp/datil-reboot-XXXXXX";
    struct index_writer *w;
    struct index_reader *r;
    struct err err = {0};
    bool there;
    assert_non_null(mkdtemp(dir));
    start_index(dir, &w);
    for (uint32_t c = 0; c < 90; c++) {
        json_auto_t *doc = make_doc(c, c + 1);
        assert_true(index_put(w, doc, &err));
    }
    assert_true(index_sync(w, &err));
    for (uint32_t c = 0; c < 400; c++) { /* moves crashes between weeks, widens, adds */
        json_auto_t *doc = make_doc(c, c + 5000);
        assert_true(index_put(w, doc, &err));
    }
    index_writer_close(w);
    size_t written;
    char numbering[64];
    snprintf(numbering, sizeof numbering, "%s/numbering/signature", dir);
    assert_true(index_number(dir, &fields_builtin, 1, NULL, &written, &err) &&
                fs_exists(numbering));
    boot_again(dir);

    assert_true(index_writer_open(dir, &fields_builtin, &w, &err));
    assert_false(fs_exists(numbering)); /* of texts whose codes others may get now */
    assert_true(index_reader_open(dir, &fields_builtin, &r, &err));
    static struct search_param v[] = {{STR_INIT("date"), STR_INIT(">=-30d")},
                                      {STR_INIT("uptime"), STR_INIT("<=90")}};
    json_auto_t *answer = ask(r, v, 1);
    assert_int_equal(jget_int_or(answer, "total", 0), 90);
    json_auto_t *old = ask(r, v, 2);
    assert_int_equal(jget_int_or(old, "total", 0), 90);
    if (!index_verify(dir, &fields_builtin, quiet, NULL, &err)) {
        index_verify(dir, &fields_builtin, loud, NULL, &err);
        fail_msg("%s", err.msg);
    }
    json_auto_t *doc = make_doc(3, 9000);
    assert_true(index_put(w, doc, &err));
    assert_true(index_has(r, jget_str(doc, "uuid"), &there, &err) && there);
    json_auto_t *after = ask(r, v, 1);
    assert_int_equal(jget_int_or(after, "total", 0), 90);
    index_reader_close(r);
    index_writer_close(w);
    fs_remove_tree(dir, ERR_IGNORED);
}

/*
 * The same of weeks that were packed: what came after the last sync goes, rows behind the packed
 * ones as well as deaths of packed ones.
 */
static void test_reboot_of_packed_weeks(void **state)
{
    (void)state;
    char dir[] = "/tmp/datil-repacked-XXXXXX";
    struct index_writer *w;
    struct index_reader *r;
    struct err err = {0};
    size_t packed;
    bool there;
    assert_non_null(mkdtemp(dir));
    start_index(dir, &w);
    for (uint32_t c = 0; c < 90; c++) {
        json_auto_t *doc = make_doc(c, c + 1);
        assert_true(index_put(w, doc, &err));
    }
    assert_true(index_pack(w, INT64_MAX, 0, NULL, &packed, &err) && packed >= 3);
    json_auto_t *kept = make_doc(7, 91);
    assert_true(index_put(w, kept, &err)); /* crash 7 has 91 instead of 8 from here on */
    assert_true(index_sync(w, &err));
    for (uint32_t c = 0; c < 400; c++) {
        json_auto_t *doc = make_doc(c, c + 5000);
        assert_true(index_put(w, doc, &err));
    }
    json_auto_t *gone = make_doc(11, 12);
    assert_true(index_delete(w, jget_str(gone, "uuid"), &there, &err) && there);
    index_writer_close(w);
    boot_again(dir);

    assert_true(index_writer_open(dir, &fields_builtin, &w, &err));
    assert_true(index_reader_open(dir, &fields_builtin, &r, &err));
    static struct search_param v[] = {{STR_INIT("date"), STR_INIT(">=-30d")},
                                      {STR_INIT("uptime"), STR_INIT("<=91")}};
    json_auto_t *answer = ask(r, v, 1);
    assert_int_equal(jget_int_or(answer, "total", 0), 90);
    json_auto_t *old = ask(r, v, 2);
    assert_int_equal(jget_int_or(old, "total", 0), 90);
    if (!index_verify(dir, &fields_builtin, quiet, NULL, &err)) {
        index_verify(dir, &fields_builtin, loud, NULL, &err);
        fail_msg("%s", err.msg);
    }
    for (uint32_t c = 0; c < 12; c++) {
        json_auto_t *doc = make_doc(c, c + 9000);
        assert_true(index_put(w, doc, &err));
        assert_true(index_has(r, jget_str(doc, "uuid"), &there, &err) && there);
    }
    json_auto_t *after = ask(r, v, 2);
    assert_int_equal(jget_int_or(after, "total", 0), 78);
    assert_true(index_verify(dir, &fields_builtin, quiet, NULL, &err));
    index_reader_close(r);
    index_writer_close(w);
    fs_remove_tree(dir, ERR_IGNORED);
}

/* The machine failed and one page below the counts is not what the last sync wrote. */
static void test_reboot_with_a_bad_page(void **state)
{
    (void)state;
    char dir[] = "/tmp/datil-badpage-XXXXXX", folder[256], path[320];
    struct index_writer *w;
    struct index_reader *r;
    struct index_health h;
    struct err err = {0};
    int64_t seq;
    bool is_rolled_back;
    assert_non_null(mkdtemp(dir));
    put_crashes(dir, 90);
    assert_true(index_writer_open(dir, &fields_builtin, &w, &err) && index_sync_to(w, 90, &err));
    json_auto_t *late = make_doc(91, 91);
    assert_true(index_put(w, late, &err)); /* so the weeks do not rest */
    json_auto_t *other = make_doc(92, 93);
    assert_true(index_put(w, other, &err));
    index_writer_close(w);
    newest_folder(dir, folder);
    snprintf(path, sizeof path, "%s/uptime.rows-1", folder);
    overwrite(path, 64 + 8, "\1\2\3", 3);
    boot_again(dir);

    assert_true(index_writer_open(dir, &fields_builtin, &w, &err) &&
                index_reader_open(dir, &fields_builtin, &r, &err));
    assert_true(index_ledger_seq(w, &seq, &is_rolled_back, &err));
    assert_true(seq == 90 && is_rolled_back);
    assert_true(index_health(dir, &fields_builtin, &h, &err) && !h.is_whole);
    assert_int_equal(h.weeks_missing, 1);
    static struct search_param v[] = {{STR_INIT("date"), STR_INIT(">=-30d")}};
    json_auto_t *answer = ask(r, v, 1);
    assert_int_equal(jget_int_or(answer, "total", 0), 60);
    assert_int_equal(json_array_size(jget_arr(answer, "errors")), 1);

    /* the number of the ledger stays until what came later was put again */
    assert_true(index_sync_to(w, 92, &err) && index_ledger_seq(w, &seq, &is_rolled_back, &err));
    assert_int_equal(seq, 90);
    assert_true(index_replayed(w, &err) && index_sync_to(w, 92, &err));
    assert_true(index_ledger_seq(w, &seq, &is_rolled_back, &err));
    assert_true(seq == 92 && !is_rolled_back);

    uint64_t losses;
    assert_true(index_fill_begin(w, 90, &losses, &err) && losses > 0);
    for (uint32_t c = 0; c < 90; c++) {
        json_auto_t *doc = make_doc(c, c + 1);
        bool was_there;
        assert_true(index_put_absent(w, doc, &was_there, &err));
    }
    assert_true(index_filled(w, losses, &err));
    json_auto_t *healed = ask(r, v, 1);
    assert_int_equal(jget_int_or(healed, "total", 0), 90);
    assert_int_equal(json_array_size(jget_arr(healed, "errors")), 0);
    index_reader_close(r);
    index_writer_close(w);
    fs_remove_tree(dir, ERR_IGNORED);
}

/* What was purged is not in any file after compaction. */
static void test_compaction_removes_bytes(void **state)
{
    (void)state;
    char dir[] = "/tmp/datil-purge-XXXXXX", cmd[128];
    struct index_writer *w;
    struct err err = {0};
    assert_non_null(mkdtemp(dir));
    assert_true(index_writer_open(dir, &fields_builtin, &w, &err));
    json_auto_t *doc = make_doc(1, 1);
    json_object_set_new(doc, "user_comments", json_string("my-secret-words"));
    assert_true(index_put(w, doc, &err));
    json_object_del(doc, "user_comments");
    assert_true(index_put(w, doc, &err));
    if (!index_compact(dir, &fields_builtin, &err))
        fail_msg("%s", err.msg);
    index_writer_close(w);
    snprintf(cmd, sizeof cmd, "%s", dir);
    char folder[256], path[320];
    newest_folder(dir, folder);
    DIR *d = opendir(folder);
    for (struct dirent *e; (e = readdir(d));) {
        char *bytes;
        size_t n;
        snprintf(path, sizeof path, "%s/%.60s", folder, e->d_name);
        if (e->d_name[0] == '.' || !fs_read(path, 16 << 20, &bytes, &n, &err))
            continue;
        if (str_find(str_n(bytes, n), STR("my-secret-words"), 0) != SIZE_MAX)
            fail_msg("%s still holds the words", path);
        free(bytes);
    }
    closedir(d);
    fs_remove_tree(dir, ERR_IGNORED);
}

int main(void)
{
    log_init("test", "error");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_writers),
        cmocka_unit_test(test_damage_is_reported),
        cmocka_unit_test(test_damaged_head_heals),
        cmocka_unit_test(test_reboot),
        cmocka_unit_test(test_reboot_of_packed_weeks),
        cmocka_unit_test(test_reboot_with_a_bad_page),
        cmocka_unit_test(test_compaction_removes_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
