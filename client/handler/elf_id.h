#ifndef HANDLER_ELF_ID_H
#define HANDLER_ELF_ID_H

#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/rd.h"

/*
 * elf_id - what identifies an ELF image: its extent, its build id and its own name.
 *
 * Trust      The bytes are hostile.  The answer to any input is a value or an error.
 * Ownership  Borrows the bytes; allocates nothing.
 * Limits     Linkers write about a dozen segments.  ELF_HEADERS_BYTES hold the ELF header and twice
 *            ELF_SEGMENTS_MAX program headers of 56 bytes.  A build id has 20 bytes (SHA-1), unless
 *            somebody gave another one to the linker (--build-id=0x…).
 */
enum { ELF_SEGMENTS_MAX = 64, ELF_BUILD_ID_MAX = 64, ELF_HEADERS_BYTES = 8192 };

struct elf_segment {
    uint32_t type, flags;
    uint64_t offset, vaddr, filesz, memsz;
};

struct elf_image {
    bool is_64;
    uint16_t machine;
    uint64_t low, high; /* page-aligned extent of the loaded segments, as linked */
    uint64_t section_table;
    uint16_t section_count, section_size, section_names;
    struct elf_segment segments[ELF_SEGMENTS_MAX];
    size_t segment_count;
};

/* From the first bytes of an image (ELF header and program headers). */
bool elf_image_read(struct rd headers, struct elf_image *ret_image, struct err *err);

/* Looks through the notes of one PT_NOTE segment.  ERR_NOT_FOUND: no build id in it. */
bool elf_notes_build_id(struct rd notes, uint8_t ret_id[ELF_BUILD_ID_MAX], size_t *ret_n,
                        struct err *err);

/* Where a dynamic section says that its name lies. */
struct elf_soname {
    uint64_t strings, offset; /* address of the table of strings, distance in it */
};

/* ERR_NOT_FOUND: the image gives itself no name (programs do not). */
bool elf_dynamic_soname(struct rd dynamic, bool is_64, struct elf_soname *ret_soname,
                        struct err *err);

/*
 * Stand-in for a missing build id: the first page of the section .text folded by
 * exclusive or to 16 bytes, as Breakpad's tools do it.  `file` is the whole file.
 */
bool elf_text_hash(struct rd file, const struct elf_image *image, uint8_t ret_id[16],
                   struct err *err);

#endif
