/*
 * Writing by write() and not through a mapping: a full disk is an error of the call that meets it,
 * and nobody else has the file open.
 */
#include "lib/search/columns/file_out.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/search/columns/format.h"

bool file_out_open(struct file_out *o, const char *path, uint64_t head_bytes, struct err *err)
{
    *o = (struct file_out){.path = path, .at = head_bytes};
    o->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, FS_FILE_MODE);
    if (o->fd < 0 || lseek(o->fd, (off_t)head_bytes, SEEK_SET) < 0)
        return err_errno(err, errno, "making %s", path);
    return true;
}

bool file_out_add(struct file_out *o, const void *p, size_t n, struct err *err)
{
    o->at += n;
    return fs_write_all(o->fd, p, n, o->path, err);
}

bool file_out_align(struct file_out *o, size_t align, struct err *err)
{
    static const uint8_t zeroes[64];
    size_t over = o->at % align;
    return over == 0 || file_out_add(o, zeroes, align - over, err);
}

bool file_out_head(struct file_out *o, struct mfile_kind kind, const struct file_piece *pieces,
                   size_t n, struct err *err)
{
    struct file_head head = {
        .generation = kind.generation, .kind = kind.kind, .element_bytes = kind.element_bytes};
    memcpy(head.magic, FILE_MAGIC, sizeof head.magic);
    if (lseek(o->fd, 0, SEEK_SET) < 0)
        return err_errno(err, errno, "writing %s", o->path);
    bool ok = fs_write_all(o->fd, &head, sizeof head, o->path, err);
    for (size_t i = 0; ok && i < n; i++)
        ok = fs_write_all(o->fd, pieces[i].p, pieces[i].n, o->path, err);
    return ok;
}

void file_out_close(struct file_out *o)
{
    if (o->fd >= 0)
        close(o->fd);
    o->fd = -1;
}
