#ifndef SYMFILE_SYMPLACES_H
#define SYMFILE_SYMPLACES_H

#include <limits.h>

#include "lib/symfile/symkey.h"

/*
 * symplaces - where the text of a module's symbols may lie on this machine: the areas of the symbol
 * store, plain folders, single files, and what was fetched from other servers.
 *
 * Ownership  symplaces_free.
 * Errors     None: what cannot be read is not there.
 * Processes  Folders and files of users are listed once, when they are first needed.
 */
struct symplaces;

/* Each argument but temp_dir may be NULL; sym_dirs is NULL-ended. */
struct symplaces *symplaces_new(const char *store_dir, const char *const *sym_dirs,
                                const char *fetched_dir, const char *temp_dir);
void symplaces_free(struct symplaces *s);

size_t symplaces_count(const struct symplaces *s);
const char *symplaces_name(const struct symplaces *s, size_t i);
bool symplaces_is_fetched(const struct symplaces *s, size_t i);

/* Under the name that the dump has: the path of the text and its stamp (symbytes.h). */
bool symplaces_by_name(const struct symplaces *s, size_t i, const struct symkey *k,
                       const char *id_as_given, char path[PATH_MAX], uint64_t *ret_stamp);
/* Under another name with the same debug id; *k becomes the key of that. */
bool symplaces_by_id(struct symplaces *s, size_t i, struct symkey *k, char path[PATH_MAX],
                     uint64_t *ret_stamp);
/* Which module has this code file and id: the first two parts of `code`, whose file is its text. */
bool symplaces_by_code(struct symplaces *s, const struct symkey *code, struct symkey *ret);

#endif
