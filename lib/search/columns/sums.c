/*
 * Columns only grow: what lies below the counts of a commit never changes, so its sums are made
 * once and kept.  The block that the end lies in is summed anew by each sync, after its old sum has
 * been looked at, so that a byte that went bad in between is never taken over as good.  The sums of
 * what changes in place (hash tables, tombstones, zones, rows of crashes, the unused room behind
 * each end) are only made for partitions at rest.
 *
 * The file names its own bytes: at the end of head.synced stands the sum of all before, so that a
 * torn or flipped copy is never believed.  Files are read with pread and not through mappings,
 * since a bad sector is an error there and would be a signal here.
 */
#include "lib/search/columns/sums.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/search/columns/format.h"
#include "lib/search/columns/mfile.h"
#include "lib/search/columns/packed.h"
#include "lib/search/columns/texts.h"

/* A whole copy is read into memory; the limit is against a length that a flip has made. */
enum { COPY_BYTES_MAX = 1 << 30 }; /* 2^30 rows with 512 columns need less */

/* Frees a copy of the sums, also one that was only half loaded. */
void sums_release(struct sums *s)
{
    free(s->head);
    free(s->files);
    free(s->blocks);
    *s = (struct sums){0};
}

/* What a sync knows of one file before it has looked at it. */
struct file_plan {
    char name[SUM_NAME_MAX];
    uint64_t covered;
    uint32_t last_bits;
};

struct plans {
    VEC(struct file_plan) v;
};

__attribute__((format(printf, 3, 4))) static void plan_file(struct plans *p, uint64_t covered,
                                                            const char *fmt, ...)
{
    struct file_plan one = {.covered = covered};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(one.name, sizeof one.name, fmt, ap);
    va_end(ap);
    VEC_PUSH(&p->v, one);
}

/*
 * -1 with the reason.  A file that is gone may be damage or a partition that was replaced; the
 * caller knows.
 */
static int open_file(const char *folder, const char *name, uint64_t *ret_size, struct err *err)
{
    char path[PATH_MAX];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return err_set(err, ERR_NOT_FOUND, "%s is gone", path), -1;
    if (fd < 0 || fstat(fd, &st) < 0) {
        err_errno(err, errno, "opening %s", path);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    *ret_size = (uint64_t)st.st_size;
    return fd;
}

/* All n bytes or an error: a file that ends early is damage. */
static bool read_range(int fd, const char *name, uint64_t from, uint8_t *bytes, size_t n,
                       struct err *err)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = pread(fd, bytes + done, n - done, (off_t)(from + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, errno, "reading %s", name);
        if (got == 0)
            return err_set(err, ERR_DAMAGED, "%s ends at byte %llu", name,
                           (unsigned long long)(from + done));
        done += (size_t)got;
    }
    return true;
}

/* Of a file that never changes, and says itself how long it is. */
typedef bool size_reader(const uint8_t *bytes, size_t n, uint64_t *ret);

static bool plan_whole(struct plans *p, const char *folder, const char *name, size_reader *said,
                       struct err *err)
{
    uint8_t head[FILE_HEAD_BYTES + MAX(sizeof(struct packed_head), sizeof(struct texts_head))];
    uint64_t size, want = 0;
    FD_AUTO fd = open_file(folder, name, &size, err);
    if (fd < 0 || !read_range(fd, name, 0, head, sizeof head, err))
        return false;
    if (!said(head, sizeof head, &want) || want != size)
        return err_set(err, ERR_DAMAGED, "%s/%s has %llu bytes instead of %llu", folder, name,
                       (unsigned long long)size, (unsigned long long)want);
    plan_file(p, size, "%s", name);
    return true;
}

