#ifndef DUMP_SYMS_DEBUG_FILES_H
#define DUMP_SYMS_DEBUG_FILES_H

#include <elfutils/libdw.h>

#include "tools/dump-syms/elf_file.h"

/*
 * debug_files - where the debug information of a module lies when it is not in the
 * module.  Nothing is fetched from the network.
 *
 * Ownership  The caller closes what is returned.
 * Errors     False: there is none.  What was there and could not be used is named in
 *            `problems`, a line each.
 * Trust      Paths come out of the files.  Whatever is opened must be a regular ELF
 *            file of the same build.
 */
struct debug_search {
    const struct elf_file *module;
    const char *dirs;        /* separated by ':' */
    struct strbuf *problems; /* borrowed */
    bool is_sandboxed;       /* nothing can be opened: what there is was given */
};

/* ERR_CONFLICT: the file is of another build than the module. */
bool debug_belongs(const struct elf_file *module, const struct elf_file *debug, struct err *err);

/* By build id below the folders, then by .gnu_debuglink beside the module and below them. */
bool debug_find(const struct debug_search *s, struct elf_file *ret_file);

/* The file that somebody has named.  Refused when it is of another build. */
bool debug_open_given(const struct elf_file *module, const char *path, struct elf_file *ret_file,
                      struct err *err);

/* What dwz has moved into a file common to several (.gnu_debugaltlink of `debug`). */
bool debug_find_common(const struct debug_search *s, const struct elf_file *debug, Dwarf *dwarf,
                       struct elf_file *ret_file);

/* The symbols that distributions pack into stripped programs (.gnu_debugdata). */
bool debug_open_packed_symbols(const struct debug_search *s, struct elf_file *ret_file);

/* The folder of a path with its final '/', "" when it has none.  Result in buf. */
const char *debug_folder_of(const char *path, char *buf, size_t size);

#endif
