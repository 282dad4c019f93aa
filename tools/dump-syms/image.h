#ifndef DUMP_SYMS_IMAGE_H
#define DUMP_SYMS_IMAGE_H

#include <elfutils/libdw.h>
#include <stdint.h>

#include "tools/dump-syms/elf_file.h"
#include "tools/dump-syms/sym.h"

/*
 * What to read, for all kinds of files.  A sandboxed process has no paths: there the files come
 * along as bytes, which are taken, and `path` is only a name.
 */
struct image_options {
    const char *path;
    const char *debug_file; /* NULL: search */
    const char *debug_dir;  /* NULL: /usr/lib/debug; several separated by ':' */
    const char *name;       /* NULL: SONAME or PDB, else base name of the real path */
    const char *arch;       /* of a universal file; NULL: any */
    size_t part;            /* number among those */
    bool is_sandboxed;
    struct file_bytes *given_module, *given_debug, *given_common, *given_split;
};

/*
 * image - one ELF file and its debug information, wherever that is: in the file, in
 * a file named by --debug-file, or in one found by build id or .gnu_debuglink.
 *
 * Ownership  image_close releases everything that was opened.
 * Errors     What is there and cannot be read does not stop the rest: it is named in
 *            image.problems, a line each.
 * Trust      The file is hostile and elfutils is a big library: main.c runs all of
 *            this in a child process with limits.
 */
struct code_range {
    uint64_t from, to;    /* as linked */
    const char *plt_name; /* of a section of the linkage table; else NULL */
};

struct image {
    struct elf_file file;
    struct elf_file debug;          /* .elf NULL: the file has its own, or there is none */
    struct elf_file common;         /* made by dwz; .elf NULL: none */
    struct elf_file packed_symbols; /* of .gnu_debugdata; .elf NULL: none */
    Elf *elf;                       /* of `file` */
    Dwarf *dwarf;                   /* NULL: none found */
    Dwarf *common_dwarf;
    Dwarf_Addr dwarf_bias; /* add to an address of the debug information to get one of the file */
    uint16_t machine;
    bool is_64, is_big;
    uint64_t base; /* linked address of the module's start */
    VEC(struct code_range) code;
    const char *debug_dirs; /* borrowed */
    struct str split_files; /* borrowed: split units that came along (split_given.h) */
    bool is_sandboxed;      /* nothing else can be opened */
    struct strbuf problems;
};

/* Takes the bytes of the module. */
bool image_open(const struct image_options *o, struct file_bytes *taken, struct image *ret_image,
                struct err *err);
void image_close(struct image *i);

/* Arch, ids and name of the MODULE line. */
bool image_identify(const struct image *i, const struct image_options *o, struct sym *s,
                    struct err *err);

/* Whether instructions of the module lie there (linkers leave debug information of
 * functions they have dropped, with addresses 0, 1 or -1). */
bool image_is_code(const struct image *i, uint64_t addr, uint64_t size);

/* End of the section of code around the address, 0 when there is none. */
uint64_t image_code_end(const struct image *i, uint64_t addr);

#endif
