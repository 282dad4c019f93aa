/*
 * Which properties a crash has.
 *
 * Most are fields of the index as they are: those that the field table marks with "correlates", so
 * an installation adds its own there.  Others are made of fields that say too much: a CPU without
 * its stepping and number of cores, whether an address is a null pointer, the version of a driver
 * as its maker numbers it, the width of the system.  Add-ons, modules and phrases are a property
 * each, true or false, if they are common enough to matter.
 *
 * Every property ends as the same thing: for each of its values that can matter one item with a bit
 * for each crash of both sets.  Mining then knows no fields, lists or derived values, only bits,
 * and a pair of items costs an AND and a count of bits.  Items of one property share a number
 * (`attribute`), by which mining knows that they exclude each other.
 *
 * Memory is bounded by the shares, not by the crashes: a value needs 15 % of one set to be made, so
 * a property makes thirteen items at most.  A field with a value of
 * its own in every crash costs its counters and makes nothing.
 *
 * Only public fields come in here: the table refuses the mark on a protected one, and those that
 * are named below are asked for their permission, too.  Everybody reads the result.
 */
#include "lib/correlations/attributes.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/correlations/attribute_sets.h"
#include "lib/correlations/derived.h"
#include "lib/correlations/traits.h"
#include "lib/crash/field.h"

/* Fields that properties are made of, beside those with the mark. */
static const char *const sources[] = {
    "address",   "cpu_info",
    "cpu_count", "total_virtual_memory",
    "app_notes", "graphics_critical_error",
    "addons",    "modules",
};

/* Names that people know them by, and what may explain what. */
static const struct {
    const char *field, *name; /* name NULL: that of the field */
    enum cause cause;
} known[] = {
    {"platform", NULL, CAUSE_PLATFORM},
    {"platform_pretty_version", NULL, CAUSE_PRETTY_VERSION},
    {"platform_version", NULL, CAUSE_PLATFORM_VERSION},
    {"adapter_vendor_id", NULL, CAUSE_VENDOR},
    {"adapter_device_id", NULL, CAUSE_DEVICE},
    {"adapter_subsys_id", NULL, CAUSE_SUBSYSTEM},
    {"adapter_driver_version", NULL, CAUSE_DRIVER},
    {"cpu_arch", NULL, CAUSE_CPU_ARCH},
    {"cpu_microcode_version", NULL, CAUSE_MICROCODE},
    {"startup_crash", NULL, CAUSE_STARTUP},
    {"shutdown_progress", NULL, CAUSE_SHUTDOWN},
    {"safe_mode", NULL, CAUSE_SAFE_MODE},
    {"ipc_channel_error", NULL, CAUSE_IPC_ERROR},
    {"useragent_locale", NULL, CAUSE_LOCALE},
    {"dom_ipc_enabled", "e10s_enabled", CAUSE_E10S},
};

/* A field that an installation has not is left out, and so is what is made of it. */
struct sample_values *attribute_values_new(const struct field_table *fields)
{
    const struct search_field **wanted =
        xcalloc(fields->search_count + ARRAY_LEN(sources), sizeof(void *));
    size_t n = 0;
    for (size_t i = 0; i < fields->search_count; i++)
        if (fields->search[i].correlates)
            wanted[n++] = &fields->search[i];
    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        const struct search_field *f = search_field_find(fields, str_of(sources[i]));
        if (f)
            wanted[n++] = f;
    }
    for (size_t i = 0; i < n; i++)
        assert(wanted[i]->perm == PERM_PUBLIC);
    struct sample_values *values = sample_values_new(wanted, n);
    free(wanted);
    return values;
}

/* Whether a property with so many crashes can still be a result: the first cut of the mining. */
static bool is_worth_it(const struct traits *items, const uint32_t count[SET_COUNT])
{
    return count[SET_GROUP] >= CORRELATION_COUNT_MIN &&
           count[SET_REFERENCE] >= CORRELATION_COUNT_MIN &&
           (set_share(items, SET_GROUP, count[SET_GROUP]) >= CORRELATION_DIFFERENCE_MIN ||
            set_share(items, SET_REFERENCE, count[SET_REFERENCE]) >= CORRELATION_DIFFERENCE_MIN);
}

