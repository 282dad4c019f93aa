/* http: against a little server of our own on a free port. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/util.h"
#include "lib/http/http.h"
#include "lib/http/reserved.h"

static const struct {
    const char *path;
    struct str answer;
} answers[] = {
    {"/ok",
     STR_INIT("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello")},
    {"/missing", STR_INIT("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone")},
    {"/moved", STR_INIT("HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n")},
    {"/loop", STR_INIT("HTTP/1.1 302 Found\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n")},
    {"/file",
     STR_INIT("HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n")},
    {"/short", STR_INIT("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhello")},
    {"/long", STR_INIT("HTTP/1.1 200 OK\r\n\r\n0123456789012345678901234567890123456789")},
    {"/silent", STR_INIT("")},
    {"/away", STR_INIT("HTTP/1.1 307 Temporary Redirect\r\nLocation: //elsewhere.example/x?y\r\n"
                       "Content-Length: 4\r\n\r\ngone")},
    {"/busy",
     STR_INIT("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy")},
    {"/head", STR_INIT("HTTP/1.1 200 OK\r\nContent-Length: 123456789012\r\n\r\n")},
    {"/declared", STR_INIT("HTTP/1.1 200 OK\r\nContent-Length: 123456789012\r\n\r\nhello")},
    {"/deflated",
     STR_INIT("HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nContent-Length: 12\r\n\r\n"
              "\x78\xda\xcb\xc8\x20\x1b\x00\x00\xcf\x69\x17\xf9")},
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
    if (strcmp(path, "/drip") == 0) { /* a byte now and then, without end */
        static const char start[] = "HTTP/1.1 200 OK\r\n\r\n";
        bool is_there = fs_write_all(fd, start, sizeof start - 1, "drip", ERR_IGNORED);
        for (struct pollfd gone = {.fd = fd, .events = POLLIN};
             is_there && poll(&gone, 1, 100) == 0;)
            is_there = fs_write_all(fd, "x", 1, "drip", ERR_IGNORED);
    }
    if (strcmp(path, "/echo") == 0) { /* the request itself is the answer */
        int h = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", n);
        fs_write_all(fd, head, (size_t)h, "echo", ERR_IGNORED);
        fs_write_all(fd, buf, n, "echo", ERR_IGNORED);
    }
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        if (strcmp(path, answers[i].path) != 0)
            continue;
        if (answers[i].answer.n)
            fs_write_all(fd, answers[i].answer.p, answers[i].answer.n, "answer", ERR_IGNORED);
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
        signal(SIGCHLD, SIG_IGN);
        for (int c; (c = accept(fd, NULL, NULL)) >= 0;) {
            if (fork() == 0) { /* one that is silent does not keep others waiting */
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                serve_one(c);
                _exit(0);
            }
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
        const struct http_request q = {
            .url = url, .may_reach_reserved = true, .timeout_ms = 500, .max_bytes = 32};
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

struct outcomes {
    size_t calls[ARRAY_LEN(cases)];
};

static void on_outcome(void *arg, size_t i, struct http_response *answer, const struct err *err)
{
    struct outcomes *o = arg;
    o->calls[i]++;
    if ((answer != NULL) != (cases[i].status != 0) ||
        (answer && (answer->status != cases[i].status || strcmp(answer->body, cases[i].body))) ||
        (!answer && err->code != cases[i].code))
        fail_msg("%s: status %d, %s: %s", cases[i].label, answer ? answer->status : 0,
                 err_code_name(err->code), err->msg);
}

/* Each of many gets its own outcome, whatever its
 * neighbours get. */
static void test_many_at_once(void **state)
{
    const struct server *s = *state;
    static const size_t crowds[] = {1, 3, ARRAY_LEN(cases), 50};
    for (size_t c = 0; c < ARRAY_LEN(crowds); c++) {
        struct http_request q[ARRAY_LEN(cases)];
        char urls[ARRAY_LEN(cases)][128];
        struct outcomes o = {0};
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
            snprintf(urls[i], sizeof urls[i], "http://127.0.0.1:%d%s", s->port, cases[i].path);
            q[i] = (struct http_request){
                .url = urls[i], .may_reach_reserved = true, .timeout_ms = 700, .max_bytes = 32};
        }
        assert_true(http_do_all(q, ARRAY_LEN(cases), crowds[c], on_outcome, &o, ERR_IGNORED));
        for (size_t i = 0; i < ARRAY_LEN(cases); i++)
            assert_int_equal(o.calls[i], 1);
    }
    assert_true(http_do_all(NULL, 0, 5, on_outcome, NULL, ERR_IGNORED));
}

