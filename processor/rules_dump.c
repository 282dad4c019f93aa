/*
 * Rules that copy, correct or cut parts of json_dump, which the walker made of a stranger's dump in
 * a sandbox: whatever its types, a rule answers with a value, a null or a note.  Most copy one
 * value to the top level, where searches and pages find it.
 */
#include <math.h>

#include "lib/base/metrics.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "processor/job.h"
#include "processor/rules.h"

/*
 * Host of a URL without user and port. Not a validation: what is no URL gives some text that is
 * nobody's host.
 */
static struct str url_host(struct str url)
{
    size_t at = str_find(url, STR("://"), 0);
    struct str host = at == SIZE_MAX ? url : str_sub(url, at + 3, SIZE_MAX);
    size_t end = 0;
    while (end < host.n && !strchr("/?#", host.p[end]))
        end++;
    host.n = end;
    size_t user = str_rfind_char(host, '@');
    if (user != SIZE_MAX)
        host = str_sub(host, user + 1, SIZE_MAX);
    return str_sub(host, 0, str_find_char(host, ':', 0));
}

static bool is_symbol_server(const struct job *job, struct str host)
{
    struct str rest = str_of(job->symbol_hosts), name;
    if (str_eq_nocase(host, STR("symbols.mozilla.org")))
        return true;
    while (str_split(&rest, ' ', &name))
        if (name.n > 0 && str_eq_nocase(host, name))
            return true;
    return false;
}

/* For the note, which must name some module. */
static struct str module_name(const json_t *module)
{
    struct str name = jget_strn(module, "filename");
    if (name.n == 0)
        name = jget_strn(module, "debug_file");
    return name.n ? name : STR("unknown");
}

/*
 * ModuleURLRewrite. The URL says where symbols came from and is public: a developer's own machine
 * is nobody's business, and the query of a symbol server holds tokens and the keys of one request.
 */
static void rewrite_url(struct job *job, json_t *module)
{
    struct str url = jget_strn(module, "symbol_url");
    if (url.n == 0)
        return;
    struct str host = url_host(url);
    size_t query = str_find_char(url, '?', 0);
    if (str_find(host, STR("localhost"), 0) != SIZE_MAX) {
        jset_null(module, "symbol_url");
        job_note(job, "Redacting symbol url for module " STR_FMT, STR_ARG(module_name(module)));
    } else if (query != SIZE_MAX && is_symbol_server(job, host)) {
        json_object_set_new(module, "symbol_url", jtext(str_sub(url, 0, query)));
    }
}

bool module_url_rewrite_act(struct job *job, struct err *err)
{
    (void)err;
    size_t i;
    json_t *module;
    json_array_foreach (jget_arr(job_json_dump(job), "modules"), i, module)
        if (json_is_object(module))
            rewrite_url(job, module);
    return true;
}

/*
 * The address as the walker corrected it, or as the dump has it. The walker sees when an access to
 * a null pointer, or to an address that no amd64 CPU takes, shows in the dump as some other one
 * (struct analysis in lib/unwind). The null pointer is written as wide as the address was: 18
 * characters are 64 bits.
 */
static struct str crash_address(const json_t *info)
{
    struct str address = jget_strn(info, "address");
    const json_t *adjusted = jget_obj(info, "adjusted_address");
    struct str kind = jget_strn(adjusted, "kind");
    if (str_eq(kind, STR("null-pointer")))
        return address.n == 18 ? STR("0x0000000000000000") : STR("0x00000000");
    if (str_eq(kind, STR("non-canonical")) && jget_str(adjusted, "address"))
        return jget_strn(adjusted, "address");
    return address;
}

static json_t *text_or_null(struct str s)
{
    return s.p ? jtext(s) : json_null();
}

/*
 * CrashingThreadInfo. reason is a text in any case, name and address may be null.
 */
bool crashing_thread_info_act(struct job *job, struct err *err)
{
    (void)err;
    const json_t *dump = job_json_dump(job), *info = jget_obj(dump, "crash_info");
    const json_t *thread = jget_obj(dump, "crashing_thread");
    int64_t index;
    bool is_known = jget_int(info, "crashing_thread", &index);
    if (!is_known)
        job_note(job, "mdsw did not identify the crashing thread");
    set_value(job, "crashing_thread", is_known ? json_integer(index) : json_null());
    set_value(job, "crashing_thread_name", text_or_null(jget_strn(thread, "thread_name")));
    struct str type = jget_strn(info, "type");
    set_text(job, "reason", type.p ? type : STR(""));
    set_value(job, "address", text_or_null(crash_address(info)));
    struct str last_error = jget_strn(thread, "last_error_value");
    if (last_error.p)
        set_text(job, "last_error_value", last_error);
    return true;
}

