/*
 * A small program's worth of functions, so that a report shows a stack worth
 * looking at: calls between files, inlined functions, recursion.
 */
#include "client/examples/crashes.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/examples/accounts.h"

/*
 * Each of these is a frame of its own in the report; what is to show as an inlined one is `static
 * inline`.
 */
#define NOINLINE __attribute__((noinline))

/*
 * Values the compiler cannot see through: else it would find the faults itself and compile each of
 * these ways to die into a trap.
 */
static void *volatile nowhere;
static volatile int zero;

static NOINLINE long settle_account(struct account *account, long amount)
{
    long before = account_balance(account); /* inlined; reads through the null pointer */
    account_add(account, amount);
    return before;
}

static NOINLINE long settle_day(struct ledger *ledger, int day)
{
    long sum = 0;
    for (size_t i = 0; i < ledger->count; i++)
        sum += settle_account(ledger_find(ledger, (int)i), day);
    return sum;
}

static void crash_null(void)
{
    struct account accounts[2] = {{.number = 1, .balance = 10}, {.number = 2, .balance = 20}};
    struct ledger ledger = {.accounts = {&accounts[0], nowhere, &accounts[1]}, .count = 3};
    printf("%ld\n", settle_day(&ledger, 7));
}

/*
 * Two functions that call each other, each with an array that it uses behind the call: a loop made
 * of the recursion would not overflow.
 */
static NOINLINE int odd(unsigned n, volatile char *note);

static inline int take_note(volatile char *out, size_t size, unsigned n, volatile char *before)
{
    out[n % size] = (char)(before[0] + 1);
    return out[n % size];
}

static NOINLINE int even(unsigned n, volatile char *note)
{
    volatile char mine[128] = {0};
    int sum = take_note(mine, sizeof mine, n, note);
    return n == 0 ? 1 : odd(n - 1, mine) + sum + mine[0];
}

static NOINLINE int odd(unsigned n, volatile char *note)
{
    volatile char mine[64] = {0};
    int sum = take_note(mine, sizeof mine, n, note);
    return n == 0 ? 0 : even(n - 1, mine) + sum + mine[1];
}

static void crash_stack_overflow(void)
{
    volatile char start[8] = "start";
    printf("%d\n", even(UINT32_MAX, start));
}

static NOINLINE void check_sum(long expected, long found)
{
    if (expected == found)
        return;
    fprintf(stderr, "crashme: the sums differ: %ld and %ld\n", expected, found);
    abort();
}

static NOINLINE void close_books(long total)
{
    check_sum(total, total + 1 + zero);
    printf("the books are closed at %ld\n", total);
}

static void crash_abort(void)
{
    close_books(1000);
}

static void crash_illegal(void)
{
    fputs("", stderr);
    __builtin_trap();
}

static inline long percentage(long part, long whole)
{
    return 100 * part / whole;
}

static NOINLINE long share_of(const struct ledger *ledger, long part)
{
    return percentage(part, (long)ledger->count + zero);
}

static void crash_div_zero(void)
{
    struct ledger empty = {.count = 0};
    printf("%ld\n", share_of(&empty, 5));
}

const struct example_crash crashes[] = {
    {"null", "reads through a null pointer", crash_null},
    {"stack-overflow", "recursion without end", crash_stack_overflow},
    {"abort", "a failed check calls abort()", crash_abort},
    {"illegal", "an instruction that does not exist", crash_illegal},
    {"div-zero", "divides by zero", crash_div_zero},
    {"use-after-free", "calls a method of an object that was freed", crash_use_after_free},
    {"thread", "a worker thread writes to read-only memory", crash_thread},
};
const size_t crash_count = sizeof crashes / sizeof crashes[0];
