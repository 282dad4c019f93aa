#ifndef COLLECTOR_RECENT_H
#define COLLECTOR_RECENT_H

#include "lib/crash/crash_id.h"
#include "lib/json/json.h"
#include "lib/spool/spool.h"

/*
 * recent - answers of the last day by content, so that a client that lost the reply and sends
 * again gets the same answer: no second crash, no second draw of a sampling rule.
 *
 * Same       means same main dump and same CrashTime, BuildID and ProductName.  Reports without
 *            a dump (or with an empty one, which says nothing) or without a CrashTime are never
 *            taken for the same.
 * Protocol   recent_enter locks a key and says what is known; the caller puts what it decides and
 *            leaves.  Another worker with the same report waits in recent_enter.  A crash id is
 *            put as RECENT_BEGUN before its report is committed and as RECENT_ACCEPTED behind:
 *            who finds RECENT_BEGUN follows a worker that was killed between the two and has to
 *            look whether the report is there.
 * Ownership  recent_close ends every lock of this process.
 * Durability One file, SPOOL_DIR/recent, shared by all workers.  It survives kills and restarts,
 *            and is bounded: the oldest answers of a set go first.  It is never synced: a failure
 *            of the machine may cost answers (then a report sent again counts twice), while a
 *            torn entry fails its checksum and counts as none.
 * Errors     recent_open: ERR_IO.  Later ones cost only the memory: the report counts as new.
 * Threads    Locks are the kernel's record locks: they end with the process that holds them.
 */
enum { RECENT_RULE_SIZE = 101, RECENT_KEY_BYTES = 16, RECENT_SECONDS = 86400 };

struct recent {
    int fd;
};

enum recent_state { RECENT_NONE, RECENT_BEGUN, RECENT_ACCEPTED, RECENT_REJECTED };

struct recent_answer {
    enum recent_state state;
    char crash_id[CRASH_ID_SIZE];
    char rule[RECENT_RULE_SIZE]; /* of a rejection */
};

bool recent_open(const struct spool *spool, struct recent *ret, struct err *err);
void recent_close(struct recent *t);

/* False: this report is never a duplicate. */
bool recent_key(const json_t *annotations, const json_t *checksums,
                uint8_t ret_key[RECENT_KEY_BYTES]);

/* Waits until nobody else decides about this key, and gives the answer that is known:
 * RECENT_NONE if there is none. */
void recent_enter(struct recent *t, const uint8_t key[RECENT_KEY_BYTES], int64_t now_s,
                  struct recent_answer *ret);
/* RECENT_NONE: forgets the key. */
void recent_put(struct recent *t, const uint8_t key[RECENT_KEY_BYTES], int64_t now_s,
                const struct recent_answer *answer);
void recent_leave(struct recent *t, const uint8_t key[RECENT_KEY_BYTES]);

#endif
