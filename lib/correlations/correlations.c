/*
 * The way from two searches to a document.  Both sets are read from the index in one go each, all
 * fields of a crash together, since pairs cannot be counted from facets; then all work is in memory
 * and the index is not asked again.  Nothing here writes anything but the document.
 *
 * The reference is read once and compared with many groups: the nightly job asks for two hundred
 * signatures of a channel, and what they have in common is all but the group.  Both share one table
 * of values, so that the same text has the same number on both sides.
 *
 * The document holds counts and no shares: whoever shows it divides, and always has both numbers to
 * show.  Numbers that not every document needs (how many crashes there are behind a sample, that
 * weeks of the index are missing, that properties were left out) are members only where they say
 * something.
 *
 * Sets of more than `max` crashes are sampled.  20,000 crashes tell shares to 0.7 % (two standard
 * deviations at one half), which is far below the 15 % that a result must differ by, and are read
 * in a fraction of a second.
 */
#include "lib/correlations/correlations.h"

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/correlations/attributes.h"
#include "lib/correlations/mine.h"
#include "lib/correlations/traits.h"
#include "lib/json/json.h"
#include "lib/search/engine.h"
#include "lib/search/sample.h"

/* A channel's search names its versions, thousands of them at most (lib/search/query_parse.c). */
enum { QUERY_ARENA_BYTES = 64 << 20 };

struct correlation_base {
    struct index_reader *reader;
    const struct search_context *ctx;
    const char *phrases;
    struct sample_values *values;
    struct sample reference;
};

/* Parses and reads one set.  What the asker may not use is dropped, as in every search. */
static bool read_set(struct correlation_base *b, struct search_params params, size_t max,
                     struct sample *ret, struct err *err)
{
    struct arena a;
    struct search_query *q;
    const char *form_param = NULL;
    arena_init(&a, QUERY_ARENA_BYTES);
    search_clean(b->reader->fields, b->ctx, &params);
    bool ok = search_parse(&a, b->reader->fields, b->ctx, params, &q, &form_param, err) &&
              search_sample(b->reader, b->ctx, q, b->values, max, ret, err);
    arena_release(&a);
    return ok;
}

bool correlation_base_new(struct index_reader *r, const struct search_context *ctx,
                          struct search_params reference, size_t max, const char *phrases,
                          struct correlation_base **ret, struct err *err)
{
    struct correlation_base *b = xcalloc(1, sizeof *b);
    b->reader = r;
    b->ctx = ctx;
    b->phrases = phrases;
    b->values = attribute_values_new(r->fields);
    if (!read_set(b, reference, max, &b->reference, err)) {
        correlation_base_free(b);
        return false;
    }
    *ret = b;
    return true;
}

void correlation_base_free(struct correlation_base *b)
{
    if (!b)
        return;
    sample_release(&b->reference);
    sample_values_free(b->values);
    free(b);
}

uint64_t correlation_base_size(const struct correlation_base *b)
{
    return b->reference.n;
}

/* Truth and absence as JSON has them, everything else is text. */
static json_t *value_json(const struct trait *it)
{
    if (it->kind == ITEM_TEXT)
        return jtext(it->text);
    return it->kind == ITEM_MISSING ? json_null() : json_boolean(it->kind == ITEM_TRUE);
}

/* Which card it is depends on the maker, who is kept beside the document until it has names. */
static void add_item(json_t *object, json_t *vendors, const struct trait *it)
{
    json_object_set_new(object, it->name, value_json(it));
    if (it->cause == CAUSE_DEVICE && it->kind == ITEM_TEXT && it->vendor.p) {
        STRBUF_AUTO key;
        sb_init(&key, it->text.n + 1);
        sb_str(&key, it->text);
        jset_text(vendors, sb_cstr(&key), it->vendor);
    }
}

