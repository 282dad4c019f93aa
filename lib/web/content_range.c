/*
 * Content-Range of a piece, strictly: a number that is misread would put bytes where they do not
 * belong.  Numbers end at 2^62, so that sums of two cannot wrap.
 */
#include "lib/web/content_range.h"

enum { SHOWN = 80 }; /* bytes of a header in a message: three numbers of 20 digits and some */

static const uint64_t NUMBER_MAX = UINT64_C(1) << 62; /* sums of two do not overflow */

static bool number(struct str s, uint64_t *ret)
{
    return str_to_u64(s, 10, NUMBER_MAX, "Content-Range", ret, ERR_IGNORED);
}

/* "0-0" and "7-6" without a body are how clients say that nothing more comes. */
static bool parse_piece(struct str range, uint64_t body_bytes, struct content_range *r)
{
    uint64_t first, last;
    size_t dash = str_find_char(range, '-', 0);
    if (dash == SIZE_MAX || !number(str_sub(range, 0, dash), &first) ||
        !number(str_sub(range, dash + 1, SIZE_MAX), &last))
        return false;
    bool is_end = body_bytes == 0 && r->has_total && first == r->total &&
                  (last + 1 == first || last == first);
    if (is_end) {
        r->first = first;
        r->n = 0;
        return true;
    }
    if (last < first || last - first + 1 != body_bytes || (r->has_total && last >= r->total))
        return false;
    r->first = first;
    r->n = body_bytes;
    return true;
}

bool content_range_parse(struct str header, uint64_t body_bytes, struct content_range *ret,
                         struct err *err)
{
    struct content_range r = {0};
    struct str unit = STR("bytes "), text = str_trim(header);
    struct str rest = str_sub(text, unit.n, SIZE_MAX);
    size_t slash = str_find_char(rest, '/', 0);
    struct str range = str_sub(rest, 0, slash), total = str_sub(rest, slash, SIZE_MAX);
    total = str_sub(total, 1, SIZE_MAX);
    r.has_total = !str_eq(total, STR("*"));
    r.is_question = str_eq(range, STR("*"));
    bool ok = str_starts_nocase(text, unit) && slash != SIZE_MAX &&
              (!r.has_total || number(total, &r.total)) &&
              (r.is_question ? body_bytes == 0 : parse_piece(range, body_bytes, &r));
    if (!ok)
        return err_set(err, ERR_INVALID,
                       "Content-Range '" STR_FMT
                       "' is none of a piece of %llu bytes; send 'bytes FIRST-LAST/TOTAL'",
                       STR_ARG(str_sub(header, 0, utf8_prefix_bytes(header, SHOWN))),
                       (unsigned long long)body_bytes);
    *ret = r;
    return true;
}
