#ifndef JSON_JSON_H
#define JSON_JSON_H

#include <jansson.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * json - jansson with limits and typed getters.
 *
 * Names      What begins with json_ is jansson's and documented there; ours begin with j alone.
 * Ownership  As jansson says: _new takes, get borrows.  Trees are declared
 *            json_auto_t *.
 * Getters    A wrong type counts as absent; obj may be NULL.
 * Paths      jpath("a.b.c") walks objects; any missing or null part gives NULL.
 */
enum {
    JSON_GIVEN_DEPTH_MAX = 64, /* of what strangers give, be it text inside of text */
    JSON_DEPTH_MAX = 72,       /* of our documents: that, and the levels that we put around it */
    JSON_BYTES_MAX = 64 << 20, /* REPORT_BYTES_MAX of the walker, the largest part of any */
};

/*
 * Parses a whole document of at most max_bytes.  NUL is kept inside strings and dropped
 * from names of members, which cannot hold it here; of two names that become the same
 * the last one wins.  New reference.
 */
json_t *jparse(struct str text, size_t max_bytes, struct err *err);
/*
 * The same for a stranger's text that becomes a part of a document: not nested so deep that the
 * document could not be read any more.
 */
json_t *jparse_given(struct str text, size_t max_bytes, struct err *err);

const char *jget_str(const json_t *obj, const char *key); /* NULL if absent */
struct str jget_strn(const json_t *obj, const char *key); /* p NULL if absent */
bool jget_int(const json_t *obj, const char *key, int64_t *ret);
int64_t jget_int_or(const json_t *obj, const char *key, int64_t fallback);
bool jget_bool_or(const json_t *obj, const char *key, bool fallback);
json_t *jget_obj(const json_t *obj, const char *key);  /* borrowed */
json_t *jget_arr(const json_t *obj, const char *key);  /* borrowed */
json_t *jpath(const json_t *root, const char *dotted); /* borrowed; null counts as absent */
const char *jpath_str(const json_t *root, const char *dotted);

/* A string value from bytes of any kind: invalid UTF-8 becomes U+FFFD.  New reference. */
json_t *jtext(struct str s);
bool jset_text(json_t *obj, const char *key, struct str s);  /* sets; false only out of memory */
bool jset_cstr(json_t *obj, const char *key, const char *s); /* NULL sets null */
bool jset_int(json_t *obj, const char *key, int64_t v);
bool jset_bool(json_t *obj, const char *key, bool v);
bool jset_null(json_t *obj, const char *key);

/* "0x" and lower-case digits padded to `digits`. */
json_t *jhex(uint64_t v, int digits);

/* Sorted keys, compact; new terminated text (free).  Aborts only out of memory. */
char *jdump(const json_t *v, size_t *ret_n);

#endif
