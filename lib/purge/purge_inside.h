#ifndef PURGE_PURGE_INSIDE_H
#define PURGE_PURGE_INSIDE_H

#include "lib/base/arena.h"
#include "lib/base/hash.h"
#include "lib/base/str.h"
#include "lib/purge/purge.h"

/*
 * purge_inside - what the parts of a purge share: looking through a day (purge_look.c), the runs
 * (purge_run.c), taking annotations out (purge_strip.c).
 */
enum { PURGE_SALT_HEX = 32 };

struct purge_target {
    const char *annotation, *product, *first_day, *last_day;
    const char *salt, *digest; /* hexadecimal; "" when names are looked for */
    struct strs names;         /* a crash that has one of them is meant */
};

void purge_digest(const char *salt, struct str value, char out[SHA256_HEX + 1]);
void purge_salt(char out[PURGE_SALT_HEX + 1]);

/*
 * Ids of one day in batches of at most PURGE_BATCH, which live until `take` returns.  *seen grows
 * with every crash that was looked at.  goes_on (or NULL) is asked once in a while; with a false in
 * *ret the rest of the day is left out.
 */
enum { PURGE_BATCH = 200 };
struct purge_visit {
    bool (*take)(void *arg, struct strs ids, struct err *err);
    bool (*goes_on)(void *arg, bool *ret, struct err *err);
    void *arg;
};
bool purge_day(const struct purge_tools *t, const struct purge_target *w, const char *day,
               struct purge_progress *p, const struct purge_visit *v, struct err *err);
/* Days of the store inside the bounds and behind `after`, oldest first. */
bool purge_days(const struct purge_tools *t, const struct purge_target *w, const char *after,
                struct arena *a, struct strs *ret, struct err *err);

struct index_reader;
struct index_writer;
struct purging {
    const struct purge_tools *tools;
    struct purge_target target;
    const char *run_id;
    bool is_preview, is_cancelled, drops_dumps;
    size_t done_before;          /* crashes of this run, by processes before this one */
    struct index_writer *writer; /* opened when something is deleted or changed */
    struct index_reader *reader; /* of a preview */
    struct arena arena;          /* of a run */
    struct arena page;           /* of one page of ids */
    struct purge_progress *progress;
};
bool purge_open_writer(struct purging *p, struct err *err);
/* The bytes of the index themselves, and what was made of them. */
bool purge_clean_up(struct purging *p, struct err *err);
/* Changes and queues what is noted for this run (purge_strip.c). */
bool purge_strip_listed(struct purging *p, struct err *err);
/* Ends the runs whose crashes have all been processed again; *ret_n of them. */
bool purge_strip_settle(struct purging *p, size_t *ret_n, struct err *err);

/* Adds to the counts of p where these crashes are. */
bool purge_places(const struct purge_tools *t, struct index_reader *index, struct strs ids,
                  struct purge_progress *p, struct err *err);

#endif
