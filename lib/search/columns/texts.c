/*
 * A packed dictionary is three quarters of a packed week, so its texts are compressed and its hash
 * table is small.
 *
 * Blocks have a fixed number of entries, so that a code leads to its block by a division, and as
 * many as make about TEXT_BLOCK_BYTES.  Whoever packs sorts the entries: neighbours look alike
 * then, and compress well.  Crash ids do not compress, but are 16 bytes of 36 characters, of which
 * some are the same in a whole block (the date that they end in); they stay in the order of the
 * rows.
 *
 * What is unpacked stays where all texts would stand if all were unpacked: in memory that is only
 * reserved at first.  So an entry does not move while somebody has it, and threads need a lock for
 * unpacking alone.  Who keeps an index open gives the memory back when it becomes much.
 *
 * The table: entries are sorted into buckets of BUCKET_ENTRIES by the upper half of their hash, and
 * each has a tag, eight bits of the lower half.  A crash that is not there, the usual question of a
 * put to all weeks but one, is denied by two cache lines.
 */
#include "lib/search/columns/texts.h"

#include <sys/mman.h>
#include <zstd.h>

#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/base/util.h"
#include "lib/search/columns/bits.h"
#include "lib/search/columns/file_out.h"
#include "lib/search/columns/format.h"

enum {
    TEXT_BLOCK_BYTES = 8192, /* unpacked in some 20 us; twice as many bytes save 1 to 3 % */
    ENTRIES_MIN = 16,
    ENTRIES_MAX = 4096,
    ID_ENTRIES = 64, /* unpacked in some 8 us; a block has half a byte for each id */
    BUCKET_ENTRIES = 8,
    ZSTD_LEVEL = 9,
    PLAIN_BLOCK_MAX = 1 << 30,
    ID_BYTES = 16,
    ID_TEXT = 36,
};

/* Where the hyphens of a crash id stand. */
static bool is_hyphen(size_t i)
{
    return i == 8 || i == 13 || i == 18 || i == 23;
}

static void id_text(const uint8_t id[ID_BYTES], char out[ID_TEXT])
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0, digits = 0; i < ID_TEXT; i++) {
        if (is_hyphen(i)) {
            out[i] = '-';
            continue;
        }
        out[i] = hex[id[digits / 2] >> (digits % 2 ? 0 : 4) & 15];
        digits++;
    }
}

/* False unless id_text would make the text again: of upper-case digits it would not. */
static bool id_bytes(struct str s, uint8_t out[ID_BYTES])
{
    char again[ID_TEXT];
    size_t digits = 0;
    if (s.n != ID_TEXT)
        return false;
    memset(out, 0, ID_BYTES);
    for (size_t i = 0; i < ID_TEXT; i++) {
        int digit = is_hyphen(i) ? 0 : hex_digit(s.p[i]);
        if (digit < 0)
            return false;
        if (is_hyphen(i))
            continue;
        out[digits / 2] |= (uint8_t)(digit << (digits % 2 ? 0 : 4));
        digits++;
    }
    id_text(out, again);
    return memcmp(again, s.p, ID_TEXT) == 0;
}

static const struct texts_head *head_of(const struct texts *t)
{
    return mfile_data(&t->file);
}

static uint64_t sum_of(const struct texts_head *h, const struct texts_block *blocks)
{
    return hash64_seed(blocks, h->block_count * sizeof *blocks,
                       hash64(h, offsetof(struct texts_head, sum)));
}

static size_t entries_of(uint32_t count, uint32_t per_block, uint32_t block)
{
    return MIN((size_t)per_block, (size_t)count - (size_t)block * per_block);
}

/* Blocks lie inside the file, and their texts one behind the other in memory. */
static bool are_blocks_right(const struct texts *t, uint64_t data_start)
{
    uint64_t plain = 0;
    for (uint32_t i = 0; i < t->block_count; i++) {
        const struct texts_block *b = &t->blocks[i];
        if (b->kind > TEXTS_IDS || b->at < data_start || b->at > t->file.bytes ||
            b->bytes > t->file.bytes - b->at || b->plain_start != plain ||
            b->plain_bytes > PLAIN_BLOCK_MAX)
            return false;
        plain += b->plain_bytes;
    }
    return plain == head_of(t)->plain_bytes;
}

/* Both are multiples of eight, so that what comes behind is aligned. */
static size_t bucket_bytes(uint32_t bucket_count)
{
    return ((size_t)bucket_count + 2) / 2 * 2 * sizeof(uint32_t);
}

