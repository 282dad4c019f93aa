#ifndef DUMP_SYMS_CFI_PROGRAM_H
#define DUMP_SYMS_CFI_PROGRAM_H

#include "lib/base/rd.h"
#include "tools/dump-syms/sym.h"

/*
 * cfi_program - runs the little program of one unwind entry and writes down its rows.
 *
 * The program moves through the addresses of a function and says how the rules
 * change; each time it moves, what has changed becomes a line of STACK CFI.
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

struct cie {
    uint64_t code_align;
    int64_t data_align;
    uint64_t ra;      /* column of the return address */
    uint8_t encoding; /* of addresses in the entry */
    bool has_data;    /* augmentation data in the entry */
    struct rd instructions;
};

/*
 * Appends a frame to s.  False, and nothing appended, when the program is damaged or
 * says nothing about the CFA.
 */
bool cfi_add_frame(const struct cfi_section *section, const struct cie *cie, uint64_t start,
                   uint64_t size, struct rd code, struct sym *s);

#endif
