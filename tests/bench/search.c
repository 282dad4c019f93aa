#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/proc.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/search/search.h"
#include "tests/bench/made_up.h"

/*
 * Super Search with N synthetic crashes (argument or 500000) spread over 180 days: puts per
 * second, the first answer of a new process, then the yardstick queries, beside a plain scan over
 * the same rows in memory and beside a copy of the index whose weeks are packed.  Both are asked by
 * turns, so that the ratio is one of the same minute.
 *
 * With a second argument, a folder: leaves there an index up to now whose crashes have further
 * fields with a value of its own in every crash, and asks nothing.  bench_monster.py uses it.
 * With "-" and a file: the same as without, and the documents are left in the file, a line each.
 * bench_search_duckdb.py asks another engine the same questions about them.
 */
enum { DAYS = 180, REPEAT = 7 };

struct row {
    int64_t date_us;
    uint32_t signature, version, platform, product, channel;
};

struct bench {
    char dir[64];
    struct row *rows;
    size_t n;
    int64_t now_us;
    bool is_wide; /* with fields of many values */
    FILE *lines;  /* NULL, or where the documents go as well */
    struct index_reader *r, *packed;
};

static const char *const products[] = {"Firefox", "Fenix", "Thunderbird", "Focus"};
static const char *const channels[] = {"release", "beta", "nightly", "esr", "aurora"};
static const char *const platforms[] = {"Windows", "Android", "Mac OS X", "Linux"};

static void signature_text(uint32_t s, char out[128])
{
    static const char *const modules[] = {"mozilla::dom::", "js::jit::",      "xul.dll@0x",
                                          "core::",         "OOM | small | ", "shutdownhang | ",
                                          "IPCError | "};
    snprintf(out, 128, "%sFunction%uThing::method%u", modules[s % ARRAY_LEN(modules)], s * 7919,
             s % 97);
}

/* As the collector makes them: random, and the day at the end. */
static void crash_id(int64_t date_us, char out[MADE_UP_ID_SIZE])
{
    struct civil c = civil_of_us(date_us);
    snprintf(out, MADE_UP_ID_SIZE, "%08x-%04x-4%03x-8%03x-%05x0%02d%02d%02d", made_up(1u << 31),
             made_up(1 << 16), made_up(1 << 12), made_up(1 << 12), made_up(1 << 20), c.year % 100,
             c.month, c.day);
}

static json_t *document(const struct row *r)
{
    char uuid[MADE_UP_ID_SIZE], date[TIME_TEXT_MAX], signature[128], version[32], address[24];
    crash_id(r->date_us, uuid);
    time_iso(r->date_us, false, date);
    signature_text(r->signature, signature);
    snprintf(version, sizeof version, "%u.0%s", 100 + r->version / 4, r->version % 4 ? "b1" : "");
    snprintf(address, sizeof address, "0x%08x", made_up(200000) * 16);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:s, s:b, s:s}", "uuid", uuid,
                     "date_processed", date, "signature", signature, "product",
                     products[r->product], "version", version, "os_name", platforms[r->platform],
                     "release_channel", channels[r->channel], "uptime", (int)made_up(100000),
                     "install_time", (int)(1600000000 + made_up(5000000)), "address", address,
                     "startup_crash", made_up(10) == 0, "cpu_arch", made_up(3) ? "amd64" : "x86");
}

/* Fields in which no two crashes agree, as in the worst installation. */
static void add_wide(size_t i, json_t *doc)
{
    char text[256];
    snprintf(text, sizeof text, "https://host%zu.example.org/path/%u", i, made_up(1000000));
    jset_cstr(doc, "url", text);
    snprintf(text, sizeof text, "start | frame%zu | middle%u | js::Run | end%u", i, made_up(100000),
             made_up(5000));
    jset_cstr(doc, "proto_signature", text);
    snprintf(text, sizeof text, "note %zu of %u: device 0x%x, driver %u.%u", i, made_up(9999),
             made_up(65536), made_up(40), made_up(9000));
    jset_cstr(doc, "app_notes", text);
    snprintf(text, sizeof text, "m%u/%x;m%u/%x;common.so/1", made_up(30000), made_up(1 << 20),
             made_up(300), made_up(1 << 20));
    jset_cstr(doc, "modules_in_stack", text);
    snprintf(text, sizeof text, "0x%zx", i * 16);
    jset_cstr(doc, "address", text);
}

