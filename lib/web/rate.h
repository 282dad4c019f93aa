#ifndef WEB_RATE_H
#define WEB_RATE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * rate - counts events per key in fixed time windows, in memory shared by all workers of a
 * program.
 *
 * Ownership  rate_new maps the table before the workers are forked; it lives as long as they do.
 * Precision  Counts are exact while the table has room.  When many more keys than its 65,536 slots
 *            are in use, a key may take the place of one whose window ends sooner, which then
 *            starts again from 0.
 * Threads    Lock-free: a worker may be killed at any instruction.
 */
struct rate_table;

enum {
    RATE_WINDOW_MAX_S = 86400, /* longest window: what the words of the table can tell apart */
    RATE_CLIENT_SIZE = 48,
};

bool rate_new(struct rate_table **ret, struct err *err);
void rate_free(struct rate_table *t);

/*
 * Events of `key` in `group` during the window of window_s seconds (1 to RATE_WINDOW_MAX_S) that
 * holds now_s, after adding `add` of them (0 only asks).  Counts stop at 2^20 - 1.
 */
uint32_t rate_count(struct rate_table *t, const char *group, struct str key, int window_s,
                    int64_t now_s, uint32_t add);

/*
 * Who an address is for a limit: an IPv4 address as it is, of an IPv6 one the network (/64), out
 * of which one subscriber can take as many addresses as there are requests.  Text in ret_key.
 */
struct str rate_client(struct str address, char ret_key[RATE_CLIENT_SIZE]);

#endif
