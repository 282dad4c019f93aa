/*
 * Members are numbered, counted, and those that are common become bits.  What a text contributes is
 * worked out once for each different text (of notes) or list (of modules, add-ons), and then only
 * added up, since thousands of crashes share theirs.
 *
 * An element is "ID:VERSION" of an add-on and "NAME/VERSION" of a module.  Add-ons and modules
 * count by id and name; a module in one of several versions is a member of its own besides, because
 * a bad update of somebody's library is just that.
 */
#include "lib/correlations/attribute_sets.h"

#include <math.h>
#include <stdlib.h>

#include "lib/base/arena.h"
#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/correlations/traits.h"
#include "lib/search/sample.h"

/*
 * At most so many of one kind are looked at.  Windows loads some 150 modules into a browser, its
 * shell extensions and a security suite a hundred more; beyond that somebody tries something.
 */
enum { MEMBERS_MAX = 600 };

/* What a text or list stands for: numbers of members. */
struct numbers {
    VEC(uint32_t) v;
};

/* Of an element of a list: numbers of members + 1; 0 is none. */
struct element_members {
    uint32_t name, version;
};

struct collecting {
    struct build *b;
    size_t field;
    struct strs phrases;
    struct textmap names;    /* of members */
    VEC(uint32_t) base;      /* by number: the module whose version it is, + 1; or 0 */
    VEC(uint32_t) added_for; /* by number: the value whose members it was added to */
    uint32_t value;          /* at hand */
    struct element_members *by_element;
    struct numbers *by_value; /* by id of the field */
    size_t value_count;
    uint32_t *counts[SET_COUNT]; /* by number */
};

static uint32_t member_number(struct collecting *c, struct str name, uint32_t base)
{
    uint32_t number = textmap_number(&c->names, c->b->arena, name);
    if (number == c->base.n)
        VEC_PUSH(&c->base, base);
    return number;
}

/* A crash has a member once, however many elements of its list stand for it. */
static void add_once(struct collecting *c, uint32_t number, struct numbers *ret)
{
    while (c->added_for.n < c->base.n)
        VEC_PUSH(&c->added_for, 0);
    if (c->added_for.v[number] == c->value)
        return;
    c->added_for.v[number] = c->value;
    VEC_PUSH(&ret->v, number);
}

/* The last ':' or '/', since names may have one. */
static size_t version_at(struct str element, char separator)
{
    size_t n = element.n;
    while (n > 0 && element.p[n - 1] != separator)
        n--;
    return n > 0 ? n - 1 : SIZE_MAX;
}

static struct element_members of_addon(struct collecting *c, struct str element)
{
    struct str id = str_sub(element, 0, version_at(element, ':'));
    const char *name = arena_printf(c->b->arena, "Addon \"" STR_FMT "\"", STR_ARG(id));
    return (struct element_members){.name = member_number(c, str_of(name), 0) + 1};
}

static struct element_members of_module(struct collecting *c, struct str element)
{
    struct arena *a = c->b->arena;
    size_t slash = version_at(element, '/');
    struct str file = str_sub(element, 0, slash);
    const char *name = arena_printf(a, "Module \"" STR_FMT "\"", STR_ARG(file));
    struct element_members out = {.name = member_number(c, str_of(name), 0) + 1};
    if (slash == SIZE_MAX)
        return out;
    struct str version = str_sub(element, slash + 1, SIZE_MAX);
    name = arena_printf(a, "%s version \"" STR_FMT "\"", name, STR_ARG(version));
    out.version = member_number(c, str_of(name), out.name) + 1;
    return out;
}

static void list_numbers(struct collecting *c, uint32_t id, bool is_addon, struct numbers *ret)
{
    size_t n;
    const uint32_t *elements = sample_list(c->b->values, c->field, id, &n);
    for (size_t i = 0; i < n; i++) {
        struct element_members *e = &c->by_element[elements[i]];
        struct str text = sample_text(c->b->values, c->field, elements[i]);
        if (e->name == 0)
            *e = is_addon ? of_addon(c, text) : of_module(c, text);
        add_once(c, e->name - 1, ret);
        if (e->version)
            add_once(c, e->version - 1, ret);
    }
}

static void addons_of(struct collecting *c, uint32_t id, struct numbers *ret)
{
    list_numbers(c, id, true, ret);
}

