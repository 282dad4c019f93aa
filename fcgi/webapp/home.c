/*
 * The front page (all products at a glance) and the page of one product.
 *
 * The front page makes one search for all products together, a product's page two.  Every search
 * here is made with public eyes, whoever reads: numbers of reports are public, so these numbers are
 * the same for everybody.  Days are UTC days, from midnight to midnight, and today counts as one of
 * them, however little of it is over.
 */
#include "fcgi/webapp/webapp.h"
#include "fcgi/webapp/chart.h"
#include "fcgi/webapp/fmt.h"
#include "fcgi/webapp/layout.h"
#include "fcgi/webapp/live_versions.h"
#include "fcgi/webapp/pages.h"
#include "fcgi/webapp/url_query.h"
#include "fcgi/webapp/topcrashers.h"
#include "fcgi/webapp/results.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/crash/product.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/tpl/tpl.h"
#include "lib/web/human.h"
#include "lib/web/site.h"
#include "lib/web/web.h"
#include "queries.h"
#include "rows.h"

enum {
    HOME_DAYS = 7,       /* a week, so that weekdays compare */
    REFUSED_SHOWN = 5,   /* the rest is counted: names come from strangers */
    PRODUCT_DAYS = 14,   /* two weeks, for the same reason */
    TOP_SIGNATURES = 10, /* without leaving the first screen; Top Crashers has the others */
    VERSIONS_WITHOUT_FEATURED = 4 /* the newest, where the product file features none */
};

/*
 * Reports of one product by day; a search answers with days that have any, the others are 0.  The
 * period ends now and is that of a search and of Top Crashers, to the second, so that the same
 * words mean the same number everywhere; hence its first and last day are partial.
 */
struct days {
    int64_t from_us, to_us;
    struct chart_days days;
    int64_t counts[PRODUCT_DAYS + 1];
    int64_t total;
};

static struct days days_new(int64_t now_us, int64_t n)
{
    int64_t to_us = (now_us / SECOND_US + 1) * SECOND_US, from_us = to_us - n * DAY_US;
    return (struct days){.from_us = from_us, .to_us = to_us, .days = chart_days_of(from_us, to_us)};
}

/* Days that the answer has and nobody asked for (clocks that go wrong) are passed over. */
static void add_day(struct days *d, const char *day, int64_t count)
{
    int64_t us;
    if (!day || !time_parse(str_of(day), &us, ERR_IGNORED) || us < d->days.first_us)
        return;
    size_t i = (size_t)((us - d->days.first_us) / DAY_US);
    if (i < d->days.n) {
        d->counts[i] += count;
        d->total += count;
    }
}

/* One search for all products: a day's reports by product. */
static bool ask_home(struct req *r, const struct days *d, json_t **ret, struct err *err)
{
    struct query q = query_new(req_arena(r));
    tcb_add_dates(&q, d->from_us, d->to_us);
    query_addc(&q, "_histogram.date", "product");
    query_addc(&q, "_histogram_interval.date", "day");
    query_addc(&q, "_facets", "product");
    query_addc(&q, "_facets_size", "1000");
    query_addc(&q, "_results_number", "0");
    query_count_once(&q);
    return app_search(r, &q, (struct app_search){.as_public = true}, ret, NULL, err);
}

/* Takes the days of one product out of the answer that has those of all. */
static void add_product_days(struct days *d, const json_t *answer, const char *product)
{
    size_t i, k;
    const json_t *day, *b;
    json_array_foreach (app_facet(answer, "histogram_date"), i, day)
        json_array_foreach (jget_arr(jget_obj(day, "facets"), "product"), k, b) {
            const char *name = jget_str(b, "term");
            if (name && strcmp(name, product) == 0)
                add_day(d, jget_str(day, "term"), jget_int_or(b, "count", 0));
        }
}

/* One product of the front page, with its last days as bars. */
static void add_card(struct req *r, struct tpl_rows *cards, const struct product *p,
                     const struct days *d)
{
    struct arena *a = req_arena(r);
    struct str name = url_encode(a, str_of(p->name));
    struct tpl_row *row = tpl_row_add(cards);
    int64_t width;
    tpl_col_cstr(row, PRODUCT_CARD_NAME, p->name);
    tpl_col_url(row, PRODUCT_CARD_URL,
                str_of(arena_printf(a, "/home/product/" STR_FMT, STR_ARG(name))));
    tpl_col_cstr(row, PRODUCT_CARD_DESCRIPTION, p->description);
    tpl_col_cstr(row, PRODUCT_CARD_COUNT, human_count(a, d->total));
    tpl_col_cstr(row, PRODUCT_CARD_UNIT,
                 arena_printf(a, "report%s in 7 days", d->total == 1 ? "" : "s"));
    tpl_col_url(row, PRODUCT_CARD_TOPCRASHERS_URL, layout_url(a, "/topcrashers/", p->name, NULL));
    tpl_col_url(row, PRODUCT_CARD_SEARCH_URL, layout_url(a, "/search/", p->name, NULL));
    tpl_col_cstr(row, PRODUCT_CARD_SPARK_LABEL,
                 arena_printf(a, "Reports of %s per day, last 7 days%s", p->name,
                              chart_partial_text(a, &d->days)));
    chart_spark(a, tpl_col_rows(row, PRODUCT_CARD_SPARK), &d->days, d->counts, &width);
    tpl_col_int(row, PRODUCT_CARD_SPARK_WIDTH, width);
}

