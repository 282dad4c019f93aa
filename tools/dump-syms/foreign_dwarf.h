#ifndef DUMP_SYMS_FOREIGN_DWARF_H
#define DUMP_SYMS_FOREIGN_DWARF_H

#include "lib/base/rd.h"
#include "tools/dump-syms/elf_write.h"
#include "tools/dump-syms/image.h"

/*
 * foreign_dwarf - debug information in DWARF that lies in a file libdw does not open: a PE file of
 * MinGW's, a Mach-O file or its dSYM.  Its sections are handed over in an ELF image.
 *
 * Ownership  Bytes are borrowed; foreign_release frees the lists.
 */
struct foreign_dwarf {
    const char *path; /* of the file that has the sections; for messages */
    uint16_t machine; /* the ELF number */
    bool is_64;
    uint64_t base; /* of the module, as the debug information sees it */
    VEC(struct code_range) code;
    VEC(struct elf_piece) pieces;
};

/* A section by the name that ELF has for it; others than .debug_* are not kept. */
void foreign_add_section(struct foreign_dwarf *f, const char *name, const void *bytes, size_t n);

/*
 * Functions and lines into s.  False: there is no debug information.  What is there and cannot be
 * read is named in `problems`.
 */
bool foreign_add_functions(const struct foreign_dwarf *f, struct sym *s, struct strbuf *problems);

/* A section of call frames at an address. */
void foreign_add_cfi(const struct foreign_dwarf *f, struct rd bytes, uint64_t addr, bool is_eh,
                     struct sym *s);
void foreign_release(struct foreign_dwarf *f);

#endif
