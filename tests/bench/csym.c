/*
 * Symbol files: parsing, size, opening, looking up, a walk; beside it a straightforward reader
 * (getline, strtoull, strdup, qsort, bsearch) of the same text in the same run.
 *
 *     csym [MIB | FILE.sym]       500 MiB are generated without an argument
 *
 * What the sandboxed reader takes is all of it: its start, the text from the page cache, the
 * compilation, the file that it writes.
 *
 * The generated text has the proportions of a C library compiled with -O2: per function 40
 * lines, 6 inlines, 11 rows of call frame information.
 */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/symfile/csym.h"
#include "lib/symfile/symreader.h"
#include "lib/unwind/walk_dump.h"

enum {
    LOOKUPS = 1000000,
    OPENS = 2000,
    WALKS = 200,
    COMPILES = 5, /* the best of them counts: others may be at work on the machine */
    LINES_PER_FUNC = 40,
    INLINES_PER_FUNC = 6,
    ROWS_PER_FUNC = 11
};

static uint64_t seed = 1;

static unsigned pick(unsigned below)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(seed >> 33) % below;
}

static void put_func(struct strbuf *b, uint64_t addr, unsigned size, unsigned number)
{
    sb_printf(b,
              "FUNC %llx %x 0 mozilla::dom::Something%u::MethodNumber%u(nsTArray<int>&, const "
              "nsAString&)\n",
              (unsigned long long)addr, size, number % 5000, number);
    for (unsigned i = 0; i < INLINES_PER_FUNC; i++)
        sb_printf(b, "INLINE %u %u %u %u %llx %x\n", i % 3, 10 + pick(3000), pick(20000),
                  pick(60000), (unsigned long long)(addr + (i / 3) * 64 + (i % 3) * 8),
                  32 - 8 * (i % 3));
    unsigned line = 100 + pick(4000), file = pick(20000);
    for (unsigned i = 0; i < LINES_PER_FUNC; i++) {
        if (pick(4) == 0)
            file = pick(20000);
        line = pick(3) ? line + pick(8) : 10 + pick(5000);
        sb_printf(b, "%llx %x %u %u\n", (unsigned long long)(addr + i * (size / LINES_PER_FUNC)),
                  size / LINES_PER_FUNC, line, file);
    }
}

static void put_cfi(struct strbuf *b, uint64_t addr, unsigned size)
{
    static const char *const saved[] = {"$r15", "$r14", "$r13", "$r12", "$rbx"};
    sb_printf(b, "STACK CFI INIT %llx %x .cfa: $rsp 8 + .ra: .cfa -8 + ^\n",
              (unsigned long long)addr, size);
    for (unsigned i = 0; i < ROWS_PER_FUNC; i++)
        if (i < ARRAY_LEN(saved))
            sb_printf(b, "STACK CFI %llx %s: .cfa -%u + ^ .cfa: $rsp %u +\n",
                      (unsigned long long)(addr + 2 * i + 1), saved[i], 16 + 8 * i, 16 + 8 * i);
        else
            sb_printf(b, "STACK CFI %llx .cfa: $rsp %u +\n",
                      (unsigned long long)(addr + size - 20 + i), 64 - 8 * (i - 5) + 16 * pick(2));
}

static struct str generate(size_t bytes)
{
    struct strbuf b;
    sb_init(&b, bytes + (1 << 20));
    sb_text(&b, "MODULE Linux x86_64 0123456789ABCDEF0123456789ABCDEF0 libbig.so\n");
    for (unsigned i = 0; i < 20000; i++)
        sb_printf(
            &b, "FILE %u hg:hg.example.org/central:dom/path%u/SomeSourceFile%u.cpp:0123456789ab\n",
            i, i % 500, i);
    for (unsigned i = 0; i < 60000; i++)
        sb_printf(&b,
                  "INLINE_ORIGIN %u mozilla::detail::InlinedHelper%u<nsTArray<unsigned "
                  "char>>::operator->() const\n",
                  i, i);
    uint64_t addr = 0x10000;
    size_t funcs_end = bytes / 10 * 7;
    VEC(uint64_t) starts = {0};
    for (unsigned n = 0; b.n < funcs_end; n++) {
        VEC_PUSH(&starts, addr);
        put_func(&b, addr, 480, n);
        addr += 496;
    }
    for (size_t i = 0; i < starts.n && b.n < bytes; i++)
        put_cfi(&b, starts.v[i], 480);
    VEC_RELEASE(&starts);
    size_t n;
    char *p = sb_take(&b, &n);
    return str_n(p, n);
}

