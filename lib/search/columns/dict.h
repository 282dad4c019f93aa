#ifndef SEARCH_COLUMNS_DICT_H
#define SEARCH_COLUMNS_DICT_H

#include "lib/base/str.h"
#include "lib/search/columns/commit.h"
#include "lib/search/columns/mfile.h"
#include "lib/search/columns/texts.h"

/*
 * dict - the distinct values of a column in one partition: byte strings numbered from 1,
 * appended, never changed, found through a hash table in a file.
 *
 * Order of stores   bytes, end offset, hash slot, count.  A writer that dies in between
 *                   leaves an entry above the count: readers do not see it, the next
 *                   writer overwrites it, and a hash slot that names it counts as empty.
 * Packed            The first entries of a packed week are in texts.h; codes of others
 *                   follow theirs, and files for those are made with the first of them.
 * Ownership         Owns its mappings.  Entries borrow from them until the next refresh
 *                   or add.
 * Trust             Look-ups check the entries they meet.  dict_check looks at every offset
 *                   once; dict_entry is for what has been checked.
 */
struct dict {
    struct dict_head *h; /* in the head of the partition */
    const char *folder;  /* borrowed */
    const char *name;    /* FIELD. or FIELD.element- ; owned */
    uint64_t generation;
    struct mfile offsets, bytes, hash;
    struct file_name hash_file; /* as mapped; its width: bits of the table */
    uint64_t count;             /* entries that may be used */
    uint64_t checked;           /* whose offsets have been looked at (dict_check) */
    bool is_packed;             /* the first entries are packed */
    struct texts *texts;        /* owned; NULL until needed */
    uint32_t packed_count;      /* of them */
};

void dict_init(struct dict *d, struct dict_head *h, const char *folder, const char *column,
               const char *suffix, uint64_t generation, bool is_packed);
void dict_release(struct dict *d);

/* Makes the files of an empty dictionary. */
bool dict_create(struct dict *d, struct err *err);
/* Catches up with what other writers added. */
bool dict_refresh(struct dict *d, bool is_writable, struct err *err);

/* Checks the entries that dict_refresh added. */
bool dict_check(struct dict *d, struct err *err);

/* 1 <= code <= d->checked.  Of a packed entry until dict_forget. */
static inline struct str dict_entry(const struct dict *d, uint32_t code)
{
    if (code <= d->packed_count)
        return texts_entry(d->texts, code);
    const uint64_t *ends = mfile_data(&d->offsets);
    uint64_t start = code > 1 ? ends[code - 2] : 0;
    return (struct str){(const char *)mfile_data(&d->bytes) + start, ends[code - 1] - start};
}

/* Gives back what packed entries take that were unpacked; nobody may have one. */
void dict_forget(struct dict *d);

/* For entries that may not have been checked. */
bool dict_entry_checked(const struct dict *d, uint32_t code, struct str *ret);

/* 0: not there.  *ret_code is untouched on errors only. */
bool dict_find(struct dict *d, struct str s, bool is_writable, uint32_t *ret_code, struct err *err);
/* Finds or adds; for the writer that holds the lock, after dict_refresh. */
bool dict_add(struct dict *d, struct str s, uint32_t *ret_code, struct err *err);

#endif
