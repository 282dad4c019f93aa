/*
 * What a signature is made of, out of a ping.
 *
 * The system is given by the name that reports have: names of modules are made lower case for
 * "Windows NT" alone.  A Java exception becomes the form that reports carry, with package and class
 * apart.
 */
#include "lib/ping/ping_signature.h"

#include <stdio.h>

#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"

static json_t *frames_of(const json_t *entries)
{
    json_t *out = json_array();
    size_t i;
    json_t *entry;
    json_array_foreach ((json_t *)entries, i, entry)
        if (!json_object_get(entry, "omitted") && !json_object_get(entry, "error"))
            json_array_append(out, entry);
    return out;
}

static json_t *java_frames(const json_t *stack)
{
    static const struct {
        const char *from, *to;
    } names[] = {{"className", "module"}, {"methodName", "function"}, {"file", "filename"}};
    json_t *out = json_array();
    size_t i;
    json_t *frame;
    json_array_foreach ((json_t *)stack, i, frame) {
        json_t *one = json_object();
        for (size_t n = 0; n < ARRAY_LEN(names); n++) {
            json_t *v = json_object_get(frame, names[n].from);
            if (v)
                json_object_set(one, names[n].to, v);
        }
        json_array_append_new(out, one);
    }
    return out;
}

static json_t *java_exception(const json_t *given)
{
    const json_t *first = json_array_get(jget_arr(given, "throwables"), 0);
    struct str name = jget_strn(first, "typeName");
    size_t dot = str_rfind_char(name, '.');
    json_t *trace = json_object();
    if (dot != SIZE_MAX)
        jset_text(trace, "module", str_sub(name, 0, dot));
    if (name.n)
        jset_text(trace, "type", dot == SIZE_MAX ? name : str_sub(name, dot + 1, SIZE_MAX));
    json_object_set_new(trace, "frames", java_frames(jget_arr(first, "stack")));
    return json_pack("{s:{s:[{s:o}]}}", "exception", "values", "stacktrace", trace);
}

static void set_shutdown(json_t *data, const json_t *doc)
{
    const json_t *v = json_object_get(doc, "async_shutdown_timeout");
    if (json_is_object(v)) {
        FREE_LATER char *text = jdump(v, NULL); /* reports have it as text */
        jset_cstr(data, "async_shutdown_timeout", text);
    } else if (v) {
        json_object_set(data, "async_shutdown_timeout", (json_t *)v);
    }
}

json_t *ping_crash_data(const json_t *doc, const json_t *entries)
{
    static const struct {
        const char *from, *to;
    } copied[] = {{"crash_type", "reason"},
                  {"reason", "moz_crash_reason"},
                  {"ipc_channel_error", "ipc_channel_error"},
                  {"oom_size", "oom_allocation_size"}};
    json_t *data = json_object();
    const char *os = jget_str(doc, "os");
    jset_int(data, "crashing_thread", 0);
    json_object_set_new(data, "threads", json_pack("[{s:o}]", "frames", frames_of(entries)));
    jset_cstr(data, "os", os && strcmp(os, "Windows") == 0 ? "Windows NT" : os);
    for (size_t i = 0; i < ARRAY_LEN(copied); i++) {
        json_t *v = json_object_get(doc, copied[i].from);
        if (v)
            json_object_set(data, copied[i].to, v);
    }
    set_shutdown(data, doc);
    const json_t *java = json_object_get(doc, "java_exception");
    if (java)
        json_object_set_new(data, "java_exception", java_exception(java));
    return data;
}

static void set_cut(json_t *result, const char *name, const json_t *text, size_t max)
{
    if (!json_is_string(text)) {
        jset_null(result, name);
        return;
    }
    struct str s = str_n(json_string_value(text), json_string_length(text));
    jset_text(result, name, str_sub(s, 0, utf8_prefix_bytes(s, max)));
}

void ping_sign(const struct siglists *lists, const json_t *doc, const json_t *entries,
               json_t *result)
{
    json_auto_t *data = ping_crash_data(doc, entries);
    struct signature_result r;
    signature_generate(lists, data, &r);
    set_cut(result, "signature", r.signature, PING_SIGNATURE_MAX);
    set_cut(result, "proto_signature", r.proto_signature, PING_PROTO_MAX);
    signature_result_release(&r);
}
