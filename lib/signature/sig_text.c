/*
 * Blanks and line ends of Unicode, as Python's strip() and splitlines() know them: signatures that
 * exist were cut with those.  Texts are valid UTF-8 or at least never read beyond their end; a byte
 * that begins no character counts as one.
 *
 * Why not the C library: its isspace() knows the bytes of a locale and no U+2028, and a line end
 * that is not seen makes another signature of the same crash, which nobody would find again.  Both
 * sets below are those of Python 3 (str.isspace and str.splitlines), character by character.
 */
#include "lib/signature/sig_text.h"

#include "lib/base/util.h"

static bool is_space(uint32_t cp)
{
    return (cp >= 0x09 && cp <= 0x0d) || (cp >= 0x1c && cp <= 0x20) || cp == 0x85 || cp == 0xa0 ||
           cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200a) || cp == 0x2028 || cp == 0x2029 ||
           cp == 0x202f || cp == 0x205f || cp == 0x3000;
}

static bool is_line_end(uint32_t cp)
{
    return (cp >= 0x0a && cp <= 0x0d) || (cp >= 0x1c && cp <= 0x1e) || cp == 0x85 || cp == 0x2028 ||
           cp == 0x2029;
}

/* Start of the character that ends at `end` (> 0): back over at most three bytes of the form
 * 10xxxxxx, which never begin one. */
static size_t char_start(struct str s, size_t end)
{
    size_t at = end - 1;
    while (at > 0 && end - at < 4 && ((unsigned char)s.p[at] & 0xc0) == 0x80)
        at--;
    return at;
}

struct str text_trim(struct str s)
{
    size_t start = 0, next;
    while (start < s.n && (next = start, is_space(utf8_next(s, &next))))
        start = next;
    size_t end = s.n;
    while (end > start) {
        size_t at = char_start(s, end);
        next = at;
        if (!is_space(utf8_next(s, &next)))
            break;
        end = at;
    }
    return str_sub(s, start, end - start);
}

/* CR LF is one end and not two, as in every protocol that has it. */
bool text_next_line(struct str *rest, struct str *ret_line)
{
    if (rest->n == 0)
        return false;
    size_t at = 0, next = 0;
    uint32_t cp = 0;
    while (at < rest->n && (next = at, cp = utf8_next(*rest, &next), !is_line_end(cp)))
        at = next;
    *ret_line = str_sub(*rest, 0, at);
    if (at < rest->n && cp == '\r' && next < rest->n && rest->p[next] == '\n')
        next++;
    *rest = str_sub(*rest, MAX(at, next), SIZE_MAX);
    return true;
}

/* ASCII alone: signatures are typed, compared and put into addresses. */
void text_put_printable(struct strbuf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] >= ' ' && s.p[i] <= '~')
            sb_char(out, s.p[i]);
}

bool text_contains(struct str s, const char *needle)
{
    return str_find(s, str_of(needle), 0) != SIZE_MAX;
}

/* Characters and not bytes, as the limits of signatures count: every byte that begins one. */
size_t text_chars(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

struct str text_of(const json_t *obj, const char *key)
{
    struct str s = jget_strn(obj, key);
    return s.p ? s : STR("");
}
