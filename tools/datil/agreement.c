/*
 * The agreement of ledger, store and index, both ways:
 *
 *   a processed ledger row has a processed crash and an index document;
 *   a processed crash in the store has a processed ledger row, or one with a message in the queue;
 *   a raw crash in the store has a ledger row;
 *   the index holds no more documents than the ledger has processed crashes.
 *
 * While the index is being filled (doctor_index says so), or a crash waits for it, nobody expects
 * that it holds everything.
 *
 * Work goes on meanwhile, and a crash is looked at in four places one after the other, so a single
 * look may show a state that never was: a crash deleted between two of them, say.  Whoever looks
 * suspicious is looked at LOOKS times with a pause; one good look clears it.
 *
 * Memory is bounded by pages, not by the installation: the ledger is read in pages by crash id, the
 * store in batches, and only suspects are kept.  That the index holds too much is found by
 * counting.
 */
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/search/collection.h"
#include "lib/search/index.h"
#include "lib/search/search.h"
#include "lib/store/store.h"
#include "queries.h"
#include "tools/datil/app.h"
#include "tools/datil/cmd_doctor.h"

/*
 * PAGE is what one statement asks for.  SHOWN_MAX lines are as many as anybody reads, SUSPECTS_MAX
 * as many as are kept to be looked at again.  A crash that is being processed changes from one
 * second to the next, hence PAUSE_MS; four looks are three pauses apart.
 */
enum { PAGE = 1000, SHOWN_MAX = 50, SUSPECTS_MAX = 10000, PAUSE_MS = 1000, LOOKS = 4, TRIES = 10 };
/* From so many on it is rather the disk than single crashes: said once, not for each. */
enum { MANY_LOST = 20 };
/*
 * Crash ids carry a year of two digits, so none is older than FIRST_YEAR.  Spans are a day short of
 * a year, since searches refuse more; ten minutes for each are patience for a disk that is cold.
 */
enum { FIRST_YEAR = 2000, SEARCH_TIME_MS = 600 * 1000 };
#define SPAN_US (364 * DAY_US)

struct suspects {
    VEC(char *) ids; /* owned */
    bool overflow;
};

struct agreement {
    struct doctor *d;
    struct suspects from_ledger, from_store;
    struct arena page; /* reset for each page */
    struct strs batch; /* of the store's side, in the page arena */
    bool must_be_processed;
    bool is_filling; /* the index lacks crashes and is being filled */
    size_t processed, stored, shown;
    size_t lost; /* nothing stored at all */
    struct err err;
    bool ok;
};

static void suspect(struct suspects *s, const char *id)
{
    if (s->ids.n >= SUSPECTS_MAX)
        s->overflow = true;
    else
        VEC_PUSH(&s->ids, xstrdup(id));
}

static void suspects_release(struct suspects *s)
{
    for (size_t i = 0; i < s->ids.n; i++)
        free(s->ids.v[i]);
    VEC_RELEASE(&s->ids);
}

/* Beyond SHOWN_MAX problems are counted only; doctor_agreement says how many. */
static void report(struct agreement *a, const char *id, const char *what)
{
    if (a->shown++ < SHOWN_MAX)
        doctor_problem(a->d, "crash %s: %s", id, what);
    else
        a->d->problems++;
}

struct findings {
    bool has_row, is_processed, is_late, is_queued, has_raw, has_processed, is_indexed;
};

/*
 * Everything about one crash, from all four places, as near to each other in time as can be.
 * is_late: processed, but without a place in the sequence of the index, which is how the ledger
 * notes that the index has it not yet (lib/ledger).
 */
static bool examine(struct agreement *a, const char *id, struct findings *ret)
{
    struct app *app = a->d->app;
    struct str one = str_of(id);
    DB_ROWS row = {0}, queued = {0};
    arena_reset(&a->page);
    if (!DB_RUN(app->db, &q_ledger_row, &row, &a->err, id) ||
        !DB_RUN(app->db, &q_doctor_queued, &queued, &a->err,
                db_text_array(&a->page, (struct strs){&one, 1})) ||
        !index_has(app->reader, id, &ret->is_indexed, &a->err))
        return false;
    ret->has_row = row.count > 0;
    ret->is_processed =
        row.count > 0 && strcmp(db_col(&row, 0, Q_LEDGER_ROW_COL_STATE), "processed") == 0;
    ret->is_late = ret->is_processed && db_col(&row, 0, Q_LEDGER_ROW_COL_INDEX_SEQ) == NULL;
    ret->is_queued = queued.count > 0;
    ret->has_raw = store_exists(app->store, id, "raw_crash");
    ret->has_processed = store_exists(app->store, id, "processed_crash");
    return true;
}

