#ifndef WEBAPP_REPORT_STACKS_H
#define WEBAPP_REPORT_STACKS_H

#include "fcgi/webapp/report_common.h"

/*
 * report_stacks - exceptions of Java, the stack of the crashing thread and those of the others:
 * the lists java_exceptions, crashing_threads (one or none), other_dumps (of the same incident) and
 * other_threads, and how many threads
 * are left out (threads_more).
 */
void report_set_stacks(const struct report_page *c, struct tpl_values *v);

#endif
