#ifndef SYMFILE_SYMZIP_H
#define SYMFILE_SYMZIP_H

#include "base/vec.h"
#include "symfile/symkey.h"
#include "symfile/symtext.h"

/*
 * symzip - a ZIP archive of symbols, checked before anything of it is used.
 *
 * Ownership  symzip_close frees everything, names included.
 * Errors     ERR_INVALID with the words a client is told.
 * Trust      The archive is hostile: numbers of members and bytes are limited before and
 *            while inflating; names become keys or are refused.
 */
struct symzip_limits {
    uint64_t max_members;      /* 0: 10,000 */
    uint64_t max_uncompressed; /* 0: 20 GiB, of all members together */
    struct str snippets;       /* comma-separated texts that no member name may contain */
};

struct symzip_member {
    const char *name; /* as in the archive, owned by the archive */
    uint64_t index, size;
    bool is_ignored; /* a list of symbols or a .DS_Store: accepted, not stored */
    struct symkey key;
};

struct symzip {
    void *zip;                         /* owned */
    VEC(struct symzip_member) members; /* without directories; of equal names the last */
};

/*
 * Opens and checks: is it a ZIP, limits, checksums of all members, duplicates, names, in
 * this order.
 */
bool symzip_open(const char *path, const struct symzip_limits *limits, struct symzip *ret,
                 struct err *err);
void symzip_close(struct symzip *z);

/* The bytes of a member, through a nameless file in temp_dir. */
bool symzip_read(struct symzip *z, const struct symzip_member *m, const char *temp_dir,
                 struct symtext *ret, struct err *err);

#endif
