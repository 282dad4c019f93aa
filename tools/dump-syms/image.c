#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <limits.h>
#include <unistd.h>

#include "base/util.h"

enum { PAGE = 4096, HASHED_BYTES = 4096, ID_BYTES = 16 };

/* Opens the file of --debug-file; elfutils checks that it belongs to the module. */
static int find_given(Dwfl_Module *mod, void **userdata, const char *modname, Dwarf_Addr base,
                      const char *file_name, const char *debuglink_file, GElf_Word crc, char **ret)
{
    (void)mod, (void)modname, (void)base, (void)file_name, (void)debuglink_file, (void)crc;
    const struct image *image = *userdata;
    *ret = strdup(image->debug_path); /* elfutils frees it */
    return open(image->debug_path, O_RDONLY | O_CLOEXEC);
}

static char *debug_dirs; /* elfutils wants the address of a variable that stays */

static const Dwfl_Callbacks search_callbacks = {
    .find_elf = dwfl_build_id_find_elf,
    .find_debuginfo = dwfl_standard_find_debuginfo,
    .section_address = dwfl_offline_section_address,
    .debuginfo_path = &debug_dirs,
};

static const Dwfl_Callbacks given_callbacks = {
    .find_elf = dwfl_build_id_find_elf,
    .find_debuginfo = find_given,
    .section_address = dwfl_offline_section_address,
    .debuginfo_path = &debug_dirs,
};

static bool dwfl_error(struct err *err, const char *path, const char *what)
{
    return err_set(err, ERR_INVALID, "%s: %s: %s", path, what, dwfl_errmsg(-1));
}

static bool read_segments(struct image *i, const char *path, struct err *err)
{
    size_t count;
    if (elf_getphdrnum(i->elf, &count) != 0)
        return err_set(err, ERR_INVALID, "%s: program headers cannot be read", path);
    i->base = UINT64_MAX;
    for (size_t k = 0; k < count; k++) {
        GElf_Phdr mem, *p = gelf_getphdr(i->elf, (int)k, &mem);
        if (p && p->p_type == PT_LOAD)
            i->base = MIN(i->base, p->p_vaddr / PAGE * PAGE);
    }
    if (i->base == UINT64_MAX)
        return err_set(err, ERR_INVALID, "%s: not a program or shared library (nothing is loaded)",
                       path);
    return true;
}

/* .plt, .plt.got, .plt.sec (Intel CET), .plt.bnd (MPX): one of these texts, or NULL. */
static const char *plt_name(const char *section)
{
    static const char *const names[] = {".plt", ".plt.got", ".plt.sec", ".plt.bnd", ".iplt"};
    for (size_t k = 0; section && k < ARRAY_LEN(names); k++)
        if (strcmp(section, names[k]) == 0)
            return names[k];
    return NULL;
}

static void read_code_ranges(struct image *i)
{
    Elf_Scn *scn = NULL;
    size_t names;
    bool has_names = elf_getshdrstrndx(i->elf, &names) == 0;
    while ((scn = elf_nextscn(i->elf, scn))) {
        GElf_Shdr mem, *s = gelf_getshdr(scn, &mem);
        if (!s || !(s->sh_flags & SHF_EXECINSTR) || !(s->sh_flags & SHF_ALLOC) ||
            s->sh_size > UINT64_MAX - s->sh_addr)
            continue;
        const char *name = has_names ? elf_strptr(i->elf, names, s->sh_name) : NULL;
        struct code_range r = {s->sh_addr, s->sh_addr + s->sh_size, plt_name(name)};
        VEC_PUSH(&i->code, r);
    }
}

bool image_is_code(const struct image *i, uint64_t addr, uint64_t size)
{
    for (size_t k = 0; k < i->code.n; k++)
        if (addr >= i->code.v[k].from && addr < i->code.v[k].to)
            return size <= i->code.v[k].to - addr;
    return false;
}

