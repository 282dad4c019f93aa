/*
 * Split debug information.  elfutils 0.188 knows .dwo files but no packages, and opens no file of
 * ours with compressed sections.  So the other part of each skeleton unit is cut out of its file
 * and made into a small ELF image of its own, in which libdw sees an ordinary unit:
 *
 * - the unit's contributions to .debug_info, .debug_abbrev and .debug_rnglists, as they are;
 * - .debug_str_offsets and .debug_str with only the strings of this unit (the strings of a package
 *   are those of all units, and would be copied once for each);
 * - .debug_addr of the module from the skeleton's DW_AT_addr_base on, and for DWARF 4 .debug_ranges
 *   from DW_AT_GNU_ranges_base on: then the bases, which only the skeleton knows, are 0.
 *
 * What remains unknown to libdw is the address from which range lists start: see split_ranges.c.
 *
 * Formats: DWARF 5, 7.3.5 (packages) and 7.25 (range lists); the GNU forms of DWARF 4 are described
 * in the GCC wiki, "DebugFissionDWP".
 */
#include "tools/dump-syms/split.h"

#include <dwarf.h>
#include <limits.h>

#include "lib/base/err.h"
#include "lib/base/rd.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "tools/dump-syms/debug_files.h"
#include "tools/dump-syms/elf_file.h"
#include "tools/dump-syms/elf_write.h"

enum {
    COLUMNS_MAX = 16, /* kinds of sections in a package: 8 are defined */
    STR_OFFSETS_HEADER = 8,
    UNIT_MAX = 1 << 30, /* of one source file; a limit against damaged headers */
};

/*
 * What the columns of a package's index mean (DW_SECT_…): the first three have one number in DWARF
 * 5 and in the GNU form.  Number 8 is a section of macros in the GNU form, whose units have no
 * range lists of their own and never ask for it.
 */
enum { COLUMN_INFO = 1, COLUMN_ABBREV = 3, COLUMN_STR_OFFSETS = 6, COLUMN_RNGLISTS = 8 };

enum dwo_part { PART_INFO, PART_ABBREV, PART_STR_OFFSETS, PART_RNGLISTS, PARTS };

static const struct {
    const char *section;
    uint32_t column;
} parts[PARTS] = {
    [PART_INFO] = {".debug_info.dwo", COLUMN_INFO},
    [PART_ABBREV] = {".debug_abbrev.dwo", COLUMN_ABBREV},
    [PART_STR_OFFSETS] = {".debug_str_offsets.dwo", COLUMN_STR_OFFSETS},
    [PART_RNGLISTS] = {".debug_rnglists.dwo", COLUMN_RNGLISTS},
};

/* The bytes of one unit in a .dwo file or package. */
struct contribution {
    struct rd part[PARTS];
    struct rd strings;
};

/* Windows on an empty text, so that no pointer is NULL. */
static struct contribution nothing(void)
{
    struct contribution c = {.strings = rd_init("", 0)};
    for (size_t p = 0; p < PARTS; p++)
        c.part[p] = rd_init("", 0);
    return c;
}

static struct rd section(const struct splits *s, const struct elf_file *f, const char *name)
{
    struct str bytes = elf_file_section(f, name);
    struct rd r = rd_init(bytes.p, bytes.n);
    r.big = s->image->is_big;
    return r;
}

/*
 * The row of a unit in the hash table of the index; 0 is none.  Open addressing (DWARF 5, 7.3.5.3):
 * the low half of the id is the first place, the high half, made odd, the distance to the next.
 * The number of slots is a power of two, so all of them are tried.
 */
