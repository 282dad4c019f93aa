/*
 * Text parts in other charsets than UTF-8.  The list is closed: iconv knows hundreds of names, some
 * of them with state or side effects ("//TRANSLIT", "UTF-7"), and a name out of a stranger's header
 * never reaches it.
 */
#include "fcgi/collector/charset.h"

#include <errno.h>
#include <iconv.h>
#include <strings.h>

#include "lib/base/str.h"
#include "lib/base/util.h"

/* What clients have been seen to send, and its name for iconv; NULL: UTF-8 itself. */
/* clang-format off */
static const struct {
    const char *name, *iconv_name;
} charsets[] = {
    {"utf-8", NULL}, {"utf8", NULL},
    {"us-ascii", "US-ASCII"}, {"ascii", "US-ASCII"},
    {"iso-8859-1", "ISO-8859-1"}, {"iso8859-1", "ISO-8859-1"}, {"latin-1", "ISO-8859-1"},
    {"latin1", "ISO-8859-1"}, {"iso-8859-15", "ISO-8859-15"},
    {"windows-1252", "WINDOWS-1252"}, {"cp1252", "WINDOWS-1252"},
    {"windows-1251", "WINDOWS-1251"}, {"cp1251", "WINDOWS-1251"},
    {"utf-16", "UTF-16"}, {"utf-16le", "UTF-16LE"}, {"utf-16be", "UTF-16BE"},
    {"shift_jis", "SHIFT_JIS"}, {"euc-jp", "EUC-JP"}, {"gbk", "GBK"}, {"gb2312", "GB2312"},
    {"gb18030", "GB18030"}, {"big5", "BIG5"}, {"euc-kr", "EUC-KR"}, {"koi8-r", "KOI8-R"},
};
/* clang-format on */

/* Piece by piece, so that the output's limit holds however much a charset grows. */
static bool convert_to_utf8(struct str bytes, const char *from, struct strbuf *out)
{
    iconv_t cd = iconv_open("UTF-8", from);
    if (cd == (iconv_t)-1) /* NOLINT: how iconv says no */
        return false;
    FREE_LATER char *piece = xmalloc(4096);
    char *in = (char *)bytes.p; /* iconv does not change its input */
    size_t in_n = bytes.n;
    bool ok = true, more = true;
    while (ok && more) {
        char *to = piece;
        size_t to_n = 4096;
        more = iconv(cd, &in, &in_n, &to, &to_n) == (size_t)-1;
        ok = !more || errno == E2BIG;
        sb_put(out, piece, 4096 - to_n);
    }
    iconv_close(cd);
    return ok && !out->overflow && utf8_valid(sb_view(out));
}

bool charset_decode(struct str bytes, const char *charset, struct strbuf *out)
{
    for (size_t i = 0; i < ARRAY_LEN(charsets); i++) {
        if (strcasecmp(charsets[i].name, charset) != 0)
            continue;
        if (charsets[i].iconv_name)
            return convert_to_utf8(bytes, charsets[i].iconv_name, out);
        if (!utf8_valid(bytes))
            return false;
        sb_str(out, bytes);
        return !out->overflow;
    }
    return false;
}