static void test_no_server(void **state)
{
    (void)state;
    struct http_response r;
    struct err err = {0};
    assert_false(
        http_do(&(struct http_request){.url = "http://127.0.0.1:1/", .may_reach_reserved = true},
                &r, &err));
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
    q.may_reach_reserved = true;
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

/* The last one leaves the server waiting for ever. */
static const struct {
    const char *label, *path;
    struct http_request q; /* url and save_fd are set by the test */
    int status;            /* 0: an error */
    enum err_code code;
    const char *saved;      /* what is in the file afterwards */
    int64_t content_length; /* as declared */
    const char *location;
    int retry_after_s;
} downloads[] = {
    {"a body", "/ok", {0}, 200, 0, "hello", 5, "", -1},
    {"not that of an error", "/missing", {0}, 404, 0, "", 4, "", -1},
    {"a redirect is an answer",
     "/away",
     {.is_redirect_answer = true},
     307,
     0,
     "",
     4,
     "http://elsewhere.example/x?y",
     -1},
    {"when to come again", "/busy", {0}, 429, 0, "", 4, "", 7},
    {"as much as may be", "/ok", {.max_bytes = 5}, 200, 0, "hello", 5, "", -1},
    {"a byte more", "/ok", {.max_bytes = 4}, 0, ERR_TOO_LARGE, "", 0, NULL, 0},
    {"cut short", "/short", {0}, 0, ERR_UNAVAILABLE, "hello", 0, NULL, 0},
    {"size only", "/head", {.method = "HEAD"}, 200, 0, "", 123456789012, "", -1},
    {"less than declared", "/declared", {0}, 0, ERR_UNAVAILABLE, "hello", 0, NULL, 0},
    {"as it was sent",
     "/deflated",
     {.keeps_encoding = true},
     200,
     0,
     "\x78\xda\xcb\xc8\x20\x1b\x00\x00\xcf\x69\x17\xf9",
     12,
     "",
     -1},
    {"bytes after inflating", "/deflated", {.max_bytes = 2}, 0, ERR_TOO_LARGE, "", 0, NULL, 0},
    {"too slow",
     "/drip",
     {.stall_bytes_per_s = 1000, .stall_s = 1},
     0,
     ERR_UNAVAILABLE,
     "x",
     0,
     NULL,
     0},
    {"no first byte",
     "/silent",
     {.first_byte_timeout_ms = 100},
     0,
     ERR_UNAVAILABLE,
     "",
     0,
     NULL,
     0},
};

static void test_downloads(void **state)
{
    const struct server *s = *state;
    for (size_t i = 0; i < ARRAY_LEN(downloads); i++) {
        char url[128], path[] = "/tmp/datil-http-XXXXXX", saved[64] = "";
        FD_AUTO fd = mkstemp(path);
        unlink(path);
        snprintf(url, sizeof url, "http://127.0.0.1:%d%s", s->port, downloads[i].path);
        struct http_request q = downloads[i].q;
        struct http_response r = {0};
        struct err err = {0};
        q.url = url;
        q.save_fd = fd;
        q.may_reach_reserved = true;
        bool ok = http_do(&q, &r, &err);
        if (ok != (downloads[i].status != 0) || r.status != downloads[i].status ||
            err.code != downloads[i].code)
            fail_msg("%s: %d, status %d, %s: %s", downloads[i].label, ok, r.status,
                     err_code_name(err.code), err.msg);
        assert_true(pread(fd, saved, sizeof saved - 1, 0) >= 0);
        if (strncmp(saved, downloads[i].saved, MAX(strlen(downloads[i].saved), 1)) != 0)
            fail_msg("%s: the file has '%s'", downloads[i].label, saved);
        if (ok && (r.content_length != downloads[i].content_length ||
                   strcmp(r.location, downloads[i].location) != 0 ||
                   r.retry_after_s != downloads[i].retry_after_s || *r.body))
            fail_msg("%s: length %lld, location '%s', retry after %d", downloads[i].label,
                     (long long)r.content_length, r.location, r.retry_after_s);
        http_response_release(&r);
    }
}

static void test_full_disk(void **state)
{
    const struct server *s = *state;
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/ok", s->port);
    FD_AUTO full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    struct http_response r;
    struct err err = {0};
    assert_false(http_do(
        &(struct http_request){.url = url, .save_fd = full, .may_reach_reserved = true}, &r, &err));
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    assert_non_null(strstr(err.msg, "No space left"));
}

static const struct {
    const char *address;
    bool is_reserved;
} addresses[] = {
    {"0.0.0.0", true},
    {"0.255.255.255", true},
    {"1.0.0.0", false},
    {"9.255.255.255", false},
    {"10.0.0.0", true},
    {"10.255.255.255", true},
    {"11.0.0.0", false},
    {"100.63.255.255", false},
    {"100.64.0.0", true},
    {"100.127.255.255", true},
    {"100.128.0.0", false},
    {"127.0.0.1", true},
    {"127.255.255.255", true},
    {"128.0.0.0", false},
    {"169.253.255.255", false},
    {"169.254.169.254", true},
    {"169.255.0.0", false},
    {"172.15.255.255", false},
    {"172.16.0.0", true},
    {"172.31.255.255", true},
    {"172.32.0.0", false},
    {"192.0.0.8", true},
    {"192.0.1.0", false},
    {"192.0.2.1", true},
    {"192.88.99.1", true},
    {"192.167.255.255", false},
    {"192.168.0.0", true},
    {"192.169.0.0", false},
    {"198.17.255.255", false},
    {"198.18.0.0", true},
    {"198.19.255.255", true},
    {"198.20.0.0", false},
    {"198.51.100.7", true},
    {"203.0.113.7", true},
    {"223.255.255.255", false},
    {"224.0.0.1", true},
    {"239.255.255.255", true},
    {"240.0.0.0", true},
    {"255.255.255.255", true},
    {"::", true},
    {"::1", true},
    {"::8.8.8.8", true}, /* "compatible", of no use any more */
    {"::ffff:127.0.0.1", true},
    {"::ffff:192.168.1.1", true},
    {"::ffff:8.8.8.8", false},
    {"64:ff9b::10.0.0.1", true},
    {"64:ff9b::169.254.169.254", true},
    {"64:ff9b::8.8.8.8", false},
    {"64:ff9b:1::8.8.8.8", true},
    {"100::1", true},
    {"1fff:ffff::1", true},
    {"2001::1", true},
    {"2001:1ff:ffff::", true},
    {"2001:200::", false},
    {"2001:db7::", false},
    {"2001:db8::1", true},
    {"2001:db9::", false},
    {"2002:0a00:0001::", true},
    {"2002:0808:0808::", true},
    {"2003::", false},
    {"2606:4700::1111", false},
    {"3ffe::", false},
    {"3fff::1", true},
    {"3fff:0fff::", true},
    {"3fff:1000::", false},
    {"4000::", true},
    {"fc00::1", true},
    {"fdff::1", true},
    {"fe80::1", true},
    {"fec0::1", true},
    {"ff02::1", true},
};

static void test_addresses(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
        struct sockaddr_in v4 = {.sin_family = AF_INET};
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
        const struct sockaddr *a = (const struct sockaddr *)&v4;
        if (inet_pton(AF_INET, addresses[i].address, &v4.sin_addr) != 1) {
            assert_int_equal(inet_pton(AF_INET6, addresses[i].address, &v6.sin6_addr), 1);
            a = (const struct sockaddr *)&v6;
        }
        if (http_is_reserved_address(a) != addresses[i].is_reserved)
            fail_msg("%s", addresses[i].address);
    }
    assert_true(http_is_reserved_address(&(struct sockaddr){.sa_family = AF_UNIX}));
}

