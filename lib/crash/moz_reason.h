#ifndef CRASH_MOZ_REASON_H
#define CRASH_MOZ_REASON_H

#include "lib/base/str.h"

/*
 * moz_reason - the public form of MozCrashReason, the text of an assertion that failed: itself, or
 * a fixed text for the kinds that quote an address, a text or a script of the user.
 */
struct str moz_reason_public(struct str reason); /* borrows */

#endif