/* Where the text of a dictionary ends: the last of its offsets. */
static bool text_end(const char *folder, const char *offsets, uint64_t count, uint64_t *ret,
                     struct err *err)
{
    uint64_t size, end = 0;
    FD_AUTO fd = open_file(folder, offsets, &size, err);
    if (fd < 0 || (count > 0 && !read_range(fd, offsets, FILE_HEAD_BYTES + (count - 1) * 8,
                                            (uint8_t *)&end, sizeof end, err)))
        return false;
    if (end > INT64_MAX)
        return err_set(err, ERR_DAMAGED, "%s/%s: entries exceed the file", folder, offsets);
    *ret = end;
    return true;
}

/* Offsets and texts up to the count; of the hash table nothing, since it is changed in place. */
static bool plan_dict(struct plans *p, const char *folder, const char *column, bool is_packed,
                      const struct dict_head *d, struct err *err)
{
    uint64_t end = 0, count = dict_entries(d);
    char offsets[SUM_NAME_MAX], texts[SUM_NAME_MAX];
    snprintf(texts, sizeof texts, "%stexts", column);
    if (is_packed && !plan_whole(p, folder, texts, texts_size, err))
        return false;
    if (is_packed && dict_hash_file(d).version == 0)
        return true; /* no entry behind the packed ones yet */
    snprintf(offsets, sizeof offsets, "%soffsets", column);
    if (!text_end(folder, offsets, count, &end, err))
        return false;
    plan_file(p, FILE_HEAD_BYTES + count * 8, "%s", offsets);
    plan_file(p, FILE_HEAD_BYTES + end, "%sbytes", column);
    plan_file(p, 0, "%shash-%u", column, dict_hash_file(d).version);
    return true;
}

/* Rows up to the count of the copy, whatever has been added to the file since. */
static void plan_rows(struct plans *p, const struct column_head *c, const char *name, uint64_t rows)
{
    struct file_name file = column_file(c);
    plan_file(p, FILE_HEAD_BYTES + rows * file.width, "%s.rows-%u", name, file.version);
    if (c->kind == COLUMN_NUMBER) { /* the next rows change the upper bits of the last byte */
        plan_file(p, FILE_HEAD_BYTES + (rows + 7) / 8, "%s.present", name);
        p->v.v[p->v.n - 1].last_bits = rows % 8;
    }
}

static bool plan_column(struct plans *p, const char *folder, const struct part_head *h,
                        const struct column_head *c, uint64_t rows, struct err *err)
{
    char name[COLUMN_NAME_MAX + 1], prefix[SUM_NAME_MAX];
    bool is_packed = h->packed_rows > 0 && c->is_packed;
    snprintf(name, sizeof name, "%.*s", COLUMN_NAME_MAX, c->name);
    snprintf(prefix, sizeof prefix, "%s.packed", name);
    if (is_packed && !plan_whole(p, folder, prefix, packed_size, err))
        return false;
    if (!is_packed || rows_room(h) > h->packed_rows)
        plan_rows(p, c, name, rows);
    snprintf(prefix, sizeof prefix, "%s.", name);
    if ((c->kind == COLUMN_DICT || c->kind == COLUMN_LIST) &&
        !plan_dict(p, folder, prefix, is_packed, &c->dict, err))
        return false;
    snprintf(prefix, sizeof prefix, "%s.element-", name);
    return c->kind != COLUMN_LIST || plan_dict(p, folder, prefix, is_packed, &c->elements, err);
}

/*
 * Every file of the partition is in the plan, those without sums per block as well: they are looked
 * for and get a sum when the week rests.
 */
static bool plan_part(struct plans *p, const char *folder, const struct part_head *h, uint64_t rows,
                      struct err *err)
{
    static const char *const in_place[] = {"head", "_zones", "_dead", "_dead-at", "_row-of"};
    for (size_t i = 0; i < ARRAY_LEN(in_place); i++)
        plan_file(p, 0, "%s", in_place[i]);
    for (uint32_t i = 0; i < MIN(columns_count(h), (uint32_t)COLUMNS_MAX); i++)
        if (!plan_column(p, folder, h, &h->columns[i], rows, err))
            return false;
    return true;
}

