/*
 * What makes a text safe in a page: escaping, the check of addresses, the writer for HTML made in
 * C, and percent-encoding.  The rest of the library decides by the type of a value which of them
 * it gets (tpl.h).
 */
#include "lib/tpl/tpl.h"

#include <assert.h>
#include <stdarg.h>

#include "lib/base/str.h"
#include "lib/tpl/tpl_internal.h"

/* Characters that stand for themselves.  Nearly all do, so they are copied in runs. */
static bool is_plain(char c)
{
    switch (c) {
    case '&':
    case '<':
    case '>':
    case '"':
    case '\'':
        return false;
    case '\t':
    case '\n':
    case '\r':
        return true;
    default:
        return c >= 0x20 && c < 0x7F;
    }
}

/*
 * Escaping in one place, for text in an element and in a quoted attribute alike: the five
 * characters that can end either are written as references.  Text keeps tab and line feeds; other
 * control characters and broken UTF-8 become U+FFFD, because no HTML document may hold them.  That
 * also keeps the bytes of TPL_TRAILER out of every value.
 */
void tpl_escape(struct strbuf *b, struct str s)
{
    for (size_t off = 0; off < s.n;) {
        size_t start = off;
        while (off < s.n && is_plain(s.p[off]))
            off++;
        sb_put(b, s.p + start, off - start);
        if (off == s.n)
            return;
        start = off;
        uint32_t cp = utf8_next(s, &off);
        switch (cp) {
        case '&':
            sb_text(b, "&amp;");
            break;
        case '<':
            sb_text(b, "&lt;");
            break;
        case '>':
            sb_text(b, "&gt;");
            break;
        case '"':
            sb_text(b, "&quot;");
            break;
        case '\'':
            sb_text(b, "&#39;");
            break;
        case 0xFFFD:
            sb_text(b, "\xEF\xBF\xBD");
            break;
        default:
            if ((cp < 0x20 && cp != '\t' && cp != '\n' && cp != '\r') || (cp >= 0x7F && cp < 0xA0))
                sb_text(b, "\xEF\xBF\xBD");
            else
                sb_put(b, s.p + start, off - start);
        }
    }
}

/*
 * An allow-list, because browsers read addresses more freely than any list of bad ones foresees:
 * they drop tabs and line feeds inside "java\tscript:", take "\\" for "/", and "//host" for another
 * host.
 */
bool url_is_safe(struct str url)
{
    for (size_t i = 0; i < url.n; i++)
        if ((unsigned char)url.p[i] <= 0x20 || url.p[i] == 0x7F || url.p[i] == '\\')
            return false;
    if (str_starts_nocase(url, STR("http://")) || str_starts_nocase(url, STR("https://")))
        return true;
    if (url.n == 0 || url.p[0] == '?' || url.p[0] == '#')
        return true;
    return url.p[0] == '/' && (url.n == 1 || url.p[1] != '/');
}

/*
 * The writer, for the few tables that are written in C.  It has three doors: literals of the
 * program go in as they are, text and links are escaped, and numbers are printed by a format that
 * can hold nothing else.  So what comes out as `struct html` needs no second look by anybody.
 */
void html_init(struct html_writer *w, size_t max)
{
    sb_init(&w->b, max);
}

void html_release(struct html_writer *w)
{
    sb_release(&w->b);
}

void html_markup(struct html_writer *w, struct str literal)
{
    sb_str(&w->b, literal);
}

void html_text(struct html_writer *w, struct str s)
{
    tpl_escape(&w->b, s);
}

void html_url(struct html_writer *w, struct str url)
{
    html_text(w, url_is_safe(url) ? url : STR("#"));
}

/* %s and %c would let a value in unescaped: the format is checked, not what it prints. */
static bool only_numbers(const char *fmt)
{
    for (const char *p = fmt; *p; p++) {
        if (*p != '%')
            continue;
        p += 1 + strspn(p + 1, "0123456789.-+ #'lzjh");
        if (!*p || !strchr("dufxX%", *p))
            return false;
    }
    return true;
}

void html_printf(struct html_writer *w, const char *fmt, ...)
{
    assert(only_numbers(fmt));
    va_list ap;
    va_start(ap, fmt);
    sb_vprintf(&w->b, fmt, ap);
    va_end(ap);
}

struct html html_done(struct html_writer *w, struct arena *a)
{
    struct html h = {str_copy(a, sb_view(&w->b))};
    html_release(w);
    return h;
}

/* All but the unreserved characters of RFC 3986, section 2.3; so the result fits everywhere. */
void url_encode_to(struct strbuf *b, struct str s)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                     c == '-' || c == '_' || c == '.' || c == '~';
        if (plain) {
            sb_char(b, (char)c);
        } else {
            const char hex[3] = {'%', digits[c >> 4], digits[c & 15]};
            sb_put(b, hex, 3);
        }
    }
}

struct str url_encode(struct arena *a, struct str s)
{
    STRBUF_AUTO b;
    sb_init(&b, s.n * 3);
    url_encode_to(&b, s);
    return str_copy(a, sb_view(&b));
}
