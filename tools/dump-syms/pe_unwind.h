#ifndef DUMP_SYMS_PE_UNWIND_H
#define DUMP_SYMS_PE_UNWIND_H

#include "tools/dump-syms/pe_file.h"
#include "tools/dump-syms/sym.h"

/*
 * pe_unwind - the unwind tables of 64-bit Windows (.pdata and .xdata) as STACK CFI.
 *
 * Every entry becomes a frame, or is counted in s->skipped_frames.
 * Trust      Chains, codes and lengths are bounded; work is linear in the table.
 */
void pe_add_unwind_amd64(const struct pe_file *f, struct sym *s);
void pe_add_unwind_arm64(const struct pe_file *f, struct sym *s);

#endif
