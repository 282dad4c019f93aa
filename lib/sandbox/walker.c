/*
 * The parent's side of the walker: starts it, answers its questions for symbols, collects what it
 * writes, and kills it when time, bytes or questions run out.  The walker has read a stranger's
 * dump and may do anything its sandbox allows; so its output is bounded, parsed and checked like a
 * stranger's, and its end by whatever signal is a result and not an error of ours.
 */
#include "lib/sandbox/walker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "lib/base/arena.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/base/child.h"
#include "lib/symfile/symasked.h"
#include "lib/sandbox/wire.h"

/*
 * OUTPUT_MAX is REPORT_BYTES_MAX, the most that the walker writes by itself.  A JSON tree takes
 * some hundred bytes a value, so 6 Mi values bound the parsed result to about 600 MiB whatever the
 * walker sends.  Of the log the end is kept, where the reason stands.  A dump with symbols for
 * every one of its modules asks at most 4,096 times (WALK_SYMBOLS_FILES_MAX), so twice as many
 * questions are a walker gone wrong.
 */
enum {
    OUTPUT_MAX = 64 << 20,
    OUTPUT_VALUES_MAX = 6 << 20, /* a tree takes some hundred bytes per value */
    LOG_MAX = 64 << 10,
    REQUESTS_MAX = 8192,
    REFUSALS_MAX =
        1000, /* modules without symbols that are explained; programs load some hundred */
    TIMEOUT_DEFAULT_MS = 120 * 1000,
};
static const int64_t MEMORY_DEFAULT = INT64_C(1) << 30;

/* What the walker reads of the annotations: it gets these and no others. */
static const char *const annotation_keys[] = {"ModuleSignatureInfo", "CPUMicrocodeVersion"};

/* One walk in a child, from its start to its end. */
struct child_walk {
    const struct walker_options *opt;
    int64_t start_ms, timeout_ms;
    int64_t symbols_ms; /* spent by us on the walker's requests */
    pid_t pid;
    int sock, out, log; /* our ends; -1 when closed */
    int request_count;
    json_t *refusals; /* what was asked in vain: module_name() -> [{source, answer}] */
    struct strbuf output, log_text;
    const char *end; /* why it was killed, or NULL */
};

/* Our ends and the walker's of everything between us. */
struct ends {
    int dump, out[2], log[2], sock[2], annotations;
};

static void close_ends(struct ends *e)
{
    int *const all[] = {&e->out[0],  &e->out[1],  &e->log[0],     &e->log[1],
                        &e->sock[0], &e->sock[1], &e->annotations};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        util_close_fd(all[i]);
        *all[i] = -1;
    }
}

/* A file in memory with the annotations the walker may see; -1 if there are none of them. */
static bool annotations_file(const json_t *annotations, int *ret_fd, struct err *err)
{
    json_auto_t *part = json_object();
    for (size_t i = 0; i < ARRAY_LEN(annotation_keys); i++) {
        json_t *v = json_object_get(annotations, annotation_keys[i]);
        if (v)
            json_object_set(part, annotation_keys[i], v);
    }
    if (json_object_size(part) == 0)
        return true;
    size_t n;
    FREE_LATER char *text = jdump(part, &n);
    int fd = memfd_create("annotations", MFD_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "memfd_create");
    if (!fs_write_all(fd, text, n, "annotations", err)) {
        close(fd);
        return false;
    }
    *ret_fd = fd;
    return true;
}

static bool make_ends(int dump_fd, const json_t *annotations, struct ends *e, struct err *err)
{
    e->dump = dump_fd;
    if (pipe2(e->out, O_CLOEXEC) != 0 || pipe2(e->log, O_CLOEXEC) != 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, e->sock) != 0)
        return err_errno(err, errno, "descriptors of the walker");
    return annotations_file(annotations, &e->annotations, err);
}

/*
 * Limits of time and memory are passed to the walker, which sets them on itself before it reads a
 * byte; time is watched here as well.
 */
static bool start_walker(struct child_walk *walk, struct ends *e, struct err *err)
{
    char beside[PATH_MAX], memory[32], cpu[32];
    const char *program = walk->opt->program;
    if (!program) {
        if (!child_find("datil-stackwalk", beside, err))
            return false;
        program = beside;
    }
    int64_t memory_bytes = walk->opt->memory_bytes > 0 ? walk->opt->memory_bytes : MEMORY_DEFAULT;
    snprintf(memory, sizeof memory, "%lld", (long long)memory_bytes);
    snprintf(cpu, sizeof cpu, "%lld", (long long)walk->timeout_ms / 1000 + 1);
    const char *const argv[] = {
        "datil-stackwalk", "--sandbox", "--memory-bytes", memory, "--cpu-s", cpu, NULL};
    const struct child_fd fds[] = {{e->dump, WIRE_FD_DUMP},
                                   {e->out[1], STDOUT_FILENO},
                                   {e->log[1], STDERR_FILENO},
                                   {e->sock[1], WIRE_FD_SOCKET},
                                   {e->annotations, WIRE_FD_ANNOTATIONS}};
    /* Without annotations there is no such descriptor. */
    if (!child_start(program, argv, fds, ARRAY_LEN(fds) - (e->annotations < 0), &walk->pid, err))
        return false;
    walk->out = TAKE_FD(e->out[0]);
    walk->log = TAKE_FD(e->log[0]);
    walk->sock = TAKE_FD(e->sock[0]);
    return true;
}

