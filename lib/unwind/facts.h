#ifndef UNWIND_FACTS_H
#define UNWIND_FACTS_H

#include "lib/minidump/context.h"
#include "lib/minidump/memory.h"
#include "lib/minidump/module.h"
#include "lib/minidump/process.h"
#include "lib/minidump/system.h"
#include "lib/minidump/thread.h"

/*
 * facts - everything of a dump that the walk and its report need, read once.
 *
 * Ownership  Lives in the given arena and points into the dump's bytes.
 * Errors     Only a dump without readable header, directory, system info or thread
 *            list is refused; everything else is optional.  err->msg starts with the
 *            public error name: "MissingThreadList - …".
 */
struct facts {
    struct mdmp dump;
    struct mdmp_pool pool;
    struct mdmp_system system;
    const struct mdmp_layout *layout; /* NULL: contexts of this CPU are not read */
    struct mdmp_memory memory;
    struct mdmp_maps maps;
    struct mdmp_threads threads;
    struct mdmp_modules modules;
    struct mdmp_unloadeds unloaded;
    struct mdmp_process process;
    bool has_exception;
    struct mdmp_exception exception;
    struct str reason; /* p NULL without exception */
    uint64_t crash_address;
    size_t crashing_thread; /* index, SIZE_MAX: none */
    bool has_dump_thread;   /* the thread that wrote the dump has no frames */
    uint32_t dump_thread_id;
    uint64_t pointer_mask; /* bits of an address as the writer says; 0: it does not */
};

bool facts_read(const void *bytes, size_t len, struct arena *arena, struct facts *ret,
                struct err *err);

/*
 * Registers of thread `index` at the time of the dump: for the crashing thread those of
 * the exception if they can be read.  False: none.
 */
bool facts_context(const struct facts *f, size_t index, struct mdmp_context *ret);

/* Hex digits of an address in reports: 8 on 32-bit CPUs, else 16. */
int facts_address_digits(const struct facts *f);

#endif
