#ifndef WEBAPP_REPORT_FINDINGS_H
#define WEBAPP_REPORT_FINDINGS_H

#include "fcgi/webapp/report_common.h"

/*
 * report_findings - what a crash says to somebody who has read many, in words: the list findings,
 * each with why it is thought so.
 */
void report_set_findings(const struct report_page *c, struct tpl_values *v);

#endif
