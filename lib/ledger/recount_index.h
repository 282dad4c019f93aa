#ifndef LEDGER_RECOUNT_INDEX_H
#define LEDGER_RECOUNT_INDEX_H

#include "lib/ledger/recount_documents.h"

/* recount_index - the crashes that the index has from a date on (microseconds since 1970). */
bool recount_by_index(struct recount *r, int64_t from_us, size_t total, struct err *err);

#endif
