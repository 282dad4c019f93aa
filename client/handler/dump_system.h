#ifndef HANDLER_DUMP_SYSTEM_H
#define HANDLER_DUMP_SYSTEM_H

#include "client/handler/dump.h"
#include "client/handler/writer.h"

/*
 * dump_system - the streams of a minidump that say on which machine and since when a
 * process ran: SystemInfo, MiscInfo and files of /proc as they are.
 */
void dump_write_system(struct writer *w, const struct dump_request *q);

#endif
