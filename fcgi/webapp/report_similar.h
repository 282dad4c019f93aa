#ifndef WEBAPP_REPORT_SIMILAR_H
#define WEBAPP_REPORT_SIMILAR_H

#include "lib/base/arena.h"
#include "lib/json/json.h"

/*
 * report_similar - crashes like the one of a report: what its page needs to ask for them.  doc is
 * what the reader may see of the processed crash; without a stack there is nothing to offer.
 */
struct tpl_values;
bool report_has_stack(const json_t *doc);
void report_offer_similar(struct arena *a, const char *id, const json_t *doc, struct tpl_values *v);

#endif
