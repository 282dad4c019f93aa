/*
 * Opens a module with all files that say something about it, and decides its identity: the name,
 * the debug id and the code id must be those that writers of minidumps give it, or no dump finds
 * its symbols.  For libraries and programs of ours that writer is client/handler (modules.c,
 * elf_id.c).
 *
 * What cannot be opened beside the module (a debug file, dwz's common file, packed symbols) never
 * fails the whole: it becomes a line in image.problems.  Only what was named on the command line
 * must be usable, and the module itself must be a program or library.
 */
#include "tools/dump-syms/image.h"
#include "tools/dump-syms/file_bytes.h"

#include <dwarf.h>
#include <elfutils/libdwelf.h>
#include <errno.h>
#include <limits.h>

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "tools/dump-syms/debug_files.h"
#include "tools/dump-syms/elf_write.h"
#include "tools/dump-syms/module_name.h"

/*
 * PAGE is what addresses of a dump's modules are rounded to.  HASHED_BYTES and the folding to
 * ID_BYTES come from Breakpad (src/common/linux/file_id.cc), whose readers compute the same id from
 * a file without build id.  ADDED_BYTES_MAX is room for the headers around one section of strings,
 * PROBLEMS_MAX for some hundred lines: more of them say nothing new about the file.
 */
enum {
    PAGE = 4096,
    HASHED_BYTES = 4096,
    ID_BYTES = 16,
    PROBLEMS_MAX = 64 * 1024,
    ADDED_BYTES_MAX = 4096
};

static const char default_dirs[] = "/usr/lib/debug";

/*
 * Page of the first loaded byte, as linked; UINT64_MAX: nothing is loaded.  Everything in a symbol
 * file is relative to this address.  It is not always 0: programs that are not position independent
 * are linked at 0x400000 on amd64.
 */
static uint64_t start_of(Elf *elf)
{
    size_t count;
    uint64_t start = UINT64_MAX;
    if (elf_getphdrnum(elf, &count) != 0)
        return start;
    for (size_t k = 0; k < count; k++) {
        GElf_Phdr mem, *p = gelf_getphdr(elf, (int)k, &mem);
        if (p && p->p_type == PT_LOAD)
            start = MIN(start, p->p_vaddr / PAGE * PAGE);
    }
    return start;
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

/*
 * Sections, not segments, say what is code: the segment that is loaded executable also holds
 * headers and constants in older links, and entries of dropped functions at address 0 would lie in
 * it.  In a file without a table of sections nothing is taken for code (decision 108).
 */
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
    GElf_Ehdr mem, *h = gelf_getehdr(i->elf, &mem);
    if (!h)
        return err_set(err, ERR_INVALID, "%s: not a readable ELF file", path);
    i->machine = h->e_machine;
    i->is_64 = h->e_ident[EI_CLASS] == ELFCLASS64;
    i->is_big = h->e_ident[EI_DATA] == ELFDATA2MSB;
    i->base = start_of(i->elf);
    if (i->base == UINT64_MAX)
        return err_set(err, ERR_INVALID, "%s: not a program or shared library (nothing is loaded)",
                       path);
    read_code_ranges(i);
    return true;
}

static void note_bad_sections(struct image *i, const struct elf_file *f)
{
    struct str rest = sb_view(&f->bad), line;
    while (str_split(&rest, '\n', &line))
        if (line.n)
            sb_printf(&i->problems, "%s: section " STR_FMT "\n", f->path, STR_ARG(line));
}

static bool has_debug_info(const struct elf_file *f)
{
    return elf_file_section(f, ".debug_info").n > 0;
}

/* The debug information of `f`; that there is some and it cannot be read is a problem. */
static Dwarf *begin_dwarf(struct image *i, const struct elf_file *f)
{
    if (!has_debug_info(f))
        return NULL;
    Dwarf *dwarf = dwarf_begin_elf(f->elf, DWARF_C_READ, NULL);
    if (!dwarf)
        sb_printf(&i->problems, "%s: debug information cannot be read: %s\n", f->path,
                  dwarf_errmsg(-1));
    return dwarf;
}

