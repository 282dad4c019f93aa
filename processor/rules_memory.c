/*
 * What a process said about its memory: the report that Firefox writes when it runs out of it (a
 * gzip file beside the dumps), the sixteen figures that are drawn from it, and the allocation that
 * its heap checker PHC had under watch.  The report is a stranger's: sizes are bounded before
 * anything is unpacked, sums stay inside 64 bits.
 */
#include <zlib.h>

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "processor/job.h"
#include "processor/rules.h"

static const char report_dump[] = "memory_report";

enum {
    PACKED_BYTES_MAX = 64 << 20,   /* more than a collector takes in a whole report (25 MiB) */
    REPORT_BYTES_MAX = 20 << 20,   /* part of a public text: "(max: 20971520)" */
    COUNTED_BYTES_MAX = 256 << 20, /* a bomb is not unpacked any further to tell its size */
};

enum unpacked { UNPACKED, NOT_GZIP, TOO_LARGE };

/*
 * Unpacks into out, which keeps REPORT_BYTES_MAX.  *ret_n is the whole size, up to
 * COUNTED_BYTES_MAX: the note says how much too large a report is.
 */
static enum unpacked inflate_all(z_stream *z, struct strbuf *out, size_t *ret_n)
{
    unsigned char chunk[16384];
    int status = Z_OK;
    size_t n = 0;
    while (status == Z_OK && n < COUNTED_BYTES_MAX) {
        z->next_out = chunk;
        z->avail_out = sizeof chunk;
        status = inflate(z, Z_NO_FLUSH);
        sb_put(out, chunk, sizeof chunk - z->avail_out);
        n += sizeof chunk - z->avail_out;
    }
    *ret_n = n;
    if (n > REPORT_BYTES_MAX)
        return TOO_LARGE;
    return status == Z_STREAM_END ? UNPACKED : NOT_GZIP;
}

static enum unpacked gunzip(struct str packed, struct strbuf *out, size_t *ret_n)
{
    z_stream z = {.next_in = (unsigned char *)(uintptr_t)packed.p, .avail_in = (unsigned)packed.n};
    if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
        return NOT_GZIP;
    enum unpacked result = inflate_all(&z, out, ret_n);
    inflateEnd(&z);
    return result;
}

static void report_error(struct job *job, const char *text)
{
    set_text(job, "memory_report_error", str_of(text));
    job_note(job, "%s", text);
}

/*
 * OutOfMemoryBinary: the report as an object, or why there is none. Both texts are fixed: messages
 * of zlib and of the parser quote the bytes.
 */
bool out_of_memory_binary_applies(const struct job *job)
{
    return find_dump(job, report_dump) != NULL;
}

bool out_of_memory_binary_act(struct job *job, struct err *err)
{
    FREE_LATER char *packed = NULL;
    size_t packed_n, n = 0;
    if (!fs_read(find_dump(job, report_dump)->path, PACKED_BYTES_MAX, &packed, &packed_n, err))
        return false;
    STRBUF_AUTO text = {0};
    sb_init(&text, REPORT_BYTES_MAX);
    char why[100];
    switch (gunzip(str_n(packed, packed_n), &text, &n)) {
    case NOT_GZIP:
        report_error(job, "error in gzip for memory_report");
        return true;
    case TOO_LARGE:
        snprintf(why, sizeof why, "Uncompressed memory info too large %zu (max: %d)", n,
                 REPORT_BYTES_MAX);
        report_error(job, why);
        return true;
    case UNPACKED:
        break;
    }
    json_auto_t *report = jparse(sb_view(&text), REPORT_BYTES_MAX, ERR_IGNORED);
    if (json_is_object(report))
        set_value(job, "memory_report", TAKE(report));
    else
        report_error(job, "error in json for memory_report");
    return true;
}

/*
 * Numbers of the report's format (nsIMemoryReporter): amounts may be counts or percentages, and
 * lie on the heap or not.
 */
