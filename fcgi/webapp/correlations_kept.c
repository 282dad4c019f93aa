/*
 * What is made is kept by each worker for itself.  It takes some tenths of a second to make again,
 * so the few that are asked for twice need no place that workers share and somebody cleans.  The
 * key holds who asks where that matters: a search may name protected fields, and then its sets are
 * for those alone who may; the properties that are compared are public in any case.
 */
#include "fcgi/webapp/correlations_kept.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/time.h"
#include "lib/base/util.h"

/* Documents of some hundred kilobytes at most, each an hour old at most. */
enum { KEPT = 32, KEPT_MS = 3600 * 1000 };

struct correlations_kept {
    struct kept_document {
        char *key;
        json_t *document;
        int64_t made_ms;
    } v[KEPT];
    size_t next; /* the oldest place */
};

static void forget(struct kept_document *k)
{
    free(k->key);
    json_decref(k->document);
    *k = (struct kept_document){0};
}

void correlations_kept_free(struct correlations_kept *kept)
{
    for (size_t i = 0; kept && i < KEPT; i++)
        forget(&kept->v[i]);
    free(kept);
}

json_t *correlations_kept(struct correlations_kept *kept, const char *key)
{
    for (size_t i = 0; kept && i < KEPT; i++) {
        struct kept_document *k = &kept->v[i];
        if (k->key && mono_ms() - k->made_ms >= KEPT_MS)
            forget(k);
        if (k->key && strcmp(k->key, key) == 0)
            return json_incref(k->document);
    }
    return NULL;
}

void correlations_keep(struct correlations_kept **kept, const char *key, json_t *document)
{
    if (!*kept)
        *kept = xcalloc(1, sizeof **kept);
    struct kept_document *k = &(*kept)->v[(*kept)->next++ % KEPT];
    forget(k);
    *k = (struct kept_document){xstrdup(key), json_incref(document), mono_ms()};
}
