/*
 * Crashes get better by themselves: those that lacked symbols are queued again when these arrive.
 *
 * Nobody has to tell: each finished crash notes what it lacked and when it was walked
 * (crash_lacks_symbols), each stored symbols file has a row with its time (symbol_file), and a
 * crash is due when a file of such an id is younger than its walk.  Both times are the database's.
 * So an upload costs nothing more, a file that was stored while the crash was in work is not
 * missed, and a crash that lacks the module still, because the file was useless, is younger than it
 * and does not come again.
 *
 * Taking a crash and publishing it are one transaction.  Who is killed before its end has done
 * nothing, and who repeats it after its end finds nothing to do.
 */
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/util.h"
#include "lib/crash/crash_id.h"
#include "lib/db/db.h"
#include "lib/ledger/ledger.h"
#include "queries.h"

enum {
    /* Builds upload for hours one after the other; nobody waits for all of them. */
    PATIENCE_S = 600,
    /*
     * Each page looks at everything that is due: a million rows that all were took 8 s, on two busy
     * cores.  So a page is what a day allows by default, and one transaction of some seconds.
     */
    PAGE = 10000,
    /* A fetch takes ten minutes at most; most are done in one, and there are three tries. */
    PENDING_S = 120,
    PENDING_PASSES_MAX = 3,
    ARENA_BYTES_MAX = 64 << 20, /* a hundred thousand fetched files, as arrays */
};

struct requeue {
    struct arena *a;
    int days, quiet_s;
    int64_t max_per_day;
    const struct ledger_fetched *fetched;
    size_t taken, due; /* of the last page */
};

/* In parts that one statement takes. */
static bool publish_taken(struct db *db, struct requeue *r, const struct db_rows *rows,
                          struct err *err)
{
    struct ledger_entry *entries = arena_array(r->a, LEDGER_BATCH_MAX, sizeof *entries);
    size_t n = 0;
    bool ok = true;
    for (int i = 0; ok && i < rows->count; i++) {
        const char *id = db_col(rows, i, Q_LACKING_DUE_COL_CRASH_ID);
        if (!id) /* none is due */
            break;
        entries[n++] = (struct ledger_entry){.crash_id = id, .queue = QUEUE_REPROCESSING};
        r->taken++;
        if (n == LEDGER_BATCH_MAX) {
            ok = ledger_publish_all(db, entries, n, err);
            n = 0;
        }
    }
    return ok && ledger_publish_all(db, entries, n, err);
}

static bool take_page(struct db *db, void *arg, struct err *err)
{
    struct requeue *r = arg;
    DB_ROWS rows = {0};
    if (!DB_RUN(db, &q_lacking_due, &rows, err, db_int(r->a, r->days), db_int(r->a, r->max_per_day),
                db_int(r->a, (r->max_per_day + 1) / 2), db_int(r->a, r->quiet_s),
                db_int(r->a, PATIENCE_S), db_int(r->a, PAGE),
                db_text_array(r->a, r->fetched->debug_ids),
                db_text_array(r->a, r->fetched->stored_s), db_int(r->a, PENDING_S),
                db_int(r->a, PENDING_PASSES_MAX)))
        return false;
    r->taken = 0;
    r->due = (size_t)db_col_int(&rows, 0, Q_LACKING_DUE_COL_DUE, 0);
    return publish_taken(db, r, &rows, err);
}

bool ledger_requeue_lacking(struct db *db, int days, int64_t max_per_day, int quiet_s,
                            const struct ledger_fetched *fetched, struct ledger_requeued *ret,
                            struct err *err)
{
    struct arena a;
    struct requeue r = {
        .a = &a, .days = days, .quiet_s = quiet_s, .max_per_day = max_per_day, .fetched = fetched};
    struct ledger_requeued sum = {0};
    arena_init(&a, ARENA_BYTES_MAX);
    bool ok;
    do {
        ok = db_tx(db, take_page, &r, err);
        sum.queued += ok ? r.taken : 0;
        sum.waiting = r.due - r.taken;
        arena_reset(&a);
    } while (ok && r.taken == PAGE);
    arena_release(&a);
    *ret = sum;
    return ok || err_wrap(err, "queueing crashes whose symbols arrived");
}
