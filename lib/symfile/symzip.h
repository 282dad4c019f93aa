#ifndef SYMFILE_SYMZIP_H
#define SYMFILE_SYMZIP_H

#include "lib/base/vec.h"
#include "lib/symfile/symkey.h"

/*
 * symzip - a ZIP archive of symbols, checked before anything of it is used.
 *
 * Read is what Python's zipfile reads: bytes in front of the archive and behind it, ZIP64,
 * sizes behind the data, comments, folders, stored and deflated members.  Names may begin
 * with "./", and may have "\" where others have "/".
 *
 * Ownership  symzip_close frees everything; the archive's bytes are borrowed, and so are the
 *            names of members, which point into them.
 * Errors     ERR_INVALID with the words a client is told, and what to do about it.
 * Trust      The archive is hostile.  Numbers, sizes, duplicates and shared bytes are judged
 *            by the directory, before a byte is inflated; inflating is limited by what the
 *            directory said.  Names become keys or are refused.
 */
struct symzip_limits {
    uint64_t max_members;      /* 0: 10,000 */
    uint64_t max_uncompressed; /* 0: 20 GiB, of all members together */
    struct str snippets;       /* comma-separated texts that no member name may contain */
    bool checks_content;       /* nor a FILE record of a .sym member (symforbid.h) */
};

struct symzip_member {
    struct str name; /* as in the archive */
    uint64_t index;  /* in the directory */
    uint64_t size, packed_size;
    uint64_t header_at, data_at; /* in the archive's bytes */
    uint32_t crc;
    bool is_deflated;
    /* Known when it was read: symzip_gzip may be used; packed well, and nothing lies behind its
     * end. */
    bool is_gzip_body;
    bool is_ignored; /* a list of symbols or a .DS_Store: accepted, not stored */
    struct symkey key;
    struct str forbidden; /* the snippet that its content has, or empty; borrowed from the limits */
};

struct symzip {
    struct str bytes;
    VEC(struct symzip_member) members; /* without folders; of equal names the last */
};

/*
 * Opens and checks: is it a ZIP, limits, duplicates, shared bytes, names, in this order.  The
 * checksum of a member is compared when it is read; that all of them are right is known when all
 * were read.
 */
bool symzip_open(struct str bytes, const struct symzip_limits *limits, struct symzip *ret,
                 struct err *err);
void symzip_close(struct symzip *z);

/* The bytes of a member, piece by piece. */
typedef bool symzip_piece(void *arg, const void *p, size_t n, struct err *err);
bool symzip_read(const struct symzip *z, struct symzip_member *m, symzip_piece *piece, void *arg,
                 struct err *err);

/* Writes a member whose is_gzip_body is set to fd as a gzip file, as it was packed by the sender.
 */
bool symzip_gzip(const struct symzip *z, const struct symzip_member *m, int fd, struct err *err);

/* The key that a member of this name is stored under.  ERR_INVALID: none. */
bool symzip_key(struct str name, struct symkey *ret, struct err *err);

/* symzip_dir.c: every entry of the central directory, folders left out, nothing judged yet. */
bool symzip_list(struct symzip *z, uint64_t max_members, struct err *err);

#endif
