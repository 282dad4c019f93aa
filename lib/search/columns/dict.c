/*
 * A dictionary in three files: the entries one behind the other, where each ends, and a hash table
 * with open addressing from text to code.  It is only ever added to, by the writer that has the
 * lock, and read by everybody at the same time; dict.h says in which order the stores come.
 *
 * Readers map what they need once and look again only when the count has grown.  A hash table that
 * gets full is written anew, twice as large, under another name: those who have the old one mapped
 * find everything in it that was there when they mapped it, and no more is asked of it.
 */
#include "lib/search/columns/dict.h"

#include <limits.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/base/util.h"

/*
 * Small, because most of the columns of a week have few values; all grow by at least half.  A table
 * of 2^31 slots is the last: codes are 32 bits.
 */
enum { COUNT_FIRST = 64, BYTES_FIRST = 4096, HASH_BITS_FIRST = 7, HASH_BITS_MAX = 31 };

/* A slot: upper half of the hash, then the code; 0 is empty. */
static uint64_t slot_of(uint64_t hash, uint32_t code)
{
    return (hash & 0xffffffff00000000u) | code;
}

static void file_path(const struct dict *d, const char *what, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/%s%s", d->folder, d->name, what);
}

static void hash_path(const struct dict *d, uint32_t version, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/%shash-%u", d->folder, d->name, version);
}

/* What a file of this dictionary must say of itself. */
static struct mfile_kind kind_of(const struct dict *d, enum file_kind kind, uint32_t bytes)
{
    return (struct mfile_kind){kind, bytes, d->generation};
}

/* Nothing is opened: files are mapped when they are first asked for. */
void dict_init(struct dict *d, struct dict_head *h, const char *folder, const char *column,
               const char *suffix, uint64_t generation, bool is_packed)
{
    size_t n = strlen(column) + strlen(suffix) + 1;
    char *name = xmalloc(n);
    snprintf(name, n, "%s%s", column, suffix);
    *d = (struct dict){
        .h = h, .folder = folder, .name = name, .generation = generation, .is_packed = is_packed};
}

void dict_release(struct dict *d)
{
    mfile_close(&d->offsets);
    mfile_close(&d->bytes);
    mfile_close(&d->hash);
    texts_close(d->texts);
    free((char *)d->name);
    *d = (struct dict){0};
}

void dict_forget(struct dict *d)
{
    texts_forget(d->texts);
}

/*
 * Files for entries behind the packed ones.  Offsets are counted from the first entry of all: those
 * of packed ones are a hole, which reads as the 0 that the first entry behind them begins at.
 */
static bool create_files(struct dict *d, struct err *err)
{
    char path[PATH_MAX];
    uint64_t from = d->packed_count;
    file_path(d, "offsets", path);
    if (!mfile_create(&d->offsets, path, kind_of(d, FILE_OFFSETS, 8), from, from + COUNT_FIRST,
                      err))
        return false;
    file_path(d, "bytes", path);
    if (!mfile_create(&d->bytes, path, kind_of(d, FILE_BYTES, 1), 0, BYTES_FIRST, err))
        return false;
    hash_path(d, 1, path);
    if (!mfile_create(&d->hash, path, kind_of(d, FILE_HASH, 8), 0, 1u << HASH_BITS_FIRST, err))
        return false;
    d->hash_file = (struct file_name){HASH_BITS_FIRST, 1};
    dict_set_hash_file(d->h, d->hash_file);
    return true;
}

/* The count is stored last, when all three files are there. */
bool dict_create(struct dict *d, struct err *err)
{
    if (!create_files(d, err))
        return false;
    dict_set_entries(d->h, 0);
    return true;
}

/* Whether there are files for entries behind the packed ones. */
static bool has_files(const struct dict *d)
{
    return !d->is_packed || dict_hash_file(d->h).version != 0;
}

static bool open_texts(struct dict *d, struct err *err)
{
    char path[PATH_MAX];
    if (!d->is_packed)
        return true;
    if (d->texts && d->texts->is_damaged)
        return err_set(err, ERR_DAMAGED, "%s/%stexts is not what was written", d->folder, d->name);
    if (d->texts)
        return true;
    file_path(d, "texts", path);
    if (!texts_open(path, d->generation, &d->texts, err))
        return err->code == ERR_NOT_FOUND ? err_set(err, ERR_DAMAGED, "%s is gone", path) : false;
    d->packed_count = d->texts->count;
    d->count = d->checked = d->packed_count;
    return true;
}

/*
 * Offsets that only grow and end inside of the file make every entry safe to read without a further
 * look.  Done once for each entry and mapping.
 */
