/*
 * The MODULE record, which stands in front of the records of a symbols file.  Apart from their
 * reader, because programs that must not compile a stranger's text look at this one line.
 */
#include "lib/symfile/sym_module.h"

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/symfile/sym_tok.h"

enum { DEBUG_ID_MAX = 40 /* digits, as in symkey */ };

/* Any number of digits up to the longest of a key: what else an id has to be is for symkey to
 * say. */
static bool is_debug_id(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!hex_value[(uint8_t)s.p[i]])
            return false;
    return s.n > 0 && s.n <= DEBUG_ID_MAX;
}

bool sym_parse_module(struct str line, struct sym_module *ret, struct err *err)
{
    struct tok t = {.p = line.p, .end = line.p + line.n, .text_end = line.p + line.n};
    if (!tok_keyword(&t, "MODULE"))
        return err_set(err, ERR_INVALID, "the first line is no MODULE record");
    struct sym_module m = {.os = tok_word(&t)};
    m.arch = tok_word(&t);
    m.debug_id = tok_word(&t);
    m.debug_file = tok_rest(&t);
    if (!is_debug_id(m.debug_id) || m.debug_file.n == 0 || line.n > SYM_LINE_MAX_BYTES)
        return err_set(err, ERR_INVALID, "the MODULE record lacks a debug id or a name");
    *ret = m;
    return true;
}
