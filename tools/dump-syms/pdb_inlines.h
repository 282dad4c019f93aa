#ifndef DUMP_SYMS_PDB_INLINES_H
#define DUMP_SYMS_PDB_INLINES_H

#include "lib/base/rd.h"
#include "lib/base/vec.h"
#include "tools/dump-syms/pdb_file.h"
#include "tools/dump-syms/sym.h"

/*
 * pdb_inlines - the calls that were inlined into one procedure of a PDB, and the lines of its code
 * with them.
 *
 * Of each module: where its inlined functions begin (pdb_inlines_lines).  Of each procedure: begin
 * with the lines that the procedure itself has, add the sites in their order, then end, which
 * writes INLINE records and lines to the sym.
 *
 * Ownership  pdb_inlines_release; the streams with names are read when the first site is added.
 * Trust      Everything is a stranger's.  Sites deeper than PDB_INLINES_DEPTH are passed over.
 */
enum { PDB_INLINES_DEPTH = 64 };

struct pdb_piece { /* code of one line, seen from one depth; 0 is the procedure */
    uint32_t start, end, line, file, depth;
};

struct pdb_place { /* where the text of an inlined function begins */
    uint32_t inlinee, file_at, line;
};

struct pdb_site {
    uint32_t depth, origin;
    size_t first_piece, piece_count;
};

/* Types or ids: where record i of the stream is. */
struct pdb_ids {
    struct strbuf bytes;
    VEC(uint32_t) at;
    uint32_t first; /* number of the first */
    bool is_read;
};

struct pdb_inlines {
    const struct pdb_file *file;
    struct pdb_ids types, ids;
    VEC(struct pdb_place) places; /* of the module */
    bool places_sorted;           /* by inlinee */
    VEC(struct pdb_piece) pieces;
    VEC(struct pdb_site) sites;
    VEC(struct pdb_piece) ordered; /* a copy, in the order that is searched */
    uint32_t start, size, depth;   /* of the procedure; sites that are open */
};

/* FILE number of an entry of the module's list of files; negative: none. */
typedef int64_t pdb_file_number(void *arg, uint32_t at);

void pdb_inlines_release(struct pdb_inlines *p);
/* A subsection of the module; all of them before the first procedure. */
void pdb_inlines_lines(struct pdb_inlines *p, struct rd body);
void pdb_inlines_module(struct pdb_inlines *p);

void pdb_inlines_begin(struct pdb_inlines *p, uint32_t start, uint32_t size,
                       const struct sym_line *rows, size_t n);
/* A record S_INLINESITE behind its kind; `skip` bytes are between inlinee and annotations. */
void pdb_inlines_site(struct pdb_inlines *p, struct rd r, size_t skip, struct sym *s,
                      pdb_file_number *file, void *arg);
void pdb_inlines_site_end(struct pdb_inlines *p);
/* Sets lines and inlines of f. */
void pdb_inlines_end(struct pdb_inlines *p, struct sym *s, struct sym_func *f);

#endif
