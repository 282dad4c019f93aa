/*
 * The tab "Correlations".  What the crashes of a signature are compared with is a choice: the
 * crashes of a channel, which is what people mean and what bug reports quote; or those that the
 * filters of the page leave, for any other question.  Without a choice it is the channel of the
 * page's filters, and if they name none, release or the channel where the signature is most
 * frequent.
 *
 * The tab is a fragment that a script fetches when somebody opens it, and a part of the whole page
 * for those without scripts; both are made here.  It shows counts beside every share, because a
 * share of nine crashes looks like one of nine thousand; and the same lines once more as a text, as
 * bug reports quote them.  A line that another one explains shows what is left of it
 * (lib/correlations).
 */
#include "fcgi/webapp/signature_correlations.h"

#include <math.h>

#include "fcgi/webapp/correlations_found.h"
#include "fcgi/webapp/results.h"
#include "fcgi/webapp/url_query.h"
#include "fcgi/webapp/webapp.h"
#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/correlations/correlations.h"
#include "lib/json/json.h"
#include "lib/tpl/tpl.h"
#include "lib/web/human.h"
#include "lib/web/web.h"
#include "rows.h"

enum {
    LINES_SHOWN = 100, /* the strongest come first; the files have all */
    TEXT_LINES = 40,   /* a bug with more is read by nobody */
    CHANNELS_MAX = 6,  /* buttons in one row; products have four or five */
};
/* Values of the parameter that are no channel: the filters of the page, and no choice at all. */
static const char page_choice[] = "page", any_choice[] = "1";

/* What is compared, in words and as an answer. */
struct compared {
    struct str product, channel;
    bool is_page; /* by the filters of the page */
    struct query group, reference;
    json_t *counts; /* of the signature: by product and channel */
};

/* "=release" as people get it from links, "release" as they type it. */
static struct str without_operator(struct str value)
{
    return str_starts(value, STR("=")) ? str_sub(value, 1, SIZE_MAX) : value;
}

/* The only value of a filter, if it has just one. */
static struct str only_value(const struct query *q, const char *name)
{
    struct strs all = query_all(q, name);
    return all.n == 1 ? without_operator(all.v[0]) : (struct str){0};
}

static bool all_versions_have(const struct query *q, const char *part)
{
    struct strs versions = query_all(q, "version");
    for (size_t i = 0; i < versions.n; i++)
        if (str_find(versions.v[i], str_of(part), 0) == SIZE_MAX)
            return false;
    return versions.n > 0;
}

/* What the numbers of versions say: 128.0b3 is a beta, 129.0a1 a nightly. */
static struct str channel_of_versions(const struct query *q)
{
    static const struct {
        const char *part, *channel;
    } marks[] = {{"b", "beta"}, {"a1", "nightly"}, {"esr", "esr"}};
    for (size_t i = 0; i < ARRAY_LEN(marks); i++)
        if (all_versions_have(q, marks[i].part))
            return str_of(marks[i].channel);
    return (struct str){0};
}

static bool has_term(const json_t *buckets, struct str term)
{
    size_t i;
    const json_t *b;
    json_array_foreach (buckets, i, b)
        if (str_eq(jget_strn(b, "term"), term))
            return true;
    return false;
}

static struct str first_term(const json_t *buckets)
{
    return jget_strn(json_array_get(buckets, 0), "term");
}

/*
 * What was chosen counts, whether the signature occurs there or not.  Without a choice: the channel
 * that the filters name, else the one that their versions speak of, else release; and if the
 * signature has no crash there, the channel where it has most, so that the tab opens on something.
 */
static void choose_channel(const struct signature_page *p, struct compared *c)
{
    const json_t *channels = app_facet(c->counts, "release_channel");
    c->is_page = str_eq(p->correlations, str_of(page_choice));
    if (p->correlations.n > 0 && !c->is_page && !str_eq(p->correlations, str_of(any_choice))) {
        c->channel = p->correlations;
        return;
    }
    c->channel = only_value(&p->query, "release_channel");
    if (c->channel.n == 0)
        c->channel = channel_of_versions(&p->query);
    if (c->channel.n == 0)
        c->channel = STR("release");
    if (!has_term(channels, c->channel) && first_term(channels).n > 0)
        c->channel = first_term(channels);
}

/* Where the signature occurs, and with that what to compare it with. */
static bool find_compared(const struct signature_page *p, struct compared *c, struct err *err)
{
    struct query q = signature_filters(p);
    c->group = query_copy(&q);
    query_addc(&q, "_facets", "product");
    query_addc(&q, "_facets", "release_channel");
    query_addc(&q, "_results_number", "0");
    if (!app_search(p->req, &q, (struct app_search){.is_html = true}, &c->counts, NULL, err))
        return false;
    c->product = only_value(&p->query, "product");
    if (c->product.n == 0)
        c->product = first_term(app_facet(c->counts, "product"));
    if (c->product.n == 0 && app_products(p->req)->n > 0)
        c->product = str_of(app_products(p->req)->v[0].name);
    choose_channel(p, c);
    c->reference = query_copy(&c->group);
    query_drop(&c->reference, "signature");
    if (query_all(&c->reference, "product").n == 0)
        query_add(&c->reference, "product",
                  str_of(arena_printf(p->a, "=" STR_FMT, STR_ARG(c->product))));
    return true;
}