static void modules_of(struct collecting *c, uint32_t id, struct numbers *ret)
{
    list_numbers(c, id, false, ret);
}

static void phrase_numbers(struct collecting *c, uint32_t id, const char *before,
                           const char *behind, struct numbers *ret)
{
    struct str text = sample_text(c->b->values, c->field, id);
    for (size_t i = 0; i < c->phrases.n; i++) {
        struct str p = c->phrases.v[i];
        if (str_find(text, p, 0) == SIZE_MAX)
            continue;
        struct str name =
            str_of(arena_printf(c->b->arena, "%s\"" STR_FMT "\"%s", before, STR_ARG(p), behind));
        add_once(c, member_number(c, name, 0), ret);
    }
}

static void notes_of(struct collecting *c, uint32_t id, struct numbers *ret)
{
    phrase_numbers(c, id, "", " in app_notes", ret);
}

static void graphics_errors_of(struct collecting *c, uint32_t id, struct numbers *ret)
{
    phrase_numbers(c, id, "GFX_ERROR ", "", ret);
}

/*
 * Modules count only where they are in the group: every system has its own hundreds.  The shares
 * are those of the results that people know and compare with (decision 170).
 */
static const struct {
    const char *field;
    enum cause cause;
    void (*of)(struct collecting *c, uint32_t id, struct numbers *ret);
    double share_min;
    bool of_group_alone;
} kinds[] = {
    {"addons", CAUSE_ADDON, addons_of, 0.15, false},
    {"modules", CAUSE_MODULE, modules_of, 0.30, true},
    {"app_notes", CAUSE_NOTE, notes_of, 0.15, false},
    {"graphics_critical_error", CAUSE_GRAPHICS_LOG, graphics_errors_of, 0.15, false},
};
const size_t member_kind_count = ARRAY_LEN(kinds);

/* CORRELATION_PHRASES: phrases with semicolons between. */
static struct strs phrases_of(struct arena *a, const char *text)
{
    struct str rest = str_of(text), part;
    struct strs out = {.v = arena_array(a, rest.n + 1, sizeof(struct str))};
    while (str_split(&rest, ';', &part)) {
        part = str_trim(part);
        if (part.n > 0)
            out.v[out.n++] = part;
    }
    return out;
}

/*
 * Each text or list that occurs in a set, once; its members then count for all its crashes.  Three
 * passes: how many crashes have each value, which members each value has, and the product of both.
 * A value may be of the table and of neither set (another group was compared with this reference
 * before), and is then passed over.
 */
static void count_members(struct collecting *c, size_t kind)
{
    const struct sample_field *f = &c->b->values->fields[c->field];
    c->value_count = f->field->is_list ? f->lists.texts.n : f->texts.texts.n;
    c->by_value = xcalloc(c->value_count + 1, sizeof *c->by_value);
    c->by_element = xcalloc(f->texts.texts.n + 1, sizeof *c->by_element);
    uint32_t *rows[SET_COUNT];
    for (int set = 0; set < SET_COUNT; set++) {
        const struct sample *s = &c->b->samples[set];
        rows[set] = xcalloc(c->value_count + 1, sizeof(uint32_t));
        for (size_t row = 0; row < s->n; row++)
            rows[set][sample_column(s, c->field)[row]]++;
    }
    for (uint32_t id = 1; id <= c->value_count; id++) {
        c->value = id;
        if (rows[SET_GROUP][id] || rows[SET_REFERENCE][id])
            kinds[kind].of(c, id, &c->by_value[id]);
    }
    for (int set = 0; set < SET_COUNT; set++) {
        c->counts[set] = xcalloc(c->base.n + 1, sizeof(uint32_t));
        for (uint32_t id = 1; id <= c->value_count; id++)
            for (size_t i = 0; i < c->by_value[id].v.n; i++)
                c->counts[set][c->by_value[id].v.v[i]] += rows[set][id];
        free(rows[set]);
    }
}

/* 0 of an empty set: nothing is frequent where nobody is. */
static double share_of(const struct collecting *c, int set, uint32_t number)
{
    size_t n = c->b->samples[set].n;
    return n ? (double)c->counts[set][number] / (double)n : 0;
}

