#ifndef DUMP_SYMS_CFI_H
#define DUMP_SYMS_CFI_H

#include "tools/dump-syms/cfi_program.h"
#include "tools/dump-syms/sym.h"

/*
 * cfi - call frame information of DWARF (.eh_frame and .debug_frame) as the rules
 * of STACK CFI records.
 *
 * Trust      The section is hostile.  Every entry is a record or a count in
 *            s->skipped_frames; work is linear in the size of the section.
 */
void cfi_add_section(const struct cfi_section *section, struct sym *s);

#endif
