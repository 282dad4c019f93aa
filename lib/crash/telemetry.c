/*
 * The export schema as tables, and the three steps from a processed crash to a record:
 *
 *   1. what the public may see, by the reducer: from here on nothing protected is left, whatever
 *      the tables below name;
 *   2. names and texts of the export: some keys have another name there, which is added beside
 *      ours, and what was a number or a truth value when the export began is a text in it ("1",
 *      "0");
 *   3. the types it promises, by the reducer once more, with the export's own tables: what is not
 *      in them or has another type is left out.
 *
 * Importers elsewhere have made tables of a data warehouse from this schema.  A key that changed
 * its name or type would break their imports years after anybody remembers why, so the tables only
 * grow.  Every value may be null.
 *
 * Keys of each table are sorted by bytes, as schema_find wants them; a test checks it.
 */
#include "lib/crash/telemetry.h"

#include "lib/base/util.h"
#include "lib/crash/reduce.h"

#define KEY(key, bits)                                                                             \
    {                                                                                              \
        .name = (key), .types = (bits) | SCHEMA_NULL, .description = ""                            \
    }
#define TEXT(key)    KEY(key, SCHEMA_STR)
#define INTEGER(key) KEY(key, SCHEMA_INT)
#define BOOLEAN(key) KEY(key, SCHEMA_BOOL)
#define TEXTS(key)                                                                                 \
    {                                                                                              \
        .name = (key), .types = SCHEMA_LIST | SCHEMA_NULL, .item_types = SCHEMA_STR,               \
        .description = ""                                                                          \
    }
#define OBJECT(key, object)                                                                        \
    {                                                                                              \
        .name = (key), .types = SCHEMA_OBJ | SCHEMA_NULL, .shape = &(object), .description = ""    \
    }
#define LIST(key, object)                                                                          \
    {                                                                                              \
        .name = (key), .types = SCHEMA_LIST | SCHEMA_NULL, .item_types = SCHEMA_OBJ,               \
        .shape = &(object), .description = ""                                                      \
    }
#define SHAPE(id)                                                                                  \
    {                                                                                              \
#id, id##_keys, ARRAY_LEN(id##_keys)                                                       \
    }

static const struct schema_key frame_keys[] = {
    TEXT("file"),    INTEGER("frame"), TEXT("function"),      TEXT("function_offset"),
    INTEGER("line"), TEXT("module"),   TEXT("module_offset"), TEXT("offset"),
};
static const struct schema_shape frame = SHAPE(frame);

static const struct schema_key crash_info_keys[] = {
    TEXT("address"),
    INTEGER("crashing_thread"),
    TEXT("type"),
};
static const struct schema_shape crash_info = SHAPE(crash_info);

static const struct schema_key crashing_thread_keys[] = {
    LIST("frames", frame),
    INTEGER("threads_index"),
};
static const struct schema_shape crashing_thread = SHAPE(crashing_thread);

static const struct schema_key thread_keys[] = {
    INTEGER("frame_count"),
    LIST("frames", frame),
};
static const struct schema_shape thread = SHAPE(thread);

static const struct schema_key system_info_keys[] = {
    TEXT("cpu_arch"), INTEGER("cpu_count"), TEXT("cpu_info"), TEXT("os"), TEXT("os_ver"),
};
static const struct schema_shape system_info = SHAPE(system_info);

static const struct schema_key module_keys[] = {
    TEXT("base_addr"),
    TEXT("code_id"),
    TEXT("debug_file"),
    TEXT("debug_id"),
    TEXT("end_addr"),
    TEXT("filename"),
    BOOLEAN("loaded_symbols"),
    BOOLEAN("missing_symbols"),
    BOOLEAN("symbol_disk_cache_hit"),
    TEXT("symbol_url"),
    TEXT("version"),
};
static const struct schema_shape module = SHAPE(module);

static const struct schema_key json_dump_keys[] = {
    OBJECT("crash_info", crash_info),
    OBJECT("crashing_thread", crashing_thread),
    INTEGER("main_module"),
    LIST("modules", module),
    INTEGER("pid"),
    TEXT("status"),
    OBJECT("system_info", system_info),
    INTEGER("thread_count"),
    LIST("threads", thread),
};
static const struct schema_shape json_dump = SHAPE(json_dump);

static const struct schema_key memory_measures_keys[] = {
    INTEGER("explicit"),
    INTEGER("gfx_textures"),
    INTEGER("ghost_windows"),
    INTEGER("heap_allocated"),
    INTEGER("heap_overhead"),
    INTEGER("heap_unclassified"),
    INTEGER("host_object_urls"),
    INTEGER("images"),
    INTEGER("js_main_runtime"),
    INTEGER("private"),
    INTEGER("resident"),
    INTEGER("resident_unique"),
    INTEGER("system_heap_allocated"),
    INTEGER("top_none_detached"),
    INTEGER("vsize"),
    INTEGER("vsize_max_contiguous"),
};
static const struct schema_shape memory_measures = SHAPE(memory_measures);

