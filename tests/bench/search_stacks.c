#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/search/search.h"
#include "tests/bench/made_up.h"

/*
 * What stacks cost and what asking for them takes, with N synthetic crashes (argument or 30000)
 * over 28 days.  The same crashes go into an index without their stacks and into one with them:
 * ratios of puts and of bytes.  Questions about stacks stand beside a walk over the same stacks as
 * numbers in memory, and are asked of the open index and of a packed one.
 *
 * A crash has a crashing thread of 20 to 60 frames, which depends on its signature and differs in
 * some frames, and 60 other threads, each with one of 500 stacks in which threads wait: as browsers
 * have them.
 */
enum {
    DAYS = 28,
    REPEAT = 7,
    SIGNATURES = 20000,
    FUNCTIONS = 60000,
    MODULES = 200,
    IDLE_STACKS = 500,
    OTHER_THREADS = 60,
    FRAMES_MOST = 60,
};

struct crash {
    uint32_t signature, frame_count;
    uint32_t frames[FRAMES_MOST];
};

struct bench {
    char plain[80], stacks[80];
    struct crash *crashes;
    size_t n;
    int64_t now_us;
};

/* The same for the same numbers: stacks belong to signatures. */
static uint32_t mixed(uint32_t a, uint32_t b)
{
    uint64_t x = ((uint64_t)a << 32 | b) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(x >> 40);
}

static void make_crash(struct crash *c)
{
    c->signature = made_up_skewed(SIGNATURES);
    c->frame_count = 20 + mixed(c->signature, 1) % 40;
    for (uint32_t i = 0; i < c->frame_count; i++) {
        uint32_t low = c->frame_count - i; /* all stacks end in the same loops */
        uint32_t of = low < 8 ? mixed(low, 2) % 100 : mixed(c->signature, i) % FUNCTIONS;
        c->frames[i] = made_up(12) == 0 ? made_up(FUNCTIONS) : of;
    }
}

static json_t *frame_json(uint32_t function)
{
    char name[96], file[64], module[32];
    snprintf(name, sizeof name, "mozilla::Part%u::Thing%u<T>::Method%u(nsString const *, int)",
             function % 97, function, function % 13);
    snprintf(file, sizeof file, "hg:hg.mozilla.org/mozilla-central:part%u/File%u.cpp:0123456789ab",
             function % 97, function / 8);
    snprintf(module, sizeof module, "module%u.dll", function % 5 ? 0 : function % MODULES);
    return json_pack("{s:s, s:s, s:s}", "function", name, "file", file, "module", module);
}

static json_t *dump_json(const struct crash *c)
{
    json_t *frames = json_array(), *threads = json_array();
    for (uint32_t i = 0; i < c->frame_count; i++)
        json_array_append_new(frames, frame_json(c->frames[i]));
    json_array_append_new(threads, json_pack("{s:O}", "frames", frames));
    for (uint32_t t = 0; t < OTHER_THREADS; t++) {
        json_t *one = json_array();
        uint32_t stack = made_up_skewed(IDLE_STACKS);
        for (uint32_t i = 0; i < 12; i++)
            json_array_append_new(one, frame_json(mixed(stack, i + 100) % 4000));
        json_array_append_new(threads, json_pack("{s:o}", "frames", one));
    }
    return json_pack("{s:{s:o}, s:o}", "crashing_thread", "frames", frames, "threads", threads);
}

static json_t *document(const struct bench *b, size_t i)
{
    char uuid[MADE_UP_ID_SIZE], date[TIME_TEXT_MAX], signature[64];
    made_up_id(i, uuid);
    time_iso(b->now_us - (int64_t)((double)DAYS * 86400e6 * (1 - (double)i / (double)b->n)), false,
             date);
    snprintf(signature, sizeof signature, "mozilla::Function%uThing::method",
             b->crashes[i].signature);
    return json_pack("{s:s, s:s, s:s, s:s, s:i}", "uuid", uuid, "date_processed", date, "signature",
                     signature, "product", made_up(3) ? "Firefox" : "Fenix", "uptime",
                     (int)made_up(100000));
}

static void fail(const struct err *err)
{
    fprintf(stderr, "%s\n", err->msg);
    abort();
}

static void put(struct index_writer *w, const json_t *doc, int64_t *us)
{
    struct err err = {0};
    int64_t start = mono_us();
    if (!index_put(w, doc, &err))
        fail(&err);
    *us += mono_us() - start;
}

