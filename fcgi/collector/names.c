/*
 * Names from outside: of file parts, which become names of files, and of annotations that other
 * clients than Mozilla's use for product and version.
 *
 * The name of a file part is reduced to letters, digits and underscores, so it is a name in the
 * spool and a kind of the store as it is, and can neither climb out of a directory nor hide in it.
 */
#include "fcgi/collector/names.h"

#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"

/* Names that mean other things in the store of crashes. */
static const char *const reserved[] = {
    "dump_names",
    "processed_crash",
    "raw_crash",
    "crash_report",
};

bool dump_name_is_reserved(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
        if (strcmp(reserved[i], name) == 0)
            return true;
    return false;
}

static bool is_kept(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

enum dump_name_change dump_name_of(struct str name, char out[DUMP_NAME_SIZE])
{
    size_t n = 0;
    for (size_t i = 0; i < name.n && n < DUMP_NAME_MAX; i++)
        if (is_kept(name.p[i]))
            out[n++] = name.p[i];
    out[n] = '\0';
    if (n == 0) {
        memcpy(out, "unnamed", sizeof "unnamed");
        return DUMP_NAME_WAS_EMPTY;
    }
    if (strcmp(out, "dump") == 0) { /* the storage name of upload_file_minidump */
        memcpy(out, "dump_file", sizeof "dump_file");
        return DUMP_NAME_WAS_DUMP;
    }
    return DUMP_NAME_PLAIN;
}

/* clang-format off */
static const struct {
    const char *from, *to;
} breakpad_names[] = {
    {"prod", "ProductName"}, {"ver", "Version"}, {"comments", "Comments"},
    {"comments_", "Comments"}, {"channel", "ReleaseChannel"},
};
/* clang-format on */

static bool set_if_absent(json_t *annotations, const char *name, json_t *value)
{
    if (!value || json_object_get(annotations, name))
        return false;
    return json_object_set(annotations, name, value) == 0;
}

static bool set_text_if_absent(json_t *annotations, const char *name, struct str text)
{
    if (!text.p || text.n == 0)
        return false;
    json_auto_t *value = jtext(text);
    return set_if_absent(annotations, name, value);
}

/* Electron calls itself the product; the application is in these two. */
static bool map_electron(json_t *annotations)
{
    const char *product = jget_str(annotations, "_productName");
    const char *version = jget_str(annotations, "_version");
    if (!product || !*product || !version || !*version)
        return false;
    json_object_set(annotations, "ProductName", json_object_get(annotations, "_productName"));
    set_if_absent(annotations, "Version", json_object_get(annotations, "_version"));
    return true;
}

bool names_map_breakpad(json_t *annotations, struct str product, struct str version)
{
    if (json_object_get(annotations, "ProductName"))
        return false;
    bool any = map_electron(annotations);
    for (size_t i = 0; i < ARRAY_LEN(breakpad_names); i++)
        any |= set_if_absent(annotations, breakpad_names[i].to,
                             json_object_get(annotations, breakpad_names[i].from));
    any |= set_text_if_absent(annotations, "ProductName", product);
    any |= set_text_if_absent(annotations, "Version", version);
    return any;
}
