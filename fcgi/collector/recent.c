/*
 * The file is a header and SETS sets of WAYS slots, read and written in place; a hole reads as free
 * slots.  524,288 answers are a whole day of 364 reports a minute, in at most 96 MiB; of a busier
 * site the oldest answers go first, and sampling by content still draws the same for them.
 *
 * The kernel's record locks on bytes of the file, none of which need exist, keep order: one byte
 * for each set while a slot is chosen, one for each key from recent_enter to recent_leave, one for
 * the header.  A killed worker leaves no lock behind.
 *
 * What a kill leaves: between recent_enter and the first recent_put nothing; behind RECENT_BEGUN an
 * id of which nobody knows whether it was made durable, which the next one finds out.  A slot that
 * was being written is torn, fails its checksum and is free; the report then counts as new.
 */
#include "fcgi/collector/recent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/util.h"

/*
 * Slots have 192 bytes.  Eight ways, since a set is read as a whole: 1.5 KiB, one page or two.  The
 * header has a page of its own.  All sets together remember half a million reports, six for each
 * second of a day, in 100 MB of file.
 */
enum { SETS = 1 << 16, WAYS = 8, HEADER_BYTES = 4096 };
/* Places of the locks, which are no places of bytes: the ranges are too far apart to meet. */
static const int64_t SET_LOCKS = 0, HEADER_LOCK = 1LL << 31, KEY_LOCKS = 1LL << 32;

struct header {
    char magic[8];
    uint32_t slot_bytes, sets;
};
static const char magic[8] = {'D', 'A', 'T', 'I', 'L', 'R', 'E', '1'};

/* As it lies in the file; the machine that wrote it reads it. */
struct recent_slot {
    uint64_t check; /* of what follows; a slot that disagrees is free */
    int64_t at_s;
    uint8_t key[RECENT_KEY_BYTES];
    uint8_t state;
    char crash_id[CRASH_ID_SIZE];
    char rule[RECENT_RULE_SIZE];
    char unused[21];
};
_Static_assert(sizeof(struct recent_slot) == 192, "a slot of the file");