/* The four counts among the crashes with the prior alone: what is left of the result there. */
static json_t *prior_json(const struct correlation *c, json_t *vendors)
{
    if (!c->prior)
        return json_null();
    json_t *item = json_object(), *out = json_object();
    add_item(item, vendors, c->prior);
    json_object_set_new(out, "item", item);
    jset_int(out, "count_reference", c->prior_count[SET_REFERENCE]);
    jset_int(out, "count_group", c->prior_count[SET_GROUP]);
    jset_int(out, "total_reference", c->prior->count[SET_REFERENCE]);
    jset_int(out, "total_group", c->prior->count[SET_GROUP]);
    return out;
}

static json_t *result_json(const struct correlation *c, json_t *vendors)
{
    json_t *item = json_object(), *out = json_object();
    for (size_t i = 0; i < ARRAY_LEN(c->items) && c->items[i]; i++)
        add_item(item, vendors, c->items[i]);
    json_object_set_new(out, "item", item);
    jset_int(out, "count_reference", c->count[SET_REFERENCE]);
    jset_int(out, "count_group", c->count[SET_GROUP]);
    json_object_set_new(out, "prior", prior_json(c, vendors));
    return out;
}

static json_t *document_json(const struct sample samples[SET_COUNT], const struct traits *items,
                             const struct correlation_list *list)
{
    const struct sample *group = &samples[SET_GROUP], *reference = &samples[SET_REFERENCE];
    json_t *out = json_object(), *results = json_array(), *vendors = json_object();
    jset_int(out, "total_reference", (int64_t)reference->n);
    jset_int(out, "total", (int64_t)group->n);
    if (group->total > group->n)
        jset_int(out, "crashes", (int64_t)group->total);
    if (reference->total > reference->n)
        jset_int(out, "crashes_reference", (int64_t)reference->total);
    if (group->missing_weeks + reference->missing_weeks > 0)
        jset_bool(out, "incomplete", true);
    if (items->left_out > 0)
        jset_int(out, "left_out", (int64_t)items->left_out);
    for (size_t i = 0; i < list->all.n; i++)
        json_array_append_new(results, result_json(&list->all.v[i], vendors));
    json_object_set_new(out, "results", results);
    if (json_object_size(vendors) > 0)
        json_object_set(out, "_vendors", vendors);
    json_decref(vendors);
    return out;
}

/* The deadline and the asker of the searches hold for the mining as well. */
static bool goes_on(void *arg)
{
    const struct search_context *ctx = arg;
    return !(ctx->deadline_ms > 0 && mono_ms() >= ctx->deadline_ms) &&
           !(ctx->is_abandoned && ctx->is_abandoned(ctx->asker));
}

/*
 * A group that is too small has a document as well, with its totals and no result: the reader sees
 * that there was nothing to compare, and a file of the nightly job says the same as a page.
 */
bool correlation_group(struct correlation_base *b, struct search_params group, size_t max,
                       json_t **ret, struct err *err)
{
    struct sample samples[SET_COUNT] = {[SET_REFERENCE] = b->reference};
    struct traits items = {0};
    struct correlation_list list = {0};
    struct arena a;
    bool ok = true;
    if (!read_set(b, group, max, &samples[SET_GROUP], err))
        return false;
    arena_init(&a, SIZE_MAX / 4); /* names and values that are derived: less than the samples */
    if (samples[SET_GROUP].n >= CORRELATION_GROUP_MIN) {
        const struct mine_pace pace = {goes_on, (void *)(uintptr_t)b->ctx};
        traits_make(&a, b->values, samples, b->phrases, &items);
        ok = mine(&items, &pace, &list);
        if (!ok)
            err_set(err, ERR_INVALID,
                    "Search query timed out. Simplify the search pattern and try again.");
    }
    if (ok)
        *ret = document_json(samples, &items, &list);
    correlation_list_release(&list);
    traits_release(&items);
    sample_release(&samples[SET_GROUP]);
    arena_release(&a);
    return ok;
}
