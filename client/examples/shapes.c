/* Objects with a table of functions, as C++ programs have them; one is used after its end. */
#include "client/examples/crashes.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct shape;

struct shape_class {
    const char *name;
    double (*area)(const struct shape *shape);
};

/* The first word leads to the functions, as in an object of C++. */
struct shape {
    const struct shape_class *class;
    double width, height;
};

static double rectangle_area(const struct shape *shape)
{
    return shape->width * shape->height;
}

static double triangle_area(const struct shape *shape)
{
    return shape->width * shape->height / 2;
}

static const struct shape_class rectangle = {"rectangle", rectangle_area};
static const struct shape_class triangle = {"triangle", triangle_area};

static struct shape *shape_new(const struct shape_class *class, double width, double height)
{
    struct shape *shape = malloc(sizeof *shape);
    if (!shape)
        abort();
    *shape = (struct shape){class, width, height};
    return shape;
}

/* Overwrites first, as the poisoning allocators of test builds do. */
static void shape_free(struct shape *shape)
{
    memset(shape, 0xe5, sizeof *shape);
    __asm__ volatile("" ::"r"(shape) : "memory"); /* keeps the memset */
    free(shape);
}

static inline double shape_area(const struct shape *shape)
{
    return shape->class->area(shape);
}

__attribute__((noinline)) static double total_area(struct shape *const *shapes, size_t n)
{
    double total = 0;
    for (size_t i = 0; i < n; i++)
        total += shape_area(shapes[i]);
    return total;
}

/* The compiler must not see that the object is gone. */
static void (*volatile release)(struct shape *) = shape_free;

/* The area is asked for twice: while both objects are there, and when one of them is not. */
void crash_use_after_free(void)
{
    struct shape *shapes[] = {shape_new(&rectangle, 3, 4), shape_new(&triangle, 3, 4)};
    printf("area %g\n", total_area(shapes, 2));
    /* A big object between keeps the freed one out of the allocator's own hands. */
    release(shapes[1]);
    printf("area %g\n", total_area(shapes, 2));
    release(shapes[0]);
}
