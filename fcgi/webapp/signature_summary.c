/*
 * The panels of the Summary tab: small tables made from the facets of one search.
 *
 * Up-times are shown in ranges, all but the last of them within the first hour.  A histogram by
 * minutes would have a bucket for every minute that a program ran, and the page of a signature with
 * enough of them would meet SEARCH_MAX_BUCKETS.  So the search of the page asks by hours, and a
 * second one by minutes for the first hour alone.  Where people filter by up-time themselves that
 * filter cannot be added to theirs (values of one field are joined), and has narrowed it already.
 */
#include "fcgi/webapp/signature_summary.h"

#include "fcgi/webapp/webapp.h"
#include "fcgi/webapp/fmt.h"
#include "fcgi/webapp/url_query.h"
#include "fcgi/webapp/results.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/tpl/tpl.h"
#include "lib/web/human.h"
#include "lib/web/web.h"
#include "queries.h"
#include "rows.h"

/*
 * PANEL_ROWS_MAX is twice what a facet lists when nobody says otherwise (QUERY_FACETS_DEFAULT).
 */
enum { PANEL_ROWS_MAX = 100, MINUTE_S = 60, HOUR_S = 3600 };

static bool filters_uptime(const struct query *q)
{
    return query_get(q, "uptime").p;
}

/*
 * Facets of all panels.  Those that are one inside the other count how often values meet, and go no
 * deeper than four fields, which is what lib/search takes.
 */
void signature_ask_summary(struct query *q)
{
    static const char *const pairs[][2] = {
        {"_aggs.signature", "process_type"},
        {"_aggs.signature", "startup_crash"},
        {"_facets", "platform_pretty_version"},
        {"_facets", "cpu_arch"},
        {"_facets", "process_type"},
        {"_facets", "_histogram.uptime"},
        {"_aggs.adapter_vendor_id", "adapter_device_id"},
        {"_aggs.android_cpu_abi.android_manufacturer.android_model", "android_version"},
        {"_aggs.product.version", "_cardinality.install_time"},
    };
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
        query_addc(q, pairs[i][0], pairs[i][1]);
    query_addf(q, "_histogram_interval.uptime", "%d", filters_uptime(q) ? MINUTE_S : HOUR_S);
}

/* *ret stays NULL where the search of the page asked by minutes. */
static bool ask_first_hour(const struct signature_page *p, json_t **ret, struct err *err)
{
    struct query q = signature_filters(p);
    if (filters_uptime(&q))
        return true;
    query_addf(&q, "uptime", "<%d", HOUR_S);
    query_addc(&q, "_facets", "_histogram.uptime");
    query_addf(&q, "_histogram_interval.uptime", "%d", MINUTE_S);
    query_addc(&q, "_results_number", "0");
    return app_search(p->req, &q, (struct app_search){.is_html = true}, ret, NULL, err);
}

struct uptimes {
    const json_t *minutes; /* buckets, of the first hour at least */
    const json_t *hours;   /* buckets; NULL: the minutes are all */
};

/* What the two searches say together; minutes alone where one search said it all. */
static struct uptimes uptimes_of(const json_t *answer, const json_t *first_hour)
{
    const json_t *all = app_facet(answer, "histogram_uptime");
    if (!first_hour)
        return (struct uptimes){.minutes = all};
    return (struct uptimes){.minutes = app_facet(first_hour, "histogram_uptime"), .hours = all};
}

/* A small table that rows are added to. */
struct panel {
    struct arena *a;
    struct tpl_rows *rows;
    int64_t total;
    size_t columns;
};

static void head(struct tpl_rows *heads, const char *label, bool is_number)
{
    struct tpl_row *row = tpl_row_add(heads);
    tpl_col_cstr(row, HEAD_TEXT, label);
    tpl_col_bool(row, HEAD_IS_NUMBER, is_number);
}

