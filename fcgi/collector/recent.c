#include "recent.h"

#include "base/hash.h"
#include "base/shared.h"
#include "base/util.h"

enum { SETS = 1 << 13, WAYS = 8 };

struct slot {
    uint8_t key[RECENT_KEY_BYTES];
    int64_t at_s; /* 0: free */
    struct recent_answer answer;
};

/*
 * The holder may have been killed in the middle of filling a slot.  A slot's time is set last, so a
 * half-filled one counts as free and nothing needs mending.
 */
struct recent_table {
    pthread_mutex_t mutex;
    struct slot slots[SETS][WAYS];
};

bool recent_new(struct recent_table **ret, struct err *err)
{
    struct recent_table *t = shared_map(sizeof *t, "the table of recent answers", err);
    if (!t)
        return false;
    shared_lock_init(&t->mutex);
    *ret = t;
    return true;
}

bool recent_key(const json_t *annotations, const json_t *checksums,
                uint8_t ret_key[RECENT_KEY_BYTES])
{
    const char *dump = jget_str(checksums, "upload_file_minidump");
    if (!dump || !json_object_get(annotations, "CrashTime"))
        return false;
    FREE_LATER char *text = json_dumps(annotations, JSON_SORT_KEYS | JSON_COMPACT);
    if (!text)
        return false;
    uint8_t digest[SHA256_BYTES];
    struct sha256 h;
    sha256_init(&h);
    sha256_add(&h, dump, strlen(dump));
    sha256_add(&h, text, strlen(text));
    sha256_finish(&h, digest);
    memcpy(ret_key, digest, RECENT_KEY_BYTES);
    return true;
}

static struct slot *set_of(struct recent_table *t, const uint8_t key[RECENT_KEY_BYTES])
{
    return t->slots[(key[0] << 8 | key[1]) % SETS];
}

bool recent_find(struct recent_table *t, const uint8_t key[RECENT_KEY_BYTES], int64_t now_s,
                 struct recent_answer *ret)
{
    bool found = false;
    shared_lock(&t->mutex);
    struct slot *set = set_of(t, key);
    for (size_t i = 0; !found && i < WAYS; i++)
        if (set[i].at_s && set[i].at_s > now_s - RECENT_SECONDS &&
            memcmp(set[i].key, key, RECENT_KEY_BYTES) == 0) {
            *ret = set[i].answer;
            found = true;
        }
    shared_unlock(&t->mutex);
    return found;
}

void recent_add(struct recent_table *t, const uint8_t key[RECENT_KEY_BYTES], int64_t now_s,
                const struct recent_answer *answer)
{
    shared_lock(&t->mutex);
    struct slot *set = set_of(t, key), *oldest = set;
    for (size_t i = 1; i < WAYS; i++)
        if (set[i].at_s < oldest->at_s)
            oldest = &set[i];
    oldest->at_s = 0;
    memcpy(oldest->key, key, RECENT_KEY_BYTES);
    oldest->answer = *answer;
    __atomic_store_n(&oldest->at_s, now_s, __ATOMIC_RELEASE);
    shared_unlock(&t->mutex);
}
