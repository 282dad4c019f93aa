/*
 * Retention and reset: they only change the table and remove folders, under the lock, so a put that
 * comes meanwhile is before or after them.
 */
#include "lib/search/columns/keep.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/search/columns/commit.h"
#include "lib/search/columns/numbering.h"
#include "lib/search/columns/part.h"
#include "lib/search/columns/root_parts.h"

/* Out of the table first, then the folder: a kill in between leaves a folder, not a hole. */
static bool drop_part(struct root *r, size_t i, struct err *err)
{
    struct table_entry e = table_entry(r->h, i);
    char name[32], path[PATH_MAX];
    part_folder_name(e.week, e.revision, name);
    table_change(r->h, i, (struct table_entry){.week = e.week});
    snprintf(path, sizeof path, "%s/%s", r->dir, name);
    return e.revision == 0 || root_remove_folder(path, err);
}

/* A week goes when its last day is older than the cutoff. */
static bool is_old(int32_t week, int64_t cutoff_us)
{
    return ((int64_t)week + 7) * DAY_US <= cutoff_us;
}

/* What was set aside holds values of crashes, too, and goes when its week goes. */
static bool drop_aside(const char *dir, int64_t cutoff_us, bool all, struct err *err)
{
    char aside[PATH_MAX], path[PATH_MAX + 300], name[32];
    snprintf(aside, sizeof aside, "%s/aside", dir);
    if (all)
        return fs_remove_tree(aside, err);
    DIR *d = opendir(aside);
    bool ok = d || errno == ENOENT || err_errno(err, errno, "listing %s", aside);
    for (struct dirent *e; ok && d && (e = readdir(d));) {
        int32_t week;
        uint32_t revision;
        snprintf(name, sizeof name, "%.*s", (int)strcspn(e->d_name, "."), e->d_name);
        if (!part_folder_parse(name, &week, &revision) || !is_old(week, cutoff_us))
            continue;
        snprintf(path, sizeof path, "%s/%s", aside, e->d_name);
        ok = fs_remove_tree(path, err);
    }
    if (d)
        closedir(d);
    return ok;
}

/*
 * Emptying everything counts as a loss of everything, so answers name all weeks until it is filled.
 */
static bool drop_until(const char *dir, const struct field_table *fields, int64_t cutoff_us,
                       bool all, size_t *ret_dropped, struct err *err)
{
    struct root *r;
    size_t dropped = 0;
    if (!root_open(dir, fields, true, &r, err))
        return false;
    if (!root_lock(r, err)) {
        root_free(r);
        return false;
    }
    uint32_t n = table_count(r->h);
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        struct table_entry e = table_entry(r->h, i);
        if ((!is_old(e.week, cutoff_us) && !all) || (e.revision == 0 && e.flags == 0))
            continue;
        dropped++;
        ok = drop_part(r, i, err);
    }
    ok = ok && drop_aside(dir, cutoff_us, all, err) &&
         (dropped == 0 || numbering_remove(dir, numbering_is_written, NULL, err));
    if (ok && all) {
        fact_set(r->h, FACT_LOSSES, fact(r->h, FACT_LOSSES) + 1);
        fact_set(r->h, FACT_LOST_ALL, fact(r->h, FACT_LOSSES));
    }
    root_unlock(r);
    root_free(r);
    if (ok && ret_dropped)
        *ret_dropped = dropped;
    return ok;
}

bool keep_expire(const char *dir, const struct field_table *fields, int64_t cutoff_us,
                 size_t *ret_dropped, struct err *err)
{
    return drop_until(dir, fields, cutoff_us, false, ret_dropped, err);
}

bool keep_reset(const char *dir, const struct field_table *fields, struct err *err)
{
    return drop_until(dir, fields, 0, true, NULL, err);
}
