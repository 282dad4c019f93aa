/* What a job asks of its context.  Arguments come as they were typed: "key=value", or a key
 * alone. */
#include "cron/job_context.h"

#include <string.h>

const char *job_arg(const struct job_context *x, const char *key)
{
    size_t n = strlen(key);
    for (const char *const *a = x->args; a && *a; a++)
        if (strncmp(*a, key, n) == 0 && ((*a)[n] == '=' || !(*a)[n]))
            return (*a)[n] ? *a + n + 1 : "";
    return NULL;
}
