#ifndef CRASH_VERSION_KEY_H
#define CRASH_VERSION_KEY_H

#include "lib/base/str.h"

/*
 * version_key - versions as people write them ("63.0b4", "60.2.0esr") as semantic
 * versions that sort in the order of their release: "63.0.0-beta.4.rc.999".
 *
 * Order  alpha < beta < release < esr (written xsr) of the same number; release
 *        candidates before the final one, which counts as rc.999.  "63.0b", all betas
 *        of 63.0, sorts behind each of them, because "rc" follows every number.
 */
enum { VERSION_KEY_MAX = 256 }; /* people write twenty characters; longer versions have no key */

/* Writes "X.Y.Z-PRE", terminated; false: the text is no version. */
bool version_key(struct str version, char out[VERSION_KEY_MAX]);

/* A part of a key takes at most its bytes, a mark, a length of three digits and a separator. */
enum { VERSION_SORT_MAX = 4 * VERSION_KEY_MAX };

/* The same as bytes that memcmp, and a database with COLLATE "C", puts into that order. */
bool version_sort_key(struct str version, char out[VERSION_SORT_MAX]);

#endif
