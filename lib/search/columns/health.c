#include "lib/search/columns/health.h"

#include <stdlib.h>

#include "lib/search/columns/keep.h"

/* What the head says about losses, filling and scrubs.  Nothing is changed, nothing is locked. */
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
    h->is_whole = atomic_load(&head->filled) >= atomic_load(&head->losses);
    h->is_all_missing =
        head->filled == 0 || atomic_load(&head->filled) < atomic_load(&head->lost_all);
    for (size_t i = 0; i < r->part_count; i++)
        if (r->is_damaged[i] || (head->parts[i].flags & PART_DAMAGED))
            note_week(h, head->parts[i].week);
    h->fill_began_us = head->fill_began_us;
    h->fill_ended_us = head->fill_ended_us;
    h->fill_looked = head->fill_looked;
    h->fill_total = head->fill_total;
    h->fill_put = head->fill_put;
    h->scrub_began_us = head->scrub_began_us;
    h->scrub_ended_us = head->scrub_ended_us;
    h->scrub_damage = head->scrub_damage;
    h->ledger_seq = head->ledger_seq;
}

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