static double bytes_in(const char *dir)
{
    double bytes = 0;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[512];
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (e->d_name[0] != '.' && lstat(path, &st) == 0)
            bytes += S_ISDIR(st.st_mode) ? bytes_in(path) : (double)st.st_blocks * 512;
    }
    if (d)
        closedir(d);
    return bytes;
}

/* By turns, so that both meet the same machine. */
static void put_crashes(struct bench *b)
{
    struct index_writer *plain, *stacks;
    struct err err = {0};
    int64_t plain_us = 0, stacks_us = 0;
    if (!index_writer_open(b->plain, &fields_builtin, &plain, &err) ||
        !index_writer_open(b->stacks, &fields_builtin, &stacks, &err))
        fail(&err);
    for (size_t i = 0; i < b->n; i++) {
        make_crash(&b->crashes[i]);
        json_t *doc = document(b, i);
        put(plain, doc, &plain_us);
        json_object_set_new(doc, "json_dump", dump_json(&b->crashes[i]));
        put(stacks, doc, &stacks_us);
        json_decref(doc);
    }
    double n = (double)b->n;
    printf("%-44s %10.0f per second without stacks, %.0f with them: ratio %.2f\n", "puts",
           n / ((double)plain_us / 1e6), n / ((double)stacks_us / 1e6),
           (double)plain_us / (double)stacks_us);
    printf("%-44s %10.0f bytes a crash without, %.0f with\n", "on disk, open",
           bytes_in(b->plain) / n, bytes_in(b->stacks) / n);
    index_writer_close(plain);
    index_writer_close(stacks);
}

static void pack(const struct bench *b, const char *dir)
{
    struct index_writer *w;
    struct err err = {0};
    size_t packed;
    if (!index_writer_open(dir, &fields_builtin, &w, &err) ||
        !index_pack(w, b->now_us + (int64_t)14 * 86400000000, 0, NULL, &packed, &err))
        fail(&err);
    index_writer_close(w);
}

static double ask_ms(const struct bench *b, struct index_reader *r, const char *query,
                     int64_t *ret_total)
{
    static struct search_param v[32];
    int64_t best = INT64_MAX;
    for (int k = 0; k < REPEAT; k++) {
        struct search_params params = {.v = v};
        struct str rest = str_of(query), part;
        while (str_split(&rest, '&', &part)) {
            size_t eq = str_find_char(part, '=', 0);
            v[params.n++] =
                (struct search_param){str_sub(part, 0, eq), str_sub(part, eq + 1, SIZE_MAX)};
        }
        struct search_context ctx = {.now_us = b->now_us, .deadline_ms = mono_ms() + 60000};
        struct arena a;
        const char *form;
        struct err err = {0};
        json_t *answer = NULL;
        arena_init(&a, 16 << 20);
        int64_t start = mono_us();
        if (!search_answer(&a, r, &ctx, params, &answer, &form, &err)) {
            printf("%s: %s\n", query, err.msg);
            arena_release(&a);
            return 0;
        }
        int64_t took = mono_us() - start;
        best = MIN(best, took);
        *ret_total = jget_int_or(answer, "total", -1);
        json_decref(answer);
        arena_release(&a);
    }
    return (double)best / 1000;
}

/* What is asked, as a walk over numbers. */
static bool has(const struct crash *c, uint32_t first, uint32_t second, uint32_t places)
{
    for (uint32_t i = 0; i < c->frame_count && i < places; i++)
        if (c->frames[i] == first &&
            (second == UINT32_MAX || (i + 1 < c->frame_count && c->frames[i + 1] == second)))
            return true;
    return false;
}

static uint64_t count_functions(const struct bench *b)
{
    static uint32_t counts[FUNCTIONS], last[FUNCTIONS];
    uint64_t sink = 0;
    memset(counts, 0, sizeof counts);
    memset(last, 0, sizeof last);
    for (uint32_t i = 0; i < b->n; i++)
        for (uint32_t k = 0; k < b->crashes[i].frame_count; k++) {
            uint32_t f = b->crashes[i].frames[k];
            counts[f] += last[f] != i + 1;
            last[f] = i + 1;
        }
    for (uint32_t f = 0; f < FUNCTIONS; f++)
        sink += counts[f] > 100;
    return sink;
}

enum question { HAS, PLACES, CALLED, PATTERN, FACET, ALL_THREADS, QUESTIONS };
static const char *const labels[QUESTIONS] = {"has a function",
                                              "a function among the first five",
                                              "a function called by another",
                                              "contains a text",
                                              "facet of functions",
                                              "has a function, all threads"};

