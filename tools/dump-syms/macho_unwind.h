#ifndef DUMP_SYMS_MACHO_UNWIND_H
#define DUMP_SYMS_MACHO_UNWIND_H

#include "tools/dump-syms/macho_file.h"
#include "tools/dump-syms/sym.h"

/*
 * macho_unwind - the compact unwind table of a Mach-O file (__unwind_info) as STACK CFI.  What it
 * leaves to __eh_frame is read by cfi.
 *
 * Trust      Every table is a window; an entry that cannot be said is counted in
 *            s->skipped_frames.
 */
void macho_add_compact_unwind(const struct macho_file *f, struct sym *s);

#endif
