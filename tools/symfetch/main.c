/*
 * datil-symfetch: finds the symbols of one module for a program that does not want to wait
 * (symfile/fetchers.h): asks other servers, unpacks, compiles, and leaves the result where that
 * program looks again.
 *
 * The task comes as JSON on standard input and not as arguments, which everybody may read. Standard
 * output is a pipe that tells by its end that this process is gone; standard error is the log of
 * who asked.  Strangers' bytes are only looked at by datil-symreader and datil-dump-syms, which are
 * started from here and end with this process; this one ends with who started it, or when its time
 * is over.
 */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/symfile/symfind.h"

/*
 * 300 s for the servers (symfind.c), and as much for unpacking, reading and compiling a file of 8
 * GiB, the largest that there may be.  A task is lists of folders and addresses (OPT_LIST_MAX and
 * SOURCES_MAX, LIST_MAX together) of some hundred bytes each.
 */
enum { LIFE_S = 600, TASK_MAX = 1 << 20, LIST_MAX = 80 };

static void take_list(const json_t *task, const char *name, const char *out[LIST_MAX + 1])
{
    const json_t *list = jget_arr(task, name);
    size_t n = 0, i;
    json_t *v;
    json_array_foreach (list, i, v)
        if (json_is_string(v) && n < LIST_MAX)
            out[n++] = json_string_value(v);
    out[n] = NULL;
}

static bool find_symbols(const json_t *task, struct err *err)
{
    const char *sym_dirs[LIST_MAX + 1], *urls[LIST_MAX + 1];
    take_list(task, "sym_dirs", sym_dirs);
    take_list(task, "urls", urls);
    const struct symfind_options opt = {
        .cache_dir = jget_str(task, "cache_dir"),
        .cache_max_bytes = jget_int_or(task, "cache_max_bytes", 0),
        .store_dir = jget_str(task, "store_dir"),
        .store_wants_mark = jget_bool_or(task, "store_wants_mark", true),
        .sym_dirs = sym_dirs,
        .upstream = {.urls = urls,
                     .proxy = jget_str(task, "proxy"),
                     .may_reach_reserved = jget_bool_or(task, "may_reach_reserved", false),
                     .max_bytes = jget_int_or(task, "max_bytes", 0),
                     .first_byte_ms = (int)jget_int_or(task, "first_byte_ms", 0),
                     .retry_ms = (int)jget_int_or(task, "retry_ms", 0)},
    };
    const struct symfind_key key = {.debug_file = jget_strn(task, "debug_file"),
                                    .debug_id = jget_strn(task, "debug_id"),
                                    .code_file = jget_strn(task, "code_file"),
                                    .code_id = jget_strn(task, "code_id")};
    struct symfind *s;
    struct symfind_result found;
    if (!opt.cache_dir)
        return err_set(err, ERR_INVALID, "a task without a cache");
    if (!symfind_new(&opt, &s, err))
        return false;
    symfind_get_here(s, &key, &found);
    util_close_fd(&found.fd);
    symfind_free(s);
    return true;
}

/* Between its start and the request to be ended, who started it may have gone. */
static void end_with_parent(const json_t *task)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (jget_int_or(task, "parent", 0) != getppid())
        _exit(0);
}

int main(int argc, char **argv)
{
    struct err err = {0};
    FREE_LATER char *text = NULL;
    size_t n;
    (void)argv;
    if (argc > 1 || isatty(STDIN_FILENO)) {
        puts("datil-symfetch: started by other programs of Datil, to fetch symbols beside them");
        return 2;
    }
    alarm(LIFE_S);
    json_auto_t *task = fs_read_fd(STDIN_FILENO, "task", TASK_MAX, &text, &n, &err)
                            ? jparse(str_n(text, n), TASK_MAX, &err)
                            : NULL;
    const char *level = jget_str(task, "log_level");
    log_init("datil-symfetch", level ? level : "error");
    if (task)
        end_with_parent(task);
    if (!task || !find_symbols(task, &err)) {
        log_event(LOG_ERROR, "symfetch_failed", "cannot look for symbols", LOG_E(&err));
        return 1;
    }
    return 0;
}
