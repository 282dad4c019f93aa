#ifndef SEARCH_REGEX_NFA_H
#define SEARCH_REGEX_NFA_H

#include "lib/search/regex_tree.h"

/*
 * regex_nfa - the byte-wise automaton between regex_compile.c and regex_match.c.
 */
enum nfa_kind { NFA_BYTES, NFA_SPLIT, NFA_MATCH, NFA_FAIL };

struct regex_state {
    uint8_t kind;
    uint8_t low, high; /* NFA_BYTES, inclusive */
    uint32_t out;
    uint32_t other; /* NFA_SPLIT: the second way */
};

struct regex {
    struct regex_state *states;
    size_t state_count;
    uint32_t start;
    uint8_t class_of[256]; /* byte -> class */
    uint8_t sample[256];   /* class -> one of its bytes */
    size_t class_count;
};

#endif
