#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fcgi/collector/metrics.h"
#include "lib/base/util.h"
#include "lib/web/counters.h"

/* A socket that stands for statsd, and its port. */
static int open_receiver(uint16_t *ret_port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
    *ret_port = ntohs(at.sin_port);
    return fd;
}

static int connect_to(uint16_t port)
{
    const struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

static void count_in_child(struct counters *m)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct conf conf;
        if (!conf_load(&conf, ERR_IGNORED))
            _exit(1);
        counters_open_statsd(&conf);
        counter_add(m, METRIC_BROKEN, 1, NULL);
        _exit(0);
    }
    int status = 1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* What one process has opened means nothing in another: there the same number is another socket. */
static void test_socket_to_statsd_is_not_shared(void **state)
{
    struct counters *m;
    char text[200] = "", port_text[8];
    uint16_t port;
    (void)state;
    int receiver = open_receiver(&port);
    snprintf(port_text, sizeof port_text, "%u", port);
    setenv("STATSD_HOST", "127.0.0.1", 1);
    setenv("STATSD_PORT", port_text, 1);
    assert_true(counters_new(&collector_metrics, &m, ERR_IGNORED));
    count_in_child(m);
    assert_true(recv(receiver, text, sizeof text - 1, MSG_DONTWAIT) > 0);
    assert_string_equal(text, "socorro.collector.health.broken.count:1|c");

    int other = connect_to(port); /* by the number that the child's had */
    counter_add(m, METRIC_BROKEN, 1, NULL);
    assert_int_equal(recv(receiver, text, sizeof text, MSG_DONTWAIT), -1);
    assert_int_equal(m->v[METRIC_BROKEN], 2);
    close(other);
    close(receiver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_socket_to_statsd_is_not_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
