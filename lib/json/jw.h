#ifndef JSON_JW_H
#define JSON_JW_H

#include "lib/json/json.h"

/*
 * jw - writes one JSON document straight into a strbuf, without a tree.
 *
 *     jw_object(&w);
 *     jw_key(&w, "pid");
 *     jw_int(&w, 17);
 *     jw_end(&w);
 *
 * For large outputs of fixed shape.  The caller opens and closes in pairs and gives
 * keys in the order they shall have (we sort them by hand).  Invalid UTF-8 becomes
 * U+FFFD.
 *
 * Errors     The strbuf's maximum: check out->overflow at the end.
 * Limits     The shape of a document is that of our code, which nests some ten deep; going
 *            beyond JW_DEPTH_MAX is a mistake of ours and aborts.
 */
enum { JW_DEPTH_MAX = 64 };

struct jw {
    struct strbuf *out; /* borrowed */
    bool is_pretty;     /* two blanks per level */
    bool after_key;
    int depth;
    bool has_items[JW_DEPTH_MAX];
    char closer[JW_DEPTH_MAX];
};

void jw_init(struct jw *w, struct strbuf *out, bool is_pretty);

void jw_object(struct jw *w);
void jw_array(struct jw *w);
void jw_end(struct jw *w); /* of the innermost object or array */
void jw_key(struct jw *w, const char *key);

void jw_text(struct jw *w, struct str s); /* s.p NULL writes null */
void jw_int(struct jw *w, int64_t v);
void jw_bool(struct jw *w, bool v);
void jw_null(struct jw *w);
void jw_hex(struct jw *w, uint64_t v, int digits); /* "0x" and padded lower-case digits */
void jw_raw(struct jw *w, struct str json);        /* a complete value, already JSON */
void jw_tree(struct jw *w, const json_t *v);       /* NULL writes null; sorted keys */

#endif
