/*
 * Frame data of 32-bit x86, which has no unwind tables in its programs: the linker gathers what the
 * compiler said about each function's stack into a stream of records of 32 bytes (FRAMEDATA of
 * Microsoft's cvinfo.h; the stream is called new FPO data).  A record holds from a place in a
 * function to its end or to the next record inside, so records overlap; readers of STACK WIN let
 * the later start end the earlier record, and get them in that order.
 *
 * How to find the caller's registers is a program in postfix form, whose text stands in "/names".
 * It is what STACK WIN records hold, word for word.
 *
 * The older stream has records of 16 bytes (FPO_DATA of winnt.h), which linkers before 2002 wrote
 * alone and later ones beside the programs: how much lies on the stack, without a program.  Readers
 * prefer the programs where there are both.
 */
#include "tools/dump-syms/pdb_frames.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/rd.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"

enum {
    FRAMEDATA_BYTES = 32,
    FPO_BYTES = 16,
    FPO_KIND_AT = 14, /* of the attributes' 16 bits: 8 prolog, 3 registers, 5 flags with this */
    FPO_KIND_NO_FRAME_POINTER = 0, /* FRAME_FPO */
    WORD_BYTES = 4,
};

struct frame_data {
    uint32_t start, size, locals, params, stack_max, program;
    uint16_t prolog, saved_regs;
};

struct fpo_data {
    uint32_t start, size, local_words;
    uint16_t param_words, attributes;
};

static int by_start(const void *a, const void *b)
{
    const struct frame_data *x = a, *y = b;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return x->size > y->size ? -1 : x->size < y->size; /* the function before a part of it */
}

static struct frame_data read_frame(struct rd *r)
{
    struct frame_data d = {.start = rd_u32(r)};
    d.size = rd_u32(r);
    d.locals = rd_u32(r);
    d.params = rd_u32(r);
    d.stack_max = rd_u32(r);
    d.program = rd_u32(r);
    d.prolog = rd_u16(r);
    d.saved_regs = rd_u16(r);
    rd_skip(r, 4); /* flags: exception handlers, the start of a function */
    return d;
}

/* The epilog is known to nobody; the last number in front of the program says that there is one. */
static void write_frame(const struct frame_data *d, struct str names, struct sym *s)
{
    const char *text = names.p + d->program;
    struct str program = str_n(text, strnlen(text, names.n - d->program));
    program = str_trim(program);
    if (program.n == 0)
        return;
    sb_printf(&s->win, "STACK WIN 4 %x %x %x 0 %x %x %x %x 1 " STR_FMT "\n", d->start, d->size,
              d->prolog, d->params, d->saved_regs, d->locals, d->stack_max,
              STR_ARG(sym_clean(s, program)));
}

void pdb_add_frames(const struct pdb_file *f, uint32_t stream, struct str names, uint32_t image_end,
                    struct sym *s)
{
    STRBUF_AUTO b = {0};
    VEC(struct frame_data) all = {0};
    if (stream == PDB_STREAM_NONE || !pdb_read_stream(f, stream, &b))
        return;
    struct rd r = rd_init(sb_cstr(&b), b.n);
    while (rd_left(&r) >= FRAMEDATA_BYTES) {
        struct frame_data d = read_frame(&r);
        if (d.size > 0 && d.start < image_end && d.size <= image_end - d.start &&
            d.program < names.n)
            VEC_PUSH(&all, d);
    }
    if (all.n)
        qsort(all.v, all.n, sizeof *all.v, by_start);
    for (size_t i = 0; i < all.n; i++)
        if (i == 0 || by_start(&all.v[i - 1], &all.v[i]) != 0)
            write_frame(&all.v[i], names, s);
    VEC_RELEASE(&all);
}

/*
 * winnt.h counts what lies on the stack in words of four bytes.  Of the four kinds of frames only
 * those without a frame pointer are what STACK WIN 0 means; traps and task gates are never walked
 * through, and the rest has a chain of frame pointers that is followed without being told.
 */
static void write_fpo(const struct fpo_data *d, struct sym *s)
{
    unsigned prolog = d->attributes & 0xff, saved_words = d->attributes >> 8 & 7;
    bool uses_bp = d->attributes >> 12 & 1;
    sb_printf(&s->win, "STACK WIN 0 %x %x %x 0 %llx %x %llx 0 0 %d\n", d->start, d->size, prolog,
              (unsigned long long)WORD_BYTES * d->param_words, saved_words * WORD_BYTES,
              (unsigned long long)WORD_BYTES * d->local_words, uses_bp);
}

void pdb_add_old_frames(const struct pdb_file *f, uint32_t stream, uint32_t image_end,
                        struct sym *s)
{
    STRBUF_AUTO b = {0};
    if (stream == PDB_STREAM_NONE || !pdb_read_stream(f, stream, &b))
        return;
    struct rd r = rd_init(sb_cstr(&b), b.n);
    uint64_t end = 0; /* of the records before; the linker sorts them */
    while (rd_left(&r) >= FPO_BYTES) {
        struct fpo_data d = {.start = rd_u32(&r)};
        d.size = rd_u32(&r);
        d.local_words = rd_u32(&r);
        d.param_words = rd_u16(&r);
        d.attributes = rd_u16(&r);
        if (d.attributes >> FPO_KIND_AT != FPO_KIND_NO_FRAME_POINTER || d.size == 0 ||
            d.start >= image_end || d.size > image_end - d.start || d.start < end ||
            d.local_words > UINT32_MAX / WORD_BYTES)
            continue;
        write_fpo(&d, s);
        end = (uint64_t)d.start + d.size;
    }
}
