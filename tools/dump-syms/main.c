/*
 * datil-dump-syms - the symbols of an ELF file as Breakpad text.
 *
 * The file may be hostile and elfutils is a big library, so each file is read in a child with
 * limits; the worst of files ends in a message and status 1.  A build that uploads symbols wants to
 * know when they are worse than they should be: then they are written all the same, and the status
 * is 3.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/util.h"
#include "tools/dump-syms/module.h"

/* Exit statuses; a worse one has the lower number, except for usage, which comes alone. */
enum { STATUS_GOOD, STATUS_FAILED, STATUS_USAGE, STATUS_INCOMPLETE };

static const char usage[] =
    "usage: datil-dump-syms [options] FILE...\n"
    "  -o FILE            write to FILE instead of standard output\n"
    "  --store DIR        write DIR/<name>/<debug id>/<name>.sym and print that path\n"
    "  --debug-file FILE  debug information of the (one) file\n"
    "  --debug-dir DIR    where separate debug information lies (/usr/lib/debug)\n"
    "  --name NAME        name of the module (default: its SONAME; without one that of the\n"
    "                     file, links resolved)\n"
    "  --no-cfi           leave out STACK CFI records\n"
    "  --memory-gib N     limit of memory (16)    --seconds N  of processor time (1800)\n"
    "  --help | --version\n"
    "Exit status: 0; 1 a file cannot be read or written; 2 usage; 3 symbols were written, but "
    "debug\n"
    "information was there and could not be read (standard error says which).\n";

struct options {
    struct image_options image;
    const char *output, *store;
    const char *memory_gib, *seconds;
    bool no_cfi;
    const char **files; /* owned; borrowed texts */
    size_t file_count;
};

static bool take_option(struct options *o, const char *name, const char *value)
{
    const struct {
        const char *name;
        const char **field;
    } table[] = {
        {"-o", &o->output},
        {"--store", &o->store},
        {"--debug-file", &o->image.debug_file},
        {"--debug-dir", &o->image.debug_dir},
        {"--name", &o->image.name},
        {"--memory-gib", &o->memory_gib},
        {"--seconds", &o->seconds},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (value && strcmp(name, table[i].name) == 0) {
            *table[i].field = value;
            return true;
        }
    return false;
}

static bool parse(int argc, char **argv, struct options *o, struct err *err)
{
    o->files = xcalloc((size_t)argc, sizeof *o->files);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--no-cfi") == 0)
            o->no_cfi = true;
        else if (argv[i][0] != '-')
            o->files[o->file_count++] = argv[i];
        else if (take_option(o, argv[i], argv[i + 1]))
            i++;
        else
            return err_set(err, ERR_INVALID, "cannot use %s", argv[i]);
    }
    if (o->file_count == 0)
        return err_set(err, ERR_INVALID, "no file given");
    if (o->file_count > 1 && (o->output || o->image.debug_file || o->image.name || !o->store))
        return err_set(err, ERR_INVALID,
                       "several files need --store and no option of a single one");
    return true;
}

static void say_what_is_missing(const struct image *i, const char *path, const struct sym *s)
{
    struct str rest = sb_view(&i->problems), line;
    while (str_split(&rest, '\n', &line))
        if (line.n)
            fprintf(stderr, "datil-dump-syms: " STR_FMT "\n", STR_ARG(line));
    if (!i->dwarf && i->problems.n == 0)
        fprintf(stderr, "datil-dump-syms: %s: no debug information, only names of symbols\n", path);
    if (s->skipped_expressions || s->skipped_frames)
        fprintf(stderr,
                "datil-dump-syms: %s: left out %zu unwind expressions and %zu unwind entries\n",
                path, s->skipped_expressions, s->skipped_frames);
}

/* Path below the store; the file appears there complete or not at all. */
static bool store_file(const struct options *o, const struct sym *s, struct err *err)
{
    char folder[PATH_MAX], temp[PATH_MAX + 64], final[PATH_MAX + 300];
    size_t n = strlen(o->store);
    while (n > 1 && o->store[n - 1] == '/')
        n--;
    if (snprintf(folder, sizeof folder, "%.*s/%s/%s", (int)MIN(n, PATH_MAX), o->store, s->name,
                 s->debug_id) >= (int)sizeof folder)
        return err_set(err, ERR_INVALID, "the path of the store is too long");
    if (!fs_mkdirs(folder, 0755, err))
        return false;
    snprintf(temp, sizeof temp, "%s/.%016llx.tmp", folder, (unsigned long long)random_u64());
    snprintf(final, sizeof final, "%s/%s.sym", folder, s->name);
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

static bool write_output(const struct options *o, const struct sym *s, struct err *err)
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

static bool dump(const struct options *o, int *ret_status, struct err *err)
{
    struct image image;
    struct sym s;
    if (!module_read(&o->image, &image, &s, err))
        return false;
    s.no_cfi = o->no_cfi;
    say_what_is_missing(&image, o->image.path, &s);
    bool ok = write_output(o, &s, err);
    *ret_status = image.problems.n ? STATUS_INCOMPLETE : STATUS_GOOD;
    sym_release(&s);
    image_close(&image);
    return ok;
}

static bool limit(int what, const char *text, uint64_t fallback, uint64_t unit, const char *name,
                  struct err *err)
{
    uint64_t n = fallback;
    if (text && !str_to_u64(str_of(text), 10, 1 << 20, name, &n, err))
        return false;
    struct rlimit r = {n * unit, n * unit};
    return setrlimit(what, &r) == 0 || err_errno(err, errno, "setting limit %s", name);
}

static int child(const struct options *o)
{
    struct err err = {0};
    int status;
    signal(SIGPIPE, SIG_DFL); /* whoever reads no further has had enough: no damage */
#ifndef __SANITIZE_ADDRESS__  /* which maps terabytes */
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

static int dump_in_child(const struct options *o)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        int status = child(o);
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
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("datil-dump-syms " DATIL_VERSION);
        return 0;
    }
    struct options o = {0};
    struct err err = {0};
    if (!parse(argc, argv, &o, &err)) {
        fprintf(stderr, "datil-dump-syms: %s\n%s", err.msg, usage);
        free(o.files);
        return STATUS_USAGE;
    }
    int worst = STATUS_GOOD;
    for (size_t i = 0; i < o.file_count; i++) {
        o.image.path = o.files[i];
        int status = dump_in_child(&o);
        if (status != STATUS_GOOD && (worst == STATUS_GOOD || status < worst))
            worst = status;
    }
    free(o.files);
    return worst;
}
