/*
 * reprocesslacking: crashes that lacked symbols are queued again when these have arrived.
 *
 * Whatever way they came: an upload, `datil symbols add`, another server.  Which files have come
 * say their rows (lib/ledger/lacking.c), and for those of other servers their folder: rows come
 * later than these files, because who fetches them has no database (fetched_rows.h).  So symbols
 * that are copied into the store by hand need `datil symbols add` for the same files, which gives
 * them their rows.
 *
 * The argument quiet=SECONDS says how long nothing must have arrived; quiet=0 is now.
 */
#include "cron/job_context.h"
#include "cron/jobs/job_functions.h"
#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/db/db.h"
#include "lib/ledger/ledger.h"
#include "lib/symfile/fetched_rows.h"
#include "lib/symfile/symkey.h"
#include "lib/symfile/symstore.h"
#include "queries.h"

/* The files of one upload get their rows in batches, some seconds apart. */
enum {
    QUIET_S = 20,
    QUIET_MAX_S = 3600,
    FETCHED_MAX = 100000, /* bounds the memory of a run: some 10 MB of ids and times */
};

struct fetched_list {
    struct ledger_fetched out;
    struct arena *a;
    int64_t since_s;
};

/* Files of the last days.  The store may be on another machine, whose clock is some seconds behind:
 * a file counts as a minute younger, which takes a crash once too often at worst. */
static bool note_fetched(void *arg, const struct symkey *key, const struct symstore_found *file)
{
    enum { SLACK_S = 60 };
    struct fetched_list *f = arg;
    if (file->modified_s < f->since_s || !symkey_is_text(key))
        return true;
    f->out.debug_ids.v[f->out.debug_ids.n++] = str_of(arena_strdup(f->a, key->debug_id));
    f->out.stored_s.v[f->out.stored_s.n++] = str_of(db_int(f->a, file->modified_s + SLACK_S));
    return f->out.debug_ids.n < FETCHED_MAX;
}

static bool list_fetched(struct job_context *x, int days, struct ledger_fetched *ret,
                         struct err *err)
{
    const struct symstore store = {.dir = conf_text(x->conf, CONF_SYMBOLS_DIR)};
    struct fetched_list f = {.a = x->arena,
                             .since_s = now_us() / 1000000 - (days + 1) * INT64_C(86400)};
    f.out.debug_ids.v = arena_array(x->arena, FETCHED_MAX, sizeof(struct str));
    f.out.stored_s.v = arena_array(x->arena, FETCHED_MAX, sizeof(struct str));
    if (!symstore_list(&store, SYMSTORE_CACHE, note_fetched, &f, err))
        return err_wrap(err, "symbols of other servers");
    *ret = f.out;
    return true;
}

bool job_reprocesslacking(struct job_context *x, struct err *err)
{
    int days = (int)conf_int(x->conf, CONF_SYMBOLS_REPROCESS_DAYS);
    int64_t quiet_s = QUIET_S;
    const char *quiet = job_arg(x, "quiet");
    struct ledger_requeued done = {0};
    if (quiet && !str_to_i64(str_of(quiet), 0, QUIET_MAX_S, "quiet", &quiet_s, err))
        return false;
    size_t recorded;
    if (!fetched_rows_add(x->db, conf_text(x->conf, CONF_SYMBOLS_DIR), &recorded, err))
        return err_wrap(err, "recording symbols of other servers");
    if (!DB_EXEC(x->db, &q_lacking_expire, err, db_int(x->arena, days)))
        return err_wrap(err, "forgetting old crashes without symbols");
    if (days == 0) {
        puts("switched off by SYMBOLS_REPROCESS_DAYS");
        return true;
    }
    struct ledger_fetched fetched;
    if (!list_fetched(x, days, &fetched, err) ||
        !ledger_requeue_lacking(x->db, days, conf_int(x->conf, CONF_SYMBOLS_REPROCESS_MAX),
                                (int)quiet_s, &fetched, &done, err))
        return false;
    if (done.queued > 0 || done.waiting > 0)
        log_event(LOG_INFO, "symbols_arrived", "crashes queued again",
                  LOG_I("queued", (int64_t)done.queued), LOG_I("waiting", (int64_t)done.waiting));
    job_did(x, done.queued);
    printf("%zu crashes queued again, %zu more wait\n", done.queued, done.waiting);
    return true;
}
