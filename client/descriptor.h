#ifndef CLIENT_DESCRIPTOR_H
#define CLIENT_DESCRIPTOR_H

#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * descriptor - a file descriptor that somebody else may have closed.
 *
 * Daemons close everything they did not open themselves (closefrom(3), close_range(2), a loop), and
 * then the number may soon belong to a file of theirs.  So a number is used, and closed, only while
 * it still leads to the file that it was remembered for.
 *
 * Threads    No state besides the struct.  Async-signal-safe.
 */
struct descriptor {
    int fd; /* -1: none */
    dev_t dev;
    ino_t ino;
};

#define DESCRIPTOR_NONE                                                                            \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

static inline struct descriptor descriptor_of(int fd)
{
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return (struct descriptor)DESCRIPTOR_NONE;
    return (struct descriptor){.fd = fd, .dev = st.st_dev, .ino = st.st_ino};
}

static inline bool descriptor_is_ours(const struct descriptor *d)
{
    struct stat st;
    return d->fd >= 0 && fstat(d->fd, &st) == 0 && st.st_dev == d->dev && st.st_ino == d->ino;
}

/* Closes it if it is still ours; none afterwards. */
static inline void descriptor_close(struct descriptor *d)
{
    if (descriptor_is_ours(d))
        close(d->fd);
    d->fd = -1;
}

#endif