static uint32_t find_row(const struct rd *index, uint64_t id, uint32_t slots)
{
    if (slots == 0 || (slots & (slots - 1)) != 0)
        return 0;
    uint32_t at = (uint32_t)id & (slots - 1), step = ((uint32_t)(id >> 32) & (slots - 1)) | 1;
    for (uint32_t tried = 0; tried < slots; tried++, at = (at + step) & (slots - 1)) {
        struct rd r = rd_try_window(index, 16 + (uint64_t)at * 8, 8);
        uint64_t have = rd_u64(&r);
        r = rd_try_window(index, 16 + (uint64_t)slots * 8 + (uint64_t)at * 4, 4);
        uint32_t row = rd_u32(&r);
        if (!rd_ok(&r) || row == 0)
            return 0;
        if (have == id)
            return row;
    }
    return 0;
}

/*
 * Cuts the parts of unit `id` out of a package.  Behind the head of 16 bytes lie the ids, the rows,
 * the columns' names, then a table of offsets and one of sizes, each a row per unit.  Rows count
 * from 1.  A column that is not needed, or that lies outside of its section, is left empty; without
 * .debug_info there is no unit.
 */
static bool cut_from_package(const struct splits *s, uint64_t id, struct contribution *ret)
{
    struct rd index = section(s, &s->package, ".debug_cu_index");
    struct rd head = rd_try_window(&index, 0, 16);
    uint32_t version = rd_u32(&head), columns = rd_u32(&head), units = rd_u32(&head),
             slots = rd_u32(&head);
    if (index.big && version >> 16 == 5)
        version = 5; /* two bytes of padding follow it there */
    if (!rd_ok(&head) || (version != 2 && version != 5) || columns > COLUMNS_MAX)
        return false;
    uint32_t row = find_row(&index, id, slots);
    if (row == 0 || row > units)
        return false;
    uint64_t names = 16 + (uint64_t)slots * 12, offsets = names + (uint64_t)columns * 4;
    uint64_t sizes = offsets + (uint64_t)units * columns * 4;
    for (uint32_t c = 0; c < columns; c++) {
        struct rd r = rd_try_window(&index, names + (uint64_t)c * 4, 4);
        uint32_t column = rd_u32(&r);
        uint64_t cell = ((uint64_t)(row - 1) * columns + c) * 4;
        struct rd at = rd_try_window(&index, offsets + cell, 4),
                  size = rd_try_window(&index, sizes + cell, 4);
        uint32_t from = rd_u32(&at), n = rd_u32(&size);
        for (size_t p = 0; p < PARTS && rd_ok(&r) && rd_ok(&at) && rd_ok(&size); p++)
            if (parts[p].column == column) {
                struct rd all = section(s, &s->package, parts[p].section);
                struct rd one = rd_try_window(&all, from, n);
                if (rd_ok(&one))
                    ret->part[p] = one;
            }
    }
    ret->strings = section(s, &s->package, ".debug_str.dwo");
    return ret->part[PART_INFO].n > 0;
}

/* A .dwo file is one unit, so its sections are that unit's contributions. */
static void take_whole_file(const struct splits *s, const struct elf_file *f,
                            struct contribution *ret)
{
    for (size_t p = 0; p < PARTS; p++)
        ret->part[p] = section(s, f, parts[p].section);
    ret->strings = section(s, f, ".debug_str.dwo");
}

/*
 * The strings that the unit's offsets point to, and offsets that point to them there.  A string
 * that does not end, or lies outside, becomes the empty one at offset 0: an entry without a name
 * does no harm to the others.  The number of offsets stays, since entries name strings by it.
 */
static void gather_strings(const struct contribution *c, struct strbuf *offsets,
                           struct strbuf *strings)
{
    struct rd r = c->part[PART_STR_OFFSETS];
    struct rd head = rd_try_window(&r, 0, STR_OFFSETS_HEADER);
    uint32_t length = rd_u32(&head);
    uint16_t version = rd_u16(&head);
    /* DWARF 4 has no head; there the first words are offsets. */
    if (rd_ok(&head) && version == 5 && length >= 4 && length <= r.n - 4) {
        sb_put(offsets, r.p, STR_OFFSETS_HEADER);
        rd_skip(&r, STR_OFFSETS_HEADER);
    }
    sb_char(strings, '\0');
    while (rd_left(&r) >= 4) {
        uint32_t at = rd_u32(&r);
        const char *text = at < c->strings.n ? (const char *)c->strings.p + at : NULL;
        size_t n = text ? strnlen(text, c->strings.n - at) : 0;
        bool ends = text && n < c->strings.n - at;
        elf_put_number(offsets, ends ? strings->n : 0, 4, r.big);
        if (ends)
            sb_put(strings, text, n + 1);
    }
}

