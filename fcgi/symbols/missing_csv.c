/*
 * Missing symbols as CSV: GET /missingsymbols.csv, those that were asked for and not found, for
 * scripts that fetch them elsewhere, with the lines that Tecken sends; and GET /missing.csv, how
 * many crashes each would improve, by product and version, for people with a spreadsheet.  Names of
 * files come from dumps of strangers and may hold anything; only what needs quotes has them, so
 * that simple scripts can split the common lines.
 */
#include "fcgi/symbols/missing_list.h"
#include "fcgi/symbols/missing_page.h"
#include "fcgi/symbols/symbol_server.h"
#include "lib/base/arena.h"
#include "lib/base/csv.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/symfile/missing.h"
#include "lib/web/param_spec.h"
#include "lib/web/web.h"
#include "queries.h"

/* Rows of a statement as lines; columns in the order of the header. */
struct csv_table {
    const char *header;
    const int *columns;
    size_t column_count;
    /* A field that a spreadsheet would take for a formula gets an apostrophe: versions and names of
     * products come from strangers. */
    bool is_for_people;
};

static void put_line(struct strbuf *b, const struct csv_table *t, const struct db_rows *rows, int i)
{
    for (size_t c = 0; c < t->column_count; c++) {
        const char *text = db_col(rows, i, t->columns[c]);
        char guarded[512];
        if (t->is_for_people && text[0] && strchr("=+-@\t\r", text[0])) {
            snprintf(guarded, sizeof guarded, "'%s", text);
            text = guarded;
        }
        csv_put(b, str_of(text));
        sb_text(b, c + 1 < t->column_count ? "," : "\r\n");
    }
}

/* The name of the file has the date of day_us. */
static bool send_table(struct req *req, const struct csv_table *t, const struct db_rows *rows,
                       int64_t day_us, const char *name, struct err *err)
{
    /* Millions of lines; above it an error is better than a worker that holds still more. */
    enum { CSV_MAX = 256 << 20 };
    STRBUF_AUTO b;
    sb_init(&b, CSV_MAX);
    sb_text(&b, t->header);
    for (int i = 0; i < rows->count; i++)
        put_line(&b, t, rows, i);
    if (b.overflow || !arena_fits(req_arena(req), b.n, "the list", err))
        return err_set(err, ERR_TOO_LARGE, "the list of missing symbols is too long");
    struct civil day = civil_of_us(day_us);
    const char *disposition =
        arena_printf(req_arena(req), "attachment; filename=\"%s-%04d-%02d-%02d.csv\"", name,
                     day.year, day.month, day.day);
    return resp_header(req, "Content-Disposition", str_of(disposition)) &&
           resp_bytes(req, 200, "text/csv; charset=utf-8", str_copy(req_arena(req), sb_view(&b)));
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
    missing_write_now(req);
    bool is_today = req_flag(req, &today);
    int64_t now = req_now_us(req);
    int64_t since = is_today ? now - now % DAY_US : now - DAY_US;
    DB_ROWS rows = {0};
    if (!DB_RUN(req_db(req), &q_missing_symbol_recent, &rows, err, db_int(req_arena(req), since)))
        return err_wrap(err, "missing symbols");

    static const int columns[] = {
        Q_MISSING_SYMBOL_RECENT_COL_SYMBOL, Q_MISSING_SYMBOL_RECENT_COL_DEBUGID,
        Q_MISSING_SYMBOL_RECENT_COL_CODE_FILE, Q_MISSING_SYMBOL_RECENT_COL_CODE_ID};
    struct csv_table t = {.header = "debug_file,debug_id,code_file,code_id\r\n",
                          .columns = columns,
                          .column_count = ARRAY_LEN(columns)};
    return send_table(req, &t, &rows, is_today ? now : now - DAY_US, "missing-symbols", err);
}

const struct param_spec *const missing_summary_params[] = {&missing_product, &missing_version,
                                                           NULL};

bool missing_summary_get(struct req *req, struct err *err)
{
    /* What a spreadsheet shows; the first of them are what somebody would upload. */
    enum { LINES_MAX = 20000 };
    missing_write_now(req);
    DB_ROWS rows = {0};
    if (!DB_RUN(req_db(req), &q_missing_summary, &rows, err, missing_filter(req, &missing_product),
                missing_filter(req, &missing_version), db_int(req_arena(req), LINES_MAX)))
        return err_wrap(err, "missing symbols by version");
    static const int columns[] = {Q_MISSING_SUMMARY_COL_CRASHES,  Q_MISSING_SUMMARY_COL_PRODUCT,
                                  Q_MISSING_SUMMARY_COL_VERSION,  Q_MISSING_SUMMARY_COL_SYMBOL,
                                  Q_MISSING_SUMMARY_COL_DEBUG_ID, Q_MISSING_SUMMARY_COL_CODE_FILE,
                                  Q_MISSING_SUMMARY_COL_CODE_ID,  Q_MISSING_SUMMARY_COL_LAST_DAY};
    struct csv_table t = {
        .header = "crashes,product,version,debug_file,debug_id,code_file,code_id,last_report\r\n",
        .columns = columns,
        .column_count = ARRAY_LEN(columns),
        .is_for_people = true};
    return send_table(req, &t, &rows, req_now_us(req), "missing-symbols-by-version", err);
}