enum { UNITS_BYTES = 0, KIND_NONHEAP = 0, KIND_HEAP = 1 };

enum measure {
    EXPLICIT,
    GFX_TEXTURES,
    GHOST_WINDOWS,
    HEAP_ALLOCATED,
    HEAP_OVERHEAD,
    HEAP_UNCLASSIFIED,
    HOST_OBJECT_URLS,
    IMAGES,
    JS_MAIN_RUNTIME,
    PRIVATE,
    RESIDENT,
    RESIDENT_UNIQUE,
    SYSTEM_HEAP_ALLOCATED,
    TOP_NONE_DETACHED,
    VSIZE,
    VSIZE_MAX_CONTIGUOUS,
    MEASURES,
};

/* Key, and the path whose amounts are simply added up (NULL: see below). */
static const struct {
    const char *key, *path;
} measures[MEASURES] = {
    [EXPLICIT] = {"explicit", NULL},
    [GFX_TEXTURES] = {"gfx_textures", "gfx-textures"},
    [GHOST_WINDOWS] = {"ghost_windows", "ghost-windows"},
    [HEAP_ALLOCATED] = {"heap_allocated", "heap-allocated"},
    [HEAP_OVERHEAD] = {"heap_overhead", NULL},
    [HEAP_UNCLASSIFIED] = {"heap_unclassified", NULL},
    [HOST_OBJECT_URLS] = {"host_object_urls", "host-object-urls"},
    [IMAGES] = {"images", NULL},
    [JS_MAIN_RUNTIME] = {"js_main_runtime", NULL},
    [PRIVATE] = {"private", "private"},
    [RESIDENT] = {"resident", "resident"},
    [RESIDENT_UNIQUE] = {"resident_unique", "resident-unique"},
    [SYSTEM_HEAP_ALLOCATED] = {"system_heap_allocated", "system-heap-allocated"},
    [TOP_NONE_DETACHED] = {"top_none_detached", NULL},
    [VSIZE] = {"vsize", "vsize"},
    [VSIZE_MAX_CONTIGUOUS] = {"vsize_max_contiguous", "vsize-max-contiguous"},
};

struct totals {
    int64_t measure[MEASURES];
    int64_t explicit_heap, explicit_nonheap;
    bool has_any;
};

/* Adds, staying inside the range. */
static void add(int64_t *sum, int64_t amount)
{
    if (__builtin_add_overflow(*sum, amount, sum))
        *sum = amount < 0 ? INT64_MIN : INT64_MAX;
}

struct memory_entry {
    struct str path;
    int64_t kind, units, amount;
};

/*
 * The tree "explicit/" is the memory that a reporter could name. Its leaves must be bytes on or
 * off the heap; a report where one is not is none of that format, and gives no figures at all.
 */
static bool add_explicit(struct totals *t, const struct memory_entry *e)
{
    if (e->units != UNITS_BYTES || (e->kind != KIND_NONHEAP && e->kind != KIND_HEAP))
        return false;
    add(e->kind == KIND_HEAP ? &t->explicit_heap : &t->explicit_nonheap, e->amount);
    if (str_starts(e->path, STR("explicit/images/")))
        add(&t->measure[IMAGES], e->amount);
    else if (str_find(e->path, STR("top(none)/detached"), 0) != SIZE_MAX)
        add(&t->measure[TOP_NONE_DETACHED], e->amount);
    else if (str_starts(e->path, STR("explicit/heap-overhead/")))
        add(&t->measure[HEAP_OVERHEAD], e->amount);
    return true;
}

