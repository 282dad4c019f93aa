#ifndef SYMFILE_SYMSTORE_H
#define SYMFILE_SYMSTORE_H

#include "symfile/symkey.h"

/*
 * symstore - the store of symbols files: SYMBOLS_DIR/v1/<debug file>/<DEBUG ID>/<file>, and
 * the same below try/v1 for symbols of experimental builds.  Files named *.sym lie there
 * gzip-compressed, with ".gz" behind their name, as nginx can serve them.
 *
 * Ownership  struct symstore borrows its strings; nothing to release.
 * Errors     ERR_INVALID: the key, the file or the archive is not what it should be.
 * Trust      Files and archives are hostile: names are checked by symkey, inflating is
 *            limited.
 * Processes  Files appear by rename.  What a symfind of any process answers after a put
 *            returned comes from the new file: .csym files remember what they were made of.
 */
struct symstore {
    const char *dir;         /* SYMBOLS_DIR */
    const char *cache_dir;   /* where new .sym files are compiled to at once, or NULL */
    int64_t cache_max_bytes; /* 0: no limit */
};

enum symstore_area { SYMSTORE_REGULAR, SYMSTORE_TRY };
enum symstore_change { SYMSTORE_ADDED, SYMSTORE_UPDATED, SYMSTORE_SAME };

struct symstore_put {
    enum symstore_change change; /* SAME: the bytes were there already, nothing was written */
    bool is_compressed;
    uint64_t stored_size;
};

/* Stores one file; bytes are those of the uncompressed file.  Durable when it returns. */
bool symstore_put(const struct symstore *s, enum symstore_area area, const struct symkey *key,
                  struct str bytes, struct symstore_put *ret, struct err *err);

/* Whether the area has the file with exactly these bytes. */
bool symstore_has(const struct symstore *s, enum symstore_area area, const struct symkey *key,
                  struct str bytes);
/* After puts: brings the cache back under its limit. */
void symstore_tidy(const struct symstore *s);

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
 * Adds a .sym or .sym.gz file, a .zip of symbols, or every such file below a directory, to
 * the regular area.  Where a .sym file belongs is read from its MODULE line; members of an
 * archive are named by their key.  One callback per file; problem is NULL, or why the file
 * was left out.  False when nothing at all was usable or the store cannot be written.
 */
typedef void symstore_report(void *arg, const char *name, enum symstore_change change,
                             const char *problem);
bool symstore_add_path(const struct symstore *s, const char *path, symstore_report *report,
                       void *arg, struct err *err);

/* Every file of an area, in no particular order.  The callback stops it with false. */
typedef bool symstore_visit(void *arg, const struct symkey *key, const struct symstore_found *file);
bool symstore_list(const struct symstore *s, enum symstore_area area, symstore_visit *visit,
                   void *arg, struct err *err);

#endif
