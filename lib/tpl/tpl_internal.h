#ifndef TPL_TPL_INTERNAL_H
#define TPL_TPL_INTERNAL_H

#include "lib/base/str.h"
#include "lib/tpl/tpl.h"

/* Shared by the files of this module only. */

/* Of a file, and of a template with everything it includes: ten times the largest of ours. */
enum { TPL_TEMPLATE_MAX = 1 << 20 };

/* Stands at the end of every template; a rendering without it is broken off. */
#define TPL_TRAILER "\x02end of page\x03"

void tpl_escape(struct strbuf *b, struct str s);
void tpl_escape_url(struct strbuf *b, struct str url);

/* Which columns and lists of a schema templates have named, in its order. */
struct tpl_usage {
    bool *columns;
    bool *lists;
};

/*
 * Appends the template `name` of the directory as ctpl reads it, includes and all.  ERR_INVALID
 * with file and line for anything that is not well formed or not declared; what it names is added
 * to `used`.
 */
bool tpl_translate(const char *dir, const char *name, const struct tpl_schema *schema,
                   struct tpl_usage *used, struct strbuf *out, struct err *err);

/* The other direction, after the last template: ERR_INVALID for what none of them names. */
bool tpl_check_usage(const struct tpl_schema *schema, const struct tpl_usage *used,
                     struct err *err);

/* The parsed form of a template by name, or NULL. */
const void *tpl_tree(const struct tpl_set *t, const char *template_name);

#endif
