#ifndef BASE_SORT_H
#define BASE_SORT_H

#include <stddef.h>

/*
 * sort_stable - merge sort that keeps equal elements in order, which qsort does not.
 * Short and already sorted inputs are cheap.  Elements of up to 64 bytes.
 */
void sort_stable(void *base, size_t n, size_t size, int (*cmp)(const void *, const void *));

#endif
