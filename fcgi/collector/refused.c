/*
 * A small table that is searched from its beginning: REFUSED_NAMES entries are compared in
 * microseconds, and only for reports that are refused anyway.  Who sends many invented names fills
 * it, and then no further name is counted until the mover has emptied it: memory and database stay
 * bounded, and an administrator sees the flood.
 */
#include "fcgi/collector/refused.h"

#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/shared.h"
#include "lib/base/util.h"
#include "queries.h"

enum { ARENA_MAX = 1 << 20 }; /* REFUSED_NAMES names of at most REFUSED_NAME_SIZE, and as arrays */

/* n grows only behind a complete entry, so the state a killed holder leaves is a good one. */
struct refused_table {
    pthread_mutex_t mutex;
    size_t n;
    struct refused_count v[REFUSED_NAMES];
};

bool refused_new(struct refused_table **ret, struct err *err)
{
    struct refused_table *t = shared_map(sizeof *t, "the table of refused products", err);
    if (!t)
        return false;
    shared_lock_init(&t->mutex);
    *ret = t;
    return true;
}

/* What a terminal obeys, or what makes a name look like another one: controls, soft hyphen, zero
 * width, direction, byte order mark, interlinear notes, tags (Unicode's general category Cf). */
static bool is_hidden(uint32_t cp)
{
    static const struct {
        uint32_t first, last;
    } hidden[] = {
        {0, 0x1F},        {0x7F, 0x9F},     {0xAD, 0xAD},     {0x200B, 0x200F},   {0x2028, 0x202E},
        {0x2060, 0x206F}, {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFD}, {0xE0000, 0xE0FFF},
    };
    for (size_t i = 0; i < ARRAY_LEN(hidden); i++)
        if (cp >= hidden[i].first && cp <= hidden[i].last)
            return true;
    return false;
}

/* The name as people see it and as it is counted: cut at a character, with a mark that it was. */
void refused_name(struct str product, char out[REFUSED_NAME_SIZE])
{
    static const uint32_t replacement = 0xFFFD; /* Unicode: what could not be read */
    char one[4];
    size_t n = 0, off = 0;
    while (off < product.n) {
        uint32_t cp = utf8_next(product, &off);
        size_t len = utf8_put(one, is_hidden(cp) ? replacement : cp);
        if (n + len > REFUSED_NAME_MAX) {
            n += utf8_put(out + n, replacement); /* room for that is kept */
            break;
        }
        memcpy(out + n, one, len);
        n += len;
    }
    out[n] = '\0';
}

void refused_add(struct refused_table *t, struct str product, uint64_t count)
{
    char name[REFUSED_NAME_SIZE];
    size_t i = 0;
    refused_name(product, name);
    shared_lock(&t->mutex);
    while (i < t->n && strcmp(t->v[i].name, name) != 0)
        i++;
    if (i < t->n) {
        t->v[i].count += count;
    } else if (i < REFUSED_NAMES) {
        memcpy(t->v[i].name, name, sizeof name);
        t->v[i].count = count;
        __atomic_store_n(&t->n, i + 1, __ATOMIC_RELEASE);
    }
    shared_unlock(&t->mutex);
}

/* Counts are either still in the table or with the caller, who puts back what it cannot write; a
 * mover that is killed in between loses them. */
size_t refused_take(struct refused_table *t, struct refused_count *out)
{
    shared_lock(&t->mutex);
    size_t n = t->n;
    memcpy(out, t->v, n * sizeof *out);
    t->n = 0;
    shared_unlock(&t->mutex);
    return n;
}

static bool write_counts(struct db *db, const struct refused_count *v, size_t n, struct arena *a,
                         struct err *err)
{
    struct strs names = {.v = arena_array(a, n, sizeof(struct str)), .n = n};
    struct strs counts = {.v = arena_array(a, n, sizeof(struct str)), .n = n};
    for (size_t i = 0; i < n; i++) {
        names.v[i] = str_of(v[i].name);
        counts.v[i] = str_of(db_int(a, (int64_t)v[i].count));
    }
    return DB_EXEC(db, &q_rejected_product_add, err, db_text_array(a, names),
                   db_text_array(a, counts));
}

/* Counts that come while it writes go with the next ones. */
bool refused_flush(struct refused_table *t, struct db *db, struct err *err)
{
    FREE_LATER struct refused_count *v = xcalloc(REFUSED_NAMES, sizeof *v);
    size_t n = refused_take(t, v);
    if (n == 0)
        return true;
    struct arena a;
    arena_init(&a, ARENA_MAX);
    bool written = write_counts(db, v, n, &a, err);
    if (!written)
        for (size_t i = 0; i < n; i++)
            refused_add(t, str_of(v[i].name), v[i].count);
    bool ok = written && DB_EXEC(db, &q_rejected_product_trim, err, db_int(&a, REFUSED_KEPT));
    arena_release(&a);
    return ok;
}
