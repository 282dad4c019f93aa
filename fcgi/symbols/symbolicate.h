#ifndef SYMBOLS_SYMBOLICATE_H
#define SYMBOLS_SYMBOLICATE_H

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"
#include "lib/symfile/symbolize.h"
#include "lib/web/web.h"

/*
 * symbolicate - symbolication as Tecken and Eliot offer it: a request as it was checked
 * (symbolicate_body.c), its answer (symbolicate_answer.c), and the handlers (symbolicate.c).
 *
 * Ownership  Texts of a request lie in the body and in the arena; the rest is freed by
 *            symbolicate_release.
 * Trust      Bodies are hostile.
 */
enum {
    SYMBOLICATE_BODY_MAX = 30 << 20, /* as nginx/symbols.conf */
    SYMBOLICATE_JOBS_MAX = 10,
    SYMBOLICATE_FRAMES_MAX = 200000, /* of all jobs together */
};

enum symbolicate_version { SYMBOLICATE_V4 = 4, SYMBOLICATE_V5 = 5 };

/* A frame's module: its place in the memoryMap, or -1. */
struct symbolicate_frame {
    uint64_t offset;
    int32_t module;
    bool has_offset; /* else it was -1 */
};

/* One (debug file, debug id), however many memoryMaps name it. */
struct symbolicate_pair {
    struct symbolize_module *module; /* NULL: not looked for */
    struct symbolize_cost cost;
    bool is_used;              /* a frame of any job refers to it */
    uint8_t job_count;         /* jobs whose memoryMap has it */
    uint8_t read_of, shown_of; /* number from 1 of the last job of which it was read, answered */
};

struct symbolicate_job {
    VEC(uint32_t) modules; /* the memoryMap: numbers of pairs */
    VEC(struct symbolicate_frame) frames;
    VEC(size_t) stack_ends; /* behind the last frame of each stack */
};

struct symbolicate_request {
    struct arena *arena;
    struct textmap names; /* "<debug file>/<debug id>", by number of the pair */
    VEC(struct symbolicate_pair) pairs;
    struct symbolicate_job jobs[SYMBOLICATE_JOBS_MAX];
    size_t job_count, frame_count, stack_count;
};

/* Why a body is refused, for the counters. */
enum symbolicate_fault {
    SYMBOLICATE_BAD_JSON,
    SYMBOLICATE_BAD_JOBS,
    SYMBOLICATE_BAD_MODULES,
    SYMBOLICATE_BAD_STACKS,
    SYMBOLICATE_TOO_MANY_JOBS,
    SYMBOLICATE_TOO_MANY_FRAMES,
};

/* ERR_INVALID: the first fault of the body, in the words of the API.  Release in any case. */
bool symbolicate_parse(struct arena *a, struct str body, enum symbolicate_version version,
                       struct symbolicate_request *ret, enum symbolicate_fault *ret_fault,
                       struct err *err);
void symbolicate_release(struct symbolicate_request *q);
struct str symbolicate_debug_file(const struct symbolicate_request *q, uint32_t pair);
struct str symbolicate_debug_id(const struct symbolicate_request *q, uint32_t pair);

/* Opens what the frames refer to, each pair once, as far as it is there by deadline_ms (mono_ms);
 * closes it again. */
void symbolicate_open_modules(struct symbolicate_request *q, struct symbolizer *s,
                              int64_t deadline_ms);
void symbolicate_close_modules(struct symbolicate_request *q, struct symbolizer *s);

/*
 * Writes the answer.  A large one goes through a file without a name in temp_dir, so that it never
 * lies in memory as a whole.  start_us: of the request, on the clock of mono_us.
 */
bool symbolicate_answer(struct req *req, struct symbolicate_request *q,
                        enum symbolicate_version version, const char *temp_dir, int64_t start_us,
                        struct err *err);

#endif
