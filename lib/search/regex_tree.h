#ifndef SEARCH_REGEX_TREE_H
#define SEARCH_REGEX_TREE_H

#include "search/regex.h"

/*
 * regex_tree - the parsed form of a regular expression, private to regex*.c.
 */
enum regex_kind { REGEX_EMPTY, REGEX_NOTHING, REGEX_SET, REGEX_CONCAT, REGEX_EITHER, REGEX_REPEAT };

enum { REGEX_UNBOUNDED = -1, REGEX_CHAR_MAX = 0x10ffff };

struct regex_range {
    uint32_t low, high; /* code points, inclusive */
};

struct regex_node {
    enum regex_kind kind;
    struct regex_node *left, *right; /* REPEAT: left only */
    int32_t min, max;                /* REPEAT */
    struct regex_range *ranges;      /* SET: sorted, disjoint */
    size_t range_count;
};

bool regex_parse(struct arena *a, struct str text, struct regex_node **ret, struct err *err);

#endif