static void put_crashes(struct bench *b)
{
    struct index_writer *w;
    struct err err = {0};
    int64_t put_us = 0;
    if (!index_writer_open(b->dir, &fields_builtin, &w, &err))
        abort();
    for (size_t i = 0; i < b->n; i++) {
        struct row *r = &b->rows[i];
        r->date_us = b->now_us - (int64_t)DAYS * 86400000000 +
                     (int64_t)((double)i / (double)b->n * DAYS * 86400e6) - made_up(20000000);
        r->signature = made_up_skewed(100000);
        r->version = made_up_skewed(200);
        r->platform = made_up_skewed(4);
        r->product = made_up_skewed(4);
        r->channel = made_up_skewed(5);
        json_t *doc = document(r);
        if (b->is_wide)
            add_wide(i, doc);
        int64_t start = mono_us();
        if (!index_put(w, doc, &err)) {
            fprintf(stderr, "%s\n", err.msg);
            abort();
        }
        put_us += mono_us() - start;
        if (b->lines && (json_dumpf(doc, b->lines, JSON_COMPACT) < 0 || fputc('\n', b->lines) < 0))
            abort();
        json_decref(doc);
    }
    printf("%-46s %10.0f per second\n", "puts, one process", (double)b->n / ((double)put_us / 1e6));
    int64_t start = mono_us();
    index_sync(w, &err);
    printf("%-46s %10.1f ms\n", "sync", (double)(mono_us() - start) / 1000);
    index_writer_close(w);
    if (b->lines && fflush(b->lines) != 0)
        abort();
}

struct scan {
    int days;
    bool has_filter;
    bool has_all_facets;
};

static uint64_t scan(const struct bench *b, const struct scan *s)
{
    static uint32_t by_signature[100000], by_version[200], by_platform[4];
    int64_t from = b->now_us - s->days * (int64_t)86400000000;
    uint64_t total = 0;
    memset(by_signature, 0, sizeof by_signature);
    for (size_t i = 0; i < b->n; i++) {
        const struct row *r = &b->rows[i];
        if (r->date_us < from || (s->has_filter && (r->product != 0 || r->channel != 0)))
            continue;
        total++;
        by_signature[r->signature]++;
        if (s->has_all_facets) {
            by_version[r->version]++;
            by_platform[r->platform]++;
        }
    }
    return total + by_signature[5] % 2 + by_version[3] % 2 + by_platform[1] % 2;
}

static double scan_ms(const struct bench *b, const struct scan *s)
{
    int64_t best = INT64_MAX;
    uint64_t sink = 0;
    for (int i = 0; i < REPEAT; i++) {
        int64_t start = mono_us();
        sink += scan(b, s);
        int64_t took = mono_us() - start;
        best = MIN(best, took);
    }
    return sink == 1 ? 0 : (double)best / 1000; /* the scans must not be optimised away */
}

