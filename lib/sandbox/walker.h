#ifndef SANDBOX_WALKER_H
#define SANDBOX_WALKER_H

#include "lib/base/err.h"
#include "lib/json/json.h"
#include "lib/symfile/symfind.h"

/*
 * walker - runs the stack walk of one minidump in a sandboxed child and serves it
 * symbols.
 *
 * The child is datil-stackwalk, exec'ed with nothing inherited but the dump, a socket
 * to us and two pipes; it limits itself (address space, CPU time, files) and installs a
 * seccomp filter before it looks at the first byte.  When it needs the symbols of a
 * module it asks over the socket; the parent finds them (symfind) and passes an open
 * descriptor back.
 *
 * The output gets one thing from us: each module whose symbols were asked for and cannot be used
 * has "symbols_asked", a list of {source, answer}, for people who wonder why.  Names of sources
 * hold no credentials.
 *
 * Errors     A walker that fails, dies or is killed is a result, not an error: see
 *            walker_result.  False only when no child could be started (ERR_IO).
 * Trust      The child's output and its requests are hostile and checked.
 */
struct walker_options {
    const char *program; /* path of datil-stackwalk; NULL: beside this program */
    struct symfind *symbols;
    int timeout_ms;
    int64_t memory_bytes;
    int symbols_wait_ms; /* of all modules of the dump together; 0: as long as it takes */
};

struct walker_result {
    int exit_code;       /* exit status, or minus the signal number (time-out: -9) */
    json_t *json_dump;   /* parsed output, or NULL */
    bool is_output_json; /* false: exit 0 but the output did not parse */
    char *log;           /* what it wrote to standard error, at most 64 KiB; never NULL */
    char version[64];    /* "datil-stackwalk 0.1.0" */
    int64_t elapsed_ms;
};

/* dump_fd stays the caller's.  annotations may be NULL; the walker sees only ModuleSignatureInfo
 * and CPUMicrocodeVersion of them. */
bool walker_run(const struct walker_options *opt, int dump_fd, const json_t *annotations,
                struct walker_result *ret, struct err *err);
void walker_result_release(struct walker_result *r);

#endif
