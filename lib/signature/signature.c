/*
 * The entry point: makes the state that the rules share, runs them, hands over what they made.
 *
 * Every change of the signature goes through sig_set(), which writes it to the debug log: reading
 * that log from top to bottom tells how a signature came about.  Notes are public and have fixed
 * texts; the debug log quotes names and is for those who may see everything.
 *
 * Nothing fails here.  A crash of which nothing is known has a signature, too, one that says so,
 * for a report without a signature would belong to no group and be seen by nobody.  And the same
 * input gives the same signature wherever it is made: in the processor, on the command line, in a
 * preview of new lists.  So the lists are handed in, and nothing is read from files, clock or
 * database.
 */
#include "lib/signature/signature.h"

#include "lib/base/str.h"
#include "lib/signature/gen.h"

/* Behind the name of the rule that is at work; what is longer than a signature may be is cut. */
__attribute__((format(printf, 3, 0))) static void add_line(const char *rule, json_t *list,
                                                           const char *fmt, va_list ap)
{
    STRBUF_AUTO text = {0};
    sb_init(&text, SIG_TEXT_MAX);
    if (rule)
        sb_printf(&text, "%s: ", rule);
    sb_vprintf(&text, fmt, ap);
    json_array_append_new(list, jtext(sb_view(&text)));
}

void sig_note(struct sig_gen *g, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add_line(g->rule, g->out->notes, fmt, ap);
    va_end(ap);
}

void sig_debug(struct sig_gen *g, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add_line(g->rule, g->out->debug, fmt, ap);
    va_end(ap);
}

/* The old text is released last: the new one may be a part of it. */
void sig_set(struct sig_gen *g, struct str text)
{
    struct str old = sb_view(&g->signature);
    if (str_eq(old, text))
        return;
    sig_debug(g, "change signature: \"" STR_FMT "\" -> \"" STR_FMT "\"", STR_ARG(old),
              STR_ARG(text));
    struct strbuf fresh;
    sb_init(&fresh, SIG_TEXT_MAX);
    sb_str(&fresh, text);
    sb_release(&g->signature);
    g->signature = fresh;
}

void sig_prefix(struct sig_gen *g, const char *prefix)
{
    STRBUF_AUTO text = {0};
    sb_init(&text, SIG_TEXT_MAX);
    sb_text(&text, prefix);
    sb_str(&text, sb_view(&g->signature));
    sig_set(g, sb_view(&text));
}

static void begin_signature(struct sig_gen *g, const struct siglists *l, const json_t *crash_data,
                            struct signature_result *ret)
{
    *ret = (struct signature_result){
        .notes = json_array(), .debug = json_array(), .extra = json_object()};
    *g = (struct sig_gen){.lists = l, .data = crash_data, .out = ret};
    sb_init(&g->signature, SIG_TEXT_MAX);
}

/* A crash without any signature has this one, by which people find such crashes. */
static void end_signature(struct sig_gen *g)
{
    if (g->signature.n == 0)
        sig_set(g, STR("EMPTY: no frame data available"));
    g->out->signature = jtext(sb_view(&g->signature));
    sb_release(&g->signature);
}

void signature_generate(const struct siglists *l, const json_t *crash_data,
                        struct signature_result *ret)
{
    struct sig_gen g;
    begin_signature(&g, l, crash_data, ret);
    sig_run_rules(&g);
    end_signature(&g);
}

/* The frames alone, without what the other rules put in front of them. */
void signature_of_stack(const struct siglists *l, const json_t *crash_data,
                        struct signature_result *ret)
{
    struct sig_gen g;
    begin_signature(&g, l, crash_data, ret);
    sig_choose_frames(&g, sig_thread_index(crash_data));
    end_signature(&g);
}

void signature_result_release(struct signature_result *r)
{
    json_decref(r->signature);
    json_decref(r->proto_signature);
    json_decref(r->frames);
    json_decref(r->notes);
    json_decref(r->debug);
    json_decref(r->extra);
    *r = (struct signature_result){0};
}
