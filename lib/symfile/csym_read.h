#ifndef SYMFILE_CSYM_READ_H
#define SYMFILE_CSYM_READ_H

#include "lib/symfile/csym.h"
#include "lib/symfile/csym_format.h"

/* csym_read - what the readers of a .csym's sections share (csym_open.c). */

/* String at an offset of SEC_STRINGS; empty for anything that is none. */
struct str csym_string(const struct csym *c, uint32_t off);
/* The i-th u32 of a section; false when there is none. */
bool csym_u32_at(const struct csym *c, enum csym_section_id id, uint64_t i, uint32_t *ret);
/* String whose offset is the i-th u32 of a section, else empty. */
struct str csym_string_at(const struct csym *c, enum csym_section_id id, uint64_t i);

/* Record `i` of `size` bytes; NULL when the section is too short. */
static inline const uint8_t *csym_record(const struct csym *c, enum csym_section_id id, size_t i,
                                         size_t size)
{
    const struct csym_section *s = &c->sec[id];
    return i < s->n / size ? s->p + i * size : NULL;
}

/* The last start <= addr of a *_START section; false when there is none. */
bool csym_floor(const struct csym *c, enum csym_section_id id, bool is_wide, uint64_t addr,
                size_t *ret_i, uint64_t *ret_start);

/* A run whose reader stands before the first record of the only block that can hold `key`. */
struct run_in {
    struct vr at;
    uint32_t base; /* key of the block's first record, 0 for the first block */
    size_t left;   /* records from there, at most CSYM_BLOCK */
};
bool run_seek(struct vr run, uint32_t key, struct run_in *ret);

#endif
