/*
 * The side of the program that holds a database connection or a crash.  Nothing of a stranger's
 * file is interpreted here: names come back as text and become keys by the same function as
 * names from anywhere, sizes and checksums are only passed on.
 *
 * A reader gets as much time for an answer as the work may need on a slow machine: a minute, and
 * a second for every 4 MiB of text (compressing takes most, at 20 MB/s and more).
 *
 * Requests and answers are in one order on one socket, so nothing says which answer is whose: the
 * n-th answer is that to the n-th request.  The queue of the socket holds what was asked ahead,
 * descriptors included; they are closed on this side at once.  The reader never asks back, so the
 * two cannot wait for each other as long as requests are few and small.
 *
 * How a reader ended says what was wrong: limits of the sandbox end it by a signal, and that is
 * the fault of the file (ERR_TOO_LARGE, ERR_INVALID), which is not tried again; a signal that an
 * administrator or the system sends is none (ERR_IO).
 */
#include "lib/symfile/symreader.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/base/rd.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/base/child.h"
#include "lib/symfile/symbytes.h"
#include "lib/symfile/symwire.h"

enum {
    /* Chosen: a minute, and a second for each 4 MiB of text.  Compiling is many times faster, so
     * whoever takes longer hangs. */
    ANSWER_MS = 60 * 1000,
    BYTES_PER_MS = 4 << 10,
    LEAVE_MS = 1000,           /* from closing its socket to its end */
    ZIP_MS = 600 * 1000,       /* inflating 20 GiB once for the checksums */
    IN_MEMORY_MAX = 4 << 20,   /* smaller texts need no scratch file */
    MEMBERS_MAX_HARD = 100000, /* ten times MEMBERS_MAX of symzip.c: such a reader is broken */
};

/* input is the caller's descriptor, kept to ask for the size of what is read. */
struct symreader {
    pid_t pid;
    int sock, input;
    char *temp_dir;
    int64_t text_bytes;  /* of the largest text in work, for the time it may take */
    unsigned unanswered; /* requests whose answers have not been taken */
    bool is_dead;
};

/* The reader gets its input as descriptor 0 and its socket as 3; 1 and 2 lead nowhere. */
bool symreader_start(int input_fd, const char *temp_dir, struct symreader **ret, struct err *err)
{
    char program[PATH_MAX];
    int pair[2];
    if (!child_find("datil-symreader", program, err))
        return false;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return err_errno(err, errno, "socket of the reader of symbols");
    FD_AUTO ours = pair[0], theirs = pair[1];
    const char *const argv[] = {"datil-symreader", NULL};
    const struct child_fd fds[] = {
        {input_fd, SYMWIRE_FD_INPUT}, {-1, 1}, {-1, 2}, {theirs, SYMWIRE_FD_SOCKET}};
    pid_t pid;
    if (!child_start(program, argv, fds, ARRAY_LEN(fds), &pid, err))
        return false;
    struct symreader *r = xcalloc(1, sizeof *r);
    *r = (struct symreader){
        .pid = pid, .sock = TAKE_FD(ours), .input = input_fd, .temp_dir = xstrdup(temp_dir)};
    *ret = r;
    return true;
}

pid_t symreader_pid(const struct symreader *r)
{
    return r->pid;
}

static int wait_for(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return status;
}

/*
 * Ends a reader, also one that is at work: what it writes to has no name yet, and its caller
 * discards it.
 */
void symreader_stop(struct symreader *r)
{
    if (!r)
        return;
    close(r->sock);
    if (!r->is_dead) {
        kill(r->pid, SIGKILL); /* it has nothing to finish */
        wait_for(r->pid);
    }
    free(r->temp_dir);
    free(r);
}

/*
 * Waits for a reader that was told to leave, or has left by itself, and returns its status.  -1: it
 * did not end within LEAVE_MS and was killed.
 */
static int reap(struct symreader *r, bool is_leaving)
{
    const struct timespec pause = {.tv_nsec = 1000 * 1000};
    int64_t end = mono_ms() + (is_leaving ? LEAVE_MS : 0);
    int status = 0;
    r->is_dead = true;
    while (mono_ms() < end) {
        if (waitpid(r->pid, &status, WNOHANG) == r->pid)
            return status;
        nanosleep(&pause, NULL);
    }
    kill(r->pid, SIGKILL);
    wait_for(r->pid);
    return -1;
}

/*
 * Says why the reader ended.  Signals that people and the system send are no fault of the file; all
 * others, the limits of the sandbox among them, are.
 */
