/*
 * Column files as mappings.  Room is allocated on the disk before it is mapped, so a full disk is
 * an error here and never a SIGBUS in the middle of a row; and a file that grows is mapped anew,
 * since a mapping made before ends where the file ended then.
 *
 * A file that is mapped stays what it was for whoever has it mapped, even if another one takes its
 * name.  So nothing here waits or locks: a reader works on with what it has, and notices by stamps
 * and counts that there is something newer.
 */
#include "lib/search/columns/mfile.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/util.h"

/* The old mapping goes only after the new one is there: a failure leaves what was. */
static bool map_fd(struct mfile *f, int fd, const char *path, size_t bytes, bool is_writable,
                   struct err *err)
{
    int protection = is_writable ? PROT_READ | PROT_WRITE : PROT_READ;
    void *p = mmap(NULL, bytes, protection, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return err_errno(err, errno, "mapping %s", path);
    mfile_close(f);
    f->base = p;
    f->bytes = bytes;
    return true;
}

/*
 * posix_fallocate and not ftruncate: a hole would be filled at the first store, and a full disk
 * would then be a signal.
 */
static bool allocate(int fd, const char *path, size_t from, size_t to, struct err *err)
{
    int failed = from < to ? posix_fallocate(fd, (off_t)from, (off_t)(to - from)) : 0;
    return failed == 0 || err_errno(err, failed, "making room for %zu bytes in %s", to, path);
}

/* A folder that is gone is a file that is gone: the partition was replaced. */
static bool open_failed(const char *path, struct err *err)
{
    if (errno == ENOENT || errno == ENOTDIR)
        return err_set(err, ERR_NOT_FOUND, "%s: no such file", path);
    return err_errno(err, errno, "opening %s", path);
}

/* Truncates: a killed writer may have left a file of this name that nothing names. */
bool mfile_create(struct mfile *f, const char *path, struct mfile_kind kind, uint64_t from,
                  uint64_t elements, struct err *err)
{
    FD_AUTO fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, FS_FILE_MODE);
    if (fd < 0)
        return open_failed(path, err);
    size_t bytes = FILE_HEAD_BYTES + (size_t)elements * kind.element_bytes;
    size_t hole_end = FILE_HEAD_BYTES + (size_t)from * kind.element_bytes;
    if (ftruncate(fd, (off_t)bytes) < 0)
        return err_errno(err, errno, "making %s", path);
    if (!allocate(fd, path, 0, FILE_HEAD_BYTES, err) || !allocate(fd, path, hole_end, bytes, err) ||
        !map_fd(f, fd, path, bytes, true, err))
        return false;
    struct file_head head = {
        .generation = kind.generation, .kind = kind.kind, .element_bytes = kind.element_bytes};
    memcpy(head.magic, FILE_MAGIC, sizeof head.magic);
    memcpy(f->base, &head, sizeof head);
    return true;
}

static bool file_size(int fd, const char *path, size_t *ret, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_errno(err, errno, "looking at %s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_DAMAGED, "%s is not a file", path);
    *ret = (size_t)st.st_size;
    return true;
}

/*
 * Checked before anything of it is believed: regular, long enough, and the one that belongs to this
 * partition; the generation tells it from a file of an earlier index that has the same name.
 */
bool mfile_open(struct mfile *f, const char *path, struct mfile_kind kind, uint64_t min_elements,
                bool is_writable, struct err *err)
{
    FD_AUTO fd = open(path, (is_writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (fd < 0)
        return open_failed(path, err);
    size_t bytes;
    struct mfile new = {0};
    if (!file_size(fd, path, &bytes, err))
        return false;
    if (bytes < FILE_HEAD_BYTES || (bytes - FILE_HEAD_BYTES) / kind.element_bytes < min_elements)
        return err_set(err, ERR_DAMAGED, "%s is too short: %zu bytes for %llu elements", path,
                       bytes, (unsigned long long)min_elements);
    if (!map_fd(&new, fd, path, bytes, is_writable, err))
        return false;
    struct file_head head;
    memcpy(&head, new.base, sizeof head);
    if (memcmp(head.magic, FILE_MAGIC, sizeof head.magic) != 0 || head.kind != kind.kind ||
        head.element_bytes != kind.element_bytes || head.generation != kind.generation) {
        mfile_close(&new);
        return err_set(err, ERR_DAMAGED, "%s is not the file that belongs here", path);
    }
    mfile_close(f);
    *f = new;
    return true;
}

/* Another writer may have made it longer already; then that is what is mapped. */
bool mfile_grow(struct mfile *f, const char *path, uint32_t element_bytes, uint64_t elements,
                struct err *err)
{
    size_t bytes = FILE_HEAD_BYTES + (size_t)elements * element_bytes, now;
    FD_AUTO fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return open_failed(path, err);
    if (!file_size(fd, path, &now, err))
        return false;
    if (now < bytes && !allocate(fd, path, now, bytes, err))
        return false;
    return map_fd(f, fd, path, MAX(now, bytes), true, err);
}

/* Where the file system cannot, the room stays taken. */
void mfile_punch(const char *path, size_t from, size_t to)
{
    enum { PAGE = 4096 };
    size_t first = (from + PAGE - 1) / PAGE * PAGE, end = to / PAGE * PAGE;
    FD_AUTO fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd >= 0 && first < end)
        fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)first,
                  (off_t)(end - first));
}

bool mfile_fill_bytes(const char *path, size_t from, size_t to, struct err *err)
{
    FD_AUTO fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return open_failed(path, err);
    return allocate(fd, path, from, to, err);
}

bool mfile_fill(const char *path, uint32_t element_bytes, uint64_t element, struct err *err)
{
    size_t at = FILE_HEAD_BYTES + (size_t)element * element_bytes;
    return mfile_fill_bytes(path, at, at + element_bytes, err);
}

void mfile_close(struct mfile *f)
{
    if (f->base)
        munmap(f->base, f->bytes);
    *f = (struct mfile){0};
}

/* Remembers which file it is, so that a replaced one is noticed.  bytes: 0, any but 0. */
static bool map_whole(struct mfile *f, const char *path, size_t bytes, bool is_writable,
                      struct err *err)
{
    FD_AUTO fd = open(path, (is_writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (fd < 0)
        return open_failed(path, err);
    size_t now;
    if (!file_size(fd, path, &now, err))
        return false;
    if (now == 0 || (bytes != 0 && now != bytes))
        return err_set(err, ERR_DAMAGED, "%s has %zu bytes instead of %zu", path, now, bytes);
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_errno(err, errno, "looking at %s", path);
    if (!map_fd(f, fd, path, now, is_writable, err))
        return false;
    f->device = st.st_dev;
    f->inode = st.st_ino;
    return true;
}

/* Heads have one size for ever. */
bool mfile_map_head(struct mfile *f, const char *path, size_t bytes, bool is_writable,
                    struct err *err)
{
    return map_whole(f, path, bytes, is_writable, err);
}

bool mfile_map_whole(struct mfile *f, const char *path, struct err *err)
{
    return map_whole(f, path, 0, false, err);
}

bool mfile_is_at(const struct mfile *f, const char *path)
{
    struct stat st;
    return f->base && stat(path, &st) == 0 && st.st_ino == f->inode && st.st_dev == f->device &&
           (size_t)st.st_size == f->bytes;
}
