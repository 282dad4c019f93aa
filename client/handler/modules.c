/*
 * Which images a crashed process has, seen from its memory map and its memory.  Files on disk may
 * have been replaced by an update since they were loaded, so what identifies a module (build id,
 * the name that the library gives itself) is read from memory.  Name and id must be those that the
 * symbol tool writes (tools/dump-syms/image.c): they are the key under which symbols are found.
 */
#include "client/handler/modules.h"

#include <elf.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/rd.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"

/* What is looked at of one image; real ones have a hundredth of it. */
enum {
    NOTES_MAX = 64 * 1024,   /* build id, ABI and properties are some hundred bytes */
    DYNAMIC_MAX = 64 * 1024, /* 4,096 entries of 16 bytes; linkers write thirty */
    SONAME_MAX = 256,        /* a file name (NAME_MAX of Linux) and its zero */
    NAMES_MAX = 32 << 20,    /* MODULES_MAX paths of PATH_MAX bytes, and their SONAMEs */
};

/* The notes as they lie in memory: at the distance from the base that the headers tell. */
static bool id_from_memory(const struct target *t, const struct elf_image *e, struct module *m)
{
    for (size_t i = 0; i < e->segment_count; i++) {
        const struct elf_segment *s = &e->segments[i];
        if (s->type != PT_NOTE || s->vaddr < e->low || s->vaddr >= e->high)
            continue;
        size_t want = (size_t)MIN(s->memsz, (uint64_t)NOTES_MAX);
        FREE_LATER uint8_t *notes = xmalloc(want);
        size_t n = target_read(t, m->base + (s->vaddr - e->low), notes, want);
        if (elf_notes_build_id(rd_init(notes, n), m->id, &m->id_length, ERR_IGNORED))
            return true;
    }
    return false;
}

/* Only when the file is still the one that was mapped. */
static void id_from_file(const struct target *t, const struct mapping *map,
                         const struct elf_image *e, struct module *m)
{
    char path[4200];
    snprintf(path, sizeof path, "/proc/%d/root%s", (int)t->alive, map->path);
    struct stat st;
    const void *p;
    size_t n;
    if (stat(path, &st) != 0 || st.st_ino != map->inode || !fs_map(path, &p, &n, ERR_IGNORED))
        return;
    if (elf_text_hash(rd_init(p, n), e, m->id, ERR_IGNORED))
        m->id_length = 16;
    if (p)
        munmap((void *)p, n);
}

/*
 * A file that is only mapped for reading (fonts, archives) may begin with ELF headers as well; a
 * module has code.
 */
static bool executable_between(const struct target *t, const struct mapping *first, uint64_t end)
{
    const struct mapping *stop = t->maps.v + t->maps.n;
    for (const struct mapping *m = first; m < stop && m->start < end; m++)
        if (m->executable && strcmp(m->path, first->path) == 0)
            return true;
    return false;
}

static void set_name(struct module *m, const char *path)
{
    struct str name = str_of(path);
    if (str_ends(name, STR(" (deleted)")))
        name.n -= STR(" (deleted)").n;
    /* The name that Breakpad's tools give to the kernel's page. */
    if (str_eq(name, STR("[vdso]")))
        name = STR("linux-gate.so");
    m->name = name.p;
    m->name_length = name.n;
}

/*
 * The name that the image gives itself, without folders; empty when it has none.  The loader
 * replaces the address of the strings by where they lie, except where it may not write.
 */
static struct str soname_from_memory(const struct target *t, const struct elf_image *e,
                                     const struct module *m, char buf[SONAME_MAX])
{
    for (size_t i = 0; i < e->segment_count; i++) {
        const struct elf_segment *s = &e->segments[i];
        if (s->type != PT_DYNAMIC || s->vaddr < e->low || s->vaddr >= e->high)
            continue;
        size_t want = (size_t)MIN(s->memsz, (uint64_t)DYNAMIC_MAX);
        FREE_LATER uint8_t *dynamic = xmalloc(want);
        size_t n = target_read(t, m->base + (s->vaddr - e->low), dynamic, want);
        struct elf_soname at;
        if (!elf_dynamic_soname(rd_init(dynamic, n), e->is_64, &at, ERR_IGNORED))
            continue;
        bool is_loaded = at.strings >= m->base && at.strings - m->base < m->size;
        uint64_t strings = is_loaded ? at.strings - m->base : at.strings - e->low;
        if (strings >= m->size || at.offset >= m->size - strings)
            continue;
        n = target_read(t, m->base + strings + at.offset, buf, SONAME_MAX);
        struct str name = str_n(buf, strnlen(buf, n));
        size_t slash = str_rfind_char(name, '/');
        if (slash != SIZE_MAX)
            name = str_sub(name, slash + 1, name.n);
        return name.n < n ? name : STR("");
    }
    return STR("");
}

