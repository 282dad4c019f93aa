/*
 * The record of one crash, and the schema of all of them.  Records wait in the store, beside the
 * crash they are of, so whatever deletes a crash there deletes its record.
 *
 * The record is made once, when a crash is processed for the first time: importers append, and a
 * crash that is processed again would be there twice.  A crash whose day has been made is no longer
 * recorded, for the same reason.  What a record holds, and that nothing protected gets into it, is
 * decided by lib/crash/telemetry.c; the schema below is printed from the same tables, so that it
 * cannot promise what no record has.
 */
#include "lib/export/export.h"

#include <stdlib.h>

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/crash_id.h"
#include "lib/crash/telemetry.h"
#include "lib/export/partition.h"
#include "lib/json/json.h"
#include "lib/store/store.h"

/* The day of the crash has been made, whether this crash is in it or not. */
static bool is_rolled(const char *var_dir, const char *crash_id)
{
    char day[CRASH_DATE_SIZE];
    crash_id_date(crash_id, day);
    FREE_LATER char *folder = partition_folder(var_dir, day, "");
    return fs_exists(folder);
}

bool export_put_first(const char *var_dir, struct store *store, const struct field_table *fields,
                      const char *crash_id, const json_t *processed, struct err *err)
{
    if (store_exists(store, crash_id, "crash_report") || is_rolled(var_dir, crash_id))
        return true;
    json_auto_t *record = telemetry_record(fields, processed, NULL);
    size_t n;
    FREE_LATER char *text = jdump(record, &n);
    return store_put(store, crash_id, "crash_report", str_n(text, n), err) ||
           err_wrap(err, "export record");
}

/* Were filled once, or are protected today: importers have columns for them, records never have
 * them. */
static const char *const historical[] = {
    "bios_manufacturer",      "classifications", "contains_memory_report", "e10s_cohort",
    "flash_version",          "hang_type",       "jit_category",           "memory_report",
    "submitted_from_infobar", "theme",           "user_comments",          "winsock_lsp",
};

static void add_types(json_t *list, unsigned types)
{
    static const struct {
        unsigned bit;
        const char *name;
    } names[] = {
        {SCHEMA_STR, "string"}, {SCHEMA_INT, "integer"}, {SCHEMA_BOOL, "boolean"},
        {SCHEMA_LIST, "array"}, {SCHEMA_OBJ, "object"},  {SCHEMA_NULL, "null"},
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (types & names[i].bit)
            json_array_append_new(list, json_string(names[i].name));
}

static json_t *shape_json(const struct schema_shape *shape);

/* JSON Schema, draft 4: a value of several types has a list of them. */
static json_t *type_json(unsigned types, const struct schema_shape *shape)
{
    json_t *out = shape ? shape_json(shape) : json_object();
    json_t *list = json_array();
    add_types(list, types);
    json_object_set_new(out, "type", list);
    return out;
}

static json_t *key_json(const struct schema_key *key)
{
    if (!(key->types & SCHEMA_LIST))
        return type_json(key->types, key->shape);
    json_t *out = type_json(key->types, NULL);
    json_object_set_new(out, "items", type_json(key->item_types, key->shape));
    return out;
}

/* Four levels deep, as deep as the tables of telemetry.c nest. */
static json_t *shape_json(const struct schema_shape *shape)
{
    json_t *properties = json_object();
    for (size_t i = 0; i < shape->n; i++)
        json_object_set_new(properties, shape->keys[i].name, key_json(&shape->keys[i]));
    return json_pack("{s:o}", "properties", properties);
}

json_t *export_schema_json(void)
{
    json_t *schema = type_json(SCHEMA_OBJ, &telemetry_shape);
    json_t *properties = json_object_get(schema, "properties"); /* borrowed from schema */
    for (size_t i = 0; i < ARRAY_LEN(historical); i++)
        json_object_set_new(properties, historical[i], type_json(SCHEMA_STR | SCHEMA_NULL, NULL));
    jset_cstr(schema, "$schema", "http://json-schema.org/draft-04/schema#");
    jset_cstr(schema, "title", "telemetry_socorro_crash");
    jset_int(schema, "$target_version", TELEMETRY_VERSION);
    return schema;
}
