/*
 * Symbols that somebody asked for and nobody has, counted in memory and written together: a crash
 * of a program without symbols asks for hundreds at a time, and each would be a transaction.  What
 * is not yet written is lost with the process, never more than FLUSH_AFTER_MS of it; these are
 * statistics.
 *
 * A row has five texts, which are its key, and a count; the same symbols are asked for by hundreds
 * of crashes in a minute, so counting before writing turns them into one row to update. The names
 * are a stranger's: their length and the number of different ones between two writes are bounded,
 * and what is beyond is not counted, never an error.
 */
#include "lib/symfile/missing.h"

#include <stdlib.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "queries.h"

enum {
    ENTRIES_MAX =
        1000, /* different symbols between two writes; beyond it the rest is not counted */
    FLUSH_AFTER_MS = 10000, /* people look at the list by the day; a write then is cheap */
    PART_MAX = 150,         /* bytes of a name; longer ones are not recorded */
    ID_MIN = 9,             /* digits of an id worth remembering; both numbers are Tecken's */
};

enum { FIELDS = 5 }; /* debug file and id, symbols file, code file and id */

/* The five fields are the key of a row of missing_symbol; code file and id may be empty. */
struct missing_entry {
    char *fields[FIELDS];    /* symbol, debug id, file name, code file, code id; owned */
    char *product, *version; /* of the last crash that wanted it, or empty; owned */
    uint64_t hash;           /* of the fields: most comparisons end here */
    int64_t count;
};

struct missing {
    VEC(struct missing_entry) entries;
    int64_t oldest_ms;
    bool is_waiting; /* the last try to write found no database */
};

struct missing *missing_new(void)
{
    return xcalloc(1, sizeof(struct missing));
}

/* Keeps the room of the table for the next ones. */
static void clear_entries(struct missing *m)
{
    for (size_t i = 0; i < m->entries.n; i++) {
        struct missing_entry *e = &m->entries.v[i];
        for (size_t f = 0; f < ARRAY_LEN(e->fields); f++)
            free(e->fields[f]);
        free(e->product);
        free(e->version);
    }
    m->entries.n = 0;
}

void missing_free(struct missing *m)
{
    clear_entries(m);
    VEC_RELEASE(&m->entries);
    free(m);
}

/* Is it the name of something that a walker would want?  Debuggers ask for .pdb, .pd_ too. */
static bool is_worth_recording(const struct symkey *key, const struct missing_about *about)
{
    const char *id = key->debug_id;
    bool has_id = strlen(id) >= ID_MIN && id[strspn(id, "0")];
    struct str file = str_of(key->file);
    bool kind =
        str_ends(file, STR(".sym")) || str_ends(file, STR(".pdb")) || str_ends(file, STR(".pd_"));
    return kind && has_id && file.n <= PART_MAX && strlen(key->debug_file) <= PART_MAX &&
           about->code_file.n <= PART_MAX && about->code_id.n <= PART_MAX;
}

/* The count of fields goes in, so that an empty field between two others counts. */
static uint64_t hash_of(const struct str fields[FIELDS])
{
    uint64_t h = 0;
    for (size_t f = 0; f < FIELDS; f++)
        h = fields[f].n ? hash64_seed(fields[f].p, fields[f].n, h + 1) : h + 1;
    return h;
}

/* At most ENTRIES_MAX hashes are compared: microseconds beside a request. */
static struct missing_entry *find_entry(struct missing *m, const struct str fields[FIELDS],
                                        uint64_t hash)
{
    for (size_t i = 0; i < m->entries.n; i++) {
        bool same = m->entries.v[i].hash == hash;
        for (size_t f = 0; f < FIELDS && same; f++)
            same = str_eq(str_of(m->entries.v[i].fields[f]), fields[f]);
        if (same)
            return &m->entries.v[i];
    }
    return NULL;
}

/* What is too long to be a name of ours is none. */
static struct str short_name(struct str s)
{
    return s.n <= PART_MAX ? s : STR("");
}

