/*
 * Distributions and build systems put debug information into a file of its own.  GDB's manual
 * ("Debugging Information in Separate Files") says where: DIR/.build-id/ab/cdef….debug, and by the
 * name in .gnu_debuglink beside the module, in .debug/ there, and in DIR followed by the module's
 * folder.
 *
 * A name is no proof.  Build ids decide where both files have one, else the checksum that the link
 * holds.  A file of another build would give wrong names to every frame, so it is left alone and
 * said so.
 *
 * The order of the search is that of GDB: build id first, because it needs no luck with names.  Not
 * tried: debuginfod, and any other way over the network (docs/symbols-from-binaries.md).
 */
#include "tools/dump-syms/debug_files.h"

#include <elfutils/libdwelf.h>
#include <limits.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "tools/dump-syms/decompress.h"
#include "tools/dump-syms/file_bytes.h"

/* Linkers write 8 bytes (fast), 16 (md5, uuid) or 20 (sha1); `--build-id=0x…` may be longer. */
enum { BUILD_ID_MAX = 64 };

/* What a candidate is compared with. */
struct proof {
    const void *build_id; /* NULL: none known */
    size_t build_id_n;
    bool has_crc;
    uint32_t crc;
    bool is_common; /* of a file common to several, which may hold nothing but their strings */
};

/*
 * What the module says about its debug file: its own build id, which the debug file shares, and the
 * checksum beside the name in .gnu_debuglink.  A module with neither proves nothing, and any file
 * that was named for it is accepted.
 */
static struct proof proof_of(const struct elf_file *module)
{
    struct proof p = {0};
    const void *id;
    ssize_t n = dwelf_elf_gnu_build_id(module->elf, &id);
    if (n > 0) {
        p.build_id = id;
        p.build_id_n = (size_t)n;
    }
    GElf_Word crc;
    p.has_crc = dwelf_elf_gnu_debuglink(module->elf, &crc) != NULL;
    p.crc = p.has_crc ? crc : 0;
    return p;
}

/*
 * Two build ids decide alone.  The checksum is only computed when one of them is missing: it reads
 * the whole file, and tools that change a debug file afterwards (dwz, compression) change its
 * checksum but not its build id.
 */
static bool belongs(const struct elf_file *f, const struct proof *p, struct err *err)
{
    const void *id;
    ssize_t n = dwelf_elf_gnu_build_id(f->elf, &id);
    if (n > 0 && p->build_id) {
        bool same = (size_t)n == p->build_id_n && memcmp(id, p->build_id, (size_t)n) == 0;
        return same ||
               err_set(err, ERR_CONFLICT, "%s: of another build (the build ids differ)", f->path);
    }
    if (p->has_crc && elf_file_crc(f) != p->crc)
        return err_set(err, ERR_CONFLICT, "%s: of another build (the checksum differs)", f->path);
    return true;
}

/*
 * A file of the right build may hold nothing that helps, neither debug information nor .symtab.  It
 * is skipped without a word, and the search goes on.
 */
static bool is_useful(const struct elf_file *f, const struct proof *p)
{
    return elf_file_section(f, ".debug_info").n || elf_file_section(f, ".symtab").n ||
           (p->is_common && elf_file_section(f, ".debug_str").n);
}

static void add_problem(struct strbuf *problems, const char *text)
{
    sb_text(problems, text);
    sb_char(problems, '\n');
}

/* Opens a candidate, packed as a whole or not.  A missing one is no problem, a foreign one is. */
static bool try_path(const char *path, const struct proof *p, struct strbuf *problems,
                     struct elf_file *ret_file)
{
    static const char *const packed[] = {"", ".gz", ".xz", ".zst"};
    for (size_t i = 0; i < ARRAY_LEN(packed); i++) {
        char full[PATH_MAX];
        struct elf_file f;
        struct err err = {0};
        if (snprintf(full, sizeof full, "%s%s", path, packed[i]) >= (int)sizeof full)
            return false;
        if (!elf_file_open(full, &f, &err)) {
            if (err.code != ERR_NOT_FOUND)
                add_problem(problems, err.msg);
            continue;
        }
        bool ours = belongs(&f, p, &err);
        if (ours && is_useful(&f, p)) {
            *ret_file = f;
            return true;
        }
        if (!ours)
            add_problem(problems, err.msg);
        elf_file_close(&f);
    }
    return false;
}

