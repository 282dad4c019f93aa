/*
 * Errors as values: a code that decides what happens next and a sentence for people.  Messages are
 * cut to the size of struct err, never allocated, so reporting an error cannot fail.
 */
#define ERR_IMPLEMENTATION
#include "lib/base/err.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
    assert(e);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->msg, sizeof e->msg, fmt, ap);
    va_end(ap);
    e->code = code;
    return false;
}

/* The file system takes nothing at present, whatever is written to it. */
static bool is_to_be_waited_for(int errno_value)
{
    return errno_value == ENOSPC || errno_value == EDQUOT || errno_value == EROFS;
}

bool err_errno(struct err *e, int errno_value, const char *fmt, ...)
{
    assert(e);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(e->msg, sizeof e->msg, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof e->msg)
        snprintf(e->msg + n, sizeof e->msg - (size_t)n, ": %s", strerror(errno_value));
    e->code = is_to_be_waited_for(errno_value) ? ERR_UNAVAILABLE : ERR_IO;
    return false;
}

/*
 * The old message is copied aside first, for the new one is written into the same room.  A wrap of
 * no error at all is a fault of ours and becomes one.
 */
bool err_wrap(struct err *e, const char *fmt, ...)
{
    assert(e);
    char old[sizeof e->msg];
    memcpy(old, e->msg, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(e->msg, sizeof e->msg, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof e->msg)
        snprintf(e->msg + n, sizeof e->msg - (size_t)n, ": %s", old);
    if (e->code == ERR_NONE)
        e->code = ERR_INTERNAL;
    return false;
}

const char *err_code_name(enum err_code code)
{
    static const char *const names[] = {
        [ERR_NONE] = "none",
        [ERR_INVALID] = "invalid",
        [ERR_NOT_FOUND] = "not found",
        [ERR_FORBIDDEN] = "forbidden",
        [ERR_TOO_LARGE] = "too large",
        [ERR_CONFLICT] = "conflict",
        [ERR_IO] = "i/o",
        [ERR_UNAVAILABLE] = "unavailable",
        [ERR_BUSY] = "busy",
        [ERR_ABANDONED] = "abandoned",
        [ERR_DAMAGED] = "damaged",
        [ERR_INTERNAL] = "internal",
    };
    return (unsigned)code <= ERR_INTERNAL ? names[code] : "unknown";
}

bool err_is_retryable(enum err_code code)
{
    return code == ERR_UNAVAILABLE || code == ERR_BUSY || code == ERR_IO;
}