static int64_t ask(const struct bench *b, struct index_reader *r, const char *query, size_t lanes,
                   int64_t *ret_total)
{
    static struct search_param v[32];
    struct search_params params = {.v = v};
    struct str rest = str_of(query), part;
    while (str_split(&rest, '&', &part)) {
        size_t eq = str_find_char(part, '=', 0);
        v[params.n++] =
            (struct search_param){str_sub(part, 0, eq), str_sub(part, eq + 1, SIZE_MAX)};
    }
    struct search_context ctx = {
        .now_us = b->now_us, .deadline_ms = mono_ms() + 60000, .lanes = lanes};
    struct arena a;
    const char *form;
    struct err err = {0};
    json_t *answer = NULL;
    arena_init(&a, 16 << 20);
    int64_t start = mono_us();
    if (!search_answer(&a, r, &ctx, params, &answer, &form, &err)) {
        fprintf(stderr, "%s: %s\n", query, err.msg);
        abort();
    }
    int64_t took = mono_us() - start;
    /* of a count of distinct values that count */
    const json_t *facets = jget_obj(answer, "facets");
    *ret_total = jget_int_or(jget_obj(facets, "cardinality_install_time"), "value",
                             jget_int_or(answer, "total", -1));
    json_decref(answer);
    arena_release(&a);
    return took;
}

static const struct {
    const char *label, *query;
    struct scan scan; /* days 0: no counterpart */
} yardsticks[] = {
    {"180 days, product and channel, three facets",
     "date=>=-180d&product=Firefox&release_channel=release&_facets=signature&_facets=version"
     "&_facets=platform&_results_number=0",
     {DAYS, true, true}},
    {"7 days, one facet", "date=>=-7d&_facets=signature&_results_number=0", {7, false, false}},
    {"regular expression over all",
     "date=>=-180d&signature=@.*Function1.*Thing.*&_facets_size=0&_results_number=0",
     {0}},
    {"words over all", "date=>=-180d&signature=method13&_facets_size=0&_results_number=0", {0}},
    {"one signature, 100 hits", "date=>=-180d&signature=^OOM&_facets_size=0&_sort=-uptime", {0}},
    {"top crashers, 7 days",
     "date=>=-7d&product=Firefox&_facets_size=50&_aggs.signature=platform"
     "&_aggs.signature=startup_crash&_aggs.signature=_histogram.uptime"
     "&_histogram_interval.uptime=60&_aggs.signature=_cardinality.install_time&_results_number=0",
     {0}},
    {"by day and version, 180 days",
     "date=>=-180d&_histogram.date=version&_facets_size=1000&_results_number=0",
     {0}},
    {"percentiles in each version, 180 days",
     "date=>=-180d&_facets=version&_aggs.version=_p50.uptime&_aggs.version=_p95.uptime"
     "&_aggs.version=_avg.uptime&_results_number=0",
     {0}},
    {"signatures by installations, 180 days",
     "date=>=-180d&_facets=signature&_facets_sort=installations&_results_number=0",
     {0}},
    {"installations over all",
     "date=>=-180d&_facets=_cardinality.install_time&_results_number=0",
     {0}},
};

/* Of a process that has asked nothing before. */
struct first_answer {
    int64_t total, wall_us, cpu_us;
};

static int64_t cpu_us(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * INT64_C(1000000) + u.ru_utime.tv_usec +
           u.ru_stime.tv_usec;
}

static struct first_answer ask_first(const struct bench *b, const char *dir)
{
    struct first_answer a = {0};
    struct err err = {0};
    struct index_reader *r;
    int64_t start = mono_us(), cpu = cpu_us();
    if (!index_reader_open(dir, &fields_builtin, &r, &err))
        abort();
    ask(b, r, yardsticks[0].query, 1, &a.total);
    a.wall_us = mono_us() - start;
    a.cpu_us = cpu_us() - cpu;
    return a;
}

static struct first_answer ask_in_new_process(const struct bench *b, const char *dir)
{
    struct first_answer a;
    int pipe_fds[2];
    fflush(stdout);
    if (pipe(pipe_fds) < 0)
        abort();
    pid_t pid = fork();
    if (pid == 0) {
        a = ask_first(b, dir);
        _exit(write(pipe_fds[1], &a, sizeof a) == sizeof a ? 0 : 1);
    }
    if (pid < 0 || read(pipe_fds[0], &a, sizeof a) != sizeof a || waitpid(pid, NULL, 0) < 0)
        abort();
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    return a;
}

