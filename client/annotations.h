#ifndef CLIENT_ANNOTATIONS_H
#define CLIENT_ANNOTATIONS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/datil_client.h"

/*
 * annotations - the table of names and values that the program writes and the
 * handler process reads through shared memory.
 *
 * Each slot has two value buffers; `state` says which one counts.  A writer fills
 * the other and publishes it with one store, so that a program that dies in the
 * middle of an update leaves the old value behind.
 *
 * Trust      The reader treats the table as hostile: the program that wrote it
 *            has just shown that it has wild pointers.
 * Threads    One writer at a time (the caller has a mutex), any reader.
 */
enum {
    ANNOTATIONS_MAGIC = 0x4c544144, /* "DATL" */
    ANNOTATIONS_VERSION = 2,        /* 2: with a key */
};

enum annotation_state {
    ANNOTATION_FREE = 0,
    ANNOTATION_FIRST = 1, /* value[0] counts */
    ANNOTATION_SECOND = 2,
};

struct annotation_slot {
    _Atomic uint32_t state;
    uint32_t length[2];
    char key[DATIL_CLIENT_KEY_MAX + 1];
    char value[2][DATIL_CLIENT_VALUE_MAX + 1];
};

struct annotations {
    uint32_t magic;
    uint32_t version;
    uint64_t key; /* random; who knows it shares this memory (handler_wire.h) */
    struct annotation_slot slots[DATIL_CLIENT_ANNOTATIONS_MAX];
};

void datil_annotations_init(struct annotations *t);
bool datil_annotations_set(struct annotations *t, const char *key, const char *value, size_t n);
void datil_annotations_forget(struct annotations *t, const char *key);

/*
 * Calls `see` for every annotation; key is terminated, value has n bytes, both are
 * copies that last until it returns.  False when the memory is no table of this
 * version.
 */
typedef void annotation_fn(void *arg, const char *key, const char *value, size_t n);
bool datil_annotations_each(const struct annotations *t, annotation_fn *see, void *arg);

#endif
