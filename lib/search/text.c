/*
 * Words of text fields, pieces of semi fields, and wildcards.
 *
 * Words are cut by the rules of Unicode annex 29 as far as they matter for what crashes say, with
 * GLib's tables for the classes of characters.  What people search for shows in the exceptions that
 * the rules make: `break_your_browser` and `0x7fff12ab` are one word, `xul.dll` and `1.2.3` too,
 * but `mozilla::js` is two.  The index keeps whole values; they are cut when a search runs, by the
 * same code as the words of the query.
 *
 * Everything is compared in lower case by Unicode's simple mapping, which turns a character into
 * one character: the full one depends on the language.
 */
#include "lib/search/text.h"

#include <glib.h>

enum char_class {
    OTHER,
    LETTER,
    DIGIT,
    JOINER,   /* _ and its kin: sticks to everything */
    KATAKANA, /* runs stay together */
    SINGLE,   /* ideographs and hiragana: a token each */
    EXTEND,   /* marks and format characters: belong to what stands before */
};

/* ASCII first: nearly all of it is, and the tables are slow. */
static enum char_class class_of(uint32_t c)
{
    if (c < 0x80) {
        uint32_t lower = c | 0x20;
        if (lower >= 'a' && lower <= 'z')
            return LETTER;
        if (c >= '0' && c <= '9')
            return DIGIT;
        return c == '_' ? JOINER : OTHER;
    }
    if ((c >= 0x30a1 && c <= 0x30fa) || (c >= 0x30fc && c <= 0x30ff) ||
        (c >= 0x31f0 && c <= 0x31ff) || (c >= 0xff66 && c <= 0xff9d))
        return KATAKANA;
    switch (g_unichar_type(c)) {
    case G_UNICODE_LOWERCASE_LETTER:
    case G_UNICODE_UPPERCASE_LETTER:
    case G_UNICODE_TITLECASE_LETTER:
    case G_UNICODE_MODIFIER_LETTER:
    case G_UNICODE_LETTER_NUMBER:
        return LETTER;
    case G_UNICODE_OTHER_LETTER: {
        GUnicodeScript script = g_unichar_get_script(c);
        return script == G_UNICODE_SCRIPT_HAN || script == G_UNICODE_SCRIPT_HIRAGANA ? SINGLE
                                                                                     : LETTER;
    }
    case G_UNICODE_DECIMAL_NUMBER:
        return DIGIT;
    case G_UNICODE_CONNECT_PUNCTUATION:
        return JOINER;
    case G_UNICODE_NON_SPACING_MARK:
    case G_UNICODE_SPACING_MARK:
    case G_UNICODE_ENCLOSING_MARK:
        return EXTEND;
    case G_UNICODE_FORMAT:
        return c == 0x200b ? OTHER : EXTEND; /* zero width space separates */
    default:
        return OTHER;
    }
}

/* MidLetter and MidNum of annex 29, without the rare ones. */
static bool joins_letters(uint32_t c)
{
    return c == '.' || c == ':' || c == '\'' || c == 0x2019 || c == 0xb7;
}

static bool joins_digits(uint32_t c)
{
    return c == '.' || c == ',' || c == ';' || c == '\'';
}

static uint32_t lower_of(uint32_t c)
{
    if (c < 0x80)
        return c >= 'A' && c <= 'Z' ? c + 32 : c;
    return g_unichar_tolower(c);
}

/* The character at off, and where the next one begins; 0 (which separates) at the end. */
static uint32_t char_at(struct str s, size_t off, size_t *ret_after)
{
    *ret_after = off;
    if (off >= s.n)
        return 0;
    uint8_t c = (uint8_t)s.p[off];
    if (c < 0x80) {
        *ret_after = off + 1;
        return c;
    }
    return utf8_next(s, ret_after);
}

static void append_character(struct text_tokens *t, uint32_t c)
{
    if (c < 0x80)
        t->buf[t->n++] = (char)lower_of(c);
    else
        t->n += utf8_put(t->buf + t->n, lower_of(c));
}

/*
 * Whether a character of class `next` goes on with a token whose last class is `last`.  An
 * ideograph is a word of its own, since nobody writes blanks between them; a mark belongs to
 * whatever it stands on.
 */
static bool sticks(enum char_class last, enum char_class next)
{
    switch (next) {
    case LETTER:
    case DIGIT:
        return last == LETTER || last == DIGIT || last == JOINER;
    case JOINER:
        return last != SINGLE;
    case KATAKANA:
        return last == KATAKANA || last == JOINER;
    case EXTEND:
        return true;
    default:
        return false;
    }
}

void text_tokens_init(struct text_tokens *t, struct str text)
{
    t->text = text;
    t->off = 0;
    t->n = 0;
}

/*
 * Reads the rest of a token whose first character, of class `last`, is in the buffer.  After
 * TOKEN_CHARS_MAX characters it is cut and the next token begins there.  A mark that belongs to the
 * character before (EXTEND) does not change what may follow.  False: the token is of joiners alone,
 * "___", and no word.
 */
