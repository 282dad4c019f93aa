/*
 * One connection and its prepared statements.
 *
 * A statement is prepared when it is first used in a session of the server, and compared at once
 * with what queries.h believes of it: SQL was read by an awk script at build time, and only the
 * server knows whether that reading was right.
 *
 * A connection that is lost is made anew once per statement, and the statement sent again.  That is
 * right for single statements only: inside a transaction the part before is gone, so there a lost
 * connection is an error and the whole transaction is the caller's to repeat.  A statement may have
 * been carried out although its answer was lost, so one that stands alone must bear to be run
 * twice.
 *
 * Errors are sorted by SQLSTATE, not by text, which the server translates.
 */
#include "lib/db/db.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/base/log.h"
#include "lib/base/util.h"
#include "queries.h"

/*
 * One connection.  is_prepared is indexed like db_queries[] and belongs to the present server
 * session: a reconnect clears it.
 */
struct db {
    char *conninfo, *application_name;
    int statement_timeout_ms;
    bool plans_once;
    PGconn *conn; /* NULL before the first connect */
    bool *is_prepared;
    bool in_tx;
    uint64_t session; /* connections made so far */
};

/*
 * A server that answers at all answers sooner; a request waits for this.  Channel names are
 * identifiers, of which PostgreSQL keeps 63 bytes.
 */
enum { CONNECT_TIMEOUT_S = 5, CHANNEL_MAX = 63 };

struct db *db_new(const char *conninfo, const char *application_name, int statement_timeout_ms)
{
    struct db *db = xcalloc(1, sizeof *db);
    db->conninfo = xstrdup(conninfo);
    db->application_name = xstrdup(application_name);
    db->statement_timeout_ms = statement_timeout_ms;
    db->is_prepared = xcalloc(db_query_total + 1, sizeof *db->is_prepared);
    return db;
}

void db_plan_once(struct db *db)
{
    db->plans_once = true;
}

void db_free(struct db *db)
{
    if (!db)
        return;
    if (db->conn)
        PQfinish(db->conn);
    free(db->conninfo);
    free(db->application_name);
    free(db->is_prepared);
    free(db);
}

bool db_is_connected(const struct db *db)
{
    return db->conn && PQstatus(db->conn) == CONNECTION_OK;
}

uint64_t db_session(const struct db *db)
{
    return db->session;
}

int db_fd(const struct db *db)
{
    return db_is_connected(db) ? PQsocket(db->conn) : -1;
}

/* libpq's messages end in a newline and may have several lines; ours have one. */
static struct str first_line(const char *text)
{
    struct str s = str_of(text);
    return str_trim(str_sub(s, 0, MIN(str_find_char(s, '\n', 0), s.n)));
}

/* Notices come from migrations ("already exists, skipping") and help when one is looked into. */
static void on_notice(void *arg, const char *message)
{
    (void)arg;
    log_event(LOG_DEBUG, "db_notice", "notice from the database",
              LOG_V("notice", first_line(message)));
}

/*
 * Times are UTC everywhere, so the session says so rather than each statement.  The time limit is
 * the server's: it ends the statement there as well, where a limit of ours would only stop waiting
 * for it.
 */
bool db_connect(struct db *db, struct err *err)
{
    if (db_is_connected(db))
        return true;
    if (db->in_tx)
        return err_set(err, ERR_UNAVAILABLE, "database: connection lost inside a transaction");
    if (db->conn)
        PQfinish(db->conn);
    memset(db->is_prepared, 0, db_query_total * sizeof *db->is_prepared);

    char timeout[16], options[128];
    snprintf(timeout, sizeof timeout, "%d", CONNECT_TIMEOUT_S);
    snprintf(options, sizeof options, "-c timezone=UTC -c statement_timeout=%d%s",
             db->statement_timeout_ms,
             db->plans_once ? " -c plan_cache_mode=force_generic_plan" : "");
    const char *const keys[] = {"dbname",          "application_name", "connect_timeout",
                                "client_encoding", "options",          NULL};
    const char *const values[] = {db->conninfo, db->application_name, timeout, "UTF8", options,
                                  NULL};
    db->conn = PQconnectdbParams(keys, values, 1); /* 1: dbname may be a whole connection string */
    if (PQstatus(db->conn) != CONNECTION_OK)
        return err_set(err, ERR_UNAVAILABLE, "database: " STR_FMT,
                       STR_ARG(first_line(PQerrorMessage(db->conn))));
    db->session++;
    PQsetNoticeProcessor(db->conn, on_notice, NULL);
    return true;
}

void db_rows_release(struct db_rows *r)
{
    PQclear(r->res);
    *r = (struct db_rows){0};
}

/* Columns are constants of one statement, so one that belongs to another statement is noticed. */
const char *db_col(const struct db_rows *rows, int row, int column)
{
    int at = column % DB_COLUMNS_MAX;
    assert(column / DB_COLUMNS_MAX - 1 == rows->query->index && row < rows->count);
    return PQgetisnull(rows->res, row, at) ? NULL : PQgetvalue(rows->res, row, at);
}

