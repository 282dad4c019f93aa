/*
 * How a report becomes durable: after the answer it is found again whatever is killed and whenever
 * power is lost.  Each file is synced when it is complete; then the raw crash is written and
 * synced, then the directory that holds them, then one rename makes the entry new, then the
 * directory above is synced; and only then is the answer sent.
 *
 * What a kill leaves: up to the rename a directory below tmp/ that nobody was told of, which
 * spool_sweep removes; behind it a whole entry whose sender has perhaps no answer and sends again
 * (recent.h tells that from a second crash).  What a power cut takes back is at most a rename whose
 * directory was not synced yet: no answer was sent.
 */
#include "lib/spool/receive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/util.h"

enum { DIR_MODE = 0700, FILE_MODE = 0600 }; /* reports are nobody else's to read */

static void file_path(const struct spool_entry *e, const char *prefix, const char *name,
                      char out[SPOOL_PATH_SIZE])
{
    char file[200];
    snprintf(file, sizeof file, "%s%s", prefix, name);
    spool_path(e->spool, SPOOL_RECEIVING, e->name, file, out);
}

/* The directory is made with the first file: most requests that are refused never need one. */
static bool ensure_dir(struct spool_entry *e, struct err *err)
{
    if (e->name[0])
        return true;
    char name[sizeof e->name], path[SPOOL_PATH_SIZE];
    snprintf(name, sizeof name, "%016llx", (unsigned long long)random_u64());
    spool_path(e->spool, SPOOL_RECEIVING, name, NULL, path);
    /* Another disk was mounted there, or somebody tidied up: the directories are made again. */
    if (mkdir(path, DIR_MODE) != 0 &&
        (errno != ENOENT || !spool_open(e->spool, err) || mkdir(path, DIR_MODE) != 0))
        return err_errno(err, errno, "spool: making a directory");
    memcpy(e->name, name, sizeof name);
    return true;
}

static int create(struct spool_entry *e, const char *prefix, const char *name, struct err *err)
{
    char path[SPOOL_PATH_SIZE];
    if (!ensure_dir(e, err))
        return -1;
    file_path(e, prefix, name, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, FILE_MODE);
    if (fd < 0)
        err_errno(err, errno, "spool: creating a file");
    return fd;
}

static bool sync_fd(const struct spool *s, int fd, struct err *err)
{
    if (!s->no_fsync && fsync(fd) != 0)
        return err_errno(err, errno, "spool: fsync");
    return true;
}

bool spool_file_begin(struct spool_entry *e, const char *dump_name, struct spool_file *ret,
                      struct err *err)
{
    int fd = create(e, SPOOL_DUMP_PREFIX, dump_name, err);
    if (fd < 0)
        return false;
    *ret = (struct spool_file){.fd = fd};
    sha256_init(&ret->sha);
    return true;
}

/* Pieces go to the page cache as they come; nothing is kept in memory and nothing synced before the
 * end. */
