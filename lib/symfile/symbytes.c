/*
 * Symbols text from a file: plain, gzip or zstd.  Unpacked text goes to a nameless file in a
 * directory of ours and is mapped from there, because symbols of a browser have a gigabyte and
 * memory of that size would count against the process; what comes out of the decoder is limited
 * while it comes.
 *
 * The stamp is what a .csym is recognised by as made of just this file: path, size, time to the
 * nanosecond and inode.  A file that is replaced by rename has another inode, one that is written
 * in place another time; to read a gigabyte for a checksum would cost what the .csym is there to
 * save.
 */
#include "lib/symfile/symbytes.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/util.h"

enum {
    BUFFER = 1 << 18,      /* chosen: reading and writing then cost little beside inflating */
    GZIP_WINDOW = 15 + 16, /* zlib: the largest window, and a gzip header around it */
    GZIP_LEVEL = 5,  /* symbols of a program, 1.2 MB: 24.0 % in 40 ms; 9 takes 180 ms for 23.3 % */
    GZIP_MEMORY = 8, /* zlib's own default */
    COPY_RATIO = 3,  /* symbol text deflates to a fifth at zlib's fastest level, to a tenth at 5 */
    ZSTD_WINDOW_LOG_MAX = 27, /* 128 MiB: what zstd itself reads without being told to */
};

/* A rename changes none of these facts, so the stamp is known before the file has its name. */
uint64_t symbytes_stamp_of(const char *path, const struct stat *st)
{
    const uint64_t facts[] = {hash64(path, strlen(path)), (uint64_t)st->st_size,
                              (uint64_t)st->st_mtim.tv_sec, (uint64_t)st->st_mtim.tv_nsec,
                              (uint64_t)st->st_ino};
    uint64_t h = hash64(facts, sizeof facts);
    return h ? h : 1;
}

bool symbytes_stamp(const char *path, uint64_t *ret_stamp, struct err *err)
{
    struct stat st;
    bool ok = stat(path, &st) == 0;
    if (!ok && errno != ENOENT && errno != ENOTDIR)
        return err_errno(err, errno, "%s", path);
    if (!ok || !S_ISREG(st.st_mode))
        return err_set(err, ERR_NOT_FOUND, "%s: no such file", path);
    *ret_stamp = symbytes_stamp_of(path, &st);
    return true;
}

/* Without a name, so that whoever is killed leaves nothing behind. */
bool symbytes_temp(const char *dir, int *ret_fd, struct err *err)
{
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, errno, "temporary file in %s", dir);
    *ret_fd = fd;
    return true;
}

/* An empty file cannot be mapped: its text is empty and not null. */
bool symbytes_map(int fd, struct symbytes *ret, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return err_errno(err, errno, "symbol text");
    struct symbytes t = {.text = STR("")};
    if (st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED)
            return err_errno(err, errno, "mapping %jd bytes of symbol text", (intmax_t)st.st_size);
        madvise(p, (size_t)st.st_size, MADV_SEQUENTIAL);
        t.text = str_n(p, (size_t)st.st_size);
    }
    *ret = t;
    return true;
}

/* A block is freed, anything else was mapped. */
void symbytes_close(struct symbytes *t)
{
    if (!t->block && t->text.n)
        munmap((void *)t->text.p, t->text.n);
    free(t->block);
    *t = (struct symbytes){0};
}

/* False with an error ends the inflating. */
typedef bool inflate_sink(void *arg, const uint8_t *p, size_t n, struct err *err);

/* Hands out the inflated bytes in pieces.  Several members behind each other are one text. */
static bool inflate_all(struct str packed, inflate_sink *sink, void *arg, size_t *ret_members,
                        struct err *err)
{
    z_stream z = {.next_in = (Bytef *)packed.p};
    size_t left = packed.n;
    FREE_LATER uint8_t *out = xmalloc(BUFFER);
    if (inflateInit2(&z, GZIP_WINDOW) != Z_OK)
        return err_set(err, ERR_INTERNAL, "cannot start inflating");
    int status = Z_OK;
    bool ok = true;
    *ret_members = 1;
    while (ok && (status != Z_STREAM_END || left > 0 || z.avail_in > 0)) {
        if (z.avail_in == 0 && left > 0) {
            z.avail_in = (uInt)MIN(left, (size_t)1 << 30);
            left -= z.avail_in;
        }
        if (status == Z_STREAM_END) {
            inflateReset(&z);
            (*ret_members)++;
        }
        z.next_out = out;
        z.avail_out = BUFFER;
        status = inflate(&z, Z_NO_FLUSH);
        if (status != Z_OK && status != Z_STREAM_END)
            ok = err_set(err, ERR_INVALID, "damaged or incomplete gzip data");
        else
            ok = sink(arg, out, BUFFER - z.avail_out, err);
    }
    inflateEnd(&z);
    return ok;
}

