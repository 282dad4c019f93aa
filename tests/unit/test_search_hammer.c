#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/search/search.h"

/*
 * Everything at one index at the same time: puts, replaces, deletes, flushes, compactions, packing,
 * retention, rebuilds, numberings, processes that start to read, and all of them killed.  Whoever
 * verifies or scrubs meanwhile must never call a sound index damaged, and no maintenance may fail
 * because of another one.
 */
enum { CRASHES = 4000, WEEKS = 4, RUN_MS = 6000, KILL_EVERY_MS = 150 };

static const int64_t NOW_US = 1790000000 * (int64_t)1000000;
static const int64_t WEEK_US = (int64_t)7 * 86400 * 1000000;

static json_t *make_doc(uint32_t crash)
{
    char uuid[40], date[TIME_TEXT_MAX], text[64];
    uint64_t week = random_u64() % WEEKS;
    snprintf(uuid, sizeof uuid, "%08x-0000-4000-8000-000000%06u", crash * 2654435761u, crash);
    time_iso(NOW_US - (int64_t)week * WEEK_US - crash * (int64_t)1000000, false, date);
    snprintf(text, sizeof text, "sig%u", (unsigned)(random_u64() % 900));
    return json_pack("{s:s, s:s, s:s, s:i, s:[s,s], s:s}", "uuid", uuid, "date_processed", date,
                     "signature", text, "uptime", (int)crash, "addons", text, "always", "product",
                     crash % 2 ? "Odd" : "Even");
}

static void give_up(const char *who, const struct err *err)
{
    fprintf(stderr, "%s: code %d: %s\n", who, err->code, err->msg);
    _exit(1);
}

static struct index_writer *open_index(const char *dir)
{
    struct index_writer *w;
    struct err err = {0};
    if (!index_writer_open(dir, &fields_builtin, &w, &err))
        give_up("open", &err);
    return w;
}

static void put_for_ever(const char *dir)
{
    struct index_writer *w = open_index(dir);
    struct err err = {0};
    for (;;) {
        json_t *doc = make_doc((uint32_t)(random_u64() % CRASHES));
        if (!index_put(w, doc, &err))
            give_up("put", &err);
        json_decref(doc);
    }
}

static void delete_for_ever(const char *dir)
{
    struct index_writer *w = open_index(dir);
    struct err err = {0};
    for (;;) {
        json_t *doc = make_doc((uint32_t)(random_u64() % CRASHES));
        bool was_there;
        if (!index_delete(w, jget_str(doc, "uuid"), &was_there, &err))
            give_up("delete", &err);
        json_decref(doc);
        usleep(100);
    }
}

static void keep_for_ever(const char *dir)
{
    struct index_writer *w = open_index(dir);
    struct err err = {0};
    for (int64_t n = 0;; n++) {
        size_t damaged;
        if (!index_sync_to(w, n, &err) || !index_look(w, 0, &err))
            give_up("sync", &err);
        if (!index_scrub(w, NULL, &damaged, &err))
            give_up("scrub", &err);
        if (damaged)
            give_up("the scrub called a sound index damaged", &err);
    }
}

static void compact_for_ever(const char *dir)
{
    struct err err = {0};
    for (;;)
        if (!index_compact(dir, &fields_builtin, &err))
            give_up("compact", &err);
}

/* All weeks but the newest. */
static void pack_for_ever(const char *dir)
{
    struct index_writer *w = open_index(dir);
    struct err err = {0};
    for (;; usleep(10000)) {
        size_t packed;
        if (!index_pack(w, NOW_US, 60000, NULL, &packed, &err))
            give_up("pack", &err);
    }
}

static void expire_for_ever(const char *dir)
{
    struct err err = {0};
    for (;; usleep(100000)) {
        size_t dropped;
        if (!index_expire(dir, &fields_builtin, NOW_US - (WEEKS - 2) * WEEK_US, &dropped, &err))
            give_up("expire", &err);
    }
}

static void rebuild_for_ever(const char *dir)
{
    struct index_writer *w = open_index(dir);
    struct err err = {0};
    for (;; usleep(300000)) {
        uint64_t losses;
        int fd;
        bool was_there;
        if (!index_claim_filling(dir, "test", 5000, &fd, &err) ||
            !index_reset(dir, &fields_builtin, &err) || !index_fill_begin(w, 500, &losses, &err))
            give_up("rebuild", &err);
        for (uint32_t i = 0; i < 500; i++) {
            json_t *doc = make_doc(i);
            if (!index_put_absent(w, doc, &was_there, &err))
                give_up("fill", &err);
            json_decref(doc);
        }
        if (!index_filled(w, losses, &err))
            give_up("filled", &err);
        close(fd);
    }
}

/* What a process that starts begins with, while partitions come and go. */
static void number_for_ever(const char *dir)
{
    struct err err = {0};
    for (;; usleep(1000)) {
        size_t written;
        if (!index_number(dir, &fields_builtin, 1, NULL, &written, &err))
            give_up("number", &err);
    }
}