/* Superusers learn which products' reports are refused, and what would accept them. */
static bool set_refused(struct req *r, struct tpl_values *v, struct err *err)
{
    struct tpl_rows *refused = tpl_list(v, LIST_REFUSED);
    size_t more = 0;
    DB_ROWS rows = {0};
    if (req_user(r)->is_superuser &&
        !DB_RUN(req_db(r), &q_rejected_product_list, &rows, err, db_int(req_arena(r), HOME_DAYS)))
        return err_wrap(err, "listing refused products");
    for (int i = 0; i < rows.count; i++) {
        const char *name = db_col(&rows, i, Q_REJECTED_PRODUCT_LIST_COL_PRODUCT);
        if (products_find(app_products(r), str_of(name)))
            continue;
        if (tpl_rows_count(refused) == REFUSED_SHOWN) {
            more++;
            continue;
        }
        FREE_LATER char *command = product_add_command(name);
        struct tpl_row *row = tpl_row_add(refused);
        tpl_col_cstr(row, REFUSED_NAME, *name ? name : "(no ProductName)");
        tpl_col_cstr(
            row, REFUSED_COUNT,
            human_count(req_arena(r), db_col_int(&rows, i, Q_REJECTED_PRODUCT_LIST_COL_COUNT, 0)));
        tpl_col_cstr(row, REFUSED_COMMAND, command);
    }
    tpl_bool(v, "has_refused", tpl_rows_count(refused) > 0);
    tpl_int(v, "more_refused", (int64_t)more);
    return true;
}

/* GET / */
bool home_get(struct req *r, struct err *err)
{
    struct arena *a = req_arena(r);
    const struct products *products = app_products(r);
    struct days empty = days_new(req_now_us(r), HOME_DAYS);
    json_auto_t *answer = NULL;
    int64_t total = 0;
    if (!ask_home(r, &empty, &answer, err))
        return err_wrap(err, "counting reports");
    struct tpl_values *v = layout_new(r, &(struct layout){.title = "Crashes by product"});
    struct tpl_rows *cards = tpl_list(v, LIST_CARDS), *idle = tpl_list(v, LIST_IDLE);
    for (size_t i = 0; i < products->n; i++) {
        struct days d = empty;
        add_product_days(&d, answer, products->v[i].name);
        add_card(r, d.total > 0 ? cards : idle, &products->v[i], &d);
        total += d.total;
    }
    if (!set_refused(r, v, err))
        return false;
    tpl_bool(v, "has_idle", tpl_rows_count(idle) > 0);
    /* With nothing in these days there may still be something older to see. */
    bool has_crashes = total > 0;
    for (size_t i = 0; i < products->n && !has_crashes; i++)
        has_crashes = live_versions_of(r, &products->v[i])->n > 0;
    tpl_bool(v, "has_crashes", has_crashes);
    tpl_bool(v, "no_products", products->n == 0);
    tpl_cstr(v, "lead",
             has_crashes ? arena_printf(a, "%s report%s in the last 7 days", human_count(a, total),
                                        total == 1 ? "" : "s")
                         : "");
    tpl_cstr(v, "base_url", app_of(r)->base_url);
    tpl_cstr(v, "example_product", products->n ? products->v[0].name : "NAME");
    return layout_send(r, 200, "home.html", v, err);
}

/* The same for one product over more days. */
static bool ask_product(struct req *r, const struct product *p, const struct days *d, json_t **ret,
                        struct err *err)
{
    struct query q = query_new(req_arena(r));
    query_addf(&q, "product", "%s", p->name);
    tcb_add_dates(&q, d->from_us, d->to_us);
    query_addc(&q, "_histogram.date", "product");
    query_addc(&q, "_histogram_interval.date", "day");
    query_addc(&q, "_facets", "product");
    query_addc(&q, "_results_number", "0");
    query_count_once(&q);
    return app_search(r, &q, (struct app_search){.as_public = true}, ret, NULL, err);
}

/* The commonest signatures of the last week, which is what a search covers without dates. */
static bool ask_signatures(struct req *r, const struct product *p, json_t **ret, struct err *err)
{
    struct query q = query_new(req_arena(r));
    query_addf(&q, "product", "%s", p->name);
    query_addc(&q, "_facets", "signature");
    query_addf(&q, "_facets_size", "%d", TOP_SIGNATURES);
    query_addc(&q, "_results_number", "0");
    query_count_once(&q);
    return app_search(r, &q, (struct app_search){.as_public = true}, ret, NULL, err);
}

/*
 * Links carry the product, so that the signature report shows what was counted here.  The share is
 * of all reports of the product, not of those in the table.
 */
