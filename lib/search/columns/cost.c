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
    pthread_mutex_init(&c->own.lock, NULL);
    c->account = &c->own;
}

void cost_share(struct cost *c, const struct cost *first)
{
    *c = (struct cost){.limits = first->limits, .account = first->account};
}

/* The first reason is the one that counts, whoever met it. */
static void end_search(struct cost *c, enum cost_end why)
{
    if (c->account->end == COST_GOES_ON)
        c->account->end = why;
    c->end = c->account->end;
    c->work = COST_LOOK_EVERY; /* every further piece of work comes to cost_look to be told so */
}

static bool is_first(const struct cost *c)
{
    return c->account == &c->own;
}

/* The asker is looked for more rarely than the clock, since that is a system call. */
static enum cost_end reason_now(struct cost *c)
{
    int64_t now = mono_ms();
    if (now >= c->limits->deadline_ms)
        return COST_LATE;
    if (!is_first(c) || !c->limits->is_abandoned || now - c->asked_ms < COST_ASK_MS)
        return COST_GOES_ON;
    c->asked_ms = now;
    return c->limits->is_abandoned(c->limits->asker) ? COST_ABANDONED : COST_GOES_ON;
}

bool cost_look(struct cost *c)
{
    enum cost_end why = c->end == COST_GOES_ON ? reason_now(c) : c->end;
    c->work = 0;
    pthread_mutex_lock(&c->account->lock);
    if (why != COST_GOES_ON || c->account->end != COST_GOES_ON)
        end_search(c, why);
    pthread_mutex_unlock(&c->account->lock);
    return c->end == COST_GOES_ON;
}

/* What is held is what was asked for, before it is allocated: the sum can never be exceeded. */
bool cost_hold(struct cost *c, size_t bytes)
{
    struct cost_account *a = c->account;
    if (c->end != COST_GOES_ON)
        return false;
    pthread_mutex_lock(&a->lock);
    if (bytes > c->limits->max_bytes || a->bytes_held > c->limits->max_bytes - bytes)
        end_search(c, COST_BYTES);
    else
        a->bytes_held += bytes;
    pthread_mutex_unlock(&a->lock);
    return c->end == COST_GOES_ON;
}

/* For memory that goes before the search ends; the rest needs no accounting. */
void cost_give_back(struct cost *c, size_t bytes)
{
    pthread_mutex_lock(&c->account->lock);
    c->account->bytes_held -= bytes;
    pthread_mutex_unlock(&c->account->lock);
}

/* Counted for the whole answer, over all aggregations and levels. */
bool cost_buckets(struct cost *c, size_t n)
{
    if (c->end != COST_GOES_ON)
        return false;
    pthread_mutex_lock(&c->account->lock);
    c->account->buckets += n;
    if (c->account->buckets > c->limits->max_buckets)
        end_search(c, COST_BUCKETS);
    pthread_mutex_unlock(&c->account->lock);
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
