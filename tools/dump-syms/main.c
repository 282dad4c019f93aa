/*
 * datil-dump-syms - the symbols of a program, library or debug file as Breakpad text.
 *
 * The file may be hostile and elfutils is a big library, so each file is read in a child with
 * limits; the worst of files ends in a message and status 1.  A build that uploads symbols wants to
 * know when they are worse than they should be: then they are written all the same, and the status
 * is 3.
 *
 * Several files are read one after the other, a child for each, so that a damaged one costs nothing
 * but its own symbols.  The parent never touches a byte of a file: what it knows of a child is its
 * exit status, or the signal that ended it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/opts.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/symfile/symnative.h"
#include "tools/dump-syms/image.h"
#include "tools/dump-syms/module_symbols.h"
#include "tools/dump-syms/native_child.h"
#include "tools/dump-syms/sym.h"

/* Exit statuses; a worse one has the lower number, except for usage, which comes alone. */
enum { STATUS_GOOD, STATUS_FAILED, STATUS_USAGE, STATUS_INCOMPLETE };

/* The defaults that are named here (16 GiB, 1800 s) are those that child() sets: change both. */
static const char usage[] =
    "usage: datil-dump-syms [options] FILE...\n"
    "Turns programs, libraries and debug files into symbol files: ELF (DWARF), PE and PDB of\n"
    "Windows, Mach-O and dSYM of macOS; also packed with gzip, xz or zstd.\n"
    "  -o FILE            write to FILE instead of standard output\n"
    "  --store DIR        write DIR/<name>/<debug id>/<name>.sym and print that path\n"
    "  --debug-file FILE  debug information of the (one) file\n"
    "  --debug-dir DIR    where separate debug information lies (/usr/lib/debug)\n"
    "  --name NAME        name of the module (default: its SONAME, or that of its PDB; without\n"
    "                     one that of the file, links resolved)\n"
    "  --arch NAME        x86_64 or arm64, of a universal file of macOS; --store takes all\n"
    "  --no-cfi           leave out STACK CFI records\n"
    "  --memory-gib N     limit of memory (16)    --seconds N  of processor time (1800)\n"
    "  --help | --version\n"
    "Exit status: 0; 1 a file cannot be read or written; 2 usage; 3 symbols were written, but "
    "debug\n"
    "information was there and could not be read (standard error says which).\n";

struct dump_syms_options {
    enum { MODE_DUMP, MODE_HELP, MODE_VERSION } mode;
    struct image_options image;
    const char *output, *store;
    const char *memory_gib, *seconds;
    bool no_cfi;
    bool with_parent; /* ends when the process that started it does */
};

/*
 * Options of one file (its output, its debug file, its name) make no sense for several, and
 * standard output cannot hold more than one symbol file; both are refused rather than guessed at.
 */
static bool read_options(struct args *args, struct dump_syms_options *o, struct err *err)
{
    const struct opt opts[] = {
        {"-o", OPT_TEXT, &o->output},
        {"--store", OPT_TEXT, &o->store},
        {"--debug-file", OPT_TEXT, &o->image.debug_file},
        {"--debug-dir", OPT_TEXT, &o->image.debug_dir},
        {"--name", OPT_TEXT, &o->image.name},
        {"--arch", OPT_TEXT, &o->image.arch},
        {"--memory-gib", OPT_TEXT, &o->memory_gib},
        {"--seconds", OPT_TEXT, &o->seconds},
        {"--no-cfi", OPT_FLAG, &o->no_cfi},
        {"--with-parent", OPT_FLAG, &o->with_parent}, /* not for people: see symfile/elfdump.c */
        {"--help", OPT_CHOICE, &(struct opt_choice){&o->mode, MODE_HELP, NULL}},
        {"--version", OPT_CHOICE, &(struct opt_choice){&o->mode, MODE_VERSION, NULL}},
    };
    if (!OPTS_PARSE(opts, args, 0, -1, err))
        return args->bad ? err_set(err, ERR_INVALID, "cannot use %s", args->bad) : false;
    if (o->mode != MODE_DUMP)
        return true;
    if (args->n == 0)
        return err_set(err, ERR_INVALID, "no file given");
    if (args->n > 1 && (o->output || o->image.debug_file || o->image.name || !o->store))
        return err_set(err, ERR_INVALID,
                       "several files need --store and no option of a single one");
    return true;
}

