#ifndef DUMP_SYMS_ELF_FILE_H
#define DUMP_SYMS_ELF_FILE_H

#include <gelf.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/rd.h"
#include "lib/base/str.h"
#include "tools/dump-syms/file_bytes.h"

/*
 * elf_file - one ELF file in memory, with everything in it unpacked.
 *
 * A file packed as a whole (gzip, zstd, xz) is unpacked first.  Compressed sections
 * (SHF_COMPRESSED with zlib or zstd, and .zdebug_* of old tools) are replaced by plain
 * ones, so that whoever reads the file afterwards knows of one form only.
 *
 * Ownership  elf_file_close releases the bytes and elfutils' handle of them.
 * Trust      The file is hostile.  Only regular files are opened, and what a file
 *            unpacks to is limited by its size (file_bytes_unpacked_max).
 */

struct elf_file {
    Elf *elf;
    const char *path;        /* what it was opened as; borrowed from bytes */
    struct file_bytes bytes; /* as on disk, or unpacked as a whole */
    struct strbuf image;     /* with plain sections, when any were compressed */
    struct strbuf bad;       /* sections that are lost or cannot be unpacked: "NAME: why\n"… */
};

/* ERR_NOT_FOUND: no such file.  ERR_INVALID: no ELF file. */
bool elf_file_open(const char *path, struct elf_file *ret_file, struct err *err);

/* Takes the bytes, also when it fails. */
bool elf_file_take(struct file_bytes *bytes, struct elf_file *ret_file, struct err *err);

/* The same from memory, which is copied. */
bool elf_file_from_bytes(const void *bytes, size_t n, const char *name, struct elf_file *ret_file,
                         struct err *err);

void elf_file_close(struct elf_file *f);

/* The checksum that .gnu_debuglink holds of its target: of the file before sections are
 * unpacked. */
uint32_t elf_file_crc(const struct elf_file *f);

/* Content of the first section of that name; n 0 when there is none (or no content). */
struct str elf_file_section(const struct elf_file *f, const char *name);

/*
 * Replaces compressed sections.  ret_image stays empty when the file has none; sections that
 * cannot be unpacked stay as they are and are named in `bad`, as are those of the debug information
 * that the file has lost its end with.
 */
void elf_unpack_sections(struct rd file, struct strbuf *ret_image, struct strbuf *bad);

#endif
