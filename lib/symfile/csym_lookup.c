/*
 * Address to function, line and inlined functions, by halving over the sections of a mapped .csym.
 * Nothing is allocated and nothing copied.  Opening has checked that the sections lie in the file
 * and no more, so every index and offset is checked here, when it is followed: a damaged file gives
 * wrong answers or none, and never a read outside of the mapping.
 *
 * The rules are those of the stack walkers that read Breakpad text: a FUNC covers its size and no
 * more; a PUBLIC reaches to the next FUNC or PUBLIC; of overlapping records the compiler has kept
 * one.
 */
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/symfile/csym.h"
#include "lib/symfile/csym_format.h"
#include "lib/symfile/csym_read.h"

struct func_at {
    uint64_t start;
    uint32_t size, name, body;
};

/* One range record of a run, and the fields that follow it. */
struct range_in {
    uint64_t start, end;
    uint32_t line, file, origin;
};

/* The function whose start is the last one <= addr, whether it reaches addr or not. */
static bool func_floor(const struct csym *c, uint64_t addr, struct func_at *ret)
{
    size_t i;
    uint64_t start;
    if (!csym_floor(c, SEC_FUNC_START, c->is_wide, addr, &i, &start))
        return false;
    const uint8_t *p = csym_record(c, SEC_FUNC, i, CSYM_FUNC_SIZE);
    if (!p)
        return false;
    *ret = (struct func_at){start, csym_u32(p), csym_u32(p + 4), csym_u32(p + 8)};
    return true;
}

/*
 * The PUBLIC that covers an address outside of every FUNC: the nearest one below, unless a
 * FUNC starts at or behind it (it ended there).
 */
static const uint8_t *public_at(const struct csym *c, uint64_t addr, const struct func_at *before,
                                uint64_t *ret_start)
{
    size_t i;
    if (!csym_floor(c, SEC_PUBLIC_START, c->is_wide, addr, &i, ret_start) ||
        (before && before->start >= *ret_start))
        return NULL;
    return csym_record(c, SEC_PUBLIC, i, CSYM_PUBLIC_SIZE);
}

/* A gap may be negative among inlines, which may overlap; the sum wraps back as it was made. */
static void read_range(struct vr *r, struct range_in *at)
{
    uint64_t head = vr_u64(r);
    uint64_t gap = head & 1 ? (uint64_t)unzigzag(vr_u64(r)) : 0;
    at->start = at->end + gap;
    at->end = at->start + (head >> 1);
}

/* Lines are apart and sorted, so the first that ends behind key decides: it holds key or none
 * does. */
static bool find_line(struct vr run, uint32_t key, struct range_in *ret)
{
    struct run_in in;
    if (!run_seek(run, key, &in))
        return false;
    struct range_in at = {.end = in.base};
    for (; in.left > 0; in.left--) {
        read_range(&in.at, &at);
        uint64_t head = vr_u64(&in.at);
        at.line += (uint32_t)unzigzag(head >> 1);
        if (head & 1)
            at.file = vr_u32(&in.at);
        if (in.at.bad || at.start > key)
            return false;
        if (key < at.end) {
            *ret = at;
            return true;
        }
    }
    return false;
}

/* The last record at or below key decides, even where an earlier one would reach further. */
static bool find_inline(struct vr run, uint32_t key, struct range_in *ret)
{
    struct run_in in;
    if (!run_seek(run, key, &in))
        return false;
    struct range_in at = {.end = in.base}, last = {0};
    bool found = false;
    for (; in.left > 0; in.left--) {
        read_range(&in.at, &at);
        at.origin = vr_u32(&in.at);
        uint64_t head = vr_u64(&in.at);
        at.line = (uint32_t)(head >> 1);
        if (head & 1)
            at.file = vr_u32(&in.at);
        if (in.at.bad)
            return false;
        if (at.start > key)
            break;
        last = at;
        found = true;
    }
    if (!found || key >= last.end)
        return false;
    *ret = last;
    return true;
}

/* An unknown file leaves the place empty; a known one without line keeps its name. */
static void set_place(const struct csym *c, const struct range_in *at, struct str *file,
                      uint32_t *line)
{
    *file = csym_string_at(c, SEC_FILE, at->file);
    *line = at->line;
}

/*
 * With levels 0 to n-1 the real frame stands at the call of level 0, level k at the call
 * of level k+1, and the innermost at the line record.
 */