/* False: the report is not as it should be. */
static bool add_entry(struct totals *t, const json_t *report)
{
    struct memory_entry e = {.path = jget_strn(report, "path")};
    if (!e.path.p || !jget_int(report, "kind", &e.kind) || !jget_int(report, "units", &e.units) ||
        !jget_int(report, "amount", &e.amount))
        return false;
    t->has_any = true;
    if (str_starts(e.path, STR("explicit/")))
        return add_explicit(t, &e);
    if (str_starts(e.path, STR("js-main-runtime/")))
        add(&t->measure[JS_MAIN_RUNTIME], e.amount);
    for (size_t i = 0; i < MEASURES; i++)
        if (measures[i].path && str_eq(e.path, str_of(measures[i].path)))
            add(&t->measure[i], e.amount);
    return true;
}

/*
 * A report has the memory of all processes of the browser; names of processes hold "(pid N)", and
 * the dump says which one crashed.
 */
static bool add_process(struct totals *t, const json_t *reports, int64_t pid)
{
    char mark[40];
    snprintf(mark, sizeof mark, "(pid %lld)", (long long)pid);
    size_t i;
    const json_t *report;
    json_array_foreach (reports, i, report) {
        struct str process = jget_strn(report, "process");
        if (!process.p)
            return false;
        if (str_find(process, str_of(mark), 0) != SIZE_MAX && !add_entry(t, report))
            return false;
    }
    return t->has_any;
}

bool memory_report_extraction_applies(const struct job *job)
{
    const json_t *report = jget_obj(job->processed, "memory_report");
    return json_object_get(report, "version") && jget_arr(report, "reports") &&
           json_object_get(report, "hasMozMallocUsableSize") &&
           json_is_integer(json_object_get(job_json_dump(job), "pid"));
}

/* A report that is not as it should be gives no figures and is no failure either. */
bool memory_report_extraction_act(struct job *job, struct err *err)
{
    (void)err;
    const json_t *report = jget_obj(job->processed, "memory_report");
    struct totals t = {.has_any = false};
    if (!add_process(&t, jget_arr(report, "reports"), jget_int_or(job_json_dump(job), "pid", 0)))
        return true;
    /*
     * What is on the heap and named by nobody is the difference; negative when a reporter counts
     * something twice.
     */
    t.measure[EXPLICIT] = t.explicit_nonheap;
    add(&t.measure[EXPLICIT], t.measure[HEAP_ALLOCATED]);
    t.measure[HEAP_UNCLASSIFIED] = t.measure[HEAP_ALLOCATED];
    add(&t.measure[HEAP_UNCLASSIFIED], t.explicit_heap == INT64_MIN ? INT64_MAX : -t.explicit_heap);
    json_t *out = json_object();
    for (size_t i = 0; i < MEASURES; i++)
        jset_int(out, measures[i].key, t.measure[i]);
    set_value(job, "memory_measures", out);
    return true;
}

/*
 * PHC, the probabilistic heap checker: the allocation near the crashing address, and the stacks
 * that made and freed it, as decimal addresses separated by commas. A number that cannot be read
 * is left out, the rest stays.
 */
bool phc_applies(const struct job *job)
{
    return annotation_text(job, "PHCKind").p != NULL;
}

bool phc_act(struct job *job, struct err *err)
{
    (void)err;
    static const char *const stacks[][2] = {{"phc_alloc_stack", "PHCAllocStack"},
                                            {"phc_free_stack", "PHCFreeStack"}};
    uint64_t address;
    int64_t size;
    set_text(job, "phc_kind", annotation_text(job, "PHCKind"));
    if (str_to_u64(str_trim(annotation_text(job, "PHCBaseAddress")), 10, UINT64_MAX, "address",
                   &address, ERR_IGNORED))
        set_value(job, "phc_base_address", jhex(address, 1));
    if (str_to_i64(str_trim(annotation_text(job, "PHCUsableSize")), INT64_MIN, INT64_MAX, "size",
                   &size, ERR_IGNORED))
        jset_int(job->processed, "phc_usable_size", size);
    for (size_t i = 0; i < ARRAY_LEN(stacks); i++) {
        struct str stack = annotation_text(job, stacks[i][1]);
        if (stack.p)
            set_text(job, stacks[i][0], stack);
    }
    return true;
}
