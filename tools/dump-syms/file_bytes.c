/*
 * Files of whatever kind, for all readers of this folder: one place that opens them and knows
 * about packing, so that a reader sees nothing but memory.
 *
 * Names of files come out of other files here (debug links, split units), so what is opened may be
 * anything: a FIFO would block for ever, hence O_NONBLOCK and the question for a regular file.
 */
#include "tools/dump-syms/file_bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/base/util.h"
#include "tools/dump-syms/cab.h"
#include "tools/dump-syms/decompress.h"
#include "tools/dump-syms/tar.h"
#include "tools/dump-syms/zip_debug.h"

/*
 * How much more than its own size a file may become. 64 MiB are granted to small ones, whose few
 * kilobytes of headers say little about what follows; 8 GiB is half of what the child may take by
 * default.  Deflate shrinks zeros to a thousandth, so a file of a few megabytes could ask for
 * gigabytes.
 */
enum { GROWTH_MAX = 200 };

size_t file_bytes_unpacked_max(size_t n)
{
    static const size_t small = (size_t)64 << 20, most = (size_t)8 << 30;
    return n > (most - small) / GROWTH_MAX ? most : small + n * GROWTH_MAX;
}

/* A file that shrinks while it is mapped ends the child with SIGBUS, which main.c reports. */
bool file_bytes_map(int fd, const char *name, struct file_bytes *ret, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return err_errno(err, errno, "%s", name);
    if (!S_ISREG(st.st_mode) || st.st_size == 0)
        return err_set(err, ERR_INVALID, "%s: %s", name,
                       S_ISREG(st.st_mode) ? "empty" : "not a file");
    /* Private and writable: elfutils may convert in place. */
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        return err_errno(err, errno, "mapping %s", name);
    *ret = (struct file_bytes){.path = xstrdup(name), .mapped = p, .mapped_n = (size_t)st.st_size};
    return true;
}

/* Folders of a name in an archive are not kept; they may be of either system. */
static void rename_to_inner(struct file_bytes *f, struct str name)
{
    STRBUF_AUTO path;
    struct str all = str_of(f->path);
    for (size_t i = name.n; i-- > 0;)
        if (name.p[i] == '/' || name.p[i] == '\\') {
            name = str_sub(name, i + 1, SIZE_MAX);
            break;
        }
    size_t slash = str_rfind_char(all, '/');
    sb_init(&path, PATH_MAX);
    sb_str(&path, str_sub(all, 0, slash == SIZE_MAX ? 0 : slash + 1));
    sb_str(&path, name);
    free(f->path);
    f->path = xstrdup(sb_cstr(&path));
}

static bool open_archive(struct file_bytes *f, struct err *err)
{
    struct str all = file_bytes_view(f), name;
    if (!tar_is(all))
        return true;
    if (!tar_find_debug(all, &name, &f->member))
        return err_set(err, ERR_INVALID, "%s: no debug file in the archive", f->path);
    rename_to_inner(f, name);
    return true;
}

/*
 * Packed as a whole once only: what comes out of a .gz is never unpacked again, so files cannot be
 * nested to multiply their growth.  A tar archive packs nothing.
 */
bool file_bytes_unpack(struct file_bytes *f, struct err *err)
{
    struct str all = file_bytes_view(f);
    enum packing packing = packing_of_file(all.p, all.n);
    bool is_cabinet = cab_is(all), is_zip = zip_debug_is(all);
    if (!f->mapped || (packing == PACKED_NOT && !is_cabinet && !is_zip))
        return open_archive(f, err);
    size_t max = file_bytes_unpacked_max(f->mapped_n);
    FREE_LATER char *name = NULL;
    sb_init(&f->whole, max);
    bool ok = is_cabinet ? cab_unpack(all, max, &f->whole, &name, err)
              : is_zip   ? zip_debug_unpack(all, max, &f->whole, &name, err)
                         : unpack_bytes(packing, all.p, all.n, max, &f->whole, err);
    munmap(f->mapped, f->mapped_n);
    f->mapped = NULL;
    if (name)
        rename_to_inner(f, str_of(name));
    return ok ? open_archive(f, err) : err_wrap(err, "%s", f->path);
}

/* ENOTDIR counts as missing too: candidates are put together from folders that need not be any. */
bool file_bytes_open(const char *path, struct file_bytes *ret, struct err *err)
{
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct file_bytes f;
    if (fd < 0) {
        bool is_missing = errno == ENOENT || errno == ENOTDIR;
        err_errno(err, errno, "opening %s", path);
        if (is_missing)
            err->code = ERR_NOT_FOUND;
        return false;
    }
    if (!file_bytes_map(fd, path, &f, err))
        return false;
    if (!file_bytes_unpack(&f, err)) {
        file_bytes_close(&f);
        return false;
    }
    *ret = f;
    return true;
}

bool file_bytes_copy(const void *bytes, size_t n, const char *name, struct file_bytes *ret,
                     struct err *err)
{
    struct file_bytes f = {.path = xstrdup(name)};
    sb_init(&f.whole, n);
    sb_put(&f.whole, bytes, n);
    if (f.whole.n != n) {
        file_bytes_close(&f);
        return err_set(err, ERR_TOO_LARGE, "%s: no memory for %zu bytes", name, n);
    }
    *ret = f;
    return true;
}

struct str file_bytes_view(const struct file_bytes *f)
{
    return f->member.p ? f->member
           : f->mapped ? str_n(f->mapped, f->mapped_n)
                       : str_n(sb_cstr(&f->whole), f->whole.n);
}

void file_bytes_close(struct file_bytes *f)
{
    if (f->mapped)
        munmap(f->mapped, f->mapped_n);
    sb_release(&f->whole);
    free(f->path);
    *f = (struct file_bytes){0};
}
