/*
 * Threads and frames of the JSON report.  Keys are written in sorted order and every key
 * is always there; registers are in the first frame of the crashing thread's copy only,
 * because only protected readers may see them.
 */
#include "lib/unwind/report.h"

#include <stdlib.h>

#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/jw.h"
#include "lib/minidump/context.h"
#include "lib/unwind/facts.h"
#include "lib/unwind/walk.h"

/*
 * An address that was in use again and again by libraries which came and went; the first 256 by
 * name tell enough.
 */
enum { UNLOADED_HITS_MAX = 256 };

static void write_inlines(const struct walk_frame *frame, struct jw *w)
{
    if (frame->inline_count == 0) {
        jw_null(w);
        return;
    }
    jw_array(w);
    for (size_t i = 0; i < frame->inline_count; i++) {
        const struct walk_inline *in = &frame->inlines[i];
        jw_object(w);
        jw_key(w, "file");
        jw_text(w, in->file.n ? in->file : STR_NONE);
        jw_key(w, "function");
        jw_text(w, in->function);
        jw_key(w, "line");
        if (in->line)
            jw_int(w, in->line);
        else
            jw_null(w);
        jw_end(w);
    }
    jw_end(w);
}

/*
 * Only for frames outside of all loaded modules: code that lay there before is no explanation for
 * code that lies there now.  Hits are sorted by name, so those of one module follow each other.
 */
static void write_unloaded(const struct walk_report *r, const struct walk_frame *frame,
                           struct jw *w)
{
    struct unloaded_hit hits[UNLOADED_HITS_MAX];
    size_t n = frame->module != SIZE_MAX
                   ? 0
                   : report_unloaded_at(r->facts, frame->instruction, hits, ARRAY_LEN(hits));
    if (n == 0) {
        jw_null(w);
        return;
    }
    int digits = facts_address_digits(r->facts);
    jw_array(w);
    for (size_t i = 0; i < n;) {
        struct str module = hits[i].module;
        jw_object(w);
        jw_key(w, "module");
        jw_text(w, module);
        jw_key(w, "offsets");
        jw_array(w);
        for (; i < n && str_eq(hits[i].module, module); i++)
            jw_hex(w, hits[i].offset, digits);
        jw_end(w);
        jw_end(w);
    }
    jw_end(w);
}

static int by_register_name(const void *pa, const void *pb, void *arg)
{
    const struct mdmp_reg *regs = arg;
    return strcmp(regs[*(const uint8_t *)pa].name, regs[*(const uint8_t *)pb].name);
}

/* By name, since all keys of the document are sorted; each in its own width. */
static void write_registers(const struct mdmp_context *c, struct jw *w)
{
    uint8_t order[MDMP_REG_MAX];
    const struct mdmp_layout *l = c->layout;
    for (uint8_t i = 0; i < l->reg_count; i++)
        order[i] = i;
    qsort_r(order, l->reg_count, sizeof *order, by_register_name, (void *)l->regs);
    jw_object(w);
    for (uint8_t i = 0; i < l->reg_count; i++) {
        uint64_t value;
        if (mdmp_reg_get(c, order[i], &value)) {
            jw_key(w, l->regs[order[i]].name);
            jw_hex(w, value, l->regs[order[i]].bytes * 2);
        }
    }
    jw_end(w);
}

/*
 * registers NULL: not this frame's business.  "missing_symbols" is about the frame: true also where
 * a module has symbols but none for this address.
 */
static void write_frame(const struct walk_report *r, const struct walk_frame *frame, size_t index,
                        const struct mdmp_context *registers, struct jw *w)
{
    int digits = facts_address_digits(r->facts);
    jw_object(w);
    jw_key(w, "file");
    jw_text(w, frame->file.n ? frame->file : STR_NONE);
    jw_key(w, "frame");
    jw_int(w, (int64_t)index);
    jw_key(w, "function");
    jw_text(w, frame->function);
    jw_key(w, "function_offset");
    if (frame->function.p)
        jw_hex(w, frame->instruction - frame->function_addr, digits);
    else
        jw_null(w);
    jw_key(w, "inlines");
    write_inlines(frame, w);
    jw_key(w, "line");
    if (frame->line)
        jw_int(w, frame->line);
    else
        jw_null(w);
    jw_key(w, "missing_symbols");
    jw_bool(w, frame->function.p == NULL);
    struct str place = STR_NONE;
    uint64_t offset;
    bool has_place = report_place(r, frame, &place, &offset);
    jw_key(w, "module");
    jw_text(w, place);
    jw_key(w, "module_offset");
    if (has_place)
        jw_hex(w, offset, digits);
    else
        jw_null(w);
    jw_key(w, "offset");
    jw_hex(w, frame->instruction, digits);
    if (registers) {
        jw_key(w, "registers");
        write_registers(registers, w);
    }
    jw_key(w, "trust");
    jw_text(w, str_of(walk_trust_name(frame->trust)));
    jw_key(w, "unloaded_modules");
    write_unloaded(r, frame, w);
    jw_end(w);
}

/* frame_count is of the walk; readers cut long stacks later and keep this number. */
static void write_thread(const struct walk_report *r, size_t index, bool is_crashing_copy,
                         struct jw *w)
{
    const struct mdmp_thread *t = &r->facts->threads.v[index];
    const struct walk_stack *stack = &r->walk->stacks[index];
    jw_object(w);
    jw_key(w, "frame_count");
    jw_int(w, (int64_t)stack->n);
    jw_key(w, "frames");
    jw_array(w);
    for (size_t i = 0; i < stack->n && !w->out->overflow; i++)
        write_frame(r, &stack->frames[i], i, is_crashing_copy && i == 0 ? &stack->context : NULL,
                    w);
    jw_end(w);
    jw_key(w, "last_error_value");
    jw_text(w, report_last_error(r, index));
    jw_key(w, "thread_id");
    jw_int(w, t->id);
    jw_key(w, "thread_name");
    jw_text(w, t->name);
    if (is_crashing_copy) {
        jw_key(w, "threads_index");
        jw_int(w, (int64_t)index);
    }
    jw_end(w);
}

void report_threads(const struct walk_report *r, struct jw *w)
{
    jw_array(w);
    for (size_t i = 0; i < r->facts->threads.n && !w->out->overflow; i++)
        write_thread(r, i, false, w);
    jw_end(w);
}

/*
 * The same thread once more, at the top of the document, because the rules look there;
 * "threads_index" says which of them it is.
 */
void report_crashing_thread(const struct walk_report *r, struct jw *w)
{
    write_thread(r, r->facts->crashing_thread, true, w);
}
