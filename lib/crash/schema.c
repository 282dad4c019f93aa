/*
 * The types of the field table held against JSON.  A type is a set of bits, since many keys may be
 * null, or a text as well as a number; an integer is a number, too.
 *
 * Only what the table describes is looked at.  A key that it does not know is no misfit: whether it
 * may be shown is the reducer's question, and that drops it.  The walk is as deep as the table, so
 * a document cannot make it deep.
 */
#include "lib/crash/schema.h"

#include "lib/base/str.h"

/*
 * A whole number fits where any number does, not the other way round.
 */
static unsigned types_of(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        return SCHEMA_OBJ;
    case JSON_ARRAY:
        return SCHEMA_LIST;
    case JSON_STRING:
        return SCHEMA_STR;
    case JSON_INTEGER:
        return SCHEMA_INT | SCHEMA_NUM;
    case JSON_REAL:
        return SCHEMA_NUM;
    case JSON_TRUE:
    case JSON_FALSE:
        return SCHEMA_BOOL;
    case JSON_NULL:
        return SCHEMA_NULL;
    }
    return 0;
}

bool schema_fits(unsigned types, const json_t *v)
{
    return (types & SCHEMA_ANY) || (types & types_of(v));
}

static const char *members_misfit(const struct schema_shape *shape, const json_t *obj)
{
    const char *name;
    json_t *v;
    json_object_foreach ((json_t *)obj, name, v) {
        const struct schema_key *key = schema_find(shape, str_of(name));
        const char *misfit = key ? schema_misfit(key, v) : NULL;
        if (misfit)
            return misfit;
    }
    return NULL;
}

/* An element of a list or a value of a map. */
static const char *item_misfit(const struct schema_key *key, const json_t *v)
{
    if (!schema_fits(key->item_types, v))
        return key->name;
    return key->shape && json_is_object(v) ? members_misfit(key->shape, v) : NULL;
}

/*
 * The name of the first key that does not fit, NULL if all do. Names of a map's members are data
 * and are not looked at.
 */
const char *schema_misfit(const struct schema_key *key, const json_t *v)
{
    if (!schema_fits(key->types, v))
        return key->name;
    const char *misfit = NULL;
    if (json_is_array(v) && key->item_types) {
        for (size_t i = 0; !misfit && i < json_array_size(v); i++)
            misfit = item_misfit(key, json_array_get(v, i));
    } else if (json_is_object(v) && key->is_map) {
        const char *name;
        json_t *item;
        json_object_foreach ((json_t *)v, name, item)
            if ((misfit = item_misfit(key, item)) != NULL)
                break;
    } else if (json_is_object(v) && key->shape) {
        misfit = members_misfit(key->shape, v);
    }
    return misfit;
}