static bool fail_of_dead_reader(struct symreader *r, struct err *err)
{
    int status = r->is_dead ? -1 : reap(r, true);
    int signal = status >= 0 && WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (signal == SIGXCPU)
        return err_set(err, ERR_TOO_LARGE, "reading the symbols took too long");
    if (signal == SIGABRT || signal == SIGXFSZ)
        return err_set(err, ERR_TOO_LARGE, "reading the symbols took too much memory or space");
    if (status >= 0 && child_was_stopped(status))
        return err_set(err, ERR_IO, "the reader of symbols was stopped");
    return err_set(err, ERR_INVALID, "the symbols cannot be read: their reader failed (%s %d)",
                   signal ? "signal" : "status",
                   signal || status < 0 ? signal : WEXITSTATUS(status));
}

/* The error for an answer that no reader of ours would give. */
static bool fail_of_wrong_answer(struct symreader *r, struct err *err)
{
    if (!r->is_dead)
        reap(r, false);
    return err_set(err, ERR_INVALID, "the symbols cannot be read");
}

/* A reader that is silent for too long is killed: it may be in a loop that a hostile file made. */
static bool receive(struct symreader *r, int64_t within_ms, uint8_t buf[SYMWIRE_PACKET_MAX],
                    struct rd *ret, struct err *err)
{
    int64_t end = mono_ms() + within_ms;
    struct pollfd p = {.fd = r->sock, .events = POLLIN};
    for (int64_t left = within_ms; left > 0; left = end - mono_ms())
        if (poll(&p, 1, (int)MIN(left, (int64_t)INT32_MAX)) > 0) {
            if (symwire_receive(r->sock, buf, ret, NULL, err))
                return true;
            return fail_of_dead_reader(r, err);
        }
    reap(r, false);
    return err_set(err, ERR_TOO_LARGE, "reading the symbols took too long");
}

/* Reads the status byte of an answer; a refusal of the reader becomes our error. */
static bool open_answer(struct symreader *r, struct rd *in, unsigned *ret_status, struct err *err)
{
    *ret_status = rd_u8(in);
    if (*ret_status != SYMWIRE_ERROR)
        return rd_ok(in) || fail_of_wrong_answer(r, err);
    unsigned code = rd_u8(in);
    struct str text = symwire_take_text(in);
    if (!rd_ok(in) || (code != ERR_TOO_LARGE && code != ERR_INVALID && code != ERR_IO))
        return err_set(err, ERR_INVALID, "the symbols cannot be read");
    struct arena a;
    arena_init(&a, 64 << 10);
    struct str clean = utf8_clean(&a, text);
    err_set(err, (enum err_code)code, STR_FMT, STR_ARG(clean));
    arena_release(&a);
    return false;
}

/* For any request about the text: reading, packing and compiling take a similar time. */
static int64_t answer_ms(const struct symreader *r)
{
    return ANSWER_MS + r->text_bytes / BYTES_PER_MS;
}

/* A dead reader is noticed here or when its answer is taken; either says how it ended. */
static bool ask(struct symreader *r, const struct symwire_out *out, int fd, struct err *err)
{
    if (r->is_dead || !symwire_send(r->sock, out, fd, ERR_IGNORED))
        return fail_of_dead_reader(r, err);
    r->unanswered++;
    return true;
}

/* The answer to the oldest request that has none: the reader works in order. */
static bool take_answer(struct symreader *r, uint8_t buf[SYMWIRE_PACKET_MAX], struct rd *ret,
                        struct err *err)
{
    unsigned status;
    if (r->is_dead)
        return fail_of_dead_reader(r, err);
    r->unanswered--;
    if (!receive(r, answer_ms(r), buf, ret, err) || !open_answer(r, ret, &status, err))
        return false;
    return status == SYMWIRE_OK || fail_of_wrong_answer(r, err);
}

/* ZIP: member by member.  The name becomes a key here as well: a reader that was taken over can
 * only name what an honest archive could. */
static bool take_member(struct rd *in, struct symreader_list *l, struct err *err)
{
    struct symreader_member m = {.index = l->members.n};
    m.is_ignored = rd_u8(in) != 0;
    m.size = rd_u64(in);
    struct str name = symwire_take_text(in);
    if (!rd_ok(in) || memchr(name.p, 0, name.n) || l->members.n >= MEMBERS_MAX_HARD ||
        (!m.is_ignored && !symzip_key(name, &m.key, ERR_IGNORED)))
        return err_set(err, ERR_INVALID, "the list of the archive cannot be read");
    m.name = str_dup(name);
    VEC_PUSH(&l->members, m);
    return true;
}