static void hang_up(int *fd)
{
    util_close_fd(fd);
    *fd = -1;
}

/* Reads what is there; closes at the end. */
static void drain(int *fd, struct strbuf *into)
{
    char buf[65536];
    ssize_t n = read(*fd, buf, sizeof buf);
    if (n > 0)
        sb_put(into, buf, (size_t)n);
    else if (n == 0 || errno != EINTR)
        hang_up(fd);
}

/* What a module is called in questions and in the report alike; new. */
static json_t *module_name(struct str code_file, struct str debug_file, struct str debug_id)
{
    if (debug_file.n == 0)
        debug_file = code_file;
    STRBUF_AUTO name;
    sb_init(&name, 4 * WIRE_TEXT_MAX);
    sb_printf(&name, STR_FMT "/" STR_FMT "/" STR_FMT, STR_ARG(code_file), STR_ARG(debug_file),
              STR_ARG(debug_id));
    return jtext(sb_view(&name));
}

/* Keeps why the symbols of a module cannot be used, for the report. */
static void note_refusal(struct child_walk *walk, const struct symfind_key *key,
                         const struct symfind_result *found)
{
    if (found->state == SYMFIND_LOADED || json_object_size(walk->refusals) >= REFUSALS_MAX)
        return;
    json_auto_t *name = module_name(key->code_file, key->debug_file, key->debug_id);
    json_t *asked = json_array();
    for (size_t i = 0; i < found->asked_count; i++) {
        json_t *one = json_object();
        jset_cstr(one, "source", found->asked[i].source);
        jset_cstr(one, "answer", symfind_answer_text(found->asked[i].answer));
        json_array_append_new(asked, one);
    }
    json_object_set_new(walk->refusals, json_string_value(name), asked);
}

/*
 * Replaces what the walker says about refused symbols by what we noted ourselves: only we know what
 * was asked.
 */
static void explain_modules(const struct child_walk *walk, const json_t *dump)
{
    size_t i;
    json_t *module;
    json_array_foreach (jget_arr(dump, "modules"), i, module) {
        json_auto_t *name =
            module_name(jget_strn(module, "filename"), jget_strn(module, "debug_file"),
                        jget_strn(module, "debug_id"));
        json_t *asked = json_object_get(walk->refusals, json_string_value(name));
        json_object_del(module, "symbols_asked");
        if (asked && (jget_bool_or(module, "missing_symbols", false) ||
                      jget_bool_or(module, "corrupt_symbols", false)))
            json_object_set(module, "symbols_asked", asked);
    }
}

/*
 * The time that all modules may take together is spent by whoever comes first: the modules of a
 * crashing stack are asked for in its order, so what is lost are the deep frames.
 */
static void find_symbols(const struct child_walk *walk, const struct symfind_key *key,
                         int64_t now_ms, struct symfind_result *ret)
{
    int64_t left = MAX(walk->opt->symbols_wait_ms - walk->symbols_ms, (int64_t)0);
    if (walk->opt->symbols_wait_ms == 0)
        symfind_get(walk->opt->symbols, key, ret);
    else
        symfind_get_until(walk->opt->symbols, key, now_ms + left, ret);
}

/*
 * A malformed packet ends the conversation and not the walk: without symbols it still has stacks.
 */
static void serve_request(struct child_walk *walk)
{
    char buf[WIRE_PACKET_MAX];
    struct symfind_key key;
    struct err why = {0};
    if (!wire_receive(walk->sock, buf, &key, &why)) {
        if (why.code != ERR_NOT_FOUND)
            log_event(LOG_WARN, "walker_request", "bad request of a walker", LOG_E(&why));
        hang_up(&walk->sock);
        return;
    }
    int64_t start_ms = mono_ms();
    struct symfind_result found = {.state = SYMFIND_MISSING, .fd = -1};
    if (walk->opt->symbols && walk->request_count++ < REQUESTS_MAX)
        find_symbols(walk, &key, start_ms, &found);
    walk->symbols_ms += mono_ms() - start_ms;
    note_refusal(walk, &key, &found);
    if (!wire_answer(walk->sock, &found, &why))
        hang_up(&walk->sock);
    util_close_fd(&found.fd);
}

/*
 * The time that we take for its symbols is not the walker's, up to the time that we wait, or as
 * much again as it may take itself.
 */
static int left_ms(const struct child_walk *walk)
{
    int64_t most = MAX(walk->timeout_ms, (int64_t)walk->opt->symbols_wait_ms);
    int64_t allowed = walk->timeout_ms + MIN(walk->symbols_ms, most);
    int64_t left = walk->start_ms + allowed - mono_ms();
    return (int)MAX(MIN(left, (int64_t)INT32_MAX), (int64_t)0);
}

