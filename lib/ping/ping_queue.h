#ifndef PING_PING_QUEUE_H
#define PING_PING_QUEUE_H

#include "lib/base/err.h"
#include "lib/base/vec.h"
#include "lib/db/db.h"
#include "lib/json/json.h"

/*
 * ping_queue - pings that wait for a signature.
 *
 *     claim    a batch, sorted so that neighbours have the same symbols; locked for a while
 *     finish   results, counters and the end of the work: one statement
 *     wait     put back for a moment, nobody's fault
 *     fail     put back for longer; after three times for good
 *     release  what a broken connection left under one's own name
 *     bury     what dead workers held
 *
 * Counters change with the rows they count, in the same statement, so a worker that is killed
 * anywhere has either counted its batch or not.
 *
 * Errors     Of the database.
 */
struct ping_job {
    char document_id[40], day[12];
    int64_t age_s;
    json_t *doc; /* owned by the batch */
};
struct ping_batch {
    VEC(struct ping_job) jobs;
};
void ping_batch_release(struct ping_batch *b);

/*
 * LEASE_S: for machines that vanish; dead workers of this host are known by their name.  A batch
 * takes milliseconds.
 */
enum { PING_BATCH_MAX = 100, PING_LEASE_S = 300 };

/* An empty batch: there is nothing to do. */
bool ping_queue_claim(struct db *db, const char *worker, struct ping_batch *ret, struct err *err);
/* results: a list of objects {document_id, day, signature, proto_signature, stack}. */
bool ping_queue_finish(struct db *db, const char *worker, const json_t *results, struct err *err);
/* pings: a list of objects {document_id, day}. */
bool ping_queue_wait(struct db *db, const char *worker, const json_t *pings, int pause_s,
                     struct err *err);
bool ping_queue_fail(struct db *db, const char *worker, const struct ping_job *job,
                     const struct err *why, struct err *err);
bool ping_queue_release(struct db *db, const char *worker, struct err *err);
/* host: of the workers' names that can be looked at here. */
bool ping_queue_bury(struct db *db, const char *host, struct err *err);

#endif
