#ifndef DUMP_SYMS_MACHO_FILE_H
#define DUMP_SYMS_MACHO_FILE_H

#include "lib/base/err.h"
#include "lib/base/rd.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"

/*
 * macho_file - programs and libraries of macOS and iOS: load commands, sections, identity; and
 * universal ("fat") files, which hold one of them for each processor.
 *
 * Ownership  Borrows the bytes; macho_close releases the list of sections.
 * Trust      The file is hostile: every place is a window of rd, every list ends with it.
 */
struct macho_section {
    char segment[17], name[17];
    uint64_t addr, size;
    struct rd bytes; /* empty when the file has none, as in a dSYM */
    bool is_code;
};

struct macho_file {
    struct rd bytes; /* of this one, within a fat file */
    uint32_t cpu, subtype, kind;
    uint8_t uuid[16];
    bool has_uuid;
    uint64_t base; /* address of the __TEXT segment as linked */
    uint32_t symbols_at, symbol_count, strings_at, strings_n;
    struct rd starts; /* LC_FUNCTION_STARTS */
    VEC(struct macho_section) sections;
};

enum { MACHO_X86_64 = 0x01000007, MACHO_ARM64 = 0x0100000c };

bool macho_is(struct str bytes); /* thin or fat */

/*
 * The bytes of one of a fat file's parts, those of a thin one as they are; false behind the last.
 * *ret_arch is the name that a MODULE record gives the processor, or NULL for others than 64-bit
 * Intel and ARM.
 */
bool macho_part(struct str bytes, size_t index, struct str *ret_part, const char **ret_arch);

bool macho_open(struct str part, const char *path, struct macho_file *ret, struct err *err);
void macho_close(struct macho_file *f);

/* The section, or NULL. */
const struct macho_section *macho_section(const struct macho_file *f, const char *segment,
                                          const char *name);

/* End of the section of code around the address as linked, 0: no code. */
uint64_t macho_code_end(const struct macho_file *f, uint64_t addr);

#endif
