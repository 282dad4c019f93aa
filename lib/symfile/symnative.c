/*
 * Two passes.  The first asks datil-dump-syms for the facts of each file: what it is, its debug id,
 * whether it has code or debug information, and which other file it names.  Then this side knows
 * what belongs together: a debug file has the debug id of its program (build id, UUID, GUID and
 * age), an ELF file without build id names its debug file with a checksum, and what dwz has moved
 * away has the build id that its users name.  The second pass makes the text of each module, with
 * the debug files as further descriptors; a debug file without its program is a module, too: it
 * has names and lines, and no rules for unwinding.
 *
 * The reader is a stranger once it has read a stranger's file: its answers are bounded in time and
 * size, its ids and names become keys by the same function as all others.
 */
#include "lib/symfile/symnative.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/base/child.h"
#include "lib/symfile/symbytes.h"

enum {
    PIECE_BYTES = 256 << 10,
    FACTS_MAX = 64 << 10,  /* sixteen parts of a universal file, each with a name of 255 bytes */
    SAID_MAX = 16 << 10,   /* messages; what comes behind is dropped */
    PARTS_MAX = 200000,    /* of all files together: an archive has at most 10,000 */
    READER_MS = 60 * 1000, /* as for a text (symreader.c), and the time for the bytes below */
    /* Debug information of a browser, 1.5 GB, takes two minutes on a slow machine. */
    BYTES_PER_MS = 8 << 10,
    FIELDS = 9, /* of a line of facts, below */
};

/* Columns of a line of facts. */
enum {
    FACT_ROLE,
    FACT_HAS_DEBUG,
    FACT_ARCH,
    FACT_ID,
    FACT_NAME,
    FACT_BUILD_ID,
    FACT_COMMON,
    FACT_CRC,
    FACT_LINK
};

/* One module or debug file; a universal file has several. */
struct native_part {
    char *line; /* owned; fields point into it */
    struct str fields[FIELDS];
    size_t input;
    bool is_used; /* by a module that it is the debug file of */
};

struct native_work {
    const struct symnative_input *inputs;
    const char *temp_dir;
    const struct symnative_visitor *visitor;
    char program[PATH_MAX];
    VEC(struct native_part) parts;
    int split; /* the bundle of split units, or -1 */
    bool has_new_split;
};

static char role_of(const struct native_part *p)
{
    return p->fields[FACT_ROLE].p[0];
}

bool symnative_is(const char *path)
{
    static const struct {
        const char *bytes;
        size_t n;
        bool is_packed;
    } magics[] = {
        {"\177ELF", 4, false},
        {"MZ", 2, false},
        {"Microsoft C/C++ MSF", 19, false},
        {"\xcf\xfa\xed\xfe", 4, false},
        {"\xca\xfe\xba\xbe", 4, false},
        {"\xca\xfe\xba\xbf", 4, false},
        {"\x1f\x8b\x08", 3, true},
        {"\x28\xb5\x2f\xfd", 4, true},
        {"\xfd\x37zXZ", 5, true},
        {"BZh", 3, true},
        {"MSCF\0\0\0\0", 8, true},
        {"PK\3\4", 4, true},
    };
    /* Microsoft's tools put "_" in place of the last letter of what they pack. */
    static const char *const packed[] = {
        ".dbg.gz", ".debug.gz", ".debug.xz", ".debug.zst", ".so.gz",   ".so.xz",
        ".so.zst", ".pdb.gz",   ".pdb.xz",   ".pdb.zst",   ".dbg.xz",  ".dbg.zst",
        ".pd_",    ".dl_",      ".ex_",      ".sy_",       ".tar.bz2", ".tar.gz",
        ".tar.xz", ".tar.zst",  ".tgz",      ".dSYM.zip"};
    char head[32] = {0};
    struct stat st;
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
        pread(fd, head, sizeof head, 0) < (ssize_t)sizeof head)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(magics); i++) {
        if (memcmp(head, magics[i].bytes, magics[i].n) != 0)
            continue;
        if (!magics[i].is_packed)
            return true;
        for (size_t k = 0; k < ARRAY_LEN(packed); k++)
            if (str_ends(str_of(path), str_of(packed[k])))
                return true;
    }
    return false;
}

