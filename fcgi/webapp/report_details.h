#ifndef WEBAPP_REPORT_DETAILS_H
#define WEBAPP_REPORT_DETAILS_H

#include "fcgi/webapp/report_common.h"

/*
 * report_details - what a report says of itself: the table of details (`details`), the few values
 * on top of the page (`report_keys`) and what the program did last (`breadcrumbs`).
 */
bool report_set_details(const struct report_page *c, struct tpl_values *v, struct err *err);

#endif