/*
 * Files that dwz has made may have nothing but strings in common.  libdw opens no file without a
 * unit, so the strings get one that is empty.
 */
static bool add_empty_unit(struct image *i)
{
    /* Length, version 4, offset of the abbreviations, size of addresses, abbreviation 1. */
    static const uint8_t little[] = {8, 0, 0, 0, 4, 0, 0, 0, 0, 0, 8, 1};
    static const uint8_t big[] = {0, 0, 0, 8, 0, 4, 0, 0, 0, 0, 8, 1};
    /* Number 1: a partial unit without children and without attributes. */
    static const uint8_t abbreviations[] = {1, DW_TAG_partial_unit, DW_CHILDREN_no, 0, 0, 0};
    struct str strings = elf_file_section(&i->common, ".debug_str");
    if (has_debug_info(&i->common) || strings.n == 0)
        return true;
    const struct elf_piece pieces[] = {{".debug_info", i->is_big ? big : little, sizeof little},
                                       {".debug_abbrev", abbreviations, sizeof abbreviations},
                                       {".debug_str", strings.p, strings.n}};
    struct elf_file with_unit;
    struct strbuf out;
    struct err err = {0};
    sb_init(&out, strings.n + ADDED_BYTES_MAX);
    elf_write(pieces, ARRAY_LEN(pieces), i->is_big, &out);
    bool ok = !out.overflow &&
              elf_file_from_bytes(sb_cstr(&out), out.n, i->common.path, &with_unit, &err);
    sb_release(&out);
    if (!ok)
        sb_printf(&i->problems, "%s: the common strings cannot be read\n", i->common.path);
    if (!ok)
        return false;
    elf_file_close(&i->common);
    i->common = with_unit;
    return true;
}

/*
 * Of a file that was relinked for fixed addresses (prelink) only one of the two has moved.  The
 * difference may be negative: it is added with wrapping, as unsigned numbers do.
 */
static Dwarf_Addr bias_between(const struct image *i, const struct elf_file *debug)
{
    uint64_t start = start_of(debug->elf);
    return start == UINT64_MAX ? 0 : i->base - start;
}

/* A file that came along and is no good costs what it would have brought, and is named. */
static void take_given(struct image *i, struct file_bytes *given,
                       bool (*belongs)(const struct elf_file *, const struct elf_file *,
                                       struct err *),
                       struct elf_file *ret_file)
{
    struct elf_file f;
    struct err err = {0};
    if (!elf_file_take(given, &f, &err)) {
        sb_printf(&i->problems, "%s\n", err.msg);
    } else if (belongs && !belongs(&i->file, &f, &err)) {
        sb_printf(&i->problems, "%s\n", err.msg);
        elf_file_close(&f);
    } else {
        *ret_file = f;
    }
}

/*
 * A file with .debug_info of its own needs no other, and none is searched.  The common file of dwz
 * is asked for even so, since it belongs to whichever file has the debug information.  Symbols in
 * .gnu_debugdata are opened whatever else was found; twice the same symbol does no harm.
 */
static bool open_debug(struct image *i, const struct image_options *o, struct err *err)
{
    struct debug_search search = {&i->file, i->debug_dirs, &i->problems, o->is_sandboxed};
    if (o->given_debug) {
        take_given(i, o->given_debug, debug_belongs, &i->debug);
    } else if (o->debug_file) {
        if (!debug_open_given(&i->file, o->debug_file, &i->debug, err))
            return false;
        if (!has_debug_info(&i->debug) && elf_file_section(&i->debug, ".symtab").n == 0)
            return err_set(err, ERR_INVALID, "%s: no debug information", o->debug_file);
    } else if (!has_debug_info(&i->file)) {
        debug_find(&search, &i->debug);
    }
    const struct elf_file *from = i->debug.elf ? &i->debug : &i->file;
    if (i->debug.elf) {
        i->dwarf_bias = bias_between(i, &i->debug);
        note_bad_sections(i, &i->debug);
    }
    i->dwarf = begin_dwarf(i, from);
    if (i->dwarf && o->given_common)
        take_given(i, o->given_common, NULL, &i->common);
    else if (i->dwarf)
        debug_find_common(&search, from, i->dwarf, &i->common);
    if (i->common.elf) {
        note_bad_sections(i, &i->common);
        if (add_empty_unit(i))
            i->common_dwarf = begin_dwarf(i, &i->common);
        if (i->common_dwarf)
            dwarf_setalt(i->dwarf, i->common_dwarf);
    }
    debug_open_packed_symbols(&search, &i->packed_symbols);
    return true;
}

