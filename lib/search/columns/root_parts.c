/*
 * Partitions of an index that is open: which one a week has, a new one, one that goes aside.  The
 * table in the head says which partitions there are (table_change in commit.c); the array beside
 * it holds those that this process has mapped.
 *
 * Setting aside is how all damage ends.  The folder moves to aside/ for somebody to look at, the
 * week is marked as lost in the table, the loss is counted, and the index keeper fills it from the
 * store.  The next put into that week makes a new partition beside all this.
 */
#include "lib/search/columns/root_parts.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/util.h"
#include "lib/search/columns/commit.h"

/*
 * The list of open seals must not name it any more: root_unlock would close the seal of memory that
 * is gone.
 */
void root_close_part(struct root *r, size_t i)
{
    struct part *p = r->parts[i];
    if (p)
        r->parts_epoch++;
    for (struct part **at = &r->open; p && p->is_open && *at; at = &(*at)->next_open)
        if (*at == p) {
            *at = p->next_open;
            break;
        }
    part_free(p);
    r->parts[i] = NULL;
    r->is_damaged[i] = false;
}

/* Open or not on disk, it is closed with the lock. */
void root_close_later(struct root *r, struct part *p)
{
    p->is_open = true;
    p->next_open = r->open;
    r->open = p;
}

/* Those that a dead writer left open were closed or taken over with the lock. */
bool root_open_part(struct root *r, struct part *p, struct err *err)
{
    if (p->is_open)
        return true;
    if (seal_look(HEAD_PART, p->h) != SEAL_GOOD)
        return err_set(err, ERR_DAMAGED, "%s: the head is not what was written", p->folder);
    seal_open(HEAD_PART, p->h);
    root_close_later(r, p);
    return true;
}

struct part *root_part(struct root *r, int32_t week)
{
    for (size_t i = 0; i < r->part_count; i++)
        if (r->parts[i] && r->parts[i]->week == week)
            return r->parts[i];
    return NULL;
}

uint32_t root_find_entry(const struct root *r, int32_t week)
{
    uint32_t n = table_count(r->h), free_one = n;
    for (uint32_t i = 0; i < n; i++) {
        struct table_entry e = table_entry(r->h, i);
        if (e.week == week)
            return i;
        if (e.revision == 0 && e.flags == 0 && free_one == n)
            free_one = i;
    }
    return free_one;
}

/*
 * Made completely before the table names it.  An entry whose week was dropped is used again; the
 * table has 1024, which is twenty years of weeks.
 */
bool root_make_part(struct root *r, int32_t week, struct part **ret, struct err *err)
{
    uint32_t n = table_count(r->h), i = root_find_entry(r, week);
    if (i == PARTS_MAX)
        return err_set(err, ERR_TOO_LARGE, "%s: more than %d partitions", r->dir, PARTS_MAX);
    struct table_entry entry = i < n ? table_entry(r->h, i) : (struct table_entry){.week = week};
    if (entry.week != week) /* a week that was dropped makes place */
        entry = (struct table_entry){.week = week};
    entry.revision = table_take_revision(r->h);
    if (!part_create(r->dir, r->fields, week, entry.revision, &r->parts[i], err))
        return false;
    root_close_later(r, r->parts[i]);
    table_change(r->h, i, entry);
    r->part_count = MAX(r->part_count, (size_t)i + 1);
    r->parts_epoch++;
    r->stamp = table_stamp(r->h);
    *ret = r->parts[i];
    return true;
}

/* The random number keeps two losses of one week apart. */
bool root_move_aside(const char *dir, const char *name, struct err *err)
{
    char from[PATH_MAX], to[PATH_MAX];
    snprintf(to, sizeof to, "%s/aside", dir);
    if (!fs_mkdirs(to, FS_DIR_MODE, err))
        return false;
    snprintf(from, sizeof from, "%s/%s", dir, name);
    snprintf(to, sizeof to, "%s/aside/%s.%llx", dir, name, (unsigned long long)random_u64());
    return rename(from, to) == 0 || errno == ENOENT ||
           err_errno(err, errno, "setting aside %s", from);
}

/* In the order that a kill cannot turn into a silent loss: see index-commit.md. */
bool root_set_aside(struct root *r, size_t index, const char *why, struct err *err)
{
    struct table_entry entry = table_entry(r->h, index);
    char name[32];
    part_folder_name(entry.week, entry.revision, name);
    log_event(LOG_ERROR, "index_partition_damaged", "a partition of the index was set aside",
              LOG_S("partition", name), LOG_S("error", why));
    root_close_part(r, index);
    if (!root_move_aside(r->dir, name, err))
        return false;
    /* Counted first: a writer that is killed in between has counted a loss that is found again,
     * never lost a week that nobody fills. */
    fact_set(r->h, FACT_LOSSES, fact(r->h, FACT_LOSSES) + 1);
    entry.flags |= PART_DAMAGED;
    entry.revision = 0;
    table_change(r->h, index, entry);
    return true;
}

/* A sync may be writing its copy of the head into a folder that has just gone out of use. */
bool root_remove_folder(const char *path, struct err *err)
{
    for (int tries = 0; tries < 5; tries++) {
        if (fs_remove_tree(path, ERR_IGNORED))
            return true;
        usleep(20000);
    }
    return fs_remove_tree(path, err);
}

/* Texts of packed weeks that a process keeps unpacked; beyond, all of them go. */
enum { TEXTS_KEPT_BYTES = 64 << 20 };

void root_forget_texts(struct root *r)
{
    size_t bytes = 0;
    for (int is_over = 0; is_over < 2; is_over++) {
        for (size_t i = 0; i < r->part_count; i++) {
            const struct part *p = r->parts[i];
            for (size_t k = 0; p && k < p->column_count; k++) {
                if (!p->columns[k])
                    continue;
                bytes += column_text_bytes(p->columns[k]);
                if (is_over)
                    column_forget(p->columns[k]);
            }
        }
        if (bytes <= TEXTS_KEPT_BYTES)
            return;
    }
}
