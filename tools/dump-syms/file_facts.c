/*
 * Identity alone: build id, UUID, or GUID and age; the name that the MODULE record will have;
 * whether the file has code or only debug information; and for ELF the two links to other files,
 * which name a checksum and a build id.
 *
 * It is what a program needs that has many files and must find out which belong together, before
 * any of them is read as a whole: the symbol server, for binaries in an archive (symnative.c). So
 * nothing here reads debug information, and a file of a gigabyte costs a few pages. One line a
 * part, with fields in a fixed order and tabs between; a universal file of macOS has a part for
 * each processor. The names are cleaned as those of MODULE records are, for a line break in one
 * would make two lines of it.
 */
#include "tools/dump-syms/file_facts.h"

#include <elfutils/libdwelf.h>
#include <inttypes.h>

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "tools/dump-syms/elf_file.h"
#include "tools/dump-syms/file_bytes.h"
#include "tools/dump-syms/macho_file.h"
#include "tools/dump-syms/module_name.h"
#include "tools/dump-syms/pdb_file.h"
#include "tools/dump-syms/pe_file.h"
#include "tools/dump-syms/sym.h"

/* A file name has 255 bytes on Linux; build ids of up to 64 bytes, twice as many digits, and an
 * age. */
enum { LINK_MAX = 256, ID_HEX_MAX = 160 };

struct file_facts {
    char role; /* m: program or library; d: its debug file; z: common to several (dwz); s: split */
    bool has_debug_info;
    const char *arch;
    char link[LINK_MAX + 16];    /* ELF: "checksum name" of the debug file, or empty */
    char common[ID_HEX_MAX + 1]; /* ELF: build id of the common file, or empty */
    char own[ID_HEX_MAX + 1];    /* ELF: build id, or empty */
    uint32_t crc;                /* of a debug file without build id */
};

static void print_row(const struct file_facts *f, const struct sym *s, FILE *out)
{
    fprintf(out, "%c\t%d\t%s\t%s\t%s\t%s\t%s\t%08" PRIx32 "\t%s\n", f->role, f->has_debug_info,
            f->arch, s->debug_id, s->name, f->own, f->common, f->crc, f->link);
}

static void hex_of(const void *bits, ssize_t n, char out[ID_HEX_MAX + 1])
{
    out[0] = '\0';
    if (n > 0 && n <= ID_HEX_MAX / 2)
        hex_encode(bits, (size_t)n, out);
}

/* Names of a hostile file: what would break the line is no name. */
static bool is_plain(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ')
            return false;
    return true;
}

static void elf_links(const struct image *i, struct file_facts *f)
{
    const void *bits;
    const char *name;
    GElf_Word crc = 0;
    ssize_t n = dwelf_elf_gnu_build_id(i->elf, &bits);
    hex_of(bits, n, f->own);
    if (i->dwarf) {
        n = dwelf_dwarf_gnu_debugaltlink(i->dwarf, &name, &bits);
        hex_of(bits, n, f->common);
    }
    name = dwelf_elf_gnu_debuglink(i->elf, &crc);
    if (name && is_plain(name) && strlen(name) <= LINK_MAX)
        snprintf(f->link, sizeof f->link, "%08" PRIx32 " %s", (uint32_t)crc, name);
    if (!f->own[0] && f->role == 'd')
        f->crc = elf_file_crc(&i->file);
}

static bool has_code(const struct image *i)
{
    Elf_Scn *scn = NULL;
    while ((scn = elf_nextscn(i->elf, scn))) {
        GElf_Shdr mem, *h = gelf_getshdr(scn, &mem);
        if (h && (h->sh_flags & SHF_EXECINSTR) && h->sh_type != SHT_NOBITS && h->sh_size > 0)
            return true;
    }
    return false;
}

/* A .dwo file or a package of them; where compressed, names of old tools begin with .zdebug. */
static bool is_split(Elf *elf)
{
    Elf_Scn *scn = NULL;
    size_t names = 0;
    if (elf_getshdrstrndx(elf, &names) != 0)
        return false;
    while ((scn = elf_nextscn(elf, scn))) {
        GElf_Shdr mem, *h = gelf_getshdr(scn, &mem);
        const char *name = h ? elf_strptr(elf, names, h->sh_name) : NULL;
        if (name && (strcmp(name, ".debug_info.dwo") == 0 || strcmp(name, ".debug_cu_index") == 0 ||
                     strcmp(name, ".zdebug_info.dwo") == 0))
            return true;
    }
    return false;
}

/*
 * What dwz has made, and split units, have nothing to load, and so are no modules.  Of the first
 * all that counts is the build id; the others are known by the ids inside.
 */
