#ifndef WEBAPP_REPORT_SYMBOLS_H
#define WEBAPP_REPORT_SYMBOLS_H

#include "fcgi/webapp/report_common.h"

/*
 * report_symbols - the tab that says why frames have no names: the list wanted_symbols, and
 * symbols_notice, a sentence above the stack that leads there (empty when all frames have names).
 * Crashes that were processed before there was such a list have neither.
 */
void report_set_symbols(const struct report_page *c, struct tpl_values *v);

/* Modules in that list; 0: no tab. */
size_t report_wanted_symbols(const struct report_page *c);

#endif
