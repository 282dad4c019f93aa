#ifndef DUMP_SYMS_LINES_H
#define DUMP_SYMS_LINES_H

#include <elfutils/libdw.h>

#include "tools/dump-syms/image.h"
#include "tools/dump-syms/sym.h"

/*
 * lines - the line table of one compilation unit as sorted, sized rows.
 *
 * Ownership  lines_read allocates; lines_release frees.
 */
struct unit_lines {
    VEC(struct sym_line) rows; /* by address, relative to the module, without overlap */
    VEC(uint32_t) file_ids;    /* number in DW_AT_call_file -> FILE, UINT32_MAX: not asked yet */
    const char *folder;        /* of the compilation, in front of relative names; NULL: not known */
    Dwarf_Files *files;
    size_t file_count;
};

/* False when the unit has a line table that cannot be read; ret_lines is set all the same. */
bool lines_read(const struct image *image, struct sym *s, Dwarf_Die *unit,
                struct unit_lines *ret_lines);
void lines_release(struct unit_lines *l);

/* FILE number of a file of the unit; false when there is none. */
bool lines_file(struct unit_lines *l, struct sym *s, uint64_t index, uint32_t *ret_file);

/*
 * Appends to s->loose_lines what functions do not cover: those from index `first` on are the
 * functions of the unit.  Units without functions have lines all the same (-gline-tables-only).
 * `code` (sorted here) is the code of the unit: a table sorted by address does not show where a
 * sequence without length ends, and its last row would reach into what others have compiled.
 */
void lines_keep_loose(const struct unit_lines *l, struct sym *s, size_t first,
                      struct sym_range *code, size_t code_n);

/* The path without "/./", "//" and "dir/../". */
struct str lines_clean_path(struct arena *a, struct str path);

#endif
