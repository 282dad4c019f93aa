/*
 * Whole files with a maximum, writes that are there after a power failure, and trees.
 *
 * A durable write is: a temporary file in the same directory, fsync, rename, fsync of the
 * directory (rename alone orders nothing on ext4 and XFS).  Readers therefore see the old file or
 * the new one.  Paths are the administrator's or built from checked names.
 */
#include "lib/base/fs.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/hash.h"
#include "lib/base/util.h"

/* A missing file is often no error for the caller, so it has a code of its own. */
static bool open_error(int e, const char *path, struct err *err)
{
    if (e == ENOENT || e == ENOTDIR)
        return err_set(err, ERR_NOT_FOUND, "%s: no such file", path);
    return err_errno(err, e, "opening %s", path);
}

/*
 * The size that the kernel tells saves growing, but is only believed for a regular file, and the
 * file may grow while it is read: what counts against the maximum is what was read.
 */
bool fs_read_fd(int fd, const char *name, size_t max_bytes, char **ret_bytes, size_t *ret_n,
                struct err *err)
{
    struct stat st;
    size_t cap = 4096;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= 0) {
        if ((uintmax_t)st.st_size > max_bytes)
            return err_set(err, ERR_TOO_LARGE, "%s: %jd bytes, the limit is %zu", name,
                           (intmax_t)st.st_size, max_bytes);
        cap = (size_t)st.st_size + 1; /* the read that finds the end needs room, too */
    }
    FREE_LATER char *buf = xmalloc(cap + 1);
    size_t n = 0;
    for (;;) {
        if (n == cap) {
            cap *= 2;
            buf = xrealloc(buf, cap + 1);
        }
        ssize_t got = read(fd, buf + n, cap - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, errno, "reading %s", name);
        if (got == 0)
            break;
        n += (size_t)got;
        if (n > max_bytes)
            return err_set(err, ERR_TOO_LARGE, "%s: more than %zu bytes", name, max_bytes);
    }
    buf[n] = '\0';
    *ret_bytes = TAKE(buf);
    *ret_n = n;
    return true;
}

bool fs_read(const char *path, size_t max_bytes, char **ret_bytes, size_t *ret_n, struct err *err)
{
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return open_error(errno, path, err);
    return fs_read_fd(fd, path, max_bytes, ret_bytes, ret_n, err);
}

bool fs_write_all(int fd, const void *p, size_t n, const char *name, struct err *err)
{
    const uint8_t *at = p;
    while (n > 0) {
        ssize_t put = write(fd, at, n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return err_errno(err, errno, "writing %s", name);
        at += put;
        n -= (size_t)put;
    }
    return true;
}

/* Directory part of path into out; "." if there is none. */
static void dir_of(const char *path, char out[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        snprintf(out, PATH_MAX, ".");
    else
        snprintf(out, PATH_MAX, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

bool fs_sync_dir(const char *path, struct err *err)
{
    FD_AUTO fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return open_error(errno, path, err);
    if (fsync(fd) != 0)
        return err_errno(err, errno, "fsync of directory %s", path);
    return true;
}

/* A temporary name in the directory of path, so that rename stays inside one file system. */
static bool temp_name(const char *path, char out[PATH_MAX], struct err *err)
{
    int n = snprintf(out, PATH_MAX, "%s.tmp.%016llx", path, (unsigned long long)random_u64());
    if (n < 0 || n >= PATH_MAX)
        return err_errno(err, ENAMETOOLONG, "%.60s…", path);
    return true;
}

/*
 * The directory is made only when it was missed; nearly always it is there.  O_EXCL, since the name
 * is random: whatever is there already is not ours.
 */
static int create(const char *path, mode_t mode, struct err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0 && errno == ENOENT) {
        char dir[PATH_MAX];
        dir_of(path, dir);
        if (!fs_mkdirs(dir, FS_DIR_MODE, err))
            return -1;
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    }
    if (fd < 0)
        err_errno(err, errno, "creating %s", path);
    return fd;
}

/* The order makes it durable: bytes, then the name, then the directory that has the name. */
static bool make_durable(int fd, const char *temp, const char *path, struct err *err)
{
    if (fsync(fd) != 0)
        return err_errno(err, errno, "fsync of %s", temp);
    if (rename(temp, path) != 0)
        return err_errno(err, errno, "renaming %s", temp);
    char dir[PATH_MAX];
    dir_of(path, dir);
    return fs_sync_dir(dir, err);
}

/*
 * A kill in between leaves the old file as it was, and beside it a temporary one under a name that
 * no reader knows.  An error leaves nothing.
 */
bool fs_write_atomic(const char *path, const void *p, size_t n, mode_t mode, struct err *err)
{
    char temp[PATH_MAX];
    if (!temp_name(path, temp, err))
        return false;
    FD_AUTO fd = create(temp, mode, err);
    if (fd < 0)
        return false;
    if (fs_write_all(fd, p, n, temp, err) && make_durable(fd, temp, path, err))
        return true;
    unlink(temp);
    return false;
}

bool fs_copy(const char *from, const char *to, mode_t mode, struct err *err)
{
    char temp[PATH_MAX];
    if (!temp_name(to, temp, err))
        return false;
    FD_AUTO in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        return open_error(errno, from, err);
    FD_AUTO out = create(temp, mode, err);
    if (out < 0)
        return false;
    FREE_LATER char *buf = xmalloc(1 << 16);
    bool ok = true;
    while (ok) {
        ssize_t got = read(in, buf, 1 << 16);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            ok = err_errno(err, errno, "reading %s", from);
        else if (got == 0)
            break;
        else
            ok = fs_write_all(out, buf, (size_t)got, temp, err);
    }
    if (ok && make_durable(out, temp, to, err))
        return true;
    unlink(temp);
    return false;
}

/*
 * From the leaf: one call when all parents are there.  EEXIST is success also when somebody else
 * made the directory in between.
 */
bool fs_mkdirs(const char *path, mode_t mode, struct err *err)
{
    if (mkdir(path, mode) == 0 || errno == EEXIST)
        return true;
    if (errno != ENOENT)
        return err_errno(err, errno, "making directory %s", path);
    char parent[PATH_MAX];
    dir_of(path, parent);
    if (strcmp(parent, path) == 0)
        return err_errno(err, ENOENT, "making directory %s", path);
    if (!fs_mkdirs(parent, mode, err))
        return false;
    if (mkdir(path, mode) == 0 || errno == EEXIST)
        return true;
    return err_errno(err, errno, "making directory %s", path);
}

/* Housekeeping that removes empty folders may take one between making it and the rename; that it
 * does so three times in a row is not bad luck any more. */
enum { MOVE_TRIES = 3 };

/* The directory is nearly always there, so it is made only after the rename has missed it. */
bool fs_move(const char *from, const char *to, struct err *err)
{
    char dir[PATH_MAX];
    dir_of(to, dir);
    for (int tries = 1; rename(from, to) != 0; tries++) {
        if (errno != ENOENT || tries > MOVE_TRIES)
            return err_errno(err, errno, "renaming %s", from);
        if (!fs_mkdirs(dir, FS_DIR_MODE, tries == MOVE_TRIES ? err : ERR_IGNORED) &&
            tries == MOVE_TRIES)
            return false;
    }
    return true;
}

/*
 * AT_EACCESS: as whom the program works now, capabilities included; without it the kernel would ask
 * for the user who has started it.
 */
bool fs_exists(const char *path)
{
    return faccessat(AT_FDCWD, path, F_OK, AT_EACCESS) == 0;
}

bool fs_is_writable_dir(const char *path)
{
    return faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) == 0;
}

/* Each level is an open descriptor and a level of recursion; our trees are a few levels deep. */
enum { TREE_DEPTH_MAX = 32 };

/*
 * Directories are opened relative to their parent and never through a link, so a tree that somebody
 * changes meanwhile cannot lead the removal elsewhere.
 */
static bool remove_below(int parent, const char *name, int depth, struct err *err)
{
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return true;
    if (errno != EISDIR && errno != EPERM) /* "a directory", as Linux and as POSIX say it */
        return err_errno(err, errno, "removing %s", name);
    if (depth > TREE_DEPTH_MAX)
        return err_set(err, ERR_TOO_LARGE, "directories nested deeper than %d", TREE_DEPTH_MAX);
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "opening %s", name);
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return err_errno(err, errno, "reading %s", name);
    }
    bool ok = true;
    struct dirent *e;
    while (ok && (e = readdir(dir)))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            ok = remove_below(dirfd(dir), e->d_name, depth + 1, err);
    closedir(dir);
    if (ok && unlinkat(parent, name, AT_REMOVEDIR) != 0 && errno != ENOENT)
        return err_errno(err, errno, "removing %s", name);
    return ok;
}

