/*
 * Crash data is what a signature is made of, and nothing else: an object with a dozen keys that the
 * command line, the pages and the API take as well.  So a signature can be made anew without the
 * processed crash, and a change of its layout concerns this table alone.
 */
#include "lib/signature/signature.h"

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/signature/sig_text.h"

/* Where each key comes from; see docs/signatures.md. */
static const struct {
    const char *key, *path;
} sources[] = {
    {"abort_message", "abort_message"},
    {"additional_minidumps", "additional_minidumps"},
    {"async_shutdown_timeout", "async_shutdown_timeout"},
    {"hang", "hang"},
    {"ipc_channel_error", "ipc_channel_error"},
    {"ipc_message_name", "ipc_message_name"},
    {"java_exception", "java_exception"},
    {"java_stack_trace", "java_stack_trace"},
    {"js_large_allocation_failure", "js_large_allocation_failure"},
    {"mdsw_status_string", "mdsw_status_string"},
    /* Not the top-level crashing_thread: shutdown hangs overwrite it. */
    {"crashing_thread", "json_dump.crash_info.crashing_thread"},
    {"os", "json_dump.system_info.os"},
    {"reason", "json_dump.crash_info.type"},
    {"threads", "json_dump.threads"},
};

static json_t *size_of(const json_t *v)
{
    int64_t n;
    if (json_is_integer(v))
        return json_integer(json_integer_value(v));
    if (json_is_string(v) && str_to_i64(str_trim(str_of(json_string_value(v))), INT64_MIN,
                                        INT64_MAX, "size", &n, ERR_IGNORED))
        return json_integer(n);
    return json_null();
}

json_t *signature_crash_data(const json_t *processed_crash)
{
    json_t *data = json_object();
    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        json_t *v = jpath(processed_crash, sources[i].path);
        if (v)
            json_object_set(data, sources[i].key, v);
    }
    json_object_set_new(data, "oom_allocation_size",
                        size_of(json_object_get(processed_crash, "oom_allocation_size")));
    json_object_set_new(data, "original_signature", jtext(text_of(processed_crash, "signature")));
    return data;
}
