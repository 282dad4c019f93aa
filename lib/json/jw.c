/*
 * JSON as it is written, without a tree in between: a walk's report names every frame of every
 * thread, and jansson would keep each member as an object of its own before the first byte is out.
 *
 * The writer knows for each open level whether it has members, and so puts commas and line breaks
 * by itself; that keys and values alternate is the caller's part.  Whatever the texts are, the
 * result is valid JSON in UTF-8: broken sequences become U+FFFD.
 */
#include "lib/json/jw.h"

#include <assert.h>

#include "lib/base/str.h"
#include "lib/base/util.h"

void jw_init(struct jw *w, struct strbuf *out, bool is_pretty)
{
    *w = (struct jw){.out = out, .is_pretty = is_pretty};
}

static void new_line(struct jw *w)
{
    if (!w->is_pretty)
        return;
    sb_char(w->out, '\n');
    for (int i = 0; i < w->depth; i++)
        sb_put(w->out, "  ", 2);
}

/* Comma and line break in front of an item of the innermost list or object. */
static void before_item(struct jw *w)
{
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (w->depth == 0)
        return;
    if (w->has_items[w->depth - 1])
        sb_char(w->out, ',');
    w->has_items[w->depth - 1] = true;
    new_line(w);
}

static void open_level(struct jw *w, char opener, char closer)
{
    before_item(w);
    assert(w->depth < JW_DEPTH_MAX);
    sb_char(w->out, opener);
    w->closer[w->depth] = closer;
    w->has_items[w->depth++] = false;
}

void jw_object(struct jw *w)
{
    open_level(w, '{', '}');
}

void jw_array(struct jw *w)
{
    open_level(w, '[', ']');
}

/* An empty object or list is closed at once, as "{}", also when the text is indented. */
void jw_end(struct jw *w)
{
    assert(w->depth > 0 && !w->after_key);
    w->depth--;
    if (w->has_items[w->depth])
        new_line(w);
    sb_char(w->out, w->closer[w->depth]);
}

/*
 * Bytes from `off` that stand for themselves inside a JSON string. Names and hexadecimal numbers
 * are plain from end to end, so they are copied in one piece.
 */
static size_t plain_run(struct str s, size_t off)
{
    size_t n = off;
    while (n < s.n && (uint8_t)s.p[n] >= 0x20 && (uint8_t)s.p[n] < 0x7f && s.p[n] != '"' &&
           s.p[n] != '\\')
        n++;
    return n - off;
}

/*
 * Invalid UTF-8 comes out of utf8_next as U+FFFD.  Only what RFC 8259 (7) demands is escaped, and
 * DEL, which terminals do not show.
 */
static void put_string(struct strbuf *b, struct str s)
{
    sb_char(b, '"');
    size_t off = 0;
    while (off < s.n) {
        size_t run = plain_run(s, off);
        sb_put(b, s.p + off, run);
        off += run;
        if (off == s.n)
            break;
        char out[4];
        uint32_t cp = utf8_next(s, &off);
        if (cp == '"' || cp == '\\')
            sb_put(b, (char[]){'\\', (char)cp}, 2);
        else if (cp == '\n')
            sb_put(b, "\\n", 2);
        else if (cp < 0x20 || cp == 0x7f)
            sb_printf(b, "\\u%04x", (unsigned)cp);
        else
            sb_put(b, out, utf8_put(out, cp));
    }
    sb_char(b, '"');
}

/* The value that follows belongs to the key: no comma and no new line in front of it. */
void jw_key(struct jw *w, const char *key)
{
    before_item(w);
    put_string(w->out, str_of(key));
    sb_put(w->out, ": ", w->is_pretty ? 2 : 1);
    w->after_key = true;
}

void jw_text(struct jw *w, struct str s)
{
    before_item(w);
    if (s.p)
        put_string(w->out, s);
    else
        sb_put(w->out, "null", 4);
}

void jw_int(struct jw *w, int64_t v)
{
    before_item(w);
    char text[24];
    sb_put(w->out, text, (size_t)snprintf(text, sizeof text, "%lld", (long long)v));
}

void jw_bool(struct jw *w, bool v)
{
    jw_raw(w, v ? STR("true") : STR("false"));
}

void jw_null(struct jw *w)
{
    jw_raw(w, STR("null"));
}

/* Digits from the last to the first; at least as many as asked for, more when the value has
 * more. */
void jw_hex(struct jw *w, uint64_t v, int digits)
{
    static const char hex[] = "0123456789abcdef";
    char text[24];
    size_t at = sizeof text;
    text[--at] = '"';
    for (int i = 0; i < digits || v; i++, v >>= 4)
        text[--at] = hex[v & 15];
    text[--at] = 'x';
    text[--at] = '0';
    text[--at] = '"';
    before_item(w);
    sb_put(w->out, text + at, sizeof text - at);
}

/* Written as it is, without indentation inside. */
void jw_raw(struct jw *w, struct str json)
{
    before_item(w);
    sb_str(w->out, json);
}

void jw_tree(struct jw *w, const json_t *v)
{
    if (!v) {
        jw_null(w);
        return;
    }
    FREE_LATER char *text = jdump(v, NULL);
    jw_raw(w, str_of(text));
}