static bool common_facts(const struct image_options *o, FILE *out)
{
    struct str bytes = file_bytes_view(o->given_module);
    struct sym s = {.debug_id = "-", .name = "-"};
    struct file_facts facts = {.role = 'z', .arch = "-"};
    const void *bits = NULL;
    size_t segments = 0;
    elf_version(EV_CURRENT);
    Elf *elf = elf_memory((char *)bytes.p, bytes.n);
    ssize_t n =
        elf && elf_kind(elf) == ELF_K_ELF && elf_getphdrnum(elf, &segments) == 0 && segments == 0
            ? dwelf_elf_gnu_build_id(elf, &bits)
            : 0;
    bool has_split = n <= 0 && segments == 0 && elf && elf_kind(elf) == ELF_K_ELF && is_split(elf);
    if (has_split)
        facts.role = 's';
    else
        hex_of(bits, n, facts.own);
    if (n > 0 || has_split)
        print_row(&facts, &s, out);
    if (elf)
        elf_end(elf);
    return n > 0 || has_split;
}

static bool elf_facts(const struct image_options *o, FILE *out, struct err *err)
{
    struct image i;
    struct sym s;
    struct file_facts f = {0};
    struct file_bytes bytes = *o->given_module;
    if (common_facts(o, out))
        return true;
    *o->given_module = (struct file_bytes){0};
    if (!image_open(o, &bytes, &i, err))
        return false;
    sym_init(&s);
    f.role = has_code(&i) ? 'm' : 'd';
    bool ok = image_identify(&i, o, &s, err);
    if (!ok && f.role == 'd' && i.dwarf) { /* without build id: found by its checksum alone */
        s.arch = s.name = "-";
        snprintf(s.debug_id, sizeof s.debug_id, "-");
        ok = true;
    }
    if (ok) {
        f.has_debug_info = i.dwarf != NULL;
        f.arch = s.arch;
        elf_links(&i, &f);
        print_row(&f, &s, out);
    }
    sym_release(&s);
    image_close(&i);
    return ok;
}

static bool put_named(const struct file_facts *f, struct sym *s, struct str name,
                      const struct image_options *o, FILE *out, struct err *err)
{
    char own[MODULE_NAME_MAX];
    if (!module_file_name(o->path, true, own, err) ||
        !module_set_name(s, name.n ? name : str_of(own), err))
        return false;
    print_row(f, s, out);
    return true;
}

static bool pe_facts(struct str bytes, const struct image_options *o, struct sym *s, FILE *out,
                     struct err *err)
{
    struct pe_file pe;
    struct pe_identity id;
    struct file_facts f = {.role = 'm', .arch = "-"};
    if (!pe_open(bytes, o->path, &pe, err))
        return false;
    bool ok = pe_identify(&pe, o->path, &id, err);
    for (size_t i = 0; i < pe.sections.n; i++)
        f.has_debug_info |= str_eq(pe.sections.v[i].name, STR(".debug_info"));
    if (ok) {
        sym_set_guid(s, id.guid, id.age);
        ok = put_named(&f, s, module_windows_file(id.pdb), o, out, err);
    }
    pe_close(&pe);
    return ok;
}

static bool pdb_facts(struct str bytes, const struct image_options *o, struct sym *s, FILE *out,
                      struct err *err)
{
    struct pdb_file pdb;
    struct file_facts f = {.role = 'd', .has_debug_info = true, .arch = "-"};
    if (!pdb_open(bytes, o->path, &pdb, err))
        return false;
    sym_set_guid(s, pdb.guid, pdb.age);
    pdb_close(&pdb);
    return put_named(&f, s, STR(""), o, out, err);
}

static bool macho_facts(struct str bytes, const struct image_options *o, struct sym *s, FILE *out,
                        struct err *err)
{
    enum { KIND_DSYM = 10 }; /* MH_DSYM: debug information beside a program */
    struct str part;
    const char *arch;
    bool any = false;
    for (size_t i = 0; macho_part(bytes, i, &part, &arch); i++) {
        struct macho_file m;
        if (!arch || !macho_open(part, o->path, &m, err))
            continue;
        struct file_facts f = {.role = m.kind == KIND_DSYM ? 'd' : 'm', .arch = arch};
        f.has_debug_info = macho_section(&m, "__DWARF", "__debug_info") != NULL;
        for (size_t k = 0; k < sizeof m.uuid; k++)
            snprintf(s->debug_id + 2 * k, 4, "%02X0", m.uuid[k]);
        any |= m.has_uuid && put_named(&f, s, STR(""), o, out, err);
        macho_close(&m);
    }
    return any || err->msg[0] || err_set(err, ERR_INVALID, "%s: no debug id", o->path);
}

bool facts_write(const struct image_options *o, FILE *out, struct err *err)
{
    struct str bytes = file_bytes_view(o->given_module);
    struct sym s;
    if (str_starts(bytes, STR("\177ELF")))
        return elf_facts(o, out, err);
    sym_init(&s);
    bool ok = false;
    if (pe_is(bytes))
        ok = pe_facts(bytes, o, &s, out, err);
    else if (pdb_is(bytes))
        ok = pdb_facts(bytes, o, &s, out, err);
    else if (macho_is(bytes))
        ok = macho_facts(bytes, o, &s, out, err);
    else
        err_set(err, ERR_INVALID, "%s: not a program, library or debug file", o->path);
    sym_release(&s);
    return ok;
}
