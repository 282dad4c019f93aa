#ifndef EXAMPLES_CRASHES_H
#define EXAMPLES_CRASHES_H

#include <stddef.h>

/*
 * crashes - the ways in which the example program can die.
 */
struct example_crash {
    const char *name, *what;
    void (*run)(void);
};

extern const struct example_crash crashes[];
extern const size_t crash_count;

/* Which function of which object is called; see shapes.c. */
void crash_use_after_free(void);
/* Starts several threads; the seventh dies.  See workers.c. */
void crash_thread(void);

#endif
