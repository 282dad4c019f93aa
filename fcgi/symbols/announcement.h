#ifndef SYMBOLS_ANNOUNCEMENT_H
#define SYMBOLS_ANNOUNCEMENT_H

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/json/json.h"
#include "lib/symfile/symkey.h"

/*
 * announcement - the files that a client says it has (POST /upload/v2/), read from its JSON.
 *
 * Ownership  Texts are borrowed from the tree, which the caller releases (json_auto_t); the list
 *            lives in the arena.
 * Errors     ERR_INVALID with the words that clients of the protocol know.
 */
struct announced_file {
    struct str key_text; /* as the client wrote it */
    struct str md5;
    uint64_t size;
    struct symkey key;   /* unless there is a problem */
    const char *problem; /* why this file cannot be taken, or NULL */
};
struct announcement {
    struct announced_file *files;
    size_t n;
};

bool announcement_parse(struct arena *a, struct str text, size_t max_files,
                        struct announcement *ret, json_t **ret_tree, struct err *err);

/* Whether a digest is written as the protocol wants it: 32 lower-case hexadecimal digits. */
bool announcement_is_md5(struct str s);

#endif