/* The bits are all zero, one word more than needed: a set may have no crash at all. */
static struct trait *add_item(struct traits *items, const struct trait *like)
{
    VEC_PUSH(&items->all, *like);
    struct trait *it = &items->all.v[items->all.n - 1];
    for (int set = 0; set < SET_COUNT; set++)
        it->bits[set] = xcalloc(items->words[set] + 1, sizeof(uint64_t));
    return it;
}

/* The item of one value of a column, with its bits. */
static struct trait *add_value_item(struct traits *items, const struct property *p, uint32_t id,
                                    const uint32_t count[SET_COUNT])
{
    struct trait like = {.name = p->name,
                         .attribute = p->attribute,
                         .cause = p->cause,
                         .kind = ITEM_MISSING,
                         .count = {count[SET_GROUP], count[SET_REFERENCE]}};
    if (id > 0) {
        like.kind = p->values[id - 1].kind;
        like.text = p->values[id - 1].text;
    }
    struct trait *it = add_item(items, &like);
    for (int set = 0; set < SET_COUNT; set++)
        for (size_t row = 0; row < items->size[set]; row++)
            it->bits[set][row / 64] |= (uint64_t)(p->ids[set][row] == id) << (row % 64);
    return it;
}

/*
 * All values of a column that can be of interest: thirteen at most, by their shares.  Id 0 is the
 * missing value, which is counted like any other: that a crash has no graphics card says something.
 */
static void add_property(struct traits *items, const struct property *p)
{
    uint32_t *counts[SET_COUNT];
    for (int set = 0; set < SET_COUNT; set++) {
        counts[set] = xcalloc(p->value_count + 1, sizeof(uint32_t));
        for (size_t row = 0; row < items->size[set]; row++)
            counts[set][p->ids[set][row]]++;
    }
    for (uint32_t id = 0; id <= p->value_count; id++) {
        const uint32_t count[] = {counts[SET_GROUP][id], counts[SET_REFERENCE][id]};
        if (is_worth_it(items, count))
            add_value_item(items, p, id, count);
    }
    for (int set = 0; set < SET_COUNT; set++)
        free(counts[set]);
}

/* A row of a card in the group says whose card it is; names of devices depend on the vendor. */
static void note_vendors(const struct build *b, struct traits *items, size_t from)
{
    size_t vendors = build_field(b, "adapter_vendor_id");
    for (size_t i = from; vendors != SIZE_MAX && i < items->all.n; i++) {
        struct trait *it = &items->all.v[i];
        for (size_t row = 0; it->kind == ITEM_TEXT && row < items->size[SET_GROUP]; row++) {
            uint32_t id = sample_column(&b->samples[SET_GROUP], vendors)[row];
            if (id && it->bits[SET_GROUP][row / 64] >> (row % 64) & 1) {
                it->vendor = sample_text(b->values, vendors, id);
                break;
            }
        }
    }
}

/* The values of a field as they are. */
static void add_plain_field(struct build *b, struct traits *items, size_t field)
{
    const struct search_field *f = b->values->fields[field].field;
    struct property p = {.name = f->name, .attribute = b->attributes++};
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (strcmp(known[i].field, f->name) == 0) {
            p.name = known[i].name ? known[i].name : f->name;
            p.cause = known[i].cause;
        }
    p.value_count = b->values->fields[field].texts.texts.n;
    struct item_value *values = xcalloc(p.value_count + 1, sizeof *values);
    for (uint32_t id = 1; id <= p.value_count; id++)
        values[id - 1] = (struct item_value){ITEM_TEXT, sample_text(b->values, field, id)};
    p.values = values;
    for (int set = 0; set < SET_COUNT; set++)
        p.ids[set] = sample_column(&b->samples[set], field);
    size_t from = items->all.n;
    add_property(items, &p);
    if (p.cause == CAUSE_DEVICE)
        note_vendors(b, items, from);
    free(values);
}

