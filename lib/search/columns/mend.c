#include "lib/search/columns/mend.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>

#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/search/columns/recover.h"
#include "lib/search/columns/seal.h"
#include "lib/search/columns/sums.h"

/*
 * The head says which partitions there are and which commit is the newest.  Both can be read off
 * the partitions: their folders carry week and revision, and their sealed heads the newest commit
 * that touched them.  The durable copy of the head adds what they cannot know: weeks that were set
 * aside before, the ledger's number, the boot id.  Folders that are not ours (damaged, another
 * version) go aside and their weeks count as lost.
 */
struct mending {
    const char *dir;
    const struct field_table *fields;
    struct root_head *h;
    bool has_copy;
    size_t found, lost;
};

static struct root_part *entry_of(struct mending *m, int32_t week)
{
    uint32_t n = m->h->part_count;
    for (uint32_t i = 0; i < n; i++)
        if (m->h->parts[i].week == week)
            return &m->h->parts[i];
    if (n == PARTS_MAX)
        return NULL;
    m->h->part_count = n + 1;
    m->h->parts[n].week = week;
    return &m->h->parts[n];
}

/* A compaction that was killed left its folder with an open seal; so did a dead writer. */
static bool is_whole(const struct mending *m, int32_t week, uint32_t revision,
                     uint64_t *ret_changed)
{
    struct part *p;
    if (!part_open(m->dir, m->fields, week, revision, false, &p, ERR_IGNORED))
        return false;
    bool ok = seal_look(HEAD_PART, p->h) == SEAL_GOOD;
    *ret_changed = p->h->changed;
    part_free(p);
    return ok;
}

static void take_folder(struct mending *m, int32_t week, uint32_t revision)
{
    uint64_t changed;
    m->h->next_revision = MAX(m->h->next_revision, revision + 1);
    if (!is_whole(m, week, revision, &changed))
        return;
    struct root_part *e = entry_of(m, week);
    if (!e || revision < e->revision)
        return;
    e->revision = revision;
    m->h->sequence = MAX(m->h->sequence, changed);
    m->found++;
}

static bool each_folder(struct mending *m, void (*take)(struct mending *, int32_t, uint32_t),
                        struct err *err)
{
    DIR *d = opendir(m->dir);
    if (!d)
        return err_errno(err, errno, "listing %s", m->dir);
    for (struct dirent *e; (e = readdir(d));) {
        int32_t week;
        uint32_t revision;
        if (part_folder_parse(e->d_name, &week, &revision))
            take(m, week, revision);
    }
    closedir(d);
    return true;
}

/* Older revisions and half-made ones of a week that was found are leftovers; others are a loss. */
static void put_away(struct mending *m, int32_t week, uint32_t revision)
{
    char name[32], path[PATH_MAX];
    struct root_part *e = entry_of(m, week);
    if (!e || e->revision == revision)
        return;
    part_folder_name(week, revision, name);
    snprintf(path, sizeof path, "%s/%s", m->dir, name);
    if (e->revision) {
        fs_remove_tree(path, ERR_IGNORED);
        return;
    }
    root_move_aside(m->dir, name, ERR_IGNORED);
    e->flags |= PART_DAMAGED;
    m->lost++;
}

static void forget_revisions(struct mending *m, uint32_t *had)
{
    for (uint32_t i = 0; i < m->h->part_count; i++) {
        had[i] = m->h->parts[i].revision;
        m->h->parts[i].revision = 0;
    }
}

/* Weeks that the copy names and the directory does not have. */
static void note_gone(struct mending *m, const uint32_t *had, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (had[i] && m->h->parts[i].revision == 0 && !(m->h->parts[i].flags & PART_DAMAGED)) {
            m->h->parts[i].flags |= PART_DAMAGED;
            m->lost++;
        }
}

static void start_head(struct mending *m)
{
    struct root_head *h = m->h;
    m->has_copy = sums_load_root(m->dir, h, ERR_IGNORED);
    if (!m->has_copy) {
        *h = (struct root_head){.format = FORMAT_VERSION, .sequence = 1, .next_revision = 1};
        memcpy(h->magic, ROOT_MAGIC, sizeof h->magic);
        h->ledger_seq = -1;
        recover_boot_id(h->boot_id);
    }
    h->intent.sequence = 0;
    h->synced = 0; /* the next sync writes the copy */
    h->parts_stamp = 2;
}

static bool write_head(const struct mending *m, struct err *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/head", m->dir);
    seal_close(HEAD_ROOT, m->h);
    return fs_write_atomic(path, m->h, sizeof *m->h, FS_FILE_MODE, err);
}

static void log_mended(const struct mending *m, const char *why)
{
    log_event(LOG_ERROR, "index_mended", "the head of the index was made anew",
              LOG_S("dir", m->dir), LOG_S("error", why), LOG_I("partitions", (int64_t)m->found),
              LOG_I("lost", (int64_t)m->lost));
}

bool mend_head(const struct root *r, const char *why, struct err *err)
{
    FREE_LATER struct root_head *h = xcalloc(1, sizeof *h);
    FREE_LATER uint32_t *had = xcalloc(PARTS_MAX, sizeof *had);
    struct mending m = {.dir = r->dir, .fields = r->fields, .h = h};
    start_head(&m);
    uint32_t copied = h->part_count;
    forget_revisions(&m, had);
    if (!each_folder(&m, take_folder, err) || !each_folder(&m, put_away, err))
        return false;
    note_gone(&m, had, copied);
    h->losses++;
    bool is_empty = m.found == 0 && m.lost == 0 && !m.has_copy;
    if (is_empty && r->was_there)
        h->lost_all = h->losses;
    if (!is_empty || r->was_there)
        log_mended(&m, why);
    return write_head(&m, err);
}

static bool is_new(const struct root_head *h)
{
    return h->filled == 0 && h->part_count == 0;
}

bool mend_fill_begin(struct root *r, uint64_t crashes, uint64_t *ret_losses, struct err *err)
{
    if (!root_lock(r, err))
        return false;
    struct root_head *h = r->h;
    *ret_losses = 0;
    if (h->losses > h->filled && crashes == 0 && is_new(h))
        h->filled = h->losses; /* a new installation */
    if (h->losses > h->filled) {
        if (is_new(h))
            h->lost_all = h->losses;
        *ret_losses = h->losses;
        h->fill_began_us = now_us();
        h->fill_ended_us = 0;
        h->fill_total = crashes;
        h->fill_looked = h->fill_put = 0;
    }
    root_unlock(r);
    return true;
}

bool mend_fill_progress(struct root *r, uint64_t looked, uint64_t put, struct err *err)
{
    if (!root_lock(r, err))
        return false;
    r->h->fill_looked = looked;
    r->h->fill_put = put;
    root_unlock(r);
    return true;
}

bool mend_filled(struct root *r, uint64_t losses, struct err *err)
{
    char aside[PATH_MAX];
    snprintf(aside, sizeof aside, "%s/aside", r->dir);
    if (!root_lock(r, err))
        return false;
    struct root_head *h = r->h;
    h->filled = MAX(h->filled, losses);
    h->fill_ended_us = now_us();
    bool is_all = h->losses == h->filled;
    if (is_all)
        for (uint32_t i = 0; i < h->part_count; i++)
            atomic_fetch_and(&h->parts[i].flags, ~(uint32_t)PART_DAMAGED);
    root_unlock(r);
    return !is_all || fs_remove_tree(aside, err);
}