bool fs_remove_tree(const char *path, struct err *err)
{
    return remove_below(AT_FDCWD, path, 0, err);
}

/* EINVAL is the answer of a file system without the exchange, ENOENT that of an empty place. */
bool fs_take_place(const char *draft, const char *place, struct err *err)
{
    if (renameat2(AT_FDCWD, draft, AT_FDCWD, place, RENAME_EXCHANGE) == 0)
        return true;
    if (errno == EINVAL && !fs_remove_tree(place, err))
        return false;
    return rename(draft, place) == 0 || err_errno(err, errno, "%s", place);
}

/* MAP_SHARED: nothing is copied, and the file must not be shortened while it is mapped. */
bool fs_map(const char *path, const void **ret_p, size_t *ret_n, struct err *err)
{
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return open_error(errno, path, err);
    struct stat st;
    if (fstat(fd, &st) != 0)
        return err_errno(err, errno, "%s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_DAMAGED, "%s: not a regular file", path);
    if (st.st_size == 0) { /* mmap refuses a length of 0 */
        *ret_p = NULL;
        *ret_n = 0;
        return true;
    }
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return err_errno(err, errno, "mapping %s", path);
    *ret_p = p;
    *ret_n = (size_t)st.st_size;
    return true;
}

/*
 * Found once and kept, which is why it is a variable of the process: programs change directory, and
 * their file may be replaced while they run.
 */
const char *fs_share_dir(void)
{
    static char dir[PATH_MAX];
    const char *set = getenv("DATIL_SHARE");
    if (set && *set)
        return set;
    if (dir[0])
        return dir;

    char exe[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    exe[n > 0 ? n : 0] = '\0';
    /* PREFIX/bin/x -> PREFIX/share/datil; build/bin/x -> the source tree */
    static const char *const below[] = {"../share/datil", "../.."};
    char *slash = strrchr(exe, '/');
    if (slash)
        *slash = '\0';
    for (size_t i = 0; i < ARRAY_LEN(below); i++) {
        char probe[PATH_MAX + 64];
        snprintf(probe, sizeof probe, "%s/%s/templates", exe, below[i]);
        if (fs_exists(probe)) {
            char joined[PATH_MAX + 32];
            snprintf(joined, sizeof joined, "%s/%s", exe, below[i]);
            if (!realpath(joined, dir))
                dir[0] = '\0';
            break;
        }
    }
    if (!dir[0])
        snprintf(dir, sizeof dir, "/usr/local/share/datil");
    return dir;
}
