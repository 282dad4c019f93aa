#ifndef SYMFILE_SYM_BUILD_H
#define SYMFILE_SYM_BUILD_H

#include "lib/base/map.h"
#include "lib/symfile/csym.h"
#include "lib/symfile/csym_format.h"

/*
 * sym_build - collects the records of one symbol file and makes a .csym of them.  Between
 * the parser (sym_parse.c) and the image in memory.
 *
 * Names are not copied: they are numbers of `names`, whose items point into the mapped
 * text, until the image is written.  Lines and inlines are packed into `body` as soon as
 * their function is complete, so that memory grows with the result, not with the text.
 *
 * Ownership  The builder owns everything but the text.
 * Limits     4 GiB for each section; beyond it builder_image answers ERR_TOO_LARGE.
 */
enum { NAME_NONE = UINT32_MAX };

typedef VEC(uint8_t) bytes_vec;

struct line_record {
    uint64_t start, end;
    uint32_t line, file;
};

struct inline_record { /* one range of an INLINE */
    uint64_t start, end;
    uint32_t line, file; /* of the call */
    uint32_t origin, level;
};

typedef VEC(struct line_record) line_vec;
typedef VEC(struct inline_record) inline_vec;

/* What a following line, INLINE or STACK CFI record belongs to. */
enum owner { OWNER_NONE, OWNER_KEPT, OWNER_DROPPED };

struct func_record {
    uint64_t start;
    uint32_t size, name, body, param_size;
};

struct public_record {
    uint64_t start;
    uint32_t name, param_size;
};

struct win_record {
    uint32_t start, size, prologue, epilogue, param_size, saved_regs, locals, max_stack;
    uint32_t program; /* name */
    bool allocates_base_pointer;
};

typedef VEC(struct win_record) win_vec;

struct cfi_range {
    uint64_t start;
    uint32_t size, row;
};

struct cfi_row {
    uint64_t addr;
    uint32_t delta;
};

struct cfi_rule {
    uint32_t reg; /* CSYM_RULE_… */
    uint32_t program;
};

struct cfi_span { /* of cfi_builder.rules; count 0: malformed */
    uint32_t first, count;
};

/* A text of rules that was met, and its number among them. */
struct cfi_seen {
    struct str text;
    uint32_t delta;
};
enum { CFI_SEEN_BITS = 8 };

/* How the rules of rows become few: see sym_build_cfi.c. */
struct cfi_builder {
    struct textmap texts; /* of rules, as they stand in the file */
    struct cfi_seen seen[1 << CFI_SEEN_BITS];
    struct textmap regs;
    struct textmap programs; /* byte code */
    struct textmap sets;     /* encoded rule sets */
    struct map sums;         /* (set, delta) -> index in set_of_sum + 1 */
    VEC(uint32_t) set_of_sum;
    VEC(struct cfi_span) deltas;    /* by text */
    VEC(struct cfi_span) set_rules; /* by set */
    VEC(struct cfi_rule) rules;
    VEC(uint32_t) program_offset;
    bytes_vec program_bytes, set_bytes, row_bytes;
    VEC(uint32_t) set_offset;
    VEC(struct cfi_range) ranges;
    enum owner owner;
    struct cfi_range open; /* the INIT record whose rows are being read */
    VEC(struct cfi_row) rows;
    bool is_sorted;
};

/*
 * Numbers in the text (of FILE and INLINE_ORIGIN) -> dense index + 1.  Nearly all are small, and
 * every line record has one: an array in front of the map compiles a file in 0.38 s of processor
 * time, the map alone in 0.43 (tests/bench/csym 128, 2 cores).
 */
struct index_of {
    VEC(uint32_t) small; /* by number, those below INDEX_SMALL_MAX */
    struct map others;
};

struct builder {
    struct str text;
    struct arena arena;
    struct textmap names;
    uint32_t info[CSYM_INFO_COUNT];
    struct index_of file_index, origin_index;
    VEC(uint32_t) files, origins; /* name by dense index, or NAME_NONE */

    VEC(struct func_record) funcs;
    enum owner owner;
    struct func_record open; /* the FUNC whose lines are being read */
    line_vec lines;
    bool lines_settled;  /* in order, apart, inside the function: nothing to do at its end */
    size_t lines_joined; /* of them: how many touch the one before and say the same */
    inline_vec inlines[CSYM_INLINE_MAX]; /* by level */
    uint32_t inline_levels;              /* levels with records */
    bytes_vec body; /* begins with room for the header: the file grows from here (csym_write.c) */
    bytes_vec scratch;

    VEC(struct public_record) publics;
    win_vec win_frame, win_fpo;
    struct cfi_builder cfi;
    struct csym_stats stats;
    const char *too_large; /* what broke a limit */
};

void builder_init(struct builder *b, struct str text);
void builder_release(struct builder *b);

/* Records as the parser finds them. */
void builder_bad_line(struct builder *b);
void builder_info(struct builder *b, enum csym_info what, struct str value);
void builder_file(struct builder *b, uint32_t number, struct str name);
void builder_origin(struct builder *b, uint32_t number, struct str name);
void builder_func(struct builder *b, uint64_t addr, uint32_t size, uint32_t param_size,
                  struct str name);
