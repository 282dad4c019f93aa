#ifndef PURGE_PURGE_H
#define PURGE_PURGE_H

#include "lib/base/conf.h"
#include "lib/base/str.h"
#include "lib/db/db.h"
#include "lib/store/store.h"

/*
 * purge - what should not have been collected leaves every place: store, queue, ledger with what it
 * added to the statistics, index, files of the export.  Either every crash whose raw annotation has
 * exactly one value (purge_run.c), or annotations of all crashes, which are kept and processed
 * again (purge_strip.c).
 *
 * A purge is a row of the database (purge_run) from the moment it is wanted, with a salted digest
 * of the value; the value itself is kept nowhere.  Days are gone through one after the other: what
 * is found in a day is noted (purge_item, purge_strip), deleted or changed, and only then is the
 * day done.  Killed at any moment, it goes on with the list and the day where it was, whoever calls
 * purge_work next: the command or the scheduled job.
 *
 * Errors     ERR_BUSY: another process is at work.  Those of store, database, index, export.
 * Threads    One process at a time, by a lock of the database session.
 */
struct purge_wanted {
    const char *annotation;
    struct str value;
    struct strs names;     /* not empty: these annotations go, and not the crashes */
    bool drops_dumps;      /* and with them all dumps, whose memory may hold the value */
    const char *product;   /* "": all */
    const char *first_day; /* YYYYMMDD of crash ids; "": no bound */
    const char *last_day;
};

struct purge_progress {
    size_t seen, found, deleted;
    size_t of_earlier; /* of `deleted`, crashes that an earlier purge had found */
    size_t changed;    /* without their annotations, and queued for processing */
    size_t dumps;      /* deleted */
    /* Of a preview: how many of those found are where. */
    size_t in_processed, in_index, in_statistics, in_export;
};

/* What a purge works with; the callbacks may be NULL. */
struct purge_tools {
    const struct conf *conf;
    const struct field_table *fields;
    struct db *db;
    struct store *store;
    void (*found)(void *arg, const char *crash_id);
    void (*progress)(void *arg, const struct purge_progress *so_far);
    void *arg;
};

/* Only looks and counts; nothing is written anywhere. */
bool purge_look(const struct purge_tools *t, const struct purge_wanted *w,
                struct purge_progress *ret, struct err *err);

/* A row for it.  `previews` lets somebody decide between looking and deleting. */
bool purge_want(struct db *db, const struct purge_wanted *w, const char *asked_by, bool previews,
                struct err *err);

/*
 * Works on what is wanted until nothing is left, oldest first; previews only `with_previews`.
 * *ret_runs is the number of purges and previews that ended.
 */
bool purge_work(const struct purge_tools *t, bool with_previews, struct purge_progress *ret,
                size_t *ret_runs, struct err *err);

#endif
