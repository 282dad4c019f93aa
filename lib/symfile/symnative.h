#ifndef SYMFILE_SYMNATIVE_H
#define SYMFILE_SYMNATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/symfile/symkey.h"

/*
 * symnative - programs, libraries and debug files (ELF, PE, PDB, Mach-O) among what was sent: those
 * that belong together are joined by what is in them, and each module becomes symbol text.
 *
 * Reading is done by datil-dump-syms in a sandbox, a process for each step; the files go to it as
 * descriptors.
 *
 * Ownership  Inputs are borrowed.
 * Errors     A file that cannot be read is told to the visitor and skipped.  False: the visitor
 *            stopped, or no process can be started.
 * Trust      What the reader says is checked as a stranger's word.
 */
#define SYMNATIVE_OPTION "--sandboxed"
/* In the generator's line of texts made here: such a text gives way to one that was uploaded. */
#define SYMNATIVE_ORIGIN       "(of a binary"
#define SYMNATIVE_ORIGIN_NAMES SYMNATIVE_ORIGIN ", names only)"
#define SYMNATIVE_ORIGIN_DEBUG SYMNATIVE_ORIGIN " with debug information)"
enum {
    SYMNATIVE_FD_MODULE = 0,
    SYMNATIVE_FD_DEBUG = 3,
    SYMNATIVE_FD_COMMON = 4,
    SYMNATIVE_FD_SPLIT = 5, /* a bundle: before each file its size, a number of 8 bytes */
};

struct symnative_input {
    const char *path;      /* opened when it is needed */
    const char *name;      /* for messages */
    const char *file_name; /* what the module is called, unless it says so itself */
    bool is_old;           /* read already: only of use for others */
};

struct symnative_visitor {
    /* Whether symbols of this key, with or without debug information, would be of use. */
    bool (*wants)(void *arg, const struct symkey *key, bool has_debug_info);
    /* A text, from its start; the descriptor is symnative's.  False stops. */
    bool (*take)(void *arg, int fd, const char *from, struct err *err);
    /* is_lost: nothing came of the file; else its symbols are less than they could be. */
    void (*problem)(void *arg, const char *name, const char *what, bool is_lost);
    void *arg;
    int64_t deadline_ms; /* mono_ms; 0: as long as the sizes of the files allow */
};

/* By the first bytes: whether it is worth looking at.  Packed files count by their name. */
bool symnative_is(const char *path);

bool symnative_convert(const struct symnative_input *inputs, size_t n, const char *temp_dir,
                       const struct symnative_visitor *v, struct err *err);

#endif