/*
 * All three descriptors are served until output and log are closed; the walker closes them by
 * ending.  Whatever happens, the loop is left at the time limit.
 */
static void serve_until_end(struct child_walk *walk)
{
    while (!walk->end && (walk->out >= 0 || walk->log >= 0)) {
        struct pollfd fds[] = {{.fd = walk->out, .events = POLLIN},
                               {.fd = walk->log, .events = POLLIN},
                               {.fd = walk->sock, .events = POLLIN}};
        int ms = left_ms(walk);
        if (ms == 0) {
            walk->end = "killed at the time limit";
            return;
        }
        if (poll(fds, ARRAY_LEN(fds), ms) <= 0)
            continue; /* time is up or a signal came: look again */
        if (fds[0].revents)
            drain(&walk->out, &walk->output);
        if (fds[1].revents)
            drain(&walk->log, &walk->log_text);
        if (fds[2].revents)
            serve_request(walk);
        if (walk->output.overflow)
            walk->end = "killed for too much output";
    }
}

/* Its pipes are closed; it has nothing left to do but to exit. */
static int wait_for_exit(struct child_walk *walk)
{
    int status;
    const struct timespec pause = {.tv_nsec = 100 * 1000};
    if (walk->end)
        kill(walk->pid, SIGKILL);
    for (;;) {
        pid_t done = waitpid(walk->pid, &status, walk->end ? 0 : WNOHANG);
        if (done == walk->pid)
            return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
        if (done < 0 && errno != EINTR)
            return -SIGKILL; /* somebody else reaped it */
        if (!walk->end && left_ms(walk) == 0) {
            walk->end = "killed at the time limit";
            kill(walk->pid, SIGKILL);
        } else if (!walk->end) {
            nanosleep(&pause, NULL);
        }
    }
}

/* Counted before parsing, as an upper bound: commas and brackets inside of texts count as well. */
static bool has_few_values(struct str text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == ',' || text.p[i] == '[' || text.p[i] == '{';
    return n <= OUTPUT_VALUES_MAX;
}

static void finish_walk(struct child_walk *walk, struct walker_result *ret)
{
    if (walk->end)
        sb_printf(&walk->log_text, "%sERROR %s\n",
                  walk->log_text.n && walk->log_text.p[walk->log_text.n - 1] != '\n' ? "\n" : "",
                  walk->end);
    /* The end of the log says why; it becomes part of a report, so it must be clean text. */
    struct str log = sb_view(&walk->log_text);
    if (log.n > LOG_MAX)
        log = str_sub(log, log.n - LOG_MAX, LOG_MAX);
    struct arena a;
    arena_init(&a, (size_t)LOG_MAX * 3 + 4096);
    ret->log = str_dup(utf8_clean(&a, log));
    arena_release(&a);

    struct str output = sb_view(&walk->output);
    if (ret->exit_code == 0 && has_few_values(output)) {
        json_t *dump = jparse_given(output, OUTPUT_MAX, ERR_IGNORED);
        if (json_is_object(dump)) {
            explain_modules(walk, dump);
            ret->json_dump = dump;
        } else {
            json_decref(dump);
        }
    }
    ret->is_output_json = ret->json_dump != NULL;
    const char *version = jpath_str(ret->json_dump, "walker.version");
    snprintf(ret->version, sizeof ret->version, "%s",
             version ? version : "datil-stackwalk " DATIL_VERSION);
    ret->elapsed_ms = mono_ms() - walk->start_ms;
}

bool walker_run(const struct walker_options *opt, int dump_fd, const json_t *annotations,
                struct walker_result *ret, struct err *err)
{
    struct child_walk walk = {
        .opt = opt,
        .start_ms = mono_ms(),
        .timeout_ms = opt->timeout_ms > 0 ? opt->timeout_ms : TIMEOUT_DEFAULT_MS,
        .sock = -1,
        .out = -1,
        .log = -1,
    };
    struct ends ends = {-1, {-1, -1}, {-1, -1}, {-1, -1}, -1};
    bool started = make_ends(dump_fd, annotations, &ends, err) && start_walker(&walk, &ends, err);
    close_ends(&ends); /* the walker's ends, so that we see it hang up */
    if (!started)
        return err_wrap(err, "walker");

    struct walker_result result = {0};
    sb_init(&walk.output, OUTPUT_MAX);
    sb_init(&walk.log_text, 16 * LOG_MAX);
    walk.refusals = json_object();
    serve_until_end(&walk);
    result.exit_code = wait_for_exit(&walk);
    finish_walk(&walk, &result);
    hang_up(&walk.out);
    hang_up(&walk.log);
    hang_up(&walk.sock);
    sb_release(&walk.output);
    sb_release(&walk.log_text);
    json_decref(walk.refusals);
    *ret = result;
    return true;
}

void walker_result_release(struct walker_result *r)
{
    json_decref(r->json_dump);
    free(r->log);
    *r = (struct walker_result){0};
}
