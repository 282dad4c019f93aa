/*
 * Which versions of a product the menus offer, and which of them are featured: those of the
 * product file, or for `auto` the newest that differ in their first two numbers.  The list is
 * asked of the search at most once in KEEP_MS for each product and worker; the numbers below are
 * what keeps noise (a version of one private build) out of the menus.
 */
#include "fcgi/webapp/live_versions.h"

#include "fcgi/webapp/fmt.h"
#include "fcgi/webapp/url_query.h"
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

/* The family of a beta: 128.0b of 128.0b3. */
static void add_family(struct arena *a, struct candidates *c, struct str text)
{
    size_t b = str_find_char(text, 'b', 0);
    if (b != SIZE_MAX && b + 1 < text.n)
        add_version(c, str_copy(a, str_sub(text, 0, b + 1)), 0);
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

/* The newest version of each of the three newest (major, minor). */
static size_t feature_auto(const struct candidates *c, struct str *out)
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
        out[n++] = x->text;
    }
    return n;
}

/* Names such as KEY.PATH point into documents that the job of current versions has not brought. */
static bool is_literal(struct str name)
{
    return name.n > 0 && name.p[0] >= '0' && name.p[0] <= '9';
}

/* People name three or four; of more than these none would stand out. */
enum { FEATURED_MAX = 16 };

static size_t featured(const struct product *product, const struct candidates *c,
                       struct str out[FEATURED_MAX])
{
    size_t n = 0;
    for (char **f = product->featured_versions; f && *f && n + FEATURED_AUTO < FEATURED_MAX; f++) {
        if (strcmp(*f, "auto") == 0)
            n += feature_auto(c, out + n);
        else if (is_literal(str_of(*f)))
            out[n++] = str_of(*f);
    }
    if (n == 0)
        n = feature_auto(c, out);
    return n;
}

static bool among(struct str text, const struct str *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(text, list[i]))
            return true;
    return false;
}

static int64_t count_of(const struct candidates *c, struct str text)
{
    for (size_t i = 0; i < c->n; i++)
        if (str_eq(c->v[i].text, text))
            return c->v[i].count;
    return 0;
}

static void list_versions(struct live_versions *l, const struct product *product,
                          const struct candidates *c)
{
    struct str first[FEATURED_MAX];
    size_t featured_count = featured(product, c, first);
    l->v = xcalloc(c->n + featured_count + 1, sizeof *l->v);
    for (size_t i = 0; i < featured_count; i++)
        if (!among(first[i], first, i))
            l->v[l->n++] = (struct live_version){str_dup(first[i]), count_of(c, first[i]), true};
    for (size_t i = 0; i < c->n; i++)
        if (!among(c->v[i].text, first, featured_count))
            l->v[l->n++] = (struct live_version){str_dup(c->v[i].text), c->v[i].count, false};
}

const struct live_versions *live_versions_of(struct req *r, const struct product *product)
{
    struct live_versions *l = versions_kept_of(&app_of(r)->versions, product->name);
    if (l->until_ms > mono_ms())
        return l;
    json_auto_t *answer = NULL;
    struct err err = {0};
    if (count_versions(r, product, &answer, &err)) {
        versions_kept_clear(l);
        struct candidates c = candidates_of(req_arena(r), app_facet(answer, "version"));
        list_versions(l, product, &c);
    } else if (err.code != ERR_BUSY) {
        log_event(LOG_WARN, "versions_unknown", "versions of a product cannot be listed",
                  LOG_S("product", product->name), LOG_E(&err));
    }
    /* An old list is better than none while others search. */
    l->until_ms = mono_ms() + (answer && l->n > 0 ? KEEP_MS : KEEP_EMPTY_MS);
    return l;
}