const char *debug_folder_of(const char *path, char *buf, size_t size)
{
    struct str text = str_of(path);
    size_t slash = str_rfind_char(text, '/');
    size_t n = slash == SIZE_MAX ? 0 : slash + 1;
    snprintf(buf, size, STR_FMT, (int)MIN(n, size - 1), path);
    return buf;
}

/*
 * DIR/.build-id/ab/cdef….debug: the first byte of the build id is a folder, so that none of them
 * grows to a hundred thousand entries.
 */
static bool find_by_id(const struct debug_search *s, const struct proof *p,
                       struct elf_file *ret_file)
{
    char hex[2 * BUILD_ID_MAX + 1] = "";
    const uint8_t *id = p->build_id;
    if (!id || p->build_id_n < 2 || p->build_id_n > BUILD_ID_MAX)
        return false;
    for (size_t i = 0; i < p->build_id_n; i++)
        snprintf(hex + 2 * i, 3, "%02x", id[i]);
    struct str rest = str_of(s->dirs), dir;
    while (str_split(&rest, ':', &dir)) {
        char path[PATH_MAX];
        if (dir.n &&
            snprintf(path, sizeof path, STR_FMT "/.build-id/%.2s/%s.debug", STR_ARG(dir), hex,
                     hex + 2) < (int)sizeof path &&
            try_path(path, p, s->problems, ret_file))
            return true;
    }
    return false;
}

static bool find_beside(const struct debug_search *s, const char *folder, const char *name,
                        const struct proof *p, struct elf_file *ret_file)
{
    static const char *const below[] = {"", ".debug/"};
    char path[PATH_MAX];
    for (size_t i = 0; i < ARRAY_LEN(below); i++)
        if (snprintf(path, sizeof path, "%s%s%s", folder, below[i], name) < (int)sizeof path &&
            try_path(path, p, s->problems, ret_file))
            return true;
    return false;
}

/*
 * The name in the link comes out of the file and must be a plain file name: with a slash or ".." it
 * could name any file of this machine.  The folder is looked at as given and with links resolved,
 * since distributions link /lib to /usr/lib and debug packages know only one of the two.
 */
static bool find_by_link(const struct debug_search *s, const struct proof *p,
                         struct elf_file *ret_file)
{
    GElf_Word crc;
    const char *name = dwelf_elf_gnu_debuglink(s->module->elf, &crc);
    if (!name || !name[0] || strchr(name, '/') || strcmp(name, "..") == 0)
        return false;
    char real[PATH_MAX], given_folder[PATH_MAX], real_folder[PATH_MAX] = "";
    debug_folder_of(s->module->path, given_folder, sizeof given_folder);
    if (realpath(s->module->path, real))
        debug_folder_of(real, real_folder, sizeof real_folder);
    if (find_beside(s, given_folder, name, p, ret_file) ||
        (real_folder[0] && find_beside(s, real_folder, name, p, ret_file)))
        return true;
    struct str rest = str_of(s->dirs), dir;
    while (str_split(&rest, ':', &dir)) {
        char path[PATH_MAX];
        if (dir.n == 0)
            continue;
        if (snprintf(path, sizeof path, STR_FMT "%s%s", STR_ARG(dir), real_folder, name) <
                (int)sizeof path &&
            real_folder[0] && try_path(path, p, s->problems, ret_file))
            return true;
        if (snprintf(path, sizeof path, STR_FMT "/%s", STR_ARG(dir), name) < (int)sizeof path &&
            try_path(path, p, s->problems, ret_file))
            return true;
    }
    return false;
}

