/*
 * The fourteen rules, a table at the end of this file: from the stack of the crashing thread to
 * "OOM | large | ...".  Each rule sees the signature as those before it left it, so their order is
 * part of what a signature is.
 *
 * Signatures are names: bugs, saved searches and people's memory hang on them.  So every byte is
 * that of Socorro for the same crash, also where a rule of today would be made otherwise; the
 * golden cases hold this file to it.  A new rule changes signatures of crashes that are known, and
 * belongs behind the ones whose result it adjusts.
 *
 * Crash data is hostile and any key may have any type: text_of() and the getters take a wrong type
 * for absent, which is why no rule can fail.
 */
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/signature/gen.h"
#include "lib/signature/sig_text.h"

/*
 * Crash data also comes from scripts, which write numbers as texts and as reals. What is no number
 * is thread 0: rather a signature of some thread than none.
 */
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

static void add_behind(struct sig_gen *g, const char *separator, struct str s)
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

/*
 * SignatureGenerationRule. A Java trace wins over the native stack, which then has little to do
 * with the crash; the text wins over the object, because it has been made public already.
 */
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

/*
 * StackwalkerErrorSignatureRule: why there was no stack is then the best that is known of a crash
 * ("EMPTY: no frame data available; MissingThreadList").
 */
static bool has_walker_error(const struct sig_gen *g)
{
    return str_starts(sb_view(&g->signature), STR("EMPTY")) &&
           has_text(g->data, "mdsw_status_string");
}

static void append_walker_error(struct sig_gen *g)
{
    add_behind(g, "; ", text_of(g->data, "mdsw_status_string"));
}

/*
 * BadHardware: the disk could not read a page of the program. Such crashes are everywhere and
 * nobody can mend them; the prefix keeps them out of the way.
 */
static bool is_bad_hardware(const struct sig_gen *g)
{
    return text_contains(text_of(g->data, "reason"), "STATUS_DEVICE_DATA_ERROR");
}

static void prefix_bad_hardware(struct sig_gen *g)
{
    sig_prefix(g, "bad hardware | ");
}

/*
 * Functions that a program calls when it has no memory: of Firefox's allocator, of its JavaScript
 * engine and of Rust.
 */
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

/*
 * OOMSignature. Five ways to know it: the size the program could not get, a function that gives
 * up, the last error of Windows, its exception code, and an engine that reports a large
 * allocation.
 */
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

/*
 * From 256 KiB on an allocation is large: then its place in the code is worth a signature. Below,
 * any place may be the one that meets the end of memory, and all such crashes are one.  The limit
 * is Socorro's, as are the texts.
 */
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

/* AbortSignature: programs that abort say why, see sig_rules_text.c. */
static bool has_abort_message(const struct sig_gen *g)
{
    return has_text(g->data, "abort_message");
}

static void prefix_abort_message(struct sig_gen *g)
{
    sig_abort_message(g, text_of(g->data, "abort_message"));
}

/*
 * SignatureShutdownTimeout: replaces the stack, which is that of the timer that ended the process;
 * what it waited for is in the annotation.
 */
static bool has_shutdown_timeout(const struct sig_gen *g)
{
    return has_text(g->data, "async_shutdown_timeout");
}

static void replace_by_shutdown_timeout(struct sig_gen *g)
{
    sig_shutdown_timeout(g, text_of(g->data, "async_shutdown_timeout"));
}

/* SignatureRunWatchDog. */
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

/*
 * SignatureIPCChannelError: a process was ended because it broke the protocol between them. The
 * stack says only that; what was wrong is in the annotation.
 */
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
    /* Behind the first characters such errors have little in common. */
    enum { ERROR_CHARS_MAX = 100 };
    struct str error = text_of(g->data, "ipc_channel_error");
    STRBUF_AUTO text = {0};
    sb_init(&text, SIG_TEXT_MAX);
    sb_text(&text, has_browser_dump(g->data) ? "IPCError-browser | " : "IPCError-content | ");
    sb_str(&text, str_sub(error, 0, utf8_prefix_chars(error, ERROR_CHARS_MAX)));
    sig_set(g, sb_view(&text));
    sig_note(g, "IPC Channel Error stomped on signature");
}

/* SignatureIPCMessageName: which message was being handled. */
static bool has_message_name(const struct sig_gen *g)
{
    return has_text(g->data, "ipc_message_name");
}

static void append_message_name(struct sig_gen *g)
{
    add_behind(g, " | IPC_Message_Name=", text_of(g->data, "ipc_message_name"));
}

/*
 * StackOverflowSignature: the function at the top of an exhausted stack is any of those that
 * recur; the prefix says what really happened.
 */
static bool is_stack_overflow(const struct sig_gen *g)
{
    return text_is(g->data, "reason", "EXCEPTION_STACK_OVERFLOW");
}

static void prefix_stack_overflow(struct sig_gen *g)
{
    sig_prefix(g, "stackoverflow | ");
}

/* HungProcess: reporters for hangs say which kind it was. The key counts by being there. */
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

/*
 * SigPrintableCharsOnly. Signatures go into addresses, bugs and shell commands: printable ASCII
 * alone. From here on bytes and characters are the same.
 */
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

/*
 * SigFixWhitespace: one blank between words and none at the ends, so that signatures that look the
 * same are the same. The rule before has left no other white space than blanks.
 */
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

/*
 * SigTruncate: 255 characters, the three dots among them.
 */
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
