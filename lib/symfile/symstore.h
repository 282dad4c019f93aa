#ifndef SYMFILE_SYMSTORE_H
#define SYMFILE_SYMSTORE_H

#include "lib/base/conf.h"
#include "lib/symfile/symkey.h"
#include "lib/symfile/symreader.h"

/*
 * symstore - the store of symbols files: SYMBOLS_DIR/v1/<debug file>/<DEBUG ID>/<file>, and
 * the same below try/v1 for symbols of experimental builds and below cache/v1 for those of other
 * servers.  Files named *.sym lie there
 * gzip-compressed, with ".gz" behind their name, as nginx can serve them.
 *
 * Different keys are different paths: a file gets ".gz" behind its name exactly if that name is
 * *.sym, or itself one with ".gz" behind it, so that libk.so.sym.gz is not where libk.so.sym is.
 *
 * Ownership  struct symstore borrows its strings; nothing to release.
 * Errors     ERR_INVALID: the key, the file or the archive is not what it should be.
 * Trust      Files are hostile: names are checked by symkey, bytes only pass through symreader.
 * Processes  Files appear by rename.  What a symfind of any process answers after a put
 *            returned comes from the new file: .csym files remember what they were made of.
 */
struct symstore {
    const char *dir;         /* SYMBOLS_DIR */
    const char *cache_dir;   /* where new .sym files are compiled to at once, or NULL */
    int64_t cache_max_bytes; /* 0: no limit */
    bool wants_mark;         /* store only below a dir with an installation's mark (store/mark.h) */
    struct symstore_times *times; /* added to; NULL: nobody wants to know */
};

/* How long steps of storing took, in microseconds, and how many there were. */
struct symstore_step {
    int64_t us;
    uint64_t n;
};
struct symstore_times {
    struct symstore_step look; /* whether a key is stored already */
    struct symstore_step pack; /* waiting for the reader's compressed text */
    struct symstore_step put;  /* from what is prepared to what is durable; n: files */
};

/* CACHE: fetched from other servers (sources.h); whatever was uploaded comes before it. */
/* The store of an installation: files go only below its mark, since what is stored below a mount
 * point whose file system is away would be hidden when that comes back.  Borrows from conf. */
struct symstore symstore_of_conf(const struct conf *conf);

enum symstore_area { SYMSTORE_REGULAR, SYMSTORE_TRY, SYMSTORE_CACHE, SYMSTORE_AREA_COUNT };
extern const char *const symstore_area_names[]; /* as rows of the database call them */
enum symstore_change { SYMSTORE_ADDED, SYMSTORE_UPDATED, SYMSTORE_SAME };

/*
 * Storing has two steps, so that ten thousand small files need a few waits for the disk and
 * not ten thousand: prepare writes a file where nobody looks, commit makes many durable and
 * gives them their names.  What is prepared and not committed is discarded.
 */
struct symstore_new {
    struct symkey key;
    enum symstore_area area; /* where it goes; with SAME: where it is */
    enum symstore_change change;
    bool is_compressed;
    uint64_t stored_size;
    int64_t started_us;
    struct symreader_text text;
    char *temp, *csym;    /* owned: files that are not yet under their names, or NULL */
    int temp_fd, csym_fd; /* of those, while the reader writes them; else -1 */
    bool is_bad;          /* symbols that do not compile: csym notes that */
    bool is_derived;      /* made here of a binary (symnative.h) */
    uint64_t csym_bytes;
};

/* Whether this is the store of an installation, if wants_mark; before the first of many files. */
bool symstore_check(const struct symstore *s, struct err *err);
/* Whether there is something under the key that the text must be compared with. */
bool symstore_has(const struct symstore *s, enum symstore_area area, const struct symkey *key);
/*
 * The current text of r, as the file `key`.  SAME: the area has exactly these bytes (for
 * SYMSTORE_TRY also the regular area), nothing was written.
 */
bool symstore_prepare(const struct symstore *s, enum symstore_area area, const struct symkey *key,
                      struct symreader *r, const struct symreader_text *text,
                      struct symstore_new *ret, struct err *err);
/*
 * The same in two halves for a key that the store does not have: r was asked to load the text, with
 * its facts.  The answers are taken in the order of the questions.
 */
bool symstore_ask(const struct symstore *s, enum symstore_area area, const struct symkey *key,
                  struct symreader *r, struct symstore_new *ret, struct err *err);
bool symstore_take(const struct symstore *s, struct symreader *r, struct symstore_new *n,
                   struct err *err);
/* All of them are durable when it returns; false: some may be stored all the same. */
bool symstore_commit(const struct symstore *s, struct symstore_new *news, size_t n,
                     struct err *err);
void symstore_discard(struct symstore_new *n);

/* After commits: brings the cache back under its limit, removes what dead processes left. */
void symstore_tidy(const struct symstore *s);

/* The module of a code file and id, for look-ups by those; `area` as rows of the database call
 * it. */
void symstore_add_code(const struct symstore *s, const char *area, const char *code_file,
                       const char *code_id, const struct symkey *key);

/* Once for a store that is older than its index by debug id; cheap when that was done. */
bool symstore_ensure_index(const struct symstore *s, struct err *err);

/* The extensions that are stored compressed: .sym, and packed files of it. */
bool symstore_is_compressible(const char *file);

/* Where a stored file lies.  ERR_NOT_FOUND. */
struct symstore_found {
    char path[4096];
    bool is_compressed; /* the file is gzip, the key has no .gz */
    uint64_t stored_size;
    int64_t modified_s;
};
bool symstore_find(const struct symstore *s, enum symstore_area area, const struct symkey *key,
                   struct symstore_found *ret, struct err *err);

/*
 * Removes a file unless it was stored later than not_after_s, with its .csym, the entry of its
 * debug id and the folders that are empty then.  *ret_is_gone: the area does not have it (any
 * more).
 */
bool symstore_remove(const struct symstore *s, enum symstore_area area, const struct symkey *key,
                     int64_t not_after_s, bool *ret_is_gone, struct err *err);

/* Every file of an area, in no particular order.  The callback stops it with false. */
typedef bool symstore_visit(void *arg, const struct symkey *key, const struct symstore_found *file);
bool symstore_list(const struct symstore *s, enum symstore_area area, symstore_visit *visit,
                   void *arg, struct err *err);

#endif
