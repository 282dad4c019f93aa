/*
 * Numbers for texts, common to all partitions.  Every week has its own dictionary (decision 050),
 * so the same signature has another code in each; here it gets one id.  A code never changes its
 * meaning, so what has been numbered stays: the next search numbers only the codes that were added
 * since.
 *
 * A value is stored as the place of its text and not as the text: the mappings have it already, and
 * a million signatures would be copied for nothing.  Only pieces of semi fields are copied, because
 * they are lower-cased and stand in no dictionary.  When a partition is closed all numberings of
 * the reader go (run_state.c), since places in it would point into nothing.
 *
 * What a file has already (unify_file.c) is used where it lies, so that a hundred processes have it
 * once; the arrays here hold what came after it.
 */
#include "lib/search/columns/unify.h"

#include "lib/base/arena.h"
#include "lib/base/hash.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/search/columns/dict.h"
#include "lib/search/columns/part.h"
#include "lib/search/columns/texts.h"
#include "lib/search/doc.h"
#include "lib/search/text.h"

/* A value is a place: a dictionary entry (part << 32 | code) or an owned text. */
static const uint64_t OWNED = (uint64_t)1 << 63;

/*
 * The work of one code: hashing it and comparing it with one other, and a cache miss for each.
 * RANKED_AT_ONCE is sorted at a stretch, about 10 ms.
 */
enum { CODE_UNITS = 64, PIECES_BYTES_MAX = 1 << 20, RANKED_AT_ONCE = 1 << 14 };

/* Numbering so many entries takes a millisecond or two and serves every later search. */
enum { UNIQUE_ENTRIES_MIN = 20000 };

bool unify_is_unique(uint64_t codes, uint64_t rows)
{
    return codes > UNIQUE_ENTRIES_MIN && codes > rows / 2;
}

/* The seed is a process's own: whoever chooses texts that collide under one hash gains nothing. */
struct unify *unify_new(struct root *root, const struct search_field *f)
{
    struct unify *u = xcalloc(1, sizeof *u);
    u->field = f;
    u->root = root;
    u->seed = random_u64();
    u->kind = f->index == INDEX_SEMI ? UNIFY_PIECES : f->is_list ? UNIFY_LISTS : UNIFY_PLAIN;
    return u;
}

void unify_free(struct unify *u)
{
    if (!u)
        return;
    for (size_t i = 0; i < u->owned.n; i++)
        free((char *)u->owned.v[i].p);
    for (size_t i = 0; i < PARTS_MAX; i++) {
        if (u->parts[i].cap > 0)
            free(u->parts[i].starts);
        VEC_RELEASE(&u->parts[i].ids);
    }
    numbering_close(&u->file);
    free(u->part_of_file);
    VEC_RELEASE(&u->values);
    VEC_RELEASE(&u->owned);
    tagmap_release(&u->ids);
    free(u->ranks);
    free(u);
}

/* What it takes by capacity and not by use: this is what a worker keeps. */
size_t unify_bytes(const struct unify *u)
{
    return u->values.cap * 8 + tagmap_bytes(&u->ids) + u->rank_count * 4 + u->part_bytes +
           u->owned_bytes;
}

/* Puts what has grown on the account of the search. */
static bool hold(struct unify *u, struct cost *cost)
{
    size_t now = unify_bytes(u);
    size_t more = now > u->held ? now - u->held : 0;
    u->held = MAX(now, u->held);
    return cost_hold(cost, more);
}

/* NULL: the partition has no such field, or is not open. */
static struct column *column_of(const struct unify *u, size_t part)
{
    struct part *p = u->root->parts[part];
    return p ? p->by_field[u->field->id] : NULL;
}

/* Both kinds of dictionary have checked offsets here: column_use has looked at them. */
static struct str text_at(const struct unify *u, uint64_t value)
{
    if (value & OWNED)
        return u->owned.v[value & ~OWNED];
    const struct column *c = column_of(u, value >> 32);
    const struct dict *d = c->kind == COLUMN_LIST ? &c->elements : &c->dict;
    return dict_entry(d, (uint32_t)value);
}

uint64_t unify_place(const struct unify *u, uint32_t id)
{
    if (id > u->file_ids)
        return u->values.v[id - 1 - u->file_ids];
    uint64_t place = u->file.places[id - 1];
    return (uint64_t)u->part_of_file[place >> 32] << 32 | (uint32_t)place;
}

struct str unify_text(const struct unify *u, uint32_t id)
{
    return text_at(u, unify_place(u, id));
}

/* The comparison behind an equal hash. */
static bool is_text(const void *owner, uint32_t id, const void *wanted)
{
    return str_eq(unify_text(owner, id), *(const struct str *)wanted);
}

