#ifndef DUMP_SYMS_SPLIT_H
#define DUMP_SYMS_SPLIT_H

#include <elfutils/libdw.h>

#include "lib/base/map.h"
#include "tools/dump-syms/image.h"
#include "tools/dump-syms/split_given.h"

/*
 * split - the part of debug information that -gsplit-dwarf puts elsewhere: into one
 * .dwo file per unit, or into one package (.dwp) beside the module.
 *
 * Ownership  splits_release closes everything; entries of split units end with it.
 * Trust      Names of .dwo files come out of the module.  What is opened must be a
 *            regular ELF file and hold the unit of that id.
 */
struct split_unit {
    bool is_found;
    struct elf_file file; /* made by us for this one unit */
    Dwarf *dwarf;
    Dwarf_Die die;
    uint64_t low_pc;     /* of the skeleton: what range lists start from */
    struct rd addresses; /* of the skeleton's table, from this unit's first on */
    struct rd ranges; /* .debug_rnglists of the unit, or .debug_ranges of the skeleton (DWARF 4) */
    uint8_t version, address_size;
};

struct splits {
    struct image *image; /* borrowed */
    struct elf_file package;
    struct split_given given; /* what came along instead of paths */
    bool has_looked;
    VEC(struct split_unit *) units; /* owned */
    struct map unit_of;             /* entry of a skeleton -> index in units + 1 */
    size_t missing;
    char first_missing[256];
};

void splits_init(struct splits *s, struct image *image);
void splits_release(struct splits *s);

/* The other part of a skeleton unit; NULL when it is not found (which is counted). */
struct split_unit *splits_find(struct splits *s, Dwarf_CU *cu, Dwarf_Die *skeleton);

/* One line of image->problems when something is missing. */
void splits_note_missing(const struct splits *s);

/*
 * The next range of an entry's DW_AT_ranges.  libdw cannot read them: it does not know the
 * skeleton. Begin with *at = 0; false at the end of the list.
 */
struct split_list {
    struct rd r;
    uint64_t base;
};
bool split_ranges_begin(const struct split_unit *u, Dwarf_Die *die, struct split_list *ret_list);
bool split_ranges_next(const struct split_unit *u, struct split_list *l, uint64_t *ret_from,
                       uint64_t *ret_to);

#endif
