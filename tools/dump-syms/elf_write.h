#ifndef DUMP_SYMS_ELF_WRITE_H
#define DUMP_SYMS_ELF_WRITE_H

#include "lib/base/str.h"

/*
 * elf_write - writes small ELF images for libdw.
 *
 * Ownership  Pieces are borrowed; the caller owns the buffer, which has a maximum (overflow tells).
 */
struct elf_piece {
    const char *name; /* of the section */
    const void *bytes;
    size_t n;
};

/* Appends a 64-bit relocatable file with these sections and nothing else to the empty buffer. */
void elf_write(const struct elf_piece *pieces, size_t count, bool big, struct strbuf *out);

/* The lowest `bytes` bytes of the value, in the byte order; beyond eight they are 0. */
void elf_put_number(struct strbuf *b, uint64_t value, size_t bytes, bool big);

#endif
