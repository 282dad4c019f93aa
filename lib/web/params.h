#ifndef WEB_PARAMS_H
#define WEB_PARAMS_H

#include "lib/base/arena.h"
#include "lib/base/str.h"
#include "lib/web/web.h"

/*
 * params - texts that come with a request: percent-encoding, query strings, cookies, header
 * values with parameters.
 *
 * Ownership  Decoded texts live in the arena or in the caller's buffer; the rest borrows.
 * Trust      The bytes are hostile.  Any input gives a value; decoded parameters are valid
 *            UTF-8 without NUL.
 */
/* An address of 31 KiB (nginx/http.conf.in) holds 16,000 of the shortest, "a&a&a". */
enum { PARAMS_MAX = 20000 };

/* "%41" becomes "A"; a "%" without two hex digits stays.  The result is not cleaned. */
struct str pct_decode(struct arena *a, struct str s, bool plus_is_space);

/* For the path of a Location: everything but letters, digits, "-._~/" and a few marks encoded. */
struct str url_path_encode(struct arena *a, struct str path);

/*
 * Appends the pairs of "a=1&b=2".  A name without "=" has an empty value; empty pairs are skipped.
 * ERR_TOO_LARGE: more than PARAMS_MAX of them, or no room in the arena.
 */
struct param_list {
    struct req_param *v; /* in the arena */
    size_t n, cap;
    struct str with_nul; /* name of the first whose value held a NUL; p NULL: none */
};
bool params_parse(struct arena *a, struct str text, struct param_list *list, struct err *err);
/* Name and value as they came, decoded: here they become valid UTF-8 without NUL. */
bool params_add(struct arena *a, struct param_list *list, struct str name, struct str value,
                struct err *err);
struct str params_find(const struct param_list *list, const char *name); /* first; p NULL */

/* Value of a cookie in a Cookie header; the first of that name; p NULL if absent. */
struct str cookie_find(struct str header, const char *name);

/*
 * Header values such as `form-data; name="a\"b"; filename=x` or `text/plain; charset=utf-8`.
 * header_value gives the part before the parameters, trimmed.  header_param appends the decoded
 * value of a parameter to out and says whether it is there: names without case, values bare or
 * quoted, backslash before a quote or a backslash removed, the last of several wins.
 */
struct str header_value(struct str header);
bool header_param(struct str header, const char *name, struct strbuf *out);
/*
 * The same for the extended form of RFC 8187, `name*=charset'language'percent-encoded`.  Charsets
 * are UTF-8 and ISO-8859-1; what is not of that form, or not text of its charset, is given as it
 * is written.
 */
bool header_param_extended(struct str header, const char *name, struct strbuf *out);

/* Whether an Accept header mentions this media type ("text/html"); "*" wildcards count. */
bool accepts(struct str header, const char *media_type);

#endif