int64_t db_col_int(const struct db_rows *rows, int row, int column, int64_t if_null)
{
    const char *text = db_col(rows, row, column);
    if (!text)
        return if_null;
    int64_t v = 0;
    bool ok = str_to_i64(str_of(text), INT64_MIN, INT64_MAX, db_col_name(column), &v, ERR_IGNORED);
    assert(ok); /* the statement is ours: the column is an integer */
    (void)ok;
    return v;
}

bool db_col_bool(const struct db_rows *rows, int row, int column)
{
    const char *text = db_col(rows, row, column);
    return text && text[0] == 't';
}

const char *db_col_name(int column)
{
    return db_queries[column / DB_COLUMNS_MAX - 1]->columns[column % DB_COLUMNS_MAX];
}

/* SQLSTATE prefixes in order; the first that fits decides. */
static const struct {
    const char *prefix;
    enum err_code code;
    /*
     * The list of codes is Appendix A of PostgreSQL's manual.  Whatever is not here is a mistake of
     * ours: in the statement, or (22 and 23, data and constraints) in what we gave it.  Values of
     * callers are checked where they come in, with words for who sent them; the server's words name
     * our columns and would help nobody.
     */
} sqlstates[] = {
    {"08", ERR_UNAVAILABLE},    /* connection */
    {"57P0", ERR_UNAVAILABLE},  /* shutdown, starting up, connection killed */
    {"57014", ERR_UNAVAILABLE}, /* statement_timeout */
    {"53", ERR_UNAVAILABLE},    /* out of memory, disk, connections */
    {"55P03", ERR_UNAVAILABLE}, /* lock not available */
    {"58", ERR_UNAVAILABLE},    /* system error on the server */
    {"23505", ERR_CONFLICT},    /* unique_violation */
    {"40", ERR_CONFLICT},       /* serialization, deadlock */
};

static enum err_code code_of(const PGresult *res)
{
    const char *state = res ? PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL;
    for (size_t i = 0; state && i < ARRAY_LEN(sqlstates); i++)
        if (str_starts(str_of(state), str_of(sqlstates[i].prefix)))
            return sqlstates[i].code;
    return ERR_INTERNAL;
}

/*
 * True for a good result; otherwise the class and the server's first line.  Only the primary
 * message: details and hints may quote values, which belong into no log.
 */
static bool check_result(struct db *db, const PGresult *res, const char *what, struct err *err)
{
    ExecStatusType status = PQresultStatus(res);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
        return true;
    enum err_code code = PQstatus(db->conn) != CONNECTION_OK ? ERR_UNAVAILABLE : code_of(res);
    const char *primary = res ? PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    return err_set(err, code, "%s: " STR_FMT, what,
                   STR_ARG(first_line(primary ? primary : PQerrorMessage(db->conn))));
}

/*
 * Is the statement what queries.h says?  Parameters and columns were read from its text when the
 * programs were built; only the server knows whether that reading was right.
 */
static bool is_as_built(const PGresult *description, const struct db_query *q, struct err *err)
{
    if (PQnparams(description) != q->param_count)
        return err_set(err, ERR_INTERNAL, "%s declares %d parameters, the server counts %d",
                       q->name, q->param_count, PQnparams(description));
    int count = 0;
    for (; q->columns && q->columns[count]; count++) {
        const char *name = PQfname(description, count); /* NULL behind the last */
        if (!name || strcmp(name, q->columns[count]) != 0)
            return err_set(err, ERR_INTERNAL, "%s: column %d is %s, the server says %s", q->name,
                           count, q->columns[count], name ? name : "there is none");
    }
    if (PQnfields(description) != count)
        return err_set(err, ERR_INTERNAL, "%s has %d columns, the server counts %d", q->name, count,
                       PQnfields(description));
    return true;
}

static bool prepare_statement(struct db *db, const struct db_query *q, struct err *err)
{
    if (db->is_prepared[q->index])
        return true;
    PGresult *res = PQprepare(db->conn, q->name, q->text, 0, NULL);
    bool ok = check_result(db, res, q->name, err);
    PQclear(res);
    if (!ok)
        return false;
    res = PQdescribePrepared(db->conn, q->name);
    ok = check_result(db, res, q->name, err) && is_as_built(res, q, err);
    PQclear(res);
    db->is_prepared[q->index] = ok;
    return ok;
}

