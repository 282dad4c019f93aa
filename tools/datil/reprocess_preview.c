/*
 * What `regenerate_signature` would make of crashes: the code and the lists of the processor on
 * the processed crashes as they are stored.  What a new walk would change (symbols that have
 * arrived, say) is not in it.
 *
 * A sample, evenly spread over the list, which is in the order of dates: the first ones alone would
 * be of one day and perhaps of one build.
 */
#include "tools/datil/reprocess_preview.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/signature/signature.h"
#include "lib/store/store.h"

/*
 * At 1000 the share is known to 3 % (95 % of the time), and reading takes seconds.  Twenty changes
 * show what happens; the count says how much.
 */
enum { SAMPLE_MAX = 1000, CHANGES_SHOWN = 20 };

/* Signatures are public; of each change "old -> new" the number of crashes. */
bool preview_crash(struct app *app, const struct siglists *lists, const char *id, json_t *changes,
                   size_t *seen, struct err *err)
{
    struct err why = {0};
    json_auto_t *doc = store_get_json(app->store, id, "processed_crash", JSON_BYTES_MAX, &why);
    if (!doc)
        return why.code == ERR_NOT_FOUND || err_set(err, why.code, "%s: %s", id, why.msg);
    json_auto_t *data = signature_crash_data(doc);
    struct signature_result r;
    signature_generate(lists, data, &r);
    const char *before = jget_str(doc, "signature"), *after = json_string_value(r.signature);
    ++*seen;
    if (!before || strcmp(before, after) != 0) {
        json_auto_t *key = json_sprintf("%s -> %s", before ? before : "(none)", after);
        const char *text = json_string_value(key);
        json_object_set_new(changes, text,
                            json_integer(json_integer_value(json_object_get(changes, text)) + 1));
    }
    signature_result_release(&r);
    return true;
}

struct change {
    const char *text;
    json_int_t count;
};

static int most_first(const void *a, const void *b)
{
    const struct change *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count ? 1 : -1) : strcmp(x->text, y->text);
}

static void print_changes(struct app *app, json_t *changes, size_t seen)
{
    size_t n = 0, changed = 0;
    struct change *v = arena_array(&app->arena, json_object_size(changes) + 1, sizeof *v);
    const char *text;
    json_t *count;
    json_object_foreach (changes, text, count) {
        v[n++] = (struct change){text, json_integer_value(count)};
        changed += (size_t)json_integer_value(count);
    }
    qsort(v, n, sizeof *v, most_first);
    printf("this would change the signature of %zu of %zu sampled crashes%s\n", changed, seen,
           n ? ":" : "");
    for (size_t i = 0; i < MIN(n, (size_t)CHANGES_SHOWN); i++)
        printf("%7lld  %s\n", (long long)v[i].count, v[i].text);
    if (n > CHANGES_SHOWN)
        printf("and %zu other changes\n", n - CHANGES_SHOWN);
}

bool reprocess_preview(struct app *app, const struct found_ids *ids, struct err *err)
{
    const char *dir = conf_text(&app->conf, CONF_SIGNATURE_LISTS_DIR);
    struct siglists *lists;
    if (!siglists_load(dir && *dir ? dir : NULL, &lists, err))
        return err_wrap(err, "signature lists");
    size_t n = MIN(ids->list.n, (size_t)SAMPLE_MAX), seen = 0;
    json_auto_t *changes = json_object();
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++)
        ok = preview_crash(app, lists, ids->list.v[i * ids->list.n / n].id, changes, &seen, err);
    siglists_free(lists);
    if (ok)
        print_changes(app, changes, seen);
    return ok;
}