/* A pipe of the reader's: what does not fit is read and dropped, so that it does not block. */
static bool take_from(int fd, struct strbuf *to)
{
    char piece[4096];
    ssize_t n = read(fd, piece, sizeof piece);
    if (n < 0)
        return errno == EINTR;
    sb_put(to, piece, MIN((size_t)n, to->max - to->n));
    return n > 0;
}

/* Until both ends are closed.  False: it took too long. */
static bool listen_to(int out, int said, int64_t within_ms, struct strbuf *ret_out,
                      struct strbuf *ret_said)
{
    struct pollfd p[] = {{out, POLLIN, 0}, {said, POLLIN, 0}};
    struct strbuf *to[] = {ret_out, ret_said};
    int64_t end = mono_ms() + within_ms;
    while (p[0].fd >= 0 || p[1].fd >= 0) {
        int64_t left = end - mono_ms();
        if (left <= 0)
            return false;
        if (poll(p, ARRAY_LEN(p), (int)MIN(left, (int64_t)INT32_MAX)) <= 0)
            continue;
        for (size_t i = 0; i < ARRAY_LEN(p); i++)
            if (p[i].fd >= 0 && p[i].revents && !take_from(p[i].fd, to[i]))
                p[i].fd = -1;
    }
    return true;
}

static void end_child(pid_t pid, bool in_time, int *ret_status)
{
    if (!in_time)
        kill(pid, SIGKILL);
    *ret_status = 0;
    while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR)
        continue;
}

/* What went wrong, in words for who sent the file; the reader's own are the last line. */
static bool fail_of_status(bool in_time, int status, const struct strbuf *said, struct err *err)
{
    struct str rest = sb_view(said), line, last = STR("");
    struct arena a;
    if (!in_time || (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU))
        return err_set(err, ERR_TOO_LARGE, "reading it took too long");
    if (child_was_stopped(status))
        return err_set(err, ERR_IO, "its reader was stopped");
    if (WIFSIGNALED(status))
        return err_set(err, ERR_INVALID, "it cannot be read: damaged, or beyond the limits");
    while (str_split(&rest, '\n', &line))
        if (line.n)
            last = line;
    arena_init(&a, 256 << 10);
    struct str clean = utf8_clean(&a, str_sub(last, 0, 500));
    err_set(err, ERR_INVALID, STR_FMT, STR_ARG(clean));
    arena_release(&a);
    return false;
}

struct native_reading {
    const char *what;                 /* "facts" or "symbols" */
    const char *name, *arch;          /* arch NULL: any */
    int module, debug, common, split; /* -1: none */
    int result;                       /* a file, or -1: into `out` */
    struct strbuf *out, *said;
};

static int64_t time_for(const struct native_work *w, const struct native_reading *r)
{
    const int fds[] = {r->module, r->debug, r->common, r->split};
    int64_t ms = READER_MS;
    struct stat st;
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        if (fds[i] >= 0 && fstat(fds[i], &st) == 0)
            ms += st.st_size / BYTES_PER_MS;
    int64_t end_ms = w->visitor->deadline_ms;
    return end_ms ? MIN(ms, MAX(end_ms - mono_ms(), (int64_t)0)) : ms;
}

