#ifndef SYMFILE_SYMCACHE_H
#define SYMFILE_SYMCACHE_H

#include <limits.h>

#include "lib/symfile/csym.h"
#include "lib/symfile/symkey.h"

/*
 * symcache - the directory of .csym files: <debug file>/<DEBUG ID>.csym below cache_dir.
 *
 * A .csym carries the stamp of the text it was made of and is good while that stamp is;
 * so nothing has to be told when a symbols file is replaced.  A text that cannot be
 * compiled leaves a file with the suffix .bad that holds its stamp.
 *
 * Processes  Files appear by rename.  Who compiles holds the lock of the key; another who
 *            wants the same waits and then finds the result.
 * Eviction   Beyond max_bytes the files that were not used for longest go.  Use is kept in
 *            the modification time, brought up to date at most once an hour.  Deleting a
 *            mapped file harms nobody.
 */
enum symcache_state { SYMCACHE_HIT, SYMCACHE_MISS, SYMCACHE_BAD };

/* Looks for the .csym of a text with this stamp.  HIT: *ret_fd is open; the caller closes it. */
enum symcache_state symcache_get(const char *cache_dir, const struct symkey *k, uint64_t stamp,
                                 int *ret_fd);

/* An empty file below cache_dir that a text is compiled to; the caller closes it. */
bool symcache_temp(const char *cache_dir, char path[PATH_MAX], int *ret_fd, struct err *err);
/* Gives it the stamp of its text and its name; what is there already is replaced. */
bool symcache_publish(const char *cache_dir, const struct symkey *k, uint64_t stamp,
                      const char *temp, struct err *err);
/* The text with this stamp cannot be compiled. */
void symcache_note_bad(const char *cache_dir, const struct symkey *k, uint64_t stamp);

/* Lock of the key, shared by all processes; closing *ret_fd releases it. */
bool symcache_lock(const char *cache_dir, const struct symkey *k, int *ret_fd, struct err *err);

/* Removes least recently used files until the directory takes at most max_bytes. */
bool symcache_evict(const char *cache_dir, int64_t max_bytes, int64_t *ret_left, struct err *err);

#endif
