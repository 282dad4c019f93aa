/*
 * The answer of a symbolication, version 5 with every member and version 4 as lines of text.
 *
 * Names of functions may have a megabyte, a frame 128 inlined calls and a request 200,000 frames,
 * so the answer is written piece by piece.  What fits into one piece, which is nearly every answer,
 * is sent from memory; the pieces of a longer one go into a file that has no name any more.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "fcgi/symbols/symbolicate.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/json/jw.h"
#include "lib/symfile/csym.h"
#include "lib/symfile/symbolize.h"
#include "lib/web/web.h"

enum {
    PIECE_BYTES = 1 << 20, /* 10,000 frames of Firefox make an answer of 2 MB */
    PIECE_MAX = 32 << 20,  /* with one text that came in between, a megabyte escaped sixfold */
};
#define ANSWER_BYTES_MAX ((uint64_t)1 << 30)

/* Everything that is being written: the request it answers, the piece in hand, those before it. */
struct answer {
    struct symbolicate_request *q;
    struct jw w;
    struct strbuf piece;
    const char *temp_dir;
    int fd; /* of the pieces before this one, or -1 */
    uint64_t written;
    struct err err; /* the first failure; what is written after it is dropped */
};

/* Unlinked at once: whatever becomes of the worker, the file goes with the descriptor. */
static bool open_file(struct answer *a)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/.answer.%016llx", a->temp_dir,
             (unsigned long long)random_u64());
    a->fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, FS_FILE_MODE);
    if (a->fd >= 0)
        unlink(path);
    return a->fd >= 0 || err_errno(&a->err, errno, "creating %s", path);
}

/* After a failure pieces are dropped: the writer goes on to its end, and the error is the
 * answer. */
static void end_piece(struct answer *a)
{
    bool is_failed = a->err.code != ERR_NONE;
    if (!is_failed && (a->piece.overflow || a->written + a->piece.n > ANSWER_BYTES_MAX))
        err_set(&a->err, ERR_TOO_LARGE, "the answer has more than %llu bytes",
                (unsigned long long)ANSWER_BYTES_MAX);
    else if (!is_failed && (a->fd >= 0 || open_file(a)) &&
             fs_write_all(a->fd, a->piece.p, a->piece.n, "the answer", &a->err))
        a->written += a->piece.n;
    sb_reset(&a->piece);
}

/* Between any two values. */
static void keep_small(struct answer *a)
{
    if (a->piece.n >= PIECE_BYTES)
        end_piece(a);
}

/* Line 0 is unknown and is left out, as a file without a name is. */
static void put_place(struct answer *a, struct str file, uint32_t line)
{
    if (file.n) {
        jw_key(&a->w, "file");
        jw_text(&a->w, file);
    }
    if (line) {
        jw_key(&a->w, "line");
        jw_int(&a->w, line);
    }
    keep_small(a);
}

/* Innermost first, which is the order of the stack: the calls inside the frame that contains
 * them. */
static void put_inlines(struct answer *a, const struct csym_hit *hit)
{
    struct jw *w = &a->w;
    if (hit->inline_count == 0)
        return;
    jw_key(w, "inlines");
    jw_array(w);
    for (size_t i = 0; i < hit->inline_count; i++) {
        jw_object(w);
        jw_key(w, "function");
        jw_text(w, hit->inlines[i].function);
        put_place(a, hit->inlines[i].file, hit->inlines[i].line);
        jw_end(w);
    }
    jw_end(w);
}

/* A frame, the pair of its module (-1: none) and what the module's symbols say of it. */
struct resolved {
    const struct symbolicate_frame *frame;
    int64_t pair;
    struct str module;
    bool has_function;
    struct csym_hit hit;
};

/* The name of a module is that of its binary if its symbols say one, else what the request called
 * it; a frame outside of all modules belongs to <unknown>. */
