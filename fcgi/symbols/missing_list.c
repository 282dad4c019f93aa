/*
 * GET /missingsymbols/: symbols that were wanted in vain.
 *
 * Two things are counted, and neither can be made of the other.  `count` is how often somebody
 * asked, over HTTP or for a crash, as long as the row exists.  `crashes` is how many reports of
 * the last days lack the symbols now: distinct ones, not any more when they were deleted or have
 * got them (migrations/0009_crash_lacks_symbols.sql).  The second is what an upload would improve.
 */
#include "fcgi/symbols/missing_list.h"

#include "fcgi/symbols/list_filter.h"
#include "fcgi/symbols/symbol_server.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/symfile/missing.h"
#include "queries.h"

/*
 * A page has as many as those of files (list_files.c).  A module of a system is missing in every
 * version of a product; the twenty with most crashes say where to begin.  last_page is far beyond
 * any list, and times BATCH still a number of rows.
 */
enum { BATCH = 40, VERSIONS_SHOWN = 20 };
static const int64_t last_page = 1000000000;

/* clang-format off */
const struct param_spec
    missing_symbol = {"symbol", PARAM_TEXT, PARAM_TRIMMED, .help = "part of the debug file's name, in any case"},
    missing_debugid = {"debugid", PARAM_TEXT, PARAM_TRIMMED, .help = "part of the debug id"},
    missing_filename = {"filename", PARAM_TEXT, PARAM_TRIMMED, .help = "part of the symbols file's name"},
    missing_code_file = {"code_file", PARAM_TEXT, PARAM_TRIMMED, .help = "part of the code file's name"},
    missing_code_id = {"code_id", PARAM_TEXT, PARAM_TRIMMED, .help = "part of the code id"},
    missing_modified = {"modified_at", PARAM_TEXT, .help = "when it was wanted last, conditions with commas between: `>=2026-01-05`, `today`, `yesterday`"},
    missing_created = {"created_at", PARAM_TEXT, .help = "when it was wanted first, the same"},
    missing_product = {"product", PARAM_TEXT, PARAM_TRIMMED, .help = "only what crashes of this product lack, and these are counted"},
    missing_version = {"version", PARAM_TEXT, PARAM_TRIMMED, .help = "the same for a version"},
    missing_sort = {"sort", PARAM_TEXT, .help = "`modified_at`, `created_at`, `count`, `symbol`, or `crashes`: how many would get better"},
    missing_reverse = {"reverse", PARAM_TEXT, .help = "`true`: the other way round; without it the newest, the most or A first"},
    missing_page = {"page", PARAM_TEXT, PARAM_TRIMMED, .fallback = "1", .help = "from 1"};
/* clang-format on */
const struct param_spec *const missing_list_params[] = {&missing_symbol,
                                                        &missing_debugid,
                                                        &missing_filename,
                                                        &missing_code_file,
                                                        &missing_code_id,
                                                        &missing_modified,
                                                        &missing_created,
                                                        &missing_product,
                                                        &missing_version,
                                                        &missing_sort,
                                                        &missing_reverse,
                                                        &missing_page,
                                                        NULL};

static const char *const sorts[] = {"modified_at", "created_at", "count", "symbol", "crashes"};

/* What a list asks for, as parameters of its statement. */
struct missing_ask {
    struct time_range modified, created;
    const char *sort;
    bool is_reversed;
    int64_t page;
};

/*
 * All faults of the form are collected, so that whoever fills it in reads them at once; a page
 * beyond the end is the last number of a page, which is empty.
 */
