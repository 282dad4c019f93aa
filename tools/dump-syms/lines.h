#ifndef DUMP_SYMS_LINES_H
#define DUMP_SYMS_LINES_H

#include <elfutils/libdw.h>

#include "image.h"
#include "sym.h"

/*
 * lines - the line table of one compilation unit as sorted, sized rows.
 *
 * Ownership  lines_read allocates; lines_release frees.
 */
struct unit_lines {
    VEC(struct sym_line) rows; /* by address, relative to the module, without overlap */
    VEC(uint32_t) file_ids;    /* number in DW_AT_call_file -> FILE, UINT32_MAX: not asked yet */
    Dwarf_Files *files;
    size_t file_count;
};

void lines_read(const struct image *image, struct sym *s, Dwarf_Die *unit,
                struct unit_lines *ret_lines);
void lines_release(struct unit_lines *l);

/* FILE number of a file of the unit; false when there is none. */
bool lines_file(struct unit_lines *l, struct sym *s, uint64_t index, uint32_t *ret_file);

/* Appends the rows between addr and addr + size, cut to that, to s->lines. */
void lines_copy(const struct unit_lines *l, struct sym *s, uint64_t addr, uint32_t size);

/* The path without "/./", "//" and "dir/../". */
struct str lines_clean_path(struct arena *a, struct str path);

#endif
