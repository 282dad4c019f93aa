#ifndef DUMP_SYMS_SPLIT_GIVEN_H
#define DUMP_SYMS_SPLIT_GIVEN_H

#include "lib/base/map.h"
#include "lib/base/str.h"
#include "tools/dump-syms/elf_file.h"

/*
 * split_given - .dwo files and packages that came along with a module, one behind the other, each
 * with its size before it.  They are found by the ids of the units in them, not by names.
 *
 * Ownership  Borrows the bundle.
 * Trust      The bundle is made by us, the files in it are hostile.
 */
struct split_given {
    struct str bundle;
    struct map file_of;     /* id of a unit -> place of its file + 1 */
    VEC(uint32_t) packages; /* places */
    bool is_listed;
};

void split_given_init(struct split_given *g, struct str bundle);
void split_given_release(struct split_given *g);

/* The .dwo file with this unit; *ret is the caller's to close. */
bool split_given_open_dwo(struct split_given *g, uint64_t id, struct elf_file *ret);

/* Package number n. */
bool split_given_open_package(struct split_given *g, size_t n, struct elf_file *ret);

#endif
