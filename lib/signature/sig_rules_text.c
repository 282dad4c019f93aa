/*
 * Two rules whose text comes from an annotation: what a program said when it aborted, and what a
 * shutdown was waiting for.  Both are written by programs in formats of their own, so the work here
 * is to keep what is the same for the same cause: no places in files, no lists of fonts, conditions
 * in one order.
 */
#include <assert.h>

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/signature/gen.h"
#include "lib/signature/sig_text.h"

enum { ABORT_CHARS_MAX = 80 }; /* Socorro's: the signatures exist with just so much of it */

static struct str text_before(struct str s, const char *what)
{
    return str_sub(s, 0, str_find(s, str_of(what), 0));
}

/* Writes s without what stands between the first '(' and the last ')'. */
static void put_without_parentheses(struct strbuf *out, struct str s)
{
    size_t open = str_find_char(s, '(', 0), close = str_rfind_char(s, ')');
    if (open == SIZE_MAX || close == SIZE_MAX) {
        sb_str(out, s);
        return;
    }
    sb_str(out, str_sub(s, 0, open));
    sb_str(out, str_sub(s, close + 1, SIZE_MAX));
}

/*
 * Takes the text behind "###!!! ABORT:" up to the place (": file NAME, line N"), 80 characters of
 * it, and puts it in front of the signature.
 */
void sig_abort_message(struct sig_gen *g, struct str message)
{
    if (text_contains(message, "###!!! ABORT: file ")) {
        sig_prefix(g, "Abort | "); /* the rest is only a place */
        return;
    }
    struct str mark = STR("###!!! ABORT:");
    size_t at = str_find(message, mark, 0);
    if (at != SIZE_MAX)
        message = str_sub(message, at + mark.n, SIZE_MAX);
    message = text_before(message, ": file ");

    STRBUF_AUTO whole = {0};
    STRBUF_AUTO clean = {0};
    STRBUF_AUTO text = {0};
    sb_init(&whole, SIG_TEXT_MAX);
    sb_init(&clean, SIG_TEXT_MAX);
    sb_init(&text, SIG_TEXT_MAX);
    if (text_contains(message, "unable to find a usable font"))
        put_without_parentheses(&whole, message); /* it lists the fonts */
    else
        sb_str(&whole, message);
    text_put_printable(&clean, sb_view(&whole));
    message = str_trim(sb_view(&clean));

    bool is_long = message.n > ABORT_CHARS_MAX;
    sb_text(&text, "Abort | ");
    sb_str(&text, str_sub(message, 0, is_long ? ABORT_CHARS_MAX - 3 : SIZE_MAX));
    sb_text(&text, is_long ? "... | " : " | ");
    sb_str(&text, sb_view(&g->signature));
    sig_set(g, sb_view(&text));
}

/*
 * The annotation is JSON: {"phase": TEXT, "conditions": [...]}. What the phase waited for comes in
 * any order, so it is sorted; what is no text is written as Python would write it, since those are
 * the signatures that exist.  A phase waits for some ten conditions.
 */
enum { CONDITIONS_MAX = 10000 };

/* A condition is a text or an object with a name; other values are written out. */
static bool put_condition(struct strbuf *out, const json_t *v)
{
    if (json_is_object(v)) {
        v = json_object_get(v, "name");
        if (!v)
            return false;
    }
    if (json_is_string(v)) {
        sb_put(out, json_string_value(v), json_string_length(v));
    } else if (json_is_null(v)) {
        sb_text(out, "None");
    } else if (json_is_boolean(v)) {
        sb_text(out, json_is_true(v) ? "True" : "False");
    } else {
        FREE_LATER char *text = json_dumps(v, JSON_ENCODE_ANY);
        sb_text(out, text ? text : "");
    }
    return true;
}

static int by_bytes(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void put_sorted(struct strbuf *out, struct str *names, size_t n)
{
    qsort(names, n, sizeof *names, by_bytes); /* in UTF-8 the order of code points */
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            sb_char(out, ',');
        sb_str(out, names[i]);
    }
}

/* The conditions, sorted; false if one of them has no name. */
static bool put_conditions(struct strbuf *out, const json_t *conditions)
{
    size_t n = MIN(json_array_size(conditions), (size_t)CONDITIONS_MAX);
    if (n == 0) {
        sb_text(out, "(none)");
        return true;
    }
    STRBUF_AUTO all = {0};
    sb_init(&all, SIG_TEXT_MAX);
    FREE_LATER size_t *ends = xcalloc(n, sizeof *ends);
    FREE_LATER struct str *names = xcalloc(n, sizeof *names);
    for (size_t i = 0; i < n; i++) {
        if (!put_condition(&all, json_array_get(conditions, i)))
            return false;
        ends[i] = all.n;
    }
    for (size_t i = 0; i < n; i++) /* only now does the buffer stay where it is */
        names[i] = str_sub(sb_view(&all), i ? ends[i - 1] : 0, ends[i] - (i ? ends[i - 1] : 0));
    put_sorted(out, names, n);
    return true;
}

static void put_shutdown_parts(struct sig_gen *g, const json_t *doc, struct strbuf *out)
{
    if (!json_is_object(doc)) {
        sig_note(g, "Error parsing AsyncShutdownTimeout: not a valid JSON object");
        sb_text(out, " | UNKNOWN");
        return;
    }
    struct str phase = jget_strn(doc, "phase");
    sb_text(out, " | ");
    sb_str(out, phase.p ? phase : STR("(unknown)"));
    sb_text(out, " | ");
    size_t before_conditions = out->n;
    if (!put_conditions(out, jget_arr(doc, "conditions"))) {
        sig_note(g, "Error parsing AsyncShutdownTimeout: condition without name");
        assert(out->n == before_conditions);
        sb_text(out, "UNKNOWN");
    }
}

/*
 * The stack is replaced as a whole and goes to the notes. A document that cannot be read still
 * gives a signature of its own.
 */
void sig_shutdown_timeout(struct sig_gen *g, struct str json)
{
    struct err err = {0};
    json_auto_t *doc = jparse(json, JSON_BYTES_MAX, &err);
    STRBUF_AUTO text = {0};
    sb_init(&text, SIG_TEXT_MAX);
    sb_text(&text, "AsyncShutdownTimeout");
    put_shutdown_parts(g, doc, &text);
    sig_note(g, "Signature replaced with a Shutdown Timeout signature, was: \"" STR_FMT "\"",
             STR_ARG(sb_view(&g->signature)));
    sig_set(g, sb_view(&text));
}
