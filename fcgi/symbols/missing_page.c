/*
 * GET /missing: what to upload first, that is what most crashes would get better by.
 *
 * The page shows the very document that /missingsymbols/ answers (missing_list.c), so both filter
 * and count alike.  "Crashes" are reports of the last days that lacked the symbols when they were
 * processed last, each once however many frames it has there; "asked for" counts every request,
 * those of debuggers too.  The first is what an upload mends, so it is the order unasked.
 */
#include "fcgi/symbols/missing_page.h"

#include "fcgi/symbols/form_errors.h"
#include "fcgi/symbols/missing_list.h"
#include "fcgi/symbols/symbol_pages.h"
#include "fcgi/symbols/upload_rows.h"
#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/tpl/tpl.h"
#include "lib/web/human.h"
#include "lib/web/site.h"
#include "queries.h"
#include "rows.h"

/* The choices of the form, in its order; the first is what the page shows unasked. */
static const struct {
    const char *sort, *label;
} orders[] = {
    {"crashes", "Crashes it would improve"},
    {"count", "Times asked for"},
    {"modified_at", "Last asked for"},
    {"created_at", "First asked for"},
    {"symbol", "Name"},
};

/* What makes the list another one: all parameters but the page. */
static const struct param_spec *const filters[] = {
    &missing_symbol,  &missing_debugid, &missing_filename, &missing_code_file,
    &missing_code_id, &missing_product, &missing_version,  &missing_modified,
    &missing_created, &missing_sort,    &missing_reverse};

static const char *const without[] = {"page", NULL};

static struct str page_url(struct req *r, int64_t page)
{
    return list_url(r, "/missing", without,
                    arena_printf(req_arena(r), "page=%lld", (long long)page));
}

/*
 * Signatures of the crashes that lack it, in Crash Stats; only there is a search beside us, when we
 * are below a prefix of its host.
 */
static struct str search_url(struct req *r, const json_t *record)
{
    if (req_mount(r).n == 0 || jget_int_or(record, "crashes", 0) == 0)
        return STR("");
    STRBUF_AUTO b;
    sb_init(&b, 1024);
    sb_text(&b, "/search/?_facets=signature&missing_symbols=~");
    url_encode_to(&b, jget_strn(record, "debugid"));
    return str_copy(req_arena(r), sb_view(&b));
}

/* Versions beyond the first are counted only: a library of the system is missing in all of them. */
static void add_record(struct req *r, struct tpl_rows *rows, const json_t *record)
{
    struct arena *a = req_arena(r);
    static const size_t SHOWN = 3; /* chosen: a row stays a row; the number of others follows */
    const json_t *versions = jget_arr(record, "crashes_by_version"), *one;
    const char *modified = jget_str(record, "modified_at");
    struct tpl_row *row = tpl_row_add(rows);
    tpl_col_cstr(row, MISSED_SYMBOL, jget_str(record, "symbol"));
    tpl_col_cstr(row, MISSED_DEBUG_ID, jget_str(record, "debugid"));
    tpl_col_cstr(
        row, MISSED_CODE,
        arena_printf(a, "%s %s", jget_str(record, "code_file"), jget_str(record, "code_id")));
    tpl_col_cstr(row, MISSED_CRASHES, human_count(a, jget_int_or(record, "crashes", 0)));
    tpl_col_url(row, MISSED_SEARCH_URL, search_url(r, record));
    tpl_col_cstr(row, MISSED_COUNT, human_count(a, jget_int_or(record, "count", 0)));
    tpl_col_cstr(row, MISSED_LAST,
                 arena_printf(a, "%.10s %.5s", modified, modified + strlen("YYYY-MM-DDT")));
    struct tpl_rows *list = tpl_col_rows(row, MISSED_VERSIONS);
    size_t i;
    json_array_foreach (versions, i, one)
        if (i < SHOWN)
            tpl_col_cstr(tpl_row_add(list), MISSED_VERSION_TEXT,
                         arena_printf(a, "%s %s: %s", jget_str(one, "product"),
                                      jget_str(one, "version"),
                                      human_count(a, jget_int_or(one, "crashes", 0))));
    size_t more = json_array_size(versions) > SHOWN ? json_array_size(versions) - SHOWN : 0;
    tpl_col_cstr(row, MISSED_MORE, more ? arena_printf(a, "and %zu more", more) : "");
}

