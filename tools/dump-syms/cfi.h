#ifndef DUMP_SYMS_CFI_H
#define DUMP_SYMS_CFI_H

#include "lib/base/rd.h"
#include "tools/dump-syms/sym.h"

/*
 * cfi - call frame information of DWARF (.eh_frame and .debug_frame) as the rules
 * of STACK CFI records.
 *
 * Trust      The section is hostile.  Every entry is a record or a count in
 *            s->skipped_frames; work is linear in the size of the section.
 */
struct cfi_section {
    struct rd bytes; /* with its byte order */
    uint64_t addr;   /* where the section is loaded, for relative pointers */
    uint64_t base;   /* of the module: subtracted from what is written */
    bool is_eh;      /* .eh_frame, not .debug_frame */
    uint8_t addr_size;
    uint16_t machine;                                               /* ELF number */
    bool (*is_code)(const void *arg, uint64_t addr, uint64_t size); /* filter; NULL: all */
    const void *arg;
};

void cfi_add_section(const struct cfi_section *section, struct sym *s);

#endif
