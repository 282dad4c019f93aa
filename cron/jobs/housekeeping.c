/*
 * The small ones: crontest, clearsessions, clear-tokens, cleanse_cronlog, compactindex.  Each is
 * one statement, or one call, that may be broken off anywhere and does the rest the next time.
 */
#include "cron/job_context.h"
#include "cron/jobs.h"
#include "cron/jobs/job_functions.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/search/collection.h"
#include "lib/search/index.h"
#include "queries.h"

/* Prints and fails as it is told, to try out schedules, logs and alerts. */
bool job_crontest(struct job_context *x, struct err *err)
{
    const char *text = job_arg(x, "print");
    if (text)
        printf("To print: '%s'\n", text);
    if (job_arg(x, "crash"))
        return err_set(err, ERR_INTERNAL, "**Sputter**");
    puts("This is a test.");
    return true;
}

bool job_clearsessions(struct job_context *x, struct err *err)
{
    DB_ROWS rows = {0};
    if (!DB_RUN(x->db, &q_cron_clear_sessions, &rows, err))
        return false;
    job_did(x, (size_t)rows.affected);
    printf("%d expired sessions deleted\n", rows.affected);
    return true;
}

/* The statements know the age.  With dry-run what is old is only counted. */
static bool delete_old(struct job_context *x, const struct db_query *count, int count_column,
                       const struct db_query *clear, const char *what, struct err *err)
{
    DB_ROWS rows = {0};
    bool dry = job_arg(x, "dry-run");
    if (!DB_RUN(x->db, dry ? count : clear, &rows, err))
        return false;
    if (dry) {
        printf("%s %s would be deleted\n", db_col(&rows, 0, count_column), what);
        return true;
    }
    job_did(x, (size_t)rows.affected);
    printf("%d %s deleted\n", rows.affected, what);
    return true;
}

bool job_cleanse_cronlog(struct job_context *x, struct err *err)
{
    return delete_old(x, &q_cron_log_old, Q_CRON_LOG_OLD_COL_COUNT, &q_cron_log_cleanse, "log rows",
                      err);
}

/* Until then its owner sees in the list that it has expired, and may extend it. */
bool job_clear_tokens(struct job_context *x, struct err *err)
{
    return delete_old(x, &q_cron_tokens_old, Q_CRON_TOKENS_OLD_COL_COUNT, &q_cron_tokens_clear,
                      "expired API tokens", err);
}

bool job_compactindex(struct job_context *x, struct err *err)
{
    for (enum collection_id id = 0; id < COLLECTIONS; id++) {
        struct collection c = collection_of(x->conf, x->fields, id);
        if (!index_compact(c.dir, c.fields, err))
            return err_wrap(err, "the index of %s", c.name);
    }
    return true;
}