static uint64_t offset_attr(Dwarf_Die *die, unsigned name, unsigned gnu_name)
{
    Dwarf_Attribute mem;
    Dwarf_Word value = 0;
    if (!dwarf_attr(die, name, &mem) && !dwarf_attr(die, gnu_name, &mem))
        return 0;
    return dwarf_formudata(&mem, &value) == 0 ? value : 0;
}

/*
 * A section of the module from `base` on.  A skeleton that says nothing has base 0, which is the
 * beginning of the section.
 */
static struct rd module_section(const struct splits *s, const char *name, uint64_t base)
{
    const struct image *i = s->image;
    struct rd all = section(s, i->debug.elf ? &i->debug : &i->file, name);
    struct rd rest = rd_try_window(&all, base, all.n - MIN(base, (uint64_t)all.n));
    return rd_ok(&rest) ? rest : rd_init("", 0);
}

/*
 * The unit of that id in an image made by us.  A file of another build has the right name and the
 * wrong id; that is all the proof there is.
 */
static bool find_unit(struct split_unit *u, uint64_t id)
{
    Dwarf_CU *cu = NULL;
    Dwarf_Half version;
    uint8_t type;
    while (dwarf_get_units(u->dwarf, cu, &cu, &version, &type, &u->die, NULL) == 0) {
        uint64_t have = 0;
        if (type == DW_UT_split_compile &&
            dwarf_cu_info(cu, NULL, NULL, NULL, NULL, &have, &u->address_size, NULL) == 0 &&
            have == id) {
            u->version = (uint8_t)version;
            return true;
        }
    }
    return false;
}

/*
 * Puts the parts together and lets libdw look.  elf_file_from_bytes copies, so everything that was
 * borrowed for it may go.  Missing pieces are left out of the image: an empty section would be one
 * that libdw tries to read.
 */
static bool build_unit(const struct splits *s, const struct contribution *c, Dwarf_Die *skeleton,
                       uint64_t id, struct split_unit *u)
{
    uint64_t addr_base = offset_attr(skeleton, DW_AT_addr_base, DW_AT_GNU_addr_base);
    uint64_t ranges_base = offset_attr(skeleton, DW_AT_GNU_ranges_base, DW_AT_GNU_ranges_base);
    struct strbuf offsets, strings, out;
    sb_init(&offsets, UNIT_MAX);
    sb_init(&strings, UNIT_MAX);
    sb_init(&out, UNIT_MAX);
    gather_strings(c, &offsets, &strings);
    struct rd addresses = module_section(s, ".debug_addr", addr_base);
    struct rd ranges = module_section(s, ".debug_ranges", ranges_base);
    const struct elf_piece pieces[] = {
        {".debug_info", c->part[PART_INFO].p, c->part[PART_INFO].n},
        {".debug_abbrev", c->part[PART_ABBREV].p, c->part[PART_ABBREV].n},
        {".debug_str_offsets", sb_cstr(&offsets), offsets.n},
        {".debug_str", sb_cstr(&strings), strings.n},
        {".debug_rnglists", c->part[PART_RNGLISTS].p, c->part[PART_RNGLISTS].n},
        {".debug_addr", addresses.p, addresses.n},
        {".debug_ranges", ranges.p, ranges.n},
    };
    struct elf_piece used[ARRAY_LEN(pieces)];
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++)
        if (pieces[i].n > 0)
            used[count++] = pieces[i];
    elf_write(used, count, s->image->is_big, &out);
    bool ok = !out.overflow &&
              elf_file_from_bytes(sb_cstr(&out), out.n, "split unit", &u->file, ERR_IGNORED);
    sb_release(&offsets);
    sb_release(&strings);
    sb_release(&out);
    u->dwarf = ok ? dwarf_begin_elf(u->file.elf, DWARF_C_READ, NULL) : NULL;
    if (!u->dwarf || !find_unit(u, id))
        return false;
    Dwarf_Addr low = 0;
    u->low_pc = dwarf_lowpc(skeleton, &low) == 0 ? low : 0;
    u->addresses = addresses;
    u->ranges = section(s, &u->file, u->version < 5 ? ".debug_ranges" : ".debug_rnglists");
    return true;
}