static size_t tag_bytes(uint32_t count)
{
    return ((size_t)count + 7) / 8 * 8;
}

static size_t slots_in(uint32_t count, uint32_t block)
{
    return MIN((size_t)count - (size_t)block * BLOCK_ROWS, (size_t)BLOCK_ROWS);
}

static size_t slots_bytes(uint32_t count)
{
    size_t full = count / BLOCK_ROWS;
    uint32_t width = bits_width(count);
    return full * bits_bytes(BLOCK_ROWS, width) + bits_bytes(count % BLOCK_ROWS, width);
}

static bool is_head_right(struct texts *t, const struct texts_head *h)
{
    uint64_t n = h->block_count;
    if (h->bytes != t->file.bytes || h->count > ROWS_MAX || h->per_block == 0 ||
        h->per_block > ENTRIES_MAX || n != ((uint64_t)h->count + h->per_block - 1) / h->per_block ||
        h->bucket_count != h->count / BUCKET_ENTRIES + 1)
        return false;
    uint64_t before = FILE_HEAD_BYTES + sizeof *h + n * sizeof *t->blocks;
    uint64_t tags = before + bucket_bytes(h->bucket_count), slots = tags + tag_bytes(h->count);
    uint64_t data = slots + slots_bytes(h->count);
    t->blocks = (const void *)(h + 1);
    t->buckets = (const void *)(t->blocks + n);
    t->tags = t->file.base + tags;
    t->slots = t->file.base + slots;
    t->count = h->count;
    t->per_block = h->per_block;
    t->block_count = h->block_count;
    t->bucket_count = h->bucket_count;
    t->code_bits = bits_width(h->count);
    return data <= t->file.bytes && h->sum == sum_of(h, t->blocks) && are_blocks_right(t, data);
}