bool dict_check(struct dict *d, struct err *err)
{
    if (d->checked == d->count)
        return true;
    const uint64_t *ends = mfile_data(&d->offsets);
    uint64_t before = d->checked > 0 ? ends[d->checked - 1] : 0;
    bool is_falling = false; /* without a branch in the loop, which is long */
    for (uint64_t i = d->checked; i < d->count; i++) {
        is_falling |= ends[i] < before;
        before = ends[i];
    }
    if (is_falling)
        return err_set(err, ERR_DAMAGED, "%s/%s: an entry ends before it starts", d->folder,
                       d->name);
    if (before > mfile_elements(&d->bytes, 1))
        return err_set(err, ERR_DAMAGED, "%s/%s: entries exceed the file", d->folder, d->name);
    d->checked = d->count;
    return true;
}

bool dict_entry_checked(const struct dict *d, uint32_t code, struct str *ret)
{
    if (code == 0 || code > d->count)
        return false;
    if (code <= d->packed_count) {
        *ret = texts_entry(d->texts, code);
        return true;
    }
    const uint64_t *ends = mfile_data(&d->offsets);
    uint64_t start = code > 1 ? ends[code - 2] : 0, end = ends[code - 1];
    if (start > end || end > mfile_elements(&d->bytes, 1))
        return false;
    *ret = str_n((const char *)mfile_data(&d->bytes) + start, end - start);
    return true;
}

/*
 * A file that is longer than our mapping is mapped again.  The count is loaded before the offsets
 * and these before the bytes, as a writer stores them the other way round.
 */
bool dict_refresh(struct dict *d, bool is_writable, struct err *err)
{
    char path[PATH_MAX];
    if (!open_texts(d, err))
        return false;
    uint64_t count = dict_entries(d->h);
    if (count > ROWS_MAX || count < d->count)
        return err_set(err, ERR_DAMAGED, "%s/%s: %llu entries", d->folder, d->name,
                       (unsigned long long)count);
    if (!has_files(d) || (!is_writable && count == d->packed_count && d->is_packed))
        return count == d->packed_count ||
               err_set(err, ERR_DAMAGED, "%s/%s: entries exceed the file", d->folder, d->name);
    bool is_open = d->offsets.base && d->bytes.base;
    if (is_open && count == d->count && !is_writable)
        return true;
    if (mfile_elements(&d->offsets, 8) < MAX(count, (uint64_t)1)) {
        file_path(d, "offsets", path);
        if (!mfile_open(&d->offsets, path, kind_of(d, FILE_OFFSETS, 8), count, is_writable, err))
            return false;
    }
    uint64_t used = count > 0 ? ((const uint64_t *)mfile_data(&d->offsets))[count - 1] : 0;
    if (!d->bytes.base || mfile_elements(&d->bytes, 1) < used) {
        file_path(d, "bytes", path);
        if (!mfile_open(&d->bytes, path, kind_of(d, FILE_BYTES, 1), used, is_writable, err))
            return false;
    }
    d->count = count;
    return true;
}

/* Maps the current hash file; a writer may replace it in between, so look twice. */
static bool open_hash(struct dict *d, bool is_writable, struct err *err)
{
    for (int tries = 0;; tries++) {
        struct file_name file = dict_hash_file(d->h);
        if (d->hash.base && file_is(file, d->hash_file))
            return true;
        uint32_t bits = file.width;
        if (bits < 1 || bits > HASH_BITS_MAX)
            return err_set(err, ERR_DAMAGED, "%s/%s: hash of %u bits", d->folder, d->name, bits);
        char path[PATH_MAX];
        struct err why = {0};
        hash_path(d, file.version, path);
        if (mfile_open(&d->hash, path, kind_of(d, FILE_HASH, 8), (uint64_t)1 << bits, is_writable,
                       &why)) {
            d->hash_file = file;
            return true;
        }
        if (why.code != ERR_NOT_FOUND || tries > 100 || file_is(dict_hash_file(d->h), file))
            return err_set(err, why.code == ERR_NOT_FOUND ? ERR_DAMAGED : why.code, "%s", why.msg);
    }
}

/* The slot that holds s, or the one where it belongs. */
static struct shared_u64 *probe(const struct dict *d, struct str s, uint64_t hash,
                                uint32_t *ret_code)
{
    struct shared_u64 *slots = mfile_data(&d->hash);
    uint64_t mask = ((uint64_t)1 << d->hash_file.width) - 1;
    uint64_t at = hash & mask;
    *ret_code = 0;
    for (uint64_t i = 0; i <= mask; i++, at = (at + 1) & mask) {
        uint64_t slot = slot_load(&slots[at]);
        uint32_t code = (uint32_t)slot;
        if (code == 0 || code > d->count)
            return &slots[at];
        struct str entry;
        if (slot == slot_of(hash, code) && dict_entry_checked(d, code, &entry) &&
            str_eq(entry, s)) {
            *ret_code = code;
            return &slots[at];
        }
    }
    return NULL; /* full: cannot happen in a file of ours */
}

