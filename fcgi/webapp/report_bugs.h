#ifndef WEBAPP_REPORT_BUGS_H
#define WEBAPP_REPORT_BUGS_H

#include "fcgi/webapp/report_common.h"

/*
 * report_bugs - bugs that name the signature (`report_bugs`), and links that create one, filled in
 * with public values whoever reads (`bug_links`).
 */
bool report_set_bugs(const struct report_page *c, struct tpl_values *v, struct err *err);

#endif
