/*
 * Metrics as their readers see them: lines at a real UDP socket, and Prometheus text, here and in
 * another process.
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/metrics.h"
#include "lib/base/metrics_memory.h"
#include "lib/base/util.h"

struct fixture {
    char dir[64];
    int receiver; /* a socket that stands for statsd */
    struct conf conf;
    struct metrics *m;
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    char port[8];
    snprintf(f->dir, sizeof f->dir, "/tmp/test_metrics.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->receiver = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->receiver, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(f->receiver, (struct sockaddr *)&at, &n), 0);
    snprintf(port, sizeof port, "%u", ntohs(at.sin_port));
    setenv("STATSD_HOST", "127.0.0.1", 1);
    setenv("STATSD_PORT", port, 1);
    setenv("HOSTNAME", "here", 1);
    setenv("DATIL_RUN", f->dir, 1);
    assert_true(conf_load(&f->conf, ERR_IGNORED));
    f->m = metrics_new();
    metrics_start(f->m, &f->conf, IN_COLLECTOR, true);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    metrics_free(f->m);
    conf_release(&f->conf);
    close(f->receiver);
    fs_remove_tree(f->dir, ERR_IGNORED);
    free(f);
    return 0;
}

/* The next datagram; "" if there is none. */
static const char *received(struct fixture *f)
{
    static char text[2000];
    ssize_t n = recv(f->receiver, text, sizeof text - 1, MSG_DONTWAIT);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void print(const struct fixture *f, struct strbuf *text)
{
    sb_init(text, 1 << 24);
    metrics_print(f->m, text);
}

static bool has_line(const struct strbuf *text, const char *line)
{
    struct str rest = sb_view(text), one;
    while (str_split(&rest, '\n', &one))
        if (str_eq(one, str_of(line)))
            return true;
    return false;
}

static void test_lines_of_statsd(void **state)
{
    struct fixture *f = *state;
    metric_add(f->m, METRIC_INCOMING, 1);
    metric_add(f->m, METRIC_THROTTLE, 2, "reject");
    metric_set(f->m, METRIC_SPOOL_DEPTH, 7);
    metric_time(f->m, METRIC_POST_TIME, 1500);
    metric_times(f->m, METRIC_SAVE_TIME, 4000, 4);
    metric_size(f->m, METRIC_CRASH_SIZE, 300, "compressed");
    assert_string_equal(received(f), ""); /* not before they are flushed */
    metrics_flush(f->m);
    assert_string_equal(
        received(f),
        "socorro.collector.breakpad_resource.incoming_crash:1|c|#host:here\n"
        "socorro.collector.breakpad_resource.throttle:2|c|#result:reject,host:here\n"
        "socorro.collector.spool.depth:7|g|#host:here\n"
        "socorro.collector.breakpad_resource.on_post.time:1.500|ms|#host:here\n"
        "socorro.collector.crashmover.crash_save.time:1.000|ms|@0.25|#host:here\n"
        "socorro.collector.breakpad_resource.crash_size:300|h|#payload:compressed,host:here");
    metrics_flush(f->m);
    assert_string_equal(received(f), "");
}

/* No datagram is larger than a frame takes, and none is empty or has half a line. */
static void test_many_lines(void **state)
{
    struct fixture *f = *state;
    size_t lines = 0;
    for (int i = 0; i < 100; i++)
        metric_add(f->m, METRIC_INCOMING, 1);
    metrics_flush(f->m);
    for (const char *text; *(text = received(f));) {
        struct str rest = str_of(text), one;
        assert_true(rest.n <= 1432);
        for (; str_split(&rest, '\n', &one); lines++)
            assert_true(str_ends(one, STR("incoming_crash:1|c|#host:here")));
    }
    assert_int_equal(lines, 100);
}

static void test_prometheus_text(void **state)
{
    struct fixture *f = *state;
    STRBUF_AUTO text;
    metric_add(f->m, METRIC_THROTTLE, 2, "reject");
    metric_times(f->m, METRIC_SAVE_TIME, 4000, 4);
    metric_time(f->m, METRIC_SAVE_TIME, 700000000);
    metric_size(f->m, METRIC_CRASH_SIZE, 1024, "compressed");
    metric_add(f->m, METRIC_THROTTLE_RULE, 1, "a_rule");
    print(f, &text);
    static const char *const lines[] = {
        "# TYPE socorro_collector_breakpad_resource_throttle counter",
        "socorro_collector_breakpad_resource_throttle{result=\"accept\"} 0",
        "socorro_collector_breakpad_resource_throttle{result=\"reject\"} 2",
        "socorro_collector_breakpad_resource_throttle_rule{rule=\"a_rule\"} 1",
        "# TYPE socorro_collector_crashmover_crash_save_time histogram",
        "socorro_collector_crashmover_crash_save_time_bucket{le=\"0.0001\"} 0",
        "socorro_collector_crashmover_crash_save_time_bucket{le=\"0.001\"} 4",
        "socorro_collector_crashmover_crash_save_time_bucket{le=\"600\"} 4",
        "socorro_collector_crashmover_crash_save_time_bucket{le=\"+Inf\"} 5",
        "socorro_collector_crashmover_crash_save_time_sum 700.004",
        "socorro_collector_crashmover_crash_save_time_count 5",
        "socorro_collector_breakpad_resource_crash_size_bucket{payload=\"compressed\",le=\"1024\"} "
        "1",
        "datil_program_up{program=\"collector\"} 1",
    };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        if (!has_line(&text, lines[i]))
            fail_msg("%s\nis not in\n%s", lines[i], sb_cstr(&text));
}

/* A value that the table does not know, one too many, and characters that would end a line. */
static void test_labels_are_bounded(void **state)
{
    struct fixture *f = *state;
    STRBUF_AUTO text;
    char rule[100] = "";
    metric_add(f->m, METRIC_THROTTLE, 1, "no such result");
    metric_add(f->m, METRIC_MALFORMED, 1, "a\"b\\c\nd,e|f#g");
    for (int i = 0; i < METRIC_SERIES_MAX + 50; i++) {
        snprintf(rule, sizeof rule, "rule%d", i);
        metric_add(f->m, METRIC_THROTTLE_RULE, 1, rule);
    }
    memset(rule, 'x', sizeof rule - 1);
    metric_add(f->m, METRIC_MOVER_RETRY, 1, rule);
    print(f, &text);
    size_t rules = 0;
    struct str rest = sb_view(&text), one;
    while (str_split(&rest, '\n', &one))
        rules += str_starts(one, STR("socorro_collector_breakpad_resource_throttle_rule{"));
    assert_int_equal(rules, METRIC_SERIES_MAX + 1);
    assert_true(
        has_line(&text, "socorro_collector_breakpad_resource_throttle_rule{rule=\"other\"} 50"));
    assert_true(
        has_line(&text, "socorro_collector_breakpad_resource_throttle{result=\"other\"} 1"));
    assert_true(has_line(
        &text, "socorro_collector_breakpad_resource_malformed{reason=\"a_b_c_d_e_f_g\"} 1"));
    assert_true(has_line(&text, "socorro_collector_crashmover_retry_count{count=\"other\"} 1"));
    metric_add(f->m, METRIC_THROTTLE_RULE, 1, "rule3"); /* one from before is still known */
    metrics_flush(f->m);
}

/* Many processes that make the same new series at the same moment count into one. */
static void test_processes(void **state)
{
    enum { CHILDREN = 8, EVENTS = 2000, RULES = 50 };
    struct fixture *f = *state;
    STRBUF_AUTO text;
    pid_t pids[CHILDREN];
    metrics_flush(f->m);
    for (int c = 0; c < CHILDREN; c++) {
        pids[c] = fork();
        if (pids[c] != 0)
            continue;
        for (int i = 0; i < EVENTS; i++) {
            char rule[20];
            snprintf(rule, sizeof rule, "rule%d", i % RULES);
            metric_add(f->m, METRIC_THROTTLE_RULE, 1, rule);
            metric_time(f->m, METRIC_POST_TIME, i);
        }
        _exit(0);
    }
    for (int c = 0; c < CHILDREN; c++) {
        int status = 1;
        assert_int_equal(waitpid(pids[c], &status, 0), pids[c]);
        assert_int_equal(status, 0);
    }
    print(f, &text);
    size_t rules = 0;
    struct str rest = sb_view(&text), one;
    while (str_split(&rest, '\n', &one)) {
        if (!str_starts(one, STR("socorro_collector_breakpad_resource_throttle_rule{")))
            continue;
        rules++;
        assert_true(str_ends(one, STR("\"} 320")));
    }
    assert_int_equal(rules, RULES);
    assert_true(has_line(&text, "socorro_collector_breakpad_resource_on_post_time_count 16000"));
}

static void add_many(struct metrics *m, int from)
{
    for (int i = from;; i++) {
        char rule[20];
        snprintf(rule, sizeof rule, "rule%d", i % METRIC_SERIES_MAX);
        metric_add(m, METRIC_THROTTLE_RULE, 1, rule);
    }
}

/* No series is printed twice, which Prometheus would refuse the whole page for. */
static size_t distinct_rules(const struct strbuf *text)
{
    bool seen[METRIC_SERIES_MAX] = {false};
    struct str rest = sb_view(text), one;
    size_t n = 0;
    while (str_split(&rest, '\n', &one)) {
        int number;
        if (!str_starts(one, STR("socorro_collector_breakpad_resource_throttle_rule{")))
            continue;
        assert_int_equal(sscanf(one.p,
                                "socorro_collector_breakpad_resource_throttle_rule{rule="
                                "\"rule%d\"}",
                                &number),
                         1);
        assert_in_range(number, 0, METRIC_SERIES_MAX - 1);
        assert_false(seen[number]);
        seen[number] = true;
        n++;
    }
    return n;
}

/* Two processes are killed while they make series; what is there is whole, and others go on. */
static void kill_makers(struct metrics *m)
{
    pid_t pids[2];
    for (size_t c = 0; c < ARRAY_LEN(pids); c++) {
        pids[c] = fork();
        if (pids[c] == 0)
            add_many(m, (int)c * 50);
    }
    usleep((useconds_t)(random_u64() % 1500));
    for (size_t c = 0; c < ARRAY_LEN(pids); c++) {
        kill(pids[c], SIGKILL);
        assert_int_equal(waitpid(pids[c], NULL, 0), pids[c]);
    }
}

static void test_kills(void **state)
{
    struct fixture *f = *state;
    for (int round = 0; round < 60; round++) {
        STRBUF_AUTO text;
        struct metrics *m = metrics_new();
        sb_init(&text, 1 << 24);
        metrics_start(m, &f->conf, IN_COLLECTOR, false);
        kill_makers(m);
        metrics_print(m, &text);
        assert_true(distinct_rules(&text) <= METRIC_SERIES_MAX);
        for (int i = 0; i < METRIC_SERIES_MAX; i++) {
            char rule[20];
            snprintf(rule, sizeof rule, "rule%d", i);
            metric_add(m, METRIC_THROTTLE_RULE, 1, rule);
        }
        sb_reset(&text);
        metrics_print(m, &text);
        assert_true(distinct_rules(&text) >= METRIC_SERIES_MAX - 2); /* one lost for each killed */
        metrics_free(m);
    }
}

/* By another process, as the web application reads what the processor has counted. */
static void test_read_of_another_program(void **state)
{
    struct fixture *f = *state;
    STRBUF_AUTO text;
    struct err err = {0};
    metric_add(f->m, METRIC_INCOMING, 5);
    metrics_flush(f->m);
    pid_t pid = fork();
    if (pid == 0) {
        sb_init(&text, 1 << 24);
        bool ok = metrics_read(&f->conf, STR("collector"), &text, &err) &&
                  has_line(&text, "socorro_collector_breakpad_resource_incoming_crash 5") &&
                  has_line(&text, "datil_program_up{program=\"collector\"} 1");
        _exit(ok ? 0 : 1);
    }
    int status = 1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    sb_init(&text, 1 << 24);
    assert_true(metrics_read(&f->conf, STR("cron"), &text, &err));
    assert_true(has_line(&text, "datil_program_up{program=\"cron\"} 0"));
    assert_false(metrics_read(&f->conf, STR("../collector"), &text, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
}

/* A file of another release, or of whoever may write there, is not read as ours. */
static void test_strange_memory(void **state)
{
    (void)state;
    struct metric_memory *mem = xcalloc(1, sizeof *mem);
    metrics_begin_memory(mem, IN_CRON);
    assert_true(metrics_memory_is_ours(mem, sizeof *mem));
    assert_false(metrics_memory_is_ours(mem, sizeof *mem - 1));
    assert_false(metrics_memory_is_ours(NULL, 0));
    mem->table_hash++;
    assert_false(metrics_memory_is_ours(mem, sizeof *mem));
    mem->table_hash--;
    mem->n = ALL_SERIES_MAX + 1;
    assert_false(metrics_memory_is_ours(mem, sizeof *mem));
    mem->n = 3;
    memset(mem->series, 0xff, sizeof mem->series); /* printed it is nonsense, and no more */
    STRBUF_AUTO text;
    sb_init(&text, 1 << 20);
    metrics_print_memory(mem, &text);
    assert_int_equal(text.n, 0); /* no metric has that number */
    for (size_t i = 0; i < 3; i++)
        mem->series[i].metric = METRIC_INCOMING;
    metrics_print_memory(mem, &text);
    assert_true(text.n > 0);
    free(mem);
}

/* Names that Prometheus takes, none twice, and labels that fit. */
static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < METRIC_TOTAL; i++) {
        const struct metric_row *row = &metric_rows[i];
        assert_true(strspn(row->name, "abcdefghijklmnopqrstuvwxyz0123456789_.") ==
                    strlen(row->name));
        assert_true(metric_label_count(row) <= METRIC_LABELS_MAX);
        assert_true(row->programs && !(row->programs & ~(unsigned)IN_ALL));
        assert_null(strchr(row->help, '\n'));
        assert_null(strchr(row->help, '\\'));
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(metric_rows[k].name, row->name);
    }
}

/* What has no metrics counts nothing, and does not fall over it. */
static void test_none(void **state)
{
    (void)state;
    metric_add(NULL, METRIC_INCOMING, 1);
    metrics_flush(NULL);
    metrics_free(NULL);
    struct metrics *m = metrics_new();
    metric_add(m, METRIC_INCOMING, 1);
    metrics_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lines_of_statsd, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_prometheus_text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_labels_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_processes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kills, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read_of_another_program, setup, teardown),
        cmocka_unit_test(test_strange_memory),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