/* Labels of the text columns; Count and % follow, and one more number if it has a label. */
static struct panel panel_new(struct arena *a, struct tpl_rows *panels, const char *title,
                              const char *const *labels, size_t n, const char *last, int64_t total)
{
    struct tpl_row *row = tpl_row_add(panels);
    tpl_col_cstr(row, PANEL_TITLE, title);
    struct tpl_rows *heads = tpl_col_rows(row, PANEL_HEADS);
    for (size_t i = 0; i < n; i++)
        head(heads, labels[i], false);
    head(heads, "Count", true);
    head(heads, "%", true);
    if (last)
        head(heads, last, true);
    return (struct panel){
        .a = a, .rows = tpl_col_rows(row, PANEL_ROWS), .total = total, .columns = n};
}

static void cell(struct tpl_rows *cells, struct str text, const char *class_name)
{
    struct tpl_row *row = tpl_row_add(cells);
    tpl_col_text(row, PANEL_CELL_TEXT, text);
    tpl_col_cstr(row, PANEL_CELL_CLASS, class_name);
}

/* The texts, the count and its share of all crashes; returns the cells for one number more. */
static struct tpl_rows *panel_row(struct panel *p, const struct str *texts, int64_t count)
{
    struct tpl_rows *cells = tpl_col_rows(tpl_row_add(p->rows), PANEL_ROW_CELLS);
    for (size_t i = 0; i < p->columns; i++)
        cell(cells, texts[i], "");
    cell(cells, str_of(human_count(p->a, count)), "num");
    cell(cells, str_of(fmt_percent(p->a, count, p->total, 1)), "num");
    return cells;
}

static struct str term(struct arena *a, const json_t *bucket)
{
    struct str s = results_text(a, NULL, json_object_get(bucket, "term"));
    return s.p ? s : STR("");
}

static int64_t count(const json_t *bucket)
{
    return jget_int_or(bucket, "count", 0);
}

static const json_t *inner(const json_t *bucket, const char *name)
{
    return jget_arr(jget_obj(bucket, "facets"), name);
}

/* The values of one field. */
static void simple_panel(struct arena *a, struct tpl_rows *panels, const char *title,
                         const char *label, const json_t *buckets, int64_t total)
{
    struct panel p = panel_new(a, panels, title, &label, 1, NULL, total);
    size_t i;
    const json_t *b;
    json_array_foreach (buckets, i, b)
        panel_row(&p, (struct str[]){term(a, b)}, count(b));
}

/*
 * Installations are told apart by the time of installation; never shown as more than there are
 * crashes.
 */
static void product_panel(struct arena *a, struct tpl_rows *panels, const json_t *answer,
                          int64_t total)
{
    static const char *const labels[] = {"Product", "Version"};
    struct panel p = panel_new(a, panels, "Product", labels, 2, "Installations", total);
    size_t i, k;
    const json_t *product, *version;
    json_array_foreach (app_facet(answer, "product"), i, product)
        json_array_foreach (inner(product, "version"), k, version) {
            const json_t *installs =
                jget_obj(jget_obj(version, "facets"), "cardinality_install_time");
            int64_t n = MIN(jget_int_or(installs, "value", 0), count(version));
            struct tpl_rows *cells =
                panel_row(&p, (struct str[]){term(a, product), term(a, version)}, count(version));
            cell(cells, str_of(human_count(a, n)), "num");
        }
}

/* Crashes with an up-time in a range of fmt.c. */
struct uptime_range {
    size_t index;
    int64_t count;
};

/* Of equal ones the shorter up-time stands first. */
static int most_first(const void *x, const void *y)
{
    const struct uptime_range *a = x, *b = y;
    if (a->count != b->count)
        return a->count < b->count ? 1 : -1;
    return (a->index > b->index) - (a->index < b->index);
}

/* Buckets from from_s on: what is below is known in minutes already. */
static void add_uptimes(struct uptime_range ranges[UPTIME_RANGES], const json_t *buckets,
                        int64_t from_s)
{
    size_t i;
    const json_t *b;
    json_array_foreach (buckets, i, b) {
        int64_t uptime_s = (int64_t)json_number_value(json_object_get(b, "term"));
        if (uptime_s >= from_s)
            ranges[fmt_uptime_index(uptime_s)].count += count(b);
    }
}

