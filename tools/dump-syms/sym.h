#ifndef DUMP_SYMS_SYM_H
#define DUMP_SYMS_SYM_H

#include <stdint.h>
#include <stdio.h>

#include "lib/base/arena.h"
#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"

/*
 * sym - what a Breakpad symbol file says about one module, while it is collected.
 *
 * Addresses are relative to the start of the module.
 * Ownership  struct sym owns everything; texts live in its arena.
 */

/*
 * Most entries of a table: the arena of the symbols is full long before (a text takes 16 bytes of
 * it), and no file has so many entries of debug information.
 */
enum { SYM_ENTRIES_MAX = 1 << 30 };

struct sym_line {
    uint64_t addr;
    uint32_t size, line, file;
};

struct sym_range {
    uint64_t addr;
    uint32_t size;
};

struct sym_inline {
    uint32_t depth, call_line, call_file, origin;
    uint32_t first_range, range_count; /* in sym.ranges */
};

struct sym_func {
    uint64_t addr;
    uint32_t size;
    uint32_t name;  /* in sym.names */
    bool is_shared; /* other functions have the same code */
    bool is_unsure; /* the debug information has no linkage name: a symbol may know better */
    size_t first_line, line_count;
    size_t first_inline, inline_count;
};

/* An entry of a symbol table. */
struct sym_symbol {
    uint64_t addr, size; /* size 0: the table does not say */
    uint64_t limit;      /* where its section ends */
    uint32_t name;
    int rank; /* of several names for one address the highest is written */
    bool is_shared, is_mangled;
};

/* A section of the linkage table. */
struct sym_section {
    uint64_t addr, end;
    uint32_t name;
};

struct sym_public {
    uint64_t addr;
    uint32_t name;
};

struct sym_frame {
    uint64_t addr, size;
    size_t text, text_length; /* in sym.cfi: rules of INIT and the lines behind it */
};

struct sym {
    struct arena arena;
    const char *os, *arch; /* as a MODULE record has them */
    char debug_id[48], code_id[160];
    const char *name;      /* of the debug file */
    const char *code_file; /* NULL: as the debug file */
    const char *origin;    /* NULL, or what the generator's line says beside its name */
    struct textmap files, origins, names; /* copied into the arena */
    VEC(struct sym_line) lines;
    VEC(struct sym_range) ranges;
    VEC(struct sym_inline) inlines;
    VEC(struct sym_func) funcs;
    VEC(struct sym_symbol) symbols;
    VEC(struct sym_section) plt;
    VEC(uint64_t) starts; /* further places where some function begins, whatever its name */
    VEC(struct sym_line) loose_lines; /* of no function that the debug information knows */
    VEC(struct sym_public) publics;   /* written; made of the above by extents_add */
    VEC(struct sym_frame) frames;
    struct strbuf cfi;
    struct strbuf win;          /* lines of STACK WIN records */
    size_t skipped_expressions; /* CFI that the text cannot say */
    size_t skipped_frames;      /* unreadable or odd CFI entries */
    bool no_cfi;                /* frames and win are not written: frames say where code ends */
};

void sym_init(struct sym *s);
void sym_release(struct sym *s);

/* Text that fits on a line of the file: control characters become '?', empty a placeholder. */
struct str sym_clean(struct sym *s, struct str text);

/* Puts the functions in order; of overlapping ones the first stays. */
void sym_sort_funcs(struct sym *s);

/* Index of the first of `count` ordered functions that begins behind addr. */
size_t sym_funcs_behind(const struct sym *s, size_t count, uint64_t addr);

/*
 * Appends those of the n rows (by address, without overlap) between addr and addr + size, cut to
 * that, to s->lines.
 */
void sym_copy_lines(struct sym *s, const struct sym_line *rows, size_t n, uint64_t addr,
                    uint32_t size);

/*
 * Sorts, drops overlapping and covered records.  Call once when everything is collected, and then
 * extents_add, which searches functions, frames and loose lines by halving.
 */
void sym_finish(struct sym *s);

/*
 * The debug id of 16 bytes that are a GUID of a little-endian machine, and an age.  The first three
 * members of a GUID are numbers, so their bytes are written backwards; Breakpad does so on every
 * machine, and a symbol server would look in another directory otherwise.
 */
void sym_set_guid(struct sym *s, const uint8_t guid[16], uint32_t age);

/* The name of the text: that of the debug file, ".sym" in place of ".pdb" or behind it. */
void sym_file_name(const struct sym *s, char out[300]);

/* False when a write failed. */
bool sym_write(const struct sym *s, FILE *out, struct err *err);

#endif
