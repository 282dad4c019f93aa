/*
 * Opens ELF files for everything else in this folder.  The bytes are given to elfutils as memory:
 * so there is one place that knows about compression, and elfutils opens no file of its own accord.
 */
#include "tools/dump-syms/elf_file.h"

#include <zlib.h>

#include "lib/base/util.h"
#include "tools/dump-syms/decompress.h"

/* Problems are for people: a file with more of them than a page holds is simply damaged. */
enum { BAD_TEXT_MAX = 4096 };

/*
 * Hands the bytes over to elfutils, sections unpacked.  The mapping stays as it is beside the new
 * image, because the checksum of .gnu_debuglink is about the bytes on disk (elf_file_crc).
 */
bool elf_file_take(struct file_bytes *taken, struct elf_file *ret_file, struct err *err)
{
    struct elf_file f = {.bytes = *taken, .path = taken->path};
    *taken = (struct file_bytes){0};
    struct str bytes = file_bytes_view(&f.bytes);
    sb_init(&f.bad, BAD_TEXT_MAX);
    sb_init(&f.image, bytes.n + file_bytes_unpacked_max(bytes.n));
    elf_unpack_sections(rd_init(bytes.p, bytes.n), &f.image, &f.bad);
    if (f.image.n)
        bytes = sb_view(&f.image);
    elf_version(EV_CURRENT);
    f.elf = elf_memory((char *)bytes.p, bytes.n);
    if (!f.elf || elf_kind(f.elf) != ELF_K_ELF) {
        err_set(err, ERR_INVALID, "%s: not a readable ELF file", f.path);
        elf_file_close(&f);
        return false;
    }
    *ret_file = f;
    return true;
}

bool elf_file_open(const char *path, struct elf_file *ret_file, struct err *err)
{
    struct file_bytes bytes;
    return file_bytes_open(path, &bytes, err) && elf_file_take(&bytes, ret_file, err);
}

bool elf_file_from_bytes(const void *bytes, size_t n, const char *name, struct elf_file *ret_file,
                         struct err *err)
{
    struct file_bytes copy;
    return file_bytes_copy(bytes, n, name, &copy, err) && elf_file_take(&copy, ret_file, err);
}

/*
 * CRC-32 with the polynomial of zlib, as GDB's manual gives it for .gnu_debuglink.  A file packed
 * as a whole is counted unpacked: the link was made before somebody packed it.
 */
uint32_t elf_file_crc(const struct elf_file *f)
{
    struct str bytes = file_bytes_view(&f->bytes);
    return (uint32_t)crc32_z(crc32_z(0, NULL, 0), (const uint8_t *)bytes.p, bytes.n);
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
    file_bytes_close(&f->bytes);
    sb_release(&f->image);
    sb_release(&f->bad);
    *f = (struct elf_file){0};
}