/* A packet for each member and one that ends the list; a reader that lies about names makes no
 * key. */
bool symreader_zip(struct symreader *r, const struct symzip_limits *limits,
                   struct symreader_list *ret, struct err *err)
{
    struct symwire_out out = {0};
    struct symreader_list list = {0};
    uint8_t buf[SYMWIRE_PACKET_MAX];
    symwire_u8(&out, SYMWIRE_ZIP);
    symwire_u64(&out, limits->max_members);
    symwire_u64(&out, limits->max_uncompressed);
    symwire_text(&out, limits->snippets);
    symwire_u8(&out, limits->checks_content);
    unsigned status = SYMWIRE_MEMBER;
    bool ok = symwire_send(r->sock, &out, -1, ERR_IGNORED) || fail_of_dead_reader(r, err);
    while (ok && status == SYMWIRE_MEMBER) {
        struct rd in;
        ok = receive(r, ZIP_MS, buf, &in, err) && open_answer(r, &in, &status, err) &&
             (status != SYMWIRE_MEMBER || take_member(&in, &list, err));
    }
    if (!ok) {
        symreader_list_release(&list);
        return false;
    }
    *ret = list;
    return true;
}

void symreader_list_release(struct symreader_list *l)
{
    for (size_t i = 0; i < l->members.n; i++)
        free(l->members.v[i].name);
    VEC_RELEASE(&l->members);
}

/* What is too long, no UTF-8 or holds a NUL counts as absent: it goes into the database and
 * answers. */
static void take_header_text(struct rd *in, char out[SYMREADER_TEXT_MAX + 1])
{
    struct str s = symwire_take_text(in);
    out[0] = '\0';
    if (s.n > SYMREADER_TEXT_MAX || !utf8_valid(s) || (s.n && memchr(s.p, 0, s.n)))
        return;
    memcpy(out, s.p, s.n);
    out[s.n] = '\0';
}

/* Sizes are believed as far as a number can be: nothing is allocated or skipped by them. */
static bool take_text_facts(struct symreader *r, struct rd *in, struct symreader_text *ret,
                            struct err *err)
{
    struct symreader_text t = {.size = rd_u64(in)};
    if (!rd_ok(in) || t.size > INT64_MAX)
        return fail_of_wrong_answer(r, err);
    if (r->unanswered == 0)
        r->text_bytes = (int64_t)t.size;
    if (!ret)
        return true;
    const uint8_t *md5 = rd_bytes(in, SYMWIRE_MD5);
    if (md5)
        hex_encode(md5, SYMWIRE_MD5, t.md5);
    t.has_header = rd_u8(in) != 0;
    take_header_text(in, t.debug_file);
    take_header_text(in, t.debug_id);
    take_header_text(in, t.code_file);
    take_header_text(in, t.code_id);
    take_header_text(in, t.generator);
    if (!rd_ok(in))
        return fail_of_wrong_answer(r, err);
    *ret = t;
    return true;
}

/* Plain text is mapped where it is; anything else may grow and goes to a scratch file. */
static bool needs_scratch(const struct symreader *r, const struct symreader_member *m)
{
    struct stat st;
    if (m)
        return m->size > IN_MEMORY_MAX;
    return fstat(r->input, &st) != 0 || st.st_size > 0;
}

/* The scratch file goes with the request and is closed here: it lives as long as the reader maps
 * it. */
static bool ask_load(struct symreader *r, const struct symreader_member *m, uint64_t input,
                     int scratch, bool wants_facts, struct err *err)
{
    struct symwire_out out = {0};
    int64_t bytes = (int64_t)MIN(m ? m->size : SYMBYTES_MAX, SYMBYTES_MAX);
    symwire_u8(&out, SYMWIRE_LOAD);
    symwire_u64(&out, m ? m->index : input);
    symwire_u8(&out, wants_facts);
    r->text_bytes = r->unanswered ? MAX(bytes, r->text_bytes) : bytes;
    return ask(r, &out, scratch, err);
}

bool symreader_ask_load(struct symreader *r, const struct symreader_member *member,
                        bool wants_facts, struct err *err)
{
    FD_AUTO scratch = -1;
    if (needs_scratch(r, member) && !symbytes_temp(r->temp_dir, &scratch, err))
        return false;
    return ask_load(r, member, SYMWIRE_INPUT, scratch, wants_facts, err);
}

