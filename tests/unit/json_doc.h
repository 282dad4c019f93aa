#ifndef UNIT_JSON_DOC_H
#define UNIT_JSON_DOC_H

#include <string.h>

#include "lib/base/util.h"
#include "lib/json/json.h"

/*
 * json_doc - JSON in tests, written with ' for ", so that a case stays legible inside a C string.
 * Include it behind cmocka.h.  New; text that is not JSON, or names a key twice, fails the test.
 */
static inline json_t *doc(const char *text)
{
    FREE_LATER char *copy = xstrdup(text);
    for (char *p = copy; *p; p++)
        if (*p == '\'')
            *p = '"';
    json_error_t why;
    json_t *v = json_loads(copy, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &why);
    if (!v)
        fail_msg("not JSON: %s (%s)", text, why.text);
    return v;
}

#endif
