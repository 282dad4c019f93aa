/*
 * Finding crashes by the value of an annotation.  The raw crashes themselves are read, all of the
 * days in question: the index does not know every annotation, keeps some of them cut or in lower
 * case, and may lack a week.
 *
 * The value is compared as a digest, so that a search that goes on in another process needs to
 * know no more than the first one has written down.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/export/export.h"
#include "lib/json/json.h"
#include "lib/purge/purge_inside.h"
#include "lib/search/index.h"
#include "queries.h"
#include "lib/base/hash.h"
#include "lib/db/db.h"
#include "lib/store/store.h"

void purge_digest(const char *salt, struct str value, char out[SHA256_HEX + 1])
{
    uint8_t digest[SHA256_BYTES];
    struct sha256 h;
    sha256_init(&h);
    sha256_add(&h, salt, strlen(salt));
    sha256_add(&h, value.p, value.n);
    sha256_finish(&h, digest);
    for (size_t i = 0; i < SHA256_BYTES; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

void purge_salt(char out[PURGE_SALT_HEX + 1])
{
    uint8_t bytes[PURGE_SALT_HEX / 2];
    random_bytes(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

bool purge_days(const struct purge_tools *t, const struct purge_target *w, const char *after,
                struct arena *a, struct strs *ret, struct err *err)
{
    struct strs all = {0};
    if (!store_days(t->store, a, &all, err))
        return false;
    ret->v = arena_array(a, all.n + 1, sizeof *ret->v);
    ret->n = 0;
    for (size_t i = 0; i < all.n; i++)
        if (strcmp(all.v[i].p, after) > 0 && strcmp(all.v[i].p, w->first_day) >= 0 &&
            (!*w->last_day || strcmp(all.v[i].p, w->last_day) <= 0))
            ret->v[ret->n++] = all.v[i];
    return true;
}

struct day_search {
    const struct purge_tools *tools;
    const struct purge_target *target;
    struct purge_progress *progress;
    const struct purge_visit *visit;
    int64_t asked_ms;   /* when goes_on was asked */
    bool is_left;       /* it said no */
    struct arena arena; /* of a batch */
    struct strs batch;
    struct err *err;
    bool ok;
};

static bool hand_over(struct day_search *s)
{
    s->ok = s->batch.n == 0 || s->visit->take(s->visit->arg, s->batch, s->err);
    arena_reset(&s->arena);
    s->batch = (struct strs){.v = arena_array(&s->arena, PURGE_BATCH, sizeof(struct str))};
    return s->ok;
}

static bool is_meant(const struct purge_target *w, const json_t *raw)
{
    char digest[SHA256_HEX + 1];
    if (*w->product && !str_eq(jget_strn(raw, "ProductName"), str_of(w->product)))
        return false;
    for (size_t i = 0; i < w->names.n; i++)
        if (json_object_get(raw, w->names.v[i].p))
            return true;
    if (w->names.n || !json_is_string(json_object_get(raw, w->annotation)))
        return false;
    purge_digest(w->salt, jget_strn(raw, w->annotation), digest);
    return strcmp(digest, w->digest) == 0;
}

/* s->ok may become false as well: the answer of goes_on comes from the database. */
static bool goes_on(struct day_search *s)
{
    enum { ASK_EVERY_MS = 500 };
    bool is_wanted = true;
    if (!s->visit->goes_on || mono_ms() - s->asked_ms < ASK_EVERY_MS)
        return true;
    s->asked_ms = mono_ms();
    s->ok = s->visit->goes_on(s->visit->arg, &is_wanted, s->err);
    s->is_left = !is_wanted;
    return s->ok && is_wanted;
}

/* A crash without raw crash was deleted meanwhile. */
static bool look_at_crash(void *arg, const char *id)
{
    struct day_search *s = arg;
    const struct purge_tools *t = s->tools;
    struct err why = {0};
    if (!goes_on(s))
        return false;
    json_auto_t *raw = store_get_json(t->store, id, "raw_crash", JSON_BYTES_MAX, &why);
    if (!raw) {
        s->ok = why.code == ERR_NOT_FOUND ||
                err_set(s->err, why.code, "raw crash of %s: %s", id, why.msg);
        return s->ok;
    }
    s->progress->seen++;
    if (t->progress)
        t->progress(t->arg, s->progress);
    if (!is_meant(s->target, raw))
        return true;
    s->progress->found++;
    if (t->found)
        t->found(t->arg, id);
    s->batch.v[s->batch.n++] = str_of(arena_strdup(&s->arena, id));
    return s->batch.n < PURGE_BATCH || hand_over(s);
}

bool purge_day(const struct purge_tools *t, const struct purge_target *w, const char *day,
               struct purge_progress *p, const struct purge_visit *v, struct err *err)
{
    struct day_search s = {
        .tools = t, .target = w, .progress = p, .visit = v, .err = err, .ok = true};
    arena_init(&s.arena, 1 << 20);
    s.batch.v = arena_array(&s.arena, PURGE_BATCH, sizeof(struct str));
    bool ok = store_catalog(t->store, day, "raw_crash", look_at_crash, &s, err) && s.ok &&
              (s.is_left || hand_over(&s));
    arena_release(&s.arena);
    return ok;
}

bool purge_places(const struct purge_tools *t, struct index_reader *index, struct strs ids,
                  struct purge_progress *p, struct err *err)
{
    size_t exported;
    struct arena a;
    DB_ROWS rows = {0};
    arena_init(&a, 1 << 20);
    bool ok = DB_RUN(t->db, &q_purge_in_statistics, &rows, err, db_text_array(&a, ids));
    arena_release(&a);
    if (!ok)
        return false;
    p->in_statistics += strtoul(db_col(&rows, 0, Q_PURGE_IN_STATISTICS_COL_N), NULL, 10);
    if (!export_count(conf_text(t->conf, CONF_DATIL_VAR), ids, &exported, err))
        return false;
    p->in_export += exported;
    for (size_t i = 0; i < ids.n; i++) {
        bool is_in_index;
        if (!index_has(index, ids.v[i].p, &is_in_index, err))
            return false;
        p->in_index += is_in_index;
        p->in_processed += store_exists(t->store, ids.v[i].p, "processed_crash");
        p->in_export += store_exists(t->store, ids.v[i].p, "crash_report");
    }
    return true;
}
