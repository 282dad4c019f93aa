/*
 * Allocation without a failure to handle.  Sizes are bounded before they get here, so no memory
 * means that the machine is full; the process ends and its parent starts another (proc.c), which is
 * better tested than any path that would go on without memory.  Zero bytes are asked for as one,
 * since malloc(0) may answer NULL.
 */
#include "lib/base/util.h"

#include <string.h>

void *xmalloc(size_t size)
{
    void *p = malloc(size ? size : 1);
    if (!p)
        abort();
    return p;
}

void *xcalloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1);
    if (!p)
        abort();
    return p;
}

void *xrealloc(void *p, size_t size)
{
    void *q = realloc(p, size ? size : 1);
    if (!q)
        abort();
    return q;
}

char *xstrdup(const char *s)
{
    size_t n = strlen(s) + 1;
    return memcpy(xmalloc(n), s, n);
}
