/*
 * Losses are counted, not listed: `losses` grows with each one, and a filling that has looked at
 * every crash sets `filled` to the count it began with.  So a loss that happens meanwhile leaves
 * the two unequal, and the next filling begins at once.
 */
#include "lib/search/columns/filling.h"

#include <limits.h>
#include <stdio.h>

#include "lib/base/fs.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/search/columns/commit.h"

/* Nothing was ever filled and there is no partition: the head was made a moment ago. */
static bool is_new(const struct root_head *h)
{
    return fact(h, FACT_FILLED) == 0 && table_count(h) == 0;
}

/* A new installation has one counted loss (mend.c) and no crash: it is whole as it is. */
bool filling_begin(struct root *r, uint64_t crashes, uint64_t *ret_losses, struct err *err)
{
    if (!root_lock(r, err))
        return false;
    struct root_head *h = r->h;
    int64_t losses = fact(h, FACT_LOSSES);
    *ret_losses = 0;
    if (losses > fact(h, FACT_FILLED) && crashes == 0 && is_new(h))
        fact_set(h, FACT_FILLED, losses); /* a new installation */
    if (losses > fact(h, FACT_FILLED)) {
        if (is_new(h))
            fact_set(h, FACT_LOST_ALL, losses);
        *ret_losses = (uint64_t)losses;
        fact_set(h, FACT_FILL_BEGAN_US, now_us());
        fact_set(h, FACT_FILL_ENDED_US, 0);
        fact_set(h, FACT_FILL_TOTAL, (int64_t)crashes);
        fact_set(h, FACT_FILL_LOOKED, 0);
        fact_set(h, FACT_FILL_PUT, 0);
    }
    root_unlock(r);
    return true;
}

/* For doctor, in between. */
bool filling_progress(struct root *r, uint64_t looked, uint64_t put, struct err *err)
{
    if (!root_lock(r, err))
        return false;
    fact_set(r->h, FACT_FILL_LOOKED, (int64_t)looked);
    fact_set(r->h, FACT_FILL_PUT, (int64_t)put);
    root_unlock(r);
    return true;
}

/*
 * aside/ goes when nothing is missing any more: until then it is the only trace of what was lost.
 */
bool filling_end(struct root *r, uint64_t losses, struct err *err)
{
    char aside[PATH_MAX];
    snprintf(aside, sizeof aside, "%s/aside", r->dir);
    if (!root_lock(r, err))
        return false;
    struct root_head *h = r->h;
    fact_set(h, FACT_FILLED, MAX(fact(h, FACT_FILLED), (int64_t)losses));
    fact_set(h, FACT_FILL_ENDED_US, now_us());
    bool is_all = fact(h, FACT_LOSSES) == fact(h, FACT_FILLED);
    for (uint32_t i = 0; is_all && i < table_count(h); i++)
        table_clear_flag(h, i, PART_DAMAGED);
    root_unlock(r);
    return !is_all || fs_remove_tree(aside, err);
}
