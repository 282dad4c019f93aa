#ifndef COLLECTOR_REFUSED_H
#define COLLECTOR_REFUSED_H

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/db/db.h"

/*
 * refused - reports of products that nobody has configured, counted by name, so that an
 * administrator sees what `datil product add` would accept.
 *
 * Workers count in memory they share; the mover writes the counts to the database every few
 * seconds.  No request waits for the database, or fails because of it.
 *
 * Ownership  refused_new maps the table before the workers are forked.
 * Errors     What cannot be written is tried again with the next counts; what is in memory when
 *            the program ends is lost.
 * Limits     REFUSED_NAMES different names between two writes (further ones are not counted),
 *            REFUSED_KEPT in the database, of which the longest unseen go first.
 * Trust      Names come from strangers: valid UTF-8 without NUL, otherwise anything.
 * Threads    A robust mutex between processes: a worker may be killed while it holds it.
 */
enum {
    REFUSED_NAMES = 256,    /* between two writes (FLUSH_MS of the mover): enough to see a flood */
    REFUSED_KEPT = 1000,    /* more than anybody reads */
    REFUSED_NAME_MAX = 100, /* bytes, as long as the name of a product can be */
    REFUSED_NAME_SIZE = REFUSED_NAME_MAX + 3 + 1, /* U+FFFD has three bytes; and the zero */
};

struct refused_table;
struct refused_count {
    char name[REFUSED_NAME_SIZE];
    uint64_t count;
};

bool refused_new(struct refused_table **ret, struct err *err);

/* Printable and short; U+FFFD stands for what was cut off or could not be shown. */
void refused_name(struct str product, char out[REFUSED_NAME_SIZE]);
/* product: of the report; empty: it names none. */
void refused_add(struct refused_table *t, struct str product, uint64_t count);
/* Moves all counts to out, which has room for REFUSED_NAMES. */
size_t refused_take(struct refused_table *t, struct refused_count *out);

/* Writes what was counted.  On failure it stays in the table. */
bool refused_flush(struct refused_table *t, struct db *db, struct err *err);

#endif
