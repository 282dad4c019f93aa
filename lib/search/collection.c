/*
 * Which collections there are.  They lie beside each other and not one in the other, because
 * everything below INDEX_DIR belongs to the engine, and an index that is deleted by hand is to take
 * no other with it.
 */
#include "lib/search/collection.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *dir_suffix;
    const struct field_table *fields; /* NULL: that of the installation */
} rows[COLLECTIONS] = {
    [COLLECTION_REPORTS] = {"reports", "", NULL},
    [COLLECTION_PINGS] = {"pings", "-pings", &fields_pings},
};

struct collection collection_of(const struct conf *conf, const struct field_table *reports,
                                enum collection_id id)
{
    struct collection c = {
        .id = id,
        .name = rows[id].name,
        .fields = rows[id].fields ? rows[id].fields : reports,
    };
    snprintf(c.dir, sizeof c.dir, "%s%s", conf_text(conf, CONF_INDEX_DIR), rows[id].dir_suffix);
    return c;
}

bool collection_by_name(const char *name, enum collection_id *ret)
{
    for (size_t i = 0; i < COLLECTIONS; i++)
        if (strcmp(rows[i].name, name) == 0) {
            *ret = (enum collection_id)i;
            return true;
        }
    return false;
}
