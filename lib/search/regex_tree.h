#ifndef SEARCH_REGEX_TREE_H
#define SEARCH_REGEX_TREE_H

#include "lib/search/regex.h"

/*
 * regex_tree - the parsed form of a regular expression, private to regex*.c.
 */
enum regex_kind {
    REGEX_EMPTY,
    REGEX_NOTHING,
    REGEX_SET,
    REGEX_CONCAT,
    REGEX_EITHER,
    REGEX_REPEAT,
    REGEX_INTERVAL,
};

enum {
    REGEX_UNBOUNDED = -1,
    REGEX_CHAR_MAX = 0x10ffff,
    REGEX_DIGITS_MAX = 18, /* of a number in <n-m>: the longest that fit into 64 bits */
};

struct regex_range {
    uint32_t low, high; /* code points, inclusive */
};

/* <n-m>: one node whatever the numbers are; the compiler makes of it states in O(digits). */
struct regex_interval {
    bool is_any_width; /* any number of leading zeros; else just as many digits as written */
    size_t low_n, high_n;
    char low[REGEX_DIGITS_MAX], high[REGEX_DIGITS_MAX]; /* low <= high as numbers */
};

struct regex_node {
    enum regex_kind kind;
    struct regex_node *left, *right; /* REPEAT: left only */
    int32_t min, max;                /* REPEAT */
    struct regex_range *ranges;      /* SET: sorted, disjoint */
    size_t range_count;
    struct regex_interval *interval; /* INTERVAL */
};

bool regex_parse(struct arena *a, struct str text, struct regex_node **ret, struct err *err);

#endif
