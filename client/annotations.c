/*
 * The annotations of a program in memory that its handler maps as well.  The program may crash
 * between any two stores, in any thread, and the handler then reads what is there.
 *
 * So a slot has room for two values, and its state says which of them counts.  A new value is
 * written into the other room and the state is stored last, with release order: a reader that sees
 * the state sees the whole value, and a crash in the middle of writing leaves the old one.  Writers
 * are serialised by the caller's lock; readers take no lock, since whoever holds one may be dead.
 */
#include "client/annotations.h"

#include <string.h>

void datil_annotations_init(struct annotations *t)
{
    t->magic = ANNOTATIONS_MAGIC;
    t->version = ANNOTATIONS_VERSION;
}

/* The slot with that key; else, when `add`, a free one that carries the key already. */
static __attribute__((nonnull)) struct annotation_slot *find(struct annotations *t, const char *key,
                                                             bool add)
{
    struct annotation_slot *spare = NULL;
    for (size_t i = 0; i < DATIL_CLIENT_ANNOTATIONS_MAX; i++) {
        struct annotation_slot *s = &t->slots[i];
        if (atomic_load_explicit(&s->state, memory_order_relaxed) == ANNOTATION_FREE)
            spare = spare ? spare : s;
        else if (strcmp(s->key, key) == 0)
            return s;
    }
    if (!add || !spare)
        return NULL;
    memset(spare->key, 0, sizeof spare->key);
    memcpy(spare->key, key, strlen(key)); /* at most KEY_MAX, the caller has checked */
    return spare;
}

/* Bytes of value that fit, not cutting a UTF-8 character in two. */
static size_t fitting(const char *value, size_t n)
{
    if (n <= DATIL_CLIENT_VALUE_MAX)
        return n;
    n = DATIL_CLIENT_VALUE_MAX;
    while (n > 0 && ((unsigned char)value[n] & 0xc0) == 0x80)
        n--;
    return n;
}

/*
 * A key that is new gets its text before its state leaves "free", so no reader sees half a key.  A
 * value that is too long is cut, because half an answer about a crash is better than none.
 */
bool datil_annotations_set(struct annotations *t, const char *key, const char *value, size_t n)
{
    size_t key_length = strnlen(key, DATIL_CLIENT_KEY_MAX + 1);
    if (key_length == 0 || key_length > DATIL_CLIENT_KEY_MAX)
        return false;
    struct annotation_slot *s = find(t, key, true);
    if (!s)
        return false;

    uint32_t state = atomic_load_explicit(&s->state, memory_order_relaxed);
    unsigned other = state == ANNOTATION_FIRST ? 1 : 0;
    n = fitting(value, n);
    memcpy(s->value[other], value, n);
    s->length[other] = (uint32_t)n;
    atomic_store_explicit(&s->state, other ? ANNOTATION_SECOND : ANNOTATION_FIRST,
                          memory_order_release);
    return true;
}

void datil_annotations_forget(struct annotations *t, const char *key)
{
    struct annotation_slot *s = find(t, key, false);
    if (s)
        atomic_store_explicit(&s->state, ANNOTATION_FREE, memory_order_release);
}

/*
 * Nothing in the table is believed: a program that overwrites its own memory may have overwritten
 * the table.
 */
bool datil_annotations_each(const struct annotations *t, annotation_fn *see, void *arg)
{
    if (t->magic != ANNOTATIONS_MAGIC || t->version != ANNOTATIONS_VERSION)
        return false;
    for (size_t i = 0; i < DATIL_CLIENT_ANNOTATIONS_MAX; i++) {
        const struct annotation_slot *s = &t->slots[i];
        uint32_t state = atomic_load_explicit(&s->state, memory_order_acquire);
        if (state != ANNOTATION_FIRST && state != ANNOTATION_SECOND)
            continue;
        /* Copies: the program may be alive and writing. */
        char key[DATIL_CLIENT_KEY_MAX + 1], value[DATIL_CLIENT_VALUE_MAX];
        memcpy(key, s->key, sizeof key);
        key[DATIL_CLIENT_KEY_MAX] = '\0';
        size_t n = s->length[state - 1];
        if (key[0] == '\0' || n > DATIL_CLIENT_VALUE_MAX)
            continue;
        memcpy(value, s->value[state - 1], n);
        see(arg, key, value, n);
    }
    return true;
}
