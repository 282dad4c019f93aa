#ifndef SYMBOLS_SYMBOLICATE_ERROR_H
#define SYMBOLS_SYMBOLICATE_ERROR_H

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/web/web.h"

/*
 * symbolicate_error - errors of the symbolication service, which have another form than those of
 * the rest of the symbol server: {"title": TEXT}, readable by scripts of every site.
 */

/* Whether errors on this path are those of symbolication. */
bool symbolicate_is_path(struct str path);
bool symbolicate_error(struct req *req, int status, const struct err *err);
/* The header that lets scripts of other sites read the answer; on every answer of these paths. */
void symbolicate_allow_origins(struct req *req);

#endif