/* Waits for it.  Signals do not end the wait: who holds the lock is about to answer. */
static bool lock_byte(const struct recent *t, int64_t at, short kind)
{
    struct flock l = {.l_type = kind, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
    int rc;
    do
        rc = fcntl(t->fd, F_SETLKW, &l);
    while (rc != 0 && errno == EINTR);
    if (rc != 0)
        log_event(LOG_WARN, "recent_answers", "the memory of answers cannot be locked",
                  LOG_S("error", strerror(errno)));
    return rc == 0;
}

/* Two keys may share a byte; then their reports wait for each other without need. */
static int64_t lock_of_key(const uint8_t key[RECENT_KEY_BYTES])
{
    uint64_t number;
    memcpy(&number, key, sizeof number);
    return KEY_LOCKS + (int64_t)(number >> 2);
}

/* A file of another layout, or none: it begins anew.  What is lost are answers of
 * one day. */
static bool check_header(const struct recent *t, struct err *err)
{
    struct header want = {.slot_bytes = sizeof(struct recent_slot), .sets = SETS}, have = {0};
    memcpy(want.magic, magic, sizeof magic);
    ssize_t got = pread(t->fd, &have, sizeof have, 0);
    if (got == sizeof have && memcmp(&have, &want, sizeof want) == 0)
        return true;
    if (got > 0)
        log_event(LOG_WARN, "recent_answers", "the memory of answers is damaged and begins anew");
    if (ftruncate(t->fd, 0) != 0 || pwrite(t->fd, &want, sizeof want, 0) != sizeof want)
        return err_errno(err, errno, "writing the memory of answers");
    return true;
}

bool recent_open(const struct spool *spool, struct recent *ret, struct err *err)
{
    char path[SPOOL_PATH_SIZE];
    spool_path_beside(spool, "recent", path);
    struct recent t = {.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
    if (t.fd < 0)
        return err_errno(err, errno, "opening %s", path);
    bool ok = lock_byte(&t, HEADER_LOCK, F_WRLCK) && check_header(&t, err);
    lock_byte(&t, HEADER_LOCK, F_UNLCK);
    if (ok)
        *ret = t;
    else
        close(t.fd);
    return ok;
}

void recent_close(struct recent *t)
{
    if (t->fd >= 0)
        close(t->fd);
    t->fd = -1;
}

static void hash_annotation(struct sha256 *h, const json_t *annotations, const char *name)
{
    const json_t *v = json_object_get(annotations, name);
    FREE_LATER char *text =
        v ? json_dumps(v, JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    if (text)
        sha256_add(h, text, strlen(text));
    sha256_add(h, "\n", 1);
}

/*
 * Not all annotations: a client that sends again changes some (SubmittedFrom).  An empty dump is
 * the same for everybody, and a report without CrashTime could be any of a program that crashes at
 * each start.
 */
bool recent_key(const json_t *annotations, const json_t *checksums,
                uint8_t ret_key[RECENT_KEY_BYTES])
{
    static const char *const names[] = {"CrashTime", "BuildID", "ProductName"};
    const char *dump = jget_str(checksums, "upload_file_minidump");
    char of_nothing[SHA256_HEX + 1];
    sha256_hex("", 0, of_nothing);
    if (!dump || strcmp(dump, of_nothing) == 0 || !json_object_get(annotations, "CrashTime"))
        return false;
    uint8_t digest[SHA256_BYTES];
    struct sha256 h;
    sha256_init(&h);
    sha256_add(&h, dump, strlen(dump));
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        hash_annotation(&h, annotations, names[i]);
    sha256_finish(&h, digest);
    memcpy(ret_key, digest, RECENT_KEY_BYTES);
    return true;
}

/* By other bytes of the key than its lock. */
static size_t set_of(const uint8_t key[RECENT_KEY_BYTES])
{
    return (size_t)(key[RECENT_KEY_BYTES - 2] << 8 | key[RECENT_KEY_BYTES - 1]) % SETS;
}

static int64_t place(size_t set, size_t way)
{
    return HEADER_BYTES + (int64_t)((set * WAYS + way) * sizeof(struct recent_slot));
}

/* Of all that follows the checksum itself. */
static uint64_t check_of(const struct recent_slot *s)
{
    return hash64(&s->at_s, sizeof *s - offsetof(struct recent_slot, at_s));
}

/* Slots that are torn, of another day or not there are free: state RECENT_NONE. */
static void read_set(const struct recent *t, size_t set, int64_t now_s,
                     struct recent_slot slots[WAYS])
{
    ssize_t got = pread(t->fd, slots, WAYS * sizeof *slots, place(set, 0));
    size_t whole = got < 0 ? 0 : (size_t)got / sizeof *slots;
    for (size_t i = 0; i < WAYS; i++) {
        struct recent_slot *s = &slots[i];
        bool good = i < whole && s->check == check_of(s) && s->state <= RECENT_REJECTED &&
                    s->at_s > now_s - RECENT_SECONDS && s->at_s < now_s + RECENT_SECONDS &&
                    memchr(s->crash_id, 0, sizeof s->crash_id) &&
                    memchr(s->rule, 0, sizeof s->rule);
        if (!good)
            *s = (struct recent_slot){.state = RECENT_NONE};
    }
}

static struct recent_slot *slot_of_key(struct recent_slot slots[WAYS],
                                       const uint8_t key[RECENT_KEY_BYTES])
{
    for (size_t i = 0; i < WAYS; i++)
        if (slots[i].state != RECENT_NONE && memcmp(slots[i].key, key, RECENT_KEY_BYTES) == 0)
            return &slots[i];
    return NULL;
}

void recent_enter(struct recent *t, const uint8_t key[RECENT_KEY_BYTES], int64_t now_s,
                  struct recent_answer *ret)
{
    struct recent_slot slots[WAYS];
    size_t set = set_of(key);
    *ret = (struct recent_answer){.state = RECENT_NONE};
    if (!lock_byte(t, lock_of_key(key), F_WRLCK) ||
        !lock_byte(t, SET_LOCKS + (int64_t)set, F_RDLCK))
        return;
    read_set(t, set, now_s, slots);
    lock_byte(t, SET_LOCKS + (int64_t)set, F_UNLCK);
    const struct recent_slot *s = slot_of_key(slots, key);
    if (!s)
        return;
    ret->state = s->state;
    memcpy(ret->crash_id, s->crash_id, sizeof ret->crash_id);
    memcpy(ret->rule, s->rule, sizeof ret->rule);
}

static void write_slot(const struct recent *t, size_t set, size_t way, struct recent_slot *s)
{
    s->check = check_of(s);
    if (pwrite(t->fd, s, sizeof *s, place(set, way)) != sizeof *s)
        log_event(LOG_WARN, "recent_answers", "an answer is not remembered",
                  LOG_S("error", strerror(errno)));
}

/* The key's own slot, else a free one, else the oldest. */
static struct recent_slot *slot_for(struct recent_slot slots[WAYS],
                                    const uint8_t key[RECENT_KEY_BYTES])
{
    struct recent_slot *best = slot_of_key(slots, key);
    for (size_t i = 0; !best && i < WAYS; i++)
        if (slots[i].state == RECENT_NONE)
            best = &slots[i];
    if (best)
        return best;
    best = &slots[0];
    for (size_t i = 1; i < WAYS; i++)
        if (slots[i].at_s < best->at_s)
            best = &slots[i];
    return best;
}

/* A read, a choice and a write under the lock of the set; microseconds, so nobody waits for a
 * disk. */
void recent_put(struct recent *t, const uint8_t key[RECENT_KEY_BYTES], int64_t now_s,
                const struct recent_answer *answer)
{
    struct recent_slot slots[WAYS];
    size_t set = set_of(key);
    if (!lock_byte(t, SET_LOCKS + (int64_t)set, F_WRLCK))
        return;
    read_set(t, set, now_s, slots);
    struct recent_slot *s = slot_for(slots, key);
    *s = (struct recent_slot){.at_s = now_s, .state = (uint8_t)answer->state};
    memcpy(s->key, key, sizeof s->key);
    memcpy(s->crash_id, answer->crash_id, sizeof s->crash_id);
    memcpy(s->rule, answer->rule, sizeof s->rule);
    write_slot(t, set, (size_t)(s - slots), s);
    lock_byte(t, SET_LOCKS + (int64_t)set, F_UNLCK);
}

void recent_leave(struct recent *t, const uint8_t key[RECENT_KEY_BYTES])
{
    lock_byte(t, lock_of_key(key), F_UNLCK);
}