/* Each crash has one signature, so a facet that names no text twice adds up to the total. */
static void add_up(const json_t *answer)
{
    struct err err = {0};
    const json_t *facet = jget_arr(jget_obj(answer, "facets"), "signature");
    json_int_t sum = 0;
    for (size_t i = 0; i < json_array_size(facet); i++) {
        const json_t *one = json_array_get(facet, i);
        sum += jget_int_or(one, "count", 0);
        for (size_t k = 0; k < i; k++)
            if (json_equal(json_object_get(one, "term"),
                           json_object_get(json_array_get(facet, k), "term")))
                give_up("a facet names a text twice", &err);
    }
    if (sum != jget_int_or(answer, "total", -1))
        give_up("a facet does not add up", &err);
}

static void start_reading_for_ever(const char *dir)
{
    static struct search_param v[] = {
        {STR_INIT("date"), STR_INIT(">=-40d")},
        {STR_INIT("_facets"), STR_INIT("signature")},
        {STR_INIT("_facets_size"), STR_INIT("1000")},
        {STR_INIT("_results_number"), STR_INIT("0")},
    };
    for (;;) {
        struct arena a;
        struct search_context ctx = {.now_us = NOW_US, .deadline_ms = mono_ms() + 20000};
        struct index_reader *r;
        struct err err = {0};
        const char *form;
        json_auto_t *answer = NULL;
        arena_init(&a, 8 << 20);
        if (!index_reader_open(dir, &fields_builtin, &r, &err) ||
            !search_answer(&a, r, &ctx, (struct search_params){v, ARRAY_LEN(v)}, &answer, &form,
                           &err))
            give_up("read", &err);
        add_up(answer);
        index_reader_close(r);
        arena_release(&a);
    }
}

static const struct role {
    const char *name;
    void (*act)(const char *dir);
} roles[] = {
    {"put", put_for_ever},         {"put", put_for_ever},
    {"delete", delete_for_ever},   {"keep", keep_for_ever},
    {"compact", compact_for_ever}, {"pack", pack_for_ever},
    {"expire", expire_for_ever},   {"rebuild", rebuild_for_ever},
    {"number", number_for_ever},   {"read", start_reading_for_ever},
};

static pid_t start(const char *dir, const struct role *role)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        role->act(dir);
        _exit(1);
    }
    return pid;
}

static void no_damage(void *arg, const char *line)
{
    (void)arg;
    if (strstr(line, "DAMAGED") || strstr(line, "cannot be opened") || strstr(line, "set aside"))
        fail_msg("%s", line);
}

/* Anything but damage: while a rebuild is at work the index says that it is not whole. */
static void verify_once(const char *dir)
{
    struct err err = {0};
    if (!index_verify(dir, &fields_builtin, no_damage, NULL, &err) && err.code != ERR_DAMAGED)
        fail_msg("verify: %s", err.msg);
    if (err.code == ERR_DAMAGED && !strstr(err.msg, "problems in the index"))
        fail_msg("verify: %s", err.msg);
}

static void kill_one(const char *dir, pid_t pids[ARRAY_LEN(roles)])
{
    size_t victim = random_u64() % ARRAY_LEN(roles);
    int status;
    kill(pids[victim], SIGKILL);
    assert_int_equal(waitpid(pids[victim], &status, 0), pids[victim]);
    if (!WIFSIGNALED(status))
        fail_msg("%s gave up", roles[victim].name);
    pids[victim] = start(dir, &roles[victim]);
}

static void test_verify_cries_never_under_load(void **state)
{
    (void)state;
    char dir[64];
    pid_t pids[ARRAY_LEN(roles)];
    struct err err = {0};
    uint64_t losses;
    int verified = 0, kills = 0;
    snprintf(dir, sizeof dir, "%s/datil-hammer-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(dir));
    struct index_writer *w = open_index(dir);
    assert_true(index_fill_begin(w, 0, &losses, &err));
    index_writer_close(w);
    for (size_t i = 0; i < ARRAY_LEN(roles); i++)
        pids[i] = start(dir, &roles[i]);
    const char *ms = getenv("DATIL_HAMMER_MS");
    uint64_t run_ms = RUN_MS;
    if (ms)
        assert_true(str_to_u64(str_of(ms), 10, 3600000, "ms", &run_ms, ERR_IGNORED));
    int64_t kill_ms = mono_ms() + KILL_EVERY_MS;
    for (int64_t end = mono_ms() + (int64_t)run_ms; mono_ms() < end; verified++) {
        verify_once(dir);
        if (mono_ms() < kill_ms)
            continue;
        kill_one(dir, pids);
        kills++;
        kill_ms = mono_ms() + KILL_EVERY_MS;
    }
    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        int status;
        kill(pids[i], SIGKILL);
        waitpid(pids[i], &status, 0);
        if (!WIFSIGNALED(status))
            fail_msg("%s gave up", roles[i].name);
    }
    verify_once(dir);
    printf("%d times verified, %d kills\n", verified, kills);
    fs_remove_tree(dir, ERR_IGNORED);
}

int main(void)
{
    log_init("test", "error");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verify_cries_never_under_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
