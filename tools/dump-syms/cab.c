/*
 * Cabinets, by libmspack, which knows all their ways of packing (Microsoft's symbol servers send
 * LZX, makecab MSZIP).  The library wants files that it can open by name; it gets two, the cabinet
 * in memory and the buffer for what comes out, and no file system.
 *
 * A cabinet may go on in another one; such a file is refused, because a symbol server has one file
 * in each and nobody would know where the other is.  Everything else that can be wrong ends in a
 * status of the library.
 */
#include "tools/dump-syms/cab.h"

#include <mspack.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/util.h"

/* Names of the two files, for mspack_system.open. */
static const char cabinet_name[] = "cabinet", result_name[] = "result";

/* The library knows it as struct mspack_system, which is its first member. */
struct cab_system {
    struct mspack_system calls;
    struct str cabinet;
    struct strbuf *out;
    size_t left; /* so many bytes may still come out */
    bool is_too_large;
};

/* Of the library's struct mspack_file nobody looks at the inside but these functions. */
struct cab_file {
    struct cab_system *system;
    bool is_result;
    size_t at;
};

static struct mspack_file *cab_open(struct mspack_system *self, const char *name, int mode)
{
    struct cab_file *f = xcalloc(1, sizeof *f);
    f->system = (struct cab_system *)self;
    f->is_result = strcmp(name, result_name) == 0;
    if (f->is_result == (mode == MSPACK_SYS_OPEN_WRITE))
        return (struct mspack_file *)f;
    free(f);
    return NULL;
}

static void cab_close(struct mspack_file *file)
{
    free(file);
}

static int cab_read(struct mspack_file *file, void *to, int bytes)
{
    struct cab_file *f = (struct cab_file *)file;
    struct str all = f->system->cabinet;
    if (f->is_result || bytes < 0)
        return -1;
    size_t n = MIN((size_t)bytes, all.n - f->at);
    memcpy(to, all.p + f->at, n);
    f->at += n;
    return (int)n;
}

static int cab_write(struct mspack_file *file, void *from, int bytes)
{
    struct cab_system *s = ((struct cab_file *)file)->system;
    if (bytes < 0)
        return -1;
    if ((size_t)bytes <= s->left) {
        s->left -= (size_t)bytes;
        sb_put(s->out, from, (size_t)bytes);
        if (!s->out->overflow)
            return bytes;
    }
    s->is_too_large = true;
    return -1;
}

static int cab_seek(struct mspack_file *file, off_t offset, int mode)
{
    struct cab_file *f = (struct cab_file *)file;
    int64_t n = (int64_t)f->system->cabinet.n;
    int64_t from = mode == MSPACK_SYS_SEEK_START ? 0
                   : mode == MSPACK_SYS_SEEK_CUR ? (int64_t)f->at
                                                 : n;
    if (f->is_result || offset < -from || offset > n - from)
        return -1;
    f->at = (size_t)(from + offset);
    return 0;
}

static off_t cab_tell(struct mspack_file *file)
{
    return (off_t)((struct cab_file *)file)->at;
}

/* What it has to say beside its status is in English for people who use it as a program. */
static void cab_message(struct mspack_file *file, const char *format, ...)
{
    (void)file;
    (void)format;
}

static void *cab_alloc(struct mspack_system *self, size_t bytes)
{
    (void)self;
    return calloc(1, bytes); /* NULL is a status */
}

static void cab_copy(void *from, void *to, size_t bytes)
{
    memcpy(to, from, bytes);
}

bool cab_is(struct str bytes)
{
    return str_starts(bytes, STR("MSCF\0\0\0\0"));
}

static bool extract(struct cab_system *s, struct mscab_decompressor *d, char **ret_name,
                    struct err *err)
{
    struct mscabd_cabinet *cab = d->open(d, cabinet_name);
    if (!cab || !cab->files) {
        if (cab)
            d->close(d, cab);
        return err_set(err, ERR_INVALID, "not a readable cabinet (status %d)", d->last_error(d));
    }
    if (cab->flags & (MSCAB_HDR_PREVCAB | MSCAB_HDR_NEXTCAB)) {
        d->close(d, cab);
        return err_set(
            err, ERR_INVALID,
            "the cabinet is one of several that belong together; pack the file into one");
    }
    int status = d->extract(d, cab->files, result_name);
    if (status == MSPACK_ERR_OK)
        *ret_name = xstrdup(cab->files->filename);
    d->close(d, cab);
    if (s->is_too_large)
        return err_set(err, ERR_TOO_LARGE, "unpacks to more than it may");
    return status == MSPACK_ERR_OK ||
           err_set(err, ERR_INVALID, "the cabinet is damaged (status %d)", status);
}

bool cab_unpack(struct str bytes, size_t max_bytes, struct strbuf *out, char **ret_name,
                struct err *err)
{
    struct cab_system s = {
        .calls = {.open = cab_open,
                  .close = cab_close,
                  .read = cab_read,
                  .write = cab_write,
                  .seek = cab_seek,
                  .tell = cab_tell,
                  .message = cab_message,
                  .alloc = cab_alloc,
                  .free = free,
                  .copy = cab_copy},
        .cabinet = bytes,
        .out = out,
        .left = max_bytes,
    };
    struct mscab_decompressor *d = mspack_create_cab_decompressor(&s.calls);
    if (!d)
        return err_set(err, ERR_INTERNAL, "libmspack does not start");
    bool ok = extract(&s, d, ret_name, err);
    mspack_destroy_cab_decompressor(d);
    return ok;
}
