#ifndef HANDLER_REPORTS_H
#define HANDLER_REPORTS_H

#include <limits.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * reports - the directory of reports on the user's machine.
 *
 *     pending/<name>/extra.json, minidump.dmp   on disk (fsync), not yet sent
 *     submitted/<crash id>                      one small text file per sent report
 *     last_crash                                time of the last crash
 *     log, log.old                              what happened, bounded
 *
 * A report appears under pending/ by rename, complete or not at all.  Who sends one
 * holds a lock on its directory, so several handlers may share the database.
 */
struct reports {
    char root[PATH_MAX - 128];
    const char *url; /* NULL: keep everything pending */
};

/*
 * What a program may leave on its user's disk, and how long it tries to get rid of it: 20 reports
 * of DUMP_BYTES_MAX are half a gigabyte.  The others are choices, not measurements: after a month
 * most programs have had an update, and 200 crash ids are more than anybody looks up.
 */
enum {
    REPORTS_PENDING_MAX = 20, /* beyond that the oldest go */
    REPORTS_RETRY_MAX = 10,   /* per start of a handler: 20 minutes of TIMEOUT_S (send.c) at most */
    REPORTS_AGE_MAX_DAYS = 30,
    REPORTS_SUBMITTED_MAX = 200,
    REPORTS_NAME_MAX = 64,       /* ours have 33: time and a random number, 16 digits each */
    REPORTS_LOG_MAX = 256 << 10, /* some 2,000 lines, before log becomes log.old */
};

/* One report in pending/.  Who holds its lock sends it. */
struct pending_report {
    char name[REPORTS_NAME_MAX];
    int lock; /* owned, -1: not held */
};

/* Makes what is missing.  ERR_INVALID: a directory is a link, another user's or open to
 * everybody. */
bool reports_open(struct reports *r, const char *root, const char *url, struct err *err);

/* Makes a report durable.  It is locked from the first moment it can be seen. */
bool reports_add(const struct reports *r, struct str json, struct str dump, int64_t now_us,
                 struct pending_report *ret_report, struct err *err);

/*
 * Sends one pending report, locked or not, tells the outcome and lets go of the
 * lock.  False: it is still pending (err says why).  A report the collector refuses
 * is dropped.
 */
bool reports_send(const struct reports *r, struct pending_report *report, struct err *err);

/* Removes reports that are too old or too many, then tries the rest, oldest first. */
void reports_retry(const struct reports *r, int64_t now_us);

/* One line "datil: …" to standard error and to the log of the database. */
void reports_tell(const struct reports *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

int64_t reports_last_crash_s(const struct reports *r); /* 0: none */

#endif
