#ifndef EXAMPLES_ACCOUNTS_H
#define EXAMPLES_ACCOUNTS_H

#include <stddef.h>

/* A ledger of accounts; its small functions are inlined into their callers. */
struct account {
    int number;
    long balance;
};

enum { LEDGER_MAX = 8 }; /* the examples open three */

struct ledger {
    struct account *accounts[LEDGER_MAX];
    size_t count;
};

static inline long account_balance(const struct account *account)
{
    return account->balance;
}

static inline void account_add(struct account *account, long amount)
{
    account->balance += amount;
}

static inline struct account *ledger_find(const struct ledger *ledger, int index)
{
    return index < LEDGER_MAX ? ledger->accounts[index] : NULL;
}

#endif
