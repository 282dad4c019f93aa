/*
 * reprocesslacking: crashes that lacked symbols are queued again when these have arrived.
 *
 * Whatever way they came: an upload, `datil symbols add`, another server.  The job looks at tables
 * alone (lib/ledger/lacking.c), so symbols that are copied into the store by hand need
 * `datil symbols add` for the same files, which gives them their rows.
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
#include "lib/db/db.h"
#include "lib/ledger/ledger.h"
#include "queries.h"

/* The files of one upload get their rows in batches, some seconds apart. */
enum { QUIET_S = 20, QUIET_MAX_S = 3600 };

bool job_reprocesslacking(struct job_context *x, struct err *err)
{
    int days = (int)conf_int(x->conf, CONF_SYMBOLS_REPROCESS_DAYS);
    int64_t quiet_s = QUIET_S;
    const char *quiet = job_arg(x, "quiet");
    struct ledger_requeued done = {0};
    if (quiet && !str_to_i64(str_of(quiet), 0, QUIET_MAX_S, "quiet", &quiet_s, err))
        return false;
    if (!DB_EXEC(x->db, &q_lacking_expire, err, db_int(x->arena, days)))
        return err_wrap(err, "forgetting old crashes without symbols");
    if (days == 0) {
        puts("switched off by SYMBOLS_REPROCESS_DAYS");
        return true;
    }
    if (!ledger_requeue_lacking(x->db, days, conf_int(x->conf, CONF_SYMBOLS_REPROCESS_MAX),
                                (int)quiet_s, &done, err))
        return false;
    if (done.queued > 0 || done.waiting > 0)
        log_event(LOG_INFO, "symbols_arrived", "crashes queued again",
                  LOG_I("queued", (int64_t)done.queued), LOG_I("waiting", (int64_t)done.waiting));
    printf("%zu crashes queued again, %zu more wait\n", done.queued, done.waiting);
    return true;
}
