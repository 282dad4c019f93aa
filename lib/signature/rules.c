#include "lib/base/util.h"
#include "lib/signature/gen.h"
#include "lib/signature/text.h"

int64_t sig_thread_index(const json_t *data)
{
    const json_t *v = json_object_get(data, "crashing_thread");
    int64_t index = 0;
    if (json_is_integer(v))
        index = json_integer_value(v);
    else if (json_is_real(v) && json_real_value(v) > 0 && json_real_value(v) < 1e9)
        index = (int64_t)json_real_value(v);
    else if (json_is_string(v))
        str_to_i64(text_trim(text_of(data, "crashing_thread")), INT64_MIN, INT64_MAX,
                   "crashing_thread", &index, ERR_IGNORED);
    return index;
}

const json_t *sig_thread(const json_t *data, int64_t index)
{
    return index < 0 ? NULL : json_array_get(jget_arr(data, "threads"), (size_t)index);
}

static bool has_text(const json_t *data, const char *key)
{
    return text_of(data, key).n > 0;
}

static bool text_is(const json_t *data, const char *key, const char *want)
{
    return str_eq(text_of(data, key), str_of(want));
}

static bool signature_contains(const struct sig_gen *g, const char *text)
{
    return text_contains(sb_view(&g->signature), text);
}

/* Bytes that could not be had; false if the crash does not say. */
static bool allocation_size(const json_t *data, int64_t *ret_bytes)
{
    if (jget_int(data, "oom_allocation_size", ret_bytes))
        return true;
    struct str text = text_trim(text_of(data, "oom_allocation_size"));
    return text.n > 0 && str_to_i64(text, INT64_MIN, INT64_MAX, "size", ret_bytes, ERR_IGNORED);
}

static void append(struct sig_gen *g, const char *separator, struct str s)
{
    STRBUF_AUTO text = {0};
    sb_init(&text, SIG_TEXT_MAX);
    sb_str(&text, sb_view(&g->signature));
    sb_text(&text, separator);
    sb_str(&text, s);
    sig_set(g, sb_view(&text));
}

static bool always(const struct sig_gen *g)
{
    (void)g;
    return true;
}

/* Neither missing nor null, zero, false or empty. */
static bool says_something(const json_t *v)
{
    return json_string_length(v) > 0 || json_object_size(v) > 0 || json_array_size(v) > 0 ||
           json_number_value(v) != 0 || json_is_true(v);
}

static void generate_from(struct sig_gen *g, int64_t thread)
{
    const json_t *exception = json_object_get(g->data, "java_exception");
    if (says_something(json_object_get(g->data, "java_stack_trace"))) {
        sig_debug(g, "using JavaSignatureTool");
        sig_java_trace(g, text_of(g->data, "java_stack_trace"));
    } else if (says_something(exception)) {
        sig_debug(g, "using JavaExceptionSignatureTool");
        sig_java_exception(g, exception);
    } else {
        sig_debug(g, "using CSignatureTool");
        sig_choose_frames(g, thread);
    }
}

static void generate(struct sig_gen *g)
{
    generate_from(g, sig_thread_index(g->data));
}

static bool has_walker_error(const struct sig_gen *g)
{
    return str_starts(sb_view(&g->signature), STR("EMPTY")) &&
           has_text(g->data, "mdsw_status_string");
}

static void append_walker_error(struct sig_gen *g)
{
    append(g, "; ", text_of(g->data, "mdsw_status_string"));
}

static bool is_bad_hardware(const struct sig_gen *g)
{
    return text_contains(text_of(g->data, "reason"), "STATUS_DEVICE_DATA_ERROR");
}

static void prefix_bad_hardware(struct sig_gen *g)
{
    sig_prefix(g, "bad hardware | ");
}

static bool names_out_of_memory(const struct sig_gen *g)
{
    static const char *const functions[] = {"NS_ABORT_OOM", "mozalloc_handle_oom",
                                            "CrashAtUnhandlableOOM", "AutoEnterOOMUnsafeRegion",
                                            "alloc::oom::oom"};
    for (size_t i = 0; i < ARRAY_LEN(functions); i++)
        if (signature_contains(g, functions[i]))
            return true;
    return false;
}

static bool is_out_of_memory(const struct sig_gen *g)
{
    int64_t bytes;
    if (allocation_size(g->data, &bytes) && bytes != 0)
        return true;
    if (g->signature.n == 0)
        return false;
    const json_t *thread = sig_thread(g->data, sig_thread_index(g->data));
    return names_out_of_memory(g) ||
           text_is(thread, "last_error_value", "ERROR_COMMITMENT_LIMIT") ||
           text_is(thread, "last_error_value", "ERROR_NOT_ENOUGH_MEMORY") ||
           text_is(g->data, "reason", "STATUS_FATAL_MEMORY_EXHAUSTION") ||
           text_is(g->data, "reason", "STATUS_NO_MEMORY") ||
           text_is(g->data, "js_large_allocation_failure", "Reporting");
}

static void prefix_out_of_memory(struct sig_gen *g)
{
    enum { SMALL_MAX_BYTES = 256 << 10 };
    int64_t bytes;
    if (text_is(g->data, "js_large_allocation_failure", "Reporting"))
        sig_prefix(g, "OOM | large | ");
    else if (!allocation_size(g->data, &bytes))
        sig_prefix(g, "OOM | unknown | ");
    else if (bytes <= SMALL_MAX_BYTES) /* then the place says nothing about the cause */
        sig_set(g, STR("OOM | small"));
    else
        sig_prefix(g, "OOM | large | ");
}

static bool has_abort_message(const struct sig_gen *g)
{
    return has_text(g->data, "abort_message");
}

static void prefix_abort_message(struct sig_gen *g)
{
    sig_abort_message(g, text_of(g->data, "abort_message"));
}

