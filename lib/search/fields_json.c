/*
 * GET /api/SuperSearchFields/: the field table in the words that clients know.  They were made for
 * a search engine that kept processed crashes as documents, hence the storage types and the split
 * of a path into namespace and name.  A key here is a promise: clients read types, choices and
 * permissions from it.  Protected fields are listed too; it is their values that are protected.
 */
#include "lib/search/search.h"

#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"

static const char *const query_types[] = {
    [QUERY_ENUM] = "enum",     [QUERY_STRING] = "string", [QUERY_INTEGER] = "integer",
    [QUERY_FLOAT] = "float",   [QUERY_BOOL] = "bool",     [QUERY_DATE] = "date",
    [QUERY_FRAMES] = "frames",
};
static const char *const value_types[] = {
    [VALUE_STR] = "str",     [VALUE_ENUM] = "enum", [VALUE_INT] = "int",
    [VALUE_FLOAT] = "float", [VALUE_BOOL] = "bool", [VALUE_DATETIME] = "datetime",
};
/* Both kinds of tokens were "text"; the analyzer below told them apart. */
static const char *const storage_types[] = {
    [INDEX_TEXT] = "text",     [INDEX_SEMI] = "text",       [INDEX_KEYWORD] = "keyword",
    [INDEX_LONG] = "long",     [INDEX_INTEGER] = "integer", [INDEX_SHORT] = "short",
    [INDEX_DOUBLE] = "double", [INDEX_BOOLEAN] = "boolean", [INDEX_DATE] = "date",
};

static json_t *choices_json(const char *choices)
{
    if (!choices || choices[0] == '@') /* the installation's own list: see the form */
        return json_null();
    json_t *out = json_array();
    struct str rest = str_of(choices), part;
    while (str_split(&rest, ',', &part))
        json_array_append_new(out, jtext(str_trim(part)));
    return out;
}

/* "processed_crash" or a dotted path below it, and the last key. */
static void split_source(const char *key, char *namespace, size_t size, const char **ret_last)
{
    const char *dot = strrchr(key, '.');
    *ret_last = dot ? dot + 1 : key;
    snprintf(namespace, size, "processed_crash%s%.*s", dot ? "." : "", dot ? (int)(dot - key) : 0,
             key);
}

static json_t *field_json(const struct search_field *f)
{
    char namespace[128];
    const char *last;
    split_source(f->source_key, namespace, sizeof namespace, &last);
    json_t *storage = json_pack("{s:s}", "type", storage_types[f->index]);
    if (f->index == INDEX_SEMI)
        json_object_set_new(storage, "analyzer", json_string("semicolon_keyword"));
    bool is_public = f->perm == PERM_PUBLIC;
    json_t *out = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:o, s:b, s:b, s:b, s:o, s:[s], s:[], s:s, s:s}", "name",
        f->name, "namespace", namespace, "in_database_name", last, "data_validation_type",
        value_types[f->value_type], "query_type", query_types[f->query_type], "storage_mapping",
        storage, "has_full_version", f->has_full, "is_exposed", true, "is_returned", true,
        "form_field_choices", choices_json(f->choices), "permissions_needed",
        is_public ? "public" : "protected", "webapp_permissions_needed", "description",
        f->description ? f->description : "", "source_key", f->source_key);
    if (!is_public)
        json_array_append_new(json_object_get(out, "webapp_permissions_needed"),
                              json_string("crashstats.view_pii"));
    return out;
}

json_t *search_fields_json(const struct field_table *fields)
{
    json_t *out = json_object();
    for (size_t i = 0; i < fields->search_count; i++)
        json_object_set_new(out, fields->search[i].name, field_json(&fields->search[i]));
    return out;
}