struct to_file {
    int fd;
    uint64_t written, max;
};

/* The limit is looked at before each piece is written, so a bomb costs no more disk than the
 * limit. */
static bool write_piece(void *arg, const uint8_t *p, size_t n, struct err *err)
{
    struct to_file *to = arg;
    to->written += n;
    if (to->written > to->max)
        return err_set(err, ERR_TOO_LARGE, "symbol text of more than %llu bytes",
                       (unsigned long long)to->max);
    return fs_write_all(to->fd, p, n, "symbol text", err);
}

/* An error ends the inflating at the first byte that differs. */
static bool compare_piece(void *arg, const uint8_t *p, size_t n, struct err *err)
{
    struct str *rest = arg;
    if (n > rest->n || memcmp(rest->p, p, n) != 0)
        return err_set(err, ERR_CONFLICT, "different");
    *rest = str_sub(*rest, n, SIZE_MAX);
    return true;
}

/* What a file is, is told by its first bytes and never by its name: names come from strangers. */
static bool is_gzip(struct str s)
{
    return s.n >= 2 && memcmp(s.p, "\x1f\x8b", 2) == 0;
}

static bool is_zstd(struct str s)
{
    return s.n >= 4 && memcmp(s.p, "\x28\xb5\x2f\xfd", 4) == 0;
}

bool symbytes_is_packed(struct str bytes)
{
    return is_gzip(bytes) || is_zstd(bytes);
}

/* Several frames behind each other are one text. */
static bool unzstd_all(struct str packed, struct to_file *to, struct err *err)
{
    ZSTD_DStream *z = ZSTD_createDStream();
    FREE_LATER uint8_t *buf = xmalloc(BUFFER);
    ZSTD_inBuffer in = {packed.p, packed.n, 0};
    size_t status = 1;
    bool ok =
        z && !ZSTD_isError(ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX));
    if (!ok)
        err_set(err, ERR_INTERNAL, "cannot start unpacking");
    while (ok && (status != 0 || in.pos < in.size)) {
        ZSTD_outBuffer out = {buf, BUFFER, 0};
        size_t before = in.pos;
        status = ZSTD_decompressStream(z, &out, &in);
        if (ZSTD_isError(status) || (out.pos == 0 && in.pos == before))
            ok = err_set(err, ERR_INVALID, "damaged or incomplete zstd data");
        else
            ok = write_piece(to, buf, out.pos, err);
    }
    ZSTD_freeDStream(z);
    return ok;
}

/* What is neither gzip nor zstd fails as gzip: callers ask symbytes_is_packed before. */
bool symbytes_unpack(struct str packed, int fd, uint64_t max_bytes, struct symbytes *ret,
                     bool *ret_is_one_gzip, struct err *err)
{
    struct to_file to = {.fd = fd, .max = max_bytes};
    size_t members = 0;
    bool ok = is_zstd(packed) ? unzstd_all(packed, &to, err)
                              : inflate_all(packed, write_piece, &to, &members, err);
    *ret_is_one_gzip = members == 1;
    return ok && symbytes_map(fd, ret, err);
}

bool symbytes_is_packed_well(uint64_t packed_size, uint64_t size)
{
    return packed_size < size / COPY_RATIO;
}

/* In pieces: the stored text is never in memory as a whole. */
bool symbytes_gzip_equals(struct str packed, struct str bytes)
{
    /* The last four bytes of a member are its length: different lengths cost nothing. */
    uint32_t length = 0;
    if (packed.n >= sizeof length)
        memcpy(&length, packed.p + packed.n - sizeof length, sizeof length);
    struct str rest = bytes;
    size_t members;
    return length == (uint32_t)bytes.n &&
           inflate_all(packed, compare_piece, &rest, &members, ERR_IGNORED) && rest.n == 0;
}

/* zlib counts in 32 bits: what is larger is handed to it a GiB at a time. */
bool symbytes_gzip(struct str bytes, int fd, const char *name, struct err *err)
{
    z_stream z = {.next_in = (Bytef *)bytes.p};
    if (deflateInit2(&z, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        return err_set(err, ERR_INTERNAL, "cannot start deflating");
    FREE_LATER uint8_t *out = xmalloc(BUFFER);
    size_t left = bytes.n;
    bool ok = true;
    for (int status = Z_OK; ok && status != Z_STREAM_END;) {
        if (z.avail_in == 0) {
            z.avail_in = (uInt)MIN(left, (size_t)1 << 30);
            left -= z.avail_in;
        }
        z.next_out = out;
        z.avail_out = BUFFER;
        status = deflate(&z, left ? Z_NO_FLUSH : Z_FINISH);
        ok = fs_write_all(fd, out, BUFFER - z.avail_out, name, err);
    }
    deflateEnd(&z);
    return ok;
}
