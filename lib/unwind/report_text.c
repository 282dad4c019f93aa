/*
 * The result of a walk as text for people: what crashed and what the crashing instruction says,
 * then the crashed thread, the other threads, the modules.  The order and the words at the start of
 * lines are those of the stack walkers that people know, so that eyes and scripts find their way;
 * what only ours concludes (bit flips, contradictions) has lines of its own.  Programs read the
 * JSON (report_json.c), which has everything.
 */
#include "lib/unwind/report.h"

#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/minidump/context.h"
#include "lib/minidump/mdmp.h"
#include "lib/minidump/process.h"
#include "lib/unwind/analysis.h"
#include "lib/unwind/facts.h"
#include "lib/unwind/walk.h"
#include "lib/unwind/walk_symbols.h"

/* Chosen: six fit a line of a wide terminal.  Names are padded to the longest, eflags. */
enum { REGISTERS_PER_LINE = 6, REGISTER_NAME_MAX = 6 };

static void put_address(const struct walk_report *r, struct strbuf *out, uint64_t v)
{
    sb_printf(out, "0x%0*llx", facts_address_digits(r->facts), (unsigned long long)v);
}

/* Only what the analysis found: a crash it has nothing to say about has no lines here. */
static void put_analysis(const struct walk_report *r, struct strbuf *out)
{
    const struct analysis *a = r->analysis;
    if (a->adjustment == ADJUST_NULL_POINTER)
        sb_printf(out, "    adjusted: null pointer, offset 0x%llx\n",
                  (unsigned long long)a->adjusted);
    else if (a->adjustment == ADJUST_NON_CANONICAL)
        sb_printf(out, "    adjusted: non-canonical address 0x%llx\n",
                  (unsigned long long)a->adjusted);
    if (a->has_instruction)
        sb_printf(out, "Crashing instruction: `%s`\n", a->instruction);
    for (size_t i = 0; i < a->access_count; i++) {
        const char *kind = access_kind_name(a->accesses[i].kind);
        sb_printf(out, "    %s of %u bytes at ", kind ? kind : "access", a->accesses[i].bytes);
        put_address(r, out, a->accesses[i].address);
        sb_text(out, a->accesses[i].is_guard_page ? ", a guard page\n" : "\n");
    }
    for (size_t i = 0; i < a->flip_count; i++) {
        sb_text(out, "Possible bit flip: ");
        put_address(r, out, a->flips[i].address);
        sb_printf(out, ", confidence %.3f\n", (double)a->flips[i].confidence);
    }
    for (size_t i = 0; i < a->inconsistency_count; i++)
        sb_printf(out, "Inconsistency: %s\n", a->inconsistencies[i]);
}

/*
 * Second lines are indented to the value above them, as people know it from other walkers.  Texts
 * of the dump go through report_put_text, for they may hold escape sequences of a terminal.
 */
static void put_header(const struct walk_report *r, struct strbuf *out)
{
    const struct facts *f = r->facts;
    sb_printf(out, "Operating system: %s\n                  ", f->system.os_name);
    report_put_text(out, f->system.os_ver);
    sb_printf(out, "\nCPU: %s\n", f->system.cpu_arch);
    if (f->system.cpu_info.p) {
        sb_text(out, "     ");
        report_put_text(out, f->system.cpu_info);
        sb_char(out, '\n');
    }
    sb_printf(out, "     %u CPU%s\n", f->system.cpu_count, f->system.cpu_count == 1 ? "" : "s");
    struct mdmp_lsb lsb;
    if (mdmp_lsb_read(&f->dump, &lsb)) {
        sb_text(out, "Linux ");
        report_put_text(out, lsb.id);
        sb_char(out, ' ');
        report_put_text(out, lsb.release);
        sb_text(out, " - ");
        report_put_text(out, lsb.codename);
        sb_text(out, " (");
        report_put_text(out, lsb.description);
        sb_text(out, ")\n");
    }
    sb_char(out, '\n');
    if (f->has_exception) {
        sb_text(out, "Crash reason:  ");
        report_put_text(out, f->reason);
        sb_text(out, "\nCrash address: ");
        put_address(r, out, f->crash_address);
        sb_char(out, '\n');
        put_analysis(r, out);
    } else {
        sb_text(out, "No crash\n");
    }
    if (f->process.has_create_time)
        sb_printf(out, "Process uptime: %lld seconds\n",
                  (long long)MAX((int64_t)f->dump.time_s - (int64_t)f->process.create_time_s,
                                 INT64_C(0)));
    else
        sb_text(out, "Process uptime: not available\n");
}

/* Those that the dump has, in the order of the CPU's layout and not of their names. */
static void put_registers(const struct mdmp_context *c, struct strbuf *out)
{
    int on_line = 0;
    for (uint8_t i = 0; i < c->layout->reg_count; i++) {
        uint64_t value;
        if (!mdmp_reg_get(c, i, &value))
            continue;
        if (on_line == REGISTERS_PER_LINE) {
            sb_char(out, '\n');
            on_line = 0;
        }
        sb_printf(out, "%s%*s = 0x%0*llx", on_line ? " " : "    ", REGISTER_NAME_MAX,
                  c->layout->regs[i].name, c->layout->regs[i].bytes * 2, (unsigned long long)value);
        on_line++;
    }
    sb_char(out, '\n');
}

