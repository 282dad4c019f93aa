/*
 * The body is scanned for CR; from there the bytes are compared with the delimiter.  When the
 * input ends before the comparison is decided, the undecided bytes wait in `hold` (a few hundred
 * at most) and the next piece is peeked at behind them.
 *
 * The line end before a delimiter belongs to the delimiter (RFC 2046, section 5.1.1).  At the start
 * of the body, and behind a header block, that line end has been read already or never was there:
 * the hold then begins with a borrowed one, which counts for the comparison and is never data.  So
 * a part may end with its header block, as empty values of Android clients do.
 */
#include "lib/web/multipart.h"

#include <assert.h>

#include "lib/base/util.h"
#include "lib/web/params.h"

enum { LINE_END = 2, HEADER_BUFFER = LINE_END + MULTIPART_HEADER_MAX + 2 * LINE_END };

static void borrow_line_end(struct multipart *m)
{
    memcpy(m->hold, "\r\n", LINE_END);
    m->hold_n = m->borrowed = LINE_END;
}

bool multipart_init(struct multipart *m, struct str boundary, const struct multipart_events *events,
                    void *arg, struct err *err)
{
    boundary = str_rtrim(boundary);
    if (boundary.n == 0 || boundary.n > MULTIPART_BOUNDARY_MAX)
        return err_set(err, ERR_INVALID, "boundary of %zu characters", boundary.n);
    for (size_t i = 0; i < boundary.n; i++)
        if ((unsigned char)boundary.p[i] < ' ')
            return err_set(err, ERR_INVALID, "boundary with a control character");
    *m = (struct multipart){.events = events, .arg = arg, .delimiter_n = boundary.n + 4};
    memcpy(m->delimiter, "\r\n--", 4);
    memcpy(m->delimiter + 4, boundary.p, boundary.n);
    borrow_line_end(m);
    sb_init(&m->header, HEADER_BUFFER);
    sb_init(&m->name, MULTIPART_HEADER_MAX);
    sb_init(&m->filename, MULTIPART_HEADER_MAX);
    sb_init(&m->content_type, MULTIPART_HEADER_MAX);
    return true;
}

void multipart_release(struct multipart *m)
{
    sb_release(&m->header);
    sb_release(&m->name);
    sb_release(&m->filename);
    sb_release(&m->content_type);
}

static bool bad(struct multipart *m, struct err *err, const char *what)
{
    m->is_structure = true;
    return err_set(err, ERR_INVALID, "%s", what);
}

/*
 * UNDECIDED: the input ended before it could be told; NEXT and LAST are the two kinds of delimiter.
 */
enum verdict { UNDECIDED, IS_DATA, IS_NEXT, IS_LAST };

/* What the bytes at p, which start with CR, are; *ret_len is the length of a delimiter. */
static enum verdict judge(const struct multipart *m, const uint8_t *p, size_t n, size_t *ret_len)
{
    if (memcmp(p, m->delimiter, MIN(n, m->delimiter_n)) != 0)
        return IS_DATA;
    if (n <= m->delimiter_n)
        return UNDECIDED;
    size_t i = m->delimiter_n;
    if (p[i] == '-') {
        if (n == i + 1)
            return UNDECIDED;
        *ret_len = i + 2;
        return p[i + 1] == '-' ? IS_LAST : IS_DATA;
    }
    size_t padding_end = i + MULTIPART_PADDING_MAX;
    while (i < n && i < padding_end && (p[i] == ' ' || p[i] == '\t'))
        i++;
    if (i == n)
        return UNDECIDED;
    if (p[i] != '\r')
        return IS_DATA;
    if (i + 1 == n)
        return UNDECIDED;
    *ret_len = i + 2;
    return p[i + 1] == '\n' ? IS_NEXT : IS_DATA;
}

/* Data before the first delimiter is the preamble, which RFC 2046 says to ignore. */
static bool emit(struct multipart *m, const uint8_t *p, size_t n, struct err *err)
{
    if (m->state != MULTIPART_BODY || n == 0)
        return true; /* preamble */
    return m->events->data(m->arg, p, n, err);
}

