/*
 * How this installation is: the queues, /siteadmin/site/ and /siteadmin/search/.  Everything is
 * asked anew, for a page that shows old numbers would mislead whoever looks for a fault.  Sizes and
 * numbers of rows of tables are PostgreSQL's own estimates: to count a ledger of a hundred million
 * rows for a page is itself a fault.  Values of secret keys are not shown.
 */
#include "fcgi/webapp/admin_status.h"

#include "fcgi/webapp/admin_lists.h"
#include "fcgi/webapp/layout.h"
#include "fcgi/webapp/pages.h"
#include "fcgi/webapp/url_query.h"
#include "fcgi/webapp/webapp.h"
#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/crash/field.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/ledger/ledger.h"
#include "lib/search/index.h"
#include "lib/tpl/tpl.h"
#include "lib/web/human.h"
#include "lib/web/web.h"
#include "queries.h"
#include "rows.h"

static const char *count_text(struct req *r, const struct db_rows *rows, int i, int column)
{
    return human_count(req_arena(r), db_col_int(rows, i, column, 0));
}

bool admin_queue_sections(struct req *r, struct tpl_rows *sections, struct err *err)
{
    static const char *const queue_heads[] = {"Queue",   "#Waiting",       "#Running",
                                              "#Failed", "Oldest waiting", NULL};
    static const char *const ledger_heads[] = {
        "Product", "#Received", "#Processed", "#Without raw crash", "#Failed", NULL};
    DB_ROWS queue = {0}, ledger = {0};
    if (!DB_RUN(req_db(r), &q_web_admin_queue, &queue, err) ||
        !DB_RUN(req_db(r), &q_web_admin_ledger, &ledger, err))
        return err_wrap(err, "queues");
    struct admin_table t = admin_table(sections, "By queue", "The queues are empty.", queue_heads);
    for (int i = 0; i < queue.count; i++) {
        struct tpl_rows *cells = admin_row(&t);
        admin_cell(cells, db_col(&queue, i, Q_WEB_ADMIN_QUEUE_COL_QUEUE), "");
        admin_cell(cells, count_text(r, &queue, i, Q_WEB_ADMIN_QUEUE_COL_WAITING), "num");
        admin_cell(cells, count_text(r, &queue, i, Q_WEB_ADMIN_QUEUE_COL_RUNNING), "num");
        admin_cell(cells, count_text(r, &queue, i, Q_WEB_ADMIN_QUEUE_COL_FAILED), "num");
        admin_cell(cells, db_col(&queue, i, Q_WEB_ADMIN_QUEUE_COL_OLDEST), "nowrap");
    }
    t = admin_table(sections, "Reports of the last 7 days", "None came in.", ledger_heads);
    for (int i = 0; i < ledger.count; i++) {
        struct tpl_rows *cells = admin_row(&t);
        admin_cell(cells, db_col(&ledger, i, Q_WEB_ADMIN_LEDGER_COL_PRODUCT), "");
        admin_cell(cells, count_text(r, &ledger, i, Q_WEB_ADMIN_LEDGER_COL_RECEIVED), "num");
        admin_cell(cells, count_text(r, &ledger, i, Q_WEB_ADMIN_LEDGER_COL_PROCESSED), "num");
        admin_cell(cells, count_text(r, &ledger, i, Q_WEB_ADMIN_LEDGER_COL_REJECTED), "num");
        admin_cell(cells, count_text(r, &ledger, i, Q_WEB_ADMIN_LEDGER_COL_FAILED), "num");
    }
    return true;
}

static void add_fact(struct admin_table *t, const char *label, const char *text)
{
    struct tpl_rows *cells = admin_row(t);
    admin_cell(cells, label, "nowrap");
    admin_cell(cells, text, "wrap");
}

static const char *const fact_heads[] = {"What", "State", NULL};