static void unit_close(struct split_unit *u)
{
    if (u->dwarf)
        dwarf_end(u->dwarf);
    u->dwarf = NULL;
    elf_file_close(&u->file);
}

/* "module.dwp", and for "module.debug" also "module.dwp", as tools name it. */
static bool open_package(struct splits *s, const char *path)
{
    char full[PATH_MAX];
    struct str name = str_of(path);
    if (str_ends(name, STR(".debug")))
        name.n -= STR(".debug").n;
    return (snprintf(full, sizeof full, "%s.dwp", path) < (int)sizeof full &&
            elf_file_open(full, &s->package, ERR_IGNORED)) ||
           (snprintf(full, sizeof full, STR_FMT ".dwp", STR_ARG(name)) < (int)sizeof full &&
            elf_file_open(full, &s->package, ERR_IGNORED));
}

/* Once: beside the module (as it was given, and as the file is called), or beside its debug
 * file. */
static void look_for_package(struct splits *s)
{
    char real[PATH_MAX];
    const struct image *i = s->image;
    if (s->has_looked)
        return;
    s->has_looked = true;
    if (!open_package(s, i->file.path) &&
        !(realpath(i->file.path, real) && open_package(s, real)) && i->debug.elf)
        open_package(s, i->debug.path);
    if (s->package.elf && s->package.bad.n)
        sb_printf(&s->image->problems, "%s: section %s", s->package.path, sb_cstr(&s->package.bad));
}

static bool take_dwo(const struct splits *s, struct elf_file *taken, Dwarf_Die *skeleton,
                     uint64_t id, struct split_unit *u)
{
    struct contribution c = nothing();
    take_whole_file(s, taken, &c);
    bool ok = build_unit(s, &c, skeleton, id, u);
    if (!ok)
        unit_close(u);
    elf_file_close(taken);
    return ok;
}

/* Where a .dwo file may lie: as the skeleton says, or moved together with the module. */
static bool try_dwo(const struct splits *s, const char *path, Dwarf_Die *skeleton, uint64_t id,
                    struct split_unit *u)
{
    struct elf_file f;
    return elf_file_open(path, &f, ERR_IGNORED) && take_dwo(s, &f, skeleton, id, u);
}

/* A module has one package: the first that knows one of its units. */
static bool choose_package(struct splits *s, uint64_t id)
{
    struct contribution c = nothing();
    for (size_t n = 0; split_given_open_package(&s->given, n, &s->package); n++) {
        if (cut_from_package(s, id, &c))
            return true;
        elf_file_close(&s->package);
        s->package = (struct elf_file){0};
    }
    return false;
}

static bool find_given(struct splits *s, Dwarf_Die *skeleton, uint64_t id, struct split_unit *u)
{
    struct contribution c = nothing();
    struct elf_file f;
    if ((s->package.elf || choose_package(s, id)) && cut_from_package(s, id, &c) &&
        build_unit(s, &c, skeleton, id, u))
        return true;
    unit_close(u);
    return split_given_open_dwo(&s->given, id, &f) && take_dwo(s, &f, skeleton, id, u);
}

static const char *text_attr(Dwarf_Die *die, unsigned name, unsigned gnu_name)
{
    Dwarf_Attribute mem;
    const char *text = dwarf_formstring(dwarf_attr(die, name, &mem));
    return text ? text : dwarf_formstring(dwarf_attr(die, gnu_name, &mem));
}

