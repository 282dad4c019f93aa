/*
 * The crashes of a sample, chosen and read.
 *
 * Choosing is one pass: the first `max` rows are taken, and the k-th row after them takes the place
 * of a random one of those with the chance max / k, so that in the end every row has had the same
 * (Vitter's algorithm R).  The random numbers come from the number of the row alone.  Whoever opens
 * the page again sees the same numbers again, until crashes come or go; and nobody outside
 * can choose crashes, because the order of arrival is not theirs.
 *
 * Reading goes field by field and week by week, in the order of the rows, so a column is read from
 * its beginning to its end, and a text is hashed once for each week in which it occurs.
 */
#include "lib/search/columns/sample_rows.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/search/columns/cost.h"
#include "lib/search/columns/dict.h"
#include "lib/search/columns/part.h"

/* splitmix64 (Steele, Lea, Flood 2014): one number from another, well mixed. */
static uint64_t mixed(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

void sampler_init(struct sampler *s, struct sample_values *values, size_t max, struct cost *cost)
{
    *s = (struct sampler){.values = values, .max = max, .cost = cost};
}

void sampler_release(struct sampler *s)
{
    VEC_RELEASE(&s->places);
}

/* Grows by doubling, so an answer of few rows holds little. */
static bool take_place(struct sampler *s, struct place at)
{
    if (s->places.n == s->places.cap) {
        size_t cap = MAX(s->places.cap * 2, (size_t)1024);
        if (!cost_hold(s->cost, (cap - s->places.cap) * sizeof at))
            return false;
        VEC_RESERVE(&s->places, cap);
    }
    s->places.v[s->places.n++] = at;
    return true;
}

bool sampler_block(struct sampler *s, const struct block *b)
{
    for (size_t i = 0; i < b->n; i++) {
        struct place at = {(uint32_t)b->part, b->rows[i]};
        uint64_t k = s->seen++;
        if (k < s->max) {
            if (!take_place(s, at))
                return false;
            continue;
        }
        uint64_t chosen = (uint64_t)(((unsigned __int128)mixed(k) * (k + 1)) >> 64);
        if (chosen < s->max)
            s->places.v[chosen] = at;
    }
    return cost_work(s->cost, b->n);
}

static int by_place(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->part != y->part)
        return x->part < y->part ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

/* Texts are held for good: a copy, its entry and its place in the hash table. */
static uint32_t number_of_text(struct sampler *s, size_t field, struct str text)
{
    enum { ENTRY_BYTES = 64 }; /* a struct str, two places of the table, and the rounding of both */
    size_t before = s->values->fields[field].texts.texts.n;
    uint32_t id = sample_number(s->values, field, text);
    bool is_new = s->values->fields[field].texts.texts.n > before;
    if (is_new && !cost_hold(s->cost, text.n + ENTRY_BYTES))
        return 0;
    return cost_work(s->cost, text.n + 8) ? id : 0;
}

static uint32_t number_of_list(struct sampler *s, size_t field, const struct column *c,
                               uint32_t code)
{
    size_t n;
    const uint32_t *codes = column_list(c, code, &n);
    if (n == 0 || !cost_hold(s->cost, 2 * n * sizeof *codes))
        return 0;
    uint32_t *ids = xcalloc(n, sizeof *ids), id = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t *known = map_at(&s->elements, codes[i]);
        if (*known == 0)
            *known = number_of_text(s, field, dict_entry(&c->elements, codes[i]));
        ids[i] = *known;
        if (ids[i] == 0)
            goto out;
    }
    id = sample_list_number(s->values, field, ids, n);
out:
    free(ids);
    return id;
}

static uint32_t number_of_number(struct sampler *s, size_t field, const struct column *c,
                                 uint64_t row)
{
    char text[TIME_TEXT_MAX + 32];
    if (!column_has(c, row))
        return 0;
    if (c->h->index == INDEX_DOUBLE)
        snprintf(text, sizeof text, "%.17g", column_double(c, row));
    else if (c->h->index == INDEX_DATE)
        time_iso(column_int(c, row), false, text);
    else
        snprintf(text, sizeof text, "%lld", (long long)column_int(c, row));
    return number_of_text(s, field, str_of(text));
}

/* What a code of this week is in all weeks. */
static uint32_t number_of_code(struct sampler *s, size_t field, const struct column *c,
                               uint32_t code)
{
    uint32_t known = code == 0 ? 0 : map_get(&s->codes, code);
    if (code == 0 || known)
        return known;
    uint32_t id = c->kind == COLUMN_LIST ? number_of_list(s, field, c, code)
                  : c->kind == COLUMN_BOOL
                      ? number_of_text(s, field, code == 2 ? STR("1") : STR("0"))
                      : number_of_text(s, field, dict_entry(&c->dict, code));
    if (id)
        *map_at(&s->codes, code) = id;
    return id;
}

/* The rows [from, to) of the sample lie in one week. */
static bool read_rows(struct sampler *s, const struct column *c, size_t field, size_t from,
                      size_t to, uint32_t *ids)
{
    for (size_t i = from; i < to; i++) {
        uint64_t row = s->places.v[i].row;
        ids[i] = c->kind == COLUMN_NUMBER ? number_of_number(s, field, c, row)
                                          : number_of_code(s, field, c, column_code(c, row));
        if (!cost_work(s->cost, 8))
            return false;
    }
    return true;
}

/* Codes are those of one column of one week; what is remembered of them goes with it. */
static bool read_field(struct sampler *s, const struct root *root, size_t field, uint32_t *ids)
{
    size_t from = 0;
    bool goes_on = true;
    while (goes_on && from < s->places.n) {
        uint32_t part = s->places.v[from].part;
        size_t to = from;
        while (to < s->places.n && s->places.v[to].part == part)
            to++;
        const struct part *p = root->parts[part];
        const struct column *c = p->by_field[s->values->fields[field].field->id];
        map_init(&s->codes, to - from); /* a row has one */
        map_init(&s->elements, UINT32_MAX);
        if (c)
            goes_on = read_rows(s, c, field, from, to, ids);
        map_release(&s->codes);
        map_release(&s->elements);
        from = to;
    }
    return goes_on;
}

bool sampler_end(struct sampler *s, const struct root *root, struct sample *ret)
{
    size_t n = s->places.n, fields = s->values->n;
    *ret = (struct sample){.total = s->seen, .n = n};
    qsort(s->places.v, n, sizeof *s->places.v, by_place);
    if (!cost_hold(s->cost, (n + 1) * fields * sizeof *ret->ids))
        return false;
    ret->ids = xcalloc((n + 1) * fields, sizeof *ret->ids);
    for (size_t i = 0; i < fields; i++)
        if (!read_field(s, root, i, ret->ids + i * n))
            return false;
    return cost_look(s->cost);
}
