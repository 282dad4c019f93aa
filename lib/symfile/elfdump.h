#ifndef SYMFILE_ELFDUMP_H
#define SYMFILE_ELFDUMP_H

#include "lib/base/err.h"

/*
 * elfdump - the symbols of an ELF file that somebody else has sent, made by datil-dump-syms as a
 * limited child.
 *
 * Errors     ERR_INVALID: it has none that can be read.  ERR_UNAVAILABLE: not by the deadline.
 *            ERR_IO: people or the system have ended its reader.
 * Trust      The files are hostile; what is written is, too.
 */

/* Program and debug file are descriptors, one of them may be -1; `name` is what the module is
 * called.  The text is written to the empty file text_fd. */
bool elfdump(int program_fd, int debug_fd, const char *name, int64_t deadline_ms, int text_fd,
             struct err *err);

#endif