static bool delimiter_seen(struct multipart *m, enum verdict v, struct err *err)
{
    if (m->state == MULTIPART_BODY && !m->events->end(m->arg, err))
        return false;
    m->state = v == IS_LAST ? MULTIPART_EPILOGUE : MULTIPART_HEADERS;
    m->hold_n = m->borrowed = 0;
    /* The block begins with the line end of the delimiter, so that every line has one before it. */
    sb_reset(&m->header);
    sb_put(&m->header, "\r\n", LINE_END);
    m->header_line = 0;
    return true;
}

/* Settles the held bytes with the help of the new ones; *used of those are consumed. */
static bool scan_hold(struct multipart *m, const uint8_t *p, size_t n, size_t *used,
                      struct err *err)
{
    *used = 0;
    size_t peek = MIN(n, sizeof m->hold - m->hold_n), len = 0;
    memcpy(m->hold + m->hold_n, p, peek);
    enum verdict v = judge(m, m->hold, m->hold_n + peek, &len);
    if (v == UNDECIDED) {
        assert(peek == n); /* hold has room for the longest delimiter */
        m->hold_n += peek;
        *used = peek;
        return true;
    }
    if (v != IS_DATA) {
        assert(len > m->hold_n); /* else it had been decided before */
        *used = len - m->hold_n;
        return delimiter_seen(m, v, err);
    }
    const uint8_t *next = memchr(m->hold + 1, '\r', m->hold_n - 1);
    size_t done = next ? (size_t)(next - m->hold) : m->hold_n, borrowed = m->borrowed;
    assert(done >= borrowed); /* the borrowed CR is the first byte, its LF no CR */
    m->borrowed = 0;
    if (!emit(m, m->hold + borrowed, done - borrowed, err))
        return false;
    memmove(m->hold, m->hold + done, m->hold_n - done);
    m->hold_n -= done;
    return true;
}

/* Scans without copying up to a delimiter, or to bytes that have to be held. */
static bool scan_to_delimiter(struct multipart *m, const uint8_t *p, size_t n, size_t *used,
                              struct err *err)
{
    size_t at = 0;
    while (at < n) {
        const uint8_t *cr = memchr(p + at, '\r', n - at);
        if (!cr)
            break;
        size_t i = (size_t)(cr - p), len = 0;
        enum verdict v = judge(m, cr, n - i, &len);
        if (v == IS_DATA) {
            at = i + 1;
            continue;
        }
        if (!emit(m, p, i, err))
            return false;
        if (v == UNDECIDED) {
            m->hold_n = n - i;
            memcpy(m->hold, cr, m->hold_n);
            *used = n;
            return true;
        }
        *used = i + len;
        return delimiter_seen(m, v, err);
    }
    *used = n;
    return emit(m, p, n, err);
}

static bool is_ascii(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    return true;
}

/*
 * What a part's headers say; others are passed over, as RFC 7578 wants it.  Of a header that comes
 * twice the last one counts.
 */
struct part_headers {
    struct str disposition, type, encoding; /* p NULL: not seen */
};

static void take_header(struct part_headers *h, struct str line)
{
    size_t colon = str_find_char(line, ':', 0);
    if (colon == SIZE_MAX)
        return;
    struct str name = str_trim(str_sub(line, 0, colon));
    struct str value = str_trim(str_sub(line, colon + 1, SIZE_MAX));
    if (str_eq_nocase(name, STR("Content-Disposition")))
        h->disposition = value;
    else if (str_eq_nocase(name, STR("Content-Type")))
        h->type = value;
    else if (str_eq_nocase(name, STR("Content-Transfer-Encoding")))
        h->encoding = value;
}

