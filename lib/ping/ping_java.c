/*
 * The Java exception of a ping from Android, in the newer of its two forms whichever came. Messages
 * of exceptions quote what users typed and stay away; of the older form, which has no field for the
 * class, the name in front of its first message is kept if it is one of an exception.
 */
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/ping/ping.h"

/* Frames of one exception and exceptions in a chain: what the JVM itself keeps is 1024. */
enum { NAME_MAX_BYTES = 255, JAVA_THROWABLES_MAX = 32, JAVA_FRAMES_MAX = 1024 };

static json_t *read_java_frame(struct arena *a, const json_t *f)
{
    static const char *const texts[] = {"className", "methodName", "file"};
    json_t *out = json_object();
    int64_t line;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        json_t *text = ping_text(a, json_object_get(f, texts[i]), NAME_MAX_BYTES);
        if (text)
            json_object_set_new(out, texts[i], text);
    }
    if (jget_int(f, "line", &line))
        jset_int(out, "line", line);
    if (json_is_true(json_object_get(f, "isNative")))
        jset_bool(out, "isNative", true);
    return out;
}

static json_t *read_java_stack(struct arena *a, const json_t *list, size_t *room)
{
    json_t *out = json_array();
    for (size_t i = 0; i < json_array_size(list) && *room; i++, --*room)
        json_array_append_new(out, read_java_frame(a, json_array_get(list, i)));
    return out;
}

/* "java.lang.IllegalStateException" of "java.lang.IllegalStateException: no activity"; NULL if what
 * stands there is no name of a class. */
static json_t *class_of_message(struct arena *a, const json_t *message)
{
    if (!json_is_string(message))
        return NULL;
    struct str text = str_n(json_string_value(message), json_string_length(message));
    struct str name = str_trim(str_sub(text, 0, MIN(str_find_char(text, ':', 0), text.n)));
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool is_name = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '.' || c == '_' || c == '$';
        if (!is_name)
            return NULL;
    }
    json_auto_t *v = jtext(name);
    return str_ends(name, STR("Exception")) ? ping_text(a, v, NAME_MAX_BYTES) : NULL;
}

static json_t *read_throwable(struct arena *a, json_t *type, const json_t *stack, size_t *room)
{
    json_t *out = json_object();
    if (type)
        json_object_set_new(out, "typeName", type);
    json_object_set_new(out, "stack", read_java_stack(a, stack, room));
    return out;
}

json_t *ping_read_java(struct arena *a, const json_t *v)
{
    size_t room = JAVA_FRAMES_MAX;
    json_auto_t *parsed = /* an annotation is text */
        json_is_string(v) ? jparse_given(str_n(json_string_value(v), json_string_length(v)),
                                         JSON_BYTES_MAX, ERR_IGNORED)
                          : NULL;
    if (json_is_string(v))
        v = parsed;
    if (!json_is_object(v))
        return NULL;
    const json_t *given = jget_arr(v, "throwables");
    json_t *list = json_array();
    if (!given) {
        json_t *type = class_of_message(a, json_array_get(jget_arr(v, "messages"), 0));
        json_array_append_new(list, read_throwable(a, type, jget_arr(v, "stack"), &room));
    }
    for (size_t i = 0; i < MIN(json_array_size(given), (size_t)JAVA_THROWABLES_MAX); i++) {
        const json_t *t = json_array_get(given, i);
        json_t *type = ping_text(a, json_object_get(t, "typeName"), NAME_MAX_BYTES);
        json_array_append_new(list, read_throwable(a, type, jget_arr(t, "stack"), &room));
    }
    return json_pack("{s:o}", "throwables", list);
}
