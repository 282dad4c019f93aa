/*
 * Aggregations as JSON, in the form that clients know: each list of buckets under the name of its
 * field, {"term", "count"} and below them "facets" for the fields inside.  It reads what agg.c has
 * counted and decides nothing; but buckets take more memory as JSON than they did as counters, so
 * each is held against the limit of the search as it is made, and the first beyond it is the last.
 */
#include "lib/search/columns/agg.h"

#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/json/json.h"
#include "lib/search/columns/agg_marks.h"
#include "lib/search/columns/agg_node.h"
#include "lib/search/columns/agg_numbers.h"
#include "lib/search/columns/cost.h"
#include "lib/search/columns/distinct.h"
#include "lib/search/columns/unify.h"

/*
 * Terms of date fields are shown in whole seconds; agg_ids.c has cut the rest off before counting.
 */
static json_t *date_term(int64_t us)
{
    char text[TIME_TEXT_MAX];
    struct civil c = civil_of_us(us);
    snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02dZ", c.year, c.month, c.day, c.hour,
             c.minute, c.second);
    return json_string(text);
}

/*
 * As clients know them: truth values are "T" and "F", and a double that has no JSON form is null.
 */
static json_t *term_json(const struct agg_node *n, uint32_t id)
{
    if (n->unify)
        return jtext(unify_text(n->unify, id));
    if (n->spec->field->index == INDEX_BOOLEAN)
        return json_string(id == 2 ? "T" : "F");
    uint64_t v = interner_value(&n->values, id);
    if (n->spec->field->index == INDEX_DATE)
        return date_term((int64_t)v);
    if (n->spec->field->index != INDEX_DOUBLE)
        return json_integer((int64_t)v);
    double d;
    memcpy(&d, &v, sizeof d);
    json_t *real = json_real(d);
    return real ? real : json_null();
}

/*
 * What a bucket takes until the answer is sent.  jansson's objects of two and three members with
 * their numbers measure 560 and 880 bytes; the text is there as JSON, as text, as text with
 * escapes, and on its way.
 */
static bool hold_bucket(const struct agg_node *n, const json_t *bucket)
{
    enum { BUCKET_BYTES = 560, INNER_BYTES = 320, TEXT_COPIES = 4, TEXT_BYTES = 32 };
    size_t text = TEXT_BYTES + json_string_length(json_object_get(bucket, "term"));
    size_t bytes = BUCKET_BYTES + (n->children ? INNER_BYTES : 0) + TEXT_COPIES * text;
    return cost_hold(n->cost, bytes) && cost_work(n->cost, bytes);
}

/* A count that is not exact says so. */
static json_t *distinct_json(const struct agg_node *n, json_int_t value)
{
    json_t *out = json_pack("{s:I}", "value", value);
    if (n->distinct.registers)
        json_object_set_new(out, "relative_error", json_real(DISTINCT_ERROR));
    return out;
}

static void marks_json(const struct agg_node *n, uint32_t mark, json_t *bucket)
{
    const struct marks *m = &n->marks;
    if (m->installations)
        json_object_set_new(bucket, "installations", json_integer(m->installations[mark - 1]));
    if (m->weights)
        json_object_set_new(bucket, "estimate", json_integer(weight_reports(m->weights[mark - 1])));
}

/* The facets below one bucket, or of the whole answer for slot 0 of the first level. */
static json_t *nodes_json(const struct agg_node *n, size_t slot)
{
    json_t *out = json_object();
    for (; n; n = n->next) {
        if (!n->spec->key) {
            agg_numbers_json(n, slot, out);
            continue;
        }
        /* a level that was never reached has no slots */
        size_t from = slot < n->slot_count && n->first ? n->first[slot] : 0;
        size_t to = slot < n->slot_count && n->first ? n->first[slot + 1] : 0;
        if (n->spec->kind == AGG_CARDINALITY) {
            json_int_t value = to > from ? n->buckets[from].count : 0;
            json_object_set_new(out, n->spec->key, distinct_json(n, value));
            continue;
        }
        json_t *list = json_array();
        for (size_t i = from; i < to && n->cost->end == COST_GOES_ON; i++) {
            json_t *bucket = json_pack("{s:o, s:I}", "term", term_json(n, n->buckets[i].id),
                                       "count", (json_int_t)n->buckets[i].count);
            marks_json(n, n->buckets[i].mark, bucket);
            if (hold_bucket(n, bucket) && n->children)
                json_object_set_new(bucket, "facets", nodes_json(n->children, i));
            json_array_append_new(list, bucket);
        }
        json_object_set_new(out, n->spec->key, list);
    }
    return out;
}

json_t *agg_json(struct run *run)
{
    return nodes_json(run->aggs, 0);
}