/*
 * module!function [file : line + offset], as far as it is known; else the place in the module; else
 * the address.
 */
static void put_place(const struct walk_report *r, struct strbuf *out,
                      const struct walk_frame *frame)
{
    struct str name;
    uint64_t offset;
    if (!report_place(r, frame, &name, &offset)) {
        put_address(r, out, frame->instruction);
        return;
    }
    report_put_text(out, name);
    if (!frame->function.p) {
        sb_printf(out, " + 0x%llx", (unsigned long long)offset);
        return;
    }
    sb_char(out, '!');
    report_put_text(out, frame->function);
    if (frame->file.n && frame->line) {
        sb_text(out, " [");
        report_put_text(out, frame->file);
        sb_printf(out, " : %u + 0x%llx]", frame->line,
                  (unsigned long long)(frame->instruction - frame->function_addr));
    } else {
        sb_printf(out, " + 0x%llx",
                  (unsigned long long)(frame->instruction - frame->function_addr));
    }
}

/* Inlined functions have numbers of their own, as debuggers do it, and no registers. */
static void put_frame(const struct walk_report *r, struct strbuf *out,
                      const struct walk_frame *frame, size_t *number)
{
    for (size_t i = 0; i < frame->inline_count; i++) {
        const struct walk_inline *in = &frame->inlines[i];
        sb_printf(out, "%2zu  ", (*number)++);
        report_put_text(out, r->facts->modules.v[frame->module].file);
        sb_char(out, '!');
        report_put_text(out, in->function);
        if (in->file.n && in->line) {
            sb_text(out, " [");
            report_put_text(out, in->file);
            sb_printf(out, " : %u]", in->line);
        }
        sb_text(out, "\n    Found by: inlining\n");
    }
    sb_printf(out, "%2zu  ", (*number)++);
    put_place(r, out, frame);
    sb_char(out, '\n');
}

/*
 * Registers are those of the first frame, as the dump has them; for the others they would be
 * conclusions.
 */
static void put_thread(const struct walk_report *r, struct strbuf *out, size_t index)
{
    const struct mdmp_thread *t = &r->facts->threads.v[index];
    const struct walk_stack *stack = &r->walk->stacks[index];
    bool is_crashing = index == r->facts->crashing_thread;
    sb_printf(out, "\nThread %zu ", index);
    report_put_text(out, t->name);
    sb_printf(out, "%s%s - tid: %u\n", t->name.n ? " " : "", is_crashing ? "(crashed)" : "", t->id);
    size_t number = 0;
    for (size_t i = 0; i < stack->n && !out->overflow; i++) {
        put_frame(r, out, &stack->frames[i], &number);
        if (i == 0)
            put_registers(&stack->context, out);
        sb_printf(out, "    Found by: %s\n", walk_trust_text(stack->frames[i].trust));
    }
    if (stack->n == 0)
        sb_text(out, "<no frames>\n");
    if (stack->is_cut)
        sb_text(out, "(cut at the limit of frames)\n");
}

/* A module without symbols is marked only if it was asked for, which is where frames lie. */
static void put_modules(const struct walk_report *r, struct strbuf *out)
{
    sb_text(out, "\nLoaded modules:\n");
    for (size_t i = 0; i < r->facts->modules.n && !out->overflow; i++) {
        const struct mdmp_module *m = &r->facts->modules.v[i];
        const struct module_symbols *s = walk_symbols_state(r->symbols, i);
        put_address(r, out, m->base);
        sb_text(out, " - ");
        put_address(r, out, m->base + m->size - 1);
        sb_text(out, "  ");
        report_put_text(out, m->file);
        sb_printf(out, "  %s%s%s\n", m->version ? m->version : "???", i == 0 ? "  (main)" : "",
                  s->is_corrupt   ? "  (CORRUPT SYMBOLS)"
                  : s->is_missing ? "  (WARNING: No symbols)"
                                  : "");
    }
    sb_text(out, "\nUnloaded modules:\n");
    for (size_t i = 0; i < r->facts->unloaded.n && !out->overflow; i++) {
        const struct mdmp_unloaded *m = &r->facts->unloaded.v[i];
        put_address(r, out, m->base);
        sb_text(out, " - ");
        put_address(r, out, m->base + m->size - 1);
        sb_text(out, "  ");
        report_put_text(out, mdmp_base_name(m->path));
        sb_char(out, '\n');
    }
}

/* The crashed thread first, since that is what people open a report for. */
void report_text(const struct walk_report *r, struct strbuf *out)
{
    put_header(r, out);
    size_t crashing = r->facts->crashing_thread;
    if (crashing != SIZE_MAX)
        put_thread(r, out, crashing);
    if (r->is_brief)
        return;
    for (size_t i = 0; i < r->facts->threads.n; i++)
        if (i != crashing)
            put_thread(r, out, i);
    put_modules(r, out);
}
