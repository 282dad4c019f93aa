/*
 * One FastCGI request, GET /__heartbeat__, as the FastCGI specification 1.0 has it: a begin record
 * for a responder that closes the connection afterwards, the parameters with an empty record that
 * ends them, an empty standard input.  The answer comes as records of standard output, whose text
 * begins with "Status: 200 OK" (the runner always says it) up to an empty line.
 *
 * By hand and not with a library: libfcgi is for the side that answers, and one request is a page
 * of code.
 */
#include "tools/datil/heartbeat.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/rd.h"
#include "lib/base/time.h"
#include "lib/base/util.h"

enum {
    /*
     * Numbers of the specification (8, "Types and Constants"); the head of a record is version,
     * type, id of the request, length of the content, length of the padding, and a spare byte.
     */
    FCGI_VERSION = 1,
    FCGI_BEGIN = 1,
    FCGI_PARAMS = 4,
    FCGI_STDIN = 5,
    FCGI_STDOUT = 6,
    FCGI_HEADER = 8,
    REQUEST_MAX = 2048,   /* seven parameters below, three records: some 250 bytes */
    ANSWER_MAX = 1 << 20, /* a heartbeat is some hundred bytes */
};

/* The id of the request is 1; there is one per connection. */
static void add_header(struct strbuf *b, int type, size_t n)
{
    char h[FCGI_HEADER] = {FCGI_VERSION, (char)type, 0, 1, (char)(n >> 8), (char)(n & 0xff)};
    sb_str(b, str_n(h, sizeof h));
}

/* Names and values below are shorter than 128 bytes, so each length is one byte. */
static void build_request(struct strbuf *b)
{
    static const char *const params[][2] = {
        {"REQUEST_METHOD", "GET"},         {"PATH_INFO", "/__heartbeat__"},
        {"REQUEST_URI", "/__heartbeat__"}, {"QUERY_STRING", ""},
        {"REMOTE_ADDR", "127.0.0.1"},      {"DATIL_LOCAL", "1"},
    };
    char begin[FCGI_HEADER] = {0, 1}; /* role 1: responder; flags 0: close afterwards */
    add_header(b, FCGI_BEGIN, sizeof begin);
    sb_str(b, str_n(begin, sizeof begin));
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(params); i++)
        n += 2 + strlen(params[i][0]) + strlen(params[i][1]);
    add_header(b, FCGI_PARAMS, n);
    for (size_t i = 0; i < ARRAY_LEN(params); i++) {
        sb_char(b, (char)strlen(params[i][0]));
        sb_char(b, (char)strlen(params[i][1]));
        sb_text(b, params[i][0]);
        sb_text(b, params[i][1]);
    }
    add_header(b, FCGI_PARAMS, 0);
    add_header(b, FCGI_STDIN, 0);
}

static bool wait_for(int fd, short events, int64_t until_ms, struct err *err)
{
    struct pollfd p = {.fd = fd, .events = events};
    int64_t left = until_ms - mono_ms();
    return (left > 0 && poll(&p, 1, (int)left) == 1) ||
           err_set(err, ERR_UNAVAILABLE, "it takes connections, but does not answer");
}

/*
 * Until the program closes the connection, as it was asked to, or the time is over.  The limit is
 * on the whole exchange: one that drips a byte now and then is as good as silent.
 */
static bool exchange(int fd, struct str request, int64_t until_ms, struct strbuf *answer,
                     struct err *err)
{
    for (size_t sent = 0; sent < request.n;) {
        if (!wait_for(fd, POLLOUT, until_ms, err))
            return false;
        ssize_t n = send(fd, request.p + sent, request.n - sent, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return err_set(err, ERR_UNAVAILABLE, "the connection broke");
        sent += n > 0 ? (size_t)n : 0;
    }
    for (;;) {
        char piece[8192];
        if (!wait_for(fd, POLLIN, until_ms, err))
            return false;
        ssize_t n = recv(fd, piece, sizeof piece, 0);
        if (n == 0)
            return true;
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return err_set(err, ERR_UNAVAILABLE, "the connection broke");
        if (n > 0 && answer->n + (size_t)n > ANSWER_MAX)
            return err_set(err, ERR_TOO_LARGE, "the answer is too long");
        if (n > 0)
            sb_str(answer, str_n(piece, (size_t)n));
    }
}

/*
 * What the records of standard output say, in one text.  Records of standard error and the end of
 * the request are read over.
 */
static void unpack_records(struct str answer, struct strbuf *text)
{
    struct rd r = rd_init(answer.p, answer.n);
    r.big = true;
    while (rd_ok(&r) && r.off < r.n) {
        rd_skip(&r, 1);
        uint8_t type = rd_u8(&r);
        rd_skip(&r, 2);
        uint16_t n = rd_u16(&r);
        uint8_t padding = rd_u8(&r);
        rd_skip(&r, 1);
        const char *at = (const char *)rd_bytes(&r, n);
        rd_skip(&r, padding);
        if (at && type == FCGI_STDOUT)
            sb_str(text, str_n(at, n));
    }
}

static bool parse_answer(struct arena *a, struct str text, int *ret_status, struct str *ret_body,
                         struct err *err)
{
    struct str status = STR("Status: "), gap = STR("\r\n\r\n");
    uint64_t code = 0;
    size_t at = str_find(text, status, 0), end = str_find(text, gap, 0);
    if (at == SIZE_MAX || end == SIZE_MAX || at > end ||
        !str_to_u64(str_sub(text, at + status.n, 3), 10, 999, "status", &code, ERR_IGNORED))
        return err_set(err, ERR_UNAVAILABLE, "its answer is not one of a web program");
    *ret_status = (int)code;
    *ret_body = str_copy(a, str_sub(text, end + gap.n, SIZE_MAX));
    return true;
}

bool heartbeat_ask(struct arena *a, const char *socket_path, int timeout_ms, int *ret_status,
                   struct str *ret_body, struct err *err)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (strlen(socket_path) >= sizeof at.sun_path)
        return err_errno(err, ENAMETOOLONG, "its socket");
    memcpy(at.sun_path, socket_path, strlen(socket_path) + 1);
    FD_AUTO fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&at, sizeof at) != 0)
        return err_set(err, ERR_UNAVAILABLE, "%s", strerror(errno));
    STRBUF_AUTO request;
    STRBUF_AUTO answer;
    STRBUF_AUTO text;
    sb_init(&request, REQUEST_MAX);
    sb_init(&answer, ANSWER_MAX);
    sb_init(&text, ANSWER_MAX);
    build_request(&request);
    if (!exchange(fd, sb_view(&request), mono_ms() + timeout_ms, &answer, err))
        return false;
    unpack_records(sb_view(&answer), &text);
    return parse_answer(a, sb_view(&text), ret_status, ret_body, err);
}