/* Who asks over HTTP names no product, and leaves what a crash said. */
static void note_product(struct missing_entry *e, const struct missing_about *about)
{
    struct str product = short_name(about->product), version = short_name(about->version);
    if (product.n == 0 ||
        (str_eq(str_of(e->product), product) && str_eq(str_of(e->version), version)))
        return;
    free(e->product);
    free(e->version);
    e->product = str_dup(product);
    e->version = str_dup(version);
}

/* When the table is full, only symbols that are in it already are counted, until the next write. */
void missing_record(struct missing *m, const struct symkey *key, const struct missing_about *about)
{
    if (!is_worth_recording(key, about))
        return;
    const struct str fields[FIELDS] = {str_of(key->debug_file), str_of(key->debug_id),
                                       str_of(key->file), about->code_file, about->code_id};
    uint64_t hash = hash_of(fields);
    struct missing_entry *known = find_entry(m, fields, hash);
    if (known) {
        known->count++;
        note_product(known, about);
        return;
    }
    if (m->entries.n == ENTRIES_MAX)
        return;
    if (m->entries.n == 0)
        m->oldest_ms = mono_ms();
    struct missing_entry e = {
        .count = 1, .hash = hash, .product = xstrdup(""), .version = xstrdup("")};
    for (size_t f = 0; f < FIELDS; f++)
        e.fields[f] = str_dup(fields[f]);
    note_product(&e, about);
    VEC_PUSH(&m->entries, e);
}

static int by_hash(const void *a, const void *b)
{
    uint64_t x = ((const struct missing_entry *)a)->hash,
             y = ((const struct missing_entry *)b)->hash;
    return (x > y) - (x < y);
}

/* One statement with an array for each column. */
static bool write_entries(const struct missing *m, struct db *db, struct arena *a, struct err *err)
{
    size_t n = m->entries.n;
    struct strs columns[FIELDS + 3];
    for (size_t c = 0; c < ARRAY_LEN(columns); c++) {
        columns[c] = (struct strs){.v = arena_array(a, n, sizeof(struct str)), .n = n};
        for (size_t i = 0; i < n; i++) {
            const struct missing_entry *e = &m->entries.v[i];
            const char *const rest[] = {db_int(a, e->count), e->product, e->version};
            columns[c].v[i] = str_of(c < FIELDS ? e->fields[c] : rest[c - FIELDS]);
        }
    }
    return DB_EXEC(
        db, &q_missing_symbol_add, err, db_text_array(a, columns[0]), db_text_array(a, columns[1]),
        db_text_array(a, columns[2]), db_text_array(a, columns[3]), db_text_array(a, columns[4]),
        db_text_array(a, columns[5]), db_text_array(a, columns[6]), db_text_array(a, columns[7]));
}

/* For the poll of the caller's loop: -1 nothing to write, 0 now, else the time until then. */
int missing_due_ms(const struct missing *m)
{
    if (m->entries.n == 0)
        return -1;
    int64_t age = mono_ms() - m->oldest_ms;
    bool is_full = m->entries.n == ENTRIES_MAX && !m->is_waiting;
    return is_full || age >= FLUSH_AFTER_MS ? 0 : (int)(FLUSH_AFTER_MS - age);
}

/* A database that is away is asked again after the same time; meanwhile the first ones stay. */
void missing_flush(struct missing *m, struct db *db, bool now)
{
    if (m->entries.n == 0 || !(now || missing_due_ms(m) == 0))
        return;
    struct arena a;
    struct err err = {0};
    arena_init(&a, 64 << 20);
    /* Everybody locks rows in the same order, so no two writers wait for each other. */
    qsort(m->entries.v, m->entries.n, sizeof *m->entries.v, by_hash);
    bool ok = write_entries(m, db, &a, &err);
    arena_release(&a);
    m->is_waiting = !ok && err_is_retryable(err.code);
    if (m->is_waiting)
        m->oldest_ms = mono_ms();
    else
        clear_entries(m);
    if (!ok)
        log_event(LOG_WARN, "missing_symbols_late", "cannot record missing symbols", LOG_E(&err),
                  LOG_I("kept", (int64_t)m->entries.n));
}