static struct first_answer best_first(const struct bench *b, const char *dir)
{
    struct first_answer best = ask_in_new_process(b, dir);
    for (int k = 1; k < REPEAT; k++) {
        struct first_answer a = ask_in_new_process(b, dir);
        best.wall_us = MIN(best.wall_us, a.wall_us);
        best.cpu_us = MIN(best.cpu_us, a.cpu_us);
    }
    return best;
}

/* Without the files of the index keeper, then with them: the ratio is what they are worth. */
static void run_first_answers(const struct bench *b, const char *dir, const char *what)
{
    size_t written;
    struct err err = {0};
    struct first_answer without = best_first(b, dir);
    int64_t start = mono_us();
    if (!index_number(dir, &fields_builtin, 4096, NULL, &written, &err))
        abort();
    printf("\n%s, numbering files: %.1f ms, %zu fields\n", what, (double)(mono_us() - start) / 1000,
           written);
    struct first_answer with = best_first(b, dir);
    if (with.total != without.total)
        abort();
    printf("%-46s %10s %10s %10s\n", "first answer of a process, query 1", "ms", "cpu ms", "ratio");
    printf("%-46s %10.1f %10.1f\n", "without numbering files", (double)without.wall_us / 1000,
           (double)without.cpu_us / 1000);
    printf("%-46s %10.1f %10.1f %10.2f\n", "with them", (double)with.wall_us / 1000,
           (double)with.cpu_us / 1000, (double)with.cpu_us / (double)without.cpu_us);
}

/* Best of some: of the open index and of the packed one, by turns. */
static void best_ms(const struct bench *b, const char *query, size_t lanes, double *ret_open,
                    double *ret_packed)
{
    int64_t total, open = INT64_MAX, packed = INT64_MAX;
    for (int k = 0; k < REPEAT; k++) {
        int64_t took = ask(b, b->r, query, lanes, &total); /* MIN would ask twice */
        open = MIN(open, took);
        took = ask(b, b->packed, query, lanes, &total);
        packed = MIN(packed, took);
    }
    *ret_open = (double)open / 1000;
    *ret_packed = (double)packed / 1000;
}

/* On one thread, which is what the scan has, and on as many as there are processors. */
static void run_yardsticks(const struct bench *b)
{
    size_t cores = proc_cores();
    printf("\n%-46s %8s %8s %8s %6s%zu %8s %6s | %8s %8s %6s%zu %6s %6s%zu\n", "query", "rows",
           "first ms", "ms", "ms on ", cores, "scan ms", "ratio", "first ms", "packed", "on ",
           cores, "ratio", "on ", cores);
    for (size_t i = 0; i < ARRAY_LEN(yardsticks); i++) {
        const char *query = yardsticks[i].query;
        double open, packed, open_all, packed_all;
        int64_t total, first = ask(b, b->r, query, 1, &total);
        int64_t first_packed = ask(b, b->packed, query, 1, &total);
        best_ms(b, query, 1, &open, &packed);
        best_ms(b, query, cores, &open_all, &packed_all);
        printf("%-46s %8lld %8.1f %8.1f %7.1f", yardsticks[i].label, (long long)total,
               (double)first / 1000, open, open_all);
        if (yardsticks[i].scan.days) {
            double base = scan_ms(b, &yardsticks[i].scan);
            printf(" %8.1f %6.2f", base, open / base);
        } else {
            printf(" %8s %6s", "", "");
        }
        printf(" | %8.1f %8.1f %7.1f %6.2f %7.2f\n", (double)first_packed / 1000, packed,
               packed_all, packed / open, packed_all / open_all);
    }
}

/* What the files of a folder take on the disk. */
static double bytes_in(const char *dir)
{
    double bytes = 0;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[512];
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (e->d_name[0] == '.' || lstat(path, &st) < 0)
            continue;
        bytes += S_ISDIR(st.st_mode) ? bytes_in(path) : (double)st.st_blocks * 512;
    }
    if (d)
        closedir(d);
    return bytes;
}

