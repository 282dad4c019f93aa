#ifndef WEBAPP_REPORT_PARTS_H
#define WEBAPP_REPORT_PARTS_H

#include "fcgi/webapp/report_common.h"

/*
 * report_parts - the tabs behind the first: lists of what came with the report, and the documents
 * themselves.  Each function sets the values of one tab.
 */
void report_set_modules(const struct report_page *c, struct tpl_values *v);
void report_set_annotations(const struct report_page *c, struct tpl_values *v);
bool report_set_downloads(const struct report_page *c, struct tpl_values *v, struct err *err);
/* The stack walker's output and the telemetry environment, as indented JSON. */
void report_set_trees(const struct report_page *c, struct tpl_values *v);
void report_set_extensions(const struct report_page *c, struct tpl_values *v);
/* Whole documents: empty for readers without both view_pii and view_rawdump. */
void report_set_debug(const struct report_page *c, struct tpl_values *v);

#endif