bool debug_belongs(const struct elf_file *module, const struct elf_file *debug, struct err *err)
{
    struct proof p = proof_of(module);
    return belongs(debug, &p, err);
}

bool debug_find(const struct debug_search *s, struct elf_file *ret_file)
{
    struct proof p = proof_of(s->module);
    size_t before = s->problems->n;
    if (s->is_sandboxed)
        return false;
    if (!find_by_id(s, &p, ret_file) && !find_by_link(s, &p, ret_file))
        return false;
    s->problems->n = before; /* what was passed over does not matter any more */
    return true;
}

bool debug_open_given(const struct elf_file *module, const char *path, struct elf_file *ret_file,
                      struct err *err)
{
    struct elf_file f;
    struct proof p = proof_of(module);
    if (!elf_file_open(path, &f, err))
        return false;
    if (!belongs(&f, &p, err)) {
        elf_file_close(&f);
        return false;
    }
    *ret_file = f;
    return true;
}

/*
 * The link of dwz is a path, often relative (../../.dwz/…), with the build id of the common file
 * behind it.  Unlike .gnu_debuglink it may have folders in it, because that is how distributions
 * use it; the build id must fit, so a foreign file of that name is refused.  A missing common file
 * is a problem and not a shrug: names and types of the module point into it.
 */
bool debug_find_common(const struct debug_search *s, const struct elf_file *debug, Dwarf *dwarf,
                       struct elf_file *ret_file)
{
    const char *name;
    const void *id;
    ssize_t n = dwelf_dwarf_gnu_debugaltlink(dwarf, &name, &id);
    if (n <= 0)
        return false;
    if (s->is_sandboxed) {
        sb_printf(s->problems,
                  "%s: the file common to several (%.200s) is missing: send it along\n",
                  debug->path, name);
        return false;
    }
    struct proof p = {.build_id = id, .build_id_n = (size_t)n, .is_common = true};
    char folder[PATH_MAX], real[PATH_MAX], path[PATH_MAX];
    debug_folder_of(realpath(debug->path, real) ? real : debug->path, folder, sizeof folder);
    const char *base = strrchr(name, '/');
    base = base ? base + 1 : name;
    /* As the link says, then beside the debug file: both may have been moved together. */
    const char *front = name[0] == '/' ? "" : folder;
    size_t before = s->problems->n;
    if ((snprintf(path, sizeof path, "%s%s", front, name) < (int)sizeof path &&
         try_path(path, &p, s->problems, ret_file)) ||
        find_beside(s, folder, base, &p, ret_file) || find_by_id(s, &p, ret_file)) {
        s->problems->n = before;
        return true;
    }
    sb_printf(s->problems, "%s: the file common to several (%.200s) is not found\n", debug->path,
              name);
    return false;
}

/*
 * ".gnu_debugdata" is Fedora's MiniDebugInfo: an ELF file packed with xz, with a .symtab of the
 * functions that .dynsym does not have.  No line numbers are in it.
 */
bool debug_open_packed_symbols(const struct debug_search *s, struct elf_file *ret_file)
{
    struct str packed = elf_file_section(s->module, ".gnu_debugdata");
    if (packed.n == 0)
        return false;
    struct strbuf plain;
    sb_init(&plain, file_bytes_unpacked_max(packed.n));
    struct err err = {0};
    bool ok = unpack_bytes(packing_of_file(packed.p, packed.n), packed.p, packed.n,
                           file_bytes_unpacked_max(packed.n), &plain, &err) &&
              elf_file_from_bytes(sb_cstr(&plain), plain.n, ".gnu_debugdata", ret_file, &err);
    sb_release(&plain);
    if (!ok)
        sb_printf(s->problems, "%s: .gnu_debugdata: %s\n", s->module->path, err.msg);
    return ok;
}
