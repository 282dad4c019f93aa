#ifndef PROCESSOR_TWIN_TABLE_H
#define PROCESSOR_TWIN_TABLE_H

#include "lib/db/db.h"
#include "processor/job.h"

/* The source of originals of a worker: the table crash_original.  Borrows the connection. */
struct twin_source twin_table_source(struct db *db);

#endif
