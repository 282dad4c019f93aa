/*
 * What the head says about losses, filling and scrubs.  Nothing is changed, nothing is locked.
 *
 * Numbers are read one by one, so they may be from two moments of a filling; doctor shows them to
 * people and decides nothing by them.
 */
#include "lib/search/columns/index_health.h"

#include <stdlib.h>

#include "lib/base/err.h"
#include "lib/search/columns/commit.h"
#include "lib/search/columns/keep.h"
#include "lib/search/columns/part.h"

/* As many names as fit; the count is always right. */
static void note_week(struct index_health *h, int32_t week)
{
    char name[16];
    size_t used = strlen(h->weeks);
    part_name(week, name);
    if (used + strlen(name) + 2 < sizeof h->weeks)
        snprintf(h->weeks + used, sizeof h->weeks - used, "%s%s", used ? " " : "", name);
    h->weeks_missing++;
}

static void read_head(const struct root *r, struct index_health *h)
{
    const struct root_head *head = r->h;
    int64_t filled = fact(head, FACT_FILLED);
    h->is_whole = filled >= fact(head, FACT_LOSSES);
    h->is_all_missing = filled == 0 || filled < fact(head, FACT_LOST_ALL);
    for (size_t i = 0; i < r->part_count; i++) {
        struct table_entry e = table_entry(head, i);
        if (r->is_damaged[i] || (e.flags & PART_DAMAGED))
            note_week(h, e.week);
    }
    h->fill_began_us = fact(head, FACT_FILL_BEGAN_US);
    h->fill_ended_us = fact(head, FACT_FILL_ENDED_US);
    h->fill_looked = (uint64_t)fact(head, FACT_FILL_LOOKED);
    h->fill_total = (uint64_t)fact(head, FACT_FILL_TOTAL);
    h->fill_put = (uint64_t)fact(head, FACT_FILL_PUT);
    h->scrub_began_us = fact(head, FACT_SCRUB_BEGAN_US);
    h->scrub_ended_us = fact(head, FACT_SCRUB_ENDED_US);
    h->scrub_damage = (uint64_t)fact(head, FACT_SCRUB_DAMAGE);
    h->ledger_seq = fact(head, FACT_LEDGER_SEQ);
}

/* An index that cannot be read exists all the same: that is what doctor wants to say. */
bool health_of(const char *dir, const struct field_table *fields, struct index_health *ret,
               struct err *err)
{
    struct root *r;
    struct err why = {0};
    *ret = (struct index_health){.ledger_seq = -1};
    if (!root_open(dir, fields, false, &r, err))
        return false;
    ret->exists = ret->is_readable = root_refresh(r, &why);
    if (!ret->is_readable)
        ret->exists = true;
    else if (!r->h)
        ret->exists = ret->is_readable = false;
    else
        read_head(r, ret);
    root_free(r);
    keep_claim_holder(dir, CLAIM_FILLING, ret->filler, sizeof ret->filler);
    keep_claim_holder(dir, CLAIM_COMPACTION, ret->compactor, sizeof ret->compactor);
    return true;
}
