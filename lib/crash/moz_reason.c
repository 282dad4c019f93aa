/*
 * The text of an assertion is public and the first thing people look at; but these three kinds
 * quote an address, a text or a script of the user.  The public text then says where to look: in
 * reports the text itself is in the protected key.
 */
#include "lib/crash/moz_reason.h"

#include "lib/base/util.h"

static const char *const unsafe_reasons[] = {"Failed to load module", "byte index",
                                             "do not use eval with system privileges"};

struct str moz_reason_public(struct str reason)
{
    for (size_t i = 0; i < ARRAY_LEN(unsafe_reasons); i++)
        if (str_starts(reason, str_of(unsafe_reasons[i])))
            return STR("sanitized--see moz_crash_reason_raw");
    return reason;
}
