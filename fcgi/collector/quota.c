/*
 * Counters of reports by product.  A word holds a window, a minute or a day since 1970, and how
 * many were counted in it; the first report of a new window starts the word anew.  Both change in
 * one exchange, so no count is lost between two workers, and none is left half done by one that is
 * killed.
 *
 * The words are a file that every process maps: what a killed process has counted is in the
 * kernel's memory and stays.  Room is allocated before the file is mapped, so that a full disk is
 * an error at the start and no signal later.  The file is never made shorter, since somebody may
 * have it mapped: one of another layout is overwritten in place, its head last.
 *
 * A product is known by the hash of its name, which an administrator has chosen: only configured
 * products come here, so a place for each is enough and nobody can fill the table.  Names of
 * products that are gone keep their places until the table is full of them; the next start then
 * empties it.
 */
#include "fcgi/collector/quota.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/shared.h"
#include "lib/base/util.h"

enum {
    PLACES = 16384, /* a power of two, above the most product files there may be (product.c) */
    USED_MAX = PLACES / 8 * 7, /* of a table that is kept: room for a few new products is left */
    MINUTE_S = 60,
    DAY_S = 86400,
};

struct quota_place {
    _Atomic uint64_t product; /* hash of its name; 0: free */
    _Atomic uint64_t minute, day;
};

/* As it lies in the file; the machine that wrote it reads it. */
struct quota_table {
    char magic[8];
    struct quota_place places[PLACES];
};
static const char magic[8] = {'D', 'A', 'T', 'I', 'L', 'Q', 'U', '1'};

/* The first process allocates it; meanwhile another one waits.  The lock ends with its process. */
static bool lock_file(int fd, short kind)
{
    struct flock whole = {.l_type = kind, .l_whence = SEEK_SET};
    int rc;
    do
        rc = fcntl(fd, F_SETLKW, &whole);
    while (rc != 0 && errno == EINTR);
    return rc == 0;
}

static size_t used_places(const struct quota_table *t)
{
    size_t n = 0;
    for (size_t i = 0; i < PLACES; i++)
        n += atomic_load(&t->places[i].product) != 0;
    return n;
}

/* Also while others have it mapped: they count on from 0. */
static void begin_anew(struct quota_table *t)
{
    for (size_t i = 0; i < PLACES; i++) {
        atomic_store(&t->places[i].product, 0);
        atomic_store(&t->places[i].minute, 0);
        atomic_store(&t->places[i].day, 0);
    }
    memcpy(t->magic, magic, sizeof magic);
}

static bool map_locked(int fd, const char *path, struct quota_table **ret, struct err *err)
{
    static const char none[sizeof magic];
    int no_room = posix_fallocate(fd, 0, sizeof **ret);
    if (no_room)
        return err_errno(err, no_room, "making room for %s", path);
    struct quota_table *t = mmap(NULL, sizeof *t, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (t == MAP_FAILED)
        return err_errno(err, errno, "mapping %s", path);
    bool is_ours = memcmp(t->magic, magic, sizeof magic) == 0;
    if (!is_ours && memcmp(t->magic, none, sizeof none) != 0)
        log_event(LOG_WARN, "quotas_begin_anew", "the file of quotas is damaged",
                  LOG_S("path", path));
    if (!is_ours || used_places(t) > USED_MAX)
        begin_anew(t);
    *ret = t;
    return true;
}

static bool map_file(const struct spool *spool, struct quota_table **ret, struct err *err)
{
    char path[SPOOL_PATH_SIZE];
    spool_path_beside(spool, "quotas", path);
    FD_AUTO fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || !lock_file(fd, F_WRLCK))
        return err_errno(err, errno, "opening %s", path);
    return map_locked(fd, path, ret, err);
}

bool quota_open(const struct spool *spool, struct quota_table **ret, struct err *err)
{
    struct err why = {0};
    if (map_file(spool, ret, &why))
        return true;
    log_event(LOG_WARN, "quotas_without_file",
              "quotas are counted for this collector alone, until it ends", LOG_E(&why));
    *ret = shared_map(sizeof **ret, "quotas of products", err);
    return *ret != NULL;
}

/* NULL: the table is full, which more products than there may be would need. */
static struct quota_place *place_of(struct quota_table *t, const char *name)
{
    uint64_t hash = hash64(name, strlen(name)) | 1;
    for (size_t i = 0; i < PLACES; i++) {
        struct quota_place *place = &t->places[(hash + i) & (PLACES - 1)];
        uint64_t there = atomic_load(&place->product);
        if (there == hash ||
            (there == 0 &&
             (atomic_compare_exchange_strong(&place->product, &there, hash) || there == hash)))
            return place;
    }
    return NULL;
}

/* The window in the upper half, its count in the lower one.  most 0: no limit, nothing counted. */
static bool take(_Atomic uint64_t *word, int64_t window, int64_t most)
{
    uint64_t was = atomic_load(word), next;
    if (most == 0)
        return true;
    do {
        uint64_t count = was >> 32 == (uint64_t)window ? was & UINT32_MAX : 0;
        if (count >= (uint64_t)most)
            return false;
        next = (uint64_t)window << 32 | (count + 1);
    } while (!atomic_compare_exchange_weak(word, &was, next));
    return true;
}

/* Gives back what was just taken, unless its window has ended meanwhile. */
static void give_back(_Atomic uint64_t *word, int64_t window)
{
    uint64_t was = atomic_load(word);
    while (was >> 32 == (uint64_t)window && was & UINT32_MAX &&
           !atomic_compare_exchange_weak(word, &was, was - 1))
        continue;
}

bool quota_take(struct quota_table *t, const struct product *p, int64_t now_s)
{
    if (p->quota_per_minute == 0 && p->quota_per_day == 0)
        return true;
    struct quota_place *place = place_of(t, p->name);
    if (!place)
        return true;
    if (!take(&place->day, now_s / DAY_S, p->quota_per_day))
        return false;
    if (take(&place->minute, now_s / MINUTE_S, p->quota_per_minute))
        return true;
    if (p->quota_per_day)
        give_back(&place->day, now_s / DAY_S);
    return false;
}