bool spool_file_add(struct spool_file *f, const void *p, size_t n, struct err *err)
{
    const uint8_t *at = p;
    sha256_add(&f->sha, p, n);
    f->bytes += n;
    while (n) {
        ssize_t put = write(f->fd, at, n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return err_errno(err, errno, "spool: writing a file");
        at += put;
        n -= (size_t)put;
    }
    return true;
}

void spool_file_drop(struct spool_file *f)
{
    if (f->fd < 0)
        return;
    close(f->fd);
    f->fd = -1;
    sha256_release(&f->sha);
}

/* The descriptor is gone afterwards, also when the sync failed: the file then counts for
 * nothing. */
bool spool_file_end(struct spool_entry *e, struct spool_file *f, char ret_sha256[SHA256_HEX + 1],
                    struct err *err)
{
    uint8_t digest[SHA256_BYTES];
    bool ok = sync_fd(e->spool, f->fd, err);
    close(f->fd);
    f->fd = -1;
    sha256_finish(&f->sha, digest);
    if (ok)
        hex_encode(digest, sizeof digest, ret_sha256);
    return ok;
}

bool spool_file_remove(struct spool_entry *e, const char *dump_name, struct err *err)
{
    char path[SPOOL_PATH_SIZE];
    file_path(e, SPOOL_DUMP_PREFIX, dump_name, path);
    if (unlink(path) != 0 && errno != ENOENT)
        return err_errno(err, errno, "spool: removing a file");
    return true;
}

/* For a part that turned out to be annotations when it had been taken for a file. */
bool spool_file_take(struct spool_entry *e, const char *dump_name, size_t max_bytes,
                     char **ret_bytes, size_t *ret_n, struct err *err)
{
    char path[SPOOL_PATH_SIZE];
    file_path(e, SPOOL_DUMP_PREFIX, dump_name, path);
    return fs_read(path, max_bytes, ret_bytes, ret_n, err) && spool_file_remove(e, dump_name, err);
}

/* Keys sorted, non-ASCII escaped, ", " and ": " between: the form all readers know. */
static bool write_raw_crash(struct spool_entry *e, const json_t *raw_crash, struct err *err)
{
    int fd = create(e, "", SPOOL_RAW_CRASH, err);
    if (fd < 0)
        return false;
    FILE *out = fdopen(fd, "w");
    if (!out) {
        close(fd);
        return err_errno(err, errno, "spool: raw crash");
    }
    bool ok =
        json_dumpf(raw_crash, out, JSON_SORT_KEYS | JSON_ENSURE_ASCII) == 0 && fflush(out) == 0;
    if (!ok)
        err_errno(err, errno, "spool: writing the raw crash");
    ok = ok && sync_fd(e->spool, fd, err);
    fclose(out);
    return ok;
}

/* Names are data of their directory and survive a power cut only when that is synced. */
static bool sync_dir(const struct spool *s, const char *path, struct err *err)
{
    return s->no_fsync || fs_sync_dir(path, err);
}

/*
 * A report that is sent again under its own id may meet its older self that still waits for the
 * mover: they change places, and the older one is removed with the temporary directory.
 */
static bool publish_dir(struct spool_entry *e, const char *from, const char *to, struct err *err)
{
    if (rename(from, to) == 0) {
        e->name[0] = '\0';
        return true;
    }
    if ((errno == ENOTEMPTY || errno == EEXIST) &&
        renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE) == 0)
        return true;
    /* The mover took the older one between the two calls. */
    if (errno == ENOENT && rename(from, to) == 0) {
        e->name[0] = '\0';
        return true;
    }
    return err_errno(err, errno, "spool: rename");
}

/*
 * The promise is made here.  If anything fails the report was not accepted and its sender is told
 * to come again; when that is the last sync, behind the rename, the entry is new all the same, and
 * the mover carries a report that may come a second time.
 */
bool spool_commit(struct spool_entry *e, const char *crash_id, const json_t *raw_crash,
                  struct err *err)
{
    char from[SPOOL_PATH_SIZE], to[SPOOL_PATH_SIZE], above[SPOOL_PATH_SIZE];
    if (!write_raw_crash(e, raw_crash, err))
        return false;
    spool_path(e->spool, SPOOL_RECEIVING, e->name, NULL, from);
    spool_path(e->spool, SPOOL_NEW, crash_id, NULL, to);
    spool_path(e->spool, SPOOL_NEW, NULL, NULL, above);
    bool ok = sync_dir(e->spool, from, err) && publish_dir(e, from, to, err) &&
              sync_dir(e->spool, above, err);
    /* In tmp/ there is nothing now, or the older entry of this id, or ours if something failed. */
    spool_discard(e);
    return ok;
}

void spool_discard(struct spool_entry *e)
{
    char path[SPOOL_PATH_SIZE];
    struct err err = {0};
    if (!e->name[0])
        return;
    spool_path(e->spool, SPOOL_RECEIVING, e->name, NULL, path);
    if (!fs_remove_tree(path, &err))
        log_event(LOG_WARN, "spool_leftover", "a temporary directory stays behind", LOG_E(&err));
    e->name[0] = '\0';
}
