#ifndef COLLECTOR_RECENT_H
#define COLLECTOR_RECENT_H

#include "crash/crash_id.h"
#include "json/json.h"

/*
 * recent - answers of the last day by content, so that a client that lost the reply and sends
 * again gets the same answer: no second crash, no second draw of a sampling rule.
 *
 * Same       means same main dump and same annotations, CrashTime among them.  Reports without a
 *            dump or without a CrashTime are never taken for the same.
 * Ownership  recent_new maps the table before the workers are forked.  Bounded; the oldest answers
 *            go first.  It does not outlive the program.
 * Threads    A robust mutex between processes: a worker may be killed while it holds it.
 */
enum { RECENT_RULE_SIZE = 101, RECENT_KEY_BYTES = 16, RECENT_SECONDS = 86400 };

struct recent_table;
struct recent_answer {
    bool is_rejected;
    char crash_id[CRASH_ID_SIZE];
    char rule[RECENT_RULE_SIZE]; /* of a rejection */
};

bool recent_new(struct recent_table **ret, struct err *err);
/* False: this report is never a duplicate. */
bool recent_key(const json_t *annotations, const json_t *checksums,
                uint8_t ret_key[RECENT_KEY_BYTES]);
bool recent_find(struct recent_table *t, const uint8_t key[RECENT_KEY_BYTES], int64_t now_s,
                 struct recent_answer *ret);
void recent_add(struct recent_table *t, const uint8_t key[RECENT_KEY_BYTES], int64_t now_s,
                const struct recent_answer *answer);

#endif