static void read_ask(struct req *r, const char *default_sort, struct missing_ask *ask,
                     struct form_errors *errors)
{
    struct err err;
    struct str sort = req_text(r, &missing_sort), page = req_text(r, &missing_page);
    *ask = (struct missing_ask){.page = 1};
    for (size_t i = 0; i < ARRAY_LEN(sorts); i++)
        if (str_eq(sort.n ? sort : str_of(default_sort), str_of(sorts[i])))
            ask->sort = sorts[i];
    if (!ask->sort)
        form_errors_add(errors, "sort", "Invalid sort '" STR_FMT "'",
                        STR_ARG(str_sub(sort, 0, utf8_prefix_bytes(sort, 100))));
    if (!time_filter_parse(req_text(r, &missing_modified), req_now_us(r), &ask->modified, &err))
        form_errors_add(errors, "modified_at", "%s", err.msg);
    if (!time_filter_parse(req_text(r, &missing_created), req_now_us(r), &ask->created, &err))
        form_errors_add(errors, "created_at", "%s", err.msg);
    if (page.n && !str_to_i64(page, INT64_MIN, INT64_MAX, "page", &ask->page, ERR_IGNORED))
        form_errors_add(errors, "page", "Not a number '" STR_FMT "'",
                        STR_ARG(str_sub(page, 0, utf8_prefix_bytes(page, 100))));
    ask->page = MIN(MAX(ask->page, (int64_t)1), last_page);
    ask->is_reversed = str_eq_nocase(req_text(r, &missing_reverse), STR("true"));
}

const char *missing_filter(struct req *r, const struct param_spec *spec)
{
    struct str text = req_text(r, spec);
    return text.n ? str_adup(req_arena(r), text) : NULL;
}

/*
 * What the reader typed, with the characters escaped that LIKE would take for its own.
 */
static const char *pattern_of(struct req *r, const struct param_spec *spec)
{
    struct str text = req_text(r, spec);
    return text.n ? like_pattern(req_arena(r), text) : NULL;
}

static const char *bound(struct req *r, const struct time_range *t, int64_t us)
{
    return t->is_set ? db_int(req_arena(r), us) : NULL;
}

/* Texts of columns that may be NULL are empty in records, but for the crash that named none. */
static json_t *record_of(const struct db_rows *rows, int i)
{
    static const struct {
        const char *key;
        enum q_missing_page_col column;
    } texts[] = {
        {"symbol", Q_MISSING_PAGE_COL_SYMBOL},
        {"debugid", Q_MISSING_PAGE_COL_DEBUGID},
        {"filename", Q_MISSING_PAGE_COL_FILENAME},
        {"code_file", Q_MISSING_PAGE_COL_CODE_FILE},
        {"code_id", Q_MISSING_PAGE_COL_CODE_ID},
        {"product", Q_MISSING_PAGE_COL_PRODUCT},
        {"version", Q_MISSING_PAGE_COL_VERSION},
        {"modified_at", Q_MISSING_PAGE_COL_MODIFIED_AT},
        {"created_at", Q_MISSING_PAGE_COL_CREATED_AT},
    };
    json_t *record = json_object();
    jset_int(record, "id", db_col_int(rows, i, Q_MISSING_PAGE_COL_ID, 0));
    for (size_t t = 0; t < ARRAY_LEN(texts); t++)
        jset_cstr(record, texts[t].key, db_col(rows, i, texts[t].column));
    jset_int(record, "count", db_col_int(rows, i, Q_MISSING_PAGE_COL_COUNT, 0));
    jset_int(record, "crashes", db_col_int(rows, i, Q_MISSING_PAGE_COL_CRASHES, 0));
    json_object_set_new(record, "crashes_by_version", json_array());
    return record;
}

/*
 * Rows come with most crashes first, so the first VERSIONS_SHOWN of a record are those that matter.
 * Several records may have one debug id: the same library under two names.
 */
static void add_version(json_t *records, const struct db_rows *rows, int row)
{
    const char *id = db_col(rows, row, Q_MISSING_BY_VERSION_COL_DEBUG_ID);
    size_t i;
    json_t *record;
    json_array_foreach (records, i, record) {
        json_t *list = jget_arr(record, "crashes_by_version");
        const char *its = jget_str(record, "debugid");
        if (!its || strcmp(its, id) != 0 || json_array_size(list) >= VERSIONS_SHOWN)
            continue;
        json_t *one = json_object();
        jset_cstr(one, "product", db_col(rows, row, Q_MISSING_BY_VERSION_COL_PRODUCT));
        jset_cstr(one, "version", db_col(rows, row, Q_MISSING_BY_VERSION_COL_VERSION));
        jset_int(one, "crashes", db_col_int(rows, row, Q_MISSING_BY_VERSION_COL_CRASHES, 0));
        jset_cstr(one, "last_day", db_col(rows, row, Q_MISSING_BY_VERSION_COL_LAST_DAY));
        json_array_append_new(list, one);
    }
}

