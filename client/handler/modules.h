#ifndef HANDLER_MODULES_H
#define HANDLER_MODULES_H

#include "lib/base/arena.h"
#include "client/handler/elf_id.h"
#include "client/handler/target.h"

/*
 * modules - the ELF images of a process, found by their headers in its memory.
 *
 * A mapping at offset 0 that starts with an ELF header and whose image has an
 * executable part is a module; its program headers say how far it reaches.  The
 * files on disk are not asked (they may have been replaced by an update), except
 * for the id of an image that has no build id.
 *
 * A library is called by its own name (DT_SONAME) in the folder of its file, as other
 * writers of dumps do: libfoo.so.1, not the libfoo.so.1.2.3 that was mapped.  Symbol
 * files carry that name, and it stays when a patch release is installed.
 */
struct module {
    uint64_t base, size;
    const char *name; /* borrowed from the target or the list */
    size_t name_length;
    uint8_t id[ELF_BUILD_ID_MAX];
    size_t id_length; /* 0: none */
};

/* As many as a walk asks symbols for (WALK_SYMBOLS_FILES_MAX); a browser loads some 350. */
enum { MODULES_MAX = 4096 };

struct modules {
    VEC(struct module) list; /* the program itself first, then by address */
    struct arena names;
};

void modules_read(const struct target *t, struct modules *ret_modules);
void modules_release(struct modules *m);

#endif
