#ifndef JSON_JR_H
#define JSON_JR_H

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * jr - reads one JSON document from its text, without a tree: for large bodies of strangers of
 * which few kinds of values are wanted.
 *
 *     if (!jr_check(text, JSON_GIVEN_DEPTH_MAX, err)) …
 *     struct jr r = jr_init(text);
 *     if (jr_enter(&r, '['))
 *         while (jr_more(&r))
 *             … exactly one of jr_skip, jr_int, jr_string, jr_enter
 *
 * jr_check is the only judge of the grammar (RFC 8259); the reader takes a text that it accepted.
 *
 * Ownership  Borrows the text.
 * Errors     Asked for a kind that the value is not, a function says so and skips the value.
 * Trust      Texts are hostile.  The reader is safe on any, and right on those that jr_check took.
 */
struct jr {
    struct str text;
    size_t off; /* of the next byte */
};

/* ERR_INVALID: no JSON document in UTF-8, or one nested deeper than depth_max (at most 64). */
bool jr_check(struct str text, int depth_max, struct err *err);

struct jr jr_init(struct str text);

/* Into the list ('[') or object ('{') that is the next value. */
bool jr_enter(struct jr *r, char opener);
/* Whether another item follows; false: the reader stands behind the list or object. */
bool jr_more(struct jr *r);
/* The name of the next member of an object, in front of its value. */
struct str jr_key(struct jr *r, struct arena *a);

/* The next value, whatever it is, as text. */
struct str jr_skip(struct jr *r);
/* Without escapes: borrows the text, or the arena if there were some.  A lone half of a surrogate
 * pair becomes U+FFFD. */
bool jr_string(struct jr *r, struct arena *a, struct str *ret);

enum jr_int {
    JR_INT_NONE, /* another kind of value, a fraction or exponent */
    JR_INT,
    JR_INT_HUGE, /* an integer beyond 64 bits */
};
/* -12 is true and 12. */
enum jr_int jr_int(struct jr *r, bool *ret_negative, uint64_t *ret_magnitude);

#endif