bool dict_find(struct dict *d, struct str s, bool is_writable, uint32_t *ret_code, struct err *err)
{
    uint64_t hash = dict_hash(d->generation, s);
    uint32_t code = d->texts ? texts_find(d->texts, s, hash) : 0;
    if (code == 0 && d->count > d->packed_count) {
        if (!open_hash(d, is_writable, err))
            return false;
        probe(d, s, hash, &code);
    }
    *ret_code = code;
    return true;
}

/* Twice the size: a new file, so that readers keep the old one. */
static bool grow_hash(struct dict *d, struct err *err)
{
    uint32_t bits = d->hash_file.width + 1, version = d->hash_file.version + 1;
    if (bits > HASH_BITS_MAX)
        return err_set(err, ERR_TOO_LARGE, "%s/%s: dictionary full", d->folder, d->name);
    char path[PATH_MAX];
    hash_path(d, version, path);
    if (!mfile_create(&d->hash, path, kind_of(d, FILE_HASH, 8), 0, (uint64_t)1 << bits, err))
        return false;
    d->hash_file = (struct file_name){bits, version};
    for (uint32_t code = d->packed_count + 1; code <= d->count; code++) {
        struct str s;
        if (!dict_entry_checked(d, code, &s))
            return err_set(err, ERR_DAMAGED, "%s/%s: entry %u is damaged", d->folder, d->name,
                           code);
        uint64_t hash = dict_hash(d->generation, s);
        struct shared_u64 *slots = mfile_data(&d->hash);
        uint64_t mask = ((uint64_t)1 << bits) - 1, at = hash & mask;
        while (slot_load(&slots[at]) != 0)
            at = (at + 1) & mask;
        slot_store(&slots[at], slot_of(hash, code));
    }
    dict_set_hash_file(d->h, d->hash_file);
    return true; /* the old file goes with the next sync: a snapshot on disk may name it */
}

/* The table is kept at most two thirds full, so probing stays short. */
static bool make_room(struct dict *d, size_t bytes, struct err *err)
{
    char path[PATH_MAX];
    if (d->count >= mfile_elements(&d->offsets, 8)) {
        uint64_t added = d->count - d->packed_count;
        uint64_t cap = d->count + MAX(added, (uint64_t)COUNT_FIRST);
        file_path(d, "offsets", path);
        if (!mfile_grow(&d->offsets, path, 8, cap, err))
            return false;
    }
    const uint64_t *ends = mfile_data(&d->offsets);
    uint64_t used = d->count > 0 ? ends[d->count - 1] : 0;
    if (used > mfile_elements(&d->bytes, 1))
        return err_set(err, ERR_DAMAGED, "%s/%s: entries exceed the file", d->folder, d->name);
    if (used + bytes > mfile_elements(&d->bytes, 1)) {
        uint64_t cap = (used + bytes) * 3 / 2;
        file_path(d, "bytes", path);
        if (!mfile_grow(&d->bytes, path, 1, cap, err))
            return false;
    }
    if ((d->count - d->packed_count + 1) * 3 / 2 > (uint64_t)1 << d->hash_file.width)
        return grow_hash(d, err);
    return true;
}

/* A text that is there already costs one look-up. */
bool dict_add(struct dict *d, struct str s, uint32_t *ret_code, struct err *err)
{
    uint64_t hash = dict_hash(d->generation, s);
    uint32_t code = d->texts ? texts_find(d->texts, s, hash) : 0;
    if (code == 0) {
        if (!(has_files(d) ? open_hash(d, true, err) : create_files(d, err)))
            return false;
        probe(d, s, hash, &code);
    }
    if (code == 0) {
        if (d->count >= ROWS_MAX)
            return err_set(err, ERR_TOO_LARGE, "%s/%s: dictionary full", d->folder, d->name);
        if (!make_room(d, s.n, err))
            return false;
        uint64_t *ends = mfile_data(&d->offsets);
        uint64_t used = d->count > 0 ? ends[d->count - 1] : 0;
        if (s.n > 0)
            memcpy((char *)mfile_data(&d->bytes) + used, s.p, s.n);
        ends[d->count] = used + s.n;
        struct shared_u64 *slot = probe(d, s, hash, &code);
        if (!slot)
            return err_set(err, ERR_DAMAGED, "%s/%s: hash table full", d->folder, d->name);
        code = (uint32_t)d->count + 1;
        slot_store(slot, slot_of(hash, code));
        d->count++;
        dict_set_entries(d->h, d->count);
    }
    *ret_code = code;
    return true;
}
