#ifndef SYMFILE_SYMBOLIZE_H
#define SYMFILE_SYMBOLIZE_H

#include "lib/base/str.h"
#include "lib/symfile/csym.h"
#include "lib/symfile/symfind.h"

/*
 * symbolize - from (debug file, debug id, offset) to function, file, line and inlined calls, for
 * who asks about many modules again and again, as the symbol server does.
 *
 * Mappings stay open between requests.  Each symbolize_open asks symfind anew, which knows the
 * present text; a mapping is used again exactly if it is of the file that symfind found.
 *
 * Ownership  The symbolizer borrows the symfind and owns the modules.  Each symbolize_open is
 *            followed by a symbolize_close; in between the module stays mapped, whatever happens
 *            to its file.
 * Trust      Names and ids may be of strangers; files are checked as csym.h says.
 * Threads    One at a time.
 */
struct symbolizer;

struct symbolizer *symbolizer_new(struct symfind *find);
void symbolizer_free(struct symbolizer *s);

struct symbolize_module {
    enum symfind_state state;
    struct csym csym;     /* if LOADED */
    uint64_t mapped_file; /* private, like what follows */
    uint64_t mapped_device;
    uint64_t key_hash, last_use;
    size_t users;
};

/* What one symbolize_open took. */
struct symbolize_cost {
    int64_t us;
    bool was_compiled;   /* the text had to be read, which is what took the time */
    bool is_bad_id;      /* no GUID and age, so there cannot be any */
    bool is_other_build; /* there are symbols of this name, of another build */
};

/*
 * Never NULL: what cannot be had by deadline_ms (mono_ms) is a module in the state that says so.  A
 * .csym of another id is CORRUPT.
 */
struct symbolize_module *symbolize_open(struct symbolizer *s, const struct symfind_key *key,
                                        int64_t deadline_ms, struct symbolize_cost *ret_cost);
void symbolize_close(struct symbolizer *s, struct symbolize_module *m);

/* Name of the binary: the code file of INFO CODE_ID, else the debug file as asked for. */
struct str symbolize_name(const struct symbolize_module *m, struct str debug_file);

/*
 * The function at an offset of the module.  With inlined calls the hit's file and line are the call
 * site in the real function; false: none, or no symbols.  Texts live until symbolize_close and are
 * not checked UTF-8.
 */
bool symbolize_at(const struct symbolize_module *m, uint64_t offset, struct csym_hit *ret);

#endif