static void uptime_panel(struct arena *a, struct tpl_rows *panels, const struct uptimes *uptimes,
                         int64_t total)
{
    static const char *const label = "Uptime";
    struct uptime_range ranges[UPTIME_RANGES] = {0};
    size_t i;
    for (i = 0; i < UPTIME_RANGES; i++)
        ranges[i].index = i;
    add_uptimes(ranges, uptimes->minutes, INT64_MIN);
    add_uptimes(ranges, uptimes->hours, HOUR_S);
    qsort(ranges, UPTIME_RANGES, sizeof *ranges, most_first);
    struct panel p = panel_new(a, panels, "Uptime Range", &label, 1, NULL, total);
    for (i = 0; i < UPTIME_RANGES; i++)
        if (ranges[i].count > 0)
            panel_row(&p, (struct str[]){str_of(fmt_uptime_range(ranges[i].index))},
                      ranges[i].count);
}

/* Only where there are any: most products do not run there. */
static void mobile_panel(struct arena *a, struct tpl_rows *panels, const json_t *answer,
                         int64_t total)
{
    static const char *const labels[] = {"Manufacturer", "Model", "API level", "CPU ABI"};
    const json_t *abis = app_facet(answer, "android_cpu_abi"), *abi, *maker, *model, *version;
    size_t i, k, m, n;
    if (json_array_size(abis) == 0)
        return;
    struct panel p = panel_new(a, panels, "Mobile Devices", labels, 4, NULL, total);
    json_array_foreach (abis, i, abi)
        json_array_foreach (inner(abi, "android_manufacturer"), k, maker)
            json_array_foreach (inner(maker, "android_model"), m, model)
                json_array_foreach (inner(model, "android_version"), n, version)
                    panel_row(&p,
                              (struct str[]){term(a, maker), term(a, model), term(a, version),
                                             term(a, abi)},
                              count(version));
}

/* A graphics device and its crashes. */
struct device {
    struct str vendor, adapter;
    int64_t count;
};

static int device_order(const void *x, const void *y)
{
    const struct device *a = x, *b = y;
    if (a->count != b->count)
        return a->count < b->count ? 1 : -1;
    int d = str_cmp(a->vendor, b->vendor);
    return d ? d : str_cmp(a->adapter, b->adapter);
}

/* "NVIDIA (0x10de)" where the database knows a name; the number alone where it does not. */
static struct str with_name(struct arena *a, const struct db_rows *names, const struct device *d,
                            bool is_vendor)
{
    struct str hex = is_vendor ? d->vendor : d->adapter;
    for (int i = 0; i < names->count; i++) {
        const char *adapter = db_col(names, i, Q_WEB_GRAPHICS_COL_ADAPTER_HEX);
        const char *name = db_col(
            names, i, is_vendor ? Q_WEB_GRAPHICS_COL_VENDOR_NAME : Q_WEB_GRAPHICS_COL_ADAPTER_NAME);
        bool fits = str_eq(str_of(db_col(names, i, Q_WEB_GRAPHICS_COL_VENDOR_HEX)), d->vendor) &&
                    (is_vendor || (adapter && str_eq(str_of(adapter), d->adapter)));
        if (fits && name && *name)
            return str_of(arena_printf(a, "%s (" STR_FMT ")", name, STR_ARG(hex)));
    }
    return hex;
}

/* Devices of all vendors in one order, the commonest first; names come from one query. */
static bool graphics_panel(const struct signature_page *s, struct tpl_rows *panels,
                           const json_t *answer, int64_t total, struct err *err)
{
    static const char *const labels[] = {"Vendor", "Adapter"};
    const json_t *vendors = app_facet(answer, "adapter_vendor_id"), *vendor, *adapter;
    size_t i, k, n = 0, most = 0;
    struct strs hexes = {.v = arena_array(s->a, json_array_size(vendors) + 1, sizeof *hexes.v)};
    json_array_foreach (vendors, i, vendor) {
        most += json_array_size(inner(vendor, "adapter_device_id"));
        hexes.v[hexes.n++] = term(s->a, vendor);
    }
    if (most == 0)
        return true;
    DB_ROWS names = {0};
    if (!DB_RUN(req_db(s->req), &q_web_graphics, &names, err, db_text_array(s->a, hexes)))
        return err_wrap(err, "looking up graphics devices");
    struct device *devices = arena_array(s->a, most, sizeof *devices);
    json_array_foreach (vendors, i, vendor)
        json_array_foreach (inner(vendor, "adapter_device_id"), k, adapter)
            devices[n++] = (struct device){term(s->a, vendor), term(s->a, adapter), count(adapter)};
    qsort(devices, n, sizeof *devices, device_order);
    struct panel p = panel_new(s->a, panels, "Graphics Adapter", labels, 2, NULL, total);
    for (i = 0; i < n && i < PANEL_ROWS_MAX; i++)
        panel_row(&p,
                  (struct str[]){with_name(s->a, &names, &devices[i], true),
                                 with_name(s->a, &names, &devices[i], false)},
                  devices[i].count);
    return true;
}

