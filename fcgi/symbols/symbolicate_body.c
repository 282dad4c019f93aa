/*
 * The checks of a symbolication body, in the order and the words that clients of Tecken and Eliot
 * know.  The first fault ends the request, and everything is checked before anything is looked up.
 *
 * The body may have 30 MiB, so there is no tree of it: the members of a job are found as pieces of
 * the text, and then read in the order of the checks.  Of two members of one name the last counts.
 * What is kept of a frame are 16 bytes, of each module its name once.
 *
 * Ours are: jobs that are no list, too many frames, and that true and false are no numbers.
 * Offsets have 64 bits; a number beyond that is an invalid one.
 */
#include "fcgi/symbols/symbolicate.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/json/jr.h"
#include "lib/json/json.h"
#include "lib/symfile/symbolize.h"
#include "lib/symfile/symfind.h"

/* One body that is being read. */
struct body_reading {
    struct symbolicate_request *q;
    enum symbolicate_fault fault;
};

/* The members of an object that somebody wants; p NULL: it has none of that name. */
struct wanted_member {
    const char *name;
    struct str value;
};

/* False: it is no object. */
static bool find_members(struct arena *a, struct str text, struct wanted_member *wanted, size_t n)
{
    struct jr r = jr_init(text);
    if (!jr_enter(&r, '{'))
        return false;
    while (jr_more(&r)) {
        struct str key = jr_key(&r, a);
        struct str value = jr_skip(&r);
        for (size_t i = 0; i < n; i++)
            if (str_eq(key, str_of(wanted[i].name)))
                wanted[i].value = value;
    }
    return true;
}

/*
 * The characters that Eliot lets through, and no slash: a path would name another module in the
 * store.
 */
static bool is_debug_file(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_word && (c == '\0' || !strchr("_.+{}@<> ~-", c)))
            return false;
    }
    return true;
}

static bool is_debug_id(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (hex_digit(s.p[i]) < 0)
            return false;
    return true;
}

/* No file name holds a '/', so the name of a pair is that of no other. */
static void add_module(struct symbolicate_request *q, size_t i, struct str debug_file,
                       struct str debug_id)
{
    STRBUF_AUTO name;
    sb_init(&name, debug_file.n + debug_id.n + 1);
    sb_str(&name, debug_file);
    sb_char(&name, '/');
    sb_str(&name, debug_id);
    uint32_t number = textmap_number(&q->names, q->arena, sb_view(&name));
    if (number == q->pairs.n)
        VEC_PUSH(&q->pairs, ((struct symbolicate_pair){.module = NULL}));
    struct symbolicate_pair *pair = &q->pairs.v[number];
    if (pair->read_of != i + 1)
        pair->job_count++;
    pair->read_of = (uint8_t)(i + 1);
    VEC_PUSH(&q->jobs[i].modules, number);
}

struct str symbolicate_debug_file(const struct symbolicate_request *q, uint32_t pair)
{
    struct str name = q->names.texts.v[pair];
    return str_sub(name, 0, str_find_char(name, '/', 0));
}

struct str symbolicate_debug_id(const struct symbolicate_request *q, uint32_t pair)
{
    struct str name = q->names.texts.v[pair];
    return str_sub(name, str_find_char(name, '/', 0) + 1, SIZE_MAX);
}

/* The two values of a list of two, as text.  False: it is something else. */
static bool take_two(struct jr *r, struct str two[2])
{
    size_t n = 0;
    if (!jr_enter(r, '['))
        return false;
    for (; jr_more(r); n++) {
        struct str value = jr_skip(r);
        if (n < 2)
            two[n] = value;
    }
    return n == 2;
}

static bool read_text(struct arena *a, struct str value, struct str *ret)
{
    struct jr r = jr_init(value);
    return jr_string(&r, a, ret);
}

/*
 * Modules before stacks, whatever their order in the body: a frame names its module by its place in
 * this list. The same module in ten jobs is one pair, looked up once.
 */
static bool read_modules(struct body_reading *in, size_t i, struct str text, struct err *err)
{
    struct symbolicate_request *q = in->q;
    struct jr r = jr_init(text);
    in->fault = SYMBOLICATE_BAD_MODULES;
    if (!jr_enter(&r, '['))
        return err_set(err, ERR_INVALID, "job %zu has invalid modules: modules must be a list", i);
    for (size_t n = 0; jr_more(&r); n++) {
        struct str two[2], debug_file, debug_id;
        if (!take_two(&r, two))
            return err_set(err, ERR_INVALID,
                           "job %zu has invalid modules: module index %zu does not have a "
                           "debug_filename and debug_id",
                           i, n);
        if (!read_text(q->arena, two[0], &debug_file) || !is_debug_file(debug_file))
            return err_set(err, ERR_INVALID,
                           "job %zu has invalid modules: module index %zu has an invalid "
                           "debug_filename",
                           i, n);
        if (!read_text(q->arena, two[1], &debug_id) || !is_debug_id(debug_id))
            return err_set(err, ERR_INVALID,
                           "job %zu has invalid modules: module index %zu has an invalid debug_id",
                           i, n);
        add_module(q, i, debug_file, debug_id);
    }
    return true;
}