/*
 * Names are looked for where the compiler left them, then beside the module with and without their
 * folders, then in the folders of debug files.  What does not fit is passed over without a word;
 * that a unit is missing is said once, at the end.
 */
static bool find_dwo(const struct splits *s, Dwarf_Die *skeleton, const char *name, uint64_t id,
                     struct split_unit *u)
{
    char folder[PATH_MAX], path[PATH_MAX];
    const char *compiled_in = text_attr(skeleton, DW_AT_comp_dir, DW_AT_comp_dir);
    const char *base = strrchr(name, '/');
    base = base ? base + 1 : name;
    debug_folder_of(s->image->file.path, folder, sizeof folder);
    const struct {
        const char *front, *slash, *name;
    } places[] = {
        {name[0] == '/' || !compiled_in ? "" : compiled_in, name[0] == '/' ? "" : "/", name},
        {folder, "", name[0] == '/' ? base : name},
        {folder, "", base},
    };
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        if (snprintf(path, sizeof path, "%s%s%s", places[i].front, places[i].slash,
                     places[i].name) < (int)sizeof path &&
            try_dwo(s, path, skeleton, id, u))
            return true;
    struct str rest = str_of(s->image->debug_dirs), dir;
    while (str_split(&rest, ':', &dir))
        if (dir.n &&
            snprintf(path, sizeof path, STR_FMT "/%s", STR_ARG(dir), base) < (int)sizeof path &&
            try_dwo(s, path, skeleton, id, u))
            return true;
    return false;
}

/* The package is asked first, because it holds all units. */
static bool find_beside(struct splits *s, Dwarf_Die *skeleton, const char *name, uint64_t id,
                        struct split_unit *u)
{
    struct contribution c = nothing();
    look_for_package(s);
    if (s->package.elf && cut_from_package(s, id, &c) && build_unit(s, &c, skeleton, id, u))
        return true;
    unit_close(u);
    return name && find_dwo(s, skeleton, name, id, u);
}

/* The answer is kept, also that there is none, because units are walked twice. */
struct split_unit *splits_find(struct splits *s, Dwarf_CU *cu, Dwarf_Die *skeleton)
{
    uint64_t key = (uint64_t)(uintptr_t)skeleton->addr;
    uint32_t *place = map_at(&s->unit_of, key);
    if (*place) {
        struct split_unit *known = s->units.v[*place - 1];
        return known->is_found ? known : NULL;
    }
    uint64_t id = 0;
    dwarf_cu_info(cu, NULL, NULL, NULL, NULL, &id, NULL, NULL);
    struct split_unit *u = xcalloc(1, sizeof *u);
    const char *name = text_attr(skeleton, DW_AT_dwo_name, DW_AT_GNU_dwo_name);
    u->is_found = s->image->is_sandboxed ? find_given(s, skeleton, id, u)
                                         : find_beside(s, skeleton, name, id, u);
    if (!u->is_found && s->missing++ == 0)
        snprintf(s->first_missing, sizeof s->first_missing, "%s", name ? name : "without name");
    VEC_PUSH(&s->units, u);
    *place = (uint32_t)s->units.n;
    return u->is_found ? u : NULL;
}

void splits_init(struct splits *s, struct image *image)
{
    *s = (struct splits){.image = image};
    split_given_init(&s->given, image->split_files);
    map_init(&s->unit_of, SYM_ENTRIES_MAX);
}

void splits_release(struct splits *s)
{
    for (size_t i = 0; i < s->units.n; i++) {
        unit_close(s->units.v[i]);
        free(s->units.v[i]);
    }
    VEC_RELEASE(&s->units);
    map_release(&s->unit_of);
    split_given_release(&s->given);
    elf_file_close(&s->package);
}

void splits_note_missing(const struct splits *s)
{
    if (s->missing)
        sb_printf(&s->image->problems,
                  "%s: split debug information of %zu units is not found (the first is %s)\n",
                  s->image->file.path, s->missing, s->first_missing);
}
