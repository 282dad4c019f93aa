/*
 * Range lists of split units.  They may start from the lowest address of the unit, which only the
 * skeleton knows, so libdw would give every range without it.  Formats: DWARF 5, 7.25
 * (.debug_rnglists); DWARF 4, 2.17.3 (.debug_ranges).
 */
#include <dwarf.h>

#include "lib/base/rd.h"
#include "lib/base/util.h"
#include "tools/dump-syms/cfi_text.h"
#include "tools/dump-syms/split.h"

enum { RNGLISTS_HEADER = 12 }; /* 32-bit form; compilers write no other */

static uint64_t read_address(const struct split_unit *u, struct rd *r)
{
    return u->address_size == 4 ? rd_u32(r) : rd_u64(r);
}

/* Address number `index` of the table; a number outside makes the list bad. */
static uint64_t indexed(const struct split_unit *u, struct split_list *l)
{
    uint64_t index = cfi_uleb(&l->r);
    struct rd r = index < UINT32_MAX
                      ? rd_try_window(&u->addresses, index * u->address_size, u->address_size)
                      : rd_try_window(&u->addresses, UINT64_MAX, 1);
    uint64_t value = read_address(u, &r);
    l->r.bad |= !rd_ok(&r);
    return value;
}

bool split_ranges_begin(const struct split_unit *u, Dwarf_Die *die, struct split_list *ret_list)
{
    Dwarf_Attribute mem;
    Dwarf_Word offset;
    if (!dwarf_attr(die, DW_AT_ranges, &mem) || dwarf_formudata(&mem, &offset) != 0)
        return false;
    if (dwarf_whatform(&mem) == DW_FORM_rnglistx) { /* a number in the table behind the head */
        struct rd r = offset < UINT32_MAX
                          ? rd_try_window(&u->ranges, RNGLISTS_HEADER + offset * 4, 4)
                          : rd_try_window(&u->ranges, UINT64_MAX, 1);
        offset = RNGLISTS_HEADER + (uint64_t)rd_u32(&r);
        if (!rd_ok(&r))
            return false;
    }
    ret_list->r = rd_try_window(&u->ranges, offset, u->ranges.n - MIN(offset, u->ranges.n));
    ret_list->base = u->low_pc;
    return rd_ok(&ret_list->r);
}

/*
 * DWARF 4: pairs of distances from the base, ended by two zeros; a first address of all ones sets
 * the base instead.  The window ends with the section, so a list without an end ends there.
 */
static bool next_pair(const struct split_unit *u, struct split_list *l, uint64_t *ret_from,
                      uint64_t *ret_to)
{
    uint64_t all_ones = u->address_size == 4 ? UINT32_MAX : UINT64_MAX;
    while (rd_left(&l->r) > 0) {
        uint64_t from = read_address(u, &l->r), to = read_address(u, &l->r);
        if (!rd_ok(&l->r) || (from == 0 && to == 0))
            return false;
        if (from == all_ones) {
            l->base = to;
            continue;
        }
        *ret_from = l->base + from;
        *ret_to = l->base + to;
        return true;
    }
    return false;
}

/*
 * DWARF 5: each entry begins with its kind (7.25, DW_RLE_…).  Those that only set a base are read
 * over; addresses given by a number come out of the skeleton's table.
 */
bool split_ranges_next(const struct split_unit *u, struct split_list *l, uint64_t *ret_from,
                       uint64_t *ret_to)
{
    if (u->version < 5)
        return next_pair(u, l, ret_from, ret_to);
    while (rd_left(&l->r) > 0) {
        uint64_t from = 0, to = 0;
        switch (rd_u8(&l->r)) {
        case DW_RLE_base_addressx:
            l->base = indexed(u, l);
            continue;
        case DW_RLE_base_address:
            l->base = read_address(u, &l->r);
            continue;
        case DW_RLE_startx_endx:
            from = indexed(u, l);
            to = indexed(u, l);
            break;
        case DW_RLE_startx_length:
            from = indexed(u, l);
            to = from + cfi_uleb(&l->r);
            break;
        case DW_RLE_offset_pair:
            from = l->base + cfi_uleb(&l->r);
            to = l->base + cfi_uleb(&l->r);
            break;
        case DW_RLE_start_end:
            from = read_address(u, &l->r);
            to = read_address(u, &l->r);
            break;
        case DW_RLE_start_length:
            from = read_address(u, &l->r);
            to = from + cfi_uleb(&l->r);
            break;
        default: /* DW_RLE_end_of_list, or nothing that is known */
            return false;
        }
        if (!rd_ok(&l->r))
            return false;
        *ret_from = from;
        *ret_to = to;
        return true;
    }
    return false;
}