/* False: what the frame has is no index or offset; *problem says so. */
static bool read_frame(struct jr *r, size_t module_count, struct symbolicate_frame *ret,
                       const char **problem)
{
    struct str two[2];
    bool is_negative;
    uint64_t v;
    *problem = "is not a list of two items";
    if (!take_two(r, two))
        return false;

    struct jr value = jr_init(two[0]);
    enum jr_int kind = jr_int(&value, &is_negative, &v);
    *problem = "has an invalid module_index";
    if (kind == JR_INT_NONE)
        return false;
    *problem = "has a module_index that isn't in modules";
    bool is_none = is_negative && v == 1 && kind == JR_INT;
    bool is_one = (!is_negative || v == 0) && v < module_count && kind == JR_INT;
    if (!is_none && !is_one)
        return false;
    ret->module = is_none ? -1 : (int32_t)v;

    value = jr_init(two[1]);
    kind = jr_int(&value, &is_negative, &v);
    *problem = "has an invalid module_offset";
    if (kind != JR_INT || (is_negative && v > 1))
        return false;
    ret->has_offset = !is_negative || v == 0;
    ret->offset = v;
    return true;
}

static bool read_stack(struct body_reading *in, size_t i, size_t n, struct jr *r, struct err *err)
{
    struct symbolicate_request *q = in->q;
    struct symbolicate_job *job = &q->jobs[i];
    if (!jr_enter(r, '['))
        return err_set(err, ERR_INVALID, "job %zu has invalid stacks: stack %zu is not a list", i,
                       n);
    for (size_t m = 0; jr_more(r); m++) {
        struct symbolicate_frame frame;
        const char *problem;
        if (!read_frame(r, job->modules.n, &frame, &problem))
            return err_set(err, ERR_INVALID, "job %zu has invalid stacks: stack %zu frame %zu %s",
                           i, n, m, problem);
        if (frame.module >= 0)
            q->pairs.v[job->modules.v[frame.module]].is_used = true;
        /* Those beyond the limit are checked and counted, and not kept. */
        if (q->frame_count++ < SYMBOLICATE_FRAMES_MAX)
            VEC_PUSH(&job->frames, frame);
    }
    VEC_PUSH(&job->stack_ends, job->frames.n);
    q->stack_count++;
    return true;
}

/*
 * No stacks at all are a fault; a stack without frames is none, and is answered as an empty list.
 */
static bool read_stacks(struct body_reading *in, size_t i, struct str text, struct err *err)
{
    struct jr r = jr_init(text);
    in->fault = SYMBOLICATE_BAD_STACKS;
    if (!jr_enter(&r, '['))
        return err_set(err, ERR_INVALID,
                       "job %zu has invalid stacks: stacks must be a list of lists", i);
    size_t n = 0;
    for (; jr_more(&r); n++)
        if (!read_stack(in, i, n, &r, err))
            return false;
    return n > 0 || err_set(err, ERR_INVALID, "job %zu has invalid stacks: no stacks specified", i);
}

/*
 * Missing members are told in the order of this list, stacks first, since the first fault is the
 * only one that the client hears of.
 */
static bool read_job(struct body_reading *in, size_t i, struct str text, struct err *err)
{
    struct wanted_member members[] = {{.name = "stacks"}, {.name = "memoryMap"}};
    in->fault = SYMBOLICATE_BAD_JOBS;
    if (!find_members(in->q->arena, text, members, ARRAY_LEN(members)))
        return err_set(err, ERR_INVALID, "job %zu is invalid", i);
    for (size_t m = 0; m < ARRAY_LEN(members); m++)
        if (!members[m].value.p)
            return err_set(err, ERR_INVALID, "job %zu is invalid: no %s specified", i,
                           members[m].name);
    return read_modules(in, i, members[1].value, err) && read_stacks(in, i, members[0].value, err);
}

