#ifndef LEDGER_DOCUMENT_H
#define LEDGER_DOCUMENT_H

#include "lib/json/json.h"

/*
 * document - a processed crash that comes as text: one line of `datil crash load`.
 *
 * Result     An object whose `uuid` is a crash id (`crash_id` counts, too) and that has a text
 *            `date_processed`: if there is none, the day of the id.  New reference.
 * Errors     ERR_INVALID, ERR_TOO_LARGE with what is wrong; the text of the line is never quoted.
 * Trust      The bytes are hostile.
 */
json_t *ledger_read_document(struct str line, struct err *err);

#endif
