#ifndef HANDLER_DUMP_SYSTEM_H
#define HANDLER_DUMP_SYSTEM_H

#include "client/handler/target.h"
#include "client/handler/writer.h"

/*
 * dump_system - the streams of a minidump that say on which machine and since when a
 * process ran: SystemInfo, MiscInfo and files of /proc as they are; the last two
 * only when they may be sent.
 */
void dump_write_system(struct writer *w, const struct target *t, bool send_command_line,
                       bool send_environment);

#endif
