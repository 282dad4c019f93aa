/*
 * Which versions of a product the menus offer, and which of them are featured: those of the
 * product file, for `auto` the newest that differ in their first two numbers, for KEY.PATH the one
 * that a document says (version_documents.h).  As in Crash Stats each featured version in its turn
 * goes to the front, so that the one named last stands first.  The list is asked of the search at
 * most once in KEEP_MS for each product and worker, and made anew when product files or documents
 * change; the numbers below are what keeps noise (a version of one private build) out of the menus.
 */
#include "fcgi/webapp/live_versions.h"

#include "fcgi/webapp/fmt.h"
#include "fcgi/webapp/url_query.h"
#include "fcgi/webapp/version_documents.h"
#include "fcgi/webapp/version_order.h"
#include "fcgi/webapp/webapp.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/web/human.h"
#include "lib/web/web.h"

/*
 * DAYS, COUNT_MIN, VERSIONS_MAX and FEATURED_AUTO are those of Crash Stats, whose addresses and
 * product files are ours.  Ten minutes are a choice: a new version is in the menus before anybody
 * looks for it.  An empty answer is kept for a second, since the first report may come any moment.
 */
enum {
    DAYS = 60,
    COUNT_MIN = 50, /* below that a version is noise, unless no version has as many */
    VERSIONS_MAX = 1000,
    FEATURED_AUTO = 3,
    KEEP_MS = 600000,
    KEEP_EMPTY_MS = 1000,
};

struct version_candidate {
    struct str text;
    int64_t count;
    struct version key;
};

struct candidates {
    struct version_candidate *v;
    size_t n;
};

static bool has_candidate(const struct candidates *c, struct str text)
{
    for (size_t i = 0; i < c->n; i++)
        if (str_eq(c->v[i].text, text))
            return true;
    return false;
}

static void add_version(struct candidates *c, struct str text, int64_t count)
{
    struct version_candidate x = {.text = text, .count = count};
    if (!str_starts(text, STR("1024")) && version_parse(text, &x.key) && !has_candidate(c, text))
        c->v[c->n++] = x;
}

/* The family of a beta, 128.0b of 128.0b3; empty for any other. */
static struct str family_of(struct str text)
{
    size_t b = str_find_char(text, 'b', 0);
    uint64_t n;
    if (b == SIZE_MAX ||
        !str_to_u64(str_sub(text, b + 1, SIZE_MAX), 10, UINT64_MAX, "beta", &n, ERR_IGNORED))
        return STR_NONE;
    return str_sub(text, 0, b + 1);
}

static void add_family(struct arena *a, struct candidates *c, struct str text)
{
    struct str family = family_of(text);
    if (family.n > 0)
        add_version(c, str_copy(a, family), 0);
}

static int newest_first(const void *x, const void *y)
{
    const struct version_candidate *a = x, *b = y;
    int d = version_cmp(&b->key, &a->key);
    return d ? d : str_cmp(b->text, a->text);
}

static bool count_versions(struct req *r, const struct product *product, json_t **ret,
                           struct err *err)
{
    struct query q = query_new(req_arena(r));
    query_addf(&q, "product", "=%s", product->name);
    query_addf(&q, "date", ">=%s", human_day(q.a, req_now_us(r) - DAYS * DAY_US));
    query_addc(&q, "_facets", "version");
    query_addf(&q, "_facets_size", "%d", VERSIONS_MAX);
    query_addc(&q, "_results_number", "0");
    query_count_once(&q);
    return app_search(r, &q, (struct app_search){.as_public = true, .is_extra = true}, ret, NULL,
                      err);
}

static struct candidates candidates_of(struct arena *a, const json_t *buckets)
{
    struct candidates c = {.v = arena_array(a, 2 * VERSIONS_MAX + 2, sizeof *c.v)};
    int64_t least = COUNT_MIN;
    if (jget_int_or(json_array_get(buckets, 0), "count", 0) < COUNT_MIN)
        least = 1; /* a young installation */
    size_t i;
    const json_t *bucket;
    json_array_foreach (buckets, i, bucket) {
        struct str text = jget_strn(bucket, "term");
        int64_t count = jget_int_or(bucket, "count", 0);
        if (!text.p || count < least || i >= VERSIONS_MAX)
            continue;
        add_version(&c, str_copy(a, text), count);
        add_family(a, &c, text);
    }
    if (c.n > 0)
        qsort(c.v, c.n, sizeof *c.v, newest_first);
    return c;
}

