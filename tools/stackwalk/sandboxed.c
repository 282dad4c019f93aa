/*
 * The walker as the processor starts it: dump, annotations and socket come as descriptors, limits
 * as options.  It opens nothing; the sandbox is entered before the first byte of the dump is
 * looked at, and symbols are asked of the parent.
 */
#include "tools/stackwalk/sandboxed.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/sandbox/sandbox.h"
#include "lib/unwind/walk_dump.h"
#include "lib/sandbox/wire.h"

enum { FILES = 16 }; /* the highest descriptor: a child has five, and one for a file being mapped */
/* Address space for mapped symbol files, besides the memory limit: 16 of a browser's largest. */
static const int64_t SYMBOLS_MAX = INT64_C(16) << 30;

/*
 * Waits for the answer without a limit of its own: how long a walk may take is the parent's
 * decision.
 */
static void ask_parent(void *ctx, const struct symfind_key *key, struct symfind_result *ret)
{
    (void)ctx;
    wire_ask(WIRE_FD_SOCKET, key, ret);
}

static bool size_of(int fd, int64_t *ret, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return err_errno(err, errno, "descriptor %d", fd);
    *ret = st.st_size;
    return true;
}

/* Never unmapped: the process ends with its one dump. */
static bool map_all(int fd, int64_t size, const void **ret, struct err *err)
{
    const void *p = "";
    if (size > 0)
        p = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        return err_errno(err, errno, "mapping %lld bytes", (long long)size);
    *ret = p;
    return true;
}

/* NULL without annotations, or when they are not JSON.  The walk is worth more than they are. */
static json_t *read_annotations(void)
{
    int64_t size = 0;
    const void *p = NULL;
    if (!size_of(WIRE_FD_ANNOTATIONS, &size, ERR_IGNORED) ||
        !map_all(WIRE_FD_ANNOTATIONS, size, &p, ERR_IGNORED))
        return NULL;
    return jparse(str_n(p, (size_t)size), JSON_BYTES_MAX, ERR_IGNORED);
}

int sandboxed(const struct stackwalk_options *o)
{
    struct err err = {0};
    int64_t size = 0;
    const void *bytes = NULL;
    /* A walker whose parent was killed has nobody to report to. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!size_of(WIRE_FD_DUMP, &size, &err))
        return fail("IoError", &err);
    /*
     * The dump is mapped and not read, so its size counts with the symbols and not with the heap.
     */
    const struct sandbox_limits limits = {
        .memory_bytes = o->memory_bytes,
        .mapped_bytes = SYMBOLS_MAX + size,
        .cpu_s = o->cpu_s,
        .files = FILES,
    };
    if (!sandbox_enter(&limits, &err))
        return fail("SandboxError", &err);
    if (!map_all(WIRE_FD_DUMP, size, &bytes, &err))
        return fail("IoError", &err);

    json_auto_t *annotations = read_annotations();
    const struct walk_input in = {
        .bytes = bytes,
        .len = (size_t)size,
        .source = {.get = ask_parent},
        .symbols_max_bytes = (uint64_t)SYMBOLS_MAX,
        .annotations = annotations,
        .frames_max = (size_t)o->frames_max,
        .format = WALK_JSON,
    };
    STRBUF_AUTO out;
    sb_init(&out, REPORT_BYTES_MAX);
    if (!walk_dump(&in, &out, &err))
        return fail(NULL, &err);
    if (!fs_write_all(STDOUT_FILENO, out.p, out.n, "the report", &err))
        return fail("IoError", &err);
    return 0;
}
