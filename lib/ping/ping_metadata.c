/*
 * The annotations that a ping may bring along, and no others: none of them says anything of a
 * person.  What has a member of its own in the document (StartupCrash, OOMAllocationSize,
 * AsyncShutdownTimeout) is not kept twice.
 *
 * Names of Glean are those of toolkit/components/crashes/metrics.yaml of Firefox, where they have
 * one.
 */
#include <stdio.h>

#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/ping/ping.h"

enum { VALUE_MAX = 1024 };

static const struct {
    const char *name, *glean; /* NULL: Glean's pings do not have it */
} allowed[] = {
    {"AvailablePageFile", "metrics/quantity/memory.available_commit"},
    {"AvailablePhysicalMemory", "metrics/quantity/memory.available_physical"},
    {"AvailableSwapMemory", "metrics/quantity/memory.available_swap"},
    {"AvailableVirtualMemory", "metrics/quantity/memory.available_virtual"},
    {"BackgroundTaskName", "metrics/string/crash.background_task_name"},
    {"BlockedDllList", "metrics/string_list/dll_blocklist.list"},
    {"BlocklistInitFailed", "metrics/boolean/dll_blocklist.init_failed"},
    {"DOMFissionEnabled", NULL},
    {"EventLoopNestingLevel", "metrics/quantity/crash.event_loop_nesting_level"},
    {"FontName", "metrics/string/crash.font_name"},
    {"GPUProcessLaunchCount", "metrics/quantity/crash.gpu_process_launch"},
    {"HeadlessMode", "metrics/boolean/environment.headless_mode"},
    {"IsGarbageCollecting", "metrics/boolean/crash.is_garbage_collecting"},
    {"LowPhysicalMemoryEvents", "metrics/quantity/memory.low_physical"},
    {"MainThreadRunnableName", "metrics/string/crash.main_thread_runnable_name"},
    {"ProfilerChildShutdownPhase", "metrics/string/crash.profiler_child_shutdown_phase"},
    {"PurgeablePhysicalMemory", "metrics/quantity/memory.purgeable_physical"},
    {"QuotaManagerShutdownTimeout", "metrics/object/crash.quota_manager_shutdown_timeout"},
    {"RemoteType", "metrics/string/crash.remote_type"},
    {"SecondsSinceLastCrash", "metrics/quantity/crash.seconds_since_last_crash"},
    {"ShutdownProgress", "metrics/string/crash.shutdown_progress"},
    {"SystemMemoryUsePercentage", "metrics/quantity/memory.system_use_percentage"},
    {"TextureUsage", "metrics/quantity/memory.texture"},
    {"TotalPageFile", "metrics/quantity/memory.total_page_file"},
    {"TotalPhysicalMemory", "metrics/quantity/memory.total_physical"},
    {"TotalVirtualMemory", "metrics/quantity/memory.total_virtual"},
    {"User32BeforeBlocklist", "metrics/boolean/dll_blocklist.user32_loaded_before"},
    {"WindowsErrorReporting", "metrics/boolean/crash.windows.error_reporting"},
    {"WindowsFileDialogErrorCode", "metrics/string/crash.windows.file_dialog_error_code"},
};

/* Annotations are texts: what Glean has as a boolean is "1" or "0" there, lists have semicolons. */
static json_t *as_text(struct arena *a, const json_t *v)
{
    char number[24];
    if (json_is_boolean(v))
        return json_string(json_is_true(v) ? "1" : "0");
    if (json_is_integer(v)) {
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(v));
        return json_string(number);
    }
    if (!json_is_array(v))
        return ping_text(a, v, VALUE_MAX);
    STRBUF_AUTO joined;
    sb_init(&joined, 4 * VALUE_MAX);
    for (size_t i = 0; i < json_array_size(v) && joined.n < VALUE_MAX; i++) {
        const char *one = json_string_value(json_array_get(v, i));
        if (one && joined.n)
            sb_char(&joined, ';');
        sb_text(&joined, one ? one : "");
    }
    json_auto_t *all = jtext(sb_view(&joined));
    return ping_text(a, all, VALUE_MAX);
}

/* "webIsolated=https://example.org" names the site that was open. */
static json_t *without_site(json_t *type)
{
    struct str text = str_of(json_string_value(type));
    json_t *out = jtext(str_sub(text, 0, str_find_char(text, '=', 0)));
    json_decref(type);
    return out;
}

json_t *ping_read_metadata(struct arena *a, const json_t *body, enum ping_form form)
{
    json_t *out = json_object();
    const json_t *given = ping_path(body, form == PING_LEGACY ? "payload/metadata" : "metadata");
    for (size_t i = 0; i < ARRAY_LEN(allowed); i++) {
        const json_t *v = form != PING_GLEAN ? json_object_get(given, allowed[i].name)
                          : allowed[i].glean ? ping_path(body, allowed[i].glean)
                                             : NULL;
        json_t *text = as_text(a, v);
        if (text && strcmp(allowed[i].name, "RemoteType") == 0)
            text = without_site(text);
        if (text)
            json_object_set_new(out, allowed[i].name, text);
    }
    if (json_object_size(out))
        return out;
    json_decref(out);
    return NULL;
}
