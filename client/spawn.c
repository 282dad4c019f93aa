/*
 * Starting the handler process, at the program's start and not in the crash: a program that has
 * just crashed can neither fork safely nor allocate.  The handler is a grandchild, so the program
 * never has to wait for it, and keeps nothing of the program's but standard error.
 */
#include "client/state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/descriptor.h"
#include "client/handler_wire.h"

/*
 * The handler says hello as soon as it runs; ten seconds are for a machine that is busy with other
 * things.  16 random bytes make a name in the abstract namespace of sockets that nobody else has by
 * chance.  The command line of a handler has ten words at most.
 */
enum { HELLO_TIMEOUT_MS = 10000, ARGUMENTS_MAX = 16, CHANNEL_RANDOM = 16 };

/* datil-client-handler beside the running program; the bare name (looked up in PATH) otherwise. */
static void default_handler(char out[PATH_MAX])
{
    static const char name[] = "datil-client-handler";
    ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - sizeof name - 1);
    if (n > 0) {
        out[n] = '\0';
        char *slash = strrchr(out, '/');
        if (slash) {
            memcpy(slash + 1, name, sizeof name);
            if (faccessat(AT_FDCWD, out, X_OK, AT_EACCESS) == 0)
                return;
        }
    }
    memcpy(out, name, sizeof name);
}

/*
 * The parent learns from the hello's error why exec failed, in place of an end of file that could
 * mean anything.
 */
static void tell_parent(int fd, int error)
{
    struct wire_answer answer = {.magic = WIRE_MAGIC, .pid = getpid(), .error = error};
    ssize_t n = write(fd, &answer, sizeof answer);
    (void)n; /* nobody is left to tell */
}

/*
 * In the child of the child: descriptors 3 and 4, a terminal of its own so that
 * Ctrl-C does not take the handler along, and nothing else of the program's: an
 * inherited pipe would stay open for as long as the handler lives.  Standard error
 * stays, for the line that names the crash.
 */
static void become_handler(char *const argv[], int socket, int annotations)
{
    setsid();
    int high = fcntl(socket, F_DUPFD, 16);
    int high_annotations = fcntl(annotations, F_DUPFD, 16);
    if (dup2(high, WIRE_SOCKET_FD) < 0 || dup2(high_annotations, WIRE_ANNOTATIONS_FD) < 0)
        _exit(127);
    int null = open("/dev/null", O_RDWR);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
    }
    close_range(WIRE_ANNOTATIONS_FD + 1, ~0U, 0);

    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL); /* also what the program ignores */
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execvp(argv[0], argv);
    tell_parent(WIRE_SOCKET_FD, errno);
    _exit(127);
}

/* Forks twice: the handler must not turn up in the program's own wait(). */
static bool start_handler_process(char *const argv[], int socket)
{
    sigset_t all, old;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &old); /* no handler of the program's runs in the child */
    pid_t child = fork();
    if (child == 0) {
        pid_t grandchild = fork();
        if (grandchild == 0)
            become_handler(argv, socket, datil_client_state.annotations_fd.fd);
        _exit(grandchild < 0 ? 1 : 0);
    }
    int fork_errno = errno;
    int status = 0;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    sigprocmask(SIG_SETMASK, &old, NULL);
    errno = fork_errno;
    return child > 0 && status == 0;
}

/*
 * The pid comes with the hello because the handler is a grandchild, whose pid fork gave to the
 * child in between only.  It is the process that may read our memory.
 */
static bool wait_for_hello(int fd, const char *path, char *why, size_t why_size)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int ready;
    do
        ready = poll(&p, 1, HELLO_TIMEOUT_MS);
    while (ready < 0 && errno == EINTR);
    struct wire_answer hello = {0};
    ssize_t n = ready > 0 ? recv(fd, &hello, sizeof hello, 0) : -1;
    if (n != (ssize_t)sizeof hello || hello.magic != WIRE_MAGIC) {
        snprintf(why, why_size, "%s does not answer", path);
        return false;
    }
    if (hello.error) {
        snprintf(why, why_size, "cannot run %s: %s", path, strerror(hello.error));
        return false;
    }
    datil_client_state.handler_pid = hello.pid;
    return true;
}

/* A name nobody else has, and the key of the annotations for whoever comes that way. */
static bool name_channel(void)
{
    struct datil_client_state *s = &datil_client_state;
    unsigned char random[CHANNEL_RANDOM];
    char *out = s->channel + snprintf(s->channel, sizeof s->channel, "datil-client-");
    if (getrandom(random, sizeof random, 0) != sizeof random ||
        getrandom(&s->key, sizeof s->key, 0) != sizeof s->key)
        return false;
    for (int i = 0; i < CHANNEL_RANDOM; i++)
        out += snprintf(out, 3, "%02x", random[i]);
    s->annotations->key = s->key;
    s->handler_uid = geteuid();
    return true;
}

/*
 * Options become arguments, and nothing of them the environment: what a handler does can be read
 * off its command line.  A pair of sockets keeps messages apart, and its end tells each side that
 * the other is gone.
 */
bool datil_client_spawn(const struct datil_client_options *options, char *why, size_t why_size)
{
    char path[PATH_MAX];
    if (options->handler_path)
        snprintf(path, sizeof path, "%s", options->handler_path);
    else
        default_handler(path);

    if (!name_channel()) {
        snprintf(why, why_size, "no random numbers: %s", strerror(errno));
        return false;
    }
    char *argv[ARGUMENTS_MAX];
    int n = 0;
    argv[n++] = path;
    argv[n++] = "--serve";
    argv[n++] = "--database";
    argv[n++] = (char *)options->database;
    argv[n++] = "--listen";
    argv[n++] = datil_client_state.channel;
    if (options->url) {
        argv[n++] = "--url";
        argv[n++] = (char *)options->url;
    }
    if (options->send_command_line)
        argv[n++] = "--send-command-line";
    if (options->send_environment)
        argv[n++] = "--send-environment";
    argv[n] = NULL;

    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0 ||
        !start_handler_process(argv, pair[1])) {
        snprintf(why, why_size, "cannot start %s: %s", path, strerror(errno));
        return false;
    }
    close(pair[1]);
    if (!wait_for_hello(pair[0], path, why, why_size)) {
        close(pair[0]);
        return false;
    }
    datil_client_state.socket = descriptor_of(pair[0]);
    return true;
}