static void find_places(const struct csym *c, struct vr body, uint32_t key, struct csym_hit *hit)
{
    struct vr lines = vr_window(&body, vr_u64(&body));
    struct range_in calls[CSYM_INLINE_MAX];
    uint64_t levels = vr_u64(&body);
    size_t n = 0;
    while (n < MIN(levels, (uint64_t)CSYM_INLINE_MAX) && !body.bad) {
        struct vr run = vr_window(&body, vr_u64(&body));
        if (body.bad || !find_inline(run, key, &calls[n]))
            break;
        n++;
    }
    struct range_in line;
    bool has_line = !lines.bad && find_line(lines, key, &line);

    for (size_t k = n; k-- > 0;) { /* innermost first */
        struct csym_inline *to = &hit->inlines[hit->inline_count];
        *to = (struct csym_inline){.function = csym_string_at(c, SEC_ORIGIN, calls[k].origin)};
        if (to->function.n == 0)
            continue; /* its number has no INLINE_ORIGIN record */
        if (k + 1 < n || has_line)
            set_place(c, k + 1 < n ? &calls[k + 1] : &line, &to->file, &to->line);
        hit->inline_count++;
    }
    if (n || has_line)
        set_place(c, n ? &calls[0] : &line, &hit->file, &hit->line);
    if (hit->file.n == 0)
        hit->line = 0; /* the real frame shows both or neither */
}

/* STACK WIN knows parameter sizes better than FUNC. */
static uint32_t param_size_at(const struct csym *c, uint64_t addr, uint32_t otherwise)
{
    struct csym_win win;
    return csym_win_find(c, addr, &win) ? win.param_size : otherwise;
}

/*
 * A function whose range holds the address is right. Else the nearest public symbol below is a
 * guess, and a guess ends where a function begins: what lies behind a known function is not the
 * public symbol in front of it.
 */
bool csym_lookup(const struct csym *c, uint64_t addr, struct csym_hit *ret)
{
    struct func_at func;
    bool has_before = func_floor(c, addr, &func);
    ret->file = STR("");
    ret->line = 0;
    ret->inline_count = 0;
    if (has_before && addr - func.start < func.size) {
        const struct csym_section *bodies = &c->sec[SEC_BODY];
        struct vr body = vr_at(bodies->p, bodies->n, func.body);
        ret->function = csym_string(c, func.name);
        ret->function_addr = func.start;
        ret->param_size = param_size_at(c, addr, vr_u32(&body));
        ret->is_public = false;
        find_places(c, body, (uint32_t)(addr - func.start), ret);
        return true;
    }
    const uint8_t *pub = public_at(c, addr, has_before ? &func : NULL, &ret->function_addr);
    if (!pub)
        return false;
    ret->function = csym_string(c, csym_u32(pub));
    ret->param_size = csym_u32(pub + 4);
    ret->is_public = true;
    return true;
}

bool csym_is_code(const struct csym *c, uint64_t addr)
{
    struct func_at func;
    uint64_t start;
    bool has_before = func_floor(c, addr, &func);
    if (has_before && addr - func.start < func.size)
        return true;
    if (public_at(c, addr, has_before ? &func : NULL, &start))
        return true;
    /* Most functions of a stripped library have no name, but unwind rows. */
    struct csym_cfi rules;
    return csym_cfi_find(c, addr, &rules);
}

/*
 * Starts and bodies are two sections: a search by halving touches the pages of starts alone, and
 * one body.
 */
static bool win_find(const struct csym *c, enum csym_section_id start_id,
                     enum csym_section_id body_id, uint64_t addr, struct csym_win *ret)
{
    size_t i;
    uint64_t start;
    if (!csym_floor(c, start_id, false, addr, &i, &start))
        return false;
    const uint8_t *p = csym_record(c, body_id, i, CSYM_WIN_SIZE);
    if (!p || addr - start >= csym_u32(p))
        return false;
    *ret = (struct csym_win){.addr = (uint32_t)start,
                             .size = csym_u32(p),
                             .prologue = csym_u32(p + 4),
                             .epilogue = csym_u32(p + 8),
                             .param_size = csym_u32(p + 12),
                             .saved_regs = csym_u32(p + 16),
                             .locals = csym_u32(p + 20),
                             .max_stack = csym_u32(p + 24),
                             .is_frame_data = body_id == SEC_WIN_FRAME,
                             .program = csym_string(c, csym_u32(p + 28)),
                             .allocates_base_pointer = csym_u32(p + 32) != 0};
    return true;
}

/* STACK WIN addresses have 32 bits in the text, whatever the file's other addresses have. */
bool csym_win_find(const struct csym *c, uint64_t addr, struct csym_win *ret)
{
    return win_find(c, SEC_WIN_FRAME_START, SEC_WIN_FRAME, addr, ret) ||
           win_find(c, SEC_WIN_FPO_START, SEC_WIN_FPO, addr, ret);
}
