#ifndef WEBAPP_SIGNATURE_SUMMARY_H
#define WEBAPP_SIGNATURE_SUMMARY_H

#include "fcgi/webapp/signature_params.h"

/*
 * signature_summary - the panels of the Summary tab.
 */

/* Adds to the search of the page what the panels need. */
void signature_ask_summary(struct query *q);
/* Everything that part/signature-summary.html shows; asks for what that search could not answer. */
bool signature_set_summary(const struct signature_page *p, struct tpl_values *v,
                           const json_t *answer, struct err *err);

#endif
