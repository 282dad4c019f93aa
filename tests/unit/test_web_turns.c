#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/util.h"
#include "lib/web/turns.h"

/* Turns of workers: who may have one, and what a killed worker leaves behind. */
enum { WORKERS = 5, MOST = 3, MOST_OF_ASKER = 2, ANNA = 11, BERT = 22, CARL = 33 };

static int set_up(void **state)
{
    struct turns *t;
    struct err err = {0};
    if (!turns_new(WORKERS, &t, &err))
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < WORKERS; i++)
        turns_begin(t, i);
    *state = t;
    return 0;
}

static int tear_down(void **state)
{
    turns_free(*state);
    return 0;
}

static enum turn take(struct turns *t, size_t worker, uint64_t asker)
{
    int64_t youngest_ms;
    return turns_take(t, worker, asker, MOST, MOST_OF_ASKER, 1000, &youngest_ms);
}

static void test_limits(void **state)
{
    struct turns *t = *state;
    assert_int_equal(take(t, 0, ANNA), TURN_TAKEN);
    assert_int_equal(take(t, 1, ANNA), TURN_TAKEN);
    assert_int_equal(take(t, 2, ANNA), TURN_ASKER_IS_BUSY);
    assert_int_equal(take(t, 2, BERT), TURN_TAKEN);
    assert_int_equal(take(t, 3, CARL), TURN_ALL_ARE_BUSY);
    assert_int_equal(turns_others(t, 0, 0), 2); /* whoever they are for */
    assert_int_equal(turns_others(t, 3, 0), 3);
    assert_int_equal(take(t, 3, ANNA), TURN_ASKER_IS_BUSY); /* says what this asker can change */
    turns_give_back(t, 0);
    assert_int_equal(take(t, 3, ANNA), TURN_TAKEN);
    turns_give_back(t, 1);
    turns_give_back(t, 2);
    turns_give_back(t, 3);
    for (size_t i = 0; i < MOST; i++) {
        int64_t unused;
        assert_int_equal(turns_take(t, i, ANNA, MOST, 0, 1000, &unused), TURN_TAKEN);
    }
}

static void test_asker_whose_hash_is_nothing(void **state)
{
    assert_int_equal(take(*state, 0, 0), TURN_TAKEN);
    assert_int_equal(take(*state, 1, 0), TURN_TAKEN);
    assert_int_equal(take(*state, 2, 0), TURN_ASKER_IS_BUSY);
}

/* Who waits wants to know whether what stands in the way is young. */
static void test_age_of_the_youngest(void **state)
{
    struct turns *t = *state;
    int64_t age_ms = -1;
    assert_int_equal(turns_take(t, 0, ANNA, MOST, MOST_OF_ASKER, 100, &age_ms), TURN_TAKEN);
    assert_int_equal(turns_take(t, 1, ANNA, MOST, MOST_OF_ASKER, 200, &age_ms), TURN_TAKEN);
    assert_int_equal(turns_take(t, 2, BERT, MOST, MOST_OF_ASKER, 450, &age_ms), TURN_TAKEN);
    assert_int_equal(age_ms, -1);
    turns_take(t, 3, ANNA, MOST, MOST_OF_ASKER, 500, &age_ms);
    assert_int_equal(age_ms, 300);
    turns_take(t, 3, CARL, MOST, MOST_OF_ASKER, 500, &age_ms);
    assert_int_equal(age_ms, 50);
}

/* A worker takes a turn, and another while it holds the lock if it can, until it is killed. */
static void live(struct turns *t, size_t worker, uint64_t asker, int ready)
{
    turns_begin(t, worker);
    turns_take(t, worker, asker, MOST, MOST_OF_ASKER, 1000, &(int64_t){0});
    if (write(ready, "x", 1) != 1)
        _exit(1);
    for (;;) { /* mostly inside the lock */
        turns_take(t, worker, asker, MOST, MOST_OF_ASKER, 1000, &(int64_t){0});
    }
}

static void test_killed_workers_have_no_turn(void **state)
{
    struct turns *t = *state;
    for (int round = 0; round < 30; round++) {
        int ready[2];
        char got;
        assert_int_equal(pipe(ready), 0);
        pid_t pid = fork();
        if (pid == 0)
            live(t, 0, ANNA, ready[1]);
        assert_int_equal(read(ready[0], &got, 1), 1);
        assert_int_equal(take(t, 1, ANNA), TURN_TAKEN);
        assert_int_equal(take(t, 2, ANNA), TURN_ASKER_IS_BUSY);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        assert_int_equal(take(t, 2, ANNA), TURN_TAKEN);
        /* and the one that comes in its place begins without one */
        turns_begin(t, 0);
        turns_give_back(t, 2);
        assert_int_equal(take(t, 3, ANNA), TURN_TAKEN);
        turns_give_back(t, 1);
        turns_give_back(t, 3);
        close(ready[0]);
        close(ready[1]);
    }
}

#define WITH_TURNS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* Kinds of work do not stand in each other's way, whoever asks. */
static void test_kinds_are_counted_apart(void **state)
{
    struct turns *t;
    int64_t youngest;
    (void)state;
    assert_true(turns_new(4, &t, ERR_IGNORED));
    for (size_t w = 0; w < 4; w++)
        turns_begin(t, w);
    uint64_t one = turns_asker(0, 7), other = turns_asker(1, 7);
    assert_int_equal(turns_take(t, 0, one, 1, 1, 0, &youngest), TURN_TAKEN);
    assert_int_equal(turns_take(t, 1, one, 1, 0, 0, &youngest), TURN_ALL_ARE_BUSY);
    assert_int_equal(turns_take(t, 1, other, 1, 1, 0, &youngest), TURN_TAKEN);
    assert_int_equal(turns_take(t, 2, other, 2, 1, 0, &youngest), TURN_ASKER_IS_BUSY);
    assert_int_equal(turns_take(t, 2, turns_asker(1, 8), 2, 1, 0, &youngest), TURN_TAKEN);
    turns_give_back(t, 0);
    assert_int_equal(turns_take(t, 3, one, 1, 1, 0, &youngest), TURN_TAKEN);
    turns_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TURNS(test_limits),
        WITH_TURNS(test_asker_whose_hash_is_nothing),
        WITH_TURNS(test_age_of_the_youngest),
        WITH_TURNS(test_killed_workers_have_no_turn),
        cmocka_unit_test(test_kinds_are_counted_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