uint64_t image_code_end(const struct image *i, uint64_t addr)
{
    for (size_t k = 0; k < i->code.n; k++)
        if (addr >= i->code.v[k].from && addr < i->code.v[k].to)
            return i->code.v[k].to;
    return 0;
}

static bool read_headers(struct image *i, const char *path, struct err *err)
{
    GElf_Addr bias;
    i->elf = dwfl_module_getelf(i->module, &bias);
    GElf_Ehdr mem, *h = i->elf ? gelf_getehdr(i->elf, &mem) : NULL;
    if (!h)
        return dwfl_error(err, path, "not a readable ELF file");
    i->machine = h->e_machine;
    i->is_64 = h->e_ident[EI_CLASS] == ELFCLASS64;
    i->is_big = h->e_ident[EI_DATA] == ELFDATA2MSB;
    if (!read_segments(i, path, err))
        return false;
    read_code_ranges(i);
    return true;
}

bool image_open(const struct image_options *o, struct image *i, struct err *err)
{
    *i = (struct image){0};
    /* Looking for debug information must not go out to the network behind people's backs. */
    unsetenv("DEBUGINFOD_URLS");
    debug_dirs = (char *)(o->debug_dir ? o->debug_dir : ":.debug:/usr/lib/debug");
    i->debug_path = o->debug_file ? xstrdup(o->debug_file) : NULL;
    i->dwfl = dwfl_begin(o->debug_file ? &given_callbacks : &search_callbacks);
    int fd = open(o->path, O_RDONLY | O_CLOEXEC);
    if (!i->dwfl || fd < 0) {
        err_errno(err, errno, "opening %s", o->path);
        if (err && errno == ENOENT)
            err->code = ERR_NOT_FOUND;
        image_close(i);
        return false;
    }
    /* Takes fd.  Base 0 and the addresses of the program headers: no bias for the file itself. */
    i->module = dwfl_report_elf(i->dwfl, o->path, o->path, fd, 0, true);
    if (!i->module) {
        dwfl_error(err, o->path, "not a readable ELF file");
        close(fd);
        image_close(i);
        return false;
    }
    dwfl_report_end(i->dwfl, NULL, NULL);
    void **userdata;
    dwfl_module_info(i->module, &userdata, NULL, NULL, NULL, NULL, NULL, NULL);
    *userdata = i;
    if (!read_headers(i, o->path, err)) {
        image_close(i);
        return false;
    }
    i->dwarf = dwfl_module_getdwarf(i->module, &i->dwarf_bias);
    if (!i->dwarf && o->debug_file) {
        dwfl_error(err, o->debug_file, "no debug information of this file");
        image_close(i);
        return false;
    }
    return true;
}

void image_close(struct image *i)
{
    if (i->dwfl)
        dwfl_end(i->dwfl);
    VEC_RELEASE(&i->code);
    free(i->debug_path);
    *i = (struct image){0};
}

static const struct {
    uint16_t machine;
    const char *arch;
} arches[] = {
    {EM_386, "x86"},
    {EM_X86_64, "x86_64"},
    {EM_ARM, "arm"},
    {EM_AARCH64, "arm64"},
};

/* The text section folded to 16 bytes, for files without a build id. */
static bool text_hash(const struct image *i, uint8_t id[ID_BYTES])
{
    size_t names;
    Elf_Scn *scn = NULL;
    if (elf_getshdrstrndx(i->elf, &names) != 0)
        return false;
    while ((scn = elf_nextscn(i->elf, scn))) {
        GElf_Shdr mem, *s = gelf_getshdr(scn, &mem);
        const char *name = s ? elf_strptr(i->elf, names, s->sh_name) : NULL;
        if (!name || strcmp(name, ".text") != 0)
            continue;
        Elf_Data *d = elf_rawdata(scn, NULL);
        if (!d || !d->d_buf || d->d_size == 0)
            return false;
        memset(id, 0, ID_BYTES);
        for (size_t k = 0; k < d->d_size && k < HASHED_BYTES; k++)
            id[k % ID_BYTES] ^= ((const uint8_t *)d->d_buf)[k];
        return true;
    }
    return false;
}

