#include "search/columns/unify.h"

#include "base/hash.h"
#include "base/time.h"
#include "base/util.h"
#include "search/text.h"

/* A value is a place: a dictionary entry (part << 32 | code) or an owned text. */
static const uint64_t OWNED = (uint64_t)1 << 63;

enum { CHECK_EVERY = 4096, PIECES_BYTES_MAX = 1 << 20 };

struct unify *unify_new(struct root *root, const struct search_field *f)
{
    struct unify *u = xcalloc(1, sizeof *u);
    u->field = f;
    u->root = root;
    u->is_several = f->is_list || f->index == INDEX_SEMI;
    return u;
}

void unify_free(struct unify *u)
{
    if (!u)
        return;
    for (size_t i = 0; i < u->owned.n; i++)
        free((char *)u->owned.v[i].p);
    for (size_t i = 0; i < PARTS_MAX; i++) {
        free(u->parts[i].starts);
        VEC_RELEASE(&u->parts[i].ids);
    }
    VEC_RELEASE(&u->values);
    VEC_RELEASE(&u->owned);
    free(u->slots);
    free(u->ranks);
    free(u);
}

size_t unify_bytes(const struct unify *u)
{
    size_t bytes = u->values.cap * 8 + u->slot_count * 8 + u->rank_count * 4;
    for (size_t i = 0; i < PARTS_MAX; i++)
        bytes += u->parts[i].cap * 4 + u->parts[i].ids.cap * 4;
    for (size_t i = 0; i < u->owned.n; i++)
        bytes += sizeof(struct str) + u->owned.v[i].n;
    return bytes;
}

static struct column *column_of(const struct unify *u, size_t part)
{
    struct part *p = u->root->parts[part];
    return p ? p->by_field[u->field - search_fields] : NULL;
}

static struct str text_at(const struct unify *u, uint64_t value)
{
    if (value & OWNED)
        return u->owned.v[value & ~OWNED];
    const struct column *c = column_of(u, value >> 32);
    const struct dict *d = c->kind == COLUMN_LIST ? &c->elements : &c->dict;
    return dict_entry(d, (uint32_t)value);
}

struct str unify_text(const struct unify *u, uint32_t id)
{
    return text_at(u, u->values.v[id - 1]);
}

static void grow_slots(struct unify *u)
{
    size_t n = MAX(u->slot_count * 2, (size_t)1024);
    uint64_t *new = xcalloc(n, sizeof *new);
    for (size_t i = 0; i < u->slot_count; i++) {
        uint64_t slot = u->slots[i];
        if (slot == 0)
            continue;
        /* the table is at most 2^32 long, so the upper half of the hash finds the place */
        size_t at = (slot >> 32) & (n - 1);
        while (new[at])
            at = (at + 1) & (n - 1);
        new[at] = slot;
    }
    free(u->slots);
    u->slots = new;
    u->slot_count = n;
}

/* The id of text s; a new one stands at `value`, or is copied when value is OWNED. */
static uint32_t id_of(struct unify *u, struct str s, uint64_t value)
{
    if (u->values.n * 2 >= u->slot_count)
        grow_slots(u);
    uint32_t tag = (uint32_t)(hash64(s.p, s.n) >> 32);
    size_t at = tag & (u->slot_count - 1);
    for (; u->slots[at]; at = (at + 1) & (u->slot_count - 1)) {
        uint32_t id = (uint32_t)u->slots[at];
        if (u->slots[at] >> 32 == tag && str_eq(unify_text(u, id), s))
            return id;
    }
    if (value == OWNED) {
        value = OWNED | u->owned.n;
        VEC_PUSH(&u->owned, str_n(str_dup(s), s.n));
    }
    VEC_PUSH(&u->values, value);
    u->slots[at] = (uint64_t)tag << 32 | u->values.n;
    return (uint32_t)u->values.n;
}

static void add_id(struct unify_part *p, size_t start, uint32_t id)
{
    for (size_t i = start; i < p->ids.n; i++)
        if (p->ids.v[i] == id)
            return; /* a document counts once per distinct element */
    VEC_PUSH(&p->ids, id);
}

static void add_pieces(struct unify *u, struct unify_part *p, struct str s, struct arena *a)
{
    size_t start = p->ids.n;
    arena_reset(a);
    struct strs pieces = text_semi(a, s);
    for (size_t i = 0; i < pieces.n; i++)
        add_id(p, start, id_of(u, pieces.v[i], OWNED));
}

static void add_list(struct unify *u, size_t part, struct unify_part *p, const struct column *c,
                     uint32_t code, struct arena *a)
{
    size_t n, start = p->ids.n;
    const uint32_t *codes = column_list(c, code, &n);
    for (size_t i = 0; i < n; i++) {
        struct str s = dict_entry(&c->elements, codes[i]);
        if (u->field->index == INDEX_SEMI)
            add_pieces(u, p, s, a);
        else
            add_id(p, start, id_of(u, s, (uint64_t)part << 32 | codes[i]));
    }
}

static void add_code(struct unify *u, size_t part, const struct column *c, uint32_t code,
                     struct arena *a)
{
    struct unify_part *p = &u->parts[part];
    if (!u->is_several) {
        p->starts[code] = id_of(u, dict_entry(&c->dict, code), (uint64_t)part << 32 | code);
        return;
    }
    if (c->kind == COLUMN_LIST)
        add_list(u, part, p, c, code, a);
    else
        add_pieces(u, p, dict_entry(&c->dict, code), a);
    p->starts[code + 1] = (uint32_t)p->ids.n;
}

bool unify_add_part(struct unify *u, size_t part, int64_t deadline_ms)
{
    const struct column *c = column_of(u, part);
    struct unify_part *p = &u->parts[part];
    size_t want = c ? (size_t)c->dict.checked + 1 : 1;
    if (p->n >= want)
        return true;
    if (p->cap < want + 1) {
        p->cap = MAX(want + 1, p->cap + p->cap / 2);
        p->starts = xrealloc(p->starts, p->cap * sizeof *p->starts);
    }
    if (p->n == 0) {
        p->starts[0] = 0;
        p->starts[1] = 0;
        p->n = 1;
    }
    struct arena a;
    arena_init(&a, PIECES_BYTES_MAX);
    bool in_time = true;
    while (c && p->n < want && in_time) {
        add_code(u, part, c, (uint32_t)p->n, &a);
        p->n++;
        in_time = p->n % CHECK_EVERY != 0 || mono_ms() < deadline_ms;
    }
    arena_release(&a);
    return in_time;
}

static int by_text(const void *a, const void *b, void *arg)
{
    const struct unify *u = arg;
    return str_cmp(unify_text(u, *(const uint32_t *)a), unify_text(u, *(const uint32_t *)b));
}

void unify_rank(struct unify *u)
{
    size_t n = u->values.n;
    if (u->rank_count == n && u->ranks)
        return;
    FREE_LATER uint32_t *order = xmalloc((n + 1) * sizeof *order);
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i + 1;
    qsort_r(order, n, sizeof *order, by_text, u);
    u->ranks = xrealloc(u->ranks, (n + 1) * sizeof *u->ranks);
    for (size_t i = 0; i < n; i++)
        u->ranks[order[i]] = (uint32_t)i;
    u->rank_count = n;
}
