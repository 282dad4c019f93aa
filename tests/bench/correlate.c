#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/correlations/correlations.h"
#include "lib/json/json.h"
#include "lib/search/index.h"
#include "lib/search/search.h"
#include "tests/bench/made_up.h"

/*
 * Correlations of a signature against a week of an index of N crashes (argument or 500000) over
 * DAYS days (second argument or 9): everything together, as a page asks for it.  Weeks that the
 * dates leave out are not opened, so this is the week of an index with ten million crashes of half
 * a year.  Crashes have 60 modules and some add-ons of lists that thousands share, a graphics card
 * that goes with its driver, and a signature with a planted cause.
 *
 * With a third argument, a file: the crashes of the week as lines of JSON, for
 * bench_correlate_duckdb.py, which asks another database.
 */
enum { REPEAT = 5, MODULES = 400, LISTS = 3000, MODULES_OF_CRASH = 60 };

struct bench {
    char dir[64];
    size_t n;
    uint64_t days;
    int64_t now_us;
    json_t *lists[LISTS]; /* of modules */
    json_t *addons[64];
    struct index_reader *r;
};

static void make_lists(struct bench *b)
{
    for (size_t i = 0; i < LISTS; i++) {
        b->lists[i] = json_array();
        for (int k = 0; k < MODULES_OF_CRASH; k++) {
            char name[32], version[32];
            uint32_t m = k < 40 ? (uint32_t)k : 40 + made_up_skewed(MODULES - 40);
            snprintf(name, sizeof name, "module%u.dll", m);
            snprintf(version, sizeof version, "%u.%u", m % 9, made_up_skewed(4));
            json_array_append_new(b->lists[i],
                                  json_pack("{s:s, s:s}", "filename", name, "version", version));
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(b->addons); i++) {
        b->addons[i] = json_array();
        for (uint32_t k = made_up(5); k > 0; k--) {
            char text[48];
            snprintf(text, sizeof text, "addon%u@example.org:%u", made_up_skewed(50), made_up(3));
            json_array_append_new(b->addons[i], json_string(text));
        }
    }
}

static const char *const channels[] = {"release", "beta", "nightly", "esr"};
static const char *const platforms[] = {"Windows NT", "Linux", "Mac OS X"};
static const char *const vendors[] = {"0x8086", "0x10de", "0x1002"};

__attribute__((format(printf, 3, 4))) static void set_text(json_t *doc, const char *key,
                                                           const char *fmt, ...)
{
    char text[96];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    jset_cstr(doc, key, text);
}

static json_t *document(struct bench *b, size_t i)
{
    char date[TIME_TEXT_MAX];
    json_t *doc = json_object();
    uint32_t signature = made_up_skewed(20000), vendor = made_up(3), platform = made_up_skewed(3);
    bool is_planted = signature == 7 && made_up(10) < 8;
    int64_t us = b->now_us - (int64_t)b->days * 86400000000 +
                 (int64_t)((double)i / (double)b->n * (double)b->days * 86400e6);
    time_iso(us, false, date);
    char uuid[MADE_UP_ID_SIZE];
    made_up_id(i, uuid);
    jset_cstr(doc, "uuid", uuid);
    jset_cstr(doc, "date_processed", date);
    jset_cstr(doc, "product", "Firefox");
    jset_cstr(doc, "release_channel", channels[made_up_skewed(4)]);
    set_text(doc, "signature", "mozilla::Thing::method%u", signature);
    set_text(doc, "version", "%u.0", 120 + made_up_skewed(20));
    jset_cstr(doc, "os_name", platforms[platform]);
    set_text(doc, "os_version", "10.0.%u", 19041 + made_up_skewed(30) + 100 * platform);
    jset_cstr(doc, "cpu_arch", made_up(5) ? "amd64" : "x86");
    set_text(doc, "cpu_info", "GenuineIntel family 6 model %u | 8", 60 + made_up_skewed(80));
    jset_cstr(doc, "adapter_vendor_id", vendors[vendor]);
    set_text(doc, "adapter_device_id", "0x%04x", vendor * 4096 + made_up_skewed(300));
    set_text(doc, "adapter_driver_version", "27.20.100.%u",
             is_planted ? 7999 : 8000 + made_up_skewed(500));
    set_text(doc, "reason", "EXCEPTION_%u", made_up_skewed(12));
    set_text(doc, "address", "0x%08x", made_up(4) ? made_up(1u << 30) : 0);
    set_text(doc, "useragent_locale", "l%u", made_up_skewed(60));
    set_text(doc, "moz_crash_reason", "MOZ_CRASH(%u)", made_up_skewed(40));
    set_text(doc, "app_notes", "%s %u", made_up(3) ? "WebGL+" : "Has dual GPUs", made_up(900000));
    jset_bool(doc, "startup_crash", made_up(10) == 0);
    jset_bool(doc, "safe_mode", made_up(20) == 0);
    jset_bool(doc, "dom_ipc_enabled", true);
    jset_int(doc, "total_virtual_memory", 140737488224256 - (int64_t)made_up(100000));
    set_text(doc, "build", "20260%u01000000", 1 + made_up_skewed(9));
    json_object_set(doc, "addons", b->addons[is_planted ? 1 : made_up(ARRAY_LEN(b->addons))]);
    json_object_set_new(doc, "json_dump",
                        json_pack("{s:O}", "modules", b->lists[made_up_skewed(LISTS)]));
    return doc;
}

static void put_crashes(struct bench *b)
{
    struct index_writer *w;
    struct err err = {0};
    int64_t put_us = 0;
    if (!index_writer_open(b->dir, &fields_builtin, &w, &err))
        abort();
    for (size_t i = 0; i < b->n; i++) {
        json_auto_t *doc = document(b, i);
        int64_t start = mono_us();
        if (!index_put(w, doc, &err)) {
            fprintf(stderr, "%s\n", err.msg);
            abort();
        }
        put_us += mono_us() - start;
    }
    printf("%-52s %10.0f per second\n", "puts, one process", (double)b->n / ((double)put_us / 1e6));
    index_sync(w, &err);
    index_writer_close(w);
}

static struct search_params params_of(struct search_param *v, const char *query)
{
    struct search_params p = {.v = v};
    struct str rest = str_of(query), part;
    while (str_split(&rest, '&', &part)) {
        size_t eq = str_find_char(part, '=', 0);
        v[p.n++] = (struct search_param){str_sub(part, 0, eq), str_sub(part, eq + 1, SIZE_MAX)};
    }
    return p;
}

static const char reference[] = "date=>=-7d&product=Firefox&release_channel=release",
                  group[] = "date=>=-7d&product=Firefox&release_channel=release"
                            "&signature==mozilla::Thing::method7";
static const char phrases[] = "Has dual GPUs;WebGL+;DWrite+;D2D1.1+";

static void ask(struct bench *b, size_t max, int64_t *ret_reference, int64_t *ret_group,
                json_t **ret)
{
    struct search_param v[2][16];
    const struct search_context ctx = {.now_us = b->now_us, .max_bytes = (size_t)2 << 30};
    struct correlation_base *base;
    struct err err = {0};
    int64_t start = mono_us();
    if (!correlation_base_new(b->r, &ctx, params_of(v[0], reference), max, phrases, &base, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
    *ret_reference = mono_us() - start;
    start = mono_us();
    if (!correlation_group(base, params_of(v[1], group), CORRELATION_SAMPLE, ret, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
    *ret_group = mono_us() - start;
    correlation_base_free(base);
}

static void measure(struct bench *b, const char *label, size_t max)
{
    int64_t best = INT64_MAX, of_reference = 0, of_group = 0, first = 0;
    json_t *document = NULL;
    for (int i = 0; i < REPEAT; i++) {
        int64_t r, g;
        json_decref(document);
        ask(b, max, &r, &g, &document);
        if (i == 0)
            first = r + g;
        if (r + g < best) {
            best = r + g;
            of_reference = r;
            of_group = g;
        }
    }
    printf("%-52s %10.1f ms (first %.1f; reference %.1f, group and mining %.1f)\n", label,
           (double)best / 1000, (double)first / 1000, (double)of_reference / 1000,
           (double)of_group / 1000);
    printf("  %lld crashes of the signature, %lld of the week, compared with %lld: %zu results\n",
           (long long)jget_int_or(document, "total", 0),
           (long long)jget_int_or(document, "crashes_reference",
                                  jget_int_or(document, "total_reference", 0)),
           (long long)jget_int_or(document, "total_reference", 0),
           json_array_size(jget_arr(document, "results")));
    json_decref(document);
}

/* The documents of the last week again: the generator starts anew and gives the same ones. */
static void write_week(struct bench *b, const char *path)
{
    FILE *f = fopen(path, "w");
    if (!f)
        abort();
    made_up_seed = 1;
    make_lists(b);
    for (size_t i = 0; i < b->n; i++) {
        json_auto_t *doc = document(b, i);
        if ((double)i < (double)b->n * (double)(b->days - 7) / (double)b->days ||
            strcmp(jget_str(doc, "release_channel"), "release") != 0)
            continue;
        FREE_LATER char *text = jdump(doc, NULL);
        fprintf(f, "%s\n", text);
    }
    fclose(f);
}

int main(int argc, char **argv)
{
    uint64_t n = 500000;
    struct err err = {0};
    struct bench *b = xcalloc(1, sizeof *b);
    b->now_us = 1790000000 * (int64_t)1000000;
    made_up_seed = 1;
    if (argc > 1 && !str_to_u64(str_of(argv[1]), 10, 100000000, "rows", &n, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        return 2;
    }
    b->n = n;
    b->days = 9;
    if (argc > 2 && !str_to_u64(str_of(argv[2]), 10, 180, "days", &b->days, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        return 2;
    }
    const char *tmp = getenv("TMPDIR");
    snprintf(b->dir, sizeof b->dir, "%s/datil-bench-XXXXXX",
             tmp && strlen(tmp) < 40 ? tmp : "/tmp");
    if (!mkdtemp(b->dir))
        return 1;
    printf("correlations: %zu crashes in %llu days\n", b->n, (unsigned long long)b->days);
    make_lists(b);
    put_crashes(b);
    if (!index_reader_open(b->dir, &fields_builtin, &b->r, &err))
        abort();
    measure(b, "a signature against a week, sampled (pages, API)", CORRELATION_SAMPLE);
    measure(b, "a signature against a week, every crash", SIZE_MAX);
    index_reader_close(b->r);
    if (argc > 3)
        write_week(b, argv[3]);
    fs_remove_tree(b->dir, ERR_IGNORED);
    return 0;
}
