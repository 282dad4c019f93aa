/*
 * MSF, the "multi-stream file" of PDBs, as LLVM documents it (llvm.org/docs/PDB): a head, a
 * directory of streams that is itself scattered over blocks, and a list of the directory's blocks.
 * Streams are copied together when they are asked for, each once.
 *
 * The identity is that which the linker writes into the program: the GUID of stream 1 and the age
 * of stream 3 (DBI); the age of stream 1 counts other changes.
 */
#include "tools/dump-syms/pdb_file.h"

#include "lib/base/util.h"

enum {
    /* Fixed by the format, as are the places in the DBI header below. */
    STREAM_INFO = 1,
    STREAM_DBI = 3,
    STREAMS_MAX = 65536, /* their numbers have 16 bits wherever the format stores one */
    DELETED = -1,        /* size of a stream that was removed */
    BLOCK_MIN = 512,
    BLOCK_MAX = 32768, /* link.exe /PDBPAGESIZE: files beyond 4 GiB; 4096 without */
    DBI_AGE_AT = 8,
    DBI_MACHINE_AT = 58,
};

static const char magic[32] = "Microsoft C/C++ MSF 7.00\r\n\x1a"
                              "DS\0\0";

bool pdb_is(struct str bytes)
{
    return bytes.n >= sizeof magic && memcmp(bytes.p, magic, sizeof magic) == 0;
}

static struct rd block(const struct pdb_file *f, uint32_t index)
{
    struct rd all = rd_init(f->bytes.p, f->bytes.n);
    return rd_try_window(&all, (uint64_t)index * f->block_size, f->block_size);
}

static uint32_t blocks_of(const struct pdb_file *f, uint32_t size)
{
    return size / f->block_size + (size % f->block_size != 0);
}

/* The directory: its blocks are listed in blocks that follow each other from `map` on. */
static bool read_directory(const struct pdb_file *f, uint32_t map, uint32_t size,
                           struct strbuf *ret)
{
    uint32_t n = blocks_of(f, size);
    struct rd all = rd_init(f->bytes.p, f->bytes.n);
    struct rd list = rd_try_window(&all, (uint64_t)map * f->block_size, (uint64_t)n * 4);
    sb_init(ret, size);
    for (uint32_t i = 0; i < n && rd_ok(&list); i++) {
        struct rd b = block(f, rd_u32(&list));
        const void *p = rd_bytes(&b, MIN(f->block_size, size - i * f->block_size));
        if (!p)
            return false;
        sb_put(ret, p, MIN(f->block_size, size - i * f->block_size));
    }
    return rd_ok(&list) && ret->n == size;
}

/* A block that two streams claim would multiply a small file: the sum of all may not exceed it. */
static bool read_streams(struct pdb_file *f, struct rd r)
{
    uint32_t count = rd_u32(&r);
    uint64_t total = 0;
    if (count > STREAMS_MAX || (uint64_t)count * 4 > rd_left(&r))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t size = rd_u32(&r);
        struct pdb_stream s = {.size = size == (uint32_t)DELETED ? 0 : size};
        VEC_PUSH(&f->streams, s);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct pdb_stream *s = &f->streams.v[i];
        uint32_t n = blocks_of(f, s->size);
        s->first_block = f->blocks.n;
        total += n;
        if (total > f->bytes.n / f->block_size || (uint64_t)n * 4 > rd_left(&r))
            return false;
        for (uint32_t k = 0; k < n; k++)
            VEC_PUSH(&f->blocks, rd_u32(&r));
    }
    return rd_ok(&r);
}

bool pdb_read_stream(const struct pdb_file *f, uint32_t index, struct strbuf *ret)
{
    if (index >= f->streams.n)
        return false;
    const struct pdb_stream *s = &f->streams.v[index];
    sb_init(ret, s->size);
    for (uint32_t left = s->size, k = 0; left > 0; k++) {
        struct rd b = block(f, f->blocks.v[s->first_block + k]);
        uint32_t n = MIN(left, f->block_size);
        const void *p = rd_bytes(&b, n);
        if (!p)
            break;
        sb_put(ret, p, n);
        left -= n;
    }
    bool ok = ret->n == s->size;
    if (!ok)
        sb_release(ret);
    return ok;
}

static bool read_identity(struct pdb_file *f)
{
    struct rd info = rd_init(sb_cstr(&f->info), f->info.n);
    rd_skip(&info, 12);
    const uint8_t *guid = rd_bytes(&info, sizeof f->guid);
    struct rd dbi = rd_init(sb_cstr(&f->dbi), f->dbi.n);
    rd_seek(&dbi, DBI_AGE_AT);
    f->age = rd_u32(&dbi);
    rd_seek(&dbi, DBI_MACHINE_AT);
    f->machine = rd_u16(&dbi);
    if (!guid || !rd_ok(&dbi))
        return false;
    memcpy(f->guid, guid, sizeof f->guid);
    return true;
}

bool pdb_open(struct str bytes, const char *path, struct pdb_file *ret, struct err *err)
{
    struct pdb_file f = {.bytes = bytes};
    struct rd r = rd_init(bytes.p, bytes.n);
    rd_seek(&r, sizeof magic);
    f.block_size = rd_u32(&r);
    rd_skip(&r, 8);
    uint32_t size = rd_u32(&r);
    rd_skip(&r, 4);
    uint32_t map = rd_u32(&r);
    bool ok = pdb_is(bytes) && rd_ok(&r) && f.block_size >= BLOCK_MIN &&
              f.block_size <= BLOCK_MAX && size <= bytes.n;
    STRBUF_AUTO directory = {0};
    ok = ok && read_directory(&f, map, size, &directory) &&
         read_streams(&f, rd_init(sb_cstr(&directory), directory.n)) &&
         pdb_read_stream(&f, STREAM_INFO, &f.info) && pdb_read_stream(&f, STREAM_DBI, &f.dbi) &&
         read_identity(&f);
    if (!ok) {
        pdb_close(&f);
        return err_set(err, ERR_INVALID, "%s: not a readable PDB", path);
    }
    *ret = f;
    return true;
}

void pdb_close(struct pdb_file *f)
{
    VEC_RELEASE(&f->streams);
    VEC_RELEASE(&f->blocks);
    sb_release(&f->info);
    sb_release(&f->dbi);
}

/*
 * Behind the GUID: the bytes of all names, then a hash table of (offset of the name, stream): two
 * counts, two bit sets (present, deleted) with their lengths in words, and the pairs present.  All
 * pairs are looked at; there are about five.
 */
uint32_t pdb_named_stream(const struct pdb_file *f, const char *name)
{
    struct rd r = rd_init(sb_cstr(&f->info), f->info.n);
    rd_skip(&r, 28);
    uint32_t n = rd_u32(&r);
    struct rd texts = rd_try_window(&r, r.off, n);
    rd_skip(&r, n);
    uint32_t count = rd_u32(&r);
    rd_skip(&r, 4);
    for (int set = 0; set < 2; set++) {
        uint32_t words = rd_u32(&r);
        rd_skip(&r, words <= rd_left(&r) / 4 ? (size_t)words * 4 : SIZE_MAX);
    }
    for (uint32_t i = 0; i < count && rd_left(&r) >= 8 && rd_ok(&texts); i++) {
        uint32_t at = rd_u32(&r), stream = rd_u32(&r);
        if (at < texts.n && strnlen((const char *)texts.p + at, texts.n - at) == strlen(name) &&
            memcmp(texts.p + at, name, strlen(name)) == 0)
            return stream;
    }
    return PDB_STREAM_NONE;
}