/* Pages come when they are written to; a process that asks for few texts takes little. */
static void *reserve(size_t bytes)
{
    void *p = mmap(NULL, MAX(bytes, (size_t)1), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static void give_back(void *p, size_t bytes)
{
    if (p)
        munmap(p, MAX(bytes, (size_t)1));
}

bool texts_open(const char *path, uint64_t generation, struct texts **ret, struct err *err)
{
    struct texts *t = xcalloc(1, sizeof *t);
    struct mfile_kind kind = {FILE_TEXTS, 1, generation};
    pthread_mutex_init(&t->lock, NULL);
    bool ok = mfile_open(&t->file, path, kind, sizeof(struct texts_head), false, err);
    if (ok && !is_head_right(t, head_of(t)))
        ok = err_set(err, ERR_DAMAGED, "%s is not what was written", path);
    if (ok) {
        t->plain_bytes = head_of(t)->plain_bytes;
        t->plain = reserve(t->plain_bytes);
        t->ends = reserve(t->count * sizeof *t->ends);
        t->is_there = xcalloc(t->block_count + 1, sizeof *t->is_there);
        ok = (t->plain && t->ends) ||
             err_set(err, ERR_UNAVAILABLE, "%s: no room for %zu bytes", path, t->plain_bytes);
    }
    if (!ok) {
        texts_close(t);
        return false;
    }
    *ret = t;
    return true;
}

void texts_close(struct texts *t)
{
    if (!t)
        return;
    give_back(t->plain, t->plain_bytes);
    give_back(t->ends, t->count * sizeof *t->ends);
    free(t->is_there);
    mfile_close(&t->file);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

void texts_forget(struct texts *t)
{
    if (!t || t->bytes_there == 0)
        return;
    for (uint32_t i = 0; i < t->block_count; i++)
        piece_set(&t->is_there[i], false);
    madvise(t->plain, MAX(t->plain_bytes, (size_t)1), MADV_DONTNEED);
    madvise(t->ends, MAX(t->count * sizeof *t->ends, (size_t)1), MADV_DONTNEED);
    t->bytes_there = 0;
}

bool texts_size(const uint8_t *bytes, size_t n, uint64_t *ret)
{
    struct texts_head h;
    if (n < FILE_HEAD_BYTES + sizeof h)
        return false;
    memcpy(&h, bytes + FILE_HEAD_BYTES, sizeof h);
    *ret = h.bytes;
    return true;
}

/* Lengths, then texts; both must be there and no byte more. */
static bool take_plain(struct texts *t, uint32_t block, const uint8_t *p, size_t n)
{
    const struct texts_block *b = &t->blocks[block];
    size_t entries = entries_of(t->count, t->per_block, block);
    uint64_t *ends = t->ends + (size_t)block * t->per_block, end = b->plain_start;
    if (n != entries * sizeof(uint32_t) + b->plain_bytes)
        return false;
    for (size_t i = 0; i < entries; i++) {
        uint32_t length;
        memcpy(&length, p + i * sizeof length, sizeof length);
        ends[i] = end += length;
    }
    if (end != b->plain_start + b->plain_bytes)
        return false;
    for (size_t i = 1; i < entries; i++)
        if (ends[i] < ends[i - 1])
            return false;
    memcpy(t->plain + b->plain_start, p + entries * sizeof(uint32_t), b->plain_bytes);
    return true;
}

static bool take_zstd(struct texts *t, uint32_t block, const uint8_t *p, size_t n)
{
    const struct texts_block *b = &t->blocks[block];
    size_t plain = entries_of(t->count, t->per_block, block) * sizeof(uint32_t) + b->plain_bytes;
    FREE_LATER uint8_t *bytes = xmalloc(plain + 1);
    size_t got = ZSTD_decompress(bytes, plain, p, n);
    return !ZSTD_isError(got) && got == plain && take_plain(t, block, bytes, plain);
}

/* A bit for each byte that is the same in all ids, those bytes, then the others of each id. */
static bool take_ids(struct texts *t, uint32_t block, const uint8_t *p, size_t n)
{
    const struct texts_block *b = &t->blocks[block];
    size_t entries = entries_of(t->count, t->per_block, block);
    uint16_t same;
    uint8_t id[ID_BYTES] = {0};
    if (n < sizeof same || b->plain_bytes != entries * ID_TEXT)
        return false;
    memcpy(&same, p, sizeof same);
    size_t constant = (size_t)__builtin_popcount(same);
    if (n != sizeof same + constant + entries * (ID_BYTES - constant))
        return false;
    p += sizeof same;
    for (size_t i = 0; i < ID_BYTES; i++)
        if (same >> i & 1)
            id[i] = *p++;
    for (size_t k = 0; k < entries; k++) {
        for (size_t i = 0; i < ID_BYTES; i++)
            if (!(same >> i & 1))
                id[i] = *p++;
        id_text(id, t->plain + b->plain_start + k * ID_TEXT);
        t->ends[(size_t)block * t->per_block + k] = b->plain_start + (k + 1) * ID_TEXT;
    }
    return true;
}

static bool take_block(struct texts *t, uint32_t block)
{
    const struct texts_block *b = &t->blocks[block];
    const uint8_t *p = t->file.base + b->at;
    if (hash64_seed(p, b->bytes, block) != b->sum)
        return false;
    switch (b->kind) {
    case TEXTS_ZSTD:
        return take_zstd(t, block, p, b->bytes);
    case TEXTS_IDS:
        return take_ids(t, block, p, b->bytes);
    default:
        return take_plain(t, block, p, b->bytes);
    }
}

void texts_unpack(struct texts *t, uint32_t block)
{
    const struct texts_block *b = &t->blocks[block];
    size_t entries = entries_of(t->count, t->per_block, block);
    pthread_mutex_lock(&t->lock);
    if (!piece_is_there(&t->is_there[block])) {
        if (!take_block(t, block)) {
            t->is_damaged = true;
            for (size_t i = 0; i < entries; i++)
                t->ends[(size_t)block * t->per_block + i] = b->plain_start;
        }
        t->bytes_there += b->plain_bytes + entries * sizeof *t->ends;
        piece_set(&t->is_there[block], true);
    }
    pthread_mutex_unlock(&t->lock);
}

static uint32_t bucket_of(uint64_t hash, uint32_t bucket_count)
{
    return (uint32_t)((hash >> 32) * bucket_count >> 32);
}

static uint8_t tag_of(uint64_t hash)
{
    return (uint8_t)hash;
}

static uint32_t code_at(const struct texts *t, uint32_t i)
{
    uint32_t block = i / BLOCK_ROWS;
    const uint8_t *in = t->slots + block * bits_bytes(BLOCK_ROWS, t->code_bits);
    return (uint32_t)bits_get(in, slots_in(t->count, block), t->code_bits, i % BLOCK_ROWS);
}

uint32_t texts_find(struct texts *t, struct str s, uint64_t hash)
{
    uint32_t bucket = bucket_of(hash, t->bucket_count);
    uint32_t from = t->buckets[bucket], to = MIN(t->buckets[bucket + 1], t->count);
    for (uint32_t i = from; i < to; i++) {
        if (t->tags[i] != tag_of(hash))
            continue;
        uint32_t code = code_at(t, i);
        if (code > 0 && code <= t->count && str_eq(texts_entry(t, code), s))
            return code;
    }
    return 0;
}

/* What texts_write works on. */
struct maker {
    struct file_out out;
    struct texts_head h;
    struct texts_block *blocks;
    texts_source *entry;
    void *arg;
    uint8_t *plain, *packed; /* of the block at hand */
    size_t plain_cap, packed_cap;
};

static bool are_ids(struct maker *m)
{
    uint8_t id[ID_BYTES];
    for (uint32_t code = 1; code <= m->h.count; code++)
        if (!id_bytes(m->entry(m->arg, code), id))
            return false;
    return true;
}

static void *room(uint8_t **p, size_t *cap, size_t want)
{
    if (*cap < want) {
        *cap = MAX(want, *cap * 2);
        *p = xrealloc(*p, *cap);
    }
    return *p;
}

static bool add_block(struct maker *m, uint32_t block, const void *p, size_t n, struct err *err)
{
    struct texts_block *b = &m->blocks[block];
    b->at = m->out.at;
    b->bytes = (uint32_t)n;
    b->sum = hash64_seed(p, n, block);
    return file_out_add(&m->out, p, n, err);
}

static bool write_ids(struct maker *m, uint32_t block, struct err *err)
{
    size_t entries = entries_of(m->h.count, m->h.per_block, block), n = 0;
    uint8_t ids[ID_ENTRIES][ID_BYTES] = {{0}}, bytes[(ID_ENTRIES + 1) * ID_BYTES + 2];
    uint16_t same = UINT16_MAX;
    for (size_t k = 0; k < entries; k++) {
        id_bytes(m->entry(m->arg, block * m->h.per_block + (uint32_t)k + 1), ids[k]);
        for (size_t i = 0; i < ID_BYTES; i++)
            if (ids[k][i] != ids[0][i])
                same &= (uint16_t) ~(1u << i);
    }
    memcpy(bytes, &same, sizeof same);
    n += sizeof same;
    for (size_t i = 0; i < ID_BYTES; i++)
        if (same >> i & 1)
            bytes[n++] = ids[0][i];
    for (size_t k = 0; k < entries; k++)
        for (size_t i = 0; i < ID_BYTES; i++)
            if (!(same >> i & 1))
                bytes[n++] = ids[k][i];
    m->blocks[block].kind = TEXTS_IDS;
    m->blocks[block].plain_bytes = (uint32_t)(entries * ID_TEXT);
    return add_block(m, block, bytes, n, err);
}

/* Lengths and texts of a block in m->plain; 0: too many for one block. */
static size_t gather(struct maker *m, uint32_t block)
{
    size_t entries = entries_of(m->h.count, m->h.per_block, block);
    size_t n = entries * sizeof(uint32_t);
    for (size_t k = 0; k < entries; k++) {
        struct str s = m->entry(m->arg, block * m->h.per_block + (uint32_t)k + 1);
        uint32_t length = (uint32_t)s.n;
        if (s.n > PLAIN_BLOCK_MAX || n + s.n > PLAIN_BLOCK_MAX)
            return 0;
        uint8_t *plain = room(&m->plain, &m->plain_cap, n + s.n);
        memcpy(plain + k * sizeof length, &length, sizeof length);
        if (s.n > 0)
            memcpy(plain + n, s.p, s.n);
        n += s.n;
    }
    m->blocks[block].plain_bytes = (uint32_t)(n - entries * sizeof(uint32_t));
    return n;
}

static bool write_texts(struct maker *m, uint32_t block, struct err *err)
{
    size_t n = gather(m, block);
    if (n == 0)
        return err_set(err, ERR_TOO_LARGE, "%s: texts of more than %d bytes", m->out.path,
                       PLAIN_BLOCK_MAX);
    size_t bound = ZSTD_compressBound(n);
    uint8_t *packed = room(&m->packed, &m->packed_cap, bound);
    size_t got = ZSTD_compress(packed, bound, m->plain, n, ZSTD_LEVEL);
    bool is_smaller = !ZSTD_isError(got) && got < n;
    m->blocks[block].kind = is_smaller ? TEXTS_ZSTD : TEXTS_PLAIN;
    return add_block(m, block, is_smaller ? packed : m->plain, is_smaller ? got : n, err);
}

/* As many entries as make a block of the usual size on the average; crash ids have their own. */
static uint32_t per_block(struct maker *m, bool ids)
{
    uint64_t bytes = 0;
    if (ids)
        return ID_ENTRIES;
    for (uint32_t code = 1; code <= m->h.count; code++)
        bytes += m->entry(m->arg, code).n + sizeof(uint32_t);
    uint64_t n = m->h.count * (uint64_t)TEXT_BLOCK_BYTES / MAX(bytes, (uint64_t)1);
    return (uint32_t)MAX(MIN(n, (uint64_t)ENTRIES_MAX), (uint64_t)ENTRIES_MIN);
}

/* buckets[i] .. buckets[i + 1]: the slots of bucket i. */
static void make_table(struct maker *m, uint64_t generation, uint32_t *buckets, uint8_t *tags)
{
    uint32_t bits = bits_width(m->h.count), n = m->h.bucket_count;
    uint8_t *packed = tags + tag_bytes(m->h.count);
    FREE_LATER uint64_t *codes = xmalloc((m->h.count + 1) * sizeof *codes);
    FREE_LATER uint64_t *hashes = xmalloc((m->h.count + 1) * sizeof *hashes);
    FREE_LATER uint32_t *next = xcalloc(n + 1, sizeof *next);
    for (uint32_t i = 0; i < m->h.count; i++) {
        struct str s = m->entry(m->arg, i + 1);
        hashes[i] = dict_hash(generation, s);
        next[bucket_of(hashes[i], n) + 1]++;
    }
    for (uint32_t i = 0; i < n; i++)
        next[i + 1] += next[i];
    memcpy(buckets, next, (n + 1) * sizeof *buckets);
    for (uint32_t i = 0; i < m->h.count; i++) {
        uint32_t at = next[bucket_of(hashes[i], n)]++;
        tags[at] = tag_of(hashes[i]);
        codes[at] = i + 1;
    }
    for (uint32_t i = 0; (uint64_t)i * BLOCK_ROWS < m->h.count; i++) {
        size_t in_block = slots_in(m->h.count, i);
        bits_pack(codes + (size_t)i * BLOCK_ROWS, in_block, bits, packed);
        packed += bits_bytes(in_block, bits);
    }
}

static bool write_all(struct maker *m, bool ids, struct err *err)
{
    for (uint32_t i = 0; i < m->h.block_count; i++) {
        m->blocks[i].plain_start = m->h.plain_bytes;
        if (!(ids ? write_ids(m, i, err) : write_texts(m, i, err)))
            return false;
        m->h.plain_bytes += m->blocks[i].plain_bytes;
    }
    return true;
}

bool texts_write(const char *path, uint64_t generation, uint32_t count, texts_source *entry,
                 void *arg, struct err *err)
{
    struct maker m = {.h.count = count, .entry = entry, .arg = arg};
    bool ids = count > 0 && are_ids(&m);
    m.h.per_block = per_block(&m, ids);
    m.h.block_count = (count + m.h.per_block - 1) / m.h.per_block;
    m.h.bucket_count = count / BUCKET_ENTRIES + 1;
    size_t blocks = m.h.block_count * sizeof *m.blocks;
    size_t buckets = bucket_bytes(m.h.bucket_count);
    size_t slots = tag_bytes(count) + slots_bytes(count);
    FREE_LATER struct texts_block *table = m.blocks = xcalloc(m.h.block_count + 1, sizeof *table);
    FREE_LATER uint32_t *index = xcalloc(1, buckets + slots);
    make_table(&m, generation, index, (uint8_t *)index + buckets);
    bool ok =
        file_out_open(&m.out, path, FILE_HEAD_BYTES + sizeof m.h + blocks + buckets + slots, err) &&
        write_all(&m, ids, err);
    if (ok) {
        m.h.bytes = m.out.at;
        m.h.sum = sum_of(&m.h, m.blocks);
        struct file_piece pieces[] = {
            {&m.h, sizeof m.h}, {m.blocks, blocks}, {index, buckets + slots}};
        ok = file_out_head(&m.out, (struct mfile_kind){FILE_TEXTS, 1, generation}, pieces,
                           ARRAY_LEN(pieces), err);
    }
    file_out_close(&m.out);
    free(m.plain);
    free(m.packed);
    return ok;
}
