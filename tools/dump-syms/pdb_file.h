#ifndef DUMP_SYMS_PDB_FILE_H
#define DUMP_SYMS_PDB_FILE_H

#include "lib/base/err.h"
#include "lib/base/rd.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"

/*
 * pdb_file - the container of a program database of Windows (MSF 7.00): numbered streams whose
 * blocks lie anywhere in the file, and the identity of the build.
 *
 * Ownership  Borrows the bytes; pdb_close releases what was read.
 * Trust      The file is hostile.  A block belongs to one stream only, so all streams together
 *            are no larger than the file.
 */
struct pdb_stream {
    uint32_t size;
    size_t first_block; /* in pdb_file.blocks */
};

struct pdb_file {
    struct str bytes;
    uint32_t block_size;
    VEC(struct pdb_stream) streams;
    VEC(uint32_t) blocks;
    uint8_t guid[16];
    uint32_t age;
    uint16_t machine; /* IMAGE_FILE_MACHINE_… */
    struct strbuf info, dbi;
};

enum { PDB_STREAM_NONE = 0xffff };

bool pdb_is(struct str bytes);
bool pdb_open(struct str bytes, const char *path, struct pdb_file *ret, struct err *err);
void pdb_close(struct pdb_file *f);

/* The bytes of a stream, owned by the caller; false: no such stream. */
bool pdb_read_stream(const struct pdb_file *f, uint32_t index, struct strbuf *ret);
/* The stream of that name ("/names"), or PDB_STREAM_NONE. */
uint32_t pdb_named_stream(const struct pdb_file *f, const char *name);

#endif