static void resolve(const struct answer *a, const struct symbolicate_job *job,
                    const struct symbolicate_frame *frame, struct resolved *ret)
{
    ret->frame = frame;
    ret->has_function = false;
    ret->module = STR("");
    ret->pair = frame->module < 0 ? -1 : (int64_t)job->modules.v[frame->module];
    if (ret->pair >= 0) {
        const struct symbolize_module *m = a->q->pairs.v[ret->pair].module;
        struct str debug_file = symbolicate_debug_file(a->q, (uint32_t)ret->pair);
        ret->module = m ? symbolize_name(m, debug_file) : debug_file;
        ret->has_function = m && frame->has_offset && symbolize_at(m, frame->offset, &ret->hit);
    }
    if (ret->module.n == 0)
        ret->module = STR("<unknown>");
}

/* The function and offset are those of the outer, real function, whatever was inlined into it. */
static void put_frame_v5(struct answer *a, size_t number, const struct resolved *at)
{
    struct jw *w = &a->w;
    jw_object(w);
    jw_key(w, "frame");
    jw_int(w, (int64_t)number);
    jw_key(w, "module");
    jw_text(w, at->module);
    jw_key(w, "module_offset");
    if (at->frame->has_offset)
        jw_hex(w, at->frame->offset, 1);
    else
        jw_text(w, STR("-0x1"));
    if (at->has_function) {
        jw_key(w, "function");
        jw_text(w, at->hit.function);
        jw_key(w, "function_offset");
        jw_hex(w, at->frame->offset - at->hit.function_addr, 1);
        put_place(a, at->hit.file, at->hit.line);
        put_inlines(a, &at->hit);
    }
    jw_end(w);
}

/* A frame is one line of text there; inlined calls have no place in it. */
static void put_frame_v4(struct answer *a, size_t number, const struct resolved *at)
{
    (void)number;
    STRBUF_AUTO text;
    sb_init(&text, PIECE_MAX);
    if (at->has_function)
        sb_str(&text, at->hit.function);
    else if (at->frame->has_offset)
        sb_printf(&text, "0x%llx", (unsigned long long)at->frame->offset);
    else
        sb_text(&text, "-0x1");
    sb_text(&text, " (in ");
    sb_str(&text, at->module);
    sb_char(&text, ')');
    jw_text(&a->w, sb_view(&text));
}

typedef void put_frame(struct answer *a, size_t number, const struct resolved *at);

/* Frames are numbered within their stack. */
static void put_stacks(struct answer *a, const struct symbolicate_job *job, put_frame *put)
{
    size_t at = 0;
    struct resolved frame;
    jw_array(&a->w);
    for (size_t s = 0; s < job->stack_ends.n && a->err.code == ERR_NONE; s++) {
        size_t start = at;
        jw_array(&a->w);
        for (; at < job->stack_ends.v[s] && a->err.code == ERR_NONE; at++) {
            resolve(a, job, &job->frames.v[at], &frame);
            put(a, at - start, &frame);
            keep_small(a);
        }
        jw_end(&a->w);
        keep_small(a);
    }
    jw_end(&a->w);
}

/* true: has symbols, false: has none that can be used, null: not looked for. */
static void put_found(struct answer *a, uint32_t pair)
{
    const struct symbolize_module *m = a->q->pairs.v[pair].module;
    if (m)
        jw_bool(&a->w, m->state == SYMFIND_LOADED);
    else
        jw_null(&a->w);
    keep_small(a);
}

/* A name that stands twice in a memoryMap is one member. */
static void put_found_modules(struct answer *a, size_t job_number)
{
    const struct symbolicate_job *job = &a->q->jobs[job_number];
    jw_object(&a->w);
    for (size_t m = 0; m < job->modules.n; m++) {
        uint32_t number = job->modules.v[m];
        struct symbolicate_pair *pair = &a->q->pairs.v[number];
        if (pair->shown_of == job_number + 1)
            continue;
        pair->shown_of = (uint8_t)(job_number + 1);
        jw_key(&a->w, a->q->names.texts.v[number].p); /* a copy in the arena, terminated */
        put_found(a, number);
    }
    jw_end(&a->w);
}