bool image_open(const struct image_options *o, struct file_bytes *taken, struct image *i,
                struct err *err)
{
    *i = (struct image){.debug_dirs = o->debug_dir ? o->debug_dir : default_dirs,
                        .is_sandboxed = o->is_sandboxed};
    if (o->given_split)
        i->split_files = file_bytes_view(o->given_split);
    sb_init(&i->problems, PROBLEMS_MAX);
    if (elf_file_take(taken, &i->file, err)) {
        i->elf = i->file.elf;
        note_bad_sections(i, &i->file);
        if (read_headers(i, o->path, err) && open_debug(i, o, err))
            return true;
    }
    image_close(i);
    return false;
}

void image_close(struct image *i)
{
    if (i->dwarf)
        dwarf_end(i->dwarf);
    if (i->common_dwarf)
        dwarf_end(i->common_dwarf);
    elf_file_close(&i->packed_symbols);
    elf_file_close(&i->common);
    elf_file_close(&i->debug);
    elf_file_close(&i->file);
    VEC_RELEASE(&i->code);
    sb_release(&i->problems);
    *i = (struct image){0};
}

static const struct {
    uint16_t machine;
    const char *arch;
    /*
     * Names of the MODULE record, from Breakpad's documentation of symbol files.  The machines are
     * those whose minidumps we can walk.
     */
} arches[] = {
    {EM_386, "x86"},
    {EM_X86_64, "x86_64"},
    {EM_ARM, "arm"},
    {EM_AARCH64, "arm64"},
};

/* The text section folded to 16 bytes, for files without a build id. */
static bool text_hash(const struct image *i, uint8_t id[ID_BYTES])
{
    struct str text = elf_file_section(&i->file, ".text");
    memset(id, 0, ID_BYTES);
    for (size_t k = 0; k < text.n && k < HASHED_BYTES; k++)
        id[k % ID_BYTES] ^= (uint8_t)text.p[k];
    return text.n > 0;
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

/*
 * Modules of a dump carry the name that a library gives itself, programs that of the file the
 * kernel has run: links resolved.  The crash handler (client/handler/modules.c) follows the same
 * rule.
 */
static bool identify_name(const struct image *i, const struct image_options *o, struct sym *s,
                          struct err *err)
{
    char file[MODULE_NAME_MAX];
    const char *own = o->name ? o->name : soname(i->elf);
    if (!own || !own[0]) {
        if (!module_file_name(o->path, o->is_sandboxed, file, err))
            return false;
        own = file;
    }
    return module_set_name(s, str_of(own), err);
}

/*
 * The code id is the whole build id (usually 20 bytes of SHA-1), the debug id its first 16 bytes.
 * Build ids of fewer bytes are filled up with zeros.
 */
bool image_identify(const struct image *i, const struct image_options *o, struct sym *s,
                    struct err *err)
{
    for (size_t k = 0; k < ARRAY_LEN(arches); k++)
        if (arches[k].machine == i->machine)
            s->arch = arches[k].arch;
    if (!s->arch)
        return err_set(err, ERR_INVALID, "%s: ELF machine %u is not supported", o->path,
                       i->machine);

    const void *bits;
    ssize_t n = dwelf_elf_gnu_build_id(i->elf, &bits);
    uint8_t id[ID_BYTES] = {0};
    if (n > 0) {
        memcpy(id, bits, MIN((size_t)n, sizeof id));
        upper_hex(bits, (size_t)n, s->code_id, sizeof s->code_id);
    } else if (!text_hash(i, id)) {
        return err_set(err, ERR_INVALID, "%s: neither a build id nor a .text section", o->path);
    }
    sym_set_guid(s, id, 0); /* the age is a counter of Windows' PDB files */
    return identify_name(i, o, s, err);
}
