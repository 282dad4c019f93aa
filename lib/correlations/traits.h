#ifndef CORRELATIONS_TRAITS_H
#define CORRELATIONS_TRAITS_H

#include "lib/base/str.h"
#include "lib/base/vec.h"
#include "lib/correlations/priors.h"

/*
 * traits - properties that may tell two sets of crashes apart.
 *
 * A trait is one property, a name and a value, such as platform = Linux or Module "a.dll" = true,
 * with the crashes of each set that have it as bits.  Made are only items that can still be of
 * interest: five crashes in both sets and a share of 15 % in one of them.
 */
enum crash_set { SET_GROUP, SET_REFERENCE, SET_COUNT };
enum item_kind { ITEM_TEXT, ITEM_TRUE, ITEM_FALSE, ITEM_MISSING };

/* How many crashes, and which difference of shares, are worth a line (decision 170). */
enum { CORRELATION_COUNT_MIN = 5 };
#define CORRELATION_DIFFERENCE_MIN 0.15

struct trait {
    const char *name;
    uint32_t attribute; /* the same for all values of a name */
    enum cause cause;
    enum item_kind kind;
    struct str text;   /* ITEM_TEXT */
    struct str vendor; /* of a graphics device: the vendor id in its crashes; p NULL: not known */
    uint32_t count[SET_COUNT];
    uint64_t *bits[SET_COUNT]; /* of the crashes that have it */
};

struct traits {
    VEC(struct trait) all;
    size_t size[SET_COUNT]; /* crashes */
    size_t words[SET_COUNT];
    size_t left_out; /* more properties than are looked at; the least different ones */
};

#endif