/*
 * Problems that make the symbols worse than they could be.  Without debug information the file is
 * still good for something, which is why that alone is said and does not change the status.  What
 * the text of STACK CFI cannot say is a number only, and does not change the status either: nobody
 * who builds the file can mend it.
 */
static void say_lines(const struct strbuf *b)
{
    struct str rest = sb_view(b), line;
    while (str_split(&rest, '\n', &line))
        if (line.n)
            fprintf(stderr, "datil-dump-syms: " STR_FMT "\n", STR_ARG(line));
}

static void say_what_is_missing(const struct dumped_module *m, const char *path)
{
    const struct sym *s = &m->sym;
    say_lines(&m->problems);
    say_lines(&m->notes);
    if (!m->has_debug_info && m->problems.n == 0)
        fprintf(stderr, "datil-dump-syms: %s: no debug information, only names of symbols\n", path);
    if (s->skipped_expressions || s->skipped_frames)
        fprintf(stderr,
                "datil-dump-syms: %s: left out %zu unwind expressions and %zu unwind entries\n",
                path, s->skipped_expressions, s->skipped_frames);
}

/* Path below the store; the file appears there complete or not at all. */
static bool store_file(const struct dump_syms_options *o, const struct sym *s, struct err *err)
{
    char folder[PATH_MAX], temp[PATH_MAX + 64], final[PATH_MAX + 301], file[300];
    size_t n = strlen(o->store);
    while (n > 1 && o->store[n - 1] == '/')
        n--;
    if (snprintf(folder, sizeof folder, "%.*s/%s/%s", (int)MIN(n, PATH_MAX), o->store, s->name,
                 s->debug_id) >= (int)sizeof folder)
        return err_set(err, ERR_INVALID, "the path of the store is too long");
    if (!fs_mkdirs(folder, 0755, err))
        return false;
    snprintf(temp, sizeof temp, "%s/.%016llx.tmp", folder, (unsigned long long)random_u64());
    sym_file_name(s, file);
    snprintf(final, sizeof final, "%s/%s", folder, file);
    FILE *out = fopen(temp, "we");
    if (!out)
        return err_errno(err, errno, "creating %s", temp);
    bool ok = sym_write(s, out, err);
    if (fclose(out) != 0 && ok)
        ok = err_errno(err, errno, "writing %s", temp);
    if (ok && rename(temp, final) != 0)
        ok = err_errno(err, errno, "renaming %s", temp);
    if (ok)
        puts(final);
    else
        unlink(temp);
    return ok;
}

/*
 * A file given with -o is written in place: whoever names it owns it, unlike a file of the store,
 * where servers may read at any time.
 */
static bool write_output(const struct dump_syms_options *o, const struct sym *s, struct err *err)
{
    if (o->store)
        return store_file(o, s, err);
    if (!o->output)
        return sym_write(s, stdout, err);
    FILE *out = fopen(o->output, "we");
    if (!out)
        return err_errno(err, errno, "creating %s", o->output);
    bool ok = sym_write(s, out, err);
    if (fclose(out) != 0 && ok)
        ok = err_errno(err, errno, "writing %s", o->output);
    return ok;
}

static bool dump_part(const struct dump_syms_options *o, const struct image_options *image,
                      int *ret_status, size_t *ret_parts, struct err *err)
{
    struct dumped_module m;
    if (!module_read(image, &m, err))
        return false;
    bool ok = m.parts == 1 || o->store ||
              err_set(err, ERR_INVALID,
                      "%s: holds symbols of several processors: choose with --arch, or take all "
                      "with --store",
                      image->path);
    if (ok) {
        m.sym.no_cfi = o->no_cfi;
        say_what_is_missing(&m, image->path);
        ok = write_output(o, &m.sym, err);
        if (m.problems.n)
            *ret_status = STATUS_INCOMPLETE;
    }
    *ret_parts = m.parts;
    module_release(&m);
    return ok;
}