/* Each spelling of the machine that the test's server listens on, which would answer 200. */
static void test_reserved_addresses_are_not_reached(void **state)
{
    static const char *const hosts[] = {
        "127.0.0.1",    "localhost",          "0.0.0.0",
        "127.1",        "2130706433",         "0x7f000001",
        "017700000001", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
    };
    const struct server *s = *state;
    setenv("http_proxy", "http://127.0.0.1:1/", 1); /* must not lead around the check */
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        char url[128];
        struct http_response r = {0};
        struct err err = {0};
        snprintf(url, sizeof url, "http://%s:%d/ok", hosts[i], s->port);
        if (http_do(&(struct http_request){.url = url}, &r, &err) || err.code != ERR_FORBIDDEN)
            fail_msg("%s: status %d, %s", hosts[i], r.status, err.msg);
    }
    unsetenv("http_proxy");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answers, start, stop),
        cmocka_unit_test_setup_teardown(test_many_at_once, start, stop),
        cmocka_unit_test(test_no_server),
        cmocka_unit_test_setup_teardown(test_requests, start, stop),
        cmocka_unit_test_setup_teardown(test_multipart, start, stop),
        cmocka_unit_test_setup_teardown(test_downloads, start, stop),
        cmocka_unit_test_setup_teardown(test_full_disk, start, stop),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test_setup_teardown(test_reserved_addresses_are_not_reached, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
