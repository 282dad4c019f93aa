/*
 * After a change of signature lists or rules most signatures stay as they are, and to process every
 * crash again to find the others would take days.  Crashes of one signature have much in common, so
 * of each signature some are called anew, without dump and symbols; if one of them
 * changes, all crashes of the signature are worth doing again.  What the samples do not show is
 * missed, which is why the count of samples stands beside.
 *
 * Two walks over the index: one for signatures and their samples, one for the crashes of those
 * that change.
 */
#include "tools/datil/affected.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/crash/crash_id.h"
#include "lib/crash/field.h"
#include "lib/json/json.h"
#include "lib/search/query.h"
#include "lib/search/search.h"
#include "lib/signature/signature.h"
#include "lib/signature/signature_preview.h"
#include "tools/datil/app.h"
#include "tools/datil/progress.h"

/*
 * Five samples find a change of one crash in three with seven chances in eight.  An installation
 * has ten thousands of signatures; 200,000 with their samples are 60 MB.
 */
enum { SAMPLES = 5, SIGNATURES_MAX = 200000, TEXTS_BYTES_MAX = 512 << 20 };

struct affected_signature {
    size_t crashes, samples;
    char ids[SAMPLES][CRASH_ID_SIZE];
    bool is_affected;
};

struct affected_walk {
    struct textmap numbers; /* signature -> place in v */
    VEC(struct affected_signature) v;
    struct arena arena; /* names of signatures */
    size_t left_out;    /* crashes of signatures beyond SIGNATURES_MAX */
    struct found_ids *ids;
    struct err why; /* of a list that has become too long */
};

/* The newest crashes come last and take the places of older ones in turn. */
static bool note_hit(void *arg, const json_t *hit)
{
    struct affected_walk *w = arg;
    uint32_t number = textmap_number(&w->numbers, &w->arena, jget_strn(hit, "signature"));
    if (number == TEXTMAP_FULL) {
        w->left_out++;
        return true;
    }
    if (number == w->v.n)
        VEC_PUSH(&w->v, (struct affected_signature){0});
    struct affected_signature *s = &w->v.v[number];
    if (crash_id_parse(jget_strn(hit, "uuid"), s->ids[s->crashes % SAMPLES]))
        s->samples = MIN(s->samples + 1, (size_t)SAMPLES);
    s->crashes++;
    return true;
}

/* Crashes that came since the first walk have their signatures from the new lists. */
static bool take_hit(void *arg, const json_t *hit)
{
    struct affected_walk *w = arg;
    struct found_crash crash = {0};
    uint32_t number = textmap_number(&w->numbers, &w->arena, jget_strn(hit, "signature"));
    if (number < w->v.n && w->v.v[number].is_affected &&
        crash_id_parse(jget_strn(hit, "uuid"), crash.id))
        return found_add(w->ids, &crash, &w->why);
    return true;
}

static bool walk_index(struct app *app, search_each_hit *each, struct affected_walk *w,
                       struct err *err)
{
    const struct search_field *fields[] = {search_field_find(app->fields, STR("uuid")),
                                           search_field_find(app->fields, STR("signature"))};
    const struct search_context ctx = {.now_us = now_us(), .reader = PERM_PROTECTED};
    const struct search_query q = {
        .fields = app->fields,
        .from_us = ctx.now_us - conf_int(&app->conf, CONF_RETENTION_DAYS) * DAY_US,
        .to_us = ctx.now_us + DAY_US,
        .columns = fields,
        .column_count = ARRAY_LEN(fields),
    };
    size_t missing = 0;
    bool ok = search_each(app->reader, &ctx, &q, each, w, &missing, err);
    if (w->why.code != ERR_NONE)
        return err_set(err, w->why.code, "%s", w->why.msg);
    if (!ok)
        return err_wrap(err, "search");
    if (missing)
        fprintf(stderr, "%zu weeks of the index could not be read\n", missing);
    return true;
}

/* "old -> new" of the samples that would change. */
static bool try_signature(struct app *app, const struct siglists *lists,
                          struct affected_signature *s, struct progress *progress, struct err *err)
{
    json_auto_t *changes = json_object();
    size_t seen = 0, changed = 0;
    const char *text;
    json_t *count;
    for (size_t i = 0; i < s->samples; i++)
        if (!signature_preview(app->store, lists, s->ids[i], changes, &seen, err))
            return false;
    if (json_object_size(changes))
        progress_clear(progress);
    json_object_foreach (changes, text, count) {
        changed += (size_t)json_integer_value(count);
        printf("%7zu crashes  %s\n", s->crashes, text);
    }
    s->is_affected = changed > 0;
    if (changed && changed < seen)
        printf("                 (%zu of %zu samples)\n", changed, seen);
    return true;
}

static bool try_all(struct app *app, struct affected_walk *w, size_t *ret_affected, struct err *err)
{
    const char *dir = conf_text(&app->conf, CONF_SIGNATURE_LISTS_DIR);
    struct siglists *lists;
    struct progress progress = {.what = "samples", .unit = "signatures", .total = w->v.n};
    if (!siglists_load(dir && *dir ? dir : NULL, &lists, err))
        return err_wrap(err, "signature lists");
    bool ok = true;
    for (size_t i = 0; ok && i < w->v.n; i++) {
        progress_step(&progress, 0);
        ok = try_signature(app, lists, &w->v.v[i], &progress, err);
        *ret_affected += w->v.v[i].is_affected;
    }
    progress_clear(&progress);
    siglists_free(lists);
    return ok;
}

bool affected_by_signatures(struct app *app, struct found_ids *ids, struct err *err)
{
    struct affected_walk w = {.ids = ids};
    size_t affected = 0;
    arena_init(&w.arena, TEXTS_BYTES_MAX);
    textmap_init(&w.numbers, SIGNATURES_MAX);
    bool ok = app_reader(app, err) && walk_index(app, note_hit, &w, err) &&
              try_all(app, &w, &affected, err) && (!affected || walk_index(app, take_hit, &w, err));
    if (ok)
        printf("%zu of %zu signatures would change, with %zu crashes\n", affected, w.v.n,
               ids->list.n);
    if (ok && w.left_out)
        printf("%zu crashes of further signatures were not looked at\n", w.left_out);
    textmap_release(&w.numbers);
    VEC_RELEASE(&w.v);
    arena_release(&w.arena);
    return ok;
}
