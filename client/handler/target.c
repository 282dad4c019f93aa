/*
 * The crashed process, stopped and readable: threads, memory map, memory.
 *
 * All threads are stopped with PTRACE_SEIZE, which sends no signal that the program could see, and
 * released at the end with the signals that came meanwhile, so a process that is only dumped runs
 * on as if nothing had happened.  The main thread may have ended while others run (then /proc/PID
 * has no map and no memory any more), so everything is read through a thread that is alive.
 *
 * Whatever cannot be read is left out of the dump: a dump without one thread's name is still worth
 * sending.
 */
#include "client/handler/target.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/time.h"
#include "lib/base/util.h"

/*
 * Two seconds: a thread in uninterruptible sleep (a dead network file system) does not stop at all,
 * and the crashed program waits for the dump.  Maps of 32 MiB are some 300,000 mappings; the kernel
 * allows 65,530 by default.
 */
enum { STOP_TIMEOUT_MS = 2000, PAGE = 4096, MAPS_TEXT_MAX = 32 << 20 };

void target_slurp(pid_t pid, const char *path, struct strbuf *b)
{
    char full[300];
    if (path[0] == '/')
        snprintf(full, sizeof full, "%s", path);
    else
        snprintf(full, sizeof full, "/proc/%d/%s", (int)pid, path);
    FD_AUTO fd = open(full, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    char chunk[16384];
    ssize_t n;
    while (!b->overflow && ((n = read(fd, chunk, sizeof chunk)) > 0 || (n < 0 && errno == EINTR)))
        if (n > 0)
            sb_put(b, chunk, (size_t)n);
}

bool target_stat(pid_t pid, const int *fields, size_t n, uint64_t *ret)
{
    STRBUF_AUTO stat;
    sb_init(&stat, 4096);
    target_slurp(pid, "stat", &stat);
    /* The name in parentheses may contain blanks and parentheses: start behind the last. */
    size_t close = str_rfind_char(sb_view(&stat), ')');
    if (close == SIZE_MAX)
        return false;
    struct str rest = str_sub(sb_view(&stat), close + 2, SIZE_MAX), word;
    size_t found = 0;
    for (int field = 3; found < n && str_split(&rest, ' ', &word); field++)
        if (field == fields[found] &&
            !str_to_u64(str_trim(word), 10, UINT64_MAX, "stat", &ret[found++], ERR_IGNORED))
            return false;
    return found == n;
}

/*
 * Waits until the thread reports its stop.  False: it is gone, or will not stop.
 * Instead of the stop that was asked for, the thread may report that a signal has
 * come; that signal is ours now, and must be passed on in the end.
 */
static bool wait_for_stop(pid_t tid, int64_t deadline_ms, int *ret_signal)
{
    for (useconds_t pause_us = 10;; pause_us = MIN(pause_us * 2, (useconds_t)2000)) {
        int status;
        pid_t got = waitpid(tid, &status, __WALL | WNOHANG);
        if (got == tid) {
            *ret_signal = status >> 16 == PTRACE_EVENT_STOP ? 0 : WSTOPSIG(status);
            return WIFSTOPPED(status);
        }
        if ((got < 0 && errno != EINTR) || mono_ms() > deadline_ms)
            return false;
        usleep(pause_us);
    }
}

/* Without PTRACE_O options nothing is changed in the program but that it stops. */
static bool ask_to_stop(pid_t tid)
{
    return ptrace(PTRACE_SEIZE, tid, NULL, NULL) == 0 &&
           ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) == 0;
}

static bool known(const struct target *t, pid_t tid)
{
    for (size_t i = 0; i < t->threads.n; i++)
        if (t->threads.v[i].tid == tid)
            return true;
    return false;
}

static void read_thread_name(pid_t pid, struct target_thread *thread)
{
    char path[64];
    snprintf(path, sizeof path, "task/%d/comm", (int)thread->tid);
    STRBUF_AUTO name;
    sb_init(&name, sizeof thread->name - 1);
    target_slurp(pid, path, &name);
    struct str s = str_rtrim(sb_view(&name));
    snprintf(thread->name, sizeof thread->name, STR_FMT, STR_ARG(s));
}

/* Asks every thread of /proc/PID/task that is not known yet; returns how many there were. */
static size_t ask_listed(struct target *t, DIR *tasks)
{
    size_t before = t->threads.n;
    struct dirent *e;
    rewinddir(tasks);
    while ((e = readdir(tasks)) && t->threads.n < TARGET_THREADS_MAX) {
        uint64_t tid;
        if (!str_to_u64(str_of(e->d_name), 10, INT32_MAX, "thread id", &tid, ERR_IGNORED) ||
            known(t, (pid_t)tid) || !ask_to_stop((pid_t)tid))
            continue;
        VEC_PUSH(&t->threads, ((struct target_thread){.tid = (pid_t)tid}));
    }
    return t->threads.n - before;
}

/*
 * All were asked before the first is waited for: they stop together, and nearly at once.
 * One that does not stop in time is left out; it stays traced until this process ends.
 */
static void collect_stopped(struct target *t, size_t first)
{
    int64_t deadline_ms = mono_ms() + STOP_TIMEOUT_MS;
    size_t kept = first;
    for (size_t i = first; i < t->threads.n; i++) {
        struct target_thread *thread = &t->threads.v[i];
        if (!wait_for_stop(thread->tid, deadline_ms, &thread->signal))
            continue;
        read_thread_name(t->pid, thread);
        t->threads.v[kept++] = *thread;
    }
    t->threads.n = kept;
}