/* Which products and versions the crashes of a page's records are of. */
static bool add_versions(struct req *r, json_t *records, struct err *err)
{
    struct arena *a = req_arena(r);
    struct strs ids = {.v = arena_array(a, json_array_size(records) + 1, sizeof(struct str))};
    size_t i;
    const json_t *record;
    json_array_foreach (records, i, record)
        if (jget_int_or(record, "crashes", 0) > 0)
            ids.v[ids.n++] = jget_strn(record, "debugid");
    DB_ROWS rows = {0};
    if (ids.n == 0)
        return true;
    if (!DB_RUN(req_db(r), &q_missing_by_version, &rows, err, db_text_array(a, ids),
                missing_filter(r, &missing_product), missing_filter(r, &missing_version)))
        return err_wrap(err, "versions that lack symbols");
    for (int row = 0; row < rows.count; row++)
        add_version(records, &rows, row);
    return true;
}

static bool load_records(struct req *r, const struct missing_ask *ask, json_t *answer,
                         struct err *err)
{
    struct arena *a = req_arena(r);
    json_t *records = jget_arr(answer, "records");
    DB_ROWS rows = {0};
    if (!DB_RUN(req_db(r), &q_missing_page, &rows, err, pattern_of(r, &missing_symbol),
                pattern_of(r, &missing_debugid), pattern_of(r, &missing_filename),
                pattern_of(r, &missing_code_file), pattern_of(r, &missing_code_id),
                bound(r, &ask->modified, ask->modified.from_us),
                bound(r, &ask->modified, ask->modified.end_us),
                bound(r, &ask->created, ask->created.from_us),
                bound(r, &ask->created, ask->created.end_us), missing_filter(r, &missing_product),
                missing_filter(r, &missing_version), ask->sort, db_bool(ask->is_reversed),
                db_int(a, BATCH), db_int(a, (ask->page - 1) * BATCH)))
        return err_wrap(err, "missing symbols");
    for (int i = 0; i < rows.count; i++)
        if (db_col(&rows, i, Q_MISSING_PAGE_COL_ID)) /* NULL: the page has none */
            json_array_append_new(records, record_of(&rows, i));
    jset_int(answer, "total_count", db_col_int(&rows, 0, Q_MISSING_PAGE_COL_TOTAL, 0));
    return add_versions(r, records, err);
}

void missing_write_now(struct req *r)
{
    struct symbol_server *s = req_app(r);
    missing_flush(s->missing, req_db(r), true);
}

bool missing_load(struct req *r, const char *default_sort, struct form_errors *errors, json_t **ret,
                  struct err *err)
{
    struct missing_ask ask;
    read_ask(r, default_sort, &ask, errors);
    if (form_errors_any(errors))
        return true;
    missing_write_now(r);
    json_auto_t *answer =
        json_pack("{s:[], s:i, s:I, s:{s:s, s:b}}", "records", "batch_size", BATCH, "page",
                  (json_int_t)ask.page, "order_by", "sort", ask.sort, "reverse", ask.is_reversed);
    if (!load_records(r, &ask, answer, err))
        return false;
    *ret = json_incref(answer);
    return true;
}

bool missing_list_get(struct req *r, struct err *err)
{
    FORM_ERRORS_AUTO errors = {0};
    json_auto_t *answer = NULL;
    if (!missing_load(r, sorts[0], &errors, &answer, err))
        return false;
    return form_errors_any(&errors) ? form_errors_send(r, &errors, err)
                                    : resp_json(r, 200, answer, err);
}
