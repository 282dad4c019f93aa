#ifndef SYMFILE_SYMFIND_H
#define SYMFILE_SYMFIND_H

#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/symfile/sources.h"
#include "lib/symfile/symasked.h"

/*
 * symfind - from a module's identity to an open .csym file: the symbol store, plain
 * directories of .sym files and single ones, then other servers; compiles on first use.  A module
 * that has no symbols under its name is looked for by its debug id, under whatever name; one
 * without a debug id by its code file and id.
 *
 * Ownership  A struct symfind is made once per program.
 * Errors     A source that fails never fails a crash: the answer is "missing", the
 *            failure goes to the log.
 * Trust      debug_file and the ids come from minidumps: names that are not plain
 *            file names and ids that are not hexadecimal are refused.
 * Processes  Many processes share one cache directory: files appear by rename; a lock
 *            file per key keeps two from compiling or fetching the same file.  What takes long
 *            is done by processes of their own (fetchers.h), so a caller waits as long as it
 *            likes.
 */
struct symfind;

struct symfind_options {
    const char *cache_dir; /* .csym files; required */
    int64_t cache_max_bytes;
    const char *store_dir; /* SYMBOLS_DIR, see symstore.h; or NULL */
    /* Plain <debug_file>/<debug_id>/<name>.sym trees, and symbols files (.sym, .gz, .zst: what they
     * are is seen by their bytes); NULL-ended or NULL. */
    const char *const *sym_dirs;
    struct sources_options upstream; /* asked when nobody here has it */
    bool store_wants_mark; /* keep what is fetched only in a marked store (store/mark.h) */
};

struct symfind_key {
    struct str debug_file, debug_id; /* base name; 33 or more hex digits */
    struct str code_file, code_id;   /* may be empty */
};

/* PENDING: they may be there, but not in the time that the caller had; ask again later. */
enum symfind_state { SYMFIND_LOADED, SYMFIND_MISSING, SYMFIND_CORRUPT, SYMFIND_PENDING };

struct symfind_result {
    enum symfind_state state;
    int fd;         /* of the .csym when LOADED, else -1; the caller closes it */
    bool was_made;  /* by symfind_get_until: fetched or compiled while it waited */
    char url[1024]; /* where the symbols came from; empty for local */
    struct symfind_asked asked[SYMFIND_ASKED_MAX];
    size_t asked_count; /* in their order, up to the one that had the symbols */
};

/* ERR_INVALID: a server of the options is no address. */
bool symfind_new(const struct symfind_options *opt, struct symfind **ret, struct err *err);
/* That of an installation: its store, and the servers of SYMBOLS_UPSTREAM_URLS. */
bool symfind_new_of_conf(const struct conf *conf, struct symfind **ret, struct err *err);
void symfind_free(struct symfind *s);

/*
 * Always answers; MISSING for anything that cannot be had.  CORRUPT when what there is cannot be
 * used: it is no symbols file, or those of another build.
 */
void symfind_get(struct symfind *s, const struct symfind_key *key, struct symfind_result *ret);

/*
 * The same, back by deadline_ms (mono_ms): PENDING when symbols are still being fetched or compiled
 * then.  That goes on, and who asks again finds them.
 */
void symfind_get_until(struct symfind *s, const struct symfind_key *key, int64_t deadline_ms,
                       struct symfind_result *ret);

/* datil-symfetch: everything in this process, however long it takes. */
void symfind_get_here(struct symfind *s, const struct symfind_key *key, struct symfind_result *ret);

#endif
