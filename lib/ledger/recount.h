#ifndef LEDGER_RECOUNT_H
#define LEDGER_RECOUNT_H

#include "lib/ledger/recount_documents.h"

/*
 * recount - the statistics made again from the search index, and compared with what is counted.
 * What does not agree, and what the index lacks, is counted again from the stored documents before
 * it is called a difference.
 *
 * Beside    May run while crashes are processed, deleted or removed by retention: a difference
 *           that is only work in progress is looked at again before it counts, and a mended row
 *           never replaces one that a worker wrote meanwhile.
 * Broken    off  at any moment, it may be run again.
 */
bool ledger_recount(struct recount *r, struct err *err);

#endif
