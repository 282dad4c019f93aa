#ifndef DUMP_SYMS_PDB_FRAMES_H
#define DUMP_SYMS_PDB_FRAMES_H

#include "tools/dump-syms/pdb_file.h"
#include "tools/dump-syms/sym.h"

/*
 * pdb_frames - how code of x86 is unwound, as the PDB says it.
 *
 * Appends a STACK WIN record to s->win for each record of the stream that lies below image_end; one
 * whose program is not among the names is left out.
 */
void pdb_add_frames(const struct pdb_file *f, uint32_t stream, struct str names, uint32_t image_end,
                    struct sym *s);
/* The same of the older stream (FPO_DATA), which has no programs. */
void pdb_add_old_frames(const struct pdb_file *f, uint32_t stream, uint32_t image_end,
                        struct sym *s);

#endif
