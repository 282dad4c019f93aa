#ifndef DUMP_SYMS_PE_FILE_H
#define DUMP_SYMS_PE_FILE_H

#include "lib/base/err.h"
#include "lib/base/rd.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"

/*
 * pe_file - programs and libraries of Windows: headers, sections, identity.
 *
 * Addresses are relative to the image (RVA), as in dumps and symbol files.
 * Ownership  Borrows the bytes; pe_close releases the list of sections.
 * Trust      The file is hostile: every place is a window of rd, every list ends with it.
 */
enum pe_directory { PE_EXPORTS = 0, PE_EXCEPTIONS = 3, PE_DEBUG = 6, PE_DIRECTORIES = 16 };

struct pe_section {
    struct str name; /* long names resolved */
    uint32_t rva, size, raw_at, raw_size;
    bool is_code;
};

struct pe_file {
    struct rd bytes;
    uint16_t machine; /* IMAGE_FILE_MACHINE_… */
    bool is_wide;     /* PE32+ */
    uint32_t timestamp, image_size, headers_size;
    uint64_t base; /* preferred address of the image */
    uint32_t symbols_at, symbol_count;
    struct {
        uint32_t rva, size;
    } directories[PE_DIRECTORIES];
    VEC(struct pe_section) sections;
};

/* What the debug directory says of the PDB: the identity of the build. */
struct pe_identity {
    uint8_t guid[16]; /* as stored */
    uint32_t age;
    struct str pdb; /* path, as the linker wrote it; empty from MinGW */
};

bool pe_is(struct str bytes);
bool pe_open(struct str bytes, const char *path, struct pe_file *ret, struct err *err);
void pe_close(struct pe_file *f);

/* The n bytes at an address, which the file must hold; else the window is bad. */
struct rd pe_at(const struct pe_file *f, uint64_t rva, uint64_t n);
/* From there to the end of what the file has of that section. */
struct rd pe_from(const struct pe_file *f, uint64_t rva);

/* End of the section of code around the address, 0: no code. */
uint32_t pe_code_end(const struct pe_file *f, uint64_t rva);

/* ERR_NOT_FOUND: the file has none. */
bool pe_identify(const struct pe_file *f, const char *path, struct pe_identity *ret,
                 struct err *err);

#endif