/* Times are numbers of seconds; microseconds are what we measure. */
static void put_seconds(struct jw *w, const char *key, int64_t us)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%.6f", (double)us / 1e6);
    jw_key(w, key);
    jw_raw(w, str_n(text, (size_t)n));
}

/* What a statistic counts: modules of these kinds, of which `value` is said. */
typedef bool pair_test(const struct symbolicate_pair *pair);
typedef int64_t pair_value(const struct symbolicate_pair *pair);

static bool is_looked_for(const struct symbolicate_pair *p)
{
    return p->module != NULL;
}

static bool is_hit(const struct symbolicate_pair *p)
{
    return p->module && p->module->state == SYMFIND_LOADED && !p->cost.was_compiled;
}

static bool is_compiled(const struct symbolicate_pair *p)
{
    return p->module && p->module->state == SYMFIND_LOADED && p->cost.was_compiled;
}

static bool is_spoilt(const struct symbolicate_pair *p)
{
    return p->module && p->module->state == SYMFIND_CORRUPT;
}

static bool is_missing(const struct symbolicate_pair *p)
{
    return p->module && p->module->state == SYMFIND_MISSING;
}

static int64_t one(const struct symbolicate_pair *p)
{
    (void)p;
    return 1;
}

static int64_t jobs_of(const struct symbolicate_pair *p)
{
    return p->job_count;
}

static int64_t us_of(const struct symbolicate_pair *p)
{
    return p->cost.us;
}

/* A look-up that had to compile first counts as compiling. */
static int64_t lookup_us_of(const struct symbolicate_pair *p)
{
    return p->cost.was_compiled ? 0 : p->cost.us;
}

static int64_t text_bytes_of(const struct symbolicate_pair *p)
{
    return (int64_t)p->module->csym.source_bytes;
}

/*
 * All numbers of the answer's statistics are sums over pairs: which ones count, and what each
 * counts for, are two functions, so a statistic is a row of a table.
 */
static int64_t sum(const struct answer *a, pair_test *test, pair_value *value)
{
    int64_t total = 0;
    for (size_t i = 0; i < a->q->pairs.n; i++)
        if (test(&a->q->pairs.v[i]))
            total += value(&a->q->pairs.v[i]);
    return total;
}

static void put_count(struct answer *a, const char *key, pair_test *test, pair_value *value)
{
    jw_key(&a->w, key);
    jw_int(&a->w, sum(a, test, value));
}

/* {"<file>/<id>": value}; a value of microseconds is shown in seconds. */
static void put_per_module(struct answer *a, const char *key, pair_test *test, pair_value *value)
{
    jw_key(&a->w, key);
    jw_object(&a->w);
    for (size_t i = 0; i < a->q->pairs.n; i++) {
        const struct symbolicate_pair *pair = &a->q->pairs.v[i];
        const char *name = a->q->names.texts.v[i].p;
        if (!test(pair))
            continue;
        if (value == us_of) {
            put_seconds(&a->w, name, value(pair));
        } else {
            jw_key(&a->w, name);
            jw_int(&a->w, value(pair));
        }
        keep_small(a);
    }
    jw_end(&a->w);
}

/*
 * The members are Eliot's.  Reading a text, unpacking, compiling and storing it are one step here,
 * of another process; its time stands under parse_sym, and the others are 0.
 */