/* One that cannot be made, because the installation lacks its fields, is no property here. */
static void add_derived(struct build *b, struct traits *items)
{
    for (size_t i = 0; i < derived_count; i++) {
        struct property p = {0};
        if (derived_make(b, i, &p))
            add_property(items, &p);
        derived_free(&p);
    }
}

/* A list says of each of its members that a crash has it; of the others that it has them not. */
static void add_members(struct traits *items, const struct members *m)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct member *one = &m->v[i];
        for (int has = 1; has >= 0; has--) {
            uint32_t count[SET_COUNT];
            for (int set = 0; set < SET_COUNT; set++)
                count[set] = has ? one->count[set] : (uint32_t)items->size[set] - one->count[set];
            if (!is_worth_it(items, count))
                continue;
            struct trait like = {.name = one->name,
                                 .attribute = one->attribute,
                                 .cause = m->cause,
                                 .kind = has ? ITEM_TRUE : ITEM_FALSE,
                                 .count = {count[SET_GROUP], count[SET_REFERENCE]}};
            struct trait *it = add_item(items, &like);
            for (int set = 0; set < SET_COUNT; set++)
                for (size_t row = 0; row < items->size[set]; row++) {
                    bool bit = one->bits[set][row / 64] >> (row % 64) & 1;
                    it->bits[set][row / 64] |= (uint64_t)(bit == (has != 0)) << (row % 64);
                }
        }
    }
}

/* Said when it is the other value that says something. */
static bool is_uninformative(const struct traits *items, const struct trait *it)
{
    for (size_t i = 0; i < items->all.n; i++) {
        const struct trait *other = &items->all.v[i];
        if (other->attribute != it->attribute)
            continue;
        if (it->kind == ITEM_FALSE && other->kind == ITEM_TRUE)
            return true;
        if (it->kind == ITEM_MISSING && other->kind == ITEM_TEXT &&
            (str_eq(other->text, STR("1")) || str_eq(other->text, STR("Active"))))
            return true;
    }
    return false;
}

static void free_bits(struct trait *it)
{
    for (int set = 0; set < SET_COUNT; set++)
        free(it->bits[set]);
}

/* All are judged before any goes: an item that goes may be the one that makes another go. */
static void drop_uninformative(struct traits *items)
{
    size_t kept = 0;
    bool *drops = xcalloc(items->all.n + 1, sizeof *drops);
    for (size_t i = 0; i < items->all.n; i++)
        drops[i] = is_uninformative(items, &items->all.v[i]);
    for (size_t i = 0; i < items->all.n; i++) {
        if (drops[i])
            free_bits(&items->all.v[i]);
        else
            items->all.v[kept++] = items->all.v[i];
    }
    items->all.n = kept;
    free(drops);
}

void traits_make(struct arena *a, const struct sample_values *values,
                 const struct sample samples[SET_COUNT], const char *phrases, struct traits *ret)
{
    struct build b = {.arena = a, .values = values, .samples = samples};
    *ret = (struct traits){0};
    for (int set = 0; set < SET_COUNT; set++) {
        ret->size[set] = samples[set].n;
        ret->words[set] = (samples[set].n + 63) / 64;
    }
    for (size_t i = 0; i < values->n; i++)
        if (values->fields[i].field->correlates)
            add_plain_field(&b, ret, i);
    add_derived(&b, ret);
    for (size_t i = 0; i < member_kind_count; i++) {
        struct members m = {0};
        members_make(&b, i, phrases, &m);
        add_members(ret, &m);
        ret->left_out += m.left_out;
        members_release(&m);
    }
    drop_uninformative(ret);
}

void traits_release(struct traits *items)
{
    for (size_t i = 0; i < items->all.n; i++)
        free_bits(&items->all.v[i]);
    VEC_RELEASE(&items->all);
}
