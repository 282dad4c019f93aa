/*
 * A module may have thousands of .dwo files, more than a process may have descriptors, so they come
 * as one.  The list is made when the first unit is asked for: each file is opened once for its id
 * and closed, since all of them together may be larger than the memory there is.
 */
#include "tools/dump-syms/split_given.h"

#include <elfutils/libdw.h>
#include <dwarf.h>

#include "lib/base/err.h"
#include "lib/base/rd.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "tools/dump-syms/sym.h"

/* Places are counted in units of this, so that a bundle of 32 GiB has numbers of 32 bits. */
enum { PLACE_UNIT = 8 };

void split_given_init(struct split_given *g, struct str bundle)
{
    *g = (struct split_given){.bundle = bundle};
    map_init(&g->file_of, SYM_ENTRIES_MAX);
}

void split_given_release(struct split_given *g)
{
    map_release(&g->file_of);
    VEC_RELEASE(&g->packages);
}

/* Eight bytes of size, the file, and room to the next multiple of PLACE_UNIT.  Empty at the end,
 * and where a size leads beyond it. */
static struct str file_at(const struct split_given *g, uint64_t place, uint64_t *ret_next)
{
    struct rd r = rd_init(g->bundle.p, g->bundle.n);
    struct rd head = rd_try_window(&r, place, 8);
    uint64_t size = rd_u64(&head);
    struct rd body = rd_try_window(&r, place + 8, size);
    if (!rd_ok(&head) || !rd_ok(&body))
        return (struct str){0};
    *ret_next = place + 8 + (size + PLACE_UNIT - 1) / PLACE_UNIT * PLACE_UNIT;
    return str_n((const char *)body.p, size);
}

static bool open_at(const struct split_given *g, uint64_t place, struct elf_file *ret)
{
    uint64_t next;
    struct str bytes = file_at(g, place, &next);
    return bytes.p && elf_file_from_bytes(bytes.p, bytes.n, "split unit", ret, ERR_IGNORED);
}

/* Of two files with one id the last counts; a build has each once.  Id 0 is a unit without one. */
static void list_units(struct split_given *g, const struct elf_file *f, uint32_t place)
{
    Dwarf *dwarf = dwarf_begin_elf(f->elf, DWARF_C_READ, NULL);
    Dwarf_CU *cu = NULL;
    uint64_t id = 0;
    while (dwarf && dwarf_get_units(dwarf, cu, &cu, NULL, NULL, NULL, NULL) == 0)
        if (dwarf_cu_info(cu, NULL, NULL, NULL, NULL, &id, NULL, NULL) == 0 && id)
            *map_at(&g->file_of, id) = place + 1;
    if (dwarf)
        dwarf_end(dwarf);
}

/* A package (.dwp) has an index of its own, so only its place is kept. */
static void list_files(struct split_given *g)
{
    uint64_t place = 0, next = 0;
    g->is_listed = true;
    while (file_at(g, place, &next).p) {
        struct elf_file f;
        if (open_at(g, place, &f)) {
            if (elf_file_section(&f, ".debug_cu_index").n)
                VEC_PUSH(&g->packages, (uint32_t)(place / PLACE_UNIT));
            else
                list_units(g, &f, (uint32_t)(place / PLACE_UNIT));
            elf_file_close(&f);
        }
        place = next;
    }
}

bool split_given_open_dwo(struct split_given *g, uint64_t id, struct elf_file *ret)
{
    if (!g->is_listed)
        list_files(g);
    uint32_t place = map_get(&g->file_of, id);
    return place && open_at(g, (uint64_t)(place - 1) * PLACE_UNIT, ret);
}

bool split_given_open_package(struct split_given *g, size_t n, struct elf_file *ret)
{
    if (!g->is_listed)
        list_files(g);
    return n < g->packages.n && open_at(g, (uint64_t)g->packages.v[n] * PLACE_UNIT, ret);
}