/* The form comes back as it was sent, so that a filter can be changed a little. */
static void set_form(struct req *r, struct tpl_values *v)
{
    struct str sort = req_text(r, &missing_sort);
    struct tpl_rows *rows = tpl_list(v, LIST_MISSING_ORDERS);
    tpl_text(v, "symbol", req_text(r, &missing_symbol));
    tpl_text(v, "debugid", req_text(r, &missing_debugid));
    tpl_text(v, "filter_product", req_text(r, &missing_product));
    tpl_text(v, "filter_version", req_text(r, &missing_version));
    tpl_text(v, "modified", req_text(r, &missing_modified));
    for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
        struct tpl_row *row = tpl_row_add(rows);
        tpl_col_cstr(row, MISSING_ORDER_VALUE, orders[i].sort);
        tpl_col_cstr(row, MISSING_ORDER_TEXT, orders[i].label);
        tpl_col_bool(row, MISSING_ORDER_IS_CHOSEN, str_eq(sort, str_of(orders[i].sort)));
    }
}

/* An empty list means one thing with filters and another without. */
static bool has_filter(struct req *r)
{
    for (size_t i = 0; i < ARRAY_LEN(filters); i++)
        if (req_text(r, filters[i]).n > 0)
            return true;
    return false;
}

static void show_missed(struct req *r, struct tpl_values *v, const json_t *answer)
{
    struct arena *a = req_arena(r);
    struct tpl_rows *rows = tpl_list(v, LIST_MISSED);
    int64_t page = jget_int_or(answer, "page", 1), size = jget_int_or(answer, "batch_size", 1);
    int64_t total = jget_int_or(answer, "total_count", 0);
    const json_t *record;
    size_t i;
    json_array_foreach (jget_arr(answer, "records"), i, record)
        add_record(r, rows, record);
    tpl_bool(v, "has_missed", i > 0);
    tpl_url(v, "summary_url", list_url(r, "/missing.csv", without, ""));
    tpl_bool(v, "has_filter", has_filter(r));
    tpl_cstr(v, "total", human_count(a, total));
    tpl_url(v, "previous_url", page > 1 ? page_url(r, page - 1) : STR(""));
    tpl_url(v, "next_url", page * size < total ? page_url(r, page + 1) : STR(""));
}

/* Crashes that got better by themselves, and how many may in a day. */
static bool set_reprocessed(struct req *r, struct tpl_values *v, struct err *err)
{
    struct arena *a = req_arena(r);
    DB_ROWS rows = {0};
    if (!DB_RUN(req_db(r), &q_lacking_today, &rows, err))
        return err_wrap(err, "crashes processed again");
    tpl_cstr(v, "today", human_count(a, db_col_int(&rows, 0, Q_LACKING_TODAY_COL_TODAY, 0)));
    tpl_cstr(v, "yesterday",
             human_count(a, db_col_int(&rows, 0, Q_LACKING_TODAY_COL_YESTERDAY, 0)));
    tpl_cstr(v, "most", human_count(a, conf_int(req_conf(r), CONF_SYMBOLS_REPROCESS_MAX)));
    tpl_int(v, "days", conf_int(req_conf(r), CONF_SYMBOLS_REPROCESS_DAYS));
    return true;
}

bool missing_page_get(struct req *r, struct err *err)
{
    FORM_ERRORS_AUTO errors = {0};
    json_auto_t *answer = NULL;
    if (!missing_load(r, orders[0].sort, &errors, &answer, err))
        return false;
    struct tpl_values *v = symbol_page_new(r, "Missing symbols", SYMBOL_NAV_MISSING);
    form_errors_show(r, &errors, v);
    tpl_bool(v, "has_errors", form_errors_any(&errors));
    set_form(r, v);
    show_missed(r, v, answer);
    return set_reprocessed(r, v, err) &&
           resp_page(r, form_errors_any(&errors) ? 400 : 200, "symbols_missing.html", v, err);
}
