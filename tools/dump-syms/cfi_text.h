#ifndef DUMP_SYMS_CFI_TEXT_H
#define DUMP_SYMS_CFI_TEXT_H

#include "lib/base/rd.h"
#include "lib/base/str.h"

/*
 * cfi_text - registers and DWARF expressions in the language of STACK CFI.
 */
enum { CFI_REGISTERS_MAX = 33 }; /* all that have names, and the column of arm64's return address */

/* LEB128 numbers; sticky like the rest of rd. */
uint64_t cfi_uleb(struct rd *r);
int64_t cfi_sleb(struct rd *r);

/* NULL: a register the text has no name for (vector registers, for instance). */
const char *cfi_register_name(uint16_t machine, uint64_t number);

/*
 * Appends the postfix form of a DWARF expression.  `starts_with_cfa`: the stack
 * holds the CFA at first, as for register rules.  False (nothing appended) when the
 * text cannot say it.
 */
bool cfi_expression(struct rd expr, uint16_t machine, uint8_t addr_size, bool starts_with_cfa,
                    struct strbuf *out);

#endif
