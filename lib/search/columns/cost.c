/*
 * A search is asked by strangers, and a few words may ask for much: all values of a field with a
 * million of them inside all values of another.  What it costs is therefore not foreseen but
 * counted while it runs.  Time ends with a deadline, or when nobody waits for the answer any more;
 * memory ends with a sum over everything that grows with the query (numberings of values,
 * counters, hits, the answer itself); the answer ends with its number of buckets, because each is
 * some hundred bytes of JSON and a row of a page.  All three name what to ask instead.
 *
 * Once a limit is crossed the search is over, but nothing is torn down from below: every loop gets
 * "no" from its next question and returns, so that memory is given back by those who took it.
 */
#include "lib/search/columns/cost.h"

#include "lib/base/err.h"
#include "lib/base/time.h"

enum { MIB = 1 << 20 };

void cost_begin(struct cost *c, const struct search_limits *limits)
{
    *c = (struct cost){.limits = limits};
}

/* The asker is looked for more rarely than the clock, since that is a system call. */
bool cost_look(struct cost *c)
{
    int64_t now = mono_ms();
    if (c->end == COST_GOES_ON && now >= c->limits->deadline_ms)
        c->end = COST_LATE;
    if (c->end == COST_GOES_ON && c->limits->is_abandoned && now - c->asked_ms >= COST_ASK_MS) {
        c->asked_ms = now;
        if (c->limits->is_abandoned(c->limits->asker))
            c->end = COST_ABANDONED;
    }
    /* Once it has ended, every further piece of work comes here to be told so. */
    c->work = c->end == COST_GOES_ON ? 0 : COST_LOOK_EVERY;
    return c->end == COST_GOES_ON;
}

/* What is held is what was asked for, before it is allocated: the sum can never be exceeded. */
bool cost_hold(struct cost *c, size_t bytes)
{
    if (c->end != COST_GOES_ON)
        return false;
    if (bytes > c->limits->max_bytes || c->bytes_held > c->limits->max_bytes - bytes) {
        c->end = COST_BYTES;
        c->work = COST_LOOK_EVERY;
        return false;
    }
    c->bytes_held += bytes;
    return true;
}

/* For memory that goes before the search ends; the rest needs no accounting. */
void cost_give_back(struct cost *c, size_t bytes)
{
    c->bytes_held -= bytes;
}

/* Counted for the whole answer, over all aggregations and levels. */
bool cost_buckets(struct cost *c, size_t n)
{
    if (c->end != COST_GOES_ON)
        return false;
    c->buckets += n;
    if (c->buckets > c->limits->max_buckets) {
        c->end = COST_BUCKETS;
        c->work = COST_LOOK_EVERY;
    }
    return c->end == COST_GOES_ON;
}

/*
 * Limits are the asker's to keep: the words say what to ask instead.  Clients know the first text.
 */
bool cost_error(const struct cost *c, struct err *err)
{
    switch (c->end) {
    case COST_LATE:
        return err_set(err, ERR_INVALID,
                       "Search query timed out. Simplify the search pattern and try again.");
    case COST_ABANDONED:
        return err_set(err, ERR_ABANDONED, "The search was given up: nobody waits for its answer.");
    case COST_BUCKETS:
        return err_set(err, ERR_INVALID,
                       "The answer has more than %zu buckets (SEARCH_MAX_BUCKETS). Lower "
                       "_facets_size, widen _histogram_interval, nest fewer aggregations or narrow "
                       "the search.",
                       c->limits->max_buckets);
    case COST_BYTES:
        return err_set(err, ERR_INVALID,
                       "The search takes more than %zu MiB of memory (SEARCH_MAX_BYTES). Ask for "
                       "fewer facets, hits or columns, nest fewer aggregations or narrow the "
                       "search.",
                       c->limits->max_bytes / MIB);
    case COST_GOES_ON:
        break;
    }
    return err_set(err, ERR_INTERNAL, "a search ended without a reason");
}
