/*
 * The versions of a build, out of the table product_version, with a cache in front: a beta has one
 * build and thousands of crashes.  A build that is known stays known for a day; one that is not may
 * be entered any minute, so that answer is good for half an hour.  A failure of the database is no
 * answer and is not kept.
 *
 * The cache is direct-mapped: a key has one slot, and takes it from whoever is in it.  So its size
 * is fixed, nothing has to be found out to make room, and the worst that names of strangers can do
 * is that the database is asked more often.
 */
#include "processor/version_cache.h"

#include <stdlib.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "queries.h"

enum {
    SLOTS = 4096,  /* four builds a day of ten products for a hundred days, 24 bytes each */
    KEY_MAX = 300, /* product (100 bytes), channel and build id of 14 digits */
    FOUND_MS = 24 * 3600 * 1000, /* a build's version does not change */
    EMPTY_MS = 30 * 60 * 1000, /* chosen: a new build is entered within hours of its first crash */
    ARENA_BYTES_MAX = 1 << 16, /* the parameters of one statement: the parts of a key */
};

struct version_slot {
    char *key;    /* owned; NULL: free */
    json_t *list; /* owned */
    int64_t good_until_ms;
};

struct version_cache {
    struct db *db;
    struct metrics *metrics;
    uint64_t seed; /* the names are strangers': nobody can aim at the slot of another */
    struct version_slot slots[SLOTS];
};

struct version_cache *version_cache_new(struct db *db, struct metrics *metrics)
{
    struct version_cache *v = xcalloc(1, sizeof *v);
    v->db = db;
    v->metrics = metrics;
    v->seed = random_u64();
    return v;
}

static void clear_slot(struct version_slot *s)
{
    free(s->key);
    json_decref(s->list);
    *s = (struct version_slot){0};
}

void version_cache_free(struct version_cache *v)
{
    if (!v)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        clear_slot(&v->slots[i]);
    free(v);
}

static json_t *look_up(struct version_cache *v, struct str product, struct str channel,
                       struct str build)
{
    struct arena a;
    struct err err = {0};
    DB_ROWS rows = {0};
    arena_init(&a, ARENA_BYTES_MAX);
    bool ok = DB_RUN(v->db, &q_version_strings, &rows, &err, str_adup(&a, product),
                     str_adup(&a, channel), str_adup(&a, build));
    arena_release(&a);
    if (!ok) {
        log_event(LOG_WARN, "version_lookup_failed", "versions are unknown", LOG_E(&err));
        return NULL;
    }
    json_t *list = json_array();
    for (int i = 0; i < rows.count; i++)
        json_array_append_new(
            list, jtext(str_of(db_col(&rows, i, Q_VERSION_STRINGS_COL_VERSION_STRING))));
    return list;
}

static json_t *cached_versions(void *ctx, struct str product, struct str channel, struct str build)
{
    struct version_cache *v = ctx;
    STRBUF_AUTO key;
    sb_init(&key, KEY_MAX);
    struct str parts[] = {product, channel, build};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        /* A NUL would end the parameter of the statement early and ask for something else. */
        if (str_find_char(parts[i], '\0', 0) != SIZE_MAX)
            return NULL;
        sb_str(&key, parts[i]);
        sb_char(&key, '\n');
    }
    /* No product, channel or build is that long. */
    if (key.overflow)
        return NULL;

    struct version_slot *s = &v->slots[hash64_seed(key.p, key.n, v->seed) % SLOTS];
    bool is_known = s->key && strcmp(s->key, key.p) == 0 && mono_ms() < s->good_until_ms;
    metric_add(v->metrics, METRIC_BETA_CACHE, 1, is_known ? "hit" : "miss");
    if (is_known)
        return json_incref(s->list);
    json_t *list = look_up(v, product, channel, build);
    metric_add(v->metrics, METRIC_BETA_LOOKUP, 1, json_array_size(list) ? "success" : "fail");
    if (!list)
        return NULL;
    clear_slot(s);
    *s = (struct version_slot){
        .key = str_dup(sb_view(&key)),
        .list = json_incref(list),
        .good_until_ms = mono_ms() + (json_array_size(list) ? FOUND_MS : EMPTY_MS),
    };
    return list;
}

struct version_source version_cache_source(struct version_cache *v)
{
    return (struct version_source){.find = cached_versions, .ctx = v};
}