static bool set_installation(struct req *r, struct tpl_rows *sections, struct err *err)
{
    struct arena *a = req_arena(r);
    struct webapp *app = app_of(r);
    struct err why = {0};
    DB_ROWS database = {0};
    if (!DB_RUN(req_db(r), &q_admin_database, &database, err))
        return err_wrap(err, "database");
    struct admin_table t = admin_table(sections, "Installation", "", fact_heads);
    add_fact(&t, "Datil", DATIL_VERSION);
    add_fact(&t, "Database",
             arena_printf(a, "PostgreSQL %s, %s",
                          db_col(&database, 0, Q_ADMIN_DATABASE_COL_VERSION),
                          human_size(a, db_col_int(&database, 0, Q_ADMIN_DATABASE_COL_BYTES, 0))));
    bool is_store_good = ledger_store_check(req_db(r), app->store, app->installation, &why);
    add_fact(&t, "Store", is_store_good ? "answers, and is that of this installation" : why.msg);
    return true;
}

static bool set_tables(struct req *r, struct tpl_rows *sections, struct err *err)
{
    static const char *const heads[] = {"Table", "#Rows, about", "#Dead rows", "#Size", NULL};
    DB_ROWS rows = {0};
    int64_t start_us = mono_us();
    if (!DB_RUN(req_db(r), &q_admin_table_sizes, &rows, err))
        return err_wrap(err, "sizes of tables");
    struct admin_table t = admin_table(sections,
                                       arena_printf(req_arena(r), "Tables (asked in %.1f ms)",
                                                    (double)(mono_us() - start_us) / 1000),
                                       "", heads);
    for (int i = 0; i < rows.count; i++) {
        struct tpl_rows *cells = admin_row(&t);
        admin_cell(cells, db_col(&rows, i, Q_ADMIN_TABLE_SIZES_COL_NAME), "mono");
        admin_cell(cells, count_text(r, &rows, i, Q_ADMIN_TABLE_SIZES_COL_ROWS), "num");
        admin_cell(cells, count_text(r, &rows, i, Q_ADMIN_TABLE_SIZES_COL_DEAD), "num");
        admin_cell(cells,
                   human_size(req_arena(r), db_col_int(&rows, i, Q_ADMIN_TABLE_SIZES_COL_BYTES, 0)),
                   "num");
    }
    return true;
}

static bool set_migrations(struct req *r, struct tpl_rows *sections, struct err *err)
{
    static const char *const heads[] = {"Migration", "Applied", NULL};
    DB_ROWS rows = {0};
    if (!DB_RUN(req_db(r), &q_admin_migrations, &rows, err))
        return err_wrap(err, "migrations");
    struct admin_table t = admin_table(sections, "Migrations", "", heads);
    for (int i = 0; i < rows.count; i++) {
        struct tpl_rows *cells = admin_row(&t);
        admin_cell(cells, db_col(&rows, i, Q_ADMIN_MIGRATIONS_COL_NAME), "mono");
        admin_cell(cells, db_col(&rows, i, Q_ADMIN_MIGRATIONS_COL_APPLIED), "nowrap");
    }
    return true;
}

static void set_settings(struct req *r, struct tpl_rows *sections)
{
    static const char *const heads[] = {"Key", "Value", NULL};
    struct admin_table t = admin_table(sections, "Settings", "", heads);
    for (int i = 0; i < CONF_KEY_COUNT; i++) {
        const char *value = conf_text(req_conf(r), (enum conf_name)i);
        struct tpl_rows *cells = admin_row(&t);
        admin_cell(cells, conf_keys[i].name, "mono small");
        admin_cell(cells, conf_keys[i].is_secret && *value ? "(secret)" : value, "mono small wrap");
    }
}

/* GET /siteadmin/site/ */
bool admin_site_get(struct req *r, struct err *err)
{
    struct tpl_values *v = admin_page(r, "Site status", "versions, settings, migrations, tables");
    struct tpl_rows *sections = tpl_list(v, LIST_ADMIN_SECTIONS);
    if (!set_installation(r, sections, err) || !set_tables(r, sections, err) ||
        !set_migrations(r, sections, err))
        return false;
    set_settings(r, sections);
    return layout_send(r, 200, "admin_list.html", v, err);
}

