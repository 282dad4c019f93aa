/*
 * "crash_info" of the JSON report: reason, address, and what the crashing instruction says of both
 * (analysis.c).  The names of kinds and inconsistencies are searched for by people and rules, so
 * they are part of the format.  Confidences are written with the fewest digits that give the same
 * float back, because that is how the documents that ours are compared with have them.
 */
#include "lib/base/str.h"
#include "lib/json/jw.h"
#include "lib/minidump/mdmp.h"
#include "lib/minidump/process.h"
#include "lib/unwind/analysis.h"
#include "lib/unwind/facts.h"
#include "lib/unwind/report.h"

#include <stdio.h>

static void key_null(struct jw *w, const char *key)
{
    jw_key(w, key);
    jw_null(w);
}

/*
 * What the address means where the CPU could not say it: an offset from a null pointer, or the
 * address that was no canonical one.
 */
static void write_adjusted(const struct walk_report *r, struct jw *w)
{
    const struct analysis *a = r->analysis;
    int digits = facts_address_digits(r->facts);
    if (a->adjustment == ADJUST_NONE) {
        jw_null(w);
        return;
    }
    bool is_null = a->adjustment == ADJUST_NULL_POINTER;
    jw_object(w);
    if (!is_null) {
        jw_key(w, "address");
        jw_hex(w, a->adjusted, digits);
    }
    jw_key(w, "kind");
    jw_text(w, is_null ? STR("null-pointer") : STR("non-canonical"));
    if (is_null) {
        jw_key(w, "offset");
        jw_hex(w, a->adjusted, digits);
    }
    jw_end(w);
}

/* null where there is no exception to be inconsistent; an empty list says that it was looked at. */
static void write_inconsistencies(const struct walk_report *r, struct jw *w)
{
    if (!r->facts->has_exception) {
        jw_null(w);
        return;
    }
    jw_array(w);
    for (size_t i = 0; i < r->analysis->inconsistency_count; i++)
        jw_text(w, str_of(r->analysis->inconsistencies[i]));
    jw_end(w);
}

/* Written only where it is true, as in the documents that ours are compared with. */
static void key_guard(struct jw *w, bool is_guard)
{
    if (!is_guard)
        return;
    jw_key(w, "is_likely_guard_page");
    jw_bool(w, true);
}

/* Where the instruction would have gone: of a call or jump. */
static void write_update(const struct walk_report *r, struct jw *w)
{
    const struct analysis *a = r->analysis;
    if (!a->has_update) {
        jw_null(w);
        return;
    }
    jw_object(w);
    jw_key(w, "address");
    jw_hex(w, a->update, facts_address_digits(r->facts));
    key_guard(w, a->update_is_guard_page);
    jw_end(w);
}

/*
 * null: nothing is known, because the instruction could not be read or an operand is relative to a
 * segment; an empty list: it accesses no memory.
 */
static void write_accesses(const struct walk_report *r, struct jw *w)
{
    const struct analysis *a = r->analysis;
    if (!a->has_accesses) {
        jw_null(w);
        return;
    }
    jw_array(w);
    for (size_t i = 0; i < a->access_count; i++) {
        const struct memory_access *m = &a->accesses[i];
        jw_object(w);
        if (m->kind != ACCESS_UNKNOWN) {
            jw_key(w, "access_type");
            jw_text(w, str_of(access_kind_name(m->kind)));
        }
        jw_key(w, "address");
        jw_hex(w, m->address, facts_address_digits(r->facts));
        key_guard(w, m->is_guard_page);
        jw_key(w, "size");
        if (m->bytes)
            jw_int(w, m->bytes);
        else
            jw_null(w);
        jw_end(w);
    }
    jw_end(w);
}

/* The shortest decimal that gives the same float back.  Nine digits always do. */
static void write_float(struct jw *w, float v)
{
    char text[32];
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)v);
        if (strtof(text, NULL) == v)
            break;
    }
    if (!strchr(text, '.') && !strchr(text, 'e')) /* a float stays one in every reader */
        snprintf(text, sizeof text, "%.1f", (double)v);
    jw_raw(w, str_of(text));
}

/*
 * The details are what the confidence was computed from (analysis.c), so that a rule may weigh them
 * in another way.
 */
static void write_flip(const struct walk_report *r, const struct bit_flip *flip, struct jw *w)
{
    jw_object(w);
    jw_key(w, "address");
    jw_hex(w, flip->address, facts_address_digits(r->facts));
    jw_key(w, "confidence");
    write_float(w, flip->confidence);
    jw_key(w, "details");
    jw_object(w);
    jw_key(w, "is_null");
    jw_bool(w, flip->is_null);
    jw_key(w, "nearby_registers");
    jw_int(w, flip->nearby_registers);
    jw_key(w, "poison_registers");
    jw_bool(w, flip->has_poison);
    jw_key(w, "was_low");
    jw_bool(w, flip->was_low);
    jw_key(w, "was_non_canonical");
    jw_bool(w, flip->was_non_canonical);
    jw_end(w);
    jw_key(w, "source_register");
    jw_text(w, flip->source_register == MDMP_REG_NONE
                   ? STR_NONE
                   : str_of(r->facts->layout->regs[flip->source_register].name));
    jw_end(w);
}

static void write_flips(const struct walk_report *r, struct jw *w)
{
    if (r->analysis->flip_count == 0) {
        jw_null(w);
        return;
    }
    jw_array(w);
    for (size_t i = 0; i < r->analysis->flip_count; i++)
        write_flip(r, &r->analysis->flips[i], w);
    jw_end(w);
}

/* The assertion is read here and not with the facts: only this report shows it. */
void report_crash_info(const struct walk_report *r, struct jw *w)
{
    const struct facts *f = r->facts;
    struct mdmp_pool pool = f->pool;
    struct str assertion = STR_NONE;
    mdmp_assertion_read(&f->dump, &pool, &assertion);
    jw_object(w);
    if (f->has_exception) {
        jw_key(w, "address");
        jw_hex(w, f->crash_address, facts_address_digits(f));
    } else {
        key_null(w, "address");
    }
    jw_key(w, "adjusted_address");
    write_adjusted(r, w);
    jw_key(w, "assertion");
    jw_text(w, assertion);
    jw_key(w, "crash_inconsistencies");
    write_inconsistencies(r, w);
    jw_key(w, "crashing_thread");
    if (f->crashing_thread != SIZE_MAX)
        jw_int(w, (int64_t)f->crashing_thread);
    else
        jw_null(w);
    jw_key(w, "instruction");
    jw_text(w, r->analysis->has_instruction ? str_of(r->analysis->instruction) : STR_NONE);
    jw_key(w, "instruction_pointer_update");
    write_update(r, w);
    jw_key(w, "memory_accesses");
    write_accesses(r, w);
    jw_key(w, "possible_bit_flips");
    write_flips(r, w);
    jw_key(w, "type");
    jw_text(w, f->reason);
    jw_end(w);
}