/* The jobs of the body as text, at most SYMBOLICATE_JOBS_MAX of them. */
static bool find_jobs(struct body_reading *in, struct str body, bool one_job,
                      struct str jobs[SYMBOLICATE_JOBS_MAX], struct err *err)
{
    struct symbolicate_request *q = in->q;
    struct wanted_member member = {.name = "jobs"};
    if (!one_job)
        find_members(q->arena, body, &member, 1);
    if (!member.value.p) {
        jobs[q->job_count++] = body;
        return true;
    }
    in->fault = SYMBOLICATE_BAD_JOBS;
    struct jr r = jr_init(member.value);
    if (!jr_enter(&r, '['))
        return err_set(err, ERR_INVALID, "jobs must be a list");
    while (jr_more(&r)) {
        struct str job = jr_skip(&r);
        if (q->job_count == SYMBOLICATE_JOBS_MAX) {
            in->fault = SYMBOLICATE_TOO_MANY_JOBS;
            return err_set(err, ERR_INVALID,
                           "please limit number of jobs in a single request to <= %d",
                           SYMBOLICATE_JOBS_MAX);
        }
        jobs[q->job_count++] = job;
    }
    return true;
}

/*
 * The number of frames is judged last and over all jobs: what a request costs is their sum, however
 * it is divided.
 */
static bool read_body(struct body_reading *in, struct str body, bool one_job, struct err *err)
{
    struct symbolicate_request *q = in->q;
    struct str jobs[SYMBOLICATE_JOBS_MAX] = {0};
    in->fault = SYMBOLICATE_BAD_JSON;
    if (!jr_check(body, JSON_GIVEN_DEPTH_MAX, ERR_IGNORED))
        return err_set(err, ERR_INVALID, "Payload is not valid JSON");
    if (!find_jobs(in, body, one_job, jobs, err))
        return false;
    for (size_t i = 0; i < q->job_count; i++)
        if (!read_job(in, i, jobs[i], err))
            return false;
    in->fault = SYMBOLICATE_TOO_MANY_FRAMES;
    if (q->frame_count > SYMBOLICATE_FRAMES_MAX)
        return err_set(err, ERR_INVALID, "too many frames");
    return true;
}

bool symbolicate_parse(struct arena *a, struct str body, enum symbolicate_version version,
                       struct symbolicate_request *ret, enum symbolicate_fault *ret_fault,
                       struct err *err)
{
    struct body_reading in = {.q = ret};
    *ret = (struct symbolicate_request){.arena = a};
    textmap_init(&ret->names, SYMBOLICATE_BODY_MAX);
    bool ok = read_body(&in, body, version == SYMBOLICATE_V4, err);
    if (!ok)
        *ret_fault = in.fault;
    return ok;
}

void symbolicate_release(struct symbolicate_request *q)
{
    for (size_t i = 0; i < q->job_count; i++) {
        VEC_RELEASE(&q->jobs[i].modules);
        VEC_RELEASE(&q->jobs[i].frames);
        VEC_RELEASE(&q->jobs[i].stack_ends);
    }
    VEC_RELEASE(&q->pairs);
    textmap_release(&q->names);
}

/*
 * With deadline 0 nobody waits: what is not compiled yet is begun and stays pending. The time of
 * both looks counts as the cost of the pair.
 */
static void open_pair(struct symbolicate_request *q, size_t i, struct symbolizer *s,
                      int64_t deadline_ms)
{
    struct symbolicate_pair *pair = &q->pairs.v[i];
    const struct symfind_key key = {.debug_file = symbolicate_debug_file(q, (uint32_t)i),
                                    .debug_id = symbolicate_debug_id(q, (uint32_t)i),
                                    .code_file = STR(""),
                                    .code_id = STR("")};
    if (!pair->is_used || key.debug_file.n == 0 || key.debug_id.n == 0)
        return; /* without file name or id it names no module */
    if (pair->module)
        symbolize_close(s, pair->module);
    struct symbolize_cost cost;
    pair->module = symbolize_open(s, &key, deadline_ms, &cost);
    cost.us += pair->cost.us;
    cost.was_compiled |= pair->cost.was_compiled;
    pair->cost = cost;
}

/* Those that must be fetched or compiled are all begun before the first of them is waited for. */
void symbolicate_open_modules(struct symbolicate_request *q, struct symbolizer *s,
                              int64_t deadline_ms)
{
    for (size_t i = 0; i < q->pairs.n; i++)
        open_pair(q, i, s, 0);
    for (size_t i = 0; i < q->pairs.n; i++)
        if (q->pairs.v[i].module && q->pairs.v[i].module->state == SYMFIND_PENDING)
            open_pair(q, i, s, deadline_ms);
}

void symbolicate_close_modules(struct symbolicate_request *q, struct symbolizer *s)
{
    for (size_t i = 0; i < q->pairs.n; i++) {
        if (q->pairs.v[i].module)
            symbolize_close(s, q->pairs.v[i].module);
        q->pairs.v[i].module = NULL;
    }
}
