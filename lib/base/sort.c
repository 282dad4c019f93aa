/*
 * A stable merge sort: short runs by insertion, then runs of double width are merged through a
 * copy. glibc's qsort is a stable merge sort as well, until the array is larger than a quarter of
 * the memory, when it becomes a quicksort that is not; records of a symbols file of which the first
 * one counts must not depend on that.
 *
 * Two neighbours that are in order already are not merged: records of symbols files come sorted as
 * a rule.
 */
#include "lib/base/sort.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/util.h"

/* The element in hand, and the length of the runs that insertion sorts. */
enum { ELEMENT_MAX = 64, RUN = 16 };

typedef int cmp_fn(const void *, const void *);

static void insertion(uint8_t *v, size_t n, size_t size, cmp_fn *cmp)
{
    uint8_t hold[ELEMENT_MAX];
    for (size_t i = 1; i < n; i++) {
        size_t at = i;
        while (at > 0 && cmp(v + (at - 1) * size, v + i * size) > 0)
            at--;
        if (at == i)
            continue;
        memcpy(hold, v + i * size, size);
        memmove(v + (at + 1) * size, v + at * size, (i - at) * size);
        memcpy(v + at * size, hold, size);
    }
}

/* Merges v[0, mid) and v[mid, n) by way of temp, which has room for n. */
static void merge_runs(uint8_t *v, uint8_t *temp, size_t mid, size_t n, size_t size, cmp_fn *cmp)
{
    if (cmp(v + (mid - 1) * size, v + mid * size) <= 0)
        return;
    size_t a = 0, b = mid;
    for (size_t i = 0; i < n; i++) {
        bool left = b == n || (a < mid && cmp(v + a * size, v + b * size) <= 0);
        memcpy(temp + i * size, v + (left ? a++ : b++) * size, size);
    }
    memcpy(v, temp, n * size);
}

void sort_stable(void *base, size_t n, size_t size, cmp_fn *cmp)
{
    assert(size <= ELEMENT_MAX);
    uint8_t *v = base;
    for (size_t i = 0; i < n; i += RUN)
        insertion(v + i * size, MIN((size_t)RUN, n - i), size, cmp);
    if (n <= RUN)
        return;
    FREE_LATER uint8_t *temp = xmalloc(n * size);
    for (size_t width = RUN; width < n; width *= 2)
        for (size_t i = 0; i + width < n; i += 2 * width)
            merge_runs(v + i * size, temp, width, MIN(2 * width, n - i), size, cmp);
}