/* The page with this choice, and the part of it that the script fetches. */
static struct str choice_url(const struct signature_page *p, const char *path, struct str choice)
{
    struct query q = query_copy(&p->query);
    query_drop(&q, "_correlations");
    if (choice.n > 0)
        query_add(&q, "_correlations", choice);
    struct str url = query_url(&q, path);
    bool is_page = strcmp(path, "/signature/") == 0;
    return is_page ? str_of(arena_printf(p->a, STR_FMT "#tab-correlations", STR_ARG(url))) : url;
}

/* A link that works without scripts, and the address that the script loads instead. */
static void add_choice(const struct signature_page *p, struct tpl_rows *rows, const char *text,
                       struct str choice, bool is_current)
{
    struct tpl_row *row = tpl_row_add(rows);
    tpl_col_cstr(row, LOAD_CHOICE_TEXT, text);
    tpl_col_url(row, LOAD_CHOICE_URL, choice_url(p, "/signature/", choice));
    tpl_col_url(row, LOAD_CHOICE_LOAD_URL, choice_url(p, "/signature/correlations/", choice));
    tpl_col_bool(row, LOAD_CHOICE_IS_CURRENT, is_current);
}

/* The most frequent channels first, as the facet has them; the chosen one is there in any case. */
static void set_choices(const struct signature_page *p, const struct compared *c,
                        struct tpl_values *v)
{
    struct tpl_rows *rows = tpl_list(v, LIST_CORRELATION_CHOICES);
    const json_t *channels = app_facet(c->counts, "release_channel"), *b;
    size_t i;
    if (!has_term(channels, c->channel))
        add_choice(p, rows, str_adup(p->a, c->channel), c->channel, !c->is_page);
    json_array_foreach (channels, i, b) {
        struct str name = jget_strn(b, "term");
        if (i < CHANNELS_MAX || str_eq(name, c->channel))
            add_choice(p, rows, str_adup(p->a, name), name,
                       !c->is_page && str_eq(name, c->channel));
    }
    add_choice(p, rows, "what the filters of this page leave", str_of(page_choice), c->is_page);
}

/* For the bar below the number, which is 100 wide. */
static const char *percent_width(struct arena *a, int64_t count, int64_t total)
{
    return arena_printf(a, "%.1f", total > 0 ? 100.0 * (double)count / (double)total : 0);
}

/* "below 10⁻¹⁵" is all that doubles tell apart; a thousandth is read more easily than 1e-03. */
static const char *chance_text(struct arena *a, double p)
{
    if (p < 1e-15)
        return "< 1e-15";
    return arena_printf(a, p < 0.001 ? "%.0e" : "%.3f", p);
}

/* What is left of a result among the crashes that have the property that explains it. */
static const char *prior_text(struct arena *a, const json_t *prior)
{
    if (!prior)
        return "";
    int64_t of_group = jget_int_or(prior, "total_group", 0),
            of_reference = jget_int_or(prior, "total_reference", 0),
            group = jget_int_or(prior, "count_group", 0),
            reference = jget_int_or(prior, "count_reference", 0);
    return arena_printf(a, "if %s: %s %% (%s of %s) in signature, %s %% (%s of %s) overall",
                        correlation_item_text(a, jget_obj(prior, "item")),
                        correlation_percent(a, group, of_group), human_count(a, group),
                        human_count(a, of_group), correlation_percent(a, reference, of_reference),
                        human_count(a, reference), human_count(a, of_reference));
}

/* "Rarer" compares two fractions by cross-multiplication, which needs no total that is not 0. */
static void add_line(struct arena *a, struct tpl_rows *rows, const json_t *document,
                     const json_t *result)
{
    int64_t total = jget_int_or(document, "total", 0),
            total_reference = jget_int_or(document, "total_reference", 0),
            group = jget_int_or(result, "count_group", 0),
            reference = jget_int_or(result, "count_reference", 0);
    struct correlation_certainty certainty = correlation_certainty(document, result);
    struct tpl_row *row = tpl_row_add(rows);
    tpl_col_cstr(row, CORRELATION_ITEM, correlation_item_text(a, jget_obj(result, "item")));
    tpl_col_cstr(row, CORRELATION_GROUP_PERCENT, correlation_percent(a, group, total));
    tpl_col_cstr(row, CORRELATION_GROUP_COUNT, human_count(a, group));
    tpl_col_cstr(row, CORRELATION_GROUP_SHARE, percent_width(a, group, total));
    tpl_col_cstr(row, CORRELATION_REFERENCE_PERCENT,
                 correlation_percent(a, reference, total_reference));
    tpl_col_cstr(row, CORRELATION_REFERENCE_COUNT, human_count(a, reference));
    tpl_col_cstr(row, CORRELATION_REFERENCE_SHARE, percent_width(a, reference, total_reference));
    tpl_col_cstr(row, CORRELATION_CHANCE, chance_text(a, certainty.p));
    tpl_col_cstr(row, CORRELATION_STRENGTH, arena_printf(a, "%.2f", certainty.phi));
    tpl_col_cstr(row, CORRELATION_PRIOR, prior_text(a, jget_obj(result, "prior")));
    tpl_col_bool(row, CORRELATION_IS_RARER,
                 (double)group * (double)total_reference < (double)reference * (double)total);
}

