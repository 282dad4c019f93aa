/*
 * Opening a .csym, and the few ways in which its sections are read.
 *
 * Opening costs 20 to 30 microseconds (make bench BENCH=csym), because it looks at the header
 * and at nothing else: magic, version, the length of the file, and that each of the sections lies
 * inside.  A crash maps dozens of modules and asks each for a few addresses, so a check of the
 * contents would cost more than all look-ups together.  The price is that whoever follows an offset
 * checks it; the functions here do so, and answer with the empty string or false.
 *
 * A length that differs from the header's means that the file was cut, for instance by a disk that
 * was full.  The header has a checksum of its own, which costs nothing: a section that begins
 * elsewhere, or a wide file that says it is narrow, would give answers that look right.  The
 * checksum of the sections is for housekeeping (csym_verify), and for who finds an answer that
 * cannot be.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/base/rd.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/symfile/csym.h"
#include "lib/symfile/csym_format.h"
#include "lib/symfile/csym_read.h"

/* Every section must lie in the file; after this nobody needs the header any more. */
static bool read_sections(struct rd *file, struct csym *c, struct err *err)
{
    struct rd table = rd_window(file, CSYM_SECTION_TABLE, CSYM_SECTION_COUNT * 16);
    for (size_t i = 0; i < CSYM_SECTION_COUNT; i++) {
        uint64_t off = rd_u64(&table);
        uint64_t size = rd_u64(&table);
        struct rd section = rd_window(file, off, size);
        if (!rd_ok(&section) || off % 8 != 0)
            return err_set(err, ERR_DAMAGED, "section %zu of the csym file lies outside of it", i);
        c->sec[i] = (struct csym_section){section.p, section.n};
    }
    return true;
}

/*
 * Every failure is ERR_DAMAGED: we wrote the file. Another version is one too; the text is there,
 * and it is made again.
 */
bool csym_open_mem(const void *p, size_t n, struct csym *ret, struct err *err)
{
    struct rd file = rd_init(p, n);
    struct rd h = rd_window(&file, 0, CSYM_HEADER_SIZE);
    uint32_t magic = rd_u32(&h);
    uint32_t version = rd_u32(&h);
    uint32_t flags = rd_u32(&h);
    uint32_t header_size = rd_u32(&h);
    uint64_t total = rd_u64(&h);
    if (!rd_ok(&h) || magic != CSYM_MAGIC)
        return err_set(err, ERR_DAMAGED, "no csym header in a file of %zu bytes", n);
    if (version != CSYM_VERSION || header_size != CSYM_HEADER_SIZE || total != n)
        return err_set(err, ERR_DAMAGED, "csym version %u of %llu bytes in a file of %zu", version,
                       (unsigned long long)total, n);

    if (csym_header_hash(p) != csym_u64((const uint8_t *)p + CSYM_HEADER_HASH_AT))
        return err_set(err, ERR_DAMAGED, "the header of a csym file is damaged");

    struct csym c = {.p = p,
                     .n = n,
                     .is_corrupt = flags & CSYM_CORRUPT,
                     .is_wide = flags & CSYM_WIDE,
                     .source_bytes = rd_u64(&h),
                     .source_stamp = 0};
    c.source_stamp = rd_u64(&h);
    if (!read_sections(&file, &c, err))
        return false;
    struct str *const info[CSYM_INFO_COUNT] = {&c.os,      &c.arch, &c.debug_id, &c.debug_file,
                                               &c.code_id, &c.url,  &c.code_file};
    for (size_t i = 0; i < CSYM_INFO_COUNT; i++)
        *info[i] = csym_string_at(&c, SEC_INFO, i);
    c.reg_count = (uint32_t)MIN(c.sec[SEC_REG].n / 4, (size_t)CSYM_REG_MAX);
    *ret = c;
    return true;
}

/* The mapping keeps the file alive: it may be replaced or deleted while a crash is being walked. */
bool csym_open_fd(int fd, struct csym *ret, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return err_errno(err, errno, "csym file");
    if (!S_ISREG(st.st_mode) || st.st_size < CSYM_HEADER_SIZE)
        return err_set(err, ERR_DAMAGED, "no csym file");
    size_t n = (size_t)st.st_size;
    void *p = mmap(NULL, n, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return err_errno(err, errno, "mapping a csym file of %zu bytes", n);
    if (!csym_open_mem(p, n, ret, err)) {
        munmap(p, n);
        return false;
    }
    ret->is_mapped = true;
    return true;
}

bool csym_open_file(const char *path, struct csym *ret, struct err *err)
{
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return err_set(err, ERR_NOT_FOUND, "%s: no such file", path);
    if (fd < 0)
        return err_errno(err, errno, "opening %s", path);
    return csym_open_fd(fd, ret, err) || err_wrap(err, "%s", path);
}

void csym_close(struct csym *c)
{
    if (c->is_mapped)
        munmap((void *)c->p, c->n);
    *c = (struct csym){0};
}

bool csym_verify(const struct csym *c, struct err *err)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < CSYM_SECTION_COUNT; i++)
        hash = hash64_seed(c->sec[i].p, c->sec[i].n, hash);
    if (hash != csym_u64(c->p + CSYM_HASH_AT))
        return err_set(err, ERR_DAMAGED, "the csym file is damaged");
    return true;
}

