/*
 * ELF images made in memory: debug information in a form that libdw does not open as it is (a unit
 * cut out of a package, strings without units) is put into a file of ordinary sections.  Only what
 * libdw looks at is filled in: the header, the names, the sections' places.
 */
#include "tools/dump-syms/elf_write.h"

#include <elf.h>

#include "lib/base/util.h"

enum { ELF_HEADER = 64, ELF_SECTION = 64 }; /* Elf64_Ehdr, Elf64_Shdr */

static char byte_of(uint64_t value, size_t index)
{
    return (char)(index < 8 ? value >> (8 * index) & 0xff : 0);
}

void elf_put_number(struct strbuf *b, uint64_t value, size_t bytes, bool big)
{
    for (size_t i = 0; i < bytes; i++)
        sb_char(b, byte_of(value, big ? bytes - 1 - i : i));
}

/*
 * The section of names comes last and names itself.  Its bytes are only complete when its own name
 * is in them, which is why the size is taken from `names` after that.  The head is written at the
 * end over the zeros at the front: only then is the place of the table known.
 */
void elf_write(const struct elf_piece *pieces, size_t count, bool big, struct strbuf *out)
{
    struct strbuf names, headers;
    sb_init(&names, 4096);
    sb_init(&headers, 64 * 1024);
    sb_char(&names, '\0');
    for (int i = 0; i < ELF_HEADER; i++)
        sb_char(out, '\0');
    for (int i = 0; i < ELF_SECTION; i++)
        sb_char(&headers, '\0');
    for (size_t i = 0; i <= count; i++) {
        struct elf_piece last = {".shstrtab", NULL, 0};
        const struct elf_piece *p = i < count ? &pieces[i] : &last;
        elf_put_number(&headers, names.n, 4, big);
        elf_put_number(&headers, i < count ? SHT_PROGBITS : SHT_STRTAB, 4, big);
        elf_put_number(&headers, 0, 16, big); /* flags, address */
        elf_put_number(&headers, out->n, 8, big);
        sb_text(&names, p->name);
        sb_char(&names, '\0');
        elf_put_number(&headers, i < count ? p->n : names.n, 8, big);
        elf_put_number(&headers, 0, 8, big); /* link, info */
        elf_put_number(&headers, 1, 8, big); /* alignment */
        elf_put_number(&headers, 0, 8, big); /* size of entries */
        sb_put(out, i < count ? p->bytes : names.p, i < count ? p->n : names.n);
    }
    size_t table = out->n;
    sb_put(out, headers.p, headers.n);

    STRBUF_AUTO head;
    sb_init(&head, ELF_HEADER);
    sb_put(&head, ELFMAG, SELFMAG);
    sb_char(&head, ELFCLASS64);
    sb_char(&head, big ? ELFDATA2MSB : ELFDATA2LSB);
    sb_char(&head, EV_CURRENT);
    elf_put_number(&head, 0, EI_NIDENT - head.n, big);
    elf_put_number(&head, ET_REL, 2, big);
    elf_put_number(&head, EM_NONE, 2, big);
    elf_put_number(&head, EV_CURRENT, 4, big);
    elf_put_number(&head, 0, 16, big); /* entry, program headers */
    elf_put_number(&head, table, 8, big);
    elf_put_number(&head, 0, 4, big); /* flags */
    elf_put_number(&head, ELF_HEADER, 2, big);
    elf_put_number(&head, 0, 4, big); /* program headers: size, count */
    elf_put_number(&head, ELF_SECTION, 2, big);
    elf_put_number(&head, count + 2, 2, big);
    elf_put_number(&head, count + 1, 2, big);
    if (!out->overflow)
        memcpy(out->p, head.p, MIN(head.n, (size_t)ELF_HEADER));
    sb_release(&names);
    sb_release(&headers);
}