bool symreader_take_load(struct symreader *r, struct symreader_text *ret, struct err *err)
{
    struct rd in;
    uint8_t buf[SYMWIRE_PACKET_MAX];
    return take_answer(r, buf, &in, err) && take_text_facts(r, &in, ret, err);
}

bool symreader_load(struct symreader *r, const struct symreader_member *member,
                    struct symreader_text *ret, struct err *err)
{
    return symreader_ask_load(r, member, ret != NULL, err) && symreader_take_load(r, ret, err);
}

bool symreader_load_as_is(struct symreader *r, struct symreader_text *ret, struct err *err)
{
    return ask_load(r, NULL, SYMWIRE_INPUT_AS_IS, -1, true, err) &&
           symreader_take_load(r, ret, err);
}

bool symreader_same(struct symreader *r, int fd, bool is_gzip, bool *ret_same, struct err *err)
{
    struct symwire_out out = {0};
    struct rd in;
    uint8_t buf[SYMWIRE_PACKET_MAX];
    symwire_u8(&out, SYMWIRE_SAME);
    symwire_u8(&out, is_gzip);
    if (!ask(r, &out, fd, err) || !take_answer(r, buf, &in, err))
        return false;
    *ret_same = rd_u8(&in) != 0;
    return rd_ok(&in) || fail_of_wrong_answer(r, err);
}

bool symreader_check_content(struct symreader *r, struct str snippets, struct err *err)
{
    struct symwire_out out = {0};
    struct rd in;
    uint8_t buf[SYMWIRE_PACKET_MAX];
    symwire_u8(&out, SYMWIRE_FORBID);
    symwire_text(&out, snippets);
    if (!ask(r, &out, -1, err) || !take_answer(r, buf, &in, err))
        return false;
    struct str found = symwire_take_text(&in);
    if (!rd_ok(&in) || !utf8_valid(found))
        return fail_of_wrong_answer(r, err);
    return found.n == 0 ||
           err_set(err, ERR_INVALID,
                   "Content of the file contains the snippet '" STR_FMT "' which is not allowed",
                   STR_ARG(found));
}

bool symreader_ask_write(struct symreader *r, int fd, bool as_gzip, struct err *err)
{
    struct symwire_out out = {0};
    symwire_u8(&out, SYMWIRE_WRITE);
    symwire_u8(&out, as_gzip);
    return ask(r, &out, fd, err);
}

/* The mask makes a number of any answer that a row of the database can hold. */
bool symreader_take_write(struct symreader *r, uint64_t *ret_bytes, struct err *err)
{
    struct rd in;
    uint8_t buf[SYMWIRE_PACKET_MAX];
    if (!take_answer(r, buf, &in, err))
        return false;
    *ret_bytes = rd_u64(&in) & INT64_MAX;
    return rd_ok(&in) || fail_of_wrong_answer(r, err);
}

bool symreader_ask_compile(struct symreader *r, int fd, struct err *err)
{
    struct symwire_out out = {0};
    symwire_u8(&out, SYMWIRE_COMPILE);
    return ask(r, &out, fd, err);
}

bool symreader_take_compile(struct symreader *r, struct csym_stats *ret, struct err *err)
{
    struct rd in;
    uint8_t buf[SYMWIRE_PACKET_MAX];
    if (!take_answer(r, buf, &in, err))
        return false;
    ret->source_bytes = rd_u64(&in);
    ret->csym_bytes = rd_u64(&in);
    ret->bad_lines = rd_u64(&in);
    return rd_ok(&in) || fail_of_wrong_answer(r, err);
}

/* What is stored was checked when it came; a file that cannot be unpacked now is damage of ours. */
bool symreader_inflate(const char *path, const char *temp_dir, int *ret_fd, struct err *err)
{
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    FD_AUTO scratch = -1;
    struct symreader *r = NULL;
    if (fd < 0)
        return err_set(err, ERR_NOT_FOUND, "no such symbols file");
    if (!symbytes_temp(temp_dir, &scratch, err) || !symreader_start(fd, temp_dir, &r, err))
        return false;
    bool ok =
        ask_load(r, NULL, SYMWIRE_INPUT, scratch, false, err) && symreader_take_load(r, NULL, err);
    symreader_stop(r);
    if (!ok || lseek(scratch, 0, SEEK_SET) != 0)
        return err_set(err, ERR_INTERNAL, "a stored symbols file cannot be unpacked");
    *ret_fd = TAKE_FD(scratch);
    return true;
}
