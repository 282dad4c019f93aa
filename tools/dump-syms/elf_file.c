/*
 * Opens ELF files for everything else in this folder.  The bytes are mapped (or unpacked into
 * memory) and given to elfutils as memory: so there is one place that knows about compression, and
 * elfutils opens no file of its own accord.
 *
 * Names of files come out of other files here (debug links, split units), so what is opened may be
 * anything: a FIFO would block for ever, hence O_NONBLOCK and the question for a regular file.
 */
#include "tools/dump-syms/elf_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <zlib.h>

#include "lib/base/util.h"
#include "tools/dump-syms/decompress.h"

/*
 * How much more than its own size a file may become. 64 MiB are granted to small ones, whose few
 * kilobytes of headers say little about what follows; 8 GiB is half of what the child may take by
 * default.  Deflate shrinks zeros to a thousandth, so a file of a few megabytes could ask for
 * gigabytes.
 */
enum { GROWTH_MAX = 200 };

size_t elf_unpacked_max(size_t n)
{
    static const size_t small = (size_t)64 << 20, most = (size_t)8 << 30;
    return n > (most - small) / GROWTH_MAX ? most : small + n * GROWTH_MAX;
}

/*
 * ENOTDIR counts as missing too: candidates are put together from folders that need not be any.  A
 * file that shrinks while it is mapped ends the child with SIGBUS, which main.c reports.
 */
static bool map_file(const char *path, void **ret_p, size_t *ret_n, struct err *err)
{
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        bool is_missing = errno == ENOENT || errno == ENOTDIR;
        err_errno(err, errno, "opening %s", path);
        if (is_missing)
            err->code = ERR_NOT_FOUND;
        return false;
    }
    if (!S_ISREG(st.st_mode) || st.st_size == 0)
        return err_set(err, ERR_INVALID, "%s: %s", path,
                       S_ISREG(st.st_mode) ? "empty" : "not a file");
    /* Private and writable: elfutils may convert in place. */
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        return err_errno(err, errno, "mapping %s", path);
    *ret_p = p;
    *ret_n = (size_t)st.st_size;
    return true;
}

/*
 * Hands the bytes over to elfutils, sections unpacked.  The mapping stays as it is beside the new
 * image, because the checksum of .gnu_debuglink is about the bytes on disk (elf_file_crc).
 */
static bool begin_elf(struct elf_file *f, const void *bytes, size_t n, struct err *err)
{
    sb_init(&f->image, n + elf_unpacked_max(n));
    elf_unpack_sections(rd_init(bytes, n), &f->image, &f->bad);
    if (f->image.n) {
        bytes = f->image.p;
        n = f->image.n;
    }
    elf_version(EV_CURRENT);
    f->elf = elf_memory((char *)bytes, n);
    if (!f->elf || elf_kind(f->elf) != ELF_K_ELF)
        return err_set(err, ERR_INVALID, "%s: not a readable ELF file", f->path);
    return true;
}

static struct elf_file new_file(const char *path)
{
    struct elf_file f = {.path = xstrdup(path)};
    sb_init(&f.bad, 4096);
    return f;
}

/*
 * Packed as a whole once only: what comes out of a .gz is opened as ELF and never unpacked again,
 * so files cannot be nested to multiply their growth.
 */
bool elf_file_open(const char *path, struct elf_file *ret_file, struct err *err)
{
    struct elf_file f = new_file(path);
    bool ok = map_file(path, &f.mapped, &f.mapped_n, err);
    enum packing packing = ok ? packing_of_file(f.mapped, f.mapped_n) : PACKED_NOT;
    if (ok && packing != PACKED_NOT) {
        size_t max = elf_unpacked_max(f.mapped_n);
        sb_init(&f.whole, max);
        ok = unpack_bytes(packing, f.mapped, f.mapped_n, max, &f.whole, err) ||
             err_wrap(err, "%s", path);
        munmap(f.mapped, f.mapped_n);
        f.mapped = NULL;
    }
    if (ok && begin_elf(&f, f.mapped ? f.mapped : sb_cstr(&f.whole),
                        f.mapped ? f.mapped_n : f.whole.n, err)) {
        *ret_file = f;
        return true;
    }
    elf_file_close(&f);
    return false;
}

bool elf_file_from_bytes(const void *bytes, size_t n, const char *name, struct elf_file *ret_file,
                         struct err *err)
{
    struct elf_file f = new_file(name);
    sb_init(&f.whole, n);
    sb_put(&f.whole, bytes, n);
    if (f.whole.n == n && begin_elf(&f, sb_cstr(&f.whole), n, err)) {
        *ret_file = f;
        return true;
    }
    elf_file_close(&f);
    return false;
}

/*
 * CRC-32 with the polynomial of zlib, as GDB's manual gives it for .gnu_debuglink.  A file packed
 * as a whole is counted unpacked: the link was made before somebody packed it.
 */
uint32_t elf_file_crc(const struct elf_file *f)
{
    const uint8_t *p = f->mapped ? f->mapped : (const uint8_t *)sb_cstr(&f->whole);
    return (uint32_t)crc32_z(crc32_z(0, NULL, 0), p, f->mapped ? f->mapped_n : f->whole.n);
}

/*
 * By name, because the kinds of sections that matter here (.debug_*, .gnu_debugdata) have no type
 * of their own.  SHT_NOBITS is how strip leaves sections behind in a separate debug file: the
 * header stays, the content is gone.
 */
struct str elf_file_section(const struct elf_file *f, const char *name)
{
    size_t names;
    Elf_Scn *scn = NULL;
    if (elf_getshdrstrndx(f->elf, &names) != 0)
        return STR("");
    while ((scn = elf_nextscn(f->elf, scn))) {
        GElf_Shdr mem, *h = gelf_getshdr(scn, &mem);
        const char *have = h ? elf_strptr(f->elf, names, h->sh_name) : NULL;
        if (!have || strcmp(have, name) != 0 || h->sh_type == SHT_NOBITS)
            continue;
        Elf_Data *d = elf_rawdata(scn, NULL);
        return d && d->d_buf ? str_n(d->d_buf, d->d_size) : STR("");
    }
    return STR("");
}

void elf_file_close(struct elf_file *f)
{
    if (f->elf)
        elf_end(f->elf);
    if (f->mapped)
        munmap(f->mapped, f->mapped_n);
    sb_release(&f->whole);
    sb_release(&f->image);
    sb_release(&f->bad);
    free(f->path);
    *f = (struct elf_file){0};
}
