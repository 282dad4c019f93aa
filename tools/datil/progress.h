#ifndef DATIL_PROGRESS_H
#define DATIL_PROGRESS_H

#include <stddef.h>
#include <stdint.h>

/*
 * progress - how far long work has come, on standard error: a bar that is drawn over for a person
 * at a terminal, a line every few seconds for a log.  Nothing at all for work that is done sooner.
 *
 * Ownership  A struct on the stack; `what` is borrowed.
 */
struct progress {
    const char *what;
    const char *unit;    /* "crashes", which have no sizes; NULL: files */
    size_t files, total; /* total 0: unknown */
    int64_t bytes;
    int64_t began_ms, said_ms; /* private */
    size_t width;              /* private: columns of the bar that stands there */
};

/* One more of the unit is done; of so many bytes if it is a file. */
void progress_step(struct progress *p, int64_t bytes);
/* Takes the bar away, before something else is printed. */
void progress_clear(struct progress *p);

#endif
