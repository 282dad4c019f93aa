#ifndef SYMBOLS_DOWNLOAD_TIMES_H
#define SYMBOLS_DOWNLOAD_TIMES_H

#include "lib/db/db.h"
#include "lib/symfile/symstore.h"

/*
 * download_times - which files were asked for, collected in memory and written together: a time to
 * the hour is what retention needs, and a statement for each download would cost more than the
 * answer.
 *
 * Ownership  download_times_new makes it, download_times_free releases it, unwritten ones lost.
 * Errors     A database that is away loses times, with a line in the log.
 */
struct download_times;
struct download_times *download_times_new(void);
void download_times_free(struct download_times *t);

void download_times_note(struct download_times *t, enum symstore_area area, const char *key);
/* Milliseconds until what is there wants to be written, 0: now, -1: there is nothing. */
int download_times_due_ms(const struct download_times *t);
/* Writes what is there when it is due, or always with `now`. */
void download_times_flush(struct download_times *t, struct db *db, bool now);

#endif