static void set_signatures(struct req *r, struct tpl_values *v, const struct product *p,
                           const json_t *answer)
{
    struct arena *a = req_arena(r);
    struct tpl_rows *rows = tpl_list(v, LIST_TOP_SIGNATURES);
    int64_t total = jget_int_or(answer, "total", 0);
    struct query q = query_new(a);
    size_t i;
    const json_t *b;
    query_addc(&q, "product", p->name);
    json_array_foreach (app_facet(answer, "signature"), i, b) {
        const char *signature = jget_str(b, "term");
        int64_t count = jget_int_or(b, "count", 0);
        struct tpl_row *row = tpl_row_add(rows);
        tpl_col_int(row, TOP_SIGNATURE_RANK, (int64_t)i + 1);
        tpl_col_url(row, TOP_SIGNATURE_URL,
                    results_signature_url(&q, str_of(signature ? signature : "")));
        tpl_col_cstr(row, TOP_SIGNATURE_SIGNATURE, signature);
        tpl_col_cstr(row, TOP_SIGNATURE_COUNT, human_count(a, count));
        tpl_col_cstr(row, TOP_SIGNATURE_PERCENT,
                     arena_printf(a, "%s%%", fmt_percent(a, count, total, 1)));
        tpl_col_cstr(row, TOP_SIGNATURE_SHARE, chart_share(a, count, total));
    }
    tpl_bool(v, "has_signatures", i > 0);
}

/* A version with the ways into Top Crashers that people look for: all, and by process type. */
static void version_card(struct arena *a, struct tpl_rows *rows, const struct product *p,
                         const struct live_version *version)
{
    static const char *const kinds[][2] = {
        {"Plugin", "plugin"},
        {"Content", "content"},
        {"GPU", "gpu"},
    };
    struct tpl_row *row = tpl_row_add(rows);
    tpl_col_cstr(row, VERSION_CARD_TEXT, version->text);
    tpl_col_bool(row, VERSION_CARD_IS_FEATURED, version->is_featured);
    tpl_col_cstr(row, VERSION_CARD_COUNT,
                 version->count ? arena_printf(a, "%s in 60 days", human_count(a, version->count))
                                : "");
    struct tpl_rows *links = tpl_col_rows(row, VERSION_CARD_LINKS);
    site_add_link(links, STR("Top Crashers"),
                  layout_url(a, "/topcrashers/", p->name, version->text));
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct query q = query_new(a);
        query_addc(&q, "product", p->name);
        query_addc(&q, "version", version->text);
        query_addc(&q, "process_type", kinds[i][1]);
        site_add_link(links, str_of(arena_printf(a, "Top %s Crashers", kinds[i][0])),
                      query_url(&q, "/topcrashers/"));
    }
}

/*
 * The versions that the product file features; where it features none the newest ones.  Featured
 * versions stand first in the list, so the first one tells.
 */
static void set_versions(struct req *r, struct tpl_values *v, const struct product *p)
{
    const struct live_versions *l = live_versions_of(r, p);
    struct tpl_rows *rows = tpl_list(v, LIST_VERSIONS);
    bool any_featured = l->n > 0 && l->v[0].is_featured;
    for (size_t i = 0; i < l->n; i++)
        if (any_featured ? l->v[i].is_featured : i < VERSIONS_WITHOUT_FEATURED)
            version_card(req_arena(r), rows, p, &l->v[i]);
    tpl_bool(v, "has_versions", l->n > 0);
}

static bool set_chart(struct req *r, struct tpl_values *v, const struct product *p, struct err *err)
{
    struct days d = days_new(req_now_us(r), PRODUCT_DAYS);
    json_auto_t *answer = NULL;
    if (!ask_product(r, p, &d, &answer, err))
        return false;
    add_product_days(&d, answer, p->name);
    struct chart_line line = {d.counts};
    tpl_bool(v, "has_chart", d.total > 0);
    chart_set_days(v, req_arena(r), &d.days, &line, 1,
                   arena_printf(req_arena(r), "Reports of %s per day", p->name));
    tpl_cstr(v, "total_text", human_count(req_arena(r), d.total));
    return true;
}

/* GET /home/product/NAME */
bool product_get(struct req *r, struct err *err)
{
    struct str name = req_path_rest(r);
    if (str_ends(name, STR("/")))
        name.n--;
    const struct product *p = products_find(app_products(r), name);
    json_auto_t *answer = NULL;
    if (!p)
        return err_set(err, ERR_NOT_FOUND, "There is no product of that name");
    struct tpl_values *v =
        layout_new(r, &(struct layout){.title = p->name, .nav = "overview", .product = p});
    tpl_cstr(v, "description", p->description);
    set_versions(r, v, p);
    if (!set_chart(r, v, p, err) || !ask_signatures(r, p, &answer, err))
        return err_wrap(err, "counting reports of a product");
    set_signatures(r, v, p, answer);
    struct tpl_rows *links = tpl_list(v, LIST_PRODUCT_LINKS);
    for (char **l = p->home_links; l && l[0] && l[1]; l += 2)
        site_add_link(links, str_of(l[0]), str_of(l[1]));
    tpl_bool(v, "has_links", tpl_rows_count(links) > 0);
    return layout_send(r, 200, "product.html", v, err);
}