/* A version that all crashes have which have the module says nothing that its name does not. */
static bool takes_part(const struct collecting *c, size_t kind, uint32_t number)
{
    uint32_t base = c->base.v[number];
    if (base && c->counts[SET_GROUP][number] == c->counts[SET_GROUP][base - 1] &&
        c->counts[SET_REFERENCE][number] == c->counts[SET_REFERENCE][base - 1])
        return false;
    return share_of(c, SET_GROUP, number) > kinds[kind].share_min ||
           (!kinds[kind].of_group_alone &&
            share_of(c, SET_REFERENCE, number) > kinds[kind].share_min);
}

struct ranked {
    uint32_t number;
    double difference;
};

static int by_difference(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->difference != y->difference)
        return x->difference > y->difference ? -1 : 1;
    return (x->number > y->number) - (x->number < y->number);
}

/* Those that take part, the most different first, into *ret; slots[number] is their place + 1. */
static void choose_members(struct collecting *c, size_t kind, uint32_t *slots, struct members *ret)
{
    struct ranked *all = xcalloc(c->base.n + 1, sizeof *all);
    size_t n = 0;
    for (uint32_t i = 0; i < c->base.n; i++)
        if (takes_part(c, kind, i))
            all[n++] =
                (struct ranked){i, fabs(share_of(c, SET_GROUP, i) - share_of(c, SET_REFERENCE, i))};
    qsort(all, n, sizeof *all, by_difference);
    ret->n = MIN(n, (size_t)MEMBERS_MAX);
    ret->left_out = n - ret->n;
    ret->v = xcalloc(ret->n + 1, sizeof *ret->v);
    for (size_t i = 0; i < ret->n; i++) {
        struct member *m = &ret->v[i];
        slots[all[i].number] = (uint32_t)i + 1;
        m->name = str_adup(c->b->arena, c->names.texts.v[all[i].number]);
        m->attribute = c->b->attributes++;
        for (int set = 0; set < SET_COUNT; set++) {
            m->count[set] = c->counts[set][all[i].number];
            m->bits[set] = xcalloc(c->b->samples[set].n / 64 + 2, sizeof(uint64_t));
        }
    }
    free(all);
}

/* Only of members that were chosen: the bits of one take 5 KB for two sets of 20,000 crashes, and
 * there may be any number of modules. */
static void set_bits(const struct collecting *c, const uint32_t *slots, struct members *m)
{
    for (int set = 0; set < SET_COUNT; set++) {
        const struct sample *s = &c->b->samples[set];
        for (size_t row = 0; row < s->n; row++) {
            const struct numbers *n = &c->by_value[sample_column(s, c->field)[row]];
            for (size_t i = 0; i < n->v.n; i++)
                if (slots[n->v.v[i]])
                    m->v[slots[n->v.v[i]] - 1].bits[set][row / 64] |= (uint64_t)1 << (row % 64);
        }
    }
}

static void collecting_release(struct collecting *c)
{
    for (size_t i = 0; i <= c->value_count; i++)
        VEC_RELEASE(&c->by_value[i].v);
    free(c->by_value);
    free(c->by_element);
    VEC_RELEASE(&c->added_for);
    for (int set = 0; set < SET_COUNT; set++)
        free(c->counts[set]);
    VEC_RELEASE(&c->base);
    textmap_release(&c->names);
}

void members_make(struct build *b, size_t kind, const char *phrases, struct members *ret)
{
    struct collecting c = {.b = b,
                           .field = build_field(b, kinds[kind].field),
                           .phrases = phrases_of(b->arena, phrases)};
    *ret = (struct members){.cause = kinds[kind].cause};
    if (c.field == SIZE_MAX)
        return;
    /* of each text of the field a module and its version at most, and the phrases */
    textmap_init(&c.names, 2 * c.b->values->fields[c.field].texts.texts.n + c.phrases.n);
    count_members(&c, kind);
    uint32_t *slots = xcalloc(c.base.n + 1, sizeof *slots);
    choose_members(&c, kind, slots, ret);
    set_bits(&c, slots, ret);
    free(slots);
    collecting_release(&c);
}

void members_release(struct members *m)
{
    for (size_t i = 0; i < m->n; i++)
        for (int set = 0; set < SET_COUNT; set++)
            free(m->v[i].bits[set]);
    free(m->v);
}
