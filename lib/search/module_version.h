#ifndef SEARCH_MODULE_VERSION_H
#define SEARCH_MODULE_VERSION_H

#include "lib/search/query.h"

/*
 * module_version - conditions such as `modules=xul.dll<128`: a module of that name whose version
 * compares.
 *
 * Order      part by part between dots: the digits that a part begins with as a number of any
 *            length, then what follows them by bytes.  A part that is not there is 0, so 128 is
 *            128.0.0.0, and 128.0.0.10 lies behind 128.0.0.9.
 * Elements   NAME/VERSION, as doc.c writes them.  One without a version compares with nothing.
 */

/* False: the text is no such condition.  The pieces borrow from it. */
bool module_version_split(struct str text, struct cond_value *ret);

/* Whether the element is the module of the condition, with such a version. */
bool module_version_holds(const struct cond_value *v, struct str element);

/* Below 0: a is the older one. */
int module_version_compare(struct str a, struct str b);

#endif