struct naive_func {
    uint64_t start, size;
    char *name;
    size_t first_line, line_count;
};

struct naive_line {
    uint64_t start, size;
    unsigned line, file;
};

struct naive {
    VEC(struct naive_func) funcs;
    VEC(struct naive_line) lines;
    VEC(char *) files;
    VEC(char *) rest;
};

static int by_start(const void *a, const void *b)
{
    const struct naive_func *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

static void naive_record(struct naive *v, char *line)
{
    char *end;
    if (strncmp(line, "FUNC ", 5) == 0) {
        struct naive_func f = {.start = strtoull(line + 5, &end, 16), .first_line = v->lines.n};
        f.size = strtoull(end, &end, 16);
        strtoull(end, &end, 16);
        f.name = xstrdup(end + 1);
        VEC_PUSH(&v->funcs, f);
    } else if (strncmp(line, "FILE ", 5) == 0) {
        strtoull(line + 5, &end, 10);
        VEC_PUSH(&v->files, xstrdup(end + 1));
    } else if (strncmp(line, "STACK ", 6) == 0 || strncmp(line, "INLINE", 6) == 0) {
        VEC_PUSH(&v->rest, xstrdup(line)); /* kept as text, to be looked at when needed */
    } else if (v->funcs.n) {
        struct naive_line l = {.start = strtoull(line, &end, 16)};
        l.size = strtoull(end, &end, 16);
        l.line = (unsigned)strtoull(end, &end, 10);
        l.file = (unsigned)strtoull(end, &end, 10);
        VEC_PUSH(&v->lines, l);
        v->funcs.v[v->funcs.n - 1].line_count++;
    }
}

static void naive_parse(struct naive *v, FILE *in)
{
    char *line = NULL;
    size_t cap = 0;
    for (ssize_t n; (n = getline(&line, &cap, in)) > 0;) {
        line[n - 1] = '\0';
        naive_record(v, line);
    }
    free(line);
    qsort(v->funcs.v, v->funcs.n, sizeof *v->funcs.v, by_start);
}

static int covers(const void *key, const void *element)
{
    uint64_t addr = *(const uint64_t *)key;
    const struct naive_func *f = element;
    return addr < f->start ? -1 : addr >= f->start + f->size;
}

static const char *naive_lookup(const struct naive *v, uint64_t addr, unsigned *ret_line)
{
    const struct naive_func *f = bsearch(&addr, v->funcs.v, v->funcs.n, sizeof *f, covers);
    for (size_t i = 0; f && i < f->line_count; i++) {
        const struct naive_line *l = &v->lines.v[f->first_line + i];
        if (addr - l->start < l->size)
            *ret_line = l->line;
    }
    return f ? f->name : NULL;
}

/* Processor time where there is only work to do, so that a busy machine tells the same. */
static int64_t cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static double cpu_since(int64_t start_us)
{
    return (double)(cpu_us() - start_us) / 1e6;
}

static double seconds_since(int64_t start_us)
{
    return (double)(mono_us() - start_us) / 1e6;
}

static volatile uint64_t sink;

static void bench_lookups(const struct csym *c, const uint64_t *addrs)
{
    struct csym_hit hit;
    struct csym_cfi cfi;
    uint64_t found = 0, depth = 0, rules = 0;
    int64_t start = cpu_us();
    for (size_t i = 0; i < LOOKUPS; i++)
        if (csym_lookup(c, addrs[i], &hit)) {
            found++;
            depth += hit.inline_count;
        }
    double lookup = cpu_since(start);
    start = cpu_us();
    for (size_t i = 0; i < LOOKUPS; i++)
        if (csym_cfi_find(c, addrs[i], &cfi))
            rules += cfi.rule_count;
    double unwind = cpu_since(start);
    start = cpu_us();
    for (size_t i = 0; i < LOOKUPS; i++)
        sink += csym_is_code(c, addrs[i]);
    double is_code = cpu_since(start);
    printf("lookup, random address   %8.3f us   (%.0f %% found, %.1f inlines each)\n",
           lookup / LOOKUPS * 1e6, 100.0 * (double)found / LOOKUPS,
           (double)depth / (double)MAX(found, (uint64_t)1));
    printf("CFI rules                %8.3f us   (%.1f rules each)\n", unwind / LOOKUPS * 1e6,
           (double)rules / LOOKUPS);
    printf("is it code?              %8.3f us\n", is_code / LOOKUPS * 1e6);
}

static void answer_with_file(void *ctx, const struct symfind_key *key, struct symfind_result *ret)
{
    const char *path = ctx;
    (void)key;
    *ret = (struct symfind_result){.state = SYMFIND_LOADED, .fd = open(path, O_RDONLY | O_CLOEXEC)};
}

/* A whole walk, dump in and report out, where every module has this file's symbols. */
static double bench_walk(const char *path)
{
    static const char dump[] = "tests/data/minidumps/linux-mini.dmp";
    const void *bytes;
    size_t n;
    struct err err = {0};
    if (!fs_map(dump, &bytes, &n, &err))
        goto fail;
    struct walk_input in = {.bytes = bytes,
                            .len = n,
                            .source = {(void *)path, answer_with_file},
                            .symbols_max_bytes = INT64_MAX,
                            .format = WALK_JSON};
    int64_t start = mono_us();
    for (int i = 0; i < WALKS; i++) {
        STRBUF_AUTO out;
        sb_init(&out, REPORT_BYTES_MAX);
        if (!walk_dump(&in, &out, &err))
            goto fail;
        sink += out.n;
    }
    munmap((void *)bytes, n);
    return seconds_since(start) / WALKS;
fail:
    fprintf(stderr, "%s\n", err.msg);
    exit(1);
}

/* Processor time of the reader that compiles a text, from its start to its end. */
static bool child_compile(const char *sym, const char *csym, double *ret_s, struct err *err)
{
    struct rusage before, after;
    struct csym_stats stats;
    struct symreader *r = NULL;
    FD_AUTO in = open(sym, O_RDONLY | O_CLOEXEC);
    FD_AUTO out = open(csym, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    getrusage(RUSAGE_CHILDREN, &before);
    bool ok = symreader_start(in, "/tmp", &r, err) && symreader_load(r, NULL, NULL, err) &&
              symreader_ask_compile(r, out, err) && symreader_take_compile(r, &stats, err);
    symreader_stop(r);
    getrusage(RUSAGE_CHILDREN, &after);
    *ret_s = (double)(after.ru_utime.tv_sec - before.ru_utime.tv_sec + after.ru_stime.tv_sec -
                      before.ru_stime.tv_sec) +
             (double)(after.ru_utime.tv_usec - before.ru_utime.tv_usec + after.ru_stime.tv_usec -
                      before.ru_stime.tv_usec) /
                 1e6;
    return ok;
}

static void bench_naive(const char *path, const uint64_t *addrs, size_t bytes, double compile_s,
                        double walk_s)
{
    struct naive v = {0};
    FILE *in = fopen(path, "r");
    int64_t start = cpu_us();
    naive_parse(&v, in);
    double parse = cpu_since(start);
    fclose(in);
    start = cpu_us();
    for (size_t i = 0; i < LOOKUPS; i++) {
        unsigned line = 0;
        sink += naive_lookup(&v, addrs[i], &line) != NULL;
        sink += line;
    }
    printf("straightforward reader: parse at each start %.2f s (%.0f MB/s), lookup without inlines "
           "%.3f us\n",
           parse, (double)bytes / 1e6 / parse, cpu_since(start) / LOOKUPS * 1e6);
    printf("compile / straightforward parse: %.2f of its time\n", compile_s / parse);
    printf("a walk with this file    %8.3f ms   the straightforward parse takes %.0f times that, "
           "compiling %.0f times\n",
           walk_s * 1e3, parse / walk_s, compile_s / walk_s);
}

/* How fast the memory itself gives the lines. */
static double bench_newlines(struct str text)
{
    int64_t start = cpu_us();
    const char *p = text.p, *end = text.p + text.n;
    while (p < end && (p = memchr(p, '\n', (size_t)(end - p)))) {
        sink++;
        p++;
    }
    return cpu_since(start);
}

static double bench_open(const char *path)
{
    int64_t start = cpu_us();
    for (int i = 0; i < OPENS; i++) {
        struct csym c;
        if (csym_open_file(path, &c, ERR_IGNORED)) {
            sink += c.reg_count;
            csym_close(&c);
        }
    }
    return cpu_since(start) / OPENS;
}

static bool bench(struct str text, const char *sym, const char *path, struct err *err)
{
    struct csym_stats st;
    double memory = INFINITY, child = INFINITY, lines = INFINITY;
    FREE_LATER void *image = NULL;
    size_t n;
    for (int i = 0; i < COMPILES; i++) {
        double child_s;
        free(TAKE(image));
        int64_t start = cpu_us();
        if (!csym_compile_mem(text, 0, &image, &n, &st, err))
            return false;
        memory = MIN(memory, cpu_since(start));
        if (!child_compile(sym, path, &child_s, err))
            return false;
        child = MIN(child, child_s);
        lines = MIN(lines, bench_newlines(text));
    }
    free(TAKE(image));
    printf("text %.1f MB: %llu functions, %llu lines, %llu inlines, %llu CFI ranges, %llu rule "
           "sets, %llu bad lines\n",
           (double)text.n / 1e6, (unsigned long long)st.funcs, (unsigned long long)st.lines,
           (unsigned long long)st.inlines, (unsigned long long)st.cfi_ranges,
           (unsigned long long)st.cfi_rule_sets, (unsigned long long)st.bad_lines);
    printf(
        "compile in memory, CPU   %8.3f s    %.0f MB/s (finding the newlines alone: %.0f MB/s)\n",
        memory, (double)text.n / 1e6 / memory, (double)text.n / 1e6 / lines);
    printf("in the sandboxed reader  %8.3f s    %.0f MB/s (its CPU, start and writing included)\n",
           child, (double)text.n / 1e6 / child);
    printf("size                     %8.1f MB   %.1f %% of the text\n", (double)st.csym_bytes / 1e6,
           100.0 * (double)st.csym_bytes / (double)text.n);
    printf("open and close           %8.3f us\n", bench_open(path) * 1e6);

    struct csym c;
    struct csym_hit hit;
    if (!csym_open_file(path, &c, err))
        return false;
    uint64_t last = 0;
    for (unsigned bit = 40; bit-- > 0;) /* the highest address with a function, roughly */
        if (csym_lookup(&c, last | (uint64_t)1 << bit, &hit) && !hit.is_public)
            last |= (uint64_t)1 << bit;
    FREE_LATER uint64_t *addrs = xcalloc(LOOKUPS, sizeof *addrs);
    for (size_t i = 0; i < LOOKUPS; i++)
        addrs[i] = ((uint64_t)pick(1 << 30) << 20 | pick(1 << 20)) % MAX(last, (uint64_t)1);
    bench_lookups(&c, addrs);
    bench_naive(sym, addrs, text.n, memory, bench_walk(path));
    csym_close(&c);
    return true;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "500";
    char dir[] = "/tmp/datil-bench-XXXXXX", made[64], path[64];
    struct err err = {0};
    uint64_t mib = 0;
    struct str text = {0};
    if (!mkdtemp(dir))
        return 1;
    snprintf(made, sizeof made, "%s/big.sym", dir);
    snprintf(path, sizeof path, "%s/big.csym", dir);
    bool is_number = str_to_u64(str_of(what), 10, 4096, "MIB", &mib, ERR_IGNORED), ok = true;
    if (is_number) {
        struct str b = generate((size_t)mib << 20);
        ok = fs_write_atomic(made, b.p, b.n, 0600, &err);
        free((void *)b.p);
    }
    const void *p;
    ok = ok && fs_map(is_number ? made : what, &p, &text.n, &err);
    text.p = ok ? p : NULL;
    ok = ok && bench(text, is_number ? made : what, path, &err);
    if (!ok)
        fprintf(stderr, "%s\n", err.msg);
    fs_remove_tree(dir, ERR_IGNORED);
    return ok ? 0 : 1;
}
