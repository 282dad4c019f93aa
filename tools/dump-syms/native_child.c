/*
 * Descriptors 0, 3, 4 and 5 are the file, its debug file, the file common to several and a bundle
 * of split units (or no regular file: there is none); 1 takes the result, 2 what is to be said
 * about it.  They are mapped first: elfutils wants memory it may write to, and the sandbox maps
 * files for reading only.  Mapping looks at no byte.
 *
 * One file, one process: whatever a damaged or hostile file does to elfutils or to us ends with
 * this process, and the parent knows which file it was. The result is a text on a descriptor, or an
 * exit code with a sentence; the parent believes the text only after it has been read as symbols
 * again (lib/symfile/symnative.c).
 */
#include "tools/dump-syms/native_child.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/sandbox/sandbox.h"
#include "lib/symfile/symnative.h"
#include "tools/dump-syms/file_facts.h"
#include "tools/dump-syms/file_bytes.h"
#include "tools/dump-syms/image.h"
#include "tools/dump-syms/module_symbols.h"
#include "tools/dump-syms/sym.h"

/*
 * FILES: 0 to 4 are in use (above).  CPU_S is chosen: the parent gives up earlier (symnative.c,
 * four to five minutes for a browser's debug information), so it ends only a reader that nobody
 * waits for.  MEMORY_MAX, which counts besides the files, is chosen as well: it is several times
 * the debug information of a browser (1.5 GB), unpacked; what takes more was made to.
 */
enum { FILES = 8, CPU_S = 1800 };
static const int64_t MEMORY_MAX = INT64_C(8) << 30;
static const int64_t OUTPUT_MAX = INT64_C(8) << 30; /* as much text as symreader takes */

struct given {
    struct file_bytes module, debug, common, split;
};

static bool map_given(struct given *g, const char *name, int64_t *ret_bytes, struct err *err)
{
    const struct {
        int fd;
        struct file_bytes *to;
        const char *name;
    } files[] = {
        {SYMNATIVE_FD_DEBUG, &g->debug, "the debug file"},
        {SYMNATIVE_FD_COMMON, &g->common, "the common file"},
        {SYMNATIVE_FD_SPLIT, &g->split, "split debug information"},
    };
    if (!file_bytes_map(SYMNATIVE_FD_MODULE, name, &g->module, err))
        return false;
    *ret_bytes = (int64_t)g->module.mapped_n;
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct stat st;
        if (fstat(files[i].fd, &st) != 0 || !S_ISREG(st.st_mode))
            continue;
        if (!file_bytes_map(files[i].fd, files[i].name, files[i].to, err))
            return false;
        *ret_bytes += (int64_t)files[i].to->mapped_n;
    }
    return true;
}

static bool unpack_given(struct given *g, struct err *err)
{
    return file_bytes_unpack(&g->module, err) && file_bytes_unpack(&g->debug, err) &&
           file_bytes_unpack(&g->common, err);
}

static bool write_symbols(const struct image_options *o, struct err *err)
{
    struct dumped_module m;
    if (!module_read(o, &m, err))
        return false;
    if (m.sym.funcs.n + m.sym.publics.n + m.sym.frames.n == 0)
        return err_set(err, ERR_INVALID, "%s: names no code: it is cut short, or has no symbols",
                       o->path);
    m.sym.origin = m.has_debug_info ? SYMNATIVE_ORIGIN_DEBUG : SYMNATIVE_ORIGIN_NAMES;
    fprintf(stderr, STR_FMT STR_FMT, STR_ARG(sb_view(&m.problems)), STR_ARG(sb_view(&m.notes)));
    if (!m.has_debug_info && m.problems.n == 0)
        fprintf(stderr, "%s: no debug information, only names of symbols\n", o->path);
    return sym_write(&m.sym, stdout, err);
}

static bool dump_given(int argc, char **argv, struct err *err)
{
    struct given g = {0};
    int64_t bytes = 0;
    if (argc < 2)
        return err_set(err, ERR_INVALID, "no name");
    if (!map_given(&g, argv[1], &bytes, err))
        return false;
    const struct sandbox_limits limits = {
        .memory_bytes = MEMORY_MAX + bytes, /* private mappings count as memory */
        .mapped_bytes = INT64_C(1) << 30,
        .output_bytes = OUTPUT_MAX,
        .cpu_s = CPU_S,
        .files = FILES,
    };
    if (!sandbox_enter(&limits, err) || !unpack_given(&g, err))
        return false;
    FREE_LATER char *name = xstrdup(g.module.path);
    const struct image_options o = {
        .path = name,
        .arch = argc > 2 ? argv[2] : NULL,
        .is_sandboxed = true,
        .given_module = &g.module,
        .given_debug = g.debug.path ? &g.debug : NULL,
        .given_common = g.common.path ? &g.common : NULL,
        .given_split = g.split.path ? &g.split : NULL,
    };
    return strcmp(argv[0], "facts") == 0 ? facts_write(&o, stdout, err) : write_symbols(&o, err);
}

/* The message is the last line; what stands before it are problems of files that went along. */
int sandboxed_run(int argc, char **argv)
{
    struct err err = {0};
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody would read it */
    bool ok = dump_given(argc, argv, &err);
    if (!ok)
        fprintf(stderr, "%s\n", err.msg);
    fflush(NULL);
    _exit(ok ? EXIT_SUCCESS
             : EXIT_FAILURE); /* no exit handlers: the process may not do what they want */
}