/*
 * TruncateStacks. Runaway recursion gives stacks of thousands of frames, which nobody reads and
 * every reader of the document pays for. What matters is at both ends: who crashed and who began.
 * 250 from the top, one frame that says how many are missing, 249 from the bottom; frame_count
 * keeps the number there were.
 */
enum { FRAMES_MAX = 500, FRAMES_TOP = 250, FRAMES_BOTTOM = 249 };

/* 1234567 as 1,234,567. */
static void put_grouped(struct strbuf *out, size_t n)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%zu", n);
    for (int i = 0; i < len; i++) {
        sb_char(out, digits[i]);
        if (i + 1 < len && (len - i - 1) % 3 == 0)
            sb_char(out, ',');
    }
}

static json_t *gap_frame(size_t dropped)
{
    STRBUF_AUTO text = {0};
    sb_init(&text, 64);
    put_grouped(&text, dropped);
    sb_text(&text, " frames truncated");
    return json_pack("{s:{s:s}}", "truncated", "msg", sb_cstr(&text));
}

/* Number of frames before, or 0 if there was nothing to cut. */
static size_t truncate_thread(const struct job *job, json_t *thread)
{
    json_t *frames = jget_arr(thread, "frames");
    size_t n = json_array_size(frames);
    if (n <= FRAMES_MAX)
        return 0;
    json_t *kept = json_array();
    for (size_t i = 0; i < FRAMES_TOP; i++)
        json_array_append(kept, json_array_get(frames, i));
    json_array_append_new(kept, gap_frame(n - FRAMES_MAX));
    for (size_t i = n - FRAMES_BOTTOM; i < n; i++)
        json_array_append(kept, json_array_get(frames, i));
    json_object_set_new(thread, "frames", kept);
    jset_bool(thread, "truncated", true);
    metric_add(job->metrics, METRIC_STACK_TRUNCATED, 1);
    metric_size(job->metrics, METRIC_STACK_SIZE, n);
    return n;
}

static void truncate_dump(struct job *job, const json_t *dump, const char *prefix)
{
    size_t was = truncate_thread(job, jget_obj(dump, "crashing_thread")), i;
    if (was)
        job_note(job, "TruncateStacksRule: truncated %sjson_dump.crashing_thread.frames: %zu -> %d",
                 prefix, was, FRAMES_MAX);
    json_t *thread;
    json_array_foreach (jget_arr(dump, "threads"), i, thread)
        if ((was = truncate_thread(job, thread)) > 0)
            job_note(job, "TruncateStacksRule: truncated %sjson_dump.threads[%zu].frames: %zu > %d",
                     prefix, i, was, FRAMES_MAX);
}

/*
 * Names in additional_minidumps are those that MinidumpStackwalk put there; in a document from the
 * store they may be anything.
 */
bool truncate_stacks_act(struct job *job, struct err *err)
{
    (void)err;
    truncate_dump(job, job_json_dump(job), "");
    size_t i;
    const json_t *name;
    json_array_foreach (jget_arr(job->processed, "additional_minidumps"), i, name) {
        if (!json_is_string(name))
            continue;
        STRBUF_AUTO prefix = {0};
        sb_init(&prefix, 1024);
        sb_printf(&prefix, "%s.", json_string_value(name));
        truncate_dump(job, jget_obj(jget_obj(job->processed, json_string_value(name)), "json_dump"),
                      sb_cstr(&prefix));
    }
    return true;
}

static const json_t *crash_info(const struct job *job)
{
    return jget_obj(job_json_dump(job), "crash_info");
}

/*
 * PossibleBitFlips: one number to search by, in percent: how sure the walker is that the address
 * becomes plausible with one bit changed, which hints at bad memory.
 */
bool possible_bit_flips_applies(const struct job *job)
{
    return json_array_size(jget_arr(crash_info(job), "possible_bit_flips")) > 0;
}

bool possible_bit_flips_act(struct job *job, struct err *err)
{
    (void)err;
    double best = 0;
    size_t i;
    const json_t *flip;
    json_array_foreach (jget_arr(crash_info(job), "possible_bit_flips"), i, flip)
        best = fmax(best, json_number_value(json_object_get(flip, "confidence")));
    return jset_int(job->processed, "possible_bit_flips_max_confidence",
                    (int64_t)floor(100 * fmin(best, 1)));
}

