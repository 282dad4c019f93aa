#ifndef DATIL_REPROCESS_REMOTE_H
#define DATIL_REPROCESS_REMOTE_H

#include "lib/ledger/ledger.h"

/*
 * reprocess_remote - crashes into the queue of an installation elsewhere, by its API.
 *
 * Errors     ERR_UNAVAILABLE: no answer, or one that may be better later; ERR_FORBIDDEN: the token;
 *            ERR_INVALID: the server takes none of them.  The words are the server's.
 */
struct reprocess_remote {
    const char *host;  /* "https://crash-stats.example.org" */
    const char *token; /* with reprocess_crashes */
};

/* The token is taken from AUTH_TOKEN, or from the variable of Socorro's command of this name. */
bool reprocess_remote_init(struct reprocess_remote *r, const char *host, struct err *err);
bool reprocess_remote_publish(const struct reprocess_remote *r, const struct ledger_entry *entries,
                              size_t n, struct err *err);

#endif