static uint32_t find_hash(const struct unify *u, uint64_t hash, const struct str *s)
{
    uint32_t id = tagmap_find(&u->file.texts, hash, is_text, u, s);
    return id ? id : tagmap_find(&u->ids, hash, is_text, u, s);
}

uint32_t unify_find(const struct unify *u, struct str s)
{
    return find_hash(u, hash64_seed(s.p, s.n, u->seed), &s);
}

/* The id of text s; a new one stands at `value`, or is copied when value is OWNED. */
static uint32_t id_of(struct unify *u, struct str s, uint64_t value)
{
    uint64_t hash = hash64_seed(s.p, s.n, u->seed);
    uint32_t id = find_hash(u, hash, &s);
    if (id)
        return id;
    if (value == OWNED) {
        value = OWNED | u->owned.n;
        VEC_PUSH(&u->owned, str_n(str_dup(s), s.n));
        u->owned_bytes += sizeof(struct str) + s.n + 1;
    }
    VEC_PUSH(&u->values, value);
    id = (uint32_t)unify_count(u);
    tagmap_add(&u->ids, hash, id);
    return id;
}

static void add_id(struct unify_part *p, size_t start, uint32_t id, struct cost *cost)
{
    cost_work(cost, CODE_UNITS + p->ids.n - start);
    for (size_t i = start; i < p->ids.n; i++)
        if (p->ids.v[i] == id)
            return; /* a document counts once per distinct element */
    VEC_PUSH(&p->ids, id);
}

/* One text of a semi field is several values: "a;b;A" counts once for a and once for b. */
static void add_pieces(struct unify *u, struct unify_part *p, struct str s, struct arena *a,
                       struct cost *cost)
{
    size_t start = p->ids.n;
    arena_reset(a);
    /* A document has no longer text, but a damaged dictionary may. */
    s.n = MIN(s.n, (size_t)DOC_TEXT_BYTES_MAX);
    struct strs pieces = text_semi(a, s);
    for (size_t i = 0; i < pieces.n && cost->end == COST_GOES_ON; i++)
        add_id(p, start, id_of(u, pieces.v[i], OWNED), cost);
}

/* The elements of one list, each cut into pieces again. */
static void add_pieces_of_list(struct unify *u, struct unify_part *p, const struct column *c,
                               uint32_t code, struct arena *a, struct cost *cost)
{
    size_t n;
    const uint32_t *codes = column_list(c, code, &n);
    for (size_t i = 0; i < n && cost->end == COST_GOES_ON; i++)
        add_pieces(u, p, dict_entry(&c->elements, codes[i]), a, cost);
}

/* A text, or an element of lists; a frame that has no text is no value. */
static bool add_text(struct unify *u, size_t part, const struct dict *d, uint32_t code,
                     struct cost *cost)
{
    struct str s = dict_entry(d, code);
    bool is_value = s.n > 0 || u->field->frames == FRAMES_NONE;
    u->parts[part].starts[code] = is_value ? id_of(u, s, (uint64_t)part << 32 | code) : 0;
    return cost_work(cost, CODE_UNITS + s.n);
}

/* False: the search must end; the code then counts as not there yet. */
static bool add_code(struct unify *u, size_t part, const struct column *c, uint32_t code,
                     struct arena *a, struct cost *cost)
{
    struct unify_part *p = &u->parts[part];
    if (u->kind != UNIFY_PIECES)
        return add_text(u, part, u->kind == UNIFY_LISTS ? &c->elements : &c->dict, code, cost);
    size_t start = p->ids.n;
    if (c->kind == COLUMN_LIST)
        add_pieces_of_list(u, p, c, code, a, cost);
    else
        add_pieces(u, p, dict_entry(&c->dict, code), a, cost);
    if (cost->end != COST_GOES_ON) {
        p->ids.n = start; /* half a list of ids would be taken for the whole later */
        return false;
    }
    p->starts[code + 1] = (uint32_t)p->ids.n;
    return true;
}

/* Codes run from 1.  Index 0 stands for "no value": no id, or an empty range of ids. */
static void make_room(struct unify *u, struct unify_part *p, size_t want)
{
    if (p->cap < want + 1) {
        size_t cap = MAX(want + 1, p->cap + p->cap / 2);
        u->part_bytes += (cap - p->cap) * sizeof *p->starts;
        uint32_t *of_file = p->cap == 0 ? p->starts : NULL;
        p->starts = xrealloc(of_file ? NULL : p->starts, cap * sizeof *p->starts);
        p->cap = cap;
        if (of_file)
            memcpy(p->starts, of_file, p->n * sizeof *p->starts);
    }
    if (p->n == 0) {
        p->starts[0] = 0;
        p->starts[1] = 0;
        p->n = 1;
    }
}

/* A list that a damaged dictionary has may name elements that were never numbered: it is checked
 * against those that there are (column_list). */