/* Versions in the order of the menus, while it is made; texts are borrowed. */
struct menu {
    struct live_version *v;
    size_t n, max;
};

/* To the front, wherever it stood; one that no report has is added. */
static void feature(struct menu *m, struct str text)
{
    size_t at = 0;
    while (at < m->n && !str_eq(str_of(m->v[at].text), text))
        at++;
    if (at == m->n && m->n == m->max)
        return;
    struct live_version x = {.is_featured = true};
    if (at < m->n) {
        x.text = m->v[at].text;
        x.count = m->v[at].count;
    } else {
        x.text = str_dup(text);
        m->n++;
    }
    memmove(m->v + 1, m->v, at * sizeof *m->v);
    m->v[0] = x;
}

/* The newest version of each of the three newest (major, minor), the newest of all first. */
static void feature_auto(struct menu *m, const struct candidates *c)
{
    size_t n = 0;
    const struct version *last = NULL;
    for (size_t i = 0; i < c->n && n < FEATURED_AUTO; i++) {
        const struct version_candidate *x = &c->v[i];
        if (str_ends(x->text, STR("b")) || str_ends(x->text, STR("esr")))
            continue;
        if (last && last->number[0] == x->key.number[0] && last->number[1] == x->key.number[1])
            continue;
        last = &x->key;
        n++;
        feature(m, x->text);
    }
}

/* A document that could not be had names nothing: KEY.PATH is no version for people. */
static void feature_named(struct menu *m, const struct product *product,
                          const struct version_documents *documents, struct str name)
{
    struct str version;
    if (!version_documents_find(documents, product, name, &version)) {
        feature(m, name);
    } else if (version.n > 0) {
        struct str family = family_of(version);
        if (family.n > 0)
            feature(m, family);
        feature(m, version);
    }
}

/* People name three or four; a file that names more than these is a slip. */
enum { FEATURED_MAX = 64 };

static void list_versions(struct live_versions *l, const struct product *product,
                          const struct version_documents *documents, const struct candidates *c)
{
    struct menu m = {.max = c->n + FEATURED_MAX};
    m.v = xcalloc(m.max, sizeof *m.v);
    for (size_t i = 0; i < c->n; i++)
        m.v[m.n++] = (struct live_version){str_dup(c->v[i].text), c->v[i].count, false};
    for (char **f = product->featured_versions; f && *f; f++) {
        if (strcmp(*f, "auto") == 0)
            feature_auto(&m, c);
        else
            feature_named(&m, product, documents, str_of(*f));
    }
    l->v = m.v;
    l->n = m.n;
}

/* Fresh product files or documents may feature others. */
static bool is_kept(struct webapp *app, const struct live_versions *l)
{
    if (version_documents_refresh(&app->version_documents))
        for (struct live_versions *x = app->versions; x; x = x->next)
            x->until_ms = 0;
    return l->until_ms > mono_ms() && l->products_stamp == app->products.stamp;
}

const struct live_versions *live_versions_of(struct req *r, const struct product *product)
{
    struct live_versions *l = versions_kept_of(&app_of(r)->versions, product->name);
    if (is_kept(app_of(r), l))
        return l;
    json_auto_t *answer = NULL;
    struct err err = {0};
    if (count_versions(r, product, &answer, &err)) {
        versions_kept_clear(l);
        struct candidates c = candidates_of(req_arena(r), app_facet(answer, "version"));
        list_versions(l, product, &app_of(r)->version_documents, &c);
        l->products_stamp = app_of(r)->products.stamp;
    } else if (err.code != ERR_BUSY) {
        log_event(LOG_WARN, "versions_unknown", "versions of a product cannot be listed",
                  LOG_S("product", product->name), LOG_E(&err));
    }
    /* An old list is better than none while others search. */
    l->until_ms = mono_ms() + (answer && l->n > 0 ? KEEP_MS : KEEP_EMPTY_MS);
    return l;
}