/* Some hundred files, looked up some hundred times per sync: a scan is enough. */
static const struct sums_file *find_file(const struct sums *s, const char *name)
{
    for (uint32_t i = 0; s && i < s->h.file_count; i++)
        if (strcmp(s->files[i].name, name) == 0)
            return &s->files[i];
    return NULL;
}

/* The number of the block is the seed, so that two blocks that were exchanged show. */
static bool sum_block(int fd, const char *name, uint64_t block, uint64_t end, uint32_t last_bits,
                      uint64_t *ret, struct err *err)
{
    uint8_t bytes[SUM_BLOCK];
    uint64_t from = block * SUM_BLOCK;
    size_t n = (size_t)(MIN(end, from + SUM_BLOCK) - from);
    if (!read_range(fd, name, from, bytes, n, err))
        return false;
    if (last_bits && from + n == end)
        bytes[n - 1] &= (uint8_t)((1u << last_bits) - 1);
    *ret = hash64_seed(bytes, n, block);
    return true;
}

/* In words that name the first byte of the block, for who looks at the file. */
static bool differs(const char *folder, const char *name, uint64_t from, struct err *err)
{
    return err_set(err, ERR_DAMAGED, "%s/%s: the bytes from %llu on are not what was written",
                   folder, name, (unsigned long long)from);
}

/* Compares the sum of a block with the one that an earlier sync has written down. */
static bool check_block(const char *folder, int fd, const struct sums *s, const struct sums_file *f,
                        uint32_t block, struct err *err)
{
    uint64_t sum;
    return sum_block(fd, f->name, block, f->covered, f->last_bits, &sum, err) &&
           (sum == s->blocks[f->first_block + block] ||
            differs(folder, f->name, (uint64_t)block * SUM_BLOCK, err));
}

static uint32_t blocks_of(uint64_t covered)
{
    return (uint32_t)((covered + SUM_BLOCK - 1) / SUM_BLOCK);
}

struct sum_list {
    VEC(uint64_t) v;
};

/* The sums of one file up to `covered`, those of whole blocks taken from `old`. */
static bool sum_file(const char *folder, const struct file_plan *p, const struct sums *old,
                     struct sum_list *out, struct err *err)
{
    uint64_t size, sum;
    const struct sums_file *before = find_file(old, p->name);
    FD_AUTO fd = open_file(folder, p->name, &size, err);
    if (fd < 0)
        return false;
    if (size < p->covered)
        return err_set(err, ERR_DAMAGED, "%s/%s has %llu bytes instead of %llu", folder, p->name,
                       (unsigned long long)size, (unsigned long long)p->covered);
    if (before && before->covered > p->covered)
        before = NULL; /* the index went back to an older state */
    bool is_same = before && before->covered == p->covered && before->last_bits == p->last_bits;
    bool is_partial = before && (before->covered % SUM_BLOCK != 0 || before->last_bits);
    uint32_t kept = before ? before->blocks - (is_partial && !is_same) : 0;
    if (before && kept < before->blocks && !check_block(folder, fd, old, before, kept, err))
        return false;
    for (uint32_t i = 0; i < blocks_of(p->covered); i++) {
        if (i < kept)
            sum = old->blocks[before->first_block + i];
        else if (!sum_block(fd, p->name, i, p->covered, p->last_bits, &sum, err))
            return false;
        VEC_PUSH(&out->v, sum);
    }
    return true;
}

/* A column that was widened was copied from a file that the new sums do not name any more. */
static bool check_replaced(const char *folder, const struct sums *old, const struct sums *new,
                           struct err *err)
{
    for (uint32_t i = 0; i < old->h.file_count; i++) {
        const struct sums_file *f = &old->files[i];
        uint64_t size;
        if (f->blocks == 0 || find_file(new, f->name))
            continue;
        FD_AUTO fd = open_file(folder, f->name, &size, ERR_IGNORED);
        for (uint32_t b = 0; fd >= 0 && b < f->blocks; b++)
            if (!check_block(folder, fd, old, f, b, err))
                return false;
    }
    return true;
}

