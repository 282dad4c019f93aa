#ifndef PURGE_PURGE_INSIDE_H
#define PURGE_PURGE_INSIDE_H

#include "lib/base/hash.h"
#include "lib/purge/purge.h"

/*
 * purge_inside - what the two halves of a purge share: looking through a day (purge_look.c) and
 * the runs (purge_run.c).
 */
enum { PURGE_SALT_HEX = 32 };

struct purge_target {
    const char *annotation, *product, *first_day, *last_day;
    const char *salt, *digest; /* hexadecimal */
};

void purge_digest(const char *salt, struct str value, char out[SHA256_HEX + 1]);
void purge_salt(char out[PURGE_SALT_HEX + 1]);

/*
 * Ids of one day in batches of at most PURGE_BATCH, which live until `take` returns.  *seen grows
 * with every crash that was looked at.
 */
enum { PURGE_BATCH = 200 };
typedef bool purge_take(void *arg, struct strs ids, struct err *err);
bool purge_day(const struct purge_tools *t, const struct purge_target *w, const char *day,
               struct purge_progress *p, purge_take *take, void *arg, struct err *err);
/* Days of the store inside the bounds and behind `after`, oldest first. */
bool purge_days(const struct purge_tools *t, const struct purge_target *w, const char *after,
                struct arena *a, struct strs *ret, struct err *err);

/* Adds to the counts of p where these crashes are. */
struct index_reader;
bool purge_places(const struct purge_tools *t, struct index_reader *index, struct strs ids,
                  struct purge_progress *p, struct err *err);

#endif