/* A FUNC line that could not be read: what follows does not belong to the one before. */
void builder_no_func(struct builder *b, enum owner owner);
bool builder_inline(struct builder *b, const struct inline_record *r);
void builder_public(struct builder *b, uint64_t addr, uint32_t param_size, struct str name);
void builder_win(struct builder *b, bool is_frame_data, const struct win_record *w);
uint32_t builder_new_file(struct builder *b, uint32_t number);
uint32_t builder_new_origin(struct builder *b, uint32_t number);

void builder_cfi_init(struct builder *b, uint64_t addr, uint32_t size, struct str rules);
bool builder_cfi_row(struct builder *b, uint64_t addr, struct str rules);
void builder_cfi_bad(struct builder *b);
void builder_cfi_finish(struct builder *b);
void cfi_builder_init(struct cfi_builder *c, size_t numbers_max);
void cfi_builder_release(struct cfi_builder *c);
/* Byte code of one expression; appended to out. */
void cfi_compile(struct cfi_builder *c, struct str expression, bytes_vec *out);

/* The finished file in one block (caller frees). */
bool builder_image(struct builder *b, uint64_t stamp, void **ret_p, size_t *ret_n, struct err *err);

/* Packing */
enum { VARINT_MAX = 10 }; /* bytes */

/*
 * p has room for VARINT_MAX bytes; the result is behind the number.  One byte, two or three is as
 * good as random from record to record, so those are written without asking; longer ones are rare.
 */
static inline uint8_t *write_varint(uint8_t *p, uint64_t v)
{
    if (v < 0x200000) {
        uint32_t low = (uint32_t)v, second = low >= 0x80, third = low >= 0x4000;
        low = (low & 0x7f) | (low & 0x3f80) << 1 | (low & 0x1fc000) << 2;
        low |= second << 7 | third << 15;
        memcpy(p, &low, sizeof low);
        return p + 1 + second + third;
    }
    for (; v >= 0x80; v >>= 7)
        *p++ = (uint8_t)(v | 0x80);
    *p++ = (uint8_t)v;
    return p;
}

static inline void put_varint(bytes_vec *out, uint64_t v)
{
    VEC_RESERVE(out, out->n + VARINT_MAX);
    out->n = (size_t)(write_varint(out->v + out->n, v) - out->v);
}

void put_u32(bytes_vec *out, uint32_t v);
void put_u64(bytes_vec *out, uint64_t v);
void put_bytes(bytes_vec *out, const void *p, size_t n);

/* One run: call run_record before each record; true at the start of a block, where the state
 * of the deltas starts afresh. */
struct run_out {
    bytes_vec *out;
    size_t table, data; /* offsets in out */
    size_t i;
};
void run_begin(struct run_out *r, bytes_vec *out, size_t count);
void run_block(struct run_out *r, uint32_t key); /* run_record's second half */

static inline bool run_record(struct run_out *r, uint32_t key)
{
    if (r->i++ % CSYM_BLOCK != 0)
        return false;
    run_block(r, key);
    return true;
}

/*
 * What follows is in line, since what a line record costs is what compiling costs.
 *
 * A number may be used before its record is read, or never get one.  Nothing is asked about the
 * number before it: whether neighbours are of one file is as good as random, and guessing that
 * costs the processor more than looking it up again.
 */
static inline uint32_t index_of(const struct index_of *t, uint32_t number)
{
    return number < t->small.n ? t->small.v[number] : 0;
}

static inline uint32_t builder_file_index(struct builder *b, uint32_t number)
{
    uint32_t i = index_of(&b->file_index, number);
    return i ? i - 1 : builder_new_file(b, number);
}

static inline uint32_t builder_origin_index(struct builder *b, uint32_t number)
{
    uint32_t i = index_of(&b->origin_index, number);
    return i ? i - 1 : builder_new_origin(b, number);
}

/* Lines that touch and say the same become one. */
static inline bool is_joined(const struct line_record *last, const struct line_record *r)
{
    return ((last->end ^ r->start) | (last->line ^ r->line) | (last->file ^ r->file)) == 0;
}

/* Compilers give lines in order and apart; what comes otherwise is settled at the end. */
static inline bool builder_line(struct builder *b, uint64_t addr, uint32_t size, uint32_t line,
                                uint32_t file)
{
    if (b->owner != OWNER_KEPT)
        return b->owner == OWNER_DROPPED;
    struct line_record r = {.start = addr, .end = addr + size, .line = line};
    if (r.end <= r.start)
        return true;
    r.file = builder_file_index(b, file);
    uint64_t from = b->open.start;
    if (b->lines.n > 0) {
        const struct line_record *last = &b->lines.v[b->lines.n - 1];
        b->lines_joined += is_joined(last, &r);
        from = last->end;
    }
    if (r.start < from || r.end > b->open.start + b->open.size)
        b->lines_settled = false;
    VEC_PUSH(&b->lines, r);
    return true;
}

#endif
