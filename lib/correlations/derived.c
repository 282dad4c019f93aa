/*
 * One function for each, from the texts of up to three fields to a value.  A crash is asked only
 * for a combination of texts that was not there before: there are thousands of crashes and a few
 * dozens of CPUs.
 */
#include "lib/correlations/derived.h"

#include <stdlib.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/correlations/traits.h"
#include "lib/search/sample.h"

enum { INPUTS_MAX = 3 };

static bool text_value(struct str text, struct item_value *ret)
{
    *ret = (struct item_value){ITEM_TEXT, text};
    return true;
}

static bool truth_value(bool is_true, struct item_value *ret)
{
    *ret = (struct item_value){is_true ? ITEM_TRUE : ITEM_FALSE, {0}};
    return true;
}

/* "GenuineIntel family 6 model 158 stepping 10 | 8": what is before the number of cores. */
static bool cpu_info(struct arena *a, const struct str in[], struct item_value *ret)
{
    (void)a;
    size_t bar = in[0].p ? str_find(in[0], STR(" | "), 0) : SIZE_MAX;
    return in[0].p && text_value(str_sub(in[0], 0, bar), ret);
}

/* The number behind the bar; newer reports have it as a field. */
static bool is_multicore(struct arena *a, const struct str in[], struct item_value *ret)
{
    (void)a;
    size_t bar = in[0].p ? str_find(in[0], STR(" | "), 0) : SIZE_MAX;
    if (bar != SIZE_MAX)
        return truth_value(!str_eq(str_sub(in[0], bar + 3, SIZE_MAX), STR("1")), ret);
    return in[1].p && truth_value(!str_eq(in[1], STR("1")), ret);
}

/*
 * The address space says how wide the system is where it has an end of its own: a process of 32
 * bits has 2 or 4 GiB of it, and Windows gives one of 64 bits 8 TiB.  The limit between them is
 * that of the analysis whose results people know: 2.5 GiB.
 */
static bool os_arch(struct arena *a, const struct str in[], struct item_value *ret)
{
    static const uint64_t bytes_max = 2684354560;
    (void)a;
    uint64_t bytes;
    if (in[0].p && str_to_u64(in[0], 10, UINT64_MAX, "bytes", &bytes, ERR_IGNORED))
        return text_value(bytes < bytes_max ? STR("x86") : STR("amd64"), ret);
    if (in[1].p && str_starts(in[1], STR("Mac")))
        return text_value(STR("amd64"), ret);
    if (!in[1].p || !in[2].p || !str_eq(in[1], STR("Linux")))
        return false;
    if (str_find(in[2], STR("i686"), 0) != SIZE_MAX)
        return text_value(STR("x86"), ret);
    return str_find(in[2], STR("x86_64"), 0) != SIZE_MAX && text_value(STR("amd64"), ret);
}

/*
 * As the makers number them: of Intel's 27.20.100.8853 it is 8853 that says something; NVIDIA's
 * 27.21.14.5671 is their 456.71, which stands in its last six characters.
 */
static bool driver_version(struct arena *a, const struct str in[], struct item_value *ret)
{
    struct str v = in[1];
    if (!v.p)
        return false;
    if (in[0].p && str_eq_nocase(in[0], STR("0x8086"))) {
        size_t n = v.n;
        while (n > 0 && v.p[n - 1] != '.')
            n--;
        return text_value(str_sub(v, n, SIZE_MAX), ret);
    }
    if (in[0].p && str_eq_nocase(in[0], STR("0x10de")) && v.n >= 6) {
        const char *end = v.p + v.n;
        return text_value(str_of(arena_printf(a, "%c%.2s.%.2s", end[-6], end - 4, end - 2)), ret);
    }
    return text_value(v, ret);
}

/* What the program writes into its notes when it finds two cards; no field has it. */
static bool has_dual_gpus(struct arena *a, const struct str in[], struct item_value *ret)
{
    (void)a;
    return truth_value(in[0].p && str_find(in[0], STR("Has dual GPUs"), 0) != SIZE_MAX, ret);
}

/* Only a process of a plug-in has a version of one. */
static bool is_plugin(struct arena *a, const struct str in[], struct item_value *ret)
{
    (void)a;
    return truth_value(in[0].p != NULL, ret);
}

/*
 * Addresses are different in every crash, and what tells is whether it is a null pointer, or a
 * member of one: no system maps the first 64 KiB (Linux: vm.mmap_min_addr; Windows: by design).
 */
static bool address(struct arena *a, const struct str in[], struct item_value *ret)
{
    static const uint64_t unmapped = 65536;
    (void)a;
    uint64_t at;
    struct str digits = in[0];
    if (!digits.p)
        return false;
    if (str_starts(digits, STR("0x")))
        digits = str_sub(digits, 2, SIZE_MAX);
    bool is_null = str_to_u64(digits, 16, UINT64_MAX, "address", &at, ERR_IGNORED) && at < unmapped;
    return text_value(is_null ? STR("null") : STR("non-null"), ret);
}

