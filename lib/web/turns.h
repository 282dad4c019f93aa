#ifndef WEB_TURNS_H
#define WEB_TURNS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

/*
 * turns - which workers of a program are busy with something dear (a search), so that some stay
 * free for everything else and nobody takes them all.
 *
 * Ownership  turns_new maps the table before the workers are forked; it lives as long as they do.
 * Workers    One entry for each, by its number.  A worker takes a turn for the request in hand
 *            and gives it back when it is done.  One that is killed has neither: its entry
 *            carries its process id, and entries of processes that are gone do not count; the
 *            worker that is started in its place empties the entry (turns_begin).
 * Threads    A lock that survives its holder.  Each entry is one writer's.
 */
struct turns;

bool turns_new(size_t worker_count, struct turns **ret, struct err *err);
void turns_free(struct turns *t);

/* In a worker, before its first request. */
void turns_begin(struct turns *t, size_t worker);

enum turn { TURN_TAKEN, TURN_ASKER_IS_BUSY, TURN_ALL_ARE_BUSY };

/* Who asks, by a hash, and for which of a program's kinds of work. */
uint64_t turns_asker(unsigned kind, uint64_t hash);

/*
 * A turn for this worker on behalf of `asker`, unless `most` workers have one of the same kind, or
 * `most_of_asker` for this asker (0: no such limit).  *ret_youngest_ms is then the age of the
 * youngest turn that stands in the way.
 */
enum turn turns_take(struct turns *t, size_t worker, uint64_t asker, size_t most,
                     size_t most_of_asker, int64_t now_ms, int64_t *ret_youngest_ms);
/* How many other workers have a turn of the same kind at the moment. */
size_t turns_others(struct turns *t, size_t worker, uint64_t asker);
void turns_give_back(struct turns *t, size_t worker);

#endif
