/* http: against a little server of our own on a free port. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/util.h"
#include "lib/http/http.h"

static const struct {
    const char *path, *answer;
} answers[] = {
    {"/ok", "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"},
    {"/missing", "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone"},
    {"/moved", "HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n"},
    {"/loop", "HTTP/1.1 302 Found\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n"},
    {"/file", "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"},
    {"/short", "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhello"},
    {"/long", "HTTP/1.1 200 OK\r\n\r\n0123456789012345678901234567890123456789"},
    {"/silent", NULL},
};

/* Reads one request, up to the end of its body. */
static size_t read_request(int fd, char *buf, size_t size)
{
    size_t n = 0, want = SIZE_MAX;
    while (n < want && n < size - 1) {
        ssize_t got = read(fd, buf + n, size - 1 - n);
        if (got <= 0)
            break;
        n += (size_t)got;
        buf[n] = '\0';
        const char *end = strstr(buf, "\r\n\r\n"), *length = strcasestr(buf, "content-length: ");
        if (end)
            want = (size_t)(end - buf) + 4 + (length ? strtoul(length + 16, NULL, 10) : 0);
    }
    return n;
}

static void serve_one(int fd)
{
    static char buf[1 << 16], head[128];
    size_t n = read_request(fd, buf, sizeof buf);
    char path[64] = "";
    if (sscanf(buf, "%*s %63s", path) != 1)
        return;
    if (strcmp(path, "/echo") == 0) { /* the request itself is the answer */
        int h = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", n);
        fs_write_all(fd, head, (size_t)h, "echo", ERR_IGNORED);
        fs_write_all(fd, buf, n, "echo", ERR_IGNORED);
    }
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        if (strcmp(path, answers[i].path) != 0)
            continue;
        if (answers[i].answer)
            fs_write_all(fd, answers[i].answer, strlen(answers[i].answer), "answer", ERR_IGNORED);
        else
            pause();
    }
}

struct server {
    pid_t pid;
    int port;
};

static int start(void **state)
{
    struct server *s = xcalloc(1, sizeof *s);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    s->port = ntohs(a.sin_port);
    s->pid = fork();
    if (s->pid == 0) {
        signal(SIGPIPE, SIG_IGN);
        for (int c; (c = accept(fd, NULL, NULL)) >= 0;) {
            serve_one(c);
            close(c);
        }
        _exit(0);
    }
    close(fd);
    *state = s;
    return 0;
}

static int stop(void **state)
{
    struct server *s = *state;
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    free(s);
    return 0;
}

static const struct {
    const char *label, *path;
    int status; /* 0: an error */
    enum err_code code;
    const char *body;
} cases[] = {
    {"body and status", "/ok", 200, ERR_NONE, "hello"},
    {"a 404 is an answer", "/missing", 404, ERR_NONE, "gone"},
    {"redirect", "/moved", 200, ERR_NONE, "hello"},
    {"endless redirects", "/loop", 0, ERR_UNAVAILABLE, NULL},
    {"redirect to a file", "/file", 0, ERR_INVALID, NULL},
    {"body cut short", "/short", 0, ERR_UNAVAILABLE, NULL},
    {"body too long", "/long", 0, ERR_TOO_LARGE, NULL},
    {"no answer in time", "/silent", 0, ERR_UNAVAILABLE, NULL},
};

static void test_answers(void **state)
{
    const struct server *s = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char url[128];
        snprintf(url, sizeof url, "http://127.0.0.1:%d%s", s->port, cases[i].path);
        struct http_response r = {0};
        struct err err = {0};
        const struct http_request q = {.url = url, .timeout_ms = 500, .max_bytes = 32};
        bool ok = http_do(&q, &r, &err);
        if (ok != (cases[i].status != 0) || (ok && r.status != cases[i].status) ||
            (!ok && err.code != cases[i].code))
            fail_msg("%s: %d, status %d, %s: %s", cases[i].label, ok, r.status,
                     err_code_name(err.code), err.msg);
        if (ok)
            assert_string_equal(r.body, cases[i].body);
        http_response_release(&r);
    }
}

static void test_no_server(void **state)
{
    (void)state;
    struct http_response r;
    struct err err = {0};
    assert_false(http_do(&(struct http_request){.url = "http://127.0.0.1:1/"}, &r, &err));
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    assert_false(http_do(&(struct http_request){.url = "file:///etc/passwd"}, &r, &err));
    assert_int_equal(err.code, ERR_INVALID);
    const char *const bad[] = {"A: b\r\nC: d", NULL};
    assert_false(
        http_do(&(struct http_request){.url = "http://127.0.0.1:1/", .headers = bad}, &r, &err));
    assert_int_equal(err.code, ERR_INVALID);
}

static void echo(const struct server *s, struct http_request q, struct http_response *r)
{
    char url[64];
    struct err err = {0};
    snprintf(url, sizeof url, "http://127.0.0.1:%d/echo", s->port);
    q.url = url;
    if (!http_do(&q, r, &err))
        fail_msg("%s", err.msg);
}

static void test_requests(void **state)
{
    struct http_response r;
    const char *const headers[] = {"Auth-Token: abc", NULL};
    echo(*state, (struct http_request){.headers = headers, .body = STR("{\"a\": 1}")}, &r);
    assert_non_null(strstr(r.body, "POST /echo"));
    assert_non_null(strstr(r.body, "Auth-Token: abc\r\n"));
    assert_non_null(strstr(r.body, "\r\n\r\n{\"a\": 1}"));
    http_response_release(&r);
    echo(*state, (struct http_request){.method = "DELETE"}, &r);
    assert_non_null(strstr(r.body, "DELETE /echo"));
    http_response_release(&r);
}

static void test_multipart(void **state)
{
    char path[] = "/tmp/datil-http-XXXXXX";
    FD_AUTO fd = mkstemp(path);
    assert_true(fs_write_all(fd, "from a file", 11, path, ERR_IGNORED));
    const struct http_part parts[] = {
        {.name = "ProductName", .value = STR("Demo")},
        {.name = "upload_file_minidump",
         .filename = "x.dmp",
         .content_type = "application/octet-stream",
         .path = path},
        {.name = "empty"},
    };
    struct http_response r;
    echo(*state, (struct http_request){.parts = parts, .part_count = ARRAY_LEN(parts)}, &r);
    unlink(path);
    assert_non_null(strstr(r.body, "POST /echo"));
    assert_non_null(strstr(r.body, "name=\"ProductName\"\r\n\r\nDemo\r\n"));
    assert_non_null(strstr(r.body,
                           "name=\"upload_file_minidump\"; filename=\"x.dmp\"\r\n"
                           "Content-Type: application/octet-stream\r\n\r\nfrom a file\r\n"));
    http_response_release(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answers, start, stop),
        cmocka_unit_test(test_no_server),
        cmocka_unit_test_setup_teardown(test_requests, start, stop),
        cmocka_unit_test_setup_teardown(test_multipart, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