/* Crashes with one value of a facet. */
static int64_t count_of(const json_t *buckets, const char *wanted)
{
    size_t i;
    const json_t *b;
    json_array_foreach (buckets, i, b) {
        const char *text = jget_str(b, "term");
        if (text && strcmp(text, wanted) == 0)
            return count(b);
    }
    return 0;
}

static void indicator(struct tpl_rows *rows, const char *text, const char *class_name)
{
    struct tpl_row *row = tpl_row_add(rows);
    tpl_col_cstr(row, INDICATOR_TEXT, text);
    tpl_col_cstr(row, INDICATOR_CLASS, class_name);
}

/* Within a minute of starting: the histogram's bucket from 0. */
static int64_t count_early(const struct uptimes *uptimes)
{
    size_t i;
    const json_t *b;
    json_array_foreach (uptimes->minutes, i, b)
        if (json_number_value(json_object_get(b, "term")) == 0)
            return count(b);
    return 0;
}

/* What the reports have in common, in words: the same limits as the marks of Top Crashers. */
static void indicators(struct arena *a, struct tpl_rows *rows, const json_t *answer,
                       const struct uptimes *uptimes, int64_t total)
{
    const json_t *bucket = json_array_get(app_facet(answer, "signature"), 0);
    int64_t startup = count_of(inner(bucket, "startup_crash"), "T");
    int64_t plugin = count_of(inner(bucket, "process_type"), "plugin");
    int64_t early = count_early(uptimes);
    if (startup > 0 && startup == total)
        indicator(rows, "Start-up crash: every report", "bad");
    else if (startup > 0)
        indicator(rows,
                  arena_printf(a, "Potential start-up crash: %s of %s reports",
                               human_count(a, startup), human_count(a, total)),
                  "warn");
    if (2 * early > total)
        indicator(rows,
                  arena_printf(a, "%s of %s within a minute of starting", human_count(a, early),
                               human_count(a, total)),
                  "info");
    indicator(rows, plugin > 0 ? "Plugin process" : "Program itself", plugin > 0 ? "secret" : "");
}

bool signature_set_summary(const struct signature_page *p, struct tpl_values *v,
                           const json_t *answer, struct err *err)
{
    int64_t total = jget_int_or(answer, "total", 0);
    json_auto_t *first_hour = NULL;
    if (!ask_first_hour(p, &first_hour, err))
        return false;
    const struct uptimes uptimes = uptimes_of(answer, first_hour);
    struct tpl_rows *panels = tpl_list(v, LIST_PANELS);
    indicators(p->a, tpl_list(v, LIST_INDICATORS), answer, &uptimes, total);
    tpl_bool(v, "has_crashes", total > 0);
    simple_panel(p->a, panels, "Operating System", "Operating system",
                 app_facet(answer, "platform_pretty_version"), total);
    product_panel(p->a, panels, answer, total);
    simple_panel(p->a, panels, "Process Type", "Process", app_facet(answer, "process_type"), total);
    uptime_panel(p->a, panels, &uptimes, total);
    simple_panel(p->a, panels, "Architecture", "Architecture", app_facet(answer, "cpu_arch"),
                 total);
    mobile_panel(p->a, panels, answer, total);
    return graphics_panel(p, panels, answer, total, err);
}
