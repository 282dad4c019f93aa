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
#include "lib/signature/signature_preview.h"

/*
 * At 1000 the share is known to 3 % (95 % of the time), and reading takes seconds.  Twenty changes
 * show what happens; the count says how much.
 */
enum { SAMPLE_MAX = 1000, CHANGES_SHOWN = 20 };

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
        ok = signature_preview(app->store, lists, ids->list.v[i * ids->list.n / n].id, changes,
                               &seen, err);
    siglists_free(lists);
    if (ok)
        print_changes(app, changes, seen);
    return ok;
}