static const char *when(struct req *r, int64_t us)
{
    return us ? human_time(req_arena(r), us) : "never";
}

static bool set_index(struct req *r, struct tpl_rows *sections, struct err *err)
{
    struct arena *a = req_arena(r);
    struct index_health h;
    if (!index_health(app_of(r)->index_dir, app_fields(r), &h, err))
        return err_wrap(err, "index");
    struct admin_table t = admin_table(sections, "Index", "", fact_heads);
    add_fact(&t, "Readable", h.is_readable ? "yes" : h.exists ? "no" : "there is none");
    add_fact(&t, "Whole",
             h.is_whole ? "yes"
             : h.is_all_missing
                 ? "no: everything is being filled again"
                 : arena_printf(a, "no: %zu weeks miss crashes: %s", h.weeks_missing, h.weeks));
    add_fact(&t, "Filled by", *h.filler ? h.filler : "nobody at the moment");
    add_fact(&t, "Compacted by", *h.compactor ? h.compactor : "nobody at the moment");
    add_fact(&t, "Last scrub", when(r, h.scrub_ended_us));
    add_fact(&t, "Damage it found", human_count(a, (int64_t)h.scrub_damage));
    return true;
}

/* The index has a partition for each week, so weeks of crashes are what it consists of. */
static bool set_weeks(struct req *r, struct tpl_rows *sections, struct err *err)
{
    static const char *const heads[] = {"Week that begins", "#Crashes", NULL};
    struct arena *a = req_arena(r);
    struct query q = query_new(a);
    json_auto_t *answer = NULL;
    query_addf(&q, "date", ">=%s",
               human_day(a, req_now_us(r) - conf_int(req_conf(r), CONF_RETENTION_DAYS) * DAY_US));
    query_addc(&q, "_histogram.date", "product");
    query_addc(&q, "_histogram_interval.date", "week");
    query_addc(&q, "_results_number", "0");
    query_addc(&q, "_facets_size", "0");
    if (!app_search(r, &q, (struct app_search){.as_public = true}, &answer, NULL, err))
        return err_wrap(err, "weeks of the index");
    struct admin_table t = admin_table(sections, "Partitions", "The index is empty.", heads);
    const json_t *weeks = app_facet(answer, "histogram_date");
    for (size_t i = json_array_size(weeks); i-- > 0;) {
        const json_t *week = json_array_get(weeks, i);
        struct tpl_rows *cells = admin_row(&t);
        admin_cell(cells, arena_printf(a, "%.10s", jget_str(week, "term")), "nowrap");
        admin_cell(cells, human_count(a, jget_int_or(week, "count", 0)), "num");
    }
    return true;
}

static void set_fields(struct req *r, struct tpl_rows *sections)
{
    static const char *const heads[] = {"Field", "Key of the processed crash", "Who sees it", NULL};
    const struct field_table *fields = app_fields(r);
    struct admin_table t = admin_table(sections, "Fields", "", heads);
    for (size_t i = 0; i < fields->search_count; i++) {
        struct tpl_rows *cells = admin_row(&t);
        admin_cell(cells, fields->search[i].name, "mono small");
        admin_cell(cells, fields->search[i].source_key, "mono small wrap");
        admin_cell(cells, fields->search[i].perm == PERM_PUBLIC ? "everybody" : "view_pii",
                   "nowrap");
    }
}

/* GET /siteadmin/search/ */
bool admin_search_get(struct req *r, struct err *err)
{
    struct tpl_values *v = admin_page(r, "Search status", "the index, its partitions and fields");
    struct tpl_rows *sections = tpl_list(v, LIST_ADMIN_SECTIONS);
    if (!set_index(r, sections, err) || !set_weeks(r, sections, err))
        return false;
    set_fields(r, sections);
    return layout_send(r, 200, "admin_list.html", v, err);
}