/* A universal file has a symbol file for each of its parts. */
static bool dump(const struct dump_syms_options *o, int *ret_status, struct err *err)
{
    struct image_options image = o->image;
    *ret_status = STATUS_GOOD;
    for (size_t parts = 1; image.part < parts; image.part++)
        if (!dump_part(o, &image, ret_status, &parts, err))
            return false;
    return true;
}

/*
 * Soft and hard limit are the same: a child of elfutils' cannot raise it again.  Of processor time
 * the hard one is a second later, or the kernel would say SIGKILL instead of SIGXCPU.  Beyond 2^20
 * the number is refused, so n * unit cannot wrap.
 */
static bool limit(int what, const char *text, uint64_t fallback, uint64_t unit, const char *name,
                  struct err *err)
{
    uint64_t n = fallback;
    if (text && !str_to_u64(str_of(text), 10, 1 << 20, name, &n, err))
        return false;
    struct rlimit r = {n * unit, n * unit + (what == RLIMIT_CPU)};
    return setrlimit(what, &r) == 0 || err_errno(err, errno, "setting limit %s", name);
}

/*
 * Memory is limited as address space, because that is what the kernel can limit; the file is mapped
 * and counts as well.  Sixteen gigabytes is what the symbols' arena may grow to (sym_init).  Time
 * is processor time and not time on the wall, so that a busy build machine refuses nothing.
 */
static int be_the_reader(const struct dump_syms_options *o)
{
    struct err err = {0};
    int status;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody would tell how it ended */
    signal(SIGPIPE, SIG_DFL);         /* whoever reads no further has had enough: no damage */
#ifndef __SANITIZE_ADDRESS__          /* which maps terabytes */
    if (!limit(RLIMIT_AS, o->memory_gib, 16, (uint64_t)1 << 30, "--memory-gib", &err))
        goto fail;
#endif
    if (limit(RLIMIT_CPU, o->seconds, 1800, 1, "--seconds", &err) && dump(o, &status, &err))
        return status;
#ifndef __SANITIZE_ADDRESS__
fail:
#endif
    fprintf(stderr, "datil-dump-syms: %s\n", err.msg);
    return STATUS_FAILED;
}

/*
 * A child that is killed leaves no file in a store, at most a temporary one; with -o it may leave
 * half of one, and the status says so.  SIGXCPU is the limit of time; all other signals are told as
 * damage, since a fault of elfutils and a limit of memory look the same from here.
 */
static int dump_in_child(const struct dump_syms_options *o)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        int status = be_the_reader(o);
        fflush(NULL);
        _exit(status);
    }
    int status = 0;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (pid > 0 && WIFEXITED(status))
        return WEXITSTATUS(status);
    if (pid > 0 && WTERMSIG(status) == SIGPIPE)
        raise(SIGPIPE); /* ends us as it ends other tools, unless it is ignored */
    else
        fprintf(stderr, "datil-dump-syms: %s: %s\n", o->image.path,
                pid < 0                       ? "no process can be started"
                : WTERMSIG(status) == SIGXCPU ? "takes too long to read"
                                              : "cannot be read: damaged, or beyond the limits");
    return STATUS_FAILED;
}

int main(int argc, char **argv)
{
    struct args args = {.n = argc - 1, .v = argv + 1};
    struct dump_syms_options o = {0};
    struct err err = {0};
    if (argc > 1 && strcmp(argv[1], SYMNATIVE_OPTION) == 0)
        return sandboxed_run(argc - 2, argv + 2);
    if (!read_options(&args, &o, &err)) {
        fprintf(stderr, "datil-dump-syms: %s\n%s", err.msg, usage);
        return STATUS_USAGE;
    }
    if (o.with_parent)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (o.mode == MODE_HELP)
        return fputs(usage, stdout) < 0;
    if (o.mode == MODE_VERSION)
        return puts("datil-dump-syms " DATIL_VERSION) < 0;
    /* 1 is worse than 3: symbols that are missing outweigh symbols that are poor. */
    int worst = STATUS_GOOD;
    for (int i = 0; i < args.n; i++) {
        o.image.path = args.v[i];
        int status = dump_in_child(&o);
        if (status != STATUS_GOOD && (worst == STATUS_GOOD || status < worst))
            worst = status;
    }
    return worst;
}
