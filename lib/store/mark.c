/*
 * The mark of a directory tree.  It is read at each put and whenever something is not found: one
 * small file out of the page cache, some microseconds beside an fsync.
 *
 * It is read anew each time and never kept: a file system may go away and come back, or another one
 * take its place, while a program runs.  A link in its place is refused, since that would vouch for
 * a directory somewhere else.
 */
#include "lib/store/mark.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/util.h"

#define MARK_FILE ".datil-store"

static bool mark_path(const char *dir, char out[PATH_MAX], struct err *err)
{
    return snprintf(out, PATH_MAX, "%s/" MARK_FILE, dir) < PATH_MAX ||
           err_errno(err, ENAMETOOLONG, "%.60s…", dir);
}

bool mark_read(const char *dir, char ret_id[INSTALLATION_ID_SIZE], struct err *err)
{
    char path[PATH_MAX], text[INSTALLATION_ID_SIZE + 1] = "";
    if (!mark_path(dir, path, err))
        return false;
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    /* What looks like an unmounted file system is "no mark"; everything else is an error. */
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return err_set(err, ERR_NOT_FOUND, "%s has no mark (" MARK_FILE ")", dir);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
    if (n < 0)
        return err_errno(err, errno, "reading %s", path);
    bool is_whole = n == INSTALLATION_ID_LEN + 1 && text[INSTALLATION_ID_LEN] == '\n';
    if (!is_whole)
        return err_set(err, ERR_DAMAGED, "%s is damaged", path);
    memcpy(ret_id, text, INSTALLATION_ID_LEN);
    ret_id[INSTALLATION_ID_LEN] = '\0';
    return true;
}

bool mark_check(const char *dir, const char *id, struct err *err)
{
    char found[INSTALLATION_ID_SIZE];
    struct err why = {0};
    if (!mark_read(dir, found, &why))
        return err_set(err, ERR_UNAVAILABLE, "%s; is its file system mounted?", why.msg);
    return !id || !*id || strcmp(id, found) == 0 ||
           err_set(
               err, ERR_UNAVAILABLE,
               "%s belongs to another installation (%.8s…, not %.8s…); is the right file system "
               "mounted there?",
               dir, found, id);
}

/* Whoever runs the command, the programs must be able to read it: it gets the directory's owner. */
static bool give_to_owner_of(const char *dir, const char *path, struct err *err)
{
    struct stat st;
    return geteuid() != 0 || (stat(dir, &st) == 0 && chown(path, st.st_uid, st.st_gid) == 0) ||
           err_errno(err, errno, "owner of %s", path);
}

/* By rename, so that nobody reads half a mark and takes the store for damaged. */
bool mark_write(const char *dir, const char *id, struct err *err)
{
    char path[PATH_MAX], text[INSTALLATION_ID_SIZE + 1];
    if (strlen(id) != INSTALLATION_ID_LEN)
        return err_set(err, ERR_INVALID, "not the id of an installation");
    snprintf(text, sizeof text, "%s\n", id);
    return mark_path(dir, path, err) && fs_mkdirs(dir, FS_DIR_MODE, err) &&
           fs_write_atomic(path, text, INSTALLATION_ID_LEN + 1, FS_FILE_MODE, err) &&
           give_to_owner_of(dir, path, err);
}
