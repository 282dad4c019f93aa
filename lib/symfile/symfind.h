#ifndef SYMFILE_SYMFIND_H
#define SYMFILE_SYMFIND_H

#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * symfind - from a module's identity to an open .csym file: the symbol store, then plain
 * directories of .sym files and single ones; compiles on first use.  A module that has no
 * symbols under its name is looked for by its debug id, under whatever name.
 *
 * Ownership  A struct symfind is made once per program.
 * Errors     A source that fails never fails a crash: the answer is "missing", the
 *            failure goes to the log.
 * Trust      debug_file and the ids come from minidumps: names that are not plain
 *            file names and ids that are not hexadecimal are refused.
 * Processes  Many processes share one cache directory: files appear by rename; a lock
 *            file per key keeps two from compiling the same file.
 */
struct symfind;

struct symfind_options {
    const char *cache_dir; /* .csym files; required */
    int64_t cache_max_bytes;
    const char *store_dir; /* SYMBOLS_DIR, see symstore.h; or NULL */
    /* Plain <debug_file>/<debug_id>/<name>.sym trees, and symbols files (.sym, .gz, .zst: what they
     * are is seen by their bytes); NULL-ended or NULL. */
    const char *const *sym_dirs;
};

struct symfind_key {
    struct str debug_file, debug_id; /* base name; 33 or more hex digits */
    struct str code_file, code_id;   /* may be empty */
};

/* PENDING: they may be there, but not in the time that the caller had; ask again later. */
enum symfind_state { SYMFIND_LOADED, SYMFIND_MISSING, SYMFIND_CORRUPT, SYMFIND_PENDING };

/* What one source said about the module. */
enum symfind_answer {
    SYMFIND_ANSWER_FOUND,
    SYMFIND_ANSWER_NOT_FOUND,
    SYMFIND_ANSWER_MALFORMED,   /* a text that is no symbols file */
    SYMFIND_ANSWER_WRONG_ID,    /* the symbols of another build */
    SYMFIND_ANSWER_TIMED_OUT,   /* no answer within the time for this source */
    SYMFIND_ANSWER_UNREACHABLE, /* no connection, or an error of the server */
    SYMFIND_ANSWER_REFUSED,     /* not allowed there, or an address that we do not ask */
    SYMFIND_ANSWER_TOO_LARGE,
    SYMFIND_ANSWER_PAUSED,  /* not asked: it failed several times in a row */
    SYMFIND_ANSWER_PENDING, /* still being fetched or compiled when the caller's time was over */
};

/*
 * The sources that were asked, in their order, up to the one that had the symbols.  Names are for
 * everybody to see: "own store", "try", the address of a server without user and query, or the path
 * of a folder as it was given.
 */
enum { SYMFIND_SOURCE_MAX = 199, SYMFIND_ASKED_MAX = 16 };
struct symfind_asked {
    char source[SYMFIND_SOURCE_MAX + 1];
    enum symfind_answer answer;
};

struct symfind_result {
    enum symfind_state state;
    int fd;         /* of the .csym when LOADED, else -1; the caller closes it */
    char url[1024]; /* where the symbols came from; empty for local */
    struct symfind_asked asked[SYMFIND_ASKED_MAX];
    size_t asked_count;
};

/* "found", "not found", "wrong id", …: for pages and JSON. */
const char *symfind_answer_text(enum symfind_answer answer);

bool symfind_new(const struct symfind_options *opt, struct symfind **ret, struct err *err);
void symfind_free(struct symfind *s);

/*
 * Always answers; MISSING for anything that cannot be had.  CORRUPT when what there is cannot be
 * used: it is no symbols file, or those of another build.
 */
void symfind_get(struct symfind *s, const struct symfind_key *key, struct symfind_result *ret);

#endif