/* CrashInconsistencies: where the exception and the crashing instruction contradict each other. */
bool crash_inconsistencies_act(struct job *job, struct err *err)
{
    (void)err;
    json_t *list = jget_arr(crash_info(job), "crash_inconsistencies");
    set_value(job, "crash_inconsistencies", list ? json_incref(list) : json_null());
    return true;
}

/*
 * HasGuardPageAccess: true or absent. A page without access beside a stack or heap block is there
 * to catch overruns, so an access to it is likely one.
 */
bool has_guard_page_access_applies(const struct job *job)
{
    return jget_arr(crash_info(job), "memory_accesses") != NULL;
}

bool has_guard_page_access_act(struct job *job, struct err *err)
{
    (void)err;
    size_t i;
    const json_t *access;
    json_array_foreach (jget_arr(crash_info(job), "memory_accesses"), i, access)
        if (jget_bool_or(access, "is_likely_guard_page", false))
            jset_bool(job->processed, "has_guard_page_access", true);
    return true;
}

/*
 * Empty values of any type count as nothing: they are false in Python, which Socorro is written in.
 */
static bool says_something(const json_t *v)
{
    return json_string_length(v) > 0 || json_object_size(v) > 0 || json_array_size(v) > 0 ||
           json_number_value(v) != 0 || json_is_true(v);
}

/* In the words of the notes that were there before this program. */
static const char *type_name(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        return "dict";
    case JSON_ARRAY:
        return "list";
    case JSON_STRING:
        return "str";
    case JSON_INTEGER:
        return "int";
    case JSON_REAL:
        return "float";
    case JSON_TRUE:
    case JSON_FALSE:
        return "bool";
    case JSON_NULL:
        break;
    }
    return "NoneType";
}

/*
 * MacBootArgs: how the kernel was started. Such machines run with protections off, and their
 * crashes are few and odd.
 */
bool mac_boot_args_applies(const struct job *job)
{
    return says_something(json_object_get(job_json_dump(job), "mac_boot_args"));
}

bool mac_boot_args_act(struct job *job, struct err *err)
{
    (void)err;
    const json_t *v = json_object_get(job_json_dump(job), "mac_boot_args");
    if (!json_is_string(v)) {
        job_note(job, "MacBootArgsRule: mac_boot_args is %s and not str", type_name(v));
        return true;
    }
    struct str args = str_trim(str_n(json_string_value(v), json_string_length(v)));
    if (args.n == 0)
        return true;
    set_text(job, "mac_boot_args", args);
    return jset_bool(job->processed, "has_mac_boot_args", true);
}

/*
 * MacCrashInfo: what libraries wrote about their own end, as JSON text with sorted keys. Those of
 * a pass before must not stay when the dump has none.
 */
bool mac_crash_info_act(struct job *job, struct err *err)
{
    (void)err;
    const json_t *info = jget_obj(job_json_dump(job), "mac_crash_info");
    json_object_del(job->processed, "mac_crash_info");
    if (jget_int_or(info, "num_records", 0) <= 0)
        return true;
    size_t n;
    FREE_LATER char *text = jdump(info, &n);
    set_text(job, "mac_crash_info", str_n(text, n));
    return true;
}

/*
 * SoftErrors: what the program that wrote the dump failed at, as text; cut, since it may be the
 * whole log of a writer in trouble.
 */
bool soft_errors_applies(const struct job *job)
{
    return json_object_get(job_json_dump(job), "soft_errors") != NULL; /* null counts */
}

bool soft_errors_act(struct job *job, struct err *err)
{
    (void)err;
    enum { SHOWN_CHARS_MAX = 4096 }; /* a screen of text; the dump has all of it */
    size_t n;
    FREE_LATER char *text = jdump(json_object_get(job_json_dump(job), "soft_errors"), &n);
    struct str all = str_n(text, n);
    set_text(job, "soft_errors", str_sub(all, 0, utf8_prefix_chars(all, SHOWN_CHARS_MAX)));
    return true;
}

/* ThreadCount, null without a dump. */
bool thread_count_act(struct job *job, struct err *err)
{
    (void)err;
    int64_t n;
    bool is_known = jget_int(job_json_dump(job), "thread_count", &n);
    set_value(job, "thread_count", is_known ? json_integer(n) : json_null());
    return true;
}
