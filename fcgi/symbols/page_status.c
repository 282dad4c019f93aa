/*
 * GET /status, for staff: what is stored, how large the tables are and how long it takes to count
 * them, settings that are no secret, and what the database was migrated to.
 *
 * It is the first page to open when uploads are slow. The time of counting is shown because it says
 * more than the count: a table that takes seconds is one whose vacuum or memory is behind.
 * Everything is asked anew, nothing is kept; the page is rarely opened, and one that shows old
 * numbers would mislead whoever looks for a fault.
 */
#include "fcgi/symbols/symbol_pages.h"
#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/tpl/tpl.h"
#include "lib/web/human.h"
#include "lib/web/web.h"
#include "queries.h"
#include "rows.h"

static const struct {
    const char *name;
    const struct db_query *query;
    int n;
} tables[] = {
    {"symbol_upload", &q_symbol_count_uploads, Q_SYMBOL_COUNT_UPLOADS_COL_N},
    {"symbol_file", &q_symbol_count_files, Q_SYMBOL_COUNT_FILES_COL_N},
    {"symbol_object", &q_symbol_count_objects, Q_SYMBOL_COUNT_OBJECTS_COL_N},
    {"missing_symbol", &q_symbol_count_missing, Q_SYMBOL_COUNT_MISSING_COL_N},
    {"api_token", &q_symbol_count_tokens, Q_SYMBOL_COUNT_TOKENS_COL_N},
    {"app_user", &q_symbol_count_users, Q_SYMBOL_COUNT_USERS_COL_N},
};

static bool set_tables(struct req *r, struct tpl_values *v, struct err *err)
{
    struct arena *a = req_arena(r);
    struct tpl_rows *rows = tpl_list(v, LIST_TABLE_SIZES);
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        DB_ROWS count = {0};
        int64_t start_us = mono_us();
        if (!DB_RUN(req_db(r), tables[i].query, &count, err))
            return err_wrap(err, "counting %s", tables[i].name);
        struct tpl_row *row = tpl_row_add(rows);
        tpl_col_cstr(row, TABLE_SIZE_NAME, tables[i].name);
        tpl_col_cstr(row, TABLE_SIZE_ROWS, human_count(a, db_col_int(&count, 0, tables[i].n, 0)));
        tpl_col_cstr(row, TABLE_SIZE_TOOK,
                     arena_printf(a, "%.1f ms", (double)(mono_us() - start_us) / 1000));
    }
    return true;
}

static bool set_areas(struct req *r, struct tpl_values *v, struct err *err)
{
    struct arena *a = req_arena(r);
    DB_ROWS areas = {0};
    if (!DB_RUN(req_db(r), &q_symbol_area_sizes, &areas, err))
        return err_wrap(err, "measuring the store");
    struct tpl_rows *rows = tpl_list(v, LIST_AREA_SIZES);
    for (int i = 0; i < areas.count; i++) {
        struct tpl_row *row = tpl_row_add(rows);
        tpl_col_cstr(row, UPLOAD_PERIOD_TITLE, db_col(&areas, i, Q_SYMBOL_AREA_SIZES_COL_AREA));
        tpl_col_cstr(row, UPLOAD_PERIOD_COUNT,
                     human_count(a, db_col_int(&areas, i, Q_SYMBOL_AREA_SIZES_COL_FILES, 0)));
        tpl_col_cstr(row, UPLOAD_PERIOD_SIZE,
                     human_size(a, db_col_int(&areas, i, Q_SYMBOL_AREA_SIZES_COL_BYTES, 0)));
    }
    return true;
}

/* Keys of symbols alone; what is marked as a secret is not shown, and paths are the machine's. */
static void set_settings(struct req *r, struct tpl_values *v)
{
    static const char *const prefixes[] = {"SYMBOLS_", "UPLOAD_", "DISALLOWED_", "ALLOW_",
                                           "TOKENS_"};
    struct tpl_rows *rows = tpl_list(v, LIST_FACTS);
    for (size_t i = 0; i < CONF_KEY_COUNT; i++) {
        bool is_shown = false;
        for (size_t k = 0; k < ARRAY_LEN(prefixes); k++)
            is_shown |= str_starts(str_of(conf_keys[i].name), str_of(prefixes[k]));
        if (!is_shown || conf_keys[i].is_secret || conf_keys[i].type == CONF_PATH)
            continue;
        struct tpl_row *row = tpl_row_add(rows);
        tpl_col_cstr(row, FACT_LABEL, conf_keys[i].name);
        tpl_col_cstr(row, FACT_TEXT, req_conf(r)->values[i]);
        tpl_col_url(row, FACT_URL, STR(""));
    }
}

static bool set_migrations(struct req *r, struct tpl_values *v, struct err *err)
{
    DB_ROWS done = {0};
    if (!DB_RUN(req_db(r), &q_symbol_migrations, &done, err))
        return err_wrap(err, "listing migrations");
    struct tpl_rows *rows = tpl_list(v, LIST_WARNINGS);
    for (int i = 0; i < done.count; i++)
        tpl_col_cstr(tpl_row_add(rows), NOTE_TEXT, db_col(&done, i, Q_SYMBOL_MIGRATIONS_COL_NAME));
    return true;
}

bool page_status_get(struct req *r, struct err *err)
{
    const struct web_user *user = req_user(r);
    if (!user->is_staff && !user->is_superuser)
        return err_set(err, ERR_FORBIDDEN, "This page is for the staff of this installation");
    struct tpl_values *v = symbol_page_new(r, "Site status", SYMBOL_NAV_NONE);
    set_settings(r, v);
    return set_areas(r, v, err) && set_tables(r, v, err) && set_migrations(r, v, err) &&
           resp_page(r, 200, "symbols_status.html", v, err);
}
