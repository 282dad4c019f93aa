#ifndef SYMFILE_SYMADD_H
#define SYMFILE_SYMADD_H

#include "lib/db/db.h"
#include "lib/symfile/symstore.h"

/*
 * symadd - symbols into the store: the one way for uploads and for the administrator's
 * command.  Files are read by symreader, stored in batches, and get their rows and their .csym.
 * Binaries and debug files (symnative) become symbol texts, which are stored and reported like
 * others (done->is_derived); a text that was uploaded is never replaced by one of these.
 *
 * Errors     As symstore and db.  What was stored before an error stays; the same again
 *            skips it.
 */
struct symadd {
    const struct symstore *store;
    const char *temp_dir; /* scratch files */
    struct db *db;        /* NULL: no rows */
    enum symstore_area area;
    const char *upload_id; /* NULL: no upload */
    /* The archive is whole, and nothing of it is stored yet: the caller may set upload_id, or end
     * here.  NULL: nothing to do. */
    bool (*begin)(void *arg, struct err *err);
    struct str forbidden; /* snippets (symforbid.h) that texts made of binaries may not have */
    /* Once for each file, when it is durable.  done NULL: left out, for the reason in problem. */
    void (*report)(void *arg, const char *name, const struct symstore_new *done,
                   const char *problem);
    /* What makes the symbols of a binary less than they could be; NULL: nobody wants to know. */
    void (*note)(void *arg, const char *name, const char *what);
    void *arg;
};

/* Every member that is not ignored, of an archive that r has listed; then what is made of them.
 * Nothing is stored of one that is damaged (ERR_INVALID). */
bool symadd_members(const struct symadd *a, struct symreader *r, const struct symreader_list *list,
                    struct err *err);

/* The current text of r, of which `text` are the facts, under this key; reported by that name. */
bool symadd_text(const struct symadd *a, struct symreader *r, const struct symkey *key,
                 const struct symreader_text *text, struct err *err);

/*
 * A file of symbols (plain, gzip or zstd), a binary or debug file, a .zip of them, or every such
 * file below a folder.  Where a text belongs is read from its MODULE line, what a binary is from
 * its headers; members of an archive are named by their key and stored, other binaries are not.
 * False when nothing at all was usable or the store cannot be written.
 */
bool symadd_path(const struct symadd *a, const char *path, struct err *err);

#endif
