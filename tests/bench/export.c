#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/crash/field.h"
#include "lib/crash/telemetry.h"
#include "lib/export/export.h"
#include "lib/json/json.h"
#include "lib/store/store.h"
#include "tests/bench/made_up.h"

/*
 * The export of a day of N crashes (argument or 100000): making their records, as the processor
 * does for each, and the files of the day out of them, as the nightly job does.  Baseline: zlib
 * alone over the same lines, at the level of the export.  Times are those of the processor, on one
 * core; the store lies in memory where that is possible, for a disk would measure itself.
 *
 * Records have ten frames and the modules of their stack, the most that the export takes of a
 * thread, and a dozen of the usual fields.
 */
enum { EXPORT_MODULES = 8, EXPORT_FRAMES = 10 };

static json_t *made_up_crash(size_t n)
{
    char id[40], signature[64], text[64];
    snprintf(id, sizeof id, "%08zx-be9c-4000-8000-000000260901", n);
    snprintf(signature, sizeof signature, "bench::Function%u", made_up_skewed(5000));
    json_t *frames = json_array(), *modules = json_array();
    for (int i = 0; i < EXPORT_FRAMES; i++) {
        snprintf(text, sizeof text, "bench::Function%u::call", made_up(20000));
        json_array_append_new(frames, json_pack("{s:i, s:s, s:s, s:s, s:i}", "frame", i, "function",
                                                text, "module", "xul.dll", "file",
                                                "hg:hg.example.org/dom/base/nsThing.cpp:0123456",
                                                "line", (int)made_up(5000)));
    }
    for (int i = 0; i < EXPORT_MODULES; i++) {
        snprintf(text, sizeof text, "module%u.dll", made_up_skewed(300));
        json_array_append_new(modules,
                              json_pack("{s:s, s:s, s:s}", "filename", text, "version", "128.0.1",
                                        "debug_id", "44E4EC8C2F41492B9369D6B9A059577C2"));
    }
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:s, s:s, s:{s:{s:O}, s:o, s:s}, "
        "s:o}",
        "uuid", id, "crash_id", id, "date_processed", "2026-09-01T03:04:05.123456+00:00", "product",
        made_up(4) ? "Firefox" : "Fenix", "version", "128.0", "signature", signature, "os_name",
        "Windows", "release_channel", "release", "reason", "EXCEPTION_ACCESS_VIOLATION_READ",
        "uptime", (int)made_up(100000), "install_age", (int)made_up(1000000), "url",
        "http://secret/", "proto_signature",
        "bench::Function1 | bench::Function2 | bench::Function3", "json_dump", "crashing_thread",
        "frames", frames, "modules", modules, "status", "OK", "frames_again", frames);
}

static double cpu_s(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

/* The lines through zlib and nowhere else. */
static double deflate_alone(const struct strbuf *lines)
{
    static uint8_t out[1 << 16];
    z_stream z = {0};
    double began = cpu_s();
    if (deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        abort();
    for (size_t at = 0; at < lines->n;) {
        size_t n = MIN(lines->n - at, (size_t)1 << 20);
        z.next_in = (uint8_t *)lines->p + at;
        z.avail_in = (unsigned)n;
        do {
            z.next_out = out;
            z.avail_out = sizeof out;
            deflate(&z, Z_NO_FLUSH);
        } while (z.avail_in > 0);
        at += n;
    }
    deflateEnd(&z);
    return cpu_s() - began;
}

static void put_records(struct store *store, size_t n, struct strbuf *lines, double *ret_s)
{
    struct err err = {0};
    *ret_s = 0;
    for (size_t i = 0; i < n; i++) {
        json_auto_t *crash = made_up_crash(i);
        double began = cpu_s();
        json_auto_t *record = telemetry_record(&fields_builtin, crash, NULL);
        size_t bytes;
        FREE_LATER char *text = jdump(record, &bytes);
        *ret_s += cpu_s() - began;
        if (!store_put(store, jget_str(crash, "uuid"), "crash_report", str_n(text, bytes), &err)) {
            fprintf(stderr, "%s\n", err.msg);
            exit(1);
        }
        sb_put(lines, text, bytes);
        sb_char(lines, '\n');
    }
}

static void print_line(const char *what, double s, size_t n, double baseline_s)
{
    printf("%-34s %10.0f records/s %8.1f us each %8.1f times the baseline\n", what, (double)n / s,
           s * 1e6 / (double)n, s / baseline_s);
}

int main(int argc, char **argv)
{
    size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000;
    char dir[] = "/dev/shm/datil-export-XXXXXX", elsewhere[] = "/tmp/datil-export-XXXXXX";
    const char *var = mkdtemp(dir) ? dir : mkdtemp(elsewhere);
    struct err err = {0};
    struct store *store;
    struct export_rolled rolled;
    struct strbuf lines;
    FREE_LATER char *root = NULL;
    double making_s;
    if (!var || asprintf(&root, "%s/store", var) < 0)
        return 1;
    const struct store_config cfg = {.backend = "fs", .fs_root = root, .no_fsync = true};
    sb_init(&lines, (size_t)8 << 30);
    if (!store_open(&cfg, &store, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    put_records(store, n, &lines, &making_s);
    double baseline_s = deflate_alone(&lines);
    double began = cpu_s();
    if (!export_roll(var, store, "20260901", &rolled, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    double rolling_s = cpu_s() - began;
    printf("a day of %zu crashes, %zu records, %zu bytes each\n", n, rolled.rows,
           lines.n / MAX(n, (size_t)1));
    print_line("zlib alone (baseline)", baseline_s, n, baseline_s);
    print_line("records, in the processor", making_s, n, baseline_s);
    print_line("files of the day, in the job", rolling_s, n, baseline_s);
    sb_release(&lines);
    store_close(store);
    fs_remove_tree(var, ERR_IGNORED);
    return rolled.rows == n ? 0 : 1;
}
