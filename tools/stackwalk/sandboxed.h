#ifndef STACKWALK_SANDBOXED_H
#define STACKWALK_SANDBOXED_H

#include "tools/stackwalk/options.h"

/*
 * sandboxed - the walk as a child of walker_run: the dump on descriptor 0, the report to
 * 1, messages to 2, symbols by asking on 3, annotations on 4 if there are any.  Limits
 * itself before it looks at the first byte.  The result is the exit status.
 */
int sandboxed(const struct stackwalk_options *o);

/* `ERROR Name - text` on standard error; always 1. */
int fail(const char *name, const struct err *err);

#endif
