/*
 * Bodies of symbolication, read as both versions of the API: what is refused has a reason of the
 * caller's, and in what is accepted every number that the answer follows leads to something.
 */
#include <assert.h>
#include <stdint.h>

#include "fcgi/symbols/symbolicate.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_MAX = 16 << 20 }; /* texts of a body have at most its size, and inputs are small */

static void check_job(const struct symbolicate_request *q, const struct symbolicate_job *job)
{
    size_t begin = 0;
    for (size_t i = 0; i < job->modules.n; i++)
        assert(job->modules.v[i] < q->pairs.n);
    for (size_t i = 0; i < job->frames.n; i++) {
        const struct symbolicate_frame *f = &job->frames.v[i];
        assert(f->module >= -1 && f->module < (int64_t)job->modules.n);
        assert(f->module < 0 || q->pairs.v[job->modules.v[f->module]].is_used);
    }
    assert(job->stack_ends.n > 0);
    for (size_t i = 0; i < job->stack_ends.n; i++) {
        assert(job->stack_ends.v[i] >= begin);
        begin = job->stack_ends.v[i];
    }
    assert(begin == job->frames.n);
}

static void check_request(const struct symbolicate_request *q)
{
    size_t frames = 0, stacks = 0;
    assert(q->job_count <= SYMBOLICATE_JOBS_MAX && q->frame_count <= SYMBOLICATE_FRAMES_MAX);
    for (size_t i = 0; i < q->job_count; i++) {
        check_job(q, &q->jobs[i]);
        frames += q->jobs[i].frames.n;
        stacks += q->jobs[i].stack_ends.n;
    }
    assert(frames == q->frame_count && stacks == q->stack_count);
    for (uint32_t i = 0; i < q->pairs.n; i++) {
        struct str file = symbolicate_debug_file(q, i), id = symbolicate_debug_id(q, i);
        assert(file.n + 1 + id.n == q->names.texts.v[i].n);
        assert(q->pairs.v[i].job_count > 0 && q->pairs.v[i].job_count <= q->job_count);
    }
}

static void check_version(struct str body, enum symbolicate_version version)
{
    struct arena a;
    struct symbolicate_request q;
    enum symbolicate_fault fault = SYMBOLICATE_TOO_MANY_FRAMES + 1; /* none: it must be set */
    struct err err = {0};
    arena_init(&a, ARENA_MAX);
    if (symbolicate_parse(&a, body, version, &q, &fault, &err))
        check_request(&q);
    else
        assert(err.code == ERR_INVALID && err.msg[0] && fault <= SYMBOLICATE_TOO_MANY_FRAMES);
    symbolicate_release(&q);
    arena_release(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str body = str_n((const char *)data, size);
    check_version(body, SYMBOLICATE_V5);
    check_version(body, SYMBOLICATE_V4);
    return 0;
}
