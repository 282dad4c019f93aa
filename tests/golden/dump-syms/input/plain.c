/* The C half: a switch, a static table of functions, a function that never returns. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int plain_c(int number, const char *text);

static int doubled(int n)
{
    return 2 * n;
}

static int halved(int n)
{
    return n / 2;
}

static int (*const table[])(int) = {doubled, halved};

__attribute__((noreturn, cold)) static void give_up(const char *why)
{
    fprintf(stderr, "giving up: %s\n", why);
    exit(3);
}

static inline int checked(int n, const char *text)
{
    if (n == -77)
        give_up(text);
    return n;
}

int plain_c(int number, const char *text)
{
    size_t length = strlen(text);
    switch (checked(number, text) & 3) {
    case 0:
        return table[length & 1](number);
    case 1:
        puts(text);
        return (int)length;
    case 2:
        return number > 1000 ? doubled(number) : halved(number);
    default:
        return -1;
    }
}
