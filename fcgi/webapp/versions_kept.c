/*
 * A list by product in which places stay: whoever got one may keep it for the request, while its
 * versions are made anew.  Products are few, so it is searched from the front.
 */
#include "fcgi/webapp/versions_kept.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/util.h"

struct live_versions *versions_kept_of(struct live_versions **all, const char *product)
{
    struct live_versions *l = *all;
    while (l && strcmp(l->product, product) != 0)
        l = l->next;
    if (!l) {
        l = xcalloc(1, sizeof *l);
        l->product = xstrdup(product);
        l->next = *all;
        *all = l;
    }
    return l;
}

void versions_kept_clear(struct live_versions *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i].text);
    free(l->v);
    l->v = NULL;
    l->n = 0;
}

void versions_kept_free(struct live_versions *all)
{
    while (all) {
        struct live_versions *next = all->next;
        versions_kept_clear(all);
        free(all->product);
        free(all);
        all = next;
    }
}
