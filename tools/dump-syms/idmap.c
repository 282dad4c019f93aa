#include "tools/dump-syms/idmap.h"

#include "lib/base/util.h"

static size_t slot_of(const struct idmap *m, uint64_t key)
{
    size_t at = (size_t)((key * 0x9e3779b97f4a7c15u) >> 20) & (m->slots - 1);
    while (m->keys[at] && m->keys[at] != key)
        at = (at + 1) & (m->slots - 1);
    return at;
}

static void grow(struct idmap *m)
{
    struct idmap bigger = {.slots = m->slots ? m->slots * 2 : 4096, .used = m->used};
    bigger.keys = xcalloc(bigger.slots, sizeof *bigger.keys);
    bigger.values = xcalloc(bigger.slots, sizeof *bigger.values);
    for (size_t i = 0; i < m->slots; i++)
        if (m->keys[i]) {
            size_t at = slot_of(&bigger, m->keys[i]);
            bigger.keys[at] = m->keys[i];
            bigger.values[at] = m->values[i];
        }
    free(m->keys);
    m->keys = bigger.keys;
    free(m->values);
    m->values = bigger.values;
    m->slots = bigger.slots;
}

void idmap_set(struct idmap *m, uint64_t key, uint32_t value)
{
    if (m->used * 2 >= m->slots)
        grow(m);
    size_t at = slot_of(m, key);
    m->used += m->keys[at] == 0;
    m->keys[at] = key;
    m->values[at] = value;
}

bool idmap_get(const struct idmap *m, uint64_t key, uint32_t *ret_value)
{
    if (m->slots == 0)
        return false;
    size_t at = slot_of(m, key);
    if (!m->keys[at])
        return false;
    *ret_value = m->values[at];
    return true;
}

void idmap_release(struct idmap *m)
{
    free(m->keys);
    free(m->values);
    *m = (struct idmap){0};
}