static void put_debug(struct answer *a, int64_t start_us)
{
    struct jw *w = &a->w;
    jw_key(w, "debug");
    jw_object(w);
    jw_key(w, "cache_lookups");
    jw_object(w);
    put_count(a, "count", is_looked_for, one);
    put_count(a, "hits", is_hit, one);
    put_seconds(w, "time", sum(a, is_looked_for, lookup_us_of));
    jw_end(w);
    jw_key(w, "downloads");
    jw_object(w);
    put_count(a, "count", is_compiled, one);
    put_count(a, "size", is_compiled, text_bytes_of);
    put_per_module(a, "size_per_module", is_compiled, text_bytes_of);
    put_seconds(w, "time", 0);
    jw_key(w, "time_per_module");
    jw_raw(w, STR("{}"));
    put_per_module(a, "fail_time_per_module", is_missing, us_of);
    jw_end(w);
    jw_key(w, "modules");
    jw_object(w);
    put_count(a, "count", is_looked_for, jobs_of);
    put_per_module(a, "stacks_per_module", is_looked_for, jobs_of);
    jw_end(w);
    jw_key(w, "parse_sym");
    jw_object(w);
    put_seconds(w, "time", sum(a, is_compiled, us_of));
    put_per_module(a, "time_per_module", is_compiled, us_of);
    put_per_module(a, "fail_time_per_module", is_spoilt, us_of);
    jw_end(w);
    jw_key(w, "save_symcache");
    jw_object(w);
    put_seconds(w, "time", 0);
    jw_key(w, "time_per_module");
    jw_raw(w, STR("{}"));
    jw_end(w);
    put_seconds(w, "time", mono_us() - start_us);
    jw_end(w);
}

static void put_v5(struct answer *a, bool with_debug, int64_t start_us)
{
    struct jw *w = &a->w;
    jw_object(w);
    jw_key(w, "results");
    jw_array(w);
    for (size_t i = 0; i < a->q->job_count; i++) {
        jw_object(w);
        jw_key(w, "stacks");
        put_stacks(a, &a->q->jobs[i], put_frame_v5);
        jw_key(w, "found_modules");
        put_found_modules(a, i);
        jw_end(w);
    }
    jw_end(w);
    if (with_debug)
        put_debug(a, start_us);
    jw_end(w);
}

static void put_v4(struct answer *a)
{
    struct jw *w = &a->w;
    const struct symbolicate_job *job = &a->q->jobs[0];
    jw_object(w);
    jw_key(w, "symbolicatedStacks");
    put_stacks(a, job, put_frame_v4);
    jw_key(w, "knownModules");
    jw_array(w);
    for (size_t m = 0; m < job->modules.n; m++)
        put_found(a, job->modules.v[m]);
    jw_end(w);
    jw_end(w);
}

/* The words that mean no in the header are those of Eliot. */
static bool wants_debug(struct req *req)
{
    struct str wish = req_header(req, "Debug");
    return wish.n > 0 && !str_eq(wish, STR("0")) && !str_eq_nocase(wish, STR("false")) &&
           !str_eq_nocase(wish, STR("no"));
}

/* An answer that fits into memory needs no file. */
static bool send_answer(struct req *req, struct answer *a, struct err *err)
{
    if (a->fd < 0 && !a->piece.overflow)
        return resp_bytes(req, 200, "application/json",
                          str_copy(req_arena(req), sb_view(&a->piece)));
    end_piece(a);
    if (a->err.code != ERR_NONE) {
        *err = a->err;
        return false;
    }
    if (lseek(a->fd, 0, SEEK_SET) != 0)
        return err_errno(err, errno, "the file of the answer");
    return resp_file(req, 200, "application/json", TAKE_FD(a->fd), err);
}

bool symbolicate_answer(struct req *req, struct symbolicate_request *q,
                        enum symbolicate_version version, const char *temp_dir, int64_t start_us,
                        struct err *err)
{
    struct answer a = {.q = q, .temp_dir = temp_dir, .fd = -1};
    sb_init(&a.piece, PIECE_MAX);
    jw_init(&a.w, &a.piece, false);
    if (version == SYMBOLICATE_V5)
        put_v5(&a, wants_debug(req), start_us);
    else
        put_v4(&a);
    bool ok = send_answer(req, &a, err);
    sb_release(&a.piece);
    if (a.fd >= 0)
        close(a.fd);
    return ok;
}
