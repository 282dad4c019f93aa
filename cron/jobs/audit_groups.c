/*
 * auditgroups: who may see personal data and should not any more.
 *
 * Members of the group Hackers lose it when their account is switched off, when they are neither at
 * an address of AUDIT_EMPLOYEE_DOMAINS nor excepted by name (policy_exception), or when they have
 * not logged in for a year and have no token that still works.  The first reason that holds is the
 * one that is noted.  Each removal is a row of the administrators' log, by an account of its own
 * that cannot log in.
 */
#include <stdio.h>

#include "cron/job_context.h"
#include "cron/jobs/job_functions.h"
#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "queries.h"

/* A year, as Crash Stats does it: who was away for a sabbatical keeps access, who has left does
 * not. */
enum { INACTIVE_DAYS = 365 };

/* Whole domains: "example.com" is not that of someone@notexample.com.  None at all: everybody is in
 * the house, because else the first run of a new installation would empty the group. */
static bool is_employee(struct str domains, const char *email)
{
    const char *at = strrchr(email, '@');
    struct str one;
    bool none = true;
    while (str_split(&domains, ',', &one)) {
        one = str_trim(one);
        none &= one.n == 0;
        if (at && one.n > 0 && str_eq_nocase(one, str_of(at + 1)))
            return true;
    }
    return none;
}

/* NULL: stays. */
static const char *reason_to_go(struct job_context *x, const struct db_rows *rows, int i)
{
    const char *email = db_col(rows, i, Q_AUDIT_MEMBERS_COL_EMAIL);
    int64_t days = db_col_int(rows, i, Q_AUDIT_MEMBERS_COL_DAYS_AWAY, 0);
    if (!db_col_bool(rows, i, Q_AUDIT_MEMBERS_COL_IS_ACTIVE))
        return "!is_active";
    if (!db_col_bool(rows, i, Q_AUDIT_MEMBERS_COL_IS_EXCEPTED) &&
        !is_employee(str_of(conf_text(x->conf, CONF_AUDIT_EMPLOYEE_DOMAINS)), email))
        return "not employee or exception";
    if (days <= INACTIVE_DAYS)
        return NULL;
    if (db_col_bool(rows, i, Q_AUDIT_MEMBERS_COL_HAS_TOKEN)) {
        printf("SKIP: %s (inactive %lldd, but has active tokens)\n", email, (long long)days);
        return NULL;
    }
    return arena_printf(x->arena, "inactive %lldd, no tokens", (long long)days);
}

/* Each removal is a statement with its row of the log, so what was done before a kill stands
 * there. */
bool job_auditgroups(struct job_context *x, struct err *err)
{
    bool dry = job_arg(x, "dry-run");
    DB_ROWS rows = {0};
    size_t total = 0;
    if (dry)
        puts("Dry run: nothing is changed.");
    if ((!dry && !DB_EXEC(x->db, &q_audit_account, err)) ||
        !DB_RUN(x->db, &q_audit_members, &rows, err))
        return false;
    job_did(x, (size_t)rows.count);
    for (int i = 0; i < rows.count; i++) {
        const char *reason = reason_to_go(x, &rows, i);
        if (!reason)
            continue;
        printf("Removing: %s (%s)\n", db_col(&rows, i, Q_AUDIT_MEMBERS_COL_EMAIL), reason);
        if (!dry && !DB_EXEC(x->db, &q_audit_remove, err,
                             db_col(&rows, i, Q_AUDIT_MEMBERS_COL_USER_ID), reason))
            return false;
        total++;
    }
    printf("Total removed: %zu\n", total);
    return true;
}
