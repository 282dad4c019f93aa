/*
 * datil-stackwalk: a minidump in, JSON or text out.  No database; symbols of --symbols-url are
 * fetched by a process of its own (datil-symfetch), and nothing else touches the network.
 *
 * The processor runs it as its sandboxed walker (--sandbox); people run it on files.
 *
 * Errors are one line, `ERROR Name - text`, because callers look for the name.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/symfile/symfind.h"
#include "lib/unwind/walk_dump.h"
#include "lib/unwind/walk_symbols.h"
#include "tools/stackwalk/options.h"
#include "tools/stackwalk/sandboxed.h"

/*
 * A dump of a gigabyte holds all memory of a large program.  The cache of compiled symbol files is
 * trimmed to CACHE_MAX_BYTES.
 */
enum { DUMP_MAX = 1 << 30, CACHE_MAX_BYTES = 1 << 30 };

int fail(const char *name, const struct err *err)
{
    if (name)
        fprintf(stderr, "ERROR %s - %s\n", name, err->msg);
    else /* the message begins with the name */
        fprintf(stderr, "ERROR %s\n", err->msg);
    return 1;
}

static void get_symbols(void *ctx, const struct symfind_key *key, struct symfind_result *ret)
{
    symfind_get(ctx, key, ret);
}

/* XDG_CACHE_HOME/datil-symbols, ~/.cache/datil-symbols or a folder of this user in /tmp. */
static void default_cache(char *out, size_t size)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && cache[0] == '/')
        snprintf(out, size, "%s/datil-symbols", cache);
    else if (home && home[0] == '/')
        snprintf(out, size, "%s/.cache/datil-symbols", home);
    else
        snprintf(out, size, "/tmp/datil-symbols-%u", (unsigned)getuid());
}

/* The fetching process has no environment. */
static const char *proxy(void)
{
    static const char *const names[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (getenv(names[i]))
            return getenv(names[i]);
    return NULL;
}

/*
 * Compiled symbol files are made of strangers' text as this user, hence a folder nobody else may
 * write into.
 */
static bool open_symbols(const struct stackwalk_options *o, struct symfind **ret, struct err *err)
{
    char cache[4096];
    default_cache(cache, sizeof cache);
    const struct symfind_options options = {
        .cache_dir = o->cache_dir ? o->cache_dir : cache,
        .cache_max_bytes = CACHE_MAX_BYTES,
        .sym_dirs = o->dirs.v,
        /* Who names a server may name any, also one of his own network. */
        .upstream = {.urls = o->urls.v, .proxy = proxy(), .may_reach_reserved = true},
    };
    return fs_mkdirs(options.cache_dir, 0700, err) && symfind_new(&options, ret, err);
}

/* A slip in a path looks like a dump without symbols; the walk goes on, as with symbols missing. */
static void note_missing_paths(const struct stackwalk_options *o)
{
    for (const char *const *dir = o->dirs.v; *dir; dir++)
        if (!fs_exists(*dir))
            log_event(LOG_ERROR, "symbols", "there are no symbols: no such file or folder",
                      LOG_S("path", *dir));
}

static json_t *read_annotations(const char *path)
{
    FREE_LATER char *text = NULL;
    size_t n;
    struct err err = {0};
    json_t *v = NULL;
    if (fs_read(path, JSON_BYTES_MAX, &text, &n, &err))
        v = jparse(str_n(text, n), JSON_BYTES_MAX, &err);
    if (!v) /* the walk is worth more than they are */
        log_event(LOG_ERROR, "annotations", "annotations are ignored", LOG_E(&err));
    return v;
}

/* The file is opened after the walk: a dump that cannot be read leaves an older report alone. */
static bool write_report(const struct stackwalk_options *o, struct str report, struct err *err)
{
    if (!o->output_file)
        return fs_write_all(STDOUT_FILENO, report.p, report.n, "standard output", err);
    FD_AUTO fd = open(o->output_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_errno(err, errno, "%s", o->output_file);
    return fs_write_all(fd, report.p, report.n, o->output_file, err);
}

/*
 * Without sandbox: somebody runs it on a file of his own, with his own rights, and limits would
 * only be in the way of large dumps.  The report is made in memory first, so that a failure in the
 * middle writes no half of one.
 */
static int standalone(const struct stackwalk_options *o)
{
    struct err err = {0};
    FREE_LATER char *bytes = NULL;
    size_t len;
    if (!fs_read(o->dump, DUMP_MAX, &bytes, &len, &err))
        return fail(err.code == ERR_NOT_FOUND ? "FileNotFound" : "IoError", &err);

    struct symfind *symbols = NULL;
    note_missing_paths(o);
    if ((o->dirs.n || o->urls.n) && !open_symbols(o, &symbols, &err))
        return fail("IoError", &err);
    json_auto_t *annotations = o->annotations ? read_annotations(o->annotations) : NULL;
    const struct walk_input in = {
        .bytes = bytes,
        .len = len,
        .source = symbols ? (struct symbol_source){symbols, get_symbols} : no_symbols(),
        .symbols_max_bytes = UINT64_MAX,
        .annotations = annotations,
        .frames_max = (size_t)o->frames_max,
        .format = o->format,
        .is_pretty = o->is_pretty,
        .is_brief = o->is_brief,
    };
    STRBUF_AUTO out;
    sb_init(&out, REPORT_BYTES_MAX);
    bool ok = walk_dump(&in, &out, &err);
    if (symbols)
        symfind_free(symbols);
    if (!ok)
        return fail(NULL, &err);
    if (o->format == WALK_JSON)
        sb_char(&out, '\n');
    return write_report(o, sb_view(&out), &err) ? 0 : fail("IoError", &err);
}

static bool redirect_log(const char *path, struct err *err)
{
    FD_AUTO fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
        return err_errno(err, errno, "%s", path);
    return true;
}

/* Our levels are four; off silences all, trace is debug. */
static void start_log(const char *verbose)
{
    if (strcmp(verbose, "off") == 0 && freopen("/dev/null", "w", stderr) == NULL)
        verbose = "error";
    log_init("datil-stackwalk", strcmp(verbose, "trace") == 0 ? "debug" : verbose);
}

int main(int argc, char **argv)
{
    struct stackwalk_options o;
    struct err err = {0};
    if (!options_parse(argc, argv, &o, &err))
        return fail("BadOption", &err);
    if (o.is_sandbox)
        _exit(sandboxed(&o)); /* no exit handlers: the process may not do what they want */
    if (o.show_help)
        options_help(stdout);
    if (o.show_version)
        puts("datil-stackwalk " DATIL_VERSION);
    if (o.show_help || o.show_version)
        return 0;
    if (o.log_file && !redirect_log(o.log_file, &err))
        return fail("IoError", &err);
    start_log(o.verbose);
    return standalone(&o);
}
