/*
 * Looking at everything: `verify` tells, the scrub of the index keeper acts.  Both look at one
 * partition after the other over a snapshot, without a lock.  What looks wrong is looked at
 * again over a fresh snapshot, the last time under the lock, when nobody writes; a partition that
 * has been replaced meanwhile is looked at in its new form.
 *
 * A verdict is dear: a week that goes aside is missing from answers until it has been filled.  So
 * it takes three looks, the last with all writers standing still, and the entry of the table must
 * still name the revision that was looked at when the week is set aside.
 */
#include <stdarg.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/search/columns/check.h"
#include "lib/search/columns/commit.h"
#include "lib/search/columns/keep.h"
#include "lib/search/columns/numbering.h"
#include "lib/search/columns/part.h"
#include "lib/search/columns/root.h"
#include "lib/search/columns/root_parts.h"
#include "lib/search/columns/unify.h"
#include "lib/search/columns/unify_file.h"

/* Twice beside the writers, whose work may look like damage, then once with their lock
 * (LOCK_MS). */
enum { LOOKS = 3, VERIFY_LOCK_MS = 10000 };

struct look {
    struct root *root; /* a reader's */
    const struct index_pace *pace;
    void (*report)(void *arg, const char *line);
    void *arg;
    size_t problems;
};

