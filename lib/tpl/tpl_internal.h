#ifndef TPL_TPL_INTERNAL_H
#define TPL_TPL_INTERNAL_H

#include "lib/base/str.h"

/* Shared by the files of this module only. */

/* Stands at the end of every template; a rendering without it is broken off. */
#define TPL_TRAILER "\x02end of page\x03"

void tpl_escape(struct strbuf *b, struct str s);
void tpl_escape_url(struct strbuf *b, struct str url);

/*
 * Whether every block of the text is well formed: ctpl itself drops the rest of a page
 * without a word when it meets a mistake inside an {if}.  ERR_INVALID with the line.
 */
bool tpl_check_blocks(struct str text, struct err *err);

/* The parsed form of a template by name, or NULL. */
struct tpl_set;
const void *tpl_tree(const struct tpl_set *t, const char *template_name);

#endif
