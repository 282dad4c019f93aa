/*
 * The reports of an answer: the columns asked for, row by row, from the partitions where they lie.
 * Every value is held on the account of the search for all the forms it takes until the answer is
 * sent.
 */
#include "lib/search/columns/hits.h"

#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/search/columns/cost.h"
#include "lib/search/columns/dict.h"
#include "lib/search/columns/part.h"
#include "lib/search/columns/row_sort.h"

/* A list of one element is shown as that element, as clients know it. */
static json_t *list_json(const struct column *c, uint32_t code)
{
    size_t n;
    const uint32_t *codes = column_list(c, code, &n);
    if (n == 0)
        return json_null();
    if (n == 1)
        return jtext(dict_entry(&c->elements, codes[0]));
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, jtext(dict_entry(&c->elements, codes[i])));
    return list;
}

static json_t *number_json(const struct column *c, uint64_t row)
{
    if (!column_has(c, row))
        return json_null();
    if (c->h->index == INDEX_DOUBLE)
        return json_real(column_double(c, row));
    if (c->h->index != INDEX_DATE)
        return json_integer(column_int(c, row));
    char text[TIME_TEXT_MAX];
    time_iso(column_int(c, row), false, text);
    return json_string(text);
}

/* null for "no value"; a field that the week does not have is one, too. */
static json_t *value_json(const struct column *c, uint64_t row)
{
    if (!c)
        return json_null();
    if (c->kind == COLUMN_NUMBER)
        return number_json(c, row);
    uint32_t code = column_code(c, row);
    if (code == 0)
        return json_null();
    if (c->kind == COLUMN_BOOL)
        return json_boolean(code == 2);
    return c->kind == COLUMN_LIST ? list_json(c, code) : jtext(dict_entry(&c->dict, code));
}

/*
 * What a value takes until the answer is sent: 188 bytes as an empty text in an object of eight,
 * measured with malloc's own count; and its characters as JSON, as text, as text with escapes, and
 * on their way.
 */
static bool hold_value(struct run *run, const json_t *v)
{
    enum { VALUE_BYTES = 192, TEXT_COPIES = 4 };
    size_t bytes = VALUE_BYTES;
    if (json_is_string(v))
        bytes += TEXT_COPIES * json_string_length(v);
    size_t i;
    const json_t *item;
    json_array_foreach (v, i, item)
        bytes += VALUE_BYTES + TEXT_COPIES * json_string_length(item);
    return cost_hold(&run->cost, bytes) && cost_work(&run->cost, bytes);
}

/*
 * One report: the columns asked for, in their order.  What is handed on at once is not held on the
 * account.
 */
static json_t *hit_json(struct run *run, struct place at, bool is_held)
{
    json_t *hit = json_object();
    const struct part *p = run->root->parts[at.part];
    for (size_t i = 0; i < run->query->column_count; i++) {
        const struct search_field *f = run->query->columns[i];
        json_t *v = value_json(p->by_field[f->id], at.row);
        bool goes_on = !is_held || hold_value(run, v);
        json_object_set_new(hit, f->name, v ? v : json_null()); /* a NaN has no JSON form */
        if (!goes_on)
            break;
    }
    return hit;
}

bool hits_of_block(struct run *run, const struct block *b)
{
    for (size_t i = 0; i < b->n; i++) {
        json_auto_t *hit = hit_json(run, (struct place){(uint32_t)b->part, b->rows[i]}, false);
        if (!run->each(run->each_arg, hit)) {
            run->cost.end = COST_ABANDONED;
            return false;
        }
    }
    return cost_work(&run->cost, b->n * run->query->column_count);
}

json_t *hits_json(struct run *run)
{
    size_t n = 0;
    struct place *page = NULL;
    json_t *hits = json_array();
    if (!sort_page(run, &page, &n))
        return hits;
    for (size_t i = 0; i < n && run->cost.end == COST_GOES_ON; i++)
        json_array_append_new(hits, hit_json(run, page[i], true));
    return hits;
}
