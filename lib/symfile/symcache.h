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
 * Eviction   Beyond max_bytes the files that were not used for longest go, first of all those of
 *            modules that store_dir (symstore; NULL: none) has in its area of experimental builds
 *            only.  Use is kept in
 *            the modification time, brought up to date at most once an hour.  What somebody has
 *            open or mapped by symcache_get's descriptor stays.
 */
enum symcache_state { SYMCACHE_HIT, SYMCACHE_MISS, SYMCACHE_BAD };

/* Looks for the .csym of a text with this stamp.  HIT: *ret_fd is open; the caller closes it. */
enum symcache_state symcache_get(const char *cache_dir, const struct symkey *k, uint64_t stamp,
                                 int *ret_fd);

/* When the .csym of a key was used last, to the hour, in seconds; 0: there is none. */
int64_t symcache_used_s(const char *cache_dir, const struct symkey *k);
/* The files of a key, whatever they were made of; those who have them mapped keep them. */
void symcache_forget(const char *cache_dir, const struct symkey *k);

/* An empty file below cache_dir that a text is compiled to; the caller closes it. */
bool symcache_temp(const char *cache_dir, char path[PATH_MAX], int *ret_fd, struct err *err);
/* Makes of it, instead of a .csym, the note that the text with this stamp cannot be compiled. */
bool symcache_mark_bad(int fd, uint64_t stamp, struct err *err);
/* Gives it its name, .csym or .bad; it has its stamp (csym_set_stamp, symcache_mark_bad). */
bool symcache_publish(const char *cache_dir, const struct symkey *k, const char *temp,
                      bool is_bad_text, struct err *err);

/* Lock of the key, shared by all processes; closing *ret_fd releases it. */
bool symcache_lock(const char *cache_dir, const struct symkey *k, int *ret_fd, struct err *err);

/* What a file of so many bytes takes on disk. */
int64_t symcache_disk_bytes(uint64_t file_bytes);
/* So many bytes on disk are about to get their names. */
bool symcache_count(const char *cache_dir, int64_t bytes, struct err *err);
/* What the cache takes by the count; too high rather than too low. */
int64_t symcache_bytes(const char *cache_dir);
/* So many files were given their names, which took so long. */
void symcache_note_puts(const char *cache_dir, size_t n, int64_t us);
/* How many of these, and how long it took, since somebody asked last. */
void symcache_take_puts(const char *cache_dir, int64_t *ret_n, int64_t *ret_us);
/* How many files were evicted since somebody asked last. */
int64_t symcache_take_evicted(const char *cache_dir);
/* Evicts if the count of bytes says so; looks at the files themselves once a day. */
bool symcache_keep_below(const char *cache_dir, const char *store_dir, int64_t max_bytes,
                         struct err *err);
/* Removes files until the directory takes at most max_bytes, and counts anew. */
bool symcache_evict(const char *cache_dir, const char *store_dir, int64_t max_bytes,
                    int64_t *ret_left, struct err *err);

/* Lock of who fetches the key from another server: held for minutes, so it is not that of who
 * compiles. */
bool symcache_lock_fetch(const char *cache_dir, const struct symkey *k, int *ret_fd,
                         struct err *err);

#endif
