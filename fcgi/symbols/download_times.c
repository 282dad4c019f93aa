/*
 * The last download of each file, to the hour.  A worker writes what it has seen once a minute, or
 * earlier when the table is full; what a killed worker had not written is an hour that retention
 * counts from too early, of a file that is kept for weeks.
 *
 * Retention asks when a file was last wanted, and an hour is exact enough for weeks. A row for each
 * download would be the largest table of the server; with an hour's step a file that everybody
 * fetches costs one update an hour and worker.
 */
#include "fcgi/symbols/download_times.h"

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "queries.h"

enum {
    KEYS_MAX = 1000,        /* between two writes */
    FLUSH_AFTER_MS = 60000, /* a sixtieth of what the time is told to */
    ARENA_MAX = 4 << 20     /* twice the keys, as texts and as an array of the database */
};

struct download_times {
    struct textmap keys[SYMSTORE_AREA_COUNT];
    struct arena arena; /* of their texts */
    size_t count;
    int64_t oldest_ms;
};

static void forget_all(struct download_times *t)
{
    for (size_t i = 0; i < ARRAY_LEN(t->keys); i++) {
        textmap_release(&t->keys[i]);
        textmap_init(&t->keys[i], KEYS_MAX);
    }
    arena_reset(&t->arena);
    t->count = 0;
}

struct download_times *download_times_new(void)
{
    struct download_times *t = xcalloc(1, sizeof *t);
    arena_init(&t->arena, ARENA_MAX);
    forget_all(t);
    return t;
}

void download_times_free(struct download_times *t)
{
    for (size_t i = 0; i < ARRAY_LEN(t->keys); i++)
        textmap_release(&t->keys[i]);
    arena_release(&t->arena);
    free(t);
}

void download_times_note(struct download_times *t, enum symstore_area area, const char *key)
{
    if (t->count == 0)
        t->oldest_ms = mono_ms();
    if (t->count < KEYS_MAX)
        textmap_number(&t->keys[area], &t->arena, str_of(key));
    t->count = 0;
    for (size_t i = 0; i < ARRAY_LEN(t->keys); i++)
        t->count += t->keys[i].texts.n;
}

int download_times_due_ms(const struct download_times *t)
{
    if (t->count == 0)
        return -1;
    int64_t age = mono_ms() - t->oldest_ms;
    return t->count >= KEYS_MAX || age >= FLUSH_AFTER_MS ? 0 : (int)(FLUSH_AFTER_MS - age);
}

void download_times_flush(struct download_times *t, struct db *db, bool now)
{
    if (t->count == 0 || !(now || download_times_due_ms(t) == 0))
        return;
    struct err err = {0};
    struct strs areas = {.v = arena_array(&t->arena, t->count, sizeof(struct str))};
    struct strs keys = {.v = arena_array(&t->arena, t->count, sizeof(struct str))};
    for (size_t i = 0; i < ARRAY_LEN(t->keys); i++)
        for (size_t k = 0; k < t->keys[i].texts.n; k++) {
            areas.v[areas.n++] = str_of(symstore_area_names[i]);
            keys.v[keys.n++] = t->keys[i].texts.v[k];
        }
    if (!DB_EXEC(db, &q_symbol_downloaded, &err, db_text_array(&t->arena, areas),
                 db_text_array(&t->arena, keys)))
        log_event(LOG_WARN, "download_times_lost", "cannot record downloads", LOG_E(&err));
    forget_all(t);
}