static const struct {
    const char *name;
    enum cause cause;
    const char *fields[INPUTS_MAX];
    bool (*make)(struct arena *a, const struct str in[],
                 struct item_value *ret); /* false: missing */
} derived[] = {
    {"CPU Info", CAUSE_CPU_INFO, {"cpu_info"}, cpu_info},
    {"Is Multicore", CAUSE_OTHER, {"cpu_info", "cpu_count"}, is_multicore},
    {"os_arch", CAUSE_OS_ARCH, {"total_virtual_memory", "platform", "platform_version"}, os_arch},
    {"adapter_driver_version_clean",
     CAUSE_DRIVER,
     {"adapter_vendor_id", "adapter_driver_version"},
     driver_version},
    {"has dual GPUs", CAUSE_OTHER, {"app_notes"}, has_dual_gpus},
    {"plugin", CAUSE_OTHER, {"plugin_version"}, is_plugin},
    {"address", CAUSE_OTHER, {"address"}, address},
};
const size_t derived_count = ARRAY_LEN(derived);

size_t build_field(const struct build *b, const char *name)
{
    for (size_t i = 0; i < b->values->n; i++)
        if (strcmp(b->values->fields[i].field->name, name) == 0)
            return i;
    return SIZE_MAX;
}

/* What is known of one derived property while the rows are gone through. */
struct deriving {
    struct build *b;
    size_t which;
    size_t fields[INPUTS_MAX];
    struct textmap combinations; /* ids of the inputs, as bytes */
    VEC(uint32_t) by_combination;
    struct textmap values; /* kind and text */
    VEC(struct item_value) value_list;
};

static uint32_t value_number(struct deriving *d, const struct item_value *v)
{
    struct arena *a = d->b->arena;
    struct str key =
        str_of(arena_printf(a, "%d%s", (int)v->kind, v->text.p ? str_adup(a, v->text) : ""));
    uint32_t number = textmap_number(&d->values, a, key);
    if (number == d->value_list.n)
        VEC_PUSH(&d->value_list, *v);
    return number + 1;
}

static uint32_t value_of_row(struct deriving *d, int set, size_t row)
{
    uint32_t ids[INPUTS_MAX] = {0};
    const struct sample *s = &d->b->samples[set];
    for (size_t i = 0; i < INPUTS_MAX; i++)
        ids[i] = d->fields[i] == SIZE_MAX ? 0 : sample_column(s, d->fields[i])[row];
    uint32_t number =
        textmap_number(&d->combinations, d->b->arena, str_n((const char *)ids, sizeof ids));
    if (number < d->by_combination.n)
        return d->by_combination.v[number];
    struct str in[INPUTS_MAX] = {0};
    struct item_value value;
    for (size_t i = 0; i < INPUTS_MAX; i++)
        if (ids[i])
            in[i] = sample_text(d->b->values, d->fields[i], ids[i]);
    uint32_t id = derived[d->which].make(d->b->arena, in, &value) ? value_number(d, &value) : 0;
    VEC_PUSH(&d->by_combination, id);
    return id;
}

bool derived_make(struct build *b, size_t which, struct property *ret)
{
    struct deriving d = {.b = b, .which = which};
    *ret = (struct property){
        .name = derived[which].name, .attribute = b->attributes++, .cause = derived[which].cause};
    bool any = false;
    for (size_t i = 0; i < INPUTS_MAX; i++) {
        const char *name = derived[which].fields[i];
        d.fields[i] = name ? build_field(b, name) : SIZE_MAX;
        any = any || d.fields[i] != SIZE_MAX;
    }
    if (!any)
        return false;
    size_t rows = 0; /* each has one combination, and that one value */
    for (int set = 0; set < SET_COUNT; set++)
        rows += b->samples[set].n;
    textmap_init(&d.combinations, rows);
    textmap_init(&d.values, rows);
    for (int set = 0; set < SET_COUNT; set++) {
        uint32_t *ids = xcalloc(b->samples[set].n + 1, sizeof *ids);
        for (size_t row = 0; row < b->samples[set].n; row++)
            ids[row] = value_of_row(&d, set, row);
        ret->ids[set] = ids;
    }
    ret->values = d.value_list.v;
    ret->value_count = d.value_list.n;
    textmap_release(&d.combinations);
    textmap_release(&d.values);
    VEC_RELEASE(&d.by_combination);
    return true;
}

void derived_free(struct property *p)
{
    for (int set = 0; set < SET_COUNT; set++)
        free((void *)(uintptr_t)p->ids[set]);
    free((void *)(uintptr_t)p->values);
}