static void copy_folder(const char *from, const char *to)
{
    DIR *d = opendir(from);
    struct err err = {0};
    if (!d || !fs_mkdirs(to, FS_DIR_MODE, &err))
        abort();
    for (struct dirent *e; (e = readdir(d));) {
        char source[512], target[512];
        const void *bytes;
        size_t n;
        struct stat st;
        snprintf(source, sizeof source, "%s/%s", from, e->d_name);
        snprintf(target, sizeof target, "%s/%s", to, e->d_name);
        if (e->d_name[0] == '.' || lstat(source, &st) < 0)
            continue;
        if (S_ISDIR(st.st_mode)) {
            copy_folder(source, target);
            continue;
        }
        FILE *out = fopen(target, "wb");
        if (!out || !fs_map(source, &bytes, &n, &err) || (n > 0 && fwrite(bytes, n, 1, out) != 1) ||
            fclose(out) != 0)
            abort();
        if (n > 0)
            munmap((void *)bytes, n);
    }
    closedir(d);
}

/* All weeks, the last one, which is not over, too. */
static void pack(const struct bench *b, const char *dir)
{
    struct index_writer *w;
    struct err err = {0};
    size_t packed;
    if (!index_writer_open(dir, &fields_builtin, &w, &err))
        abort();
    int64_t start = mono_us();
    if (!index_pack(w, b->now_us + (int64_t)14 * 86400000000, 0, NULL, &packed, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
    int64_t took = mono_us() - start;
    index_writer_close(w);
    double open_bytes = bytes_in(b->dir), bytes = bytes_in(dir), n = (double)b->n;
    printf("%-46s %10.0f per second, %zu weeks\n", "packing", n / ((double)took / 1e6), packed);
    printf("%-46s %10.1f MB open, %.1f MB packed: %.1f and %.1f bytes a crash, ratio %.3f\n",
           "on disk", open_bytes / 1e6, bytes / 1e6, open_bytes / n, bytes / n, bytes / open_bytes);
}

static void open_reader(const char *dir, struct index_reader **ret)
{
    struct err err = {0};
    if (!index_reader_open(dir, &fields_builtin, ret, &err))
        abort();
}

int main(int argc, char **argv)
{
    uint64_t n = 500000;
    struct err err = {0};
    struct bench b = {.now_us = 1790000000 * (int64_t)1000000};
    if (argc > 1 && !str_to_u64(str_of(argv[1]), 10, 100000000, "rows", &n, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        return 2;
    }
    b.n = n;
    b.rows = xcalloc(n, sizeof *b.rows);
    if (argc > 3) {
        b.lines = fopen(argv[3], "w");
        if (!b.lines)
            return 1;
    } else if (argc > 2) {
        snprintf(b.dir, sizeof b.dir, "%s", argv[2]);
        b.is_wide = true;
        b.now_us = now_us();
        put_crashes(&b);
        free(b.rows);
        return 0;
    }
    const char *tmp = getenv("TMPDIR");
    snprintf(b.dir, sizeof b.dir, "%s/datil-bench-XXXXXX", tmp && strlen(tmp) < 40 ? tmp : "/tmp");
    if (!mkdtemp(b.dir))
        return 1;
    char packed[80];
    snprintf(packed, sizeof packed, "%s.packed", b.dir);
    log_init("bench", "warn");
    printf("search: %zu crashes\n", b.n);
    put_crashes(&b);
    copy_folder(b.dir, packed);
    pack(&b, packed);
    run_first_answers(&b, b.dir, "open");
    run_first_answers(&b, packed, "packed");
    open_reader(b.dir, &b.r);
    open_reader(packed, &b.packed);
    run_yardsticks(&b);
    index_reader_close(b.r);
    index_reader_close(b.packed);
    fs_remove_tree(b.dir, ERR_IGNORED);
    fs_remove_tree(packed, ERR_IGNORED);
    free(b.rows);
    return b.lines && fclose(b.lines) != 0;
}