static bool finish_token(struct text_tokens *t, enum char_class last)
{
    bool has_word = last != JOINER;
    for (size_t chars = 1; chars < TOKEN_CHARS_MAX; chars++) {
        size_t after;
        uint32_t c = char_at(t->text, t->off, &after);
        enum char_class k = class_of(c);
        if (k == OTHER) {
            /* a single joining character between two letters or two digits does not split */
            bool may_join =
                (last == LETTER && joins_letters(c)) || (last == DIGIT && joins_digits(c));
            size_t unused;
            if (!may_join || chars + 1 >= TOKEN_CHARS_MAX ||
                class_of(char_at(t->text, after, &unused)) != last)
                break;
            append_character(t, c);
            t->off = after;
            continue;
        }
        if (!sticks(last, k))
            break;
        append_character(t, c);
        t->off = after;
        if (k != EXTEND)
            last = k;
        has_word = has_word || (k != EXTEND && k != JOINER);
    }
    return has_word;
}

bool text_tokens_next(struct text_tokens *t, struct str *ret_token)
{
    while (t->off < t->text.n) {
        size_t after;
        uint32_t c = char_at(t->text, t->off, &after);
        t->off = after;
        enum char_class k = class_of(c);
        if (k == OTHER || k == EXTEND)
            continue;
        t->n = 0;
        append_character(t, c);
        if (finish_token(t, k)) {
            *ret_token = str_n(t->buf, t->n);
            return true;
        }
    }
    return false;
}

/* Not in place: "İ" is two bytes and its lower case one, others grow. */
struct str text_lower(struct arena *a, struct str s)
{
    char *out = arena_alloc(a, s.n * 4 + 1); /* one byte may become a longer character */
    size_t n = 0;
    for (size_t off = 0; off < s.n;) {
        uint32_t c = char_at(s, off, &off);
        n += utf8_put(out + n, lower_of(c));
    }
    return str_n(out, n);
}

/* Queries have few words, so a list will do for the distinct ones. */
static bool has_text(const struct strs *list, struct str s)
{
    for (size_t i = 0; i < list->n; i++)
        if (str_eq(list->v[i], s))
            return true;
    return false;
}

struct strs text_semi(struct arena *a, struct str s)
{
    struct str rest = text_lower(a, s), part;
    size_t count = 1;
    for (size_t i = 0; i < rest.n; i++)
        count += rest.p[i] == ';';
    struct strs out = {.v = arena_array(a, count, sizeof(struct str))};
    while (str_split(&rest, ';', &part))
        if (part.n > 0)
            out.v[out.n++] = part;
    return out;
}

struct strs text_words(struct arena *a, struct str s)
{
    struct strs out = {.v = arena_array(a, s.n / 2 + 1, sizeof(struct str))};
    struct text_tokens t;
    struct str token;
    text_tokens_init(&t, s);
    while (text_tokens_next(&t, &token))
        if (!has_text(&out, token))
            out.v[out.n++] = str_copy(a, token);
    return out;
}

/* An escaped character is taken as it is; a '\' at the end stands for itself. */
void wildcard_init(struct arena *a, struct wildcard *w, struct str value)
{
    char *pattern = arena_alloc(a, value.n + 1);
    w->kinds = arena_alloc(a, value.n + 1);
    w->is_literal = true;
    size_t n = 0;
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        if (c == '\\' && i + 1 < value.n) {
            c = value.p[++i];
        } else if (c == '*' || c == '?') {
            w->kinds[n] = (uint8_t)c;
            w->is_literal = false;
        }
        pattern[n++] = c;
    }
    w->pattern = str_n(pattern, n);
}

static size_t char_bytes(struct str s, size_t off)
{
    size_t n = 1;
    while (off + n < s.n && ((uint8_t)s.p[off + n] & 0xc0) == 0x80)
        n++;
    return n;
}

/*
 * Pattern against text; an open start or end stands for a '*' there.  On a misfit only the last '*'
 * takes one more character: an earlier one could only bring the pattern to where it stands now, at
 * a later place of the text.  So this takes pattern times text at worst, however many '*' there
 * are.  '?' and what '*' takes are whole characters, everything else is compared by bytes.
 */
static bool wildcard_matches(const struct wildcard *w, struct str t, bool open_start, bool open_end)
{
    size_t p = 0, s = 0, star_s = 0;
    size_t star_p = open_start ? 0 : SIZE_MAX;
    for (;;) {
        if (p == w->pattern.n) {
            if (open_end || s == t.n)
                return true;
        } else if (w->kinds[p] == '*') {
            star_p = ++p;
            star_s = s;
            continue;
        } else if (s < t.n && (w->kinds[p] == '?' || w->pattern.p[p] == t.p[s])) {
            s += w->kinds[p] == '?' ? char_bytes(t, s) : 1;
            p++;
            continue;
        }
        if (star_p == SIZE_MAX || star_s >= t.n)
            return false;
        star_s += char_bytes(t, star_s);
        s = star_s;
        p = star_p;
    }
}

bool wildcard_contains(const struct wildcard *w, struct str text)
{
    if (w->is_literal)
        return str_find(text, w->pattern, 0) != SIZE_MAX;
    return wildcard_matches(w, text, true, true);
}

bool wildcard_prefix(const struct wildcard *w, struct str text)
{
    return w->is_literal ? str_starts(text, w->pattern) : wildcard_matches(w, text, false, true);
}

bool wildcard_suffix(const struct wildcard *w, struct str text)
{
    return w->is_literal ? str_ends(text, w->pattern) : wildcard_matches(w, text, true, false);
}