static bool is_plain_name(struct str name)
{
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] < ' ' || name.p[i] == 0x7f)
            return false;
    return name.n && name.p[0] != '.';
}

/* The name of its own in place of the last part of the path. */
static void set_soname(const struct target *t, const struct elf_image *e, struct arena *names,
                       struct module *m)
{
    char buf[SONAME_MAX];
    struct str soname = soname_from_memory(t, e, m, buf);
    struct str path = str_n(m->name, m->name_length);
    size_t slash = str_rfind_char(path, '/');
    if (!is_plain_name(soname) || slash == SIZE_MAX)
        return;
    struct str folder = str_sub(path, 0, slash + 1);
    m->name = arena_printf(names, STR_FMT STR_FMT, STR_ARG(folder), STR_ARG(soname));
    m->name_length = folder.n + soname.n;
}

/*
 * A module that starts with this mapping, if one does.  Modules start with their headers, which are
 * mapped from offset 0.  The kernel's page [vdso] is an image without a file.
 */
static bool read_module(const struct target *t, const struct mapping *map, struct arena *names,
                        struct module *ret)
{
    bool vdso = strcmp(map->path, "[vdso]") == 0;
    if (!map->readable || map->offset != 0 || (map->inode == 0 && !vdso))
        return false;
    uint8_t headers[ELF_HEADERS_BYTES];
    size_t n = target_read(t, map->start, headers, MIN(sizeof headers, map->end - map->start));
    struct elf_image e;
    if (!elf_image_read(rd_init(headers, n), &e, ERR_IGNORED))
        return false;
    uint64_t size = e.high - e.low;
    if (size > UINT32_MAX || size > UINT64_MAX - map->start ||
        !executable_between(t, map, map->start + size))
        return false;
    struct module m = {.base = map->start, .size = size};
    set_name(&m, map->path);
    if (!vdso)
        set_soname(t, &e, names, &m);
    if (!id_from_memory(t, &e, &m) && !vdso)
        id_from_file(t, map, &e, &m);
    *ret = m;
    return true;
}

/* AT_PHDR points into the program; with it the program is known whatever it is called. */
static uint64_t program_address(pid_t pid)
{
    STRBUF_AUTO auxv;
    sb_init(&auxv, 4096);
    target_slurp(pid, "auxv", &auxv);
    struct rd r = rd_init(sb_cstr(&auxv), auxv.n);
    while (rd_left(&r) >= 16) {
        uint64_t key = rd_u64(&r), value = rd_u64(&r);
        if (key == AT_PHDR)
            return value;
    }
    return 0;
}

/* Readers take the first module for the program itself. */
static void program_first(struct modules *m, uint64_t addr)
{
    for (size_t i = 1; i < m->list.n; i++) {
        struct module one = m->list.v[i];
        if (addr < one.base || addr - one.base >= one.size)
            continue;
        memmove(&m->list.v[1], &m->list.v[0], i * sizeof one);
        m->list.v[0] = one;
        return;
    }
}

void modules_read(const struct target *t, struct modules *ret_modules)
{
    struct modules m = {0};
    arena_init(&m.names, NAMES_MAX);
    uint64_t end = 0;
    for (size_t i = 0; i < t->maps.n && m.list.n < MODULES_MAX; i++) {
        struct module one;
        /* Some linkers map the first page twice; what lies inside a module is no other one. */
        if (t->maps.v[i].start < end || !read_module(t, &t->maps.v[i], &m.names, &one))
            continue;
        end = one.base + one.size;
        VEC_PUSH(&m.list, one);
    }
    program_first(&m, program_address(t->alive));
    *ret_modules = m;
}

void modules_release(struct modules *m)
{
    VEC_RELEASE(&m->list);
    arena_release(&m->names);
}