static bool has_shutdown_timeout(const struct sig_gen *g)
{
    return has_text(g->data, "async_shutdown_timeout");
}

static void replace_by_shutdown_timeout(struct sig_gen *g)
{
    sig_shutdown_timeout(g, text_of(g->data, "async_shutdown_timeout"));
}

static bool is_watchdog(const struct sig_gen *g)
{
    return signature_contains(g, "RunWatchdog");
}

/* The watchdog's own thread crashed on purpose; what hung is the main thread. */
static void use_main_thread(struct sig_gen *g)
{
    generate_from(g, 0);
    sig_prefix(g, "shutdownhang | ");
}

static bool has_channel_error(const struct sig_gen *g)
{
    return has_text(g->data, "ipc_channel_error");
}

static bool has_browser_dump(const json_t *data)
{
    size_t i;
    const json_t *name;
    json_array_foreach (jget_arr(data, "additional_minidumps"), i, name)
        if (json_is_string(name) &&
            strcmp(json_string_value(name), "upload_file_minidump_browser") == 0)
            return true;
    return false;
}

static void replace_by_channel_error(struct sig_gen *g)
{
    enum { ERROR_CHARS_MAX = 100 };
    struct str error = text_of(g->data, "ipc_channel_error");
    STRBUF_AUTO text = {0};
    sb_init(&text, SIG_TEXT_MAX);
    sb_text(&text, has_browser_dump(g->data) ? "IPCError-browser | " : "IPCError-content | ");
    sb_str(&text, str_sub(error, 0, utf8_prefix_chars(error, ERROR_CHARS_MAX)));
    sig_set(g, sb_view(&text));
    sig_note(g, "IPC Channel Error stomped on signature");
}

static bool has_message_name(const struct sig_gen *g)
{
    return has_text(g->data, "ipc_message_name");
}

static void append_message_name(struct sig_gen *g)
{
    append(g, " | IPC_Message_Name=", text_of(g->data, "ipc_message_name"));
}

static bool is_stack_overflow(const struct sig_gen *g)
{
    return text_is(g->data, "reason", "EXCEPTION_STACK_OVERFLOW");
}

static void prefix_stack_overflow(struct sig_gen *g)
{
    sig_prefix(g, "stackoverflow | ");
}

static bool is_hang(const struct sig_gen *g)
{
    return json_is_string(json_object_get(g->data, "hang")); /* an empty text counts */
}

static void prefix_hang(struct sig_gen *g)
{
    STRBUF_AUTO prefix = {0};
    sb_init(&prefix, SIG_TEXT_MAX);
    sb_text(&prefix, "hang: ");
    sb_str(&prefix, text_of(g->data, "hang"));
    sb_text(&prefix, " | ");
    sb_str(&prefix, sb_view(&g->signature));
    sig_set(g, sb_view(&prefix));
}

static void keep_printable(struct sig_gen *g)
{
    struct str old = sb_view(&g->signature);
    STRBUF_AUTO text = {0};
    sb_init(&text, SIG_TEXT_MAX);
    text_put_printable(&text, text_trim(old));
    if (str_eq(old, sb_view(&text)))
        return;
    sig_set(g, sb_view(&text));
    sig_note(g, "unprintable characters removed");
}

/* Only blanks are left by now (see the rule before). */
static void squeeze_blanks(struct sig_gen *g)
{
    struct str old = str_trim(sb_view(&g->signature));
    STRBUF_AUTO text = {0};
    sb_init(&text, SIG_TEXT_MAX);
    for (size_t i = 0; i < old.n; i++)
        if (old.p[i] != ' ' || old.p[i - 1] != ' ') /* it does not begin with one */
            sb_char(&text, old.p[i]);
    sig_set(g, sb_view(&text));
}

static bool is_too_long(const struct sig_gen *g)
{
    return g->signature.n > SIG_LENGTH_MAX;
}

static void truncate_signature(struct sig_gen *g)
{
    STRBUF_AUTO text = {0};
    sb_init(&text, SIG_LENGTH_MAX);
    sb_str(&text, str_sub(sb_view(&g->signature), 0, SIG_LENGTH_MAX - 3));
    sb_text(&text, "...");
    sig_set(g, sb_view(&text));
    sig_note(g, "SigTrunc: signature truncated due to length");
}

/* In order; each sees what the ones before it made of the signature. */
static const struct {
    const char *name; /* part of notes and debug log */
    bool (*applies)(const struct sig_gen *g);
    void (*act)(struct sig_gen *g);
} rules[] = {
    {"SignatureGenerationRule", always, generate},
    {"StackwalkerErrorSignatureRule", has_walker_error, append_walker_error},
    {"BadHardware", is_bad_hardware, prefix_bad_hardware},
    {"OOMSignature", is_out_of_memory, prefix_out_of_memory},
    {"AbortSignature", has_abort_message, prefix_abort_message},
    {"SignatureShutdownTimeout", has_shutdown_timeout, replace_by_shutdown_timeout},
    {"SignatureRunWatchDog", is_watchdog, use_main_thread},
    {"SignatureIPCChannelError", has_channel_error, replace_by_channel_error},
    {"SignatureIPCMessageName", has_message_name, append_message_name},
    {"StackOverflowSignature", is_stack_overflow, prefix_stack_overflow},
    {"HungProcess", is_hang, prefix_hang},
    {"SigPrintableCharsOnly", always, keep_printable},
    {"SigFixWhitespace", always, squeeze_blanks},
    {"SigTruncate", is_too_long, truncate_signature},
};

void sig_run_rules(struct sig_gen *g)
{
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        g->rule = rules[i].name;
        if (rules[i].applies(g))
            rules[i].act(g);
    }
}