static void set_totals(const struct signature_page *p, const struct compared *c,
                       struct tpl_values *v, const json_t *document)
{
    static const struct {
        const char *value, *key;
    } numbers[] = {
        {"correlations_total", "total"},
        {"correlations_reference", "total_reference"},
        {"correlations_crashes", "crashes"},
        {"correlations_crashes_reference", "crashes_reference"},
    };
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        int64_t n;
        bool is_there = jget_int(document, numbers[i].key, &n);
        tpl_cstr(v, numbers[i].value, is_there ? human_count(p->a, n) : "");
    }
    tpl_cstr(v, "correlations_date", jget_str(document, "date"));
    tpl_bool(v, "correlations_incomplete", jget_bool_or(document, "incomplete", false));
    tpl_cstr(v, "correlations_what",
             c->is_page
                 ? "crashes that the filters of this page leave"
                 : arena_printf(p->a, STR_FMT " " STR_FMT ", %lld days, versions in use",
                                STR_ARG(c->product), STR_ARG(c->channel),
                                (long long)conf_int(req_conf(p->req), CONF_CORRELATION_DAYS)));
}

static void set_lines(struct arena *a, const struct signature_page *p, const struct compared *c,
                      struct tpl_values *v, const json_t *document)
{
    const json_t *results = jget_arr(document, "results"), *r;
    struct tpl_rows *rows = tpl_list(v, LIST_CORRELATIONS);
    size_t i, n = json_array_size(results);
    json_array_foreach (results, i, r)
        if (i < LINES_SHOWN)
            add_line(a, rows, document, r);
    tpl_bool(v, "correlations_found", n > 0);
    tpl_cstr(
        v, "correlations_more",
        n > LINES_SHOWN
            ? arena_printf(a, "The first %d of %zu; all are at /api/Correlations/.", LINES_SHOWN, n)
            : "");
    const char *title = arena_printf(a, "Correlations of " STR_FMT " in " STR_FMT " " STR_FMT,
                                     STR_ARG(p->signature), STR_ARG(c->product),
                                     STR_ARG(c->is_page ? STR("(filtered)") : c->channel));
    tpl_cstr(v, "correlations_text", correlation_text(a, document, title, TEXT_LINES));
}

void signature_offer_correlations(const struct signature_page *p, struct tpl_values *v)
{
    tpl_bool(v, "has_correlations", p->correlations.n > 0);
    tpl_url(v, "correlations_load_url", choice_url(p, "/signature/correlations/", (struct str){0}));
    tpl_url(v, "correlations_url", choice_url(p, "/signature/", str_of(any_choice)));
}

/* On the page of a report: the same tab, for the signature and the channel of that crash. */
void correlations_offer(struct arena *a, const json_t *crash, struct tpl_values *v)
{
    static const struct {
        const char *parameter, *key;
    } kept[] = {
        {"signature", "signature"}, {"product", "product"}, {"_correlations", "release_channel"}};
    struct query q = query_new(a);
    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        if (jget_strn(crash, kept[i].key).n > 0)
            query_add(&q, kept[i].parameter, jget_strn(crash, kept[i].key));
    struct str url = query_url(&q, "/signature/");
    tpl_bool(v, "has_signature", jget_strn(crash, "signature").n > 0);
    tpl_url(v, "correlations_load_url", query_url(&q, "/signature/correlations/"));
    tpl_url(v, "correlations_url",
            str_of(arena_printf(a, STR_FMT "#tab-correlations", STR_ARG(url))));
}

bool signature_set_correlations(const struct signature_page *p, struct tpl_values *v,
                                struct err *err)
{
    struct compared c = {0};
    json_auto_t *document = NULL;
    const char *message;
    if (!find_compared(p, &c, err)) {
        json_decref(c.counts);
        return false;
    }
    struct correlations_wanted w = {
        .product = c.product, .channel = c.channel, .signature = p->signature};
    if (c.is_page) {
        w.group = &c.group;
        w.reference = &c.reference;
    }
    bool ok = correlations_find(p->req, &w, &document, &message, err);
    if (ok) {
        set_choices(p, &c, v);
        set_totals(p, &c, v, document);
        set_lines(p->a, p, &c, v, document);
        tpl_cstr(v, "correlations_message", message ? message : "");
    }
    json_decref(c.counts);
    return ok;
}
