#ifndef UNWIND_WALK_SYMBOLS_H
#define UNWIND_WALK_SYMBOLS_H

#include "lib/symfile/csym.h"
#include "lib/symfile/symfind.h"
#include "lib/unwind/facts.h"

/*
 * walk_symbols - the symbol files of one dump's modules, asked for when first needed.
 *
 * Where they come from is a callback: symfind in the stand-alone tool, the socket to
 * the parent in the sandbox.  Two modules with the same names and ids share one entry.
 *
 * Ownership  walk_symbols_release closes the files; texts of frames point into them.
 * Limits     Files and mapped bytes per dump; beyond them modules count as missing and
 *            `was_limited` is set.
 */
enum {
    WALK_SYMBOLS_FILES_MAX = 4096,
    WALK_SYMBOLS_REGS_MAX = 1024, /* register names of one file that are looked at */
};

struct symbol_source {
    void *ctx;
    /* As symfind_get: always answers. */
    void (*get)(void *ctx, const struct symfind_key *key, struct symfind_result *ret);
};

struct module_symbols {
    size_t module; /* first module with this identity */
    bool is_asked; /* the flags below are meaningful */
    bool is_loaded, is_missing, is_corrupt;
    bool is_open; /* csym may be used */
    struct csym csym;
    const uint8_t *regs; /* csym's register index -> index in the CPU's layout */
    const char *url;     /* NULL: local or none */
};

struct walk_symbols {
    const struct facts *facts; /* borrowed */
    struct symbol_source source;
    struct arena *arena;
    struct module_symbols *entries; /* one per identity */
    size_t entry_count;
    uint32_t *entry_of; /* by module index */
    uint64_t max_bytes, mapped_bytes;
    size_t file_count;
    int64_t load_us;
    bool was_limited;
};

void walk_symbols_init(struct walk_symbols *s, const struct facts *facts,
                       struct symbol_source source, struct arena *arena, uint64_t max_bytes);
void walk_symbols_release(struct walk_symbols *s);

/* Loads on first use.  Never NULL; look at is_open. */
const struct module_symbols *walk_symbols_of(struct walk_symbols *s, size_t module);

/* What is known without asking for anything. */
const struct module_symbols *walk_symbols_state(const struct walk_symbols *s, size_t module);

#endif
