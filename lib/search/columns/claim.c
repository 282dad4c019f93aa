/*
 * Long work on an index is claimed with flock, which ends with the process, and the file's text
 * names who has it, for the one who waits and for `datil doctor`.
 *
 * The text is for people and may be stale: a holder that died has left its name, and the lock alone
 * says whether anybody is there.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/search/columns/keep.h"

/*
 * Between two looks at a claim that somebody holds for seconds or minutes; and room for the line
 * that says who holds it.
 */
enum { PAUSE_US = 50000, TEXT_MAX = 160 };

/* The first line of the file; "another process" if there is none. */
static void read_holder(int fd, char out[TEXT_MAX])
{
    ssize_t n = pread(fd, out, TEXT_MAX - 1, 0);
    out[n > 0 ? n : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
    if (out[0] == '\0')
        snprintf(out, TEXT_MAX, "another process");
}

static void write_holder(int fd, const char *what)
{
    char text[TEXT_MAX], now[TIME_TEXT_MAX];
    time_iso_s(now_us() / 1000000, now);
    int n = snprintf(text, sizeof text, "%s, process %d, since %s\n", what, (int)getpid(), now);
    /* only for people */
    if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)n, 0) < 0)
        log_event(LOG_DEBUG, "claim_text", "the holder of a claim could not be noted");
}

/*
 * Waiting is polling, twenty times a second: flock has no end of its own, and a signal to end it
 * would interrupt other things.
 */
bool keep_claim(const char *dir, const char *file, const char *what, int64_t wait_ms, int *ret_fd,
                struct err *err)
{
    char path[PATH_MAX], holder[TEXT_MAX];
    int64_t until_ms = mono_ms() + wait_ms;
    bool told = false;
    snprintf(path, sizeof path, "%s/%s", dir, file);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, FS_FILE_MODE);
    if (fd < 0)
        return err_errno(err, errno, "opening %s", path);
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        read_holder(fd, holder);
        if (mono_ms() >= until_ms) {
            close(fd);
            return err_set(err, ERR_CONFLICT, "the index is busy: %s", holder);
        }
        if (!told)
            log_event(LOG_INFO, "index_waiting", "waiting for other work on the index",
                      LOG_S("holder", holder));
        told = true;
        usleep(PAUSE_US);
    }
    if (what)
        write_holder(fd, what);
    *ret_fd = fd;
    return true;
}

/* A shared lock that is free says that nobody holds the claim; it goes with the descriptor. */
bool keep_claim_holder(const char *dir, const char *file, char *out, size_t size)
{
    char path[PATH_MAX], holder[TEXT_MAX];
    snprintf(path, sizeof path, "%s/%s", dir, file);
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) == 0)
        return false;
    read_holder(fd, holder);
    snprintf(out, size, "%s", holder);
    return true;
}