/*
 * What is wrong with it now, or NULL.  In the order of what is worst: a result that is lost, one
 * that cannot be found, one that the ledger does not know, a report that was never worked on.  The
 * advice after the semicolon is a command that mends it and may be repeated.
 */
static const char *verdict(const struct findings *f, bool is_filling)
{
    if (f->is_processed && !f->has_processed)
        return f->has_raw ? "processed according to the ledger, but the store has no processed "
                            "crash; `datil reprocess` it"
                          : "in the ledger, but nothing is stored; `datil crash delete` it";
    if (f->is_processed && !f->is_indexed && !f->is_late && !is_filling)
        return "processed, but searches do not find it; `datil reprocess` it or `datil index "
               "rebuild`";
    if (f->has_processed && !f->is_processed && !f->is_queued)
        return f->has_row
                   ? "stored, but not processed according to the ledger; `datil reprocess` it"
                   : "stored, but unknown to the ledger; `datil reprocess` or `datil crash "
                     "delete` it";
    if (f->has_raw && !f->has_row)
        return "stored, but never published; `datil reprocess` it";
    return NULL;
}

static int by_id(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void drop_twins(struct suspects *s)
{
    size_t kept = 0;
    if (s->ids.n)
        qsort(s->ids.v, s->ids.n, sizeof *s->ids.v, by_id);
    for (size_t i = 0; i < s->ids.n; i++) {
        bool is_twin = kept && strcmp(s->ids.v[i], s->ids.v[kept - 1]) == 0;
        if (is_twin) /* met as raw and as processed crash */
            free(s->ids.v[i]);
        else
            s->ids.v[kept++] = s->ids.v[i];
    }
    s->ids.n = kept;
}

/* Keeps the suspects that still look wrong. */
static bool examine_again(struct agreement *a, struct suspects *s, bool is_last)
{
    size_t kept = 0;
    bool ok = true;
    for (size_t i = 0; i < s->ids.n; i++) {
        struct findings f = {0};
        ok = ok && examine(a, s->ids.v[i], &f);
        const char *what = ok ? verdict(&f, a->is_filling) : NULL;
        if (!what) {
            free(s->ids.v[i]);
            continue;
        }
        if (is_last && f.is_processed && !f.has_raw && !f.has_processed)
            a->lost++;
        if (is_last && a->lost <= MANY_LOST)
            report(a, s->ids.v[i], what);
        s->ids.v[kept++] = s->ids.v[i];
    }
    s->ids.n = kept;
    return ok;
}

/*
 * Many crashes of which nothing at all is stored are one problem and not many: a file system that
 * is not mounted, or an old copy.  Advice to delete them, which would be right for one, would
 * destroy them all.
 */
static bool judge(struct agreement *a, struct suspects *s)
{
    drop_twins(s);
    for (int look = 1; look <= LOOKS && s->ids.n; look++) {
        if (!examine_again(a, s, look == LOOKS))
            return false;
        if (s->ids.n && look < LOOKS)
            usleep(PAUSE_MS * 1000);
    }
    if (a->lost > MANY_LOST)
        doctor_problem(
            a->d,
            "agreement: %zu crashes of the ledger are not in the store; is its file system "
            "mounted, is it an old copy?  Delete nothing before that is known; `datil "
            "restore` brings back what a backup has",
            a->lost);
    if (s->overflow)
        doctor_problem(a->d, "agreement: so many differ that only some were looked at");
    return true;
}

/*
 * One page behind `last`, in the order of crash ids, so that rows that come and go meanwhile shift
 * nothing.
 */
static bool ledger_page(struct agreement *a, char last[64], int *ret_count)
{
    struct app *app = a->d->app;
    DB_ROWS rows = {0};
    arena_reset(&a->page);
    if (!DB_RUN(app->db, &q_ledger_page, &rows, &a->err, last, db_int(&a->page, PAGE)))
        return false;
    for (int i = 0; i < rows.count; i++) {
        const char *id = db_col(&rows, i, Q_LEDGER_PAGE_COL_CRASH_ID);
        bool is_indexed;
        if (i == rows.count - 1)
            snprintf(last, 64, "%s", id);
        if (strcmp(db_col(&rows, i, Q_LEDGER_PAGE_COL_STATE), "processed") != 0)
            continue;
        a->processed++;
        if (!index_has(app->reader, id, &is_indexed, &a->err))
            return false;
        if ((!is_indexed && !a->is_filling) || !store_exists(app->store, id, "processed_crash"))
            suspect(&a->from_ledger, id);
    }
    *ret_count = rows.count;
    return true;
}

static bool look_from_ledger(struct agreement *a)
{
    char last[64] = "";
    int got;
    do {
        if (!ledger_page(a, last, &got))
            return false;
    } while (got == PAGE);
    return true;
}

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* Both sides are sorted by bytes and walked once. */
static void compare_page(struct agreement *a, const struct db_rows *rows)
{
    int at = 0;
    for (size_t i = 0; i < a->batch.n; i++) {
        struct str id = a->batch.v[i], known = STR_NONE;
        while (at < rows->count) {
            known = str_of(db_col(rows, at, Q_LEDGER_KNOWN_COL_CRASH_ID));
            if (str_cmp(known, id) >= 0)
                break;
            at++;
        }
        bool is_known = at < rows->count && str_eq(known, id);
        if (!is_known || (a->must_be_processed &&
                          strcmp(db_col(rows, at, Q_LEDGER_KNOWN_COL_STATE), "processed") != 0))
            suspect(&a->from_store, id.p);
    }
}

/*
 * One statement for the whole batch.  It returns ids in the order of their bytes (COLLATE "C"), and
 * the batch is sorted the same way, for compare().
 */
static bool check_batch(struct agreement *a)
{
    DB_ROWS rows = {0};
    if (a->batch.n == 0)
        return true;
    qsort(a->batch.v, a->batch.n, sizeof *a->batch.v, by_text);
    bool ok =
        DB_RUN(a->d->app->db, &q_ledger_known, &rows, &a->err, db_text_array(&a->page, a->batch));
    if (ok)
        compare_page(a, &rows);
    a->batch.n = 0;
    return ok;
}

static bool on_stored(void *arg, const char *id)
{
    struct agreement *a = arg;
    if (a->batch.n == 0) {
        arena_reset(&a->page);
        a->batch.v = arena_array(&a->page, PAGE, sizeof(struct str));
    }
    a->stored++;
    a->batch.v[a->batch.n++] = str_copy(&a->page, str_of(id));
    return a->batch.n < PAGE || (a->ok = check_batch(a));
}

/* A raw crash needs a row of any state; a processed crash needs one that says processed. */
static bool look_at_kind(struct agreement *a, struct strs days, const char *kind,
                         bool must_be_processed)
{
    a->must_be_processed = must_be_processed;
    a->stored = 0;
    for (size_t i = 0; i < days.n; i++)
        if (!store_catalog(a->d->app->store, days.v[i].p, kind, on_stored, a, &a->err) || !a->ok)
            return false;
    return check_batch(a);
}

static bool look_from_store(struct agreement *a)
{
    struct strs days = {0};
    return store_days(a->d->app->store, &a->d->app->arena, &days, &a->err) &&
           look_at_kind(a, days, "raw_crash", false) &&
           look_at_kind(a, days, "processed_crash", true);
}

/*
 * Documents of a span of time; searches refuse spans of more than a year.  The reader's rights are
 * the highest that a search knows, so that no crash is hidden from the count.
 */
static bool count_span(struct agreement *a, int64_t from_us, int64_t to_us, int64_t *total)
{
    struct app *app = a->d->app;
    char from[TIME_TEXT_MAX + 2] = ">=", to[TIME_TEXT_MAX + 2] = "<";
    time_iso_s(from_us / 1000000, from + 2);
    time_iso_s(to_us / 1000000, to + 1);
    struct search_param v[] = {
        {STR("date"), str_of(from)},
        {STR("date"), str_of(to)},
        {STR("_results_number"), STR("0")},
        {STR("_facets_size"), STR("0")},
    };
    struct search_context ctx = {
        .now_us = now_us(),
        .reader = PERM_PROTECTED,
        .deadline_ms = mono_ms() + SEARCH_TIME_MS,
    };
    json_auto_t *answer = NULL;
    const char *form_param;
    if (!search_answer(&app->arena, app->reader, &ctx, (struct search_params){v, ARRAY_LEN(v)},
                       &answer, &form_param, &a->err))
        return false;
    *total += jget_int_or(answer, "total", 0);
    return true;
}

static bool index_total(struct agreement *a, int64_t *ret)
{
    int64_t from = civil_to_us((struct civil){FIRST_YEAR, 1, 1, 0, 0, 0, 0}), total = 0;
    for (; from < now_us() + SPAN_US; from += SPAN_US)
        if (!count_span(a, from, from + SPAN_US, &total))
            return false;
    *ret = total;
    return true;
}

static bool processed_count(struct agreement *a, int64_t *ret)
{
    DB_ROWS rows = {0};
    if (!DB_RUN(a->d->app->db, &q_ledger_count_by_state, &rows, &a->err))
        return false;
    *ret = 0;
    for (int i = 0; i < rows.count; i++)
        if (strcmp(db_col(&rows, i, Q_LEDGER_COUNT_BY_STATE_COL_STATE), "processed") == 0)
            *ret = db_col_int(&rows, i, Q_LEDGER_COUNT_BY_STATE_COL_COUNT, 0);
    return true;
}

/*
 * A crash comes into the index before the store and the ledger hear of it, and stays ahead of them
 * for as long as the disk of the store is full.
 */
static bool unfinished_count(struct agreement *a, int64_t *ret)
{
    DB_ROWS rows = {0};
    if (!DB_RUN(a->d->app->db, &q_doctor_unfinished, &rows, &a->err))
        return false;
    *ret = db_col_int(&rows, 0, Q_DOCTOR_UNFINISHED_COL_COUNT, 0);
    return true;
}

/* The numbers move while crashes are processed. */
static bool look_from_index(struct agreement *a)
{
    int64_t total = 0, processed = 0, unfinished = 0;
    for (int i = 0; i < TRIES; i++) {
        if (!index_total(a, &total) || !unfinished_count(a, &unfinished) ||
            !processed_count(a, &processed))
            return false;
        if (total <= processed + unfinished)
            return true;
        usleep(3 * PAUSE_MS * 1000 / TRIES);
    }
    doctor_problem(a->d,
                   "index: holds %lld crashes, the ledger %lld processed ones; `datil index "
                   "rebuild` drops the others",
                   (long long)total, (long long)processed);
    return true;
}

/*
 * Suspects are judged after all three looks: by then most of those that were only in work are done.
 */
static bool compare_places(struct agreement *a)
{
    if (!look_from_ledger(a) || !look_from_store(a) || !look_from_index(a))
        return false;
    return judge(a, &a->from_ledger) && judge(a, &a->from_store);
}

static void say_filling(struct doctor *d, const char *index, const struct index_health *h)
{
    if (h->is_all_missing)
        doctor_problem(d, "%s: it was lost as a whole and is filled again from the store", index);
    else if (h->weeks_missing)
        doctor_problem(d, "%s: %zu weeks were damaged and are filled again from the store: %s",
                       index, h->weeks_missing, h->weeks);
    else
        doctor_note(d, "%s: it may lack crashes; each is being looked up", index);
    if (h->filler[0] && h->fill_ended_us == 0)
        doctor_note(d, "%s: %s: %llu of %llu crashes looked at, %llu put", index, h->filler,
                    (unsigned long long)h->fill_looked, (unsigned long long)h->fill_total,
                    (unsigned long long)h->fill_put);
    else
        doctor_problem(
            d, "%s: nobody fills it; the processor does, the start script or its unit starts it",
            index);
}

static void say_scrub(struct doctor *d, const char *index, const struct index_health *h)
{
    char when[TIME_TEXT_MAX];
    if (h->scrub_ended_us == 0) {
        doctor_note(d, "%s: not scrubbed yet", index);
        return;
    }
    time_iso_s(h->scrub_ended_us / 1000000, when);
    doctor_note(d, "%s: the last scrub ended at %s and found %llu damaged weeks", index, when,
                (unsigned long long)h->scrub_damage);
}

static void say_late(struct doctor *d)
{
    DB_ROWS rows = {0};
    struct err err = {0};
    if (!d->has_db)
        return;
    if (!DB_RUN(d->app->db, &q_index_late_count, &rows, &err))
        doctor_problem(d, "index: %s", err.msg);
    else if (db_col_int(&rows, 0, Q_INDEX_LATE_COUNT_COL_COUNT, 0) > 0)
        doctor_problem(d,
                       "index: %s processed crashes wait for it, because it could not be used; the "
                       "log of the processor says why",
                       db_col(&rows, 0, Q_INDEX_LATE_COUNT_COL_COUNT));
}

/* "index" is that of the reports, as it was when there was no other. */
static const char *index_title(const struct doctor *d, const struct collection *c)
{
    return c->id == COLLECTION_REPORTS ? "index"
                                       : arena_printf(&d->app->arena, "index of %s", c->name);
}

static struct collection collection_at(const struct doctor *d, enum collection_id id)
{
    return collection_of(&d->app->conf, d->app->fields, id);
}

static void look_at_index(struct doctor *d, const struct collection *c)
{
    struct err err = {0};
    struct index_health h;
    const char *index = index_title(d, c);
    if (!index_health(c->dir, c->fields, &h, &err))
        doctor_problem(d, "%s: %s", index, err.msg);
    else if (!h.exists)
        doctor_problem(d,
                       "%s: there is none; the processor makes it and fills it from the store, "
                       "the start script or its unit starts it",
                       index);
    else if (!h.is_readable)
        doctor_problem(d, "%s: its head cannot be read; the processor makes it anew", index);
    else if (!h.is_whole)
        say_filling(d, index, &h);
    else
        say_scrub(d, index, &h);
    if (h.compactor[0])
        doctor_note(d, "%s: %s", index, h.compactor);
}

/*
 * Cheap, so it is part of --quick: only heads are read.  Damage is not found here but by the
 * processor's daily scrub, whose last result is told, or by doctor_index_bytes.
 */
void doctor_index(struct doctor *d)
{
    for (enum collection_id id = 0; id < COLLECTIONS; id++) {
        struct collection c = collection_at(d, id);
        look_at_index(d, &c);
    }
    say_late(d);
}

static void drop_line(void *arg, const char *line)
{
    (void)arg;
    (void)line; /* `datil index verify` prints them */
}

void doctor_index_bytes(struct doctor *d)
{
    for (enum collection_id id = 0; id < COLLECTIONS; id++) {
        struct err err = {0};
        struct index_health h;
        struct collection c = collection_at(d, id);
        const char *index = index_title(d, &c);
        if (!index_health(c.dir, c.fields, &h, &err) || !h.is_readable || !h.is_whole)
            continue; /* doctor_index has told */
        if (!index_verify(c.dir, c.fields, drop_line, NULL, &err))
            doctor_problem(d,
                           "%s: %s; `datil index verify` says where, the processor's next scrub "
                           "mends it",
                           index, err.msg);
        else
            doctor_good(d, "%s: every file is sound", index);
    }
}

/*
 * Says nothing when the store is away or the database: everything would disagree then, and doctor
 * has told the reason.
 */
void doctor_agreement(struct doctor *d)
{
    struct agreement a = {.d = d, .ok = true};
    struct app *app = d->app;
    if (!d->has_db || d->is_store_away)
        return;
    struct index_health health;
    a.is_filling =
        index_health(conf_text(&app->conf, CONF_INDEX_DIR), app->fields, &health, ERR_IGNORED) &&
        !health.is_whole;
    arena_init(&a.page, 4 << 20);
    size_t before = d->problems;
    if (!app_store(app, &a.err) || !app_reader(app, &a.err) || !compare_places(&a))
        doctor_problem(d, "agreement: %s", a.err.msg);
    if (d->problems == before)
        doctor_good(d, "agreement: ledger, store and index agree on %zu processed crashes%s",
                    a.processed, a.is_filling ? ", but for those that the index lacks" : "");
    else if (a.shown > SHOWN_MAX)
        printf("         … and %zu more crashes\n", a.shown - SHOWN_MAX);
    suspects_release(&a.from_ledger);
    suspects_release(&a.from_store);
    arena_release(&a.page);
}