static const struct schema_key telemetry_keys[] = {
    TEXT("abort_message"),
    TEXT("accessibility"),
    TEXT("adapter_device_id"),
    TEXT("adapter_driver_version"),
    TEXT("adapter_subsys_id"),
    TEXT("adapter_vendor_id"),
    TEXTS("additional_minidumps"),
    TEXTS("addons"),
    BOOLEAN("addons_checked"),
    TEXT("address"),
    TEXT("android_board"),
    TEXT("android_brand"),
    TEXT("android_cpu_abi"),
    TEXT("android_cpu_abi2"),
    TEXT("android_device"),
    TEXT("android_hardware"),
    TEXT("android_manufacturer"),
    TEXT("android_model"),
    TEXT("android_packagename"),
    TEXT("android_version"),
    TEXT("app_init_dlls"),
    TEXT("app_notes"),
    TEXT("application_build_id"),
    TEXT("available_physical_memory"),
    TEXT("available_virtual_memory"),
    TEXT("background_task_name"),
    TEXT("build_id"),
    TEXT("cpu_arch"),
    TEXT("cpu_info"),
    TEXT("cpu_microcode_version"),
    TEXT("crash_id"),
    TEXT("crashing_thread_name"),
    TEXT("date"),
    TEXT("distribution_id"),
    TEXT("dom_fission_enabled"),
    TEXT("dom_ipc_enabled"),
    TEXT("gmp_plugin"),
    TEXT("graphics_critical_error"),
    TEXT("graphics_startup_test"),
    TEXT("hang"),
    INTEGER("install_age"),
    TEXT("ipc_channel_error"),
    TEXT("ipc_fatal_error_msg"),
    TEXT("ipc_fatal_error_protocol"),
    TEXT("ipc_message_name"),
    TEXT("ipc_system_error"),
    TEXT("is_garbage_collecting"),
    TEXT("java_stack_trace"),
    OBJECT("json_dump", json_dump),
    INTEGER("last_crash"),
    INTEGER("major_version"),
    OBJECT("memory_measures", memory_measures),
    TEXT("minidump_sha256_hash"),
    TEXT("modules_in_stack"),
    TEXT("moz_crash_reason"),
    TEXT("oom_allocation_size"),
    TEXT("platform"),
    TEXT("platform_pretty_version"),
    TEXT("platform_version"),
    TEXT("plugin_filename"),
    TEXT("plugin_name"),
    TEXT("plugin_version"),
    INTEGER("possible_bit_flips_max_confidence"),
    TEXT("process_type"),
    TEXT("processor_notes"),
    TEXT("product"),
    TEXT("productid"),
    TEXT("proto_signature"),
    TEXT("quota_manager_shutdown_timeout"),
    TEXT("reason"),
    TEXT("release_channel"),
    TEXT("report_type"),
    TEXT("safe_mode"),
    TEXT("shutdown_progress"),
    TEXT("signature"),
    TEXT("startup_crash"),
    TEXT("topmost_filenames"),
    TEXT("total_physical_memory"),
    TEXT("total_virtual_memory"),
    INTEGER("uptime"),
    TEXT("useragent_locale"),
    TEXT("uuid"),
    TEXT("version"),
    TEXT("xpcom_spin_event_loop_stack"),
};
const struct schema_shape telemetry_shape = SHAPE(telemetry);

/*
 * Exported as text, whatever they are here.  No key is added to this list: a new one goes into
 * telemetry_keys with the type that it has.
 */
static const char *const as_text[] = {
    "accessibility",
    "available_physical_memory",
    "available_virtual_memory",
    "dom_fission_enabled",
    "dom_ipc_enabled",
    "gmp_plugin",
    "graphics_startup_test",
    "ipc_system_error",
    "is_garbage_collecting",
    "oom_allocation_size",
    "safe_mode",
    "startup_crash",
    "total_physical_memory",
    "total_virtual_memory",
};

/* Names of ours, and what importers know them by. */
static const struct {
    const char *here, *exported;
} renamed[] = {
    {"build", "build_id"},
    {"date_processed", "date"},
    {"os_name", "platform"},
    {"os_pretty_version", "platform_pretty_version"},
    {"os_version", "platform_version"},
};

/* NULL: nothing to convert, a text already or none that could be written as one. */
static json_t *text_of_value(const json_t *v)
{
    if (json_is_boolean(v))
        return json_string(json_is_true(v) ? "1" : "0");
    if (!json_is_number(v))
        return NULL;
    FREE_LATER char *text = jdump(v, NULL);
    return json_string(text);
}

static void convert_to_text(json_t *doc)
{
    for (size_t i = 0; i < ARRAY_LEN(as_text); i++) {
        json_t *text = text_of_value(json_object_get(doc, as_text[i]));
        if (text)
            json_object_set_new(doc, as_text[i], text);
    }
}

/* Beside our names, which the last step leaves out where the export does not know them. */
static void add_exported_names(json_t *doc)
{
    for (size_t i = 0; i < ARRAY_LEN(renamed); i++) {
        json_t *v = json_object_get(doc, renamed[i].here);
        if (v)
            json_object_set(doc, renamed[i].exported, v);
    }
}

/*
 * The export has the first frames of the crashing thread alone.  The record is ours down to the
 * list of frames; the frames are shared.
 */
static void cut_frames(json_t *record)
{
    json_t *crashing = jget_obj(jget_obj(record, "json_dump"), "crashing_thread");
    json_t *frames = jget_arr(crashing, "frames");
    if (json_array_size(frames) <= TELEMETRY_FRAMES_MAX)
        return;
    json_t *first = json_array();
    for (size_t i = 0; i < TELEMETRY_FRAMES_MAX; i++)
        json_array_append(first, json_array_get(frames, i));
    json_object_set_new(crashing, "frames", first);
}

json_t *telemetry_record(const struct field_table *fields, const json_t *processed,
                         size_t *ret_rejected)
{
    size_t of_public = 0, of_export = 0;
    json_auto_t *doc = reduce_processed(fields, processed, PERM_PUBLIC, &of_public);
    convert_to_text(doc);
    add_exported_names(doc);
    json_t *record = reduce_to_shape(&telemetry_shape, doc, &of_export);
    cut_frames(record);
    if (ret_rejected)
        *ret_rejected = of_public + of_export;
    return record;
}