/* The sums of all files in one array; each file knows where its own begin. */
static bool sum_files(const char *folder, const struct plans *p, const struct sums *old,
                      struct sums *s, struct err *err)
{
    struct sum_list list = {0};
    bool ok = true;
    s->files = xcalloc(p->v.n + 1, sizeof *s->files);
    for (size_t i = 0; ok && i < p->v.n; i++) {
        struct sums_file *f = &s->files[s->h.file_count++];
        memcpy(f->name, p->v.v[i].name, sizeof f->name);
        f->covered = p->v.v[i].covered;
        f->last_bits = p->v.v[i].last_bits;
        f->first_block = (uint32_t)list.v.n;
        f->blocks = blocks_of(f->covered);
        ok = sum_file(folder, &p->v.v[i], old, &list, err);
    }
    s->blocks = list.v.v;
    s->h.block_count = (uint32_t)list.v.n;
    return ok;
}

/*
 * Either all sums of the new copy or none: a copy that lacks some would let damage through later.
 */
bool sums_extend(const char *folder, const struct part_head *head, uint64_t rows,
                 const struct sums *old, struct sums *ret, struct err *err)
{
    struct plans p = {0};
    struct sums s = {.head = xmalloc(sizeof *head), .h.generation = head->generation};
    memcpy(s.head, head, sizeof *head);
    memcpy(s.h.magic, SUMS_MAGIC, sizeof s.h.magic);
    bool ok = plan_part(&p, folder, head, rows, err) && sum_files(folder, &p, old, &s, err) &&
              (!old || check_replaced(folder, old, &s, err));
    VEC_RELEASE(&p.v);
    if (ok)
        *ret = s;
    else
        sums_release(&s);
    return ok;
}

/* Sum of the bytes from `from` to `to`, however many. */
static bool sum_tail(int fd, const char *name, uint64_t from, uint64_t to,
                     const struct index_pace *pace, uint64_t *ret, struct err *err)
{
    uint8_t bytes[SUM_BLOCK];
    *ret = to - from;
    while (from < to) {
        size_t n = (size_t)MIN(to - from, (uint64_t)SUM_BLOCK);
        if (!read_range(fd, name, from, bytes, n, err))
            return false;
        if (pace && !pace->go_on(pace->arg, n))
            return err_set(err, ERR_UNAVAILABLE, "told to stop");
        *ret = hash64_seed(bytes, n, *ret);
        from += n;
    }
    return true;
}

/* Where the tail begins: with the last byte, if not all of its bits are covered. */
static uint64_t tail_start(const struct sums_file *f)
{
    return f->covered - (f->last_bits != 0);
}

/*
 * Whoever writes meanwhile changes the turn, and the caller throws the tails away (seal_part in
 * sync.c).
 */
bool sums_add_tails(const char *folder, struct sums *s, uint64_t turn, struct err *err)
{
    for (uint32_t i = 0; i < s->h.file_count; i++) {
        struct sums_file *f = &s->files[i];
        FD_AUTO fd = open_file(folder, f->name, &f->size, err);
        if (fd < 0 ||
            !sum_tail(fd, f->name, tail_start(f), MAX(f->size, f->covered), NULL, &f->tail, err))
            return false;
    }
    s->h.rest_turn = turn;
    return true;
}

static bool write_summed(const char *path, uint8_t *bytes, size_t n, struct err *err)
{
    uint64_t sum = hash64(bytes, n - sizeof sum);
    memcpy(bytes + n - sizeof sum, &sum, sizeof sum);
    return fs_write_atomic(path, bytes, n, FS_FILE_MODE, err);
}

/* *ret_n without the sum at the end, which has been checked. */
static bool read_summed(const char *path, size_t max, char **ret, size_t *ret_n, struct err *err)
{
    uint64_t sum;
    char *bytes;
    size_t n;
    if (!fs_read(path, max, &bytes, &n, err))
        return false;
    if (n >= sizeof sum) {
        memcpy(&sum, bytes + n - sizeof sum, sizeof sum);
        if (hash64(bytes, n - sizeof sum) == sum) {
            *ret = bytes;
            *ret_n = n - sizeof sum;
            return true;
        }
    }
    free(bytes);
    return err_set(err, ERR_DAMAGED, "%s is not what was written", path);
}

