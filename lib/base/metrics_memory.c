/*
 * Finding the series of an event, and making it when it is the first: see metrics_memory.h for what
 * lies where.  Looking takes no lock.  Making takes one, and happens some hundred times in the life
 * of a program.
 */
#include "lib/base/metrics_memory.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/metrics_table.h"
#include "lib/base/shared.h"
#include "lib/base/str.h"
#include "lib/base/time.h"

/* What would end a tag, a line of either form or a quoted text becomes '_'. */
size_t metric_put_clean(char *out, size_t room, const char *text)
{
    size_t n = 0;
    for (; n < room && text[n]; n++)
        out[n] = (unsigned char)text[n] < ' ' || text[n] == 0x7f || strchr(",|#\"\\", text[n])
                     ? '_'
                     : text[n];
    while (n > 0 && text[n] && ((unsigned char)text[n] & 0xc0) == 0x80) /* whole characters */
        n--;
    return n;
}

static bool is_among(struct str values, const char *value)
{
    struct str one;
    while (str_split(&values, '/', &one))
        if (str_eq(one, str_of(value)))
            return true;
    return false;
}

/*
 * "name:value,name:value".  A value that the table does not know of becomes "other", as does each
 * when `is_other`; values that are not given are empty.
 */
static size_t labels_text(const struct metric_row *row, const char *const *values, bool is_other,
                          char out[METRIC_LABELS_BYTES])
{
    size_t n = 0, count = metric_label_count(row);
    for (size_t i = 0; i < count; i++) {
        struct str name, known;
        metric_label(row, i, &name, &known);
        const char *value = *values ? *values++ : "";
        if (known.n ? !is_among(known, value) : is_other)
            value = "other";
        size_t left = METRIC_LABELS_BYTES - 1 - n, share = left / (count - i);
        if (name.n + 2 >= share)
            break;
        if (i)
            out[n++] = ',';
        memcpy(out + n, name.p, name.n);
        n += name.n;
        out[n++] = ':';
        n += metric_put_clean(out + n, share - name.n - 2, value);
    }
    memset(out + n, 0, METRIC_LABELS_BYTES - n);
    return n;
}

static struct metric_series *find_series(struct metric_memory *mem, enum metric id,
                                         const char *labels, uint64_t hash, uint32_t *ret_place)
{
    uint32_t at = (uint32_t)hash & (SERIES_PLACES - 1);
    for (;; at = (at + 1) & (SERIES_PLACES - 1)) {
        uint32_t number = atomic_load_explicit(&mem->places[at], memory_order_acquire);
        *ret_place = at;
        if (number == 0)
            return NULL;
        struct metric_series *s = &mem->series[number - 1];
        if (s->metric == id && strcmp(s->labels, labels) == 0)
            return s;
    }
}

/* Under the lock.  NULL: there is no place for one more. */
static struct metric_series *make_series(struct metric_memory *mem, enum metric id,
                                         const char *labels, uint64_t hash, bool is_other)
{
    uint32_t place, n = atomic_load(&mem->n);
    struct metric_series *s = find_series(mem, id, labels, hash, &place);
    if (s == &mem->series[n]) /* whoever made it was killed before it counted */
        atomic_store_explicit(&mem->n, n + 1, memory_order_release);
    if (s)
        return s;
    uint32_t most = is_other ? ALL_SERIES_MAX : ALL_SERIES_MAX - SERIES_OTHER;
    if (n >= most || (!is_other && mem->of_metric[id] >= METRIC_SERIES_MAX))
        return NULL;
    s = &mem->series[n];
    memset(s, 0, sizeof *s);
    s->metric = id;
    memcpy(s->labels, labels, METRIC_LABELS_BYTES);
    mem->of_metric[id]++;
    atomic_store_explicit(&mem->places[place], n + 1, memory_order_release);
    atomic_store_explicit(&mem->n, n + 1, memory_order_release);
    return s;
}

static struct metric_series *get_series(struct metric_memory *mem, enum metric id,
                                        const char *const *values, bool is_other)
{
    char labels[METRIC_LABELS_BYTES];
    uint32_t place;
    size_t n = labels_text(&metric_rows[id], values, is_other, labels);
    uint64_t hash = hash64_seed(labels, n, id);
    struct metric_series *s = find_series(mem, id, labels, hash, &place);
    if (s)
        return s;
    shared_lock(&mem->growing);
    s = make_series(mem, id, labels, hash, is_other);
    shared_unlock(&mem->growing);
    return s;
}

struct metric_series *metric_series_of(struct metric_memory *mem, enum metric id,
                                       const char *const *values)
{
    struct metric_series *s = get_series(mem, id, values, false);
    return s ? s : get_series(mem, id, values, true);
}

/*
 * Every combination of values that the table knows is there from the beginning, so that a rate can
 * be taken of the very first event.
 */
static void make_known(struct metric_memory *mem, enum metric id, const char **values, size_t i)
{
    const struct metric_row *row = &metric_rows[id];
    struct str name, known, one;
    if (i == metric_label_count(row)) {
        values[i] = NULL;
        get_series(mem, id, values, false);
        return;
    }
    metric_label(row, i, &name, &known);
    while (known.n && str_split(&known, '/', &one)) {
        char value[METRIC_LABELS_BYTES];
        snprintf(value, sizeof value, STR_FMT, STR_ARG(one));
        values[i] = value;
        make_known(mem, id, values, i + 1);
        values[i] = NULL;
    }
}

static void make_all_known(struct metric_memory *mem, enum metric_program program)
{
    const char *values[METRIC_LABELS_MAX + 1];
    for (enum metric id = 0; id < METRIC_TOTAL; id++)
        if (metric_rows[id].programs & program)
            make_known(mem, id, values, 0);
}

static uint64_t hash_of_table(void)
{
    uint64_t hash = sizeof(struct metric_memory);
    for (enum metric id = 0; id < METRIC_TOTAL; id++)
        hash = hash64_seed(metric_rows[id].name, strlen(metric_rows[id].name), hash);
    return hash;
}

static const char magic[8] = "DatilM1";

void metrics_begin_memory(struct metric_memory *mem, enum metric_program program)
{
    shared_lock_init(&mem->growing);
    mem->program = program;
    mem->started_s = now_s();
    mem->table_hash = hash_of_table();
    make_all_known(mem, program);
    const char *const name[] = {metrics_name_of(program), NULL};
    atomic_store(&get_series(mem, METRIC_PROGRAM_UP, name, false)->value, 1);
    atomic_store(&get_series(mem, METRIC_PROGRAM_START_TIME, name, false)->value,
                 (uint64_t)mem->started_s);
    memcpy(mem->magic, magic, sizeof magic);
}

bool metrics_memory_is_ours(const struct metric_memory *mem, size_t bytes)
{
    return bytes == sizeof *mem && memcmp(mem->magic, magic, sizeof magic) == 0 &&
           mem->table_hash == hash_of_table() && atomic_load(&mem->n) <= ALL_SERIES_MAX;
}
