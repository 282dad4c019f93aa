#ifndef WEBAPP_SIGNATURE_CORRELATIONS_H
#define WEBAPP_SIGNATURE_CORRELATIONS_H

#include "fcgi/webapp/signature_params.h"
#include "lib/json/json.h"
#include "lib/tpl/tpl.h"

/*
 * signature_correlations - the tab of that name.  A page offers it and the script loads it when
 * somebody looks; without scripts the page is opened again with it inside.
 */
void signature_offer_correlations(const struct signature_page *p, struct tpl_values *v);
/* The same for the page of one crash: its signature in its product and channel. */
void correlations_offer(struct arena *a, const json_t *crash, struct tpl_values *v);
bool signature_set_correlations(const struct signature_page *p, struct tpl_values *v,
                                struct err *err);

#endif
