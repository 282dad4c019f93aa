/*
 * GET /missingsymbols.csv: the symbols that were asked for and not found, for scripts that fetch
 * them elsewhere.  Fields are quoted as RFC 4180 says; lines are those that Tecken sends.
 */
#include "fcgi/symbols/symbol_server.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/symfile/missing.h"
#include "lib/web/param_spec.h"
#include "lib/web/web.h"
#include "queries.h"

/*
 * Names of files come from dumps of strangers, so they may hold anything; a quote inside is
 * doubled, and only what needs quotes has them, so that simple scripts can split the common lines.
 */
static void put_field(struct strbuf *b, const char *text, const char *behind)
{
    bool quote = strpbrk(text, "\",\r\n");
    sb_text(b, quote ? "\"" : "");
    for (const char *p = text; *p; p++) {
        if (*p == '"')
            sb_char(b, '"');
        sb_char(b, *p);
    }
    sb_text(b, quote ? "\"" : "");
    sb_text(b, behind);
}

static const struct param_spec today = {"today", PARAM_FLAG,
                                        .help = "since midnight; default: of the last 24 hours"};
const struct param_spec *const missing_csv_params[] = {&today, NULL};

/*
 * What this worker still has in its memory is written first, or the list would lack what was asked
 * for a moment ago; other workers write theirs when it is due.  The name of the file has
 * yesterday's date unless ?today is sent, as with Tecken.
 */
bool missing_csv_get(struct req *req, struct err *err)
{
    /* Millions of lines; above it an error is better than a worker that holds still more. */
    enum { CSV_MAX = 256 << 20 };
    static const int64_t DAY_US = 86400LL * 1000000;
    struct symbol_server *s = req_app(req);
    missing_flush(s->missing, req_db(req), true);
    bool is_today = req_flag(req, &today);
    int64_t now = req_now_us(req);
    int64_t since = is_today ? now - now % DAY_US : now - DAY_US;
    DB_ROWS rows = {0};
    if (!DB_RUN(req_db(req), &q_missing_symbol_recent, &rows, err, db_int(req_arena(req), since)))
        return err_wrap(err, "missing symbols");

    static const enum q_missing_symbol_recent_col columns[] = {
        Q_MISSING_SYMBOL_RECENT_COL_SYMBOL, Q_MISSING_SYMBOL_RECENT_COL_DEBUGID,
        Q_MISSING_SYMBOL_RECENT_COL_CODE_FILE, Q_MISSING_SYMBOL_RECENT_COL_CODE_ID};
    STRBUF_AUTO b;
    sb_init(&b, CSV_MAX);
    sb_text(&b, "debug_file,debug_id,code_file,code_id\r\n");
    for (int i = 0; i < rows.count; i++)
        for (size_t c = 0; c < ARRAY_LEN(columns); c++)
            put_field(&b, db_col(&rows, i, columns[c]), c + 1 < ARRAY_LEN(columns) ? "," : "\r\n");
    if (b.overflow || !arena_fits(req_arena(req), b.n, "the list", err))
        return err_set(err, ERR_TOO_LARGE, "the list of missing symbols is too long");
    struct civil day = civil_of_us(is_today ? now : now - DAY_US);
    const char *name =
        arena_printf(req_arena(req), "attachment; filename=\"missing-symbols-%04d-%02d-%02d.csv\"",
                     day.year, day.month, day.day);
    return resp_header(req, "Content-Disposition", str_of(name)) &&
           resp_bytes(req, 200, "text/csv; charset=utf-8", str_copy(req_arena(req), sb_view(&b)));
}
