/*
 * Whole ELF files with their debug information, through everything that datil-dump-syms does with
 * them.  The file is its own package of split units too (FILE.dwp is a link to it), so that one
 * input reaches the reader of packages.
 *
 * elfutils is not ours, and hostile files can crash it: that is why the tool reads each file in a
 * child.  Nothing of ours is called by elfutils, so a fault with a frame of libdw or libelf on the
 * stack is theirs: the handler below sees such a frame and gives the input up.  A report of the
 * sanitizers that shows one of these libraries in its stack, or a timeout inside them, is theirs in
 * the same way; everything else is ours.
 */
#include <assert.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/util.h"
#include "tools/dump-syms/module_symbols.h"

enum { FRAMES_MAX = 64, HANDLER_STACK = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

static struct {
    char folder[64], path[80], package[88];
    sigjmp_buf give_up;
    struct sigaction before[ARRAY_LEN(faults)]; /* libFuzzer's: they write the input to a file */
    uint8_t stack[HANDLER_STACK];
    bool is_ready;
} run;

static bool is_elfutils(void *address)
{
    Dl_info info;
    return dladdr(address, &info) && info.dli_fname &&
           (strstr(info.dli_fname, "libdw") || strstr(info.dli_fname, "libelf"));
}

static void on_fault(int number)
{
    void *frames[FRAMES_MAX];
    int n = backtrace(frames, FRAMES_MAX);
    for (int i = 0; i < n; i++)
        if (is_elfutils(frames[i]))
            siglongjmp(run.give_up, 1);
    for (size_t i = 0; i < ARRAY_LEN(faults); i++)
        if (faults[i] == number)
            sigaction(number, &run.before[i], NULL);
    raise(number);
}

static void remove_folder(void)
{
    fs_remove_tree(run.folder, ERR_IGNORED);
}

/* On the first input, because libFuzzer installs its own handlers before that. */
static void prepare(void)
{
    if (run.is_ready)
        return;
    run.is_ready = true;
    snprintf(run.folder, sizeof run.folder, "/tmp/datil-fuzz-XXXXXX");
    assert(mkdtemp(run.folder));
    snprintf(run.path, sizeof run.path, "%s/m", run.folder);
    snprintf(run.package, sizeof run.package, "%s/m.dwp", run.folder);
    atexit(remove_folder);
    void *first[1];
    backtrace(first, 1); /* loads what it needs now, not in the handler */
    /* On a stack of its own, because endless recursion is one of the faults. */
    stack_t own = {.ss_sp = run.stack, .ss_size = sizeof run.stack};
    assert(sigaltstack(&own, NULL) == 0);
    struct sigaction a = {.sa_handler = on_fault, .sa_flags = SA_NODEFER | SA_ONSTACK};
    for (size_t i = 0; i < ARRAY_LEN(faults); i++)
        sigaction(faults[i], &a, &run.before[i]);
}

/* What is written can be read again by the rules of the format. */
static void check(const struct sym *s)
{
    for (size_t i = 0; i < s->funcs.n; i++) {
        const struct sym_func *f = &s->funcs.v[i];
        assert(f->size > 0 && f->name < s->names.texts.n);
        assert(f->first_line <= s->lines.n && f->line_count <= s->lines.n - f->first_line);
        assert(i == 0 || s->funcs.v[i - 1].addr + s->funcs.v[i - 1].size <= f->addr);
        for (size_t k = 0; k < f->line_count; k++)
            assert(s->lines.v[f->first_line + k].file < s->files.texts.n);
    }
}

static void read_module(void)
{
    struct image_options o = {.path = run.path, .name = "m", .debug_dir = "/nonexistent"};
    struct dumped_module m;
    struct err err = {0};
    if (!module_read(&o, &m, &err)) {
        assert(err.code != ERR_NONE && err.msg[0]);
        return;
    }
    check(&m.sym);
    FILE *out = fopen("/dev/null", "we");
    if (out) {
        sym_write(&m.sym, out, ERR_IGNORED);
        fclose(out);
    }
    module_release(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    prepare();
    unlink(run.path);
    FD_AUTO fd = open(run.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert(fd >= 0 && fs_write_all(fd, data, size, run.path, ERR_IGNORED));
    if (access(run.package, F_OK) != 0 && symlink("m", run.package) != 0)
        assert(access(run.package, F_OK) == 0);
    if (sigsetjmp(run.give_up, 1) == 0)
        read_module();
    return 0;
}
