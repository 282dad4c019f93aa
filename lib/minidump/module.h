#ifndef MINIDUMP_MODULE_H
#define MINIDUMP_MODULE_H

#include "lib/minidump/range.h"
#include "lib/minidump/system.h"

/*
 * module - the loaded and unloaded executables and libraries, with the ids by which
 * their symbols are found.
 *
 * Ownership  Arrays and texts live in the pool's arena.
 * Limits     The largest dump at hand has 354 modules.  A CodeView record is an id of some 24 bytes
 *            and a path; build ids have 20 bytes unless somebody gave the linker another one.
 */
enum { MDMP_MODULES_MAX = 65536, MDMP_CODEVIEW_MAX = 32 << 10, MDMP_BUILD_ID_MAX = 64 };

struct mdmp_module {
    uint64_t base;
    uint32_t size;
    struct str path;       /* as in the dump; may be empty */
    struct str file;       /* base name of path */
    struct str debug_file; /* base name; empty if none */
    const char *debug_id;  /* 33 or more characters; NULL if none */
    const char *code_id;   /* lower case; NULL if none */
    const char *version;   /* NULL if none */
};

struct mdmp_modules {
    struct mdmp_module *v;
    size_t n;
    struct ranges index;
    bool is_cut;
};

/* A dump without a readable list has no modules. */
void mdmp_modules_read(const struct mdmp *d, const struct mdmp_system *sys, struct mdmp_pool *pool,
                       struct mdmp_modules *ret);

/* Index of the module covering addr, or SIZE_MAX. */
size_t mdmp_module_at(const struct mdmp_modules *m, uint64_t addr);

/* A log of unload events: ranges may overlap and repeat; kept in file order. */
struct mdmp_unloaded {
    uint64_t base;
    uint32_t size;
    struct str path;
    const char *code_id;
};

struct mdmp_unloadeds {
    struct mdmp_unloaded *v;
    size_t n;
};

void mdmp_unloaded_read(const struct mdmp *d, struct mdmp_pool *pool, struct mdmp_unloadeds *ret);

#endif
