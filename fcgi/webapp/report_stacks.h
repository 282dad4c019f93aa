#ifndef WEBAPP_REPORT_STACKS_H
#define WEBAPP_REPORT_STACKS_H

#include "fcgi/webapp/report.h"

/*
 * report_stacks - exceptions of Java, the stack of the crashing thread and those of the others:
 * the lists java_exceptions, crashing_threads (one or none) and other_threads, and what to say
 * where there is none (stack_notice).
 */
void report_set_stacks(const struct report_page *c, struct tpl_values *v);

#endif