/* Running threads may start others, so look again until a pass finds nothing new. */
static bool stop_all(struct target *t, struct err *err)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)t->pid);
    DIR *tasks = opendir(path);
    if (!tasks)
        return err_set(err, ERR_NOT_FOUND, "no process %d", (int)t->pid);
    errno = 0;
    size_t asked;
    while ((asked = ask_listed(t, tasks)) > 0)
        collect_stopped(t, t->threads.n - asked);
    int why = errno;
    closedir(tasks);
    if (t->threads.n == 0) {
        err_errno(err, why, "cannot stop any thread of process %d", (int)t->pid);
        if (why == EPERM || why == EACCES)
            err->code = ERR_FORBIDDEN;
        return false;
    }
    return true;
}

/* "start-end perms offset dev inode   path" */
static bool parse_mapping(struct str line, struct mapping *m, struct str *path)
{
    struct str word[5], range = line, start;
    for (size_t i = 0; i < ARRAY_LEN(word); i++)
        if (!str_split(&range, ' ', &word[i]))
            return false;
    *path = str_trim(range);
    struct str end = word[0];
    if (!str_split(&end, '-', &start) || word[1].n < 4)
        return false;
    m->readable = word[1].p[0] == 'r';
    m->writable = word[1].p[1] == 'w';
    m->executable = word[1].p[2] == 'x';
    return str_to_u64(start, 16, UINT64_MAX, "start", &m->start, ERR_IGNORED) &&
           str_to_u64(end, 16, UINT64_MAX, "end", &m->end, ERR_IGNORED) && m->start < m->end &&
           str_to_u64(word[2], 16, UINT64_MAX, "offset", &m->offset, ERR_IGNORED) &&
           str_to_u64(word[4], 10, UINT64_MAX, "inode", &m->inode, ERR_IGNORED);
}

void target_parse_maps(struct target *t)
{
    struct str rest = sb_view(&t->maps_text), line;
    /* Every path is a part of the text, so its size with a terminator each is enough. */
    t->paths = xmalloc(rest.n + 1);
    char *at = t->paths;
    while (str_split(&rest, '\n', &line) && t->maps.n < TARGET_MAPS_MAX) {
        struct mapping m = {0};
        struct str path;
        if (!parse_mapping(line, &m, &path))
            continue;
        if (path.n)
            memcpy(at, path.p, path.n);
        at[path.n] = '\0';
        m.path = at;
        at += path.n + 1; /* the line had blanks and numbers before it: there is room */
        VEC_PUSH(&t->maps, m);
    }
}

const struct mapping *target_mapping_from(const struct target *t, uint64_t addr)
{
    size_t low = 0, high = t->maps.n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (t->maps.v[mid].end <= addr)
            low = mid + 1;
        else
            high = mid;
    }
    return low < t->maps.n ? &t->maps.v[low] : NULL;
}

const struct mapping *target_mapping(const struct target *t, uint64_t addr)
{
    const struct mapping *m = target_mapping_from(t, addr);
    return m && m->start <= addr ? m : NULL;
}

/* One piece that does not cross a page unless everything is there. */
static ssize_t read_piece(const struct target *t, uint64_t addr, void *out, size_t n)
{
    struct iovec here = {out, n}, there = {(void *)(uintptr_t)addr, n};
    ssize_t got = process_vm_readv(t->alive, &here, 1, &there, 1, 0);
    if (got >= 0 || t->mem_fd < 0)
        return got;
    /* Some sandboxes forbid the system call; the tracer may always read this file. */
    return pread(t->mem_fd, out, n, (off_t)addr);
}

size_t target_read(const struct target *t, uint64_t addr, void *out, size_t n)
{
    size_t done = 0;
    if (n > UINT64_MAX - addr)
        n = (size_t)(UINT64_MAX - addr);
    while (done < n) {
        size_t left = n - done;
        ssize_t got = read_piece(t, addr + done, (char *)out + done, left);
        if (got <= 0) { /* all or nothing: try up to the end of this page */
            size_t page_left = PAGE - (size_t)((addr + done) % PAGE);
            if (page_left >= left)
                break;
            got = read_piece(t, addr + done, (char *)out + done, page_left);
            if (got <= 0)
                break;
        }
        done += (size_t)got;
    }
    return done;
}

/* arg_start, arg_end, env_start and env_end; zeros for whom the kernel does not tell. */
static void find_texts(struct target *t)
{
    static const int fields[] = {48, 49, 50, 51};
    uint64_t at[ARRAY_LEN(fields)];
    if (!target_stat(t->alive, fields, ARRAY_LEN(fields), at))
        return;
    t->arguments = (struct span){at[0], at[1]};
    t->environment = (struct span){at[2], at[3]};
}

bool target_open(pid_t pid, struct target *ret_target, struct err *err)
{
    struct target t = {.pid = pid, .mem_fd = -1};
    sb_init(&t.maps_text, MAPS_TEXT_MAX);
    if (!stop_all(&t, err)) {
        target_close(&t);
        return false;
    }
    t.alive = t.threads.v[0].tid;
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", (int)t.alive);
    t.mem_fd = open(path, O_RDONLY | O_CLOEXEC);
    target_slurp(t.alive, "maps", &t.maps_text);
    target_parse_maps(&t);
    find_texts(&t);
    *ret_target = t;
    return true;
}

void target_close(struct target *t)
{
    for (size_t i = 0; i < t->threads.n; i++)
        ptrace(PTRACE_DETACH, t->threads.v[i].tid, NULL, (void *)(intptr_t)t->threads.v[i].signal);
    if (t->mem_fd >= 0)
        close(t->mem_fd);
    VEC_RELEASE(&t->threads);
    VEC_RELEASE(&t->maps);
    sb_release(&t->maps_text);
    free(t->paths);
    t->paths = NULL;
}