/* One process of the reader.  ERR_INVALID, ERR_TOO_LARGE: of the file; others are ours. */
static bool read_with(const struct native_work *w, const struct native_reading *r, struct err *err)
{
    int out[2], said[2], status;
    const char *const argv[] = {"datil-dump-syms", SYMNATIVE_OPTION, r->what,
                                r->name,           r->arch,          NULL};
    if (pipe2(out, O_CLOEXEC) != 0)
        return err_errno(err, errno, "pipe");
    FD_AUTO out_read = out[0], out_write = out[1];
    if (pipe2(said, O_CLOEXEC) != 0)
        return err_errno(err, errno, "pipe");
    FD_AUTO said_read = said[0], said_write = said[1];
    const struct child_fd fds[] = {{r->module, SYMNATIVE_FD_MODULE},
                                   {r->result >= 0 ? r->result : out_write, 1},
                                   {said_write, 2},
                                   {r->debug, SYMNATIVE_FD_DEBUG},
                                   {r->common, SYMNATIVE_FD_COMMON},
                                   {r->split, SYMNATIVE_FD_SPLIT}};
    pid_t pid;
    if (!child_start(w->program, argv, fds, ARRAY_LEN(fds), &pid, err))
        return false;
    util_close_fd(&out_write);
    util_close_fd(&said_write);
    bool in_time = listen_to(out_read, said_read, time_for(w, r), r->out, r->said);
    end_child(pid, in_time, &status);
    return (in_time && WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
           fail_of_status(in_time, status, r->said, err);
}

static bool is_about_the_file(const struct err *err)
{
    return err->code == ERR_INVALID || err->code == ERR_TOO_LARGE || err->code == ERR_NOT_FOUND;
}

static int open_input(const struct native_work *w, size_t input, struct err *err)
{
    int fd = open(w->inputs[input].path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        err_set(err, ERR_NOT_FOUND, "it cannot be read: %s", strerror(errno));
    return fd;
}

/* A line that has not all fields is none. */
static void add_part(struct native_work *w, size_t input, struct str line)
{
    struct native_part p = {.line = str_dup(line), .input = input};
    struct str rest = str_n(p.line, line.n);
    size_t n = 0;
    while (n < FIELDS && str_split(&rest, '\t', &p.fields[n]))
        n++;
    if (n == FIELDS && rest.n == 0 && p.fields[FACT_ROLE].n == 1 && w->parts.n < PARTS_MAX)
        VEC_PUSH(&w->parts, p);
    else
        free(p.line);
}

/* Of an input that is there only for others a failure is nobody's business. */
static bool add_facts(struct native_work *w, size_t input, struct err *err)
{
    const struct symnative_input *in = &w->inputs[input];
    struct err why = {0};
    STRBUF_AUTO facts, said;
    sb_init(&facts, FACTS_MAX);
    sb_init(&said, SAID_MAX);
    FD_AUTO fd = open_input(w, input, &why);
    struct native_reading r = {.what = "facts",
                               .name = in->file_name,
                               .module = fd,
                               .debug = -1,
                               .common = -1,
                               .split = -1,
                               .result = -1,
                               .out = &facts,
                               .said = &said};
    if (fd < 0 || !read_with(w, &r, &why)) {
        if (!is_about_the_file(&why))
            return err_set(err, why.code, "%s", why.msg);
        if (!in->is_old)
            w->visitor->problem(w->visitor->arg, in->name, why.msg, true);
        return true;
    }
    struct str rest = sb_view(&facts), line;
    while (str_split(&rest, '\n', &line))
        add_part(w, input, line);
    return true;
}

/* "checksum name" of an ELF file without build id, against the name and checksum of the other. */
static bool is_linked(const struct native_work *w, const struct native_part *m,
                      const struct native_part *d)
{
    struct str link = m->fields[FACT_LINK];
    size_t space = str_find_char(link, ' ', 0);
    const char *name = strrchr(w->inputs[d->input].name, '/');
    name = name ? name + 1 : w->inputs[d->input].name;
    return space != SIZE_MAX && m->fields[FACT_BUILD_ID].n == 0 &&
           d->fields[FACT_BUILD_ID].n == 0 &&
           str_eq(str_sub(link, 0, space), d->fields[FACT_CRC]) &&
           str_starts(str_of(name), str_sub(link, space + 1, link.n));
}

static bool belongs(const struct native_work *w, const struct native_part *m,
                    const struct native_part *d)
{
    if (role_of(d) != 'd')
        return false;
    bool same_arch = str_eq(m->fields[FACT_ARCH], d->fields[FACT_ARCH]);
    return (same_arch && str_eq(m->fields[FACT_ID], d->fields[FACT_ID])) || is_linked(w, m, d);
}

/* The debug file of a module: one of this delivery before one that was there. */
static struct native_part *debug_of(struct native_work *w, const struct native_part *m)
{
    struct native_part *found = NULL;
    for (size_t i = 0; i < w->parts.n; i++) {
        struct native_part *d = &w->parts.v[i];
        if (d != m && belongs(w, m, d) &&
            (!found || (w->inputs[found->input].is_old && !w->inputs[d->input].is_old)))
            found = d;
    }
    return found;
}

static struct native_part *common_of(struct native_work *w, const struct native_part *d)
{
    for (size_t i = 0; d && d->fields[FACT_COMMON].n && i < w->parts.n; i++)
        if (role_of(&w->parts.v[i]) == 'z' &&
            str_eq(w->parts.v[i].fields[FACT_BUILD_ID], d->fields[FACT_COMMON]))
            return &w->parts.v[i];
    return NULL;
}

static bool has_debug(const struct native_part *p)
{
    return str_eq(p->fields[FACT_HAS_DEBUG], STR("1"));
}

static void tell_problems(const struct native_work *w, const struct native_part *m,
                          const struct strbuf *said)
{
    struct str rest = sb_view(said), line;
    struct arena a;
    arena_init(&a, 4 * SAID_MAX);
    while (str_split(&rest, '\n', &line)) {
        /* The reader begins with the name of the file, as people see it on a command line. */
        const char *name = w->inputs[m->input].file_name;
        size_t n = strlen(name);
        if (str_starts(line, str_of(name)) && line.n > n + 2 && line.p[n] == ':')
            line = str_sub(line, n + 2, line.n);
        if (line.n)
            w->visitor->problem(w->visitor->arg, w->inputs[m->input].name,
                                str_adup(&a, utf8_clean(&a, line)), false);
    }
    arena_release(&a);
}

static int open_other(const struct native_work *w, const struct native_part *p)
{
    return p ? open_input(w, p->input, ERR_IGNORED) : -1;
}

/* A text in a nameless file, which the visitor reads from its start. */
static bool make_text(struct native_work *w, const struct native_part *m,
                      const struct native_part *debug, struct err *err)
{
    const struct symnative_input *in = &w->inputs[m->input];
    const struct native_part *common = common_of(w, debug ? debug : m);
    STRBUF_AUTO out, said;
    struct err why = {0};
    char arch[16];
    sb_init(&out, 1);
    sb_init(&said, SAID_MAX);
    snprintf(arch, sizeof arch, STR_FMT, STR_ARG(m->fields[FACT_ARCH]));
    FD_AUTO result = -1;
    if (!symbytes_temp(w->temp_dir, &result, err))
        return false;
    FD_AUTO module = open_input(w, m->input, &why), debug_fd = open_other(w, debug);
    FD_AUTO common_fd = open_other(w, common);
    const struct native_reading r = {.what = "symbols",
                                     .name = in->file_name,
                                     .arch = strcmp(arch, "-") == 0 ? NULL : arch,
                                     .module = module,
                                     .debug = debug_fd,
                                     .common = common_fd,
                                     .split = w->split,
                                     .result = result,
                                     .out = &out,
                                     .said = &said};
    if (module < 0 || !read_with(w, &r, &why)) {
        w->visitor->problem(w->visitor->arg, in->name, why.msg, true);
        return is_about_the_file(&why) || err_set(err, why.code, "%s", why.msg);
    }
    tell_problems(w, m, &said);
    return w->visitor->take(w->visitor->arg, result, in->name, err);
}

/* At least one file of a module has to be new; and what is stored already may be as good. */
static bool convert_part(struct native_work *w, struct native_part *m, struct err *err)
{
    struct native_part *debug = role_of(m) == 'm' && !has_debug(m) ? debug_of(w, m) : NULL;
    struct symkey key;
    bool is_new = !w->inputs[m->input].is_old || (debug && !w->inputs[debug->input].is_old) ||
                  w->has_new_split;
    if (debug)
        debug->is_used = true;
    if (!is_new || role_of(m) == 'z' || (role_of(m) == 'd' && m->is_used))
        return true;
    if (!symkey_of_module(m->fields[FACT_NAME], m->fields[FACT_ID], &key, ERR_IGNORED)) {
        w->visitor->problem(w->visitor->arg, w->inputs[m->input].name,
                            "its own name or id cannot name symbols", true);
        return true;
    }
    if (!w->visitor->wants(w->visitor->arg, &key, has_debug(m) || debug))
        return true;
    return make_text(w, m, debug, err);
}

/* One file as it is, behind its size and padded to the next number. */
static bool add_to_bundle(int to, int from, struct err *err)
{
    static const char zeros[8];
    FREE_LATER char *piece = xmalloc(PIECE_BYTES);
    struct stat st;
    if (fstat(from, &st) != 0)
        return err_errno(err, errno, "split debug information");
    uint64_t size = (uint64_t)st.st_size, left = size;
    bool ok = fs_write_all(to, &size, sizeof size, "split debug information", err);
    while (ok && left > 0) {
        ssize_t n = read(from, piece, MIN(left, (uint64_t)PIECE_BYTES));
        if (n <= 0)
            return err_set(err, ERR_IO, "split debug information changed while it was read");
        ok = fs_write_all(to, piece, (size_t)n, "split debug information", err);
        left -= (uint64_t)n;
    }
    return ok && fs_write_all(to, zeros, (8 - size % 8) % 8, "split debug information", err);
}

/*
 * All .dwo files and packages, for every module: which units are whose is told by ids inside, and a
 * module may have thousands of them.
 */
static bool bundle_split(struct native_work *w, struct err *err)
{
    for (size_t i = 0; i < w->parts.n; i++) {
        const struct native_part *p = &w->parts.v[i];
        if (role_of(p) != 's')
            continue;
        FD_AUTO fd = open_input(w, p->input, ERR_IGNORED);
        if (w->split < 0 && !symbytes_temp(w->temp_dir, &w->split, err))
            return false;
        if (fd >= 0 && !add_to_bundle(w->split, fd, err))
            return false;
        w->has_new_split |= !w->inputs[p->input].is_old;
    }
    return true;
}

/* Programs first: they say which debug files are theirs. */
static bool convert_parts(struct native_work *w, struct err *err)
{
    static const char roles[] = {'m', 'd'};
    for (size_t k = 0; k < ARRAY_LEN(roles); k++)
        for (size_t i = 0; i < w->parts.n; i++)
            if (role_of(&w->parts.v[i]) == roles[k] && !convert_part(w, &w->parts.v[i], err))
                return false;
    return true;
}

bool symnative_convert(const struct symnative_input *inputs, size_t n, const char *temp_dir,
                       const struct symnative_visitor *v, struct err *err)
{
    struct native_work w = {.inputs = inputs, .temp_dir = temp_dir, .visitor = v, .split = -1};
    bool ok = n == 0 || child_find("datil-dump-syms", w.program, err);
    for (size_t i = 0; ok && i < n; i++)
        ok = add_facts(&w, i, err);
    ok = ok && bundle_split(&w, err) && convert_parts(&w, err);
    util_close_fd(&w.split);
    for (size_t i = 0; i < w.parts.n; i++)
        free(w.parts.v[i].line);
    VEC_RELEASE(&w.parts);
    return ok;
}