struct unify_ids unify_list_ids(const struct unify *u, size_t part, uint32_t code)
{
    struct unify_ids out = {.of = u->parts[part].starts};
    out.v = column_list(column_of(u, part), code, &out.n);
    return out;
}

/* What has codes that are numbered; of pieces that is the whole text. */
static uint64_t codes_of(const struct unify *u, const struct column *c)
{
    return u->kind == UNIFY_LISTS ? c->elements.checked : c->dict.checked;
}

/* What numbering them unpacks; of lists the elements alone. */
static size_t texts_to_unpack(const struct unify *u, const struct column *c)
{
    return u->kind == UNIFY_LISTS ? texts_bytes_left(c->elements.texts) : column_text_bytes_left(c);
}

/*
 * Stops between two codes when the search must end.  What has been numbered until then is whole and
 * stays, so the next search goes on there: a search that runs out of time makes the next one
 * faster.
 */
bool unify_add_part(struct unify *u, size_t part, struct cost *cost)
{
    const struct column *c = column_of(u, part);
    struct unify_part *p = &u->parts[part];
    size_t want = c ? (size_t)codes_of(u, c) + 1 : 1;
    if (!hold(u, cost))
        return false;
    if (p->n >= want)
        return true;
    if (c && !cost_hold(cost, texts_to_unpack(u, c)))
        return false;
    make_room(u, p, want);
    struct arena a;
    arena_init(&a, PIECES_BYTES_MAX);
    bool goes_on = hold(u, cost);
    while (c && p->n < want && goes_on) {
        size_t ids_cap = p->ids.cap;
        goes_on = add_code(u, part, c, (uint32_t)p->n, &a, cost);
        p->n += goes_on || u->kind != UNIFY_PIECES;
        u->part_bytes += (p->ids.cap - ids_cap) * sizeof *p->ids.v;
        goes_on = goes_on && hold(u, cost);
    }
    arena_release(&a);
    return goes_on;
}

/* Bytes, not a language. */
static int by_text(const void *a, const void *b, void *arg)
{
    const struct unify *u = arg;
    return str_cmp(unify_text(u, *(const uint32_t *)a), unify_text(u, *(const uint32_t *)b));
}

/* Joins two sorted neighbours from[0..left) and from[left..n) in to. */
static bool merge_neighbours(struct unify *u, const uint32_t *from, size_t left, size_t n,
                             uint32_t *to, struct cost *cost)
{
    size_t i = 0, k = left;
    for (size_t at = 0; at < n; at++) {
        bool takes_left = k == n || (i < left && by_text(&from[i], &from[k], u) <= 0);
        to[at] = takes_left ? from[i++] : from[k++];
        if (!cost_work(cost, CODE_UNITS))
            return false;
    }
    return true;
}

/* Sorts by text in pieces and joins them, so that there are looks at the clock between. */
static bool sort_ids(struct unify *u, uint32_t **order, uint32_t **spare, size_t n,
                     struct cost *cost)
{
    for (size_t at = 0; at < n; at += RANKED_AT_ONCE) {
        size_t piece = MIN(n - at, (size_t)RANKED_AT_ONCE);
        qsort_r(*order + at, piece, sizeof **order, by_text, u);
        if (!cost_look(cost))
            return false;
    }
    for (size_t width = RANKED_AT_ONCE; width < n; width *= 2) {
        for (size_t at = 0; at < n; at += 2 * width) {
            size_t both = MIN(n - at, 2 * width);
            if (!merge_neighbours(u, *order + at, MIN(width, both), both, *spare + at, cost))
                return false;
        }
        uint32_t *t = *order;
        *order = *spare;
        *spare = t;
    }
    return true;
}

/*
 * Ranks are made for a sort by a text field: comparing two rows is then comparing two numbers. They
 * hold as long as no id is added.  The scratch is given back to the account, the ranks are not.
 */
bool unify_rank(struct unify *u, struct cost *cost)
{
    size_t n = unify_count(u), scratch = 2 * (n + 1) * sizeof(uint32_t);
    if (u->rank_count == n && u->ranks)
        return true;
    if (!cost_hold(cost, scratch + (n + 1) * sizeof *u->ranks))
        return false;
    uint32_t *order = xmalloc((n + 1) * sizeof *order), *spare = xmalloc((n + 1) * sizeof *spare);
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i + 1;
    bool ok = sort_ids(u, &order, &spare, n, cost);
    if (ok) {
        u->ranks = xrealloc(u->ranks, (n + 1) * sizeof *u->ranks);
        for (size_t i = 0; i < n; i++)
            u->ranks[order[i]] = (uint32_t)i;
        u->rank_count = n;
        u->held = unify_bytes(u);
    }
    free(order);
    free(spare);
    cost_give_back(cost, scratch);
    return ok;
}