/* Joins folded lines in place (CR LF and a blank become blanks), then cuts the block into lines. */
static bool split_headers(struct multipart *m, struct part_headers *h, struct err *err)
{
    char *p = m->header.p;
    size_t n = m->header.n;
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '\n' && (i == 0 || p[i - 1] != '\r'))
            return bad(m, err, "bare line feed in a part header");
        if (p[i] == '\r' && i + 2 < n && p[i + 1] == '\n' && (p[i + 2] == ' ' || p[i + 2] == '\t'))
            p[i] = p[i + 1] = ' ';
    }
    struct str rest = str_n(p, n), line;
    while (str_split(&rest, '\n', &line))
        take_header(h, line);
    return true;
}

/*
 * Browsers write filename="…" in the page's encoding, others filename*=UTF-8''…; the plain one
 * counts unless it is empty.  A transfer encoding that changes bytes (base64, quoted-printable)
 * belongs to mail: nobody sends it, and taking the bytes as they are would store something else
 * than was sent.  A part without type is text/plain by definition; whether it said so is passed on,
 * since some clients mark files only that way.
 */
static bool begin_part(struct multipart *m, struct err *err)
{
    struct part_headers h = {0};
    if (!split_headers(m, &h, err))
        return false;
    if (h.encoding.n && !str_eq_nocase(h.encoding, STR("binary")) &&
        !str_eq_nocase(h.encoding, STR("8bit")) && !str_eq_nocase(h.encoding, STR("7bit")))
        return bad(m, err, "unsupported transfer encoding of a part");
    sb_reset(&m->name);
    sb_reset(&m->filename);
    sb_reset(&m->content_type);
    header_param(h.disposition, "name", &m->name);
    if (!header_param(h.disposition, "filename", &m->filename) || m->filename.n == 0)
        header_param_extended(h.disposition, "filename", &m->filename);
    sb_str(&m->content_type, h.type.n ? h.type : STR("text/plain"));
    const struct multipart_part part = {
        .name = sb_view(&m->name),
        .filename = sb_view(&m->filename),
        .content_type = sb_view(&m->content_type),
        .has_type = h.type.n > 0,
        .is_undecodable = !utf8_valid(sb_view(&m->name)) || !is_ascii(h.type),
    };
    m->state = MULTIPART_BODY;
    borrow_line_end(m);
    return m->events->begin(m->arg, &part, err);
}

/*
 * Collects the header block up to its empty line.  A delimiter ends it as well: a sender that left
 * the empty line out has a part without data, and the parts behind it are not lost.
 */
static bool read_headers(struct multipart *m, const uint8_t *p, size_t n, size_t *used,
                         struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        sb_char(&m->header, (char)p[i]);
        size_t have = m->header.n - m->header_line, len = 0; /* the line, its line end before it */
        const uint8_t *line = (const uint8_t *)m->header.p + m->header_line;
        enum verdict v = have > m->delimiter_n ? judge(m, line, have, &len) : UNDECIDED;
        *used = i + 1;
        if (v == IS_NEXT || v == IS_LAST) {
            m->header.n = m->header_line + LINE_END;
            return begin_part(m, err) && delimiter_seen(m, v, err);
        }
        if (p[i] == '\n' && have == 2 * LINE_END && line[LINE_END] == '\r')
            return begin_part(m, err);
        if (p[i] == '\n' && line[have - LINE_END] == '\r')
            m->header_line = m->header.n - LINE_END;
        if (m->header.n == HEADER_BUFFER)
            return bad(m, err, "part header too long");
    }
    return true;
}

bool multipart_feed(struct multipart *m, const void *bytes, size_t n, struct err *err)
{
    const uint8_t *p = bytes;
    while (n > 0 && m->state != MULTIPART_EPILOGUE) {
        size_t used = 0;
        bool ok = m->state == MULTIPART_HEADERS ? read_headers(m, p, n, &used, err)
                  : m->hold_n                   ? scan_hold(m, p, n, &used, err)
                                                : scan_to_delimiter(m, p, n, &used, err);
        if (!ok)
            return false;
        p += used;
        n -= used;
    }
    return true;
}

/* A body that ends before its last delimiter was cut on the way. */
bool multipart_finish(struct multipart *m, struct err *err)
{
    if (m->state != MULTIPART_EPILOGUE)
        return bad(m, err, "the final boundary is missing");
    return true;
}
