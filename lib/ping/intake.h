#ifndef PING_INTAKE_H
#define PING_INTAKE_H

#include "lib/base/conf.h"
#include "lib/base/metrics.h"
#include "lib/crash/product.h"
#include "lib/db/db.h"
#include "lib/json/json.h"

/*
 * intake - pings go into the database: each counted once, some of them kept.
 *
 *     a ping that was seen in the last days   nothing happens
 *     one without stack, exception, reason    counted
 *     any other                               counted, and kept if sampling says so: a row and work
 *
 * All of one batch is one transaction, and the place up to which their journal was read is part of
 * it: a batch that is repeated after a kill changes nothing.
 *
 * Errors     ERR_CONFLICT: the journal was read further by somebody else.  Else of the database.
 */
struct intake_ping {
    int64_t received_us;
    json_t *doc; /* of ping_read; borrowed */
    bool has_content;
    double weight; /* 0: sampling decides; else it is kept and stands for so many */
};

struct intake_step {
    const char *file; /* of the journal; NULL: they come from no journal */
    uint64_t from, to;
};

struct intake_result {
    size_t duplicates, counted, kept;
};

struct intake {
    struct db *db;
    const struct conf *conf;
    const struct products *products;
    struct metrics *metrics;
};

enum { INTAKE_BATCH_MAX = 500 };
bool intake_take(const struct intake *in, const struct intake_step *step,
                 const struct intake_ping *pings, size_t n, struct intake_result *ret,
                 struct err *err);

/* How far a file of a journal was read before. */
bool intake_read_to(struct db *db, const char *file, uint64_t *ret, struct err *err);

/* A ping as a record of the journal; new (free).  And back: a new reference in ret->doc. */
char *intake_record(const struct intake_ping *p, size_t *ret_n);
bool intake_of_record(struct str record, struct intake_ping *ret, struct err *err);

#endif
