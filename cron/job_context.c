/* What a job asks of its context.  Arguments come as they were typed: "key=value", or a key
 * alone. */
#include "cron/job_context.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"

enum { SAY_EVERY_MS = 30000 }; /* a line of the log: often enough to see that it moves */

const char *job_arg(const struct job_context *x, const char *key)
{
    size_t n = strlen(key);
    for (const char *const *a = x->args; a && *a; a++)
        if (strncmp(*a, key, n) == 0 && ((*a)[n] == '=' || !(*a)[n]))
            return (*a)[n] ? *a + n + 1 : "";
    return NULL;
}

bool job_arg_time(const struct job_context *x, const char *key, int64_t planned, int64_t *ret,
                  struct err *err)
{
    const char *text = job_arg(x, key);
    *ret = planned;
    return !text || !*text || time_parse(str_of(text), ret, err) ||
           err_wrap(err, "job argument %s", key);
}

void job_did(struct job_context *x, size_t n)
{
    int64_t now = mono_ms();
    *x->items = (*x->items < 0 ? 0 : *x->items) + (int64_t)n;
    if (!x->said_ms)
        x->said_ms = now;
    if (now - x->said_ms < SAY_EVERY_MS)
        return;
    x->said_ms = now;
    printf("%lld so far\n", (long long)*x->items);
}
