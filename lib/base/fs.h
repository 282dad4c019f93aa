#ifndef BASE_FS_H
#define BASE_FS_H

#include <sys/types.h>

#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * fs - files the careful way: whole reads with a maximum, writes that are either
 * completely there after a power failure or not at all.
 *
 * Errors     ERR_NOT_FOUND for a missing file, ERR_TOO_LARGE above the maximum,
 *            ERR_IO for the rest (message has the path and the reason).
 */

/* Modes of what is written below DATIL_VAR: reports are nobody else's business. */
enum { FS_FILE_MODE = 0640, FS_DIR_MODE = 0750 };

/* Whole file into a new NUL-terminated block (caller frees). */
bool fs_read(const char *path, size_t max_bytes, char **ret_bytes, size_t *ret_n, struct err *err);
bool fs_read_fd(int fd, const char *name, size_t max_bytes, char **ret_bytes, size_t *ret_n,
                struct err *err);

/* All n bytes, through EINTR and short writes. */
bool fs_write_all(int fd, const void *p, size_t n, const char *name, struct err *err);

/*
 * Atomic and durable: temporary file beside `path`, fsync, rename, fsync of the
 * directory.  Creates missing directories.  Readers see the old or the new file.
 */
bool fs_write_atomic(const char *path, const void *p, size_t n, mode_t mode, struct err *err);

bool fs_mkdirs(const char *path, mode_t mode, struct err *err); /* like mkdir -p */
/* Renames, making the directories of `to` when they are missing; nothing is flushed. */
bool fs_move(const char *from, const char *to, struct err *err);
bool fs_sync_dir(const char *path, struct err *err);
/*
 * Both ask with what the process may do now.  access() would ask for the real user without its
 * capabilities, and say no in a place that CAP_DAC_READ_SEARCH lets it pass (base/identity.h).
 */
bool fs_exists(const char *path);
bool fs_is_writable_dir(const char *path);
/* Removes a tree; a missing one is fine.  Does not follow links. */
bool fs_remove_tree(const char *path, struct err *err);
/* The folder `draft` becomes `place`, which becomes `draft`, in one step: readers find all of the
 * old or all of the new.  Where nothing was before it is a rename; where the file system knows no
 * exchange (over a network) the old one goes first, and there is a moment without either. */
bool fs_take_place(const char *draft, const char *place, struct err *err);
/* Copies a file's bytes with fsync (atomic as above). */
bool fs_copy(const char *from, const char *to, mode_t mode, struct err *err);

/* Maps a file read-only.  Empty files give NULL, 0.  Unmap with munmap. */
bool fs_map(const char *path, const void **ret_p, size_t *ret_n, struct err *err);

/* Folder with templates/, static/, migrations/ …: DATIL_SHARE, else found from the program's own
 * place (build tree or PREFIX/share/datil). */
const char *fs_share_dir(void);

#endif