bool csym_set_stamp(int fd, uint64_t stamp, struct err *err)
{
    uint8_t header[CSYM_HEADER_SIZE];
    ssize_t n = pread(fd, header, sizeof header, 0);
    memcpy(header + CSYM_STAMP_AT, &stamp, sizeof stamp);
    csym_seal_header(header);
    return (n == sizeof header && pwrite(fd, header, sizeof header, 0) == sizeof header) ||
           err_errno(err, n < 0 || errno ? errno : EIO, "stamp of compiled symbols");
}

/* The length stands before the bytes, so a name may contain anything and need not be searched. */
struct str csym_string(const struct csym *c, uint32_t off)
{
    const struct csym_section *s = &c->sec[SEC_STRINGS];
    struct vr r = vr_at(s->p, s->n, off);
    struct vr text = vr_window(&r, vr_u64(&r));
    return text.bad ? STR("") : str_n((const char *)text.p, (size_t)(text.end - text.p));
}

bool csym_u32_at(const struct csym *c, enum csym_section_id id, uint64_t i, uint32_t *ret)
{
    const struct csym_section *s = &c->sec[id];
    if (i >= s->n / 4)
        return false;
    *ret = csym_u32(s->p + i * 4);
    return true;
}

struct str csym_string_at(const struct csym *c, enum csym_section_id id, uint64_t i)
{
    uint32_t off;
    return csym_u32_at(c, id, i, &off) ? csym_string(c, off) : STR("");
}

/*
 * Starts and payload are two arrays, so that a search touches eight or sixteen starts in each
 * line of the processor's cache.  A narrow file has no start above 32 bits, so an address
 * above that is searched as the highest one.
 */
bool csym_floor(const struct csym *c, enum csym_section_id id, bool is_wide, uint64_t addr,
                size_t *ret_i, uint64_t *ret_start)
{
    const struct csym_section *s = &c->sec[id];
    size_t n = s->n / (is_wide ? 8 : 4), low = 0;
    if (n == 0)
        return false;
    /* Branch-free halving: [low, low + n) always holds the answer, if there is one. */
    if (is_wide) {
        for (size_t half; n > 1; n -= half) {
            half = n / 2;
            low += csym_u64(s->p + (low + half) * 8) <= addr ? half : 0;
        }
    } else {
        uint32_t key = addr > UINT32_MAX ? UINT32_MAX : (uint32_t)addr;
        for (size_t half; n > 1; n -= half) {
            half = n / 2;
            low += csym_u32(s->p + (low + half) * 4) <= key ? half : 0;
        }
    }
    uint64_t start = is_wide ? csym_u64(s->p + low * 8) : csym_u32(s->p + low * 4);
    if (start > addr)
        return false;
    *ret_i = low;
    *ret_start = start;
    return true;
}

/*
 * A run of at most CSYM_BLOCK records, as that of nearly every function, has no table and is read
 * from its start.  In a longer one the table is searched for the block; at most CSYM_BLOCK records
 * are decoded in either case.
 */
bool run_seek(struct vr run, uint32_t key, struct run_in *ret)
{
    uint64_t count = vr_u64(&run);
    if (run.bad || count == 0)
        return false;
    size_t blocks = (size_t)((count - 1) / CSYM_BLOCK); /* behind the first */
    if (count > (uint64_t)(run.end - run.p))            /* a record takes at least one byte */
        return false;
    struct vr table = vr_window(&run, blocks * 8);
    if (table.bad)
        return false;
    size_t block = 0; /* number of table entries with a key <= key */
    for (size_t high = blocks; block < high;) {
        size_t mid = block + (high - block) / 2;
        if (csym_u32(table.p + mid * 8) <= key)
            block = mid + 1;
        else
            high = mid;
    }
    *ret = (struct run_in){.at = run, .left = MIN((size_t)count, (size_t)CSYM_BLOCK)};
    if (block == 0)
        return true;
    const uint8_t *entry = table.p + (block - 1) * 8;
    ret->base = csym_u32(entry);
    ret->left = MIN((size_t)count - block * CSYM_BLOCK, (size_t)CSYM_BLOCK);
    vr_skip(&ret->at, csym_u32(entry + 4));
    return !ret->at.bad;
}