/* The first 16 bytes read as a GUID of a little-endian machine, then age 0. */
static void debug_id(const uint8_t *b, char *out, size_t size)
{
    snprintf(out, size, "%02X%02X%02X%02X%02X%02X%02X%02X%02X%02X%02X%02X%02X%02X%02X%02X0", b[3],
             b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10], b[11], b[12], b[13],
             b[14], b[15]);
}

static void upper_hex(const uint8_t *b, size_t n, char *out, size_t size)
{
    for (size_t i = 0; i < n && 2 * i + 2 < size; i++)
        snprintf(out + 2 * i, 3, "%02X", b[i]);
}

/* The name that a library gives itself (DT_SONAME), or NULL.  A file of only debug information has
 * the section, but without content. */
static const char *soname(Elf *elf)
{
    Elf_Scn *scn = NULL;
    while ((scn = elf_nextscn(elf, scn))) {
        GElf_Shdr mem, *s = gelf_getshdr(scn, &mem);
        if (!s || s->sh_type != SHT_DYNAMIC)
            continue;
        Elf_Data *data = elf_getdata(scn, NULL);
        GElf_Dyn dyn;
        for (int k = 0; data && gelf_getdyn(data, k, &dyn) && dyn.d_tag != DT_NULL; k++)
            if (dyn.d_tag == DT_SONAME)
                return elf_strptr(elf, s->sh_link, dyn.d_un.d_val);
    }
    return NULL;
}

/* The last part of a path, and nothing of ".debug": that is a file beside the module. */
static struct str file_name(const char *path)
{
    struct str name = str_of(path);
    size_t slash = str_rfind_char(name, '/');
    if (slash != SIZE_MAX)
        name = str_sub(name, slash + 1, name.n);
    if (str_ends(name, STR(".debug")))
        name.n -= STR(".debug").n;
    return name;
}

/*
 * Modules of a dump carry the name that a library gives itself, programs that of the file the
 * kernel has run: links resolved.  The crash handler (client/handler/modules.c) follows the same
 * rule.
 */
static bool identify_name(const struct image *i, const struct image_options *o, struct sym *s,
                          struct err *err)
{
    char real[PATH_MAX];
    const char *own = o->name ? NULL : soname(i->elf);
    struct str name = own ? file_name(own) : STR("");
    if (o->name)
        name = str_of(o->name);
    else if (name.n == 0 && !realpath(o->path, real))
        return err_errno(err, errno, "%s", o->path);
    else if (name.n == 0)
        name = file_name(real);
    struct str clean = sym_clean(s, name);
    if (name.n == 0 || str_find_char(clean, '/', 0) != SIZE_MAX || clean.p[0] == '.')
        return err_set(err, ERR_INVALID, "%.*s is no name for a module", (int)MIN(name.n, 100u),
                       name.p);
    s->name = str_adup(&s->arena, clean);
    return true;
}

bool image_identify(const struct image *i, const struct image_options *o, struct sym *s,
                    struct err *err)
{
    for (size_t k = 0; k < ARRAY_LEN(arches); k++)
        if (arches[k].machine == i->machine)
            s->arch = arches[k].arch;
    if (!s->arch)
        return err_set(err, ERR_INVALID, "%s: ELF machine %u is not supported", o->path,
                       i->machine);

    const unsigned char *bits;
    GElf_Addr vaddr;
    int n = dwfl_module_build_id(i->module, &bits, &vaddr);
    uint8_t id[ID_BYTES] = {0};
    if (n > 0) {
        memcpy(id, bits, MIN((size_t)n, sizeof id));
        upper_hex(bits, (size_t)n, s->code_id, sizeof s->code_id);
    } else if (!text_hash(i, id)) {
        return err_set(err, ERR_INVALID, "%s: neither a build id nor a .text section", o->path);
    }
    debug_id(id, s->debug_id, sizeof s->debug_id);
    return identify_name(i, o, s, err);
}
