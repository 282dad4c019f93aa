#ifndef DB_DB_H
#define DB_DB_H

#include <libpq-fe.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * db - PostgreSQL through libpq: named, prepared statements from sql/ and nothing else.
 *
 * Statements Each is a struct db_query generated from sql/NAME.sql (queries.h):
 *            name, text, parameter count, columns.  Prepared on first use in a connection and
 *            parameter count and names of columns compared with the server's; db_check_all
 *            prepares all.
 * Parameters Texts (NULL is SQL NULL), always bound, never concatenated.
 * Rows       struct db_rows is freed at scope end when declared DB_ROWS.
 * Errors     ERR_UNAVAILABLE: no connection after one reconnect, the server is shutting down, or
 *            a statement ran into its time limit.  ERR_CONFLICT: unique or serialization failure.
 *            ERR_INTERNAL: the statement is wrong, or what it was given (SQLSTATE class 22, 23):
 *            who takes values from outside checks them first.
 * Threads    One connection belongs to one process.
 */
struct db_query {
    const char *name;
    const char *text;
    const char *const *columns; /* of its rows, NULL-ended; NULL when it answers none */
    int param_count;
    int index; /* position in db_queries[] of queries.h */
};

/*
 * Columns are asked by the constants of queries.h, Q_NAME_COL_COLUMN: the number of the statement,
 * from 1, times this, plus the position.  So 0 is no column.  PostgreSQL has at most 1664.
 */
enum { DB_COLUMNS_MAX = 1664 };

struct db; /* one connection */

/* Does not connect yet; statement_timeout_ms 0 = none.  application_name for pg_stat_activity. */
struct db *db_new(const char *conninfo, const char *application_name, int statement_timeout_ms);
void db_free(struct db *db);
/*
 * Statements are planned once for all values and not for each execution, from the next connection
 * on: for programs of small look-ups, where planning costs more than the answer.
 */
void db_plan_once(struct db *db);
bool db_connect(struct db *db, struct err *err); /* also reconnects a broken connection */
bool db_is_connected(const struct db *db);
/* Which connection this is: 0 before the first, another number after each reconnect. */
uint64_t db_session(const struct db *db);

struct db_rows {
    PGresult *res;
    const struct db_query *query;
    int count;    /* rows */
    int affected; /* rows changed by INSERT, UPDATE, DELETE */
};
void db_rows_release(struct db_rows *r);
#define DB_ROWS __attribute__((cleanup(db_rows_release))) struct db_rows

/* Borrowed from rows; NULL for SQL NULL.  The column must be one of the statement that gave these
 * rows (asserted). */
const char *db_col(const struct db_rows *rows, int row, int column);
int64_t db_col_int(const struct db_rows *rows, int row, int column, int64_t if_null);
bool db_col_bool(const struct db_rows *rows, int row, int column);
const char *db_col_name(int column);

bool db_run(struct db *db, const struct db_query *q, struct db_rows *ret, struct err *err,
            int param_count, const char *const *params);

/* DB_RUN(db, &q_x, &rows, err, text, …): parameters are const char *. */
#define DB_RUN(db, q, rows, err, ...)                                                              \
    db_run((db), (q), (rows), (err),                                                               \
           (int)(sizeof((const char *const[]){NULL, ##__VA_ARGS__}) / sizeof(char *)) - 1,         \
           (const char *const[]){NULL, ##__VA_ARGS__} + 1)
/* For statements whose rows nobody needs. */
#define DB_EXEC(db, q, err, ...)                                                                   \
    ({                                                                                             \
        DB_ROWS rows_ = {0};                                                                       \
        DB_RUN(db, q, &rows_, err, ##__VA_ARGS__);                                                 \
    })

/* Parameter texts made in an arena. */
const char *db_int(struct arena *a, int64_t v);
const char *db_bool(bool v);                                    /* needs no arena */
const char *db_text_array(struct arena *a, struct strs values); /* '{"a","b"}' */

/* body runs inside BEGIN … COMMIT; false from body, or a failing COMMIT, rolls back. */
bool db_tx(struct db *db, bool (*body)(struct db *db, void *arg, struct err *err), void *arg,
           struct err *err);

/* Runs the text of a migration, any number of statements without parameters. */
bool db_script(struct db *db, const char *text, struct err *err);

/* LISTEN on this connection (use one of its own), again after each reconnect. */
bool db_listen(struct db *db, const char *channel, struct err *err);
int db_fd(const struct db *db); /* for proc_wait; -1 when not connected */
/* Reads what has arrived and drops it; true if there was at least one notification. */
bool db_drain_notifications(struct db *db);

/* Prepares every statement of sql/ (generated list); the error names the first that does
 * not fit. */
bool db_check_all(struct db *db, struct err *err);

/*
 * Applies migrations/NNNN_*.sql that schema_migration lacks, each in its own transaction, one
 * process at a time.  0000_*.sql makes the table schema_migration and runs every time.
 */
bool db_migrate(struct db *db, const char *dir, void (*progress)(const char *file),
                struct err *err);
/* Files that db_migrate would apply, and applied ones whose text has changed since. */
bool db_migrations_pending(struct db *db, const char *dir, struct arena *a,
                           struct strs *ret_pending, struct strs *ret_changed, struct err *err);

#endif
