/*
 * What of a crash a reader may see.
 *
 * Table and document are walked together, the table leading: what it does not name is not copied.
 * So a key that a new processor, a new client or a stranger has invented is invisible until
 * somebody has described it and said who may see it; a list of what is secret would have been wrong
 * from the first key that nobody thought of.
 *
 * Types are checked for the same reason: a description that says "a number, public" was not made
 * for the object that a hostile client sends instead.  A value of a wrong type is dropped, whole.
 * Below a value of type "any" nothing is looked at; the table uses it below protected keys alone.
 *
 * The walk is as deep as the table, whatever the document looks like.  Subtrees that are copied
 * whole are shared with the document and not copied.
 */
#include "lib/crash/reduce.h"

#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/schema.h"

struct reduction {
    enum perm reader;
    size_t rejected;
};

static json_t *reduce_object(struct reduction *r, const struct schema_shape *shape,
                             const json_t *obj);

static bool may_see(const struct reduction *r, const struct schema_key *key)
{
    return key->perm <= r->reader;
}

/* An object of which this reader may see no key is left out, not shown as an empty one. */
static bool shows_anything(const struct reduction *r, const struct schema_shape *shape)
{
    for (size_t i = 0; i < shape->n; i++)
        if (may_see(r, &shape->keys[i]))
            return true;
    return false;
}

/* One element of a list or one value of a map. */
static json_t *reduce_item(struct reduction *r, const struct schema_key *key, json_t *v)
{
    if (!schema_fits(key->item_types, v)) {
        r->rejected++;
        return NULL;
    }
    bool is_whole = !json_is_object(v) || !key->shape;
    return is_whole ? json_incref(v) : reduce_object(r, key->shape, v);
}

/* A list with an element of a wrong type vanishes: its indices mean something elsewhere. */
static json_t *reduce_list(struct reduction *r, const struct schema_key *key, const json_t *list)
{
    json_auto_t *out = json_array();
    size_t i;
    json_t *item;
    json_array_foreach (list, i, item) {
        json_t *kept = reduce_item(r, key, item);
        if (!kept)
            return NULL;
        json_array_append_new(out, kept);
    }
    return TAKE(out);
}

/* The keys of a map are data, so all of them stay; a value that does not fit costs itself alone. */
static json_t *reduce_map(struct reduction *r, const struct schema_key *key, const json_t *map)
{
    json_t *out = json_object();
    const char *name;
    json_t *item;
    json_object_foreach ((json_t *)map, name, item) {
        json_t *kept = reduce_item(r, key, item);
        if (kept)
            json_object_set_new_nocheck(out, name, kept);
    }
    return out;
}

static json_t *reduce_value(struct reduction *r, const struct schema_key *key, json_t *v)
{
    if (key->types & SCHEMA_ANY)
        return json_incref(v);
    if (!schema_fits(key->types, v)) {
        r->rejected++;
        return NULL;
    }
    if (json_is_array(v))
        return reduce_list(r, key, v);
    if (!json_is_object(v))
        return json_incref(v);
    if (key->is_map)
        return reduce_map(r, key, v);
    return key->shape && shows_anything(r, key->shape) ? reduce_object(r, key->shape, v) : NULL;
}

static json_t *reduce_object(struct reduction *r, const struct schema_shape *shape,
                             const json_t *obj)
{
    json_t *out = json_object();
    const char *name;
    json_t *v;
    json_object_foreach ((json_t *)obj, name, v) {
        const struct schema_key *key = schema_find(shape, str_of(name));
        json_t *kept = key && may_see(r, key) ? reduce_value(r, key, v) : NULL;
        if (kept)
            json_object_set_new_nocheck(out, name, kept);
    }
    return out;
}

static json_t *with_count(const struct reduction *r, json_t *out, size_t *ret_rejected)
{
    if (ret_rejected)
        *ret_rejected = r->rejected;
    return out;
}

json_t *reduce_processed(const struct field_table *fields, const json_t *processed,
                         enum perm reader, size_t *ret_rejected)
{
    struct reduction r = {.reader = reader};
    return with_count(&r, reduce_object(&r, &fields->processed, processed), ret_rejected);
}

json_t *reduce_to_shape(const struct schema_shape *shape, const json_t *doc, size_t *ret_rejected)
{
    struct reduction r = {.reader = PERM_PROTECTED};
    return with_count(&r, reduce_object(&r, shape, doc), ret_rejected);
}

/*
 * Annotations are meant to be texts, but JSON reports bring numbers and booleans too:
 * every plain value will do where a text should be.  Objects and lists have no schema
 * here, so nobody can say what is in them.
 */
static bool is_publishable(const struct annotation *a, const json_t *v)
{
    return a->types & SCHEMA_OBJ ? json_is_object(v) : !json_is_object(v) && !json_is_array(v);
}

/*
 * An annotation that nobody knows is protected: the table lists what may be shown, not what must be
 * hidden. A known one whose value is not of its type is left out and counted, since it may be
 * anything.
 */
json_t *reduce_raw(const struct field_table *fields, const json_t *raw_crash, enum perm reader,
                   size_t *ret_rejected)
{
    struct reduction r = {.reader = reader};
    json_t *out = json_object();
    const char *name;
    json_t *v;
    json_object_foreach ((json_t *)raw_crash, name, v) {
        const struct annotation *a = annotation_find(fields, str_of(name));
        if (reader != PERM_PROTECTED && (!a || a->perm != PERM_PUBLIC))
            continue;
        if (reader != PERM_PROTECTED && !is_publishable(a, v))
            r.rejected++;
        else
            json_object_set_nocheck(out, name, v);
    }
    return with_count(&r, out, ret_rejected);
}

/*
 * The same walk along one path, without a document: for pages that mark what is protected, and for
 * the data dictionary.  Any name will do as the key of a map, and anything below "any".
 */
bool reduce_may_see(const struct field_table *fields, struct str path, enum perm reader)
{
    struct reduction r = {.reader = reader};
    const struct schema_shape *shape = &fields->processed;
    const struct schema_key *map = NULL; /* the path stands at this map */
    bool is_below_any = false;
    struct str name;
    if (path.n == 0)
        return false;
    while (str_split(&path, '.', &name)) {
        if (map) {
            shape = map->shape;
            is_below_any = map->item_types & SCHEMA_ANY;
            map = NULL;
            continue;
        }
        if (is_below_any)
            continue;
        const struct schema_key *key = shape ? schema_find(shape, name) : NULL;
        if (!key || !may_see(&r, key))
            return false;
        is_below_any = key->types & SCHEMA_ANY;
        map = key->is_map ? key : NULL;
        shape = key->shape;
    }
    return true;
}
