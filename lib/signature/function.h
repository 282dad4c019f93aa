#ifndef SIGNATURE_FUNCTION_H
#define SIGNATURE_FUNCTION_H

#include "lib/signature/patterns.h"

/*
 * function - function names without what differs between builds and compilers: return
 * types, template arguments, parameters, qualifiers.
 *
 * Every step is one pass over a text of bounded length.  `line` is added to functions
 * that match line_numbers; an empty one is written None.
 */
void sig_normalize_cpp(const struct patterns *line_numbers, struct str function, struct str line,
                       struct strbuf *out);
void sig_normalize_rust(const struct patterns *line_numbers, struct str function, struct str line,
                        struct strbuf *out);

#endif