/* ret is released first, so that a loop may use one DB_ROWS for all its pages. */
static bool run_once(struct db *db, const struct db_query *q, struct db_rows *ret, struct err *err,
                     const char *const *params)
{
    if (!prepare_statement(db, q, err))
        return false;
    PGresult *res = PQexecPrepared(db->conn, q->name, q->param_count, params, NULL, NULL, 0);
    if (!check_result(db, res, q->name, err)) {
        PQclear(res);
        return false;
    }
    struct str changed = str_of(PQcmdTuples(res));
    uint64_t affected = 0;
    if (changed.n)
        str_to_u64(changed, 10, INT32_MAX, "affected rows", &affected, ERR_IGNORED);
    db_rows_release(ret);
    *ret = (struct db_rows){
        .res = res, .query = q, .count = PQntuples(res), .affected = (int)affected};
    return true;
}

bool db_run(struct db *db, const struct db_query *q, struct db_rows *ret, struct err *err,
            int param_count, const char *const *params)
{
    assert(param_count == q->param_count);
    (void)param_count;
    if (!db_connect(db, err))
        return false;
    if (run_once(db, q, ret, err, params))
        return true;
    /* Lost on the way: once more on a new connection, but never inside a transaction, whose
     * earlier part is gone. */
    if (db_is_connected(db) || db->in_tx)
        return false;
    return db_connect(db, err) && run_once(db, q, ret, err, params);
}

/* BEGIN, COMMIT, ROLLBACK, LISTEN: words of the protocol, not statements of ours. */
static bool command(struct db *db, const char *text, struct err *err)
{
    PGresult *res = PQexec(db->conn, text);
    bool ok = check_result(db, res, text, err);
    PQclear(res);
    return ok;
}

/*
 * BEGIN is the first to notice a connection that was lost while idle; nothing is gone yet, so it
 * may be repeated.
 */
static bool begin_transaction(struct db *db, struct err *err)
{
    if (!db_connect(db, err))
        return false;
    if (command(db, "BEGIN", err))
        return true;
    return !db_is_connected(db) && db_connect(db, err) && command(db, "BEGIN", err);
}

bool db_tx(struct db *db, bool (*body)(struct db *db, void *arg, struct err *err), void *arg,
           struct err *err)
{
    assert(!db->in_tx);
    if (!begin_transaction(db, err))
        return false;
    db->in_tx = true;
    bool ok = body(db, arg, err) && command(db, "COMMIT", err);
    db->in_tx = false;
    /* A COMMIT of a transaction that had failed answers ROLLBACK, so ask the state as well. */
    if (db_is_connected(db) && PQtransactionStatus(db->conn) != PQTRANS_IDLE)
        command(db, "ROLLBACK", ERR_IGNORED);
    return ok;
}

/*
 * The simple protocol, since a migration has many statements; it runs them in one transaction if no
 * BEGIN is around.
 */
bool db_script(struct db *db, const char *text, struct err *err)
{
    if (!db_connect(db, err))
        return false;
    PGresult *res = PQexec(db->conn, text);
    bool ok = check_result(db, res, "script", err);
    PQclear(res);
    return ok;
}

bool db_listen(struct db *db, const char *channel, struct err *err)
{
    if (!db_connect(db, err))
        return false;
    char text[CHANNEL_MAX + 16];
    assert(strlen(channel) <= CHANNEL_MAX && !strchr(channel, '"')); /* ours, never from input */
    snprintf(text, sizeof text, "LISTEN \"%s\"", channel);
    return command(db, text, err);
}

/* What a notification says does not matter; that there was one means "look at the queue". */
bool db_drain_notifications(struct db *db)
{
    if (!db_is_connected(db))
        return false;
    PQconsumeInput(db->conn); /* notices a lost connection: db_is_connected is false afterwards */
    bool any = false;
    PGnotify *n;
    while ((n = PQnotifies(db->conn))) {
        any = true;
        PQfreemem(n);
    }
    return any;
}

bool db_check_all(struct db *db, struct err *err)
{
    if (!db_connect(db, err))
        return false;
    for (size_t i = 0; i < db_query_total; i++)
        if (!prepare_statement(db, db_queries[i], err))
            return false;
    return true;
}

const char *db_int(struct arena *a, int64_t v)
{
    return arena_printf(a, "%lld", (long long)v);
}

const char *db_bool(bool v)
{
    return v ? "t" : "f";
}

/*
 * An array literal of the server: every element in quotes, in which only quote and backslash mean
 * something.  Room for the worst case, so nothing grows.
 */
const char *db_text_array(struct arena *a, struct strs values)
{
    size_t need = 3;
    for (size_t i = 0; i < values.n; i++)
        need += 2 * values.v[i].n + 3;
    char *out = arena_alloc(a, need), *at = out;
    *at++ = '{';
    for (size_t i = 0; i < values.n; i++) {
        if (i)
            *at++ = ',';
        *at++ = '"';
        for (size_t k = 0; k < values.v[i].n; k++) {
            char c = values.v[i].p[k];
            if (c == '"' || c == '\\')
                *at++ = '\\';
            *at++ = c;
        }
        *at++ = '"';
    }
    *at++ = '}';
    *at = '\0';
    return out;
}