bool sums_write(const char *folder, const struct sums *s, struct err *err)
{
    char path[PATH_MAX];
    size_t files = s->h.file_count * sizeof *s->files, blocks = s->h.block_count * sizeof(uint64_t);
    size_t n = sizeof *s->head + sizeof s->h + files + blocks + sizeof(uint64_t);
    FREE_LATER uint8_t *bytes = xmalloc(n);
    uint8_t *at = bytes;
    memcpy(at, s->head, sizeof *s->head);
    memcpy(at += sizeof *s->head, &s->h, sizeof s->h);
    memcpy(at += sizeof s->h, s->files, files);
    if (blocks > 0)
        memcpy(at + files, s->blocks, blocks);
    snprintf(path, sizeof path, "%s/%s", folder, SYNC_HEAD);
    if (!write_summed(path, bytes, n, err))
        return false;
    if (s->head->packed_rows > 0) /* columns that it does not have take no room */
        mfile_punch(path, offsetof(struct part_head, columns[columns_count(s->head)]),
                    sizeof *s->head);
    return true;
}

/*
 * Nothing in a copy is believed before its parts fit each other, although its sum is good: a
 * program of another version may have written it.
 */
static bool are_files_right(const struct sums *s)
{
    for (uint32_t i = 0; i < s->h.file_count; i++) {
        const struct sums_file *f = &s->files[i];
        if (!memchr(f->name, '\0', sizeof f->name) || strchr(f->name, '/') ||
            f->blocks > s->h.block_count || f->first_block > s->h.block_count - f->blocks ||
            f->covered > (uint64_t)INT64_MAX / 2 || f->last_bits > 7 ||
            (f->last_bits && f->covered == 0) || f->blocks != blocks_of(f->covered))
            return false;
    }
    return true;
}

static void *copy_of(const char *p, size_t n)
{
    return n > 0 ? memcpy(xmalloc(n), p, n) : xmalloc(1);
}

/* Heads, files, sums, and no byte more. */
static bool take_apart(const char *bytes, size_t n, struct sums *s)
{
    size_t heads = sizeof *s->head + sizeof s->h;
    if (n < heads)
        return false;
    memcpy(&s->h, bytes + sizeof *s->head, sizeof s->h);
    size_t files = s->h.file_count * sizeof *s->files, blocks = s->h.block_count * sizeof(uint64_t);
    if (memcmp(s->h.magic, SUMS_MAGIC, sizeof s->h.magic) != 0 || n != heads + files + blocks)
        return false;
    s->head = copy_of(bytes, sizeof *s->head);
    s->files = copy_of(bytes + heads, files);
    s->blocks = copy_of(bytes + heads + files, blocks);
    return memcmp(s->head->magic, PART_MAGIC, sizeof s->head->magic) == 0 &&
           s->head->generation == s->h.generation && are_files_right(s);
}

bool sums_load(const char *folder, struct sums *ret, struct err *err)
{
    char path[PATH_MAX];
    FREE_LATER char *bytes = NULL;
    size_t n;
    struct sums s = {0};
    snprintf(path, sizeof path, "%s/%s", folder, SYNC_HEAD);
    if (!read_summed(path, COPY_BYTES_MAX, &bytes, &n, err))
        return false;
    if (!take_apart(bytes, n, &s)) {
        sums_release(&s);
        return err_set(err, ERR_DAMAGED, "%s is not a copy of a head", path);
    }
    *ret = s;
    return true;
}