__attribute__((format(printf, 3, 4))) static void tell(struct look *l, bool is_problem,
                                                       const char *fmt, ...)
{
    char line[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    l->problems += is_problem;
    if (l->report)
        l->report(l->arg, line);
}

/* One week; `line` says what is there, "" if it was dropped or set aside meanwhile. */
struct week {
    int32_t week;
    uint32_t revision; /* that was looked at last */
    char line[400];
};

/* Why the partition of this week cannot be opened; true if there is none or it can. */
static bool look_at_closed(struct look *l, struct week *w, struct err *err)
{
    const struct root *r = l->root;
    for (size_t i = 0; i < r->part_count; i++) {
        struct table_entry e = table_entry(r->h, i);
        struct part *p;
        w->revision = e.revision;
        if (e.week != w->week || !r->is_damaged[i] || w->revision == 0)
            continue;
        if (!part_open(r->dir, r->fields, w->week, w->revision, false, &p, err))
            return false;
        part_free(p);
        char name[32];
        part_folder_name(w->week, w->revision, name);
        return err_set(err, ERR_DAMAGED, "%s/%s: the rows do not fit the files", r->dir, name);
    }
    return true;
}

/* Bytes first, then meaning: the first tells where, the second only that something is wrong. */
static bool look_once(struct look *l, struct week *w, struct err *err)
{
    struct part *p;
    uint64_t live = 0;
    w->line[0] = '\0';
    if (!root_snapshot(l->root, err))
        return false;
    if (!(p = root_part(l->root, w->week)))
        return look_at_closed(l, w, err);
    w->revision = p->revision;
    if (!check_sums(l->root, p, l->pace, err) || !check_meaning(l->root, p, l->pace, &live, err))
        return false;
    snprintf(w->line, sizeof w->line, "%s: %llu rows, %llu live, %zu columns, good", p->folder,
             (unsigned long long)p->rows, (unsigned long long)live, p->column_count);
    return true;
}

/* With all writers standing still; without the right to lock it, as it is. */
static bool look_locked(struct look *l, struct week *w, struct err *err)
{
    int fd = -1;
    struct err why = {0};
    bool has = keep_claim(l->root->dir, "lock", NULL, VERIFY_LOCK_MS, &fd, &why);
    bool ok = look_once(l, w, err);
    if (has)
        close(fd);
    return ok;
}

/* ERR_DAMAGED, ERR_NOT_FOUND: it is damaged. */
static bool look_at_week(struct look *l, struct week *w, struct err *err)
{
    struct err why = {0};
    for (int i = 0; i < LOOKS; i++) {
        bool ok = i < LOOKS - 1 ? look_once(l, w, &why) : look_locked(l, w, &why);
        if (ok)
            return true;
        if (why.code != ERR_DAMAGED && why.code != ERR_NOT_FOUND)
            break;
    }
    return err_set(err, why.code, "%s", why.msg);
}

struct weeks {
    int32_t v[PARTS_MAX];
    size_t n;
};

/*
 * The weeks as they are at the beginning; those that come later are looked at next time.
 */
static bool list_weeks(struct look *l, struct weeks *w, struct err *err)
{
    if (!root_snapshot(l->root, err))
        return false;
    w->n = 0;
    for (size_t i = 0; i < l->root->part_count; i++) {
        struct table_entry e = table_entry(l->root->h, i);
        char name[16];
        part_name(e.week, name);
        if (e.flags & PART_DAMAGED)
            tell(l, true, "%s: this week was set aside and is filled again from the store", name);
        if (e.revision)
            w->v[w->n++] = e.week;
    }
    if (l->root->h && fact(l->root->h, FACT_FILLED) < fact(l->root->h, FACT_LOST_ALL))
        tell(l, true, "the index was lost and is filled again from the store");
    return true;
}

/* ERR_NOT_FOUND: there is none, or it is of other weeks and not used. */
static bool look_at_numbering(const struct look *l, const struct search_field *f, struct err *err)
{
    struct unify *u = unify_new(l->root, f);
    bool ok = unify_file_try(u, err) && unify_file_check(u, l->pace, err);
    unify_free(u);
    return ok;
}

/* One that does not fit a partition which was replaced meanwhile is looked at again. */
static bool look_at_numbering_again(struct look *l, const struct search_field *f, struct err *err)
{
    struct err why = {0};
    for (int i = 0; i < LOOKS; i++) {
        if (!root_snapshot(l->root, err))
            return false;
        if (!l->root->h || look_at_numbering(l, f, &why) || why.code == ERR_NOT_FOUND)
            return true;
        if (why.code != ERR_DAMAGED || table_stamp(l->root->h) == l->root->stamp)
            return err_set(err, why.code, "%s", why.msg);
    }
    return true; /* the next scrub sees it */
}

static bool is_name(const char *name, const void *wanted)
{
    return strcmp(name, wanted) == 0;
}

/* A wrong one goes when the look is a scrub's; the index keeper writes it again. */
static bool look_at_numberings(struct look *l, bool removes, struct err *err)
{
    const struct field_table *fields = l->root->fields;
    for (size_t i = 0; i < fields->search_count; i++) {
        struct err why = {0};
        if (look_at_numbering_again(l, &fields->search[i], &why))
            continue;
        if (why.code != ERR_DAMAGED)
            return err_set(err, why.code, "%s", why.msg);
        tell(l, true, "DAMAGED: %s", why.msg);
        if (!removes)
            continue;
        log_event(LOG_ERROR, "index_numbering_damaged", "it is removed and written again",
                  LOG_E(&why));
        if (!numbering_remove(l->root->dir, is_name, fields->search[i].name, err))
            return false;
    }
    return true;
}

/* As a reader: changes nothing and needs no right to write. */
bool keep_verify(const char *dir, const struct field_table *fields,
                 void (*report)(void *arg, const char *line), void *arg, struct err *err)
{
    struct look l = {.report = report, .arg = arg};
    struct weeks weeks = {.n = 0};
    struct err why = {0};
    if (!root_open(dir, fields, false, &l.root, err))
        return false;
    bool ok = list_weeks(&l, &weeks, err);
    if (ok && l.root->h && !check_root(l.root, &why))
        tell(&l, true, "%s", why.msg);
    for (size_t i = 0; ok && i < weeks.n; i++) {
        struct week w = {.week = weeks.v[i]};
        why = (struct err){0};
        if (look_at_week(&l, &w, &why)) {
            if (w.line[0])
                tell(&l, false, "%s", w.line);
        } else if (why.code == ERR_DAMAGED || why.code == ERR_NOT_FOUND) {
            tell(&l, true, "DAMAGED: %s", why.msg);
        } else {
            ok = err_set(err, why.code, "%s", why.msg);
        }
    }
    ok = ok && look_at_numberings(&l, false, err);
    root_free(l.root);
    if (ok && l.problems > 0)
        return err_set(err, ERR_DAMAGED, "%zu problems in the index", l.problems);
    return ok;
}

/* Under the lock at last: the entry still names what was found damaged. */
static bool put_aside(struct root *r, const struct week *w, const char *why, size_t *ret_damaged,
                      struct err *err)
{
    if (!root_lock(r, err))
        return false;
    bool ok = true;
    for (size_t i = 0; ok && i < r->part_count; i++) {
        struct table_entry e = table_entry(r->h, i);
        if (e.week != w->week || e.revision != w->revision)
            continue;
        ok = root_set_aside(r, i, why, err);
        fact_set(r->h, FACT_SCRUB_DAMAGE, fact(r->h, FACT_SCRUB_DAMAGE) + 1);
        ++*ret_damaged;
    }
    root_unlock(r);
    return ok;
}

/* Bytes behind the table mean nothing; a copy that is damaged is written anew. */
static bool tidy_root(struct root *r, const char *why, struct err *err)
{
    log_event(LOG_ERROR, "index_head_tidied", "the head of the index was not clean",
              LOG_S("error", why));
    if (!root_lock(r, err))
        return false;
    table_clear_rest(r->h);
    sync_forget(r->h);
    root_unlock(r);
    return keep_sync(r, -1, err);
}

/* The beginning is written down as well, so that doctor can tell a scrub that never ends. */
static bool note_scrub(struct root *r, bool is_end, struct err *err)
{
    if (!root_lock(r, err))
        return false;
    if (is_end) {
        fact_set(r->h, FACT_SCRUB_ENDED_US, now_us());
    } else {
        fact_set(r->h, FACT_SCRUB_BEGAN_US, now_us());
        fact_set(r->h, FACT_SCRUB_DAMAGE, 0);
    }
    root_unlock(r);
    return true;
}

static bool scrub_weeks(struct root *r, struct look *l, size_t *ret_damaged, struct err *err)
{
    struct weeks weeks = {.n = 0};
    struct err why = {0};
    if (!list_weeks(l, &weeks, err))
        return false;
    if (l->root->h && !check_root(l->root, &why) && !tidy_root(r, why.msg, err))
        return false;
    for (size_t i = 0; i < weeks.n; i++) {
        struct week w = {.week = weeks.v[i]};
        why = (struct err){0};
        if (look_at_week(l, &w, &why))
            continue;
        if (why.code != ERR_DAMAGED && why.code != ERR_NOT_FOUND)
            return err_set(err, why.code, "%s", why.msg);
        if (!put_aside(r, &w, why.msg, ret_damaged, err))
            return false;
    }
    return true;
}

/* It reads through a reader of its own and takes the writer's lock only to act. */
bool keep_scrub(struct root *r, const struct index_pace *pace, size_t *ret_damaged, struct err *err)
{
    struct look l = {.pace = pace};
    *ret_damaged = 0;
    if (!note_scrub(r, false, err) || !root_open(r->dir, r->fields, false, &l.root, err))
        return false;
    bool ok = scrub_weeks(r, &l, ret_damaged, err) && look_at_numberings(&l, true, err);
    root_free(l.root);
    return ok && note_scrub(r, true, err);
}