static double walk_ms(const struct bench *b, enum question q, uint32_t first, uint32_t second)
{
    int64_t best = INT64_MAX;
    uint64_t found = 0;
    for (int k = 0; k < REPEAT; k++) {
        int64_t start = mono_us();
        if (q == FACET)
            found += count_functions(b);
        for (size_t i = 0; q != FACET && i < b->n; i++)
            found += has(&b->crashes[i], first, q == CALLED ? second : UINT32_MAX,
                         q == PLACES ? 5 : FRAMES_MOST);
        int64_t took = mono_us() - start;
        best = MIN(best, took);
    }
    return found == 1 ? 0 : (double)best / 1000;
}

static void ask_all(const struct bench *b, const char *packed_dir)
{
    struct index_reader *r, *packed;
    struct err err = {0};
    uint32_t first = b->crashes[b->n / 2].frames[3], second = b->crashes[b->n / 2].frames[4];
    json_t *f = frame_json(first), *g = frame_json(second);
    const char *name = jget_str(f, "function"), *caller = jget_str(g, "function");
    char queries[QUESTIONS][512];
    const char *all = "date=>=-28d&_results_number=0";
    snprintf(queries[HAS], 512, "%s&_facets_size=0&frame_function==%s", all, name);
    snprintf(queries[PLACES], 512, "%s&_facets_size=0&frame_function==%s @0-4", all, name);
    snprintf(queries[CALLED], 512, "%s&_facets_size=0&frame_function==%s <- =%s", all, name,
             caller);
    snprintf(queries[PATTERN], 512, "%s&_facets_size=0&frame_function=~Thing%u<", all, first);
    snprintf(queries[FACET], 512, "%s&_facets=frame_function", all);
    snprintf(queries[ALL_THREADS], 512, "%s&_facets_size=0&thread_function==%s", all, name);
    if (!index_reader_open(b->stacks, &fields_builtin, &r, &err) ||
        !index_reader_open(packed_dir, &fields_builtin, &packed, &err))
        fail(&err);
    printf("\n%-34s %8s %8s %8s %6s | %8s %6s\n", "question", "crashes", "ms", "walk ms", "ratio",
           "packed", "ratio");
    for (int q = 0; q < QUESTIONS; q++) {
        int64_t total = 0;
        double open_ms = ask_ms(b, r, queries[q], &total);
        double packed_ms = ask_ms(b, packed, queries[q], &total);
        double walk = walk_ms(b, (enum question)q, first, second);
        printf("%-34s %8lld %8.1f %8.1f %6.2f | %8.1f %6.2f\n", labels[q], (long long)total,
               open_ms, walk, open_ms / walk, packed_ms, packed_ms / walk);
    }
    index_reader_close(r);
    index_reader_close(packed);
    json_decref(f);
    json_decref(g);
}

int main(int argc, char **argv)
{
    uint64_t n = 30000;
    struct err err = {0};
    struct bench b = {.now_us = 1790000000 * (int64_t)1000000};
    char dir[] = "/tmp/datil-bench-XXXXXX";
    if (argc > 1 && !str_to_u64(str_of(argv[1]), 10, 10000000, "crashes", &n, &err))
        fail(&err);
    if (!mkdtemp(dir))
        return 1;
    b.n = n;
    b.crashes = xcalloc(n, sizeof *b.crashes);
    snprintf(b.plain, sizeof b.plain, "%s/plain", dir);
    snprintf(b.stacks, sizeof b.stacks, "%s/stacks", dir);
    log_init("bench", "warn");
    printf("stacks: %zu crashes\n", b.n);
    put_crashes(&b);
    fs_remove_tree(b.plain, ERR_IGNORED);
    char packed[96];
    snprintf(packed, sizeof packed, "%s/packed", dir);
    made_up_seed = 1;
    struct bench again = b;
    snprintf(again.stacks, sizeof again.stacks, "%s", packed);
    snprintf(again.plain, sizeof again.plain, "%s/plain", dir);
    put_crashes(&again);
    pack(&b, again.plain);
    pack(&b, packed);
    printf("%-44s %10.0f bytes a crash without, %.0f with\n", "on disk, packed",
           bytes_in(again.plain) / (double)n, bytes_in(packed) / (double)n);
    ask_all(&b, packed);
    fs_remove_tree(dir, ERR_IGNORED);
    free(b.crashes);
    return 0;
}
