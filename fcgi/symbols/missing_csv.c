/*
 * Missing symbols as CSV: GET /missingsymbols.csv, those that were asked for and not found, for
 * scripts that fetch them elsewhere, with the lines that Tecken sends; and GET /missing.csv, how
 * many crashes each would improve, by product and version, for people with a spreadsheet.  Names of
 * files come from dumps of strangers and may hold anything; only what needs quotes has them, so
 * that simple scripts can split the common lines.
 */
#include <errno.h>
#include <unistd.h>

#include "fcgi/symbols/missing_list.h"
#include "fcgi/symbols/missing_page.h"
#include "fcgi/symbols/symbol_server.h"
#include "lib/base/arena.h"
#include "lib/base/csv.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/symfile/missing.h"
#include "lib/symfile/symbytes.h"
#include "lib/web/param_spec.h"
#include "lib/web/web.h"
#include "queries.h"

/* Rows of a statement as lines; columns in the order of the header. */
struct csv_table {
    const char *header;
    const int *columns;
    size_t column_count;
    bool is_for_people; /* csv_put_guarded: versions and names of products come from strangers */
};

/*
 * The list goes to a nameless file a piece at a time and is sent from there: a worker holds a page
 * of rows and a piece of text, however long the list is, and an error halfway is still an error and
 * no list that ends too early.
 */
enum {
    PIECE_BYTES = 256 << 10, /* in memory until it is written */
    PIECE_MAX = 1 << 20,     /* with one line of addresses of 31 KiB, all quotes */
    PAGE_ROWS = 10000,       /* 2 to 5 MB of the database's answer */
};

struct csv_file {
    const struct csv_table *table;
    struct strbuf piece; /* owned, with the next */
    int fd;
};

static bool write_piece(struct csv_file *f, struct err *err)
{
    if (f->piece.overflow)
        return err_set(err, ERR_TOO_LARGE, "a line of the list of missing symbols is too long");
    bool ok = fs_write_all(f->fd, f->piece.p, f->piece.n, "the list of missing symbols", err);
    sb_reset(&f->piece);
    return ok;
}

static bool open_file(struct req *req, const struct csv_table *t, struct csv_file *ret,
                      struct err *err)
{
    const struct symbol_server *s = req_app(req);
    *ret = (struct csv_file){.table = t, .fd = -1};
    sb_init(&ret->piece, PIECE_MAX);
    sb_text(&ret->piece, t->header);
    return symbytes_temp(s->temp_dir, &ret->fd, err);
}

static void release_file(struct csv_file *f)
{
    util_close_fd(&f->fd);
    sb_release(&f->piece);
}

static void put_line(struct strbuf *b, const struct csv_table *t, const struct db_rows *rows, int i)
{
    for (size_t c = 0; c < t->column_count; c++) {
        struct str text = str_of(db_col(rows, i, t->columns[c]));
        if (t->is_for_people)
            csv_put_guarded(b, text);
        else
            csv_put(b, text);
        sb_text(b, c + 1 < t->column_count ? "," : "\r\n");
    }
}

static bool add_rows(struct csv_file *f, const struct db_rows *rows, struct err *err)
{
    for (int i = 0; i < rows->count; i++) {
        put_line(&f->piece, f->table, rows, i);
        if (f->piece.n >= PIECE_BYTES && !write_piece(f, err))
            return false;
    }
    return true;
}

/* The name of the file has the date of day_us. */
static bool send_file(struct req *req, struct csv_file *f, int64_t day_us, const char *name,
                      struct err *err)
{
    if (!write_piece(f, err))
        return false;
    if (lseek(f->fd, 0, SEEK_SET) != 0)
        return err_errno(err, errno, "the list of missing symbols");
    struct civil day = civil_of_us(day_us);
    const char *disposition =
        arena_printf(req_arena(req), "attachment; filename=\"%s-%04d-%02d-%02d.csv\"", name,
                     day.year, day.month, day.day);
    return resp_header(req, "Content-Disposition", str_of(disposition)) &&
           resp_file(req, 200, "text/csv; charset=utf-8", TAKE_FD(f->fd), err);
}

static const struct param_spec today = {"today", PARAM_FLAG,
                                        .help = "since midnight; default: of the last 24 hours"};
const struct param_spec *const missing_csv_params[] = {&today, NULL};

/* Pages by key and not one statement: libpq holds the whole answer of a statement. */
static bool add_recent(struct req *req, struct csv_file *f, int64_t since_us, struct err *err)
{
    struct arena *a = req_arena(req);
    const char *symbol = "", *debug_id = "", *hash = "";
    for (int count = PAGE_ROWS; count == PAGE_ROWS;) {
        DB_ROWS rows = {0};
        if (!DB_RUN(req_db(req), &q_missing_symbol_recent, &rows, err, db_int(a, since_us), symbol,
                    debug_id, hash, db_int(a, PAGE_ROWS)))
            return err_wrap(err, "missing symbols");
        count = rows.count;
        if (!add_rows(f, &rows, err))
            return false;
        if (count == 0)
            break;
        symbol = arena_strdup(a, db_col(&rows, count - 1, Q_MISSING_SYMBOL_RECENT_COL_SYMBOL));
        debug_id = arena_strdup(a, db_col(&rows, count - 1, Q_MISSING_SYMBOL_RECENT_COL_DEBUGID));
        hash = arena_strdup(a, db_col(&rows, count - 1, Q_MISSING_SYMBOL_RECENT_COL_HASH));
    }
    return true;
}

/*
 * What this worker still has in its memory is written first, or the list would lack what was asked
 * for a moment ago; other workers write theirs when it is due.  The name of the file has
 * yesterday's date unless ?today is sent, as with Tecken.
 */
bool missing_csv_get(struct req *req, struct err *err)
{
    static const int columns[] = {
        Q_MISSING_SYMBOL_RECENT_COL_SYMBOL, Q_MISSING_SYMBOL_RECENT_COL_DEBUGID,
        Q_MISSING_SYMBOL_RECENT_COL_CODE_FILE, Q_MISSING_SYMBOL_RECENT_COL_CODE_ID};
    const struct csv_table t = {.header = "debug_file,debug_id,code_file,code_id\r\n",
                                .columns = columns,
                                .column_count = ARRAY_LEN(columns)};
    missing_write_now(req);
    bool is_today = req_flag(req, &today);
    int64_t now = req_now_us(req);
    int64_t since = is_today ? now - now % DAY_US : now - DAY_US;
    struct csv_file f;
    bool ok = open_file(req, &t, &f, err) && add_recent(req, &f, since, err) &&
              send_file(req, &f, is_today ? now : now - DAY_US, "missing-symbols", err);
    release_file(&f);
    return ok;
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
    const struct csv_table t = {
        .header = "crashes,product,version,debug_file,debug_id,code_file,code_id,last_report\r\n",
        .columns = columns,
        .column_count = ARRAY_LEN(columns),
        .is_for_people = true};
    struct csv_file f;
    bool ok = open_file(req, &t, &f, err) && add_rows(&f, &rows, err) &&
              send_file(req, &f, req_now_us(req), "missing-symbols-by-version", err);
    release_file(&f);
    return ok;
}
