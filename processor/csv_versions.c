/*
 * The table of versions as a file, for runs without a database: PRODUCT,CHANNEL,MAJOR,RELEASE,
 * VERSION,BUILD,URL per line, in the order in which versions are to be preferred.  It is looked
 * through for every question; a run asks a few times.
 */
#include "processor/csv_versions.h"

#include <stdlib.h>

#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"

/* With an address in each a line has some 150 bytes, so this is room for 400,000 builds. */
enum { CSV_BYTES_MAX = 64 << 20, FIELDS = 7 };
enum field { PRODUCT, CHANNEL, MAJOR, RELEASE, VERSION, BUILD, URL };

struct csv_versions {
    char *text;
    size_t n;
};

bool csv_versions_load(const char *path, struct csv_versions **ret, struct err *err)
{
    struct csv_versions v;
    if (!fs_read(path, CSV_BYTES_MAX, &v.text, &v.n, err))
        return false;
    *ret = xmalloc(sizeof **ret);
    **ret = v;
    return true;
}

void csv_versions_free(struct csv_versions *v)
{
    if (!v)
        return;
    free(v->text);
    free(v);
}

/* False for a line with too few columns; the URL may be missing. */
static bool split_line(struct str line, struct str out[FIELDS])
{
    for (size_t i = 0; i < FIELDS; i++)
        if (!str_split(&line, ',', &out[i]) && i < URL)
            return false;
    return true;
}

static json_t *versions_in_file(void *ctx, struct str product, struct str channel, struct str build)
{
    const struct csv_versions *v = ctx;
    struct str rest = str_n(v->text, v->n), line;
    json_t *list = json_array();
    while (str_split(&rest, '\n', &line)) {
        struct str f[FIELDS];
        if (split_line(str_trim(line), f) && str_eq(f[PRODUCT], product) &&
            str_eq(f[CHANNEL], channel) && str_eq(f[BUILD], build))
            json_array_append_new(list, jtext(f[VERSION]));
    }
    return list;
}

struct version_source csv_versions_source(struct csv_versions *v)
{
    return (struct version_source){.find = versions_in_file, .ctx = v};
}
