/*
 * The head says which partitions there are and which commit is the newest.  Both can be read off
 * the partitions: their folders carry week and revision, and their sealed heads the newest commit
 * that touched them.  The durable copy of the head adds what they cannot know: weeks that were set
 * aside before, the ledger's number, the boot id.  Folders that are not ours (damaged, another
 * version) go aside and their weeks count as lost.
 */
#include "lib/search/columns/mend.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/util.h"
#include "lib/search/columns/commit.h"
#include "lib/search/columns/format.h"
#include "lib/search/columns/part.h"
#include "lib/search/columns/recover.h"
#include "lib/search/columns/sums.h"

struct mending {
    const char *dir;
    const struct field_table *fields;
    struct root_head *h;
    bool has_copy;
    size_t found, lost;
};

/* The entry of a week, made if there is none. False: the table is full. */
static bool find_entry(struct mending *m, int32_t week, uint32_t *ret)
{
    uint32_t n = table_count(m->h);
    for (*ret = 0; *ret < n; ++*ret)
        if (table_entry(m->h, *ret).week == week)
            return true;
    if (n == PARTS_MAX)
        return false;
    table_change(m->h, n, (struct table_entry){.week = week});
    return true;
}

static void set_revision(struct mending *m, uint32_t i, uint32_t revision)
{
    struct table_entry e = table_entry(m->h, i);
    e.revision = revision;
    table_change(m->h, i, e);
}

static void set_lost(struct mending *m, uint32_t i)
{
    struct table_entry e = table_entry(m->h, i);
    e.flags |= PART_DAMAGED;
    table_change(m->h, i, e);
    m->lost++;
}

/* A compaction that was killed left its folder with an open seal; so did a dead writer. */
static bool is_whole(const struct mending *m, int32_t week, uint32_t revision,
                     uint64_t *ret_changed)
{
    struct part *p;
    if (!part_open(m->dir, m->fields, week, revision, false, &p, ERR_IGNORED))
        return false;
    bool ok = seal_look(HEAD_PART, p->h) == SEAL_GOOD;
    *ret_changed = part_changed(p->h);
    part_free(p);
    return ok;
}

/* Of several whole revisions the newest counts; the others are what a compaction left. */
static void take_folder(struct mending *m, int32_t week, uint32_t revision)
{
    uint64_t changed;
    table_skip_revisions(m->h, revision + 1);
    if (!is_whole(m, week, revision, &changed))
        return;
    uint32_t i;
    if (!find_entry(m, week, &i) || revision < table_entry(m->h, i).revision)
        return;
    set_revision(m, i, revision);
    commit_set_sequence(m->h, MAX(commit_sequence(m->h), changed));
    m->found++;
}

/* Anything whose name is no partition's is left alone. */
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
    uint32_t i;
    if (!find_entry(m, week, &i) || table_entry(m->h, i).revision == revision)
        return;
    part_folder_name(week, revision, name);
    snprintf(path, sizeof path, "%s/%s", m->dir, name);
    if (table_entry(m->h, i).revision) {
        fs_remove_tree(path, ERR_IGNORED);
        return;
    }
    root_move_aside(m->dir, name, ERR_IGNORED);
    set_lost(m, i);
}

/* What is really there decides, not what the copy names; it is compared afterwards. */
static void forget_revisions(struct mending *m, uint32_t *had)
{
    for (uint32_t i = 0; i < table_count(m->h); i++) {
        had[i] = table_entry(m->h, i).revision;
        set_revision(m, i, 0);
    }
}

/* Weeks that the copy names and the directory does not have. */
static void note_gone(struct mending *m, const uint32_t *had, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct table_entry e = table_entry(m->h, i);
        if (had[i] && e.revision == 0 && !(e.flags & PART_DAMAGED))
            set_lost(m, i);
    }
}

/* With the durable copy, if it is good, else with nothing. */
static void start_head(struct mending *m)
{
    struct root_head *h = m->h;
    m->has_copy = sums_load_root(m->dir, h, ERR_IGNORED);
    if (!m->has_copy) {
        memset(h, 0, sizeof *h);
        h->format = FORMAT_VERSION;
        memcpy(h->magic, ROOT_MAGIC, sizeof h->magic);
        commit_set_sequence(h, 1);
        table_skip_revisions(h, 1);
        fact_set(h, FACT_LEDGER_SEQ, -1);
        recover_boot_id(h->boot_id);
    }
    commit_withdraw(h);
    sync_forget(h);
}

/* Another file under the name of the old one: who has that mapped notices at its next look. */
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

/*
 * Always a loss, since nobody can say what a missing head would have named; on a new installation
 * there is nothing to fill, and the first filling notes that (filling.c).
 */
bool mend_head(const struct root *r, const char *why, struct err *err)
{
    FREE_LATER struct root_head *h = xcalloc(1, sizeof *h);
    FREE_LATER uint32_t *had = xcalloc(PARTS_MAX, sizeof *had);
    struct mending m = {.dir = r->dir, .fields = r->fields, .h = h};
    start_head(&m);
    uint32_t copied = table_count(h);
    forget_revisions(&m, had);
    if (!each_folder(&m, take_folder, err) || !each_folder(&m, put_away, err))
        return false;
    note_gone(&m, had, copied);
    fact_set(h, FACT_LOSSES, fact(h, FACT_LOSSES) + 1);
    bool is_empty = m.found == 0 && m.lost == 0 && !m.has_copy;
    if (is_empty && r->was_there)
        fact_set(h, FACT_LOST_ALL, fact(h, FACT_LOSSES));
    if (!is_empty || r->was_there)
        log_mended(&m, why);
    return write_head(&m, err);
}