bool sums_look(const char *folder, const struct sums *s, struct sums_inode **seen,
               size_t *seen_count, struct err *err)
{
    struct sums_inode *now = xcalloc(s->h.file_count + 1, sizeof *now);
    bool ok = true;
    for (uint32_t i = 0; ok && i < s->h.file_count; i++) {
        const struct sums_file *f = &s->files[i];
        char path[PATH_MAX];
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", folder, f->name);
        if (stat(path, &st) < 0) {
            ok = errno == ENOENT ? err_set(err, ERR_NOT_FOUND, "%s is gone", path)
                                 : err_errno(err, errno, "looking at %s", path);
            break;
        }
        now[i] = (struct sums_inode){hash64(f->name, strlen(f->name)), st.st_ino};
        if ((uint64_t)st.st_size < f->covered)
            ok = err_set(err, ERR_DAMAGED, "%s is too short: %lld bytes", path,
                         (long long)st.st_size);
        else if (i < *seen_count && (*seen)[i].name == now[i].name &&
                 (*seen)[i].inode != now[i].inode)
            ok = err_set(err, ERR_DAMAGED, "%s was replaced by another file", path);
    }
    free(*seen);
    *seen = now;
    *seen_count = ok ? s->h.file_count : 0;
    return ok;
}

/* Checks every byte below the counts, and asks the pace after each block whether to rest. */
bool sums_check(const char *folder, const struct sums *s, const struct index_pace *pace,
                struct err *err)
{
    for (uint32_t i = 0; i < s->h.file_count; i++) {
        const struct sums_file *f = &s->files[i];
        uint64_t size;
        FD_AUTO fd = open_file(folder, f->name, &size, err);
        if (fd < 0)
            return false;
        for (uint32_t b = 0; b < f->blocks; b++) {
            if (!check_block(folder, fd, s, f, b, err))
                return false;
            if (pace && !pace->go_on(pace->arg, SUM_BLOCK))
                return err_set(err, ERR_UNAVAILABLE, "told to stop");
        }
    }
    return true;
}

/* A resting file has the size it had, too: bytes behind its end would be used by the next row. */
bool sums_check_tails(const char *folder, const struct sums *s, const struct index_pace *pace,
                      struct err *err)
{
    for (uint32_t i = 0; i < s->h.file_count; i++) {
        const struct sums_file *f = &s->files[i];
        uint64_t size, sum;
        FD_AUTO fd = open_file(folder, f->name, &size, err);
        if (fd < 0)
            return false;
        if (size != f->size)
            return err_set(err, ERR_DAMAGED, "%s/%s has %llu bytes instead of %llu", folder,
                           f->name, (unsigned long long)size, (unsigned long long)f->size);
        if (!sum_tail(fd, f->name, tail_start(f), MAX(size, f->covered), pace, &sum, err))
            return false;
        if (sum != f->tail)
            return differs(folder, f->name, f->covered, err);
    }
    return true;
}

/* The head of the index has no files of its own to sum: the copy is the head and the sum of it. */
bool sums_write_root(const char *dir, const struct root_head *head, struct err *err)
{
    char path[PATH_MAX];
    size_t n = sizeof *head + sizeof(uint64_t);
    FREE_LATER uint8_t *bytes = xmalloc(n);
    memcpy(bytes, head, sizeof *head);
    snprintf(path, sizeof path, "%s/%s", dir, SYNC_HEAD);
    return write_summed(path, bytes, n, err);
}

bool sums_load_root(const char *dir, struct root_head *ret, struct err *err)
{
    char path[PATH_MAX];
    FREE_LATER char *bytes = NULL;
    size_t n;
    snprintf(path, sizeof path, "%s/%s", dir, SYNC_HEAD);
    if (!read_summed(path, sizeof *ret + sizeof(uint64_t), &bytes, &n, err))
        return false;
    if (n != sizeof *ret || memcmp(bytes, ROOT_MAGIC, 8) != 0)
        return err_set(err, ERR_DAMAGED, "%s is not a copy of a head", path);
    memcpy(ret, bytes, n);
    return ret->format == FORMAT_VERSION && table_count(ret) <= PARTS_MAX
               ? true
               : err_set(err, ERR_DAMAGED, "%s is not of this version", path);
}
