#ifndef WEBAPP_VERSION_ORDER_H
#define WEBAPP_VERSION_ORDER_H

#include "lib/base/str.h"

/*
 * version_order - the order of version texts: 1.0a1 < 1.0b2 < 1.0b < 1.0rc1 < 1.0 < 1.0esr < 1.1.
 *
 * A version becomes (major, minor, patch) and a list of pre-release parts, compared as
 * semantic versions are: numbers as numbers and before texts, texts by bytes, shorter first.
 * Versions that people give have two such parts ("beta", 4); one with more than VERSION_PARTS_MAX
 * is no version.
 */
enum { VERSION_PARTS_MAX = 8 };

struct version {
    int64_t number[3];
    struct version_part {
        bool is_number;
        int64_t n;
        struct str text;
    } pre[VERSION_PARTS_MAX];
    size_t pre_count;
};

/* False if the text is no version.  Parts borrow from text. */
bool version_parse(struct str text, struct version *ret);
int version_cmp(const struct version *a, const struct version *b);

#endif
